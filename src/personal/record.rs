//! A record as it came, as it is shown: by its columns where it can be read, and by its looks where it cannot.

use serde_json::{Map, Value};

use super::{
    PersonalKind, event, name,
    number::{self, NumberTail},
};
use crate::event::{FieldKind, schema::field};

/// A longer record is masked by its looks alone.
const PARSED_MAX: usize = 64 << 10;

/// What other systems call columns of accounts and of names.
const ACCOUNTS: &[&str] =
    &["account", "acct", "card", "账号", "帐号", "账户", "帐户", "卡号", "证件", "身份证"];
const NAMES: &[&str] = &["payee", "payer", "holder", "户名", "姓名", "收款人", "付款人", "领款人"];

/// A record and what is said of it. Whatever is masked in the record is masked in that too.
#[must_use]
pub(crate) fn masked(raw: &str, said: &str) -> (String, String) {
    let parsed = || serde_json::from_str::<Map<String, Value>>(raw).ok();
    let Some(record) = Some(raw).filter(|raw| raw.len() <= PARSED_MAX).and_then(|_| parsed()) else {
        return (looked_at(raw), quotes(said, looked_at));
    };
    let before = Value::Object(record);
    let mut after = before.clone();
    hide(&mut after, None);
    let mut replacements = Vec::new();
    changed(&before, &after, &mut replacements);
    replacements.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    let known =
        |text: &str| replacements.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    leaves(&mut after, &|text| *text = known(text));
    (after.to_string(), quotes(&known(said), looked_at))
}

/// Words in Chinese that look like the name of a person are taken out wherever they stand, and long numbers.
fn looked_at(text: &str) -> String {
    let words = text.split(|c: char| c.is_ascii() || !c.is_alphabetic());
    let mut names: Vec<(&str, String)> = words.map(|word| (word, name::masked_owner(word))).collect();
    names.retain(|(word, masked)| word != masked && word.chars().count() > 1);
    names.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    names.dedup();
    let text = names.iter().fold(text.to_owned(), |text, (word, masked)| text.replace(word, masked));
    number::masked_within(&text, &[], &[], NumberTail::Shown)
}

/// What stands in quotes in a sentence of ours, masked; our own words are nobody's name.
fn quotes(said: &str, masked: impl Fn(&str) -> String) -> String {
    let parts = said.split('"').enumerate();
    let parts = parts.map(|(at, part)| if at % 2 == 1 { masked(part) } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("\"")
}

/// What a column of a record may hold, by its name here or by what other systems call it.
fn kind(column: &str) -> PersonalKind {
    let lower = column.to_lowercase();
    let is_of = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    PersonalKind::of_column(column).unwrap_or_else(|| match (is_of(ACCOUNTS), is_of(NAMES)) {
        (true, _) => PersonalKind::ACCOUNT,
        (_, true) => PersonalKind::NAME,
        _ => PersonalKind::TEXT,
    })
}

/// Masks a value that stands in this column, and whatever is in it.
fn hide(value: &mut Value, column: Option<&str>) {
    let kind = column.map_or(PersonalKind::TEXT, kind);
    match value {
        Value::Object(object) => {
            event::mask(object);
            for (column, value) in object.iter_mut() {
                // What the dictionary knows is masked as a text; whoever sent it may have sent something else.
                if !value.is_string() || PersonalKind::of_column(column).is_none() {
                    hide(value, Some(column));
                }
                // Columns may have been shifted: in one of numbers or of few words any text is somebody's.
                if let Value::String(text) = value
                    && field(column)
                        .is_some_and(|(_, spec)| !matches!(spec.kind, FieldKind::Text(_) | FieldKind::Time))
                {
                    *text = looked_at(text);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, column)),
        Value::Number(number) if kind.has(PersonalKind::ACCOUNT) => {
            *value = number::masked(&number.to_string(), NumberTail::Shown).into();
        }
        Value::String(text) if kind.has(PersonalKind::ACCOUNT) => {
            *text = number::masked(text, NumberTail::Shown);
        }
        Value::String(text) if kind.has(PersonalKind::NAME) => *text = name::masked_owner(text),
        Value::String(text) if !kind.is_ordinary() => *text = looked_at(text),
        _ => {}
    }
}

/// What was masked, and how it reads now.
fn changed(before: &Value, after: &Value, found: &mut Vec<(String, String)>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            before.iter().for_each(|(column, value)| changed(value, &after[column], found));
        }
        (Value::Array(before), Value::Array(after)) => {
            before.iter().zip(after).for_each(|(before, after)| changed(before, after, found));
        }
        (Value::String(from), Value::String(to)) if from != to && from.chars().count() > 1 => {
            found.push((from.clone(), to.clone()));
        }
        (Value::Number(from), Value::String(to)) => found.push((from.to_string(), to.clone())),
        _ => {}
    }
}

fn leaves(value: &mut Value, change: &impl Fn(&mut String)) {
    match value {
        Value::Object(object) => object.values_mut().for_each(|value| leaves(value, change)),
        Value::Array(items) => items.iter_mut().for_each(|item| leaves(item, change)),
        Value::String(text) => change(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_that_can_be_read_is_masked_by_its_columns() {
        let raw = r#"{"event_id":"2026000000000987","payee_name":"Xu Ming","payee_type":"person","payee_account":"62220","amount":"a lot","note":"to Xu Ming","payer_account":3301016,"nested":{"收款人账号":"7788","收款人全称":"王小明"}}"#;
        let (text, said) = masked(raw, "payee_account \"62220\" of \"Xu Ming\" is too short");
        let expected = r#"{"event_id":"2026000000000987","payee_name":"X***","payee_type":"person","payee_account":"****","amount":"a lot","note":"to X***","payer_account":"****","nested":{"收款人账号":"****","收款人全称":"王**"}}"#;
        assert_eq!(text, expected);
        assert_eq!(said, "payee_account \"****\" of \"X***\" is too short");
    }

    #[test]
    fn words_that_were_refused_say_nothing_of_who_is_meant() {
        for owner in ["个人", "PERSON", " person ", "null"] {
            let raw = format!(r#"{{"payee_name":"皇甫嵩山","payee_type":"{owner}"}}"#);
            let (text, _) = masked(&raw, "");
            assert!(!text.contains("皇甫嵩山"), "{text}");
        }
        let shifted = r#"{"fiscal_year":"6222020000007788","settlement":"皇甫嵩山","amount":"王小明","occurred_at":"2026-03-05"}"#;
        let (text, _) = masked(shifted, "");
        assert_eq!(
            text,
            r#"{"fiscal_year":"****7788","settlement":"皇***","amount":"王**","occurred_at":"2026-03-05"}"#
        );
    }

    #[test]
    fn what_cannot_be_read_is_masked_by_its_looks() {
        let (text, said) = masked(
            "{\"payee_name\":\"王小明\",\"payee_account\":\"6222021202000012345\"",
            "金额 has no end after \"王小明\"",
        );
        assert_eq!(text, "{\"payee_name\":\"王**\",\"payee_account\":\"****2345\"");
        assert_eq!(said, "金额 has no end after \"王**\"");
    }

    proptest! {
        /// Whatever column an account stands in that tells of one, and however it is nested, it is not shown.
        #[test]
        fn no_account_is_shown(account in "[1-9][0-9]{5,18}", column in "(payee_account|CARD_NO|收款账号)", depth in 0usize..4) {
            let mut value = serde_json::json!({ column: account.clone() });
            for _ in 0..depth {
                value = serde_json::json!({ "rows": [value] });
            }
            let (text, said) = masked(&value.to_string(), &format!("the value {account} is wrong"));
            prop_assert!(!text.contains(&account) && !said.contains(&account), "{text} {said}");
        }
    }
}
