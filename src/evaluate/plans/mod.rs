//! Plans of queries, kept from tick to tick: planning takes longer than most queries do. A plan that is kept gives what
//! one gives that is made at the tick, with `now` as it is then.

mod fixed;
mod moment;
mod nothing;
pub mod rows;
pub mod within;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::record_batch::RecordBatch;
use datafusion::{
    common::{Result, internal_err, tree_node::TreeNode},
    execution::{SendableRecordBatchStream, SessionState, TaskContext},
    physical_plan::{
        EmptyRecordBatchStream, ExecutionPlan, execute_stream, execution_plan::reset_plan_states,
        recursive_query::RecursiveQueryExec,
    },
    prelude::SessionConfig,
};

use self::{
    moment::Moment,
    nothing::gives_nothing,
    rows::{Rows, RowsTable, Timed},
};
use super::{
    guard::{Watch, guarded},
    schedule::{Due, Tables},
};
use crate::{
    event::time::Calendar,
    rule::{
        RuleSet,
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
    /// By position in the rule set; a rule whose plans cannot be kept has none.
    plans: BTreeMap<usize, Option<Box<Plan>>>,
}

/// What there is for a rule that is due.
#[derive(Debug)]
pub enum Ready {
    /// Its plan.
    Kept(Box<Plan>),
    /// None yet.
    ToBeMade,
    /// It is to be planned at every tick.
    Never,
}

impl Plans {
    /// What there is for a rule, by its position. A plan is out until it is put back: two queries of one plan would share
    /// what their steps remember.
    pub fn take(&self, rules: &Arc<RuleSet>, rule: usize) -> Ready {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
    pub fn put(&self, rules: &Arc<RuleSet>, rule: usize, plan: Option<Box<Plan>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.rules.as_ref().is_some_and(|of| Arc::ptr_eq(of, rules)) {
            kept.plans.insert(rule, plan);
        }
    }
}

/// A plan that can be executed at any tick.
#[derive(Debug)]
pub struct Plan {
    /// It is never executed itself, but what is made of it.
    steps: Arc<dyn ExecutionPlan>,
    now: Moment,
    /// The tables of the ledger that it reads.
    ledger: Vec<(String, Arc<Slot>)>,
    config: SessionConfig,
}

/// A table of one batch that is another one at every tick.
#[derive(Debug)]
struct Slot(Mutex<Timed>);

impl Rows for Slot {
    fn each(&self, take: &mut dyn FnMut(&Timed) -> bool) {
        take(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Plan {
    /// A plan for a rule; `None` if it is not to be kept: it reads what is made anew for every tick, or
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
        let now = Moment::new(&calendar.zone_name);
        let context = session.lasting(now.function());
        let mut ledger = Vec::new();
        for name in &rule.tables {
            if let Some(event_type) = event_type(name) {
                context.register_table(name, tables.lasting(event_type)?).ok()?;
            } else if [BUDGET_LINES, INDICATORS].contains(&name.as_str()) {
                let rows = due.ledger.rows(name)?;
                let none = RecordBatch::new_empty(rows.schema());
                let slot = Arc::new(Slot(Mutex::new(Timed::new(none))));
                let columns = (0..rows.num_columns()).collect();
                let table = RowsTable::new(rows.schema(), columns, Arc::clone(&slot) as _);
                context.register_table(name, Arc::new(table)).ok()?;
                ledger.push((name.clone(), slot));
            }
        }
        let state = context.state();
        let plan = physical(&state, rule, &now).await.ok()?;
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
        watch: &Arc<Watch>,
    ) -> Result<SendableRecordBatchStream> {
        self.now.set(due.tick);
        let tables = due.ledger.at(calendar, due.tick);
        for (name, slot) in &self.ledger {
            let Some(rows) = tables.rows(name) else {
                return internal_err!("no rows of {name} at this tick");
            };
            *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Timed::new(rows.clone());
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
        for (_, slot) in &self.ledger {
            let mut rows = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
            let none = RecordBatch::new_empty(rows.rows().schema());
            *rows = Timed::new(none);
        }
    }
}

async fn physical(state: &SessionState, rule: &ScheduleRule, now: &Moment) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = state.statement_to_plan(rule.at_any_time()).await?;
    options().verify_plan(&plan)?;
    let optimised = state.optimize(&now.hidden(plan)?)?;
    state.query_planner().create_physical_plan(&now.shown(optimised, state)?, state).await
}
