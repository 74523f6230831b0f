//! 疑点: one immutable fact. Rules make findings, alerts gather them, the store keeps them.

mod exact;
mod words;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use words::words;
pub use words::{Handling, RuleMode, Severity};

/// A finding, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// A digest of rule, key and subject: the same finding always has the same id.
    pub finding_id: String,
    /// The rule.
    pub rule_id: String,
    /// The rule's severity when it was found.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// The rule's handling.
    #[schema(value_type = String)]
    pub handling: Handling,
    /// `live` or `shadow`.
    #[schema(value_type = String)]
    pub mode: RuleMode,
    /// The columns of the rule's key.
    #[schema(value_type = Object)]
    #[serde(deserialize_with = "exact::map")]
    pub key: Map<String, Value>,
    /// The event time, RFC 3339.
    #[schema(format = DateTime)]
    pub at: String,
    /// The event, of a rule on events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The window, of a rule on windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSpan>,
    /// The columns that the rule's condition and summary name.
    #[schema(value_type = Object)]
    #[serde(deserialize_with = "exact::map")]
    pub values: Map<String, Value>,
    /// The notification line.
    pub summary: String,
    /// What alerts are routed by beside the key: unit, region and budget line as far as the event has them; and the type of
    /// the event. Not a part of the finding.
    #[serde(skip)]
    pub labels: Map<String, Value>,
}

/// The window of a finding, half-open, RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WindowSpan {
    /// Its first instant.
    pub start: String,
    /// The first instant after it.
    pub end: String,
}

impl Finding {
    /// The event that it is about, or the end of the window or the tick.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.event_id.as_deref().unwrap_or(&self.at)
    }
}
