//! A window's value against its key's history. Scores are statistics, not money: they are floats, computed
//! in the order of the windows from exact values, so that they are the same on every run.

use crate::rule::window::{Anomaly, AnomalyMethod, Direction};

/// How a value compares with those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AnomalyScore {
    /// How far it is from what is usual.
    pub score: f64,
    /// What is usual: the mean, the median or the weighted mean.
    pub baseline: f64,
}

/// Scales the median absolute deviation to the standard deviation of normal values (Iglewicz and Hoaglin 1993).
const MAD_TO_SIGMA: f64 = 0.6745;

/// The score of `x` against `history`, the oldest value first; `None` with fewer than `min_history` values.
#[must_use]
pub(crate) fn score(anomaly: &Anomaly, x: f64, history: &[f64]) -> Option<AnomalyScore> {
    if history.len() < anomaly.min_history.max(1) {
        return None;
    }
    let (score, baseline) = match anomaly.method {
        AnomalyMethod::Zscore => {
            let mean = mean(history);
            (in_units(x - mean, deviation(history, mean)?), mean)
        }
        AnomalyMethod::Mad | AnomalyMethod::Seasonal => {
            let mut values = history.to_vec();
            let median = median(&mut values);
            values.iter_mut().for_each(|value| *value = (*value - median).abs());
            (MAD_TO_SIGMA * in_units(x - median, self::median(&mut values)), median)
        }
        AnomalyMethod::Iqr => {
            let sorted = sorted(history.iter().copied());
            let (low, high) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
            let beyond = if x > high { x - high } else { (x - low).min(0.0) };
            (in_units(beyond, high - low), quantile(&sorted, 0.5))
        }
        AnomalyMethod::Ewma => {
            let (mean, deviation) = weighted(history, anomaly.alpha)?;
            (in_units(x - mean, deviation), mean)
        }
        AnomalyMethod::Ratio => {
            let mean = mean(history);
            (in_units(x, mean), mean)
        }
    };
    let score = match (anomaly.direction, anomaly.method) {
        // A share of the mean has no side.
        (_, AnomalyMethod::Ratio) | (Direction::Above, _) => score,
        (Direction::Below, _) => -score,
        (Direction::Both, _) => score.abs(),
    };
    Some(AnomalyScore { score, baseline })
}

/// A distance in units of a spread. Without a spread, every other value is infinitely far away.
fn in_units(distance: f64, spread: f64) -> f64 {
    match (distance == 0.0, spread == 0.0) {
        (true, _) => 0.0,
        (false, true) => f64::INFINITY.copysign(distance),
        (false, false) => distance / spread,
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample standard deviation; there is none of a single value.
#[allow(clippy::cast_precision_loss)]
fn deviation(values: &[f64], mean: f64) -> Option<f64> {
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The [`quantile`] at one half, bit for bit, without bringing all values in order.
fn median(values: &mut [f64]) -> f64 {
    let share = if values.len() % 2 == 1 { 0.0 } else { 0.5 };
    let (_, below, above) = values.select_nth_unstable_by((values.len() - 1) / 2, f64::total_cmp);
    let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(*below);
    *below + (next - *below) * share
}

/// A quantile with linear interpolation between neighbours (Hyndman and Fan 1996, type 7).
#[allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64)
}

/// Mean and standard deviation with weights (1 − α)ⁿ for the value n windows ago. The variance is corrected for the
/// bias of a weighted sample: Σw² / ((Σw)² − Σw²), as pandas' `ewm(alpha).std()` does.
fn weighted(values: &[f64], alpha: f64) -> Option<(f64, f64)> {
    let (mut weight, mut weights, mut squared_weights, mut sum) = (1.0, 0.0, 0.0, 0.0);
    for value in values.iter().rev() {
        weights += weight;
        squared_weights += weight * weight;
        sum += weight * value;
        weight *= 1.0 - alpha;
    }
    let mean = sum / weights;
    let (mut weight, mut squares) = (1.0, 0.0);
    for value in values.iter().rev() {
        squares += weight * (value - mean) * (value - mean);
        weight *= 1.0 - alpha;
    }
    let correction = weights * weights - squared_weights;
    // With α = 1 only the last value counts, and a single value has no deviation.
    (correction > 0.0).then(|| (mean, (squares / weights * weights * weights / correction).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rule::window::Season, yaml::Placed};

    fn anomaly(method: AnomalyMethod, direction: Direction) -> Anomaly {
        let of = Placed { text: String::new(), span: saphyr_parser::Span::default() };
        let season = Season::Weekday;
        Anomaly { of, method, history: 90, min_history: 2, direction, season, alpha: 0.5 }
    }

    fn of(method: AnomalyMethod, x: f64, history: &[f64]) -> f64 {
        score(&anomaly(method, Direction::Above), x, history).unwrap().score
    }

    #[test]
    fn a_median_is_the_quantile_at_one_half() {
        let values = [3.0, -0.0, 1.5, f64::INFINITY, 1.5, 0.0, f64::NEG_INFINITY, -7.25];
        for (from, until) in (0..8).flat_map(|from| (from + 1..=8).map(move |until| (from, until))) {
            let mut some = values[from..until].to_vec();
            let expected = quantile(&sorted(some.iter().copied()), 0.5);
            assert_eq!(median(&mut some).to_bits(), expected.to_bits(), "{:?}", &values[from..until]);
        }
    }

    #[test]
    #[allow(clippy::float_cmp)]
    fn scores_are_what_the_formulas_say() {
        let history = [2.0, 4.0, 4.0, 5.0, 10.0];
        // Mean 5, squares 9 + 1 + 1 + 0 + 25 over 4: deviation 3.
        assert_eq!(of(AnomalyMethod::Zscore, 11.0, &history), 2.0);
        // Median 4, distances 2 0 0 1 6: 1.
        assert_eq!(of(AnomalyMethod::Mad, 14.0, &history), 6.745);
        // Quartiles 4 and 5.
        assert_eq!(of(AnomalyMethod::Iqr, 7.5, &history), 2.5);
        assert_eq!(of(AnomalyMethod::Iqr, 3.0, &history), -1.0);
        assert_eq!(of(AnomalyMethod::Iqr, 4.5, &history), 0.0);
        assert_eq!(of(AnomalyMethod::Ratio, 15.0, &history), 3.0);
        // pandas.Series([1, 2, 4]).ewm(alpha=0.5): mean 3.0, std 1.5811388.
        let ewma = score(&anomaly(AnomalyMethod::Ewma, Direction::Above), 10.0, &[1.0, 2.0, 4.0]).unwrap();
        assert_eq!(ewma.baseline, 3.0);
        assert!((ewma.score - 7.0 / 1.581_138_830_084_189_8).abs() < 1e-12, "{}", ewma.score);
    }

    #[test]
    #[allow(clippy::float_cmp)]
    fn without_a_spread_every_other_value_is_infinitely_far() {
        for method in [AnomalyMethod::Zscore, AnomalyMethod::Mad, AnomalyMethod::Iqr, AnomalyMethod::Ewma] {
            assert_eq!(of(method, 3.0, &[3.0, 3.0, 3.0]), 0.0, "{method:?}");
            assert_eq!(of(method, 4.0, &[3.0, 3.0, 3.0]), f64::INFINITY, "{method:?}");
            assert_eq!(of(method, 2.0, &[3.0, 3.0, 3.0]), f64::NEG_INFINITY, "{method:?}");
        }
    }

    #[test]
    #[allow(clippy::float_cmp)]
    fn directions_turn_the_score() {
        let with =
            |direction| score(&anomaly(AnomalyMethod::Zscore, direction), 1.0, &[2.0, 4.0]).unwrap().score;
        let above = with(Direction::Above);
        assert!(above < 0.0);
        assert_eq!((with(Direction::Below), with(Direction::Both)), (-above, -above));
        assert!(score(&anomaly(AnomalyMethod::Zscore, Direction::Above), 1.0, &[2.0]).is_none());
    }
}
