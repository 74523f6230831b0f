//! From the outbox's entries to notifications: what is due is bundled by group, what is muted waits, and too much at
//! once becomes one summary. A round is one transaction: an entry is in the outbox or in a notification, never in both.

use std::{collections::BTreeMap, sync::Arc};

use super::{ALERTS_MAX, EVIDENCE_MAX, Notification, Reason, Sinks, Told};
use crate::{
    alert::{
        Action, Alert, BY_ITSELF, Change, Desk, Labels, Policy, Silence,
        desk::Matter,
        inquiry::{self, Stage},
        policy::rank,
        route::{ALERT, Route},
    },
    lists::Lists,
    say,
    store::{DueEntry, DueGroup, Group, Round},
};

/// Groups that one round looks at; the next round follows at once.
const GROUPS_MAX: usize = 500;
/// How long an inhibited alert waits before it is looked at again, in microseconds.
const INHIBITED: i64 = 60_000_000;
/// The same for quiet hours.
const QUIET: i64 = 60_000_000;

/// What a round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Notifications made.
    pub notifications: usize,
    /// Entries that wait because something mutes them, by what: `silence`, `inhibition`, `quiet_hours`, `storm`.
    pub held: BTreeMap<&'static str, u64>,
    /// Alerts escalated.
    pub escalated: usize,
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
    /// The sinks.
    pub sinks: Arc<Sinks>,
    /// The reference lists, for the contacts of units.
    pub lists: Lists,
}

/// What one round knows.
struct Work<'w> {
    dispatch: &'w Dispatch,
    round: &'w Round<'w>,
    now: i64,
    silences: Vec<Silence>,
    /// For each inhibition the labels of alerts that mute, once they are asked for.
    sources: Vec<Option<Vec<Labels>>>,
    /// By sink, what is too much.
    surplus: BTreeMap<String, Vec<(DueGroup, Vec<DueEntry>)>>,
    report: Report,
}

impl Dispatch {
    /// Does a round at a time.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn round(&self, round: &Round<'_>, now: i64) -> rusqlite::Result<Report> {
        let mut work = Work {
            dispatch: self,
            round,
            now,
            silences: round.silences(now)?,
            sources: vec![None; self.policy.inhibitions.len()],
            surplus: BTreeMap::new(),
            report: Report::default(),
        };
        work.escalate()?;
        let due = round.due(now, GROUPS_MAX)?;
        work.report.more = due.len() == GROUPS_MAX;
        for group in due {
            work.group(group)?;
        }
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
    fn escalate(&mut self) -> rusqlite::Result<()> {
        let desk = Desk::new(Arc::clone(&self.dispatch.policy));
        for alert in self.round.unacknowledged(self.now, GROUPS_MAX)? {
            self.round.escalate(&desk, alert, self.now)?;
            self.report.escalated += 1;
        }
        Ok(())
    }

    fn group(&mut self, due: DueGroup) -> rusqlite::Result<()> {
        let entries = self.round.entries(&due.group_key, self.now)?;
        // What an officer sends, nothing holds back.
        if due.labels.first(ALERT).is_some() && entries.iter().any(|e| e.matter == Matter::Explain) {
            return self.send_letter(&due, &entries);
        }
        let mut left = Vec::new();
        for entry in entries {
            left.extend(self.unless_muted(entry)?);
        }
        if left.is_empty() {
            return Ok(());
        }
        if left.iter().any(|entry| entry.matter == Matter::Explain) {
            return self.send_drafts(&due, left);
        }
        if due.group_key.starts_with("digest ") {
            return self.tell(&due, &left, Reason::Digest);
        }
        let group = self.round.group(&due.group_key)?.unwrap_or_default();
        let Some(reason) = self.reason(&group, &mut left)? else { return Ok(()) };
        let policy = &self.dispatch.policy;
        let given = self.round.given(&due.sink, self.now - policy.storm.window)?;
        // What is told counts by sink, and a mail to three people counts three times.
        if given >= policy.storm.notifications {
            self.surplus.entry(due.sink.clone()).or_default().push((due, left));
            return Ok(());
        }
        self.tell(&due, &left, reason)
    }

    /// Why a group is told of; entries that say nothing new are taken out.
    fn reason(&mut self, group: &Group, left: &mut Vec<DueEntry>) -> rusqlite::Result<Option<Reason>> {
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
        if open.clone().any(|matter| matter == Matter::Escalated) {
            return Ok(Some(Reason::Escalated));
        }
        if open.any(|matter| matter != Matter::Ended) {
            return Ok(Some(if group.alerts.is_empty() { Reason::First } else { Reason::New }));
        }
        for id in &group.alerts {
            if self.round.alert(id)?.is_some_and(|alert| !alert.state.is_over()) {
                return Ok(Some(Reason::SomeEnded));
            }
        }
        Ok(Some(Reason::AllEnded))
    }

    /// The entry, or nothing if it waits or is not worth telling any more.
    fn unless_muted(&mut self, entry: DueEntry) -> rusqlite::Result<Option<DueEntry>> {
        let is_over = entry.alert.state.is_over();
        let Some((kind, held_by, until)) = self.muted(&entry.alert.labels)? else {
            if is_over && entry.was_held {
                self.leave_untold(&[entry])?;
                return Ok(None);
            }
            return Ok(Some(entry));
        };
        *self.report.held.entry(kind).or_default() += 1;
        if is_over {
            // It began and ended while nobody was to hear of it.
            self.leave_untold(&[entry])?;
        } else {
            self.round.hold(&[entry.seq], &held_by, until)?;
        }
        Ok(None)
    }

    /// Takes out what is not told, because its alert ended first.
    fn leave_untold(&mut self, entries: &[DueEntry]) -> rusqlite::Result<()> {
        self.report.untold += entries.iter().filter(|entry| entry.matter != Matter::Ended).count() as u64;
        self.round.take(&entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
    }

    /// What mutes an alert: the kind, which one, and until when.
    fn muted(&mut self, labels: &Labels) -> rusqlite::Result<Option<(&'static str, String, i64)>> {
        if let Some(silence) = self.silences.iter().find(|s| s.matchers.matches(labels)) {
            return Ok(Some(("silence", format!("silence {}", silence.silence_id), silence.ends_at)));
        }
        if let Some(name) = self.dispatch.policy.quiet(labels, self.now) {
            return Ok(Some(("quiet_hours", format!("quiet hours {name}"), self.now + QUIET)));
        }
        let policy = Arc::clone(&self.dispatch.policy);
        for (at, inhibition) in policy.inhibitions.iter().enumerate() {
            if !inhibition.target.matches(labels) {
                continue;
            }
            if self.sources[at].is_none() {
                let equality =
                    |name| inhibition.source.0.iter().filter_map(|m| m.equality()).find(|(n, _)| *n == name);
                let of = |name| equality(name).map(|(_, value)| value);
                self.sources[at] = Some(self.round.open_labels(of("severity"), of("rule"))?);
            }
            let sources = self.sources[at].as_deref().unwrap_or_default();
            if let Some(source) = sources.iter().find(|source| inhibition.mutes(source, labels)) {
                let by = source.first(ALERT).unwrap_or_default();
                return Ok(Some(("inhibition", format!("alert {by}"), self.now + INHIBITED)));
            }
        }
        Ok(None)
    }

    /// Makes the notifications of a group, and remembers what it was told.
    fn tell(&mut self, due: &DueGroup, entries: &[DueEntry], reason: Reason) -> rusqlite::Result<()> {
        let group = self.remember(due, entries)?;
        let recipients = self.dispatch.recipients(&due.sink);
        self.notify(due, entries, reason, &group.thread, recipients)?;
        self.round.take(&entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
    }

    /// Brings what is known of a group up to date, and gives it as it was with its thread.
    fn remember(&mut self, due: &DueGroup, entries: &[DueEntry]) -> rusqlite::Result<Group> {
        let first = entries.first().map(|entry| entry.alert.alert_id.clone()).unwrap_or_default();
        if due.group_key.starts_with("digest ") {
            return Ok(Group { thread: own_thread(&due.group_key, entries), alerts: Vec::new() });
        }
        let known = self.round.group(&due.group_key)?.filter(|group| !group.alerts.is_empty());
        let before = known.unwrap_or(Group { thread: first, alerts: Vec::new() });
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
            self.round.save_group(due, &after, self.now, repeat.map(|r| self.now.saturating_add(r)))?;
        }
        Ok(before)
    }

    fn notify(
        &mut self,
        due: &DueGroup,
        entries: &[DueEntry],
        reason: Reason,
        thread: &str,
        recipients: Vec<Option<String>>,
    ) -> rusqlite::Result<()> {
        let mut alerts: Vec<&Alert> = Vec::new();
        for entry in entries {
            if !alerts.iter().any(|alert| alert.alert_id == entry.alert.alert_id) {
                alerts.push(&entry.alert);
            }
        }
        alerts.sort_by_key(|alert| (rank(&alert.severity), alert.opened_at));
        let omitted = alerts.len().saturating_sub(ALERTS_MAX) as u64;
        alerts.truncate(ALERTS_MAX);
        // A long list shows less of each, so that a notification stays of a bearable size.
        let shown = (EVIDENCE_MAX / alerts.len().max(1)).max(1);
        let told: Vec<Told> = alerts
            .into_iter()
            .map(|alert| {
                Ok(Told { evidence: self.round.evidence(&alert.alert_id, shown)?, alert: alert.clone() })
            })
            .collect::<rusqlite::Result<_>>()?;
        let received_at = entries.iter().map(|entry| entry.received_at).min().unwrap_or(self.now);
        let cause: Vec<String> = entries.iter().map(|entry| entry.seq.to_string()).collect();
        let ids: Vec<_> = told.iter().map(|told| told.alert.alert_id.as_str()).collect();
        for recipient in recipients {
            let id = notification_id(
                &due.sink,
                recipient.as_deref(),
                &due.group_key,
                &cause.join(","),
                self.now,
                reason,
            );
            tracing::info!(
                notification = id,
                sink = due.sink,
                ?reason,
                alerts = ids.join(","),
                "notification"
            );
            self.round.notify(&Notification {
                id,
                sink: due.sink.clone(),
                recipient,
                reason,
                route: due.route.clone(),
                group: due.labels.clone(),
                thread: thread.to_owned(),
                begins_thread: matches!(
                    reason,
                    Reason::First | Reason::Digest | Reason::Storm | Reason::Explain
                ),
                alerts: told.clone(),
                omitted,
                message: None,
                created_at: self.now,
                received_at,
            })?;
            self.report.notifications += 1;
        }
        Ok(())
    }

    /// One summary for each sink that would get too much, and at most one within the time that is counted over.
    fn storms(&mut self) -> rusqlite::Result<()> {
        let window = self.dispatch.policy.storm.window;
        for (sink, groups) in std::mem::take(&mut self.surplus) {
            if let Some(last) = self.round.last_storm(&sink)?.filter(|last| last + window > self.now) {
                for (_, entries) in &groups {
                    let seqs: Vec<_> = entries.iter().map(|entry| entry.seq).collect();
                    self.round.hold(&seqs, "storm", last + window)?;
                    *self.report.held.entry("storm").or_default() += seqs.len() as u64;
                }
                continue;
            }
            let mut all = Vec::new();
            for (due, entries) in groups {
                self.remember(&due, &entries)?;
                self.round.take(&entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())?;
                all.extend(entries);
            }
            let due = DueGroup {
                group_key: format!("storm {sink}"),
                route: String::from("alerts.storm"),
                labels: Labels::default(),
                sink,
            };
            let thread = own_thread(&due.group_key, &all);
            let recipients = self.dispatch.recipients(&due.sink);
            self.notify(&due, &all, Reason::Storm, &thread, recipients)?;
        }
        Ok(())
    }

    /// Tells again of alerts that nobody has acknowledged.
    fn repeats(&mut self) -> rusqlite::Result<()> {
        for due in self.round.repeats(self.now, GROUPS_MAX)? {
            let group = self.round.group(&due.group_key)?.unwrap_or_default();
            let mut entries = Vec::new();
            for id in &group.alerts {
                let Some(alert) = self.round.alert(id)? else { continue };
                if alert.state == crate::alert::State::Open && self.muted(&alert.labels)?.is_none() {
                    let (matter, received_at) = (Matter::Opened, self.now);
                    entries.push(DueEntry { seq: 0, matter, received_at, was_held: false, alert });
                }
            }
            let interval = self.dispatch.route(&due.route).and_then(|route| route.repeat_interval);
            self.round.repeat_at(&due.group_key, interval.map(|i| self.now.saturating_add(i)))?;
            if !entries.is_empty() {
                let recipients = self.dispatch.recipients(&due.sink);
                self.notify(&due, &entries, Reason::Repeat, &group.thread, recipients)?;
            }
        }
        Ok(())
    }

    /// Sends the drafts of a unit that a route lets go out without an officer.
    fn send_drafts(&mut self, due: &DueGroup, entries: Vec<DueEntry>) -> rusqlite::Result<()> {
        let policy = Arc::clone(&self.dispatch.policy);
        let workdays = policy.explain.as_ref().map_or(inquiry::DEADLINE, |explain| explain.deadline);
        let until = inquiry::due(self.now, workdays, &policy.calendar, &self.dispatch.lists);
        let desk = Desk::new(policy);
        let mut sent = Vec::new();
        for entry in entries {
            let is_draft = entry.alert.inquiry.as_ref().is_some_and(|letter| letter.stage == Stage::Draft);
            let reachable = self.contact(&entry.alert.labels);
            match reachable.and_then(|_| {
                desk.inquire_by_itself(entry.alert.clone(), until, self.now).map_err(|e| e.to_string())
            }) {
                Ok(step) => {
                    self.round.save(&step, self.now)?;
                    sent.push(DueEntry { alert: step.alert, ..entry });
                }
                Err(why) => {
                    if is_draft {
                        self.remark(&entry.alert, &why)?;
                    }
                    self.round.take(&[entry.seq])?;
                }
            }
        }
        if sent.is_empty() { Ok(()) } else { self.send_letter(due, &sent) }
    }

    /// Makes the notification of a letter that was sent.
    fn send_letter(&mut self, due: &DueGroup, entries: &[DueEntry]) -> rusqlite::Result<()> {
        match self.contact(&due.labels) {
            Ok(contact) => {
                let thread = own_thread(&due.group_key, entries);
                self.notify(due, entries, Reason::Explain, &thread, vec![Some(contact)])?;
            }
            // The list was changed since.
            Err(why) => entries.iter().try_for_each(|entry| self.remark(&entry.alert, &why))?,
        }
        self.round.take(&entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
    }

    fn contact(&self, labels: &Labels) -> Result<String, String> {
        let Dispatch { policy, lists, .. } = self.dispatch;
        inquiry::contact(labels, policy.explain.as_ref(), lists).map_err(|why| why.to_string())
    }

    fn remark(&self, alert: &Alert, why: &str) -> rusqlite::Result<()> {
        let why = Some(say!("the letter to the unit did not go out: {why}", why));
        let (who, state) = (BY_ITSELF.to_owned(), alert.state);
        let change = Change { at: self.now, who, action: Action::Comment, state, why };
        self.round.remark(&alert.alert_id, &change)
    }
}

/// The thread of a notification that no other belongs to. It is not an alert's: one alert can be in several of them, and
/// two mails that begin a thread must not have one `Message-ID`.
fn own_thread(group_key: &str, entries: &[DueEntry]) -> String {
    let cause: Vec<_> = entries.iter().map(|entry| entry.seq.to_string()).collect();
    blake3::hash(format!("{group_key} {}", cause.join(",")).as_bytes()).to_hex()[..16].to_owned()
}

/// A digest of what is told to whom. Entries have numbers that never come again, so causes tell notifications apart;
/// a repetition has none, and goes by its time.
fn notification_id(
    sink: &str,
    recipient: Option<&str>,
    group: &str,
    cause: &str,
    now: i64,
    reason: Reason,
) -> String {
    let time = if reason == Reason::Repeat { now.to_string() } else { String::new() };
    let mut hasher = blake3::Hasher::new();
    for part in [sink, recipient.unwrap_or_default(), group, cause, &time] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(32);
    id
}
