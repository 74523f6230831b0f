//! What no expression of a rule may be.

use std::sync::Arc;

use arrow::{
    array::{RecordBatchOptions, new_null_array},
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};
use datafusion::{
    common::tree_node::{TreeNode, TreeNodeRecursion},
    logical_expr::{Expr, Volatility},
};

use crate::{diagnostic::Failure, say};

pub(super) fn empty_event(schema: &SchemaRef) -> RecordBatch {
    let nulls = schema.fields().iter().map(|f| new_null_array(f.data_type(), 1)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::clone(schema), nulls, &options)
        .expect("every column of a condition may be NULL")
}

/// Refuses functions whose result depends on when or how often they are computed.
pub(crate) fn refuse_volatile(expr: &Expr) -> std::result::Result<(), Failure> {
    refuse(expr, |node| match node {
        Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
            let hint =
                say!("findings must not depend on when they are computed: use occurred_at or recorded_at");
            let message = say!("the function '{func}' is not deterministic", func = call.func.name());
            Some((message, Some(hint)))
        }
        _ => None,
    })
}

/// Refuses aggregates, which have no place in a condition.
pub(super) fn refuse_aggregates(expr: &Expr) -> std::result::Result<(), Failure> {
    let aggregate = |name: &str| {
        let message = say!("a condition looks at one event and cannot contain '{name}'", name);
        let hint = say!(
            "name the aggregate under `measure:`, with a window under `over:`, and compare it here by its name"
        );
        Some((message, Some(hint)))
    };
    refuse(expr, |node| match node {
        Expr::AggregateFunction(call) => aggregate(call.func.name()),
        Expr::WindowFunction(call) => aggregate(call.fun.name()),
        _ => None,
    })
}

pub(super) fn refuse(
    expr: &Expr,
    refusal: impl Fn(&Expr) -> Option<Failure>,
) -> std::result::Result<(), Failure> {
    let mut refused = None;
    let _ = expr.apply(|node| {
        refused = refusal(node);
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    refused.map_or(Ok(()), Err)
}

/// The first word in single quotes of a message.
pub(crate) fn quoted_word(message: &str) -> Option<String> {
    message.split('\'').nth(1).map(str::to_owned)
}

/// The token that a parser's message complains about ("… at Line: 1, Column: 9"), with its count before it.
pub(crate) fn token_at(text: &str, message: &str) -> (String, usize) {
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
