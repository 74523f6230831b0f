//! The last stage of the daemon: one transaction for what is ready, then counts and receipts.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering, mpsc::SyncSender},
};

use super::counting::{RuleCounters, count};
use crate::{
    alert::{Cleared, Filing},
    daemon::Shared,
    engine::{Committable, EngineError, Output, SavedWatermark, Ticked, Workers, cleared},
    evaluate::{WindowUsage, auto_resolve::Watched},
    event::{Cents, Instant, TimeDelta},
    finding::Finding,
    personal::number::{self, NumberTail},
    rule::RuleSet,
    store::{Commit, Committed, Store, StoreError},
};

/// Writes to the store.
pub struct StoreOutput {
    /// Away while a commit is under way.
    store: Option<Store>,
    shared: Arc<Shared>,
    /// Wakes the sealing thread.
    sealing: SyncSender<()>,
    /// The budget lines that keep alerts open; the store has the last word.
    watched: Watched,
    /// The rules whose digests are in the store.
    in_force: Option<Arc<RuleSet>>,
    /// The counters of the rules in force.
    counters: RuleCounters,
    workers: Workers,
}

impl StoreOutput {
    /// An output to this store; `sealing` is told of checkpoints, and `workers` commit.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn new(
        store: Store,
        shared: Arc<Shared>,
        sealing: SyncSender<()>,
        workers: Workers,
    ) -> Result<Self, StoreError> {
        let mut watched = Watched::new();
        for (rule, line) in store.watched_lines()? {
            watched.entry(rule).or_default().insert(line);
        }
        Ok(Self {
            store: Some(store),
            shared,
            sealing,
            watched,
            in_force: None,
            counters: RuleCounters::default(),
            workers,
        })
    }

    /// The digests of these rules, if they are not in the store.
    fn other_rules(&mut self, rules: &Arc<RuleSet>) -> Option<Vec<(String, i64)>> {
        if self.in_force.as_ref().is_some_and(|known| Arc::ptr_eq(known, rules)) {
            return None;
        }
        self.in_force = Some(Arc::clone(rules));
        Some(rules.digests().map(|(id, digest)| (id.to_owned(), digest)).collect())
    }

    async fn store(&mut self, commit: Commit) -> Result<(Commit, Committed), EngineError> {
        let Some(mut store) = self.store.take() else {
            return Err(EngineError::Internal(String::from("a commit after a failed one")));
        };
        // fsync blocks, so it has a thread of its own; the store comes back with the result.
        let desk = self.shared.desk();
        let task = self.workers.blocking(move || {
            let result = store.commit(&commit, &desk);
            (store, commit, result)
        });
        let (store, commit, result) = task.await.map_err(|e| EngineError::Internal(e.to_string()))?;
        let committed = result?;
        self.store = Some(store);
        Ok((commit, committed))
    }
}

impl Output for StoreOutput {
    async fn commit(&mut self, mut batches: Vec<Committable>) -> Result<(), EngineError> {
        let now = self.shared.clock.now();
        if let Some(held) = batches.last().map(|batch| batch.held) {
            self.shared.gate.holds(held.bytes.iter().sum());
        }
        if let Some((watermark, held)) =
            batches.iter().rev().find_map(|b| Some((b.watermark.as_ref()?, b.held)))
        {
            gauge_windows(&self.shared, watermark, held);
        }
        let mut commit = Commit { now, ..Commit::default() };
        for batch in &mut batches {
            let cleared = cleared(batch, &mut self.watched);
            commit.append(part(batch, cleared, now));
        }
        let mut committed = Committed::default();
        if !commit.is_empty() {
            commit.rules = batches.last().and_then(|batch| self.other_rules(&batch.rules));
            let timer = self.shared.metrics.commit_duration.start_timer();
            (commit, committed) = self.store(commit).await?;
            timer.observe_duration();
        }
        if commit.intake.checkpoint.is_some() {
            // Blocks up to a checkpoint can be sealed. If the thread is behind, it has been told already.
            let _ = self.sealing.try_send(());
        }
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        if !committed.findings.is_empty() || !commit.cleared.is_empty() {
            self.shared.wake_dispatch();
        }
        let mut new = committed.findings.iter().peekable();
        for (place, Filing { finding, .. }) in std::mem::take(&mut commit.findings).into_iter().enumerate() {
            let Some((_, alert_id)) = new.next_if(|(at, _)| *at == place) else { continue };
            // With the alert's id this is the first link from an event to its mail (docs/operations.md).
            tracing::info!(
                rule = finding.rule_id,
                severity = finding.severity.word(),
                subject = finding.subject(),
                finding = finding.finding_id,
                alert = alert_id,
                "finding"
            );
            let _ = self.shared.findings.send(Arc::new(finding));
        }
        for alert in &committed.resolved {
            tracing::info!(alert, "the condition is no longer true, the alert is resolved");
        }
        reach("commit.counted")?;
        self.shared.metrics.duplicates.inc_by(commit.intake.duplicates);
        for batch in batches {
            count(&self.shared, &batch, &mut self.counters);
            for (_, waiting, receipt) in batch.receipts {
                if let Some(waiting) = waiting {
                    let _ = waiting.send(receipt);
                }
            }
        }
        reach("commit.told")?;
        for reject in &commit.intake.rejects {
            let source = self.shared.metrics.source_label(&reject.source);
            let reason = reject.reason.code();
            self.shared.metrics.quarantined.with_label_values(&[source, reason]).inc();
            // What was wrong may be quoted, and the log goes further than the quarantine.
            let detail = number::masked_within(&reject.detail, &[], &[], NumberTail::Hidden);
            tracing::debug!(source, partition = %reject.partition, record = reject.record, reason, "{detail}");
        }
        if !commit.intake.rejects.is_empty() {
            self.shared.quarantine.committed(&commit.intake.rejects, &committed, &self.shared.metrics);
        }
        gauges(&self.shared);
        Ok(())
    }
}

/// What is stored of a batch.
fn part(batch: &mut Committable, cleared: Vec<Cleared>, now: Instant) -> Commit {
    Commit {
        intake: std::mem::take(&mut batch.intake),
        journal: batch.journal.take().into_iter().collect(),
        findings: filings(batch),
        cleared,
        ticks: batch.tick.take().into_iter().map(|(at, rule_id)| Ticked { at, rule_id, block: 0 }).collect(),
        watermark: batch.watermark.take(),
        lists: batch.lists.take(),
        passed: batch.passed.iter().cloned().collect(),
        again: batch.again,
        now,
        received_at: batch.received.map(|at| now - TimeDelta::of(at.elapsed())),
        ..Commit::default()
    }
}

/// The findings of a batch, each with its rule.
fn filings(batch: &mut Committable) -> Vec<Filing> {
    let rules = Arc::clone(&batch.rules);
    let rule = |id: &str| rules.rules.iter().find(|rule| rule.rule.id == id);
    let file = |(at, _, finding): (Instant, Cents, Finding)| {
        // A finding is always of a rule that the batch was judged by.
        let rule = rule(&finding.rule_id)?;
        Some(Filing {
            finding,
            at,
            rule: Arc::clone(&rule.rule),
            personal: Arc::clone(&rule.personal),
            clears: rule.clears.is_some(),
        })
    };
    batch.evaluation.take_findings().filter_map(file).collect()
}

fn reach(name: &str) -> Result<(), EngineError> {
    crate::failpoint::reach(name).map_err(|error| EngineError::Output(error.to_string()))
}

/// How far event time has come, and what windows hold.
fn gauge_windows(shared: &Shared, watermark: &SavedWatermark, held: WindowUsage) {
    let m = &shared.metrics;
    let mut least: BTreeMap<&str, Instant> = BTreeMap::new();
    for (source, _, latest) in &watermark.partitions {
        let at = least.entry(source).or_insert(*latest);
        *at = (*at).min(*latest);
    }
    for (source, latest) in least {
        let seconds = (latest.saturating_sub(shared.lateness) - Instant::EPOCH).as_seconds_f64();
        m.watermark.with_label_values(&[m.source_label(source)]).set(seconds);
    }
    for (kind, items) in [("events", held.events), ("panes", held.panes)] {
        m.windows_held.with_label_values(&[kind]).set(items.try_into().unwrap_or(i64::MAX));
    }
    for (kind, bytes) in ["sliding", "closing"].into_iter().zip(held.bytes) {
        m.window_bytes.with_label_values(&[kind]).set(bytes.try_into().unwrap_or(i64::MAX));
    }
}

/// Gauges that are cheap enough for every commit.
fn gauges(shared: &Shared) {
    let bytes = crate::store::store_bytes(&shared.state_dir) + shared.sealed_bytes.load(Ordering::Relaxed);
    shared.metrics.store_bytes.set(bytes.try_into().unwrap_or(i64::MAX));
    let lines = shared.ledger.read().len();
    shared.metrics.budget_lines.set(lines.try_into().unwrap_or(i64::MAX));
}
