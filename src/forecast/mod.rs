//! 执行预测: what a budget line, a unit and an economic class will have executed at the end of the fiscal year, with an
//! interval. Pure: no I/O and no clock. `docs/forecast.md` explains the method and what it is worth,
//! `docs/decisions/0008-forecast.md` why it is this one.
//!
//! - The forecast is Bornhuetter and Ferguson's (1972): executed, plus the share of a year that is usually still to come of
//!   what is expected of the line. What is expected is the line's total times the use of budgets, in the manner of Cape Cod
//!   (Stanard, Bühlmann): closed years, and the open year as far as it has come.
//! - Share and use are pooled from the line itself over unit and class to all lines, by Bühlmann's credibility (1967).
//! - The interval is cross-conformal (Vovk 2015): the errors that the same method makes for each closed year at the same
//!   point, when that year is left out.
//!
//! Sums are whole cents, so that the order of lines does not matter. Shares, uses and errors are floats: they are statistics.

mod early;
mod interval;
mod levels;
mod position;
mod season;

pub use early::Early;
pub use levels::{Group, Level};
pub use position::Position;

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
    /// In one of ten cases it is less.
    pub low: i128,
    /// In one of ten cases it is more.
    pub high: i128,
}

/// The forecasts of one moment.
#[derive(Debug, Default)]
pub struct Forecasts {
    /// For each line, in the order given; `None` where the year has not begun or is not known.
    pub lines: Vec<Option<Forecast>>,
    /// For units and economic classes, in the order of level, code and year.
    pub groups: Vec<Group>,
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
pub fn forecast(lines: &[LineYear<'_>], position: &Position) -> Forecasts {
    let season = Season::new(lines, position);
    let mut errors = Errors::default();
    let mut past = levels::Totals::default();
    for (at, line) in lines.iter().enumerate() {
        if !season.is_closed(line) || (line.early_executed == 0 && line.early_total <= 0) {
            continue;
        }
        let early = LineYear { total: line.early_total, executed: line.early_executed, ..*line };
        let point = season.point(at, &early, line.year);
        errors.add(line.class, line.executed, point);
        past.add(line, point);
    }
    let errors = errors.finish();
    let mut present = levels::Totals::default();
    let mut forecasts = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let open = line.year == Some(position.year());
        let point = match line.year {
            Some(year) if year > position.year() => None,
            Some(_) if open => Some(season.point(at, line, None)),
            Some(_) => Some(Point { year_end: line.executed, scale: 0 }),
            None => None,
        };
        let Some(point) = point else {
            forecasts.push(None);
            continue;
        };
        present.add(line, point);
        let within = |point| errors.around(line.class, line, point, position);
        let closed = Forecast { year_end: point.year_end, low: point.year_end, high: point.year_end };
        forecasts.push(Some(if open { within(point) } else { closed }));
    }
    Forecasts { lines: forecasts, groups: present.groups(&past, position) }
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
