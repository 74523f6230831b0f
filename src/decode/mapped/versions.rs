//! Versioned records: the key, the version, and what the bank did apart from the payment.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Apply, CODE, Cells, NO_CELLS, Row};
use crate::{
    decode::{
        fault::{Fault, Faults, shorten},
        row::{RawCell, RowBuilder},
        value::text_of,
        versions::{RowVersion, Stated, Version, VersionEffect, application_id, derived_id},
    },
    event::{
        BankStatus, Column, EventType, Instant,
        number::parse_number,
        stamp::{instant, local_time},
    },
    map::Upsert,
    say,
    stream::RejectReason,
    text::quoted,
};

/// What a payment of its own feed does not have: it comes with the bank's answer.
const OF_BANK: [Column; 4] =
    [Column::ActualPayeeName, Column::ActualPayeeAccount, Column::BankRef, Column::Status];

/// Where a record stands: its number, its start and its end.
type Place = (u64, usize, usize);

/// The key of a record and what orders it.
struct Order {
    key: String,
    version: Version,
    shown: String,
    changed_at: Option<Instant>,
}

impl<'a> Apply<'a> {
    /// Whether a change event says that the record was deleted.
    pub(super) fn is_deleted(&self, row: &impl Row<'a>) -> bool {
        let op = self.map.upsert.as_ref().and_then(|upsert| upsert.op);
        op.is_some_and(|slot| text_of(&row.cell(slot)) == Some("delete"))
    }

    /// A version that says that the record is none any more.
    pub(super) fn void(
        &self,
        upsert: &Upsert,
        row: &impl Row<'a>,
        place: &str,
        at: Place,
        rows: &mut RowBuilder<'_>,
    ) {
        match self.order(upsert, row, rows) {
            Ok(order) => rows.version(order.stating(Stated::Void, rows, at)),
            Err(fault) => rows.reject(super::placed(place, fault), at.0, at.1, at.2),
        }
    }

    /// A version with an event.
    pub(super) fn version(
        &self,
        (upsert, row): (&Upsert, &impl Row<'a>),
        cells: &mut Cells<'a>,
        mut faults: Faults,
        (place, at): (&str, Place),
        rows: &mut RowBuilder<'_>,
    ) {
        let order = match self.order(upsert, row, rows) {
            Ok(order) => Some(order),
            Err(fault) => {
                faults.add(Column::EventId.index(), fault);
                None
            }
        };
        for column in [Column::Type, Column::EventId] {
            self.reading.undress(&mut cells[column.index()], CODE);
        }
        let kind = text_of(&cells[Column::Type.index()]).and_then(EventType::parse);
        let is_payment = kind == Some(EventType::Payment);
        let bank = if is_payment { self.bank(cells) } else { None };
        let record = text_of(&cells[Column::EventId.index()]).unwrap_or_default().to_owned();
        if kind == Some(EventType::Application) {
            OF_BANK.iter().for_each(|column| cells[column.index()] = RawCell::Absent);
            if upsert.applies_first && !record.is_empty() {
                cells[Column::EventId.index()] = RawCell::Owned(application_id(&record));
            }
        }
        let amount = cells[Column::Amount.index()].clone();
        let paid_at = cells[Column::OccurredAt.index()].clone();
        let first = rows.len();
        rows.faulty_row(cells, faults, place, at);
        let (Some(order), true) = (order, rows.len() > first) else { return };
        let Some(bank) = bank else {
            let stated = match kind {
                Some(EventType::Application) => Stated::Application,
                Some(EventType::Payment) => Stated::Payment,
                _ => Stated::Other,
            };
            return rows.version(order.stating(stated, rows, at));
        };
        let answered = upsert.confirmed_at.map(|slot| self.bare(row.cell(slot)));
        let answered = answered.filter(|cell| !matches!(cell, RawCell::Absent));
        let (mut faults, column) = (Faults::default(), Column::OccurredAt.index());
        let answered = match (answered, order.changed_at) {
            (Some(cell), _) => self.time(column, cell).unwrap_or_else(|fault| {
                faults.add(column, fault);
                RawCell::Told
            }),
            (None, Some(at)) => RawCell::Micros(at.as_micros()),
            (None, None) => paid_at,
        };
        let (status, hash) = (bank.status, bank.hash);
        let mut confirmation = bank.confirmation(&record, &order, answered, amount);
        rows.faulty_row(&mut confirmation, faults, place, at);
        let whole = rows.len() == first + 2;
        let stated = if whole { Stated::Confirmed(status, hash) } else { Stated::Refused };
        rows.version(order.stating(stated, rows, at));
    }

    /// Takes what the bank did out of a payment, if it did anything.
    fn bank(&self, cells: &mut Cells<'a>) -> Option<Bank<'a>> {
        let told = OF_BANK.map(|column| std::mem::take(&mut cells[column.index()]));
        let bare = told.clone().map(|cell| self.bare(cell));
        if bare.iter().all(|cell| matches!(cell, RawCell::Absent)) {
            return None;
        }
        let word = text_of(&bare[3]).and_then(BankStatus::parse);
        let hash = (1..).zip(&bare).fold(0, |hash, (seed, cell)| {
            let text = plain(cell).unwrap_or_default();
            xxh3_64_with_seed(text.as_bytes(), hash ^ seed)
        });
        Some(Bank { told, status: word.unwrap_or(BankStatus::Paid), hash })
    }

    fn order(&self, upsert: &Upsert, row: &impl Row<'a>, rows: &RowBuilder<'_>) -> Result<Order, Fault> {
        let names = self.map.slots.names();
        let mut key = String::new();
        for slot in &upsert.key {
            let cell = self.bare(row.cell(*slot));
            let Some(part) = plain(&cell) else {
                let name = quoted(&names[*slot]);
                return Err((
                    RejectReason::MissingField,
                    say!("{name} is missing, which is part of the key", name),
                ));
            };
            // Parts that hold what parts them would make two keys one.
            if !key.is_empty() {
                key.push('\u{1f}');
            }
            key.push_str(part);
        }
        let name = &names[upsert.version];
        let (version, changed_at, shown) =
            self.order_of(name, &self.bare(row.cell(upsert.version)), rows)?.ok_or_else(|| {
                let detail =
                    say!("{name} is missing, which orders the versions of the record", name = quoted(name));
                (RejectReason::MissingField, detail)
            })?;
        let changed_at = changed_at.filter(|at| rows.can_be(*at));
        Ok(Order { key, version, shown, changed_at })
    }

    /// A time, if it is one, else a number, else a text; as it stands there.
    fn order_of(
        &self,
        name: &str,
        cell: &RawCell<'a>,
        rows: &RowBuilder<'_>,
    ) -> Result<Option<(Version, Option<Instant>, String)>, Fault> {
        let column = Column::RecordedAt.index();
        let shown = match cell {
            RawCell::Cents(cents) => crate::event::money::format_cents(*cents),
            RawCell::Micros(at) | RawCell::Local(at) => at.to_string(),
            cell => match plain(cell) {
                Some(text) => text.to_owned(),
                None => return Ok(None),
            },
        };
        let is_time = |cell: &RawCell<'_>| matches!(cell, RawCell::Micros(_) | RawCell::Local(_));
        let by_format = self.time(column, cell.clone()).ok().filter(is_time);
        let of_clock = |clock: DateTime| self.clock(name, clock, &shown);
        let (version, changed_at) = match by_format {
            Some(RawCell::Local(clock)) => match Timestamp::from_microsecond(clock) {
                Ok(clock) => of_clock(TimeZone::UTC.to_datetime(clock))?,
                Err(_) => (Version::Text(shown.as_str().into()), None),
            },
            Some(cell) if let Some(at) = rows.instant(column, &cell) => {
                (Version::Time(at.as_micros()), Some(at))
            }
            _ => match (number(&shown), local_time(&shown)) {
                (Some(number), _) => (Version::Number(number), None),
                (None, Some(clock)) => of_clock(clock)?,
                (None, None) => match rows.instant(column, cell) {
                    Some(at) => (Version::Time(at.as_micros()), Some(at)),
                    None => (Version::Text(shown.as_str().into()), None),
                },
            },
        };
        Ok(Some((version, changed_at, shown)))
    }

    /// What a clock shows: an instant where its zone is known. One that it showed never or twice in that zone orders
    /// nothing: the version could pass for an older one, and be passed over.
    fn clock(&self, name: &str, clock: DateTime, shown: &str) -> Result<(Version, Option<Instant>), Fault> {
        if self.reading.zone().is_none() {
            let clock = TimeZone::UTC.to_timestamp(clock).map_or(0, Timestamp::as_microsecond);
            return Ok((Version::Time(clock), None));
        }
        let at = instant(clock, self.reading.zone())
            .map_err(|why| (RejectReason::BadTime, format!("{name} {:?}: {why}", shorten(shown))))?;
        Ok((Version::Time(at.as_micros()), Some(at)))
    }
}

/// A text, or the digits of a number.
fn plain<'c>(cell: &'c RawCell<'_>) -> Option<&'c str> {
    if let RawCell::Number(text) = cell { Some(text) } else { text_of(cell) }
}

/// Millionths of a number that orders. Places in logs have more digits than amounts do.
fn number(text: &str) -> Option<i128> {
    if !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<i128>().ok()?.checked_mul(1_000_000);
    }
    parse_number(text).ok()
}

impl Order {
    fn stating(self, stated: Stated, rows: &RowBuilder<'_>, at: Place) -> RowVersion {
        let Self { key, version, shown, changed_at } = self;
        let (key, shown, place) = (key.into(), shown.into(), rows.origin(at.0, at.1, at.2));
        let version = RowVersion { key, version, shown, changed_at, stated, row: rows.len(), place };
        RowVersion { row: version.row - version.rows(), ..version }
    }
}

/// What the bank did with a payment.
struct Bank<'a> {
    told: [RawCell<'a>; 4],
    status: BankStatus,
    hash: u64,
}

impl<'a> Bank<'a> {
    fn confirmation(self, record: &str, order: &Order, at: RawCell<'a>, amount: RawCell<'a>) -> Cells<'a> {
        let mut cells: Cells<'a> = NO_CELLS;
        for (column, cell) in OF_BANK.iter().zip(self.told) {
            cells[column.index()] = cell;
        }
        let status = &mut cells[Column::Status.index()];
        if matches!(status, RawCell::Absent) {
            *status = RawCell::Text("paid");
        }
        let role =
            if self.status == BankStatus::Returned { VersionEffect::Returned } else { VersionEffect::Paid };
        cells[Column::EventId.index()] = RawCell::Owned(derived_id(record, &order.shown, role));
        cells[Column::Type.index()] = RawCell::Text("confirmation");
        cells[Column::OccurredAt.index()] = at;
        cells[Column::OriginalEventId.index()] = RawCell::Owned(record.to_owned());
        cells[Column::Amount.index()] = amount;
        cells
    }
}
