//! How much of persons is shown to whoever asks: accounts by their last characters and natural persons by their first one,
//! unless they may see more and ask for it. Each request that asks for it is recorded.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Problem, view::AlertView};
use crate::{
    alert::{Alert, HistoryEntry},
    event::{Instant, time::Calendar},
    finding::Finding,
    lists::Lists,
    notify::mask::{masked_alert, masked_case, masked_finding},
    personal::{PersonalKind, event, record},
    rule::RuleSet,
    store::{Cases, StoreError},
};

/// The header of a request that asks for personal data as a whole. No link and no page of another site sets it.
pub(crate) const UNMASKED: &str = "x-unmasked";

/// What is shown of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lens {
    Whole,
    /// Ends of accounts, first characters of names.
    Masked,
}

impl Lens {
    /// An alert as it is shown.
    ///
    /// # Errors
    /// If the finding that its summary is of cannot be read.
    pub fn seen(self, alert: Alert, cases: &Cases) -> Result<Alert, StoreError> {
        Ok(match self {
            Self::Whole => alert,
            Self::Masked => {
                let latest = cases.latest_finding(&alert.alert_id)?;
                masked_alert(alert, latest.into_iter().collect()).0
            }
        })
    }

    /// An alert as it is answered.
    ///
    /// # Errors
    /// If the finding that its summary is of cannot be read.
    pub fn alert(self, alert: Alert, cases: &Cases, calendar: &Calendar) -> Result<AlertView, StoreError> {
        Ok(AlertView::new(&self.seen(alert, cases)?, calendar))
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

    /// An alert, its findings and its history.
    #[must_use]
    pub(crate) fn case(
        self,
        (alert, mut history, findings): (Alert, Vec<HistoryEntry>, Vec<Finding>),
    ) -> (Alert, Vec<HistoryEntry>, Vec<Finding>) {
        match self {
            Self::Whole => (alert, history, findings),
            Self::Masked => {
                let (alert, findings) = masked_case(alert, findings, &mut history);
                (alert, history, findings)
            }
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

    /// A row of a query, by what its columns are made of. In a text that people wrote, names cannot be told from the words
    /// around them without the event that it is of, so nothing of it is shown.
    pub fn cells(self, row: &mut [Value], kinds: &[PersonalKind]) {
        if self == Self::Whole {
            return;
        }
        for (value, kind) in row.iter_mut().zip(kinds) {
            match value {
                Value::Null => {}
                _ if kind.has(PersonalKind::TEXT.and(PersonalKind::MIXED)) => *value = "****".into(),
                _ => event::hide(value, *kind),
            }
        }
    }

    /// A record as it came, and what is said of it.
    #[must_use]
    pub fn record(self, raw: &str, said: &str) -> (String, String) {
        match self {
            Self::Whole => (raw.to_owned(), said.to_owned()),
            Self::Masked => record::masked(raw, said),
        }
    }
}

impl AlertView {
    /// With what its codes are called.
    #[must_use]
    pub(crate) fn named(mut self, lists: &Lists, at: Instant) -> Self {
        let of_key = self.key.iter().filter_map(|(column, value)| Some((column, value.as_str()?)));
        let of_labels = self
            .labels
            .iter()
            .flat_map(|(column, values)| values.iter().map(move |value| (column, &**value)));
        let mut names: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (column, code) in of_key.chain(of_labels) {
            if let Some(name) = lists.code_name(column, code, at) {
                names.entry(column.clone()).or_default().insert(code.to_owned(), name.to_owned());
            }
        }
        self.names = names;
        self
    }
}
