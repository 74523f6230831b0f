//! What an asker is told, as it is stored and shown.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{DecisionMode, Overridden, Verdict};
use crate::{
    event::Cents,
    finding::{Finding, Handling, Severity},
};

/// The answer about one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// The application.
    pub event_id: String,
    /// What is answered.
    pub decision: Verdict,
    /// Whether it has consequences.
    pub mode: DecisionMode,
    /// Whether this is the answer of an earlier time, to the same application.
    #[serde(default)]
    pub replayed: bool,
    /// When it was decided, RFC 3339.
    #[schema(format = DateTime)]
    pub decided_at: String,
    /// The event time of the application, RFC 3339.
    #[schema(format = DateTime)]
    pub occurred_at: String,
    /// The line that it is on.
    pub budget_line_id: String,
    /// Its amount.
    pub amount: String,
    /// The live rules that hold, the gravest first.
    pub reasons: Vec<DecisionReason>,
    /// Why it is not allowed, beside the rules: other applications that it is decided together with, or sources that are
    /// too far behind.
    pub also: Reasons,
    /// The line before it.
    pub before: Funds,
    /// The line after it, while it reserves money.
    pub after: Funds,
    /// The groups of lines that the line is in, after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub groups: Vec<GroupFunds>,
    /// Of a blocked one the largest amount that would not be blocked; null if none would.
    pub largest_amount: Option<String>,
    /// Live rules that say nothing yet.
    pub not_evaluated: Vec<NotEvaluated>,
    /// How far behind each source is.
    pub sources: Vec<Lag>,
    /// The digest of the rules in force.
    pub rules_digest: String,
    /// Until when it reserves money, by event time, RFC 3339; null if until it is paid or withdrawn.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Who asked; empty if nobody said who they are.
    #[serde(default)]
    pub asked_by: String,
    /// A digest of what the application is about: all of it but its id, its times and its amount.
    #[serde(default)]
    pub subject: String,
    /// The override by which it passed what would have blocked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub overridden: Option<Overridden>,
    /// 未经事前校验: the money moved before this was asked, because nobody answered. Blocked or not, it is in the books.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub unchecked: bool,
    /// Whether it still reserves money: it was neither paid nor withdrawn. Only where decisions are shown later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub reserves: Option<bool>,
}

/// Why an application is not allowed, beside the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DecisionReasons)]
pub struct Reasons {
    /// What is known is too old (`decide.max_staleness`).
    pub stale: bool,
    /// Another application of the same request is blocked, and they are decided together.
    pub together_with: Option<String>,
}

/// A rule that holds for an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DecisionReason)]
pub struct DecisionReason {
    /// The rule.
    pub rule_id: String,
    /// Its title.
    pub title: String,
    /// Its severity.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// Its handling.
    #[schema(value_type = String)]
    pub handling: Handling,
    /// The sentence, with personal data masked.
    pub summary: String,
    /// The values that the condition and the sentence name, with personal data masked.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// The condition.
    pub when: String,
    /// What the condition joins by `and`, each with the values that it compares; all of them hold.
    #[serde(default)]
    pub conjuncts: Vec<DecisionConjunct>,
    /// What it is based on.
    pub basis: Option<String>,
    /// The finding that is stored of it.
    pub finding_id: String,
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionConjunct {
    /// As the rule has it.
    pub text: String,
    /// The values of the columns, measures and parameters that it names, with personal data masked.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
}

impl DecisionReason {
    /// The reason of a finding, by a rule with this title, condition and basis.
    #[must_use]
    pub fn new(finding: &Finding, title: &str, when: &str, basis: Option<&str>) -> Self {
        Self {
            rule_id: finding.rule_id.clone(),
            title: title.to_owned(),
            severity: finding.severity,
            handling: finding.handling,
            summary: finding.summary.clone(),
            values: finding.values.clone(),
            when: when.to_owned(),
            conjuncts: Vec::new(),
            basis: basis.map(str::to_owned),
            finding_id: finding.finding_id.clone(),
        }
    }
}

/// What a line has; money with two decimals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DecisionFunds)]
pub struct Funds {
    /// 总额
    pub total: String,
    /// 已执行
    pub executed: String,
    /// 冻结
    pub frozen: String,
    /// 在途申请
    pub reserved: String,
    /// 可用
    pub available: String,
    /// 用款计划
    pub planned: String,
    /// 计划可用
    pub plan_available: String,
}

/// What a group of lines has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DecisionGroup)]
pub struct GroupFunds {
    /// The group, as the rules name it.
    pub group_id: String,
    /// The fiscal year, and what its lines have in common.
    pub key: String,
    /// How many lines it has.
    pub lines: u32,
    /// What it has after the application, while that reserves money.
    pub after: Funds,
}

impl Funds {
    /// Of these: total, executed, frozen, reserved, planned.
    #[must_use]
    pub fn new([total, executed, frozen, reserved, planned]: [Cents; 5]) -> Self {
        Self {
            total: total.to_string(),
            executed: executed.to_string(),
            frozen: frozen.to_string(),
            reserved: reserved.to_string(),
            available: (total - frozen - reserved - executed).to_string(),
            planned: planned.to_string(),
            plan_available: (planned - reserved - executed).to_string(),
        }
    }
}

/// A live rule that says nothing of an application yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DecisionNotEvaluated)]
pub struct NotEvaluated {
    /// The rule.
    pub rule_id: String,
    /// `window`: it judges when its window closes; `schedule`: at its next tick; `error`: it failed.
    pub until: String,
}

/// How far behind a source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DecisionLag)]
pub struct Lag {
    /// Its name.
    pub source: String,
    /// The time of its latest event that is stored, RFC 3339; null if there is none yet.
    #[schema(format = DateTime)]
    pub latest_event_at: Option<String>,
    /// How long ago that is, in seconds.
    pub behind_seconds: Option<i64>,
}
