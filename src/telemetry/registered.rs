//! All metrics of the daemon, as they are registered: their names, labels and what they say.

use parking_lot::Mutex;
use prometheus::{Gauge, Histogram, HistogramVec, IntGaugeVec};

use super::{
    Metrics, ReplicaMetrics, ShardMetrics, SourceMetrics,
    catalogue::Registry,
    make::{
        alert_delivery, approvals_waiting, approvals_waiting_age, clock, counter, counters, gauge, gauges,
        histogram, labels_folded, late, list_changes, list_reads, officers, opts, overflow, overspent,
        payments_awaited, register, resend_errors, store_free_bytes, template_errors, watermark,
        windows_held, year_elapsed,
    },
};

impl Metrics {
    /// All metrics, registered.
    ///
    /// # Errors
    /// Only if two metrics had the same name.
    #[allow(clippy::too_many_lines)] // It is a list.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let r = &registry;
        let metrics = Self {
            events: counters(
                r,
                "events_total",
                "Records read, by what became of them.",
                &["source", "type", "result"],
            )?,
            event_lag: gauges(r, "event_lag_seconds", "Now less the latest event time.", &["source"])?,
            batch_duration: register(
                r,
                HistogramVec::new(
                    histogram("batch_duration_seconds", "Time of a batch in each stage."),
                    &["stage"],
                )?,
            )?,
            commit_duration: register(
                r,
                Histogram::with_opts(histogram("commit_duration_seconds", "Time of a durable commit."))?,
            )?,
            rule_evaluation: register(
                r,
                prometheus::CounterVec::new(
                    opts("rule_evaluation_seconds_total", "Time spent evaluating a rule."),
                    &["rule"],
                )?,
            )?,
            rule_findings: counters(r, "rule_findings_total", "Findings.", &["rule", "severity", "mode"])?,
            rule_excepted: counters(
                r,
                "rule_excepted_total",
                "Events that an exception took out.",
                &["rule"],
            )?,
            rule_precision: gauges(
                r,
                "rule_precision",
                "Confirmed alerts over confirmed and dismissed ones.",
                &["rule"],
            )?,
            rule_verdicts: register(
                r,
                IntGaugeVec::new(
                    opts("rule_verdicts", "Alerts that officers confirmed or dismissed."),
                    &["rule", "verdict"],
                )?,
            )?,
            rule_errors: counters(
                r,
                "rule_errors_total",
                "Events that a rule could not be evaluated for.",
                &["rule"],
            )?,
            quarantined: counters(
                r,
                "quarantined_total",
                "Records put into quarantine.",
                &["source", "reason"],
            )?,
            row_versions: counters(
                r,
                "row_versions_total",
                "Versions of records of sources with mode upsert: new, changed, same, older, void or refused.",
                &["source", "result"],
            )?,
            quarantine_overflow: overflow(r)?,
            quarantine_bytes: gauge(r, "quarantine_bytes", "Bytes in quarantine.")?,
            quarantine_limit: gauge(r, "quarantine_limit_bytes", "Bytes that the quarantine may have.")?,
            decisions: counters(
                r,
                "decisions_total",
                "Applications that were decided before money moved.",
                &["decision"],
            )?,
            decisions_unchecked: counter(
                r,
                "decisions_unchecked_total",
                "Applications that were decided after their money had moved, because nobody answered before.",
            )?,
            decision_requests: counters(
                r,
                "decision_requests_total",
                "Requests for decisions that came over Kafka: answered, refused with a problem, or again if Kafka failed.",
                &["result"],
            )?,
            overrides: counters(
                r,
                "overrides_total",
                "What was done with overrides: granted, confirmed, revoked, used, or refused to an application.",
                &["act"],
            )?,
            approvals: counters(
                r,
                "approvals_total",
                "What was done with proposals, by kind: propose, approve, refuse, withdraw, in_force, failed.",
                &["kind", "act"],
            )?,
            approvals_waiting: approvals_waiting(r)?,
            approvals_waiting_age: approvals_waiting_age(r)?,
            decision_duration: register(
                r,
                HistogramVec::new(
                    histogram("decision_duration_seconds", "Time from a question to its answer."),
                    &["mode"],
                )?,
            )?,
            duplicates: counter(r, "duplicates_total", "Events that were known already.")?,
            late: late(r)?,
            watermark: watermark(r)?,
            windows_held: windows_held(r)?,
            window_bytes: register(
                r,
                IntGaugeVec::new(
                    opts("window_bytes", "Bytes that windows hold in memory, as they were last weighed."),
                    &["kind"],
                )?,
            )?,
            window_limit: gauge(
                r,
                "window_limit_bytes",
                "Bytes that windows may hold before no more events are taken.",
            )?,
            journal_start: gauge(
                r,
                "journal_start_timestamp_seconds",
                "The event time from which on the journal holds everything; 0 before the first event.",
            )?,
            ticks_pending: gauge(
                r,
                "ticks_pending",
                "Rules on a schedule that are due and not evaluated yet.",
            )?,
            query_running: register(
                r,
                Gauge::with_opts(opts(
                    "query_running_seconds",
                    "How long the stream has waited for the query that runs; 0 if none does.",
                ))?,
            )?,
            queries_left: gauge(
                r,
                "queries_left_behind",
                "Queries that nobody waits for any more and that have not ended.",
            )?,
            ticks_passed: counters(
                r,
                "ticks_passed_total",
                "Ticks that were passed without an answer, because the query took too much time or memory.",
                &["rule"],
            )?,
            rules_skipped: gauge(
                r,
                "rules_skipped",
                "Rules with mistakes that the daemon runs without (rules.on_error: skip).",
            )?,
            schedule_rests: counter(
                r,
                "schedule_rests_total",
                "Stretches of more than a year without any event, in which schedules rested.",
            )?,
            unknown_fields: counter(
                r,
                "unknown_fields_total",
                "Fields that the data dictionary does not know.",
            )?,
            budget_amount: gauges(r, "budget_amount", "Sums over all budget lines, in yuan.", &["kind"])?,
            budget_executed_ratio: gauges(
                r,
                "budget_executed_ratio",
                "Executed share of the units that spent most.",
                &["unit_code"],
            )?,
            budget_lines: gauge(r, "budget_lines", "Budget lines in the ledger.")?,
            budget_lines_overspent: overspent(r)?,
            payments_awaited: payments_awaited(r)?,
            payments_awaited_beyond: gauge(
                r,
                "payments_awaited_beyond",
                "Confirmations since the start that were not kept because too many payments are awaited.",
            )?,
            completeness_count: register(
                r,
                IntGaugeVec::new(
                    opts(
                        "completeness_records",
                        "Payments and confirmations of the day before, by figure of the statement.",
                    ),
                    &["figure"],
                )?,
            )?,
            completeness_amount: gauges(
                r,
                "completeness_amount",
                "Yuan of the day before, by figure of the statement.",
                &["figure"],
            )?,
            budget_year_elapsed: year_elapsed(r)?,
            store_bytes: gauge(r, "store_bytes", "Bytes of the state on disk.")?,
            store_free_bytes: store_free_bytes(r)?,
            store_held: register(
                r,
                Gauge::with_opts(opts(
                    "store_held_seconds",
                    "How long another program has held the database against a writer of the daemon; 0 if none does.",
                ))?,
            )?,
            store_holds: counter(
                r,
                "store_holds_total",
                "Times that another program held the database for longer than a second.",
            )?,
            replica: ReplicaMetrics::new(r)?,
            shards: ShardMetrics::new(r)?,
            journal_events: gauge(r, "journal_events", "Events in the journal.")?,
            sealed_events: counter(r, "sealed_events_total", "Events moved into sealed files.")?,
            retired_events: counter(r, "retired_events_total", "Events deleted for state.retain.")?,
            retired_records: counter(
                r,
                "retired_records_total",
                "Records of sources with mode upsert that are not known any more, for state.retain.",
            )?,
            log_errors: counter(r, "log_move_errors_total", "Times that the log could not be moved.")?,
            seal_errors: counter(r, "seal_errors_total", "Times that sealing did not work.")?,
            alerts: register(r, IntGaugeVec::new(opts("alerts", "Alerts."), &["state", "severity"])?)?,
            alerts_escalated: counter(
                r,
                "alerts_escalated_total",
                "Alerts escalated because nobody acknowledged them.",
            )?,
            alert_delivery: alert_delivery(r)?,
            notifications: counters(
                r,
                "notifications_total",
                "Attempts to notify, by what came of them.",
                &["sink", "result"],
            )?,
            notifications_held: counters(
                r,
                "notifications_held_total",
                "Times that something to tell had to wait, by what muted it.",
                &["reason"],
            )?,
            notifications_untold: counter(
                r,
                "notifications_untold_total",
                "Times that an alert was not told of, because it ended before it would have been.",
            )?,
            outbox_pending: register(
                r,
                IntGaugeVec::new(opts("outbox_pending", "What waits for a sink to accept it."), &["sink"])?,
            )?,
            outbox_oldest_age: register(
                r,
                Gauge::with_opts(opts(
                    "outbox_oldest_age_seconds",
                    "How long the oldest of the outbox is due.",
                ))?,
            )?,
            alert_acknowledge: officers(
                r,
                "alert_acknowledge_seconds",
                "From an alert's opening to its first acknowledgement.",
            )?,
            alert_close: officers(r, "alert_close_seconds", "From an alert's opening to its end.")?,
            alert_answer: officers(
                r,
                "alert_answer_seconds",
                "From a letter to the first answer of its unit by the link.",
            )?,
            cases_late: register(
                r,
                IntGaugeVec::new(
                    opts(
                        "cases_late",
                        "Alerts past their last day; the 20 units and officers that have the most.",
                    ),
                    &["by", "value"],
                )?,
            )?,
            alerts_overdue: register(
                r,
                IntGaugeVec::new(
                    opts("alerts_overdue", "Alerts later than the level of service of their severity."),
                    &["severity", "stage"],
                )?,
            )?,
            unwell: register(
                r,
                IntGaugeVec::new(
                    opts("unwell", "Whether this is wrong with the daemon itself."),
                    &["trouble"],
                )?,
            )?,
            heartbeats: counters(r, "heartbeats_total", "Heartbeats, by what came of them.", &["result"])?,
            outbox_errors: counter(
                r,
                "outbox_errors_total",
                "Times that the outbox could not be read or written.",
            )?,
            outbox_round: register(
                r,
                Histogram::with_opts(histogram(
                    "outbox_round_seconds",
                    "Time of a round in which the outbox becomes notifications; a commit waits for it.",
                ))?,
            )?,
            http_refused: counters(
                r,
                "http_refused_total",
                "HTTP clients that were refused or cut off, by cause.",
                &["cause"],
            )?,
            logins: counters(
                r,
                "logins_total",
                "Passwords that were tried, by what came of it: right, wrong, or throttled after too many wrong ones.",
                &["result"],
            )?,
            tls_not_after: gauge(
                r,
                "tls_not_after_timestamp_seconds",
                "When the certificate of the listener ends; 0 without TLS of its own.",
            )?,
            http_connections: register(
                r,
                IntGaugeVec::new(
                    opts(
                        "http_connections",
                        "HTTP connections that are open, and requests under way on them.",
                    ),
                    &["kind"],
                )?,
            )?,
            http_bodies: gauge(r, "http_bodies_bytes", "Bytes of posted events that are being processed.")?,
            source: SourceMetrics::new(r)?,
            recovery_duration: register(
                r,
                Gauge::with_opts(opts(
                    "recovery_duration_seconds",
                    "Time the last start took to recover its state.",
                ))?,
            )?,
            template_errors: template_errors(r)?,
            resend_errors: resend_errors(r)?,
            standby: gauge(r, "standby", "Whether this instance waits for another one to end.")?,
            reload_successful: gauge(r, "config_last_reload_successful", "Whether the last reload worked.")?,
            list_rows: gauges(r, "list_rows", "Rows of each reference list in force.", &["list"])?,
            list_changes: list_changes(r)?,
            list_reads: list_reads(r)?,
            clock: clock(r)?,
            labels_folded: labels_folded(r)?,
            sources: Mutex::default(),
            registry: registry.clone(),
        };
        let build = gauges(r, "build_info", "The running version.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        metrics.reload_successful.set(1);
        metrics.begin_at_zero();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// A series that begins with its first event hides it: `rate()` needs the zero before.
    pub(super) fn begin_at_zero(&self) {
        for severity in ["critical", "high", "medium", "low"] {
            self.alert_acknowledge.with_label_values(&[severity]);
            self.alert_close.with_label_values(&[severity]);
            self.alert_answer.with_label_values(&[severity]);
        }
        for reason in ["silence", "inhibition", "quiet_hours", "storm"] {
            self.notifications_held.with_label_values(&[reason]);
        }
    }
}
