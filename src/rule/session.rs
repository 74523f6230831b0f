//! `DataFusion` as rules see it: exact decimals, local time, our functions.

use std::{ops::Deref, sync::Arc};

use datafusion::{
    common::{DFSchema, DataFusionError, Result},
    execution::{FunctionRegistry, SessionState, SessionStateBuilder},
    logical_expr::{Expr, simplify::SimplifyContext},
    optimizer::simplify_expressions::ExprSimplifier,
    prelude::SessionConfig,
};

use super::{
    caps::{Caps, cap},
    exact::ExactArithmetic,
    instants::LocalInstants,
};
use crate::{
    diagnostic::{self, Failure, nearest},
    event::time::Calendar,
    lists::Lists,
    sql::functions::{self, capped::Capped},
    text::did_you_mean,
};

/// What expressions and queries are planned with.
#[derive(Debug, Clone)]
pub struct PlanningSession {
    state: SessionState,
    instants: Arc<LocalInstants>,
}

impl Deref for PlanningSession {
    type Target = SessionState;

    fn deref(&self) -> &SessionState {
        &self.state
    }
}

impl PlanningSession {
    /// In the zone of `calendar`, with these lists.
    #[must_use]
    pub fn new(calendar: &Arc<Calendar>, lists: &Lists) -> Self {
        let mut config = SessionConfig::new();
        let options = config.options_mut();
        // 0.1 + 0.2 = 0.3 must be true: literals are exact decimals.
        options.sql_parser.parse_float_as_decimal = true;
        options.execution.time_zone = Some(calendar.zone_name.clone());
        let instants = Arc::new(LocalInstants::new(calendar));
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features()
            .with_analyzer_rule(Arc::clone(&instants) as _)
            .with_analyzer_rule(Arc::new(Caps))
            .build();
        // A registry in memory does not fail.
        let _ = state.register_expr_planner(Arc::new(ExactArithmetic));
        for function in functions::scalars(calendar, lists) {
            let _ = state.register_udf(Arc::new(function));
        }
        for function in functions::aggregates() {
            let _ = state.register_udaf(Arc::new(function));
        }
        // Constants are folded on the way, so caps are on what is called from the first moment on.
        let all: Vec<_> = state.scalar_functions().values().cloned().collect();
        for capped in all.iter().filter_map(|function| Capped::of(function)) {
            let _ = state.register_udf(Arc::new(capped));
        }
        Self { state, instants }
    }

    /// What is wrong with an expression or a query, in our words. A function that does not exist has one that is meant.
    #[must_use]
    pub fn failure(&self, error: &DataFusionError) -> Failure {
        let (message, hint) = diagnostic::failure(error);
        let unknown = error.find_root().strip_backtrace();
        let name = unknown.split_once("Invalid function '").and_then(|(_, rest)| rest.split('\'').next());
        let meant = name.and_then(|name| {
            let scalars = self.state.scalar_functions().keys();
            let all = scalars.chain(self.state.aggregate_functions().keys());
            nearest(name, all.map(String::as_str))
        });
        (message, hint.or_else(|| meant.map(did_you_mean)))
    }

    /// Coerces types, settles what days mean, folds constants, and puts the general form in place of what exists only
    /// as its short form: `DataFusion` cannot evaluate `coalesce`, say, before this.
    ///
    /// # Errors
    /// If types do not fit, or something is refused.
    pub fn simplify(&self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(self.state.config_options()))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let coerced = simplifier.coerce(expr, schema)?;
        let settled = self.instants.settle(coerced, schema)?.data;
        simplifier.simplify(cap(settled)?.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::functions::growth::{Growth, of_aggregate, of_scalar};

    fn session() -> PlanningSession {
        PlanningSession::new(&Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap()), &Lists::default())
    }

    /// A function that a new version of the engine brings is refused in rules until somebody has judged it.
    #[test]
    fn every_function_of_the_engine_is_judged() {
        let session = session();
        let scalars = session.scalar_functions().values().map(|f| f.name().to_owned());
        let unknown: std::collections::BTreeSet<_> =
            scalars.filter(|name| of_scalar(name).is_none()).collect();
        assert!(unknown.is_empty(), "scalar functions that nobody judged: {unknown:?}");
        let aggregates = session.aggregate_functions().values().map(|f| f.name().to_owned());
        let unknown: std::collections::BTreeSet<_> =
            aggregates.filter(|name| of_aggregate(name).is_none()).collect();
        assert!(unknown.is_empty(), "aggregates that nobody judged: {unknown:?}");
    }

    #[test]
    fn every_function_that_grows_is_capped_by_all_of_its_names() {
        for (name, function) in session().scalar_functions() {
            if of_scalar(function.name()).is_some_and(|growth| growth != Growth::Bounded) {
                assert!(function.inner().downcast_ref::<Capped>().is_some(), "{name} has no cap");
            }
        }
    }
}
