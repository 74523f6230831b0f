//! An event as it is shown: accounts but for their last four characters, the names of natural persons but for the first
//! one, and both wherever they stand in its texts.

use serde_json::{Map, Value};

use super::{
    Kinds, PersonalKind, name,
    number::{self, NumberTail},
};

/// Takes personal data out of an event, by the columns of the data dictionary.
pub(crate) fn mask(event: &mut Map<String, Value>) {
    let kinds: Vec<(String, PersonalKind)> =
        event.keys().filter_map(|column| Some((column.clone(), PersonalKind::of_column(column)?))).collect();
    // Any other word was refused, and says nothing of who is meant.
    let is_person = match event.get("payee_type").and_then(Value::as_str).map(str::trim) {
        Some("person") => Some(true),
        Some("entity" | "self") => Some(false),
        _ => None,
    };
    let ours: Vec<String> = kinds
        .iter()
        .filter(|(_, kind)| kind.is_ordinary())
        .filter_map(|(column, _)| event.get(column)?.as_str().map(str::to_owned))
        .filter(|text| number::digits(text).len() >= 4)
        .collect();
    // Whole values first: free text may have them in it.
    let (mut replacements, mut accounts) = (Vec::new(), Vec::new());
    for (column, kind) in
        kinds.iter().filter(|(_, kind)| kind.has(PersonalKind::ACCOUNT.and(PersonalKind::NAME)))
    {
        let Some(Value::String(text)) = event.get_mut(column) else { continue };
        let masked =
            match (kind.has(PersonalKind::ACCOUNT), is_person.filter(|_| kind.has(PersonalKind::TYPED))) {
                (true, _) => number::masked(text, NumberTail::Shown),
                (false, Some(true)) => name::masked(text),
                (false, Some(false)) => text.clone(),
                (false, None) => name::masked_owner(text),
            };
        if kind.has(PersonalKind::ACCOUNT) {
            accounts.push(number::digits(text));
        }
        if masked != *text && text.chars().count() > 1 {
            replacements.push((std::mem::replace(text, masked.clone()), masked));
        }
    }
    replacements.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    let free = |text: &str| {
        let text = replacements.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        number::masked_within(&text, &accounts, &ours, NumberTail::Shown)
    };
    for (column, _) in kinds.iter().filter(|(_, kind)| kind.has(PersonalKind::TEXT)) {
        match event.get_mut(column) {
            Some(Value::String(text)) => *text = free(text),
            Some(Value::Array(items)) => {
                for item in items {
                    if let Value::String(text) = item {
                        *text = free(text);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Takes personal data out of what a rule measured, by what is known of its measures; the columns of events are left.
pub(crate) fn mask_measures(values: &mut Map<String, Value>, kinds: &Kinds) {
    for (column, kind) in kinds.iter().filter(|(_, kind)| !kind.is_ordinary()) {
        if let Some(value) = values.get_mut(column) {
            hide(value, kind);
        }
    }
}

/// Takes personal data out of what a finding shows: its values, by what is known of its measures and by the data dictionary,
/// and the sentence that was made of them.
pub(crate) fn mask_finding(values: &mut Map<String, Value>, sentence: &mut String, kinds: &Kinds) {
    let before = values.clone();
    mask(values);
    // What is masked once has no digits left to show at another time.
    let measures = kinds.iter().filter(|(column, _)| PersonalKind::of_column(column).is_none());
    for (column, kind) in measures.filter(|(_, kind)| !kind.is_ordinary()) {
        if let Some(value) = values.get_mut(column) {
            hide(value, kind);
        }
    }
    let (mut replacements, mut ours) = (Vec::new(), Vec::new());
    for (column, value) in &before {
        for (text, masked) in texts(value).into_iter().zip(values.get(column).map(texts).unwrap_or_default())
        {
            match text == masked {
                true => ours.push(text.to_owned()),
                false if text.chars().count() > 1 => replacements.push((text, masked)),
                false => {}
            }
        }
    }
    replacements.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    let text = replacements.iter().fold(std::mem::take(sentence), |text, (from, to)| text.replace(from, to));
    ours.retain(|text| number::digits(text).len() >= 4);
    *sentence = number::masked_within(&text, &[], &ours, NumberTail::Shown);
}

/// The texts of a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Takes personal data out of one value, by what it may hold.
pub(crate) fn hide(value: &mut Value, kind: PersonalKind) {
    match value {
        _ if kind.is_ordinary() => {}
        Value::String(text) => {
            if kind.has(PersonalKind::ACCOUNT) {
                *text = number::masked_words(text, NumberTail::Shown);
            }
            if kind.has(PersonalKind::NAME) {
                *text = name::masked_words(text);
            }
            *text = number::masked_within(text, &[], &[], NumberTail::Shown);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, kind)),
        Value::Number(number) if kind.has(PersonalKind::ACCOUNT) => {
            *value = number::masked(&number.to_string(), NumberTail::Shown).into();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn measures_of_persons_are_masked_and_others_are_not() {
        let mut kinds = Kinds::default();
        kinds.add("names", PersonalKind::NAME.and(PersonalKind::LIST));
        kinds.add("accounts", PersonalKind::ACCOUNT.and(PersonalKind::LIST));
        kinds.add("purposes", PersonalKind::TEXT.and(PersonalKind::LIST));
        let Value::Object(mut values) = json!({
            "names": ["王小明", "杭州某公司"], "accounts": "[6222021202000012345]", "total": "123456789012.50", "n": 3,
            "purposes": ["订阅报刊杂志", "卡 6222021202000012345"],
        }) else {
            panic!("no object")
        };
        mask_measures(&mut values, &kinds);
        let expected = json!({
            "names": ["王**", "杭州某公司"], "accounts": "[****2345]", "total": "123456789012.50", "n": 3,
            "purposes": ["订阅报刊杂志", "卡 ****2345"],
        });
        assert_eq!(Value::Object(values), expected);
    }

    #[test]
    fn a_sentence_tells_no_more_than_its_values() {
        let mut kinds = Kinds::default();
        kinds.add("others", PersonalKind::NAME.and(PersonalKind::LIST));
        kinds.add("payee_account", PersonalKind::ACCOUNT);
        let Value::Object(mut values) = json!({
            "payee_name": "王小明", "payee_type": "person", "payee_account": "6222021202000012345", "others": ["李大钊"],
            "budget_line_id": "ZB20260000123456", "amount": "123456789012.50",
        }) else {
            panic!("no object")
        };
        let mut sentence = String::from(
            "指标 ZB20260000123456 向王小明（6222021202000012345）支付 123,456,789,012.50 元，同户另有李大钊，卡 6222 0212 0200 0099 999",
        );
        mask_finding(&mut values, &mut sentence, &kinds);
        assert_eq!(
            sentence,
            "指标 ZB20260000123456 向王**（****2345）支付 123,456,789,012.50 元，同户另有李**，卡 ****9999"
        );
        assert_eq!(values["payee_account"], "****2345");
    }

    fn masked(event: Value) -> Value {
        let Value::Object(mut event) = event else { panic!("no object") };
        mask(&mut event);
        event.into()
    }

    #[test]
    fn persons_and_accounts_are_masked_wherever_they_stand() {
        let event = masked(json!({
            "event_id": "2026000000000987", "payee_name": "欧阳小明", "payee_type": "person",
            "payee_account": "6222021202000012345", "payer_account": "33010160001", "amount": "60000.00",
            "purpose": "付欧阳小明劳务费，卡 6222 0212 0200 0012 345，凭证 2026000000000987",
            "actual_payee_name": "李四", "tags": ["欧阳小明"],
        }));
        let expected = json!({
            "event_id": "2026000000000987", "payee_name": "欧***", "payee_type": "person",
            "payee_account": "****2345", "payer_account": "****0001", "amount": "60000.00",
            "purpose": "付欧***劳务费，卡 ****2345，凭证 2026000000000987",
            "actual_payee_name": "李*", "tags": ["欧***"],
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn organisations_keep_their_names() {
        let event = masked(json!({"payee_name": "王小明", "payee_type": "entity", "unit_name": "教育局"}));
        assert_eq!(event, json!({"payee_name": "王小明", "payee_type": "entity", "unit_name": "教育局"}));
        assert_eq!(masked(json!({"payer_name": "杭州某公司"})), json!({"payer_name": "杭州某公司"}));
    }
}
