//! What happens to an alert, and who is to be told: findings open alerts, officers and time move them on. Pure: the
//! alert as it is goes in, the alert as it is to be stored comes out, with its line of history and the outbox's entries.

mod entry;
mod order;

use std::sync::Arc;

use super::{
    Action, Alert, BY_ITSELF, Case, ChangeFacts, HistoryEntry, Labels, Policy, State,
    inquiry::Stage,
    labels::{SHARD, TYPE},
    route::{ALERT, OFFICERS, Route},
};
use crate::{
    access::LimitScope,
    event::{EventType, Instant, TimeDelta},
    finding::Finding,
    personal::Kinds,
    rule::{Rule, RuleMode, window::View},
    say,
    sql::functions::Workdays,
};

pub use order::{Order, Refusal, name, reason};

pub use entry::{EntryDue, EntryTopic, GroupKey, GroupKind, OutboxEntry};

/// What is to be stored about an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertUpdate {
    /// The alert as it is now.
    pub alert: Alert,
    /// The line of its history; `None` where only a finding was added.
    pub change: Option<HistoryEntry>,
    /// Who is to be told.
    pub entries: Vec<OutboxEntry>,
}

/// A finding on its way to the store and to its alert.
#[derive(Debug, Clone)]
pub struct Filing {
    /// The finding that is filed under an alert.
    pub finding: Finding,
    /// The event time that the finding was made at.
    pub at: Instant,
    /// The rule that made it, as it is in force.
    pub rule: Arc<Rule>,
    /// What its columns tell of persons.
    pub personal: Arc<Kinds>,
    /// Whether the rule's condition can stop being true by itself.
    pub clears: bool,
}

impl Filing {
    /// The type of the events that it is about, where they have one.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        let of_window = || match self.rule.view {
            View::Window(_) => EventType::ALL.into_iter().find(|t| t.bit() == self.rule.trigger),
            _ => None,
        };
        let own = self.finding.labels.get(TYPE).and_then(|word| word.as_str());
        own.or_else(|| of_window().map(EventType::name))
    }

    /// Whether somebody is to hear of it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.finding.mode == RuleMode::Live
    }
}

/// An event after which the condition of a rule is not true for a budget line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    /// How many findings of the same commit were made before it.
    pub before: usize,
    /// The rule whose condition no longer holds.
    pub rule_id: String,
    /// The `budget_line_id` that it no longer holds for.
    pub line: String,
    /// The event after which it does not hold.
    pub event_id: String,
}

/// What needs a reason.
const NEED_WHY: [Action; 5] =
    [Action::Dismiss, Action::Close, Action::Comment, Action::Postpone, Action::Return];
/// What no officer orders.
const BY_FISCWATCH: [Action; 10] = [
    Action::Opened,
    Action::Resolve,
    Action::Escalate,
    Action::Raise,
    Action::Propose,
    Action::Absorb,
    Action::Answer,
    Action::Unanswered,
    Action::Undelivered,
    Action::Attach,
];

/// Where findings become alerts.
#[derive(Debug, Clone)]
pub struct Desk {
    /// What the configuration says.
    pub policy: Arc<Policy>,
    /// Which days are worked.
    pub workdays: Arc<Workdays>,
    /// What those who are limited see.
    pub scope: Arc<LimitScope>,
}

impl Desk {
    /// A desk with this policy.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy, workdays: Arc::default(), scope: Arc::default() }
    }

    /// Adds a finding to the alert of its rule and key that is not over, or opens one. `previous` is the last that is.
    #[must_use]
    pub fn file(
        &self,
        current: Option<Alert>,
        previous: Option<String>,
        filing: &Filing,
        now: Instant,
    ) -> AlertUpdate {
        match current {
            Some(alert) => self.add(alert, filing, now),
            None => self.open(previous, filing, now),
        }
    }

    fn open(&self, previous: Option<String>, filing: &Filing, now: Instant) -> AlertUpdate {
        let Filing { finding, at, rule, clears, .. } = filing;
        let alert_id = alert_id(&finding.finding_id);
        let mut labels = Labels::of(rule, finding);
        labels.set(ALERT, &alert_id);
        self.policy.shard.iter().for_each(|shard| labels.set(SHARD, shard));
        let mut alert = Alert {
            alert_id,
            rule_id: finding.rule_id.clone(),
            title: rule.title.get(self.policy.language).to_owned(),
            key: finding.key.clone(),
            severity: finding.severity,
            handling: finding.handling,
            event_type: filing.event_type().map(str::to_owned),
            state: State::Open,
            version: 1,
            labels,
            summary: finding.summary.clone(),
            findings: 1,
            opened_at: now,
            first_at: *at,
            last_at: *at,
            changed_at: now,
            owner: None,
            acknowledged_at: None,
            ended_at: None,
            escalation: 0,
            escalates_at: None,
            previous,
            personal: Some(Kinds::clone(&filing.personal)),
            inquiry: None,
            lines: line_of(finding).filter(|_| *clears).into_iter().collect(),
            case: Case::default(),
        };
        alert.case.count(finding);
        if let Some(days) = self.policy.due_after.get(alert.severity) {
            let due = self.workdays.after(self.policy.calendar.local(now).date(), days);
            self.set_due(&mut alert, due);
        }
        alert.inquiry = Self::draft(&alert, now);
        let change = by_itself(&alert, Action::Opened, now);
        let mut entries = self.entries(&alert, EntryTopic::Opened, now);
        entries.extend(self.send_by_itself(&alert));
        self.step(alert, Some(change), entries)
    }

    fn add(&self, mut alert: Alert, filing: &Filing, now: Instant) -> AlertUpdate {
        let Filing { finding, at, .. } = filing;
        alert.findings += 1;
        alert.case.count(finding);
        alert.summary.clone_from(&finding.summary);
        alert.last_at = alert.last_at.max(*at);
        alert.first_at = alert.first_at.min(*at);
        alert.changed_at = now;
        if let Some(kinds) = &mut alert.personal {
            kinds.extend(&filing.personal);
        }
        // Money that has left stays gone, whatever is applied for afterwards.
        if alert.event_type.as_deref() != Some(EventType::Payment.name()) {
            alert.event_type = filing.event_type().map(str::to_owned);
        }
        if let Some(line) = line_of(finding).filter(|line| filing.clears && !alert.lines.contains(line)) {
            alert.lines.push(line);
        }
        if finding.severity >= alert.severity {
            return self.step(alert, None, Vec::new());
        }
        // The rule was made graver since.
        alert.severity = finding.severity;
        alert.labels.set("severity", finding.severity.word());
        alert.version += 1;
        let change = by_itself(&alert, Action::Raise, now);
        let entries = self.entries(&alert, EntryTopic::Opened, now);
        self.step(alert, Some(change), entries)
    }

    /// Carries out an officer's order.
    ///
    /// # Errors
    /// If it cannot be carried out; nothing is to be stored then.
    pub fn act(&self, alert: Alert, order: &Order, now: Instant) -> Result<AlertUpdate, Refusal> {
        let (who, why) = self.check(&alert, order)?;
        let why = Some(why.as_str()).filter(|why| !why.is_empty());
        if let Some(done) = self.casework(&alert, order, (who, why), now) {
            return done;
        }
        if order.action == Action::Inquire {
            let deadline = || say!("say by when the unit is to answer: a letter has a deadline");
            let letter = order.letter.as_ref().ok_or_else(|| Refusal::Missing(deadline()))?;
            return self.inquire(alert, (who, why), letter, now);
        }
        let state = alert.state.after(order.action).map_err(Refusal::State)?;
        let mut alert = alert;
        alert.owner = Some(who.to_owned()).filter(|_| order.action == Action::Acknowledge).or(alert.owner);
        if order.action == Action::Acknowledge {
            alert.acknowledged_at = alert.acknowledged_at.or(Some(now));
        }
        Ok(self.moved(alert, state, (order.action, who, why), now))
    }

    /// What every order needs: who, why, and that nobody was faster.
    pub(super) fn check<'o>(&self, alert: &Alert, order: &'o Order) -> Result<(&'o str, String), Refusal> {
        if let Some(seen) = order.version.filter(|seen| *seen != alert.version) {
            return Err(Refusal::Version { now: alert.version, seen });
        }
        let action = order.action;
        let who = name(&order.who).map_err(Refusal::Missing)?;
        let why = reason(order.why.as_deref().unwrap_or_default()).map_err(Refusal::Missing)?;
        if why.is_empty() && NEED_WHY.contains(&action) {
            return Err(Refusal::Missing(say!("{action} needs a reason: say why", action = action.shown())));
        }
        order.terms.check(action)?;
        if BY_FISCWATCH.contains(&action) {
            return Err(Refusal::State(say!(
                "{action} is done by fiscwatch itself",
                action = action.shown()
            )));
        }
        self.check_review(alert, action)?;
        Ok((who, why))
    }

    /// The condition is no longer true for a budget line: the alert resolves when no line is left.
    #[must_use]
    pub fn clear(&self, mut alert: Alert, cleared: &Cleared, now: Instant) -> AlertUpdate {
        alert.lines.retain(|known| *known != cleared.line);
        let why = format!("{} {}", cleared.line, cleared.event_id);
        match alert.state.after(Action::Resolve) {
            Ok(state) if alert.lines.is_empty() => {
                self.moved(alert, state, (Action::Resolve, BY_ITSELF, Some(&why)), now)
            }
            _ => self.step(alert, None, Vec::new()),
        }
    }

    /// When the alert is to be escalated: nobody acknowledges it, or its last day is over.
    fn escalates_at(&self, alert: &Alert) -> Option<Instant> {
        // A letter that nobody answers is told of, however quiet its alert is.
        let letter = self.letter_fails_at(alert);
        if Policy::waits_for_digest(alert.handling) {
            return letter;
        }
        let untaken = self
            .policy
            .escalate_after
            .get(alert.severity)
            .filter(|_| alert.state == State::Open && alert.escalation < self.policy.escalations_max);
        let untaken = untaken.map(|after| {
            alert.opened_at.saturating_add(after.saturating_mul(i64::from(alert.escalation) + 1))
        });
        let case = &alert.case;
        let past_due = case.due_at.filter(|_| !alert.state.is_over() && !case.past_due_told);
        untaken.into_iter().chain(past_due).chain(letter).min()
    }

    /// Escalates an alert; its label `escalation` counts how often, for routes to match on.
    #[must_use]
    pub fn escalate(&self, mut alert: Alert, now: Instant) -> AlertUpdate {
        alert.escalation += 1;
        alert.case.past_due_told |= alert.case.due_at.is_some_and(|due| due <= now);
        alert.version += 1;
        alert.changed_at = now;
        alert.labels.set("escalation", &alert.escalation.to_string());
        let of_letter = self.tell_of_letter(&mut alert, now);
        let matter = if of_letter.is_some() { EntryTopic::Unanswered } else { EntryTopic::Escalated };
        let (action, why) = of_letter.unwrap_or((Action::Escalate, None));
        let change = HistoryEntry { why, ..by_itself(&alert, action, now) };
        let mut entries = self.entries(&alert, matter, now);
        entries.extend(self.for_officer(&alert, matter).filter(|_| matter == EntryTopic::Unanswered));
        self.step(alert, Some(change), entries)
    }

    pub(super) fn moved(
        &self,
        mut alert: Alert,
        state: State,
        (action, who, why): (Action, &str, Option<&str>),
        now: Instant,
    ) -> AlertUpdate {
        let ends = state.is_over() && !alert.state.is_over();
        alert.state = state;
        alert.version += 1;
        alert.changed_at = now;
        if ends {
            alert.ended_at = Some(now);
            alert.case.review = None;
            if let Some(draft) = alert.inquiry.as_mut().filter(|letter| letter.stage == Stage::Draft) {
                (draft.stage, draft.at) = (Stage::Withdrawn, now);
            }
        }
        let (who, why, facts) = (who.to_owned(), why.map(str::to_owned), ChangeFacts::default());
        let change = HistoryEntry { at: now, who, action, state, why, facts };
        let entries = if ends { self.entries(&alert, EntryTopic::Ended, now) } else { Vec::new() };
        self.step(alert, Some(change), entries)
    }

    fn step(&self, mut alert: Alert, change: Option<HistoryEntry>, entries: Vec<OutboxEntry>) -> AlertUpdate {
        alert.escalates_at = self.escalates_at(&alert);
        AlertUpdate { alert, change, entries }
    }

    /// The entry for the officer whose letter it is, where the configuration says how officers are reached.
    pub(super) fn for_officer(&self, alert: &Alert, matter: EntryTopic) -> Option<OutboxEntry> {
        let sink = self.policy.officers.as_ref()?.sink.clone();
        let mut group = Labels::default();
        group.set(ALERT, &alert.alert_id);
        let wait = EntryDue::Group { first: TimeDelta::ZERO, next: TimeDelta::ZERO };
        Some(OutboxEntry { matter, route: OFFICERS.to_owned(), sink, recipient: None, group, wait })
    }

    /// The entries for every sink of every route that the alert takes.
    pub(super) fn entries(&self, alert: &Alert, matter: EntryTopic, now: Instant) -> Vec<OutboxEntry> {
        let Some(root) = &self.policy.routes else { return Vec::new() };
        let mut entries: Vec<OutboxEntry> = Vec::new();
        for route in root.select(&alert.labels) {
            if matter == EntryTopic::Ended && !route.tell_ended {
                continue;
            }
            let (group, wait) = self.bundling(route, alert, matter, now);
            for sink in &route.sinks {
                let (route, sink, group) = (route.path.clone(), sink.clone(), group.clone());
                entries.push(OutboxEntry { matter, route, sink, recipient: None, group, wait });
            }
        }
        entries
    }

    fn bundling(&self, route: &Route, alert: &Alert, matter: EntryTopic, now: Instant) -> (Labels, EntryDue) {
        let at_once = matches!(matter, EntryTopic::Escalated | EntryTopic::Answered | EntryTopic::Unanswered);
        if (route.digest || Policy::waits_for_digest(alert.handling)) && !at_once {
            return (Labels::default(), EntryDue::Until(self.policy.next_digest(now)));
        }
        let wait = match at_once {
            // So that whoever has not reacted does, and whoever waits for an answer goes on.
            true => EntryDue::Group { first: TimeDelta::ZERO, next: TimeDelta::ZERO },
            false => EntryDue::Group { first: route.group_wait, next: route.group_interval },
        };
        (route.group(alert), wait)
    }
}

fn by_itself(alert: &Alert, action: Action, now: Instant) -> HistoryEntry {
    let (who, facts) = (BY_ITSELF.to_owned(), ChangeFacts::default());
    HistoryEntry { at: now, who, action, state: alert.state, why: None, facts }
}

/// The id of the alert that a finding opens.
#[must_use]
pub fn alert_id(finding_id: &str) -> String {
    let mut id = blake3::hash(format!("alert {finding_id}").as_bytes()).to_hex().to_string();
    id.truncate(16);
    id
}

fn line_of(finding: &Finding) -> Option<String> {
    finding.labels.get("budget_line_id").and_then(|line| line.as_str()).map(str::to_owned)
}
