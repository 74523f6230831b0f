//! 个人信息: what a value tells of a person. A column of an event, a budget line or a list has a kind; what rules make of
//! columns has the kinds of its sources (`rule/personal.rs`), so that sinks can mask it (`notify/mask.rs`).

pub(crate) mod event;
pub(crate) mod name;
pub(crate) mod number;
pub(crate) mod record;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a value may hold, as a set; nothing is an ordinary value: a code, an id of ours, an amount, a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonalKind(u8);

/// The words of a stored kind, by bit.
const WORDS: [&str; 6] = ["account", "name", "text", "list", "mixed", "typed"];

impl PersonalKind {
    pub(crate) const ORDINARY: Self = Self(0);
    /// An account, a card, an identity number, or a part of one.
    pub const ACCOUNT: Self = Self(1);
    /// A name that may be a natural person's.
    pub const NAME: Self = Self(1 << 1);
    /// Text as people write it, with whatever they put into it.
    pub const TEXT: Self = Self(1 << 2);
    /// Several whole values one after another.
    pub const LIST: Self = Self(1 << 3);
    /// Parts of several values in one text, or a value within other words.
    pub const MIXED: Self = Self(1 << 4);
    /// A name whose owner's type stands in `payee_type` beside it.
    pub const TYPED: Self = Self(1 << 5);
    /// What another rule made of an event, in words or as JSON: anything may be in it.
    pub const ANYTHING: Self = Self(0b1_0111);
    /// A column of which nothing is known: a name or a text, but no account by itself, or every number would be one.
    pub const UNKNOWN: Self = Self(0b1_0110);

    /// What is in one or the other.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is left without the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether any of the other's is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is nothing personal in it.
    #[must_use]
    pub const fn is_ordinary(self) -> bool {
        self.0 == 0
    }

    /// The kind of a column of the data dictionary, or one of the same name elsewhere (`budget.*`, `original.*`, tables of
    /// schedules); `None` if the dictionary has no such column.
    #[must_use]
    pub fn of_column(name: &str) -> Option<Self> {
        match name.rsplit('.').next().unwrap_or(name) {
            "payee_name" if !name.contains('.') => Some(Self::NAME.and(Self::TYPED)),
            "payee_name" | "actual_payee_name" | "payer_name" => Some(Self::NAME),
            // A beneficiary's id is a card's or an identity card's number.
            "payer_account" | "payee_account" | "actual_payee_account" | "account" | "beneficiary_id" => {
                Some(Self::ACCOUNT)
            }
            "purpose" | "reason" | "indicator_name" | "tags" => Some(Self::TEXT),
            // Our ids and codes, and those of contracts and invoices: officers find a case by them.
            other => crate::event::schema::field(other).map(|_| Self::ORDINARY),
        }
    }
}

impl fmt::Display for PersonalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = WORDS.iter().enumerate().filter(|(bit, _)| self.0 & 1 << bit != 0).map(|(_, word)| *word);
        f.write_str(&words.collect::<Vec<_>>().join("+"))
    }
}

impl Serialize for PersonalKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PersonalKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bit = |word: &str| match WORDS.iter().position(|known| *known == word) {
            Some(bit) => Self(1 << bit),
            // A word of a later version hides more than it shows.
            None => Self::ANYTHING,
        };
        Ok(text.split('+').filter(|word| !word.is_empty()).map(bit).fold(Self::ORDINARY, Self::and))
    }
}

/// The kinds of a rule's columns, by name; those that are not there are ordinary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kinds(BTreeMap<String, PersonalKind>);

impl Kinds {
    /// Adds what a column may hold.
    pub fn add(&mut self, column: &str, kind: PersonalKind) {
        if !kind.is_ordinary() {
            let known = self.0.entry(column.to_owned()).or_default();
            *known = known.and(kind);
        }
    }

    /// Adds what another version of the rule put into its columns.
    pub fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|(column, kind)| self.add(column, *kind));
    }

    /// The kind of a column.
    #[must_use]
    pub fn of(&self, column: &str) -> PersonalKind {
        self.0.get(column).copied().unwrap_or_default()
    }

    /// The columns that are not ordinary.
    pub fn iter(&self) -> impl Iterator<Item = (&str, PersonalKind)> {
        self.0.iter().map(|(column, kind)| (column.as_str(), *kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::schema::{FIELDS, FieldKind};

    /// A new text column must be looked at before it is taken for a code.
    #[test]
    fn every_column_of_text_has_a_kind() {
        let ordinary = "event_id budget_line_id to_budget_line_id region_code unit_code unit_name function_code \
            economic_code project_code fund_type currency contract_no invoice_no procurement_no bond_code application_id \
            original_event_id indicator_id bank_ref";
        let texts = FIELDS.iter().filter(|f| matches!(f.kind, FieldKind::Text(_) | FieldKind::Tags));
        for field in texts {
            let kind = PersonalKind::of_column(field.name).unwrap();
            let known = ordinary.split_whitespace().any(|name| name == field.name);
            assert_eq!(kind.is_ordinary(), known, "{}: say in `Kind::of_column` what it holds", field.name);
        }
        assert_eq!(PersonalKind::of_column("original.payee_account"), Some(PersonalKind::ACCOUNT));
        assert_eq!(PersonalKind::of_column("budget.total"), None);
        assert_eq!(PersonalKind::of_column("known"), None);
    }

    #[test]
    fn kinds_are_stored_in_words() {
        let mut kinds = Kinds::default();
        kinds.add("n", PersonalKind::ORDINARY);
        kinds.add("known", PersonalKind::NAME);
        kinds.add("known", PersonalKind::MIXED);
        kinds.add("paid_to", PersonalKind::ACCOUNT);
        let text = serde_json::to_string(&kinds).unwrap();
        assert_eq!(text, r#"{"known":"name+mixed","paid_to":"account"}"#);
        assert_eq!(serde_json::from_str::<Kinds>(&text).unwrap(), kinds);
        assert_eq!(serde_json::from_str::<PersonalKind>("\"face\"").unwrap(), PersonalKind::ANYTHING);
    }
}
