//! Texts of rows: a row that is held has their numbers among those that are held.

use arrow::array::StringViewArray;

use crate::{
    evaluate::aggregate::Texts,
    rule::plan::{Layout, NULL_TEXT, WindowPlan},
};

/// Puts the numbers of its texts into a row that has their hashes.
pub(crate) fn hold(
    plan: &WindowPlan,
    row: &mut [u64],
    batch: &[StringViewArray],
    place: usize,
    texts: &mut Texts,
) {
    for ((lane, at), column) in plan.layout.texts().iter().zip(batch) {
        if Layout::has(row, *lane) && row[*at] != NULL_TEXT {
            row[*at] = u64::from(texts.take(column.value(place), row[*at]));
        }
    }
}

/// Gives back the numbers of the texts of a row that is gone.
pub(crate) fn release(plan: &WindowPlan, row: &[u64], texts: &mut Texts) {
    for (lane, at) in plan.layout.texts() {
        if Layout::has(row, *lane) && row[*at] != NULL_TEXT {
            texts.release(row[*at] as u32);
        }
    }
}
