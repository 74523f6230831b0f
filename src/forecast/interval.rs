//! Intervals from the errors of closed years.

use std::collections::BTreeMap;

use super::{Forecast, LineYear, Point, Position, float};

/// Fewer errors than this are no guide to the errors of one class, and those of all lines are taken.
const ENOUGH: usize = 30;
/// One of so many errors lies beyond each end.
const TAIL: usize = 10;
/// No error counts for more than so many times its scale.
const MOST: f64 = 4.0;
/// The 0.9 quantiles of Student's t with 1 to 8 degrees of freedom, for fewer errors than have a tenth.
const STUDENT: [f64; 8] = [3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397];

/// The errors of lines of closed years, as shares of their scales.
#[derive(Debug, Default)]
pub(super) struct Errors<'a> {
    all: Vec<f64>,
    classes: BTreeMap<&'a str, Vec<f64>>,
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
    pub(super) fn add(&mut self, class: &'a str, executed: i128, point: Point) {
        let error = error(executed, point);
        self.all.push(error);
        self.classes.entry(class).or_default().push(error);
    }

    pub(super) fn finish(self) -> Spreads<'a> {
        let enough = self.classes.into_iter().filter(|(_, errors)| errors.len() >= ENOUGH);
        let classes = enough.map(|(class, errors)| (class, spread(errors))).collect();
        Spreads { all: spread(self.all), classes }
    }
}

impl Spreads<'_> {
    /// The interval of a line.
    pub(super) fn around(
        &self,
        class: &str,
        line: &LineYear<'_>,
        point: Point,
        position: &Position,
    ) -> Forecast {
        let spread = self.classes.get(class).copied().unwrap_or(self.all);
        around(spread, (line.executed, line.total), point, position)
    }
}

/// An error as a share of the forecast's scale. What had next to nothing, and was given much later, is far off by any
/// measure, and must not make the intervals of all others meaningless.
pub(super) fn error(executed: i128, point: Point) -> f64 {
    (float(executed - point.year_end) / float(point.scale.max(1))).clamp(-MOST, MOST)
}

/// The interval around a forecast, given what is executed and the total. Where there is no closed year to learn from, it
/// reaches from what is executed to the largest of the total, the even pace and the forecast.
pub(super) fn around(
    spread: Spread,
    (executed, total): (i128, i128),
    point: Point,
    position: &Position,
) -> Forecast {
    let Point { year_end, scale } = point;
    let (low, high) = match spread {
        Some((low, high)) => {
            let beyond = |share: f64| year_end + super::cents(share * float(scale));
            (beyond(low), beyond(high))
        }
        None => (executed, total.max(position.pace(position.year(), executed).unwrap_or(total))),
    };
    // What is executed stays executed, but for refunds, which nobody foresees.
    Forecast { year_end, low: low.max(executed).min(year_end), high: high.max(year_end) }
}

/// The tenth and the ninetieth hundredth of errors, by the ranks of conformal prediction; Student's t where there are too
/// few for ranks.
pub(super) fn spread(mut errors: Vec<f64>) -> Spread {
    // In their order, so that a sum does not depend on that of the lines.
    errors.sort_by(f64::total_cmp);
    let n = errors.len();
    let rank = (n + 1) / TAIL;
    if rank > 0 {
        return Some((errors[rank - 1], errors[n - rank]));
    }
    let factor = STUDENT.get(n.checked_sub(1)?)?;
    #[allow(clippy::cast_precision_loss)]
    let mean = errors.iter().map(|error| error * error).sum::<f64>() / n as f64;
    let width = factor * mean.sqrt();
    Some((-width, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_leave_a_tenth_on_each_side() {
        assert_eq!(spread(Vec::new()), None);
        assert_eq!(spread(vec![-0.5]), Some((-3.078 * 0.5, 3.078 * 0.5)));
        assert_eq!(spread((0..9).map(f64::from).collect()), Some((0.0, 8.0)));
        assert_eq!(spread((0..99).rev().map(f64::from).collect()), Some((9.0, 89.0)));
    }
}
