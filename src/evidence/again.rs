//! The findings of a pack made once more, by the engine of the daemon from what is in the pack, and the balances around them.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, AsArray},
    record_batch::RecordBatch,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::recipe::Recipe;
use crate::{
    decode::{Decoded, Decoder, Reading},
    engine::{Committable, EngineError, MemoryTables, Output},
    event::{Column, money::format_cents},
    finding::Finding,
    ledger::{Ledger, report::sums},
    rule::RuleSet,
    say,
    stream::{Block, Payload},
    trial::offline,
};

/// The sums of a line, money as text.
type Sums = Map<String, serde_json::Value>;

/// A line before and after an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Around {
    pub event_id: String,
    pub budget_line_id: String,
    pub before: Sums,
    pub after: Sums,
}

fn decoder(recipe: &Recipe) -> Result<Decoder, String> {
    let decoder = Decoder::new(recipe.calendar()?).in_currency(recipe.currency()?);
    // They were accepted before and stay as they are.
    Ok(decoder.reading(Reading::stored()))
}

fn block(events: &Bytes) -> Block {
    Block::new(Arc::from("pack"), Arc::from(super::EVENTS), 0, Payload::JsonLines(events.clone()))
}

/// Makes the findings once more.
///
/// # Errors
/// In words, if an event is refused, the rule fails on one, or the loop does.
pub(crate) fn findings(
    recipe: &Recipe,
    rules: &Arc<RuleSet>,
    events: &Bytes,
) -> Result<BTreeMap<String, Finding>, String> {
    let calendar = recipe.calendar()?;
    let tables = Arc::new(MemoryTables::new(&calendar));
    let mut made = Made { tables: Arc::clone(&tables), findings: BTreeMap::new(), fault: None };
    let (decoder, rules) = (decoder(recipe)?, Arc::clone(rules));
    offline::run(rules, decoder, recipe.lateness, block(events), (tables, &mut made), &calendar)?;
    made.fault.map_or(Ok(made.findings), Err)
}

/// The last stage of the loop.
struct Made {
    tables: Arc<MemoryTables>,
    findings: BTreeMap<String, Finding>,
    fault: Option<String>,
}

impl Output for Made {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        for batch in batches {
            self.tables.keep(&batch);
            let refused = batch.intake.rejects.first();
            let failed = batch.evaluation.counts.iter().find_map(|counts| counts.last_error.as_ref());
            if let Some(why) = refused.map(|reject| &reject.detail).or(failed) {
                self.fault.get_or_insert_with(|| why.clone());
            }
            let found = batch.evaluation.findings.iter();
            self.findings.extend(found.map(|found| (found.finding_id.clone(), found.clone())));
        }
        Ok(())
    }
}

/// The lines of some events before and after them, from all events of a pack.
///
/// # Errors
/// In words, if an event is refused.
pub(crate) fn balances(recipe: &Recipe, events: &Bytes, of: &[&str]) -> Result<Vec<Around>, String> {
    let Decoded { events, types, rejects, .. } = decoder(recipe)?.decode(&[block(events)], None);
    if let Some(reject) = rejects.first() {
        return Err(say!("an event is refused: {detail}", detail = reject.detail));
    }
    let (mut ledger, mut around) = (Ledger::default(), Vec::new());
    for (row, event_type) in types.iter().enumerate() {
        let event = events.slice(row, 1);
        let id = text(&event, Column::EventId).unwrap_or_default();
        if !of.contains(&id) {
            ledger.apply(&event, &[*event_type]);
            continue;
        }
        let lines = [Column::BudgetLineId, Column::ToBudgetLineId].map(|column| text(&event, column));
        let lines: Vec<&str> = lines.into_iter().flatten().collect();
        let before: Vec<Sums> = lines.iter().map(|line| of_line(&ledger, line)).collect();
        ledger.apply(&event, &[*event_type]);
        around.extend(lines.iter().zip(before).map(|(line, before)| Around {
            event_id: id.to_owned(),
            budget_line_id: (*line).to_owned(),
            before,
            after: of_line(&ledger, line),
        }));
    }
    Ok(around)
}

fn of_line(ledger: &Ledger, line: &str) -> Sums {
    let Some((line, _)) = ledger.line(line) else { return Sums::new() };
    sums(&line.balances)
        .map(|(name, cents)| (name.to_owned(), format_cents(cents).into()))
        .into_iter()
        .collect()
}

fn text(event: &RecordBatch, column: Column) -> Option<&str> {
    let array = event.column(column.index()).as_string_view_opt()?;
    array.is_valid(0).then(|| array.value(0))
}
