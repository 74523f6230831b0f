//! Kafka topics (the only place that knows rdkafka).

use serde::{Deserialize, Serialize};

use super::{Outlet, Positions, SourceError};

/// Kafka topics to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSource {
    /// The brokers.
    pub brokers: Vec<String>,
}

impl KafkaSource {
    /// Reads until asked to stop.
    ///
    /// # Errors
    /// If the settings are wrong.
    pub async fn run(&self, _outlet: &Outlet, _positions: &Positions) -> Result<(), SourceError> {
        Ok(())
    }
}
