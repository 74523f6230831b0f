//! Which columns are read, and what a batch of them looks like.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, new_null_array},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchOptions},
};

use super::Select;
use crate::journal::layout::{ARRIVAL, CONTENT_HASH};

/// Columns of the event schema, then `arrival` and the content hash if they are asked for.
#[derive(Debug, Clone)]
pub(crate) struct ScanShape {
    pub schema: SchemaRef,
    arrival: bool,
}

impl ScanShape {
    /// The columns of `events` at the places in `projection`, or all, and `arrival` if it is asked for.
    ///
    /// # Errors
    /// If there is no such place.
    pub(crate) fn new(
        events: &SchemaRef,
        projection: Option<&[usize]>,
        arrival: bool,
    ) -> Result<Self, ArrowError> {
        let events = match projection {
            Some(projection) => events.project(projection)?,
            None => events.as_ref().clone(),
        };
        let mut fields = events.fields().to_vec();
        if arrival {
            fields.push(Arc::new(Field::new(ARRIVAL, DataType::Int64, false)));
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)), arrival })
    }

    /// With the hash that tells a duplicate from a conflict.
    #[must_use]
    pub(crate) fn with_content_hash(self) -> Self {
        let mut fields = self.schema.fields().to_vec();
        fields.push(Arc::new(Field::new(CONTENT_HASH, DataType::UInt64, false)));
        Self { schema: Arc::new(Schema::new(fields)), ..self }
    }

    /// Whether a stored column must be decoded.
    pub(crate) fn needs(&self, column: &str, select: &Select) -> bool {
        let arrivals = self.arrival || select.after.is_some() || select.until.is_some();
        match column {
            ARRIVAL => arrivals,
            _ => self.schema.column_with_name(column).is_some() || select.reads(column),
        }
    }

    /// The selected rows of what is stored; a column that is not stored is NULL.
    ///
    /// # Errors
    /// If a stored column is of another type.
    pub(crate) fn output(
        &self,
        stored: &RecordBatch,
        arrivals: Option<&ArrayRef>,
        select: &Select,
    ) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = self
            .schema
            .fields()
            .iter()
            .map(|field| {
                match stored.column_by_name(field.name()).or(arrivals.filter(|_| field.name() == ARRIVAL)) {
                    Some(column) => cast(column, field.data_type()),
                    None => Ok(new_null_array(field.data_type(), stored.num_rows())),
                }
            })
            .collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(stored.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        match select.mask(stored, arrivals)? {
            Some(mask) => filter_record_batch(&batch, &mask),
            None => Ok(batch),
        }
    }
}

/// Batches of some columns as batches of the whole event schema, whose other columns are NULL.
pub struct Wide {
    schema: SchemaRef,
    /// For each column its place in the narrow batch.
    places: Vec<Option<usize>>,
    /// NULLs of every column that is not there, at least as many as in any batch so far.
    nulls: Vec<ArrayRef>,
    rows: usize,
}

impl Wide {
    /// Of batches with the columns of `schema` at the places in `columns`.
    pub fn new(schema: &SchemaRef, columns: &[usize]) -> Self {
        let fields = schema.fields().iter().enumerate();
        let places: Vec<_> = fields.clone().map(|(at, _)| columns.iter().position(|c| *c == at)).collect();
        // What is not read may be missing, whatever an event must have.
        let nullable =
            fields.map(|(at, f)| f.as_ref().clone().with_nullable(f.is_nullable() || places[at].is_none()));
        let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
        Self { schema, places, nulls: Vec::new(), rows: 0 }
    }

    /// A batch with all columns.
    ///
    /// # Errors
    /// If its columns are others.
    pub fn batch(&mut self, narrow: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = narrow.num_rows();
        if self.nulls.is_empty() || rows > self.rows {
            self.rows = self.rows.max(rows);
            let fields = self.schema.fields().iter();
            self.nulls = fields.map(|field| new_null_array(field.data_type(), self.rows)).collect();
        }
        let column = |(at, place): (usize, &Option<usize>)| match place {
            Some(place) => Arc::clone(narrow.column(*place)),
            None => self.nulls[at].slice(0, rows),
        };
        RecordBatch::try_new(Arc::clone(&self.schema), self.places.iter().enumerate().map(column).collect())
    }
}
