//! Values as they can be written, and what each of them is.

use super::Given::{Number, Stamp};
use super::{Case, NOTHING, refuses, takes, text};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        // Times.
        takes("occurred_at", text("2026-03-04T10:00:00+08:00"), "2026-03-04T10:00:00+08:00"),
        takes("occurred_at", text(" ２０２６-03-04T02:00:00Z"), "2026-03-04T10:00:00+08:00"),
        takes("occurred_at", text("2026-03-04"), "2026-03-04T00:00:00+08:00"),
        takes("occurred_at", Stamp("2026-03-04T10:00:00+08:00"), "2026-03-04T10:00:00+08:00"),
        refuses("occurred_at", Stamp("2026-12-31T17:00:00"), "bad_time"),
        refuses("occurred_at", text("2026-12-31 17:00:00"), "bad_time"),
        refuses("occurred_at", text("2026-12-31T17:00"), "bad_time"),
        refuses("occurred_at", text("2026-03-04T10:00:00+25:00"), "bad_time"),
        takes("occurred_at", Number("1772589600000"), "2026-03-04T10:00:00+08:00"),
        takes("occurred_at", text("1772589600000"), "2026-03-04T10:00:00+08:00"),
        refuses("occurred_at", Number("1772589600"), "bad_time"),
        refuses("occurred_at", text("1772589600"), "bad_time"),
        refuses("occurred_at", Number("1772589600000000"), "bad_time"),
        refuses("occurred_at", text("1772589600000000000"), "bad_time"),
        refuses("occurred_at", Number("20260304"), "bad_time"),
        refuses("occurred_at", Number("46085"), "bad_time"),
        refuses("occurred_at", Number("46085.5"), "bad_time"),
        refuses("occurred_at", text("1.7725896E+12"), "inexact"),
        refuses("occurred_at", text("-"), "missing_field"),
        takes("recorded_at", text("NULL"), NOTHING),
        refuses("recorded_at", Stamp("2026-12-31T17:00:00"), "bad_time"),
        // Amounts and numbers.
        takes("amount", Number("1234.5"), "1234.50"),
        takes("amount", text("1234.5"), "1234.50"),
        takes("amount", text("１２３４.５０"), "1234.50"),
        takes("amount", text("'1234.50 "), "1234.50"),
        takes("amount", text("=\"1234.50\""), "1234.50"),
        refuses("amount", text("1.23E+05"), "inexact"),
        refuses("amount", text("1e2"), "inexact"),
        refuses("amount", text("#N/A"), "missing_field"),
        refuses("amount", Number("12.345"), "bad_amount"),
        refuses("amount", text("1,234.50"), "bad_amount"),
        takes("fiscal_year", Number("2026"), "2026"),
        takes("fiscal_year", text("'2026"), "2026"),
        // Accounts.
        refuses("payee_account", text("6.22848E+18"), "inexact"),
        refuses("payee_account", text("6E+18"), "inexact"),
        takes("payee_account", text("6228480012345678901"), "6228480012345678901"),
        takes("payee_account", text("'6228480012345678901"), "6228480012345678901"),
        takes("payee_account", text("\u{feff}６２２８４８ "), "622848"),
        refuses("payee_account", text("622848\u{200b}001"), "bad_text"),
        refuses("payee_account", text("\u{202a}622848\u{202c}"), "bad_text"),
        refuses("payee_account", text("无"), "missing_field"),
        // Codes and words.
        refuses("unit_code", text("101\u{7}001"), "bad_text"),
        refuses("unit_code", text("101\t001"), "bad_text"),
        refuses("budget_line_id", text("L\u{fffd}1"), "bad_text"),
        takes("budget_line_id", text("预算 指标-001"), "预算 指标-001"),
        takes("settlement", text(" 'transfer "), "transfer"),
        refuses("settlement", text("transfers"), "unknown_value"),
        refuses("settlement", text("NULL"), "missing_field"),
        takes("project_code", text("1E5"), "1E5"),
        refuses("project_code", text("1.001E+05"), "inexact"),
        // Names are as given, but for blanks around them.
        takes("payee_name", text("\u{3000}ＡＢＣ（甲）公司 "), "ＡＢＣ（甲）公司"),
        takes("payee_name", text("Société Ge\u{301}ne\u{301}rale"), "Société Ge\u{301}ne\u{301}rale"),
        takes("payee_name", text("'s-Gravenhage"), "'s-Gravenhage"),
        takes("payee_name", text("甲\u{202e}公司"), "甲\u{202e}公司"),
        refuses("payee_name", text("NaN"), "missing_field"),
        takes("purpose", text("办公\n用品"), "办公\n用品"),
        // The currency.
        takes("currency", text(""), "CNY"),
        takes("currency", text("人民币"), "CNY"),
        takes("currency", text("rmb"), "CNY"),
        takes("currency", text("156"), "CNY"),
        refuses("currency", text("USD"), "currency"),
        refuses("currency", text("nonsense"), "currency"),
        // Ids.
        refuses("event_id", text("x".repeat(65)), "bad_event_id"),
        refuses("event_id", text("a\u{0}b"), "bad_text"),
    ];
    for code in ["001001", "'001001", "=\"001001\"", "001001 ", "\u{a0}001001", "００１００１"] {
        cases.push(takes("unit_code", text(code), "001001"));
    }
    for word in ["NULL", "null", "#N/A", "N/A", "-", "--", "/", "无", "nan", "\\N", "#REF!", " "] {
        cases.push(takes("purpose", text(word), NOTHING));
        cases.push(refuses("payee_account", text(word), "missing_field"));
    }
    for (field, most) in [
        ("unit_code", 64),
        ("payee_account", 64),
        ("contract_no", 128),
        ("payee_name", 256),
        ("purpose", 2000),
    ] {
        let (whole, longer) = ("长".repeat(most), "长".repeat(most + 1));
        cases.push(takes(field, text(&*whole), &whole));
        cases.push(refuses(field, text(longer), "too_long"));
    }
    cases
}

/// The same for a source that says how its values are written.
pub(super) fn cases_of_a_site() -> Vec<Case> {
    vec![
        takes("occurred_at", text("2026-12-31T17:00:00"), "2026-12-31T17:00:00+08:00"),
        takes("occurred_at", text("2026-12-31 17:00:00.5"), "2026-12-31T17:00:00.500+08:00"),
        takes("occurred_at", Stamp("2026-12-31T17:00:00"), "2026-12-31T17:00:00+08:00"),
        takes("occurred_at", text("2026-12-31T17:00:00Z"), "2027-01-01T01:00:00+08:00"),
        takes("occurred_at", Number("46085"), "2026-03-04T00:00:00+08:00"),
        takes("occurred_at", Number("46085.75"), "2026-03-04T18:00:00+08:00"),
        takes("occurred_at", text("46085.4166666667"), "2026-03-04T10:00:00+08:00"),
        refuses("occurred_at", Number("1772589600000"), "bad_time"),
        refuses("occurred_at", text("1772589600000"), "bad_time"),
        refuses("payee_account", text("待补"), "missing_field"),
        takes("payee_account", text("-"), "-"),
    ]
}
