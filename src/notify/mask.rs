//! Personal data is masked before a notification is rendered, so that no template can tell it: account numbers but for
//! their last four digits, and names of natural persons but for their first character.

use serde_json::{Map, Value};

use super::{Notification, Told};
use crate::{alert::Labels, evaluate::Finding};

/// Columns that hold account numbers, or what is as good as one.
const ACCOUNTS: &[&str] = &["payer_account", "payee_account", "actual_payee_account", "beneficiary_id"];
/// Columns that may hold names of natural persons.
const NAMES: &[&str] = &["payee_name", "actual_payee_name"];

/// The notification without personal data.
#[must_use]
pub fn masked(notification: &Notification) -> Notification {
    let mut notification = notification.clone();
    let mut all = Replacements::default();
    for told in &mut notification.alerts {
        let replacements = Replacements::of(told);
        replacements.apply(told);
        all.extend(replacements);
    }
    notification.group = all.labels(&notification.group);
    if let Some(message) = &mut notification.message {
        *message = all.text(message);
    }
    notification
}

/// An account number with its last four digits alone.
#[must_use]
pub fn account(number: &str) -> String {
    let count = number.chars().count();
    let shown = if count > 8 { 4 } else { 0 };
    format!("****{}", number.chars().skip(count - shown).collect::<String>())
}

/// A name with its first character alone.
#[must_use]
pub fn name(name: &str) -> String {
    let mut characters = name.chars();
    let first: String = characters.next().into_iter().collect();
    format!("{first}{}", "*".repeat(characters.count().clamp(1, 3)))
}

/// What is replaced by what in the texts of an alert, longest first.
#[derive(Debug, Default)]
struct Replacements(Vec<(String, String)>);

impl Replacements {
    fn of(told: &Told) -> Self {
        let mut found = Self::default();
        found.look(&told.alert.key);
        for finding in &told.evidence {
            found.look(&finding.key);
            // A payee's type may be in the values while the name is in the key.
            let mut both = finding.values.clone();
            both.extend(finding.key.clone());
            found.look(&both);
        }
        found
    }

    fn look(&mut self, values: &Map<String, Value>) {
        let text = |column: &str| values.get(column).and_then(Value::as_str).filter(|text| !text.is_empty());
        for number in ACCOUNTS.iter().filter_map(|column| text(column)) {
            self.add(number, account(number));
        }
        for column in NAMES {
            let Some(payee) = text(column) else { continue };
            let is_person = match text("payee_type") {
                // The type is that of the payee asked for; who really got the money may be somebody else.
                Some(kind) if *column == "payee_name" => kind == "person",
                _ => looks_like_a_person(payee),
            };
            if is_person {
                self.add(payee, name(payee));
            }
        }
    }

    fn add(&mut self, from: &str, to: String) {
        if self.0.iter().all(|(known, _)| known != from) {
            self.0.push((from.to_owned(), to));
            self.0.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        }
    }

    fn extend(&mut self, other: Self) {
        other.0.into_iter().for_each(|(from, to)| self.add(&from, to));
    }

    fn text(&self, text: &str) -> String {
        long_numbers(&self.within(text))
    }

    fn within(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from.as_str(), to))
    }

    fn labels(&self, labels: &Labels) -> Labels {
        let mut masked = Labels::default();
        labels.iter().for_each(|(name, value)| masked.add(name, &self.exact(value)));
        masked
    }

    /// A value that is masked as a whole, or not at all: another column's may contain it by chance.
    fn exact(&self, value: &str) -> String {
        let known = self.0.iter().find(|(from, _)| from == value);
        known.map_or_else(|| value.to_owned(), |(_, to)| to.clone())
    }

    fn values(&self, values: &mut Map<String, Value>) {
        for (column, value) in values.iter_mut() {
            if let Value::String(text) = value {
                // Free text may repeat the payee's name or account.
                let free = column == "purpose" || column == "reason";
                *text = if free { self.within(text) } else { self.exact(text) };
            }
        }
    }

    fn apply(&self, told: &mut Told) {
        self.values(&mut told.alert.key);
        told.alert.labels = self.labels(&told.alert.labels);
        told.alert.summary = self.summary(&told.alert.summary, &told.evidence);
        let evidence = told.evidence.clone();
        for finding in &mut told.evidence {
            finding.summary = self.summary(&finding.summary, &evidence);
            self.values(&mut finding.key);
            self.values(&mut finding.values);
        }
    }

    /// A notification line. Where the values behind it are known, what is personal in it is known too.
    fn summary(&self, summary: &str, evidence: &[Finding]) -> String {
        match evidence.is_empty() {
            true => self.text(summary),
            false => self.within(summary),
        }
    }
}

/// Numbers in a text whose values are not known: 16 digits and more are taken for accounts and cards.
fn long_numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut digits = String::new();
    let flush = |digits: &mut String, masked: &mut String| {
        match digits.len() >= 16 {
            true => masked.push_str(&account(digits)),
            false => masked.push_str(digits),
        }
        digits.clear();
    };
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
        } else {
            flush(&mut digits, &mut masked);
            masked.push(character);
        }
    }
    flush(&mut digits, &mut masked);
    masked
}

/// Endings and words of organisations.
const ORGANISATIONS: &[&str] = &[
    "公司", "集团", "局", "院", "校", "厂", "店", "部", "所", "中心", "站", "社", "会", "室", "处", "队",
    "学", "馆", "户", "行", "园", "办", "委", "厅", "库", "场", "基金", "银行", "政府",
];
const ORGANISATION_WORDS: &[&str] = &[
    "ltd",
    "limited",
    "inc",
    "llc",
    "plc",
    "co",
    "corp",
    "company",
    "group",
    "bank",
    "school",
    "university",
    "hospital",
    "office",
    "bureau",
    "council",
    "trust",
    "association",
    "services",
    "gmbh",
    "and",
    "&",
    "the",
];

/// Whether a name whose owner's type is unknown may be a natural person's. In doubt it is.
fn looks_like_a_person(name: &str) -> bool {
    let name = name.trim();
    if name.is_ascii() {
        let words: Vec<_> =
            name.split_whitespace().map(|w| w.trim_matches(['.', ',']).to_lowercase()).collect();
        return words.len() <= 4 && !words.iter().any(|w| ORGANISATION_WORDS.contains(&w.as_str()));
    }
    let is_long = name.chars().count() > if name.contains('·') { 20 } else { 4 };
    !is_long && !ORGANISATIONS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notify::{Reason, sample::sample};
    use crate::rule::Language;

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

        let text = serde_json::to_string(&masked(&raw)).unwrap();
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
        let masked = masked(&raw);
        assert_eq!(masked.alerts[0].evidence[0].summary, "杭州某建设有限公司 330000241234567890123");
    }

    #[test]
    fn without_values_long_numbers_go() {
        let mut raw = sample(Reason::First, Language::Zh);
        raw.alerts[0].evidence.clear();
        raw.alerts[0].alert.summary = "账号 6222021202000012345 金额 60000.00".into();
        assert_eq!(masked(&raw).alerts[0].alert.summary, "账号 ****2345 金额 60000.00");
    }

    #[test]
    fn persons_and_organisations_are_told_apart() {
        for person in ["张三", "欧阳小明", "阿里木·买买提", "Jane Smith", "Smith, J."] {
            assert!(looks_like_a_person(person), "{person}");
        }
        for organisation in ["市教育局", "杭州某建设有限公司", "第一中学", "Acme Ltd.", "The Kings School"]
        {
            assert!(!looks_like_a_person(organisation), "{organisation}");
        }
        assert_eq!((account("12345678"), account("33010160006")), ("****".into(), "****0006".into()));
        assert_eq!((name("张三"), name("王"), name("")), ("张*".into(), "王*".into(), "*".into()));
    }
}
