//! Intervals from the errors of closed years.

use std::collections::BTreeMap;

use super::{Forecast, LineYear, Point, float};

/// Fewer errors than this are no guide to the errors of one class, and those of all lines are taken.
const ENOUGH: usize = 30;
/// One of so many errors lies beyond each end.
const TAIL: usize = 10;
/// No error counts for more than so many times its scale.
const MOST: f64 = 4.0;
/// How far the interval goes from that of all errors to that of the year that erred most.
const WORST: f64 = 1.0 / 3.0;
/// The 0.9 quantiles of Student's t with 1 to 8 degrees of freedom, for fewer errors than have a tenth.
const STUDENT: [f64; 8] = [3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397];

/// The error of a year.
pub(super) type OfYear = (i32, f64);

/// The errors of lines of closed years, as shares of their scales.
#[derive(Debug, Default)]
pub(super) struct Errors<'a> {
    all: Vec<OfYear>,
    classes: BTreeMap<&'a str, Vec<OfYear>>,
}

/// The interval around a forecast of scale 1.
pub(super) type Spread = Option<(f64, f64)>;

/// The intervals of lines.
#[derive(Debug)]
pub(super) struct Spreads<'a> {
    all: Spread,
    classes: BTreeMap<&'a str, Spread>,
}

impl<'a> Errors<'a> {
    /// What a line executed, against what was forecast.
    pub(super) fn add(&mut self, line: &LineYear<'a>, point: Point) {
        let error = (line.year.unwrap_or_default(), error(line.executed, point));
        self.all.push(error);
        self.classes.entry(line.class).or_default().push(error);
    }

    pub(super) fn finish(self) -> Spreads<'a> {
        let enough = self.classes.into_iter().filter(|(_, errors)| errors.len() >= ENOUGH);
        let classes = enough.map(|(class, errors)| (class, spread(errors))).collect();
        Spreads { all: spread(self.all), classes }
    }
}

impl Spreads<'_> {
    /// The interval of a line.
    pub(super) fn around(&self, line: &LineYear<'_>, point: Point) -> Forecast {
        let spread = self.classes.get(line.class).copied().unwrap_or(self.all);
        around(spread, line.executed, point)
    }
}

/// An error as a share of the forecast's scale. What had next to nothing, and was given much later, is far off by any
/// measure, and must not make the intervals of all others meaningless.
pub(super) fn error(executed: i128, point: Point) -> f64 {
    (float(executed - point.year_end) / float(point.scale.max(1))).clamp(-MOST, MOST)
}

/// The interval around a forecast, given what is executed. Where there is no closed year to learn from, there is none.
pub(super) fn around(spread: Spread, executed: i128, point: Point) -> Forecast {
    let Point { year_end, scale } = point;
    let beyond = |share: f64| year_end + super::cents(share * float(scale));
    // What is executed stays executed, but for refunds, which nobody foresees.
    let low = spread.map(|(low, _)| beyond(low).max(executed).min(year_end));
    Forecast { year_end, low, high: spread.map(|(_, high)| beyond(high).max(year_end)) }
}

/// The tenth and the ninetieth hundredth of errors, by the ranks of conformal prediction; Student's t where there are too
/// few for ranks.
///
/// Of one closed year the signs say nothing: it was forecast without any history, and leans to another side than a forecast
/// that has one. Of several, the one that erred most counts for more than its share, because the open year may be like it.
pub(super) fn spread(mut errors: Vec<OfYear>) -> Spread {
    // In their order, so that a sum does not depend on that of the lines.
    errors.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let mut years: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
    errors.iter().for_each(|(year, error)| years.entry(*year).or_default().push(*error));
    let all: Vec<f64> = errors.into_iter().map(|(_, error)| error).collect();
    if all.len() + 1 < TAIL {
        return student(&all);
    }
    if years.len() == 1 {
        return symmetric(&all);
    }
    let (mut low, mut high) = ranks(&all)?;
    // The tenth of a few errors is their least.
    let each: Option<Vec<_>> =
        years.values().map(|errors| ranks(errors).filter(|_| errors.len() >= ENOUGH)).collect();
    if let Some((least, most)) = each.into_iter().flatten().fold(None, widest) {
        low += WORST * (least - low).min(0.0);
        high += WORST * (most - high).max(0.0);
    }
    Some((low, high))
}

/// The widest of intervals.
fn widest(of: Spread, (low, high): (f64, f64)) -> Spread {
    Some(of.map_or((low, high), |(least, most)| (least.min(low), most.max(high))))
}

/// The errors, in their order, without a tenth at each end; `None` of too few.
fn ranks(errors: &[f64]) -> Spread {
    let rank = (errors.len() + 1) / TAIL;
    Some((*errors.get(rank.checked_sub(1)?)?, *errors.get(errors.len() - rank)?))
}

/// What four fifths of the errors are within, whatever their signs.
fn symmetric(errors: &[f64]) -> Spread {
    let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let rank = ((sizes.len() + 1) * (TAIL - 2)).div_ceil(TAIL);
    let width = sizes.get(rank - 1)?;
    Some((-width, *width))
}

fn student(errors: &[f64]) -> Spread {
    let factor = STUDENT.get(errors.len().checked_sub(1)?)?;
    #[allow(clippy::cast_precision_loss)]
    let mean = errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64;
    let width = factor * mean.sqrt();
    Some((-width, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(year: i32, errors: impl IntoIterator<Item = i32>) -> Vec<OfYear> {
        errors.into_iter().map(|error| (year, f64::from(error))).collect()
    }

    #[test]
    fn ranks_leave_a_tenth_on_each_side() {
        assert_eq!(ranks(&[]), None);
        let nine: Vec<f64> = (0..9).map(f64::from).collect();
        assert_eq!(ranks(&nine), Some((0.0, 8.0)));
        let many: Vec<f64> = (0..99).map(f64::from).collect();
        assert_eq!(ranks(&many), Some((9.0, 89.0)));
    }

    #[test]
    fn few_errors_are_widened_by_student() {
        assert_eq!(spread(Vec::new()), None);
        assert_eq!(spread(vec![(2024, -0.5)]), Some((-3.078 * 0.5, 3.078 * 0.5)));
    }

    #[test]
    fn one_year_says_how_far_and_not_to_which_side() {
        // All of them were too low; the eighth of nine is the rank of four fifths.
        assert_eq!(spread(of(2024, 1..10)), Some((-8.0, 8.0)));
        assert_eq!(spread(of(2024, (0..99).map(|error| -error))), Some((-79.0, 79.0)));
    }

    #[test]
    fn the_worst_of_several_years_counts_for_more() {
        let alike: Vec<_> = of(2023, -4..5).into_iter().chain(of(2024, -4..5)).collect();
        assert_eq!(spread(alike), Some((-4.0, 4.0)));
        // Of 198 errors the nineteenth on each side: 13 and 240. The nine of 2023 end at 9 and 89, those of 2024 at 27 and 267.
        let mut errors = of(2023, 0..99);
        errors.extend(of(2024, (0..99).map(|error| error * 3)));
        let (low, high) = spread(errors).unwrap();
        assert!((low - (13.0 - 4.0 / 3.0)).abs() < 1e-9 && (high - 249.0).abs() < 1e-9, "{low} {high}");
    }
}
