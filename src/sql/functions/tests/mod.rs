//! The functions as rules call them: through `DataFusion`, with the event schema's types.

use std::sync::{Arc, LazyLock};

use datafusion::{
    common::ScalarValue,
    prelude::{SessionConfig, SessionContext},
};

use super::{aggregates, scalars};
use crate::{
    event::time::Calendar,
    lists::{List, Lists},
};

mod aggregates;
mod caps;
mod names;
mod scalars;

fn context() -> SessionContext {
    let mut lists = Lists::default();
    lists.insert(
        "holidays",
        List::of(
            &["date", "kind"],
            &[
                &["2026-02-14", "workday"],
                &["2026-02-16", "holiday"],
                &["2026-02-17", "holiday"],
                &["2026-02-18", "holiday"],
            ],
        ),
    );
    lists.insert("empty", List::of(&["word"], &[]));
    let calendar = Arc::new(Calendar::new("Asia/Shanghai", 4, 1).unwrap());
    let mut config = SessionConfig::new().with_target_partitions(2);
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    config.options_mut().execution.time_zone = Some(calendar.zone_name.clone());
    let context = SessionContext::new_with_config(config);
    scalars(&calendar, &lists).into_iter().for_each(|function| context.register_udf(function));
    aggregates().into_iter().for_each(|function| context.register_udaf(function));
    context
}

/// The value of the first column and row of a query, or what is wrong with it.
fn query(sql: &str) -> Result<ScalarValue, String> {
    static CONTEXT: LazyLock<SessionContext> = LazyLock::new(context);
    let run = async {
        let batches = CONTEXT.sql(sql).await?.collect().await?;
        let batch = batches.iter().find(|batch| batch.num_rows() > 0).expect("a row");
        ScalarValue::try_from_array(batch.column(0), 0)
    };
    tokio::runtime::Runtime::new().unwrap().block_on(run).map_err(|e| e.to_string())
}

/// The value of an expression as text, `NULL` without one.
fn value(expression: &str) -> String {
    query(&format!("SELECT {expression}")).unwrap_or_else(|e| panic!("{expression}: {e}")).to_string()
}

fn problem(expression: &str) -> String {
    query(&format!("SELECT {expression}")).expect_err(expression)
}
