//! `original.*`: the event that another one names, such as the payment of a refund or confirmation, and what was taken
//! back and cleared of it so far. Each
//! column is computed only when a rule names it.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Decimal128Array, Int64Array, StringViewArray, TimestampMicrosecondArray,
        UInt32Array,
    },
    compute::take,
    datatypes::{DataType, Decimal128Type, Schema, TimestampMicrosecondType},
    record_batch::RecordBatch,
};

use super::{AfterEvent, columns::BALANCE_TYPE, reversals::Reversed};
use crate::event::{Cents, Column, EventType, Instant, TypeSet, nothing};

/// What is kept of an event that may be taken back.
pub(crate) const ORIGINAL_FIELDS: [Column; 11] = [
    Column::Type,
    Column::OccurredAt,
    Column::BudgetLineId,
    Column::Amount,
    Column::UnitCode,
    Column::UnitName,
    Column::PayeeName,
    Column::PayeeAccount,
    Column::PayerAccount,
    Column::ActualPayeeName,
    Column::ActualPayeeAccount,
];

/// The first of [`ORIGINAL_FIELDS`]: what the ledger asks of a payment that is confirmed.
pub(crate) const LINE_FIELDS: usize = 3;

/// The types of events that others take back, as [`EventType::bit`]s.
pub(crate) const TAKEN_BACK: TypeSet = EventType::Application.bit() | EventType::Payment.bit();

/// An event that another one names: a row of a batch with the columns of [`ORIGINAL_FIELDS`], or the first of them.
#[derive(Debug, Clone)]
pub struct Original {
    events: Arc<RecordBatch>,
    row: usize,
}

/// An event of a batch that names another one.
#[derive(Debug)]
pub struct Naming {
    /// The row of the event.
    pub row: u32,
    /// What was taken back of the other one, this event included.
    pub reversed: Reversed,
    /// What reversals brought to the event's line, less what they took from it.
    pub brought: Cents,
    /// The other one; `None` if no such event came before.
    pub original: Option<Original>,
}

/// A column of `original.*`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OriginalColumn {
    /// A field of the original.
    Field(Column),
    /// What was taken back or cleared.
    Sum(fn(&Reversed) -> Cents),
    /// Events that took back.
    Count(fn(&Reversed) -> u32),
    /// What of the original is left on the event's line.
    Left,
}

/// Every column of `original.*` by its whole name.
pub(crate) static ORIGINAL_COLUMNS: &[(&str, OriginalColumn)] = &[
    ("original.type", OriginalColumn::Field(Column::Type)),
    ("original.occurred_at", OriginalColumn::Field(Column::OccurredAt)),
    ("original.amount", OriginalColumn::Field(Column::Amount)),
    ("original.budget_line_id", OriginalColumn::Field(Column::BudgetLineId)),
    ("original.unit_code", OriginalColumn::Field(Column::UnitCode)),
    ("original.unit_name", OriginalColumn::Field(Column::UnitName)),
    ("original.payee_name", OriginalColumn::Field(Column::PayeeName)),
    ("original.payee_account", OriginalColumn::Field(Column::PayeeAccount)),
    ("original.payer_account", OriginalColumn::Field(Column::PayerAccount)),
    ("original.actual_payee_name", OriginalColumn::Field(Column::ActualPayeeName)),
    ("original.actual_payee_account", OriginalColumn::Field(Column::ActualPayeeAccount)),
    ("original.refunded", OriginalColumn::Sum(|r| r.refunded)),
    ("original.refunds", OriginalColumn::Count(|r| r.refunds)),
    ("original.corrected", OriginalColumn::Sum(|r| r.corrected)),
    ("original.reversals", OriginalColumn::Count(|r| r.reversals)),
    ("original.withdrawals", OriginalColumn::Count(|r| r.withdrawals)),
    ("original.cleared", OriginalColumn::Sum(|r| r.cleared)),
    ("original.left", OriginalColumn::Left),
];

impl Original {
    /// The event in a row of a batch with the columns of [`ORIGINAL_FIELDS`].
    #[must_use]
    pub fn new(events: Arc<RecordBatch>, row: usize) -> Self {
        Self { events, row }
    }

    /// Whether it is of a type that can be taken back.
    #[must_use]
    pub fn can_be_taken_back(&self) -> bool {
        self.text(Column::Type).and_then(EventType::parse).is_some_and(|t| t.bit() & TAKEN_BACK != 0)
    }

    fn column(&self, column: Column) -> Option<&ArrayRef> {
        let at = ORIGINAL_FIELDS.iter().position(|field| *field == column)?;
        self.events.columns().get(at).filter(|values| values.is_valid(self.row))
    }

    /// Text is viewed in the block of its batch, or stands in a buffer of its own.
    fn text(&self, column: Column) -> Option<&str> {
        let values = self.column(column)?;
        let viewed = values.as_string_view_opt().map(|texts| texts.value(self.row));
        viewed.or_else(|| values.as_string_opt::<i32>().map(|texts| texts.value(self.row)))
    }

    fn amount(&self) -> Option<Cents> {
        let amounts = self.column(Column::Amount)?.as_primitive_opt::<Decimal128Type>()?;
        Some(Cents::new(amounts.value(self.row)))
    }

    /// The budget line that it is charged to, if it is a payment.
    #[must_use]
    pub fn line_of_payment(&self) -> Option<&str> {
        let paid = self.text(Column::Type) == Some(EventType::Payment.name());
        self.text(Column::BudgetLineId).filter(|_| paid)
    }

    #[must_use]
    pub fn at(&self) -> Option<Instant> {
        let times = self.column(Column::OccurredAt)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some(Instant::from_micros(times.value(self.row)))
    }
}

impl Naming {
    /// What the event's line still bears of the payment that it names.
    fn left(&self, line: Option<&str>) -> Option<Cents> {
        let original = self.original.as_ref()?;
        let paid = original.text(Column::Type) == Some(EventType::Payment.name());
        let own = original.text(Column::BudgetLineId) == line;
        paid.then_some(self.brought + if own { original.amount()? } else { Cents::ZERO })
    }
}

impl OriginalColumn {
    /// The Arrow type, beside events of this schema.
    #[must_use]
    pub(crate) fn data_type(self, events: &Schema) -> DataType {
        match self {
            Self::Field(column) => events.field(column.index()).data_type().clone(),
            Self::Sum(_) | Self::Left => BALANCE_TYPE,
            Self::Count(_) => DataType::Int64,
        }
    }

    /// The column for the events of a batch; NULL where an event names none, or an unknown one.
    #[must_use]
    pub(crate) fn compute(self, after: &AfterEvent, events: &RecordBatch) -> ArrayRef {
        let (named, rows) = (&after.named, events.num_rows());
        let data_type = self.data_type(&events.schema());
        if named.is_empty() {
            return nothing(&data_type, rows);
        }
        let known = |naming: &Naming| naming.original.is_some();
        let few: ArrayRef = match self {
            Self::Field(Column::Amount) => {
                let cents = named.iter().map(|n| Some(n.original.as_ref()?.amount()?.as_i128()));
                Arc::new(cents.collect::<Decimal128Array>().with_data_type(data_type))
            }
            Self::Field(Column::OccurredAt) => {
                let times = named.iter().map(|n| Some(n.original.as_ref()?.at()?.as_micros()));
                Arc::new(times.collect::<TimestampMicrosecondArray>().with_data_type(data_type))
            }
            Self::Field(column) => {
                let texts = named.iter().map(|n| n.original.as_ref()?.text(column));
                Arc::new(texts.collect::<StringViewArray>())
            }
            Self::Sum(sum) => {
                let sums = named.iter().map(|n| known(n).then(|| sum(&n.reversed).as_i128()));
                Arc::new(sums.collect::<Decimal128Array>().with_data_type(data_type))
            }
            Self::Count(count) => {
                let counts = named.iter().map(|n| known(n).then(|| i64::from(count(&n.reversed))));
                Arc::new(counts.collect::<Int64Array>())
            }
            Self::Left => {
                let lines = events.column(Column::BudgetLineId.index()).as_string_view();
                let line = |row: usize| lines.is_valid(row).then(|| lines.value(row));
                let left = named.iter().map(|n| n.left(line(n.row as usize)).map(Cents::as_i128));
                Arc::new(left.collect::<Decimal128Array>().with_data_type(data_type))
            }
        };
        let mut places = vec![None; rows];
        (0u32..).zip(named).for_each(|(at, naming)| places[naming.row as usize] = Some(at));
        take(&few, &UInt32Array::from(places), None).expect("places among the named events")
    }
}
