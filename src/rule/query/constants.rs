//! Constants of a rule in the syntax tree of its query.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr as Sql, Value, VisitorMut};

use crate::rule::{Param, expression::literal, instants::zoned};

/// Puts constants in their places.
pub(crate) struct Constants<'p> {
    /// The constants of the rule.
    pub params: &'p [(String, Param)],
    /// Names that are none of them.
    pub unknown: Vec<String>,
}

impl Constants<'_> {
    fn get(&self, placeholder: &str) -> Option<&Param> {
        let name = placeholder.strip_prefix('$')?;
        self.params.iter().find(|(param, _)| param == name).map(|(_, value)| value)
    }
}

impl VisitorMut for Constants<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, sql: &mut Sql) -> ControlFlow<()> {
        match sql {
            Sql::InList { list, .. } => {
                let items = std::mem::take(list);
                for item in items {
                    match placeholder(&item).and_then(|name| self.get(&name)) {
                        Some(Param::List(values)) => list.extend(values.iter().map(literal)),
                        _ => list.push(item),
                    }
                }
            }
            Sql::Cast { .. } | Sql::TypedString(_) => zoned(sql),
            Sql::Value(_) => {
                if let Some(name) = placeholder(sql) {
                    match self.get(&name) {
                        Some(value) => *sql = literal(value),
                        None => self.unknown.push(name),
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn placeholder(sql: &Sql) -> Option<String> {
    match sql {
        Sql::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}
