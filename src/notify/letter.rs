//! What a letter to a unit says beside its matters: number, deadline, and who signs; and drafts as their units would read
//! them.

use std::sync::Arc;

use serde::Serialize;

use super::{
    render::{Rendered, Style, render},
    sample::bare,
    template::Templates,
    view::{lines, one_line},
    words,
};
use crate::{
    access::LinkKey,
    alert::{
        Alert, EVIDENCE_MAX, Notification, NotifiedAlert, Policy, Reason,
        inquiry::{DEADLINE, Stage, Unreachable, contact, due},
    },
    config::{Config, office::Office},
    event::{Instant, time::Calendar},
    finding::Finding,
    lists::Lists,
    rule::Language,
};

/// The longest text of an officer or a signature in a letter, in characters.
const TEXT_MAX: usize = 4000;

/// A letter for its template.
#[derive(Debug, Serialize)]
pub(super) struct LetterView {
    /// What an answer names: the id of the first alert.
    number: String,
    /// The day of the letter.
    date: String,
    /// The last day for the answer.
    deadline: Option<String>,
    /// What the officer adds.
    note: Option<String>,
    sender: String,
    /// What stands under the name, a line each.
    signature: Vec<String>,
    /// Whether it stands where it is answered.
    here: bool,
}

impl LetterView {
    /// The letter of a notification, if it is one.
    pub(super) fn of(notification: &Notification, style: &Style<'_>) -> Option<Self> {
        let first = notification.alerts.first().filter(|_| notification.reason == Reason::Explain)?;
        let inquiry = first.alert.inquiry.as_ref();
        let due = inquiry.and_then(|letter| letter.due.as_deref()?.parse().ok());
        let note = inquiry.and_then(|letter| letter.note.as_deref());
        let office = style.office;
        let sender = office.sender.as_deref().or(office.bureau.as_deref());
        let signature = office.signature.as_deref().unwrap_or_default();
        Some(Self {
            number: one_line(&first.alert.alert_id, TEXT_MAX),
            date: words::day(style.calendar.local(notification.created_at).date(), style.language),
            deadline: due.map(|day| words::day(day, style.language)),
            note: note.map(|text| lines(text, TEXT_MAX)),
            sender: one_line(sender.unwrap_or_else(|| words::nameless(style.language)), TEXT_MAX),
            signature: lines(signature, TEXT_MAX).lines().map(str::to_owned).collect(),
            here: style.here,
        })
    }
}

/// The links by which units answer.
#[derive(Debug)]
pub struct Links {
    url: String,
    key: LinkKey,
}

impl Links {
    /// Those of a configuration; `None` if letters have none.
    #[must_use]
    pub fn new(config: &Config) -> Option<Self> {
        let url = config.policy.explain.as_ref()?.answer_url.clone()?;
        Some(Self { url, key: LinkKey::of(&config.state_dir) })
    }

    /// The link of an alert's letter, if it went out with one.
    pub(super) fn of(&self, alert: &Alert) -> Option<String> {
        let letter = alert.inquiry.as_ref().filter(|letter| letter.linked)?;
        let token = self.key.token(&alert.alert_id, letter.at)?;
        Some(format!("{}/answer/{token}", self.url))
    }
}

/// Writes drafts as their units would read them today. It needs no secrets of the sink.
#[derive(Debug, Clone)]
pub struct Drafts {
    policy: Arc<Policy>,
    calendar: Arc<Calendar>,
    office: Arc<Office>,
    templates: Arc<Templates>,
    lists: Lists,
    language: Language,
    reply_to: Option<String>,
    mask: bool,
}

#[derive(Debug)]
pub struct Draft {
    /// Where it would go.
    pub to: Result<String, Unreachable>,
    pub letter: Rendered,
}

impl Drafts {
    /// The same with other lists.
    #[must_use]
    pub fn with_lists(&self, lists: Lists) -> Self {
        Self { lists, ..self.clone() }
    }

    /// Those of a configuration.
    #[must_use]
    pub fn new(config: &Config, templates: Arc<Templates>, lists: Lists) -> Self {
        let sink = config.policy.explain.as_ref().map(|explain| explain.sink.as_str());
        let sink = config.sinks.iter().find(|spec| Some(spec.name.as_str()) == sink);
        let email = sink.and_then(|spec| spec.email.as_ref());
        let reply_to = email.map(|email| email.reply_to.as_ref().unwrap_or(&email.from));
        // `name <address>`: a letter names the address alone.
        let address = |text: &String| {
            let inner = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
            inner.map_or(text.trim(), |(address, _)| address.trim()).to_owned()
        };
        Self {
            policy: Arc::clone(&config.policy),
            calendar: Arc::clone(&config.calendar),
            office: Arc::clone(&config.office),
            templates,
            lists,
            language: email.and_then(|email| email.language).unwrap_or(config.language),
            reply_to: reply_to.map(address),
            mask: email.is_none_or(|email| email.mask),
        }
    }

    /// The letter of an alert, with the deadline that it would have if it went out now; `None` if it is no draft.
    #[must_use]
    pub fn write(&self, alert: &Alert, findings: &[Finding], now: Instant) -> Option<Draft> {
        let mut alert = alert.clone();
        let inquiry = alert.inquiry.as_mut().filter(|letter| letter.stage == Stage::Draft)?;
        let workdays = self.policy.explain.as_ref().map_or(DEADLINE, |explain| explain.deadline);
        inquiry.due = Some(due(now, workdays, &self.calendar, &self.lists).to_string());
        let to = contact(&alert.labels, self.policy.explain.as_ref(), &self.lists);
        let style = Style { mask: self.mask, ..self.style(self.language) };
        Some(Draft { to, letter: self.letter(alert, findings, now, &style) })
    }

    /// A letter that is out, as whoever has its link sees it: without personal data, above the form that answers it.
    #[must_use]
    pub fn sent(&self, alert: &Alert, findings: &[Finding], language: Language) -> Rendered {
        let at = alert.inquiry.as_ref().map_or(alert.opened_at, |letter| letter.at);
        let style = Style { mask: true, attach: false, here: true, ..self.style(language) };
        self.letter(alert.clone(), findings, at, &style)
    }

    fn style(&self, language: Language) -> Style<'_> {
        let reply_to = self.reply_to.as_deref();
        Style {
            office: &self.office,
            reply_to,
            names: Some(&self.lists),
            ..Style::new(language, &self.calendar)
        }
    }

    fn letter(&self, alert: Alert, findings: &[Finding], at: Instant, style: &Style<'_>) -> Rendered {
        let evidence = findings.iter().take(EVIDENCE_MAX).cloned().collect();
        let notification = Notification {
            id: alert.alert_id.clone(),
            reason: Reason::Explain,
            created_at: at,
            ..bare(NotifiedAlert { alert, evidence })
        };
        render(&self.templates, &notification, style)
    }
}
