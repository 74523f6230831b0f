//! Change events of databases, one JSON message each, in Debezium's envelope: with or without their schema. A row becomes
//! an object of texts with what the envelope says of it; what is no row is passed over, and what cannot be taken is refused.

mod envelope;
mod values;

use bytes::Bytes;

use super::{fault::Fault, json, row::RowBuilder};
use crate::{say, stream::Reason};

pub use envelope::{Change, Schemas};

/// Where the text of each record is in a block, with its number.
pub type Places = Vec<(usize, usize, u64)>;

/// The places of messages.
pub fn of_messages(ends: &[(u32, u64)]) -> Places {
    let mut start = 0;
    let place = |&(end, offset): &(u32, u64)| {
        let end = end as usize;
        (std::mem::replace(&mut start, end), end, offset)
    };
    ends.iter().map(place).collect()
}

/// The places of lines.
pub fn of_lines(bytes: &[u8], first_record: u64) -> Places {
    let rest = bytes.last().is_some_and(|last| *last != b'\n').then_some(bytes.len());
    let ends = memchr::memchr_iter(b'\n', bytes).chain(rest);
    let mut start = 0;
    let place =
        |(number, end): (u64, usize)| (std::mem::replace(&mut start, end + 1), end, first_record + number);
    (1..).zip(ends).map(place).collect()
}

/// Decodes change events. Only new rows are events; a row that was changed or deleted is refused.
pub fn decode(data: &Bytes, places: &Places, partition: &str, rows: &mut RowBuilder<'_>) {
    let mut schemas = Schemas::default();
    let read: Vec<_> = places
        .iter()
        .map(|&(start, end, record)| read(&data[start..end], partition, record, &mut schemas))
        .collect();
    let mut parser = json::Parser::default();
    for (change, &(start, end, record)) in read.iter().zip(places) {
        match change {
            Ok(None) => rows.skip(1),
            Ok(Some(row)) => parser.record(row, record, (start, end), rows),
            Err(fault) => rows.reject(fault.clone(), record, start, end),
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
