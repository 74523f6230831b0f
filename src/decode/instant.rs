//! The times of events: texts, numbers in the unit of their source, columns of timestamps.

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Reading,
    fault::{Fault, absent_or_wrong, shorten},
    row::RawCell,
};
use crate::{
    event::{
        Column, Instant, dress,
        money::format_cents,
        schema::FIELDS,
        stamp::{Stamp, instant, likely_unit, local_time, looks_like_day},
        time::{Calendar, TimeBounds, TimeError, check_years},
    },
    say,
    stream::RejectReason,
};

/// How the times of a block are read.
pub(crate) struct Instants<'c> {
    pub calendar: &'c Calendar,
    pub reading: &'c Reading,
    pub bounds: TimeBounds,
}

impl Instants<'_> {
    /// The instant in a cell.
    ///
    /// # Errors
    /// If it is none, or one that there cannot be.
    pub(crate) fn read(&self, column: usize, cell: &RawCell<'_>) -> Result<Instant, Fault> {
        let name = FIELDS[column].name;
        let bad = |shown: &str, why: TimeError| {
            (RejectReason::BadTime, format!("{name} {:?}: {why}", shorten(shown)))
        };
        let at = match cell {
            RawCell::Text(text) if dress::is_scientific(text) => {
                return Err((
                    RejectReason::Inexact,
                    dress::lost_digits(name, &format!("{:?}", shorten(text))),
                ));
            }
            RawCell::Text(text) => self.time_of(text).map_err(|e| bad(text, e))?,
            RawCell::Owned(text) => self.time_of(text).map_err(|e| bad(text, e))?,
            RawCell::Number(number) => self.time_of_number(number).map_err(|e| bad(number, e))?,
            RawCell::Cents(cents) => {
                let number = format_cents(*cents);
                self.time_of_number(&number).map_err(|e| bad(&number, e))?
            }
            RawCell::Micros(micros) => {
                check_years(Instant::from_micros(*micros)).map_err(|e| bad(&micros.to_string(), e))?
            }
            RawCell::Local(micros) => self.time_of_clock(*micros).map_err(|(shown, e)| bad(&shown, e))?,
            _ => return Err(absent_or_wrong(column, cell)),
        };
        if column != Column::OccurredAt.index() || self.bounds.contain(at) {
            return Ok(at);
        }
        let is_future = at > self.bounds.latest;
        let at = self.calendar.format(at);
        Err(if is_future {
            (RejectReason::FutureTime, say!("{name} {at} is too far ahead of the clock", name, at))
        } else {
            let earliest = self.calendar.format(self.bounds.earliest);
            let why = say!(
                "{name} {at} is before {earliest}; if it is right, set engine.min_time to an earlier day",
                name,
                at,
                earliest
            );
            (RejectReason::BadTime, why)
        })
    }

    /// Formats without types write numbers as text.
    fn time_of(&self, text: &str) -> Result<Instant, TimeError> {
        if is_number(text) {
            return self.time_of_number(text);
        }
        match local_time(text) {
            Some(local) => instant(local, self.reading.zone()),
            None => self.calendar.parse(text),
        }
    }

    /// What the clock of a column without a zone shows.
    fn time_of_clock(&self, micros: i64) -> Result<Instant, (String, TimeError)> {
        let local = Timestamp::from_microsecond(micros).map(|shown| TimeZone::UTC.to_datetime(shown));
        match local {
            Ok(local) => instant(local, self.reading.zone()).map_err(|e| (local.to_string(), e)),
            Err(_) => check_years(Instant::from_micros(micros)).map_err(|e| (micros.to_string(), e)),
        }
    }

    /// A number has to be a time that there can be in its unit.
    fn time_of_number(&self, number: &str) -> Result<Instant, TimeError> {
        let (unit, calendar) = (self.reading.times(), self.calendar);
        let read = unit.read(number).and_then(|stamp| match stamp {
            Stamp::Instant(at) => Ok(at),
            Stamp::Day(day) => calendar.start_of_day(day),
            Stamp::Local(local) => instant(local, self.reading.zone()),
        });
        match read {
            Ok(at) if self.bounds.earliest == Instant::MIN || self.bounds.contain(at) => {
                return Ok(at);
            }
            _ => {}
        }
        if let Some(day) = looks_like_day(number) {
            return Err(TimeError(say!(
                "a number is a time in {unit} here; if it is a day, write {day}",
                unit = unit.word(),
                day
            )));
        }
        match likely_unit(number, unit, calendar) {
            Some((other, at)) => Err(TimeError(say!(
                "this is no time in {unit}; as {other} it would be {at}: then say `times: {other}` at the source",
                unit = unit.word(),
                other = other.word(),
                at
            ))),
            None => read,
        }
    }
}

/// Whether a text is digits, perhaps with a sign and a point.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}
