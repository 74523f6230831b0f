//! How a rule makes a finding of a row.

use arrow::array::ArrayRef;
use serde_json::{Map, Value};

use super::condition::RuleTable;
use crate::{
    event::{Column, Instant, period::Stretch, time::Calendar},
    finding::{Finding, WindowSpan},
    rule::{ColumnId, Id, compile::CompiledRule},
    sql::value,
};

/// Columns that label an alert whenever the event has them, and its type. What the event lacks, such as the unit of a bank's
/// confirmation, is that of the event that it names, if the rule shows it.
const LABELS: [Column; 4] = [Column::UnitCode, Column::RegionCode, Column::BudgetLineId, Column::Type];

/// What a finding is about; its time is that of the event, the end of the window, or the tick.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'s> {
    Event {
        id: &'s str,
        at: Instant,
    },
    /// A window; of its key no other ends when it does.
    Window(Stretch),
    /// A window from an event on: several may end together.
    From(Stretch),
    Tick(Instant),
}

impl Subject<'_> {
    /// The time of the finding.
    #[must_use]
    pub fn at(&self) -> Instant {
        match self {
            Self::Event { at, .. } | Self::Tick(at) => *at,
            Self::Window(stretch) | Self::From(stretch) => stretch.end,
        }
    }
}

/// The row that a finding was made on: in the rule's table, and in the columns behind those of the table.
pub struct FindingRow<'p> {
    pub table: &'p RuleTable,
    pub row: usize,
    /// Columns behind those of the table.
    pub more: &'p [ArrayRef],
    /// The row in them.
    pub more_row: usize,
}

impl FindingRow<'_> {
    fn cell(&self, column: ColumnId) -> (&ArrayRef, usize) {
        match column.number().checked_sub(self.table.of_batch().len()) {
            None => (&self.table.of_batch()[column], self.row),
            Some(more) => (&self.more[more], self.more_row),
        }
    }
}

/// Digits of a finding id: 128 bits in hexadecimal.
const ID_LENGTH: usize = 32;

impl Finding {
    /// The finding of `rule` on a row of its table.
    #[must_use]
    pub fn new(
        rule: &CompiledRule,
        place: &FindingRow<'_>,
        subject: Subject<'_>,
        calendar: &Calendar,
    ) -> Self {
        let named = |columns: &[ColumnId]| -> Map<String, Value> {
            let cell = |at: ColumnId| {
                let (array, row) = place.cell(at);
                (at.field(&rule.columns).name().clone(), value(array, row, calendar))
            };
            columns.iter().map(|&at| cell(at)).collect()
        };
        let (key, values) = (named(&rule.key), named(&rule.values));
        let summary = match &rule.summary {
            Some(template) => template.render(&nested(&values)),
            None => rule.title.clone(),
        };
        let (id, event_id, window) = match subject {
            Subject::Event { id, .. } => (id.to_owned(), Some(id.to_owned()), None),
            Subject::Tick(at) => (at.as_micros().to_string(), None, None),
            Subject::Window(Stretch { start, end }) | Subject::From(Stretch { start, end }) => {
                let window = WindowSpan { start: calendar.format(start), end: calendar.format(end) };
                let id = match subject {
                    Subject::From(_) => format!("{} {}", start.as_micros(), end.as_micros()),
                    _ => end.as_micros().to_string(),
                };
                (id, None, Some(window))
            }
        };
        Self {
            finding_id: finding_id(&rule.rule.id, &key, &id),
            rule_id: rule.rule.id.clone(),
            severity: rule.rule.severity,
            handling: rule.rule.handling,
            mode: rule.rule.mode,
            key,
            at: calendar.format(subject.at()),
            event_id,
            window,
            values,
            summary,
            labels: labels(rule, place, calendar),
        }
    }
}

impl Finding {
    /// What it is about, as its id was made of it, when it was made at an instant.
    #[must_use]
    pub fn named_by(&self, at: Instant) -> String {
        let at = at.as_micros();
        let by_time = || at.to_string();
        let subject = self.event_id.clone().unwrap_or_else(by_time);
        let start = self.window.as_ref().and_then(|window| window.start.parse::<jiff::Timestamp>().ok());
        match start {
            Some(start) if finding_id(&self.rule_id, &self.key, &subject) != self.finding_id => {
                format!("{} {at}", start.as_microsecond())
            }
            _ => subject,
        }
    }
}

/// Those of [`LABELS`] that the rule's table has.
fn labels(rule: &CompiledRule, place: &FindingRow<'_>, calendar: &Calendar) -> Map<String, Value> {
    let mut labels = Map::new();
    for name in LABELS.map(|column| column.spec().name) {
        if let Some(at) = ColumnId::of(&rule.columns, name) {
            let of_original = ColumnId::of(&rule.columns, &format!("original.{name}"));
            let shown = |at: &ColumnId| rule.key.contains(at) || rule.values.contains(at);
            let own = place.cell(at);
            let (array, row) = match of_original {
                Some(at) if own.0.is_null(own.1) && shown(&at) => place.cell(at),
                _ => own,
            };
            labels.insert(name.to_owned(), value(array, row, calendar));
        }
    }
    labels
}

/// The id of what a rule finds for a key about an event, or about a window or tick by its time in microseconds.
#[must_use]
pub fn finding_id(rule: &str, key: &Map<String, Value>, subject: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    // Lengths before the parts, so that no two different triples are the same bytes.
    for part in [rule, &Value::Object(key.clone()).to_string(), subject] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(ID_LENGTH);
    id
}

/// `budget.total` as `budget: {total: …}`, as templates name it.
fn nested(values: &Map<String, Value>) -> Value {
    let mut root = Map::new();
    // What is beside the event is there even if nothing of it is known.
    let mut beside = ["budget", "group", "original"].map(|name| (name, Map::new()));
    // A missing value is no word on the notification line.
    for (name, value) in values.iter().filter(|(_, value)| !value.is_null()) {
        let within = beside
            .iter_mut()
            .find_map(|(table, fields)| Some((fields, name.strip_prefix(*table)?.strip_prefix('.')?)));
        match within {
            Some((fields, name)) => fields.insert(name.to_owned(), value.clone()),
            None => root.insert(name.clone(), value.clone()),
        };
    }
    for (table, fields) in beside {
        root.entry(table).or_insert(Value::Object(fields));
    }
    Value::Object(root)
}
