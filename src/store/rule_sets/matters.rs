//! Sets of rules as matters that are proposed and approved (`approvals.rs`).

use serde_json::Value;

use super::{LabParams, ProposedSet, approvals, judge};
use crate::{
    approval::{Kind, Matter, MatterState, NewMatter, Office, Person, Verb},
    event::Instant,
    store::checksums::Summed,
};

/// The kinds of matters that are sets of rules.
pub(super) const KINDS: [Kind; 2] = [Kind::Rules, Kind::Exception];

/// What is proposed by a set.
pub(super) fn wish(
    (kind, what): (Kind, Value),
    (digest, params): (&str, Option<&LabParams>),
    reason: &str,
) -> NewMatter {
    let mut content = serde_json::Map::from_iter([(String::from("digest"), digest.into())]);
    if let Value::Object(what) = what {
        content.extend(what);
    } else if let Some(params) = params {
        content.insert(String::from("params"), serde_json::to_value(params).unwrap_or_default());
    }
    let (subject, reason) = (digest.to_owned(), reason.to_owned());
    NewMatter { kind, subject, content: content.into(), cents: None, reason, expires_at: None }
}

/// The matter of a set that waits: the latest, or a new one of what a version that knew none has, or of what was approved
/// and taken back.
pub(super) fn matter_of(
    summed: &Summed<'_>,
    known: &ProposedSet,
    office: &Office,
) -> rusqlite::Result<Result<Matter, String>> {
    let latest = approvals::latest(summed.transaction, &KINDS, &known.digest)?;
    if let Some(latest) = latest.filter(|latest| latest.state != MatterState::Withdrawn) {
        return Ok(Ok(latest));
    }
    let proposer = Person { who: known.proposed_by.clone(), roles: Vec::new() };
    let wish = wish((Kind::Rules, Value::Null), (&known.digest, known.params.as_ref()), &known.reason);
    let id = approvals::next(summed.transaction)?;
    let matter = Matter::propose(id, wish, (&proposer, known.proposed_at), office);
    if let Ok(matter) = &matter {
        approvals::put(summed, matter)?;
    }
    Ok(matter)
}

/// Has a set follow what was done with its matter.
pub(in crate::store) fn follow(
    summed: &Summed<'_>,
    matter: &Matter,
    (verb, person, now): (Verb, &Person, Instant),
) -> rusqlite::Result<()> {
    match (verb, matter.state) {
        (Verb::Approve, MatterState::Approved) => {
            judge(summed, &matter.subject, Some((now, &person.who)))?;
        }
        (Verb::Withdraw, _) => {
            judge(summed, &matter.subject, None)?;
        }
        _ => {}
    }
    Ok(())
}

/// Notes that the matter of a set is in force.
pub(super) fn in_force(summed: &Summed<'_>, digest: &str, now: Instant) -> rusqlite::Result<()> {
    let matter = approvals::latest(summed.transaction, &KINDS, digest)?;
    let Some(mut matter) = matter.filter(|matter| matter.state == MatterState::Approved) else {
        return Ok(());
    };
    matter.end(true, now, "");
    approvals::keep(summed, &matter)
}
