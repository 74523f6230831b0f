//! `corr` over the events of a window, step by step as `DataFusion` computes it, so that its results are the same to the bit.

/// What one side of the pairs has come to.
#[derive(Default)]
struct Side {
    mean: f64,
    /// The sum of the squares of the distances from the mean.
    squares: f64,
}

impl Side {
    /// Adds the value that makes `n`. Gives its distance from the mean before, and from the new one.
    fn add(&mut self, value: f64, n: f64) -> (f64, f64) {
        let before = value - self.mean;
        self.mean += before / n;
        let after = value - self.mean;
        self.squares += before * after;
        (before, after)
    }
}

/// The correlation of pairs, in the order in which they come.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn correlation(pairs: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (mut n, mut one, mut other, mut both) = (0u64, Side::default(), Side::default(), 0.0);
    for (a, b) in pairs {
        n += 1;
        let (before, _) = one.add(a, n as f64);
        let (_, after) = other.add(b, n as f64);
        both += before * after;
    }
    if one.mean.is_nan() && other.mean.is_nan() {
        return Some(f64::NAN);
    }
    if one.mean.is_nan() || other.mean.is_nan() || n < 2 {
        return None;
    }
    let [one, other] = [one, other].map(|side| (side.squares / n as f64).sqrt());
    (one != 0.0 && other != 0.0).then(|| both / n as f64 / one / other)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{ArrayRef, AsArray, Float64Array},
        datatypes::{DataType, Field, Float64Type, Schema},
    };
    use datafusion::{
        functions_aggregate::correlation::corr_udaf,
        physical_expr::{aggregate::AggregateExprBuilder, expressions::col},
    };
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn oracle(a: &[f64], b: &[f64]) -> Option<f64> {
        let field = |name| Field::new(name, DataType::Float64, true);
        let schema = Arc::new(Schema::new(vec![field("a"), field("b")]));
        let args = vec![col("a", &schema).unwrap(), col("b", &schema).unwrap()];
        let function =
            AggregateExprBuilder::new(corr_udaf(), args).schema(schema).alias("r").build().unwrap();
        let mut accumulator = function.create_accumulator().unwrap();
        let columns = [a, b].map(|values| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef);
        accumulator.update_batch(&columns).unwrap();
        let result = accumulator.evaluate().unwrap().to_array().unwrap();
        result.as_primitive::<Float64Type>().iter().next().unwrap()
    }

    #[test]
    fn it_is_that_of_the_accumulator_to_the_bit() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for round in 0..3000 {
            let mut value = || match rng.random_range(0..60) {
                0 if round % 4 == 0 => [f64::NAN, f64::INFINITY, -0.0, f64::MAX][round % 16 / 4],
                1..30 => f64::from(rng.random_range(-3..3)),
                _ => rng.random_range(-1e9..1e9),
            };
            let pairs: Vec<(f64, f64)> = (0..round % 37).map(|_| (value(), value())).collect();
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
            let bits = |value: Option<f64>| {
                value.map(|value| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() })
            };
            assert_eq!(bits(correlation(pairs.into_iter())), bits(oracle(&a, &b)), "{a:?} {b:?}");
        }
    }
}
