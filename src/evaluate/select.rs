//! The events of a batch that belong to a window.

use std::{cell::OnceCell, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatchOptions, UInt32Array, new_empty_array},
    buffer::BooleanBuffer,
    compute::take,
    datatypes::{SchemaRef, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use datafusion::common::Result;

use super::{
    aggregate::{Failed, Packed, hashes},
    key::SEED,
    row::Table,
    sliding::Selected,
};
use crate::{
    diagnostic::at_run_time,
    event::Column,
    rule::{
        compile::{CompiledRule, Condition},
        plan::{Lane, Layout},
    },
};

/// Lays out the events in `mask` as a window holds them. `from` gives the first instant of an event's window.
pub fn select(
    table: &Table,
    mask: &BooleanBuffer,
    by: &[usize],
    lanes: &[Lane],
    layout: &Layout,
    from: impl Fn(i64) -> i64,
) -> Selected {
    let rows: Vec<u32> = mask.set_indices_u32().collect();
    if rows.is_empty() {
        return Selected::default();
    }
    let compact = Compact::new(table, &rows);
    let times = compact.column(Column::OccurredAt.index());
    let times = times.as_primitive::<TimestampMicrosecondType>().values();
    let batch = |lane: &Lane| compact.batch(&lane.inputs, &lane.schema);
    let columns: Vec<_> = by.iter().map(|at| compact.column(*at)).collect();
    let packed = layout.pack(lanes, &batch, times, *SEED);
    let keys = if columns.is_empty() { Ok(vec![0; rows.len()]) } else { hashes(&columns, *SEED) };
    let (packed, keys, failed) = match (packed, keys) {
        (Ok((packed, failed)), Ok(keys)) => (packed, keys, failed),
        // Planning has checked the types, so this is a bug: it is counted for every event.
        (Err(e), _) | (_, Err(e)) => {
            let failed = (0..rows.len()).map(|row| Failed { row, lane: 0, error: at_run_time(&e) }).collect();
            let words = vec![0; rows.len() * layout.stride()];
            (Packed { words, ..Packed::default() }, vec![0; rows.len()], failed)
        }
    };
    let from = times.iter().map(|at| from(*at)).collect();
    drop(compact);
    Selected { rows, keys, from, packed, failed }
}

/// Some rows of a table, each column made when it is first asked for.
pub struct Compact<'t> {
    table: &'t Table,
    rows: &'t [u32],
    indices: UInt32Array,
    columns: Vec<OnceCell<ArrayRef>>,
}

impl<'t> Compact<'t> {
    /// These rows of `table`.
    pub fn new(table: &'t Table, rows: &'t [u32]) -> Self {
        let indices = UInt32Array::from(rows.to_vec());
        Self { table, rows, indices, columns: vec![OnceCell::new(); table.columns.len()] }
    }

    /// A column of these rows.
    pub fn column(&self, at: usize) -> ArrayRef {
        let column = &self.table.columns[at];
        let make = || match self.rows.len() == self.table.rows {
            true => Arc::clone(column),
            false => take(column, &self.indices, None).expect("rows of the table"),
        };
        Arc::clone(self.columns[at].get_or_init(make))
    }

    /// Some columns as a batch.
    ///
    /// # Errors
    /// If the schema is not that of the columns.
    pub fn batch(&self, inputs: &[usize], schema: &SchemaRef) -> Result<RecordBatch> {
        let columns = inputs.iter().map(|at| self.column(*at)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }

    /// These rows in the columns of a rule that are read to judge it, with its measures.
    pub fn table(&self, rule: &CompiledRule, measures: &[ArrayRef]) -> Table {
        let conditions = rule.when.iter().chain(rule.exceptions.iter().map(|e| &e.when));
        let read: Vec<usize> = conditions.flat_map(|c: &Condition| c.inputs.iter().copied()).collect();
        let own = (0..self.table.columns.len()).map(|at| match read.contains(&at) {
            true => self.column(at),
            false => new_empty_array(self.table.columns[at].data_type()),
        });
        Table { columns: own.chain(measures.iter().cloned()).collect(), rows: self.rows.len() }
    }
}
