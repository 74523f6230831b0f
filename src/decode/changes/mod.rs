//! Change events of databases, one JSON message each, in Debezium's envelope: with or without their schema. A row becomes
//! an object of texts with what the envelope says of it; what is no row is passed over, and what cannot be taken is refused.

mod envelope;
mod values;

use super::{fault::Fault, json, row::RowBuilder};
use crate::{
    say,
    stream::{Block, Payload, Reason},
};

pub use envelope::{Change, Schemas};

/// Where the text of each record is in a block, with its number.
type Places = Vec<(usize, usize, u64)>;

/// The places of messages.
fn of_messages(ends: &[(u32, u64)]) -> Places {
    let mut start = 0;
    let place = |&(end, offset): &(u32, u64)| {
        let end = end as usize;
        (std::mem::replace(&mut start, end), end, offset)
    };
    ends.iter().map(place).collect()
}

/// The places of lines.
fn of_lines(bytes: &[u8], first_record: u64) -> Places {
    let rest = bytes.last().is_some_and(|last| *last != b'\n').then_some(bytes.len());
    let ends = memchr::memchr_iter(b'\n', bytes).chain(rest);
    let mut start = 0;
    let place =
        |(number, end): (u64, usize)| (std::mem::replace(&mut start, end + 1), end, first_record + number);
    (1..).zip(ends).map(place).collect()
}

/// Where a message starts and ends, and its number.
type Place = (usize, usize, u64);

/// What the messages of a block say, each with its place.
pub struct Changes(Vec<(Result<Option<String>, Fault>, Place)>);

impl Changes {
    /// Reads the messages of a block; `None` if it has none.
    pub fn of(block: &Block) -> Option<Self> {
        let (data, places) = match &block.payload {
            Payload::JsonLines(bytes) => (bytes, of_lines(bytes, block.first_record)),
            Payload::Messages { data, ends } => (data, of_messages(ends)),
            _ => return None,
        };
        let mut schemas = Schemas::default();
        let mut read =
            |place: Place| (read(&data[place.0..place.1], &block.partition, place.2, &mut schemas), place);
        Some(Self(places.into_iter().map(&mut read).collect()))
    }

    /// Decodes the rows. Only new ones are events; a row that was changed or deleted is refused.
    pub fn decode<'c>(&'c self, parser: impl json::Record<'c>, rows: &mut RowBuilder<'_>) {
        let mut parser = parser;
        for (change, (start, end, record)) in &self.0 {
            match change {
                Ok(None) => rows.skip(1),
                Ok(Some(row)) => parser.record(row, *record, (*start, *end), rows),
                Err(fault) => rows.reject(fault.clone(), *record, *start, *end),
            }
        }
    }
}

/// The row of a message, if it is a new one; `None` if it has none.
fn read(
    message: &[u8],
    partition: &str,
    record: u64,
    schemas: &mut Schemas,
) -> Result<Option<String>, Fault> {
    let text = json::utf8(message)?;
    match Change::read(text, partition, record, schemas)? {
        Some(change) if change.is_new() => Ok(Some(change.row)),
        Some(change) => Err((
            Reason::Changed,
            say!(
                "the database changed or deleted a row ({op}), and this source takes new rows only. Send a refund or a correction instead, or have the connector leave such changes out (skipped.operations=u,d,t)",
                op = change.op
            ),
        )),
        None => Ok(None),
    }
}
