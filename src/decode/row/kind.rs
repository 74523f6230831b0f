//! What a record is: its type, and what it does to a budget line.

use super::{
    super::{
        fault::{Fault, Faults, absent_or_wrong, in_currency, unknown_value},
        reading::Reading,
        value::text_of,
    },
    RawCell, RowBuilder,
};
use crate::event::{
    BudgetAction, Column, EventType, TypeSet,
    schema::{FIELDS, required_by_action},
};

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

impl RowBuilder<'_> {
    /// Events that keep no currency may say one: an amount in another is none of ours, whatever it is about.
    pub(super) fn stated(&self, column: usize, bit: TypeSet, cell: &RawCell<'_>) -> Result<(), Fault> {
        match text_of(cell) {
            _ if column != Column::Currency.index() || FIELDS[Column::Amount.index()].on & bit == 0 => Ok(()),
            _ if self.reading.is_stored() || matches!(cell, RawCell::Absent) => Ok(()),
            Some(text) => in_currency(text, &self.decoder.currency).map(drop),
            _ => Err(absent_or_wrong(column, cell)),
        }
    }
}
