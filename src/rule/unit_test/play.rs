//! A test's events through decoding, ledger and evaluation.

use std::{
    fmt::Write,
    sync::{Arc, RwLock},
};

use bytes::Bytes;

use super::read::{Case, Suite};
use crate::{
    decode::Decoder,
    engine::{Dedup, Sequencer, Step, Watermark, Windowing},
    evaluate::{Batch, Evaluator, Finding},
    event::time::Calendar,
    ledger::Ledger,
    rule::{RuleSet, compile::wide_schema},
    stream::{Block, Payload},
};

/// What the events of a test lead to.
pub struct Outcome {
    pub findings: Vec<Finding>,
    pub ledger: Ledger,
    pub calendar: Arc<Calendar>,
    /// The types of the columns that findings show.
    pub columns: arrow::datatypes::SchemaRef,
}

/// Plays a test.
///
/// # Errors
/// In words, if an event is refused or a rule fails on one.
pub fn play(suite: &Suite, case: &Case, rules: &Arc<RuleSet>) -> Result<Outcome, String> {
    let calendar = &suite.calendar;
    let decoded = Decoder::new(Arc::clone(calendar)).decode(&[block(case)], None);
    let mut faults = String::new();
    for reject in &decoded.rejects {
        let event = usize::try_from(reject.record).ok().and_then(|n| case.events.get(n.checked_sub(1)?));
        let place = event.map_or(String::new(), |event| format!("{} (line {})", event.id, event.line));
        let _ = writeln!(faults, "the event {place} is refused: {}: {}", reject.reason.code(), reject.detail);
    }
    let ledger = Arc::new(RwLock::new(Ledger::default()));
    let watermark = Watermark::new(suite.lateness);
    let mut sequencer = Sequencer::new(Arc::clone(&ledger), Dedup::default(), watermark, None);
    let blocks = [block(case)];
    let sequenced = sequencer.sequence(&blocks, decoded, Step::End { bounded: true }, (0, i64::MAX));
    let batch = Batch {
        events: &sequenced.events,
        types: &sequenced.types,
        after: &sequenced.after,
        attributes: &sequenced.attributes,
    };
    let evaluator = Evaluator::new(Arc::clone(rules), Arc::clone(calendar));
    let mut windowing =
        Windowing::new(&evaluator, None, i64::MAX, (i64::MIN, i64::MIN)).map_err(|e| e.to_string())?;
    let prepared = evaluator.prepare(&batch);
    let mut moved = windowing.observe(&prepared, &sequenced.watermarks, sequenced.watermark.at());
    windowing.end(&mut moved);
    let evaluation = prepared.conclude(moved);
    drop(sequencer);
    let ledger = Arc::into_inner(ledger).and_then(|ledger| ledger.into_inner().ok()).unwrap_or_default();
    let tested = |id: &str| case.only.is_empty() || case.only.iter().any(|only| only.text == id);
    for (rule, counts) in rules.rules.iter().zip(&evaluation.counts) {
        if let Some(error) = counts.last_error.as_ref().filter(|_| tested(&rule.rule.id)) {
            let _ = writeln!(faults, "the rule {} fails on {} events: {error}", rule.rule.id, counts.errors);
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let findings = evaluation.findings.into_iter().filter(|finding| tested(&finding.rule_id)).collect();
    let columns = wide_schema(&calendar.zone_name);
    Ok(Outcome { findings, ledger, calendar: Arc::clone(calendar), columns })
}

fn block(case: &Case) -> Block {
    let mut lines = String::new();
    for event in &case.events {
        let _ = writeln!(lines, "{}", serde_json::Value::Object(event.record.clone()));
    }
    let partition = Arc::from(case.name.text.as_str());
    Block::new(Arc::from("test"), partition, 0, Payload::JsonLines(Bytes::from(lines)))
}
