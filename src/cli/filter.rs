//! What lists of alerts and findings are narrowed by on the command line; the API has the same words.

use clap::{Args, builder::PossibleValuesParser};

use super::officer::{now, wrong_usage};
use crate::{
    config::Config,
    store::{ACTIVE, ANY, CaseFilter, CaseQuery, SORTS},
};

/// What a list is narrowed by.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterArgs {
    /// Only alerts that this officer has taken on
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only of this severity
    #[arg(long, value_parser = ["critical", "high", "medium", "low"])]
    severity: Option<String>,
    /// Only of this rule, by its id
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Only of this unit
    #[arg(long, value_name = "UNIT_CODE")]
    unit: Option<String>,
    /// Only of this budget line
    #[arg(long, value_name = "BUDGET_LINE_ID")]
    line: Option<String>,
    /// Only where a finding names this payee, or a part of its name or account
    #[arg(long, value_name = "TEXT")]
    payee: Option<String>,
    /// Only findings about this event
    #[arg(long, value_name = "EVENT_ID")]
    event: Option<String>,
    /// Only events from this time on: a local date, or RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "since")]
    from: Option<String>,
    /// Only events before this time; a date counts whole
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only events of so long a time before now, such as 7d or 24h
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Only alerts opened within so long a time before now, by the clock
    #[arg(long, value_name = "DURATION")]
    opened_since: Option<String>,
    /// Only findings whose amount, or whose window's total, is at least this
    #[arg(long, value_name = "AMOUNT")]
    min_amount: Option<String>,
    /// Only findings whose amount, or whose window's total, is at most this
    #[arg(long, value_name = "AMOUNT")]
    max_amount: Option<String>,
    /// Only where the rule's title or the summary has this text
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// What comes first
    #[arg(long, value_parser = SORTS, default_value = SORTS[0])]
    sort: String,
}

/// The words for states of alerts.
pub(crate) fn states() -> PossibleValuesParser {
    let words = crate::alert::State::ALL.iter().map(|(_, word, _)| *word);
    PossibleValuesParser::new([ACTIVE, ANY].into_iter().chain(words))
}

impl FilterArgs {
    /// The filter, and those in `state`, understood here.
    ///
    /// # Errors
    /// What is wrong with its words was said; the code to end with.
    pub(crate) fn wanted(
        &self,
        state: Option<&str>,
        more: CaseFilter,
        config: &Config,
    ) -> Result<CaseQuery, std::process::ExitCode> {
        let filter = self.filter(state, more);
        filter.understood(&config.calendar, now()).map_err(|message| wrong_usage(&message))
    }

    /// The filter as its words say it, which the API understands too.
    pub(crate) fn filter(&self, state: Option<&str>, more: CaseFilter) -> CaseFilter {
        CaseFilter {
            state: state.map(str::to_owned),
            owner: self.owner.clone(),
            severity: self.severity.clone(),
            rule: self.rule.clone(),
            unit: self.unit.clone(),
            line: self.line.clone(),
            payee: self.payee.clone(),
            event: self.event.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            since: self.since.clone(),
            opened_since: self.opened_since.clone(),
            min_amount: self.min_amount.clone(),
            max_amount: self.max_amount.clone(),
            text: self.text.clone(),
            sort: Some(self.sort.clone()),
            ..more
        }
    }
}
