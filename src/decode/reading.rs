//! How the values of a source are written where the data dictionary leaves it open, and what other programs put around
//! them: blanks, marks of spreadsheets, wide letters, words for nothing.

use std::{borrow::Cow, sync::Arc};

use jiff::tz::TimeZone;

use super::{row::RawCell, text::Shape};
use crate::{
    event::{
        FieldKind,
        dress::{naked, trim},
        stamp::StampUnit,
    },
    map::Map,
};

/// How the values of a source are written.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    zone: Option<TimeZone>,
    times: StampUnit,
    nulls: Nulls,
    /// Whether they were read before: what the journal holds stays as it is.
    stored: bool,
    /// Whether records are change events in Debezium's envelope.
    debezium: bool,
    /// What its records are called there, and how they become events.
    map: Option<Arc<Map>>,
}

impl Reading {
    /// The zone of times without one, the unit of numbers that are times, and the words for a missing value; without
    /// `nulls` those that programs write by themselves.
    #[must_use]
    pub fn new(zone: Option<TimeZone>, times: StampUnit, nulls: Option<&[String]>) -> Self {
        let nulls = nulls.map_or_else(Nulls::default, |words| Nulls::of(words.iter().map(String::as_str)));
        Self { zone, times, nulls, stored: false, debezium: false, map: None }
    }

    /// The same, of records that are change events in Debezium's envelope.
    #[must_use]
    pub fn in_debezium(self, debezium: bool) -> Self {
        Self { debezium, ..self }
    }

    pub(super) const fn is_debezium(&self) -> bool {
        self.debezium
    }

    /// The same, for records that become events by a map.
    #[must_use]
    pub fn mapped(self, map: Arc<Map>) -> Self {
        Self { map: Some(map), ..self }
    }

    /// How its records become events, if they are none yet.
    #[must_use]
    pub fn map(&self) -> Option<&Arc<Map>> {
        self.map.as_ref()
    }

    /// The reading of events that were accepted before.
    #[must_use]
    pub fn stored() -> Self {
        Self { stored: true, ..Self::default() }
    }

    pub(super) fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    pub(super) const fn times(&self) -> StampUnit {
        self.times
    }

    pub(super) const fn is_stored(&self) -> bool {
        self.stored
    }

    /// Leaves of a cell what is meant by it.
    #[inline]
    pub(super) fn undress(&self, cell: &mut RawCell<'_>, kind: FieldKind) -> Left {
        match cell {
            RawCell::Text(text) => match self.look(text, kind) {
                None => *cell = self.undressed(text, kind),
                Some(shape) => return Left::Text(shape),
            },
            RawCell::Owned(text) if self.look(text, kind).is_none() => {
                *cell = match self.undressed(text, kind) {
                    RawCell::Text(text) => RawCell::Owned(text.to_owned()),
                    RawCell::Owned(text) => RawCell::Owned(text),
                    _ => RawCell::Absent,
                };
            }
            RawCell::List(items) if !items.is_empty() && !self.stored => {
                self.undress_items(items, kind);
                if items.is_empty() {
                    *cell = RawCell::Absent;
                }
            }
            _ => return Left::Text(Shape::Other),
        }
        if matches!(cell, RawCell::Absent) { Left::Nothing } else { Left::Text(Shape::Other) }
    }

    fn undress_items(&self, items: &mut Vec<Cow<'_, str>>, kind: FieldKind) {
        items.retain_mut(|item| {
            let owned = match self.undressed(item, kind) {
                RawCell::Text(text) if text.len() == item.len() => return true,
                RawCell::Text(text) => text.to_owned(),
                RawCell::Owned(text) => text,
                _ => return false,
            };
            *item = Cow::Owned(owned);
            true
        });
    }

    /// Whether a text is what is meant by it.
    pub(super) fn leaves(&self, text: &str, kind: FieldKind) -> bool {
        self.look(text, kind).is_some()
            || matches!(self.undressed(text, kind), RawCell::Text(left) if left.len() == text.len())
    }

    /// A quick look that most values pass: the shape of a text that is certainly not dressed.
    fn look(&self, text: &str, kind: FieldKind) -> Option<Shape> {
        let bytes = text.as_bytes();
        let first = bytes.first()?;
        if self.stored {
            return Some(Shape::Other);
        }
        let (shape, plain) = match is_free(kind) {
            true => (Shape::Other, *first != b'=' && !may_be_padded(bytes)),
            // Most codes are ASCII, and begin with a letter or a digit.
            false => {
                let shape = Shape::of(text);
                (shape, shape != Shape::Other && !matches!(first, b'\'' | b'='))
            }
        };
        (plain && !self.nulls.contain(text)).then_some(shape)
    }

    fn undressed<'t>(&self, text: &'t str, kind: FieldKind) -> RawCell<'t> {
        let text = naked(text, is_free(kind));
        if text.is_empty() || self.nulls.contain(&text) {
            return RawCell::Absent;
        }
        match text {
            Cow::Borrowed(text) => RawCell::Text(text),
            Cow::Owned(text) => RawCell::Owned(text),
        }
    }
}

/// What was left of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing, where something stood.
    Nothing,
    /// Something, which is of this shape if it is text.
    Text(Shape),
}

impl Left {
    pub(super) const fn shape(self) -> Shape {
        match self {
            Self::Nothing => Shape::Other,
            Self::Text(shape) => shape,
        }
    }
}

/// Names and sentences stay as people wrote them; of codes, numbers, times and words only the characters count.
fn is_free(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Text(text) if text.is_free())
}

/// Whether there may be blanks around a text. Three bytes tell it of a name in ASCII or Chinese.
fn may_be_padded(bytes: &[u8]) -> bool {
    let ([first, ..], [.., last]) = (bytes, bytes) else { return true };
    let begins = first.is_ascii_graphic() || matches!(first, 0xE4..=0xE9);
    let ends = last.is_ascii_graphic() || matches!(bytes, [.., 0xE4..=0xE9, _, _]);
    !(begins && ends)
}

/// Words that stand where nothing is meant, whatever their case.
#[derive(Debug, Clone)]
struct Nulls {
    words: Vec<Box<str>>,
    longest: usize,
    /// The bytes that some word begins with.
    heads: [bool; 256],
}

/// What databases, spreadsheets, programs and clerks write for nothing.
const NULL_WORDS: &[&str] = &[
    "NULL", "(null)", "<null>", "nil", "none", "\\N", "nan", "NaT", "<NA>", "N/A", "#N/A", "#NULL!", "#REF!",
    "#VALUE!", "#NAME?", "#NUM!", "#DIV/0!", "-", "--", "—", "——", "－", "/", "／", "无", "空", "暂无",
];

impl Default for Nulls {
    fn default() -> Self {
        Self::of(NULL_WORDS.iter().copied())
    }
}

impl Nulls {
    fn of<'w>(words: impl Iterator<Item = &'w str>) -> Self {
        let words: Vec<Box<str>> = words.map(trim).filter(|word| !word.is_empty()).map(Box::from).collect();
        let mut heads = [false; 256];
        for head in words.iter().filter_map(|word| word.as_bytes().first()) {
            heads[usize::from(head.to_ascii_lowercase())] = true;
            heads[usize::from(head.to_ascii_uppercase())] = true;
        }
        Self { longest: words.iter().map(|word| word.len()).max().unwrap_or(0), words, heads }
    }

    fn contain(&self, text: &str) -> bool {
        text.len() <= self.longest
            && text.as_bytes().first().is_some_and(|head| self.heads[usize::from(*head)])
            && self.words.iter().any(|word| word.eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::schema::TextKind;

    const CODE: FieldKind = FieldKind::Text(TextKind::Code);
    const NAME: FieldKind = FieldKind::Text(TextKind::Name);

    fn read(reading: &Reading, text: &str, kind: FieldKind) -> Option<String> {
        let mut cell = RawCell::Text(text);
        reading.undress(&mut cell, kind);
        match cell {
            RawCell::Text(text) => Some(text.to_owned()),
            RawCell::Owned(text) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn dress_is_taken_off() {
        let reading = Reading::default();
        for code in [
            "001001",
            "'001001",
            "=\"001001\"",
            " 001001\t",
            "００１００１",
            "\u{3000}001001\u{a0}",
            "' 001001",
            "=\"'001001\"",
        ] {
            assert_eq!(read(&reading, code, CODE).as_deref(), Some("001001"), "{code}");
        }
        for (name, left) in [
            ("甲公司", "甲公司"),
            (" 甲公司\u{3000}", "甲公司"),
            ("'s-Hage", "'s-Hage"),
            ("ＡＢＣ（甲）", "ＡＢＣ（甲）"),
            ("=\"甲\"", "甲"),
        ] {
            assert_eq!(read(&reading, name, NAME).as_deref(), Some(left), "{name}");
        }
        for nothing in ["", " ", "NULL", "null", " #N/A ", "-", "--", "/", "无", "NaN", "\\N", "'-", "－"] {
            assert_eq!(read(&reading, nothing, CODE), None, "{nothing}");
            if !nothing.starts_with('\'') {
                assert_eq!(read(&reading, nothing, NAME), None, "{nothing}");
            }
        }
        assert_eq!(read(&reading, "nullify", CODE).as_deref(), Some("nullify"));
        let own = Reading::new(None, StampUnit::default(), Some(&["0".to_owned()]));
        assert_eq!((read(&own, "0", CODE), read(&own, "-", CODE).as_deref()), (None, Some("-")));
        assert_eq!(read(&Reading::stored(), " '-", CODE).as_deref(), Some(" '-"));
    }

    proptest! {
        /// The quick look lets nothing through that is dressed, and what is left is not dressed any more.
        #[test]
        fn the_quick_look_misses_nothing(text in "[ '=\"\u{3000}\u{a0}]{0,2}[\\PC]{0,4}[Ａ０甲a-]{0,2}[ \"\u{2028}）]{0,2}", free in any::<bool>()) {
            let (reading, kind) = (Reading::default(), if free { NAME } else { CODE });
            let left = naked(&text, free);
            let expected = (!left.is_empty() && !reading.nulls.contain(&left)).then(|| left.into_owned());
            prop_assert_eq!(&read(&reading, &text, kind), &expected);
            prop_assert_eq!(reading.leaves(&text, kind), expected.as_deref() == Some(&*text));
        }
    }
}
