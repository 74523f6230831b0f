//! The data dictionary of docs/events.md as one table and one Arrow schema.
//!
//! Every event has the same columns; a column that its type does not have is NULL. One schema keeps a mixed
//! batch columnar from decoding to the journal.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::kind::{EventType, TypeSet};

/// Digits of an `amount`: `Decimal128(18, 2)`, below 10 000 000 000 000 000.00.
pub const AMOUNT_PRECISION: u8 = 18;
/// Digits after the point of every sum of money.
pub const MONEY_SCALE: i8 = 2;
/// The Arrow type of numbers that are no money.
#[allow(clippy::cast_possible_wrap)]
pub const NUMBER_TYPE: DataType = DataType::Decimal128(24, super::number::SCALE as i8);
/// The longest `event_id`, in characters.
pub const EVENT_ID_CHARS: usize = 64;
/// The most tags of an event. Each is a code.
pub const TAGS_MAX: usize = 64;

/// What a text is, which decides how it is written and how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// What one record, line or contract is known by.
    Id,
    /// A code of a classification, of a unit or of a currency.
    Code,
    /// The number of an account.
    Account,
    /// A name, as people write it.
    Name,
    /// Sentences that people wrote, in which anything may stand.
    Prose,
}

impl TextKind {
    /// The longest text, in characters.
    #[must_use]
    pub const fn chars_max(self) -> usize {
        match self {
            Self::Id => 128,
            Self::Code | Self::Account => 64,
            Self::Name => 256,
            Self::Prose => 2000,
        }
    }

    /// Whether people read it as it was written; of all others only the characters count.
    #[must_use]
    pub const fn is_free(self) -> bool {
        matches!(self, Self::Name | Self::Prose)
    }
}

/// How the value of a column is written and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A string: `Utf8View`.
    Text(TextKind),
    /// A string out of a closed set: `Utf8View`.
    Choice(&'static [&'static str]),
    /// Exact money greater than zero: `Decimal128(18, 2)`.
    Money,
    /// An exact number of any sign that is no money: `Decimal128(24, 6)`.
    Number,
    /// An instant: `Timestamp(Microsecond, zone)`.
    Time,
    /// A year of four digits: `Int32`.
    Year,
    /// A list of strings: `List<Utf8>`.
    Tags,
}

/// One column of the data dictionary.
#[derive(Debug)]
pub struct FieldSpec {
    /// The name on the wire and in rules.
    pub name: &'static str,
    /// How it is written.
    pub kind: FieldKind,
    /// The event types that have it, as [`EventType::bit`]s.
    pub on: TypeSet,
    /// The event types that must have it.
    pub required: TypeSet,
}

const APPLICATION: TypeSet = EventType::Application.bit();
const PAYMENT: TypeSet = EventType::Payment.bit();
const WITHDRAWAL: TypeSet = EventType::Withdrawal.bit();
const REFUND: TypeSet = EventType::Refund.bit();
const CORRECTION: TypeSet = EventType::Correction.bit();
const BUDGET: TypeSet = EventType::Budget.bit();
const INDICATOR: TypeSet = EventType::Indicator.bit();
const CONFIRMATION: TypeSet = EventType::Confirmation.bit();
const RECEIPT: TypeSet = EventType::Receipt.bit();
const REVERSAL: TypeSet = EventType::Reversal.bit();
const ALL: TypeSet = 0b11_1111_1111;
/// Events that change what a budget line may spend or has spent.
const MONEY: TypeSet = ALL & !(INDICATOR | CONFIRMATION | RECEIPT);
const AMOUNT: TypeSet = ALL & !(INDICATOR | WITHDRAWAL);
/// Applications are written as payments are.
const PAY: TypeSet = APPLICATION | PAYMENT;
/// A reversal repeats the payment that it takes out, as far as it is known.
const PAID: TypeSet = PAY | REVERSAL;
const FOLLOW_UP: TypeSet = WITHDRAWAL | REFUND | CORRECTION | REVERSAL;

const TYPES: &[&str] = &[
    "application",
    "payment",
    "withdrawal",
    "refund",
    "correction",
    "budget",
    "indicator",
    "confirmation",
    "receipt",
    "reversal",
];
const STATUSES: &[&str] = &["paid", "partial", "returned"];
const ACTIONS: &[&str] = &[
    "approve",
    "supplement",
    "reduce",
    "transfer",
    "freeze",
    "unfreeze",
    "carry_over",
    "reclaim",
    "plan",
    "plan_reduce",
    "opening",
];

/// Builds [`Column`] and [`FIELDS`] from one list, so that they cannot disagree.
macro_rules! dictionary {
    ($($variant:ident $name:literal $kind:expr, $on:expr, $required:expr;)*) => {
        /// A column of the event schema, by position.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[allow(missing_docs)] // docs/events.md is their documentation.
        pub enum Column { $($variant),* }

        impl Column {
            /// All of them, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        /// The data dictionary, in column order.
        pub static FIELDS: &[FieldSpec] = &[
            $(FieldSpec { name: $name, kind: $kind, on: $on, required: $required }),*
        ];
    };
}

use FieldKind::{Choice, Money, Number, Tags, Text, Time, Year};

const ID: FieldKind = Text(TextKind::Id);
const CODE: FieldKind = Text(TextKind::Code);
const ACCOUNT: FieldKind = Text(TextKind::Account);
const NAME: FieldKind = Text(TextKind::Name);
const PROSE: FieldKind = Text(TextKind::Prose);

dictionary! {
    EventId "event_id" ID, ALL, ALL;
    Type "type" Choice(TYPES), ALL, ALL;
    OccurredAt "occurred_at" Time, ALL, ALL;
    RecordedAt "recorded_at" Time, ALL, 0;
    BudgetLineId "budget_line_id" ID, ALL & !RECEIPT, MONEY;
    ToBudgetLineId "to_budget_line_id" ID, CORRECTION | BUDGET, CORRECTION;
    Action "action" Choice(ACTIONS), BUDGET, BUDGET;
    Amount "amount" Money, AMOUNT, AMOUNT;
    FiscalYear "fiscal_year" Year, PAID | BUDGET | INDICATOR, PAY | INDICATOR;
    RegionCode "region_code" CODE, PAID | BUDGET | INDICATOR, PAY;
    UnitCode "unit_code" CODE, PAID | BUDGET | INDICATOR | RECEIPT, PAY;
    UnitName "unit_name" NAME, PAID | BUDGET | INDICATOR, 0;
    FunctionCode "function_code" CODE, PAID | BUDGET, PAY;
    EconomicCode "economic_code" CODE, PAID | BUDGET, PAY;
    ProjectCode "project_code" CODE, PAID | BUDGET | INDICATOR, INDICATOR;
    FundType "fund_type" CODE, PAID | BUDGET, 0;
    PaymentMode "payment_mode" Choice(&["direct", "authorized"]), PAID, PAY;
    Settlement "settlement" Choice(&["transfer", "cash", "card", "cheque"]), PAID, PAY;
    PayerAccount "payer_account" ACCOUNT, PAID | RECEIPT, RECEIPT;
    PayeeName "payee_name" NAME, PAID, PAY;
    PayeeAccount "payee_account" ACCOUNT, PAID, PAY;
    PayeeType "payee_type" Choice(&["entity", "person", "self"]), PAID, PAY;
    ActualPayeeName "actual_payee_name" NAME, PAID | CONFIRMATION, 0;
    ActualPayeeAccount "actual_payee_account" ACCOUNT, PAID | CONFIRMATION, 0;
    Currency "currency" CODE, PAID, 0;
    Purpose "purpose" PROSE, PAID | RECEIPT, 0;
    ContractNo "contract_no" ID, PAID, 0;
    InvoiceNo "invoice_no" ID, PAID, 0;
    ProcurementNo "procurement_no" ID, PAID, 0;
    BondCode "bond_code" CODE, PAID, 0;
    BeneficiaryId "beneficiary_id" ID, PAID, 0;
    ApplicationId "application_id" ID, PAID, 0;
    // A credit note may name no payment.
    OriginalEventId "original_event_id" ID, FOLLOW_UP | CONFIRMATION | RECEIPT, FOLLOW_UP & !REFUND | CONFIRMATION;
    Reason "reason" PROSE, REFUND | CORRECTION | REVERSAL, 0;
    TagList "tags" Tags, PAID, 0;
    // A content hash counts a column by its place, so new ones stand at the end.
    IndicatorId "indicator_id" ID, INDICATOR, INDICATOR;
    IndicatorName "indicator_name" NAME, INDICATOR, 0;
    Target "target" Number, INDICATOR, INDICATOR;
    Actual "actual" Number, INDICATOR, 0;
    Direction "direction" Choice(&["at_least", "at_most"]), INDICATOR, 0;
    Due "due" Time, INDICATOR, 0;
    Status "status" Choice(STATUSES), CONFIRMATION, CONFIRMATION;
    BankRef "bank_ref" ID, CONFIRMATION, 0;
    Account "account" ACCOUNT, RECEIPT, RECEIPT;
    PayerName "payer_name" NAME, RECEIPT, RECEIPT;
}

/// The attributes of a budget line, given at `approve`, or by the payment that opens the line.
pub const LINE_ATTRIBUTES: [Column; 8] = [
    Column::FiscalYear,
    Column::RegionCode,
    Column::UnitCode,
    Column::UnitName,
    Column::FunctionCode,
    Column::EconomicCode,
    Column::ProjectCode,
    Column::FundType,
];

impl Column {
    /// The number of columns.
    pub const COUNT: usize = Column::PayerName as usize + 1;

    /// The position in the event schema.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// What the data dictionary says about this column.
    #[must_use]
    pub fn spec(self) -> &'static FieldSpec {
        &FIELDS[self.index()]
    }
}

/// The field of this name, with its position.
#[must_use]
pub fn field(name: &str) -> Option<(usize, &'static FieldSpec)> {
    FIELDS.iter().enumerate().find(|(_, f)| f.name == name)
}

/// The hash that an `event_id` is known by. The journal keeps it, so it must never change.
#[must_use]
pub fn id_hash(event_id: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(event_id.as_bytes())
}

/// The fields that a budget action must have beyond those of every budget event.
#[must_use]
pub fn required_by_action(action: super::BudgetAction) -> &'static [Column] {
    use super::BudgetAction::{Approve, Transfer};
    match action {
        Approve => &[
            Column::FiscalYear,
            Column::RegionCode,
            Column::UnitCode,
            Column::FunctionCode,
            Column::EconomicCode,
        ],
        Transfer => &[Column::ToBudgetLineId],
        _ => &[],
    }
}

/// The Arrow type of instants in `zone`, an IANA name. The value is UTC; the zone tells calendar functions
/// (`date_part`, `date_trunc`) which local time to use.
#[must_use]
pub fn time_type(zone: &str) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(zone)))
}

/// The Arrow type of a field in `zone`.
#[must_use]
pub fn arrow_type(kind: FieldKind, zone: &str) -> DataType {
    match kind {
        Text(_) | Choice(_) => DataType::Utf8View,
        Money => DataType::Decimal128(AMOUNT_PRECISION, MONEY_SCALE),
        Number => NUMBER_TYPE,
        Time => time_type(zone),
        Year => DataType::Int32,
        Tags => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
    }
}

/// The Arrow schema of every event batch, with times in `zone`.
#[must_use]
pub fn event_schema(zone: &str) -> SchemaRef {
    Arc::new(Schema::new(
        FIELDS
            .iter()
            .map(|f| Field::new(f.name, arrow_type(f.kind, zone), f.required != ALL))
            .collect::<Vec<_>>(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{BankStatus, BudgetAction};

    #[test]
    fn choices_name_what_the_enums_name() {
        assert_eq!(TYPES, EventType::ALL.map(EventType::name));
        assert_eq!(ACTIONS, BudgetAction::ALL.map(BudgetAction::name));
        assert_eq!(STATUSES, BankStatus::ALL.map(BankStatus::name));
    }

    #[test]
    fn hashes_of_ids_never_change() {
        assert_eq!(id_hash("P2025-000000996"), 9_214_040_938_798_530_139);
    }

    #[test]
    fn names_are_unique_and_required_fields_are_allowed() {
        for (i, f) in FIELDS.iter().enumerate() {
            assert_eq!(field(f.name).map(|(at, _)| at), Some(i), "{}", f.name);
            assert_eq!(f.required & !f.on, 0, "{} is required where it does not exist", f.name);
        }
        assert_eq!(FIELDS.len(), Column::COUNT);
    }
}
