//! Gauges that are computed when Prometheus asks.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use super::Shared;
use crate::{
    evaluate::bounded,
    event::{Cents, Column, Instant, TimeDelta, time::Calendar},
    ledger::Ledger,
    telemetry::{Metrics, OTHER, fits},
};

/// Brings all of them up to date.
pub fn scrape_gauges(shared: &Shared) {
    let m = &shared.metrics;
    {
        let ledger = shared.ledger.read();
        ledger_gauges(&ledger, m, shared.top_units);
    }
    source_gauges(shared);
    m.http_bodies.set(shared.bodies.taken().try_into().unwrap_or(i64::MAX));
    m.store_held.set(shared.turns.held_up().map_or(0.0, |held| held.as_secs_f64()));
    m.store_holds.inc_by(shared.turns.holds().saturating_sub(m.store_holds.get()));
    replica_gauges(shared);
    m.ticks_pending.set(shared.busy.pending.load(Ordering::Relaxed).try_into().unwrap_or(i64::MAX));
    m.query_running.set(shared.busy.query().map_or(0.0, |(_, time)| time.as_secs_f64()));
    m.queries_left.set(bounded::left_behind().try_into().unwrap_or(i64::MAX));
    m.rules_skipped.set(shared.skipped().len().try_into().unwrap_or(i64::MAX));
    let now = shared.clock.now();
    m.clock.set(seconds(now - Instant::EPOCH));
    for (source, at) in shared.last_by_source.lock().iter() {
        m.event_lag.with_label_values(&[source]).set(seconds(now.saturating_since(*at)));
    }
    let last = shared.last_event_at.get();
    m.budget_year_elapsed.set(last.map_or(0.0, |last| year_elapsed(&shared.calendar, last)));
    if let Some(free) = crate::store::disk_free(&shared.state_dir) {
        m.store_free_bytes.set(free.try_into().unwrap_or(i64::MAX));
    }
}

/// What is told of the replica, if there is one.
fn replica_gauges(shared: &Shared) {
    let Some(figures) = shared.replica.get() else { return };
    let m = &shared.metrics.replica;
    m.in_sync.set(i64::from(figures.in_sync.load(Ordering::Relaxed)));
    for (counter, figure) in
        [(&m.commits, &figures.records), (&m.bytes, &figures.bytes), (&m.failures, &figures.failures)]
    {
        counter.inc_by(figure.load(Ordering::Relaxed).saturating_sub(counter.get()));
    }
    let age = figures.snapshot_at.get().map(|made| shared.clock.now().saturating_since(made));
    m.snapshot_age.set(age.map_or(0.0, seconds));
    m.waited.set(seconds(TimeDelta::from_micros(
        i64::try_from(figures.waited.load(Ordering::Relaxed)).unwrap_or(i64::MAX),
    )));
    m.waits.set(shared.turns.waits_for_replica().map_or(0.0, |waits| waits.as_secs_f64()));
}

/// What the sources tell.
fn source_gauges(shared: &Shared) {
    let m = &shared.metrics.source;
    m.errors.reset();
    m.lost.reset();
    m.lag.reset();
    m.files.reset();
    m.overlap.reset();
    for (name, status) in &shared.sources {
        let (told, name) = (status.told(), shared.metrics.source_label(name));
        m.up.with_label_values(&[name]).set(i64::from(told.is_up()));
        m.errors.with_label_values(&[name]).inc_by(told.errors);
        for (result, files) in [("read", told.files_read), ("refused", told.files_refused)] {
            m.files.with_label_values(&[name, result]).inc_by(files);
        }
        let left = &told.left;
        let kinds = [("unmatched", left.unmatched), ("folder", left.folders), ("refused", left.refused)];
        for (kind, files) in kinds {
            m.left.with_label_values(&[name, kind]).set(files.try_into().unwrap_or(i64::MAX));
        }
        for (kind, rows) in [("known", told.rows_again), ("late", told.rows_late)] {
            if rows > 0 {
                m.overlap.with_label_values(&[name, kind]).inc_by(rows);
            }
        }
        for (partition, records) in &told.lost {
            m.lost.with_label_values(&[name, partition]).inc_by(*records);
        }
        for (partition, status) in &told.partitions {
            let lag = status.lag.try_into().unwrap_or(i64::MAX);
            m.lag.with_label_values(&[name, partition]).set(lag);
        }
    }
}

// Gauges are floats by nature; the exact figures are in the ledger.
#[allow(clippy::cast_precision_loss)]
fn seconds(length: TimeDelta) -> f64 {
    length.as_seconds_f64()
}

#[allow(clippy::cast_precision_loss)]
fn yuan(cents: Cents) -> f64 {
    cents.as_i128() as f64 / 100.0
}

/// Elapsed share of the fiscal year that an instant is in.
fn year_elapsed(calendar: &Calendar, at: Instant) -> f64 {
    let year = i32::from(calendar.local(at).year());
    let years = (year - 1..=year + 1).filter_map(|year| calendar.fiscal_year(year));
    let current = years.into_iter().find(|year| year.contains(at));
    current.map_or(0.0, |year| seconds(at - year.start) / seconds(year.end - year.start))
}

/// Sums over the whole ledger, and the units that spent most; the others are one.
fn ledger_gauges(ledger: &Ledger, metrics: &Metrics, top_units: usize) {
    let mut sums = [Cents::ZERO; 9];
    let mut overspent = 0;
    let mut units: BTreeMap<&str, (Cents, Cents)> = BTreeMap::new();
    for (line, attributes) in ledger.lines() {
        let b = &line.balances;
        let over = (b.executed - b.total).max(Cents::ZERO);
        overspent += i64::from(over > Cents::ZERO);
        let parts = [
            b.total,
            b.executed,
            b.frozen,
            b.reserved,
            b.available(),
            b.planned,
            over,
            b.cleared,
            b.uncleared(),
        ];
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum += part;
        }
        let unit = attributes.text(Column::UnitCode).unwrap_or("unknown");
        let entry = units.entry(unit).or_default();
        entry.0 += b.executed;
        entry.1 += b.total;
    }
    let kinds = [
        "total",
        "executed",
        "frozen",
        "reserved",
        "available",
        "planned",
        "overspent",
        "cleared",
        "uncleared",
    ];
    for (kind, cents) in kinds.into_iter().zip(sums) {
        metrics.budget_amount.with_label_values(&[kind]).set(yuan(cents));
    }
    metrics.budget_lines_overspent.set(overspent);
    metrics.payments_awaited.set(ledger.payments_awaited().try_into().unwrap_or(i64::MAX));
    metrics.payments_awaited_beyond.set(ledger.confirmations_beyond().try_into().unwrap_or(i64::MAX));
    unit_gauges(units, metrics, top_units);
}

/// A unit code comes from data: only the top units have a series, whatever the stream says.
fn unit_gauges(units: BTreeMap<&str, (Cents, Cents)>, metrics: &Metrics, top_units: usize) {
    let mut units: Vec<_> = units.into_iter().filter(|(_, (_, total))| *total != Cents::ZERO).collect();
    units.sort_by_key(|(_, (executed, _))| std::cmp::Reverse(*executed));
    metrics.budget_executed_ratio.reset();
    let (mut shown, mut folded, mut rest) = (0, 0, (Cents::ZERO, Cents::ZERO));
    for (unit, (executed, total)) in units {
        if shown < top_units && fits(unit) && unit != OTHER {
            metrics.budget_executed_ratio.with_label_values(&[unit]).set(yuan(executed) / yuan(total));
            shown += 1;
        } else {
            rest = (rest.0 + executed, rest.1 + total);
            folded += 1;
        }
    }
    if rest.1 != Cents::ZERO {
        metrics.budget_executed_ratio.with_label_values(&[OTHER]).set(yuan(rest.0) / yuan(rest.1));
    }
    // Each folded unit counts once: by how many there are more than ever before.
    let counter = metrics.labels_folded.with_label_values(&["unit_code"]);
    counter.inc_by(u64::saturating_sub(folded, counter.get()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_for_every_payment_makes_no_series() {
        let metrics = Metrics::new().unwrap();
        let codes: Vec<String> = (0..5000).map(|n| format!("unit-{n}")).collect();
        let long = "x".repeat(1000);
        let sums = |executed| (Cents::new(executed), Cents::new(100));
        let mut units: BTreeMap<&str, _> = codes.iter().map(|code| (code.as_str(), sums(10))).collect();
        units.insert(&long, sums(1_000_000));
        units.insert(OTHER, sums(1_000_000));
        for _ in 0..2 {
            unit_gauges(units.clone(), &metrics, 20);
        }
        let text = metrics.render();
        let series = text.lines().filter(|line| line.starts_with("fiscwatch_budget_executed_ratio{"));
        assert_eq!(series.count(), 21);
        assert!(text.contains("fiscwatch_labels_folded_total{label=\"unit_code\"} 4982"), "{text}");
    }

    #[test]
    fn the_year_passes() {
        let calendar = Calendar::new("Asia/Shanghai", 4, 1).unwrap();
        let at = |text| year_elapsed(&calendar, calendar.parse(text).unwrap());
        assert!(at("2026-04-01T00:00:00+08:00").abs() < 1e-9);
        assert!((at("2027-03-31T23:00:00+08:00") - 1.0).abs() < 0.001);
        assert!((at("2026-10-01T00:00:00+08:00") - 183.0 / 365.0).abs() < 1e-9);
    }
}
