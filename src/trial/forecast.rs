//! How well the end of the year was foreseen: forecasts at each month's end, made of what was known then, against what
//! was executed when the year was over, beside the even pace.

use std::collections::{BTreeMap, HashMap};

use crate::{
    evaluate::forecasts::Forecaster,
    event::Cents,
    forecast::{Forecast, ForecastLevel, Forecasts},
};

/// A forecast that waits for the end of its year.
#[derive(Debug, Clone, Copy)]
struct Made {
    month: u8,
    forecast: Forecast,
    /// Executed by the even pace.
    naive: Cents,
}

/// What forecasts were worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ForecastScore {
    /// How many there were.
    pub made: u64,
    /// The sum of what was executed in the end.
    pub executed: Cents,
    /// The sum of the errors, without their signs.
    pub error: Cents,
    /// The same of the even pace.
    pub naive_error: Cents,
    /// How many had an interval; without a closed year there is none.
    pub ranged: u64,
    /// Of how many the end was within the interval.
    pub inside: u64,
    /// The sum of the widths of intervals.
    pub width: Cents,
    /// The sum of what was executed in the end where there was an interval.
    pub ranged_executed: Cents,
}

impl ForecastScore {
    fn count(&mut self, made: &Made, executed: Cents) {
        let Forecast { year_end, low, high } = made.forecast;
        self.made += 1;
        self.executed += executed.abs();
        self.error += (executed - Cents::new(year_end)).abs();
        self.naive_error += (executed - made.naive).abs();
        if let (Some(low), Some(high)) = (low, high) {
            self.ranged += 1;
            self.inside += u64::from((low..=high).contains(&executed.as_i128()));
            self.width += Cents::new(high - low);
            self.ranged_executed += executed.abs();
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.executed += other.executed;
        self.error += other.error;
        self.naive_error += other.naive_error;
        self.ranged += other.ranged;
        self.inside += other.inside;
        self.width += other.width;
        self.ranged_executed += other.ranged_executed;
    }

    /// The weighted absolute percentage error of the forecast and of the even pace, as shares of what was executed.
    #[must_use]
    pub(crate) fn shares(&self) -> Option<[f64; 2]> {
        let share = |money: Cents| float(money) / float(self.executed);
        (self.executed > Cents::ZERO).then(|| [self.error, self.naive_error].map(share))
    }

    /// The width of the intervals, as a share of what was executed.
    #[must_use]
    pub(crate) fn width(&self) -> Option<f64> {
        (self.ranged_executed > Cents::ZERO).then(|| float(self.width) / float(self.ranged_executed))
    }

    /// The share of intervals that held the end.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn coverage(&self) -> Option<f64> {
        (self.ranged > 0).then(|| self.inside as f64 / self.ranged as f64)
    }
}

#[allow(clippy::cast_precision_loss)]
fn float(money: Cents) -> f64 {
    money.as_i128() as f64
}

/// Forecasts and what became of them.
#[derive(Debug, Default)]
pub(crate) struct ForecastTrial {
    /// Forecasts for lines by their row, and for groups.
    lines: Vec<(u32, Made)>,
    groups: Vec<(ForecastLevel, Box<str>, Made)>,
    /// By level, fiscal year and month.
    scores: BTreeMap<(ForecastLevel, i32, u8), ForecastScore>,
    closed: u32,
    /// Of a year, how many years were closed before it.
    history: BTreeMap<i32, u32>,
}

impl ForecastTrial {
    /// Keeps what is forecast when so many months of the year are over.
    pub(crate) fn keep(&mut self, month: u8, forecaster: &Forecaster<'_>, forecasts: &Forecasts) {
        let position = forecaster.position();
        let made = |forecast: Forecast, executed: i128| {
            let naive = Cents::new(position.pace(position.year(), executed)?);
            Some(Made { month, forecast, naive })
        };
        for (row, (line, forecast)) in forecaster.lines().iter().zip(&forecasts.lines).enumerate() {
            if line.year != Some(position.year()) || (line.total <= 0 && line.executed == 0) {
                continue;
            }
            let row = u32::try_from(row).unwrap_or(u32::MAX);
            self.lines.extend(forecast.and_then(|forecast| Some((row, made(forecast, line.executed)?))));
        }
        for group in forecasts.groups.iter().filter(|group| group.year == position.year()) {
            let made = made(group.forecast, group.executed);
            self.groups.extend(made.map(|made| (group.level, group.code.clone(), made)));
        }
    }

    /// Compares what was forecast of a year with its end, given the lines as they are then. A year whose beginning is not known
    /// is none that later ones can be forecast by.
    pub(crate) fn close(&mut self, year: i32, forecaster: &Forecaster<'_>, is_whole: bool) {
        let lines = forecaster.lines();
        let mut sums: HashMap<(ForecastLevel, &str), i128> = HashMap::new();
        for line in lines.iter().filter(|line| line.year == Some(year)) {
            *sums.entry((ForecastLevel::Unit, line.unit)).or_default() += line.executed;
            *sums.entry((ForecastLevel::EconomicClass, line.class)).or_default() += line.executed;
        }
        let mut count = |level, made: &Made, executed| {
            self.scores.entry((level, year, made.month)).or_default().count(made, Cents::new(executed));
        };
        for (row, made) in self.lines.drain(..) {
            let Some(line) = lines.get(row as usize).filter(|line| line.year == Some(year)) else { continue };
            count(ForecastLevel::Line, &made, line.executed);
        }
        for (level, code, made) in self.groups.drain(..) {
            count(level, &made, sums.get(&(level, &*code)).copied().unwrap_or_default());
        }
        self.history.insert(year, self.closed);
        self.closed += u32::from(is_whole);
    }

    /// Scores by level and month, of years with a closed year before them.
    #[must_use]
    pub(crate) fn by_month(&self) -> BTreeMap<(ForecastLevel, u8), ForecastScore> {
        let mut by_month: BTreeMap<_, ForecastScore> = BTreeMap::new();
        for ((level, year, month), score) in &self.scores {
            if self.history.get(year).is_some_and(|years| *years > 0) {
                by_month.entry((*level, *month)).or_default().add(score);
            }
        }
        by_month
    }

    /// Scores by level and year, with the number of closed years before it.
    #[must_use]
    pub(crate) fn by_year(&self) -> BTreeMap<(ForecastLevel, i32, u32), ForecastScore> {
        let mut by_year: BTreeMap<_, ForecastScore> = BTreeMap::new();
        for ((level, year, _), score) in &self.scores {
            let history = self.history.get(year).copied().unwrap_or_default();
            by_year.entry((*level, *year, history)).or_default().add(score);
        }
        by_year
    }
}
