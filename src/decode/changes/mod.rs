//! Change events of databases, one JSON message each, in Debezium's envelope: with or without their schema. A row becomes
//! an object of texts with what the envelope says of it; what is no row is passed over, and what cannot be taken is refused.

mod envelope;
mod values;

use super::{fault::Fault, json, row::RowBuilder};
use crate::{
    map::Map,
    say,
    stream::{Block, Payload, RejectReason},
};

pub(crate) use envelope::{RowChange, Schemas};

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
pub(crate) struct ChangeMessages(Vec<(Result<Vec<String>, Fault>, Place)>);

impl ChangeMessages {
    /// Reads the messages of a block; `None` if it has none. What happens to rows that there are is of interest only where
    /// the map says which ones they are.
    pub(crate) fn of(block: &Block, map: Option<&Map>) -> Option<Self> {
        let (data, places) = match &block.payload {
            Payload::JsonLines(bytes) => (bytes, of_lines(bytes, block.first_record)),
            Payload::Messages { data, ends } => (data, of_messages(ends)),
            _ => return None,
        };
        let mut schemas = Schemas::default();
        let names = map.map_or(&[][..], |map| map.slots.names());
        let upsert = map.and_then(|map| map.upsert.as_ref());
        let key =
            upsert.map(|upsert| upsert.key.iter().map(|slot| names[*slot].as_str()).collect::<Vec<_>>());
        let mut read = |place: Place| {
            let message = &data[place.0..place.1];
            (read(message, &block.partition, place.2, &mut schemas, key.as_deref()), place)
        };
        Some(Self(places.into_iter().map(&mut read).collect()))
    }

    /// Decodes the rows. Where only new ones are events, a row that was changed or deleted is refused.
    pub(crate) fn decode<'c>(&'c self, parser: impl json::RecordConsumer<'c>, rows: &mut RowBuilder<'_>) {
        let mut parser = parser;
        for (change, (start, end, record)) in &self.0 {
            match change {
                Ok(none) if none.is_empty() => rows.skip(1),
                Ok(found) => {
                    found.iter().for_each(|row| parser.record(row, *record, (*start, *end), rows));
                }
                Err(fault) => rows.reject(fault.clone(), *record, *start, *end),
            }
        }
    }
}

/// The row of a message, if it is a new one or if changes are taken: then, where the key has changed, the one before it too.
fn read(
    message: &[u8],
    partition: &str,
    record: u64,
    schemas: &mut Schemas,
    key: Option<&[&str]>,
) -> Result<Vec<String>, Fault> {
    let text = json::utf8(message)?;
    match RowChange::read(text, partition, record, schemas, key.unwrap_or_default())? {
        Some(change) if change.is_new() || key.is_some() => {
            Ok(change.before.into_iter().chain([change.row]).collect())
        }
        Some(change) => Err((
            RejectReason::Changed,
            say!(
                "the database changed or deleted a row ({op}), and this source takes new rows only. Write `mode: upsert` at the source, with the key of its rows, or have the connector leave such changes out (skipped.operations=u,d,t)",
                op = change.op
            ),
        )),
        None => Ok(Vec::new()),
    }
}
