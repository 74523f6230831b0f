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

pub(crate) use gather::{GatherRequest, gather};
pub(crate) use pack::CaseFile;
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
    files.insert(String::from("README.txt"), readme(key).into_bytes());
    seal::seal(&mut files, key)?;
    archive::write(&files)
}

/// How a pack is checked by hand, with the algorithms of its key.
fn readme(key: &SealKey) -> String {
    let text = include_str!("readme.txt");
    match key.provider().word() {
        "national" => text
            .replace(
                "sha256sum --check --strict SHA256SUMS",
                "cksum --algorithm=sm3 --check --strict SM3SUMS",
            )
            .replace(
                "-rawin -in SHA256SUMS",
                "-rawin -digest sm3 -pkeyopt distid:1234567812345678 -in SHA256SUMS",
            )
            .replace("tail -c 32", "tail -c 64")
            .replace("The last line prints KEY.", "The last line prints what follows `sm2:` in KEY.")
            .replace("最后一条显示 KEY。", "最后一条显示 KEY 中 sm2: 之后的部分。")
            .replace("SHA256SUMS", "SM3SUMS")
            .replace("SHA-256", "SM3")
            .replace("Ed25519", "SM2"),
        _ => text.to_owned(),
    }
}
