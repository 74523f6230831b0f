//! What waits to be approved: measured, and told to those who can approve it. They are told at the addresses that the list of
//! officers has (`alerts.officers`), once when it is proposed and once more before it expires. A letter's id is made of the
//! matter and the recipient, so none is sent twice, whatever happens between.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{LimitedView, Shared};
use crate::{
    access::User,
    alert::{Labels, Notification, Reason, policy::Officers},
    approval::{Matter, MatterState, Person},
    event::{Instant, TimeDelta},
    say,
    store::{Accounts, Cases, MatterFilter, Outbox, StoreError},
};

/// For how long after its proposal somebody is told of it who was not yet: a sink that is set up later does not tell of all
/// that ever waited, and notifications are kept for longer.
const TOLD_WITHIN: TimeDelta = TimeDelta::days(7);
/// How long before its end it is told again; of what is short, when half of its time is over.
const REMINDED: TimeDelta = TimeDelta::DAY;

/// Letters that are known to be in the outbox are remembered, so many at most.
const REMEMBERED: usize = 10_000;

/// Measures what waits, and tells those whom it waits for. `known` are the letters that are in the outbox, as far as they are
/// remembered.
pub(super) async fn look(shared: &Arc<Shared>, mut known: BTreeSet<String>) -> BTreeSet<String> {
    let own = Arc::clone(shared);
    let looked = tokio::task::spawn_blocking(move || {
        if known.len() > REMEMBERED {
            known.clear();
        }
        if let Err(error) = whole(&own, &mut known) {
            tracing::warn!("what waits to be approved cannot be told: {error}");
        }
        known
    });
    looked.await.unwrap_or_default()
}

fn whole(shared: &Shared, known: &mut BTreeSet<String>) -> Result<(), StoreError> {
    let filter = MatterFilter { states: vec![MatterState::Waiting], ..MatterFilter::default() };
    let now = shared.clock.now();
    let waiting = Cases::open_read_only(&shared.state_dir)?.matters(&filter, (now, usize::MAX), None)?;
    let waiting: Vec<Matter> = waiting.into_iter().map(|(_, matter)| matter).collect();
    measure(shared, &waiting, now);
    let config = shared.config();
    let Some(officers) = config.policy.officers.as_ref().filter(|_| !waiting.is_empty()) else {
        return Ok(());
    };
    let users = Accounts::open_read_only(&shared.state_dir)?.users()?;
    let mut letters = letters(shared, officers, (&waiting, &users), now);
    letters.retain(|letter| !known.contains(&letter.id));
    if letters.is_empty() {
        return Ok(());
    }
    let mut outbox = Outbox::open(&shared.state_dir)?;
    // Asked before, so that nobody waits for a turn at the database for what a run before this one told.
    let told = outbox.known(letters.iter().map(|letter| letter.id.as_str()))?;
    known.extend(letters.iter().map(|letter| letter.id.clone()));
    letters.retain(|letter| !told.contains(&letter.id));
    if !letters.is_empty() {
        let stored = outbox.round(|round| letters.iter().try_for_each(|letter| round.notify(letter)));
        stored.inspect_err(|_| known.clear())?;
        shared.dispatch.notify_one();
    }
    Ok(())
}

/// By the roles that are missing.
fn measure(shared: &Shared, waiting: &[Matter], now: Instant) {
    let mut levels: BTreeMap<String, (i64, Instant)> = BTreeMap::new();
    for matter in waiting {
        let mut roles: Vec<&str> = matter.missing().iter().map(|role| role.word()).collect();
        roles.sort_unstable();
        let (count, oldest) = levels.entry(roles.join("+")).or_insert((0, Instant::MAX));
        (*count, *oldest) = (*count + 1, (*oldest).min(proposed(matter)));
    }
    let m = &shared.metrics;
    m.approvals_waiting.reset();
    m.approvals_waiting_age.reset();
    for (level, (count, oldest)) in levels {
        m.approvals_waiting.with_label_values(&[&level]).set(count);
        let age = now.saturating_since(oldest).max(TimeDelta::ZERO).as_seconds_f64();
        m.approvals_waiting_age.with_label_values(&[&level]).set(age);
    }
}

/// What is told to whom now; much of it was told before.
fn letters(
    shared: &Shared,
    officers: &Officers,
    (waiting, users): (&[Matter], &[User]),
    now: Instant,
) -> Vec<Notification> {
    let lists = &shared.rules_in_force().lists;
    let Some(list) = lists.get(&officers.list) else { return Vec::new() };
    let Some((column, _)) = list.column(&officers.column) else { return Vec::new() };
    let mut letters = Vec::new();
    for user in users.iter().filter(|user| user.disabled_at.is_none()) {
        let address = list.value(&user.name, column).map(str::trim).filter(|address| !address.is_empty());
        let Some(address) = address else { continue };
        let within = LimitedView::new(shared, user.roles.limits().clone());
        let person = Person::of(&user.name, &user.roles);
        for matter in waiting.iter().filter(|matter| waits_for(matter, &person) && within.has(matter)) {
            for (word, is_due) in [("asked", is_new(matter, now)), ("reminded", ends_soon(matter, now))] {
                if is_due {
                    letters.push(letter(shared, (matter, word), (&officers.sink, address), now));
                }
            }
        }
    }
    letters
}

/// Whether somebody can fill a place that is open.
fn waits_for(matter: &Matter, person: &Person) -> bool {
    let missing = matter.missing();
    person.who != matter.proposed_by
        && matter.approvals().all(|act| act.who != person.who)
        && person.roles.iter().any(|role| missing.contains(role))
}

fn proposed(matter: &Matter) -> Instant {
    matter.proposed_at
}

fn expires(matter: &Matter) -> Option<Instant> {
    matter.expires_at
}

fn is_new(matter: &Matter, now: Instant) -> bool {
    now.saturating_since(proposed(matter)) < TOLD_WITHIN
}

fn ends_soon(matter: &Matter, now: Instant) -> bool {
    expires(matter).is_some_and(|end| now >= end - REMINDED.min(end.saturating_since(proposed(matter)) / 2))
}

/// A letter about a matter. What it says is what a list of approvals shows but for what people typed: that may name persons.
fn letter(
    shared: &Shared,
    (matter, word): (&Matter, &str),
    (sink, address): (&str, &str),
    now: Instant,
) -> Notification {
    let id = blake3::hash(format!("approval {} {word} {address}", matter.digest).as_bytes());
    let day = |at: Instant| shared.calendar.local(at).date().to_string();
    let (number, kind, who) = (matter.id, matter.kind.titled(), &matter.proposed_by);
    let on = day(proposed(matter));
    let mut text = match matter.cents.map(|cents| cents.to_string()) {
        Some(amount) => say!(
            "approval {number} ({kind}, {amount}, proposed by {who} on {on}) waits for you",
            number,
            kind,
            amount,
            who,
            on
        ),
        None => {
            say!("approval {number} ({kind}, proposed by {who} on {on}) waits for you", number, kind, who, on)
        }
    };
    if let Some(end) = expires(matter) {
        text.push('\n');
        text.push_str(&say!("it expires at {time}", time = shared.calendar.format(end)));
    }
    Notification {
        id: id.to_hex()[..32].to_owned(),
        sink: sink.to_owned(),
        recipient: Some(address.to_owned()),
        reason: Reason::Approval,
        route: String::from("alerts.officers"),
        group: Labels::default(),
        thread: format!("approval-{number}"),
        begins_thread: false,
        alerts: Vec::new(),
        omitted: 0,
        omitted_by_rule: Vec::new(),
        message: Some(text),
        created_at: now,
        received_at: now,
    }
}
