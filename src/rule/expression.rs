//! One SQL expression of a rule: names resolved, constants put in, planned once by `DataFusion`.

mod plan;
mod refused;

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::{
    common::{DFSchema, Result, config::Dialect},
    logical_expr::Expr,
    sql::sqlparser::ast::{
        self, Expr as Sql, Ident, Value, VisitMut, VisitorMut, visit_expressions, visit_expressions_mut,
    },
};

use crate::{
    diagnostic::{characters, column_of, nearest, suggest},
    lists::{CODE_COLUMNS, Lists},
    rule::{Param, instants::zoned, limits, never::Comparisons, session::PlanningSession},
    say,
    sql::functions::codes,
    text::did_you_mean,
    yaml::{Document, Placed},
};

pub(crate) use refused::{quoted_word, refuse_volatile, token_at};

/// What the expressions of a rule may name.
pub(crate) struct Scope<'s> {
    /// The columns, `budget.total` by its whole name.
    pub columns: &'s Schema,
    /// Columns that exist, but not for the rule's triggers.
    pub elsewhere: &'s [&'static str],
    pub params: &'s [(String, Param)],
    pub lists: &'s Lists,
}

/// An expression whose names are resolved.
pub(crate) struct ResolvedExpression {
    sql: Sql,
    /// The columns it names.
    pub columns: BTreeSet<String>,
}

/// What is wrong with an expression: the word it is about, with its count before that word, the message and a hint.
struct Problem {
    word: (String, usize),
    message: String,
    hint: Option<String>,
}

/// Parses an expression and resolves its names. Problems go to the document.
pub(crate) fn resolve(
    session: &PlanningSession,
    d: &mut Document<'_>,
    placed: &Placed,
    scope: &Scope<'_>,
) -> Option<ResolvedExpression> {
    if let Err((message, hint)) = limits::text(&placed.text, scope.params) {
        d.problem(placed.span, message, hint);
        return None;
    }
    let odd = characters::oddities(&placed.text);
    if !odd.is_empty() {
        for odd in odd {
            let before: String = placed.text.chars().take(odd.at).collect();
            let nth = before.matches(&odd.text).count();
            d.problem_at(placed.span, (&odd.text, nth), odd.message, Some(odd.hint));
        }
        return None;
    }
    let sql = match session.sql_to_expr(&placed.text, &Dialect::Generic) {
        Ok(sql) => sql,
        Err(e) => {
            let word = token_at(&placed.text, &e.to_string());
            let (message, hint) = session.failure(&e);
            d.problem_at(placed.span, (&word.0, word.1), message, hint);
            return None;
        }
    };
    if let Err((message, hint)) = limits::expression(&sql) {
        d.problem(placed.span, message, hint);
        return None;
    }
    let mut resolver = Resolver { scope, problems: Vec::new(), columns: BTreeSet::new(), text: &placed.text };
    let mut sql = sql;
    let _: ControlFlow<()> = visit_expressions(&sql, |e| resolver.refuse(e));
    for never in Comparisons::new(scope.columns, scope.params, &[]).of(&sql) {
        resolver.problem(&never.ident, never.message, Some(never.hint));
    }
    let _: ControlFlow<()> = sql.visit(&mut ListConstants(&resolver));
    let _: ControlFlow<()> = visit_expressions_mut(&mut sql, |e| resolver.resolve(e));
    let (problems, columns) = (resolver.problems, resolver.columns);
    let clean = problems.is_empty();
    for Problem { word, message, hint } in problems {
        d.problem_at(placed.span, (&word.0, word.1), message, hint);
    }
    clean.then_some(ResolvedExpression { sql, columns })
}

struct Resolver<'r, 's> {
    scope: &'r Scope<'s>,
    problems: Vec<Problem>,
    columns: BTreeSet<String>,
    text: &'r str,
}

impl Resolver<'_, '_> {
    fn problem(&mut self, ident: &Ident, message: String, hint: Option<String>) {
        let word = (ident.value.clone(), self.occurrence(ident));
        self.problems.push(Problem { word, message, hint });
    }

    /// How often the identifier's text stands before it, so that its place in the file can be found.
    fn occurrence(&self, ident: &Ident) -> usize {
        let (line, column) = (ident.span.start.line as usize, ident.span.start.column as usize);
        if line == 0 {
            return 0;
        }
        let lines = self.text.split_inclusive('\n').take(line - 1);
        let start = lines.map(|l| l.chars().count()).sum::<usize>() + column.saturating_sub(1);
        let before: String = self.text.chars().take(start).collect();
        before.matches(&ident.value).count()
    }

    /// Refuses what has no place in a condition on one event.
    fn refuse(&mut self, sql: &Sql) -> ControlFlow<()> {
        match sql {
            Sql::Subquery(_) | Sql::Exists { .. } | Sql::InSubquery { .. } => self.problems.push(Problem {
                word: (String::from("select"), 0),
                message: say!("a condition on an event cannot contain a query"),
                hint: Some(say!("use in_list or lookup for reference data")),
            }),
            Sql::Function(function) => self.function(function),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// The list that a list function names must exist.
    fn function(&mut self, function: &ast::Function) {
        let [ast::ObjectNamePart::Identifier(name)] = &function.name.0[..] else { return };
        let called = name.value.to_lowercase();
        let is_of_codes = codes::FUNCTIONS.contains(&called.as_str());
        if !(is_of_codes || matches!(called.as_str(), "in_list" | "name_in_list" | "contains_any" | "lookup"))
        {
            return;
        }
        let ast::FunctionArguments::List(arguments) = &function.args else { return };
        let literal = |at: usize| match arguments.args.get(at) {
            Some(ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(Sql::Value(value)))) => {
                value.value.clone().into_string()
            }
            _ => None,
        };
        if is_of_codes {
            if !literal(0).is_some_and(|column| CODE_COLUMNS.contains(&column.as_str())) {
                let hint = say!(
                    "write {called}('unit_code', …); there are {columns}",
                    called,
                    columns = CODE_COLUMNS.join(", ")
                );
                self.problem(
                    name,
                    say!("the first argument of {called} must be the name of a column of codes", called),
                    Some(hint),
                );
            }
            return;
        }
        let Some(list_name) = literal(0) else {
            let hint = say!("write {called}('name', …)", called);
            return self.problem(
                name,
                say!("the first argument of {called} must be a list's name", called),
                Some(hint),
            );
        };
        let Some(list) = self.scope.lists.get(&list_name) else {
            let names: Vec<_> = self.scope.lists.names().collect();
            let hint = match names.is_empty() {
                true => say!("name its file under `lists:` in the configuration"),
                false => suggest(&list_name, names),
            };
            let ident = Ident { value: list_name.clone(), ..name.clone() };
            return self.problem(&ident, say!("there is no list \"{list_name}\"", list_name), Some(hint));
        };
        if called == "lookup"
            && let Some(column) = literal(2)
            && list.column(&column).is_none()
        {
            let hint = suggest(&column, list.columns());
            let ident = Ident { value: column.clone(), ..name.clone() };
            self.problem(
                &ident,
                say!("the list \"{list_name}\" has no column \"{column}\"", list_name, column),
                Some(hint),
            );
        }
    }

    fn resolve(&mut self, sql: &mut Sql) -> ControlFlow<()> {
        match sql {
            Sql::Identifier(ident) => self.column(&ident.clone(), None, sql),
            Sql::CompoundIdentifier(parts) => match &parts.clone()[..] {
                [table, ident] => self.column(ident, Some(table), sql),
                _ => self.problem(&parts[0].clone(), say!("a column has at most two parts"), None),
            },
            Sql::Cast { .. } | Sql::TypedString(_) => zoned(sql),
            Sql::Value(value) => {
                if let Value::Placeholder(name) = &value.value {
                    self.constant(&name.clone(), sql);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn column(&mut self, ident: &Ident, table: Option<&Ident>, sql: &mut Sql) {
        let bare = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
        let name = match table {
            Some(table) => format!("{}.{bare}", table.value.to_lowercase()),
            None => bare.clone(),
        };
        if self.scope.columns.column_with_name(&name).is_some() {
            self.columns.insert(name.clone());
            *sql = Sql::Identifier(Ident::with_quote('"', name));
            return;
        }
        let shown = if table.is_some() { &name } else { &ident.value };
        let names = || self.scope.columns.fields().iter().map(|f| f.name().as_str());
        let (message, hint) = if self.scope.elsewhere.contains(&name.as_str()) {
            let message = say!("the column \"{shown}\" does not exist for the rule's trigger", shown);
            (message, Some(say!("see the data dictionary for the fields of each event type")))
        } else if let Some(param) = self.scope.params.iter().find(|(param, _)| *param == name) {
            (
                say!("unknown column \"{shown}\"", shown),
                Some(say!("a constant is written ${param}", param = param.0)),
            )
        } else {
            let near: Option<&str> =
                column_of(&name).filter(|ours| self.scope.columns.column_with_name(ours).is_some());
            let near = near
                .or_else(|| nearest(&name, names()))
                .or_else(|| nearest(&format!("budget.{bare}"), names()));
            let hint = near.map(did_you_mean);
            (
                say!("unknown column \"{shown}\"", shown),
                hint.or_else(|| Some(say!("text is written in single quotes"))),
            )
        };
        self.problem(ident, message, hint);
    }

    /// Puts a constant's value in its place.
    fn constant(&mut self, placeholder: &str, sql: &mut Sql) {
        match self.param(placeholder) {
            Some(Param::List(_)) => self.constant_problem(
                placeholder,
                say!("{placeholder} is a list", placeholder),
                say!("write `column in ({placeholder})`", placeholder),
            ),
            Some(param) => *sql = literal(&param),
            None => {
                let names = self.scope.params.iter().map(|(name, _)| name.as_str());
                let hint = match self.scope.params.is_empty() {
                    true => {
                        say!(
                            "name it under the rule's `params:`, such as `{placeholder}: 10000`",
                            placeholder = &placeholder[1..]
                        )
                    }
                    false => suggest(&placeholder[1..], names),
                };
                self.constant_problem(placeholder, say!("unknown constant {placeholder}", placeholder), hint);
            }
        }
    }

    fn constant_problem(&mut self, placeholder: &str, message: String, hint: String) {
        self.problems.push(Problem { word: (placeholder.to_owned(), 0), message, hint: Some(hint) });
    }

    fn param(&self, placeholder: &str) -> Option<Param> {
        let name = placeholder.strip_prefix('$')?;
        self.scope.params.iter().find(|(param, _)| param == name).map(|(_, value)| value.clone())
    }
}

/// Puts list constants into `in (…)`, before their placeholders are looked at one by one.
struct ListConstants<'r, 'p, 's>(&'r Resolver<'p, 's>);

impl VisitorMut for ListConstants<'_, '_, '_> {
    type Break = ();

    fn pre_visit_expr(&mut self, sql: &mut Sql) -> ControlFlow<()> {
        if let Sql::InList { list, .. } = sql {
            let items = std::mem::take(list);
            *list = items.into_iter().flat_map(|item| self.items(item)).collect();
        }
        ControlFlow::Continue(())
    }
}

impl ListConstants<'_, '_, '_> {
    fn items(&self, item: Sql) -> Vec<Sql> {
        if let Sql::Value(value) = &item
            && let Value::Placeholder(name) = &value.value
            && let Some(Param::List(items)) = self.0.param(name)
        {
            return items.iter().map(literal).collect();
        }
        vec![item]
    }
}

/// A constant as SQL.
pub(crate) fn literal(param: &Param) -> Sql {
    let value = match param {
        Param::Number(digits) => Value::Number(digits.trim_start_matches('-').to_owned(), false),
        Param::Text(text) => Value::SingleQuotedString(text.clone()),
        Param::Bool(value) => Value::Boolean(*value),
        Param::List(_) => Value::Null,
    };
    let value = Sql::Value(value.into());
    match param {
        Param::Number(digits) if digits.starts_with('-') => {
            Sql::Nested(Box::new(Sql::UnaryOp { op: ast::UnaryOperator::Minus, expr: Box::new(value) }))
        }
        _ => value,
    }
}

impl ResolvedExpression {
    /// The expression with its names resolved and its constants put in.
    pub(crate) fn text(&self) -> String {
        self.sql.to_string()
    }

    /// The expression as `DataFusion` sees it.
    pub(crate) fn logical(&self, session: &PlanningSession, schema: &DFSchema) -> Result<Expr> {
        session.create_logical_expr(&self.sql.to_string(), schema)
    }
}

/// A schema of some of the columns, in their order.
#[must_use]
pub(crate) fn project(columns: &Schema, names: &BTreeSet<String>) -> SchemaRef {
    let fields: Vec<Field> =
        columns.fields().iter().filter(|f| names.contains(f.name())).map(|f| f.as_ref().clone()).collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::{refused::empty_event, *};
    use crate::{
        event::time::Calendar,
        rule::{Language, RuleSet, compile::Compiler},
    };

    /// What `DataFusion` can only evaluate after simplifying must not fail on every event.
    #[test]
    fn every_function_can_be_evaluated() {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::En);
        for when in [
            "coalesce(purpose, 'none') = 'none'",
            "nvl(amount, 5) = 5",
            "nvl2(purpose, 'given', 'missing') = 'missing'",
            "nullif(purpose, '') is null",
            "abs(amount - 5) is null",
            "date_part('month', occurred_at) is null",
            "0.1 + 0.2 = 0.3",
        ] {
            let rule = format!(
                "rules: [{{id: a, severity: low, trigger: payment, key: [unit_code], when: \"{when}\"}}]"
            );
            let rules = RuleSet::from_text(&rule, &compiler, &calendar).unwrap();
            let condition = rules.rules.first().unwrap().when.as_ref().unwrap();
            let row = empty_event(&condition.schema);
            let result = condition.expr.evaluate(&row).unwrap().into_array(1).unwrap();
            assert!(arrow::array::AsArray::as_boolean(&result).value(0), "{when}");
        }
    }

    #[test]
    fn what_fails_on_every_event_is_refused() {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::En);
        for (when, message) in [
            ("amount > 1 / 0", "a division by zero"),
            ("regexp_like(purpose, '(')", "the pattern is not a regular expression"),
            ("count(*) > 1", "a condition looks at one event and cannot contain 'count'"),
            ("sum(amount) over () > 1", "a condition looks at one event and cannot contain 'sum'"),
            ("random() > 0.5", "the function 'random' is not deterministic"),
        ] {
            let rule = format!(
                "rules: [{{id: a, severity: low, trigger: payment, key: [unit_code], when: \"{when}\"}}]"
            );
            let problems = RuleSet::from_text(&rule, &compiler, &calendar).unwrap_err();
            assert_eq!(problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>(), [message]);
        }
    }
}
