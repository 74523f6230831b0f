//! 决算: what became of the budget of a year, by line, unit, function and class, from the events of the journal up to a place.
//! Every figure is added up from events by itself, and compared with the ledger's balances of the same events.

pub(crate) mod against;
pub(crate) mod book;
mod figures;
mod page;
pub(crate) mod persons;
pub(crate) mod propose;
pub(crate) mod publish;
pub(crate) mod sheet;
mod statement;
mod suppress;
#[cfg(test)]
mod tests;

pub(crate) use figures::{COLUMNS, Figures};
pub(crate) use statement::{LateEvent, Statement, StatementLevel, StatementRow, late, statement};
