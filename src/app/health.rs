//! Looks after the daemon itself: figures every few seconds, a direct word to the sinks when something is wrong, and a
//! heartbeat for a dead man's switch.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    alert::{Notification, Reason},
    config::alerts::HealthSettings,
    daemon::Shared,
    event::{Instant, TimeDelta},
    notify::{
        SendError, Sinks,
        health::{Health, HealthFigures, HealthNotice, Trouble},
    },
    say,
    telemetry::sum,
};

/// How often the figures are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// The longest that one sink may take for a word about the daemon.
const SEND: Duration = Duration::from_mins(2);
/// The longest that a heartbeat may take.
const BEAT: Duration = Duration::from_secs(10);

/// Looks after the daemon until it stops.
pub(crate) async fn look_after(shared: Arc<Shared>, watch: HealthSettings, stop: CancellationToken) {
    let look = look(Arc::clone(&shared), watch.clone());
    let statement = super::statement::keep(Arc::clone(&shared));
    let beat = beat(shared, watch);
    tokio::select! {
        () = stop.cancelled() => {}
        () = async { tokio::join!(look, beat, statement); } => {}
    }
}

async fn look(shared: Arc<Shared>, watch: HealthSettings) {
    let mut health = Health::new(watch.thresholds.clone());
    let mut ticks = tokio::time::interval(LOOK);
    let mut last = (i64::MIN, shared.started_at);
    loop {
        ticks.tick().await;
        crate::failpoint::reach("beside.look").expect("a test breaks it");
        let now = shared.clock.now();
        let events = shared.metrics.journal_events.get();
        if events != last.0 {
            last = (events, now);
        }
        let told = health.look(&figures(&shared, last.1), now);
        for trouble in Trouble::ALL {
            let is = health.present().any(|present| present == trouble);
            shared.metrics.unwell.with_label_values(&[trouble.word()]).set(i64::from(is));
        }
        for told in told {
            let sinks = Arc::clone(&shared.receivers.borrow().sinks);
            // A slow sink must not hold up the looking.
            tokio::spawn(tell(sinks, watch.sinks.clone(), told, now));
        }
    }
}

fn figures(shared: &Shared, last_event: Instant) -> HealthFigures {
    let m = &shared.metrics;
    let waiting = m.outbox_waiting();
    HealthFigures {
        last_event,
        lag_records: shared
            .sources
            .values()
            .flat_map(|s| s.told().partitions.into_values())
            .map(|p| p.lag)
            .sum(),
        outbox_age: TimeDelta::from_micros((m.outbox_oldest_age.get() * 1e6) as i64),
        waiting_for: waiting,
        parked: m.parked(),
        rule_errors: sum(&m.rule_errors),
        quarantined: sum(&m.quarantined),
        disk_free: crate::store::disk_free(&shared.state_dir),
        store_errors: m.outbox_errors.get() + m.seal_errors.get() + m.log_errors.get(),
        reloaded: m.reload_successful.get() == 1,
    }
}

/// Says it in the log, and to every sink that is to hear of it. The outbox is left out: it may be what is wrong.
async fn tell(sinks: Arc<Sinks>, names: Option<Vec<String>>, told: HealthNotice, now: Instant) {
    let HealthNotice { trouble, is_over, text } = told;
    match is_over {
        true => tracing::info!(trouble = trouble.word(), "{text}"),
        false => tracing::error!(trouble = trouble.word(), "the daemon is unwell: {text}"),
    }
    for (name, sink) in sinks.iter().filter(|(name, _)| names.as_ref().is_none_or(|n| n.contains(name))) {
        let recipients = match sink.recipients() {
            [] => vec![None],
            several => several.iter().cloned().map(Some).collect(),
        };
        for recipient in recipients {
            let notification = notification(name, recipient, (trouble, &text), now);
            let sent = tokio::time::timeout(SEND, sink.send(&notification)).await;
            if let Err(e) = sent.unwrap_or_else(|_| Err(SendError::Temporary(say!("no answer in time")))) {
                tracing::warn!(sink = name, "could not say that the daemon is unwell: {e}");
            }
        }
    }
}

fn notification(
    sink: &str,
    recipient: Option<String>,
    (trouble, text): (Trouble, &str),
    now: Instant,
) -> Notification {
    let id = blake3::hash(
        format!("daemon {sink} {recipient:?} {} {}", trouble.word(), now.as_micros()).as_bytes(),
    );
    Notification {
        id: id.to_hex()[..32].to_owned(),
        sink: sink.to_owned(),
        recipient,
        reason: Reason::Daemon,
        route: String::from("alerts.watch"),
        group: crate::alert::Labels::default(),
        thread: format!("daemon-{}", trouble.word()),
        begins_thread: false,
        alerts: Vec::new(),
        omitted: 0,
        omitted_by_rule: Vec::new(),
        message: Some(text.to_owned()),
        created_at: now,
        received_at: now,
    }
}

/// Tells a dead man's switch that the daemon lives; when it no longer hears of it, it raises the alarm.
async fn beat(shared: Arc<Shared>, watch: HealthSettings) {
    let Some((url, every)) = watch.heartbeat else { return };
    let Ok(client) = reqwest::Client::builder().timeout(BEAT).build() else {
        return tracing::error!("no heartbeat is sent: this machine has no TLS");
    };
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let body = serde_json::json!({
            "ready": shared.ready(),
            "commits": shared.commits.load(Ordering::Relaxed),
            "unwell": Trouble::ALL.iter().map(|t| t.word())
                .filter(|word| shared.metrics.unwell.with_label_values(&[*word]).get() == 1).collect::<Vec<_>>(),
        });
        let sent = client.post(&url).json(&body).send().await.and_then(reqwest::Response::error_for_status);
        match sent {
            Ok(_) => shared.metrics.heartbeats.with_label_values(&["sent"]).inc(),
            Err(e) => {
                shared.metrics.heartbeats.with_label_values(&["failed"]).inc();
                tracing::warn!("the heartbeat was not taken: {}", e.without_url());
            }
        }
    }
}
