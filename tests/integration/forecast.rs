//! Forecasts: the same in a backtest and a daemon, of the events that a plain model takes, and better than the even pace.

use std::collections::BTreeMap;

use fiscwatch::forecast::{Forecasts, LineYear, YearPosition, forecast};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{
    Bench, Daemon, append, assert_same, calendar, fiscwatch, lines, payment, run, wait_until,
};

const RULES: &str = "
rules:
  - id: levels
    severity: low
    trigger: schedule
    every: month
    sql: SELECT * FROM forecasts
    key: [level, fiscal_year, budget_line_id, unit_code, economic_code]
  - id: beyond
    severity: low
    trigger: schedule
    every: month
    sql: SELECT budget_line_id, forecast_high, executed FROM budget_lines WHERE forecast_low > 0.8 * total
    key: [budget_line_id]
";

const DAY: i64 = 86_400_000;
/// 2022-01-01 in Shanghai, in milliseconds.
const START: i64 = 1_640_966_400_000;
const LINES: i64 = 6;

/// Three and a half years of six lines, with all that changes what a line has executed and what it has.
fn stream() -> Vec<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut events = Vec::new();
    for day in 0..1280 {
        let year = 2022 + day / 366;
        let line = |n: i64| format!("L{n}-{year}");
        for n in 0..LINES {
            let at = START + day * DAY + n * 1000;
            let id = format!("e{day}-{n}");
            let mut event = payment(&id, &line(n), "0");
            let amount = format!("{}.{:02}", rng.random_range(1..900 * (n + 1)), rng.random_range(0..100));
            event["amount"] = json!(amount);
            event["fiscal_year"] = json!(year);
            event["unit_code"] = json!(format!("u{}", n % 2));
            event["economic_code"] = json!(format!("3020{}", n % 3));
            event["occurred_at"] = json!(at);
            let action = |action: &str, to: Option<String>| {
                let mut event = event.clone();
                event["type"] = json!("budget");
                event["action"] = json!(action);
                event["to_budget_line_id"] = json!(to);
                event
            };
            let other = line((n + 1) % LINES);
            event = match rng.random_range(0..40) {
                _ if day % 366 == 0 => {
                    let mut approved = action("approve", None);
                    approved["amount"] = json!("40000");
                    approved
                }
                0..8 => event,
                8 => json!({"event_id": id, "type": "refund", "occurred_at": at, "budget_line_id": line(n),
                    "original_event_id": "x", "amount": amount}),
                9 => {
                    json!({"event_id": id, "type": "correction", "occurred_at": at, "budget_line_id": line(n),
                    "to_budget_line_id": other, "original_event_id": "x", "amount": amount})
                }
                10 => action("transfer", Some(other)),
                11 => action("supplement", None),
                12 => action("reduce", None),
                13 => action("freeze", None),
                // Late: money of the year before.
                14 if day % 366 > 5 && year > 2022 => {
                    event["budget_line_id"] = json!(format!("L{n}-{}", year - 1));
                    event["fiscal_year"] = json!(year - 1);
                    event
                }
                _ => continue,
            };
            events.push(event);
        }
    }
    events
}

fn values(found: &[String], rule: &str) -> Vec<(String, Value)> {
    let all = found.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_rule = all.filter(|f| f["rule_id"] == rule);
    of_rule.map(|f| (f["at"].as_str().unwrap().to_owned(), f["values"].clone())).collect()
}

fn cents(value: &Value) -> i128 {
    let text = value.as_str().unwrap();
    let (whole, part) = text.split_once('.').unwrap_or((text, "00"));
    format!("{whole}{part}").parse().unwrap()
}

#[test]
fn forecasts_do_not_depend_on_batches_restarts_or_sealing() {
    let events = stream();
    let config = "sources: [{ name: feed, file: { path: feed.jsonl, follow: true } }]\nstate: { dir: state, seal_after: 20d }\n";
    let bench = Bench::new(&lines(&events), config);
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let expected = bench.backtest(&["--batch-rows", "65536"]);
    assert!(values(&expected.0, "beyond").len() > 20);
    for rows in ["7", "1000"] {
        assert_same(&bench.backtest(&["--batch-rows", rows]), &expected, rows);
    }
    let mut sent = 0;
    for part in events.chunks(events.len() / 3) {
        append(&bench.path().join("feed.jsonl"), &lines(part));
        let daemon = Daemon::start(bench.path());
        sent += part.len();
        wait_until(|| daemon.json("/api/v1/status")["journal_events"] == sent);
    }
    let path = bench.path().join("fiscwatch.yaml");
    let once = std::fs::read_to_string(&path).unwrap().replace(", follow: true", "");
    std::fs::write(&path, once).unwrap();
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert_same(&bench.state(), &expected, "restarts");

    // What a rule sees is what is shown of a line.
    let (at, line) =
        values(&expected.0, "levels").into_iter().rfind(|(_, v)| v["budget_line_id"] == "L3-2025").unwrap();
    let (code, _, err) =
        run(bench.path(), &["budget", "show", "L3-2025", "--at", &at, "--config", "fiscwatch.yaml"]);
    assert!(code == Some(1) && err.contains("and not of the time that --at names"), "{err}");
    let tick = calendar().parse(&at).unwrap().as_micros() / 1000;
    let before: Vec<_> = events
        .iter()
        .filter(|event| event["occurred_at"].as_i64().unwrap() <= tick + 600_000)
        .cloned()
        .collect();
    let bench = Bench::new(&lines(&before), &config.replace("feed.jsonl, follow: true", "events.jsonl"));
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    let show = |id: &str, form: &[&str]| {
        let args = ["budget", "show", id, "--at", &at, "--config", "fiscwatch.yaml"];
        let (code, shown, err) = run(bench.path(), &[&args[..], form].concat());
        assert_eq!(code, Some(0), "{err}");
        shown
    };
    let shown: Value = serde_json::from_str(&show("L3-2025", &["--json"])).unwrap();
    // The event that moved time past the tick may have been of another line, which forecasts heed.
    assert_eq!(shown["executed"], line["executed"]);
    assert_eq!(shown["naive_year_end"], line["naive_year_end"]);
    assert!(show("L3-2024", &[]).contains("forecast, low"));
    assert!(show("L3-2025", &[]).contains("by the errors of 2022, 2023, 2024"));
}

/// Of each line, by id: the event with its attributes, and total, executed, and both by the same point of its year.
type Model = BTreeMap<String, (Value, [i128; 4])>;

/// What the events say, added up one by one.
fn model(events: &[Value], position: &YearPosition) -> Model {
    let mut model = Model::new();
    for event in events {
        let at = event["occurred_at"].as_i64().unwrap() * 1000;
        let amount = cents(&event["amount"]);
        let mut add = |id: &Value, total: i128, executed: i128| {
            let id = id.as_str().unwrap();
            let (attributes, sums) = model.entry(id.to_owned()).or_default();
            if event["unit_code"].is_string() && event["budget_line_id"] == id {
                attributes.clone_from(event);
            }
            let early =
                position.same_point(id[3..].parse().unwrap()).is_none_or(|point| at < point.as_micros());
            let early = i128::from(early);
            for (sum, more) in sums.iter_mut().zip([total, executed, early * total, early * executed]) {
                *sum += more;
            }
        };
        let (line, other) = (&event["budget_line_id"], &event["to_budget_line_id"]);
        match (event["type"].as_str().unwrap(), event["action"].as_str()) {
            ("payment", _) => add(line, 0, amount),
            ("refund", _) => add(line, 0, -amount),
            ("correction", _) => {
                add(line, 0, -amount);
                add(other, 0, amount);
            }
            (_, Some("approve" | "supplement")) => add(line, amount, 0),
            (_, Some("reduce")) => add(line, -amount, 0),
            (_, Some("transfer")) => {
                add(line, -amount, 0);
                add(other, amount, 0);
            }
            _ => add(line, 0, 0),
        }
    }
    model
}

/// The events that a tick sees: up to the first that is ten minutes past it, or to the end.
fn seen(events: &[Value], tick: i64) -> &[Value] {
    let latest = events.iter().scan(i64::MIN, |latest, event| {
        *latest = (event["occurred_at"].as_i64().unwrap() * 1000).max(*latest);
        Some(*latest)
    });
    let before = latest.take_while(|latest| latest - 600_000_000 < tick).count();
    &events[..events.len().min(before + 1)]
}

#[test]
fn forecasts_take_what_a_plain_model_takes() {
    let events = stream();
    let bench = Bench::new(&lines(&events), "");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let (found, _) = bench.backtest(&[]);
    let found = values(&found, "levels");
    // Two and a half years have passed, at least.
    let ticks: Vec<_> = found.iter().map(|(at, _)| at).filter(|at| at.as_str() > "2024-07").collect();
    let calendar = calendar();
    for tick in [ticks[0], ticks[ticks.len() - 1]] {
        let now = calendar.parse(tick).unwrap();
        let position = YearPosition::at(&calendar, now).unwrap();
        let model = model(seen(&events, now.as_micros()), &position);
        let line = |(id, (attributes, sums)): (&'_ String, &'_ (Value, [i128; 4]))| {
            let text = |name: &str| attributes[name].as_str().unwrap().to_owned();
            (id.clone(), text("unit_code"), text("economic_code"), *sums)
        };
        let owned: Vec<_> = model.iter().map(line).collect();
        let lines: Vec<_> = owned
            .iter()
            .map(|(id, unit, class, [total, executed, early_total, early_executed])| LineYear {
                id,
                unit,
                class,
                year: Some(id[3..].parse().unwrap()),
                total: *total,
                executed: *executed,
                early_total: *early_total,
                early_executed: *early_executed,
                is_known: true,
            })
            .collect();
        let rows: Vec<_> = found.iter().filter(|(at, _)| at == tick).map(|(_, v)| v).collect();
        compare(&rows, &lines, &forecast(&lines, &position));
    }
}

/// Rows of `forecasts` are these, and no others.
fn compare(rows: &[&Value], lines: &[LineYear<'_>], expected: &Forecasts) {
    let cell = |value: &Value| (!value.is_null()).then(|| cents(value));
    let cells =
        |row: &Value| ["forecast_year_end", "forecast_low", "forecast_high"].map(|name| cell(&row[name]));
    for (line, forecast) in lines.iter().zip(&expected.lines) {
        let row = rows.iter().find(|row| row["budget_line_id"] == line.id).unwrap();
        let f = forecast.unwrap();
        assert_eq!(cents(&row["executed"]), line.executed, "{row}");
        assert_eq!(cells(row), [Some(f.year_end), f.low, f.high], "{row}");
    }
    for group in &expected.groups {
        let of_group = |row: &&&Value| {
            row["level"] == group.level.word()
                && row["fiscal_year"] == group.year
                && [&row["unit_code"], &row["economic_code"]].contains(&&json!(group.code))
        };
        let row = rows.iter().find(of_group).unwrap();
        let f = group.forecast;
        assert_eq!(cells(row), [Some(f.year_end), f.low, f.high], "{row}");
    }
    assert_eq!(lines.len() + expected.groups.len(), rows.len());
}

/// Half a year's sum is no year's end: whoever took it for one would foresee half of what is spent.
#[test]
fn a_year_whose_beginning_is_not_there_is_no_measure() {
    let bench = Bench::new("", "");
    let year = |start: &str, out: &str| {
        let args = [
            "generate",
            "--payments",
            "2000",
            "--units",
            "5",
            "--start",
            start,
            "--days",
            "400",
            "--out",
            out,
        ];
        assert_eq!(run(bench.path(), &args).0, Some(0));
        let events = format!("{out}/events.parquet");
        run(bench.path(), &["forecast", "--events", &events, "--json"]).1
    };
    let of = |out: &str, year: i32| {
        serde_json::from_str::<Value>(out).unwrap()["by_year"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["fiscal_year"] == year)
            .count()
    };
    assert_eq!((of(&year("2024-07-01", "half"), 2024), of(&year("2024-01-01", "whole"), 2024)), (0, 3));
    let (code, out, _) = run(bench.path(), &["forecast", "--events", "half/events.parquet"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{out}");
    assert!(out.contains("there is nothing to compare a forecast with"), "{out}");
}

#[test]
fn the_harness_prints_the_error_beside_that_of_the_even_pace() {
    let bench = Bench::new("", "");
    let generate = [
        "generate",
        "--payments",
        "9000",
        "--units",
        "12",
        "--seed",
        "77",
        "--start",
        "2023-01-01",
        "--days",
        "1095",
        "--out",
        "years",
    ];
    let (code, _, err) = run(bench.path(), &generate);
    assert_eq!(code, Some(0), "{err}");
    let (code, out, err) = run(bench.path(), &["forecast", "--events", "years/events.parquet", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let scores: Value = serde_json::from_str(&out).unwrap();
    let months = scores["by_month"].as_array().unwrap();
    assert_eq!(months.len(), 3 * 11);
    for row in months.iter().filter(|row| row["month"].as_i64().unwrap() <= 6) {
        assert!(row["error"].as_f64() < row["naive_error"].as_f64(), "{row}");
    }
    let years = scores["by_year"].as_array().unwrap();
    assert_eq!(years.len(), 3 * 3);
    for row in years.iter().filter(|row| row["level"] == "line") {
        // Nothing is known of errors before a year has closed.
        let first = row["years_before"] == 0;
        assert!(row["coverage"].is_null() == first && row["width"].is_null() == first, "{row}");
        assert!(first || (0.72..0.88).contains(&row["coverage"].as_f64().unwrap()), "{row}");
        assert!(row["error"].as_f64() < row["naive_error"].as_f64().map(|naive| 0.7 * naive), "{row}");
    }
    let output =
        fiscwatch().current_dir(bench.path()).args(["forecast", "--events", "years/events.jsonl"]).output();
    let told = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(told.contains("error of the pace") && told.contains("economic class"), "{told}");
}
