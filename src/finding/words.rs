//! The words of rules, findings and alerts that have an order or a consequence.

use serde::{Deserialize, Serialize};

/// 级别: how bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// 红
    Critical,
    /// 橙
    High,
    /// 黄
    Medium,
    /// 低, 蓝
    Low,
}

/// 处置: what is done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Handling {
    /// 拦截
    Block,
    /// 预警须说明
    Explain,
    /// 预警
    Warn,
    /// 提醒
    Remind,
    /// 记录: in the digest only
    Record,
}

/// Whether a rule runs, and whether anybody hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Mode)]
pub enum RuleMode {
    /// Findings are recorded and notified.
    Live,
    /// Findings are recorded; nobody is notified.
    Shadow,
    /// Checked, but not evaluated.
    Disabled,
}

macro_rules! words {
    ($type:ty, $($word:literal => $value:expr),+) => {
        impl $type {
            /// The words of the rule language.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, $value)),+];

            /// The word of the rule language.
            #[must_use]
            pub fn word(self) -> &'static str {
                Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
            }

            /// The value of a word, if there is one.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

pub(crate) use words;

words!(Severity, "critical" => Self::Critical, "high" => Self::High, "medium" => Self::Medium, "low" => Self::Low);
words!(Handling, "block" => Self::Block, "explain" => Self::Explain, "warn" => Self::Warn, "remind" => Self::Remind,
    "record" => Self::Record);
words!(RuleMode, "live" => Self::Live, "shadow" => Self::Shadow, "disabled" => Self::Disabled);

impl Severity {
    /// 0 for critical to 3 for low.
    #[must_use]
    pub const fn rank(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Findings and alerts are kept as JSON, and rows of the database have the words.
    #[test]
    fn json_has_the_words_and_takes_no_other() {
        for (word, severity) in Severity::WORDS {
            assert_eq!(serde_json::to_value(severity).unwrap(), *word);
            assert_eq!((severity.word(), Severity::parse(word)), (*word, Some(*severity)));
        }
        for (word, handling) in Handling::WORDS {
            assert_eq!(serde_json::to_value(handling).unwrap(), *word);
        }
        for (word, mode) in RuleMode::WORDS {
            assert_eq!(serde_json::to_value(mode).unwrap(), *word);
        }
        assert!(Severity::WORDS.iter().map(|(_, severity)| severity.rank()).eq(0..4));
        assert!(serde_json::from_str::<Severity>("\"grave\"").is_err() && Handling::parse("").is_none());
    }
}
