//! Lanes: the values that aggregates read, a row of 64-bit words an event.
//!
//! Word 0 is the event time. Word 1, if any lane may lack a value, has a bit for each lane that has one. Then come
//! the lanes: one word for numbers of 64 bits and for text, two for larger numbers and for hashes. Rows of one layout
//! are equally long, so that a key's events are one flat vector.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::{common::ScalarValue, physical_expr::PhysicalExpr};

use crate::rule::ColumnId;

/// How the values of a lane are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaneKind {
    /// Only whether there is a value.
    Mark,
    /// A number of at most 64 bits.
    Word,
    /// A number of at most 128 bits.
    Double,
    /// A float, as a number with the order of all floats.
    Float,
    /// 128 bits of a hash, for telling values apart.
    Hash,
    /// Text: its hash while the event is on its way, then its number among the texts that are held.
    Text {
        /// Whether NULL is a value like any other.
        nulls: bool,
    },
    /// Values that are none of these, kept beside the row.
    Other,
}

/// The word of a NULL that is a value.
pub(crate) const NULL_TEXT: u64 = u64::MAX;

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
            Self::Word | Self::Float | Self::Text { .. } => 1,
            Self::Double | Self::Hash => 2,
        }
    }
}

/// A float as a whole number with the order of [`f64::total_cmp`].
#[must_use]
pub(crate) const fn ordered(float: f64) -> i64 {
    let bits = float.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// The float of such a number.
#[must_use]
pub(crate) const fn float(ordered: i64) -> f64 {
    f64::from_bits((ordered ^ ((ordered >> 63).cast_unsigned() >> 1).cast_signed()).cast_unsigned())
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
    /// The event and budget columns that the expressions read.
    pub inputs: Vec<ColumnId>,
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
    /// Of a lane with text, or with values beside the row, which of its kind it is.
    numbers: Vec<usize>,
    /// Lanes with text, with their words.
    texts: Vec<(usize, usize)>,
}

/// Values beside the rows: for each lane of kind `Other` the arguments, unless the filter took the row out.
pub(crate) type Others = Box<[Option<Box<[ScalarValue]>>]>;

/// Most lanes of one window: each has a bit in word 1.
pub(crate) const LANES_MAX: usize = 64;

impl Layout {
    /// The layout of these lanes, of which there are at most [`LANES_MAX`].
    #[must_use]
    pub fn new(lanes: &[Lane]) -> Self {
        let lanes: Vec<_> = lanes.iter().map(|lane| lane.kind).collect();
        let mut stride = 1 + usize::from(!lanes.is_empty());
        let (mut offsets, mut numbers, mut texts, mut others) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (number, lane) in lanes.iter().enumerate() {
            offsets.push(stride);
            numbers.push(match lane {
                LaneKind::Text { .. } => texts.len(),
                _ => others,
            });
            match lane {
                LaneKind::Text { .. } => texts.push((number, stride)),
                LaneKind::Other => others += 1,
                _ => {}
            }
            stride += lane.words();
        }
        Self { lanes, offsets, stride, numbers, texts }
    }

    /// Words of a row.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// The first word of a lane.
    #[must_use]
    pub fn offset(&self, lane: usize) -> usize {
        self.offsets[lane]
    }

    /// The lanes with text, and the words that stand for it.
    #[must_use]
    pub fn texts(&self) -> &[(usize, usize)] {
        &self.texts
    }

    /// How the values of a lane are stored.
    #[must_use]
    pub fn kind(&self, lane: usize) -> LaneKind {
        self.lanes[lane]
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
        match self.lanes[lane] {
            LaneKind::Word | LaneKind::Float => i128::from(self.word(row, lane).cast_signed()),
            _ => self.bits(row, lane).cast_signed(),
        }
    }

    /// The 64 bits in a lane.
    #[must_use]
    #[inline]
    pub fn word(&self, row: &[u64], lane: usize) -> u64 {
        row[self.offsets[lane]]
    }

    /// The 128 bits in a lane.
    #[must_use]
    #[inline]
    pub fn bits(&self, row: &[u64], lane: usize) -> u128 {
        let at = self.offsets[lane];
        u128::from(row[at]) | u128::from(row[at + 1]) << 64
    }

    /// Which of the lanes with text, or of those with values beside the row, a lane is.
    #[must_use]
    #[inline]
    pub fn beside(&self, lane: usize) -> usize {
        self.numbers[lane]
    }
}
