//! What people read, in their language: one table of texts.
//!
//! English stands in the code, in [`say!`](crate::say); Chinese stands in `zh/*.yaml` under the English text. The test
//! `texts` holds the two together: every text has its Chinese, with the same placeholders, and none is left over.

mod phrases;
mod thousands;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt::Display,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize};

pub use phrases::{did_you_mean, hex, quoted};
pub(crate) use thousands::thousands;

/// The languages that texts for users are written in.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// 中文
    #[default]
    Zh,
    /// English
    En,
}

impl Language {
    /// What is said in it, of what is said in both.
    pub(crate) fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// By its word, `zh` or `en`.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "zh" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// Its word in options and files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }
}

/// The Chinese of the texts in code, a file a room: flat YAML, the English text as key.
const CHINESE: [&str; 10] = [
    include_str!("zh/access.yaml"),
    include_str!("zh/api.yaml"),
    include_str!("zh/approvals.yaml"),
    include_str!("zh/commands.yaml"),
    include_str!("zh/configuration.yaml"),
    include_str!("zh/databases.yaml"),
    include_str!("zh/files.yaml"),
    include_str!("zh/replica.yaml"),
    include_str!("zh/rules.yaml"),
    include_str!("zh/service.yaml"),
];

/// Whether this process speaks Chinese to its user. Set once, when the command line is read.
static CHINESE_SPOKEN: AtomicBool = AtomicBool::new(false);

/// Sets the language of this process for its user.
pub fn speak(language: Language) {
    CHINESE_SPOKEN.store(language == Language::Zh, Ordering::Relaxed);
}

/// The language of this process for its user; English until [`speak`] says otherwise.
#[must_use]
pub fn spoken() -> Language {
    if CHINESE_SPOKEN.load(Ordering::Relaxed) { Language::Zh } else { Language::En }
}

/// Every text that has a Chinese form, by its English.
///
/// # Panics
/// If a file of the table is not flat YAML; the test `texts` reads them all.
#[must_use]
pub fn table() -> &'static HashMap<String, String> {
    static TABLE: OnceLock<HashMap<String, String>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let read = |file: &&str| -> HashMap<String, String> {
            serde_saphyr::from_str::<Option<_>>(file)
                .expect("the table of texts is flat YAML")
                .unwrap_or_default()
        };
        CHINESE.iter().flat_map(read).collect()
    })
}

/// `english` in `language`; English where the table has no other.
#[must_use]
pub fn translate(english: &str, language: Language) -> &str {
    match language {
        Language::En => english,
        Language::Zh => table().get(english).map_or(english, String::as_str),
    }
}

/// The text in the language that is spoken, with `{name}` replaced by the value of that name, and `{{` by a brace.
/// [`say!`](crate::say) is how it is called.
#[must_use]
pub fn fill(english: &'static str, values: &[(&str, &dyn Display)]) -> String {
    let mut rest = translate(english, spoken());
    let mut text = String::with_capacity(rest.len() + 16 * values.len());
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let name = rest[at..].strip_prefix('{').and_then(|inner| inner.split_once('}'));
        match name.and_then(|(name, after)| Some((values.iter().find(|(known, _)| *known == name)?.1, after)))
        {
            Some((value, after)) => {
                text.push_str(&value.to_string());
                rest = after;
            }
            // A doubled brace is one; a single one, or a name that nobody gave, stays as it is.
            None => {
                let doubled = rest[at + 1..].starts_with(&rest[at..=at]);
                text.push_str(&rest[at..=at]);
                rest = &rest[at + 1 + usize::from(doubled)..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// A text for users, in the language that is spoken: `say!("no rule {id} in {folder}", id, folder = path.display())`.
/// Values are shown as `Display` shows them.
#[macro_export]
macro_rules! say {
    ($english:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {
        $crate::text::fill($english, &[$((stringify!($name), &$crate::say!(@value $name $(= $value)?))),*])
    };
    (@value $name:ident = $value:expr) => { $value };
    (@value $name:ident) => { $name };
}

/// The names in braces of a text, sorted; what both languages must share.
#[must_use]
pub fn placeholders(text: &str) -> Vec<Cow<'_, str>> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            rest = after;
        } else if let Some((name, after)) = rest.split_once('}') {
            names.push(Cow::Borrowed(name));
            rest = after;
        }
    }
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_and_braces_kept() {
        let id = "over";
        assert_eq!(say!("rule {id}: {n} of {{x}} {other}", id, n = 1 + 2), "rule over: 3 of {x} {other}");
        assert_eq!(say!("nothing to fill"), "nothing to fill");
        assert_eq!(placeholders("{b} {{no}} {a}"), ["a", "b"]);
    }
}
