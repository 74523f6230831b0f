//! The currency that the books are kept in. Amounts in another one are not added to it.

use std::sync::Arc;

/// The one currency of all events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency(Arc<str>);

/// What feeds write for CNY: its names, its old code and its number in ISO 4217.
const RENMINBI: [&str; 5] = ["人民币", "人民币元", "RMB", "CNY", "156"];

impl Default for Currency {
    fn default() -> Self {
        Self(Arc::from("CNY"))
    }
}

impl Currency {
    /// The currency of an ISO 4217 code such as `CNY`; `None` if it is no such code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        let is_code = code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
        is_code.then(|| Self(Arc::from(code)))
    }

    /// Its code, as events have it.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0
    }

    /// Whether a feed means this currency.
    #[must_use]
    pub fn is_meant_by(&self, text: &str) -> bool {
        let words: &[&str] = if &*self.0 == "CNY" { &RENMINBI } else { &[] };
        text.eq_ignore_ascii_case(&self.0) || words.iter().any(|word| word.eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_currency_has_several_names() {
        let yuan = Currency::default();
        assert!(["CNY", "cny", "RMB", "人民币", "156"].iter().all(|text| yuan.is_meant_by(text)));
        assert!(!["USD", "EUR", "元?", "HKD", "840"].iter().any(|text| yuan.is_meant_by(text)));
        let euro = Currency::of("EUR").unwrap();
        assert!(euro.is_meant_by("eur") && !euro.is_meant_by("人民币") && !euro.is_meant_by("CNY"));
        assert!(["", "eur", "EURO", "€"].iter().all(|code| Currency::of(code).is_none()));
    }
}
