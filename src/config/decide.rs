//! What is asked before money moves.

use serde::{Deserialize, Serialize};

pub(crate) use super::raw::{OnUnavailable, WhenStale};
use super::resolve::Resolver;
use crate::{
    event::{
        Cents, TimeDelta,
        money::{MoneyError, parse_amount},
    },
    say,
    source::kafka::KafkaRequests,
    text::quoted,
};

/// How applications are decided.
#[derive(Debug, Clone)]
pub struct Decide {
    /// How long ago the latest event of a source may be; `None` if any age will do.
    pub max_staleness: Option<TimeDelta>,
    /// The sources that this holds for.
    pub sources: Vec<String>,
    /// What is answered beyond that.
    pub when_stale: WhenStale,
    /// What programs that ask are to do while nobody answers.
    pub on_unavailable: OnUnavailable,
    /// Applications that one request decides at most.
    pub applications_max: usize,
    /// Who lets blocked applications pass.
    pub overrides: Overrides,
    /// The topics that applications are decided over.
    pub kafka: Option<KafkaRequests>,
}

/// How blocked applications may pass.
#[derive(Debug, Clone, Copy)]
pub struct Overrides {
    /// Above which amount two people have to grant it.
    pub two_above: Cents,
    /// How long an override is good.
    pub lasts: TimeDelta,
    /// How long at most.
    pub lasts_max: TimeDelta,
}

/// Overrides: a blocked application passes once, because somebody answers for it.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OverridesSpec {
    /// Above this amount two people have to grant one, such as `'1000000.00'`.
    pub two_above: String,
    /// How long one is good if who grants it says nothing else.
    pub lasts: String,
    /// How long one may be good at most.
    pub lasts_max: String,
}

impl Default for OverridesSpec {
    fn default() -> Self {
        let [two_above, lasts, lasts_max] = ["1000000.00", "1d", "7d"].map(String::from);
        Self { two_above, lasts, lasts_max }
    }
}

impl Resolver<'_> {
    pub(super) fn overrides(&mut self, raw: &OverridesSpec) -> Overrides {
        let wrong = |why: MoneyError| {
            let text = quoted(&raw.two_above);
            say!("decide.overrides.two_above: {text} is no amount: {why}", text, why)
        };
        let two_above = match raw.two_above.trim() {
            // Nobody lets anything pass alone.
            "0" | "0.00" => Ok(Cents::ZERO),
            text => parse_amount(text).map_err(wrong),
        };
        let two_above = two_above.unwrap_or_else(|why| {
            self.problem(why);
            Cents::ZERO
        });
        let lasts = self.micros_from("decide.overrides.lasts", &raw.lasts, "1m");
        let lasts_max = self.micros_from("decide.overrides.lasts_max", &raw.lasts_max, &raw.lasts);
        Overrides { two_above, lasts, lasts_max }
    }
}
