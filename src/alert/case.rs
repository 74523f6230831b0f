//! 办案: what officers know of an alert beside its state: by when it is to be done, what waits for a second officer, what
//! came of it in money, and which other alerts are the same matter.

use serde::{Deserialize, Serialize};

use super::{Action, state::words};
use crate::{
    event::{Cents, Instant, in_64_bits, money::parse_amount},
    finding::Finding,
    say,
    text::{self, Language},
};

/// What came of a case that is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Outcome)]
pub enum CaseOutcome {
    /// 追回资金: money came back; how much has to be said.
    MoneyReturned,
    /// 补齐材料: the papers that were missing are there.
    DocumentsSupplied,
    /// 调整预算: the budget was adjusted.
    BudgetAdjusted,
    /// 移送审计: audit goes on with it.
    HandedToAudit,
    /// 移送纪检监察: discipline inspection goes on with it.
    HandedToDiscipline,
    /// 无过错: nobody is at fault.
    NoFault,
}

words!(CaseOutcome,
    MoneyReturned => "money_returned", "追回资金";
    DocumentsSupplied => "documents_supplied", "补齐材料";
    BudgetAdjusted => "budget_adjusted", "调整预算";
    HandedToAudit => "handed_to_audit", "移送审计";
    HandedToDiscipline => "handed_to_discipline", "移送纪检监察";
    NoFault => "no_fault", "无过错";
);

/// What an officer proposed, and a second one has to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// `dismiss` or `close`.
    pub action: Action,
    pub(crate) by: String,
    pub(crate) at: Instant,
    pub(crate) why: String,
    /// The outcome that is proposed, of `close`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CaseOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "in_64_bits")]
    pub(crate) amount: Option<Cents>,
}

/// What is known of an alert as a case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// What it is about: the amounts of its events together, or the largest total of its windows.
    #[serde(skip_serializing_if = "Option::is_none", with = "in_64_bits")]
    pub amount: Option<Cents>,
    /// The last day for it to be over, `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// The first instant after that day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Instant>,
    /// Whether that it is past due was escalated.
    #[serde(skip_serializing_if = "is_false")]
    pub past_due_told: bool,
    /// What waits for a second officer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CaseOutcome>,
    /// What the outcome recovered or put right, in cents.
    #[serde(skip_serializing_if = "Option::is_none", with = "in_64_bits")]
    pub outcome_amount: Option<Cents>,
    /// The alert that goes on with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// The alerts that it goes on with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<String>,
    /// Whom remarks name by `@name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
pub(super) const fn is_false(value: &bool) -> bool {
    !*value
}

impl Case {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Counts what a finding is about.
    pub(super) fn count(&mut self, finding: &Finding) {
        let of = |name: &str| parse_amount(finding.values.get(name)?.as_str()?).ok();
        let Some(cents) = of("amount").or_else(|| of("total")) else { return };
        let known = self.amount.unwrap_or_default();
        // Windows of one rule and key overlap; events do not.
        self.amount = Some(if finding.event_id.is_some() { known + cents } else { known.max(cents) });
    }

    /// Adds whom a remark names.
    pub(super) fn mention(&mut self, named: &[String]) {
        for name in named {
            if self.mentions.len() < MENTIONS_MAX && !self.mentions.contains(name) {
                self.mentions.push(name.clone());
            }
        }
    }
}

/// What a change of the history says beside who and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Facts)]
pub struct ChangeFacts {
    /// Whose it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whose it is now; null if it was put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The last day for it to be over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Date)]
    pub due: Option<String>,
    /// What a second officer has to decide, or decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Action>,
    /// Who proposed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<String>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CaseOutcome>,
    /// The outcome's amount, such as `1200.00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// The other alert of a merge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// Whom a remark names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// The files that came with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileFact>,
}

/// A file that came with a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileFact {
    /// Its name, as whoever sent it calls it.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

impl ChangeFacts {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The most names that one alert keeps, and that one remark gives.
const MENTIONS_MAX: usize = 50;
/// The longest name that a remark gives, in characters.
const MENTION_CHARS: usize = 64;

/// Whom a text names by `@name`. What stands before the sign decides: `a@b.cn` is an address.
#[must_use]
pub(crate) fn mentions(text: &str) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    let mut before = None;
    for (at, sign) in text.char_indices() {
        let begins = sign == '@' && before.is_none_or(|c: char| !c.is_ascii_alphanumeric());
        before = Some(sign);
        if !begins {
            continue;
        }
        let rest = &text[at + 1..];
        let name: String = rest.chars().take_while(|c| is_of_name(*c)).take(MENTION_CHARS + 1).collect();
        let name = name.trim_end_matches('.').to_owned();
        let fits = (1..=MENTION_CHARS).contains(&name.chars().count());
        if fits && named.len() < MENTIONS_MAX && !named.contains(&name) {
            named.push(name);
        }
    }
    named
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Checks that an outcome and its amount belong together. Scripts of before cases had outcomes close without one.
///
/// # Errors
/// What is missing.
pub(super) fn check_outcome(
    outcome: Option<CaseOutcome>,
    amount: Option<Cents>,
    is_asked: bool,
) -> Result<(), String> {
    let words = || CaseOutcome::ALL.iter().map(|(_, word, _)| *word).collect::<Vec<_>>().join(", ");
    match outcome {
        None if is_asked => Err(say!(
            "say what came of it before it is closed (alerts.review.outcome): an outcome is one of {words}",
            words = words()
        )),
        None if amount.is_some() => Err(say!("say what came of it: an amount goes with an outcome")),
        Some(CaseOutcome::MoneyReturned) if amount.is_none_or(|amount| amount <= Cents::ZERO) => {
            Err(say!("say how much money was returned: the amount goes with this outcome"))
        }
        Some(CaseOutcome::NoFault) if amount.is_some_and(|amount| amount != Cents::ZERO) => {
            Err(say!("where nothing was wrong no amount came of it: leave it out, or name another outcome"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_names_people_and_no_addresses() {
        let named = |text: &str| mentions(text).join(" ");
        assert_eq!(named("@王芳 请看附件，@li.lei: 谢谢"), "王芳 li.lei");
        assert_eq!(named("（@王芳）@王芳。@ @"), "王芳");
        assert_eq!(named("write to a@b.cn"), "");
        assert_eq!(named("see @zhang."), "zhang");
        assert_eq!(mentions(&format!("@{}", "x".repeat(65))), [] as [String; 0]);
        let many = (0..99).map(|n| format!("@u{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(mentions(&many).len(), MENTIONS_MAX);
    }

    #[test]
    fn a_case_has_an_outcome_and_money_that_came_back_an_amount() {
        assert!(check_outcome(None, None, false).is_ok());
        assert!(check_outcome(None, None, true).unwrap_err().contains("money_returned"));
        assert!(
            check_outcome(None, Some(Cents::new(1)), false).unwrap_err().contains("goes with an outcome")
        );
        assert!(check_outcome(Some(CaseOutcome::MoneyReturned), None, false).is_err());
        assert!(check_outcome(Some(CaseOutcome::MoneyReturned), Some(Cents::new(0)), false).is_err());
        assert!(check_outcome(Some(CaseOutcome::MoneyReturned), Some(Cents::new(1)), false).is_ok());
        assert!(check_outcome(Some(CaseOutcome::NoFault), None, false).is_ok());
    }
}
