//! 预算建议: what a year's lines would need, from what the three years before it executed. Pure and in whole cents: the same
//! ledger gives the same proposal.
//!
//! Each earlier year of a line is brought to the level of the last one by what all lines executed, and the mean of them grows
//! on by the trend of all lines, or by a driver that is named for it. A programme that missed its targets does not grow. Where
//! more is proposed than a cap allows, the cap is split by share, and its cents sum.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    event::{Cents, Ratio, in_millionths, money::format_cents},
    say,
};

/// Years that are looked back at.
pub(crate) const YEARS: i32 = 3;
/// Rates of growth are whole millionths.
const MILLION: i128 = 1_000_000;
/// A programme below this share of its target has missed it, in 10⁻¹⁸ as ratios are.
pub(crate) const MISSED: Ratio = Ratio::from_scaled(850_000_000_000_000_000);

/// What a line is of, besides its year: lines of several years with the same of all are one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LineKey {
    pub region_code: String,
    pub unit_code: String,
    pub function_code: String,
    pub economic_code: String,
    pub project_code: String,
    pub fund_type: String,
}

/// Which code drivers and caps are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CodeKind {
    Function,
    Class,
    Unit,
}

impl CodeKind {
    fn code(self, key: &LineKey) -> &str {
        match self {
            Self::Function => &key.function_code,
            Self::Class => &key.economic_code,
            Self::Unit => &key.unit_code,
        }
    }
}

/// What grows by how much, for codes that begin with a text; the empty one is all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Driver {
    pub name: String,
    /// Of a year, in whole millionths.
    #[serde(with = "in_millionths")]
    pub rate: Ratio,
    pub codes: String,
}

/// The most that lines may have together whose codes begin with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cap {
    pub codes: String,
    pub cents: Cents,
}

/// What is known of the years before.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// What lines executed, or will have by the forecast, by year.
    pub lines: BTreeMap<LineKey, BTreeMap<i32, Cents>>,
    pub units: BTreeMap<String, String>,
    /// Programmes that missed a target in the last year.
    pub missed: BTreeSet<String>,
    /// Years that were not over, so that forecasts stand for them.
    pub forecast: BTreeSet<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BudgetProposal {
    pub fiscal_year: i32,
    pub by: CodeKind,
    pub drivers: Vec<Driver>,
    /// The sum of the lines.
    pub sum: String,
    pub lines: Vec<ProposedLine>,
}

/// An amount, with why it is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProposedLine {
    #[serde(flatten)]
    pub key: LineKey,
    pub unit_name: String,
    /// What was executed, by year.
    pub executed: BTreeMap<i32, String>,
    pub amount: String,
    pub reason: String,
    #[serde(skip)]
    pub cents: Cents,
}

/// The columns of a file: names, and what people read.
pub(crate) const COLUMNS: [(&str, &str); 12] = [
    ("region_code", "财政区划"),
    ("unit_code", "单位编码"),
    ("unit_name", "单位名称"),
    ("function_code", "功能分类"),
    ("economic_code", "经济分类"),
    ("project_code", "项目编码"),
    ("fund_type", "资金性质"),
    ("executed_3", "前三年执行"),
    ("executed_2", "前两年执行"),
    ("executed_1", "上年执行"),
    ("amount", "建议数"),
    ("reason", "理由"),
];

impl ProposedLine {
    /// A row of a file, in the order of [`COLUMNS`].
    pub(crate) fn cells(&self, year: i32) -> [String; 12] {
        let LineKey { region_code, unit_code, function_code, economic_code, project_code, fund_type } =
            self.key.clone();
        let executed = |back: i32| self.executed.get(&(year - back)).cloned().unwrap_or_default();
        let name = self.unit_name.clone();
        let (amount, reason) = (self.amount.clone(), self.reason.clone());
        let years = [executed(3), executed(2), executed(1)];
        let [third, second, first] = years;
        [
            region_code,
            unit_code,
            name,
            function_code,
            economic_code,
            project_code,
            fund_type,
            third,
            second,
            first,
            amount,
            reason,
        ]
    }
}

/// Proposes a year.
///
/// # Errors
/// If sums are larger than can be computed with.
pub(crate) fn propose(
    past: &Past,
    year: i32,
    by: CodeKind,
    (drivers, caps): (&[Driver], &[Cap]),
) -> Result<BudgetProposal, String> {
    let trend = Trend::of(past, year);
    let mut lines = Vec::new();
    for (key, executed) in &past.lines {
        let executed: BTreeMap<i32, Cents> = executed
            .iter()
            .filter(|(of, _)| (year - YEARS..year).contains(of))
            .map(|(y, c)| (*y, *c))
            .collect();
        // What nobody spent last year is no line of the next one.
        if executed.get(&(year - 1)).is_none_or(|cents| *cents <= Cents::ZERO) {
            continue;
        }
        let mean = trend.mean(&executed)?;
        let code = by.code(key);
        let driver = drivers.iter().filter(|d| code.starts_with(&d.codes)).max_by_key(|d| d.codes.len());
        let mut rate = driver.map_or(trend.rate, |driver| driver.rate);
        let has_missed = past.missed.contains(&key.project_code) && rate > Ratio::default();
        if has_missed {
            rate = Ratio::default();
        }
        let cents = grown(mean, rate)?.max(Cents::ZERO);
        lines.push(ProposedLine {
            key: key.clone(),
            unit_name: past.units.get(&key.unit_code).cloned().unwrap_or_default(),
            executed: executed.iter().map(|(year, cents)| (*year, format_cents(*cents))).collect(),
            amount: String::new(),
            reason: reason((past, year), mean, (rate, driver), has_missed),
            cents,
        });
    }
    for cap in caps {
        let within: Vec<usize> =
            (0..lines.len()).filter(|at| by.code(&lines[*at].key).starts_with(&cap.codes)).collect();
        cut(&mut lines, &within, cap)?;
    }
    let sum = lines.iter().map(|line| line.cents).sum::<Cents>();
    lines.iter_mut().for_each(|line| line.amount = format_cents(line.cents));
    Ok(BudgetProposal { fiscal_year: year, by, drivers: drivers.to_vec(), sum: format_cents(sum), lines })
}

fn reason(
    (past, year): (&Past, i32),
    mean: Cents,
    (rate, driver): (Ratio, Option<&Driver>),
    has_missed: bool,
) -> String {
    let (last, mean, rate) = (year - 1, format_cents(mean), percent(rate));
    let mut text = say!("the years before are {mean} on average at the level of {last}", mean, last);
    text.push_str(&match driver {
        _ if has_missed => say!("; no growth, because the programme missed a target"),
        Some(driver) => say!("; {rate} for {name}", rate, name = driver.name),
        None => say!("; {rate} as all lines together", rate),
    });
    if past.forecast.contains(&last) {
        text.push_str(&say!("; {last} is not over and stands with its forecast", last));
    }
    text
}

/// A percentage with a sign, of whole millionths.
pub(crate) fn percent(ratio: Ratio) -> String {
    let millionths = ratio.as_millionths();
    let sign = if millionths < 0 { '-' } else { '+' };
    let text = crate::event::money::format_scaled(millionths.abs(), 4);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{sign}{text} %")
}

/// What all lines did.
struct Trend {
    sums: BTreeMap<i32, Cents>,
    last: i32,
    /// Of a year, in whole millionths.
    rate: Ratio,
}

impl Trend {
    fn of(past: &Past, year: i32) -> Self {
        let mut sums: BTreeMap<i32, Cents> = BTreeMap::new();
        for (of, cents) in past.lines.values().flatten().filter(|(of, _)| (year - YEARS..year).contains(*of))
        {
            *sums.entry(*of).or_default() += *cents;
        }
        sums.retain(|_, sum| *sum > Cents::ZERO);
        let last = year - 1;
        let rate = match (sums.first_key_value(), sums.get(&last)) {
            (Some((first, begun)), Some(ended)) if *first < last => {
                let years = i128::from(last - first);
                Ratio::of((*ended - *begun).as_i128(), ended.as_i128().saturating_mul(years))
            }
            _ => None,
        };
        let rate = rate.unwrap_or_default();
        Self { sums, last, rate: Ratio::from_millionths(rate.as_millionths()) }
    }

    /// The mean of a line's years, each at the level of the last.
    fn mean(&self, executed: &BTreeMap<i32, Cents>) -> Result<Cents, String> {
        let level = self.sums.get(&self.last).copied().unwrap_or(Cents::new(1));
        let mut sum = Cents::ZERO;
        for (year, cents) in executed {
            let of_year = self.sums.get(year).copied().unwrap_or(level);
            sum += part(*cents, level.as_i128(), of_year.as_i128())?;
        }
        Ok(Cents::new(sum.as_i128() / i128::try_from(executed.len().max(1)).unwrap_or(1)))
    }
}

/// What an amount is after a year of growth, rounded to the nearest cent.
fn grown(cents: Cents, rate: Ratio) -> Result<Cents, String> {
    part(cents, MILLION + rate.as_millionths(), MILLION)
}

/// `cents · over / under`, rounded to the nearest cent.
fn part(cents: Cents, over: i128, under: i128) -> Result<Cents, String> {
    let product = cents
        .as_i128()
        .checked_mul(over)
        .ok_or_else(|| say!("the sums are larger than can be computed with"))?;
    Ok(Cents::new((2 * (product / under) + 2 * (product % under) / under + 1).div_euclid(2)))
}

/// Splits a cap by share, where more is proposed: cents that are left go to the largest remainders, the first line first.
fn cut(lines: &mut [ProposedLine], within: &[usize], cap: &Cap) -> Result<(), String> {
    let sum: Cents = within.iter().map(|at| lines[*at].cents).sum();
    if sum <= cap.cents || sum == Cents::ZERO {
        return Ok(());
    }
    let too_large = || say!("the sums are larger than can be computed with");
    let mut left = cap.cents;
    let mut remainders = Vec::with_capacity(within.len());
    for at in within {
        let (own, most) = (lines[*at].cents.as_i128(), cap.cents.as_i128());
        let product = own.checked_mul(most).ok_or_else(too_large)?;
        let share = Cents::new(product / sum.as_i128());
        left -= share;
        remainders.push((product % sum.as_i128(), *at));
        let (before, most) = (format_cents(lines[*at].cents), format_cents(cap.cents));
        lines[*at].cents = share;
        let said = if cap.codes.is_empty() { say!("all") } else { cap.codes.clone() };
        lines[*at].reason.push_str(&say!(
            "; {before} by share of the cap {most} of {said}",
            before,
            most,
            said
        ));
    }
    remainders.sort_by(|(a, first), (b, second)| b.cmp(a).then(first.cmp(second)));
    for (_, at) in remainders.into_iter().take(usize::try_from(left.as_i128()).unwrap_or(0)) {
        lines[at].cents += Cents::new(1);
    }
    Ok(())
}

/// How far off a proposal was, and last year's figures plus their growth, as shares of what was executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProposalAccuracy {
    /// Lines that were executed in the year and are proposed.
    pub lines: usize,
    #[serde(serialize_with = "in_millionths::serialize")]
    pub median_error: Ratio,
    /// Of last year's executed plus the growth of all lines.
    #[serde(serialize_with = "in_millionths::serialize")]
    pub median_error_of_last_year: Ratio,
}

/// Compares a proposal with what was executed in its year; `None` where nothing was.
pub(crate) fn measured(past: &Past, proposal: &BudgetProposal) -> Option<ProposalAccuracy> {
    let year = proposal.fiscal_year;
    let rate = Trend::of(past, year).rate;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for line in &proposal.lines {
        let years = past.lines.get(&line.key)?;
        let Some(real) = years.get(&year).copied().filter(|cents| *cents > Cents::ZERO) else { continue };
        let last = years.get(&(year - 1)).copied().unwrap_or_default();
        let error = |guess: Cents| (guess - real).abs().share_of(real);
        ours.push(error(line.cents)?);
        theirs.push(error(grown(last, rate).ok()?)?);
    }
    let lines = ours.len();
    let median = |errors: &mut Vec<Ratio>| {
        errors.sort_unstable();
        errors.get(errors.len() / 2).copied()
    };
    Some(ProposalAccuracy {
        lines,
        median_error: median(&mut ours)?,
        median_error_of_last_year: median(&mut theirs)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(unit: &str, function: &str, project: &str) -> LineKey {
        let own = str::to_owned;
        LineKey {
            unit_code: own(unit),
            function_code: own(function),
            project_code: own(project),
            ..LineKey::default()
        }
    }

    fn past(lines: &[(&str, &str, &str, [i128; 3])]) -> Past {
        let of = |executed: &[i128; 3]| (2024..2027).zip(executed.map(Cents::new)).collect();
        let lines = lines
            .iter()
            .map(|(unit, function, project, executed)| (key(unit, function, project), of(executed)));
        Past { lines: lines.collect(), ..Past::default() }
    }

    fn amounts(proposal: &BudgetProposal) -> Vec<&str> {
        proposal.lines.iter().map(|line| line.amount.as_str()).collect()
    }

    #[test]
    fn years_are_brought_to_one_level_and_grow_on_with_all() {
        // All lines grow by 10.00 a year: 100, 110, 120; a line of a fixed share is proposed its share of 130.
        let past = past(&[("1", "205", "", [5_000, 5_500, 6_000]), ("2", "206", "", [5_000, 5_500, 6_000])]);
        let proposal = propose(&past, 2027, CodeKind::Function, (&[], &[])).unwrap();
        assert_eq!(amounts(&proposal), ["65.00", "65.00"]);
        assert_eq!(proposal.sum, "130.00");
        let gdp = Driver {
            name: String::from("gdp"),
            rate: Ratio::from_millionths(52_000),
            codes: String::from("205"),
        };
        let driven = propose(&past, 2027, CodeKind::Function, (&[gdp], &[])).unwrap();
        assert_eq!(amounts(&driven), ["63.12", "65.00"]);
        assert!(driven.lines[0].reason.contains("5.2"), "{}", driven.lines[0].reason);
    }

    #[test]
    fn a_programme_that_missed_its_target_does_not_grow_and_what_nobody_spent_is_left_out() {
        let mut past = past(&[("1", "205", "P", [5_000, 5_500, 6_000]), ("2", "206", "", [5_000, 5_500, 0])]);
        past.lines.insert(key("3", "206", ""), (2024..2027).zip([0, 0, 6_000].map(Cents::new)).collect());
        past.missed.insert(String::from("P"));
        let proposal = propose(&past, 2027, CodeKind::Function, (&[], &[])).unwrap();
        assert_eq!(proposal.lines.len(), 2);
        assert_eq!(proposal.lines[0].amount, "60.00");
    }

    #[test]
    fn a_cap_is_split_to_the_last_cent_and_always_alike() {
        let lines: Vec<(&str, &str, &str, [i128; 3])> =
            ["1", "2", "3"].iter().map(|unit| (*unit, "205", "", [100, 100, 100])).collect();
        let past = past(&lines);
        let cap = |codes: &str, cents| Cap { codes: codes.to_owned(), cents: Cents::new(cents) };
        let proposal = propose(&past, 2027, CodeKind::Function, (&[], &[cap("205", 200)])).unwrap();
        assert_eq!(amounts(&proposal), ["0.67", "0.67", "0.66"]);
        assert_eq!(proposal.sum, "2.00");
        // One that is not reached changes nothing.
        let free = propose(&past, 2027, CodeKind::Function, (&[], &[cap("", 400)])).unwrap();
        assert_eq!(free.sum, "3.00");
        for cents in 1..300 {
            let proposal = propose(&past, 2027, CodeKind::Function, (&[], &[cap("", cents)])).unwrap();
            assert_eq!(proposal.sum, format_cents(cents), "{cents}");
        }
    }

    #[test]
    fn halves_are_rounded_to_the_nearest_cent() {
        assert_eq!(part(Cents::new(5), 1, 2), Ok(Cents::new(3)));
        assert_eq!(part(Cents::new(4), 1, 3), Ok(Cents::new(1)));
        assert_eq!(part(Cents::new(5), 1, 3), Ok(Cents::new(2)));
        assert!(part(Cents::new(i128::MAX), 2, 1).is_err());
    }
}
