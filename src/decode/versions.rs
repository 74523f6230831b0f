//! Versioned records, which come again when they have changed: each with its key and what orders its versions. What changed since
//! the version before is found out where batches are in order (`engine/versions`).

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Decimal128Type, Int32Type, TimestampMicrosecondType},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::{Decoded, Decoder, OriginRow, Reading, row::fold};
use crate::{
    event::{
        BankStatus, Column, FieldKind, Instant,
        money::format_cents,
        number::format_number,
        schema::{EVENT_ID_CHARS, FIELDS},
    },
    stream::{Block, Payload},
};

/// What orders the versions of a record. Those of one source are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// A number, in millionths.
    Number(i128),
    /// A time, in microseconds; of a clock without a zone what it shows.
    Time(i64),
    /// A text, by its bytes.
    Text(Box<str>),
}

impl Version {
    /// Whether one of the two can be told to be the newer one.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What a version of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stated {
    /// That it is none any more, or not yet.
    Void,
    /// An application, in the row.
    Application,
    /// A payment, in the row.
    Payment,
    /// Something else, such as a refund or a budget action, in the row: it is taken as it comes first.
    Other,
    /// A payment, and in the row after it what the bank did, by the hash of that.
    Confirmed(BankStatus, u64),
    /// Nothing: what the bank did is in quarantine, and the payment in the row goes with it.
    Refused,
}

/// A version of a record.
#[derive(Debug)]
pub struct RowVersion {
    /// What stays the same when it changes.
    pub key: Box<str>,
    pub version: Version,
    /// The version as it stands there.
    pub shown: Box<str>,
    /// When it changed, if the version is a time that can be one.
    pub changed_at: Option<Instant>,
    pub stated: Stated,
    /// Its first row among the decoded events; of none, where it would be.
    pub row: usize,
    /// Where it came from.
    pub(super) place: OriginRow,
}

impl RowVersion {
    /// The block of the batch that it came in.
    #[must_use]
    pub fn block(&self) -> usize {
        self.place.block as usize
    }

    /// The rows that it has among the decoded events.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self.stated {
            Stated::Void => 0,
            Stated::Application | Stated::Payment | Stated::Other | Stated::Refused => 1,
            Stated::Confirmed(..) => 2,
        }
    }
}

/// The versions of records among the events of a batch.
#[derive(Debug)]
pub struct RowVersions {
    /// In stream order.
    pub rows: Vec<RowVersion>,
    /// Makes events of what is known already.
    pub(super) maker: Decoder,
}

impl RowVersions {
    /// Events out of objects, one a line, whose values were checked before.
    #[must_use]
    pub fn make(&self, lines: Vec<u8>) -> Decoded {
        let name = "versions";
        let block = Block::new(name.into(), name.into(), 0, Payload::JsonLines(lines.into()));
        self.maker.decode(&[block], None)
    }
}

impl Decoder {
    /// Makes events of what was checked before.
    pub(super) fn maker(&self) -> Self {
        Self { earliest: Instant::MIN, readings: std::sync::Arc::default(), ..self.clone() }
            .reading(Reading::stored())
    }
}

/// What becomes of a record at a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionEffect {
    /// 支付申请
    Application,
    /// 支付
    Payment,
    /// 申请退回
    Withdrawal,
    /// 红冲
    Reversal,
    /// 回单
    Paid,
    /// 退汇
    Returned,
    /// An answer of the bank that no longer holds.
    Recalled,
}

impl VersionEffect {
    const fn word(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Payment => "",
            Self::Withdrawal => "withdrawal",
            Self::Reversal => "reversal",
            Self::Paid => "paid",
            Self::Returned => "returned",
            Self::Recalled => "recalled",
        }
    }
}

/// The id of an event that follows from a version of a record: the same whenever it is made.
#[must_use]
pub(crate) fn derived_id(record: &str, shown: &str, role: VersionEffect) -> String {
    let slash = if role == VersionEffect::Payment { "" } else { "/" };
    let plain = shown.bytes().all(|byte| byte.is_ascii_graphic());
    let id = format!("{record}@{shown}{slash}{word}", word = role.word());
    if plain && id.chars().count() <= EVENT_ID_CHARS {
        return id;
    }
    // A long key or a version with blanks: a digest of both stands behind as much of the key as there is room for.
    let digest = xxh3_64(format!("{record}\u{0}{shown}").as_bytes());
    let tail = format!("@{digest:016x}{slash}{word}", word = role.word());
    let room = EVENT_ID_CHARS - tail.len();
    record.chars().take(room).chain(tail.chars()).collect()
}

/// What follows the record's id in that of its application.
pub(crate) const APPLICATION_TAIL: &str = "/application";

/// The id of an application whose record becomes a payment later.
#[must_use]
pub(crate) fn application_id(record: &str) -> String {
    if record.chars().count() + APPLICATION_TAIL.len() <= EVENT_ID_CHARS {
        return format!("{record}{APPLICATION_TAIL}");
    }
    derived_id(record, "", VersionEffect::Application)
}

/// What of an event's content is of interest: not when somebody entered it.
#[must_use]
pub(crate) fn of_interest(events: &RecordBatch, content: u64, row: usize) -> u64 {
    let column = Column::RecordedAt.index();
    let times = events.column(column).as_primitive::<TimestampMicrosecondType>();
    if times.is_null(row) {
        return content;
    }
    content.wrapping_sub(fold(i128::from(times.value(row)).cast_unsigned(), column as u64 + 1))
}

/// The fields of an event as JSON has them.
#[must_use]
pub(crate) fn fields(events: &RecordBatch, row: usize) -> Map<String, Value> {
    let value = |(column, array): (usize, &std::sync::Arc<dyn Array>)| {
        if array.is_null(row) {
            return None;
        }
        let value = match FIELDS[column].kind {
            FieldKind::Text(_) | FieldKind::Choice(_) => array.as_string_view().value(row).to_owned(),
            FieldKind::Money => format_cents(array.as_primitive::<Decimal128Type>().value(row)),
            FieldKind::Number => format_number(array.as_primitive::<Decimal128Type>().value(row)),
            FieldKind::Time => {
                time(Instant::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row)))
            }
            FieldKind::Year => array.as_primitive::<Int32Type>().value(row).to_string(),
            FieldKind::Tags => {
                let list = array.as_list::<i32>().value(row);
                let tags = list.as_string::<i32>().iter().flatten().map(Value::from).collect();
                return Some((FIELDS[column].name.to_owned(), Value::Array(tags)));
            }
        };
        Some((FIELDS[column].name.to_owned(), Value::String(value)))
    };
    events.columns().iter().enumerate().filter_map(value).collect()
}

/// A time as an event has it.
#[must_use]
pub(crate) fn time(at: Instant) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_enough_and_told_apart() {
        assert_eq!(derived_id("V1", "17", VersionEffect::Payment), "V1@17");
        assert_eq!(
            derived_id("V1", "2026-03-05T10:00:00+08:00", VersionEffect::Paid),
            "V1@2026-03-05T10:00:00+08:00/paid"
        );
        assert_eq!(application_id("V1"), "V1/application");
        let roles = [
            VersionEffect::Application,
            VersionEffect::Payment,
            VersionEffect::Withdrawal,
            VersionEffect::Reversal,
            VersionEffect::Paid,
            VersionEffect::Returned,
        ];
        let long = "凭".repeat(64);
        let mut ids = std::collections::BTreeSet::new();
        for record in ["V1", &long] {
            for shown in ["1", "2", "2026-03-05 10:00:00", "2026-03-05 10:00:01"] {
                for role in roles {
                    let id = derived_id(record, shown, role);
                    assert!(id.chars().count() <= EVENT_ID_CHARS, "{id}");
                    assert!(ids.insert(id));
                }
            }
        }
        assert!(application_id(&long).chars().count() <= EVENT_ID_CHARS);
    }
}
