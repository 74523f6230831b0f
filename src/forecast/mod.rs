//! 执行预测: what a budget line, a unit and an economic class will have executed at the end of the fiscal year, with an
//! interval. Pure: no I/O and no clock. `docs/forecast.md` explains the method and what it is worth,
//! `docs/decisions/0008-forecast.md` why it is this one.
//!
//! - The forecast is the mixture of three methods that erred least in closed years: Bornhuetter and Ferguson's, the even pace,
//!   and what was still to come last year (seasonal naive). Without a closed year it is the first.
//! - Bornhuetter and Ferguson's method (1972): executed, plus the share of a year that is usually still to come of
//!   what is expected of the line. What is expected is the line's total times the use of budgets, in the manner of Cape Cod
//!   (Stanard, Bühlmann): closed years, and the open year as far as it has come.
//! - Share and use are pooled from the line itself over unit and class to all lines, by Bühlmann's credibility (1967).
//! - The interval is cross-conformal (Vovk 2015): the errors that the same method makes for each closed year at the same
//!   point, when that year is left out. Without a closed year there is none.
//!
//! Sums are whole cents, so that the order of lines does not matter. Shares, uses and errors are floats: they are statistics.

mod combine;
mod early;
mod interval;
mod levels;
mod position;
mod season;

pub use combine::ForecastMethod;
pub use early::Early;
pub use levels::{ForecastGroup, ForecastLevel};
pub use position::YearPosition;

use combine::{Tried, in_use, mix};
use interval::Errors;
use season::Season;

/// Earlier years that a forecast looks at. Habits of ten years ago say little of this one.
pub const YEARS: i32 = 5;

/// A budget line. A line is of one fiscal year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineYear<'a> {
    /// `budget_line_id`
    pub id: &'a str,
    /// `unit_code`; empty if it is not known.
    pub unit: &'a str,
    /// `economic_code`; empty if it is not known.
    pub class: &'a str,
    /// The fiscal year; `None` if it is not known.
    pub year: Option<i32>,
    /// The total, in cents.
    pub total: i128,
    /// Executed, in cents.
    pub executed: i128,
    /// The total at the same point of the line's own year; see [`Early`].
    pub early_total: i128,
    /// Executed by the same point of the line's own year.
    pub early_executed: i128,
    /// Whether the events that made it are all known; a closed line of which they are not is left out.
    pub is_known: bool,
}

/// What the end of the year is expected to bring, in cents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Executed at the end of the year.
    pub year_end: i128,
    /// In one of ten cases it is less. `None` without a closed year: nothing is known of errors then.
    pub low: Option<i128>,
    /// In one of ten cases it is more.
    pub high: Option<i128>,
}

impl Forecast {
    /// Of a year that is over.
    fn closed(executed: i128) -> Self {
        Self { year_end: executed, low: Some(executed), high: Some(executed) }
    }
}

/// What a forecast is made of: officers may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    /// What each of [`ForecastMethod::ALL`] expects, in cents; `None` where it has nothing to go by.
    pub methods: [Option<i128>; 3],
    /// Their weights, as parts of the sum of all three.
    pub weights: [u8; 3],
}

impl Basis {
    /// The methods that count, with what they expect and their weight in hundredths.
    pub fn parts(&self) -> impl Iterator<Item = (ForecastMethod, i128, u32)> {
        let sum = self.weights.iter().map(|weight| u32::from(*weight)).sum::<u32>().max(1);
        let parts = ForecastMethod::ALL.into_iter().zip(self.methods).zip(self.weights);
        parts.filter_map(move |((method, cents), weight)| {
            let hundredths = (u32::from(weight) * 100 + sum / 2) / sum;
            cents.filter(|_| weight > 0).map(|cents| (method, cents, hundredths))
        })
    }
}

/// The forecasts of one moment.
#[derive(Debug, Default)]
pub struct Forecasts {
    /// For each line, in the order given; `None` where the year has not begun or is not known.
    pub lines: Vec<Option<Forecast>>,
    /// What they are made of, in the same order; `None` where nothing is forecast.
    pub bases: Vec<Option<Basis>>,
    /// The closed years that methods and intervals were tried on, the earliest first.
    pub years: Vec<i32>,
    /// For units and economic classes, in the order of level, code and year.
    pub groups: Vec<ForecastGroup>,
}

/// A forecast without its interval, in cents.
#[derive(Debug, Clone, Copy)]
struct Point {
    year_end: i128,
    /// What an error is measured by.
    scale: i128,
}

/// Forecasts for the lines at a position of the year.
#[must_use]
pub fn forecast(lines: &[LineYear<'_>], position: &YearPosition) -> Forecasts {
    let season = Season::new(lines, position);
    let tried = try_methods(lines, &season);
    let chosen = tried.choose();
    let expect = |at: usize, line: &LineYear<'_>, without: Option<i32>| {
        let methods = season.methods(at, line, without);
        let weights = chosen.weights(line.class, without);
        let year_end = mix(weights, &methods);
        let point = Point { year_end, scale: line.total.max(year_end).max(1) };
        (point, Basis { methods, weights: in_use(weights, &methods) })
    };
    let mut errors = Errors::default();
    let mut past = levels::Totals::default();
    for (at, early) in closed(lines, &season) {
        let (point, _) = expect(at, &early, early.year);
        errors.add(&lines[at], point);
        past.add(&lines[at], point);
    }
    let errors = errors.finish();
    let mut present = levels::Totals::default();
    let mut forecasts = Forecasts { years: tried.years(), ..Forecasts::default() };
    for (at, line) in lines.iter().enumerate() {
        let (forecast, basis) = match line.year {
            Some(year) if year < position.year() => {
                present.add(line, Point { year_end: line.executed, scale: 0 });
                (Some(Forecast::closed(line.executed)), None)
            }
            Some(year) if year == position.year() => {
                let (point, basis) = expect(at, line, None);
                present.add(line, point);
                (Some(errors.around(line, point)), Some(basis))
            }
            _ => (None, None),
        };
        forecasts.lines.push(forecast);
        forecasts.bases.push(basis);
    }
    forecasts.groups = present.groups(&past, position);
    forecasts
}

/// The lines of closed years as they were at the same point of their years. What had neither budget nor payments then could
/// not have been forecast.
fn closed<'l, 'a>(
    lines: &'l [LineYear<'a>],
    season: &Season<'l, 'a>,
) -> impl Iterator<Item = (usize, LineYear<'a>)> {
    let known = lines.iter().enumerate().filter(|(_, line)| season.is_closed(line));
    let known = known.filter(|(_, line)| line.early_executed != 0 || line.early_total > 0);
    known.map(|(at, line)| (at, LineYear { total: line.early_total, executed: line.early_executed, ..*line }))
}

/// What each method would have been worth in closed years, each forecast as if it were not known.
fn try_methods<'a>(lines: &[LineYear<'a>], season: &Season<'_, 'a>) -> Tried<'a> {
    let mut tried = Tried::new();
    for (at, early) in closed(lines, season) {
        tried.add(&lines[at], &season.methods(at, &early, early.year));
    }
    tried
}

/// Whole cents of a float, within what a column holds.
fn cents(value: f64) -> i128 {
    const MOST: f64 = 1e27;
    value.round().clamp(-MOST, MOST) as i128
}

/// A float near these cents.
#[allow(clippy::cast_precision_loss)]
fn float(cents: i128) -> f64 {
    cents as f64
}

#[cfg(test)]
mod tests;
