//! How long the values of a column are.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Int64Type},
};

/// A number for each row; one for all of them where it is a constant's.
#[derive(Debug, Clone)]
pub struct Sizes(Vec<u64>);

impl FromIterator<u64> for Sizes {
    fn from_iter<I: IntoIterator<Item = u64>>(sizes: I) -> Self {
        Self(sizes.into_iter().collect())
    }
}

impl Sizes {
    /// Of a value that is not there.
    pub const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// The same for all rows.
    pub fn always(size: u64) -> Self {
        Self(vec![size])
    }

    /// The bytes of each value: of text its length, of lists the sum of their items, of the others their width.
    pub fn of(array: &ArrayRef) -> Self {
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
            DataType::List(_) => {
                let lists = array.as_list::<i32>();
                let items = Self::of(lists.values());
                rows.map(|row| {
                    let offsets = lists.value_offsets();
                    let place = |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
                    let (from, to) = (place(row), place(row + 1));
                    (from..to).fold(0, |sum: u64, item| sum.saturating_add(items.at(item)))
                })
                .collect()
            }
            DataType::Struct(_) => {
                let columns: Vec<Self> = array.as_struct().columns().iter().map(Self::of).collect();
                rows.map(|row| columns.iter().map(|column| column.at(row)).sum()).collect()
            }
            DataType::Null => Self::always(0),
            other => Self::always(other.primitive_width().unwrap_or(16) as u64),
        }
    }

    /// The size of a row.
    pub fn at(&self, row: usize) -> u64 {
        match &self.0[..] {
            [] => 0,
            [one] => *one,
            all => all.get(row).copied().unwrap_or(0),
        }
    }

    /// All of them, as far as they are told row by row.
    pub fn sum(&self, rows: usize) -> u64 {
        (0..rows).fold(0, |sum: u64, row| sum.saturating_add(self.at(row)))
    }

    /// None less than this.
    #[must_use]
    pub fn at_least(self, least: u64) -> Self {
        if self.0.is_empty() {
            Self::always(least)
        } else {
            self.0.into_iter().map(|size| size.max(least)).collect()
        }
    }

    /// Each so many times.
    #[must_use]
    pub fn times(self, factor: u64) -> Self {
        self.0.into_iter().map(|size| size.saturating_mul(factor)).collect()
    }

    /// What follows from the whole numbers of several columns.
    pub fn zip(columns: &[Option<ArrayRef>], size: impl Fn(&[Option<i64>]) -> u64) -> Self {
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

/// How many items each value has; a value that is no list has none.
pub fn items(array: &ArrayRef) -> Sizes {
    match array.data_type() {
        DataType::List(_) => {
            let offsets = array.as_list::<i32>().value_offsets();
            offsets.windows(2).map(|pair| (pair[1] - pair[0]).unsigned_abs().into()).collect()
        }
        _ => Sizes::nothing(),
    }
}

/// The bytes of all values of a column, as they are: what views share counts for each.
pub fn bytes(array: &ArrayRef) -> u64 {
    Sizes::of(array).sum(array.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{Int64Array, ListArray, StringViewArray},
        datatypes::Int64Type,
    };

    use super::*;

    #[test]
    fn values_are_as_long_as_what_they_hold() {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("支付"), None, Some("x")]));
        assert_eq!([0, 1, 2].map(|row| Sizes::of(&texts).at(row)), [6, 0, 1]);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        assert_eq!(bytes(&numbers), 24);
        let of = |values: Vec<i64>| Some(values.into_iter().map(Some));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([of(vec![1, 2]), None, of(vec![3])]);
        let lists: ArrayRef = Arc::new(lists);
        assert_eq!([0, 1, 2].map(|row| Sizes::of(&lists).at(row)), [16, 0, 8]);
        assert_eq!([0, 1, 2].map(|row| items(&lists).at(row)), [2, 0, 1]);
    }
}
