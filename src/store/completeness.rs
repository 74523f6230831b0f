//! What a day comes to: its payments, what the bank says of them, and what of that day went to quarantine.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Decimal128Type, TimestampMicrosecondType},
};
use hashbrown::HashSet;
use rusqlite::named_params;
use serde_json::{Map, Value};

use super::{JournalView, ReadOrder, Select, StoreError, explain};
use crate::{
    event::{BankStatus, Cents, Column, EventType, Instant, TimeDelta, id_hash, money::parse_amount},
    ledger::{Completeness, Figure, Matching},
};

/// How long before a day confirmations of its payments are looked for: some come early. 31 days.
const EARLY: TimeDelta = TimeDelta::days(31);

/// What a source says it sent on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayStatement {
    /// What was ordered, and what the bank did.
    pub figures: Completeness,
    /// Records that were received on the day and are in quarantine, with the amounts that can be read in them.
    pub quarantined: Figure,
    /// Those of them in which no amount can be read.
    pub unreadable: u64,
}

impl JournalView {
    /// The statement of the day from `day.0` on and before `day.1`, as the journal is now; `is_approved` tells
    /// of a budget line whether it was approved.
    ///
    /// # Errors
    /// If a file or block is damaged or the database cannot be read.
    pub fn completeness(
        &self,
        day: (Instant, Instant),
        is_approved: &dyn Fn(&str) -> bool,
    ) -> Result<DayStatement, StoreError> {
        let mut matching = Matching::default();
        let of_day = Select { from: Some(day.0), to: Some(day.1), ..Select::default() };
        let ordered = [Column::EventId, Column::BudgetLineId, Column::Amount];
        self.each(EventType::Payment, of_day, &ordered, &mut |batch, row| {
            let line = text(batch, Column::BudgetLineId, row).unwrap_or_default();
            let id = id_hash(text(batch, Column::EventId, row).unwrap_or_default());
            matching.order(id, cents(batch, row), is_approved(line));
            true
        })?;
        let taken_out = [Column::OriginalEventId];
        // A payment is taken out after it came, but its reversal may have been dated before it.
        let since = Select { from: Some(day.0.saturating_sub(EARLY)), ..Select::default() };
        self.each(EventType::Reversal, since, &taken_out, &mut |batch, row| {
            matching.take_out(id_hash(text(batch, Column::OriginalEventId, row).unwrap_or_default()));
            true
        })?;
        let answered = [Column::OccurredAt, Column::Amount, Column::OriginalEventId, Column::Status];
        let since = Select { from: Some(day.0.saturating_sub(EARLY)), ..Select::default() };
        self.each(EventType::Confirmation, since, &answered, &mut |batch, row| {
            let status = text(batch, Column::Status, row).and_then(BankStatus::parse);
            let amount = cents(batch, row);
            let payment = id_hash(text(batch, Column::OriginalEventId, row).unwrap_or_default());
            let at = at(batch, row);
            let of_the_day = (day.0..day.1).contains(&at);
            matching.confirm(payment, status.map_or(amount, |status| status.cleared(amount)), of_the_day);
            true
        })?;
        let mut sought: HashSet<u64> = matching.sought().into_iter().collect();
        let mut known = HashSet::new();
        // Most are of the days before; the rest of the journal is read only for what is not there.
        let (before, late) = (day.0.saturating_sub(EARLY), Some(day.0));
        let stretches = [(Some(before), late), (Some(day.1), None), (None, Some(before))];
        for (from, to) in stretches {
            if sought.is_empty() {
                break;
            }
            let select = Select { from, to, ..Select::default() };
            self.each(EventType::Payment, select, &[Column::EventId], &mut |batch, row| {
                let id = id_hash(text(batch, Column::EventId, row).unwrap_or_default());
                if sought.remove(&id) {
                    known.insert(id);
                }
                !sought.is_empty()
            })?;
        }
        let figures = matching.figures(&|id| known.contains(&id));
        let (quarantined, unreadable) = self.quarantined(day)?;
        Ok(DayStatement { figures, quarantined, unreadable })
    }

    /// Gives the rows of the selected events of a type to `take`, until that has enough.
    fn each(
        &self,
        event_type: EventType,
        select: Select,
        columns: &[Column],
        take: &mut dyn FnMut(&RecordBatch, usize) -> bool,
    ) -> Result<(), StoreError> {
        let select = Select { types: Some(event_type.bit()), ..select };
        let mut places: Vec<_> = columns.iter().map(|column| column.index()).collect();
        places.sort_unstable();
        for batch in self.scan(&select, Some(&places), ReadOrder::Any)? {
            let batch = batch?;
            if !(0..batch.num_rows()).all(|row| take(&batch, row)) {
                break;
            }
        }
        Ok(())
    }

    /// Records in quarantine that were received on the day. One that was read again is an event by now.
    fn quarantined(&self, (from, to): (Instant, Instant)) -> Result<(Figure, u64), StoreError> {
        let fail = |error| explain(&self.snapshot.dir, error);
        let connection = self.snapshot.connection();
        let sql = "SELECT raw FROM quarantine
                   WHERE received_at >= :from AND received_at < :to AND replayed_at IS NULL";
        let mut statement = connection.prepare(sql).map_err(fail)?;
        let mut rows = statement.query(named_params! { ":from": from, ":to": to }).map_err(fail)?;
        let (mut figure, mut unreadable) = (Figure::default(), 0);
        while let Some(row) = rows.next().map_err(fail)? {
            let raw = row.get_ref(0).and_then(|raw| Ok(raw.as_blob()?)).map_err(fail)?;
            let amount = amount_of(raw);
            unreadable += u64::from(amount.is_none());
            figure.add(amount.unwrap_or_default());
        }
        Ok((figure, unreadable))
    }
}

/// The amount in a record that was rejected, if it is an exact one.
fn amount_of(raw: &[u8]) -> Option<Cents> {
    let record: Map<String, Value> = serde_json::from_slice(raw).ok()?;
    match record.get(Column::Amount.spec().name)? {
        Value::String(text) => parse_amount(text).ok(),
        Value::Number(number) => parse_amount(&number.to_string()).ok(),
        _ => None,
    }
}

fn column(batch: &RecordBatch, column: Column) -> Option<&arrow::array::ArrayRef> {
    batch.column_by_name(column.spec().name)
}

fn text(batch: &RecordBatch, of: Column, row: usize) -> Option<&str> {
    let texts = column(batch, of)?.as_string_view_opt()?;
    texts.is_valid(row).then(|| texts.value(row))
}

fn cents(batch: &RecordBatch, row: usize) -> Cents {
    let amounts = column(batch, Column::Amount).and_then(|c| c.as_primitive_opt::<Decimal128Type>());
    amounts.map_or(Cents::ZERO, |amounts| Cents::new(amounts.value(row)))
}

fn at(batch: &RecordBatch, row: usize) -> Instant {
    let times =
        column(batch, Column::OccurredAt).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    times.map_or(Instant::MIN, |times| Instant::from_micros(times.value(row)))
}
