//! The events of a batch as rows of a layout.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray, new_null_array},
    buffer::{BooleanBuffer, NullBuffer},
    compute::{cast, concat},
    datatypes::{DataType, Decimal128Type, Float64Type, Int64Type},
    record_batch::RecordBatch,
    row::{RowConverter, SortField},
};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::ColumnarValue,
    physical_expr::PhysicalExpr,
};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::{
    diagnostic::at_run_time,
    rule::plan::{Lane, LaneKind, Layout, NULL_TEXT, Others, ordered},
};

/// The events of a batch as rows.
#[derive(Debug, Default)]
pub struct Packed {
    /// The rows, one after another.
    pub words: Vec<u64>,
    /// For each lane with text the texts of the rows; in the rows are their hashes.
    pub texts: Vec<StringViewArray>,
    /// For each lane of kind `Other` the values that stand beside the rows.
    pub beside: Vec<LaneValues>,
}

/// The values of a lane that do not stand in the rows.
#[derive(Debug, Clone)]
pub struct LaneValues {
    args: Vec<ArrayRef>,
    /// The rows that the filter did not take out.
    taken: BooleanBuffer,
}

impl LaneValues {
    /// The arguments in a row, unless the filter took it out.
    #[must_use]
    pub fn values(&self, row: usize) -> Option<Box<[ScalarValue]>> {
        // Packing has tried whether there are scalars of the type.
        let value = |arg: &ArrayRef| ScalarValue::try_from_array(arg, row).unwrap_or(ScalarValue::Null);
        self.taken.value(row).then(|| self.args.iter().map(value).collect())
    }

    /// Without values, for one row.
    fn nothing(lane: &Lane) -> Result<Self> {
        let null = |arg: &Arc<dyn PhysicalExpr>| Ok(new_null_array(&arg.data_type(&lane.schema)?, 1));
        let args = lane.args.iter().map(null).collect::<Result<_>>()?;
        Ok(Self { args, taken: BooleanBuffer::new_unset(1) })
    }

    fn concat(parts: &[Self]) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Ok(Self { args: Vec::new(), taken: BooleanBuffer::new_unset(0) });
        };
        let arg = |at: usize| {
            let arrays: Vec<_> = parts.iter().map(|part| part.args[at].as_ref()).collect();
            Ok(concat(&arrays)?)
        };
        let args = (0..first.args.len()).map(arg).collect::<Result<_>>()?;
        Ok(Self { args, taken: parts.iter().flat_map(|part| part.taken.iter()).collect() })
    }
}

impl Packed {
    /// What stands beside a row; `None` if the layout has no such lane.
    #[must_use]
    pub fn others(&self, row: usize) -> Option<Others> {
        (!self.beside.is_empty()).then(|| self.beside.iter().map(|lane| lane.values(row)).collect())
    }

    fn take(&mut self, lane: &Lane, beside: Option<LaneValues>) -> Result<()> {
        match (lane.kind, beside) {
            (LaneKind::Text { .. }, Some(LaneValues { args, .. })) => {
                let texts = args.first().map(|texts| cast(texts, &DataType::Utf8View)).transpose()?;
                self.texts.extend(texts.map(|texts| texts.as_string_view().clone()));
            }
            (_, beside) => self.beside.extend(beside),
        }
        Ok(())
    }
}

/// In the place of a lane: the window's key could not be computed.
pub(crate) const KEY: usize = usize::MAX;

/// A value that could not be computed.
#[derive(Debug, Clone)]
pub struct FailedValue {
    /// The event, by its place among those packed.
    pub row: usize,
    /// The lane, or [`KEY`].
    pub lane: usize,
    pub error: String,
}

impl Layout {
    /// Events as rows. `batch` gives the columns that a lane reads of them; `seed` keeps anybody from making values
    /// whose hashes are equal. A value that cannot be computed is missing in its lane alone, and told.
    ///
    /// # Errors
    /// If a lane's columns do not fit its expressions.
    pub fn pack(
        &self,
        lanes: &[Lane],
        batch: &dyn Fn(&Lane) -> Result<RecordBatch>,
        times: &[i64],
        seed: u64,
    ) -> Result<(Packed, Vec<FailedValue>)> {
        let mut words = vec![0; times.len() * self.stride()];
        for (row, time) in words.chunks_exact_mut(self.stride()).zip(times) {
            row[0] = time.cast_unsigned();
        }
        let mut packed = Packed { words, ..Packed::default() };
        let mut failed = Vec::new();
        for (number, lane) in lanes.iter().enumerate() {
            let batch = batch(lane)?;
            if let Ok(beside) = self.pack_lane(number, lane, &batch, seed, 0, &mut packed.words) {
                packed.take(lane, beside)?;
                continue;
            }
            // What fails for one event fails for that one alone.
            let mut parts = Vec::new();
            for row in 0..times.len() {
                match self.pack_lane(number, lane, &batch.slice(row, 1), seed, row, &mut packed.words) {
                    Ok(beside) => parts.extend(beside),
                    Err(e) => {
                        failed.push(FailedValue { row, lane: number, error: at_run_time(&e) });
                        parts.push(LaneValues::nothing(lane)?);
                    }
                }
            }
            let is_beside = matches!(lane.kind, LaneKind::Text { .. } | LaneKind::Other);
            packed.take(lane, if is_beside { Some(LaneValues::concat(&parts)?) } else { None })?;
        }
        Ok((packed, failed))
    }

    /// Fills a lane of the rows from `first` on. Returns what does not stand in the rows.
    fn pack_lane(
        &self,
        number: usize,
        lane: &Lane,
        batch: &RecordBatch,
        seed: u64,
        first: usize,
        words: &mut [u64],
    ) -> Result<Option<LaneValues>> {
        let rows = batch.num_rows();
        let args: Vec<ArrayRef> = lane.args.iter().map(|arg| array(arg, batch)).collect::<Result<_>>()?;
        let passes = lane.filter.as_ref().map(|filter| passes(filter, batch)).transpose()?;
        let mut valid = passes.unwrap_or_else(|| BooleanBuffer::new_set(rows));
        if !matches!(lane.kind, LaneKind::Other | LaneKind::Text { nulls: true }) {
            for nulls in args.iter().filter_map(Array::logical_nulls) {
                valid = &valid & NullBuffer::inner(&nulls);
            }
        }
        let at = self.offset(number);
        let words = &mut words[first * self.stride()..][..rows * self.stride()];
        let mut fill = |value: &dyn Fn(usize) -> u64| {
            for i in valid.set_indices() {
                let row = &mut words[i * self.stride()..][..self.stride()];
                row[1] |= 1 << number;
                row[at] = value(i);
            }
        };
        match lane.kind {
            LaneKind::Mark => valid.set_indices().for_each(|i| words[i * self.stride() + 1] |= 1 << number),
            LaneKind::Float => {
                let floats = cast(&args[0], &DataType::Float64)?;
                let floats = floats.as_primitive::<Float64Type>();
                fill(&|i| ordered(floats.value(i)).cast_unsigned());
            }
            LaneKind::Text { .. } => {
                let column = cast(&args[0], &DataType::Utf8View)?;
                let texts = column.as_string_view();
                fill(&|i| match texts.is_null(i) {
                    true => NULL_TEXT,
                    false => xxh3_64_with_seed(texts.value(i).as_bytes(), seed),
                });
                return Ok(Some(LaneValues { args: vec![column], taken: valid }));
            }
            LaneKind::Word | LaneKind::Double => match Numbers::new(&args[0])? {
                Numbers::Words(array) => fill(&|i| array.value(i).cast_unsigned()),
                Numbers::Doubles(array) if lane.kind == LaneKind::Word => {
                    fill(&|i| i64::try_from(array.value(i)).unwrap_or(i64::MAX).cast_unsigned());
                }
                Numbers::Doubles(array) => {
                    fill(&|i| array.value(i).cast_unsigned() as u64);
                    for i in valid.set_indices() {
                        words[i * self.stride() + at + 1] = (array.value(i).cast_unsigned() >> 64) as u64;
                    }
                }
            },
            LaneKind::Hash => {
                let hashes = hashes(&args, seed)?;
                fill(&|i| hashes[i] as u64);
                for i in valid.set_indices() {
                    words[i * self.stride() + at + 1] = (hashes[i] >> 64) as u64;
                }
            }
            LaneKind::Other => {
                for i in valid.set_indices() {
                    // An aggregate of several arguments sees its own NULLs.
                    if args.len() != 1 || !args[0].is_null(i) {
                        words[i * self.stride() + 1] |= 1 << number;
                    }
                }
                if rows > 0 {
                    args.iter().try_for_each(|arg| ScalarValue::try_from_array(arg, 0).map(drop))?;
                }
                return Ok(Some(LaneValues { args, taken: valid }));
            }
        }
        Ok(None)
    }
}

enum Numbers {
    Words(arrow::array::Int64Array),
    Doubles(arrow::array::Decimal128Array),
}
impl Numbers {
    fn new(array: &ArrayRef) -> Result<Self> {
        if let Some(decimals) = array.as_primitive_opt::<Decimal128Type>() {
            return Ok(Self::Doubles(decimals.clone()));
        }
        Ok(Self::Words(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone()))
    }
}

/// An expression's values for a batch.
///
/// # Errors
/// If it fails on the batch.
pub(crate) fn array(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch)?.into_array(batch.num_rows())
}

fn passes(filter: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanBuffer> {
    let array = match filter.evaluate(batch)? {
        ColumnarValue::Array(array) => array,
        scalar @ ColumnarValue::Scalar(_) => scalar.into_array(batch.num_rows())?,
    };
    let array: &BooleanArray = array.as_boolean();
    Ok(match array.nulls() {
        Some(nulls) => array.values() & nulls.inner(),
        None => array.values().clone(),
    })
}

/// A hash of the values of some columns, for each row. Equal values have equal hashes whatever their place; NULL is a
/// value like any other. The hashes of a row's values, each with a seed of its column, are added up.
///
/// # Errors
/// If a column's type has no row format.
fn hashes(columns: &[ArrayRef], seed: u64) -> Result<Vec<u128>> {
    let rows = columns.first().map_or(0, Array::len);
    let mut hashes = vec![0; rows];
    for (number, column) in columns.iter().enumerate() {
        add_hashes(column, seed.wrapping_add(number as u64), &mut hashes)?;
    }
    Ok(hashes)
}

/// Adds the hash of a column's value to each row's.
///
/// # Errors
/// If the column's type has no row format.
pub(crate) fn add_hashes(column: &ArrayRef, seed: u64, hashes: &mut [u128]) -> Result<()> {
    let nulls = column.logical_nulls();
    let null = xxh3_128_with_seed(&[], seed ^ u64::MAX);
    let mut add = |value_of: &dyn Fn(usize) -> u128| {
        for (row, hash) in hashes.iter_mut().enumerate() {
            let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            *hash = hash.wrapping_add(if is_null { null } else { value_of(row) });
        }
    };
    let of = |bytes: &[u8]| xxh3_128_with_seed(bytes, seed);
    if let Some(texts) = column.as_string_view_opt() {
        add(&|row| of(texts.value(row).as_bytes()));
    } else if let Some(decimals) = column.as_primitive_opt::<Decimal128Type>() {
        add(&|row| of(&decimals.value(row).to_le_bytes()));
    } else {
        let rows = RowConverter::new(vec![SortField::new(column.data_type().clone())])?
            .convert_columns(std::slice::from_ref(column))?;
        add(&|row| of(rows.row(row).as_ref()));
    }
    Ok(())
}
