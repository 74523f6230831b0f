//! Whether rules may come into force: where `rules.require_approval` says so, only those that one person proposed and
//! another one approved.

use crate::{
    config::{Approval, Config},
    diagnostic::Diagnostic,
    rule::RuleSet,
    say,
    store::{RuleSets, StoreError},
    text::quoted,
};

/// So much of a digest is told.
const SHOWN: usize = 12;

/// Whether these rules may come into force.
///
/// # Errors
/// If they may not, with what to do about it.
pub(crate) fn is_approved(config: &Config, rules: &RuleSet) -> Result<(), Vec<Diagnostic>> {
    if config.approval == Approval::NotAsked {
        return Ok(());
    }
    let wrong = |why: String, hint: Option<String>| {
        vec![Diagnostic::of_file(&say!("rules.require_approval"), why, hint)]
    };
    let digest = rules.manifest.digest();
    let found = match RuleSets::open_read_only(&config.state_dir) {
        Ok(sets) => sets.find(&digest).map_err(|error| wrong(error.to_string(), None))?,
        // Nothing is approved in a state that is not there, or had no approvals.
        Err(StoreError::Missing(_) | StoreError::Older { .. }) => None,
        Err(error) => return Err(wrong(error.to_string(), None)),
    };
    let digest = &digest[..SHOWN];
    match found {
        Some(set) if set.approved.is_some() => Ok(()),
        Some(set) => Err(wrong(
            say!(
                "these rules ({digest}) were proposed by {who} and are not approved",
                digest,
                who = quoted(&set.proposed_by)
            ),
            Some(say!("an approver who is somebody else runs `fiscwatch rules approve {digest}`", digest)),
        )),
        None => Err(wrong(
            say!("nobody has proposed these rules ({digest}), so nobody could approve them", digest),
            Some(say!(
                "an author runs `fiscwatch rules propose --reason …`, and an approver `fiscwatch rules approve {digest}`",
                digest
            )),
        )),
    }
}
