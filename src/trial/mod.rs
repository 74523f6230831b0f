//! Trying rules on recorded events: how well they find what is known to be wrong, what a change of rules adds and
//! takes away, and what other constants would find. Nothing here reads a file or a clock; `app/replay.rs` does.

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
