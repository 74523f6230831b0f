//! Statements of made-up years, against sums that are added up here once more.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{StatementLevel, against::compare, sheet, statement::Adding};
use crate::{
    decode::Decoder,
    event::{Cents, time::Calendar},
    stream::{Block, Payload},
};

fn budget(id: u32, action: &str, line: &str, amount: &str) -> Value {
    json!({
        "event_id": format!("b{id}"), "type": "budget", "action": action, "occurred_at": "2025-02-01T09:00:00+08:00",
        "budget_line_id": line, "amount": amount, "fiscal_year": 2025, "region_code": "330100000",
        "unit_code": if line < "L2" { "101001" } else { "101002" }, "function_code": "2050201", "economic_code": "30201",
    })
}

fn paid(id: u32, line: &str, amount: &str) -> Value {
    json!({
        "event_id": format!("p{id}"), "type": "payment", "occurred_at": "2025-03-04T10:00:00+08:00", "budget_line_id": line,
        "fiscal_year": 2025, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201",
        "economic_code": "30201", "payment_mode": "direct", "settlement": "transfer", "payee_name": "杭州某公司",
        "payee_account": "33010160006", "payee_type": "entity", "amount": amount,
    })
}

fn statement_of(events: &[Value]) -> super::Statement {
    let decoder = Decoder::new(Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap()));
    let lines = events.iter().map(|event| format!("{event}\n")).collect::<Vec<_>>().concat();
    let block = Block::new("test".into(), "input".into(), 0, Payload::JsonLines(lines.into()));
    let decoded = decoder.decode(&[block], None);
    assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
    let mut adding = Adding::default();
    // However the journal is cut.
    for row in 0..decoded.events.num_rows() {
        adding.take(&decoded.events.slice(row, 1), &decoded.types[row..=row]);
    }
    adding.statement(2025, (String::from("2025-01-01"), String::from("2026-01-01")), 7)
}

fn year() -> Vec<Value> {
    let mut transfer = budget(6, "transfer", "L1", "300.00");
    transfer["to_budget_line_id"] = json!("L2");
    vec![
        budget(1, "approve", "L1", "1000.01"),
        budget(2, "approve", "L2", "500.00"),
        budget(3, "carry_over", "L2", "50.50"),
        budget(4, "supplement", "L1", "100.00"),
        budget(5, "reduce", "L1", "0.01"),
        transfer,
        budget(7, "reclaim", "L2", "20.00"),
        budget(8, "freeze", "L2", "5.00"),
        paid(1, "L1", "799.99"),
        paid(2, "L2", "830.50"),
        // Nobody approved it.
        paid(3, "L9", "1.00"),
    ]
}

#[test]
fn figures_add_up_to_the_cent() {
    let statement = statement_of(&year());
    assert_eq!(statement.problems, Vec::<String>::new());
    let of = |code: &str| statement.lines.iter().find(|row| row.code == code).unwrap().figures;
    assert_eq!(of("L1").cents().map(Cents::as_i128), [100_001, 0, 10_000, 1, -30_000, 0, 80_000, 79_999, 1]);
    assert_eq!(of("L2").cents().map(Cents::as_i128), [50_000, 5_050, 0, 0, 30_000, 2_000, 83_050, 83_050, 0]);
    assert_eq!(of("L9").cents().map(Cents::as_i128), [0, 0, 0, 0, 0, 0, 0, 100, -100]);
    assert_eq!(
        statement.sum.cents().map(Cents::as_i128),
        [150_001, 5_050, 10_000, 1, 0, 2_000, 163_050, 163_149, -99]
    );
    for group in [StatementLevel::Unit, StatementLevel::Function, StatementLevel::Class] {
        let total: Cents = statement.rows(group).iter().map(|row| row.figures.total).sum();
        assert_eq!(total, statement.sum.total);
    }
    let unit = statement.units.iter().find(|row| row.code == "101001").unwrap();
    assert_eq!((unit.lines, unit.figures.executed), (2, Cents::new(80_099)));
}

#[test]
fn lines_of_other_years_are_left_out() {
    let mut events = year();
    let mut next = budget(20, "approve", "N1", "9.00");
    next["fiscal_year"] = json!(2026);
    events.push(next);
    // Money that goes to a line of the next year is gone from this one, and nothing is lost over all.
    let mut out = budget(21, "transfer", "L2", "0.50");
    out["to_budget_line_id"] = json!("N1");
    events.push(out);
    let statement = statement_of(&events);
    assert!(statement.problems.is_empty(), "{:?}", statement.problems);
    assert_eq!(statement.sum.transferred, Cents::new(-50));
    assert!(statement.lines.iter().all(|row| row.code != "N1"));
}

#[test]
fn the_same_statement_is_the_same_bytes() {
    let (one, two) = (statement_of(&year()), statement_of(&year()));
    assert_eq!(one.print(), two.print());
    let book = sheet::workbook(&one).unwrap();
    assert_eq!(book, sheet::workbook(&two).unwrap());
    let mut other = year();
    other.pop();
    assert_ne!(statement_of(&other).print(), one.print());
    // It reads back as a table of the bureau would.
    let mut lines = Vec::new();
    crate::workbook::to_lines(std::io::Cursor::new(book), &crate::workbook::Options::default(), &mut lines)
        .unwrap();
    let rows: Vec<serde_json::Map<String, Value>> =
        String::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let compared = compare(one.rows(StatementLevel::Line), StatementLevel::Line, &rows).unwrap();
    assert_eq!((compared.rows, compared.figures, compared.differences), (3, 27, Vec::new()));
}

#[test]
fn each_difference_to_another_table_is_told() {
    let statement = statement_of(&year());
    let row = |cells: Value| cells.as_object().unwrap().clone();
    let theirs = [
        row(json!({"单位编码": "101001", "决算数": "800.99", "调整预算数": "800"})),
        row(json!({"单位编码": "101002", "决算数": "¥830.51", "调整预算数": ""})),
        row(json!({"单位编码": "合计", "决算数": "1,631.49"})),
        row(json!({"单位编码": "109", "决算数": "(3.00)"})),
    ];
    let compared = compare(statement.rows(StatementLevel::Unit), StatementLevel::Unit, &theirs).unwrap();
    assert_eq!((compared.rows, compared.figures), (3, 3));
    let told: Vec<_> = compared
        .differences
        .iter()
        .map(|d| (d.code.as_str(), d.column, d.ours.as_deref(), d.theirs.as_deref()))
        .collect();
    assert_eq!(
        told,
        [("101002", "executed", Some("830.50"), Some("830.51")), ("109", "executed", None, Some("-3.00")),]
    );
    let unreadable = [row(json!({"单位编码": "101001", "决算数": "many"}))];
    assert!(compare(statement.rows(StatementLevel::Unit), StatementLevel::Unit, &unreadable).is_err());
    let nameless = [row(json!({"决算数": "1"}))];
    assert!(compare(statement.rows(StatementLevel::Unit), StatementLevel::Unit, &nameless).is_err());
    let left = compare(statement.rows(StatementLevel::Unit), StatementLevel::Unit, &theirs[..1]).unwrap();
    assert_eq!(left.differences.len(), 1, "a row that they do not have");
}
