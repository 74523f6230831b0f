//! Budget lines as rows: what a checkpoint writes of them, and what a start puts back into the ledger.

use rusqlite::{Connection, Row, Statement, Transaction, types::ValueRef};

use super::{
    cents,
    checksums::{self, RowWriter, Sum, SummedRow},
};
use crate::{
    event::{Cents, Column, money::format_cents, schema::LINE_ATTRIBUTES},
    ledger::{Attributes, Balances, Ledger, Line, LineNumber},
};

/// What the rows that this process has written count for in the sum, by the numbers of the lines: to read tens of thousands
/// of rows before they are replaced holds up the stream.
#[derive(Debug, Default)]
pub(in crate::store) struct LineSums(Vec<Option<u64>>);

impl LineSums {
    fn of(&self, number: LineNumber) -> Option<u64> {
        self.0.get(number as usize).copied().flatten()
    }

    fn set(&mut self, number: LineNumber, sum: u64) {
        let at = number as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(sum);
    }
}

/// An amount of a line: its column, and where it stands in the balances.
type Amount = (&'static str, fn(&mut Balances) -> &mut Cents);

/// The amounts of a line, in the order of their columns.
const AMOUNTS: [Amount; 10] = [
    ("total", |b| &mut b.total),
    ("executed", |b| &mut b.executed),
    ("frozen", |b| &mut b.frozen),
    ("reserved", |b| &mut b.reserved),
    ("planned", |b| &mut b.planned),
    ("transferred", |b| &mut b.transferred),
    ("corrected", |b| &mut b.corrected),
    ("opening", |b| &mut b.opening),
    ("refunded", |b| &mut b.refunded),
    ("cleared", |b| &mut b.cleared),
];

/// Writes lines that have changed.
pub(super) fn write(
    transaction: &Transaction<'_>,
    lines: &[(LineNumber, Line, Attributes)],
    sums: &mut LineSums,
) -> rusqlite::Result<()> {
    let mut rows = RowWriter::of(transaction, &checksums::LINES)?;
    for (number, line, attributes) in lines {
        let mut balances = line.balances;
        let amounts = AMOUNTS.map(|(_, amount)| format_cents(*amount(&mut balances)));
        let sum = rows.write(row((*number, line, attributes), &amounts), sums.of(*number))?;
        sums.set(*number, sum);
    }
    rows.end()
}

fn row<'r>(
    (number, line, attributes): (LineNumber, &'r Line, &'r Attributes),
    amounts: &'r [String; AMOUNTS.len()],
) -> SummedRow<'r, 22> {
    let text = |text: Option<&'r str>| text.map_or(ValueRef::Null, ValueRef::from);
    let attribute = |column: Column| (column.spec().name, text(attributes.text(column)));
    let amount = |at: usize| (AMOUNTS[at].0, ValueRef::from(&*amounts[at]));
    let year = attributes.fiscal_year.map_or(ValueRef::Null, |year| ValueRef::Integer(year.into()));
    [
        ("budget_line_id", ValueRef::from(&*line.id)),
        ("number", ValueRef::Integer(number.into())),
        ("approved", ValueRef::Integer(attributes.approved.into())),
        ("fiscal_year", year),
        attribute(Column::RegionCode),
        attribute(Column::UnitCode),
        attribute(Column::UnitName),
        attribute(Column::FunctionCode),
        attribute(Column::EconomicCode),
        attribute(Column::ProjectCode),
        attribute(Column::FundType),
        amount(0),
        amount(1),
        amount(2),
        amount(3),
        amount(4),
        amount(5),
        amount(6),
        ("last_event_at", ValueRef::Integer(line.last_event_at.as_micros())),
        amount(7),
        amount(8),
        amount(9),
    ]
}

/// Puts the lines back into the ledger, and adds their rows to the sum.
pub(super) fn restore(connection: &Connection, ledger: &mut Ledger, sum: &mut Sum) -> rusqlite::Result<()> {
    let columns = checksums::columns(&checksums::LINES);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM lines ORDER BY number"))?;
    let all = 0..statement.column_count();
    let places = LinePlaces::of(&statement)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        sum.add(row, all.clone())?;
        let (line, attributes) = places.line(row)?;
        ledger.restore_line(line, attributes);
    }
    Ok(())
}

/// Where the columns of a line stand, found by their names once for millions of rows.
struct LinePlaces {
    id: usize,
    approved: usize,
    fiscal_year: usize,
    last_event_at: usize,
    texts: [usize; LINE_ATTRIBUTES.len() - 1],
    amounts: [usize; AMOUNTS.len()],
}

impl LinePlaces {
    fn of(statement: &Statement<'_>) -> rusqlite::Result<Self> {
        let place = |name: &str| statement.column_index(name);
        let mut places = Self {
            id: place("budget_line_id")?,
            approved: place("approved")?,
            fiscal_year: place("fiscal_year")?,
            last_event_at: place("last_event_at")?,
            texts: [0; LINE_ATTRIBUTES.len() - 1],
            amounts: [0; AMOUNTS.len()],
        };
        for (at, column) in places.texts.iter_mut().zip(&LINE_ATTRIBUTES[1..]) {
            *at = place(column.spec().name)?;
        }
        for (at, (name, _)) in places.amounts.iter_mut().zip(AMOUNTS) {
            *at = place(name)?;
        }
        Ok(places)
    }

    fn line(&self, row: &Row<'_>) -> rusqlite::Result<(Line, Attributes)> {
        let id: String = row.get(self.id)?;
        let texts: Vec<Option<String>> =
            self.texts.iter().map(|at| row.get(*at)).collect::<Result<_, _>>()?;
        let texts = std::array::from_fn(|at| texts[at].as_deref());
        let attributes = Attributes::new(row.get(self.approved)?, row.get(self.fiscal_year)?, texts);
        let mut line = Line::new(&id, 0);
        for (at, (_, amount)) in self.amounts.iter().zip(AMOUNTS) {
            *amount(&mut line.balances) = cents(row, *at)?;
        }
        line.last_event_at = row.get(self.last_event_at)?;
        Ok((line, attributes))
    }
}
