//! 监控规则: rules as people write them, parsed and checked.

pub(crate) mod agreed;
mod asks;
pub(crate) mod budget_part;
pub(crate) mod caps;
pub mod compile;
mod digest;
mod exact;
mod expression;
mod group;
pub mod ids;
mod instants;
pub(crate) mod limits;
pub(crate) mod load;
pub mod locality;
pub mod manifest;
pub(crate) mod measure;
mod never;
pub(crate) mod pack;
pub(crate) mod parse;
pub(crate) mod parts;
mod personal;
pub(crate) mod plan;
pub(crate) mod probe;
pub mod query;
mod reads;
mod session;
mod set;
pub(crate) mod share;
pub mod template;
pub(crate) mod window;

use std::sync::Arc;

use saphyr_parser::Span;
use serde::Serialize;
use serde_json::Value;

use crate::{event::Instant, finding::words, yaml::Placed};

pub use crate::{
    finding::{Handling, RuleMode, Severity},
    text::Language,
};

use window::View;

pub use asks::with_lists;
pub use group::{CompiledGroup, Group};
pub use ids::{ById, ColumnId, Id, RuleId, WindowId};
pub use load::{LoadedFile, load, load_without};
pub use set::RuleSet;

/// How ripe a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Status)]
pub enum RuleStatus {
    /// May change without notice.
    Experimental,
    /// Settled.
    Stable,
    /// To be replaced.
    Deprecated,
}

words!(RuleStatus, "experimental" => Self::Experimental, "stable" => Self::Stable, "deprecated" => Self::Deprecated);

/// A text for users in one or two languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Text {
    /// 中文
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zh: Option<String>,
    /// English
    #[serde(skip_serializing_if = "Option::is_none")]
    pub en: Option<String>,
}

impl Text {
    /// The text in `language`, else in the other.
    #[must_use]
    pub fn get(&self, language: Language) -> &str {
        let (first, second) = match language {
            Language::Zh => (&self.zh, &self.en),
            Language::En => (&self.en, &self.zh),
        };
        first.as_deref().or(second.as_deref()).unwrap_or_default()
    }
}

/// 例外: findings that are known to be in order.
#[derive(Debug, Clone)]
pub struct Exception {
    /// Its name, for counts.
    pub name: String,
    pub(crate) when: Placed,
    /// Why it is in order.
    pub reason: String,
    /// The document that says so.
    pub basis: Option<String>,
    /// The instant from which it no longer holds, by event time.
    pub until: Option<Instant>,
    /// What people agreed on outside of the files, as the state has it; `None` of one that a file has.
    pub agreed: Option<agreed::Agreed>,
}

/// A constant of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    /// A whole number or an exact decimal, as written.
    Number(String),
    /// A text, compared as it is written.
    Text(String),
    /// true or false.
    Bool(bool),
    /// Several, for `in ($name)`.
    List(Vec<Param>),
}

impl Param {
    /// A value of the kind of this one, from JSON; a number may be a text.
    #[must_use]
    pub fn of_json(&self, value: &Value) -> Option<Self> {
        match (self, value) {
            (Self::Number(_), Value::String(text)) => exact(text).map(Self::Number),
            (Self::Number(_), Value::Number(number)) => exact(&number.to_string()).map(Self::Number),
            (Self::Text(_), Value::String(text)) => Some(Self::Text(text.clone())),
            (Self::Bool(_), Value::Bool(yes)) => Some(Self::Bool(*yes)),
            (Self::List(items), Value::Array(values)) => {
                let like = items.first()?;
                values.iter().map(|value| like.of_json(value)).collect::<Option<_>>().map(Self::List)
            }
            _ => None,
        }
    }

    /// As JSON, numbers as text.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Number(text) | Self::Text(text) => text.clone().into(),
            Self::Bool(value) => (*value).into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
        }
    }
}

/// A rule as its file says, before its expressions are compiled.
#[derive(Debug, Clone)]
pub struct Rule {
    /// kebab-case, unique.
    pub id: String,
    /// The name for people.
    pub title: Text,
    /// What it looks for and how to tune it.
    pub description: Text,
    /// How bad a finding is.
    pub severity: Severity,
    /// What is done about a finding.
    pub handling: Handling,
    /// Whether it runs, and whether anybody hears of it.
    pub mode: RuleMode,
    /// How ripe it is.
    pub status: RuleStatus,
    /// Free words for routing.
    pub tags: Vec<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The regulation or the reason.
    pub basis: Option<String>,
    /// Known ones, and how to tune.
    pub false_positives: Vec<String>,
    /// 例外
    pub exceptions: Vec<Exception>,
    /// Constants that expressions name, in their order.
    pub params: Vec<(String, Param)>,
    /// The columns that identify the alert.
    pub key: Vec<Placed>,
    /// The template of the notification line, by language.
    pub summary: Vec<(Language, Placed)>,
    /// The event types it is evaluated for, or that its windows hold, as [`crate::event::EventType::bit`]s.
    pub trigger: crate::event::TypeSet,
    /// The budget lines whose sums it compares with those of the event's line: `group.*`.
    pub group: Option<Arc<Group>>,
    /// What it looks at.
    pub view: View,
    /// The filter before the condition.
    pub filter: Option<Placed>,
    /// The condition in SQL, with its place in the file.
    pub when: Placed,
    /// Where the rule stands.
    pub span: Span,
}

fn exact(text: &str) -> Option<String> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
    text.parse::<rust_decimal::Decimal>().ok().filter(|_| is_plain).map(|_| text.to_owned())
}
