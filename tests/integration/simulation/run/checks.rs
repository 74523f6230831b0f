//! The state against the model, and against a run without faults.

use std::{collections::BTreeSet, sync::Arc};

use fiscwatch::{
    decode::Decoder,
    engine::{Noted, RuleTicks, Ticked},
    event::{money::format_scaled, number::format_number},
    finding::Finding,
    ledger::Ledger,
    store::{CaseQuery, Reader as StoreReader, RejectFilter, StoreError},
};

use super::{
    super::{
        ground::{Stored, lock},
        model::Line,
        oracle,
        rules::Set,
    },
    Process, Run,
};
use crate::support::calendar;

impl Run {
    /// What a start recovers is what was committed.
    pub(super) fn check_recovered(&self, process: &Process) -> Result<(), String> {
        let ledger = process.assembly.shared.ledger.read();
        self.check_ledger(&ledger).map_err(|e| format!("after a start, {e}"))
    }

    pub(super) fn check_ledger(&self, ledger: &Ledger) -> Result<(), String> {
        let ground = lock(&self.ground);
        let found: std::collections::BTreeMap<_, _> = ledger
            .lines()
            .map(|(line, attributes)| {
                let b = &line.balances;
                let line_of_model = Line {
                    approved: attributes.approved,
                    total: b.total.as_i128(),
                    executed: b.executed.as_i128(),
                    frozen: b.frozen.as_i128(),
                    reserved: b.reserved.as_i128(),
                    planned: b.planned.as_i128(),
                    transferred: b.transferred.as_i128(),
                    corrected: b.corrected.as_i128(),
                    opening: b.opening.as_i128(),
                    paid: b.paid().as_i128(),
                    cleared: b.cleared.as_i128(),
                };
                (line.id.to_string(), line_of_model)
            })
            .collect();
        if found != ground.model.lines {
            return Err(format!("the ledger is\n{found:#?}\nand not\n{:#?}", ground.model.lines));
        }
        let waiting: std::collections::BTreeMap<_, _> =
            ledger.saved_confirmations().map(|(id, cents)| (id.to_owned(), cents.as_i128())).collect();
        if waiting != ground.model.waiting {
            return Err(format!(
                "confirmations that wait are\n{waiting:#?}\nand not\n{:#?}",
                ground.model.waiting
            ));
        }
        let stated = ledger.indicators().iter().map(|(id, indicator)| {
            let actual =
                indicator.actual.map(|millionths| format_scaled(millionths / 10_000, 2)).unwrap_or_default();
            (id.to_owned(), (indicator.stated_at.as_micros() / 1000, format_number(indicator.target), actual))
        });
        let stated: std::collections::BTreeMap<_, _> = stated.collect();
        if stated != ground.model.indicators {
            return Err(format!("the indicators are\n{stated:#?}\nand not\n{:#?}", ground.model.indicators));
        }
        let sum = |of: fn(&Line) -> i128| found.values().map(of).sum::<i128>();
        match (sum(|l| l.transferred), sum(|l| l.corrected)) {
            (0, 0) => Ok(()),
            sums => Err(format!("transfers and corrections sum to {sums:?}")),
        }
    }

    /// What the state has.
    pub(super) fn stored(&self) -> Result<Stored, String> {
        let fail = |e: StoreError| format!("the state: {e}");
        let reader = StoreReader::open(&self.state()).map_err(fail)?;
        let info = reader.info().map_err(fail)?;
        let all = RejectFilter { limit: Some(100_000), ..RejectFilter::default() };
        Ok(Stored {
            events: info.events.unsigned_abs() + self.done.retired,
            duplicates: info.duplicates.unsigned_abs(),
            rejected: reader.rejects(&all).map_err(fail)?.len() as u64,
            positions: info.positions.into_iter().map(|(s, p, at)| ((s, p), at.unsigned_abs())).collect(),
        })
    }

    /// The whole state against the model and against a run without faults.
    pub(super) fn check_end(&mut self) -> Result<(), String> {
        let fail = |e: StoreError| format!("the state at the end: {e}");
        let schema = Arc::clone(Decoder::new(calendar()).schema());
        let mut reader = StoreReader::open(&self.state()).map_err(fail)?;
        self.check_ledger(&reader.ledger(&schema).map_err(fail)?)?;
        let (mut bodies, mut of_plain) = (BTreeSet::new(), BTreeSet::new());
        let take = |body: &str| {
            let finding: Finding = serde_json::from_str(body).map_err(|e| e.to_string())?;
            of_plain.extend(subject(&finding));
            bodies.insert(body.to_owned());
            Ok::<_, String>(())
        };
        reader.export_findings(&CaseQuery::default(), take).map_err(fail)??;
        let (journal, accepted, plain, blocks, torn) = {
            let ground = lock(&self.ground);
            let model = &ground.model;
            let journal = (ground.journal.clone(), model.accepted.clone(), model.findings.clone());
            (journal.0, journal.1, journal.2, ground.blocks.clone(), ground.torn)
        };
        self.check_journal(&accepted)?;
        differences("the model", of_plain.iter(), plain.iter())?;

        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|e| e.to_string())?;
        // Where ticks were torn from what followed, they are replayed where the state has noted them.
        let ticks = match torn && self.plan.rules == Set::Schedules {
            true => Some(self.ticks()?),
            false => None,
        };
        let passed: RuleTicks = ticks.iter().flatten().map(|tick| (tick.rule_id.clone(), tick.at)).collect();
        let noted = ticks.map(|ticks| {
            Noted::new(ticks, move |before| {
                usize::try_from(before).ok().and_then(|at| blocks.get(at)).copied().unwrap_or(i64::MAX)
            })
        });
        let due = noted.as_ref().map(Noted::due);
        let outcome = runtime.block_on(oracle::run(&self.plan, &journal, &self.sets, noted));
        if let Some(due) = due {
            let due = due.lock();
            differences("the ticks that were due", passed.iter(), due.iter())?;
        }
        self.check_ledger(&outcome.ledger.read())?;
        let text = |f: &Finding| serde_json::to_string(f).unwrap_or_default();
        let expected: BTreeSet<_> = outcome.findings.values().map(text).collect();
        differences("a run without faults", bodies.iter(), expected.iter())?;
        self.done.records = self.plan.partitions.iter().map(|p| p.records.len()).sum();
        self.done.events = accepted.len();
        self.done.findings = bodies.len();
        Ok(())
    }

    /// The ticks that the state has noted.
    fn ticks(&self) -> Result<Vec<Ticked>, String> {
        let schema = Arc::clone(Decoder::new(calendar()).schema());
        let history =
            fiscwatch::store::JournalView::open(&self.state(), &schema).map_err(|e| e.to_string())?;
        let ticks = history.ticks().map_err(|e| e.to_string())?;
        ticks.ok_or_else(|| String::from("the state has noted no ticks"))
    }

    /// The journal has the accepted events in order, but for those that were let go of.
    fn check_journal(&self, accepted: &[String]) -> Result<(), String> {
        use arrow::array::AsArray;
        let schema = Arc::clone(Decoder::new(calendar()).schema());
        let history =
            fiscwatch::store::JournalView::open(&self.state(), &schema).map_err(|e| e.to_string())?;
        let mut ids = Vec::new();
        let take = &mut |batch: &arrow::record_batch::RecordBatch, _: &[_]| {
            let column = batch.column(fiscwatch::event::Column::EventId.index()).as_string_view();
            ids.extend(column.iter().flatten().map(str::to_owned));
        };
        history
            .replay(None, &[fiscwatch::event::Column::EventId.index()], take)
            .map_err(|e| e.to_string())?;
        let known: BTreeSet<_> = ids.iter().collect();
        let kept: Vec<_> = accepted.iter().filter(|id| known.contains(id)).collect();
        let whole = ids.len() as u64 + self.done.retired == accepted.len() as u64;
        match ids.iter().eq(kept) && whole {
            true => Ok(()),
            false => Err(format!("the journal is {ids:?} and not {accepted:?}")),
        }
    }
}

/// Rule and subject of a finding of a plain rule.
fn subject(finding: &Finding) -> Option<(String, String)> {
    let subject = match finding.rule_id.as_str() {
        "over-budget" | "large-cash" | "burst" | "split" | "taken-back" | "of-nothing" | "cleared-beyond"
        | "cleared-nothing" | "cleared-line" => finding.event_id.clone()?,
        "unit-day" => {
            let end = calendar().parse(&finding.window.as_ref()?.end).ok()?.as_micros();
            format!("{} {end}", finding.key["unit_code"].as_str()?)
        }
        _ => return None,
    };
    Some((finding.rule_id.clone(), subject))
}

fn differences<'a, T: Ord + std::fmt::Debug + 'a>(
    with: &str,
    found: impl Iterator<Item = &'a T>,
    expected: impl Iterator<Item = &'a T>,
) -> Result<(), String> {
    let (found, expected): (BTreeSet<_>, BTreeSet<_>) = (found.collect(), expected.collect());
    let missing: Vec<_> = expected.difference(&found).take(3).collect();
    let more: Vec<_> = found.difference(&expected).take(3).collect();
    match missing.is_empty() && more.is_empty() {
        true => Ok(()),
        false => Err(format!("against {with}, missing: {missing:#?}\ntoo many: {more:#?}")),
    }
}
