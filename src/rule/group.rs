//! 控制组: which budget lines belong together, as a rule file says it, and compiled.

use std::{fmt, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, BooleanArray, Int32Array, RecordBatchOptions, StringViewArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
    util::display::array_value_to_string,
};
use datafusion::physical_expr::PhysicalExpr;
use saphyr_parser::Span;

use super::{
    Text,
    asks::with_lists,
    compile::Compiler,
    expression::{Scope, project, resolve},
};
use crate::{
    diagnostic::type_name,
    event::{Column, schema::LINE_ATTRIBUTES},
    ledger::{Attributes, Grouping, LineGroupKey},
    say,
    yaml::{Document, Placed},
};

/// Between the parts of a key.
const BETWEEN: &str = " / ";

/// Budget lines that belong together, as a rule file says it.
#[derive(Debug, Clone)]
pub struct Group {
    /// kebab-case, unique in its file.
    pub id: String,
    /// The name for people.
    pub title: Text,
    /// What its lines have in common beside the fiscal year: expressions over the attributes of a line.
    pub by: Vec<Placed>,
    /// Which lines there are; without it all.
    pub filter: Option<Placed>,
    /// Where it stands in its file.
    pub span: Span,
}

/// The same, to be asked of lines.
pub struct CompiledGroup {
    /// As it is written.
    pub group: Arc<Group>,
    text: String,
    filter: Option<LineExpression>,
    by: Vec<LineExpression>,
}

/// An expression over the attributes of budget lines.
struct LineExpression {
    expr: Arc<dyn PhysicalExpr>,
    /// The columns that it reads, by position in [`line_schema`].
    inputs: Vec<usize>,
    schema: SchemaRef,
}

/// What can be said of a line: its id, its attributes, and whether it was approved.
fn line_schema() -> Schema {
    let mut fields = vec![
        Field::new(Column::BudgetLineId.spec().name, DataType::Utf8View, true),
        Field::new("approved", DataType::Boolean, true),
    ];
    fields.extend(LINE_ATTRIBUTES.map(|column| {
        let is_year = column == Column::FiscalYear;
        let data_type = if is_year { DataType::Int32 } else { DataType::Utf8View };
        Field::new(column.spec().name, data_type, true)
    }));
    Schema::new(fields)
}

impl Group {
    /// All that the group of a line depends on, without what people call it.
    #[must_use]
    pub fn text(&self) -> String {
        let by: Vec<_> = self.by.iter().map(|part| part.text.as_str()).collect();
        format!("{:?}", (by, self.filter.as_ref().map(|filter| &filter.text)))
    }

    /// Compiles it; what is wrong with it goes to the document.
    pub fn compile(self: &Arc<Self>, compiler: &Compiler, d: &mut Document<'_>) -> Option<CompiledGroup> {
        let schema = Arc::new(line_schema());
        let scope = Scope { columns: &schema, elsewhere: &[], params: &[], lists: compiler.lists() };
        let filter = match &self.filter {
            None => None,
            Some(placed) => Some(compile(compiler, d, placed, &scope, &schema, Some(&DataType::Boolean))?),
        };
        let by: Vec<_> =
            self.by.iter().filter_map(|part| compile(compiler, d, part, &scope, &schema, None)).collect();
        let text = with_lists(&self.text(), compiler.lists());
        (by.len() == self.by.len()).then(|| CompiledGroup { group: Arc::clone(self), text, filter, by })
    }
}

fn compile(
    compiler: &Compiler,
    d: &mut Document<'_>,
    placed: &Placed,
    scope: &Scope<'_>,
    table: &SchemaRef,
    wanted: Option<&DataType>,
) -> Option<LineExpression> {
    let resolved = resolve(compiler.rule_session(), d, placed, scope)?;
    let schema = project(table, &resolved.columns);
    let expr = match wanted {
        Some(wanted) => resolved.plan(compiler.rule_session(), d, placed, &schema, wanted)?,
        None => resolved.plan_any(compiler.rule_session(), d, placed, &schema)?,
    };
    let found = expr.data_type(&schema).ok()?;
    if wanted.is_none() && !(found.is_string() || found.is_integer() || found == DataType::Boolean) {
        let hint = say!("lines belong together by a code, such as `unit_code` or `left(economic_code, 3)`");
        let found = type_name(&found);
        d.problem(placed.span, say!("a group is not made by {found}", found), Some(hint));
        return None;
    }
    let inputs = schema.fields().iter().filter_map(|f| table.index_of(f.name()).ok()).collect();
    Some(LineExpression { expr, inputs, schema })
}

impl LineExpression {
    fn evaluate(&self, columns: &[ArrayRef], rows: usize) -> Option<ArrayRef> {
        let columns = self.inputs.iter().map(|at| Arc::clone(&columns[*at])).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).ok()?;
        self.expr.evaluate(&batch).and_then(|value| value.into_array(rows)).ok()
    }

    /// The values of all lines. A line for which it fails has none; whether it does, no other line decides.
    fn values(&self, columns: &[ArrayRef], rows: usize) -> Vec<Option<String>> {
        match self.evaluate(columns, rows) {
            Some(array) => (0..rows).map(|row| text(&array, row)).collect(),
            None => {
                let one = |row| columns.iter().map(|column| column.slice(row, 1)).collect::<Vec<_>>();
                let value = |row| text(&self.evaluate(&one(row), 1)?, 0);
                (0..rows).map(value).collect()
            }
        }
    }
}

fn text(array: &ArrayRef, row: usize) -> Option<String> {
    array.is_valid(row).then(|| array_value_to_string(array, row).ok()).flatten()
}

impl fmt::Debug for CompiledGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledGroup").field("text", &self.text).finish_non_exhaustive()
    }
}

impl Grouping for CompiledGroup {
    fn text(&self) -> &str {
        &self.text
    }

    /// The fiscal year, and what the lines have in common. A line without a year, or without one of these, is of no group.
    fn keys(&self, lines: &[(&str, &Attributes)]) -> Vec<Option<LineGroupKey>> {
        let rows = lines.len();
        let columns = columns(lines);
        let within = self.filter.as_ref().map(|filter| filter.values(&columns, rows));
        let parts: Vec<_> = self.by.iter().map(|part| part.values(&columns, rows)).collect();
        let key = |row: usize| {
            if within.as_ref().is_some_and(|within| within[row].as_deref() != Some("true")) {
                return None;
            }
            let mut key = lines[row].1.fiscal_year?.to_string();
            for part in &parts {
                key.push_str(BETWEEN);
                // A part that has the separator cannot be taken for two.
                key.push_str(&part[row].as_ref()?.replace('/', "//"));
            }
            Some(LineGroupKey::from(key))
        };
        (0..rows).map(key).collect()
    }
}

fn columns(lines: &[(&str, &Attributes)]) -> Vec<ArrayRef> {
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(lines.iter().map(|(id, _)| Some(*id)).collect::<StringViewArray>()),
        Arc::new(lines.iter().map(|(_, attributes)| Some(attributes.approved)).collect::<BooleanArray>()),
    ];
    columns.extend(LINE_ATTRIBUTES.map(|column| -> ArrayRef {
        match column {
            Column::FiscalYear => Arc::new(lines.iter().map(|(_, a)| a.fiscal_year).collect::<Int32Array>()),
            column => Arc::new(lines.iter().map(|(_, a)| a.text(column)).collect::<StringViewArray>()),
        }
    }));
    columns
}
