//! Other values of a rule's constant, and which of them to propose.

use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::rule::Param;

/// Multiples of the present value that are tried.
const FACTORS: [(i64, u32); 13] = [
    (1, 1),
    (25, 2),
    (5, 1),
    (75, 2),
    (9, 1),
    (1, 0),
    (11, 1),
    (125, 2),
    (15, 1),
    (2, 0),
    (3, 0),
    (5, 0),
    (10, 0),
];

/// The values of a constant that are tried if nobody names some: multiples of the present one, in order. Whole numbers
/// stay whole, and shares stay below 1. None for a constant that is no number, or zero.
#[must_use]
pub(crate) fn candidates(present: &Param) -> Vec<Param> {
    let Param::Number(text) = present else { return Vec::new() };
    let Ok(present) = text.parse::<Decimal>() else { return Vec::new() };
    let whole = present.fract().is_zero();
    let share = !whole && present.abs() < Decimal::ONE;
    let mut values: Vec<Decimal> = FACTORS
        .iter()
        .filter_map(|&(mantissa, scale)| present.checked_mul(Decimal::new(mantissa, scale)))
        .map(|value| if whole { value.round() } else { value.round_dp(present.scale() + 2) })
        .filter(|value| !value.is_zero() && (!share || value.abs() < Decimal::ONE))
        .collect();
    values.sort_unstable();
    values.dedup();
    // The present value stays as it is written, so that it is recognised.
    let written =
        |value: Decimal| if value == present { text.clone() } else { value.normalize().to_string() };
    values.into_iter().map(|value| Param::Number(written(value))).collect()
}

/// What came of a value that was tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tried {
    pub alerts_a_day: f64,
    /// The events that the rule could not be evaluated on.
    pub errors: u64,
}

/// The index of the value that comes nearest to the wanted number of alerts without going beyond it; where all go
/// beyond it, the one with the fewest. Of equals, the one nearest to `present`. A value that fails on more events than the
/// present one is quiet because it does not look.
#[must_use]
pub(crate) fn propose(tried: &[Tried], present: usize, wanted: f64) -> Option<usize> {
    let distance = |index: &usize| index.abs_diff(present);
    let by_alerts = |a: &usize, b: &usize| tried[*a].alerts_a_day.total_cmp(&tried[*b].alerts_a_day);
    let errors = tried.get(present)?.errors;
    let usable = || (0..tried.len()).filter(|&index| tried[index].errors <= errors);
    let within = usable().filter(|&index| tried[index].alerts_a_day <= wanted);
    let best = within.max_by(|a, b| by_alerts(a, b).then(distance(b).cmp(&distance(a))));
    best.or_else(|| usable().min_by(|a, b| by_alerts(a, b).then(distance(a).cmp(&distance(b)))))
}

/// A bar for a count, at most `width` characters long; a count that is not zero has at least a sliver.
#[must_use]
pub(crate) fn bar(count: u64, most: u64, width: usize) -> String {
    let eighths = (Decimal::from(count) * Decimal::from(width * 8) / Decimal::from(most.max(1))).round();
    let eighths = eighths.to_usize().unwrap_or(0).max(usize::from(count > 0));
    let mut bar = "█".repeat(eighths / 8);
    if let Some(part) =
        [None, Some('▏'), Some('▎'), Some('▍'), Some('▌'), Some('▋'), Some('▊'), Some('▉')][eighths % 8]
    {
        bar.push(part);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(present: &str) -> Vec<String> {
        let text = |param| match param {
            Param::Number(text) => text,
            other => panic!("{other:?}"),
        };
        candidates(&Param::Number(present.to_owned())).into_iter().map(text).collect()
    }

    #[test]
    fn candidates_are_multiples_of_the_same_kind() {
        assert_eq!(texts("3"), ["1", "2", "3", "4", "6", "9", "15", "30"]);
        assert_eq!(
            texts("0.3"),
            ["0.03", "0.075", "0.15", "0.225", "0.27", "0.3", "0.33", "0.375", "0.45", "0.6", "0.9"]
        );
        assert_eq!(texts("50000").len(), 13);
        assert!(texts("0").is_empty());
        assert!(candidates(&Param::Text("2000-01-01".into())).is_empty());
    }

    #[test]
    fn the_proposal_stays_within_what_is_wanted() {
        let of = |alerts: &[(f64, u64)], present, wanted| {
            let tried: Vec<_> =
                alerts.iter().map(|&(alerts_a_day, errors)| Tried { alerts_a_day, errors }).collect();
            propose(&tried, present, wanted)
        };
        assert_eq!(of(&[(9.0, 0), (4.0, 0), (2.0, 0), (1.0, 0)], 0, 2.5), Some(2));
        assert_eq!(of(&[(9.0, 0), (4.0, 0)], 0, 1.0), Some(1), "none is low enough: the lowest");
        assert_eq!(of(&[(2.0, 0), (2.0, 0), (2.0, 0)], 1, 2.0), Some(1), "no change without need");
        assert_eq!(of(&[(0.0, 7), (4.0, 1), (9.0, 1)], 2, 1.0), Some(1), "not the one that fails");
        assert_eq!(of(&[(0.0, 1), (4.0, 1)], 1, 1.0), Some(0), "no worse than now");
        assert_eq!(of(&[], 0, 2.0), None);
    }

    #[test]
    fn bars_show_what_there_is() {
        assert_eq!(bar(8, 8, 2), "██");
        assert_eq!(bar(6, 8, 2), "█▌");
        assert_eq!(bar(1, 1_000_000, 10), "▏");
        assert_eq!(bar(0, 8, 2), "");
    }
}
