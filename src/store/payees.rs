//! Who was paid: the payments of the journal by payee. It is looked through from its end towards its beginning, until the time
//! is over, so what is told is of a stretch of time that is told with it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    time::Duration,
};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use super::{
    JournalView, ReadOrder, Select, StoreError,
    search::{Rows, SHOWN},
};
use crate::event::{Cents, Column, EventType, Instant, TimeDelta};

/// The first stretch that is looked through, and the longest.
const STRETCH: TimeDelta = TimeDelta::days(16);
const STRETCH_MAX: TimeDelta = TimeDelta::days(128);
/// Payees that are told apart; payments to others are counted together.
const PAYEES_MAX: usize = 200_000;
/// Names, and units, that are kept of a payee.
const NAMES_MAX: usize = 8;
const UNITS_MAX: usize = 500;

const COLUMNS: [Column; 8] = [
    Column::EventId,
    Column::OccurredAt,
    Column::Amount,
    Column::PayeeAccount,
    Column::PayeeName,
    Column::PayeeType,
    Column::UnitCode,
    Column::UnitName,
];

/// What makes a payee: the account, or the name where payments tell none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PayeeKey {
    /// An account number, whoever holds it.
    Account(String),
    /// A name, of payments without an account.
    Name(String),
}

/// Whose payments are sought.
#[derive(Debug, Clone, Default)]
pub struct PayeesSought {
    /// Not before this time.
    pub from: Option<Instant>,
    /// Before this time.
    pub to: Option<Instant>,
    /// Of units whose code begins so.
    pub unit: Option<String>,
    /// Whose name has this in it, in lower case.
    pub name: Option<String>,
    /// Whose account ends so, or is this, where it has more than four characters.
    pub account: Option<String>,
    /// Only this payee, with its units.
    pub one: Option<PayeeKey>,
}

/// What somebody was paid.
#[derive(Debug, Clone, Default)]
pub struct Payee {
    /// The account, if there is one.
    pub account: Option<String>,
    /// The names that it was paid under, at most eight.
    pub names: BTreeSet<String>,
    /// What it is said to be, as the latest payment says: `person` or `entity`.
    pub owner: Option<String>,
    /// Cents of its payments.
    pub cents: Cents,
    /// How many there are.
    pub payments: u64,
    /// The first and the last.
    pub span: (Instant, Instant),
    /// The event of the last, by which the payee is named.
    pub last_event: String,
    /// How much each unit paid: its name, cents and payments by its code; of the payees of a list only the codes count. At
    /// most 500.
    pub units: BTreeMap<String, (String, Cents, u64)>,
}

/// Who was paid, the most first.
#[derive(Debug, Default)]
pub struct Payees {
    /// Everybody who was paid, the most first.
    pub payees: Vec<Payee>,
    /// Payments to payees that there was no room for.
    pub left_out: u64,
    /// How far back was looked, and whether that is all that was asked for.
    pub searched_from: Instant,
    /// Whether all was looked through.
    pub complete: bool,
}

impl PayeesSought {
    /// Looks through the payments, as long as there is time.
    ///
    /// # Errors
    /// If the state cannot be read, or is damaged.
    pub fn find(&self, dir: &Path, schema: &SchemaRef, time: Duration) -> Result<Payees, StoreError> {
        let (history, begun) = (JournalView::open(dir, schema)?, std::time::Instant::now());
        let (earliest, latest) = history.span()?;
        let from = self.from.unwrap_or(Instant::MIN).max(earliest);
        let mut end = self.to.unwrap_or(Instant::MAX).min(latest.saturating_add(TimeDelta::MICROSECOND));
        let mut sums = Sums::default();
        let mut stretch = STRETCH;
        while end > from && begun.elapsed() < time {
            let (start, started) = (from.max(end.saturating_sub(stretch)), std::time::Instant::now());
            self.look(&history, (start, end), &mut sums)?;
            end = start;
            if started.elapsed() < time / 20 {
                stretch = (stretch * 2).min(STRETCH_MAX);
            }
        }
        let Sums { by_key, left_out } = sums;
        let payees = by_key.into_values().collect();
        Ok(Payees { payees, left_out, searched_from: end.max(from), complete: end <= from })
    }

    fn look(
        &self,
        history: &JournalView,
        (from, to): (Instant, Instant),
        sums: &mut Sums,
    ) -> Result<(), StoreError> {
        let types = Some(EventType::Payment.bit());
        let select = Select { from: Some(from), to: Some(to), types, ..Select::default() };
        let places: Vec<usize> = COLUMNS.iter().map(|column| column.index()).collect();
        for batch in history.scan(&select, Some(&places), ReadOrder::Any)? {
            let batch = batch?;
            let payments = Rows::new(&batch, &COLUMNS);
            for row in 0..batch.num_rows() {
                if let Some(key) = key(&payments, row).filter(|key| self.is_sought(&payments, row, key)) {
                    sums.add(key, &payments, row, self.one.is_some());
                }
            }
        }
        Ok(())
    }

    fn is_sought(&self, payments: &Rows<'_>, row: usize, key: &PayeeKey) -> bool {
        let has = |own: Option<&str>, fits: &dyn Fn(&str) -> bool| own.is_some_and(fits);
        let account = payments.text(Column::PayeeAccount, row);
        self.one.as_ref().is_none_or(|one| one == key)
            && self.unit.as_ref().is_none_or(|unit| {
                has(payments.text(Column::UnitCode, row), &|code| code.starts_with(unit.as_str()))
            })
            && self.name.as_ref().is_none_or(|name| {
                has(payments.text(Column::PayeeName, row), &|own| own.to_lowercase().contains(name.as_str()))
            })
            && self.account.as_ref().is_none_or(|end| {
                has(account, &|own| match end.chars().count() > SHOWN {
                    true => own == end.as_str(),
                    false => own.ends_with(end.as_str()),
                })
            })
    }
}

/// The payee of a payment.
#[must_use]
pub fn payee_of(event: &RecordBatch) -> Option<PayeeKey> {
    (event.num_rows() > 0).then(|| key(&Rows::new(event, &COLUMNS), 0)).flatten()
}

#[derive(Default)]
struct Sums {
    by_key: HashMap<PayeeKey, Payee>,
    left_out: u64,
}

impl Sums {
    fn add(&mut self, key: PayeeKey, payments: &Rows<'_>, row: usize, is_one: bool) {
        if self.by_key.len() >= PAYEES_MAX && !self.by_key.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let cents = payments.cents(row).unwrap_or_default();
        let at = payments.times.get(row).copied().unwrap_or_default();
        let text = |column| payments.text(column, row).unwrap_or_default();
        let payee = self.by_key.entry(key).or_insert_with(|| Payee {
            account: payments.text(Column::PayeeAccount, row).map(str::to_owned),
            span: (Instant::from_micros(at), Instant::MIN),
            ..Payee::default()
        });
        payee.cents += cents;
        payee.payments += 1;
        payee.span.0 = payee.span.0.min(Instant::from_micros(at));
        if (at, text(Column::EventId)) > (payee.span.1.as_micros(), &payee.last_event) {
            payee.span.1 = Instant::from_micros(at);
            text(Column::EventId).clone_into(&mut payee.last_event);
            payee.owner = payments.text(Column::PayeeType, row).map(str::to_owned);
        }
        let name = text(Column::PayeeName);
        if !name.is_empty() && payee.names.len() < NAMES_MAX && !payee.names.contains(name) {
            payee.names.insert(name.to_owned());
        }
        let unit = text(Column::UnitCode);
        if let Some((_, of_unit, n)) = payee.units.get_mut(unit) {
            (*of_unit, *n) = (*of_unit + cents, *n + 1);
        } else if payee.units.len() < UNITS_MAX {
            let name = if is_one { text(Column::UnitName).to_owned() } else { String::new() };
            payee.units.insert(unit.to_owned(), (name, cents, 1));
        }
    }
}

/// Whom a payment went to.
fn key(payments: &Rows<'_>, row: usize) -> Option<PayeeKey> {
    let account = payments.text(Column::PayeeAccount, row).map(|text| PayeeKey::Account(text.to_owned()));
    account.or_else(|| payments.text(Column::PayeeName, row).map(|text| PayeeKey::Name(text.to_owned())))
}
