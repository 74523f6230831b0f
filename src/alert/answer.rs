//! 答复: what becomes of a letter that went out. The unit answers by its link, nobody answers in time, or no server takes
//! the letter.

use super::{
    Action, Alert, Desk, State,
    case::{ChangeFacts, FileFact},
    desk::{AlertUpdate, EntryTopic, Refusal, reason},
    inquiry::Stage,
};
use crate::{event::Instant, say};

/// What a unit sends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InquiryAnswer {
    pub(crate) text: String,
    /// Who wrote them, as they call themselves.
    pub name: String,
    /// Its files, which are stored.
    pub files: Vec<FileFact>,
}

/// The longest name that somebody who answers gives, in characters.
const NAME_MAX: usize = 40;

impl Desk {
    /// Takes an answer to the history of its alert.
    ///
    /// # Errors
    /// If there is nothing in it, it is too long, or the alert is over.
    pub fn answer(
        &self,
        mut alert: Alert,
        answer: &InquiryAnswer,
        now: Instant,
    ) -> Result<AlertUpdate, Refusal> {
        let text = reason(&answer.text).map_err(Refusal::Missing)?;
        if text.is_empty() && answer.files.is_empty() {
            return Err(Refusal::Missing(say!("write an explanation, or add a file: the answer is empty")));
        }
        let state = alert.state.after(Action::Answer).map_err(Refusal::State)?;
        let Some(letter) = alert.inquiry.as_mut().filter(|letter| letter.stage != Stage::Draft) else {
            return Err(Refusal::State(say!("the unit was not asked")));
        };
        (letter.stage, letter.answered_at) = (Stage::Answered, Some(now));
        let who = respondent(&alert, &answer.name).map_err(Refusal::Missing)?;
        let facts = ChangeFacts { files: answer.files.clone(), ..ChangeFacts::default() };
        let why = Some(text.as_str()).filter(|text| !text.is_empty());
        let mut step = self.told(alert, state, (Action::Answer, (&who, why)), facts, now);
        // Whoever asked waits for it; where nobody knows how to reach them, those who know of the alert are told.
        step.entries.extend(match self.for_officer(&step.alert, EntryTopic::Answered) {
            Some(entry) => vec![entry],
            None => self.entries(&step.alert, EntryTopic::Answered, now),
        });
        Ok(step)
    }

    /// Adds an officer's file to the history.
    ///
    /// # Errors
    /// If the alert is over.
    pub fn attach(
        &self,
        alert: Alert,
        who: &str,
        file: FileFact,
        now: Instant,
    ) -> Result<AlertUpdate, Refusal> {
        let state = alert.state.after(Action::Attach).map_err(Refusal::State)?;
        let facts = ChangeFacts { files: vec![file], ..ChangeFacts::default() };
        Ok(self.told(alert, state, (Action::Attach, (who, None)), facts, now))
    }

    /// Takes the link of a letter back.
    pub(super) fn revoke(
        &self,
        mut alert: Alert,
        by: (&str, Option<&str>),
        now: Instant,
    ) -> Result<AlertUpdate, Refusal> {
        let state = alert.state.after(Action::Revoke).map_err(Refusal::State)?;
        let Some(letter) = alert.inquiry.as_mut().filter(|letter| letter.linked) else {
            return Err(Refusal::State(say!("no link is out by which the unit could answer")));
        };
        letter.linked = false;
        Ok(self.told(alert, state, (Action::Revoke, by), ChangeFacts::default(), now))
    }

    /// When it is to be told that a letter failed: at once if no server takes it, and after its last day if nobody answers.
    /// What is answered by mail fiscwatch does not see: a letter without a link is not waited for, and nor is one whose case
    /// has gone on.
    pub(super) fn letter_fails_at(&self, alert: &Alert) -> Option<Instant> {
        let letter = alert.inquiry.as_ref().filter(|letter| letter.stage == Stage::Sent)?;
        if letter.failure_told || alert.state.is_over() {
            return None;
        }
        if letter.undelivered.is_some() {
            return Some(letter.at);
        }
        let waits = letter.linked && matches!(alert.state, State::Open | State::Acknowledged);
        letter.due.as_ref().filter(|_| waits)?;
        let next = letter.due.as_deref()?.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
        self.policy.calendar.start_of_day(next).ok()
    }

    /// What an escalation tells of a letter, if that is what it is about.
    pub(super) fn tell_of_letter(&self, alert: &mut Alert, now: Instant) -> Option<(Action, Option<String>)> {
        self.letter_fails_at(alert).filter(|at| *at <= now)?;
        let letter = alert.inquiry.as_mut()?;
        letter.failure_told = true;
        Some(match &letter.undelivered {
            Some(why) => (Action::Undelivered, Some(why.clone())),
            None => (Action::Unanswered, letter.due.clone()),
        })
    }

    /// No server takes an alert's letter: the next round escalates that.
    #[must_use]
    pub fn undelivered(mut alert: Alert, why: &str, now: Instant) -> Option<AlertUpdate> {
        let letter = alert.inquiry.as_mut().filter(|letter| letter.stage == Stage::Sent)?;
        (letter.undelivered, letter.failure_told) = (Some(why.to_owned()), false);
        alert.changed_at = now;
        alert.version += 1;
        alert.escalates_at = Some(now).filter(|_| !alert.state.is_over());
        Some(AlertUpdate { alert, change: None, entries: Vec::new() })
    }

    /// A letter that was refused went out after all, when somebody had it tried again.
    #[must_use]
    pub fn delivered(mut alert: Alert, now: Instant) -> Option<AlertUpdate> {
        alert.inquiry.as_mut().and_then(|letter| letter.undelivered.take())?;
        alert.changed_at = now;
        alert.version += 1;
        Some(AlertUpdate { alert, change: None, entries: Vec::new() })
    }
}

/// The name in the history of whoever answers: nobody knows more than that they had the link.
fn respondent(alert: &Alert, name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(say!("give a name of {most} characters at most, in one line", most = NAME_MAX));
    }
    let unit: String = alert.labels.first("unit_code").unwrap_or_default().chars().take(40).collect();
    Ok(match name.is_empty() {
        true => format!("unit:{unit}"),
        false => format!("unit:{unit} ({name})"),
    })
}
