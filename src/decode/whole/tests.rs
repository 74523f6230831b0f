use std::sync::Arc as Shared;

use arrow::compute::concat_batches;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Decoded, Decoder, row::RowBuilder, table};
use super::*;
use crate::{
    event::{Instant, time::Calendar},
    stream::{Block, Payload},
};

fn block(payload: Payload) -> Block {
    Block::new(Shared::from("s"), Shared::from("p"), 0, payload)
}

/// The same table column by column.
fn by_columns(decoder: &Decoder, table: &RecordBatch) -> Option<Whole> {
    decode(table, decoder.schema(), &decoder.currency, &decoder.reading, TimeBounds::NONE)
}

/// The same table row by row.
fn by_rows(decoder: &Decoder, table: &RecordBatch) -> Decoded {
    let block = block(Payload::Table(table.clone()));
    let mut rows = RowBuilder::new(decoder, TimeBounds::NONE, table.num_rows());
    rows.start_block(&block);
    table::rows(table, 0, &mut rows);
    rows.finish()
}

fn event(dice: u64) -> Value {
    let pick = |shift: u32, words: &[Value]| words[(dice >> shift) as usize % words.len()].clone();
    let mut event = json!({"event_id": format!("e{}", dice % 1000), "type": pick(3, &["payment", "application", "refund", "correction", "budget", "indicator", "withdrawal"].map(Value::from)),
        "occurred_at": "2026-03-04T10:00:00+08:00", "budget_line_id": "预算指标一二三四五六七八", "to_budget_line_id": "L2", "original_event_id": "e0",
        "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201", "economic_code": "30201",
        "payment_mode": "direct", "settlement": pick(9, &[json!("cash"), json!("transfer")]), "payee_name": pick(11, &[json!("甲"), json!("一个名字很长很长的公司")]),
        "payee_account": "3301", "payee_type": "entity", "amount": pick(13, &[json!("1.00"), json!("99999999.99")]),
        "indicator_id": "I", "project_code": "X", "target": "1.5", "actual": pick(17, &[json!(null), json!("-2.25")]),
        "action": pick(19, &[json!("approve"), json!("transfer"), json!("freeze")]), "currency": pick(21, &[json!(null), json!("CNY")]),
        "tags": pick(23, &[json!(null), json!([]), json!(["三保"]), json!(["a", "b"])]), "recorded_at": pick(25, &[json!(null), json!(1_772_000_000_123i64)])});
    if dice.is_multiple_of(7) {
        event["purpose"] = json!("办公");
    }
    event
}

/// Events as a file of our own has them.
fn table_of(decoder: &Decoder, dices: &[u64]) -> RecordBatch {
    let parts = dices.iter().map(|dice| {
        let mut text = event(*dice);
        text["occurred_at"] = json!(1_772_600_000_000i64 + (dice % 1_000_000).cast_signed());
        let decoded = decoder.decode(&[block(Payload::JsonLines(format!("{text}\n").into()))], None);
        assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
        decoded.events
    });
    let parts: Vec<_> = parts.collect();
    concat_batches(&decoder.schema, &parts).unwrap()
}

fn same(whole: &Whole, rows: &Decoded) {
    assert!(rows.rejects.is_empty());
    assert_eq!(whole.types, rows.types);
    assert_eq!(whole.ids, rows.ids);
    assert_eq!(whole.contents, rows.contents);
    for (field, (a, b)) in
        rows.events.schema().fields().iter().zip(whole.events.columns().iter().zip(rows.events.columns()))
    {
        assert_eq!(a, b, "{}", field.name());
    }
    assert_eq!(whole.events, rows.events);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn columns_and_rows_give_the_same(dices in proptest::collection::vec(any::<u64>(), 1..40), drop in 0..Column::COUNT) {
        let decoder = Decoder::new(Shared::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap()));
        let table = table_of(&decoder, &dices);
        let whole = by_columns(&decoder, &table).expect("the table is in order");
        same(&whole, &by_rows(&decoder, &table));
        // A column less is either the same for both, or left to the way by rows.
        let kept: Vec<usize> = (0..Column::COUNT).filter(|at| *at != drop).collect();
        let less = table.project(&kept).unwrap();
        if let Some(whole) = by_columns(&decoder, &less) {
            same(&whole, &by_rows(&decoder, &less));
        } else {
            prop_assert!(!by_rows(&decoder, &less).rejects.is_empty());
        }
    }

    /// One type for all rows: what a type does not have is dropped, what it must have is missed.
    #[test]
    fn values_of_other_types_are_dropped(dices in proptest::collection::vec(any::<u64>(), 1..20), name in 0usize..7) {
        let decoder = Decoder::new(Shared::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap()));
        let table = table_of(&decoder, &dices);
        let mut columns = table.columns().to_vec();
        let kind = EventType::ALL[name].name();
        columns[Column::Type.index()] = Arc::new(StringViewArray::from_iter_values(dices.iter().map(|_| kind)));
        let table = RecordBatch::try_new(table.schema(), columns).unwrap();
        let rows = by_rows(&decoder, &table);
        match by_columns(&decoder, &table) {
            Some(whole) => same(&whole, &rows),
            None => prop_assert!(!rows.rejects.is_empty()),
        }
    }
}

#[test]
fn what_is_not_in_order_is_left_to_the_rows() {
    let decoder = Decoder::new(Shared::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap()));
    let table = table_of(&decoder, &[0, 8, 16, 24]);
    let with = |column: Column, array: ArrayRef| {
        let mut columns = table.columns().to_vec();
        columns[column.index()] = array;
        let fields: Vec<_> = table
            .schema()
            .fields()
            .iter()
            .zip(&columns)
            .map(|(f, c)| Field::new(f.name(), c.data_type().clone(), true))
            .collect();
        RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap()
    };
    let texts = |word: &str| Arc::new(StringViewArray::from_iter_values(vec![word; 4])) as ArrayRef;
    let long = "x".repeat(EVENT_ID_CHARS + 1);
    for (column, array) in [
        (Column::Type, texts("gift")),
        (Column::EventId, texts(&long)),
        (Column::EventId, texts("")),
        (
            Column::Amount,
            Arc::new(Decimal128Array::from(vec![0; 4]).with_precision_and_scale(18, 2).unwrap()) as ArrayRef,
        ),
        (Column::Amount, texts("1.00")),
        (Column::FiscalYear, Arc::new(Int32Array::from(vec![99; 4])) as ArrayRef),
        (Column::PaymentMode, texts("gift")),
        (Column::PaymentMode, texts(" direct")),
        (Column::UnitCode, texts("'101001")),
        (Column::UnitCode, texts("101\u{200b}001")),
        (Column::UnitCode, texts(&"1".repeat(65))),
        (Column::PayeeAccount, texts("6.22848E+18")),
        (Column::PayeeAccount, texts("-")),
        (Column::PayeeName, texts("甲 ")),
        (Column::Currency, texts("人民币")),
        (Column::OccurredAt, Arc::new(TimestampMicrosecondArray::from(vec![1_772_589_600_000_000; 4]))),
    ] {
        assert!(by_columns(&decoder, &with(column, array)).is_none(), "{column:?}");
    }
    assert!(
        decode(
            &table,
            decoder.schema(),
            &decoder.currency,
            &decoder.reading,
            TimeBounds { latest: Instant::EPOCH, ..TimeBounds::NONE }
        )
        .is_none(),
        "too far in the future"
    );
    assert!(by_columns(&decoder, &table).is_some());
}

/// A refund keeps no currency, so its column is looked at only for what is not ours.
#[test]
fn a_currency_that_is_not_kept_is_held_against_the_books() {
    let decoder = Decoder::new(Shared::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap()));
    let refunds: Vec<u64> = (0..4).map(|n| (2 << 3) + 56 * n).collect();
    let table = table_of(&decoder, &refunds);
    let with = |currency: &str| {
        let mut columns = table.columns().to_vec();
        columns[Column::Currency.index()] = Arc::new(StringViewArray::from_iter_values(vec![currency; 4]));
        RecordBatch::try_new(table.schema(), columns).unwrap()
    };
    assert!(by_columns(&decoder, &with("CNY")).is_some());
    assert!(by_columns(&decoder, &with("USD")).is_none());
    assert_eq!(by_rows(&decoder, &with("USD")).rejects.len(), 4);
    assert!(by_rows(&decoder, &with("人民币")).rejects.is_empty());
}
