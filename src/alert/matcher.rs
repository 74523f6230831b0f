//! Matchers with Alertmanager's operators and meaning: `severity="critical"`, `unit_code=~"101.*"`. A regular
//! expression must match the whole value; a label that is not there is the empty value.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Labels;

use crate::{say, text::quoted};

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Matches,
    NotMatches,
}

const OPERATORS: [(&str, Operator); 4] = [
    ("=~", Operator::Matches),
    ("!~", Operator::NotMatches),
    ("!=", Operator::NotEqual),
    ("=", Operator::Equal),
];

/// Longest matcher in bytes, and the most memory its regular expression may take: matchers come from people over HTTP.
const MATCHER_MAX: usize = 1000;
const PROGRAM_BYTES_MAX: usize = 1 << 20;

/// One comparison of a label with a value or a pattern.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    operator: Operator,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// Parses `name operator value`; the value may be in double quotes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            say!("{text} is not a matcher: write name=\"value\", with =, !=, =~ or !~", text = quoted(text))
        };
        if text.len() > MATCHER_MAX {
            return Err(say!(
                "a matcher may have {most} bytes, this one has {bytes}",
                most = MATCHER_MAX,
                bytes = text.len()
            ));
        }
        let at = text.find(['=', '!']).ok_or_else(wrong)?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let (sign, operator) = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(wrong)?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')) {
            return Err(wrong());
        }
        let value = rest[sign.len()..].trim();
        let value = match value.strip_prefix('"') {
            Some(_) => serde_json::from_str(value).map_err(|_| wrong())?,
            // `a==b` is no matcher for the value `=b`; who means that puts it in quotes.
            None if value.starts_with(['=', '~', '!']) => return Err(wrong()),
            None => value.to_owned(),
        };
        Self::new(name, *operator, value)
    }

    fn new(name: &str, operator: Operator, value: String) -> Result<Self, String> {
        let regex = match operator {
            Operator::Matches | Operator::NotMatches => Some(whole(&value)?),
            _ => None,
        };
        Ok(Self { name: name.to_owned(), operator, value, regex })
    }

    /// Whether it matches. A label with several values equals a value if one of them does, and differs if none does.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let values = labels.values(&self.name);
        let any = |is: &dyn Fn(&str) -> bool| match values {
            [] => is(""),
            values => values.iter().any(|value| is(value)),
        };
        match (self.operator, &self.regex) {
            (Operator::Equal, _) => any(&|value| value == self.value),
            (Operator::NotEqual, _) => !any(&|value| value == self.value),
            (Operator::Matches, Some(regex)) => any(&|value| regex.is_match(value)),
            (Operator::NotMatches, Some(regex)) => !any(&|value| regex.is_match(value)),
            // A regular expression is always there for these.
            (Operator::Matches | Operator::NotMatches, None) => false,
        }
    }

    /// The value that a label must have, for a matcher that is an equality.
    #[must_use]
    pub fn equality(&self) -> Option<(&str, &str)> {
        (self.operator == Operator::Equal).then_some((&self.name, &self.value))
    }
}

/// A regular expression for a whole value, bounded in size.
fn whole(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PROGRAM_BYTES_MAX).build().map_err(|e| {
        say!("{pattern} is not a regular expression: {reason}", pattern = quoted(pattern), reason = wrong(&e))
    })
}

/// What is wrong with a regular expression, in our words: the library's show a text that nobody wrote.
fn wrong(error: &regex::Error) -> String {
    let said = error.to_string();
    match error {
        regex::Error::CompiledTooBig(_) => say!("it would take too much memory"),
        _ if said.contains("unclosed") => say!("a bracket is opened and not closed"),
        _ if said.contains("unopened") => say!("a bracket is closed and was not opened"),
        _ if said.contains("repetition operator missing") => {
            say!("there is nothing before a `*`, `+` or `?` to repeat")
        }
        _ => say!("its syntax is wrong"),
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = OPERATORS.iter().find(|(_, o)| *o == self.operator).map_or("=", |(sign, _)| sign);
        write!(f, "{}{sign}{}", self.name, serde_json::Value::from(self.value.as_str()))
    }
}

/// Matchers that must all match.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Matchers(pub Vec<Matcher>);

impl Matchers {
    /// Parses each.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| Matcher::parse(text)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether all match; none at all match everything.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }
}

impl TryFrom<Vec<String>> for Matchers {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        Self::parse(&texts)
    }
}

impl From<Matchers> for Vec<String> {
    fn from(matchers: Matchers) -> Self {
        matchers.0.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        let pairs = ["severity=high", "unit_code=101001", "tag=cash", "tag=monthly"];
        Labels::parse(&pairs.map(str::to_owned)).unwrap()
    }

    #[test]
    fn operators_mean_what_alertmanagers_mean() {
        let holds = [
            "severity=high",
            "severity = \"high\"",
            "severity!=low",
            "unit_code=~\"101.*\"",
            "unit_code=~\"101001|x\"",
            // The whole value, not a part of it.
            "unit_code!~\"101\"",
            // What is not there is empty.
            "region_code=\"\"",
            "region_code!~\".+\"",
            // One of several.
            "tag=cash",
            "tag=~month.*",
        ];
        let fails = ["severity=low", "tag!=cash", "tag!~month.*", "region_code!=\"\"", "unit_code=~\"101\""];
        for text in holds {
            assert!(Matcher::parse(text).unwrap().matches(&labels()), "{text}");
        }
        for text in fails {
            assert!(!Matcher::parse(text).unwrap().matches(&labels()), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_parsed_again() {
        for text in ["a=\"b \\\"c\\\"\"", "a!=\"\"", "a=~\"x|y\"", "a!~\"[0-9]+\""] {
            assert_eq!(Matcher::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in ["a==b", "a=!b", "a=~~b", "a!==b"] {
            assert!(Matcher::parse(text).is_err(), "{text}");
        }
        for text in
            ["", "severity", "=x", "a b=c", "a=~\"(\"", "a=\"open", "a=~\"(((a{1000}){1000}){1000})\""]
        {
            assert!(Matcher::parse(text).is_err(), "{text}");
        }
        for (pattern, told) in [
            ("(x", "opened and not closed"),
            ("[a", "opened and not closed"),
            ("x))", "was not opened"),
            ("*x", "nothing before"),
            ("(((a{1000}){1000}){1000})", "too much memory"),
            ("a{2,1}", "its syntax is wrong"),
        ] {
            let said = Matcher::parse(&format!("a=~\"{pattern}\"")).unwrap_err();
            assert!(said.contains(told) && !said.contains("regex"), "{pattern}: {said}");
        }
    }
}
