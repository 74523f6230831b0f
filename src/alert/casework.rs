//! What officers do with a case beside moving it on: give it to somebody, set its day, have a second officer decide,
//! close it with an outcome, and join it with another. Pure, like the rest of the desk.

use jiff::civil::Date;

use super::{
    Action, Alert, Desk, HistoryEntry, State,
    case::{CaseOutcome, ChangeFacts, Review, check_outcome, mentions},
    desk::{AlertUpdate, Order, Refusal, name},
    policy::BySeverity,
};
use crate::{
    event::{Cents, Instant, money::format_cents, normal_name},
    say,
};

/// What an order says beside what, who and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Who is to have it, for [`Action::Assign`]; `-` for nobody.
    pub to: Option<String>,
    /// The last day, for [`Action::Postpone`].
    pub due: Option<Date>,
    /// What came of it, for [`Action::Close`].
    pub outcome: Option<CaseOutcome>,
    /// What the outcome recovered or put right, in cents.
    pub amount: Option<Cents>,
    /// The alert that goes on with it, for [`Action::Merge`].
    pub into: Option<String>,
}

/// Whoever has an alert that nobody has.
pub const NOBODY: &str = "-";
/// How far the last day can be put off, in days.
const DUE_DAYS_MAX: i32 = 366;
/// The most alerts that one goes on with.
const MERGED_MAX: usize = 100;

impl Terms {
    /// Terms of another action are a mistake of whoever orders.
    pub(super) fn check(&self, action: Action) -> Result<(), Refusal> {
        let belongs = [
            ("to", self.to.is_some(), Action::Assign),
            ("due", self.due.is_some(), Action::Postpone),
            ("outcome", self.outcome.is_some(), Action::Close),
            ("amount", self.amount.is_some(), Action::Close),
            ("into", self.into.is_some(), Action::Merge),
        ];
        match belongs.iter().find(|(_, given, of)| *given && *of != action) {
            Some((term, _, of)) => Err(Refusal::Missing(say!(
                "`{term}` goes with {of}, not with {action}",
                term,
                of = of.shown(),
                action = action.shown()
            ))),
            None => Ok(()),
        }
    }
}

/// Who does something, and why.
type By<'b> = (&'b str, Option<&'b str>);

impl Desk {
    /// Carries out what only concerns one case, or says that it is none of these.
    pub(super) fn casework(
        &self,
        alert: &Alert,
        order: &Order,
        by: By<'_>,
        now: Instant,
    ) -> Option<Result<AlertUpdate, Refusal>> {
        let alert = || alert.clone();
        Some(match order.action {
            Action::Assign => self.assign(alert(), by, order.terms.to.as_deref(), now),
            Action::Postpone => self.postpone(alert(), by, order.terms.due, now),
            Action::Approve => self.approve(alert(), by, now),
            Action::Return => self.give_back(alert(), by, now),
            Action::Withdraw => self.withdraw(alert(), by, now),
            Action::Revoke => self.revoke(alert(), by, now),
            Action::Comment => self.comment(alert(), by, now),
            Action::Close => self.close(alert(), by, (order.terms.outcome, order.terms.amount), now),
            Action::Dismiss if self.policy.reviews.dismiss.get(alert().severity) => {
                let review = Review {
                    action: Action::Dismiss,
                    by: by.0.to_owned(),
                    at: now,
                    why: by.1.unwrap_or_default().to_owned(),
                    outcome: None,
                    amount: None,
                };
                self.propose(alert(), review, now)
            }
            Action::Merge => Err(Refusal::Missing(say!("say which alert goes on with it: `into`"))),
            _ => return None,
        })
    }

    /// While something waits for a second officer, the case does not go on.
    pub(super) fn check_review(&self, alert: &Alert, action: Action) -> Result<(), Refusal> {
        let Some(Review { action: proposed, by, at, .. }) = &alert.case.review else { return Ok(()) };
        let goes_on = [
            Action::Comment,
            Action::Assign,
            Action::Postpone,
            Action::Approve,
            Action::Return,
            Action::Withdraw,
            Action::Revoke,
        ];
        match goes_on.contains(&action) {
            true => Ok(()),
            false => Err(Refusal::State(say!(
                "{by} proposed on {day}: {proposed}; a second officer decides that first, or {by} withdraws it",
                by,
                day = self.policy.calendar.local(*at).date(),
                proposed = proposed.shown()
            ))),
        }
    }

    fn assign(
        &self,
        mut alert: Alert,
        by: By<'_>,
        to: Option<&str>,
        now: Instant,
    ) -> Result<AlertUpdate, Refusal> {
        let missing = || say!("say who is to have it: `to`, or {nobody} for nobody", nobody = NOBODY);
        let to = to.ok_or_else(|| Refusal::Missing(missing()))?;
        let to = match to.trim() {
            NOBODY => None,
            to => Some(name(to).map_err(Refusal::Missing)?.to_owned()),
        };
        let state = alert.state.after(Action::Assign).map_err(Refusal::State)?;
        if alert.owner == to {
            return Err(Refusal::State(match &to {
                Some(to) => say!("{to} has it already", to),
                None => say!("nobody has it"),
            }));
        }
        let from = std::mem::replace(&mut alert.owner, to.clone());
        let facts = ChangeFacts { from, to, ..ChangeFacts::default() };
        Ok(self.told(alert, state, (Action::Assign, by), facts, now))
    }

    fn postpone(
        &self,
        mut alert: Alert,
        by: By<'_>,
        due: Option<Date>,
        now: Instant,
    ) -> Result<AlertUpdate, Refusal> {
        let due = due.ok_or_else(|| Refusal::Missing(say!("say by which day it is to be over: `due`")))?;
        let state = alert.state.after(Action::Postpone).map_err(Refusal::State)?;
        let today = self.policy.calendar.local(now).date();
        let days = due.duration_since(today).as_hours() / 24;
        if !(0..=i64::from(DUE_DAYS_MAX)).contains(&days) {
            return Err(Refusal::Missing(say!(
                "the last day is {due}, but must be from {today} on, and within {most} days",
                due,
                today,
                most = DUE_DAYS_MAX
            )));
        }
        self.set_due(&mut alert, due);
        let facts = ChangeFacts { due: Some(due.to_string()), ..ChangeFacts::default() };
        Ok(self.told(alert, state, (Action::Postpone, by), facts, now))
    }

    /// Sets the last day.
    pub(super) fn set_due(&self, alert: &mut Alert, due: Date) {
        let end = due.tomorrow().ok().and_then(|next| self.policy.calendar.start_of_day(next).ok());
        (alert.case.due, alert.case.due_at, alert.case.past_due_told) = (Some(due.to_string()), end, false);
    }

    fn comment(&self, mut alert: Alert, by: By<'_>, now: Instant) -> Result<AlertUpdate, Refusal> {
        let state = alert.state.after(Action::Comment).map_err(Refusal::State)?;
        let mentions = mentions(by.1.unwrap_or_default());
        alert.case.mention(&mentions);
        let facts = ChangeFacts { mentions, ..ChangeFacts::default() };
        Ok(self.told(alert, state, (Action::Comment, by), facts, now))
    }

    fn close(
        &self,
        mut alert: Alert,
        by: By<'_>,
        (outcome, amount): (Option<CaseOutcome>, Option<Cents>),
        now: Instant,
    ) -> Result<AlertUpdate, Refusal> {
        let state = alert.state.after(Action::Close).map_err(Refusal::State)?;
        check_outcome(outcome, amount, self.policy.reviews.outcome).map_err(Refusal::Missing)?;
        if self.policy.reviews.close.get(alert.severity) {
            let (who, why) = (by.0.to_owned(), by.1.unwrap_or_default().to_owned());
            let review = Review { action: Action::Close, by: who, at: now, why, outcome, amount };
            return self.propose(alert, review, now);
        }
        (alert.case.outcome, alert.case.outcome_amount) = (outcome, amount);
        let facts = ChangeFacts { outcome, amount: amount.map(format_cents), ..ChangeFacts::default() };
        Ok(self.told(alert, state, (Action::Close, by), facts, now))
    }

    /// Keeps what is proposed until a second officer has decided it.
    fn propose(&self, mut alert: Alert, review: Review, now: Instant) -> Result<AlertUpdate, Refusal> {
        alert.state.after(review.action).map_err(Refusal::State)?;
        let state = alert.state;
        let facts = ChangeFacts {
            proposed: Some(review.action),
            outcome: review.outcome,
            amount: review.amount.map(format_cents),
            ..ChangeFacts::default()
        };
        let (by, why) = (review.by.clone(), review.why.clone());
        alert.case.review = Some(review);
        Ok(self.told(alert, state, (Action::Propose, (&by, Some(&why))), facts, now))
    }

    fn approve(&self, mut alert: Alert, (who, why): By<'_>, now: Instant) -> Result<AlertUpdate, Refusal> {
        let review = proposal(&mut alert)?;
        if is_same(who, &review.by) {
            return Err(Refusal::State(say!(
                "{who} proposed it; somebody else has to decide it",
                who = review.by
            )));
        }
        let state = alert.state.after(review.action).map_err(Refusal::State)?;
        (alert.case.outcome, alert.case.outcome_amount) = (review.outcome, review.amount);
        let facts = ChangeFacts {
            proposed_by: Some(review.by),
            outcome: review.outcome,
            amount: review.amount.map(format_cents),
            ..ChangeFacts::default()
        };
        let why = why.unwrap_or(&review.why);
        Ok(self.told(alert, state, (review.action, (who, Some(why))), facts, now))
    }

    fn give_back(&self, mut alert: Alert, by: By<'_>, now: Instant) -> Result<AlertUpdate, Refusal> {
        let Review { action, by: proposed_by, .. } = proposal(&mut alert)?;
        if is_same(by.0, &proposed_by) {
            return Err(Refusal::State(say!("{who} proposed it, and can withdraw it", who = proposed_by)));
        }
        let (proposed, proposed_by) = (Some(action), Some(proposed_by));
        let (facts, state) = (ChangeFacts { proposed, proposed_by, ..ChangeFacts::default() }, alert.state);
        Ok(self.told(alert, state, (Action::Return, by), facts, now))
    }

    fn withdraw(&self, mut alert: Alert, by: By<'_>, now: Instant) -> Result<AlertUpdate, Refusal> {
        let Review { action, by: proposed_by, .. } = proposal(&mut alert)?;
        if !is_same(by.0, &proposed_by) {
            return Err(Refusal::State(say!(
                "{who} proposed it and alone can withdraw it; a second officer can return it",
                who = proposed_by
            )));
        }
        let (facts, state) = (ChangeFacts { proposed: Some(action), ..ChangeFacts::default() }, alert.state);
        Ok(self.told(alert, state, (Action::Withdraw, by), facts, now))
    }

    /// Joins an alert with another that goes on with it: what is to be stored of the first, and of the other.
    ///
    /// # Errors
    /// If they cannot be joined; nothing is to be stored then.
    pub fn merge(
        &self,
        mut alert: Alert,
        mut into: Alert,
        order: &Order,
        now: Instant,
    ) -> Result<(AlertUpdate, AlertUpdate), Refusal> {
        let by = self.check(&alert, order)?;
        let (who, why) = (by.0, Some(by.1.as_str()).filter(|why| !why.is_empty()));
        if alert.alert_id == into.alert_id {
            return Err(Refusal::Missing(say!("an alert does not go on with itself; name another one")));
        }
        if into.state.is_over() || into.case.review.is_some() {
            let other = into.alert_id;
            return Err(Refusal::State(say!(
                "{other} cannot go on with it: it is over, or waits for a second officer",
                other
            )));
        }
        let reviews = &self.policy.reviews;
        let only_this = |of: &BySeverity<bool>| of.get(alert.severity) && !of.get(into.severity);
        if only_this(&reviews.dismiss) || only_this(&reviews.close) {
            let other = into.alert_id;
            return Err(Refusal::State(say!(
                "a second officer decides how it ends, and {other} ends without one: join {other} with it instead",
                other
            )));
        }
        if into.case.merged.len() + 1 + alert.case.merged.len() > MERGED_MAX {
            return Err(Refusal::State(say!(
                "an alert goes on with {most} others at most",
                most = MERGED_MAX
            )));
        }
        alert.state.after(Action::Merge).map_err(Refusal::State)?;
        let (from, other) = (alert.alert_id.clone(), into.alert_id.clone());
        alert.case.merged_into = Some(other.clone());
        into.case.merged.push(from.clone());
        into.case.merged.append(&mut alert.case.merged.clone());
        let state = into.state;
        let facts = |alert: String| ChangeFacts { alert: Some(alert), ..ChangeFacts::default() };
        let ended = self.told(alert, State::Closed, (Action::Merge, (who, why)), facts(other), now);
        let goes_on = self.told(into, state, (Action::Absorb, (who, why)), facts(from), now);
        Ok((ended, goes_on))
    }

    /// Moves an alert on, with what its history says beside who and why.
    pub(super) fn told(
        &self,
        alert: Alert,
        state: State,
        (action, by): (Action, By<'_>),
        facts: ChangeFacts,
        now: Instant,
    ) -> AlertUpdate {
        let step = self.moved(alert, state, (action, by.0, by.1), now);
        let change = step.change.map(|change| HistoryEntry { facts, ..change });
        AlertUpdate { change, ..step }
    }
}

fn proposal(alert: &mut Alert) -> Result<Review, Refusal> {
    let nothing = || Refusal::State(say!("nothing waits for a second officer"));
    alert.case.review.take().ok_or_else(nothing)
}

/// Whether two names are one person's, however they are written.
fn is_same(one: &str, other: &str) -> bool {
    normal_name(one) == normal_name(other)
}
