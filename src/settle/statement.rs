//! The statement of a year.

use std::collections::{BTreeMap, HashSet};

use arrow::{
    array::{Array, AsArray},
    datatypes::{Decimal128Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use serde::Serialize;

use super::Figures;
use crate::{
    event::{BudgetAction, Cents, Column, EventType, Instant, period::Stretch, time::Calendar},
    journal::layout::{block_of, row_of},
    ledger::{Attributes, LEDGER_COLUMNS, Ledger},
    say,
    store::{JournalView, Select, StoreError},
};

/// What became of the budget of a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Statement {
    pub fiscal_year: i32,
    /// When the year begins, and when the next one does, RFC 3339.
    pub from: String,
    pub to: String,
    /// The last block of the journal that it takes in.
    pub last_block: i64,
    pub lines: Vec<StatementRow>,
    pub units: Vec<StatementRow>,
    pub functions: Vec<StatementRow>,
    pub classes: Vec<StatementRow>,
    pub sum: Figures,
    /// What does not hold; nothing, or the statement is worth nothing.
    pub problems: Vec<String>,
}

/// A line, or lines together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StatementRow {
    /// The `budget_line_id`, or the code that the lines have in common; empty for lines without one.
    pub code: String,
    pub unit_code: String,
    pub unit_name: String,
    pub function_code: String,
    pub economic_code: String,
    pub lines: usize,
    #[serde(flatten)]
    pub figures: Figures,
}

/// How lines are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatementLevel {
    Line,
    Unit,
    Function,
    Class,
}

impl Statement {
    /// The rows of a grouping.
    pub(crate) fn rows(&self, group: StatementLevel) -> &[StatementRow] {
        match group {
            StatementLevel::Line => &self.lines,
            StatementLevel::Unit => &self.units,
            StatementLevel::Function => &self.functions,
            StatementLevel::Class => &self.classes,
        }
    }

    /// A digest of everything that it says.
    pub(crate) fn print(&self) -> i64 {
        let text = serde_json::to_vec(self).unwrap_or_default();
        xxhash_rust::xxh3::xxh3_64(&text).cast_signed()
    }
}

/// Adds up the year, from the events of the journal up to a place.
///
/// # Errors
/// If the journal cannot be read, or there is no such year.
pub(crate) fn statement(
    history: &JournalView,
    year: i32,
    until: i64,
    calendar: &Calendar,
) -> anyhow::Result<Statement> {
    let Some(Stretch { start: from, end: to }) = calendar.fiscal_year(year) else {
        anyhow::bail!(say!("there is no fiscal year {year}", year));
    };
    let mut adding = Adding::default();
    let columns: Vec<usize> = LEDGER_COLUMNS.iter().map(|column| column.index()).collect();
    let select = Select { until: Some(until), ..Select::default() };
    history.replay_part(&select, &columns, &mut |batch, types, _| adding.take(batch, types))?;
    Ok(adding.statement(year, (calendar.format(from), calendar.format(to)), block_of(until)))
}

/// Events on their way into a statement.
#[derive(Default)]
pub(super) struct Adding {
    ledger: Ledger,
    figures: BTreeMap<String, Figures>,
}

impl Adding {
    pub(super) fn take(&mut self, batch: &RecordBatch, types: &[EventType]) {
        self.ledger.apply(batch, types);
        let _ = self.ledger.take_changes();
        for row in (0..batch.num_rows()).filter(|row| types[*row] == EventType::Budget) {
            let action = text(batch, Column::Action, row).and_then(BudgetAction::parse);
            let (Some(action), Some(line)) = (action, text(batch, Column::BudgetLineId, row)) else {
                continue;
            };
            let cents = cents(batch, row);
            self.of(line).act(action, cents);
            if let (BudgetAction::Transfer, Some(to)) = (action, text(batch, Column::ToBudgetLineId, row)) {
                self.of(to).transferred += cents;
            }
        }
    }

    fn of(&mut self, line: &str) -> &mut Figures {
        if !self.figures.contains_key(line) {
            self.figures.insert(line.to_owned(), Figures::default());
        }
        self.figures.entry(line.to_owned()).or_default()
    }

    pub(super) fn statement(mut self, year: i32, (from, to): (String, String), last_block: i64) -> Statement {
        let mut lines: Vec<StatementRow> = Vec::new();
        let mut everywhere = Figures::default();
        for (line, attributes) in self.ledger.lines() {
            let mut figures = self.figures.remove(&*line.id).unwrap_or_default();
            figures.close(&line.balances);
            everywhere += figures;
            if attributes.fiscal_year == Some(year) {
                lines.push(row(line.id.to_string(), attributes, figures));
            }
        }
        lines.sort_by(|a, b| a.code.cmp(&b.code));
        let mut sum = Figures::default();
        lines.iter().for_each(|row| sum += row.figures);
        let units = together(&lines, |row| (&row.unit_code, &row.unit_name));
        let functions = together(&lines, |row| (&row.function_code, ""));
        let classes = together(&lines, |row| (&row.economic_code, ""));
        let mut problems: Vec<String> = lines
            .iter()
            .filter_map(|row| row.figures.problem(&say!("line {line}", line = row.code)))
            .collect();
        for (name, rows) in
            [(say!("units"), &units), (say!("functions"), &functions), (say!("classes"), &classes)]
        {
            let mut all = Figures::default();
            rows.iter().for_each(|row| all += row.figures);
            if all != sum {
                problems.push(say!("the {name} do not make the sum of the lines", name));
            }
        }
        // What one line of any year gives, another one gets.
        if everywhere.transferred != Cents::ZERO {
            let left = everywhere.transferred.to_string();
            problems.push(say!("transfers between lines leave {left}", left));
        }
        Statement { fiscal_year: year, from, to, last_block, lines, units, functions, classes, sum, problems }
    }
}

fn row(code: String, attributes: &Attributes, figures: Figures) -> StatementRow {
    let text = |column| attributes.text(column).unwrap_or_default().to_owned();
    StatementRow {
        code,
        unit_code: text(Column::UnitCode),
        unit_name: text(Column::UnitName),
        function_code: text(Column::FunctionCode),
        economic_code: text(Column::EconomicCode),
        lines: 1,
        figures,
    }
}

/// The lines with one code together.
fn together<'r>(
    lines: &'r [StatementRow],
    of: impl Fn(&'r StatementRow) -> (&'r str, &'r str),
) -> Vec<StatementRow> {
    let mut groups: BTreeMap<&str, StatementRow> = BTreeMap::new();
    for line in lines {
        let (code, name) = of(line);
        let group = groups.entry(code).or_insert_with(|| StatementRow {
            code: code.to_owned(),
            unit_code: String::new(),
            unit_name: String::new(),
            function_code: String::new(),
            economic_code: String::new(),
            lines: 0,
            figures: Figures::default(),
        });
        // Units that are called so now and so then have one of their names, always the same.
        if group.unit_name.as_str() < name {
            name.clone_into(&mut group.unit_name);
        }
        group.lines += 1;
        group.figures += line.figures;
    }
    groups.into_values().collect()
}

/// An event that came after the freeze and is of the year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LateEvent {
    pub event_id: String,
    pub r#type: String,
    pub action: Option<String>,
    pub occurred_at: String,
    pub budget_line_id: String,
    pub to_budget_line_id: Option<String>,
    pub amount: String,
    pub block: i64,
    pub row: i64,
}

/// What came after a place and moves money of the lines of a year.
///
/// # Errors
/// If the journal cannot be read.
pub(crate) fn late(
    history: &JournalView,
    year: i32,
    until: i64,
    calendar: &Calendar,
) -> Result<Vec<LateEvent>, StoreError> {
    let mut ledger = Ledger::default();
    let (mut late, mut frozen) = (Vec::new(), HashSet::new());
    let columns: Vec<usize> = LEDGER_COLUMNS.iter().map(|column| column.index()).collect();
    history.replay_part(&Select::default(), &columns, &mut |batch, types, arrivals| {
        // What was frozen: an approval may give a line of it to another year afterwards.
        let before = arrivals.partition_point(|arrival| *arrival <= until);
        ledger.apply(&batch.slice(0, before), &types[..before]);
        if before < batch.num_rows() && frozen.is_empty() {
            let of_year = ledger.lines().filter(|(_, attributes)| attributes.fiscal_year == Some(year));
            frozen.extend(of_year.map(|(line, _)| line.id.clone()));
        }
        ledger.apply(&batch.slice(before, batch.num_rows() - before), &types[before..]);
        let _ = ledger.take_changes();
        for row in before..batch.num_rows() {
            let lines = [Column::BudgetLineId, Column::ToBudgetLineId].map(|column| text(batch, column, row));
            let of_year = |line: &&str| {
                let is_now = |(_, attributes): (_, &Attributes)| attributes.fiscal_year == Some(year);
                frozen.contains(*line) || ledger.line(line).is_some_and(is_now)
            };
            let moves =
                !matches!(types[row], EventType::Indicator | EventType::Receipt | EventType::Confirmation);
            if moves && lines.iter().flatten().any(of_year) {
                late.push(event(batch, row, arrivals[row], calendar));
            }
        }
    })?;
    Ok(late)
}

fn event(batch: &RecordBatch, row: usize, arrival: i64, calendar: &Calendar) -> LateEvent {
    let of = |column| text(batch, column, row).map(str::to_owned);
    let times = batch.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
    LateEvent {
        event_id: of(Column::EventId).unwrap_or_default(),
        r#type: of(Column::Type).unwrap_or_default(),
        action: of(Column::Action),
        occurred_at: calendar.format(Instant::from_micros(times.value(row))),
        budget_line_id: of(Column::BudgetLineId).unwrap_or_default(),
        to_budget_line_id: of(Column::ToBudgetLineId),
        amount: cents(batch, row).to_string(),
        block: block_of(arrival),
        row: row_of(arrival),
    }
}

pub(super) fn text(batch: &RecordBatch, column: Column, row: usize) -> Option<&str> {
    let array = batch.column(column.index()).as_string_view();
    array.is_valid(row).then(|| array.value(row))
}

/// A withdrawal has no amount.
pub(super) fn cents(batch: &RecordBatch, row: usize) -> Cents {
    let amounts = batch.column(Column::Amount.index()).as_primitive::<Decimal128Type>();
    Cents::new(if amounts.is_valid(row) { amounts.value(row) } else { 0 })
}
