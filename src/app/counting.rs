//! What is counted of a committed batch.

use std::sync::Arc;

use prometheus::{Counter, IntCounter};

use crate::{
    daemon::Shared,
    engine::Committable,
    evaluate::condition::RuleCounts,
    rule::{ById, RuleId, RuleSet, compile::CompiledRule},
    telemetry::Metrics,
};

/// Counts what a committed batch brought.
pub(super) fn count(shared: &Shared, batch: &Committable, counters: &mut RuleCounters) {
    let m = &shared.metrics;
    for (source, event_type, n) in &batch.accepted {
        m.events.with_label_values(&[m.source_label(source), event_type.name(), "accepted"]).inc_by(*n);
        m.journal_events.add((*n).cast_signed());
    }
    let mut totals = shared.totals.lock();
    for (source, _, receipt) in &batch.receipts {
        *totals += *receipt;
        let source = m.source_label(source);
        let others =
            [("duplicate", receipt.duplicates), ("rejected", receipt.rejected), ("skipped", receipt.skipped)];
        for (result, n) in others {
            if n > 0 {
                m.events.with_label_values(&[source, "unknown", result]).inc_by(n);
            }
        }
        if let Some(at) = batch.last_at.filter(|_| receipt.accepted > 0) {
            shared.saw_event(source, at);
        }
    }
    drop(totals);
    for (source, result, n) in &batch.version_results {
        m.row_versions.with_label_values(&[m.source_label(source), result.word()]).inc_by(*n);
    }
    m.late.inc_by(batch.late);
    m.schedule_rests.inc_by(batch.rests);
    if let Some(passed) = &batch.passed {
        m.ticks_passed.with_label_values(&[&passed.rule]).inc();
    }
    if let Some(start) = batch.journal_start {
        m.journal_start.set(start.at.as_seconds());
    }
    if let Some(at) = batch.last_at {
        shared.last_event_at.note(at);
    }
    for (name, n) in &batch.unknown_fields {
        m.unknown_fields.inc_by(*n);
        shared.unknown_field(name);
    }
    let stages = [
        ("decode", batch.stages.decode),
        ("ledger", batch.stages.sequence),
        ("windows", batch.stages.windows),
        ("evaluate", batch.stages.evaluate),
    ];
    for (stage, time) in stages {
        m.batch_duration.with_label_values(&[stage]).observe(time.as_secs_f64());
    }
    counters.count(shared, batch);
}

/// The counters of the rules, looked up once for a rule set: a small batch counts for all of them what a large one does.
#[derive(Default)]
pub(super) struct RuleCounters(Option<(Arc<RuleSet>, ById<RuleId, OfRule>)>);

struct OfRule {
    seconds: Counter,
    findings: IntCounter,
    excepted: IntCounter,
    errors: IntCounter,
}

impl RuleCounters {
    fn count(&mut self, shared: &Shared, batch: &Committable) {
        let known = self.0.take_if(|(rules, _)| Arc::ptr_eq(rules, &batch.rules));
        let looked_up = || (Arc::clone(&batch.rules), counters_of(&batch.rules, &shared.metrics));
        let (rules, counters) = self.0.insert(known.unwrap_or_else(looked_up));
        let mut by_rule = shared.rule_counts.lock();
        for ((rule, of), counts) in rules.rules.iter().zip(counters.iter()).zip(&batch.evaluation.counts) {
            if *counts == RuleCounts::default() {
                continue;
            }
            of.count(counts);
            match by_rule.get_mut(&rule.rule.id) {
                Some(sum) => sum.add(counts),
                None => drop(by_rule.insert(rule.rule.id.clone(), counts.clone())),
            }
        }
    }
}

impl OfRule {
    fn count(&self, counts: &RuleCounts) {
        #[allow(clippy::cast_precision_loss)]
        self.seconds.inc_by(counts.nanos as f64 / 1e9);
        self.findings.inc_by(counts.findings);
        self.excepted.inc_by(counts.excepted);
        self.errors.inc_by(counts.errors);
    }
}

fn counters_of(rules: &RuleSet, m: &Metrics) -> ById<RuleId, OfRule> {
    let of = |rule: &CompiledRule| {
        let id = rule.rule.id.as_str();
        let labels = [id, rule.rule.severity.word(), rule.rule.mode.word()];
        OfRule {
            seconds: m.rule_evaluation.with_label_values(&[id]),
            findings: m.rule_findings.with_label_values(&labels),
            excepted: m.rule_excepted.with_label_values(&[id]),
            errors: m.rule_errors.with_label_values(&[id]),
        }
    };
    rules.rules.iter().map(of).collect()
}
