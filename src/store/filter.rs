//! Which alerts and findings a list has: one set of conditions for both, and for the API and the command line.

use jiff::civil::Date;

use crate::{
    access::Limits,
    alert::{CaseOutcome, State, inquiry::Stage},
    event::{
        Cents, Instant, TimeDelta, duration,
        money::{MoneyError, parse_amount},
        pattern,
        time::{Calendar, TimeError},
    },
    rule::{Handling, Severity},
    say,
};

/// Which alerts or findings to list. What is said of alerts holds for findings by the alert they are in, and the other
/// way round: an alert is listed if one of its findings is meant.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CaseFilter {
    /// Only alerts in this state (`open`, `acknowledged`, `confirmed`, `rectifying`, `closed`, `dismissed`, `resolved`), or
    /// `active` for those that are not over. Here and below, several values are parted by commas.
    pub state: Option<String>,
    /// Only alerts that this officer has taken on; `-` for those that nobody has.
    pub owner: Option<String>,
    /// Only alerts whose letter to the unit has come so far: `draft`, `sent`, `answered` or `withdrawn`.
    pub inquiry: Option<String>,
    /// Only alerts that are not over although their last day is (`true`), or the others (`false`).
    pub past_due: Option<bool>,
    /// Only alerts that wait for a second officer (`true`), or the others (`false`).
    pub review: Option<bool>,
    /// Only alerts that were closed with this outcome: `money_returned`, `documents_supplied`, `budget_adjusted`,
    /// `handed_to_audit`, `handed_to_discipline` or `no_fault`.
    pub outcome: Option<String>,
    /// Only alerts of which a remark names this officer, by `@name`.
    pub mentions: Option<String>,
    /// Only of this severity: `critical`, `high`, `medium` or `low`.
    pub severity: Option<String>,
    /// Only of this rule, by its id.
    pub rule: Option<String>,
    /// Only alerts whose rule advises this: `block`, `explain`, `warn`, `remind` or `record`.
    pub handling: Option<String>,
    /// Only alerts of this region (`region_code`), or of those that begin so: `3301*`.
    pub region: Option<String>,
    /// Only of this unit (`unit_code`), or of those that begin so: `101*`.
    pub unit: Option<String>,
    /// Only of this budget line (`budget_line_id`).
    pub line: Option<String>,
    /// Only where a finding names this payee, or a part of its name or account.
    pub payee: Option<String>,
    /// Only findings about this event.
    pub event: Option<String>,
    /// Only events from this time on: a local date, or RFC 3339.
    pub from: Option<String>,
    /// Only events before this time; a date counts whole.
    pub to: Option<String>,
    /// Only events of so long a time before now, such as `7d` or `24h`.
    pub since: Option<String>,
    /// Only alerts opened within so long a time before now, by the clock.
    pub opened_since: Option<String>,
    /// Only alerts opened from this time on, by the clock: a local date, or RFC 3339.
    pub opened_from: Option<String>,
    /// Only alerts opened before this time; a date counts whole.
    pub opened_to: Option<String>,
    /// Only findings whose `amount`, or whose window's `total`, is at least this.
    pub min_amount: Option<String>,
    /// Only findings whose `amount`, or whose window's `total`, is at most this.
    pub max_amount: Option<String>,
    /// Only where the rule's title or the summary has this text.
    pub text: Option<String>,
    /// Only alerts with all of these words, parted by blanks, in title, summary, labels, or the id of rule or alert.
    pub q: Option<String>,
    /// What comes first: `newest` (default), `occurred` for the latest event, `severity`, and for alerts `findings`,
    /// `changed`, `oldest`, `due` for the one that is escalated next, `last_day` for the one whose last day is next,
    /// `amount`, or `worth` for what is most worth an officer's time (docs/alerts.md).
    pub sort: Option<String>,
    /// Whether to say how many there are.
    #[serde(default)]
    pub totals: bool,
    /// Only those after this one in the list: the `next` of the page before.
    pub before: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// The filter for alerts that are not over.
pub const ACTIVE: &str = "active";
/// The word for alerts in any state.
pub const ANY: &str = "all";
/// The orders of lists.
pub const SORTS: [&str; 10] =
    ["newest", "occurred", "severity", "findings", "changed", "oldest", "due", "last_day", "amount", "worth"];
/// The filter for alerts that nobody has taken on.
pub(crate) const NOBODY: &str = "-";

/// A filter whose words were understood.
#[derive(Debug, Clone, Default)]
pub struct CaseQuery {
    pub(crate) filter: CaseFilter,
    pub(super) now: Instant,
    pub(super) from: Option<Instant>,
    pub(super) to: Option<Instant>,
    pub(super) opened_from: Option<Instant>,
    pub(super) opened_to: Option<Instant>,
    pub(super) least: Option<Cents>,
    pub(super) most: Option<Cents>,
    pub(super) limits: Limits,
}

impl CaseFilter {
    /// Understands the words of a filter, as they are meant `now`.
    ///
    /// # Errors
    /// What is wrong with one that would find nothing, ever.
    pub fn understood(mut self, calendar: &Calendar, now: Instant) -> Result<CaseQuery, String> {
        self.state = self.state.filter(|states| !pattern::words(states).any(|state| state == ANY));
        for state in
            self.state.iter().flat_map(|states| pattern::words(states)).filter(|state| *state != ACTIVE)
        {
            state.parse::<State>().map_err(|error| say!("state: {error}, or active, or all", error))?;
        }
        let severities: Vec<_> = Severity::WORDS.iter().map(|(word, _)| *word).collect();
        known("severity", self.severity.as_deref(), &severities)?;
        let handlings: Vec<_> = Handling::WORDS.iter().map(|(word, _)| *word).collect();
        known("handling", self.handling.as_deref(), &handlings)?;
        let stages = [Stage::Draft, Stage::Sent, Stage::Answered, Stage::Withdrawn].map(Stage::word);
        known("inquiry", self.inquiry.as_deref(), &stages)?;
        let outcomes: Vec<_> = CaseOutcome::ALL.iter().map(|(_, word, _)| *word).collect();
        known("outcome", self.outcome.as_deref(), &outcomes)?;
        known("sort", self.sort.as_deref(), &SORTS)?;
        if self.from.is_some() && self.since.is_some() {
            return Err(say!("from and since are both a beginning: give one of them"));
        }
        if self.opened_from.is_some() && self.opened_since.is_some() {
            return Err(say!("opened_from and opened_since are both a beginning: give one of them"));
        }
        let ago = |name: &str, span: &Option<String>| {
            let back = |span: &String| {
                let length = duration(span).map_err(|error| say!("{name}: {error}", name, error))?;
                Ok::<_, String>(now.saturating_sub(TimeDelta::of(length)))
            };
            span.as_ref().map(back).transpose()
        };
        let from = self.from.as_ref().map(|text| instant("from", text, calendar)).transpose()?;
        let opened_from =
            self.opened_from.as_ref().map(|text| instant("opened_from", text, calendar)).transpose()?;
        Ok(CaseQuery {
            now,
            from: from.or(ago("since", &self.since)?),
            to: self.to.as_ref().map(|text| end("to", text, calendar)).transpose()?,
            opened_from: opened_from.or(ago("opened_since", &self.opened_since)?),
            opened_to: self.opened_to.as_ref().map(|text| end("opened_to", text, calendar)).transpose()?,
            least: self.min_amount.as_ref().map(|text| cents("min_amount", text)).transpose()?,
            most: self.max_amount.as_ref().map(|text| cents("max_amount", text)).transpose()?,
            limits: Limits::default(),
            filter: self,
        })
    }
}

fn known(name: &str, given: Option<&str>, words: &[&str]) -> Result<(), String> {
    match given.into_iter().flat_map(pattern::words).find(|word| !words.contains(word)) {
        Some(word) => {
            let word = format!("{word:?}");
            Err(say!("{name}: {word} is none of {words}", name, word, words = words.join(", ")))
        }
        None => Ok(()),
    }
}

/// A time.
///
/// # Errors
/// What is wrong with it; `name` is what it is given as.
pub(crate) fn instant(name: &str, text: &str, calendar: &Calendar) -> Result<Instant, String> {
    let wrong = |error: TimeError| {
        say!(
            "{name}: {text} is no time ({error}): write a date such as 2026-03-01, or 2026-03-01T08:00:00+08:00",
            name,
            text = format!("{text:?}"),
            error
        )
    };
    calendar.parse(text).map_err(wrong)
}

/// The first instant after a time that is meant whole, if it is a date.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn end(name: &str, text: &str, calendar: &Calendar) -> Result<Instant, String> {
    let day = text.parse::<Date>().ok().filter(|_| text.len() == "2026-03-01".len());
    match day.and_then(|day| day.tomorrow().ok()) {
        Some(next) => instant(name, &next.to_string(), calendar),
        None => instant(name, text, calendar),
    }
}

/// Cents of an amount; the separators that lists show may stay in it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn cents(name: &str, text: &str) -> Result<Cents, String> {
    let digits = text.replace(',', "");
    if digits == "0" {
        return Ok(Cents::ZERO);
    }
    let wrong = |error: MoneyError| {
        say!("{name}: {text} is no amount: {error}", name, text = format!("{text:?}"), error)
    };
    parse_amount(&digits).map_err(wrong)
}
