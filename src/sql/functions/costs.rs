//! What the result of a function costs, computed from what it is given before it is made.

use arrow::{
    array::{Array, ArrayRef, AsArray, StringViewArray},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use datafusion::{common::Result, logical_expr::ColumnarValue};
use memchr::memmem;

use super::{
    growth::Growth,
    series,
    sizes::{Sizes, items, widest_text},
};

/// What an item of a list takes beside its text.
const ITEM: u64 = 16;

/// What a function is given.
pub(crate) struct CallInput<'a> {
    pub args: &'a [ColumnarValue],
}

impl CallInput<'_> {
    /// An argument as an array; of a constant it has one row.
    ///
    /// # Errors
    /// If a constant makes no array.
    pub(crate) fn array(&self, at: usize) -> Result<Option<ArrayRef>> {
        let array = self.args.get(at).map(|arg| match arg {
            ColumnarValue::Array(array) => Ok(ArrayRef::clone(array)),
            ColumnarValue::Scalar(scalar) => scalar.to_array(),
        });
        array.transpose()
    }

    /// An argument as texts; `None` if it is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn texts(&self, at: usize) -> Result<Option<StringViewArray>> {
        let Some(array) = self.array(at)?.filter(|array| array.data_type().is_string()) else {
            return Ok(None);
        };
        Ok(Some(cast(&array, &DataType::Utf8View)?.as_string_view().clone()))
    }

    fn sizes(&self, at: usize) -> Result<Sizes> {
        Ok(self.array(at)?.map_or_else(Sizes::nothing, |array| Sizes::of(&array)))
    }

    fn items(&self, at: usize) -> Result<Sizes> {
        Ok(self.array(at)?.map_or_else(Sizes::nothing, |array| items(&array)))
    }

    /// Whole numbers; below zero is nothing.
    fn counts(&self, at: usize) -> Result<Sizes> {
        let Some(array) = self.array(at)? else { return Ok(Sizes::nothing()) };
        let numbers = cast(&array, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        Ok(numbers.iter().map(|n| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)).collect())
    }

    /// How many groups the patterns have, with the whole as one.
    fn groups(&self, at: usize) -> Result<Sizes> {
        let Some(texts) = self.texts(at)? else { return Ok(Sizes::always(1)) };
        let opened = |text: &str| text.bytes().filter(|byte| *byte == b'(').count() as u64;
        Ok(texts.iter().map(|text| 1 + text.map_or(0, opened)).collect())
    }

    /// Into how many parts the first text falls at the second; without a second, each character is one.
    fn parts(&self) -> Result<Sizes> {
        let (Some(texts), cuts) = (self.texts(0)?, self.texts(1)?) else { return Ok(Sizes::nothing()) };
        let cut_at = |row: usize| {
            let cuts = cuts.as_ref()?;
            let row = if cuts.len() == 1 { 0 } else { row };
            (row < cuts.len() && cuts.is_valid(row)).then(|| cuts.value(row))
        };
        let parts = |(row, text): (usize, Option<&str>)| match (text.unwrap_or_default(), cut_at(row)) {
            (text, None) => text.len() as u64,
            (_, Some("")) => 1,
            (text, Some(cut)) => 1 + memmem::find_iter(text.as_bytes(), cut).count() as u64,
        };
        let cuts = cuts.as_ref().map_or(0, Array::len);
        match (texts.len(), cuts) {
            // One text that is cut in several ways.
            (1, 2..) => {
                let text = texts.is_valid(0).then(|| texts.value(0));
                Ok((0..cuts).map(|row| parts((row, text))).collect())
            }
            _ => Ok(texts.iter().enumerate().map(parts).collect()),
        }
    }
}

/// What the result of a row costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Bytes of its value.
    pub bytes: u64,
    /// Items of its list.
    pub items: u64,
    /// Steps that it takes.
    pub work: u64,
}

/// What the results cost, row by row.
pub(crate) enum Costs {
    /// Bytes and items of values that are put together.
    Sum(Vec<Sizes>, Vec<Sizes>),
    /// The second and all that follow, with the first between them.
    Separated(Sizes, Vec<Sizes>),
    /// As many items as the longest list has, each with a part of each list.
    Zipped(Vec<Sizes>, Vec<Sizes>),
    /// So many times so many bytes, and so many items.
    Times(Sizes, Sizes, bool),
    /// The first, with the third for each of its places.
    Replaced(Sizes, Sizes, Sizes),
    /// Bytes of items, bytes between them (and in the place of those that are missing), and how many there are.
    Joined(Sizes, [Sizes; 2], Sizes),
    /// Bytes of texts, and how many parts they fall into.
    Cut(Sizes, Sizes),
    /// Steps between two values.
    Steps(Sizes),
    /// Lengths that are multiplied in time.
    Work(Sizes, Sizes),
    /// The same, and how many parts of the first there are.
    Captured(Sizes, Sizes, Sizes),
}

impl Costs {
    /// What the results of a function that grows so cost.
    ///
    /// # Errors
    /// If an argument cannot be read.
    pub(crate) fn new(growth: Growth, given: &CallInput<'_>) -> Result<Self> {
        let all = 0..given.args.len();
        Ok(match growth {
            Growth::Bounded | Growth::Sum => {
                let sizes = all.clone().map(|at| given.sizes(at)).collect::<Result<_>>()?;
                Self::Sum(sizes, all.map(|at| given.items(at)).collect::<Result<_>>()?)
            }
            Growth::Separated => {
                let texts = all.skip(1).map(|at| given.sizes(at)).collect::<Result<_>>()?;
                Self::Separated(given.sizes(0)?, texts)
            }
            Growth::Zipped => {
                let sizes = all.clone().map(|at| given.sizes(at)).collect::<Result<_>>()?;
                Self::Zipped(sizes, all.map(|at| given.items(at)).collect::<Result<_>>()?)
            }
            Growth::Repeated => {
                let of_text = given.array(0)?.is_some_and(|array| array.data_type().is_string());
                let sizes = given.sizes(0)?;
                // An item of a list takes some bytes, however small it is.
                Self::Times(if of_text { sizes } else { sizes.at_least(8) }, given.counts(1)?, !of_text)
            }
            Growth::Padded => Self::Times(Sizes::always(4), given.counts(1)?, false),
            Growth::Resized => Self::Times(given.sizes(2)?.at_least(8), given.counts(1)?, true),
            Growth::Replaced => Self::Replaced(given.sizes(0)?, given.sizes(2)?, given.items(0)?),
            Growth::Joined => {
                let array = given.array(0)?;
                let texts = array.as_ref().map_or_else(Sizes::nothing, widest_text);
                Self::Joined(texts, [given.sizes(1)?, given.sizes(2)?], given.items(0)?)
            }
            Growth::Cut => Self::Cut(given.sizes(0)?, given.parts()?),
            Growth::Formatted => Self::Times(given.sizes(1)?.at_least(1), Sizes::always(16), false),
            Growth::Series => Self::Steps(series::steps(given)?),
            Growth::Compared | Growth::Matched => Self::Work(given.sizes(0)?, given.sizes(1)?),
            Growth::Captured => Self::Captured(given.sizes(0)?, given.sizes(1)?, given.groups(1)?),
        })
    }

    /// What the result of a row costs.
    #[must_use]
    pub(crate) fn of(&self, row: usize) -> Cost {
        let value = |bytes: u64, items: u64| Cost { bytes, items, work: 0 };
        let sum = |sizes: &[Sizes]| sizes.iter().fold(0u64, |sum, size| sum.saturating_add(size.at(row)));
        match self {
            Self::Sum(bytes, items) => value(sum(bytes), sum(items).saturating_add(items.len() as u64)),
            Self::Separated(between, texts) => {
                let places = (texts.len() as u64).saturating_sub(1);
                value(sum(texts).saturating_add(between.at(row).saturating_mul(places)), 0)
            }
            Self::Zipped(bytes, items) => {
                let longest = items.iter().map(|items| items.at(row)).max().unwrap_or(0);
                let slots = longest.saturating_mul(items.len() as u64);
                value(sum(bytes).saturating_add(slots.saturating_mul(ITEM)), longest)
            }
            Self::Times(bytes, count, lists) => {
                let count = count.at(row);
                value(bytes.at(row).saturating_mul(count), if *lists { count } else { 0 })
            }
            Self::Replaced(of, by, places) => {
                let (of, by) = (of.at(row), by.at(row));
                let places = places.at(row).max(of.saturating_add(1));
                // Where the new text is not longer than a character, the result is not longer either.
                let grown = if by > 1 { places.saturating_mul(by) } else { places };
                value(of.saturating_add(grown), 0)
            }
            Self::Joined(texts, between, places) => {
                value(texts.at(row).saturating_add(places.at(row).saturating_mul(sum(between))), 0)
            }
            Self::Cut(of, parts) => {
                let parts = parts.at(row);
                value(of.at(row).saturating_add(parts.saturating_mul(ITEM)), parts)
            }
            Self::Steps(steps) => value(steps.at(row).saturating_mul(8), steps.at(row)),
            Self::Work(left, right) => {
                let work = left.at(row).saturating_mul(right.at(row).max(1));
                Cost { work, ..Cost::default() }
            }
            Self::Captured(of, by, groups) => {
                let (of, groups) = (of.at(row), groups.at(row));
                let bytes = of.saturating_add(ITEM).saturating_mul(groups);
                Cost { bytes, items: groups, work: of.saturating_mul(by.at(row).max(1)) }
            }
        }
    }
}
