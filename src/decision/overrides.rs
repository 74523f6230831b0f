//! 特批: a blocked application may pass once, because somebody else than who asked answers for it. Above a limit two
//! people do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Decision, DecisionReason, Verdict};
use crate::{
    event::{Cents, Instant, money::parse_amount},
    say,
    text::quoted,
};

/// An act of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideAct {
    pub(crate) who: String,
    /// When, by the clock.
    pub at: Instant,
}

/// The permission for one application to pass what blocked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The number that the store gives it, 0 before that.
    #[serde(skip)]
    pub override_id: i64,
    pub(crate) application: String,
    pub(crate) budget_line_id: String,
    /// What the application is about ([`Decision::subject`]).
    pub subject: String,
    /// The rules that blocked it: others still block.
    pub rules: Vec<String>,
    pub(crate) cents: Cents,
    pub(crate) reason: String,
    /// Who asked; empty if nobody said who they are.
    pub asked_by: String,
    /// How many people have to grant it.
    pub needed: usize,
    pub(crate) grants: Vec<OverrideAct>,
    /// Until when it is good, by the clock.
    pub expires_at: Instant,
    /// Who took it back.
    pub revoked: Option<OverrideAct>,
    /// The application that passed by it.
    #[serde(skip)]
    pub used_by: Option<String>,
}

/// Where an override stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverrideState {
    /// Another person has to grant it.
    Waiting,
    /// It can be used.
    InForce,
    /// An application has passed by it.
    Used,
    /// Somebody took it back.
    Revoked,
    /// Nobody used it in time.
    Expired,
}

/// What an override is to be.
#[derive(Debug, Clone)]
pub struct NewOverride {
    /// Who wants it, and when: somebody who grants it, or asks others to.
    pub by: OverrideAct,
    /// Whether that person grants it.
    pub is_granted: bool,
    pub(crate) reason: String,
    /// The largest amount; that of the application without it.
    pub cents: Option<Cents>,
    pub(crate) expires_at: Instant,
}

/// What passes by an override.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'p> {
    pub(crate) who: &'p str,
    /// The line of the application.
    pub budget_line_id: &'p str,
    /// What it is about.
    pub subject: &'p str,
    pub(crate) cents: Cents,
}

/// By which override an application passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DecisionOverride)]
pub struct Overridden {
    /// The override.
    pub override_id: i64,
    /// Who granted it.
    pub granted_by: Vec<String>,
    /// Why.
    pub reason: String,
}

impl Override {
    /// The override of a blocked application, which nobody has granted yet.
    ///
    /// # Errors
    /// If there is nothing to override, or this person may not grant it.
    pub fn of(decision: &Decision, wish: &NewOverride) -> Result<Self, String> {
        let blocks = |reason: &&DecisionReason| Verdict::of(reason.handling) == Verdict::Block;
        let blocking = decision.reasons.iter().filter(blocks);
        let rules: Vec<_> = blocking.map(|reason| reason.rule_id.clone()).collect();
        if decision.decision != Verdict::Block || rules.is_empty() {
            return Err(say!("no rule blocks this application, so there is nothing to override"));
        }
        if decision.unchecked {
            return Err(say!(
                "the money of this application has moved already, so there is nothing to override"
            ));
        }
        if decision.subject.is_empty() {
            return Err(say!(
                "an earlier version decided this application; ask again with another event_id, and override that"
            ));
        }
        if wish.is_granted {
            is_another(&wish.by.who, &decision.asked_by)?;
        }
        let asked = parse_amount(&decision.amount).map_err(|e| e.to_string())?;
        let cents = wish.cents.unwrap_or(asked);
        if cents > asked {
            return Err(say!("the application is for {asked}: an override is for that much at most", asked));
        }
        Ok(Self {
            override_id: 0,
            application: decision.event_id.clone(),
            budget_line_id: decision.budget_line_id.clone(),
            subject: decision.subject.clone(),
            rules,
            cents,
            reason: wish.reason.clone(),
            asked_by: decision.asked_by.clone(),
            needed: 1,
            grants: Vec::new(),
            expires_at: wish.expires_at,
            revoked: None,
            used_by: None,
        })
    }

    #[must_use]
    pub(crate) fn standing(&self, now: Instant) -> OverrideState {
        // What passed by it has passed, whatever came after.
        match self {
            _ if self.used_by.is_some() => OverrideState::Used,
            _ if self.revoked.is_some() => OverrideState::Revoked,
            _ if now >= self.expires_at => OverrideState::Expired,
            _ if self.grants.len() < self.needed => OverrideState::Waiting,
            _ => OverrideState::InForce,
        }
    }

    /// Whether it was used, or still can be: no second one is granted beside it.
    #[must_use]
    pub fn stands(&self, now: Instant) -> bool {
        !matches!(self.standing(now), OverrideState::Revoked | OverrideState::Expired)
    }

    /// Has another person grant it.
    ///
    /// # Errors
    /// If it needs nobody, or not this person.
    pub fn grant(&mut self, grant: OverrideAct) -> Result<(), String> {
        if self.standing(grant.at) != OverrideState::Waiting {
            return Err(self.is_over(grant.at));
        }
        is_another(&grant.who, &self.asked_by)?;
        if self.grants.iter().any(|act| act.who == grant.who) {
            return Err(say!("you have granted it already; another person has to grant it too"));
        }
        self.grants.push(grant);
        Ok(())
    }

    /// Takes it back.
    ///
    /// # Errors
    /// If it is over already.
    pub fn revoke(&mut self, act: OverrideAct) -> Result<(), String> {
        if !matches!(self.standing(act.at), OverrideState::Waiting | OverrideState::InForce) {
            return Err(self.is_over(act.at));
        }
        self.revoked = Some(act);
        Ok(())
    }

    /// Whether an application may pass by it now: the one that was blocked, under another id.
    ///
    /// # Errors
    /// If it may not: why.
    pub fn lets_pass(&self, passing: Passing<'_>, now: Instant) -> Result<(), String> {
        let Passing { who, budget_line_id, subject, cents } = passing;
        let standing = self.standing(now);
        if standing != OverrideState::InForce {
            return Err(self.is_over(now));
        }
        if self.grants.iter().any(|act| act.who == who) {
            return Err(say!("who granted an override does not ask by it"));
        }
        if budget_line_id != self.budget_line_id || subject != self.subject {
            return Err(say!(
                "override {id} is for the application {application}, and this is another one: only event_id, occurred_at and the amount may differ",
                id = self.override_id,
                application = quoted(&self.application)
            ));
        }
        if cents > self.cents {
            return Err(say!(
                "override {id} is for {most} at most",
                id = self.override_id,
                most = self.cents
            ));
        }
        Ok(())
    }

    /// How an application that passes by it is told.
    #[must_use]
    pub fn overridden(&self) -> Overridden {
        Overridden {
            override_id: self.override_id,
            granted_by: self.grants.iter().map(|act| act.who.clone()).collect(),
            reason: self.reason.clone(),
        }
    }

    /// Why nothing can be done with it.
    fn is_over(&self, now: Instant) -> String {
        let id = self.override_id;
        match self.standing(now) {
            OverrideState::Used => {
                let application = quoted(self.used_by.as_deref().unwrap_or_default());
                say!("override {id} was used: {application} has passed by it", id, application)
            }
            OverrideState::Revoked => say!("override {id} was taken back", id),
            OverrideState::Expired => say!("override {id} has expired", id),
            OverrideState::Waiting => {
                say!("override {id} is above the limit: another person has to grant it too", id)
            }
            OverrideState::InForce => say!("override {id} is granted already", id),
        }
    }
}

/// Whoever asked does not let their own application pass.
fn is_another(who: &str, asked_by: &str) -> Result<(), String> {
    match who == asked_by {
        true => Err(say!("who asked for an application does not override its answer; somebody else does")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(who: &str, at: i64) -> OverrideAct {
        OverrideAct { who: who.to_owned(), at: Instant::from_micros(at) }
    }

    fn granted(needed: usize) -> Override {
        Override {
            override_id: 7,
            application: String::from("a"),
            budget_line_id: String::from("L"),
            subject: String::from("s"),
            rules: vec![String::from("r")],
            cents: Cents::new(100),
            reason: String::from("why"),
            asked_by: String::from("platform"),
            needed,
            grants: vec![act("王芳", 1)],
            expires_at: Instant::from_micros(10),
            revoked: None,
            used_by: None,
        }
    }

    const SAME: Passing<'static> =
        Passing { who: "platform", budget_line_id: "L", subject: "s", cents: Cents::new(100) };

    #[test]
    fn one_application_passes_in_time_up_to_the_amount() {
        let one = granted(1);
        assert_eq!(one.lets_pass(SAME, Instant::from_micros(9)), Ok(()));
        assert_eq!(one.lets_pass(Passing { cents: Cents::new(1), ..SAME }, Instant::from_micros(9)), Ok(()));
        for other in [
            Passing { cents: Cents::new(101), ..SAME },
            Passing { budget_line_id: "M", ..SAME },
            Passing { subject: "t", ..SAME },
            Passing { who: "王芳", ..SAME },
        ] {
            assert!(one.lets_pass(other, Instant::from_micros(9)).is_err(), "{other:?}");
        }
        assert!(one.lets_pass(SAME, Instant::from_micros(10)).is_err(), "it has expired");
        let used = Override { used_by: Some(String::from("b")), ..granted(1) };
        assert!(
            used.lets_pass(SAME, Instant::from_micros(9)).is_err() && used.stands(Instant::from_micros(11))
        );
        let mut back = granted(1);
        back.revoke(act("李雷", 3)).unwrap();
        assert!(
            back.lets_pass(SAME, Instant::from_micros(9)).is_err() && !back.stands(Instant::from_micros(9))
        );
        assert!(back.revoke(act("李雷", 4)).is_err());
    }

    #[test]
    fn two_are_two_people_and_neither_is_the_asker() {
        let mut two = granted(2);
        assert_eq!(two.standing(Instant::from_micros(5)), OverrideState::Waiting);
        assert!(two.lets_pass(SAME, Instant::from_micros(5)).is_err());
        assert!(two.grant(act("王芳", 5)).is_err() && two.grant(act("platform", 5)).is_err());
        assert!(two.grant(act("李雷", 10)).is_err(), "too late");
        two.grant(act("李雷", 5)).unwrap();
        assert_eq!(two.lets_pass(SAME, Instant::from_micros(5)), Ok(()));
        assert!(two.grant(act("韩梅", 6)).is_err());
        assert_eq!(two.overridden().granted_by, ["王芳", "李雷"]);
    }
}
