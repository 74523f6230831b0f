//! The events of a batch that belong to a window.

use std::sync::{Arc, OnceLock};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatchOptions, UInt32Array},
    buffer::BooleanBuffer,
    compute::{concat, take},
    datatypes::{SchemaRef, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use datafusion::common::{Result, ScalarValue};
use parking_lot::Mutex;

use super::{
    aggregate::{FailedValue, KEY, Packed, add_hashes, array},
    condition::RuleTable,
    key::SEED,
    sliding::Selected,
};
use crate::{
    diagnostic::at_run_time,
    event::Column,
    rule::{
        ById, ColumnId,
        compile::{Condition, KeyPart},
        plan::{Lane, Layout},
    },
};

/// Lays out some events as a window holds them. `from` gives the first instant of an event's window.
pub(crate) fn select(
    compact: &Arc<Compact>,
    by: &[KeyPart],
    lanes: &[Lane],
    layout: &Layout,
    from: impl Fn(i64) -> i64,
) -> Selected {
    let rows = compact.rows.values().to_vec();
    if rows.is_empty() {
        return Selected::default();
    }
    let times = compact.column(Column::OccurredAt.into());
    let times = times.as_primitive::<TimestampMicrosecondType>().values();
    let batch = |lane: &Lane| compact.batch(&lane.inputs, &lane.schema);
    let packed = layout.pack(lanes, &batch, times, *SEED);
    let (packed, keys, failed) = match (packed, compact.keys(by)) {
        (Ok((packed, mut failed)), Ok((keys, unknown))) => {
            failed.extend(unknown);
            (packed, keys, failed)
        }
        // Planning has checked the types, so this is a bug: it is counted for every event.
        (Err(e), _) | (_, Err(e)) => {
            let failed =
                (0..rows.len()).map(|row| FailedValue { row, lane: 0, error: at_run_time(&e) }).collect();
            let words = vec![0; rows.len() * layout.stride()];
            (Packed { words, ..Packed::default() }, vec![0; rows.len()], failed)
        }
    };
    let from = times.iter().map(|at| from(*at)).collect();
    Selected { rows, keys, from, packed, failed, compact: Some(Arc::clone(compact)) }
}

/// The rows of a batch that windows hold. Windows of the same rows share them.
#[derive(Debug, Default)]
pub(crate) struct Compacts(Vec<(BooleanBuffer, Arc<Compact>)>);

impl Compacts {
    /// The rows of `table` in `mask`.
    pub(crate) fn of(&mut self, table: &RuleTable, mask: &BooleanBuffer) -> Arc<Compact> {
        if let Some((_, known)) = self.0.iter().find(|(known, _)| known == mask) {
            return Arc::clone(known);
        }
        let compact = Arc::new(Compact::new(table, mask));
        self.0.push((mask.clone(), Arc::clone(&compact)));
        compact
    }
}

/// The hashes of one column at one place of a key.
type Hashed = ((ColumnId, usize), Arc<[u128]>);

/// Some rows of a table, each column and its hashes made when they are first asked for.
#[derive(Debug)]
pub struct Compact {
    rows: UInt32Array,
    /// The columns of the table, and the number of its rows.
    columns: Arc<ById<ColumnId, ArrayRef>>,
    of: usize,
    taken: ById<ColumnId, OnceLock<ArrayRef>>,
    hashes: Mutex<Vec<Hashed>>,
}

impl Compact {
    fn new(table: &RuleTable, mask: &BooleanBuffer) -> Self {
        let rows = UInt32Array::from_iter_values(mask.set_indices_u32());
        let columns = Arc::clone(table.of_batch());
        let taken = ById::filled(columns.len(), OnceLock::new());
        Self { rows, columns, of: table.rows, taken, hashes: Mutex::default() }
    }

    /// A column of these rows.
    pub fn column(&self, at: ColumnId) -> ArrayRef {
        let column = &self.columns[at];
        let make = || match self.rows.len() == self.of {
            true => Arc::clone(column),
            false => take(column, &self.rows, None).expect("rows of the table"),
        };
        Arc::clone(self.taken[at].get_or_init(make))
    }

    /// The keys of these rows, and the rows for which a part of it could not be computed: to others they look as if it
    /// were NULL.
    ///
    /// # Errors
    /// If a column's type has no row format.
    fn keys(&self, by: &[KeyPart]) -> Result<(Vec<u128>, Vec<FailedValue>)> {
        let (mut keys, mut failed) = (vec![0u128; self.rows.len()], Vec::new());
        for (number, part) in by.iter().enumerate() {
            match part {
                KeyPart::Column(at) => {
                    let hashes = self.hashes(*at, number)?;
                    keys.iter_mut().zip(hashes.iter()).for_each(|(key, hash)| *key = key.wrapping_add(*hash));
                }
                KeyPart::Computed(expression) => {
                    let values = self.computed(expression, &mut failed)?;
                    add_hashes(&values, SEED.wrapping_add(number as u64), &mut keys)?;
                }
            }
        }
        Ok((keys, failed))
    }

    /// The values of an expression. Where it fails for a row, they are computed one by one, and that of the row is NULL.
    fn computed(&self, expression: &Condition, failed: &mut Vec<FailedValue>) -> Result<ArrayRef> {
        let batch = self.batch(&expression.inputs, &expression.schema)?;
        if let Ok(values) = array(&expression.expr, &batch) {
            return Ok(values);
        }
        let none = ScalarValue::try_from(&expression.expr.data_type(&expression.schema)?)?;
        let mut values = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            values.push(match array(&expression.expr, &batch.slice(row, 1)) {
                Ok(value) => value,
                Err(e) => {
                    failed.push(FailedValue { row, lane: KEY, error: at_run_time(&e) });
                    none.to_array()?
                }
            });
        }
        Ok(concat(&values.iter().map(AsRef::as_ref).collect::<Vec<_>>())?)
    }

    fn hashes(&self, at: ColumnId, number: usize) -> Result<Arc<[u128]>> {
        let mut known = self.hashes.lock();
        if let Some((_, hashes)) = known.iter().find(|(of, _)| *of == (at, number)) {
            return Ok(Arc::clone(hashes));
        }
        let mut hashes = vec![0; self.rows.len()];
        add_hashes(&self.column(at), SEED.wrapping_add(number as u64), &mut hashes)?;
        let hashes: Arc<[u128]> = hashes.into();
        known.push(((at, number), Arc::clone(&hashes)));
        Ok(hashes)
    }

    /// Some columns as a batch.
    ///
    /// # Errors
    /// If the schema is not that of the columns.
    pub fn batch(&self, inputs: &[ColumnId], schema: &SchemaRef) -> Result<RecordBatch> {
        let columns = inputs.iter().map(|at| self.column(*at)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }

    /// The columns of all rows of the batch.
    pub(crate) fn columns(&self) -> &Arc<ById<ColumnId, ArrayRef>> {
        &self.columns
    }

    /// The number of these rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }
}
