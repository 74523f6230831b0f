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
mod tests;
