//! Medians of numbers in order, with `DataFusion`'s rounding.

use super::sorted::Sorted;
use crate::rule::plan::{float, ordered};

/// The median of whole numbers, and of decimals at their scale: the mean of the two in the middle is cut off.
#[must_use]
pub(crate) fn number(numbers: &Sorted) -> Option<i128> {
    // It rounds towards zero, as a division does.
    numbers.middle().map(|(lower, upper)| lower.midpoint(upper))
}

/// The median of floats. A NaN is one of them, in the order of [`f64::total_cmp`].
#[must_use]
pub(crate) fn of_floats(floats: &Sorted) -> Option<f64> {
    let (lower, upper) = middle(floats)?;
    // As `DataFusion`'s: not the midpoint, which is another number where the sum is beyond all floats.
    #[allow(clippy::manual_midpoint)]
    Some(if floats.len() % 2 == 1 { upper } else { (lower + upper) / 2.0 })
}

/// The median of the absolute differences from the median, as [`crate::sql::functions`]' `median_deviation`.
#[must_use]
pub(crate) fn deviation(floats: &Sorted) -> Option<f64> {
    let (lower, upper) = middle(floats)?;
    let n = floats.len();
    let center = if n % 2 == 1 { upper } else { f64::midpoint(lower, upper) };
    let away = Away { floats, center, below: floats.rank(i128::from(ordered(center))) };
    let upper = away.nth(n / 2);
    Some(if n % 2 == 1 { upper } else { f64::midpoint(away.nth(n / 2 - 1), upper) })
}

fn middle(floats: &Sorted) -> Option<(f64, f64)> {
    floats.middle().map(|(lower, upper)| (decode(lower), decode(upper)))
}

fn decode(number: i128) -> f64 {
    // Numbers of a lane of floats have 64 bits.
    float(number as i64)
}

/// The differences from a center: on either side of it, further away is larger, so there are two sequences in order.
struct Away<'f> {
    floats: &'f Sorted,
    center: f64,
    /// The floats below the center.
    below: usize,
}

impl Away<'_> {
    fn of(&self, rank: usize) -> f64 {
        self.floats.nth(rank).map_or(f64::INFINITY, |number| (decode(number) - self.center).abs())
    }

    /// The difference with `rank` others before it.
    fn nth(&self, rank: usize) -> f64 {
        let (below, above) = (self.below, self.floats.len() - self.below);
        // So many of the first rank + 1 are below: as many as are nearer than those above that they push out.
        let (mut least, mut most) = ((rank + 1).saturating_sub(above), below.min(rank + 1));
        while least < most {
            let taken = least.midpoint(most);
            // Of those below the next one, and of those above the last one that would be taken.
            if self.of(below - 1 - taken) < self.of(below + rank - taken) {
                least = taken + 1;
            } else {
                most = taken;
            }
        }
        let last_below = least.checked_sub(1).map(|last| self.of(below - 1 - last));
        let last_above = (rank + 1 - least).checked_sub(1).map(|last| self.of(below + last));
        last_below.into_iter().chain(last_above).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{ArrayRef, AsArray, Decimal128Array, Float64Array},
        datatypes::{Decimal128Type, Field, Float64Type, Schema},
    };
    use datafusion::{
        functions_aggregate::median::median_udaf,
        logical_expr::AggregateUDF,
        physical_expr::{aggregate::AggregateExprBuilder, expressions::col},
    };
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// What `DataFusion`'s accumulator says over all values at once.
    fn oracle(function: Arc<AggregateUDF>, values: &ArrayRef) -> ArrayRef {
        let schema = Arc::new(Schema::new(vec![Field::new("x", values.data_type().clone(), true)]));
        let expr = AggregateExprBuilder::new(function, vec![col("x", &schema).unwrap()]);
        let expr = expr.schema(schema).alias("a").build().unwrap();
        let mut accumulator = expr.create_accumulator().unwrap();
        accumulator.update_batch(&[Arc::clone(values)]).unwrap();
        accumulator.evaluate().unwrap().to_array().unwrap()
    }

    fn float_oracle(function: Arc<AggregateUDF>, values: &[f64]) -> Option<f64> {
        let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        oracle(function, &values).as_primitive::<Float64Type>().iter().next().flatten()
    }

    fn bits(float: Option<f64>) -> Option<u64> {
        float.map(f64::to_bits)
    }

    /// Values that come and go in any order, few and many, with ties.
    fn walk(seed: u64, steps: usize, most: usize, mut step: impl FnMut(&[i64])) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut values: Vec<i64> = Vec::new();
        let range = [3, 50, i64::MAX / 4][rng.random_range(0..3)];
        for _ in 0..steps {
            if values.len() > most || !values.is_empty() && rng.random_ratio(2, 5) {
                values.swap_remove(rng.random_range(0..values.len()));
            } else {
                values.push(rng.random_range(-range..=range));
            }
            step(&values);
        }
    }

    /// Applies to `sorted` what changed between two states of a walk.
    fn follow(sorted: &mut Sorted, last: &mut Vec<i128>, now: Vec<i128>) {
        let mut rest = now.clone();
        for old in last.drain(..) {
            match rest.iter().position(|new| *new == old) {
                Some(at) => drop(rest.swap_remove(at)),
                None => sorted.remove(old),
            }
        }
        rest.into_iter().for_each(|new| sorted.insert(new));
        *last = now;
    }

    #[test]
    fn medians_of_decimals_are_those_of_datafusion() {
        for seed in 0..12 {
            let (mut sorted, mut last) = (Sorted::default(), Vec::new());
            walk(seed, 400, [5, 60][seed as usize % 2], |values| {
                // Some are so large that the sum of two does not fit.
                let large = |v: &i64| i128::from(*v) * if seed % 3 == 0 { 10i128.pow(19) } else { 1 };
                let values: Vec<i128> = values.iter().map(large).collect();
                follow(&mut sorted, &mut last, values.clone());
                let array = Decimal128Array::from(values).with_precision_and_scale(38, 2).unwrap();
                let expected = oracle(median_udaf(), &(Arc::new(array) as ArrayRef));
                assert_eq!(
                    number(&sorted),
                    expected.as_primitive::<Decimal128Type>().iter().next().flatten()
                );
            });
        }
    }

    #[test]
    fn medians_and_deviations_of_floats_are_those_of_datafusion() {
        let spread = Arc::new(crate::sql::functions::deviation::function());
        for seed in 20..32 {
            let (mut sorted, mut last) = (Sorted::default(), Vec::new());
            walk(seed, 400, [5, 60][seed as usize % 2], |values| {
                #[allow(clippy::cast_precision_loss)]
                let floats: Vec<f64> = values.iter().map(|v| *v as f64 / 7.0 + 0.0).collect();
                let numbers = floats.iter().map(|f| i128::from(ordered(*f))).collect();
                follow(&mut sorted, &mut last, numbers);
                assert_eq!(bits(of_floats(&sorted)), bits(float_oracle(median_udaf(), &floats)));
                assert_eq!(bits(deviation(&sorted)), bits(float_oracle(Arc::clone(&spread), &floats)));
            });
        }
    }

    /// More numbers than one block holds.
    #[test]
    fn many_numbers_stay_in_order() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut sorted, mut model) = (Sorted::default(), Vec::new());
        for round in 0..20_000 {
            if round > 12_000 || rng.random_ratio(1, 4) && !model.is_empty() {
                if model.is_empty() {
                    break;
                }
                let gone = model.remove(rng.random_range(0..model.len()));
                sorted.remove(gone);
            } else {
                let new = rng.random_range(-4000..4000);
                model.insert(model.partition_point(|known| *known < new), new);
                sorted.insert(new);
            }
            if round % 97 == 0 {
                let rank = rng.random_range(0..=model.len());
                assert_eq!(sorted.nth(rank), model.get(rank).copied());
                let number = rng.random_range(-4100..4100);
                assert_eq!(sorted.rank(number), model.partition_point(|known| *known < number));
            }
        }
        let mut both = Sorted::default();
        both.insert(7);
        both.extend(&sorted);
        assert_eq!(both.len(), model.len() + 1);
    }

    #[test]
    fn floats_keep_their_order_and_their_bits() {
        let floats = [-f64::NAN, f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, 1.5, f64::INFINITY, f64::NAN];
        for pair in floats.windows(2) {
            assert!(ordered(pair[0]) < ordered(pair[1]), "{pair:?}");
            assert_eq!(float(ordered(pair[0])).to_bits(), pair[0].to_bits());
        }
    }
}
