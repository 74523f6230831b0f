//! Three methods, and the mixture of them that erred least in closed years. Which one is nearest depends on the ledger: where
//! budgets say what will be spent it is the one that begins with the budget, and where they are made up it is one of the
//! others. Nobody knows beforehand, but closed years tell.

use std::collections::BTreeMap;

use super::{LineYear, float};

/// A way to foresee the end of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForecastMethod {
    /// Bornhuetter and Ferguson: what is usually still to come of the budget.
    Budget,
    /// It goes on as evenly as it went.
    Pace,
    /// Seasonal naive: what the same line still executed after this point last year.
    LastYear,
}

impl ForecastMethod {
    /// All of them, in the order of [`Methods`].
    pub const ALL: [Self; 3] = [Self::Budget, Self::Pace, Self::LastYear];

    /// As programs read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Pace => "pace",
            Self::LastYear => "last_year",
        }
    }
}

/// What each method expects, in cents; `None` where it has nothing to go by. The first always has something.
pub(super) type Methods = [Option<i128>; 3];
/// Parts of a whole, one for each method.
pub(super) type Weights = [u8; 3];

/// The budget alone, which is what is believed before a closed year says otherwise.
const BUDGET: Weights = [PARTS, 0, 0];
/// Weights are so many parts: fifths are fine enough, and who reads them sees a round figure.
const PARTS: u8 = 5;
/// How many mixtures there are of so many parts.
const MIXTURES: usize = 21;
/// What the other methods have to gain, as a share of the budget's error, before all of the weight is theirs. A few years
/// prove little.
const PROOF: f64 = 0.1;
/// Lines at which a class's own errors count as much as those of all lines.
const CLASS: f64 = 100.0;

/// Every mixture, that of the budget alone first.
fn mixtures() -> [Weights; MIXTURES] {
    let mut mixtures = [BUDGET; MIXTURES];
    let others = (0..=PARTS).flat_map(|pace| (0..=PARTS - pace).map(move |last| (pace, last)));
    for (mixture, (pace, last)) in mixtures.iter_mut().zip(others) {
        *mixture = [PARTS - pace - last, pace, last];
    }
    mixtures
}

/// The weights of the methods that have something to go by.
pub(super) fn in_use(weights: Weights, methods: &Methods) -> Weights {
    let mut weights = weights;
    weights
        .iter_mut()
        .zip(methods)
        .filter(|(_, method)| method.is_none())
        .for_each(|(weight, _)| *weight = 0);
    if weights == [0; 3] { BUDGET } else { weights }
}

/// The mean of the methods by their weights, in whole cents.
pub(super) fn mix(weights: Weights, methods: &Methods) -> i128 {
    let weights = in_use(weights, methods);
    let (mut sum, mut parts) = (0, 0);
    for (weight, method) in weights.into_iter().zip(methods) {
        sum += i128::from(weight) * method.unwrap_or_default();
        parts += i128::from(weight);
    }
    sum / parts
}

/// The errors of every mixture in one year.
#[derive(Debug, Clone, Copy, Default)]
struct OfYear {
    lines: u32,
    /// In cents, without their signs.
    errors: [i128; MIXTURES],
}

impl OfYear {
    fn add(&mut self, errors: &[i128; MIXTURES]) {
        self.lines += 1;
        self.errors.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
    }
}

/// Lines that belong together: the errors of each closed year.
#[derive(Debug, Default)]
struct Past(BTreeMap<i32, OfYear>);

impl Past {
    /// How many lines tell of it, and the errors as shares of the budget's, each year counting the same: one large year must
    /// not decide for all.
    fn shares(&self, without: Option<i32>) -> Option<(f64, [f64; MIXTURES])> {
        let (mut lines, mut years, mut shares) = (0.0, 0.0, [0.0; MIXTURES]);
        for (_, of) in self.0.iter().filter(|(year, of)| Some(**year) != without && of.errors[0] > 0) {
            lines += f64::from(of.lines);
            years += 1.0;
            let errors = of.errors.iter().map(|error| float(*error) / float(of.errors[0]));
            shares.iter_mut().zip(errors).for_each(|(sum, share)| *sum += share);
        }
        (years > 0.0).then(|| (lines, shares.map(|sum| sum / years)))
    }
}

/// What the methods were worth in closed years.
#[derive(Debug)]
pub(super) struct Tried<'a> {
    mixtures: [Weights; MIXTURES],
    all: Past,
    classes: BTreeMap<&'a str, Past>,
}

impl<'a> Tried<'a> {
    pub(super) fn new() -> Self {
        Self { mixtures: mixtures(), all: Past::default(), classes: BTreeMap::new() }
    }

    /// What the methods expected of a line of a closed year, when they did not know that year.
    pub(super) fn add(&mut self, line: &LineYear<'a>, methods: &Methods) {
        let Some(year) = line.year else { return };
        let errors = self.mixtures.map(|weights| (line.executed - mix(weights, methods)).abs());
        self.all.0.entry(year).or_default().add(&errors);
        self.classes.entry(line.class).or_default().0.entry(year).or_default().add(&errors);
    }

    /// The closed years, the earliest first.
    pub(super) fn years(&self) -> Vec<i32> {
        self.all.0.keys().copied().collect()
    }

    /// The mixture of each class, and the same without each of the closed years.
    pub(super) fn choose(&self) -> Chosen<'a> {
        let mut chosen = Chosen::default();
        for without in self.years().into_iter().map(Some).chain([None]) {
            let all = self.all.shares(without);
            chosen.all.insert(without, self.best(all.map(|(_, shares)| shares)));
            for (class, past) in &self.classes {
                let shares = match (all, past.shares(without)) {
                    (Some((_, all)), Some((lines, own))) => {
                        let z = lines / (lines + CLASS);
                        let blend = |at: usize| z * own[at] + (1.0 - z) * all[at];
                        Some(std::array::from_fn(blend))
                    }
                    (all, _) => all.map(|(_, shares)| shares),
                };
                chosen.classes.insert((class, without), self.best(shares));
            }
        }
        chosen
    }

    /// The first of those that cost least.
    fn best(&self, shares: Option<[f64; MIXTURES]>) -> Weights {
        let Some(shares) = shares else { return BUDGET };
        let cost = |(weights, share): (&Weights, &f64)| {
            share + PROOF * (1.0 - f64::from(weights[0]) / f64::from(PARTS))
        };
        let costs = self.mixtures.iter().zip(&shares).map(cost);
        let best = costs.enumerate().min_by(|(_, one), (_, other)| one.total_cmp(other));
        best.map_or(BUDGET, |(at, _)| self.mixtures[at])
    }
}

/// The mixtures that were chosen.
#[derive(Debug, Default)]
pub(super) struct Chosen<'a> {
    all: BTreeMap<Option<i32>, Weights>,
    classes: BTreeMap<(&'a str, Option<i32>), Weights>,
}

impl Chosen<'_> {
    /// The weights for lines of a class, as they are known without a year.
    pub(super) fn weights(&self, class: &str, without: Option<i32>) -> Weights {
        let own = self.classes.get(&(class, without));
        own.or_else(|| self.all.get(&without)).copied().unwrap_or(BUDGET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mixture_is_there_once() {
        let mut mixtures = mixtures();
        assert_eq!(mixtures[0], BUDGET);
        assert!(mixtures.iter().all(|weights| weights.iter().sum::<u8>() == PARTS));
        mixtures.sort_unstable();
        assert!(mixtures.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn what_has_nothing_to_go_by_has_no_weight() {
        // (3 · 100 + 2 · 50) / 5
        assert_eq!(mix([3, 2, 0], &[Some(100), Some(50), Some(7)]), 80);
        // (2 · 100 + 1 · 40) / 3
        assert_eq!(mix([2, 2, 1], &[Some(100), None, Some(40)]), 80);
        assert_eq!(mix([0, 0, 5], &[Some(100), Some(50), None]), 100);
        assert_eq!(in_use([2, 2, 1], &[Some(100), None, Some(40)]), [2, 0, 1]);
    }
}
