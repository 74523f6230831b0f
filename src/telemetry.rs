//! Every metric's name in one place, and logging.

mod catalogue;
mod logging;
mod make;
mod sources;

use std::{collections::BTreeSet, sync::Mutex};

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, TextEncoder,
};

pub use catalogue::Described;
use catalogue::Registry;
pub use logging::log;
use make::{counter, counters, gauge, gauges, histogram, opts, register};
pub use sources::SourceMetrics;

/// The Content-Type that Prometheus 3 insists on.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Label values taken from data that one metric keeps apart; more are counted as `other`.
const LABELS_MAX: usize = 200;
/// The longest label value taken from data, in bytes; a longer one is counted as `other`.
const LABEL_BYTES_MAX: usize = 128;
/// The value that stands for all that are not kept apart.
pub const OTHER: &str = "other";

/// The daemon's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Records by source, type and what became of them.
    pub events: IntCounterVec,
    /// Now less the latest event time of a source.
    pub event_lag: GaugeVec,
    /// Time in the stages of a batch.
    pub batch_duration: HistogramVec,
    /// Time of a commit.
    pub commit_duration: Histogram,
    /// Time spent on each rule.
    pub rule_evaluation: prometheus::CounterVec,
    /// Findings.
    pub rule_findings: IntCounterVec,
    /// Events that an exception of the rule took out.
    pub rule_excepted: IntCounterVec,
    /// Events that a rule could not be evaluated for.
    pub rule_errors: IntCounterVec,
    /// The share of a rule's alerts that officers confirmed, by rule.
    pub rule_precision: GaugeVec,
    /// Alerts that officers confirmed or dismissed, by rule and verdict.
    pub rule_verdicts: IntGaugeVec,
    /// Records in quarantine.
    pub quarantined: IntCounterVec,
    /// Versions of records that come again when they have changed, and what became of them.
    pub row_versions: IntCounterVec,
    /// Records in quarantine without their bytes, because there was no room.
    pub quarantine_overflow: IntCounterVec,
    /// Bytes in quarantine.
    pub quarantine_bytes: IntGauge,
    /// Bytes that the quarantine may have.
    pub quarantine_limit: IntGauge,
    /// Applications that were decided before money moved, by what was answered.
    pub decisions: IntCounterVec,
    /// Applications that were decided after their money had moved.
    pub decisions_unchecked: IntCounter,
    /// Requests for decisions that came over Kafka.
    pub decision_requests: IntCounterVec,
    /// What was done with overrides of decisions.
    pub overrides: IntCounterVec,
    /// Time from a question to its answer.
    pub decision_duration: HistogramVec,
    /// Events that were known already.
    pub duplicates: IntCounter,
    /// Events that the watermark had passed when they came.
    pub late: IntCounter,
    /// How far the event time of a source has come.
    pub watermark: GaugeVec,
    /// What windows hold.
    pub windows_held: IntGaugeVec,
    /// Bytes of it.
    pub window_bytes: IntGaugeVec,
    /// Bytes that windows may hold.
    pub window_limit: IntGauge,
    /// From when on the journal holds everything.
    pub journal_start: IntGauge,
    /// Rules on a schedule that are due and not evaluated yet.
    pub ticks_pending: IntGauge,
    /// How long the stream has waited for the query that runs.
    pub query_running: Gauge,
    /// Queries that nobody waits for any more and that have not ended.
    pub queries_left: IntGauge,
    /// Ticks that were passed without an answer.
    pub ticks_passed: IntCounterVec,
    /// Rules that the daemon runs without.
    pub rules_skipped: IntGauge,
    /// Stretches of more than a year without any event.
    pub schedule_rests: IntCounter,
    /// Fields that the data dictionary does not know.
    pub unknown_fields: IntCounter,
    /// The ledger's sums in yuan.
    pub budget_amount: GaugeVec,
    /// The executed share of the units that spent most.
    pub budget_executed_ratio: GaugeVec,
    /// Budget lines.
    pub budget_lines: IntGauge,
    /// Budget lines that spent more than they have.
    pub budget_lines_overspent: IntGauge,
    /// Payments that the bank confirmed and that have not come.
    pub payments_awaited: IntGauge,
    /// Confirmations that were not kept because too many payments are awaited.
    pub payments_awaited_beyond: IntGauge,
    /// How many payments and confirmations the statement of the day before has.
    pub completeness_count: IntGaugeVec,
    /// How much they are.
    pub completeness_amount: GaugeVec,
    /// How much of the fiscal year had passed at the latest event.
    pub budget_year_elapsed: Gauge,
    /// Bytes of the store.
    pub store_bytes: IntGauge,
    /// Bytes that the file system of the store has left.
    pub store_free_bytes: IntGauge,
    /// How long another program holds the database against a writer of ours.
    pub store_held: Gauge,
    /// How often it did for longer than a second.
    pub store_holds: IntCounter,
    /// Events in the journal.
    pub journal_events: IntGauge,
    /// Events that were sealed.
    pub sealed_events: IntCounter,
    /// Events that were deleted because they were too old.
    pub retired_events: IntCounter,
    /// Records that come again which are not known any more, because they were too old.
    pub retired_records: IntCounter,
    /// Times that sealing did not work.
    pub seal_errors: IntCounter,
    /// Alerts by state and severity.
    pub alerts: IntGaugeVec,
    /// Alerts escalated.
    pub alerts_escalated: IntCounter,
    /// From the commit of the event to the sink's acceptance.
    pub alert_delivery: HistogramVec,
    /// Attempts to notify, by what came of them.
    pub notifications: IntCounterVec,
    /// Notifications that waited because something muted them.
    pub notifications_held: IntCounterVec,
    /// What was not told, because its alert ended first.
    pub notifications_untold: IntCounter,
    /// What waits for a sink.
    pub outbox_pending: IntGaugeVec,
    /// How long the oldest of it waits.
    pub outbox_oldest_age: Gauge,
    /// Times that the outbox could not be read or written.
    pub outbox_errors: IntCounter,
    /// Time of a round of bundling.
    pub outbox_round: Histogram,
    /// From opened to first acknowledged.
    pub alert_acknowledge: HistogramVec,
    /// From opened to over.
    pub alert_close: HistogramVec,
    /// From the letter to its first answer by a link.
    pub alert_answer: HistogramVec,
    /// Alerts past their last day, of units and officers that have the most of them.
    pub cases_late: IntGaugeVec,
    /// Alerts that are later than the level of service of their severity.
    pub alerts_overdue: IntGaugeVec,
    /// What is wrong with the daemon itself.
    pub unwell: IntGaugeVec,
    /// Heartbeats, by what came of them.
    pub heartbeats: IntCounterVec,
    /// Notifications whose template failed, so that the built-in text was sent.
    pub template_errors: IntCounter,
    /// Times that a sink did not take the current alerts again.
    pub resend_errors: IntCounterVec,
    /// HTTP clients that were refused or cut off, by cause.
    pub http_refused: IntCounterVec,
    /// Passwords that were tried, by what came of it.
    pub logins: IntCounterVec,
    /// When the certificate of the listener ends, in seconds since 1970.
    pub tls_not_after: IntGauge,
    /// HTTP connections and requests under way.
    pub http_connections: IntGaugeVec,
    /// Bytes of event bodies in work.
    pub http_bodies: IntGauge,
    /// What the sources tell.
    pub source: SourceMetrics,
    /// Time the last start took to recover.
    pub recovery_duration: Gauge,
    /// Whether this instance waits for another one to end.
    pub standby: IntGauge,
    /// Whether the last reload worked.
    pub reload_successful: IntGauge,
    /// Rows of each reference list.
    pub list_rows: GaugeVec,
    /// Rows that came to a list and went from it, by change.
    pub list_changes: IntCounterVec,
    /// How often a list was read again, by result.
    pub list_reads: IntCounterVec,
    /// The daemon's clock, to be compared with Prometheus'.
    pub clock: Gauge,
    /// What was counted under `other`, by label.
    pub labels_folded: IntCounterVec,
    sources: Mutex<BTreeSet<String>>,
}

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
            journal_events: gauge(r, "journal_events", "Events in the journal.")?,
            sealed_events: counter(r, "sealed_events_total", "Events moved into sealed files.")?,
            retired_events: counter(r, "retired_events_total", "Events deleted for state.retain.")?,
            retired_records: counter(
                r,
                "retired_records_total",
                "Records of sources with mode upsert that are not known any more, for state.retain.",
            )?,
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
            http_bodies: gauge(r, "http_bodies_bytes", "Bytes of posted events that are in work.")?,
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
    fn begin_at_zero(&self) {
        for severity in ["critical", "high", "medium", "low"] {
            self.alert_acknowledge.with_label_values(&[severity]);
            self.alert_close.with_label_values(&[severity]);
            self.alert_answer.with_label_values(&[severity]);
        }
        for reason in ["silence", "inhibition", "quiet_hours", "storm"] {
            self.notifications_held.with_label_values(&[reason]);
        }
    }

    /// The text that Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        let mut buffer = Vec::new();
        if let Err(e) = TextEncoder::new().encode(&self.registry.gather(), &mut buffer) {
            tracing::error!("metrics cannot be rendered: {e}");
        }
        String::from_utf8_lossy(&buffer).into_owned()
    }

    /// Every metric of ours, also those that have no sample yet.
    #[must_use]
    pub fn described(&self) -> Vec<Described> {
        self.registry.described()
    }

    /// Notifications that were refused for good.
    #[must_use]
    pub fn parked(&self) -> u64 {
        labelled(&self.notifications, &|name, value| name == "result" && value == "parked")
    }

    /// The sinks that something waits for.
    #[must_use]
    pub fn outbox_waiting(&self) -> Vec<String> {
        let families = prometheus::core::Collector::collect(&self.outbox_pending);
        let waiting = families
            .iter()
            .flat_map(prometheus::proto::MetricFamily::get_metric)
            .filter(|m| m.get_gauge().get_value() > 0.0);
        waiting.filter_map(|m| m.get_label().first().map(|l| l.value().to_owned())).collect()
    }

    /// A source's name as a label, bounded in number and length.
    #[must_use]
    pub fn source_label<'s>(&self, source: &'s str) -> &'s str {
        let mut known = self.sources.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.contains(source) {
            return source;
        }
        if known.len() >= LABELS_MAX || !fits(source) {
            self.labels_folded.with_label_values(&["source"]).inc();
            return OTHER;
        }
        known.insert(source.to_owned());
        source
    }
}

/// Whether a text from data is short enough for a label.
#[must_use]
pub fn fits(label: &str) -> bool {
    label.len() <= LABEL_BYTES_MAX
}

fn overspent(r: &Registry) -> prometheus::Result<IntGauge> {
    gauge(r, "budget_lines_overspent", "Budget lines whose execution is above their total.")
}

fn payments_awaited(r: &Registry) -> prometheus::Result<IntGauge> {
    gauge(r, "payments_awaited", "Payments that the bank confirmed and that have not come.")
}

fn year_elapsed(r: &Registry) -> prometheus::Result<Gauge> {
    let help = "Elapsed share of the fiscal year at the latest event.";
    register(r, Gauge::with_opts(opts("budget_year_elapsed_ratio", help))?)
}

fn store_free_bytes(r: &Registry) -> prometheus::Result<IntGauge> {
    gauge(r, "store_free_bytes", "Bytes that the file system of the state has left for the daemon.")
}

fn clock(r: &Registry) -> prometheus::Result<Gauge> {
    let help = "The clock of the daemon when it was scraped.";
    register(r, Gauge::with_opts(opts("clock_timestamp_seconds", help))?)
}

fn labels_folded(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "What was counted under the label value other, so that hostile data makes no series.";
    counters(r, "labels_folded_total", help, &["label"])
}

fn overflow(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Records that the quarantine had no room for: counted, without their bytes.";
    counters(r, "quarantine_overflow_total", help, &["source", "reason"])
}

fn late(r: &Registry) -> prometheus::Result<IntCounter> {
    counter(r, "late_events_total", "Events that the watermark had passed when they came.")
}

fn watermark(r: &Registry) -> prometheus::Result<GaugeVec> {
    let help = "The event time up to which a source is taken to be complete.";
    gauges(r, "watermark_timestamp_seconds", help, &["source"])
}

fn alert_delivery(r: &Registry) -> prometheus::Result<HistogramVec> {
    let help = "From the commit of an event to the acceptance of its notification by the sink.";
    let buckets = vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0];
    let options = HistogramOpts::from(opts("alert_delivery_seconds", help)).buckets(buckets);
    register(r, HistogramVec::new(options, &["sink"])?)
}

/// How long officers take: minutes to months.
fn officers(r: &Registry, name: &str, help: &str) -> prometheus::Result<HistogramVec> {
    let (minute, hour, day) = (60.0, 3600.0, 86400.0);
    let buckets = vec![
        minute,
        5.0 * minute,
        15.0 * minute,
        30.0 * minute,
        hour,
        2.0 * hour,
        4.0 * hour,
        8.0 * hour,
        day,
        2.0 * day,
        5.0 * day,
        10.0 * day,
        30.0 * day,
        90.0 * day,
    ];
    register(r, HistogramVec::new(HistogramOpts::from(opts(name, help)).buckets(buckets), &["severity"])?)
}

/// The sum of a counter over all its labels.
#[must_use]
pub fn sum(counters: &IntCounterVec) -> u64 {
    labelled(counters, &|_, _| true)
}

/// The sum of a counter over those labels that are asked for.
fn labelled(counters: &IntCounterVec, is: &dyn Fn(&str, &str) -> bool) -> u64 {
    let families = prometheus::core::Collector::collect(counters);
    let metrics = families.iter().flat_map(prometheus::proto::MetricFamily::get_metric);
    let wanted = metrics.filter(|m| m.get_label().iter().any(|l| is(l.name(), l.value())));
    // A count is a whole number that a float holds exactly up to 2^53.
    #[allow(clippy::cast_sign_loss)]
    wanted.map(|m| m.get_counter().get_value() as u64).sum()
}

fn list_changes(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help =
        "Rows that a list gained, lost or has with other cells when it was read again, told by their keys.";
    counters(r, "list_changes_total", help, &["list", "change"])
}

fn list_reads(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "How often the file of a list was read again; refused, if the old list stayed in force.";
    counters(r, "list_reads_total", help, &["list", "result"])
}

fn template_errors(r: &Registry) -> prometheus::Result<IntCounter> {
    let help = "Notifications sent in the built-in text because a template failed.";
    counter(r, "template_errors_total", help)
}

fn resend_errors(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Times that a sink did not take the current alerts again.";
    counters(r, "resend_errors_total", help, &["sink"])
}

fn windows_held(r: &Registry) -> prometheus::Result<IntGaugeVec> {
    let help = "Events and panes that windows hold in memory.";
    register(r, IntGaugeVec::new(opts("window_items", help), &["kind"])?)
}
