//! What a record is: its type, and what it does to a budget line.

use super::{
    super::{
        fault::{Fault, Faults, absent_or_wrong, unknown_value},
        reading::Reading,
        value::text_of,
    },
    RawCell,
};
use crate::event::{BudgetAction, Column, EventType, schema::required_by_action};

/// A budget action may need more fields than every budget event does.
pub(super) fn check_action(cells: &[RawCell<'_>], faults: &mut Faults) {
    let action = text_of(&cells[Column::Action.index()]).and_then(BudgetAction::parse);
    let needed = action.map_or(&[][..], required_by_action);
    let absent = needed.iter().filter(|column| matches!(cells[column.index()], RawCell::Absent));
    absent.for_each(|column| faults.missing(column.index()));
}

/// The type of an event by the cell that names it.
#[inline]
pub(super) fn event_type(reading: &Reading, cell: &mut RawCell<'_>) -> Result<EventType, Fault> {
    reading.undress(cell, Column::Type.spec().kind);
    match text_of(cell) {
        Some(name) => EventType::parse(name).ok_or_else(|| unknown_value(Column::Type.index(), name)),
        None => Err(absent_or_wrong(Column::Type.index(), cell)),
    }
}
