//! JSON objects whose keys, or paths of keys, are the map's columns.
//!
//! Readers of other formats hand their rows over in the same way. `$place` says where a row stands, and an object with
//! `$fault` stands for a cell that has no exact value.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Apply, Row};
use crate::{
    decode::{
        json::{RecordConsumer, body, cell, describe},
        row::{RawCell, RowBuilder},
    },
    event::FieldKind,
    map::Tree,
    say,
    stream::RejectReason,
    text::quoted,
};

/// The key that says where a row stands.
const PLACE: &str = "$place";
/// Keys that are no columns and are remembered as such.
const STRANGE_MAX: usize = 1024;

/// Objects one after another.
pub(crate) struct Objects<'a> {
    apply: Apply<'a>,
    found: ObjectFields<'a>,
}

/// What was found in an object.
#[derive(Default)]
struct ObjectFields<'a> {
    cells: Vec<RawCell<'a>>,
    /// For each column, the place among the names that are used in turn; one more than it, or 0.
    turns: Vec<u8>,
    first: Option<&'a str>,
    place: Option<RawCell<'a>>,
    is_suspect: bool,
    /// Keys that are no columns.
    strange: HashSet<Box<str>>,
}

impl<'a> Objects<'a> {
    pub(crate) fn new(apply: Apply<'a>) -> Self {
        Self { apply, found: ObjectFields::default() }
    }
}

impl<'a> Row<'a> for ObjectFields<'a> {
    fn cell(&self, slot: usize) -> RawCell<'a> {
        self.cells[slot].clone()
    }

    fn first(&self) -> Cow<'_, str> {
        let text = self.first.map_or(RawCell::Absent, |raw| cell(raw, FieldKind::Tags));
        match text {
            RawCell::Text(text) | RawCell::Number(text) => Cow::Borrowed(text),
            RawCell::Owned(text) => Cow::Owned(text),
            _ => Cow::Borrowed(""),
        }
    }

    fn is_suspect(&self) -> bool {
        self.is_suspect
    }
}

impl<'a> ObjectFields<'a> {
    fn clear(&mut self, columns: usize) {
        self.cells.clear();
        self.cells.resize(columns, RawCell::Absent);
        self.turns.clear();
        self.turns.resize(columns, 0);
        (self.first, self.place) = (None, None);
    }

    /// Puts a value into its column; a name that comes first in turn goes before others. `false` if it is there already.
    fn put(&mut self, (slot, turn): (usize, u8), value: RawCell<'a>) -> bool {
        let turn = turn.saturating_add(1);
        if self.turns[slot] == turn {
            return false;
        }
        let is_better = self.turns[slot] == 0 || turn < self.turns[slot];
        if is_better && !matches!(value, RawCell::Absent) {
            (self.cells[slot], self.turns[slot]) = (value, turn);
        }
        true
    }
}

impl<'a> RecordConsumer<'a> for Objects<'a> {
    fn record(
        &mut self,
        text: &'a str,
        record: u64,
        (start, end): (usize, usize),
        rows: &mut RowBuilder<'_>,
    ) {
        let Some(trimmed) = body(text, record, (start, end), rows) else { return };
        self.found.clear(self.apply.map.slots.names().len());
        self.found.is_suspect = super::has_mark(trimmed.as_bytes());
        let mut deserializer = serde_json::Deserializer::from_str(trimmed);
        let object = Object { tree: &self.apply.map.tree, found: &mut self.found, is_root: true };
        let read = deserializer.deserialize_map(object).and_then(|()| deserializer.end());
        if let Err(error) = read {
            return rows.reject((RejectReason::InvalidJson, describe(&error)), record, start, end);
        }
        let place = match self.found.place.take() {
            Some(RawCell::Text(text)) => Cow::Borrowed(text),
            Some(RawCell::Owned(text)) => Cow::Owned(text),
            _ => Cow::Borrowed(""),
        };
        if self.found.cells.iter().all(|cell| matches!(cell, RawCell::Absent)) && self.found.first.is_none() {
            return rows.skip(1);
        }
        self.apply.row(&self.found, &place, (record, start, end), rows);
    }
}

struct Object<'p, 'a> {
    tree: &'p Tree,
    found: &'p mut ObjectFields<'a>,
    is_root: bool,
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key_seed(Key {
            tree: self.tree,
            strange: self.is_root.then_some(&mut self.found.strange),
        })? {
            match key {
                Known::Place => {
                    let raw: &'de RawValue = map.next_value()?;
                    self.found.place = Some(cell(raw.get(), FieldKind::Tags));
                }
                Known::Strange if self.found.first.is_some() => {
                    map.next_value::<IgnoredAny>()?;
                }
                Known::Strange => {
                    let raw: &'de RawValue = map.next_value()?;
                    self.first(raw.get());
                }
                Known::Column(tree) => {
                    let raw: &'de RawValue = map.next_value()?;
                    self.first(raw.get());
                    value(tree, raw.get(), self.found).map_err(M::Error::custom)?;
                }
            }
        }
        Ok(())
    }
}

impl<'de> Object<'_, 'de> {
    fn first(&mut self, raw: &'de str) {
        if self.found.first.is_none() && !matches!(raw, "null" | "\"\"") && !raw.starts_with(['{', '[']) {
            self.found.first = Some(raw);
        }
    }
}

/// Takes in the value of a column, or of those below it.
fn value<'a>(tree: &Tree, raw: &'a str, found: &mut ObjectFields<'a>) -> Result<(), String> {
    let is_object = raw.starts_with('{');
    if is_object && tree.has_children() {
        let mut deserializer = serde_json::Deserializer::from_str(raw);
        let object = Object { tree, found, is_root: false };
        deserializer.deserialize_map(object).map_err(|e| describe(&e))?;
    }
    let Some(leaf) = tree.leaf else { return Ok(()) };
    // An element that is text in one version of a message holds others in the next.
    if is_object && tree.has_children() && !raw.contains("\"$fault\"") {
        return Ok(());
    }
    let cell = match raw {
        "true" | "false" => RawCell::Text(raw),
        _ if is_object => faulty(raw),
        _ => cell(raw, FieldKind::Tags),
    };
    match found.put(leaf, cell) {
        true => Ok(()),
        false => Err(say!("a column of the map appears twice: {value}", value = quoted(raw))),
    }
}

/// A cell that its reader could not give exactly.
fn faulty(raw: &str) -> RawCell<'_> {
    #[derive(serde::Deserialize)]
    struct Faulty {
        #[serde(rename = "$fault")]
        fault: String,
        shown: String,
    }
    match serde_json::from_str(raw) {
        Ok(Faulty { fault, .. }) if fault == "merged" => {
            RawCell::Other("a cell that is merged with the one above or beside it")
        }
        Ok(Faulty { fault, .. }) if fault == "formula" => {
            RawCell::Other("a formula that was never calculated")
        }
        Ok(Faulty { shown, .. }) => RawCell::Inexact(shown),
        Err(_) => RawCell::Other("an object"),
    }
}

enum Known<'p> {
    Column(&'p Tree),
    Place,
    Strange,
}

/// A key of an object.
struct Key<'p, 's> {
    tree: &'p Tree,
    strange: Option<&'s mut HashSet<Box<str>>>,
}

impl<'de, 'p> DeserializeSeed<'de> for Key<'p, '_> {
    type Value = Known<'p>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Known<'p>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Key<'p, '_> {
    type Value = Known<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Known<'p>, E> {
        if self.strange.as_ref().is_some_and(|strange| strange.contains(key)) {
            return Ok(Known::Strange);
        }
        if let Some(tree) = self.tree.get(key) {
            return Ok(Known::Column(tree));
        }
        if key == PLACE {
            return Ok(Known::Place);
        }
        if let Some(strange) = self.strange.filter(|strange| strange.len() < STRANGE_MAX) {
            strange.insert(key.into());
        }
        Ok(Known::Strange)
    }
}
