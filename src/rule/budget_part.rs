//! The part of a rule's condition that only the budget line decides, and that can therefore stop being true by itself.

use std::ops::ControlFlow;

use datafusion::{
    common::config::Dialect,
    execution::SessionState,
    sql::sqlparser::ast::{self, Expr as Sql, visit_expressions},
};

use crate::yaml::Placed;

/// Those of the conjuncts of expressions that name nothing but the budget line (`budget.*`), as one expression; `None` if
/// there are none. What cannot be parsed is told elsewhere.
pub(crate) fn budget_part(state: &SessionState, expressions: &[&Placed]) -> Option<String> {
    let mut parts = Vec::new();
    for placed in expressions {
        let sql = state.sql_to_expr(&placed.text, &Dialect::Generic).ok()?;
        conjuncts(&sql, &mut |part| {
            if names_only_the_line(part) {
                parts.push(format!("({part})"));
            }
        });
    }
    (!parts.is_empty()).then(|| parts.join(" AND "))
}

/// The conditions that an expression joins by `and`, as they are written there but for blanks; the expression itself where
/// it cannot be parsed.
pub(crate) fn parts(state: &SessionState, placed: &Placed) -> Vec<Placed> {
    let mut found = Vec::new();
    if let Ok(sql) = state.sql_to_expr(&placed.text, &Dialect::Generic) {
        conjuncts(&sql, &mut |part| found.push(Placed { text: part.to_string(), span: placed.span }));
    }
    if found.is_empty() { vec![placed.clone()] } else { found }
}

/// One of the conditions that an expression joins by `and`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conjunct {
    /// As it is written, but for blanks.
    pub text: String,
    /// The columns and measures that it names, and its parameters (`$limit`), each once.
    pub names: Vec<String>,
}

/// The conditions that an expression joins by `and`; none where it cannot be parsed, which is told elsewhere.
pub(crate) fn conjuncts_of(state: &SessionState, placed: &Placed) -> Vec<Conjunct> {
    let mut found = Vec::new();
    if let Ok(sql) = state.sql_to_expr(&placed.text, &Dialect::Generic) {
        conjuncts(&sql, &mut |part| found.push(Conjunct { text: part.to_string(), names: names(part) }));
    }
    found
}

fn names(sql: &Sql) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let _: ControlFlow<()> = visit_expressions(sql, |e| {
        let name = match e {
            Sql::Identifier(name) => name.value.clone(),
            Sql::CompoundIdentifier(parts) => {
                parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".")
            }
            // A parameter: `$limit`.
            Sql::Value(value) => match &value.value {
                ast::Value::Placeholder(name) => name.clone(),
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        if !names.contains(&name) {
            names.push(name);
        }
        ControlFlow::Continue(())
    });
    names
}

pub(super) fn conjuncts(sql: &Sql, take: &mut impl FnMut(&Sql)) {
    match sql {
        Sql::Nested(inner) => conjuncts(inner, take),
        Sql::BinaryOp { left, op: ast::BinaryOperator::And, right } => {
            conjuncts(left, take);
            conjuncts(right, take);
        }
        other => take(other),
    }
}

fn names_only_the_line(sql: &Sql) -> bool {
    let (mut line, mut other) = (false, false);
    let _: ControlFlow<()> = visit_expressions(sql, |e| {
        match e {
            Sql::CompoundIdentifier(parts) if parts[0].value.eq_ignore_ascii_case("budget") => line = true,
            Sql::Identifier(_) | Sql::CompoundIdentifier(_) => other = true,
            _ => {}
        }
        ControlFlow::Continue(())
    });
    line && !other
}
