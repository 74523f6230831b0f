//! 审计日志 in the store: who did what, from where, and what came of it. A record is written in the transaction of what
//! it tells, so that there is neither without the other; records are chained (`chain.rs`).

use rusqlite::types::ValueRef;

use super::{chain, reach_in, sums::Summed};
use crate::access::Actor;

/// Something that was done.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'d> {
    /// What, by the word of the action.
    pub action: &'d str,
    /// To whom or what.
    pub subject: &'d str,
    /// What came of it.
    pub result: &'d str,
    /// What else is worth knowing; never a secret.
    pub detail: &'d str,
}

/// Adds a record.
pub fn record(summed: &Summed<'_>, at: i64, actor: &Actor, deed: Deed<'_>) -> rusqlite::Result<()> {
    reach_in("audit.record")?;
    let Deed { action, subject, result, detail } = deed;
    let texts = [&*actor.who, &*actor.place, action, subject, result, detail].map(ValueRef::from);
    let values: Vec<_> = [ValueRef::Integer(at)].into_iter().chain(texts).collect();
    chain::AUDIT.add(summed, &values)?;
    reach_in("audit.recorded")
}

/// The word for what was done.
pub const DONE: &str = "done";
