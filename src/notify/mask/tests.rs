use serde_json::json;

use super::*;
use crate::{alert::Reason, notify::sample::sample, rule::Language};

#[test]
fn accounts_and_persons_are_masked_everywhere() {
    let mut raw = sample(Reason::First, Language::Zh);
    let told = &mut raw.alerts[0];
    let personal =
        [("payee_account", "6222021202000012345"), ("payee_name", "欧阳小明"), ("payee_type", "person")];
    for (column, value) in personal {
        told.evidence[0].values.insert(column.to_owned(), json!(value));
        told.alert.key.insert(column.to_owned(), json!(value));
        told.alert.labels.set(column, value);
        raw.group.set(column, value);
    }
    let line = "向欧阳小明(6222021202000012345)支付 60,000.00 元";
    told.alert.summary = line.to_owned();
    told.evidence[0].summary = line.to_owned();
    told.evidence[0].values.insert("purpose".into(), json!("欧阳小明 劳务费"));

    let text = serde_json::to_string(&masked(&raw, NumberTail::Shown)).unwrap();
    assert!(!text.contains("小明") && !text.contains("622202120200001"), "{text}");
    assert!(text.contains("向欧***(****2345)支付 60,000.00 元"), "{text}");
    assert!(text.contains("欧*** 劳务费"));
}

#[test]
fn organisations_keep_their_names_and_codes_their_digits() {
    let mut raw = sample(Reason::First, Language::Zh);
    let told = &mut raw.alerts[0];
    told.evidence[0].values.insert("payee_name".into(), json!("杭州某建设有限公司"));
    told.evidence[0].values.insert("payee_type".into(), json!("entity"));
    told.evidence[0].values.insert("project_code".into(), json!("330000241234567890123"));
    told.evidence[0].summary = "杭州某建设有限公司 330000241234567890123".into();
    let masked = masked(&raw, NumberTail::Shown);
    assert_eq!(masked.alerts[0].evidence[0].summary, "杭州某建设有限公司 330000241234567890123");
}

#[test]
fn without_values_long_numbers_go() {
    let mut raw = sample(Reason::First, Language::Zh);
    raw.alerts[0].evidence.clear();
    raw.alerts[0].alert.summary = "账号 6222021202000012345 金额 60000.00".into();
    assert_eq!(masked(&raw, NumberTail::Shown).alerts[0].alert.summary, "账号 ****2345 金额 60000.00");
}

/// A notification of one finding with these values and kinds.
fn raw(cells: &[(&str, Value, PersonalKind)], line: &str) -> Notification {
    let mut raw = sample(Reason::First, Language::Zh);
    let told = &mut raw.alerts[0];
    told.evidence.truncate(1);
    told.evidence[0].values.clear();
    let mut kinds = Kinds::default();
    for (column, value, kind) in cells {
        told.evidence[0].values.insert((*column).to_owned(), value.clone());
        kinds.add(column, *kind);
    }
    told.alert.personal = Some(kinds);
    line.clone_into(&mut told.alert.summary);
    line.clone_into(&mut told.evidence[0].summary);
    raw
}

fn shown(notification: &Notification, tail: NumberTail) -> (Value, String) {
    let masked = masked(notification, tail);
    let told = &masked.alerts[0];
    assert_eq!(told.alert.summary, told.evidence[0].summary);
    (Value::Object(told.evidence[0].values.clone()), told.alert.summary.clone())
}

#[test]
fn measures_are_masked_by_what_they_are_made_of() {
    let cells = [
        ("known", json!("6222021202000012345"), PersonalKind::ACCOUNT),
        ("who", json!("王小明"), PersonalKind::NAME),
        ("all", json!(["王小明", "杭州某公司", "李四"]), PersonalKind::NAME.and(PersonalKind::LIST)),
        ("accounts", json!("[33010160006, 33010160007]"), PersonalKind::ACCOUNT.and(PersonalKind::LIST)),
        (
            "both",
            json!("李四:6217000000001111"),
            PersonalKind::ACCOUNT.and(PersonalKind::NAME).and(PersonalKind::MIXED),
        ),
        ("purpose", json!("付王小明，卡 6222 0212 0200 0012 345"), PersonalKind::TEXT),
        ("voucher", json!("2026000000000987"), PersonalKind::ORDINARY),
        ("total", json!("123456789012.50"), PersonalKind::ORDINARY),
        ("n", json!(3), PersonalKind::ORDINARY),
    ];
    let line =
        "此前户名都是 王小明，账号 6,222,021,202,000,012,345，凭证 2026000000000987 共 123,456,789,012.50 元";
    let (values, summary) = shown(&raw(&cells, line), NumberTail::Shown);
    let expected = json!({
        "known": "****2345", "who": "王**", "all": ["王**", "杭州某公司", "李*"], "accounts": "[****0006, ****0007]",
        "both": "李*:****1111", "purpose": "付王**，卡 ****2345", "voucher": "2026000000000987",
        "total": "123456789012.50", "n": 3,
    });
    assert_eq!(values, expected);
    let line = "此前户名都是 王**，账号 ****2345，凭证 2026000000000987 共 123,456,789,012.50 元";
    assert_eq!(summary, line);
}

#[test]
fn a_hidden_tail_leaves_no_digit_and_a_part_of_an_account_is_one() {
    let cells = [("known", json!("6222021202000012345"), PersonalKind::ACCOUNT)];
    let raw = raw(&cells, "账号 6222021202000012345，即 000012345，另 99887766554433");
    assert_eq!(shown(&raw, NumberTail::Hidden).1, "账号 ****，即 ****，另 ****");
    assert_eq!(shown(&raw, NumberTail::Shown).1, "账号 ****2345，即 ****2345，另 ****4433");
}

/// The account `1` in bad data must not turn every 1 into stars.
#[test]
fn short_accounts_are_replaced_where_they_stand_alone() {
    let cells = [
        ("payee_account", json!("1"), PersonalKind::ACCOUNT),
        ("payee_name", json!("Li"), PersonalKind::NAME),
    ];
    let raw = raw(&cells, "Li, account 12: 100 of 1000 in Linz");
    assert_eq!(shown(&raw, NumberTail::Shown).1, "L*, account 12: 100 of 1000 in Linz");
}

#[test]
fn an_alert_from_before_kinds_were_stored_goes_by_names_and_looks() {
    let cells = [
        ("payee_account", json!("33010160006"), PersonalKind::ORDINARY),
        ("known", json!("王小明"), PersonalKind::ORDINARY),
        ("other", json!("杭州某公司"), PersonalKind::ORDINARY),
        ("paid_to", json!("6222021202000012345"), PersonalKind::ORDINARY),
        ("amount", json!("153000.00"), PersonalKind::ORDINARY),
    ];
    let mut raw = raw(&cells, "王小明 33010160006 6222021202000012345 153,000.00");
    raw.alerts[0].alert.personal = None;
    let (values, summary) = shown(&raw, NumberTail::Shown);
    let expected = json!({
        "payee_account": "****0006", "known": "王**", "other": "杭州某公司", "paid_to": "****2345", "amount": "153000.00",
    });
    assert_eq!(values, expected);
    assert_eq!(summary, "王** ****0006 ****2345 153,000.00");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Numbers of contracts and names of units have letters before their digits and after them.
    #[test]
    fn whatever_columns_hold_is_masked_without_a_panic(
        values in proptest::collection::vec("[合同发票第a-z０-９0-9.,-]{0,12}", 6)
    ) {
        let mut raw = sample(Reason::First, Language::Zh);
        let told = &mut raw.alerts[0];
        let columns = ["contract_no", "unit_name", "payee_account", "payee_name", "purpose", "invoice_no"];
        for (column, value) in columns.into_iter().zip(&values) {
            told.evidence[0].values.insert(column.to_owned(), json!(value));
            told.alert.key.insert(column.to_owned(), json!(value));
            told.evidence[0].summary.push_str(value);
        }
        let shown = masked(&raw, NumberTail::Shown);
        proptest::prop_assert_eq!(shown.alerts.len(), raw.alerts.len());
    }
}

#[test]
fn numbers_of_contracts_stand_in_a_letter_as_they_are() {
    let mut raw = sample(Reason::First, Language::Zh);
    let told = &mut raw.alerts[0];
    told.evidence[0].values.insert("contract_no".into(), json!("合同2026001"));
    told.evidence[0].values.insert("unit_name".into(), json!("市第1024小学"));
    told.evidence[0].summary = "市第1024小学 合同2026001".into();
    let shown = masked(&raw, NumberTail::Shown);
    assert_eq!(shown.alerts[0].evidence[0].summary, "市第1024小学 合同2026001");
}
