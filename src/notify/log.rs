//! The log: one line an alert, without personal data, so without its summary and the columns of its key.

use async_trait::async_trait;

use super::{SendError, Sink, mask::masked, sample::reason_word, view::one_line};
use crate::{alert::Notification, personal::number::NumberTail};

#[derive(Debug, Default)]
pub(crate) struct LogSink;

#[async_trait]
impl Sink for LogSink {
    async fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let reason = reason_word(notification.reason);
        let Notification { sink, id, .. } = notification;
        for told in &notification.alerts {
            let alert = &told.alert;
            let unit_code = alert.labels.first("unit_code").unwrap_or_default();
            tracing::info!(
                sink,
                notification = id,
                reason,
                alert = alert.alert_id,
                rule = alert.rule_id,
                severity = alert.severity.word(),
                handling = alert.handling.word(),
                state = alert.state.word(),
                findings = alert.findings,
                escalation = alert.escalation,
                unit_code,
                "alert"
            );
        }
        if notification.omitted > 0 {
            tracing::info!(sink, notification = id, reason, omitted = notification.omitted, "more alerts");
        }
        if let Some(message) = &masked(notification, NumberTail::Hidden).message {
            tracing::info!(sink, notification = id, reason, "{}", one_line(message, 1000));
        }
        Ok(())
    }
}
