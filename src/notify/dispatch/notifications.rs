//! Notifications out of entries that are due.

use super::Work;
use crate::{
    alert::{ALERTS_MAX, Alert, EVIDENCE_MAX, Notification, NotifiedAlert, OmittedAlerts, Reason},
    event::Instant,
    store::{DueEntry, DueGroup, RoundResult},
};

impl Work<'_> {
    /// Makes a notification of entries for each recipient.
    pub(super) fn notify(
        &mut self,
        due: &DueGroup,
        entries: &[DueEntry],
        reason: Reason,
        thread: &str,
        recipients: Vec<Option<String>>,
    ) -> RoundResult<()> {
        let (told, omitted) = self.shown(entries, reason)?;
        let received_at = entries.iter().map(|entry| entry.received_at).min().unwrap_or(self.now);
        let cause: Vec<String> = entries.iter().map(|entry| entry.seq.to_string()).collect();
        let ids: Vec<_> = told.iter().map(|told| told.alert.alert_id.as_str()).collect();
        for recipient in recipients {
            let id = notification_id(
                &due.sink,
                recipient.as_deref(),
                due.group_key.text(),
                &cause.join(","),
                self.now,
                reason,
            );
            tracing::info!(
                notification = id,
                sink = due.sink,
                ?reason,
                alerts = ids.join(","),
                "notification"
            );
            self.round.notify(&Notification {
                id,
                sink: due.sink.clone(),
                recipient,
                reason,
                route: due.route.clone(),
                group: due.labels.clone(),
                thread: thread.to_owned(),
                begins_thread: matches!(
                    reason,
                    Reason::First | Reason::Digest | Reason::Storm | Reason::Explain
                ),
                alerts: told.clone(),
                omitted: omitted.iter().map(|row| row.alerts).sum(),
                omitted_by_rule: omitted.clone(),
                message: None,
                created_at: self.now,
                received_at,
            })?;
            self.report.notifications += 1;
            if let Some(given) = self.given.get_mut(&due.sink)
                && !matches!(reason, Reason::Digest | Reason::Storm)
            {
                *given += 1;
            }
        }
        Ok(())
    }

    /// The alerts that a notification shows, and those that it only counts.
    fn shown(
        &self,
        entries: &[DueEntry],
        reason: Reason,
    ) -> RoundResult<(Vec<NotifiedAlert>, Vec<OmittedAlerts>)> {
        let mut alerts: Vec<&Alert> = Vec::new();
        for entry in entries {
            if !alerts.iter().any(|alert| alert.alert_id == entry.alert.alert_id) {
                alerts.push(&entry.alert);
            }
        }
        self.round.put_in_order(&mut alerts, reason == Reason::Digest)?;
        let omitted = OmittedAlerts::of(&alerts.split_off(alerts.len().min(ALERTS_MAX)));
        // A long list shows less of each, so that a notification stays of a bearable size.
        let shown = (EVIDENCE_MAX / alerts.len().max(1)).max(1);
        let notified = |alert: &Alert| {
            Ok(NotifiedAlert { evidence: self.round.evidence(&alert.alert_id, shown)?, alert: alert.clone() })
        };
        Ok((alerts.into_iter().map(notified).collect::<RoundResult<_>>()?, omitted))
    }
}

/// A digest of what is told to whom. Entries have numbers that never come again, so causes tell notifications apart;
/// a repetition has none, and goes by its time.
fn notification_id(
    sink: &str,
    recipient: Option<&str>,
    group: &str,
    cause: &str,
    now: Instant,
    reason: Reason,
) -> String {
    let time = if reason == Reason::Repeat { now.as_micros().to_string() } else { String::new() };
    let mut hasher = blake3::Hasher::new();
    for part in [sink, recipient.unwrap_or_default(), group, cause, &time] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(32);
    id
}
