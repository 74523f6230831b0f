//! Personal data is masked before a notification is rendered, so that no template can tell it. What a column may hold was
//! found out when its rule was compiled (`personal/`), and stands in the alert; what is known to be personal is taken out
//! of every text around it too, and under that lies a net for long runs of digits.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::{
    alert::{Alert, HistoryEntry, Labels, Notification, NotifiedAlert, route::ALERT},
    finding::Finding,
    personal::{
        Kinds, PersonalKind, name,
        number::{self, NumberTail},
    },
    text::thousands,
};

/// Labels that are no columns.
const LABELS: &[&str] = &["rule", "severity", "handling", "tag", "owner", ALERT];
/// A longer list of what is ours would cost more than it tells.
const OURS_MAX: usize = 200;

/// The notification without personal data.
#[must_use]
pub(crate) fn masked(notification: &Notification, tail: NumberTail) -> Notification {
    let mut masked = notification.clone();
    let mut all = Secrets::new(tail);
    for told in &mut masked.alerts {
        let secrets = Secrets::of(told, tail);
        secrets.mask(told);
        all.replacements.extend(secrets.replacements);
        all.known.extend(secrets.known);
    }
    all.sort();
    let kind = |column: &str| {
        let kinds = notification.alerts.iter().map(|told| kind(&told.alert, column));
        kinds
            .reduce(PersonalKind::and)
            .unwrap_or_else(|| PersonalKind::of_column(column).unwrap_or(PersonalKind::UNKNOWN))
    };
    masked.group = all.labels(&notification.group, kind);
    masked.message = notification.message.as_deref().map(|message| all.free(message));
    masked
}

/// An alert and its latest findings without personal data. Its summary is that of the latest of them.
#[must_use]
pub(crate) fn masked_alert(alert: Alert, evidence: Vec<Finding>) -> (Alert, Vec<Finding>) {
    masked_case(alert, evidence, &mut [])
}

/// The same, and what people wrote in its history.
#[must_use]
pub(crate) fn masked_case(
    alert: Alert,
    evidence: Vec<Finding>,
    history: &mut [HistoryEntry],
) -> (Alert, Vec<Finding>) {
    let mut told = NotifiedAlert { alert, evidence };
    let secrets = Secrets::of(&told, NumberTail::Shown);
    for why in history.iter_mut().filter_map(|change| change.why.as_mut()) {
        *why = secrets.free(why);
    }
    secrets.mask(&mut told);
    (told.alert, told.evidence)
}

/// A finding without personal data. `kinds` is what its rule's columns may hold, if the rule is known.
#[must_use]
pub(crate) fn masked_finding(finding: &Finding, kinds: Option<&Kinds>) -> Finding {
    let kind = |column: &str| match kinds {
        Some(kinds) => kinds.of(column),
        None => PersonalKind::of_column(column).unwrap_or(PersonalKind::UNKNOWN),
    };
    let row = Row::of(finding);
    let secrets =
        Secrets::among(&[Row::of(finding)], kind, finding.event_id.as_deref().into_iter(), NumberTail::Shown);
    Finding {
        summary: secrets.free(&finding.summary),
        key: secrets.values(&finding.key, kind, row.owner()),
        values: secrets.values(&finding.values, kind, row.owner()),
        ..finding.clone()
    }
}

/// What a column of an alert may hold. An alert from before kinds were stored has names alone to go by.
fn kind(alert: &Alert, column: &str) -> PersonalKind {
    match &alert.personal {
        Some(kinds) => kinds.of(column),
        None => PersonalKind::of_column(column).unwrap_or(PersonalKind::UNKNOWN),
    }
}

/// What is personal around an alert, and what is not.
#[derive(Debug)]
struct Secrets {
    tail: NumberTail,
    /// What is replaced by what, the longest first.
    replacements: Vec<(String, String)>,
    /// The digits of accounts.
    known: Vec<String>,
    /// Ids, codes and amounts, which may look like accounts.
    ours: Vec<String>,
}

impl Secrets {
    fn new(tail: NumberTail) -> Self {
        Self { tail, replacements: Vec::new(), known: Vec::new(), ours: Vec::new() }
    }

    fn of(told: &NotifiedAlert, tail: NumberTail) -> Self {
        let kind = |column: &str| kind(&told.alert, column);
        let rows = std::iter::once(Row::of_key(&told.alert)).chain(told.evidence.iter().map(Row::of));
        let ids = told.evidence.iter().filter_map(|finding| finding.event_id.as_deref());
        let columns = told.alert.labels.iter().filter(|(name, _)| kind(name).is_ordinary());
        Self::among(&rows.collect::<Vec<_>>(), kind, ids.chain(columns.map(|(_, value)| value)), tail)
    }

    /// What is personal in these rows. `ours` are ids and codes around them.
    fn among<'o>(
        rows: &[Row<'_>],
        kind: impl Fn(&str) -> PersonalKind,
        ours: impl Iterator<Item = &'o str>,
        tail: NumberTail,
    ) -> Self {
        let mut found = Self::new(tail);
        // Whole values first: free text may have them in it.
        for free in [false, true] {
            for row in rows {
                for (column, value) in row.cells() {
                    let kind = kind(column);
                    if kind.has(PersonalKind::TEXT.and(PersonalKind::MIXED)) == free {
                        found.look(kind, value, row.owner());
                    }
                }
            }
            found.sort();
        }
        ours.for_each(|text| found.own(text));
        found.ours.sort_unstable();
        found.ours.dedup();
        found.ours.retain(|own| !found.known.contains(&number::digits(own)));
        found
    }

    fn look(&mut self, kind: PersonalKind, value: &Value, owner: Option<Owner>) {
        let text = match value {
            Value::String(text) if !text.is_empty() => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Array(items) => return items.iter().for_each(|item| self.look(kind, item, owner)),
            _ => return,
        };
        if kind.is_ordinary() {
            return list(&text).for_each(|text| self.own(text));
        }
        if kind.has(PersonalKind::LIST) && !kind.has(PersonalKind::TEXT.and(PersonalKind::MIXED)) {
            list(&text).for_each(|item| self.look(kind.without(PersonalKind::LIST), &item.into(), owner));
        }
        if is_number(kind, &text)
            && !kind.has(PersonalKind::LIST.and(PersonalKind::TEXT).and(PersonalKind::MIXED))
        {
            let digits = number::digits(&text);
            if let Some(grouped) = thousands(&digits) {
                self.replacements.push((grouped, number::masked(&digits, self.tail)));
            }
            self.known.push(digits);
        }
        let masked = self.text(kind, &text, owner);
        if masked != text && text.chars().count() > 1 {
            if text.is_ascii() && !is_number(kind, &text) {
                // Templates may change the case of a name.
                self.replacements.push((text.to_uppercase(), masked.to_uppercase()));
                self.replacements.push((text.to_lowercase(), masked.to_lowercase()));
            }
            self.replacements.push((text, masked));
        }
    }

    /// Something of ours, which stays where it stands by itself.
    fn own(&mut self, text: &str) {
        let long = |text: &str| number::digits(text).len() >= 4;
        if self.ours.len() < OURS_MAX && long(text) {
            let whole = text.split('.').next().unwrap_or(text);
            self.ours.extend(thousands(whole).map(|grouped| grouped + &text[whole.len()..]));
            self.ours.push(text.to_owned());
        }
    }

    fn sort(&mut self) {
        let mut seen = HashSet::new();
        self.replacements.retain(|(from, _)| seen.insert(from.clone()));
        self.replacements.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    }

    fn mask(&self, told: &mut NotifiedAlert) {
        let alert = &told.alert;
        let kinds = |column: &str| kind(alert, column);
        let labels = self.labels(&alert.labels, kinds);
        let key = self.values(&alert.key, kinds, Row::of_key(alert).owner());
        for finding in &mut told.evidence {
            let owner = Row::of(finding).owner();
            finding.summary = self.free(&finding.summary);
            finding.key = self.values(&finding.key, kinds, owner);
            finding.values = self.values(&finding.values, kinds, owner);
        }
        told.alert.summary = self.free(&told.alert.summary);
        if let Some(note) = told.alert.inquiry.as_mut().and_then(|letter| letter.note.as_mut()) {
            *note = self.free(note);
        }
        (told.alert.labels, told.alert.key) = (labels, key);
    }

    fn labels(&self, labels: &Labels, kind: impl Fn(&str) -> PersonalKind) -> Labels {
        let mut masked = Labels::default();
        for (name, value) in labels.iter() {
            match LABELS.contains(&name) {
                true => masked.add(name, value),
                false => masked.add(name, &self.text(kind(name), value, None)),
            }
        }
        masked
    }

    fn values(
        &self,
        values: &Map<String, Value>,
        kind: impl Fn(&str) -> PersonalKind,
        owner: Option<Owner>,
    ) -> Map<String, Value> {
        values
            .iter()
            .map(|(column, value)| (column.clone(), self.value(kind(column), value, owner)))
            .collect()
    }

    fn value(&self, kind: PersonalKind, value: &Value, owner: Option<Owner>) -> Value {
        match value {
            Value::String(text) => self.text(kind, text, owner).into(),
            Value::Number(number) if kind.has(PersonalKind::ACCOUNT) => {
                self.text(kind, &number.to_string(), owner).into()
            }
            Value::Array(items) => {
                items.iter().map(|item| self.value(kind.without(PersonalKind::LIST), item, owner)).collect()
            }
            other => other.clone(),
        }
    }

    fn text(&self, kind: PersonalKind, text: &str, owner: Option<Owner>) -> String {
        if kind.is_ordinary() || text.is_empty() {
            return self.exact(text);
        }
        if kind.has(PersonalKind::TEXT.and(PersonalKind::MIXED)) {
            let mut text = self.within(text);
            if kind.has(PersonalKind::ACCOUNT) {
                text = number::masked_words(&text, self.tail);
            }
            if kind.has(PersonalKind::NAME) {
                text = name::masked_words(&text);
            }
            return number::masked_within(&text, &self.known, &self.ours, self.tail);
        }
        if is_number(kind, text) {
            let one = |number: &str| number::masked(number, self.tail);
            return if kind.has(PersonalKind::LIST) {
                number::masked_list(text, self.tail)
            } else {
                one(text)
            };
        }
        let text = match owner.filter(|_| kind.has(PersonalKind::TYPED)) {
            Some(Owner::Person) => name::masked(text),
            Some(Owner::Organisation) => text.to_owned(),
            None if kind.has(PersonalKind::LIST) => name::masked_list(text),
            None => name::masked_owner(text),
        };
        number::masked_within(&text, &self.known, &self.ours, self.tail)
    }

    /// A value that is masked as a whole, or not at all: another column's may contain it by chance.
    fn exact(&self, value: &str) -> String {
        let known = self.replacements.iter().find(|(from, _)| from == value);
        known.map_or_else(|| value.to_owned(), |(_, to)| to.clone())
    }

    /// A text of which nothing but its surroundings is known.
    fn free(&self, text: &str) -> String {
        number::masked_within(&self.within(text), &self.known, &self.ours, self.tail)
    }

    fn within(&self, text: &str) -> String {
        self.replacements.iter().fold(text.to_owned(), |text, (from, to)| replaced(text, from, to))
    }
}

/// Short codes are replaced only where they stand by themselves: the account `1` is no part of the amount 100.
fn replaced(text: String, from: &str, to: &str) -> String {
    if !text.contains(from) {
        return text;
    }
    if !from.is_ascii() || from.len() >= number::RUN {
        return text.replace(from, to);
    }
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for (start, _) in text.match_indices(from) {
        let end = start + from.len();
        masked.push_str(&text[at..start]);
        masked.push_str(if number::stands_alone(&text, start, end) { to } else { from });
        at = end;
    }
    masked + &text[at..]
}

/// Whether a value of this kind is a number and no name.
fn is_number(kind: PersonalKind, text: &str) -> bool {
    kind.has(PersonalKind::ACCOUNT) && (!kind.has(PersonalKind::NAME) || number::digits(text).len() > 4)
}

/// The items of a list as a finding shows it.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '，', '、', ';', '；', '[', ']', '"']).map(str::trim).filter(|item| !item.is_empty())
}

/// Whose name it is, where the data say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Person,
    Organisation,
}

/// The columns of a finding or an alert's key.
struct Row<'r> {
    key: &'r Map<String, Value>,
    values: Option<&'r Map<String, Value>>,
}

impl<'r> Row<'r> {
    fn of_key(alert: &'r Alert) -> Self {
        Self { key: &alert.key, values: None }
    }

    fn of(finding: &'r Finding) -> Self {
        Self { key: &finding.key, values: Some(&finding.values) }
    }

    fn cells(&self) -> impl Iterator<Item = (&'r String, &'r Value)> {
        self.key.iter().chain(self.values.into_iter().flatten())
    }

    /// By `payee_type`; that of the payee asked for, as who really got the money may be somebody else.
    fn owner(&self) -> Option<Owner> {
        let (_, value) = self.cells().find(|(column, _)| *column == "payee_type")?;
        match value.as_str()? {
            "person" => Some(Owner::Person),
            "entity" | "self" => Some(Owner::Organisation),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
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
        let line = "此前户名都是 王小明，账号 6,222,021,202,000,012,345，凭证 2026000000000987 共 123,456,789,012.50 元";
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
}
