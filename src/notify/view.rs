//! What templates see of a notification: words in the reader's language, local times, bounded lists, and no character
//! that could pretend to be something else.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    letter::LetterView,
    render::Style,
    sample::reason_word,
    words::{self, SeverityStyle},
};
use crate::{
    alert::{Alert, Notification, NotifiedAlert, OmittedAlerts, Reason, route::ALERT},
    event::Instant,
    finding::{Finding, Severity},
};

/// Alerts shown in a mail's text; the attachment has all that the notification lists.
const ALERTS_SHOWN: usize = 20;
/// Findings shown of an alert.
const EVIDENCE_SHOWN: usize = 5;
/// The longest text of one field, in characters.
const TEXT_MAX: usize = 500;

/// A notification for templates. docs/notifications.md lists its fields.
#[derive(Debug, Serialize)]
pub(super) struct View {
    language: &'static str,
    reason: String,
    reason_word: &'static str,
    /// Severity and reason, for the subject.
    mark: String,
    severity: String,
    severity_word: &'static str,
    dark: &'static str,
    light: &'static str,
    title: String,
    summary: String,
    unit: String,
    group: Vec<Pair>,
    alerts: Vec<AlertView>,
    count: u64,
    ended: u64,
    not_shown: u64,
    omitted: u64,
    rules: Vec<RuleView>,
    message: Option<String>,
    /// The letter, for `Explain`.
    letter: Option<LetterView>,
    bureau: Option<String>,
    recipient: Option<String>,
    reply_to: Option<String>,
    attachment: Option<String>,
    route: String,
    notification: String,
    created_at: String,
    external_url: Option<String>,
    /// Filled in before the bodies are rendered.
    pub(super) subject: String,
    /// What is wrong with the user's templates, for the built-in ones to say.
    pub(super) trouble: Option<String>,
}

#[derive(Debug, Serialize)]
struct Pair {
    name: String,
    label: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct AlertView {
    alert_id: String,
    rule: String,
    title: String,
    severity: String,
    severity_word: &'static str,
    dark: &'static str,
    light: &'static str,
    handling: String,
    handling_word: String,
    state: &'static str,
    state_word: &'static str,
    ended: bool,
    key: Vec<Pair>,
    summary: String,
    findings: u64,
    opened_at: String,
    first_at: String,
    last_at: String,
    ended_at: Option<String>,
    owner: Option<String>,
    escalation: u32,
    /// Why no server takes the letter to its unit.
    undelivered: Option<String>,
    /// The last day for the unit's answer.
    answer_due: Option<String>,
    previous: Option<String>,
    link: Option<String>,
    evidence: Vec<EvidenceView>,
    more_evidence: u64,
}

#[derive(Debug, Serialize)]
struct EvidenceView {
    at: String,
    /// What the subject is: a voucher, an application, a span of time.
    subject_label: &'static str,
    subject: String,
    summary: String,
    finding_id: String,
    values: Vec<Pair>,
}

/// A row of the table by rule and severity.
#[derive(Debug, Serialize)]
struct RuleView {
    rule: String,
    title: String,
    severity: Severity,
    severity_word: &'static str,
    dark: &'static str,
    light: &'static str,
    alerts: u64,
    findings: u64,
    ended: u64,
}

impl View {
    pub(super) fn new(notification: &Notification, style: &Style<'_>, attachment: Option<&str>) -> Self {
        let language = style.language;
        let severity = notification.alerts.iter().map(|told| told.alert.severity).min();
        // A letter's look says nothing of how grave we take it.
        let look = SeverityStyle::of(severity.filter(|_| notification.reason != Reason::Explain));
        let reason = words::reason(notification.reason, language);
        let marks = [look.word(language), reason].into_iter().filter(|word| !word.is_empty());
        let first = notification.alerts.first();
        let message = notification.message.as_deref().map(|text| lines(text, 4 * TEXT_MAX));
        let shown = notification.alerts.len().min(ALERTS_SHOWN);
        Self {
            language: words::code(language),
            reason: reason_word(notification.reason),
            reason_word: reason,
            mark: marks.collect::<Vec<_>>().join("·"),
            severity: severity.map_or_else(String::new, |severity| severity.word().to_owned()),
            severity_word: look.word(language),
            dark: look.dark,
            light: look.light,
            title: first.map_or_else(String::new, |told| one_line(titled(&told.alert), TEXT_MAX)),
            summary: match first {
                Some(told) => one_line(&told.alert.summary, TEXT_MAX),
                None => one_line(message.as_deref().unwrap_or_default(), TEXT_MAX),
            },
            unit: unit(notification),
            group: notification
                .group
                .iter()
                // The alert is what follows.
                .filter(|(name, _)| *name != ALERT)
                .map(|(name, value)| pair(name, one_line(value, TEXT_MAX), style, notification.created_at))
                .collect(),
            alerts: notification
                .alerts
                .iter()
                .take(shown)
                .map(|told| AlertView {
                    link: alert_link(notification, told, style),
                    ..AlertView::new(told, style)
                })
                .collect(),
            count: notification.alerts.len() as u64 + notification.omitted,
            ended: notification.alerts.iter().filter(|told| told.alert.state.is_over()).count() as u64,
            not_shown: (notification.alerts.len() - shown) as u64 + notification.omitted,
            omitted: notification.omitted,
            rules: rules(notification, style),
            message,
            letter: LetterView::of(notification, style),
            bureau: style.office.bureau.as_deref().map(|text| one_line(text, TEXT_MAX)),
            recipient: notification.recipient.as_deref().map(|text| one_line(text, TEXT_MAX)),
            reply_to: style.reply_to.map(str::to_owned),
            attachment: attachment.map(str::to_owned),
            route: one_line(&notification.route, TEXT_MAX),
            notification: one_line(&notification.id, TEXT_MAX),
            created_at: time(notification.created_at, style),
            external_url: style.external_url.map(str::to_owned),
            subject: String::new(),
            trouble: None,
        }
    }
}

impl View {
    /// What it is about, where no template can say it.
    pub(super) fn line(&self) -> &str {
        if self.title.is_empty() { "fiscwatch" } else { &self.title }
    }
}

impl AlertView {
    fn new(told: &NotifiedAlert, style: &Style<'_>) -> Self {
        let alert = &told.alert;
        let look = SeverityStyle::of(Some(alert.severity));
        let text = |text: &str| one_line(text, TEXT_MAX);
        let shown = told.evidence.len().min(EVIDENCE_SHOWN);
        Self {
            alert_id: text(&alert.alert_id),
            rule: text(&alert.rule_id),
            title: text(titled(alert)),
            severity: text(alert.severity.word()),
            severity_word: look.word(style.language),
            dark: look.dark,
            light: look.light,
            handling: text(alert.handling.word()),
            handling_word: text(&words::advice(alert.handling, alert.event_type.as_deref(), style.language)),
            state: alert.state.word(),
            state_word: words::state(alert.state, style.language),
            ended: alert.state.is_over(),
            key: pairs(&alert.key, style, alert.last_at),
            summary: text(&alert.summary),
            findings: alert.findings,
            opened_at: time(alert.opened_at, style),
            first_at: time(alert.first_at, style),
            last_at: time(alert.last_at, style),
            ended_at: alert.ended_at.map(|at| time(at, style)),
            owner: alert.owner.as_deref().map(text),
            escalation: alert.escalation,
            undelivered: alert.inquiry.as_ref().and_then(|letter| letter.undelivered.as_deref()).map(text),
            answer_due: alert.inquiry.as_ref().and_then(|letter| letter.due.as_deref()).map(text),
            previous: alert.previous.as_deref().map(text),
            link: None,
            evidence: told.evidence.iter().take(shown).map(|f| EvidenceView::new(f, alert, style)).collect(),
            more_evidence: alert.findings.saturating_sub(shown as u64),
        }
    }
}

impl EvidenceView {
    fn new(finding: &Finding, alert: &Alert, style: &Style<'_>) -> Self {
        let subject_label = match &finding.event_id {
            // A finding may tell its own type, where an alert is about several.
            Some(_) => {
                let own = finding.values.get("type").and_then(Value::as_str);
                words::document(own.or(alert.event_type.as_deref()), style.language)
            }
            None => words::period(style.language),
        };
        let subject = match (&finding.event_id, &finding.window) {
            (Some(event), _) => one_line(event, TEXT_MAX),
            (None, Some(window)) => format!("{} – {}", local(&window.start), local(&window.end)),
            (None, None) => String::new(),
        };
        Self {
            at: local(&finding.at),
            subject_label,
            subject,
            summary: one_line(&finding.summary, TEXT_MAX),
            finding_id: one_line(&finding.finding_id, TEXT_MAX),
            values: pairs(&finding.values, style, alert.last_at),
        }
    }
}

/// A time of a finding without its zone, as all times are local.
pub(super) fn local(time: &str) -> String {
    time.replace('T', " ").chars().take(19).collect()
}

/// The unit that is asked to explain gets a link to answer by, and no other.
fn alert_link(notification: &Notification, told: &NotifiedAlert, style: &Style<'_>) -> Option<String> {
    if notification.reason == Reason::Explain {
        return style.links.and_then(|links| links.of(&told.alert));
    }
    style.external_url.map(|url| link(url, &told.alert.alert_id))
}

/// Where people look at an alert: its page in the console.
#[must_use]
pub(crate) fn link(external_url: &str, alert_id: &str) -> String {
    let id: String = alert_id.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{external_url}/alerts/{id}")
}

/// What an alert is called: by its rule, where that has no title.
fn titled(alert: &Alert) -> &str {
    if alert.title.is_empty() { &alert.rule_id } else { &alert.title }
}

/// What all alerts of a notification are, also of those that it does not list.
fn rules(notification: &Notification, style: &Style<'_>) -> Vec<RuleView> {
    let listed: Vec<&Alert> = notification.alerts.iter().map(|told| &told.alert).collect();
    let mut rows: Vec<RuleView> = Vec::new();
    for of in OmittedAlerts::of(&listed).iter().chain(&notification.omitted_by_rule) {
        let known = rows.iter().position(|row| row.rule == of.rule_id && row.severity == of.severity);
        let at = known.unwrap_or_else(|| {
            rows.push(RuleView::of(of, style));
            rows.len() - 1
        });
        rows[at].alerts += of.alerts;
        rows[at].findings += of.findings;
        rows[at].ended += of.ended;
    }
    rows.sort_by_key(|row| (row.severity, std::cmp::Reverse(row.alerts), row.rule.clone()));
    rows
}

impl RuleView {
    /// A row that counts nothing yet.
    fn of(of: &OmittedAlerts, style: &Style<'_>) -> Self {
        let look = SeverityStyle::of(Some(of.severity));
        Self {
            rule: of.rule_id.clone(),
            title: one_line(&of.title, TEXT_MAX),
            severity: of.severity,
            severity_word: look.word(style.language),
            dark: look.dark,
            light: look.light,
            alerts: 0,
            findings: 0,
            ended: 0,
        }
    }
}

/// Where a finding names its unit. A confirmation has the name from the payment that it is about.
const UNIT_NAMES: [&str; 2] = ["unit_name", "original.unit_name"];

/// The unit that a notification is about: its name where a finding tells it, else its code.
fn unit(notification: &Notification) -> String {
    let mut evidence = notification.alerts.iter().flat_map(|told| &told.evidence);
    let named = |finding: &Finding| {
        let names = UNIT_NAMES.iter().filter_map(|column| finding.values.get(*column)?.as_str());
        names.map(str::to_owned).find(|name| !name.is_empty())
    };
    let name = evidence.find_map(named);
    let first = notification.alerts.first();
    let code = notification.group.first("unit_code");
    let code = code.or_else(|| first.and_then(|told| told.alert.labels.first("unit_code")));
    one_line(name.as_deref().or(code).unwrap_or_default(), TEXT_MAX)
}

fn pairs(values: &Map<String, Value>, style: &Style<'_>, at: Instant) -> Vec<Pair> {
    let text = |value: &Value| match value {
        Value::String(text) => one_line(text, TEXT_MAX),
        other => one_line(&other.to_string(), TEXT_MAX),
    };
    values
        .iter()
        .filter(|(_, v)| !v.is_null())
        .map(|(name, value)| pair(name, text(value), style, at))
        .collect()
}

/// A value with the name of its column; beside a code stands what it is called.
fn pair(name: &str, value: String, style: &Style<'_>, at: Instant) -> Pair {
    let name = one_line(name, TEXT_MAX);
    let called = style.names.and_then(|names| names.code_name(&name, &value, at));
    let value = match called {
        Some(called) => format!("{value} {}", one_line(called, TEXT_MAX)),
        None => value,
    };
    Pair { label: words::column(&name, style.language).to_owned(), name, value }
}

fn time(at: Instant, style: &Style<'_>) -> String {
    style.calendar.local(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// One line of at most so many characters: no line ends and controls, no invisible characters, and none that turn the
/// direction of text.
#[must_use]
pub(crate) fn one_line(text: &str, characters_max: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line: String = words.collect::<Vec<_>>().join(" ").chars().filter(|c| !is_deceptive(*c)).collect();
    bound(line, characters_max)
}

/// The same for a text of several lines.
pub(super) fn lines(text: &str, characters_max: usize) -> String {
    let lines: Vec<_> = text.lines().map(|line| one_line(line, characters_max)).collect();
    bound(lines.join("\n"), characters_max)
}

fn bound(text: String, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        None => text,
        Some(_) => text.chars().take(characters_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Characters that nobody sees, or that make text read differently from what it is.
fn is_deceptive(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{notify::sample::sample, rule::Language};

    #[test]
    fn a_line_is_one_line_without_tricks() {
        assert_eq!(one_line("a\r\nBcc: x@y\0\u{85}\u{2028}b", 100), "a Bcc: x@y b");
        assert_eq!(one_line("in\u{202e}fdp.exe\u{2069}\u{200b}\u{feff}", 100), "infdp.exe");
        assert_eq!(one_line("  一二三四五 ", 4), "一二三…");
        assert_eq!(one_line("一二三四", 4), "一二三四");
        assert_eq!(lines("a\nb\rc", 100), "a\nb c");
    }

    #[test]
    fn a_unit_is_named_by_the_payment_where_the_event_does_not_name_it() {
        let mut notification = sample(Reason::First, Language::Zh);
        let named = |notification: &mut Notification, names: &[(&str, &str)]| {
            let evidence = notification.alerts.iter_mut().flat_map(|told| &mut told.evidence);
            evidence.for_each(|finding| {
                finding.values =
                    names.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            });
            unit(notification)
        };
        assert_eq!(
            named(&mut notification, &[("unit_name", ""), ("original.unit_name", "市二中")]),
            "市二中"
        );
        assert_eq!(
            named(&mut notification, &[("unit_name", "市一中"), ("original.unit_name", "市二中")]),
            "市一中"
        );
        assert_eq!(named(&mut notification, &[]), "101001");
    }

    #[test]
    fn a_link_takes_nothing_but_the_id() {
        assert_eq!(link("https://f", "ab12/../\"x"), "https://f/alerts/ab12x");
    }
}
