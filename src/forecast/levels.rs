//! Units and economic classes: sums of their lines, with intervals of their own. Errors of lines cancel in part, and in part
//! they do not, so the errors of sums are what is counted.

use std::collections::BTreeMap;

use super::{
    Forecast, LineYear, Point, YearPosition,
    interval::{Spread, around, error, spread},
};

/// What a forecast is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForecastLevel {
    /// 预算指标
    Line,
    /// 单位
    Unit,
    /// 部门预算支出经济分类
    EconomicClass,
}

impl ForecastLevel {
    /// As rules write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Unit => "unit",
            Self::EconomicClass => "economic_class",
        }
    }
}

/// A unit or an economic class in a fiscal year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForecastGroup {
    /// Which of the two.
    pub level: ForecastLevel,
    /// `unit_code` or `economic_code`.
    pub code: Box<str>,
    /// The fiscal year that it is of.
    pub year: i32,
    /// The sum of totals, in cents.
    pub total: i128,
    /// The sum of executed.
    pub executed: i128,
    /// What it will have executed at the year's end.
    pub forecast: Forecast,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    total: i128,
    executed: i128,
    year_end: i128,
    scale: i128,
}

impl Sum {
    fn point(&self) -> Point {
        Point { year_end: self.year_end, scale: self.scale }
    }
}

/// Sums of lines by level, code and year.
#[derive(Debug, Default)]
pub(super) struct Totals<'a> {
    sums: BTreeMap<(ForecastLevel, &'a str, i32), Sum>,
}

impl<'a> Totals<'a> {
    /// Adds a line with its forecast.
    pub(super) fn add(&mut self, line: &LineYear<'a>, point: Point) {
        let Some(year) = line.year else { return };
        let codes = [(ForecastLevel::Unit, line.unit), (ForecastLevel::EconomicClass, line.class)];
        for (level, code) in codes.into_iter().filter(|(_, code)| !code.is_empty()) {
            let sum = self.sums.entry((level, code, year)).or_default();
            sum.total += line.total;
            sum.executed += line.executed;
            sum.year_end += point.year_end;
            sum.scale += point.scale;
        }
    }

    fn errors(&self, wanted: ForecastLevel) -> Spread {
        let of_level = self.sums.iter().filter(|((level, ..), _)| *level == wanted);
        spread(of_level.map(|((.., year), sum)| (*year, error(sum.executed, sum.point()))).collect())
    }

    /// The groups with their intervals, by the errors of the past.
    pub(super) fn groups(&self, past: &Totals<'_>, position: &YearPosition) -> Vec<ForecastGroup> {
        let spreads = [ForecastLevel::Unit, ForecastLevel::EconomicClass].map(|level| past.errors(level));
        let group = |(&(level, code, year), sum): (&(ForecastLevel, &str, i32), &Sum)| {
            let spread = spreads[usize::from(level == ForecastLevel::EconomicClass)];
            let forecast = if year == position.year() {
                around(spread, sum.executed, sum.point())
            } else {
                Forecast::closed(sum.executed)
            };
            let Sum { total, executed, .. } = *sum;
            ForecastGroup { level, code: code.into(), year, total, executed, forecast }
        };
        self.sums.iter().map(group).collect()
    }
}
