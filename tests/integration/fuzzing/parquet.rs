//! Parquet files, and tables of any shape.

use std::{fs::File, sync::Arc};

use arrow::{
    array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array},
    compute::cast,
    datatypes::{DataType, Field, Schema, TimeUnit},
    record_batch::RecordBatch,
};
use datafusion::parquet::arrow::ArrowWriter;
use fiscwatch::{
    event::schema::FIELDS,
    source::{Chunks, Format},
    stream::Payload,
};
use rand::{Rng, RngExt};

use super::fuzz;
use crate::support::{block, decoder};

fn sample(rows: usize) -> RecordBatch {
    let ids = StringArray::from_iter_values((0..rows).map(|n| format!("p{n}")));
    let text = |value: &str| Arc::new(StringArray::from(vec![value; rows])) as ArrayRef;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event_id", Arc::new(ids)),
        ("type", text("refund")),
        ("occurred_at", Arc::new(TimestampMicrosecondArray::from(vec![1_772_589_600_000_000; rows]))),
        ("budget_line_id", text("L1")),
        ("original_event_id", text("e1")),
        (
            "amount",
            Arc::new(Decimal128Array::from(vec![1250; rows]).with_precision_and_scale(18, 2).unwrap()),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn a_damaged_file_is_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.parquet");
    let batch = sample(50);
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let seeds: Vec<_> = std::iter::once(whole).chain(super::seeds("parquet")).collect();
    fuzz("parquet", 400, &seeds, |input, _| {
        std::fs::write(&path, input).unwrap();
        let Ok(mut chunks) = Chunks::open(&path, Format::of(&path, None), 7, (0, 0), false, None) else {
            return;
        };
        while let Ok(Some(chunk)) = chunks.next_chunk() {
            let Payload::Table(table) = &chunk.payload else { unreachable!("a table") };
            let rows = table.num_rows();
            let decoded = decoder().decode(&[block(chunk.payload)], None);
            assert_eq!(decoded.types.len() + decoded.rejects.len(), rows);
        }
    });
}

/// Types that a column may come in.
const TYPES: &[DataType] = &[
    DataType::Int8,
    DataType::Int32,
    DataType::Int64,
    DataType::UInt64,
    DataType::Float64,
    DataType::Boolean,
    DataType::Utf8,
    DataType::LargeUtf8,
    DataType::Utf8View,
    DataType::Binary,
    DataType::Date32,
    DataType::Date64,
    DataType::Decimal128(38, 0),
    DataType::Decimal128(38, 4),
    DataType::Decimal128(20, -3),
    DataType::Decimal256(60, 3),
    DataType::Timestamp(TimeUnit::Second, None),
    DataType::Timestamp(TimeUnit::Millisecond, None),
    DataType::Timestamp(TimeUnit::Nanosecond, None),
    DataType::Time64(TimeUnit::Microsecond),
    DataType::Null,
];

fn column(rows: usize, rng: &mut impl Rng) -> ArrayRef {
    let value = |_| match rng.random_range(0..5) {
        0 => None,
        1 => Some(rng.random()),
        2 => Some(i64::MAX),
        3 => Some(rng.random_range(-100..3000)),
        _ => Some(rng.random_range(0..2_000_000_000_000_000)),
    };
    let values: Int64Array = (0..rows).map(value).collect();
    let target = &TYPES[rng.random_range(0..TYPES.len())];
    let values: ArrayRef = Arc::new(values);
    cast(&values, target).unwrap_or_else(|_| new_null_array(target, rows))
}

#[test]
fn a_table_of_any_types_is_accounted_for() {
    fuzz("table", 600, &[Vec::new()], |_, rng| {
        let sample = sample(8);
        let mut fields: Vec<Field> = sample.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        let mut columns = sample.columns().to_vec();
        for _ in 0..rng.random_range(1..4) {
            let array = column(8, rng);
            let name = FIELDS[rng.random_range(0..FIELDS.len())].name;
            let field = Field::new(name, array.data_type().clone(), true);
            match fields.iter().position(|f| f.name() == name) {
                Some(at) => (fields[at], columns[at]) = (field, array),
                None => {
                    fields.push(field);
                    columns.push(array);
                }
            }
        }
        let table = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let decoded = decoder().decode(&[block(Payload::Table(table.clone()))], None);
        assert_eq!(decoded.types.len() + decoded.rejects.len(), 8);
        // What was there and is no missing value must not become one.
        for (field, array) in table.schema().fields().iter().zip(table.columns()) {
            let Some((at, spec)) = fiscwatch::event::schema::field(field.name()) else { continue };
            if spec.on & fiscwatch::event::EventType::Refund.bit() == 0 || decoded.types.len() != 8 {
                continue;
            }
            assert_eq!(decoded.events.column(at).null_count(), array.logical_null_count(), "{field}");
        }
    });
}
