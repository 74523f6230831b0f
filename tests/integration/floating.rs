//! Sessions, and windows that begin at events, against a model that keeps all events and does everything again, and against
//! SQL over the whole history.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray},
    datatypes::Int64Type,
};
use datafusion::prelude::SessionContext;
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
    settlement: &'static str,
    json: Value,
}

/// Events over a change to summer time and the end of a month; `late` ones come out of order by more than the lateness.
fn events(seed: u64, count: usize, late: bool) -> Vec<Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clock: i64 = "2026-03-20T08:00:00Z".parse::<Timestamp>().unwrap().as_microsecond();
    (0..count)
        .map(|n| {
            clock += match rng.random_range(0..10) {
                0..2 => 0,
                2..9 => rng.random_range(0..3 * HOUR),
                _ => rng.random_range(0..60 * HOUR),
            };
            let at = match rng.random_range(0..12) {
                0 => clock - rng.random_range(0..LATENESS),
                1 if late => clock - rng.random_range(0..100 * HOUR),
                2 if late => clock - rng.random_range(0..LATENESS * 2),
                _ => clock,
            };
            let cents: i64 = rng.random_range(1..900_000);
            let unit = format!("u{}", rng.random_range(0..5));
            let settlement = ["cash", "transfer", "transfer", "card"][rng.random_range(0..4)];
            let mut json = payment(&format!("e{n}"), "L", &format!("{}.{:02}", cents / 100, cents % 100));
            json["occurred_at"] = json!(Timestamp::from_microsecond(at).unwrap().to_string());
            json["unit_code"] = json!(unit);
            json["settlement"] = json!(settlement);
            Event { at, unit, cents, settlement, json }
        })
        .collect()
}

/// A length of time, after an instant, by calendar arithmetic of its own.
#[derive(Debug, Clone, Copy)]
enum Length {
    Hours(i64),
    Days(i64),
}

impl Length {
    fn after(self, at: i64, zone: &TimeZone) -> i64 {
        match self {
            Self::Hours(hours) => at + hours * HOUR,
            Self::Days(days) => {
                let date = zone.to_datetime(Timestamp::from_microsecond(at).unwrap()).date();
                midnight(date + (days + 1).days(), zone)
            }
        }
    }
}

fn midnight(date: Date, zone: &TimeZone) -> i64 {
    date.to_zoned_datetime(zone.clone()).unwrap().timestamp().as_microsecond()
}

/// The first instant of the next month.
fn month_end(at: i64, zone: &TimeZone) -> i64 {
    let date = zone.to_datetime(Timestamp::from_microsecond(at).unwrap()).date();
    midnight(date.last_of_month().tomorrow().unwrap(), zone)
}

#[derive(Debug, Clone, Copy)]
enum Window {
    /// Whether sessions end with the month.
    Session(Length, bool),
    /// From each event that is settled so.
    From(&'static str, Length),
}

impl Window {
    fn until(self, at: i64, zone: &TimeZone) -> i64 {
        match self {
            Self::Session(gap, true) => gap.after(at, zone).min(month_end(at, zone)),
            Self::Session(length, false) | Self::From(_, length) => length.after(at, zone),
        }
    }
}

/// The window as rules write it, and what it is.
const RULES: &[(&str, &str, Window)] = &[
    ("unit_code", "gap: 20h", Window::Session(Length::Hours(20), false)),
    ("unit_code", "gap: 1d, size: month", Window::Session(Length::Days(1), true)),
    ("unit_code", "gap: 2d", Window::Session(Length::Days(2), false)),
    ("upper(unit_code)", "gap: 9h, size: year", Window::Session(Length::Hours(9), false)),
    ("unit_code", "from: settlement = 'cash', within: 30h", Window::From("cash", Length::Hours(30))),
    ("unit_code", "from: settlement = 'card', within: 2d", Window::From("card", Length::Days(2))),
    (
        "\"concat(unit_code, 'x')\"",
        "from: settlement = 'cash', within: 1d",
        Window::From("cash", Length::Days(1)),
    ),
];

/// Findings are those with no payment by card or many payments, so that late events decide.
fn rules(when: &str) -> String {
    let mut text = String::from("rules:\n");
    for (at, (by, window, _)) in RULES.iter().enumerate() {
        text.push_str(&format!(
            "  - id: w{at}\n    severity: low\n    trigger: window\n    of: payment\n    window: {{ by: [{by}], {window} }}\n    measure:\n      unit: min(unit_code)\n      n: count(*)\n      total: sum(amount)\n      cards: count(*) filter (where settlement = 'card')\n      first: first_value(amount)\n      last: last_value(amount)\n    when: {when}\n    key: [unit]\n    summary: '{{{{ n }}}} {{{{ total }}}} {{{{ cards }}}} {{{{ first }}}} {{{{ last }}}}'\n",
        ));
    }
    text
}

/// What a rule finds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    end: i64,
    unit: String,
    start: i64,
    n: usize,
    total: i64,
    cards: usize,
    ends: (i64, i64),
}

/// All windows of a unit, over events in the order of their times.
fn windows(window: Window, own: &[&Event], zone: &TimeZone) -> Vec<(i64, i64)> {
    let mut windows: Vec<(i64, i64)> = Vec::new();
    for event in own {
        let until = window.until(event.at, zone);
        match (window, windows.last_mut()) {
            (Window::Session(..), Some((_, end))) if event.at < *end => *end = until.max(*end),
            (Window::From(settled, _), _) if event.settlement != settled => {}
            (Window::From(..), Some((start, _))) if *start == event.at => {}
            _ => windows.push((event.at, until)),
        }
    }
    windows
}

struct Model<'m> {
    window: Window,
    zone: &'m TimeZone,
    seen: BTreeMap<&'m str, Vec<&'m Event>>,
    fired: BTreeSet<(i64, String)>,
    found: Vec<Found>,
}

impl<'m> Model<'m> {
    fn run(window: Window, events: &'m [Event], zone: &'m TimeZone) -> Vec<Found> {
        let mut model =
            Self { window, zone, seen: BTreeMap::new(), fired: BTreeSet::new(), found: Vec::new() };
        let (mut watermark, mut largest) = (i64::MIN, [i64::MIN; 2]);
        for event in events {
            let own = model.seen.entry(&event.unit).or_default();
            // Stable: those of one time as they arrived.
            let place = own.partition_point(|other| other.at <= event.at);
            own.insert(place, event);
            let late = windows(window, own, zone);
            for (start, end) in late.into_iter().filter(|(start, end)| (*start..*end).contains(&event.at)) {
                if end <= watermark {
                    model.judge((start, end), &event.unit);
                }
            }
            if event.at > largest[0] {
                largest = [event.at, largest[0]];
            } else {
                largest[1] = largest[1].max(event.at);
            }
            let next = watermark.max(largest[1].saturating_sub(LATENESS));
            model.close(watermark, next);
            watermark = next;
        }
        model.close(watermark, i64::MAX);
        model.found
    }

    fn close(&mut self, from: i64, to: i64) {
        let mut due: BTreeSet<(i64, &str, i64)> = BTreeSet::new();
        for (unit, own) in &self.seen {
            let all = windows(self.window, own, self.zone).into_iter();
            due.extend(
                all.filter(|(_, end)| *end > from && *end <= to).map(|(start, end)| (end, *unit, start)),
            );
        }
        for (end, unit, start) in due {
            self.judge((start, end), unit);
        }
    }

    fn judge(&mut self, (start, end): (i64, i64), unit: &str) {
        let inside: Vec<_> = self.seen[unit].iter().filter(|e| e.at >= start && e.at < end).collect();
        let cards = inside.iter().filter(|e| e.settlement == "card").count();
        if cards > 0 && inside.len() < 6 {
            return;
        }
        let subject = match self.window {
            Window::Session(..) => end,
            Window::From(..) => start,
        };
        if self.fired.insert((subject, unit.to_owned())) {
            let total = inside.iter().map(|e| e.cents).sum();
            let ends = (inside[0].cents, inside[inside.len() - 1].cents);
            let (unit, n) = (unit.to_owned(), inside.len());
            self.found.push(Found { end, unit, start, n, total, cards, ends });
        }
    }
}

fn read(finding: &Value) -> (usize, Found) {
    let v = &finding["values"];
    let micros = |text: &Value| text.as_str().unwrap().parse::<Timestamp>().unwrap().as_microsecond();
    let count = |name: &str| usize::try_from(v[name].as_u64().unwrap()).unwrap();
    let cents = |name: &str| v[name].as_str().unwrap().replace('.', "").parse().unwrap();
    assert_eq!(finding["at"], finding["window"]["end"]);
    let found = Found {
        end: micros(&finding["window"]["end"]),
        unit: finding["key"]["unit"].as_str().unwrap().to_owned(),
        start: micros(&finding["window"]["start"]),
        n: count("n"),
        total: cents("total"),
        cards: count("cards"),
        ends: (cents("first"), cents("last")),
    };
    (finding["rule_id"].as_str().unwrap()[1..].parse().unwrap(), found)
}

fn bench(events: &[Event], zone: &str, when: &str) -> Bench {
    let events: Vec<_> = events.iter().map(|e| e.json.clone()).collect();
    let bench = Bench::new(&lines(&events), &format!("time_zone: {zone}\n"));
    std::fs::write(bench.path().join("rules/rules.yaml"), rules(when)).unwrap();
    bench
}

fn found(bench: &Bench, rows: &str) -> Vec<(usize, Found)> {
    let (found, _) = bench.backtest(&["--batch-rows", rows]);
    found.iter().map(|line| read(&serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn sessions_and_windows_from_events_are_what_a_model_without_state_says() {
    for (zone_name, seed) in [("Asia/Shanghai", 1), ("Europe/Berlin", 2), ("Asia/Shanghai", 3)] {
        let zone = TimeZone::get(zone_name).unwrap();
        let events = events(seed, 600, true);
        let found = found(&bench(&events, zone_name, "cards = 0 or n >= 6"), "64");
        for (number, (_, text, window)) in RULES.iter().enumerate() {
            let expected = Model::run(*window, &events, &zone);
            assert!(expected.len() > 20, "{text} finds too little to be a test");
            let own: Vec<_> = found.iter().filter(|(of, _)| *of == number).map(|(_, f)| f.clone()).collect();
            assert_eq!(own, expected, "{zone_name} seed {seed} {text}");
        }
    }
}

/// The windows of a rule in SQL: a session begins where no session of an earlier event reaches to.
fn in_sql(window: Window) -> String {
    let spans = match window {
        Window::Session(..) => {
            "SELECT unit, min(at) AS start, max(until) AS stop FROM (
             SELECT *, sum(begins) OVER (PARTITION BY unit ORDER BY at, arrival) AS session FROM (
               SELECT *, CASE WHEN at < max(until) OVER (PARTITION BY unit ORDER BY at, arrival
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS begins FROM events))
           GROUP BY unit, session"
        }
        Window::From(..) => "SELECT DISTINCT unit, at AS start, until AS stop FROM events WHERE begins",
    };
    format!(
        "SELECT s.unit, start, stop, count(*) AS n, sum(cents) AS total, sum(CASE WHEN card THEN 1 ELSE 0 END) AS cards,
           first_value(cents ORDER BY at, arrival) AS first, last_value(cents ORDER BY at, arrival) AS last
         FROM ({spans}) s JOIN events e ON e.unit = s.unit AND e.at >= start AND e.at < stop
         GROUP BY s.unit, start, stop"
    )
}

async fn oracle(window: Window, events: &[Event], zone: &TimeZone) -> Vec<Found> {
    let number = |of: &dyn Fn(&Event) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(events.iter().map(of)))
    };
    let mark = |of: &dyn Fn(&Event) -> bool| -> ArrayRef {
        Arc::new(events.iter().map(|e| Some(of(e))).collect::<BooleanArray>())
    };
    let settled = match window {
        Window::From(settled, _) => settled,
        Window::Session(..) => "",
    };
    let units: StringArray = events.iter().map(|e| Some(e.unit.as_str())).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("arrival", Arc::new(Int64Array::from_iter_values(0..i64::try_from(events.len()).unwrap()))),
        ("unit", Arc::new(units)),
        ("at", number(&|e| e.at)),
        ("until", number(&|e| window.until(e.at, zone))),
        ("cents", number(&|e| e.cents)),
        ("card", mark(&|e| e.settlement == "card")),
        ("begins", mark(&|e| e.settlement == settled)),
    ];
    let context = SessionContext::new();
    let drop = if settled.is_empty() { &columns[..6] } else { &columns[..] };
    context.register_batch("events", RecordBatch::try_from_iter(drop.to_vec()).unwrap()).unwrap();
    let mut found = Vec::new();
    for batch in context.sql(&in_sql(window)).await.unwrap().collect().await.unwrap() {
        let units = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        let number = |at: usize, row: usize| batch.column(at).as_primitive::<Int64Type>().value(row);
        let count = |at: usize, row: usize| usize::try_from(number(at, row)).unwrap();
        found.extend((0..batch.num_rows()).map(|row| Found {
            end: number(2, row),
            unit: units.as_string::<i32>().value(row).to_owned(),
            start: number(1, row),
            n: count(3, row),
            total: number(4, row),
            cards: count(5, row),
            ends: (number(6, row), number(7, row)),
        }));
    }
    found.sort();
    found
}

#[test]
fn sessions_and_windows_from_events_are_what_sql_over_the_whole_history_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (zone_name, seed, rows) in
        [("Asia/Shanghai", 11, "1"), ("Europe/Berlin", 12, "37"), ("Asia/Shanghai", 13, "4096")]
    {
        let zone = TimeZone::get(zone_name).unwrap();
        // Nobody comes too late, so every window is judged once, by all of its events.
        let events = events(seed, 500, false);
        let mut found = found(&bench(&events, zone_name, "n >= 1"), rows);
        found.sort();
        for (number, (_, text, window)) in RULES.iter().enumerate() {
            let expected = runtime.block_on(oracle(*window, &events, &zone));
            let own: Vec<_> = found.iter().filter(|(of, _)| *of == number).map(|(_, f)| f.clone()).collect();
            assert!(expected.len() > 20, "{text}");
            assert_eq!(own, expected, "{zone_name} seed {seed} {text}");
        }
    }
}

#[test]
fn windows_that_begin_with_events_do_not_depend_on_batches_or_restarts() {
    let events: Vec<_> = events(7, 600, true).into_iter().map(|e| e.json).collect();
    let config = "sources: [{ name: feed, file: { path: feed.jsonl, follow: true } }]\nstate: { dir: state, checkpoint_events: 150 }\nengine: { batch_rows: 40, keep_late: 1h }\n";
    let bench = Bench::new(&lines(&events), config);
    std::fs::write(bench.path().join("rules/rules.yaml"), rules("cards = 0 or n >= 6")).unwrap();
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
