//! One SQL expression of a rule: names resolved, constants put in, planned once by `DataFusion`.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use arrow::{
    array::{RecordBatchOptions, new_null_array},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{
        DFSchema, DataFusionError, Result,
        config::Dialect,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, Volatility},
    physical_expr::PhysicalExpr,
    sql::sqlparser::ast::{
        self, Expr as Sql, Ident, Value, VisitMut, VisitorMut, visit_expressions, visit_expressions_mut,
    },
};

use crate::{
    diagnostic::{nearest, suggest},
    lists::Lists,
    rule::{Param, instants::{Refusal, zoned}, session::Session},
    yaml::{Document, Placed},
};

/// What the expressions of a rule may name.
pub struct Scope<'s> {
    /// The columns, `budget.total` by its whole name.
    pub columns: &'s Schema,
    /// Columns that exist, but not for the rule's triggers.
    pub elsewhere: &'s [&'static str],
    /// The rule's constants.
    pub params: &'s [(String, Param)],
    /// The lists.
    pub lists: &'s Lists,
}

/// An expression whose names are resolved.
pub struct Resolved {
    sql: Sql,
    /// The columns it names.
    pub columns: BTreeSet<String>,
}

/// What `DataFusion` has against an expression, and a hint.
pub type Failure = (String, Option<String>);

/// What is wrong with an expression: the word it is about, with its count before that word, the message and a hint.
struct Problem {
    word: (String, usize),
    message: String,
    hint: Option<String>,
}

/// Parses an expression and resolves its names. Problems go to the document.
pub fn resolve(
    session: &Session,
    d: &mut Document<'_>,
    placed: &Placed,
    scope: &Scope<'_>,
) -> Option<Resolved> {
    let sql = match session.sql_to_expr(&placed.text, &Dialect::Generic) {
        Ok(sql) => sql,
        Err(e) => {
            let word = token_at(&placed.text, &e.to_string());
            let text = e.to_string();
            let message = format!("not a valid expression: {}", parser_message(&text));
            d.problem_at(placed.span, (&word.0, word.1), message, None);
            return None;
        }
    };
    let mut resolver = Resolver { scope, problems: Vec::new(), columns: BTreeSet::new(), text: &placed.text };
    let mut sql = sql;
    let _: ControlFlow<()> = visit_expressions(&sql, |e| resolver.refuse(e));
    let _: ControlFlow<()> = sql.visit(&mut ListConstants(&resolver));
    let _: ControlFlow<()> = visit_expressions_mut(&mut sql, |e| resolver.resolve(e));
    let (problems, columns) = (resolver.problems, resolver.columns);
    let clean = problems.is_empty();
    for Problem { word, message, hint } in problems {
        d.problem_at(placed.span, (&word.0, word.1), message, hint);
    }
    clean.then_some(Resolved { sql, columns })
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
                message: String::from("a condition on an event cannot contain a query"),
                hint: Some(String::from("use in_list or lookup for reference data")),
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
        if !matches!(called.as_str(), "in_list" | "name_in_list" | "contains_any" | "lookup") {
            return;
        }
        let ast::FunctionArguments::List(arguments) = &function.args else { return };
        let literal = |at: usize| match arguments.args.get(at) {
            Some(ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(Sql::Value(value)))) => {
                value.value.clone().into_string()
            }
            _ => None,
        };
        let Some(list_name) = literal(0) else {
            let hint = format!("write {called}('name', …)");
            return self.problem(
                name,
                format!("the first argument of {called} must be a list's name"),
                Some(hint),
            );
        };
        let Some(list) = self.scope.lists.get(&list_name) else {
            let names: Vec<_> = self.scope.lists.names().collect();
            let hint = match names.is_empty() {
                true => String::from("name its file under `lists:` in the configuration"),
                false => suggest(&list_name, names),
            };
            let ident = Ident { value: list_name.clone(), ..name.clone() };
            return self.problem(&ident, format!("there is no list {list_name:?}"), Some(hint));
        };
        if called == "lookup"
            && let Some(column) = literal(2)
            && list.column(&column).is_none()
        {
            let hint = suggest(&column, list.columns());
            let ident = Ident { value: column.clone(), ..name.clone() };
            self.problem(&ident, format!("the list {list_name:?} has no column {column:?}"), Some(hint));
        }
    }

    fn resolve(&mut self, sql: &mut Sql) -> ControlFlow<()> {
        match sql {
            Sql::Identifier(ident) => self.column(&ident.clone(), None, sql),
            Sql::CompoundIdentifier(parts) => match &parts.clone()[..] {
                [table, ident] => self.column(ident, Some(table), sql),
                _ => self.problem(&parts[0].clone(), String::from("a column has at most two parts"), None),
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
            let message = format!("the column {shown:?} does not exist for the rule's trigger");
            (message, Some(String::from("see the data dictionary for the fields of each event type")))
        } else if let Some(param) = self.scope.params.iter().find(|(param, _)| *param == name) {
            (format!("unknown column {shown:?}"), Some(format!("a constant is written ${}", param.0)))
        } else {
            let near = nearest(&name, names()).or_else(|| nearest(&format!("budget.{bare}"), names()));
            let hint = near.map(|near| format!("did you mean {near:?}?"));
            (
                format!("unknown column {shown:?}"),
                hint.or_else(|| Some(String::from("text is written in single quotes"))),
            )
        };
        self.problem(ident, message, hint);
    }

    /// Puts a constant's value in its place.
    fn constant(&mut self, placeholder: &str, sql: &mut Sql) {
        match self.param(placeholder) {
            Some(Param::List(_)) => self.constant_problem(
                placeholder,
                format!("{placeholder} is a list"),
                format!("write `column in ({placeholder})`"),
            ),
            Some(param) => *sql = literal(&param),
            None => {
                let names = self.scope.params.iter().map(|(name, _)| name.as_str());
                let hint = match self.scope.params.is_empty() {
                    true => {
                        format!("name it under the rule's `params:`, such as `{}: 10000`", &placeholder[1..])
                    }
                    false => suggest(&placeholder[1..], names),
                };
                self.constant_problem(placeholder, format!("unknown constant {placeholder}"), hint);
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
pub fn literal(param: &Param) -> Sql {
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

impl Resolved {
    /// Plans the expression over `schema`. It must be of type `wanted`.
    pub fn plan(
        &self,
        session: &Session,
        d: &mut Document<'_>,
        placed: &Placed,
        schema: &SchemaRef,
        wanted: &DataType,
    ) -> Option<Arc<dyn PhysicalExpr>> {
        match self.try_plan(session, schema, wanted) {
            Ok(expr) => Some(expr),
            Err((message, hint)) => {
                let word = quoted_word(&message).filter(|word| placed.text.contains(word.as_str()));
                let word = word.unwrap_or_default();
                d.problem_at(placed.span, (&word, 0), message, hint);
                None
            }
        }
    }

    /// The expression with its names resolved and its constants put in.
    pub fn text(&self) -> String {
        self.sql.to_string()
    }

    /// The expression as `DataFusion` sees it.
    pub fn logical(&self, session: &Session, schema: &DFSchema) -> Result<Expr> {
        session.create_logical_expr(&self.sql.to_string(), schema)
    }

    fn try_plan(
        &self,
        session: &Session,
        schema: &SchemaRef,
        wanted: &DataType,
    ) -> std::result::Result<Arc<dyn PhysicalExpr>, Failure> {
        let df_schema = DFSchema::try_from(Arc::clone(schema)).map_err(|e| failure(&e))?;
        let logical = self.logical(session, &df_schema).map_err(|e| failure(&e))?;
        refuse_aggregates(&logical)?;
        refuse_volatile(&logical)?;
        let logical = session.simplify(logical, &df_schema).map_err(|e| failure(&e))?;
        let physical = session.create_physical_expr(logical, &df_schema).map_err(|e| failure(&e))?;
        let found = physical.data_type(schema).map_err(|e| failure(&e))?;
        if found == *wanted || found == DataType::Null {
            // What fails on an event without any value fails on every event: better to say so now.
            return match physical.evaluate(&empty_event(schema)) {
                Ok(_) => Ok(physical),
                Err(e) => Err((format!("cannot be evaluated: {}", first_line(&e.to_string())), None)),
            };
        }
        let hint = "a condition compares something, such as `amount > 10000`";
        Err((format!("the condition is of type {found}, not true or false"), Some(hint.to_owned())))
    }
}

fn empty_event(schema: &SchemaRef) -> RecordBatch {
    let nulls = schema.fields().iter().map(|f| new_null_array(f.data_type(), 1)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::clone(schema), nulls, &options)
        .expect("every column of a condition may be NULL")
}

/// An error of `DataFusion`'s in its first line.
pub fn failure(error: &DataFusionError) -> Failure {
    if let DataFusionError::External(inner) = error.find_root()
        && let Some(refusal) = inner.downcast_ref::<Refusal>()
    {
        return (refusal.message.clone(), Some(refusal.hint.clone()));
    }
    (first_line(&error.to_string()).to_owned(), None)
}

/// Refuses functions whose result depends on when or how often they are computed.
pub fn refuse_volatile(expr: &Expr) -> std::result::Result<(), Failure> {
    refuse(expr, |node| match node {
        Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
            let hint = "findings must not depend on when they are computed: use occurred_at or recorded_at";
            let message = format!("the function '{}' is not deterministic", call.func.name());
            Some((message, Some(hint.to_owned())))
        }
        _ => None,
    })
}

/// Refuses aggregates, which have no place in a condition.
fn refuse_aggregates(expr: &Expr) -> std::result::Result<(), Failure> {
    let aggregate = |name: &str| {
        let message = format!("a condition looks at one event and cannot contain '{name}'");
        let hint = "name the aggregate under `measure:`, with a window under `over:`, and compare it here by its name";
        Some((message, Some(hint.to_owned())))
    };
    refuse(expr, |node| match node {
        Expr::AggregateFunction(call) => aggregate(call.func.name()),
        Expr::WindowFunction(call) => aggregate(call.fun.name()),
        _ => None,
    })
}

fn refuse(expr: &Expr, refusal: impl Fn(&Expr) -> Option<Failure>) -> std::result::Result<(), Failure> {
    let mut refused = None;
    let _ = expr.apply(|node| {
        refused = refusal(node);
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    refused.map_or(Ok(()), Err)
}

/// `DataFusion`'s message without its prefix and without what follows the first line.
fn first_line(message: &str) -> &str {
    // The name of an optimizer's pass tells nobody anything; what it was caused by does.
    let message = match message.split_once("\ncaused by\n") {
        Some((pass, cause)) if !pass.contains(' ') => cause,
        _ => message,
    };
    let line = message.lines().next().unwrap_or(message);
    let prefixes =
        ["SQL error: ", "Error during planning: ", "Schema error: ", "This feature is not implemented: "];
    prefixes.iter().fold(line, |line, prefix| line.trim_start_matches(prefix))
}

/// What the parser says, without its wrapping and without the place in the expression, which is told by the file's.
fn parser_message(message: &str) -> &str {
    let inner =
        first_line(message).trim_start_matches("ParserError(\"").trim_start_matches("TokenizerError(\"");
    inner.split(" at Line: ").next().unwrap_or(inner).trim_end_matches("\")")
}

/// The first word in single quotes of a message.
fn quoted_word(message: &str) -> Option<String> {
    message.split('\'').nth(1).map(str::to_owned)
}

/// The token that a parser's message complains about ("… at Line: 1, Column: 9"), with its count before it.
fn token_at(text: &str, message: &str) -> (String, usize) {
    let number = |after: &str| -> Option<usize> {
        let rest = &message[message.find(after)? + after.len()..];
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    let (Some(line), Some(column)) = (number("Line: "), number("Column: ")) else {
        return (String::new(), 0);
    };
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
    let start = lines.map(|l| l.chars().count()).sum::<usize>() + column.saturating_sub(1);
    let word: String = text.chars().skip(start).take_while(|c| !c.is_whitespace()).collect();
    let before: String = text.chars().take(start).collect();
    let count = if word.is_empty() { 0 } else { before.matches(&word).count() };
    (word, count)
}

/// A schema of some of the columns, in their order.
#[must_use]
pub fn project(columns: &Schema, names: &BTreeSet<String>) -> SchemaRef {
    let fields: Vec<Field> =
        columns.fields().iter().filter(|f| names.contains(f.name())).map(|f| f.as_ref().clone()).collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let condition = rules.rules[0].when.as_ref().unwrap();
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
            ("amount > 1 / 0", "cannot be evaluated: Arrow error: Divide by zero error"),
            ("regexp_like(purpose, '(')", "Invalid regex"),
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
