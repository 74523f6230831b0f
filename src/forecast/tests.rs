#![allow(clippy::cast_precision_loss)]

use proptest::prelude::*;

use super::*;
use crate::event::{TimeDelta, time::Calendar};

/// Half of 2025 is over.
fn half() -> Position {
    let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
    Position::at(&calendar, calendar.parse("2025-07-02T12:00:00+08:00").unwrap()).unwrap()
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
    assert_eq!(found.lines[0], Some(Forecast { year_end: 90_000, low: 90_000, high: 90_000 }));
    let line = found.lines[1].unwrap();
    // 400 + (1 - 0.447169) · 1000 · 0.930089
    assert_eq!(line.year_end, 91_418);
    // Without 2024 there are the even pace and the open year: 300 + 1/2 · 1000 · 0.956933 was to be expected, 900 came. A
    // single error makes a width of 3.078 times itself.
    assert_eq!((line.low, line.high), (91_418 - 37_407, 91_418 + 37_407));
    let units: Vec<_> = found.groups.iter().map(|g| (g.level, &*g.code, g.year, g.forecast)).collect();
    assert_eq!(units[1], (Level::Unit, "u", 2025, line));
    assert_eq!(units[3], (Level::EconomicClass, "30201", 2025, line));
}

#[test]
fn without_history_the_budget_and_the_pace_are_all_there_is() {
    let lines = [open("A", 100_000, 40_000), open("B", 0, 30_000), open("C", 0, 0)];
    let found = forecast(&lines, &half());
    // A line without a budget goes on as it went.
    assert_eq!(found.lines[1], Some(Forecast { year_end: 60_000, low: 30_000, high: 60_000 }));
    assert_eq!(found.lines[2], Some(Forecast::default()));
    let first = found.lines[0].unwrap();
    assert!((80_000..100_000).contains(&first.year_end), "{first:?}");
    assert_eq!((first.low, first.high), (40_000, 100_000));
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
    assert!((last.year_end - 90_000).abs() < 200 && (last.high - last.low) < 1_000, "{last:?}");
    let unit = found.groups.iter().find(|g| g.level == Level::Unit && g.year == 2025).unwrap();
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

/// The same by definition: a group is what passes a filter, and every sum is made anew.
fn slow(lines: &[LineYear<'_>], at: usize, without: Option<i32>, position: &Position) -> f64 {
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

proptest! {
    #[test]
    fn it_is_what_the_definition_says(lines in lines()) {
        let position = half();
        let found = forecast(&lines, &position);
        for (at, (line, forecast)) in lines.iter().zip(&found.lines).enumerate() {
            let forecast = forecast.unwrap();
            if line.year == Some(2025) {
                let by_definition = slow(&lines, at, None, &position);
                            let difference = (forecast.year_end as f64 - by_definition).abs();
                prop_assert!(difference < 1.0, "{forecast:?} {by_definition}");
                prop_assert!(forecast.low <= forecast.year_end && forecast.year_end <= forecast.high);
                prop_assert!(forecast.low >= line.executed);
            } else {
                prop_assert_eq!(forecast, Forecast { year_end: line.executed, low: line.executed, high: line.executed });
            }
        }
    }

    /// The errors of closed years are those of forecasts that do not know the year.
    #[test]
    fn a_year_is_not_foreseen_by_itself(lines in lines()) {
        let position = half();
        let found = forecast(&lines, &position);
        let mut errors: Vec<f64> = Vec::new();
        for (at, line) in lines.iter().enumerate().filter(|(_, l)| l.year < Some(2025)) {
            if line.early_total > 0 || line.early_executed != 0 {
                let year_end = slow(&lines, at, line.year, &position).round();
                            let error = (line.executed as f64 - year_end) / (line.early_total as f64).max(year_end).max(1.0);
                errors.push(error.clamp(-4.0, 4.0));
            }
        }
        let by_class = |class: &str| lines.iter().filter(|l| l.class == class && l.year < Some(2025)).count();
        prop_assume!(errors.len() >= 9 && by_class("30201") < 30 && by_class("30202") < 30);
        errors.sort_by(f64::total_cmp);
        let high = errors[errors.len() - (errors.len() + 1) / 10];
        for (line, forecast) in lines.iter().zip(&found.lines).filter(|(l, _)| l.year == Some(2025)) {
            let forecast = forecast.unwrap();
                    let (year_end, total) = (forecast.year_end as f64, line.total as f64);
            let expected = (year_end + high * total.max(year_end).max(1.0)).max(year_end);
                    let difference = (forecast.high as f64 - expected).abs();
            prop_assert!(difference < 1.0 + expected.abs() * 1e-4, "{forecast:?} {expected}");
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
        prop_assert_eq!(other.groups, found.groups);
    }
}
