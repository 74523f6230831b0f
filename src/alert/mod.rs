//! 预警: what people work on. The findings of one rule and key make one alert, with a life of its own, and
//! every change of it may be told to somebody. Everything here is pure: what was before, what happened and
//! the time go in, what is to be stored comes out. `store/` keeps it, `notify/` sends it.

pub(crate) mod answer;
pub mod attachment;
mod case;
pub mod casework;
pub mod desk;
pub mod inquiry;
pub(crate) mod labels;
pub(crate) mod matcher;
pub(crate) mod mute;
mod notification;
pub mod policy;
pub(crate) mod route;
mod rows;
pub(crate) mod state;
pub mod worth;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    event::Instant,
    finding::{Handling, Severity},
    personal::Kinds,
};

pub use answer::InquiryAnswer;
pub use case::{Case, CaseOutcome, ChangeFacts, FileFact, Review};
pub use desk::{Cleared, Desk, Filing};
pub use inquiry::Inquiry;
pub use labels::Labels;
pub use matcher::{Matcher, Matchers};
pub use mute::Silence;
pub use notification::{ALERTS_MAX, EVIDENCE_MAX, Notification, NotifiedAlert, OmittedAlerts, Reason};
pub use policy::Policy;
pub use rows::rows;
pub use state::{Action, State};

/// An alert, as it is stored and shown. Times are RFC 3339 when shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// A digest of the first finding's id: the same history always has the same ids.
    pub alert_id: String,
    /// The rule that made its findings.
    pub rule_id: String,
    /// The rule's title in the configured language.
    pub title: String,
    /// The columns of the rule's key.
    pub key: Map<String, Value>,
    /// The highest severity of its findings.
    pub severity: Severity,
    /// The handling of its findings.
    pub handling: Handling,
    /// The type of the events it is about, which says whether money has left: `payment` once any of them is one, else the
    /// latest's; none for what several events show together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Where it stands in its life.
    pub state: State,
    /// Grows with every change; who changes the alert says which version was seen.
    pub version: i64,
    /// What routes, silences and inhibition match on.
    pub labels: Labels,
    /// The notification line of the latest finding.
    pub summary: String,
    /// How many findings it has.
    pub findings: u64,
    /// When it was opened.
    pub opened_at: Instant,
    /// The event time of its first finding.
    pub first_at: Instant,
    /// The event time of its latest finding.
    pub last_at: Instant,
    /// When it last changed.
    pub changed_at: Instant,
    /// Who took it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was first acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Instant>,
    /// When it was closed, dismissed or resolved itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
    /// How often it was escalated.
    pub escalation: u32,
    /// When it is escalated next: if nobody acknowledges it by then, or because its last day is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalates_at: Option<Instant>,
    /// The alert of the same rule and key before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// What its columns tell of persons, in every version of the rule that added a finding; `None` in an alert from before
    /// this was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<Kinds>,
    /// The letter to its unit, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inquiry: Option<Inquiry>,
    /// The budget lines whose state keeps it open, if its rule's condition can stop being true by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// What officers know of it as a case.
    #[serde(default, skip_serializing_if = "Case::is_empty")]
    pub case: Case,
}

/// One line of an alert's history, which only grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    pub(crate) at: Instant,
    /// Who: an officer's name, or `fiscwatch`.
    pub who: String,
    /// The transition that was made.
    pub action: Action,
    /// The state after it.
    pub state: State,
    /// Why, in the officer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What else: to whom, by when, with what outcome.
    #[serde(default, skip_serializing_if = "ChangeFacts::is_empty")]
    pub facts: ChangeFacts,
}

/// The name in the history for what the daemon does by itself.
pub const BY_ITSELF: &str = "fiscwatch";
