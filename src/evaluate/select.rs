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
    aggregate::{Lane, Layout, hashes},
    key::SEED,
    row::Table,
    sliding::Selected,
};
use crate::{
    event::Column,
    rule::compile::{CompiledRule, Condition},
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
    let packed = pack(table, &rows, by, lanes, layout);
    let mut selected = packed.unwrap_or_else(|_| one_by_one(table, &rows, by, lanes, layout));
    let times = selected.packed.words.chunks_exact(layout.stride()).map(|row| row[0].cast_signed());
    selected.from = times.map(from).collect();
    selected
}

fn pack(table: &Table, rows: &[u32], by: &[usize], lanes: &[Lane], layout: &Layout) -> Result<Selected> {
    let compact = Compact::new(table, rows);
    let times = compact.column(Column::OccurredAt.index());
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let batch = |lane: &Lane| compact.batch(&lane.inputs, &lane.schema);
    let packed = layout.pack(lanes, &batch, times.values(), *SEED)?;
    let by: Vec<_> = by.iter().map(|at| compact.column(*at)).collect();
    let keys = if by.is_empty() { vec![0; rows.len()] } else { hashes(&by, *SEED)? };
    Ok(Selected { rows: rows.to_vec(), keys, packed, ..Selected::default() })
}

/// What fails for one event fails for that one alone.
fn one_by_one(table: &Table, rows: &[u32], by: &[usize], lanes: &[Lane], layout: &Layout) -> Selected {
    let mut all = Selected::default();
    for row in rows {
        match pack(table, &[*row], by, lanes, layout) {
            Ok(one) => {
                all.rows.push(*row);
                all.keys.extend(one.keys);
                all.packed.words.extend(one.packed.words);
                all.packed.others.extend(one.packed.others);
            }
            Err(e) => all.failed.push((*row, e.to_string())),
        }
    }
    all
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
