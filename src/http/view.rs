//! Alerts and silences as the API and `--json` show them: times are RFC 3339 in the configured zone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    alert::{Action, Alert, CaseOutcome, ChangeFacts, HistoryEntry, Silence, State, inquiry::Stage},
    event::{Instant, money::format_cents, time::Calendar},
    notify::{letter::Draft, render::Rendered},
    store::{Notice, Waiting},
};

/// 预警: the findings of one rule and key, with a lifecycle.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertView {
    /// A digest of the first finding's id.
    pub alert_id: String,
    /// The rule.
    pub rule_id: String,
    /// The rule's title in the configured language.
    pub title: String,
    /// The columns of the rule's key.
    #[schema(value_type = Object)]
    pub key: Map<String, Value>,
    /// The highest severity of its findings.
    pub severity: String,
    /// What the rule advises to do: `block` 拦截 holds what is not paid yet, and is to get back what is; `explain` asks the
    /// unit; `warn` verifies; `remind` and `record` wait for the digest. Nothing is stopped by itself.
    pub handling: String,
    /// What has happened: the type of the events it is about. An `application` is not paid yet; once any of them is a
    /// `payment` the money has left. Null for what several events show together.
    pub event_type: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Grows with every transition; also the `ETag` of one alert.
    pub version: i64,
    /// What routes, silences and inhibition match on.
    pub labels: BTreeMap<String, Vec<String>>,
    /// What the codes among its labels and in its key are called, by column and code, where a table of codes says it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, BTreeMap<String, String>>,
    /// The notification line of the latest finding.
    pub summary: String,
    /// How many findings it has.
    pub findings: u64,
    /// When it was opened.
    #[schema(format = DateTime)]
    pub opened_at: String,
    /// The event time of its first finding.
    #[schema(format = DateTime)]
    pub first_at: String,
    /// The event time of its latest finding.
    #[schema(format = DateTime)]
    pub last_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    pub changed_at: String,
    /// Who took it on.
    pub owner: Option<String>,
    /// When it was first acknowledged.
    #[schema(format = DateTime)]
    pub acknowledged_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    /// How often it was escalated.
    pub escalation: u32,
    /// When it is escalated next: if nobody acknowledges it by then, or because its last day is over.
    #[schema(format = DateTime)]
    pub escalates_at: Option<String>,
    /// The letter that asks its unit to explain.
    pub inquiry: Option<InquiryView>,
    /// The alert of the same rule and key before this one.
    pub previous: Option<String>,
    /// What it is about, in yuan: the amounts of its events together, or the largest total of its windows; null where its
    /// rule names none.
    pub amount: Option<String>,
    /// The last day for it to be over.
    #[schema(format = Date)]
    pub due: Option<String>,
    /// What waits for a second officer.
    pub review: Option<ReviewView>,
    /// What came of it, once it is closed.
    pub outcome: Option<CaseOutcome>,
    /// The outcome's amount, in yuan.
    pub outcome_amount: Option<String>,
    /// The alert that goes on with it.
    pub merged_into: Option<String>,
    /// The alerts that it goes on with.
    pub merged: Vec<String>,
    /// Whom remarks name by `@name`.
    pub mentions: Vec<String>,
}

/// What an officer proposed, and a second one has to decide.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Review)]
pub struct ReviewView {
    /// `dismiss` or `close`.
    pub action: Action,
    /// Who proposed it.
    pub by: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Why.
    pub why: String,
    /// The outcome that is proposed.
    pub outcome: Option<CaseOutcome>,
    /// Its amount, in yuan.
    pub amount: Option<String>,
}

/// 询问函: a letter to a unit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Inquiry)]
pub struct InquiryView {
    /// How far it has come: `draft` waits for an officer, `answered` has an answer by its link, `withdrawn` was never sent.
    pub stage: Stage,
    /// When it came there.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who sent it: an officer, or `fiscwatch` where a route says so.
    pub by: Option<String>,
    /// The last day for the answer.
    #[schema(format = Date)]
    pub due: Option<String>,
    /// What the officer added.
    pub note: Option<String>,
    /// Whether the unit can answer by a link without an account.
    pub linked: bool,
    /// When the unit answered last by that link.
    #[schema(format = DateTime)]
    pub answered_at: Option<String>,
    /// Why no mail server takes the letter.
    pub undelivered: Option<String>,
}

impl AlertView {
    /// An alert as it is shown.
    #[must_use]
    pub fn new(a: &Alert, calendar: &Calendar) -> Self {
        let time = |at: Instant| calendar.format(at);
        let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in a.labels.iter() {
            labels.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        Self {
            alert_id: a.alert_id.clone(),
            rule_id: a.rule_id.clone(),
            title: a.title.clone(),
            key: a.key.clone(),
            severity: a.severity.word().to_owned(),
            handling: a.handling.word().to_owned(),
            event_type: a.event_type.clone(),
            state: a.state,
            version: a.version,
            labels,
            names: BTreeMap::new(),
            summary: a.summary.clone(),
            findings: a.findings,
            opened_at: time(a.opened_at),
            first_at: time(a.first_at),
            last_at: time(a.last_at),
            changed_at: time(a.changed_at),
            owner: a.owner.clone(),
            acknowledged_at: a.acknowledged_at.map(time),
            ended_at: a.ended_at.map(time),
            escalation: a.escalation,
            escalates_at: a.escalates_at.map(time),
            inquiry: a.inquiry.as_ref().map(|letter| InquiryView {
                stage: letter.stage,
                at: time(letter.at),
                by: letter.by.clone(),
                due: letter.due.clone(),
                note: letter.note.clone(),
                linked: letter.linked,
                answered_at: letter.answered_at.map(time),
                undelivered: letter.undelivered.clone(),
            }),
            previous: a.previous.clone(),
            amount: a.case.amount.map(format_cents),
            due: a.case.due.clone(),
            review: a.case.review.as_ref().map(|review| ReviewView {
                action: review.action,
                by: review.by.clone(),
                at: time(review.at),
                why: review.why.clone(),
                outcome: review.outcome,
                amount: review.amount.map(format_cents),
            }),
            outcome: a.case.outcome,
            outcome_amount: a.case.outcome_amount.map(format_cents),
            merged_into: a.case.merged_into.clone(),
            merged: a.case.merged.clone(),
            mentions: a.case.mentions.clone(),
        }
    }
}

/// One line of an alert's history, which only grows.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeView {
    /// When it was done, by the clock. The times of events are called `at` and `occurred_at`.
    #[schema(format = DateTime)]
    pub done_at: String,
    /// An officer's name, or `fiscwatch`.
    pub who: String,
    /// What was done.
    pub action: Action,
    /// The state after it.
    pub state: State,
    /// Why, in the officer's words.
    pub why: Option<String>,
    /// What else: to whom, by when, with what outcome.
    #[serde(default, skip_serializing_if = "ChangeFacts::is_empty")]
    #[schema(required = false)]
    pub facts: ChangeFacts,
}

impl ChangeView {
    /// A change as it is shown.
    #[must_use]
    pub fn new(change: &HistoryEntry, calendar: &Calendar) -> Self {
        let HistoryEntry { at, who, action, state, why, facts } = change.clone();
        Self { done_at: calendar.format(at), who, action, state, why, facts }
    }
}

/// A draft as its unit would read it if it went out now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Draft)]
pub struct DraftView {
    /// Where it would go; null if nobody can be reached.
    pub to: Option<String>,
    /// Why nobody can be reached.
    pub trouble: Option<String>,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
}

impl From<Draft> for DraftView {
    fn from(draft: Draft) -> Self {
        let trouble = draft.to.as_ref().err().map(ToString::to_string);
        let Rendered { subject, text, .. } = draft.letter;
        Self { to: draft.to.ok(), trouble, subject, text }
    }
}

/// 静默: an order not to be told of some alerts for a while.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Silence)]
pub(crate) struct SilenceView {
    /// Its number.
    pub silence_id: i64,
    /// `pending`, `active` or `expired`.
    pub state: &'static str,
    /// What alerts it is about; all must match.
    pub matchers: Vec<String>,
    /// From when.
    #[schema(format = DateTime)]
    pub starts_at: String,
    /// Until when.
    #[schema(format = DateTime)]
    pub ends_at: String,
    /// Who ordered it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it was ordered.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Who ended it early.
    pub expired_by: Option<String>,
}

impl SilenceView {
    /// A silence as it is shown.
    #[must_use]
    pub(crate) fn new(s: &Silence, calendar: &Calendar, now: Instant) -> Self {
        Self {
            silence_id: s.silence_id,
            state: s.state(now),
            matchers: s.matchers.clone().into(),
            starts_at: calendar.format(s.starts_at),
            ends_at: calendar.format(s.ends_at),
            author: s.author.clone(),
            reason: s.reason.clone(),
            created_at: calendar.format(s.created_at),
            expired_by: s.expired_by.clone(),
        }
    }
}

/// The alerts that a silence would mute now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Preview {
    /// How many.
    pub count: usize,
    /// Whether all alerts that are not over were looked at: with very many of them, only the newest are.
    pub complete: bool,
    /// The newest of them, 100 at most.
    pub alerts: Vec<AlertView>,
}

/// 通知: one message to one sink or recipient, without its content.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Notification)]
pub struct NoticeView {
    /// Its id, which receivers see too.
    pub id: String,
    /// The sink.
    pub sink: String,
    /// The recipient, if the sink has several.
    pub recipient: Option<String>,
    /// Why it is sent.
    pub reason: String,
    /// `pending`, `sent` or `parked`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, while it is pending.
    #[schema(format = DateTime)]
    pub next_at: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was accepted or parked.
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    /// What the sink said last.
    pub error: Option<String>,
    /// The first of its alerts.
    pub alert_id: Option<String>,
    /// How many alerts it tells of.
    pub alerts: i64,
}

impl NoticeView {
    /// A notification as it is shown.
    #[must_use]
    pub fn new(n: &Notice, calendar: &Calendar) -> Self {
        Self {
            id: n.id.clone(),
            sink: n.sink.clone(),
            recipient: n.recipient.clone(),
            reason: n.reason.clone(),
            state: n.state.clone(),
            attempts: n.attempts,
            next_at: (n.state == "pending").then(|| calendar.format(n.next_at)),
            created_at: calendar.format(n.created_at),
            ended_at: n.ended_at.map(|at| calendar.format(at)),
            error: n.error.clone(),
            alert_id: n.alert_id.clone(),
            alerts: n.alerts,
        }
    }
}

/// Something to tell of an alert that waits for its group, its hour or the end of a silence.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Waiting)]
pub struct WaitingView {
    /// `opened`, `ended`, `escalated`, `explain`, `answered` or `unanswered`.
    pub matter: String,
    /// The route, by its place in the configuration.
    pub route: String,
    /// The sink.
    pub sink: String,
    /// When it is looked at next.
    #[schema(format = DateTime)]
    pub due_at: String,
    /// What holds it back, such as `silence 3`.
    pub held_by: Option<String>,
}

impl WaitingView {
    /// What waits, as it is shown.
    #[must_use]
    pub fn new(w: &Waiting, calendar: &Calendar) -> Self {
        Self {
            matter: w.matter.clone(),
            route: w.route.clone(),
            sink: w.sink.clone(),
            due_at: calendar.format(w.due_at),
            held_by: w.held_by.clone(),
        }
    }
}
