//! The log as a sink: one line for each alert.

use async_trait::async_trait;

use super::{Notification, SendError, Sink};

/// Writes notifications to the log.
#[derive(Debug, Default)]
pub struct LogSink;

#[async_trait]
impl Sink for LogSink {
    async fn send(&self, n: &Notification) -> Result<(), SendError> {
        for told in &n.alerts {
            let a = &told.alert;
            tracing::info!(notification = n.id, alert = a.alert_id, rule = a.rule_id, severity = a.severity, state = a.state.word(), reason = ?n.reason, findings = a.findings, "alert");
        }
        Ok(())
    }
}
