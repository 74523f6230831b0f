//! 事前校验: what monitoring would find of an application, told before the money moves. The engine decides, the store keeps
//! what was answered, the API answers.

mod answer;
mod overrides;

pub use answer::{Decision, DecisionConjunct, DecisionReason, Funds, GroupFunds, Lag, NotEvaluated, Reasons};
pub use overrides::{NewOverride, Overridden, Override, OverrideAct, OverrideState, Passing};

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{
    access::Actor,
    event::{Instant, TimeDelta},
    finding::Handling,
    stream::Block,
};

/// What is answered: what is found of an application weighs as much as the gravest finding.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// 放行: nothing is found that asks for anything.
    Allow,
    /// 须说明: the money may move once somebody has explained.
    Explain,
    /// 拦截: the money must not move.
    Block,
}

impl Verdict {
    /// All of them, the gravest last.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Explain, Self::Block];

    /// The word in JSON and in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Explain => "explain",
            Self::Block => "block",
        }
    }

    /// The verdict of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.word() == word)
    }

    /// What a finding with this handling asks for.
    #[must_use]
    pub const fn of(handling: Handling) -> Self {
        match handling {
            Handling::Block => Self::Block,
            Handling::Explain => Self::Explain,
            Handling::Warn | Handling::Remind | Handling::Record => Self::Allow,
        }
    }
}

/// The tag of an application whose money has moved already, because nobody answered when it was to be asked about
/// (`decide.on_unavailable: open`). It is decided all the same, and not withdrawn.
pub const UNCHECKED: &str = "unchecked";

/// Whether an answer has consequences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionMode {
    /// The application is journalled; one that is blocked is withdrawn in the same breath.
    #[default]
    Commit,
    /// Nothing changes.
    WhatIf,
}

/// How several applications of one question are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Several {
    /// All of them, or none.
    Together,
    /// Each after the one before it, as if it were asked for alone. Nothing of it has consequences.
    OneByOne,
}

/// What the engine is asked.
#[derive(Debug)]
pub struct DecisionQuestion {
    /// The applications, one message each.
    pub block: Block,
    /// Whether the answer has consequences.
    pub mode: DecisionMode,
    /// How several applications are decided.
    pub several: Several,
    /// How long an allowed application reserves money, by event time: [`DecisionQuestion::ends_at`].
    pub expires_in: Option<TimeDelta>,
    /// Whether what is known is too old to allow anything by it.
    pub is_stale: bool,
    /// How far behind each source is.
    pub sources: Arc<[Lag]>,
    /// The clock's time, for the answer.
    pub now: Instant,
    pub(crate) actor: Actor,
    /// By which override the application may pass what blocks it; it is alone then.
    pub overriding: Option<Override>,
    /// Told what is decided, before it is stored.
    pub answer: oneshot::Sender<Result<Vec<Decision>, Unanswered>>,
}

impl DecisionQuestion {
    /// When an application of `at` stops reserving, where the stream has come to `reached`. What has only a day would
    /// otherwise be over before it begins, and reserve nothing.
    #[must_use]
    pub fn ends_at(&self, at: Instant, reached: Option<Instant>) -> Option<Instant> {
        let from = reached.map_or(at, |reached| at.max(reached));
        self.expires_in.map(|after| from.saturating_add(after))
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// A record is no application that can be read: what is wrong with it.
    Unreadable(String),
    /// An event with this id is known. Whether it was decided, the store says.
    Known(String),
    /// The override does not let this application pass: why.
    NotOverridden(String),
    /// The engine ended before it could answer.
    Stopping,
}

/// What is stored of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub(crate) decision: Decision,
    /// The hash of the application's content, by which the same one is known again.
    pub content: u64,
    /// The application's event time.
    pub at: Instant,
    /// When what it reserves is released, by event time; `None` if never.
    pub expires_at: Option<Instant>,
    pub(crate) actor: Actor,
    /// When, by the clock.
    pub asked_at: Instant,
}

/// An application whose reservation is to be released.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// When the watermark is here.
    pub due: Instant,
    /// The event time of the withdrawal.
    pub at: Instant,
    pub(crate) event_id: String,
    pub(crate) budget_line_id: String,
}

/// The id of the event that withdraws an application: the same whoever makes it, so that it happens once. It is as long as
/// an id may be, whatever the application's is.
#[must_use]
pub fn withdrawal_id(application: &str) -> String {
    format!("withdrawal-{:032x}", xxhash_rust::xxh3::xxh3_128(application.as_bytes()))
}

/// The event that withdraws an application at a time (RFC 3339), as JSON.
#[must_use]
pub fn withdrawal(application: &str, budget_line_id: &str, at: &str) -> Vec<u8> {
    let event = serde_json::json!({
        "event_id": withdrawal_id(application),
        "type": "withdrawal",
        "occurred_at": at,
        "original_event_id": application,
        "budget_line_id": budget_line_id,
    });
    event.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_asks_for_what_its_handling_says() {
        let asked: Vec<_> =
            Handling::WORDS.iter().map(|(_, handling)| Verdict::of(*handling).word()).collect();
        assert_eq!(asked, ["block", "explain", "allow", "allow", "allow"]);
        assert!(Verdict::ALL.is_sorted());
        Verdict::ALL.iter().for_each(|verdict| assert_eq!(Verdict::parse(verdict.word()), Some(*verdict)));
    }

    #[test]
    fn the_id_of_a_withdrawal_fits_whatever_the_application_is_called() {
        let (short, long) = (withdrawal_id("a"), withdrawal_id(&"长".repeat(64)));
        assert!(short != long && short.len() <= 64 && long.len() == short.len());
        assert_eq!(short, withdrawal_id("a"));
    }
}
