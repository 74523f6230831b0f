//! What windows cost: every kind of rule, 10, 100 and 300 rules, a stream that goes on and on, memory, and the same
//! rule by `DataFusion`'s `OVER` re-evaluated for every batch. On one core, without decoding, ledger and store.
//! Prints a table; docs/performance.md holds one with the machine it comes from.
//!
//!     cargo bench --bench windows [-- kinds|rules|over|flat|memory …]

// Rates and shares are floats by nature.
#![allow(clippy::cast_precision_loss)]

mod common;

use std::{fmt::Write as _, time::Instant};

use arrow::{
    array::AsArray, compute::concat_batches, datatypes::TimestampMicrosecondType, record_batch::RecordBatch,
};
use datafusion::prelude::{SessionConfig, SessionContext};
use fiscwatch::event::{Column, EventType};

use common::{DAY, Fixture, KINDS, Runner, rule, rules};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn report(what: &str, payments: usize, seconds: f64, findings: usize) {
    let rate = payments as f64 / seconds;
    println!("{what:<44} {rate:>12.0} payments/s  {:>8.1} ns/payment  {findings} findings", 1e9 / rate);
}

fn kinds(f: &Fixture) {
    for (name, body) in KINDS {
        let rules = rules(f, &rule("a", body));
        let mut runner = Runner::new(f, &rules);
        let started = Instant::now();
        runner.run(f, 0);
        report(name, f.payments, started.elapsed().as_secs_f64(), runner.findings);
    }
}

/// Variants of ten rules, as tuning makes them: other thresholds, some other windows.
fn many(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let (kind, variant) = (n % 10, n / 10);
        let limit = 400_000 + variant * 1000;
        let over = |by: &str, last: &str| {
            format!(
                "trigger: payment, over: {{ by: [{by}], last: {last} }}, measure: {{ n: count(*), t: sum(amount) }}"
            )
        };
        let body = match kind {
            0 => format!("trigger: payment, when: amount > {limit} and budget.available < 0"),
            1 => format!("trigger: payment, where: settlement = 'cash', when: amount > {limit}"),
            2 => format!(
                "trigger: payment, when: amount > {limit} and payee_type = 'person' and economic_code = '30226'"
            ),
            3 => format!("{}, when: n > 20 and t > {limit}0", over("unit_code, payee_account", "30d")),
            4 => format!("{}, when: n > 20 and t > {limit}0", over("unit_code, payee_account", "7d")),
            5 => format!("{}, when: n > 100 and t > {limit}0", over("payee_account", "1d")),
            6 => format!("{}, when: n > 100 and t > {limit}0", over("unit_code", "24h")),
            7 => format!(
                "trigger: payment, where: settlement = 'cash', over: {{ by: [unit_code], to_date: month }}, measure: {{ t: sum(amount) }}, when: t > {limit}"
            ),
            8 => format!("trigger: payment, when: budget.overspend_ratio > 0.{variant:03}1"),
            _ => format!(
                "trigger: payment, where: amount < 500000, over: {{ by: [unit_code, payee_account], last: 30d }}, measure: {{ n: count(*), t: sum(amount), hi: max(amount) }}, when: n > 20 and t > {limit}0 and hi < 1"
            ),
        };
        text.push_str(&rule(&format!("r{n}"), &body));
    }
    text
}

fn rule_counts(f: &Fixture) {
    let mut ten = 0.0;
    for count in [10, 100, 300] {
        let rules = rules(f, &many(count));
        let mut runner = Runner::new(f, &rules);
        let started = Instant::now();
        runner.run(f, 0);
        let seconds = started.elapsed().as_secs_f64();
        if count == 10 {
            ten = seconds;
        }
        let name =
            format!("{count} rules in {} windows, {:.1} times 10 rules", rules.windows.len(), seconds / ten);
        report(&name, f.payments, seconds, runner.findings);
    }
}

/// The same rule re-evaluated by SQL for every batch over what the window holds.
fn over(f: &Fixture) {
    let body = "trigger: payment, over: { by: [unit_code], last: 30d }, measure: { n: count(*), t: sum(amount), lo: min(amount), hi: max(amount) }, when: n > 900 and t > 1";
    let rules = rules(f, &rule("a", body));
    let mut runner = Runner::new(f, &rules);
    let started = Instant::now();
    runner.run(f, 0);
    let ours = started.elapsed().as_secs_f64();
    report("over 30d, 4 aggregates, incremental", f.payments, ours, runner.findings);

    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let payments: Vec<RecordBatch> = f
        .parts
        .iter()
        .filter_map(|p| fiscwatch::evaluate::tables::of_types(&p.events, &p.types, &[EventType::Payment]))
        .collect();
    let started = Instant::now();
    let (mut found, mut seen) = (0, 0);
    // A sample of the batches, each over the 31 days before it.
    for at in (0..payments.len()).step_by(8) {
        let times =
            payments[at].column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
        let Some(first) = arrow::compute::min(times) else { continue };
        let held = payments[..=at].iter().filter(|batch| {
            let times = batch.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
            arrow::compute::max(times).is_some_and(|last| last > first - 31 * DAY)
        });
        let held: Vec<_> = held.collect();
        let history = concat_batches(&payments[at].schema(), held).expect("one schema");
        seen += payments[at].num_rows();
        found += runtime.block_on(async {
            let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
            context.register_batch("events", history).expect("a table");
            let sql = format!(
                "SELECT count(*) FROM (SELECT occurred_at, count(*) OVER w AS n, sum(amount) OVER w AS t, min(amount) OVER w AS lo, max(amount) OVER w AS hi FROM events WINDOW w AS (PARTITION BY unit_code ORDER BY occurred_at RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW)) WHERE occurred_at >= arrow_cast({first}, 'Timestamp(Microsecond, Some(\"Asia/Shanghai\"))') AND n > 900 AND t > 1"
            );
            let batches = context.sql(&sql).await.expect("a plan").collect().await.expect("a result");
            batches[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0)
        });
    }
    let theirs = started.elapsed().as_secs_f64() * f.payments as f64 / seen as f64;
    report(
        "the same by OVER for every batch (sampled)",
        f.payments,
        theirs,
        usize::try_from(found).unwrap_or(0),
    );
    println!("incremental is {:.0} times as fast", theirs / ours);
}

/// The stream again and again, each time later: does it stay as fast?
fn flat(f: &Fixture) {
    let rules = rules(f, &many(10));
    let mut runner = Runner::new(f, &rules);
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
    let mut first = 0.0;
    for round in 0..rounds {
        let started = Instant::now();
        runner.run(f, round * f.span);
        let seconds = started.elapsed().as_secs_f64();
        // The first million, with windows that fill, is what the others are compared with.
        first += if round < 5 { seconds / 5.0 } else { 0.0 };
        if round % 10 == 9 {
            let millions = (round + 1) as f64 * f.payments as f64 / 1e6;
            let held = runner.windowing.held().events;
            let name = format!("after {millions:.1} M payments, {:.2} of the first", first / seconds);
            report(&name, f.payments, seconds, runner.findings);
            println!("{:>44} events held, {} MiB resident", held, resident_mib());
        }
    }
}

/// Ten million payments inside windows.
fn memory(f: &Fixture) {
    let text = rule(
        "a",
        "trigger: payment, over: { by: [unit_code, payee_account], last: 3650d }, measure: { n: count(*), t: sum(amount) }, when: n > 1000000",
    );
    let rules = rules(f, &text);
    let before = resident_mib();
    let mut runner = Runner::new(f, &rules);
    let mut round = 0;
    while runner.windowing.held().events < 10_000_000 {
        runner.run(f, round * f.span / 90);
        round += 1;
    }
    let (held, after) = (runner.windowing.held().events, resident_mib());
    let mut line = String::new();
    let _ = write!(
        line,
        "{held} payments inside a window of count and sum: {} MiB",
        after.saturating_sub(before)
    );
    println!("{line}, {:.1} bytes each", (after.saturating_sub(before) << 20) as f64 / held as f64);
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

type Part = fn(&Fixture);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let f = Fixture::new(200_000, 90, 4096);
    let all: [(&str, Part); 5] =
        [("kinds", kinds), ("rules", rule_counts), ("over", over), ("flat", flat), ("memory", memory)];
    for (name, run) in all {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            println!("== {name}");
            run(&f);
        }
    }
}
