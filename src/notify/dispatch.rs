//! From the outbox's entries to notifications: what is due is bundled by group, what is muted waits, and too much at
//! once becomes one summary. A round is one transaction: an entry is in the outbox or in a notification, never in both.

mod again;
mod letters;
mod muting;
mod notifications;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use letters::own_thread;

use super::{Sinks, inhibit::Gravers};
use crate::{
    alert::{
        Desk, Policy, Reason, Silence,
        desk::{EntryTopic, GroupKind},
        route::{ALERT, OFFICERS, Route},
    },
    event::Instant,
    lists::Lists,
    store::{DueEntry, DueGroup, Outbox, Round, RoundResult, StoreError, ToldGroup},
};

/// How long a round may work.
const ROUND: Duration = Duration::from_millis(50);
/// The same where a commit waits for its end.
const ROUND_WAITED_FOR: Duration = Duration::from_millis(5);
/// The same for the round, once in a storm, that makes its summary: what is cut off waits for the next summary.
const ROUND_OF_SUMMARY: Duration = Duration::from_millis(250);
/// Groups that one round looks at; the next round follows at once.
const GROUPS_MAX: usize = 500;
/// Entries that are read at a time.
const CHUNK: usize = 64;
/// Entries of one group that one round tells of; the next ones are told of by another notification.
const ENTRIES_MAX: usize = 500;

/// What a round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DispatchReport {
    pub(crate) notifications: usize,
    /// Entries that wait because something mutes them, by what: `silence`, `inhibition`, `quiet_hours`, `storm`.
    pub held: BTreeMap<&'static str, u64>,
    pub(crate) escalated: usize,
    /// Alerts that a sink was not told of, because they ended before it would have been.
    pub untold: u64,
    /// Whether more is due already.
    pub more: bool,
}

/// Bundles what is due.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// What the configuration says.
    pub policy: Arc<Policy>,
    /// The sinks that there are, by name.
    pub sinks: Arc<Sinks>,
    /// The reference lists, for the contacts of units.
    pub lists: Lists,
}

/// What rounds know that follow one another: it is read before they begin, so that no commit waits for it.
#[derive(Debug)]
pub struct Pass {
    pub(crate) now: Instant,
    gravers: Gravers,
}

/// What one round knows.
struct Work<'w> {
    dispatch: &'w Dispatch,
    round: &'w Round<'w>,
    now: Instant,
    gravers: &'w Gravers,
    started: std::time::Instant,
    silences: Vec<Silence>,
    /// By sink, how many notifications it was given lately.
    given: BTreeMap<String, u32>,
    /// By sink, what is too much.
    surplus: BTreeMap<String, Vec<(DueGroup, Vec<DueEntry>)>>,
    report: DispatchReport,
}

impl Dispatch {
    /// Learns what rounds at a time have to know.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn pass(&self, outbox: &Outbox, now: Instant) -> Result<Pass, StoreError> {
        Ok(Pass {
            now,
            gravers: Gravers::read(&self.policy, |severity, rule| outbox.open_labels(severity, rule))?,
        })
    }

    /// Does a round, for so long that a commit can wait for it.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn round(&self, round: &Round<'_>, pass: &Pass) -> RoundResult<DispatchReport> {
        let mut work = Work {
            dispatch: self,
            round,
            now: pass.now,
            gravers: &pass.gravers,
            started: std::time::Instant::now(),
            silences: round.silences(pass.now)?,
            given: BTreeMap::new(),
            surplus: BTreeMap::new(),
            report: DispatchReport::default(),
        };
        work.escalate()?;
        work.groups()?;
        work.storms()?;
        work.repeats()?;
        Ok(work.report)
    }

    fn recipients(&self, sink: &str) -> Vec<Option<String>> {
        match self.sinks.get(sink).map(|s| s.recipients()) {
            None | Some([]) => vec![None],
            Some(recipients) => recipients.iter().map(|r| Some(r.clone())).collect(),
        }
    }

    fn route(&self, path: &str) -> Option<&Route> {
        self.policy.routes.as_ref()?.all().into_iter().find(|route| route.path == path)
    }
}

impl Work<'_> {
    /// Whether the next round has to go on. What is begun in a storm is first summed up.
    fn is_over(&self) -> bool {
        let limit = match self.surplus.is_empty() {
            false => ROUND_OF_SUMMARY,
            true if self.round.is_waited_for() => ROUND_WAITED_FOR,
            true => ROUND,
        };
        self.started.elapsed() >= limit
    }

    fn escalate(&mut self) -> RoundResult<()> {
        let desk = Desk::new(Arc::clone(&self.dispatch.policy));
        while !self.is_over() {
            let alerts = self.round.unacknowledged(self.now, CHUNK)?;
            let is_last = alerts.len() < CHUNK;
            for alert in alerts {
                self.round.escalate(&desk, alert, self.now)?;
                self.report.escalated += 1;
            }
            if is_last {
                return Ok(());
            }
        }
        self.report.more = true;
        Ok(())
    }

    /// Works off the groups that are due, at least one of them.
    fn groups(&mut self) -> RoundResult<()> {
        let mut after = None;
        let mut seen = BTreeSet::new();
        loop {
            let due = self.round.due(self.now, &mut after, CHUNK)?;
            if due.is_empty() {
                return Ok(());
            }
            for group in due {
                if seen.contains(&group.group_key) {
                    continue;
                }
                if (self.is_over() && !seen.is_empty()) || seen.len() == GROUPS_MAX {
                    self.report.more = true;
                    return Ok(());
                }
                seen.insert(group.group_key.clone());
                self.group(group)?;
            }
        }
    }

    fn group(&mut self, due: DueGroup) -> RoundResult<()> {
        let entries = self.round.entries(&due.group_key, self.now, ENTRIES_MAX)?;
        self.report.more |= entries.len() == ENTRIES_MAX;
        // What an officer sends, nothing holds back.
        if due.labels.first(ALERT).is_some() && entries.iter().any(|e| e.matter == EntryTopic::Explain) {
            return self.send_letter(&due, &entries);
        }
        if due.route == OFFICERS {
            return self.tell_officer(&due, entries);
        }
        let mut left = Vec::new();
        for entry in entries {
            left.extend(self.unless_muted(entry)?);
        }
        if left.is_empty() {
            return Ok(());
        }
        if left.iter().any(|entry| entry.matter == EntryTopic::Explain) {
            return self.send_drafts(&due, left);
        }
        if due.group_key.kind() == GroupKind::Digest {
            return self.tell(&due, &left, Reason::Digest);
        }
        let group = self.round.group(&due.group_key)?.unwrap_or_default();
        let Some(reason) = self.reason(&group, &mut left)? else { return Ok(()) };
        let storm = self.dispatch.policy.storm;
        // What is told counts by sink, and a mail to three people counts three times.
        if self.given(&due.sink)? < storm.notifications {
            return self.tell(&due, &left, reason);
        }
        // One summary at most within the time that is counted over.
        match self.round.last_storm(&due.sink, self.now - storm.window)? {
            Some(last) => {
                let seqs: Vec<_> = left.iter().map(|entry| entry.seq).collect();
                *self.report.held.entry("storm").or_default() += seqs.len() as u64;
                self.round.hold(&seqs, "storm", last + storm.window)
            }
            None => {
                self.surplus.entry(due.sink.clone()).or_default().push((due, left));
                Ok(())
            }
        }
    }

    /// How many notifications a sink was given lately.
    fn given(&mut self, sink: &str) -> RoundResult<u32> {
        if let Some(given) = self.given.get(sink) {
            return Ok(*given);
        }
        let given = self.round.given(sink, self.now - self.dispatch.policy.storm.window)?;
        self.given.insert(sink.to_owned(), given);
        Ok(given)
    }

    /// Why a group is told of; entries that say nothing new are taken out.
    fn reason(&mut self, group: &ToldGroup, left: &mut Vec<DueEntry>) -> RoundResult<Option<Reason>> {
        // An alert that is over is told of to those who know it, and is news to nobody.
        let (told, over): (Vec<_>, Vec<_>) = left
            .drain(..)
            .partition(|entry| group.alerts.contains(&entry.alert.alert_id) || !entry.alert.state.is_over());
        *left = told;
        self.leave_untold(&over)?;
        if left.is_empty() {
            return Ok(None);
        }
        let mut open = left.iter().filter(|entry| !entry.alert.state.is_over()).map(|entry| entry.matter);
        if open.clone().any(|matter| matter == EntryTopic::Escalated) {
            return Ok(Some(Reason::Escalated));
        }
        // What became of letters is told by itself: it says what to do.
        let of_letters =
            [(EntryTopic::Answered, Reason::Answered), (EntryTopic::Unanswered, Reason::Unanswered)];
        for (matter, reason) in of_letters {
            if open.clone().all(|other| other == matter) && open.clone().next().is_some() {
                return Ok(Some(reason));
            }
        }
        if open.any(|matter| matter != EntryTopic::Ended) {
            return Ok(Some(if group.alerts.is_empty() { Reason::First } else { Reason::New }));
        }
        for id in &group.alerts {
            if self.round.alert(id)?.is_some_and(|alert| !alert.state.is_over()) {
                return Ok(Some(Reason::SomeEnded));
            }
        }
        Ok(Some(Reason::AllEnded))
    }

    /// Makes the notifications of a group, and remembers what it was told.
    fn tell(&mut self, due: &DueGroup, entries: &[DueEntry], reason: Reason) -> RoundResult<()> {
        let group = self.remember(due, entries)?;
        let recipients = self.dispatch.recipients(&due.sink);
        self.notify(due, entries, reason, &group.thread, recipients)?;
        self.round.take(&entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
    }

    /// Brings what is known of a group up to date, and gives it as it was with its thread.
    fn remember(&mut self, due: &DueGroup, entries: &[DueEntry]) -> RoundResult<ToldGroup> {
        let first = entries.first().map(|entry| entry.alert.alert_id.clone()).unwrap_or_default();
        if due.group_key.kind() == GroupKind::Digest {
            return Ok(ToldGroup { thread: own_thread(&due.group_key, entries), alerts: Vec::new() });
        }
        let known = self.round.group(&due.group_key)?.filter(|group| !group.alerts.is_empty());
        let before = known.unwrap_or(ToldGroup { thread: first, alerts: Vec::new() });
        let mut after = before.clone();
        let over = |id: &str| entries.iter().any(|e| e.alert.alert_id == id && e.alert.state.is_over());
        after.alerts.extend(entries.iter().map(|entry| entry.alert.alert_id.clone()));
        after.alerts.sort();
        after.alerts.dedup();
        after.alerts.retain(|id| !over(id));
        if after.alerts.is_empty() {
            self.round.remove_group(&due.group_key)?;
        } else {
            let repeat = self.dispatch.route(&due.route).and_then(|route| route.repeat_interval);
            self.round.save_group(
                due,
                (&before, &after),
                self.now,
                repeat.map(|r| self.now.saturating_add(r)),
            )?;
        }
        Ok(before)
    }
}
