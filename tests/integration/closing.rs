//! Closing windows and anomaly scores against a plain model that keeps all events and does everything again.

// Scores are statistics: floats, of few values.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::float_cmp,
    clippy::many_single_char_names
)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, append, assert_same, lines, payment, run, wait_until};

const LATENESS: i64 = 600_000_000;
const HOUR: i64 = 3_600_000_000;

#[derive(Debug, Clone)]
struct Event {
    at: i64,
    unit: String,
    cents: i64,
    payee: String,
    json: Value,
}

fn events(seed: u64, count: usize) -> Vec<Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clock: i64 = "2026-03-20T08:00:00Z".parse::<Timestamp>().unwrap().as_microsecond();
    (0..count)
        .map(|n| {
            clock += match rng.random_range(0..10) {
                0..2 => 0,
                2..9 => rng.random_range(0..2 * HOUR),
                _ => rng.random_range(0..60 * HOUR),
            };
            let at = match rng.random_range(0..12) {
                0 => clock - rng.random_range(0..LATENESS * 2),
                1 => clock - rng.random_range(0..100 * HOUR),
                _ => clock,
            };
            let cents: i64 = if rng.random_ratio(1, 15) {
                rng.random_range(1..90_000_000)
            } else {
                rng.random_range(1..9_000)
            };
            let (unit, payee) =
                (format!("u{}", rng.random_range(0..3)), format!("p{}", rng.random_range(0..5)));
            let mut json = payment(&format!("e{n}"), "L", &format!("{}.{:02}", cents / 100, cents % 100));
            json["occurred_at"] = json!(Timestamp::from_microsecond(at).unwrap().to_string());
            json["unit_code"] = json!(unit);
            json["payee_account"] = json!(payee);
            Event { at, unit, cents, payee, json }
        })
        .collect()
}

/// Ends of windows and how many panes they have, by calendar arithmetic of its own.
#[derive(Debug, Clone, Copy)]
enum Size {
    Days { size: i64, slide: i64 },
    Month,
    Hours { size: i64, slide: i64 },
}

impl Size {
    fn text(self) -> String {
        match self {
            Self::Days { size, slide } => format!("size: {size}d, slide: {slide}d"),
            Self::Month => String::from("size: month"),
            Self::Hours { size, slide } => format!("size: {size}h, slide: {slide}h"),
        }
    }

    /// All windows that hold `at`.
    fn windows(self, at: i64, zone: &TimeZone) -> Vec<(i64, i64)> {
        let instant = |date: Date| date.to_zoned_datetime(zone.clone()).unwrap().timestamp().as_microsecond();
        let date = zone.to_datetime(Timestamp::from_microsecond(at).unwrap()).date();
        match self {
            Self::Month => {
                vec![(instant(date.first_of_month()), instant(date.last_of_month().tomorrow().unwrap()))]
            }
            Self::Days { size, slide } => {
                let monday = jiff::civil::date(1970, 1, 5);
                let since = i64::from(date.since(monday).unwrap().get_days());
                let pane = since.div_euclid(slide);
                let day = |n: i64| instant(monday + n.days());
                (1..=size / slide)
                    .map(|n| (day((pane + n) * slide - size), day((pane + n) * slide)))
                    .collect()
            }
            Self::Hours { size, slide } => {
                // Only used in a zone whose days all have 24 hours.
                let midnight = instant(date);
                let pane = (at - midnight) / (slide * HOUR);
                let end = |n: i64| midnight + (pane + n) * slide * HOUR;
                (1..=size / slide).map(|n| (end(n) - size * HOUR, end(n))).collect()
            }
        }
    }
}

struct Rule {
    size: Size,
    method: &'static str,
    extra: &'static str,
    history: usize,
    min_history: usize,
}

const RULES: &[Rule] = &[
    Rule { size: Size::Days { size: 1, slide: 1 }, method: "mad", extra: "", history: 10, min_history: 3 },
    Rule { size: Size::Days { size: 7, slide: 1 }, method: "zscore", extra: "", history: 12, min_history: 4 },
    Rule { size: Size::Days { size: 7, slide: 7 }, method: "ratio", extra: "", history: 5, min_history: 1 },
    Rule {
        size: Size::Hours { size: 6, slide: 2 },
        method: "iqr",
        extra: ", direction: both",
        history: 20,
        min_history: 5,
    },
    Rule { size: Size::Month, method: "ratio", extra: "", history: 3, min_history: 1 },
    Rule {
        size: Size::Days { size: 1, slide: 1 },
        method: "ewma",
        extra: ", alpha: 0.3",
        history: 15,
        min_history: 3,
    },
    Rule {
        size: Size::Days { size: 1, slide: 1 },
        method: "seasonal",
        extra: ", season: weekday",
        history: 4,
        min_history: 2,
    },
];

fn rules() -> String {
    let mut text = String::from("rules:\n");
    for (at, rule) in RULES.iter().enumerate() {
        text.push_str(&format!(
            "  - id: w{at}\n    severity: low\n    trigger: window\n    of: payment\n    window: {{ by: [unit_code], {} }}\n    measure: {{ total: sum(amount), n: count(*), payees: count(distinct payee_account), middle: median(amount) }}\n    anomaly: {{ of: total, method: {}, history: {}, min_history: {}{} }}\n    when: n >= 3 or score > 1.5\n    key: [unit_code]\n    summary: '{{{{ total }}}} {{{{ n }}}} {{{{ payees }}}} {{{{ middle }}}} {{{{ score }}}} {{{{ n_history }}}} {{{{ window_start }}}}'\n",
            rule.size.text(), rule.method, rule.history, rule.min_history, rule.extra
        ));
    }
    text
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n % 2 == 1 { values[n / 2] } else { f64::midpoint(values[n / 2 - 1], values[n / 2]) }
}

fn quartile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

fn score(rule: &Rule, x: f64, history: &[f64]) -> Option<f64> {
    if history.len() < rule.min_history {
        return None;
    }
    let n = history.len() as f64;
    let mean = history.iter().sum::<f64>() / n;
    let over = |d: f64, s: f64| if d == 0.0 { 0.0 } else { d / s };
    Some(match rule.method {
        "zscore" => {
            over(x - mean, (history.iter().map(|h| (h - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
        }
        "mad" | "seasonal" => {
            let m = median(&mut history.to_vec());
            0.6745 * over(x - m, median(&mut history.iter().map(|h| (h - m).abs()).collect::<Vec<_>>()))
        }
        "iqr" => {
            let (low, high) = (quartile(history, 0.25), quartile(history, 0.75));
            let beyond = if x > high {
                x - high
            } else if x < low {
                x - low
            } else {
                0.0
            };
            over(beyond, high - low).abs()
        }
        "ratio" => x / mean,
        _ => {
            let w: Vec<f64> =
                (0..history.len()).map(|i| 0.7f64.powi((history.len() - 1 - i) as i32)).collect();
            let (s, s2) = (w.iter().sum::<f64>(), w.iter().map(|w| w * w).sum::<f64>());
            let m = history.iter().zip(&w).map(|(h, w)| h * w).sum::<f64>() / s;
            let v = history.iter().zip(&w).map(|(h, w)| w * (h - m).powi(2)).sum::<f64>() / s;
            over(x - m, (v * s * s / (s * s - s2)).sqrt())
        }
    })
}

/// What a rule finds: the window's end and unit, and the numbers of its summary.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    rule: usize,
    end: i64,
    unit: String,
    total: i64,
    n: usize,
    payees: usize,
    score: Option<f64>,
    history: usize,
}

/// The model: every event goes into a list; what is closed is remembered by window and unit.
struct Model<'m> {
    number: usize,
    rule: &'m Rule,
    zone: &'m TimeZone,
    seen: Vec<&'m Event>,
    /// The starts and values of closed windows, by their ends and units.
    past: BTreeMap<(i64, String), (i64, f64)>,
    fired: BTreeSet<(i64, String)>,
    found: Vec<Found>,
}

impl<'m> Model<'m> {
    fn run(number: usize, rule: &'m Rule, events: &'m [Event], zone: &'m TimeZone) -> Vec<Found> {
        let (seen, past, fired, found) = (Vec::new(), BTreeMap::new(), BTreeSet::new(), Vec::new());
        let mut model = Self { number, rule, zone, seen, past, fired, found };
        let mut watermark = i64::MIN;
        for event in events {
            model.seen.push(event);
            for window in rule.size.windows(event.at, zone).into_iter().filter(|(_, end)| *end <= watermark) {
                model.judge(window, &event.unit);
            }
            // Windows wait for a second event, however large the time of a single one is.
            let mut times: Vec<i64> = model.seen.iter().map(|e| e.at).collect();
            times.sort_unstable();
            let second = times.iter().rev().nth(1).map_or(i64::MIN, |at| at - LATENESS);
            let next = watermark.max(second);
            model.close(watermark, next);
            watermark = next;
        }
        model.close(watermark, i64::MAX);
        model.found
    }

    fn close(&mut self, from: i64, to: i64) {
        let mut due: BTreeSet<(i64, String, i64)> = BTreeSet::new();
        for event in &self.seen {
            let windows = self.rule.size.windows(event.at, self.zone);
            for (start, end) in windows.into_iter().filter(|(_, end)| *end > from && *end <= to) {
                due.insert((end, event.unit.clone(), start));
            }
        }
        for (end, unit, start) in due {
            self.judge((start, end), &unit);
        }
    }

    fn weekday(&self, at: i64) -> jiff::civil::Weekday {
        self.zone.to_datetime(Timestamp::from_microsecond(at).unwrap()).weekday()
    }

    fn judge(&mut self, (start, end): (i64, i64), unit: &str) {
        let inside = self.seen.iter().filter(|e| e.unit == unit && e.at >= start && e.at < end);
        let inside: Vec<_> = inside.copied().collect();
        let total: i64 = inside.iter().map(|e| e.cents).sum();
        let value = total as f64 / 100.0;
        let seasonal = self.rule.method == "seasonal";
        let before = self.past.iter().rev().filter(|((e, u), (s, _))| {
            *e < end && u == unit && (!seasonal || self.weekday(*s) == self.weekday(start))
        });
        let mut history: Vec<f64> = before.map(|(_, (_, value))| *value).take(self.rule.history).collect();
        history.reverse();
        self.past.insert((end, unit.to_owned()), (start, value));
        let score = score(self.rule, value, &history);
        let holds = inside.len() >= 3 || score.is_some_and(|s| s > 1.5);
        if holds && self.fired.insert((end, unit.to_owned())) {
            let payees = inside.iter().map(|e| &e.payee).collect::<BTreeSet<_>>().len();
            let (rule, unit, n, history) = (self.number, unit.to_owned(), inside.len(), history.len());
            self.found.push(Found { rule, end, unit, total, n, payees, score, history });
        }
    }
}

fn read(finding: &Value) -> Found {
    let v = &finding["values"];
    let micros = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
    assert_eq!(finding["at"], finding["window"]["end"]);
    assert_eq!(finding["window"]["start"], v["window_start"]);
    let score = match &v["score"] {
        Value::Null => None,
        Value::String(text) => Some(text.parse().unwrap()),
        number => number.as_f64(),
    };
    Found {
        rule: finding["rule_id"].as_str().unwrap()[1..].parse().unwrap(),
        end: micros(finding["at"].as_str().unwrap()),
        unit: finding["key"]["unit_code"].as_str().unwrap().to_owned(),
        total: v["total"].as_str().unwrap().replace('.', "").parse().unwrap(),
        n: usize::try_from(v["n"].as_u64().unwrap()).unwrap(),
        payees: usize::try_from(v["payees"].as_u64().unwrap()).unwrap(),
        score,
        history: usize::try_from(v["n_history"].as_u64().unwrap()).unwrap(),
    }
}

fn close_enough(a: &Found, b: &Found) -> bool {
    let score = match (a.score, b.score) {
        (Some(x), Some(y)) => x == y || (x - y).abs() <= 1e-9 * x.abs().max(1.0),
        (None, None) => true,
        _ => false,
    };
    score && Found { score: None, ..a.clone() } == Found { score: None, ..b.clone() }
}

fn check(zone_name: &str, seed: u64, count: usize) {
    let zone = TimeZone::get(zone_name).unwrap();
    let events = events(seed, count);
    let bench = Bench::new(
        &lines(&events.iter().map(|e| e.json.clone()).collect::<Vec<_>>()),
        &format!("time_zone: {zone_name}\n"),
    );
    std::fs::write(bench.path().join("rules/rules.yaml"), rules()).unwrap();
    let (found, _) = bench.backtest(&["--batch-rows", "64"]);
    let found: Vec<Found> = found.iter().map(|line| read(&serde_json::from_str(line).unwrap())).collect();
    for (number, rule) in RULES.iter().enumerate() {
        if zone_name == "Europe/Berlin" && matches!(rule.size, Size::Hours { .. }) {
            continue;
        }
        let expected = Model::run(number, rule, &events, &zone);
        let own: Vec<_> = found.iter().filter(|f| f.rule == number).collect();
        assert!(expected.len() > 3, "{zone_name} {seed} rule {number} finds too little to be a test");
        for (a, b) in own.iter().zip(&expected) {
            assert!(close_enough(a, b), "{zone_name} seed {seed} rule {number}: {a:?} instead of {b:?}");
        }
        assert_eq!(own.len(), expected.len(), "{zone_name} seed {seed} rule {number}");
    }
}

#[test]
fn windows_and_scores_are_what_a_model_without_state_says() {
    for seed in 1..4 {
        check("Asia/Shanghai", seed, 500);
        check("Europe/Berlin", seed, 400);
    }
}

#[test]
fn closing_windows_do_not_depend_on_batches_or_restarts() {
    let events: Vec<_> = events(7, 600).into_iter().map(|e| e.json).collect();
    let config = "sources: [{ name: feed, file: { path: feed.jsonl, follow: true } }]\nstate: { dir: state, checkpoint_events: 150 }\nengine: { batch_rows: 40, keep_late: 1h }\n";
    let bench = Bench::new(&lines(&events), config);
    std::fs::write(bench.path().join("rules/rules.yaml"), rules()).unwrap();
    let expected = bench.backtest(&["--batch-rows", "65536"]);
    assert!(expected.0.len() > 100);
    for rows in ["1", "7", "1000"] {
        assert_same(&bench.backtest(&["--batch-rows", rows]), &expected, rows);
    }
    // A file that grows, read by daemons that are killed or stopped; the last run ends, which closes what is open.
    let mut sent = 0;
    for (n, part) in events.chunks(130).enumerate() {
        append(&bench.path().join("feed.jsonl"), &lines(part));
        let daemon = Daemon::start(bench.path());
        sent += part.len();
        wait_until(|| daemon.json("/api/v1/status")["journal_events"] == sent);
        if n % 2 == 0 {
            assert_eq!(daemon.stop("-TERM"), Some(0));
        }
    }
    let once = config.replace(", follow: true", "");
    let text = std::fs::read_to_string(bench.path().join("fiscwatch.yaml")).unwrap().replace(config, &once);
    std::fs::write(bench.path().join("fiscwatch.yaml"), text).unwrap();
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert_same(&bench.state(), &expected, "restarts");
}
