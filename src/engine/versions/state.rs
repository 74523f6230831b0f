//! What stands of a record after its last version: what its next version is compared with.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{decode::versions::Version, event::Instant};

/// What is known of a record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its last version; none before all that its first one led to is stored.
    pub version: Option<Version>,
    /// The latest event time of it.
    pub at: Instant,
    /// What stands of it.
    pub standing: StandingEvents,
}

/// The events of a record that nothing has taken back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StandingEvents {
    /// The application, until a payment settles it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<Issued>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<Issued>,
    /// What the bank did with the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankAnswer>,
    /// What is of interest in an event of another type, which stays as it came first, as a hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<u64>,
    /// Whether there was an application before: the next one needs another id.
    pub applied: bool,
    /// Whether there was a payment before.
    pub paid: bool,
}

/// An event that was made of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Issued {
    /// Its `event_id`.
    pub id: String,
    /// The one that its record has.
    pub base: String,
    /// The hash of what is of interest in it.
    pub content: u64,
    /// Its fields, for the event that takes it back.
    pub fields: Map<String, Value>,
}

/// What the bank did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BankAnswer {
    /// The hash of its columns.
    pub content: u64,
    /// Whether it paid, and took nothing back.
    pub cleared: bool,
}

/// What is known of a record from now on, as it is stored.
#[derive(Debug, Clone)]
pub struct VersionChange {
    pub(crate) source: std::sync::Arc<str>,
    /// What tells it from others.
    pub key: Box<str>,
    /// What is known of it.
    pub kept: Kept,
    /// The number of the change: the next one has a larger one, whatever record it is of.
    pub number: i64,
}
