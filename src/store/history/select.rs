//! Which events of the journal are read.

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Scalar, StringArray, StringViewArray},
    compute::{
        and,
        kernels::cmp::{eq, gt, gt_eq, lt, lt_eq},
        or,
    },
    datatypes::{DataType, Int64Type, TimestampMicrosecondType},
    error::ArrowError,
    record_batch::RecordBatch,
};

use crate::{
    event::{Column, EventType, Instant, TypeSet},
    journal::layout::{ARRIVAL, arrival, block_of},
    say,
};

/// Which events of the journal to read; the default is all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Select {
    /// Event times not before this.
    pub from: Option<Instant>,
    /// Event times before this.
    pub to: Option<Instant>,
    /// Arrivals after this one.
    pub after: Option<i64>,
    /// Arrivals up to this one, which is included.
    pub until: Option<i64>,
    /// Events of these types, as [`EventType::bit`]s.
    pub types: Option<TypeSet>,
}

impl Select {
    /// Whether times from `first` to `last` can be selected.
    pub(super) fn times_overlap(&self, first: Instant, last: Instant) -> bool {
        self.from.is_none_or(|from| last >= from) && self.to.is_none_or(|to| first < to)
    }

    /// Whether events of the blocks `first` to `last` can be selected.
    pub(super) fn blocks_overlap(&self, first: i64, last: i64) -> bool {
        self.after.is_none_or(|after| last >= block_of(after))
            && self.until.is_none_or(|until| first <= block_of(until))
    }

    /// Without the bounds that hold for all events of these times and blocks.
    pub(super) fn within(&self, first_at: Instant, last_at: Instant, first_seq: i64, last_seq: i64) -> Self {
        Self {
            from: self.from.filter(|from| first_at < *from),
            to: self.to.filter(|to| last_at >= *to),
            after: self.after.filter(|after| arrival(first_seq, 0) <= *after),
            until: self.until.filter(|until| arrival(last_seq + 1, 0) > *until),
            types: self.types,
        }
    }

    /// Whether an event is told by this column.
    pub(super) fn reads(&self, column: &str) -> bool {
        let bounded = self.from.is_some() || self.to.is_some();
        (bounded && column == Column::OccurredAt.spec().name)
            || (self.types.is_some() && column == Column::Type.spec().name)
    }

    /// The rows that are selected; `None` for all.
    pub(super) fn mask(
        &self,
        stored: &RecordBatch,
        arrivals: Option<&ArrayRef>,
    ) -> Result<Option<BooleanArray>, ArrowError> {
        let mut mask: Option<BooleanArray> = None;
        let mut narrow = |more: BooleanArray| -> Result<(), ArrowError> {
            mask = Some(match &mask {
                Some(mask) => and(mask, &more)?,
                None => more,
            });
            Ok(())
        };
        let column = |column: Column| {
            let name = column.spec().name;
            let missing = || ArrowError::SchemaError(say!("there is no column {name}", name));
            stored.column_by_name(name).ok_or_else(missing)
        };
        if self.from.is_some() || self.to.is_some() {
            let times = column(Column::OccurredAt)?;
            let times = times
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(|| ArrowError::SchemaError(say!("occurred_at is no time")))?
                .reinterpret_cast::<Int64Type>();
            if let Some(from) = self.from {
                narrow(gt_eq(&times, &number(from.as_micros()))?)?;
            }
            if let Some(to) = self.to {
                narrow(lt(&times, &number(to.as_micros()))?)?;
            }
        }
        let arrivals = || {
            let missing = || ArrowError::SchemaError(String::from("there is no column arrival"));
            arrivals.or_else(|| stored.column_by_name(ARRIVAL)).ok_or_else(missing)
        };
        if let Some(after) = self.after {
            narrow(gt(arrivals()?, &number(after))?)?;
        }
        if let Some(until) = self.until {
            narrow(lt_eq(arrivals()?, &number(until))?)?;
        }
        if let Some(types) = self.types {
            narrow(of_types(column(Column::Type)?, types)?)?;
        }
        Ok(mask)
    }
}

fn number(value: i64) -> Scalar<arrow::array::Int64Array> {
    arrow::array::Int64Array::new_scalar(value)
}

fn of_types(names: &ArrayRef, types: TypeSet) -> Result<BooleanArray, ArrowError> {
    let mut mask = BooleanArray::from(vec![false; names.len()]);
    for event_type in EventType::ALL.into_iter().filter(|t| types & t.bit() != 0) {
        let name = event_type.name();
        let same = match names.data_type() {
            DataType::Utf8View => eq(names, &StringViewArray::new_scalar(name))?,
            _ => eq(names, &StringArray::new_scalar(name))?,
        };
        mask = or(&mask, &same)?;
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_hold_for_a_whole_file_are_left_out() {
        let select = Select {
            from: Some(Instant::from_micros(10)),
            to: Some(Instant::from_micros(20)),
            after: Some(arrival(3, 5)),
            until: Some(arrival(7, 0)),
            types: None,
        };
        assert_eq!(
            select.within(Instant::from_micros(10), Instant::from_micros(19), 4, 6),
            Select::default()
        );
        assert_eq!(select.within(Instant::from_micros(9), Instant::from_micros(20), 3, 7), select);
        assert!(
            select.times_overlap(Instant::from_micros(0), Instant::from_micros(10))
                && select.times_overlap(Instant::from_micros(19), Instant::from_micros(30))
        );
        assert!(
            !select.times_overlap(Instant::from_micros(0), Instant::from_micros(9))
                && !select.times_overlap(Instant::from_micros(20), Instant::from_micros(30))
        );
        assert!(select.blocks_overlap(3, 3) && select.blocks_overlap(7, 9));
        assert!(!select.blocks_overlap(1, 2) && !select.blocks_overlap(8, 9));
    }
}
