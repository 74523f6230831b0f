//! Trying rules on recorded events: how well they find what is known to be wrong, what a change of rules adds and
//! takes away, and what other constants would find. Nothing here reads a file or a clock; `app/replay.rs` does.

pub mod compare;
pub mod explain;
pub mod forecast;
pub mod journal;
pub mod lab;
pub mod score;
pub mod tune;
pub mod unit_test;
