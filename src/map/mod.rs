//! How the records of other systems become events: what a configuration says of their encoding, columns, words, dates
//! and amounts, compiled once. `decode/mapped` applies it.

mod charset;
mod compile;
mod date;
mod header;
mod money;
mod shape;
mod slots;
mod upsert;
mod when;

use std::collections::HashMap;

use crate::{
    event::stamp::StampUnit,
    stream::{Dialect, Encoding},
    workbook,
};

pub use charset::{Charset, growing_reader, look as look_at_encoding, reader as utf8_reader, utf8};
pub use compile::Mistake;
pub use date::Dates;
pub(crate) use money::plain_number;
pub use money::{Amount, AmountError, Money};
pub use shape::{LookupFrom, LookupShape, MapShape, MoneyShape, MoneyUnit, Negative, Word};
pub use slots::{ColumnPlaces, Slots, Tree, numbered};
pub use upsert::{Upsert, UpsertMode, UpsertShape, Versioned};
pub use when::{NoNumber, Predicate, Values};

/// A map that is valid.
#[derive(Debug)]
pub struct Map {
    /// How the records are written, whatever the names of files tell.
    pub format: Option<Encoding>,
    /// The encoding of their text.
    pub charset: Charset,
    /// What parts the cells of a row.
    pub dialect: Dialect,
    /// The row that names the columns, counted from 1; 0 if there is none.
    pub header_row: usize,
    /// Where they stand in a workbook.
    pub workbook: workbook::Options,
    /// The path of the elements of an XML document that are rows.
    pub elements: Option<String>,
    /// Rows below it that are no records.
    pub skip: usize,
    /// The columns it names.
    pub slots: Slots,
    /// The same as keys and paths.
    pub tree: Tree,
    /// The columns that make the `event_id`.
    pub id: Vec<usize>,
    /// What each field is read from, by its place in the data dictionary.
    pub fields: Vec<Field>,
    /// Whether payments and applications get what they lack from their budget line.
    pub looks_up: bool,
    /// Which rows are events.
    pub when: Option<Predicate>,
    /// Words that a row of totals begins with, squeezed.
    pub totals: Vec<String>,
    /// How dates are written.
    pub dates: Dates,
    /// How amounts are written.
    pub money: Money,
    /// The zone of times without one.
    pub zone: Option<String>,
    /// The unit of numbers that are times.
    pub times: Option<StampUnit>,
    /// The words for a missing value.
    pub nulls: Option<Vec<String>>,
    /// What tells records apart that come again when they have changed.
    pub upsert: Option<Upsert>,
}

/// What a field is read from.
#[derive(Debug)]
pub struct Field {
    /// Its place in the data dictionary.
    pub column: usize,
    /// The column, if one gives it.
    pub slot: Option<usize>,
    /// Its value where the column has none.
    pub constant: Option<Box<str>>,
    /// What the words of the column mean.
    pub words: Option<Words>,
}

/// Words of a source, and the values that they mean.
#[derive(Debug, Clone, Default)]
pub struct Words {
    meant: HashMap<Box<str>, Box<str>>,
    /// The value of all others.
    others: Option<Box<str>>,
}

impl Words {
    /// The value that a word means.
    #[must_use]
    pub fn value(&self, word: &str) -> Option<&str> {
        self.meant.get(word).or(self.others.as_ref()).map(|value| &**value)
    }

    /// The words, for messages.
    #[must_use]
    pub fn told(&self) -> String {
        let mut words: Vec<_> = self.meant.keys().map(|word| &**word).collect();
        words.sort_unstable();
        words.join(", ")
    }
}

impl Map {
    /// The names of the columns that a field is read from; `None` where no column gives it.
    #[must_use]
    pub fn columns_of(&self, column: usize) -> Option<String> {
        if column == crate::event::Column::EventId.index() && !self.id.is_empty() {
            let names: Vec<_> = self.id.iter().map(|slot| self.slots.names()[*slot].as_str()).collect();
            return Some(names.join(" + "));
        }
        let field = self.fields.iter().find(|field| field.column == column)?;
        field.slot.map(|slot| self.slots.names()[slot].clone())
    }

    /// Whether rows of totals begin with this word.
    #[must_use]
    pub fn is_total(&self, word: &str) -> bool {
        // Most first cells are ids, whose digits no such word has.
        if self.totals.is_empty()
            || word.len() > TOTAL_BYTES
            || word.bytes().any(|byte| byte.is_ascii_digit())
        {
            return false;
        }
        let squeezed = crate::event::dress::squeezed(word);
        self.totals.iter().any(|total| squeezed.trim_end_matches(':') == total)
    }
}

/// A longer word is none for totals.
const TOTAL_BYTES: usize = 64;
