//! Instants are read in the local calendar everywhere, or the expression is refused.
//!
//! `DataFusion` takes a day for midnight UTC when it meets an instant. It says so in a cast, written or put in when types
//! are coerced; every such cast becomes the start of the local day. What has no zone, or another one, and what counts
//! in UTC whatever the zone is, is refused.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::{
    common::{
        DFSchema, Result,
        config::ConfigOptions,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Cast, Expr, ExprSchemable, LogicalPlan, ScalarUDF, TryCast, expr_rewriter::NamePreserver,
        utils::merge_schema,
    },
    optimizer::AnalyzerRule,
    sql::sqlparser::ast::{self, CastKind, Expr as Sql},
};

use super::exact::is_inexact;
use crate::{
    diagnostic::ExpressionProblem,
    event::{schema::time_type, time::Calendar},
    say,
    sql::functions::{day_start, local_day},
};

/// Functions that count in UTC whatever the zone of their arguments is.
const COUNT_IN_UTC: [&str; 1] = ["date_bin"];

/// The calendar in which instants are read.
#[derive(Debug)]
pub(crate) struct LocalInstants {
    zone: Arc<str>,
    day_start: ScalarUDF,
    local_day: ScalarUDF,
}

impl LocalInstants {
    /// In the zone of `calendar`.
    #[must_use]
    pub(crate) fn new(calendar: &Arc<Calendar>) -> Self {
        let zone = Arc::from(calendar.zone_name.as_str());
        Self { zone, day_start: day_start(calendar), local_day: local_day(calendar) }
    }

    /// An expression whose types are coerced, with days as starts of local days.
    ///
    /// # Errors
    /// An [`ExpressionProblem`].
    pub(crate) fn settle(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        expr.transform_up(|node| {
            let settled = match node {
                Expr::Cast(Cast { expr, field }) => {
                    self.cast(*expr, field.data_type(), schema, |expr, to| {
                        Expr::Cast(Cast::new(Box::new(expr), to))
                    })
                }
                Expr::TryCast(TryCast { expr, field }) => {
                    self.cast(*expr, field.data_type(), schema, |expr, to| {
                        Expr::TryCast(TryCast::new(Box::new(expr), to))
                    })
                }
                other => Transformed::no(other),
            };
            self.check(&settled.data, schema)?;
            Ok(settled)
        })
    }

    /// A cast to an instant: in the local zone, and of a day to its start. `DataFusion` casts a day and an instant to
    /// times without a zone where they meet.
    fn cast(
        &self,
        expr: Expr,
        to: &DataType,
        schema: &DFSchema,
        again: impl Fn(Expr, DataType) -> Expr,
    ) -> Transformed<Expr> {
        let zoned = match to {
            DataType::Timestamp(unit, None) => DataType::Timestamp(*unit, Some(Arc::clone(&self.zone))),
            other => other.clone(),
        };
        let of = expr.get_type(schema);
        if *to == DataType::Date32 && of.as_ref().is_ok_and(|of| *of == time_type(&self.zone)) {
            return Transformed::yes(self.local_day.call(vec![expr]));
        }
        let is_day = matches!(of, Ok(DataType::Date32 | DataType::Date64));
        match is_day && matches!(zoned, DataType::Timestamp(..)) {
            true => {
                let start = self.day_start.call(vec![again(expr, DataType::Date32)]);
                Transformed::yes(if zoned == time_type(&self.zone) { start } else { again(start, zoned) })
            }
            false => Transformed::new_transformed(again(expr, zoned.clone()), zoned != *to),
        }
    }

    fn check(&self, expr: &Expr, schema: &DFSchema) -> Result<(), ExpressionProblem> {
        if let Expr::ScalarFunction(call) = expr
            && COUNT_IN_UTC.contains(&call.func.name())
        {
            let word = call.func.name().to_owned();
            return Err(ExpressionProblem {
                message: say!("'{word}' counts in UTC and not in local time", word),
                hint: say!("use date_trunc('day', …), or a window of that length"),
                word,
            });
        }
        if is_inexact(expr, schema) {
            return Err(ExpressionProblem {
                message: say!("this arithmetic cannot be made exact"),
                hint: say!("give the operands a type, such as cast(… as decimal(28, 2))"),
                word: String::new(),
            });
        }
        let given = expr.get_type(schema).unwrap_or(DataType::Null);
        match self.wrong_zone(&given) {
            None => Ok(()),
            Some(message) => Err(ExpressionProblem {
                message,
                hint: say!(
                    "write an instant as a text such as '2026-01-05T08:00:00+08:00', and a day as date '2026-01-05'"
                ),
                word: word(expr),
            }),
        }
    }

    /// What is wrong with a type that has times of another zone than the local one.
    fn wrong_zone(&self, data_type: &DataType) -> Option<String> {
        match data_type {
            DataType::Timestamp(_, Some(zone)) if **zone == *self.zone => None,
            DataType::Timestamp(_, Some(zone)) => {
                Some(say!("this is a time in the zone {zone} and not in local time", zone))
            }
            DataType::Timestamp(_, None) => {
                Some(say!("this makes a time without a zone, which is read in UTC"))
            }
            DataType::List(field) | DataType::LargeList(field) => self.wrong_zone(field.data_type()),
            DataType::Struct(fields) => fields.iter().find_map(|field| self.wrong_zone(field.data_type())),
            _ => None,
        }
    }
}

/// What stands for an expression in the text that it was written in.
fn word(expr: &Expr) -> String {
    match expr {
        Expr::ScalarFunction(call) => call.func.name().to_owned(),
        Expr::Cast(_) => String::from("cast"),
        _ => String::new(),
    }
}

impl AnalyzerRule for LocalInstants {
    fn name(&self) -> &'static str {
        "local_instants"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let settled = plan.transform_up_with_subqueries(|plan| {
            let mut schema = merge_schema(&plan.inputs());
            if let LogicalPlan::TableScan(scan) = &plan {
                schema.merge(&DFSchema::try_from_qualified_schema(
                    scan.table_name.clone(),
                    &scan.source.schema(),
                )?);
            }
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(self.settle(expr, &schema)?.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        });
        settled.map(|settled| settled.data)
    }
}

/// `TIMESTAMP` in SQL as an instant of the local zone, in microseconds: without one, `TIMESTAMP '…'` drops an offset.
pub(crate) fn zoned(sql: &mut Sql) {
    let is_timestamp = |data_type: &ast::DataType| {
        matches!(data_type, ast::DataType::Timestamp(..) | ast::DataType::Datetime(_))
    };
    let instant =
        || ast::DataType::Timestamp(Some(precision(TimeUnit::Microsecond)), ast::TimezoneInfo::WithTimeZone);
    match sql {
        Sql::Cast { data_type, .. } if is_timestamp(data_type) => *data_type = instant(),
        Sql::TypedString(typed) if is_timestamp(&typed.data_type) => {
            *sql = Sql::Cast {
                kind: CastKind::Cast,
                expr: Box::new(Sql::Value(typed.value.clone())),
                data_type: instant(),
                array: false,
                format: None,
            };
        }
        _ => {}
    }
}

const fn precision(unit: TimeUnit) -> u64 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}
