//! Lanes: the values that aggregates read, a row of 64-bit words an event.
//!
//! Word 0 is the event time. Word 1, if any lane may lack a value, has a bit for each lane that has one. Then come
//! the lanes: one word for numbers of 64 bits, two for larger ones and for hashes. Rows of one layout are equally
//! long, so that a key's events are one flat vector.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray},
    buffer::{BooleanBuffer, NullBuffer},
    compute::cast,
    datatypes::{DataType, Decimal128Type, Int64Type, SchemaRef},
    record_batch::RecordBatch,
    row::{RowConverter, SortField},
};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::ColumnarValue,
    physical_expr::PhysicalExpr,
};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// How the values of a lane are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaneKind {
    /// Only whether there is a value.
    Mark,
    /// A number of at most 64 bits.
    Word,
    /// A number of at most 128 bits.
    Double,
    /// 128 bits of a hash, for telling values apart.
    Hash,
    /// Values that are no whole numbers inside, kept beside the row.
    Other,
}

impl LaneKind {
    /// How numbers of this type are stored; `Other` for what is no number.
    #[must_use]
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Decimal128(precision, _) if *precision <= 18 => Self::Word,
            DataType::Decimal128(..) => Self::Double,
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(..) => Self::Word,
            _ => Self::Other,
        }
    }

    const fn words(self) -> usize {
        match self {
            Self::Mark | Self::Other => 0,
            Self::Word => 1,
            Self::Double | Self::Hash => 2,
        }
    }
}

/// The values of an aggregate: its arguments, and the condition of its `FILTER`.
#[derive(Debug, Clone)]
pub struct Lane {
    /// The arguments, over `schema`.
    pub args: Vec<Arc<dyn PhysicalExpr>>,
    /// The filter, over `schema`.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// How they are stored.
    pub kind: LaneKind,
    /// The columns that the expressions read, by position in the event and budget columns.
    pub inputs: Vec<usize>,
    /// Their types.
    pub schema: SchemaRef,
}

impl Lane {
    /// Whether it holds the same values as another one.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.inputs == other.inputs
            && self.args == other.args
            && self.filter == other.filter
    }
}

/// Where everything is in a row.
#[derive(Debug, Clone)]
pub struct Layout {
    lanes: Vec<LaneKind>,
    offsets: Vec<usize>,
    stride: usize,
    /// Lanes with values beside the row.
    others: usize,
}

/// Values beside the rows: for each lane of kind `Other` the arguments, unless the filter took the row out.
pub type Others = Box<[Option<Box<[ScalarValue]>>]>;

/// The events of a batch as rows.
#[derive(Debug, Default)]
pub struct Packed {
    /// The rows, one after another.
    pub words: Vec<u64>,
    /// For each row what stands beside it; empty if the layout has no such lane.
    pub others: Vec<Others>,
}

/// A value that could not be computed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The event, by its place among those packed.
    pub row: usize,
    /// The lane.
    pub lane: usize,
    /// Why.
    pub error: String,
}

/// Most lanes of one window: each has a bit in word 1.
pub const LANES_MAX: usize = 64;

impl Layout {
    /// The layout of these lanes, of which there are at most [`LANES_MAX`].
    #[must_use]
    pub fn new(lanes: &[Lane]) -> Self {
        let lanes: Vec<_> = lanes.iter().map(|lane| lane.kind).collect();
        let mut stride = 1 + usize::from(!lanes.is_empty());
        let mut offsets = Vec::with_capacity(lanes.len());
        for lane in &lanes {
            offsets.push(stride);
            stride += lane.words();
        }
        let others = lanes.iter().filter(|lane| **lane == LaneKind::Other).count();
        Self { lanes, offsets, stride, others }
    }

    /// Words of a row.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// Whether rows have values beside them.
    #[must_use]
    pub const fn has_others(&self) -> bool {
        self.others > 0
    }

    /// Whether the numbers of a lane may have 128 bits.
    #[must_use]
    pub fn is_double(&self, lane: usize) -> bool {
        self.lanes[lane] == LaneKind::Double
    }

    /// Whether the values of a lane stand beside the row.
    #[must_use]
    pub fn is_other(&self, lane: usize) -> bool {
        self.lanes[lane] == LaneKind::Other
    }

    /// Whether a row has a value in a lane.
    #[must_use]
    #[inline]
    pub fn has(row: &[u64], lane: usize) -> bool {
        row[1] >> lane & 1 == 1
    }

    /// The number in a lane.
    #[must_use]
    #[inline]
    pub fn number(&self, row: &[u64], lane: usize) -> i128 {
        let at = self.offsets[lane];
        match self.lanes[lane] {
            LaneKind::Word => i128::from(row[at].cast_signed()),
            _ => self.bits(row, lane).cast_signed(),
        }
    }

    /// The 128 bits in a lane.
    #[must_use]
    #[inline]
    pub fn bits(&self, row: &[u64], lane: usize) -> u128 {
        let at = self.offsets[lane];
        u128::from(row[at]) | u128::from(row[at + 1]) << 64
    }

    /// Which of the lanes with values beside the row a lane is.
    #[must_use]
    pub fn beside(&self, lane: usize) -> usize {
        self.lanes[..lane].iter().filter(|kind| **kind == LaneKind::Other).count()
    }

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
    ) -> Result<(Packed, Vec<Failed>)> {
        let mut words = vec![0; times.len() * self.stride];
        let mut others = vec![Others::default(); if self.has_others() { times.len() } else { 0 }];
        for row in &mut others {
            *row = vec![None; self.others].into();
        }
        for (row, time) in words.chunks_exact_mut(self.stride).zip(times) {
            row[0] = time.cast_unsigned();
        }
        let mut packed = Packed { words, others };
        let mut failed = Vec::new();
        for (number, lane) in lanes.iter().enumerate() {
            let batch = batch(lane)?;
            if self.pack_lane(number, lane, &batch, seed, 0, &mut packed).is_ok() {
                continue;
            }
            // What fails for one event fails for that one alone.
            for row in 0..times.len() {
                if let Err(e) = self.pack_lane(number, lane, &batch.slice(row, 1), seed, row, &mut packed) {
                    failed.push(Failed { row, lane: number, error: e.to_string() });
                }
            }
        }
        Ok((packed, failed))
    }

    /// Fills a lane of the rows from `first` on.
    fn pack_lane(
        &self,
        number: usize,
        lane: &Lane,
        batch: &RecordBatch,
        seed: u64,
        first: usize,
        packed: &mut Packed,
    ) -> Result<()> {
        let rows = batch.num_rows();
        let args: Vec<ArrayRef> = lane.args.iter().map(|arg| array(arg, batch)).collect::<Result<_>>()?;
        let passes = lane.filter.as_ref().map(|filter| passes(filter, batch)).transpose()?;
        let mut valid = passes.unwrap_or_else(|| BooleanBuffer::new_set(rows));
        if lane.kind != LaneKind::Other {
            for nulls in args.iter().filter_map(Array::logical_nulls) {
                valid = &valid & NullBuffer::inner(&nulls);
            }
        }
        let numbers = matches!(lane.kind, LaneKind::Word | LaneKind::Double)
            .then(|| Numbers::new(&args[0]))
            .transpose()?;
        let hashes = (lane.kind == LaneKind::Hash).then(|| hashes(&args, seed)).transpose()?;
        let (at, beside) = (self.offsets[number], self.beside(number));
        for i in valid.set_indices() {
            let row = &mut packed.words[(first + i) * self.stride..][..self.stride];
            row[1] |= 1 << number;
            match (&numbers, &hashes) {
                (Some(Numbers::Words(array)), _) => row[at] = array.value(i).cast_unsigned(),
                (Some(Numbers::Doubles(array)), _) if lane.kind == LaneKind::Word => {
                    row[at] = i64::try_from(array.value(i)).unwrap_or(i64::MAX).cast_unsigned();
                }
                (Some(Numbers::Doubles(array)), _) => split(array.value(i).cast_unsigned(), &mut row[at..]),
                (_, Some(hashes)) => split(hashes[i], &mut row[at..]),
                _ if lane.kind == LaneKind::Other => {
                    // An aggregate of several arguments sees its own NULLs.
                    if args.len() == 1 && args[0].is_null(i) {
                        row[1] &= !(1 << number);
                    }
                    let values = args.iter().map(|arg| ScalarValue::try_from_array(arg, i));
                    packed.others[first + i][beside] = Some(values.collect::<Result<_>>()?);
                }
                _ => {}
            }
        }
        Ok(())
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

fn split(bits: u128, words: &mut [u64]) {
    words[0] = bits as u64;
    words[1] = (bits >> 64) as u64;
}

/// An expression's values for a batch.
///
/// # Errors
/// If it fails on the batch.
pub fn array(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
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
pub fn hashes(columns: &[ArrayRef], seed: u64) -> Result<Vec<u128>> {
    let rows = columns.first().map_or(0, Array::len);
    let mut hashes = vec![0; rows];
    for (number, column) in columns.iter().enumerate() {
        add_hashes(column, seed.wrapping_add(number as u64), &mut hashes)?;
    }
    Ok(hashes)
}

fn add_hashes(column: &ArrayRef, seed: u64, hashes: &mut [u128]) -> Result<()> {
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
