//! Metrics in a line each: made, named with our prefix, and registered.

use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

use super::catalogue::Registry;

pub(crate) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("fiscwatch_{name}"), help)
}

pub(crate) fn histogram(name: &str, help: &str) -> HistogramOpts {
    let buckets = vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
    HistogramOpts::from(opts(name, help)).buckets(buckets)
}

pub(crate) fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

pub(crate) fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    register(registry, IntCounter::with_opts(opts(name, help))?)
}

pub(crate) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    register(registry, IntCounterVec::new(opts(name, help), labels)?)
}

pub(crate) fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<GaugeVec> {
    register(registry, GaugeVec::new(opts(name, help), labels)?)
}

pub(crate) fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    register(registry, IntGauge::with_opts(opts(name, help))?)
}

pub(crate) fn overspent(r: &Registry) -> prometheus::Result<IntGauge> {
    gauge(r, "budget_lines_overspent", "Budget lines whose execution is above their total.")
}

pub(crate) fn payments_awaited(r: &Registry) -> prometheus::Result<IntGauge> {
    gauge(r, "payments_awaited", "Payments that the bank confirmed and that have not come.")
}

pub(crate) fn year_elapsed(r: &Registry) -> prometheus::Result<Gauge> {
    let help = "Elapsed share of the fiscal year at the latest event.";
    register(r, Gauge::with_opts(opts("budget_year_elapsed_ratio", help))?)
}

pub(crate) fn store_free_bytes(r: &Registry) -> prometheus::Result<IntGauge> {
    gauge(r, "store_free_bytes", "Bytes that the file system of the state has left for the daemon.")
}

pub(crate) fn clock(r: &Registry) -> prometheus::Result<Gauge> {
    let help = "The clock of the daemon when it was scraped.";
    register(r, Gauge::with_opts(opts("clock_timestamp_seconds", help))?)
}

pub(crate) fn labels_folded(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "What was counted under the label value other, so that hostile data makes no series.";
    counters(r, "labels_folded_total", help, &["label"])
}

pub(crate) fn overflow(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Records that the quarantine had no room for: counted, without their bytes.";
    counters(r, "quarantine_overflow_total", help, &["source", "reason"])
}

pub(crate) fn late(r: &Registry) -> prometheus::Result<IntCounter> {
    counter(r, "late_events_total", "Events that the watermark had passed when they came.")
}

pub(crate) fn watermark(r: &Registry) -> prometheus::Result<GaugeVec> {
    let help = "The event time up to which a source is taken to be complete.";
    gauges(r, "watermark_timestamp_seconds", help, &["source"])
}

pub(crate) fn alert_delivery(r: &Registry) -> prometheus::Result<HistogramVec> {
    let help = "From the commit of an event to the acceptance of its notification by the sink.";
    let buckets = vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0];
    let options = HistogramOpts::from(opts("alert_delivery_seconds", help)).buckets(buckets);
    register(r, HistogramVec::new(options, &["sink"])?)
}

/// What waits to be approved.
pub(crate) fn approvals_waiting(r: &Registry) -> prometheus::Result<IntGaugeVec> {
    let help = "Proposals that wait to be approved, by the roles that are missing.";
    register(r, IntGaugeVec::new(opts("approvals_waiting", help), &["level"])?)
}

pub(crate) fn approvals_waiting_age(r: &Registry) -> prometheus::Result<GaugeVec> {
    let help = "For how long the oldest of them has waited.";
    register(r, GaugeVec::new(opts("approvals_waiting_seconds", help), &["level"])?)
}

/// How long officers take: minutes to months.
pub(crate) fn officers(r: &Registry, name: &str, help: &str) -> prometheus::Result<HistogramVec> {
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

pub(crate) fn list_changes(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help =
        "Rows that a list gained, lost or has with other cells when it was read again, told by their keys.";
    counters(r, "list_changes_total", help, &["list", "change"])
}

pub(crate) fn list_reads(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "How often the file of a list was read again; refused, if the old list stayed in force.";
    counters(r, "list_reads_total", help, &["list", "result"])
}

pub(crate) fn template_errors(r: &Registry) -> prometheus::Result<IntCounter> {
    let help = "Notifications sent in the built-in text because a template failed.";
    counter(r, "template_errors_total", help)
}

pub(crate) fn resend_errors(r: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Times that a sink did not take the current alerts again.";
    counters(r, "resend_errors_total", help, &["sink"])
}

pub(crate) fn windows_held(r: &Registry) -> prometheus::Result<IntGaugeVec> {
    let help = "Events and panes that windows hold in memory.";
    register(r, IntGaugeVec::new(opts("window_items", help), &["kind"])?)
}
