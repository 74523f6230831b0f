//! How much of persons is shown to whoever asks: accounts by their last characters and natural persons by their first one,
//! unless they may see more and ask for it. Each request that asks for it is recorded.

use serde_json::{Map, Value};

use super::{Problem, view::AlertView};
use crate::{
    alert::Alert,
    event::time::Calendar,
    finding::Finding,
    notify::mask::{masked_alert, masked_finding},
    personal::{
        event, name,
        number::{self, Tail},
    },
    rule::RuleSet,
    store::{Cases, StoreError},
};

/// The header of a request that asks for personal data as a whole. No link and no page of another site sets it.
pub const UNMASKED: &str = "x-unmasked";

/// What is shown of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lens {
    /// All.
    Whole,
    /// Ends of accounts, first characters of names.
    Masked,
}

/// Words in Chinese that look like the name of a person are taken out wherever they stand, and long numbers.
fn masked_raw(text: &str) -> String {
    let words = text.split(|c: char| c.is_ascii() || !c.is_alphabetic());
    let mut names: Vec<(&str, String)> = words.map(|word| (word, name::masked_owner(word))).collect();
    names.retain(|(word, masked)| word != masked && word.chars().count() > 1);
    names.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    names.dedup();
    let text = names.iter().fold(text.to_owned(), |text, (word, masked)| text.replace(word, masked));
    number::masked_within(&text, &[], &[], Tail::Shown)
}

impl Lens {
    /// An alert as it is shown.
    ///
    /// # Errors
    /// If the finding that its summary is of cannot be read.
    pub fn alert(self, alert: Alert, cases: &Cases, calendar: &Calendar) -> Result<AlertView, StoreError> {
        Ok(match self {
            Self::Whole => AlertView::new(&alert, calendar),
            Self::Masked => {
                let latest = cases.latest_finding(&alert.alert_id)?;
                AlertView::new(&masked_alert(alert, latest.into_iter().collect()).0, calendar)
            }
        })
    }

    /// Several of them.
    ///
    /// # Errors
    /// As for one.
    pub fn alerts(
        self,
        alerts: Vec<Alert>,
        cases: &Cases,
        calendar: &Calendar,
    ) -> Result<Vec<AlertView>, Problem> {
        let views = alerts.into_iter().map(|alert| self.alert(alert, cases, calendar));
        views.collect::<Result<_, _>>().map_err(Problem::from)
    }

    /// An alert and its findings.
    #[must_use]
    pub fn case(self, alert: Alert, findings: Vec<Finding>) -> (Alert, Vec<Finding>) {
        match self {
            Self::Whole => (alert, findings),
            Self::Masked => masked_alert(alert, findings),
        }
    }

    /// A finding of one of these rules, or of one that is no more.
    #[must_use]
    pub fn finding(self, finding: Finding, rules: &RuleSet) -> Finding {
        let rule = || rules.rules.iter().find(|rule| rule.rule.id == finding.rule_id);
        match self {
            Self::Whole => finding,
            Self::Masked => masked_finding(&finding, rule().map(|rule| &*rule.personal)),
        }
    }

    /// The columns of an event.
    pub fn event(self, event: &mut Map<String, Value>) {
        if self == Self::Masked {
            event::mask(event);
        }
    }

    /// A record as it came, of which nothing is known.
    #[must_use]
    pub fn raw(self, text: String) -> String {
        match self {
            Self::Whole => text,
            Self::Masked => masked_raw(&text),
        }
    }
}
