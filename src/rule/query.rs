//! Schedule rules: one read-only SELECT, planned at load against tables without rows, so that what is wrong is told then.

mod constants;
mod lines;
mod session;

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use arrow::datatypes::{Field, Schema};
use datafusion::{
    common::{
        DataFusionError,
        config::Dialect,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    execution::context::{SQLOptions, SessionContext},
    logical_expr::{LogicalPlan, Volatility},
    sql::{
        parser::Statement,
        sqlparser::ast::{
            self, Expr as Sql, Value, VisitMut, visit_expressions, visit_expressions_mut, visit_relations,
        },
    },
};

use self::constants::Constants;
use super::{
    Param, Rule, caps,
    compile::{CompiledRule, CompiledView, Compiler},
    expression::{quoted_word, token_at},
    instants::zoned,
    limits,
    never::Comparisons,
    personal, reads,
    window::Schedule,
};
use crate::{
    diagnostic::{ExpressionProblem, Failure, characters, column_of, nearest, suggest},
    event::{Instant, period::Length, tick::Ticks},
    personal::PersonalKind,
    say,
    sql::{
        desk::DESK_TABLES,
        tables::{self, BUDGET_LINES, FORECAST_COLUMNS, FORECASTS, TABLES},
    },
    text::did_you_mean,
    yaml::{Document, Placed},
};

pub use session::QuerySession;

/// A rule that is evaluated at ticks.
#[derive(Debug, Clone)]
pub struct ScheduleRule {
    pub(crate) ticks: Ticks,
    /// The tables that the query reads.
    pub tables: BTreeSet<String>,
    /// Whether it reads a forecast: they are made only for those that do.
    pub forecasts: bool,
    /// The names of the columns that it reads of them, and maybe of some more.
    pub columns: BTreeSet<String>,
    pub(super) query: Box<ast::Statement>,
    zone: Arc<str>,
}

impl ScheduleRule {
    /// The query with `now` as a tick's time.
    #[must_use]
    pub fn at(&self, tick: Instant) -> Statement {
        let zone = format!("Timestamp(Microsecond, Some(\"{}\"))", self.zone);
        let args = [Value::Number(tick.as_micros().to_string(), false), Value::SingleQuotedString(zone)];
        self.with_now(&call("arrow_cast", args))
    }

    /// The query with `now` as a call of [`MOMENT`].
    #[must_use]
    pub fn at_any_time(&self) -> Statement {
        self.with_now(&call(MOMENT, []))
    }

    fn with_now(&self, now: &Sql) -> Statement {
        let mut query = self.query.clone();
        let _: ControlFlow<()> = visit_expressions_mut(&mut query, |expr| {
            if is_now(expr) {
                *expr = now.clone();
            }
            ControlFlow::Continue(())
        });
        Statement::Statement(query)
    }
}

/// The function that gives the tick's time in plans that are kept. No rule can name it: it is not there when they are compiled.
pub const MOMENT: &str = "time_of_tick";

/// What a query must not do.
#[must_use]
pub fn options() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Memory for planning over tables without rows.
const MEMORY: usize = 64 << 20;

/// Compiles a schedule rule; what is wrong with it goes to the document.
pub fn compile(
    compiler: &Compiler,
    d: &mut Document<'_>,
    rule: Rule,
    schedule: Schedule,
) -> Option<CompiledRule> {
    let before = d.problems.len();
    let sql = &schedule.sql;
    let query = parse(compiler, d, sql, &rule.params)?;
    let (tables, zone) = (relations(&query), Arc::from(compiler.zone()));
    let (ticks, query) = (schedule.ticks, Box::new(query));
    let columns = BTreeSet::new();
    let mut view = ScheduleRule { ticks, tables, forecasts: false, columns, query, zone };
    let context = compiler.session().context(MEMORY);
    let plan = match futures::executor::block_on(plan(&context, &view, TABLES)) {
        Ok(plan) => plan,
        Err(e) => {
            let (message, hint) = told(compiler, &context, &e);
            let word =
                quoted_word(&message).filter(|word| sql.text.contains(word.as_str())).unwrap_or_default();
            d.problem_at(sql.span, (&word, 0), message, hint);
            return None;
        }
    };
    view.forecasts = view.tables.contains(FORECASTS) || reads_forecasts(&context, &plan);
    if let Some(function) = volatile(&plan) {
        let hint =
            say!("findings must not depend on when they are computed: write `now` for the tick's time");
        d.problem_at(
            sql.span,
            (&function, 0),
            say!("the function '{function}' is not deterministic", function),
            Some(hint),
        );
    }
    view.columns = match reads::names(&plan) {
        Ok(names) => names,
        Err(e) => {
            let (message, hint) = compiler.session_failure(&e);
            d.problem_at(sql.span, ("", 0), message, hint);
            return None;
        }
    };
    let fields = plan.schema().fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true));
    let table = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let kinds = personal::of_query(&plan, compiler.lists());
    let compiled = compiler.assemble_query(d, rule, (table, kinds), CompiledView::Schedule(Box::new(view)));
    compiled.filter(|_| d.problems.len() == before)
}

/// A query that is asked once, outside of any rule, and what each of its columns tells of persons.
///
/// # Errors
/// In words, if it is no single SELECT over the tables there are.
pub fn asked(compiler: &Compiler, sql: &str) -> Result<(ScheduleRule, Vec<PersonalKind>), String> {
    limits::on_a_stack(|| asked_here(compiler, sql))
}

fn asked_here(compiler: &Compiler, sql: &str) -> Result<(ScheduleRule, Vec<PersonalKind>), String> {
    limits::text(sql, &[]).map_err(in_one)?;
    let only = || say!("only a SELECT can be asked: nothing is changed here");
    if sql.trim().is_empty() {
        return Err(only());
    }
    let statement = compiler
        .state()
        .sql_to_statement(sql, &Dialect::Generic)
        .map_err(|e| in_one(compiler.session_failure(&e)))?;
    let query = match statement {
        Statement::Statement(mut statement) if matches!(*statement, ast::Statement::Query(_)) => {
            limits::query(&statement).map_err(in_one)?;
            let _: ControlFlow<()> = visit_expressions_mut(&mut statement, |expr| {
                zoned(expr);
                ControlFlow::Continue(())
            });
            statement
        }
        _ => return Err(only()),
    };
    let mut view = ScheduleRule {
        // It is due once, so it does not matter when it would be again.
        ticks: Ticks::Every(Length::Days(1)),
        tables: relations(&query),
        forecasts: false,
        columns: BTreeSet::new(),
        query,
        zone: Arc::from(compiler.zone()),
    };
    let context = compiler.session().context(MEMORY);
    let known = [TABLES, DESK_TABLES].concat();
    let plan = futures::executor::block_on(plan(&context, &view, &known))
        .map_err(|e| in_one(told(compiler, &context, &e)))?;
    view.forecasts = view.tables.contains(FORECASTS) || reads_forecasts(&context, &plan);
    // The tables of budget lines have no others.
    view.columns = reads::names(&plan).map_err(|e| in_one(compiler.session_failure(&e)))?;
    Ok((view, personal::of_query(&plan, compiler.lists())))
}

/// The tables that a query names.
fn relations(query: &ast::Statement) -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    let _: ControlFlow<()> = visit_relations(query, |name| {
        tables.insert(name.to_string());
        ControlFlow::Continue(())
    });
    tables
}

/// One query with its constants put in.
fn parse(
    compiler: &Compiler,
    d: &mut Document<'_>,
    sql: &Placed,
    params: &[(String, Param)],
) -> Option<ast::Statement> {
    let hint = || Some(say!("write one SELECT over budget_lines, payments, refunds, … or a list"));
    if let Err((message, hint)) = limits::text(&sql.text, params) {
        d.problem(sql.span, message, hint);
        return None;
    }
    let odd = characters::oddities(&sql.text);
    if !odd.is_empty() {
        for odd in odd {
            let before: String = sql.text.chars().take(odd.at).collect();
            let nth = before.matches(&odd.text).count();
            d.problem_at(sql.span, (&odd.text, nth), odd.message, Some(odd.hint));
        }
        return None;
    }
    let statement = match compiler.state().sql_to_statement(&sql.text, &Dialect::Generic) {
        Ok(Statement::Statement(statement)) if matches!(*statement, ast::Statement::Query(_)) => *statement,
        Ok(_) => {
            d.problem_at(sql.span, ("", 0), say!("a schedule's sql must be a query"), hint());
            return None;
        }
        Err(e) => {
            let (message, more) = compiler.session_failure(&e);
            let (word, nth) = token_at(&sql.text, &e.to_string());
            d.problem_at(sql.span, (&word, nth), message, more.or_else(hint));
            return None;
        }
    };
    if let Err((message, hint)) = limits::query(&statement) {
        d.problem(sql.span, message, hint);
        return None;
    }
    let mut statement = statement;
    let mut constants = Constants { params, unknown: Vec::new() };
    let _: ControlFlow<()> = statement.visit(&mut constants);
    let clean = constants.unknown.is_empty();
    for name in constants.unknown {
        let hint = match params.is_empty() {
            true => say!("name it under the rule's `params:`, such as `{name}: 10000`", name = &name[1..]),
            false => suggest(&name[1..], params.iter().map(|(name, _)| name.as_str())),
        };
        d.problem_at(sql.span, (&name, 0), say!("unknown constant {name}", name), Some(hint));
    }
    let clean = never(compiler, d, sql, &statement, params) && clean;
    clean.then_some(statement)
}

/// Notes comparisons that never hold; `false` if there are any.
fn never(
    compiler: &Compiler,
    d: &mut Document<'_>,
    sql: &Placed,
    statement: &ast::Statement,
    params: &[(String, Param)],
) -> bool {
    let fields = relations(statement).into_iter().filter_map(|table| tables::schema(&table, "UTC"));
    let fields: Vec<Field> = fields
        .flat_map(|schema| schema.fields().iter().map(|f| f.as_ref().clone()).collect::<Vec<_>>())
        .collect();
    let (columns, mut own) = (Schema::new(fields), names_given(statement));
    // A list may have a column of any name, with values of its own.
    let lists = relations(statement).into_iter().filter_map(|table| compiler.lists().get(&table));
    own.extend(lists.flat_map(|list| list.columns().map(str::to_owned).collect::<Vec<_>>()));
    let mut comparisons = Comparisons::new(&columns, params, &own);
    let _: ControlFlow<()> = visit_expressions(statement, |expr| {
        comparisons.look(expr);
        ControlFlow::Continue(())
    });
    let found = comparisons.found();
    for never in &found {
        d.problem_at(sql.span, (&never.ident.value, 0), never.message.clone(), Some(never.hint.clone()));
    }
    found.is_empty()
}

/// The names that a query gives to columns of its own, as far as they can be told from its text.
fn names_given(statement: &ast::Statement) -> Vec<String> {
    let text = statement.to_string();
    let mut words = text.split([' ', ',', '(', ')']).filter(|word| !word.is_empty());
    let mut given = Vec::new();
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("as") {
            given.extend(words.next().map(str::to_lowercase));
        }
    }
    given
}

async fn plan(
    context: &SessionContext,
    rule: &ScheduleRule,
    known: &[&str],
) -> Result<LogicalPlan, DataFusionError> {
    // A reference list may have the name of one of the tables that rules do not have.
    let free = |name: &&&str| TABLES.contains(name) || !context.table_exist(**name).unwrap_or(false);
    let known: Vec<_> = known.iter().filter(free).collect();
    for (name, table) in known.into_iter().filter_map(|name| Some((*name, tables::empty(name, &rule.zone)?)))
    {
        context.register_table(name, table)?;
    }
    let state = context.state();
    let plan = state.statement_to_plan(rule.at(Instant::EPOCH)).await?;
    options().verify_plan(&plan)?;
    // Types are checked on the way to a physical plan, and constants are computed.
    let optimised = state.optimize(&plan)?;
    state.query_planner().create_physical_plan(&optimised, &state).await?;
    caps::constants_of(&optimised).map_err(refusal)?;
    Ok(plan)
}

fn refusal((message, hint): Failure) -> DataFusionError {
    ExpressionProblem { message, hint: hint.unwrap_or_default(), word: String::new() }.into()
}

/// What is wrong with a query. A table or column that does not exist has one that is meant.
fn told(compiler: &Compiler, context: &SessionContext, error: &DataFusionError) -> Failure {
    let (message, hint) = compiler.session_failure(error);
    let root = error.find_root().strip_backtrace();
    let after = |start: &str| Some(root.split_once(start)?.1.split(['\'', ' ', '\n']).next()?.to_owned());
    let last =
        |name: &str| name.trim_matches(['"', '.', ',']).rsplit('.').next().unwrap_or_default().to_owned();
    let meant = if let Some(name) = after("table '") {
        Some(suggest(&last(&name), TABLES.iter().copied().chain(compiler.lists().names())))
    } else {
        after("No field named ").and_then(|name| column_meant(context, &last(&name)))
    };
    (message, meant.or(hint))
}

/// The column that is meant by a name that no table has.
fn column_meant(context: &SessionContext, name: &str) -> Option<String> {
    let ours = column_of(name).map(|ours| ours.trim_start_matches("budget.").to_owned());
    let near = ours.or_else(|| {
        let tables = TABLES.iter().filter_map(|table| {
            tables::schema(table, context.state().config_options().execution.time_zone.as_deref()?)
        });
        let names: BTreeSet<String> = tables
            .flat_map(|schema| schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>())
            .collect();
        nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
    });
    near.map(|near| did_you_mean(&near))
}

fn in_one((message, hint): Failure) -> String {
    match hint {
        Some(hint) => say!("{message} ({hint})", message, hint),
        None => message,
    }
}

/// A function whose result depends on when or how often it is computed.
fn volatile(plan: &LogicalPlan) -> Option<String> {
    let mut found = None;
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let datafusion::logical_expr::Expr::ScalarFunction(call) = expr
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    found = Some(call.func.name().to_owned());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    found
}

/// Whether a query reads a forecast, by what its optimised plan takes from the tables.
fn reads_forecasts(context: &SessionContext, plan: &LogicalPlan) -> bool {
    let Ok(plan) = context.state().optimize(plan) else { return true };
    let mut found = false;
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let reads = |column: &&str| scan.projected_schema.has_column_with_unqualified_name(column);
            found |= scan.table_name.table() == BUDGET_LINES && FORECAST_COLUMNS.iter().any(reads);
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

fn is_now(expr: &Sql) -> bool {
    match expr {
        Sql::Identifier(ident) => ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("now"),
        Sql::Function(function) => {
            let name = function.name.to_string();
            ["now", "current_timestamp"].iter().any(|known| name.eq_ignore_ascii_case(known))
        }
        _ => false,
    }
}

fn call<const N: usize>(name: &str, args: [Value; N]) -> Sql {
    let arg = |value: Value| ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(Sql::Value(value.into())));
    Sql::Function(ast::Function {
        name: ast::ObjectName::from(vec![ast::Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: ast::FunctionArguments::None,
        args: ast::FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(arg).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::time::Calendar, lists::Lists, rule::Language};

    /// Forecasts need the whole history: who does not ask for them does not pay for them.
    #[test]
    fn only_queries_that_read_a_forecast_have_them_made() {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::default());
        let reads = |sql: &str| asked(&compiler, sql).unwrap().0.forecasts;
        for sql in [
            "SELECT * FROM budget_lines",
            "SELECT b.* FROM payments p JOIN budget_lines b USING (budget_line_id)",
            "SELECT unit_code FROM budget_lines WHERE forecast_low > total",
            "WITH f AS (SELECT *, forecast_high - total AS more FROM budget_lines) SELECT unit_code FROM f WHERE more > 1",
            "SELECT unit_code FROM payments WHERE amount > (SELECT max(forecast_high) FROM budget_lines)",
            "SELECT level FROM forecasts",
        ] {
            assert!(reads(sql), "{sql}");
        }
        for sql in [
            "SELECT unit_code, sum(total) FROM budget_lines GROUP BY unit_code",
            "SELECT count(*) FROM budget_lines",
            "SELECT unit_code FROM (SELECT * FROM budget_lines) WHERE executed > total",
            "SELECT * FROM payments",
        ] {
            assert!(!reads(sql), "{sql}");
        }
    }
}
