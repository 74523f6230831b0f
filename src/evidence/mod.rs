//! 取证包: an alert with everything that it was found by, in one signed file that proves itself: it is checked without a state,
//! and its findings are made again from it alone.

mod again;
pub(crate) mod archive;
mod gather;
pub(crate) mod pack;
mod recipe;
mod rule_text;
pub(crate) mod seal;
mod select;
#[cfg(test)]
mod tests;
pub(crate) mod verify;

pub(crate) use gather::{Asked, gather};
pub(crate) use pack::Case;
pub(crate) use verify::verify;

use crate::access::seal::SealKey;

/// The form of packs.
const FORMAT: &str = "fiscwatch-evidence/1";
/// The most events that a pack carries.
const EVENTS_MAX: usize = 50_000;
/// The most findings of an alert that a pack carries, the latest.
pub(crate) const FINDINGS_MAX: usize = 20;

const MANIFEST: &str = "manifest.json";
const EVENTS: &str = "events.jsonl";
const FINDINGS: &str = "findings.jsonl";
const BALANCES: &str = "balances.jsonl";
const RULE: &str = "rule/rule.yaml";
const RECIPE: &str = "rule/recipe.json";

/// The bytes of a pack.
///
/// # Errors
/// In words, if it would be too large, or its events are refused.
pub(crate) fn made(material: &pack::Material, key: &SealKey) -> Result<Vec<u8>, String> {
    let mut files = pack::files(material)?;
    seal::seal(&mut files, key);
    archive::write(&files)
}
