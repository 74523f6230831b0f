//! Trying rules on recorded events: how well they find what is known to be wrong, what a change of rules adds and
//! takes away, and what other constants would find. Nothing here reads a clock or recorded events from a file; `app/replay.rs` does. Rule tests read
//! their own files, and `journal.rs` the state.

pub(crate) mod compare;
pub(crate) mod explain;
pub(crate) mod forecast;
pub mod journal;
pub(crate) mod lab;
pub(crate) mod offline;
pub(crate) mod pilot;
pub(crate) mod score;
pub(crate) mod tune;
pub mod unit_test;
