#![allow(clippy::cast_precision_loss)]

use proptest::prelude::*;

use super::*;
use crate::event::{TimeDelta, time::Calendar};

mod coverage;

/// Half of 2025 is over.
fn half() -> YearPosition {
    let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
    YearPosition::at(&calendar, calendar.parse("2025-07-02T12:00:00+08:00").unwrap()).unwrap()
}

fn line(id: &'static str, year: i32, early: (i128, i128), now: (i128, i128)) -> LineYear<'static> {
    let (early_total, early_executed) = early;
    let (total, executed) = now;
    LineYear {
        id,
        unit: "u",
        class: "30201",
        year: Some(year),
        total,
        executed,
        early_total,
        early_executed,
        is_known: true,
    }
}

fn open(id: &'static str, total: i128, executed: i128) -> LineYear<'static> {
    line(id, 2025, (total, executed), (total, executed))
}

#[test]
fn a_line_with_one_year_before() {
    // Worked out by hand: each of the four groups holds this one closed line and this open one. The share begins at 1/2 and
    // goes a 1/11 of the way to 3/9 each time: 0.447169. The use begins at 1 and goes (1 + w) / (5 + w) of the way to
    // (900 + 400 / 2) / (1000 + 1000 w), where w is half the share: 0.930089.
    let lines = [line("A-2024", 2024, (100_000, 30_000), (110_000, 90_000)), open("A-2025", 100_000, 40_000)];
    let found = forecast(&lines, &half());
    assert_eq!(found.lines[0], Some(Forecast::closed(90_000)));
    let line = found.lines[1].unwrap();
    // 400 + (1 - 0.447169) · 1000 · 0.930089
    assert_eq!(line.year_end, 91_418);
    // Without 2024 there are the even pace and the open year: 300 + 1/2 · 1000 · 0.956933 was to be expected, 900 came. A
    // single error makes a width of 3.078 times itself.
    assert_eq!((line.low, line.high), (Some(91_418 - 37_407), Some(91_418 + 37_407)));
    // In 2024 the even pace would have said 600, so all of the weight stays with the budget.
    let basis = Basis { methods: [Some(91_418), Some(80_000), Some(100_000)], weights: [5, 0, 0] };
    assert_eq!((found.bases[1], found.bases[0], found.years), (Some(basis), None, vec![2024]));
    let units: Vec<_> = found.groups.iter().map(|g| (g.level, &*g.code, g.year, g.forecast)).collect();
    assert_eq!(units[1], (ForecastLevel::Unit, "u", 2025, line));
    assert_eq!(units[3], (ForecastLevel::EconomicClass, "30201", 2025, line));
}

#[test]
fn without_history_the_budget_and_the_pace_are_all_there_is() {
    let lines = [open("A", 100_000, 40_000), open("B", 0, 30_000), open("C", 0, 0)];
    let found = forecast(&lines, &half());
    // A line without a budget goes on as it went. Nothing is known of errors.
    assert_eq!(found.lines[1], Some(Forecast { year_end: 60_000, low: None, high: None }));
    assert_eq!(found.lines[2], Some(Forecast::default()));
    let first = found.lines[0].unwrap();
    assert!((80_000..100_000).contains(&first.year_end), "{first:?}");
    assert_eq!((first.low, first.high), (None, None));
    assert!(found.years.is_empty() && found.groups.iter().all(|group| group.forecast.low.is_none()));
    let late = LineYear { year: Some(2026), ..lines[0] };
    let unknown = LineYear { year: None, ..lines[0] };
    assert_eq!(forecast(&[late, unknown], &half()).lines, [None, None]);
}

#[test]
fn a_year_that_is_not_known_is_left_out() {
    let past = line("A-2024", 2024, (100_000, 0), (110_000, 90_000));
    let unknown = LineYear { is_known: false, ..past };
    let lines = [unknown, open("A-2025", 100_000, 40_000)];
    let found = forecast(&lines, &half());
    assert_eq!(found.lines[1], forecast(&lines[1..], &half()).lines[0]);
    assert_eq!(found.lines[0].unwrap().year_end, 90_000);
}

#[test]
fn years_that_repeat_are_foreseen() {
    // Every year the unit spends 30 % by the middle, and nine tenths in all.
    let mut lines = Vec::new();
    for year in 2020..2025 {
        lines.extend((0..40).map(|_| line("same", year, (100_000, 27_000), (100_000, 90_000))));
    }
    lines.extend((0..40).map(|_| open("same", 100_000, 27_000)));
    let found = forecast(&lines, &half());
    let last = found.lines.last().unwrap().unwrap();
    assert!(
        (last.year_end - 90_000).abs() < 200 && last.high.unwrap() - last.low.unwrap() < 1_000,
        "{last:?}"
    );
    let unit = found.groups.iter().find(|g| g.level == ForecastLevel::Unit && g.year == 2025).unwrap();
    assert!((unit.forecast.year_end - 3_600_000).abs() < 8_000 && unit.executed == 1_080_000, "{unit:?}");
}

#[test]
fn ids_tie_years_together_within_unit_and_class() {
    // Two lines of one unit and class with seasons of their own.
    let mut lines = Vec::new();
    for (year, ids) in
        [(2022, ["A-2022", "B-2022"]), (2023, ["A-2023", "B-2023"]), (2024, ["A-2024", "B-2024"])]
    {
        lines.push(line(ids[0], year, (100_000, 90_000), (100_000, 90_000)));
        lines.push(line(ids[1], year, (100_000, 0), (100_000, 90_000)));
    }
    lines.extend([open("A-2025", 100_000, 45_000), open("B-2025", 100_000, 0)]);
    let found = forecast(&lines, &half());
    let [a, b] = [found.lines[6].unwrap(), found.lines[7].unwrap()];
    assert!(a.year_end - 45_000 < b.year_end, "what is still to come of {a:?} is less than of {b:?}");
}

#[test]
fn early_sums_end_at_the_point() {
    let position = half();
    let mut lines = [line("A-2024", 2024, (1, 1), (9, 9)), open("A-2025", 7, 5)];
    let point = position.same_point(2024).unwrap();
    let mut early = Early::new(&mut lines, &position);
    assert!(!early.is_empty());
    early.budget("A-2024", point - TimeDelta::MICROSECOND, 100);
    early.execute("A-2024", point - TimeDelta::MICROSECOND, 10);
    early.execute("A-2024", point, 1_000);
    early.execute("A-2025", point - TimeDelta::MICROSECOND, 1_000);
    early.execute("other", point - TimeDelta::MICROSECOND, 1_000);
    early.finish();
    assert!(lines[1].is_known && !lines[0].is_known, "some of 2024 is not told");
    assert_eq!((lines[0].early_total, lines[0].early_executed), (100, 10));
    assert_eq!((lines[1].early_total, lines[1].early_executed), (7, 5));
    (lines[0].total, lines[0].executed) = (100, 1_010);
    let mut early = Early::new(&mut lines, &position);
    early.budget("A-2024", point, 100);
    early.execute("A-2024", point, 1_010);
    early.finish();
    assert!(lines[0].is_known);
    assert_eq!((lines[0].early_total, lines[0].early_executed), (0, 0));
}

/// The same by definition: a group is what passes a filter, and every sum is made again.
fn slow(lines: &[LineYear<'_>], at: usize, without: Option<i32>, position: &YearPosition) -> f64 {
    let sum = |of: &dyn Fn(&LineYear<'_>) -> i128, lines: &[&LineYear<'_>]| -> f64 {
        lines.iter().map(|line| of(line)).sum::<i128>() as f64
    };
    let me = lines[at];
    let (total, executed) = match without {
        Some(_) => (me.early_total, me.early_executed),
        None => (me.total, me.executed),
    };
    let same = |other: &LineYear<'_>| other.id[..1] == me.id[..1];
    let (mut share, mut used) = (position.elapsed(), 1.0);
    for level in 0..4 {
        let group: Vec<_> = lines
            .iter()
            .filter(|l| level < 1 || l.class == me.class)
            .filter(|l| level < 2 || l.unit == me.unit)
            .filter(|l| level < 3 || same(l))
            .collect();
        let closed: Vec<_> =
            group.iter().copied().filter(|l| l.year < Some(2025) && l.year != without).collect();
        let now: Vec<_> =
            group.iter().copied().filter(|l| l.year == Some(2025) && l.early_total > 0).collect();
        let spent = sum(&|l| l.executed, &closed);
        if spent > 0.0 {
            let z = closed.len() as f64 / (closed.len() as f64 + 10.0);
            share += z * ((sum(&|l| l.early_executed, &closed) / spent).clamp(0.0, 1.0) - share);
        }
        let closed: Vec<_> = closed.into_iter().filter(|l| l.early_total > 0).collect();
        let w = share / 2.0;
        let budget = sum(&|l| l.early_total, &closed) + w * sum(&|l| l.early_total, &now);
        if budget > 0.0 {
            let n = closed.len() as f64 + w * now.len() as f64;
            let use_of = (sum(&|l| l.executed, &closed) + sum(&|l| l.executed, &now) / 2.0) / budget;
            used += n / (n + 4.0) * (use_of.clamp(0.0, 4.0) - used);
        }
    }
    let before: Vec<_> = lines
        .iter()
        .filter(|l| l.class == me.class && l.unit == me.unit && same(l))
        .filter(|l| l.year == me.year.map(|y| y - 1) && l.year != without)
        .collect();
    let expected = if total > 0 {
        total as f64 * used
    } else if !before.is_empty() {
        sum(&|l| l.executed, &before).max(0.0)
    } else {
        executed.max(0) as f64 / share.max(position.elapsed() / 2.0).max(0.05)
    };
    let executed = executed as f64;
    executed + (1.0 - share) * expected
}

const IDS: [[&str; 4]; 3] = [
    ["A-2022", "A-2023", "A-2024", "A-2025"],
    ["B-2022", "B-2023", "B-2024", "B-2025"],
    ["C-2022", "C-2023", "C-2024", "C-2025"],
];

fn lines() -> impl Strategy<Value = Vec<LineYear<'static>>> {
    let money = || prop_oneof![1 => Just(0i128), 4 => 1i128..1_000_000];
    let one = (0..3usize, 0..4usize, 0..2usize, money(), money(), 0i128..100, -50_000i128..300_000);
    let one = one.prop_map(|(id, year, class, total, later, early, refund)| {
        let executed = total * early / 100 + refund;
        let (now, early_total) = (total + later, if year == 3 { total + later } else { total });
        LineYear {
            id: IDS[id][year],
            unit: ["u1", "u2"][id % 2],
            class: ["30201", "30202"][class],
            year: Some(2022 + i32::try_from(year).unwrap()),
            total: now,
            executed,
            early_total,
            early_executed: if year == 3 { executed } else { executed * early / 100 },
            is_known: true,
        }
    });
    proptest::collection::vec(one, 1..60)
}

/// The methods of a line by definition, as floats. Half of the year is over.
fn slow_methods(
    lines: &[LineYear<'_>],
    at: usize,
    without: Option<i32>,
    position: &YearPosition,
) -> [Option<f64>; 3] {
    let me = lines[at];
    let executed = if without.is_some() { me.early_executed } else { me.executed } as f64;
    let mut last = lines.iter().filter(|l| {
        let same = l.class == me.class && l.unit == me.unit && l.id[..1] == me.id[..1];
        same && l.year == me.year.map(|year| year - 1) && l.year != without
    });
    let last = last.next().map(|first| {
        let rest: i128 = std::iter::once(first).chain(last).map(|l| l.executed - l.early_executed).sum();
        executed + rest.max(0) as f64
    });
    [Some(slow(lines, at, without, position)), Some(executed * 2.0), last]
}

/// The mean error of a mixture in closed years as a share of the budget's, half of the weight's way from all lines to the
/// class, and what a mixture has to gain.
fn cost(lines: &[LineYear<'_>], season: &Season<'_, '_>, class: &str, weights: [u8; 3]) -> f64 {
    let share = |of: &dyn Fn(&LineYear<'_>) -> bool| {
        let (mut shares, mut n) = (Vec::new(), 0.0);
        for year in 2022..2025 {
            let of_year = closed(lines, season).filter(|(_, l)| l.year == Some(year) && of(l));
            let errors = of_year.map(|(at, early)| {
                let methods = season.methods(at, &early, early.year);
                let error = |weights| (lines[at].executed - mix(weights, &methods)).abs();
                (error(weights), error([5, 0, 0]))
            });
            let errors: Vec<_> = errors.collect();
            let (own, budget): (i128, i128) =
                (errors.iter().map(|e| e.0).sum(), errors.iter().map(|e| e.1).sum());
            if budget > 0 {
                n += errors.len() as f64;
                shares.push(own as f64 / budget as f64);
            }
        }
        (!shares.is_empty()).then(|| (shares.iter().sum::<f64>() / shares.len() as f64, n))
    };
    let Some((all, _)) = share(&|_| true) else { return 0.0 };
    let blended = share(&|l| l.class == class).map_or(all, |(own, n)| all + n / (n + 100.0) * (own - all));
    blended + 0.1 * (1.0 - f64::from(weights[0]) / 5.0)
}

#[test]
fn the_method_that_was_nearest_has_the_weight() {
    // Budgets are made up, and what a line executed last year it executes again, nearly all of it late.
    let mut lines = Vec::new();
    for year in 2021..2025 {
        for (id, end) in [("A", 40_000), ("B", 70_000), ("C", 10_000)] {
            let total = 10_000 + i128::from(year % 7) * 90_000;
            lines.push(line(id, year, (total, end / 10), (total, end)));
        }
    }
    lines.extend([open("A", 900_000, 4_000), open("B", 900_000, 7_000), open("D", 900_000, 7_000)]);
    let found = forecast(&lines, &half());
    let basis = found.bases[12].unwrap();
    assert_eq!(basis.weights, [0, 0, 5], "{basis:?}");
    assert_eq!(basis.parts().collect::<Vec<_>>(), [(ForecastMethod::LastYear, 40_000, 100)]);
    assert_eq!((found.lines[12].unwrap().year_end, found.lines[13].unwrap().year_end), (40_000, 70_000));
    // A line that was not there last year has its budget.
    assert_eq!(found.bases[14].unwrap().weights, [5, 0, 0]);
    assert_eq!(found.years, [2021, 2022, 2023, 2024]);
}

proptest! {
    #[test]
    fn methods_are_what_the_definition_says(lines in lines()) {
        let position = half();
        let season = Season::new(&lines, &position);
        let all = (0..lines.len()).filter(|at| lines[*at].year == Some(2025)).map(|at| (at, lines[at], None));
        let past = closed(&lines, &season).map(|(at, early)| (at, early, early.year));
        for (at, line, without) in all.chain(past) {
            let found = season.methods(at, &line, without);
            for (found, by_definition) in found.iter().zip(slow_methods(&lines, at, without, &position)) {
                prop_assert_eq!(found.is_some(), by_definition.is_some());
                let (found, by_definition) = (found.unwrap_or_default() as f64, by_definition.unwrap_or_default());
                prop_assert!((found - by_definition).abs() < 1.0, "{found} {by_definition}");
            }
        }
    }

    #[test]
    fn no_mixture_erred_less(lines in lines()) {
        let position = half();
        let season = Season::new(&lines, &position);
        let found = forecast(&lines, &position);
        let chosen = try_methods(&lines, &season).choose();
        for (at, line) in lines.iter().enumerate() {
            let (forecast, basis) = (found.lines[at].unwrap(), found.bases[at]);
            if line.year != Some(2025) {
                prop_assert_eq!((forecast, basis), (Forecast::closed(line.executed), None));
                continue;
            }
            let basis = basis.unwrap();
            prop_assert_eq!(forecast.year_end, mix(basis.weights, &basis.methods));
            let weights = chosen.weights(line.class, None);
            let least = cost(&lines, &season, line.class, weights);
            for pace in 0..=5 {
                for last in 0..=5 - pace {
                    let other = cost(&lines, &season, line.class, [5 - pace - last, pace, last]);
                    prop_assert!(least <= other + 1e-9, "{weights:?} {least}, {pace} {last} {other}");
                }
            }
            if let (Some(low), Some(high)) = (forecast.low, forecast.high) {
                prop_assert!(low <= forecast.year_end && forecast.year_end <= high);
            }
        }
    }

    /// What a closed year became does not tell its own forecast: it moves neither its methods nor their weights.
    #[test]
    fn a_year_is_not_foreseen_by_itself(lines in lines(), year in 2022..2025i32, more in 1..500_000i128) {
        let position = half();
        let mut other = lines.clone();
        other.iter_mut().filter(|line| line.year == Some(year)).for_each(|line| line.executed += more);
        let (season, moved) = (Season::new(&lines, &position), Season::new(&other, &position));
        for (at, early) in closed(&lines, &season).filter(|(_, early)| early.year == Some(year)) {
            prop_assert_eq!(season.methods(at, &early, Some(year)), moved.methods(at, &early, Some(year)));
        }
        let (chosen, moved) = (try_methods(&lines, &season).choose(), try_methods(&other, &season).choose());
        for class in ["30201", "30202"] {
            prop_assert_eq!(chosen.weights(class, Some(year)), moved.weights(class, Some(year)));
        }
    }

    /// To the cent and the bit: the order of lines is that of their opening, which a restart may change.
    #[test]
    fn the_order_of_lines_does_not_matter(lines in lines(), seed in any::<u64>()) {
        let position = half();
        let mut order: Vec<usize> = (0..lines.len()).collect();
        order.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(seed | 1));
        let shuffled: Vec<_> = order.iter().map(|at| lines[*at]).collect();
        let (found, other) = (forecast(&lines, &position), forecast(&shuffled, &position));
        for (to, from) in order.iter().enumerate() {
            prop_assert_eq!(other.lines[to], found.lines[*from]);
        }
        for (to, from) in order.iter().enumerate() {
            prop_assert_eq!(other.bases[to], found.bases[*from]);
        }
        prop_assert_eq!(other.groups, found.groups);
    }
}
