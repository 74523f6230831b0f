//! Columns without a value. Most columns of most batches are such, and a batch may be a single event: they are made once
//! for a length.

use std::cell::RefCell;

use arrow::{
    array::{Array, ArrayRef, new_null_array},
    datatypes::DataType,
};

/// Types that are kept, of which there are fewer.
const TYPES: usize = 16;
/// Rows of a column that is kept: for more, what it takes to make it is little beside what is done with them.
const ROWS: usize = 256;

thread_local! {
    static KEPT: RefCell<Vec<ArrayRef>> = const { RefCell::new(Vec::new()) };
}

/// So many rows of a type, all NULL.
pub(crate) fn nothing(data_type: &DataType, rows: usize) -> ArrayRef {
    if rows > ROWS {
        return new_null_array(data_type, rows);
    }
    KEPT.with_borrow_mut(|kept| {
        let place = kept.iter().position(|column| column.data_type() == data_type);
        if let Some(column) = place.map(|at| &kept[at]).filter(|column| column.len() == rows) {
            return ArrayRef::clone(column);
        }
        let column = new_null_array(data_type, rows);
        match place {
            Some(at) => kept[at] = ArrayRef::clone(&column),
            None if kept.len() < TYPES => kept.push(ArrayRef::clone(&column)),
            None => {}
        }
        column
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_would_be_made() {
        let types = [DataType::Utf8View, DataType::Decimal128(18, 2), DataType::Int32, DataType::Utf8View];
        for rows in [0, 1, 64, 1, ROWS + 1, 0] {
            for data_type in &types {
                assert_eq!(&nothing(data_type, rows), &new_null_array(data_type, rows));
            }
        }
    }
}
