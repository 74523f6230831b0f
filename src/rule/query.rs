//! Schedule rules: one read-only SELECT, planned at load against tables without rows, so that what is wrong is told then.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use arrow::datatypes::{Field, Schema};
use datafusion::{
    catalog::MemoryCatalogProviderList,
    common::{
        DataFusionError,
        config::Dialect,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    execution::{
        SessionState, SessionStateBuilder,
        context::{SQLOptions, SessionContext},
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::{LogicalPlan, Volatility},
    sql::{
        parser::Statement,
        sqlparser::ast::{
            self, Expr as Sql, Value, VisitMut, VisitorMut, visit_expressions_mut, visit_relations,
        },
    },
};

use super::{
    Param, Rule,
    compile::{CompiledRule, CompiledView, Compiler},
    expression::{failure, literal},
    instants::zoned,
    reads,
    window::Schedule,
};
use crate::{
    diagnostic::suggest,
    evaluate::{
        forecasts::FORECAST_COLUMNS,
        tables::{self, BUDGET_LINES, FORECASTS, TABLES},
    },
    event::{period::Length, tick::Ticks},
    lists::Lists,
    yaml::{Document, Placed},
};

/// A rule that is evaluated at ticks.
#[derive(Debug, Clone)]
pub struct ScheduleRule {
    /// When.
    pub ticks: Ticks,
    /// The tables that the query reads.
    pub tables: BTreeSet<String>,
    /// Whether it reads a forecast: they are made only for those that do.
    pub forecasts: bool,
    /// The names of the columns that it reads of them, and maybe of some more.
    pub columns: BTreeSet<String>,
    query: Box<ast::Statement>,
    zone: Arc<str>,
}

impl ScheduleRule {
    /// Whether the query needs the budget lines.
    #[must_use]
    pub fn reads_lines(&self) -> bool {
        self.forecasts || self.tables.contains(BUDGET_LINES)
    }

    /// The query with `now` as a tick's time, in microseconds.
    #[must_use]
    pub fn at(&self, tick: i64) -> Statement {
        let mut query = self.query.clone();
        let now = || {
            let zone = format!("Timestamp(Microsecond, Some(\"{}\"))", self.zone);
            call("arrow_cast", [Value::Number(tick.to_string(), false), Value::SingleQuotedString(zone)])
        };
        let _: ControlFlow<()> = visit_expressions_mut(&mut query, |expr| {
            if is_now(expr) {
                *expr = now();
            }
            ControlFlow::Continue(())
        });
        Statement::Statement(query)
    }
}

/// What queries start from: `DataFusion`'s functions and ours, and the reference lists.
#[derive(Debug, Clone)]
pub struct QuerySession {
    pub(super) state: SessionState,
    pub(super) lists: Lists,
}

impl QuerySession {
    /// A session of its own, in which a query may use so much memory, and no disk.
    #[must_use]
    pub fn context(&self, memory: usize) -> SessionContext {
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(memory, 1.0)
            .with_disk_manager_builder(disk)
            .build_arc();
        // One partition: what a query finds must not depend on the timing of threads.
        let config = self
            .state
            .config()
            .clone()
            .with_create_default_catalog_and_schema(true)
            .with_target_partitions(1);
        let mut builder = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .with_config(config);
        if let Ok(runtime) = runtime {
            builder = builder.with_runtime_env(runtime);
        }
        let context = SessionContext::new_with_state(builder.build());
        for name in self.lists.names().filter(|name| !TABLES.contains(name)) {
            if let Some(rows) = self.lists.get(name).and_then(|list| tables::list(list))
                && let Some(table) = tables::in_memory(rows.schema(), vec![rows])
            {
                // A table of a new catalogue is never there already.
                let _ = context.register_table(name, table);
            }
        }
        context
    }
}

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
    let plan = match futures::executor::block_on(plan(&context, &view)) {
        Ok(plan) => plan,
        Err(message) => {
            let message = message.replace("datafusion.public.", "");
            let hint = missing_table(&message, compiler);
            d.problem_at(sql.span, ("", 0), message, hint);
            return None;
        }
    };
    view.forecasts = view.tables.contains(FORECASTS) || reads_forecasts(&context, &plan);
    if let Some(function) = volatile(&plan) {
        let hint = "findings must not depend on when they are computed: write `now` for the tick's time";
        d.problem_at(
            sql.span,
            (&function, 0),
            format!("the function '{function}' is not deterministic"),
            Some(hint.into()),
        );
    }
    view.columns = match reads::names(&plan) {
        Ok(names) => names,
        Err(e) => {
            d.problem_at(sql.span, ("", 0), failure(&e).0, None);
            return None;
        }
    };
    let fields = plan.schema().fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true));
    let table = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let compiled = compiler.assemble_query(d, rule, table, CompiledView::Schedule(Box::new(view)));
    compiled.filter(|_| d.problems.len() == before)
}

/// A query that is asked once, outside of any rule.
///
/// # Errors
/// In words, if it is no single SELECT over the tables there are.
pub fn asked(compiler: &Compiler, sql: &str) -> Result<ScheduleRule, String> {
    let statement = compiler.state().sql_to_statement(sql, &Dialect::Generic).map_err(|e| failure(&e).0)?;
    let query = match statement {
        Statement::Statement(mut statement) if matches!(*statement, ast::Statement::Query(_)) => {
            let _: ControlFlow<()> = visit_expressions_mut(&mut statement, |expr| {
                zoned(expr);
                ControlFlow::Continue(())
            });
            statement
        }
        _ => return Err(String::from("only a SELECT can be asked: nothing is changed here")),
    };
    let mut view = ScheduleRule {
        // It is due once, so it does not matter when it would be again.
        ticks: Ticks::Every(Length::Days(1)),
        tables: relations(&query),
        forecasts: false,
        // It is asked of what is stored, where every column is.
        columns: BTreeSet::new(),
        query,
        zone: Arc::from(compiler.zone()),
    };
    let context = compiler.session().context(MEMORY);
    let plan = futures::executor::block_on(plan(&context, &view)).map_err(|message| {
        let message = message.replace("datafusion.public.", "");
        let hint = missing_table(&message, compiler).map(|hint| format!(" ({hint})"));
        message + &hint.unwrap_or_default()
    })?;
    view.forecasts = view.tables.contains(FORECASTS) || reads_forecasts(&context, &plan);
    Ok(view)
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
    let hint = || Some(String::from("write one SELECT over budget_lines, payments, refunds, … or a list"));
    let statement = match compiler.state().sql_to_statement(&sql.text, &Dialect::Generic) {
        Ok(Statement::Statement(statement)) if matches!(*statement, ast::Statement::Query(_)) => *statement,
        Ok(_) => {
            d.problem_at(sql.span, ("", 0), String::from("a schedule's sql must be a query"), hint());
            return None;
        }
        Err(e) => {
            d.problem_at(sql.span, ("", 0), failure(&e).0, hint());
            return None;
        }
    };
    let mut statement = statement;
    let mut constants = Constants { params, unknown: Vec::new() };
    let _: ControlFlow<()> = statement.visit(&mut constants);
    let clean = constants.unknown.is_empty();
    for name in constants.unknown {
        let hint = match params.is_empty() {
            true => format!("name it under the rule's `params:`, such as `{}: 10000`", &name[1..]),
            false => suggest(&name[1..], params.iter().map(|(name, _)| name.as_str())),
        };
        d.problem_at(sql.span, (&name, 0), format!("unknown constant {name}"), Some(hint));
    }
    clean.then_some(statement)
}

async fn plan(context: &SessionContext, rule: &ScheduleRule) -> Result<LogicalPlan, String> {
    let told = |e: &DataFusionError| failure(e).0;
    for name in TABLES {
        let table = tables::empty(name, &rule.zone).ok_or("an internal table is unknown")?;
        context.register_table(*name, table).map_err(|e| told(&e))?;
    }
    let state = context.state();
    let plan = state.statement_to_plan(rule.at(0)).await.map_err(|e| told(&e))?;
    options().verify_plan(&plan).map_err(|e| told(&e))?;
    // Types are checked on the way to a physical plan.
    state.create_physical_plan(&plan).await.map_err(|e| told(&e))?;
    Ok(plan)
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

fn missing_table(message: &str, compiler: &Compiler) -> Option<String> {
    let name = message.strip_prefix("table '")?.split('\'').next()?.rsplit('.').next()?.to_owned();
    Some(suggest(&name, TABLES.iter().copied().chain(compiler.lists().names())))
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

fn call(name: &str, args: [Value; 2]) -> Sql {
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

/// Puts constants in their places.
struct Constants<'p> {
    params: &'p [(String, Param)],
    unknown: Vec<String>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::time::Calendar, rule::Language};

    /// Forecasts need the whole history: who does not ask for them does not pay for them.
    #[test]
    fn only_queries_that_read_a_forecast_have_them_made() {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::default());
        let reads = |sql: &str| asked(&compiler, sql).unwrap().forecasts;
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
