//! What would keep an alert from being told of now: quiet hours, silences, graver alerts.

use std::path::Path;

use crate::{
    alert::{Labels, Policy},
    event::Instant,
    notify::inhibit::Gravers,
    store::{Cases, StoreError},
};

/// What holds an alert back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeldBy {
    /// Quiet hours, by their name.
    Quiet(String),
    Silence {
        id: i64,
        author: String,
        until: Instant,
    },
    /// A graver alert.
    Alert {
        id: String,
        title: String,
    },
}

/// All that would hold back an alert with these labels.
///
/// # Errors
/// If the state cannot be read; one that is not there yet holds nothing back.
pub(crate) fn held(
    policy: &Policy,
    state: &Path,
    labels: &Labels,
    now: Instant,
) -> Result<Vec<HeldBy>, StoreError> {
    let mut held: Vec<_> =
        policy.quiet(labels, now).map(|name| HeldBy::Quiet(name.to_owned())).into_iter().collect();
    let cases = match Cases::open_read_only(state) {
        Ok(cases) => cases,
        // A configuration can be tried before the first start.
        Err(StoreError::Missing(_)) => return Ok(held),
        Err(error) => return Err(error),
    };
    let silences = cases.in_force(now)?.into_iter().filter(|silence| silence.matchers.matches(labels));
    held.extend(silences.map(|s| HeldBy::Silence { id: s.silence_id, author: s.author, until: s.ends_at }));
    // The same index as where notifications are made: nothing is held back there that is not told here.
    let gravers = Gravers::read(policy, |severity, rule| cases.open_labels(severity, rule))?;
    for id in gravers.of(policy, labels) {
        let title = cases.title(id)?.unwrap_or_default();
        held.push(HeldBy::Alert { id: id.to_owned(), title });
    }
    Ok(held)
}
