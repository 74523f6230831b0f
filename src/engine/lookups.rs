//! What payments and applications lack that name only their budget line (`lookup` of a map): it is as the line stands
//! approved when they come. So it is found where events are in order, and it does not depend on what shares a batch.

use std::collections::{HashMap, HashSet};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringViewArray},
    compute::kernels::zip::zip,
    datatypes::{Int32Type, TimestampMicrosecondType},
};

use super::{
    dedup::{Dedup, Sighting},
    plausible::Plausible,
    ports::PortError,
};
use crate::{
    decode::Decoded,
    event::{
        BudgetAction, Column, EventType, Instant,
        schema::{FIELDS, LINE_ATTRIBUTES},
    },
    ledger::{Attributes, Ledger},
    say,
    text::quoted,
};

/// Gives the events of a batch what they lack, as far as their lines are known.
///
/// # Errors
/// If sealed events must be looked up and cannot be read.
pub(crate) fn fill(
    decoded: &mut Decoded,
    ledger: &Ledger,
    known: &mut Dedup,
    plausible: Option<&Plausible>,
) -> Result<(), PortError> {
    let Some(last) = decoded.lookups.last() else { return Ok(()) };
    let approved = approvals(decoded, *last, known, plausible)?;
    let found = {
        let lines = decoded.events.column(Column::BudgetLineId.index()).as_string_view();
        let (mut newest, mut approved) = (HashMap::new(), approved.iter().peekable());
        let of_line = |row: &usize| {
            while let Some((_, attributes, line)) = approved.next_if(|(before, ..)| before < row) {
                newest.insert(&**line, attributes);
            }
            let line = lines.value(*row);
            let stored = || ledger.line(line).map(|(_, attributes)| attributes).filter(|of| of.approved);
            Some((*row, newest.get(line).copied().or_else(stored)?))
        };
        let found: Vec<_> = decoded.lookups.iter().filter_map(of_line).collect();
        filled(&decoded.events, &found)
    };
    decoded.events = found;
    Ok(())
}

/// What is wrong with an event whose line is to tell what it lacks, and is not approved yet.
#[must_use]
pub(crate) fn unknown(decoded: &Decoded, row: usize) -> Option<String> {
    if decoded.lookups.is_empty() || !decoded.types[row].opens_lines() {
        return None;
    }
    let bit = decoded.types[row].bit();
    let lacks = |column: &&Column| {
        FIELDS[column.index()].required & bit != 0 && decoded.events.column(column.index()).is_null(row)
    };
    let lacking: Vec<_> = LINE_ATTRIBUTES.iter().filter(lacks).map(|column| column.spec().name).collect();
    let lines = decoded.events.column(Column::BudgetLineId.index()).as_string_view();
    (!lacking.is_empty()).then(|| {
        say!(
            "the budget line {line} is not approved yet, and {fields} should come from it; when it is approved, `fiscwatch rejects replay` reads the record again",
            line = quoted(lines.value(row)),
            fields = lacking.join(", ")
        )
    })
}

/// The approvals of budget lines up to a row that will be accepted, in order: the row, what it says, and of which line.
fn approvals(
    decoded: &Decoded,
    last: usize,
    known: &mut Dedup,
    plausible: Option<&Plausible>,
) -> Result<Vec<(usize, Attributes, Box<str>)>, PortError> {
    let events = &decoded.events;
    let text = |column: Column| events.column(column.index()).as_string_view();
    let (actions, ids, lines) = (text(Column::Action), text(Column::EventId), text(Column::BudgetLineId));
    let times = events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
    let (mut plausible, mut before, mut approved) = (plausible.cloned(), HashSet::new(), Vec::new());
    let is_approval = |row: &usize| {
        decoded.types[*row] == EventType::Budget
            && BudgetAction::parse(actions.value(*row)) == Some(BudgetAction::Approve)
    };
    for row in (0..last).filter(is_approval) {
        let refused = plausible
            .as_ref()
            .is_some_and(|bound| bound.refuses(Instant::from_micros(times.value(row))).is_some());
        let (id, content) = (decoded.ids[row], decoded.contents[row]);
        if refused || before.contains(&id) || known.look(ids.value(row), id, content)? != Sighting::New {
            continue;
        }
        before.insert(id);
        if let Some(plausible) = &mut plausible {
            plausible.observe(events, EventType::Budget, row);
        }
        approved.push((row, Attributes::of(events, row, true), lines.value(row).into()));
    }
    Ok(approved)
}

/// The events with these attributes where they have none themselves.
fn filled(events: &RecordBatch, found: &[(usize, &Attributes)]) -> RecordBatch {
    let mut columns = events.columns().to_vec();
    let own_units = StringViewArray::clone(events.column(Column::UnitCode.index()).as_string_view());
    for column in LINE_ATTRIBUTES {
        let own = &mut columns[column.index()];
        let lacks = |row: &usize| own.is_null(*row);
        let told: ArrayRef = if column == Column::FiscalYear {
            let mut years = vec![None; events.num_rows()];
            let lacking = found.iter().filter(|(row, _)| lacks(row));
            lacking.for_each(|(row, of)| years[*row] = of.fiscal_year);
            std::sync::Arc::new(Int32Array::from(years))
        } else {
            let mut texts = vec![None; events.num_rows()];
            // The name of the line's unit is none of another unit.
            let of_unit = |row: usize, of: &Attributes| {
                column != Column::UnitName
                    || own_units.is_null(row)
                    || Some(own_units.value(row)) == of.text(Column::UnitCode)
            };
            let lacking = found.iter().filter(|(row, of)| lacks(row) && of_unit(*row, of));
            lacking.for_each(|(row, of)| texts[*row] = of.text(column));
            std::sync::Arc::new(StringViewArray::from(texts))
        };
        let is_told: BooleanArray = (0..told.len()).map(|row| Some(told.is_valid(row))).collect();
        *own = zip(&is_told, &told, own).expect("columns of one batch");
    }
    debug_assert!(columns[Column::FiscalYear.index()].as_primitive_opt::<Int32Type>().is_some());
    RecordBatch::try_new(events.schema(), columns).expect("the columns of the batch")
}
