//! How each aggregate of a measure is kept while events flow.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::{
    common::Result,
    physical_expr::{PhysicalExpr, aggregate::AggregateFunctionExpr, expressions::CastExpr},
};

use super::lane::LaneKind;

/// How an aggregate is kept.
#[derive(Debug, Clone)]
pub enum AggregateKind {
    /// `count(…)`, of rows or of values.
    Count,
    /// `sum` of decimals and whole numbers.
    Sum,
    /// `min` of what is a number inside (decimals, whole numbers, dates, instants), and of text.
    Min,
    /// `max` of the same.
    Max,
    /// `var_samp`, `var_pop`, `stddev` and `stddev_pop` of decimals and whole numbers, from exact sums.
    Moment {
        /// n − 1 instead of n.
        sample: bool,
        root: bool,
        /// Digits after the point of the values.
        scale: u32,
    },
    /// `count(distinct …)`
    Distinct,
    /// `median` of decimals, whole numbers and floats.
    Median,
    /// `median_deviation`
    Deviation,
    /// `array_agg(distinct …)` of text. `DataFusion` says in which order, if there are several.
    Listed(Arc<AggregateFunctionExpr>),
    /// Anything else that `DataFusion` knows.
    Other(Arc<AggregateFunctionExpr>),
}

impl AggregateKind {
    /// `DataFusion`'s aggregate, if events are kept for it.
    #[must_use]
    pub fn function(&self) -> Option<&Arc<AggregateFunctionExpr>> {
        match self {
            Self::Listed(function) | Self::Other(function) => Some(function),
            _ => None,
        }
    }
}

/// An aggregate of a window.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// How it is kept.
    pub kind: AggregateKind,
    /// The values it reads; `None` for `count(*)`.
    pub lane: Option<usize>,
    /// The Arrow type of its result.
    pub data_type: DataType,
}

/// An aggregate as it was planned: its kind, and the values that it reads.
pub(crate) struct Classified {
    /// How it is kept.
    pub kind: AggregateKind,
    /// The expressions of its values; empty for `count(*)` without a filter.
    pub args: Vec<Arc<dyn PhysicalExpr>>,
    /// How the values are stored.
    pub lane: LaneKind,
    /// The Arrow type of its result.
    pub data_type: DataType,
}

/// How an aggregate that `DataFusion` has planned is kept. `types` gives the types of its arguments.
///
/// # Errors
/// If an argument has no type, which planning has checked.
pub(crate) fn classify(
    aggregate: AggregateFunctionExpr,
    data_type_of: &dyn Fn(&Arc<dyn PhysicalExpr>) -> Result<DataType>,
) -> Result<Classified> {
    let args = aggregate.expressions();
    let data_type = aggregate.field().data_type().clone();
    let name = aggregate.fun().name().to_owned();
    let native = match (name.as_str(), &args[..]) {
        ("count", [arg]) if aggregate.is_distinct() => {
            Some((AggregateKind::Distinct, vec![Arc::clone(arg)], LaneKind::Hash))
        }
        ("count", args) if !aggregate.is_distinct() => {
            // `count(*)` is planned as the count of a constant.
            let counted = args.iter().filter(|arg| !is_constant(arg)).cloned().collect();
            Some((AggregateKind::Count, counted, LaneKind::Mark))
        }
        ("array_agg", [arg])
            if aggregate.is_distinct()
                && !aggregate.ignore_nulls()
                && data_type_of(arg)? == DataType::Utf8View =>
        {
            let kind = AggregateKind::Listed(Arc::new(aggregate.clone()));
            Some((kind, vec![Arc::clone(arg)], LaneKind::Text { nulls: true }))
        }
        (_, [_]) if aggregate.is_distinct() => None,
        ("min" | "max", [arg]) if data_type_of(arg)?.is_string() => {
            let kind = if name == "min" { AggregateKind::Min } else { AggregateKind::Max };
            Some((kind, vec![Arc::clone(arg)], LaneKind::Text { nulls: false }))
        }
        ("median", [arg]) => {
            median(&data_type_of(arg)?).map(|lane| (AggregateKind::Median, vec![Arc::clone(arg)], lane))
        }
        ("median_deviation", [arg]) => {
            Some((AggregateKind::Deviation, vec![Arc::clone(arg)], LaneKind::Float))
        }
        ("sum" | "min" | "max", [arg]) => {
            let arg_type = data_type_of(arg)?;
            number(&name, &arg_type, &data_type)
                .map(|kind| (kind, vec![Arc::clone(arg)], LaneKind::of(&arg_type)))
        }
        ("var" | "var_samp" | "var_pop" | "stddev" | "stddev_samp" | "stddev_pop", [arg]) => {
            // They are planned over floats; the exact values are inside the cast.
            let arg = exact(arg);
            let arg_type = data_type_of(&arg)?;
            scale_of(&arg_type).map(|scale| {
                let kind = AggregateKind::Moment {
                    sample: !name.ends_with("_pop"),
                    root: name.starts_with("stddev"),
                    scale,
                };
                (kind, vec![arg], LaneKind::of(&arg_type))
            })
        }
        _ => None,
    };
    let (kind, args, lane) =
        native.unwrap_or_else(|| (AggregateKind::Other(Arc::new(aggregate)), args, LaneKind::Other));
    Ok(Classified { kind, args, lane, data_type })
}

fn is_constant(arg: &Arc<dyn PhysicalExpr>) -> bool {
    arg.downcast_ref::<datafusion::physical_expr::expressions::Literal>()
        .is_some_and(|l| !l.value().is_null())
}

fn number(name: &str, arg: &DataType, result: &DataType) -> Option<AggregateKind> {
    let whole = LaneKind::of(arg) != LaneKind::Other;
    match (name, arg, result) {
        ("min", ..) if whole => Some(AggregateKind::Min),
        ("max", ..) if whole => Some(AggregateKind::Max),
        ("sum", DataType::Decimal128(..), DataType::Decimal128(..)) | ("sum", _, DataType::Int64)
            if whole =>
        {
            Some(AggregateKind::Sum)
        }
        _ => None,
    }
}

/// How the values of a median are stored, if it is kept in order here.
fn median(arg: &DataType) -> Option<LaneKind> {
    match arg {
        DataType::Float64 => Some(LaneKind::Float),
        DataType::Decimal128(..) => Some(LaneKind::of(arg)),
        _ if arg.is_integer() && LaneKind::of(arg) == LaneKind::Word => Some(LaneKind::Word),
        _ => None,
    }
}

/// Digits after the point of an exact number.
fn scale_of(data_type: &DataType) -> Option<u32> {
    match data_type {
        DataType::Decimal128(_, scale) => u32::try_from(*scale).ok(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(0),
        _ => None,
    }
}

fn exact(arg: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    match arg.downcast_ref::<CastExpr>() {
        Some(cast) if *cast.cast_type() == DataType::Float64 => Arc::clone(cast.expr()),
        _ => Arc::clone(arg),
    }
}
