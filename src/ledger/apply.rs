//! Applying events to budget lines, one after another.

use arrow::{
    array::{Array, AsArray, StringViewArray},
    datatypes::{ArrowPrimitiveType, Decimal128Type, Int32Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};

use super::{AfterEvent, Attributes, GroupAfter, Indicator, Ledger, LineNumber, Reversal, original::Naming};
use crate::event::{BankStatus, BudgetAction, Cents, Column, EventType, Instant};

/// The columns that [`Ledger::apply`] reads.
pub const LEDGER_COLUMNS: &[Column] = &[
    Column::EventId,
    Column::Type,
    Column::OccurredAt,
    Column::BudgetLineId,
    Column::Amount,
    Column::ApplicationId,
    Column::OriginalEventId,
    Column::ToBudgetLineId,
    Column::Action,
    Column::FiscalYear,
    Column::RegionCode,
    Column::UnitCode,
    Column::UnitName,
    Column::FunctionCode,
    Column::EconomicCode,
    Column::ProjectCode,
    Column::FundType,
    Column::IndicatorId,
    Column::IndicatorName,
    Column::Target,
    Column::Actual,
    Column::Direction,
    Column::Due,
    Column::Status,
];

/// The columns that balances depend on.
pub(super) struct Events<'b> {
    batch: &'b RecordBatch,
    pub(super) line: &'b StringViewArray,
    amount: &'b [i128],
    at: &'b [i64],
}

impl<'b> Events<'b> {
    pub(super) fn new(batch: &'b RecordBatch) -> Self {
        let column = |c: Column| batch.column(c.index());
        Self {
            batch,
            line: column(Column::BudgetLineId).as_string_view(),
            amount: column(Column::Amount).as_primitive::<Decimal128Type>().values(),
            at: column(Column::OccurredAt).as_primitive::<TimestampMicrosecondType>().values(),
        }
    }

    pub(super) fn text(&self, column: Column, row: usize) -> Option<&'b str> {
        let array = self.batch.column(column.index()).as_string_view();
        array.is_valid(row).then(|| array.value(row))
    }

    pub(super) fn attributes(&self, row: usize, approved: bool) -> Attributes {
        Attributes::of(self.batch, row, approved)
    }

    fn value<T: ArrowPrimitiveType>(&self, column: Column, row: usize) -> Option<T::Native> {
        let array = self.batch.column(column.index()).as_primitive::<T>();
        array.is_valid(row).then(|| array.value(row))
    }

    /// What an event says that it moves.
    pub(super) fn amount(&self, row: usize) -> Cents {
        Cents::new(self.amount[row])
    }

    /// What it moves; below zero what the bank returned.
    fn cents(&self, row: usize) -> Cents {
        let status = self.text(Column::Status, row).and_then(BankStatus::parse);
        status.map_or(self.amount(row), |status| status.cleared(self.amount(row)))
    }

    fn indicator(&self, row: usize) -> Indicator {
        let text = |column| self.text(column, row).map(Box::from);
        Indicator {
            name: text(Column::IndicatorName),
            fiscal_year: self.value::<Int32Type>(Column::FiscalYear, row).unwrap_or_default(),
            project_code: text(Column::ProjectCode).unwrap_or_default(),
            region_code: text(Column::RegionCode),
            unit_code: text(Column::UnitCode),
            unit_name: text(Column::UnitName),
            budget_line_id: text(Column::BudgetLineId),
            target: self.value::<Decimal128Type>(Column::Target, row).unwrap_or_default(),
            actual: self.value::<Decimal128Type>(Column::Actual, row),
            at_most: self.text(Column::Direction, row) == Some("at_most"),
            due: (self.value::<TimestampMicrosecondType>(Column::Due, row)).map(Instant::from_micros),
            stated_at: Instant::from_micros(self.at[row]),
        }
    }
}

impl Ledger {
    /// Applies a batch of accepted events in order. `types` are the types of its rows.
    ///
    /// Whatever a checked event says is applied: the money has moved, and nothing is refused for lack of funds.
    pub fn apply(&mut self, batch: &RecordBatch, types: &[EventType]) -> AfterEvent {
        let events = Events::new(batch);
        let mut after = self.after(types.len());
        for (row, event_type) in types.iter().enumerate() {
            if *event_type == EventType::Indicator {
                let number = self.state(&events, row);
                self.note(&mut after, number);
                continue;
            }
            after.named.extend(self.reverse(&events, row, *event_type));
            if !events.line.is_valid(row) {
                self.apply_beside(&events, row, *event_type);
                self.note(&mut after, None);
                continue;
            }
            let number = self.apply_event(&events, row, *event_type);
            let line = self.touch(number);
            line.last_event_at = Instant::from_micros(events.at[row]);
            self.groups.follow(&self.lines, &self.attributes);
            self.note(&mut after, Some(number));
            if let Some(other) = self.other.take().filter(|other| *other != number) {
                let line = &self.lines[other as usize];
                let others = after.others.get_or_insert_default();
                others.rows.push(u32::try_from(row).unwrap_or(u32::MAX));
                others.lines.push(line.id.clone());
                others.after.push(line.attributes, &line.balances, self.covers(line));
            }
        }
        after
    }

    /// What there will be to say after so many events.
    pub(super) fn after(&self, rows: usize) -> AfterEvent {
        let mut after = AfterEvent::with_capacity(rows);
        after.groups.resize_with(self.groups.count(), GroupAfter::default);
        after
    }

    /// Says what there is to say about a line, and its groups.
    fn note(&self, after: &mut AfterEvent, number: Option<LineNumber>) {
        let Some(number) = number else {
            after.push_none();
            after.groups.iter_mut().for_each(|group| group.push(None));
            return;
        };
        let line = &self.lines[number as usize];
        after.push(line.attributes, &line.balances, self.covers(line));
        after.groups.iter_mut().zip(self.groups.of(number)).for_each(|(after, group)| after.push(group));
    }

    fn apply_event(&mut self, events: &Events<'_>, row: usize, event_type: EventType) -> LineNumber {
        let number = self.number(events.line.value(row));
        let amount = events.amount(row);
        match event_type {
            EventType::Payment => {
                self.open_with(number, events, row);
                let cleared = self.confirmations.meet(|| events.text(Column::EventId, row));
                let balances = &mut self.touch(number).balances;
                balances.executed += amount;
                balances.cleared += cleared;
                if let Some(application) = events.text(Column::ApplicationId, row) {
                    self.release(application);
                }
            }
            EventType::Application => {
                self.open_with(number, events, row);
                let id = events.text(Column::EventId, row).unwrap_or_default();
                // A record that changes is named by its number, whatever its application is called (`engine/versions`).
                let names = (id, events.text(Column::ApplicationId, row));
                let reserved = self.applications.arrive(names, number, amount);
                self.touch(number).balances.reserved += reserved;
            }
            EventType::Withdrawal => {
                self.release(events.text(Column::OriginalEventId, row).unwrap_or_default());
            }
            EventType::Refund => {
                let balances = &mut self.touch(number).balances;
                balances.executed -= amount;
                balances.refunded += amount;
            }
            // Unlike a refund it leaves nothing of the payment: `paid` goes down with `executed`.
            EventType::Reversal => self.touch(number).balances.executed -= amount,
            EventType::Correction => {
                let to = self.number(events.text(Column::ToBudgetLineId, row).unwrap_or_default());
                self.correct(number, -amount);
                self.correct(to, amount);
                self.other = Some(to);
            }
            EventType::Budget => self.act(events, row, number, amount),
            EventType::Confirmation => self.touch(number).balances.cleared += events.cents(row),
            // They move no line's money.
            EventType::Indicator | EventType::Receipt => {}
        }
        number
    }

    /// An event of no line. A confirmation is cleared on the line of its payment when that comes.
    fn apply_beside(&mut self, events: &Events<'_>, row: usize, event_type: EventType) {
        if event_type == EventType::Confirmation {
            let payment = events.text(Column::OriginalEventId, row).unwrap_or_default();
            self.confirmations.wait(payment, events.cents(row));
        }
    }

    /// Counts what an event takes back of the one that it names, if it names one.
    fn reverse(&mut self, events: &Events<'_>, row: usize, event_type: EventType) -> Option<Naming> {
        if !event_type.names_another() {
            return None;
        }
        let original = events.text(Column::OriginalEventId, row)?;
        let to_line = events.text(Column::ToBudgetLineId, row);
        let line = events.text(Column::BudgetLineId, row).unwrap_or_default();
        let reversal = Reversal::new(event_type, original, line, to_line, events.cents(row));
        let (reversed, brought) = self.reversals.add(&reversal);
        Some(Naming { row: u32::try_from(row).unwrap_or(u32::MAX), reversed, brought, original: None })
    }

    /// A statement about an indicator: it neither opens nor touches the line that it may name, and which there may be.
    fn state(&mut self, events: &Events<'_>, row: usize) -> Option<LineNumber> {
        self.indicators
            .state(events.text(Column::IndicatorId, row).unwrap_or_default(), events.indicator(row));
        events.text(Column::BudgetLineId, row).and_then(|id| self.find(id))
    }

    fn act(&mut self, events: &Events<'_>, row: usize, number: LineNumber, amount: Cents) {
        use BudgetAction::{
            Approve, CarryOver, Freeze, Opening, Plan, PlanReduce, Reclaim, Reduce, Supplement, Transfer,
            Unfreeze,
        };
        let action = events.text(Column::Action, row).and_then(BudgetAction::parse);
        let balances = &mut self.touch(number).balances;
        match action {
            Some(Approve) => {
                balances.total += amount;
                self.set_attributes(number, events.attributes(row, true));
            }
            Some(Supplement | CarryOver) => balances.total += amount,
            Some(Reduce | Reclaim) => balances.total -= amount,
            Some(Freeze) => balances.frozen += amount,
            Some(Unfreeze) => balances.frozen -= amount,
            Some(Plan) => balances.planned += amount,
            Some(PlanReduce) => balances.planned -= amount,
            Some(Opening) => {
                balances.executed += amount;
                balances.opening += amount;
                self.cover(number);
            }
            Some(Transfer) => {
                let to = self.number(events.text(Column::ToBudgetLineId, row).unwrap_or_default());
                self.transfer(number, -amount);
                self.transfer(to, amount);
                self.other = Some(to);
            }
            // Decoding lets only known actions through.
            None => debug_assert!(false, "a budget event without an action"),
        }
    }

    fn correct(&mut self, number: LineNumber, cents: Cents) {
        let balances = &mut self.touch(number).balances;
        balances.executed += cents;
        balances.corrected += cents;
    }

    fn transfer(&mut self, number: LineNumber, cents: Cents) {
        let balances = &mut self.touch(number).balances;
        balances.total += cents;
        balances.transferred += cents;
    }

    fn release(&mut self, application: &str) {
        if let Some((line, amount)) = self.applications.settle(application) {
            self.touch(line).balances.reserved -= amount;
            self.other = Some(line);
        }
    }

    /// A line that nobody approved takes its attributes from the first payment or application on it.
    fn open_with(&mut self, number: LineNumber, events: &Events<'_>, row: usize) {
        let attributes = &self.attributes[self.lines[number as usize].attributes as usize];
        if *attributes == Attributes::default() {
            self.set_attributes(number, events.attributes(row, false));
        }
    }

    /// Openings tell what was executed in a fiscal year before the journal begins: a line without one had executed
    /// nothing.
    fn cover(&mut self, number: LineNumber) {
        if let Some(year) = self.attributes[self.lines[number as usize].attributes as usize].fiscal_year {
            self.opened.insert(year);
        }
    }

    fn set_attributes(&mut self, number: LineNumber, attributes: Attributes) {
        let present = &self.attributes[self.lines[number as usize].attributes as usize];
        if *present != attributes {
            let version = self.add_attributes(attributes);
            self.touch(number).attributes = version;
        }
    }
}
