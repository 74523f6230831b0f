//! How long the values of a column are.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Int64Type},
};

/// What an item of a list takes at least.
const ITEM: u64 = 8;

/// A number for each row; one for all of them where it is a constant's.
#[derive(Debug, Clone)]
pub(crate) struct Sizes(Vec<u64>);

impl FromIterator<u64> for Sizes {
    fn from_iter<I: IntoIterator<Item = u64>>(sizes: I) -> Self {
        Self(sizes.into_iter().collect())
    }
}

impl Sizes {
    /// Of a value that is not there.
    pub(crate) const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// The same for all rows.
    pub(crate) fn always(size: u64) -> Self {
        Self(vec![size])
    }

    /// The bytes of each value: of text its length, of lists the sum of their items, of the others their width.
    pub(crate) fn of(array: &ArrayRef) -> Self {
        let rows = 0..array.len();
        let length = |len: usize, row: usize| if array.is_null(row) { 0 } else { len as u64 };
        match array.data_type() {
            DataType::Utf8View => {
                rows.map(|row| length(array.as_string_view().value(row).len(), row)).collect()
            }
            DataType::Utf8 => {
                rows.map(|row| length(array.as_string::<i32>().value(row).len(), row)).collect()
            }
            DataType::LargeUtf8 => {
                rows.map(|row| length(array.as_string::<i64>().value(row).len(), row)).collect()
            }
            DataType::BinaryView => {
                rows.map(|row| length(array.as_binary_view().value(row).len(), row)).collect()
            }
            DataType::Binary => {
                rows.map(|row| length(array.as_binary::<i32>().value(row).len(), row)).collect()
            }
            DataType::LargeBinary => {
                rows.map(|row| length(array.as_binary::<i64>().value(row).len(), row)).collect()
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Map(..) => {
                let Some((places, items)) = lists(array) else { return Self::always(0) };
                // However short an item is, it takes some bytes.
                let items = Self::of(&items).at_least(ITEM);
                let sum =
                    |place: Range<usize>| place.fold(0, |sum: u64, item| sum.saturating_add(items.at(item)));
                places.into_iter().map(sum).collect()
            }
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let values = Self::of(dictionary.values());
                let keys = dictionary.normalized_keys();
                rows.map(|row| if array.is_null(row) { 0 } else { values.at(keys[row]) }).collect()
            }
            DataType::Struct(_) => {
                let columns: Vec<Self> = array.as_struct().columns().iter().map(Self::of).collect();
                rows.map(|row| columns.iter().map(|column| column.at(row)).sum()).collect()
            }
            DataType::Null => Self::always(0),
            DataType::Boolean => Self::always(1),
            other => match other.primitive_width() {
                Some(width) => Self::always(width as u64),
                // What nobody has looked into may be anywhere.
                None => Self::always(array.get_buffer_memory_size() as u64),
            },
        }
    }

    /// The size of a row.
    pub(crate) fn at(&self, row: usize) -> u64 {
        match &self.0[..] {
            [] => 0,
            [one] => *one,
            all => all.get(row).copied().unwrap_or(0),
        }
    }

    /// All of them, as far as they are told row by row.
    pub(crate) fn sum(&self, rows: usize) -> u64 {
        match &self.0[..] {
            [one] => one.saturating_mul(rows as u64),
            _ => (0..rows).fold(0, |sum: u64, row| sum.saturating_add(self.at(row))),
        }
    }

    /// None less than this.
    #[must_use]
    pub(crate) fn at_least(self, least: u64) -> Self {
        if self.0.is_empty() {
            Self::always(least)
        } else {
            self.0.into_iter().map(|size| size.max(least)).collect()
        }
    }

    /// Each so many times.
    #[must_use]
    pub(crate) fn times(self, factor: u64) -> Self {
        self.0.into_iter().map(|size| size.saturating_mul(factor)).collect()
    }

    /// What follows from the whole numbers of several columns.
    pub(crate) fn zip(columns: &[Option<ArrayRef>], size: impl Fn(&[Option<i64>]) -> u64) -> Self {
        let rows = columns.iter().flatten().map(Array::len).max().unwrap_or(0);
        let value = |column: &Option<ArrayRef>, row: usize| {
            let column = column.as_ref()?.as_primitive::<Int64Type>();
            let row = if column.len() == 1 { 0 } else { row };
            (row < column.len() && column.is_valid(row)).then(|| column.value(row))
        };
        (0..rows)
            .map(|row| size(&columns.iter().map(|column| value(column, row)).collect::<Vec<_>>()))
            .collect()
    }
}

/// Where the items of each list are, and the items of all; `None` if they are no lists.
fn lists(array: &ArrayRef) -> Option<(Vec<Range<usize>>, ArrayRef)> {
    let place = |from: i64, to: i64| usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
    let short =
        |offsets: &[i32]| offsets.windows(2).map(|pair| place(pair[0].into(), pair[1].into())).collect();
    Some(match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            (short(lists.value_offsets()), Arc::clone(lists.values()))
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            let places = lists.value_offsets().windows(2).map(|pair| place(pair[0], pair[1])).collect();
            (places, Arc::clone(lists.values()))
        }
        DataType::FixedSizeList(_, length) => {
            let (lists, length) = (array.as_fixed_size_list(), usize::try_from(*length).unwrap_or(0));
            let places = (0..lists.len()).map(|row| row * length..(row + 1) * length).collect();
            (places, Arc::clone(lists.values()))
        }
        DataType::Map(..) => {
            let maps = array.as_map();
            (short(maps.value_offsets()), Arc::new(maps.entries().clone()) as ArrayRef)
        }
        _ => return None,
    })
}

/// How many items each value has, with the items of those that are lists themselves; a value that is no list has none.
pub(crate) fn items(array: &ArrayRef) -> Sizes {
    let Some((places, values)) = lists(array) else { return Sizes::nothing() };
    let inner = items(&values);
    let count = |place: Range<usize>| {
        let len = place.len() as u64;
        place.fold(len, |sum, item| sum.saturating_add(inner.at(item)))
    };
    places.into_iter().map(count).collect()
}

/// How long the items of each list are as text, at most.
pub(crate) fn widest_text(array: &ArrayRef) -> Sizes {
    let Some((places, values)) = lists(array) else { return Sizes::of(array) };
    let texts = match values.data_type() {
        text if text.is_string() => Sizes::of(&values),
        // A float is written without an exponent.
        float if float.is_floating() => Sizes::always(330),
        list if list.is_nested() => widest_text(&values),
        _ => Sizes::of(&values).at_least(ITEM).times(4),
    };
    let sum = |place: Range<usize>| place.fold(0, |sum: u64, item| sum.saturating_add(texts.at(item)));
    places.into_iter().map(sum).collect()
}

/// The bytes of all values of a column, as they are: what views share counts for each.
pub(crate) fn bytes(array: &ArrayRef) -> u64 {
    match array.as_string_view_opt() {
        Some(texts) => {
            let lengths = texts.lengths().enumerate().filter(|(row, _)| texts.is_valid(*row));
            lengths.map(|(_, length)| u64::from(length)).sum()
        }
        None => Sizes::of(array).sum(array.len()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{Int64Array, ListArray, StringViewArray},
        datatypes::Int64Type,
    };

    use super::*;

    #[test]
    fn values_are_as_long_as_what_they_hold() {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("支付"), None, Some("x")]));
        assert_eq!([0, 1, 2].map(|row| Sizes::of(&texts).at(row)), [6, 0, 1]);
        assert_eq!((bytes(&texts), bytes(&texts.slice(1, 2))), (7, 1));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        assert_eq!(bytes(&numbers), 24);
        let of = |values: Vec<i64>| Some(values.into_iter().map(Some));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([of(vec![1, 2]), None, of(vec![3])]);
        let lists: ArrayRef = Arc::new(lists);
        assert_eq!([0, 1, 2].map(|row| Sizes::of(&lists).at(row)), [16, 0, 8]);
        assert_eq!([0, 1, 2].map(|row| items(&lists).at(row)), [2, 0, 1]);
    }
}
