//! Which columns are read, and what a batch of them looks like.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, new_null_array},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchOptions},
};

use super::{
    super::layout::{ARRIVAL, CONTENT_HASH},
    Select,
};

/// Columns of the event schema, then `arrival` and the content hash if they are asked for.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The output.
    pub schema: SchemaRef,
    arrival: bool,
}

impl Shape {
    /// The columns of `events` at the places in `projection`, or all, and `arrival` if it is asked for.
    ///
    /// # Errors
    /// If there is no such place.
    pub fn new(events: &SchemaRef, projection: Option<&[usize]>, arrival: bool) -> Result<Self, ArrowError> {
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
    pub fn with_content_hash(self) -> Self {
        let mut fields = self.schema.fields().to_vec();
        fields.push(Arc::new(Field::new(CONTENT_HASH, DataType::UInt64, false)));
        Self { schema: Arc::new(Schema::new(fields)), ..self }
    }

    /// Whether a stored column must be decoded.
    pub fn needs(&self, column: &str, select: &Select) -> bool {
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
    pub fn output(
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
