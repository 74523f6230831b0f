//! 询问函: the letter that asks a unit to explain. A rule with handling `explain` makes a draft, an officer sends it, and
//! a draft is withdrawn when its alert ends.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    Action, Alert, BY_ITSELF, Desk, Labels,
    case::is_false,
    casework::Terms,
    desk::{AlertUpdate, EntryDue, EntryTopic, Order, OutboxEntry, Refusal},
    policy::Explain,
    route::ALERT,
};
use crate::{
    event::{Instant, TimeDelta, time::Calendar},
    finding::Handling,
    lists::Lists,
    say,
    sql::functions::{HOLIDAYS, Workdays},
};

/// How far a letter has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// 草稿: nobody has sent it.
    Draft,
    /// 已发出
    Sent,
    /// 已答复: the unit answered by its link.
    Answered,
    /// 已撤回: its alert ended before anybody sent it.
    Withdrawn,
}

impl Stage {
    /// The word in the API and the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A letter that asks a unit to explain an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquiry {
    /// How far it has come.
    pub stage: Stage,
    /// When it came there.
    pub at: Instant,
    /// The officer who sent the letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The last day for the answer, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// What the officer adds to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether it has a link by which the unit can answer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub linked: bool,
    /// When the unit answered last by its link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Instant>,
    /// Why it was refused for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<String>,
    /// Whether that it was refused, or that nobody answered, was told.
    #[serde(default, skip_serializing_if = "is_false")]
    pub failure_told: bool,
}

impl Inquiry {
    /// A letter that has just come to a stage.
    pub(crate) const fn at(stage: Stage, at: Instant) -> Self {
        let (by, due, note, linked) = (None, None, None, false);
        Self { stage, at, by, due, note, linked, answered_at: None, undelivered: None, failure_told: false }
    }
}

/// What an officer says of a letter that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The last day for the answer.
    pub due: Date,
    /// Whether a unit that was asked already is asked again.
    pub again: bool,
}

/// The longest deadline, in workdays.
pub const DEADLINE_MAX: u16 = 60;

/// The deadline of a letter whose officer names none, in workdays.
pub const DEADLINE: u16 = 5;

/// Whether a letter has gone out.
const fn is_out(stage: Stage) -> bool {
    matches!(stage, Stage::Sent | Stage::Answered)
}

/// Checks a deadline in workdays.
///
/// # Errors
/// If it is none, or too long.
pub fn check_deadline(workdays: u16) -> Result<u16, String> {
    match (1..=DEADLINE_MAX).contains(&workdays) {
        true => Ok(workdays),
        false => Err(say!(
            "the deadline is {workdays} workdays, but must be from 1 to {most}",
            workdays,
            most = DEADLINE_MAX
        )),
    }
}

/// The workday that is so many workdays after today, by the list of holidays.
#[must_use]
pub fn due(now: Instant, workdays: u16, calendar: &Calendar, lists: &Lists) -> Date {
    let known = Workdays::new(lists.get(HOLIDAYS).map(AsRef::as_ref));
    known.after(calendar.local(now).date(), workdays)
}

/// Where the letter to an alert's unit goes: the address in the list of contacts.
///
/// # Errors
/// What is missing: the settings, the unit, or its contact.
pub fn contact(labels: &Labels, explain: Option<&Explain>, lists: &Lists) -> Result<String, Unreachable> {
    let explain = explain.ok_or(Unreachable::NotConfigured)?;
    let unit = labels.first("unit_code").ok_or(Unreachable::NoUnit)?;
    let address = lists.get(&explain.list).and_then(|list| {
        let (column, _) = list.column(&explain.column)?;
        list.value(unit, column)
    });
    let nobody = || Unreachable::NoContact { unit: unit.to_owned(), list: explain.list.clone() };
    address.map(str::to_owned).ok_or_else(nobody)
}

/// Why no letter can go to an alert's unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreachable {
    /// Nobody said how letters are sent.
    NotConfigured,
    /// The alert is not about one unit.
    NoUnit,
    /// The list has no address.
    NoContact {
        /// The code of the unit that has no address.
        unit: String,
        /// The list of contacts.
        list: String,
    },
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::NotConfigured => say!(
                "letters cannot be sent yet: name the mail sink and the list of the units' contacts under `alerts.explain` in the configuration"
            ),
            Self::NoUnit => say!("the alert is not about one unit, so there is nobody to write to"),
            Self::NoContact { unit, list } => say!(
                "no contact is listed for unit {unit}: add its address to the list {list}, then send the letter",
                unit,
                list
            ),
        })
    }
}

impl From<Unreachable> for Refusal {
    fn from(why: Unreachable) -> Self {
        Self::Missing(why.to_string())
    }
}

impl Desk {
    /// The draft of a new alert, if its unit is to explain.
    pub(super) fn draft(alert: &Alert, now: Instant) -> Option<Inquiry> {
        let asked = alert.handling == Handling::Explain && alert.labels.first("unit_code").is_some();
        asked.then_some(Inquiry::at(Stage::Draft, now))
    }

    /// The entry by which a new draft goes out without an officer, where a route says so.
    pub(super) fn send_by_itself(&self, alert: &Alert) -> Option<OutboxEntry> {
        alert.inquiry.as_ref()?;
        let routes = self.policy.routes.as_ref()?.select(&alert.labels);
        let unit = alert.labels.first("unit_code").filter(|_| routes.iter().any(|r| r.send_letters))?;
        let mut group = Labels::default();
        group.set("unit_code", unit);
        self.letter(group, EntryDue::Group { first: TimeDelta::MINUTE, next: TimeDelta::HOUR })
    }

    /// The entry of a letter that an officer sends: it goes out by itself and at once.
    pub(super) fn letter_of(&self, alert: &Alert, now: Instant) -> Option<OutboxEntry> {
        let mut group = Labels::default();
        group.set("unit_code", alert.labels.first("unit_code")?);
        group.set(ALERT, &alert.alert_id);
        self.letter(group, EntryDue::Until(now))
    }

    fn letter(&self, group: Labels, wait: EntryDue) -> Option<OutboxEntry> {
        let sink = self.policy.explain.as_ref()?.sink.clone();
        let route = String::from("alerts.explain");
        Some(OutboxEntry { matter: EntryTopic::Explain, route, sink, recipient: None, group, wait })
    }

    /// Sends an alert's letter: whoever does takes the alert on.
    pub(super) fn inquire(
        &self,
        mut alert: Alert,
        (who, note): (&str, Option<&str>),
        letter: &Letter,
        now: Instant,
    ) -> Result<AlertUpdate, Refusal> {
        let sent = alert.inquiry.as_ref().filter(|known| is_out(known.stage) && !letter.again);
        if let Some(Inquiry { by, at, due, .. }) = sent {
            return Err(Refusal::State(say!(
                "{by} asked the unit on {day}, and its answer is due on {due}; to ask once more, say so: --again, or `again` in a request",
                by = by.as_deref().unwrap_or(BY_ITSELF),
                day = self.policy.calendar.local(*at).date(),
                due = due.as_deref().unwrap_or("–")
            )));
        }
        let state = alert.state.after(Action::Inquire).map_err(Refusal::State)?;
        if who != BY_ITSELF && alert.acknowledged_at.is_none() {
            alert.owner = Some(who.to_owned());
            alert.acknowledged_at = Some(now);
        }
        let state = if who == BY_ITSELF { alert.state } else { state };
        alert.inquiry = Some(Inquiry {
            by: Some(who.to_owned()),
            due: Some(letter.due.to_string()),
            note: note.map(str::to_owned),
            linked: self.policy.explain.as_ref().is_some_and(|explain| explain.answer_url.is_some()),
            ..Inquiry::at(Stage::Sent, now)
        });
        let mut step = self.moved(alert, state, (Action::Inquire, who, note), now);
        if who != BY_ITSELF {
            step.entries.extend(self.letter_of(&step.alert, now));
        }
        Ok(step)
    }

    /// Sends a draft without an officer.
    ///
    /// # Errors
    /// If it is no draft any more.
    pub fn inquire_by_itself(&self, alert: Alert, due: Date, now: Instant) -> Result<AlertUpdate, Refusal> {
        match alert.inquiry.as_ref().map(|known| known.stage) {
            Some(Stage::Draft) => self.inquire(alert, (BY_ITSELF, None), &Letter { due, again: false }, now),
            _ => Err(Refusal::State(say!("the letter is no draft any more"))),
        }
    }
}

/// An officer's order to send a letter, if the unit can be reached.
///
/// # Errors
/// What is missing.
pub fn order(
    alert: &Alert,
    desk: &Desk,
    lists: &Lists,
    (who, note, version): (String, Option<String>, Option<i64>),
    (workdays, again): (Option<u16>, bool),
    now: Instant,
) -> Result<Order, Refusal> {
    let policy = &desk.policy;
    contact(&alert.labels, policy.explain.as_ref(), lists)?;
    let usual = policy.explain.as_ref().map_or(DEADLINE, |explain| explain.deadline);
    let workdays = check_deadline(workdays.unwrap_or(usual)).map_err(Refusal::Missing)?;
    let due = due(now, workdays, &policy.calendar, lists);
    let (letter, terms) = (Some(Letter { due, again }), Terms::default());
    Ok(Order { action: Action::Inquire, who, why: note, version, letter, terms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::List;

    #[test]
    fn a_deadline_passes_over_weekends_and_holidays_and_counts_days_made_up() {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let mut lists = Lists::default();
        let rows: &[&[&str]] = &[
            &["2026-02-16", "holiday"],
            &["2026-02-17", "holiday"],
            &["2026-02-18", "holiday"],
            &["2026-02-14", "workday"],
        ];
        lists.insert(HOLIDAYS, List::of(&["date", "kind"], rows));
        // Thursday 12 February 2026, 23:30 in China, which is the day before in UTC.
        let now = calendar.parse("2026-02-12T23:30:00+08:00").unwrap();
        let due = |days, lists: &Lists| due(now, days, &calendar, lists).to_string();
        assert_eq!(due(1, &lists), "2026-02-13");
        assert_eq!(due(2, &lists), "2026-02-14", "a Saturday that is worked");
        assert_eq!(due(3, &lists), "2026-02-19", "after the holidays");
        assert_eq!(due(3, &Lists::default()), "2026-02-17", "weekends alone");
        assert!(check_deadline(0).is_err() && check_deadline(DEADLINE_MAX + 1).is_err());
    }
}
