//! Every metric's name in one place, and logging.

mod catalogue;
mod logging;
mod make;
mod registered;
mod replica;
mod shards;
mod sources;

use std::collections::BTreeSet;

use parking_lot::Mutex;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    TextEncoder,
};

pub use catalogue::Described;
use catalogue::Registry;
pub use logging::log;
pub use replica::ReplicaMetrics;
pub use shards::ShardMetrics;
pub use sources::SourceMetrics;

/// The Content-Type that Prometheus 3 insists on.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Label values taken from data that one metric keeps apart; more are counted as `other`.
const LABELS_MAX: usize = 200;
/// The longest label value taken from data, in bytes; a longer one is counted as `other`.
const LABEL_BYTES_MAX: usize = 128;
/// The value that stands for all that are not kept apart.
pub const OTHER: &str = "other";

/// The daemon's metrics, as Prometheus scrapes them.
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
    pub(crate) rule_findings: IntCounterVec,
    /// Events that an exception of the rule took out.
    pub rule_excepted: IntCounterVec,
    /// Events that a rule could not be evaluated for.
    pub rule_errors: IntCounterVec,
    /// The share of a rule's alerts that officers confirmed, by rule.
    pub rule_precision: GaugeVec,
    /// Alerts that officers confirmed or dismissed, by rule and verdict.
    pub rule_verdicts: IntGaugeVec,
    pub(crate) quarantined: IntCounterVec,
    /// Versions of records that come again when they have changed, and what became of them.
    pub row_versions: IntCounterVec,
    /// Records in quarantine without their bytes, because there was no room.
    pub quarantine_overflow: IntCounterVec,
    pub(crate) quarantine_bytes: IntGauge,
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
    /// What was done with proposals.
    pub approvals: IntCounterVec,
    /// Proposals that wait, by the roles that are missing.
    pub approvals_waiting: IntGaugeVec,
    /// How long the oldest of them has waited.
    pub approvals_waiting_age: GaugeVec,
    /// Time from a question to its answer.
    pub decision_duration: HistogramVec,
    /// Events that were known already.
    pub duplicates: IntCounter,
    /// Events that the watermark had passed when they came.
    pub late: IntCounter,
    /// How far the event time of a source has come.
    pub watermark: GaugeVec,
    pub(crate) windows_held: IntGaugeVec,
    pub(crate) window_bytes: IntGaugeVec,
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
    pub(crate) budget_lines: IntGauge,
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
    /// What is told of the replica.
    pub replica: ReplicaMetrics,
    /// What is told of the shards that this process keeps.
    pub shards: ShardMetrics,
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
    /// Times that the log of the database could not be moved into it.
    pub log_errors: IntCounter,
    /// Alerts by state and severity.
    pub alerts: IntGaugeVec,
    pub(crate) alerts_escalated: IntCounter,
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
        let mut known = self.sources.lock();
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
