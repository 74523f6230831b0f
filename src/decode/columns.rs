//! Column builders that are filled field by field: a row touches only the columns it has a value for, and text
//! is not copied but viewed in the block it came in.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ListBuilder, NullBufferBuilder, PrimitiveArray, StringBuilder, StringViewArray},
    buffer::{Buffer, ScalarBuffer},
    datatypes::{
        ArrowNativeType, ArrowPrimitiveType, DataType, Decimal128Type, Int32Type, TimestampMicrosecondType,
    },
};

use crate::event::{
    Instant, nothing,
    schema::{FieldKind, FieldSpec},
};

/// Values with validity; rows without a value are filled in when the next value comes.
#[derive(Debug)]
pub(crate) struct Sparse<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T: Copy + Default> Sparse<T> {
    fn new() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    fn fill(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.values.len());
        if missing > 0 {
            self.values.resize(rows, T::default());
            self.nulls.append_n_nulls(missing);
        }
    }

    fn put(&mut self, row: usize, rows_expected: usize, value: T) {
        if self.values.capacity() == 0 {
            self.values.reserve(rows_expected);
        }
        self.fill(row);
        self.values.push(value);
        self.nulls.append_non_null();
    }

    fn truncate(&mut self, rows: usize) {
        if self.values.len() > rows {
            self.values.truncate(rows);
            self.nulls.truncate(rows);
        }
    }

    fn primitive<P: ArrowPrimitiveType<Native = T>>(mut self, rows: usize) -> PrimitiveArray<P>
    where
        T: ArrowNativeType,
    {
        self.fill(rows);
        PrimitiveArray::new(ScalarBuffer::from(self.values), self.nulls.finish())
    }
}

/// One column under construction.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    /// Views into the buffers of [`ColumnBuilders`].
    Text(Sparse<u128>),
    /// Cents, or millionths.
    Decimal(Sparse<i128>),
    /// Microseconds.
    Time(Sparse<i64>),
    Year(Sparse<i32>),
    Tags(ListBuilder<StringBuilder>, usize),
}

/// All columns of a batch under construction, and the buffers that text lies in.
#[derive(Debug)]
pub(crate) struct ColumnBuilders {
    builders: Vec<ColumnBuilder>,
    /// Buffers that are complete: the blocks, and for each the unescaped text that is not in it.
    buffers: Vec<Buffer>,
    rows_expected: usize,
}

impl ColumnBuilders {
    pub(crate) fn new(fields: &[FieldSpec], rows_expected: usize) -> Self {
        let builders = fields
            .iter()
            .map(|field| match field.kind {
                FieldKind::Text(_) | FieldKind::Choice(_) => ColumnBuilder::Text(Sparse::new()),
                FieldKind::Money | FieldKind::Number => ColumnBuilder::Decimal(Sparse::new()),
                FieldKind::Time => ColumnBuilder::Time(Sparse::new()),
                FieldKind::Year => ColumnBuilder::Year(Sparse::new()),
                FieldKind::Tags => ColumnBuilder::Tags(ListBuilder::new(StringBuilder::new()), 0),
            })
            .collect();
        Self { builders, buffers: Vec::new(), rows_expected }
    }

    /// Adds a buffer that text can be viewed in, and returns its number.
    pub(crate) fn add_buffer(&mut self, buffer: Buffer) -> u32 {
        self.buffers.push(buffer);
        u32::try_from(self.buffers.len() - 1).unwrap_or(u32::MAX)
    }

    /// Fills a place held by [`Self::add_buffer`].
    pub(crate) fn set_buffer(&mut self, number: u32, buffer: Buffer) {
        self.buffers[number as usize] = buffer;
    }

    /// Puts a view of text that lies in one of the buffers.
    pub(crate) fn text(&mut self, column: usize, row: usize, view: u128) {
        if let ColumnBuilder::Text(builder) = &mut self.builders[column] {
            builder.put(row, self.rows_expected, view);
        }
    }

    pub(crate) fn decimal(&mut self, column: usize, row: usize, scaled: i128) {
        if let ColumnBuilder::Decimal(builder) = &mut self.builders[column] {
            builder.put(row, self.rows_expected, scaled);
        }
    }

    pub(crate) fn time(&mut self, column: usize, row: usize, at: Instant) {
        if let ColumnBuilder::Time(builder) = &mut self.builders[column] {
            builder.put(row, self.rows_expected, at.as_micros());
        }
    }

    pub(crate) fn year(&mut self, column: usize, row: usize, year: i32) {
        if let ColumnBuilder::Year(builder) = &mut self.builders[column] {
            builder.put(row, self.rows_expected, year);
        }
    }

    pub(crate) fn tags<'t>(&mut self, column: usize, row: usize, tags: impl Iterator<Item = &'t str>) {
        if let ColumnBuilder::Tags(builder, len) = &mut self.builders[column] {
            for _ in *len..row {
                builder.append_null();
            }
            for tag in tags {
                builder.values().append_value(tag);
            }
            builder.append(true);
            *len = row + 1;
        }
    }

    /// Takes back what a row put into its columns. Tags are put last and never taken back.
    pub(crate) fn truncate(&mut self, rows: usize) {
        for builder in &mut self.builders {
            match builder {
                ColumnBuilder::Text(b) => b.truncate(rows),
                ColumnBuilder::Decimal(b) => b.truncate(rows),
                ColumnBuilder::Time(b) => b.truncate(rows),
                ColumnBuilder::Year(b) => b.truncate(rows),
                ColumnBuilder::Tags(..) => {}
            }
        }
    }

    /// The arrays of `rows` rows, of the types in `types`.
    pub(crate) fn finish<'t>(self, rows: usize, types: impl Iterator<Item = &'t DataType>) -> Vec<ArrayRef> {
        let buffers: Arc<[Buffer]> = self.buffers.into();
        self.builders.into_iter().zip(types).map(|(b, t)| b.finish(rows, t, &buffers)).collect()
    }
}

impl ColumnBuilder {
    fn finish(self, rows: usize, data_type: &DataType, buffers: &Arc<[Buffer]>) -> ArrayRef {
        let is_empty = match &self {
            Self::Text(b) => b.values.is_empty(),
            Self::Decimal(b) => b.values.is_empty(),
            Self::Time(b) => b.values.is_empty(),
            Self::Year(b) => b.values.is_empty(),
            Self::Tags(_, len) => *len == 0,
        };
        if is_empty {
            return nothing(data_type, rows);
        }
        match self {
            Self::Text(mut b) => {
                b.fill(rows);
                let views = ScalarBuffer::from(b.values);
                // SAFETY: every view was made by `RowBuilder::text` from a `&str` that lies at that offset of
                // that buffer, or is a zeroed (empty, inlined) view under a null.
                #[allow(unsafe_code)]
                let array =
                    unsafe { StringViewArray::new_unchecked(views, Arc::clone(buffers), b.nulls.finish()) };
                Arc::new(array)
            }
            Self::Decimal(b) => {
                Arc::new(b.primitive::<Decimal128Type>(rows).with_data_type(data_type.clone()))
            }
            Self::Time(b) => {
                Arc::new(b.primitive::<TimestampMicrosecondType>(rows).with_data_type(data_type.clone()))
            }
            Self::Year(b) => Arc::new(b.primitive::<Int32Type>(rows)),
            Self::Tags(mut b, len) => {
                for _ in len..rows {
                    b.append_null();
                }
                Arc::new(b.finish())
            }
        }
    }
}
