//! Plans of queries, kept from tick to tick: planning takes longer than most queries do. A plan that is kept gives what
//! one gives that is made at the tick, with `now` as it is then.

mod fixed;
mod moment;
mod nothing;
pub(crate) mod rows;
pub(crate) mod within;

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    datatypes::{FieldRef, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{Result, internal_err, tree_node::TreeNode},
    execution::{SendableRecordBatchStream, SessionState, TaskContext},
    physical_plan::{
        EmptyRecordBatchStream, ExecutionPlan, execute_stream, execution_plan::reset_plan_states,
        recursive_query::RecursiveQueryExec,
    },
    prelude::SessionConfig,
    sql::parser::Statement,
};
use parking_lot::Mutex;

use self::{
    moment::TickTime,
    nothing::gives_nothing,
    rows::{RowSource, RowsTable, Timed},
};
use super::{
    guard::{QueryDeadline, guarded},
    schedule::{Due, Tables},
    tables::elapsed_at,
};
use crate::{
    event::{Instant, time::Calendar},
    rule::{
        RuleId, RuleSet,
        query::{QuerySession, ScheduleRule, options},
    },
    sql::tables::{ALERTS, BUDGET_LINES, FINDINGS, INDICATORS, event_type},
};

/// The plans of the rules on a schedule, each until its rule is due again.
#[derive(Debug, Default)]
pub struct Plans(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The rules that they are of.
    rules: Option<Arc<RuleSet>>,
    /// A rule whose plans cannot be kept has none.
    plans: BTreeMap<RuleId, Option<Box<KeptPlan>>>,
}

/// What there is for a rule that is due.
#[derive(Debug)]
pub enum Ready {
    Kept(Box<KeptPlan>),
    ToBeMade,
    /// It is to be planned at every tick.
    Never,
}

impl Plans {
    /// What there is for a rule. A plan is out until it is put back: two queries of one plan would share
    /// what their steps remember.
    pub fn take(&self, rules: &Arc<RuleSet>, rule: RuleId) -> Ready {
        let mut kept = self.0.lock();
        if !kept.rules.as_ref().is_some_and(|of| Arc::ptr_eq(of, rules)) {
            *kept = Kept { rules: Some(Arc::clone(rules)), plans: BTreeMap::new() };
        }
        match kept.plans.remove(&rule) {
            Some(Some(plan)) => Ready::Kept(plan),
            Some(None) => {
                kept.plans.insert(rule, None);
                Ready::Never
            }
            None => Ready::ToBeMade,
        }
    }

    /// Keeps the plan of a query that has ended, or that there is none to be kept.
    pub fn put(&self, rules: &Arc<RuleSet>, rule: RuleId, plan: Option<Box<KeptPlan>>) {
        let mut kept = self.0.lock();
        if kept.rules.as_ref().is_some_and(|of| Arc::ptr_eq(of, rules)) {
            kept.plans.insert(rule, plan);
        }
    }
}

/// A plan that can be executed at any tick.
#[derive(Debug)]
pub struct KeptPlan {
    /// It is never executed itself, but what is made of it.
    steps: Arc<dyn ExecutionPlan>,
    now: TickTime,
    /// The tables of the ledger that it reads.
    ledger: Vec<(String, Arc<Slot>)>,
    config: SessionConfig,
}

/// A table of one batch that is another one at every tick, always with the columns that the rule reads: those that a tick
/// brings depend on which other rules are due at it.
#[derive(Debug)]
struct Slot {
    schema: SchemaRef,
    rows: Mutex<Timed>,
}

impl Slot {
    fn new(schema: SchemaRef) -> Self {
        let rows = Mutex::new(Timed::new(RecordBatch::new_empty(Arc::clone(&schema))));
        Self { schema, rows }
    }

    /// Lets it have these rows, as they are at `now`.
    ///
    /// # Errors
    /// If a column is missing.
    fn fill(&self, rows: &RecordBatch, calendar: &Calendar, now: Instant) -> Result<()> {
        let of = rows.schema();
        let places = self.schema.fields().iter().map(|field| of.index_of(field.name()));
        let rows = rows.project(&places.collect::<std::result::Result<Vec<_>, _>>()?)?;
        let Some(rows) = elapsed_at(&rows, calendar, now) else {
            return internal_err!("the shares of the year make no column");
        };
        *self.rows.lock() = Timed::new(rows);
        Ok(())
    }

    fn empty(&self) {
        let none = Timed::new(RecordBatch::new_empty(Arc::clone(&self.schema)));
        *self.rows.lock() = none;
    }
}

impl RowSource for Slot {
    fn each(&self, take: &mut dyn FnMut(&Timed) -> bool) {
        take(&self.rows.lock());
    }
}

impl KeptPlan {
    /// A plan for a rule; `None` if it is not to be kept: it reads what is made again for every tick, or
    /// cannot be planned without knowing the tick.
    pub async fn make(
        session: &QuerySession,
        rule: &ScheduleRule,
        due: &Due,
        tables: &dyn Tables,
        calendar: &Calendar,
    ) -> Option<Box<Self>> {
        if rule.forecasts || rule.tables.iter().any(|name| [FINDINGS, ALERTS].contains(&name.as_str())) {
            return None;
        }
        let now = TickTime::new(&calendar.zone_name);
        let context = session.lasting(now.function());
        let mut ledger = Vec::new();
        for name in &rule.tables {
            if let Some(event_type) = event_type(name) {
                context.register_table(name, tables.lasting(event_type)?).ok()?;
            } else if [BUDGET_LINES, INDICATORS].contains(&name.as_str()) {
                let schema = read_of(&due.ledger.rows(name)?.schema(), rule, name);
                let slot = Arc::new(Slot::new(Arc::clone(&schema)));
                let columns = (0..schema.fields().len()).collect();
                let table = RowsTable::new(schema, columns, Arc::clone(&slot) as _);
                context.register_table(name, Arc::new(table)).ok()?;
                ledger.push((name.clone(), slot));
            }
        }
        let state = context.state();
        let plan = physical(&state, rule.at_any_time(), &now).await.ok()?;
        let is_recursive = plan.exists(|step| Ok(step.is::<RecursiveQueryExec>())).unwrap_or(true);
        let config = state.config().clone();
        (!is_recursive).then(|| Box::new(Self { steps: plan, now, ledger, config }))
    }

    /// Starts it at a tick.
    ///
    /// # Errors
    /// If it cannot be executed.
    pub fn start(
        &self,
        due: &Due,
        calendar: &Calendar,
        memory: usize,
        watch: &Arc<QueryDeadline>,
    ) -> Result<SendableRecordBatchStream> {
        self.now.set(due.tick);
        for (name, slot) in &self.ledger {
            let Some(rows) = due.ledger.rows(name) else {
                return internal_err!("no rows of {name} at this tick");
            };
            slot.fill(rows, calendar, due.tick)?;
        }
        let plan = reset_plan_states(Arc::clone(&self.steps))?;
        if gives_nothing(&plan) {
            return Ok(Box::pin(EmptyRecordBatchStream::new(plan.schema())));
        }
        let context = TaskContext::default()
            .with_session_config(self.config.clone())
            .with_runtime(QuerySession::runtime(memory));
        execute_stream(guarded(plan, watch)?, Arc::new(context))
    }

    /// Lets go of the ledger's rows: those of the next tick are others.
    pub fn rest(&self) {
        self.ledger.iter().for_each(|(_, slot)| slot.empty());
    }
}

/// The columns of a table of the ledger that a rule reads.
fn read_of(table: &SchemaRef, rule: &ScheduleRule, name: &str) -> SchemaRef {
    let is_read = |field: &&FieldRef| name != BUDGET_LINES || rule.reads_of_lines(field.name());
    let fields: Vec<_> = table.fields().iter().filter(is_read).cloned().collect();
    Arc::new(Schema::new(fields))
}

async fn physical(state: &SessionState, query: Statement, now: &TickTime) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = state.statement_to_plan(query).await?;
    options().verify_plan(&plan)?;
    // Types are settled first: what is computed of `now` is that with its casts.
    let analysed =
        state.analyzer().execute_and_check(now.hidden(plan)?, state.config_options(), |_, _| ())?;
    let (plan, alone) = moment::alone(analysed)?;
    let optimised = state.optimize(&plan)?;
    state.query_planner().create_physical_plan(&now.shown(optimised, &alone, state)?, state).await
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::{
        config::Dialect, datasource::MemTable, physical_plan::displayable, prelude::SessionContext,
    };

    use super::*;
    use crate::{event::schema::time_type, rule::query::MOMENT};

    /// What comes twice is no column of its own, made for every row: the optimizer does that to what it knows no better.
    #[tokio::test]
    async fn what_is_computed_of_now_alone_is_computed_once() {
        let now = TickTime::new("Asia/Shanghai");
        let context = SessionContext::new();
        context.register_udf(now.function());
        let fields = vec![
            Field::new("at", time_type("Asia/Shanghai"), false),
            Field::new("x", DataType::Int64, false),
        ];
        let schema = Arc::new(Schema::new(fields));
        let rows = RecordBatch::new_empty(Arc::clone(&schema));
        let table = MemTable::try_new(schema, vec![vec![rows]]).unwrap();
        context.register_table("payments", Arc::new(table)).unwrap();
        let query = format!(
            "SELECT x, count(*) AS n FROM payments WHERE at >= date_trunc('day', {MOMENT}()) - interval '31 days' \
             AND at < date_trunc('day', {MOMENT}()) GROUP BY x HAVING max(at) < {MOMENT}() - interval '1 day'"
        );
        let state = context.state();
        let query = state.sql_to_statement(&query, &Dialect::Generic).unwrap();
        let plan = physical(&state, query, &now).await.unwrap();
        let plan = displayable(plan.as_ref()).indent(false).to_string();
        assert!(plan.contains("at@0 >= at_the_tick() AND at@0 < at_the_tick()"), "{plan}");
        assert!(!plan.contains("date_trunc") && !plan.contains(MOMENT), "{plan}");
    }
}
