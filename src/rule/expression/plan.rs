//! Expressions planned by `DataFusion`; what is wrong with them goes to the document.

use std::sync::Arc;

use super::{
    ResolvedExpression,
    refused::{empty_event, quoted_word, refuse_aggregates, refuse_volatile},
};
use crate::{
    diagnostic::{Failure, type_name},
    rule::{caps, session::PlanningSession},
    say,
    yaml::{Document, Placed},
};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::{common::DFSchema, physical_expr::PhysicalExpr};

impl ResolvedExpression {
    /// Plans the expression over `schema`. It must be of type `wanted`.
    pub(crate) fn plan(
        &self,
        session: &PlanningSession,
        d: &mut Document<'_>,
        placed: &Placed,
        schema: &SchemaRef,
        wanted: &DataType,
    ) -> Option<Arc<dyn PhysicalExpr>> {
        planned(d, placed, self.try_plan(session, schema, Some(wanted)))
    }
}

impl ResolvedExpression {
    /// Plans the expression over `schema`, of whatever type it is.
    pub(crate) fn plan_any(
        &self,
        session: &PlanningSession,
        d: &mut Document<'_>,
        placed: &Placed,
        schema: &SchemaRef,
    ) -> Option<Arc<dyn PhysicalExpr>> {
        planned(d, placed, self.try_plan(session, schema, None))
    }
}

impl ResolvedExpression {
    pub(super) fn try_plan(
        &self,
        session: &PlanningSession,
        schema: &SchemaRef,
        wanted: Option<&DataType>,
    ) -> std::result::Result<Arc<dyn PhysicalExpr>, Failure> {
        let df_schema = DFSchema::try_from(Arc::clone(schema)).map_err(|e| session.failure(&e))?;
        let logical = self.logical(session, &df_schema).map_err(|e| session.failure(&e))?;
        refuse_aggregates(&logical)?;
        refuse_volatile(&logical)?;
        let logical = session.simplify(logical, &df_schema).map_err(|e| session.failure(&e))?;
        caps::constants(&logical)?;
        let physical = session.create_physical_expr(logical, &df_schema).map_err(|e| session.failure(&e))?;
        let found = physical.data_type(schema).map_err(|e| session.failure(&e))?;
        if wanted.is_none_or(|wanted| found == *wanted || found == DataType::Null) {
            // What fails on an event without any value fails on every event: better to say so now.
            return match physical.evaluate(&empty_event(schema)) {
                Ok(_) => Ok(physical),
                Err(e) => Err(session.failure(&e)),
            };
        }
        let hint = say!("a condition compares something, such as `amount > 10000`");
        Err((say!("the condition is {found}, not true or false", found = type_name(&found)), Some(hint)))
    }
}

/// What was planned; what is wrong with it goes to the document.
pub(super) fn planned(
    d: &mut Document<'_>,
    placed: &Placed,
    planned: std::result::Result<Arc<dyn PhysicalExpr>, Failure>,
) -> Option<Arc<dyn PhysicalExpr>> {
    match planned {
        Ok(expr) => Some(expr),
        Err((message, hint)) => {
            let word = quoted_word(&message).filter(|word| placed.text.contains(word.as_str()));
            let word = word.unwrap_or_default();
            d.problem_at(placed.span, (&word, 0), message, hint);
            None
        }
    }
}
