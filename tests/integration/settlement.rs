//! The settlement of a year over a real state, the book of adjustments, and the drill of a backup.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Bench, append, lines, payment, run};

const CONFIG: &str = "state: { dir: state }
sources: [{ name: feed, file: { path: events.jsonl } }]
rules: { paths: [rules] }
fiscal_year_start: \"04-01\"
";

fn budget(id: &str, action: &str, line: &str, amount: &str, at: &str) -> Value {
    json!({"event_id": id, "type": "budget", "action": action, "occurred_at": at, "budget_line_id": line, "amount": amount,
        "fiscal_year": 2024, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201",
        "economic_code": "30201"})
}

fn paid(id: &str, line: &str, amount: &str, at: &str) -> Value {
    let mut event = payment(id, line, amount);
    event["occurred_at"] = json!(at);
    event["fiscal_year"] = json!(2024);
    event
}

/// The fiscal year 2024 goes from April to March.
fn year() -> Vec<Value> {
    let mut transfer = budget("t", "transfer", "L1", "100.00", "2025-01-10T09:00:00+08:00");
    transfer["to_budget_line_id"] = json!("L2");
    vec![
        budget("a1", "approve", "L1", "1000.00", "2024-04-02T09:00:00+08:00"),
        budget("a2", "approve", "L2", "500.00", "2024-04-02T09:00:00+08:00"),
        paid("p1", "L1", "300.33", "2024-06-02T09:00:00+08:00"),
        transfer,
        paid("p2", "L2", "600.00", "2025-03-30T09:00:00+08:00"),
    ]
}

fn bench() -> Bench {
    let bench = Bench::new(&lines(&year()), CONFIG);
    once(&bench);
    bench
}

fn once(bench: &Bench) {
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
}

fn settle(bench: &Bench, extra: &[&str]) -> (Option<i32>, String, String) {
    run(bench.path(), &[&["settle", "2024", "--config", "fiscwatch.yaml"], extra].concat())
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_frozen_year_stays_what_it_was() {
    let bench = bench();
    let (code, out, err) = settle(&bench, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("is not frozen"), "{out}");
    let (code, out, err) = settle(&bench, &["--freeze", "--by", "line", "--json", "--out", "one"]);
    assert_eq!(code, Some(0), "{err}");
    let lines_of = rows(&out);
    assert_eq!(lines_of.len(), 2);
    assert_eq!(lines_of[0]["total"], "900.00");
    assert_eq!(lines_of[0]["balance"], "599.67");
    assert_eq!((&lines_of[1]["transferred"], &lines_of[1]["executed"]), (&json!("100.00"), &json!("600.00")));
    let json = fs::read(bench.path().join("one/settlement-2024.json")).unwrap();
    let statement: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(statement["from"], "2024-04-01T00:00:00+08:00");
    assert_eq!(statement["sum"]["executed"], "900.33");

    // What comes later is listed, and changes no byte.
    // Also what gives a line to the next year, with the money that is in it.
    let mut moved = budget("moved", "approve", "L2", "5.00", "2025-04-03T09:00:00+08:00");
    moved["fiscal_year"] = json!(2025);
    let mut beyond = paid("beyond", "L2", "11.11", "2025-04-04T09:00:00+08:00");
    beyond["fiscal_year"] = json!(2025);
    append(
        &bench.path().join("events.jsonl"),
        &lines(&[
            paid("late", "L1", "7.00", "2025-03-31T23:00:00+08:00"),
            budget("other", "approve", "M1", "1.00", "2025-04-02T09:00:00+08:00"),
            moved,
            beyond,
        ]),
    );
    once(&bench);
    let (code, out, err) = settle(&bench, &["--by", "line", "--out", "two"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("was frozen at") && out.contains("events came after"), "{out}");
    for name in ["settlement-2024.json", "settlement-2024.xlsx"] {
        let read = |folder: &str| fs::read(bench.path().join(folder).join(name)).unwrap();
        assert_eq!(read("one"), read("two"), "{name}");
    }
    assert_eq!(fs::read_to_string(bench.path().join("one/after-2024.jsonl")).unwrap(), "");
    let late = rows(&fs::read_to_string(bench.path().join("two/after-2024.jsonl")).unwrap());
    for (id, amount) in [("late", "7.00"), ("moved", "5.00"), ("beyond", "11.11")] {
        assert!(
            late.iter().any(|event| event["event_id"] == id && event["amount"] == amount),
            "{id}: {late:?}"
        );
    }
    // It is frozen once.
    let (code, ..) = settle(&bench, &["--freeze"]);
    assert_eq!(code, Some(0));
    let (_, out, _) = run(bench.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert!(!out.contains("FAILED"), "{out}");
    let (_, audit, _) = run(bench.path(), &["audit", "export", "--config", "fiscwatch.yaml"]);
    assert_eq!(audit.matches("budget.settle").count(), 1, "{audit}");
}

#[test]
fn a_year_that_goes_on_is_not_frozen() {
    let bench = bench();
    let args = ["settle", "2099", "--freeze", "--config", "fiscwatch.yaml"];
    let (code, _, err) = run(bench.path(), &args);
    assert!(code == Some(1) && err.contains("it is frozen after that"), "{err}");
    let (code, _, err) = run(bench.path(), &["settle", "2001", "--freeze", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(1) && err.contains("no budget line"), "{err}");
    let (code, out, err) = run(bench.path(), &["settle", "2001", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(1) && out.is_empty() && err.contains("no budget line"), "{out}{err}");
}

#[test]
fn the_bureaus_table_is_compared_to_the_cent() {
    let bench = bench();
    let path = bench.path().join("bureau.csv");
    fs::write(&path, "单位编码,调整预算数,决算数\n101001,\"1,500.00\",900.33\n合计,1500,900.33\n").unwrap();
    let (code, out, err) = settle(&bench, &["--against", "bureau.csv"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("2 figures of 1 rows were compared; 0 differ"), "{out}");
    fs::write(&path, "unit_code,executed\n101001,900.34\n101009,5\n").unwrap();
    let (code, out, _) = settle(&bench, &["--against", "bureau.csv", "--json"]);
    assert_eq!(code, Some(1));
    let differences = rows(&out);
    assert_eq!(
        differences[0],
        json!({"code": "101001", "column": "executed", "ours": "900.33", "theirs": "900.34"})
    );
    assert_eq!(differences[1]["code"], "101009");
    // The workbook that is written is a table like any other.
    settle(&bench, &["--out", "."]);
    let (code, out, err) = settle(&bench, &["--by", "line", "--against", "settlement-2024.xlsx"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn the_book_of_adjustments_has_totals_before_and_after() {
    let bench = bench();
    let (code, out, err) =
        run(bench.path(), &["budget", "adjustments", "--line", "L2", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    let book = rows(&out);
    let told: Vec<_> =
        book.iter().map(|e| (e["event_id"].as_str(), e["before"].as_str(), e["after"].as_str())).collect();
    assert_eq!(
        told,
        [(Some("a2"), Some("0.00"), Some("500.00")), (Some("t"), Some("1000.00"), Some("900.00"))]
    );
    assert_eq!(book[1]["executed"], "300.33");
}

#[test]
fn a_drill_restores_the_newest_backup_and_tells() {
    let bench = bench();
    fs::create_dir(bench.path().join("backups")).unwrap();
    for name in ["backups/old", "backups/new"] {
        let (code, _, err) = run(bench.path(), &["state", "backup", name, "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
    }
    let drill = |extra: &[&str]| {
        let args = [
            "state",
            "drill",
            "backups",
            "--config",
            "fiscwatch.yaml",
            "--scratch",
            ".",
            "--metrics",
            "drill.prom",
        ];
        run(bench.path(), &[&args[..], extra].concat())
    };
    let metric = |name: &str| {
        let text = fs::read_to_string(bench.path().join("drill.prom")).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
        value.and_then(|value| value.parse::<i64>().ok())
    };
    let (code, out, err) = drill(&["--certificate", "drill.json"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("backups/new can be restored"), "{out}");
    assert_eq!(metric("fiscwatch_drill_passed"), Some(1));
    assert!(metric("fiscwatch_drill_backup_timestamp_seconds").unwrap() > 1_700_000_000);
    let signed: Value = serde_json::from_slice(&fs::read(bench.path().join("drill.json")).unwrap()).unwrap();
    assert_eq!(
        (&signed["certificate"]["passed"], &signed["certificate"]["events"]),
        (&json!(true), &json!(5))
    );
    let checks = signed["certificate"]["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "findings again"), "{signed}");
    assert_eq!(signed["signature"].as_str().unwrap().len(), 128);
    // Nothing is left of it.
    let left =
        fs::read_dir(bench.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!left.into_iter().any(|name| name.starts_with("fiscwatch-drill")));

    // A byte of the backup is another one: that is told, in every form.
    let database = bench.path().join("backups/new/fiscwatch.db");
    let mut bytes = fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&database, bytes).unwrap();
    let (code, out, err) = drill(&[]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert_eq!(metric("fiscwatch_drill_passed"), Some(0));
    let (code, _, err) = run(bench.path(), &["state", "drill", "rules", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(1) && err.contains("there is no backup"), "{err}");
}

/// Nine cells, one of which pays one person.
fn nine_cells() -> Vec<Value> {
    let mut events = vec![];
    for (n, (unit, class)) in
        ["u1", "u2", "u3"].iter().flat_map(|u| ["30201", "30202", "30301"].map(|c| (*u, c))).enumerate()
    {
        let line = format!("{unit}-{class}");
        let mut approved = budget(&format!("a{n}"), "approve", &line, "1000.00", "2024-04-02T09:00:00+08:00");
        approved["unit_code"] = json!(unit);
        approved["economic_code"] = json!(class);
        let mut payment =
            paid(&format!("p{n}"), &line, &format!("{}.01", 100 + n), "2024-06-02T09:00:00+08:00");
        if (unit, class) == ("u2", "30301") {
            payment["payee_type"] = json!("person");
            payment["payee_name"] = json!("王芳");
        }
        events.extend([approved, payment]);
    }
    events
}

#[test]
fn what_is_published_adds_up_and_tells_of_no_person() {
    let events = nine_cells();
    let bench = Bench::new(&lines(&events), CONFIG);
    once(&bench);
    let publish = |out: &str, extra: &[&str]| {
        run(bench.path(), &[&["publish", "2024", "--out", out, "--config", "fiscwatch.yaml"], extra].concat())
    };
    let (code, _, err) = publish("early", &[]);
    assert!(code == Some(1) && err.contains("not frozen"), "{err}");
    assert_eq!(settle(&bench, &["--freeze"]).0, Some(0));
    for out in ["one", "two"] {
        let (code, told, err) = publish(out, &[]);
        assert_eq!(code, Some(0), "{err}");
        assert!(
            told.contains("9 cells: 1 are left out, 3 more so that these cannot be computed, and 0 sums"),
            "{told}"
        );
    }
    let read = |name: &str| fs::read_to_string(bench.path().join("one").join(name)).unwrap();
    for name in ["cells.csv", "units.csv", "classes.csv", "total.csv", "datapackage.json", "index.html"] {
        assert_eq!(read(name), fs::read_to_string(bench.path().join("two").join(name)).unwrap(), "{name}");
        assert!(!read(name).contains("王") && !read(name).contains("33010160006"), "{name}");
    }
    let executed = |name: &str, at: usize| {
        let text = read(name);
        let rows = text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        rows.filter(|row| row[at] == "executed")
            .map(|row| row[at + 2].replace('.', "").parse::<i64>().ok())
            .collect::<Vec<_>>()
    };
    let (cells, units, classes, total) = (
        executed("cells.csv", 4),
        executed("units.csv", 3),
        executed("classes.csv", 2),
        executed("total.csv", 1),
    );
    assert_eq!(cells.iter().filter(|cell| cell.is_none()).count(), 4);
    let sum = |of: &[Option<i64>]| of.iter().map(|cents| cents.unwrap()).sum::<i64>();
    assert_eq!((sum(&units), sum(&classes)), (sum(&total), sum(&total)));
    let package: Value = serde_json::from_str(&read("datapackage.json")).unwrap();
    assert_eq!(package["fiscalPeriod"], json!({"start": "2024-04-01", "end": "2025-03-31"}));
    assert_eq!(package["resources"].as_array().unwrap().len(), 4);
}

/// What a person got is not told, whatever way it came: see `settle/persons.rs`.
#[test]
fn a_person_is_one_by_every_account_and_every_way() {
    let mut events = nine_cells();
    // One person is paid by three accounts, and is one; another one's payment comes by a correction; of three one is left who
    // did not give it back.
    let person = |id: &str, line: &str, account: &str, name: &str| {
        let mut event = paid(id, line, "10.00", "2024-06-03T09:00:00+08:00");
        event["payee_type"] = json!("person");
        event["payee_account"] = json!(account);
        event["payee_name"] = json!(name);
        event
    };
    events.extend(["1", "2", "3"].map(|n| person(&format!("s{n}"), "u1-30301", n, "李四")));
    events.extend(["4", "5", "6", "7"].map(|n| person(&format!("t{n}"), "u2-30201", n, n)));
    let moved = json!({"event_id": "c1", "type": "correction", "occurred_at": "2024-06-04T09:00:00+08:00", "original_event_id": "t4",
        "budget_line_id": "u2-30201", "to_budget_line_id": "u3-30302", "amount": "10.00", "reason": "x"});
    let mut approved = budget("am", "approve", "u3-30302", "1000.00", "2024-04-02T09:00:00+08:00");
    approved["unit_code"] = json!("u3");
    approved["economic_code"] = json!("30302");
    events.extend([approved, moved]);
    events.extend(["8", "9", "10"].map(|n| person(&format!("r{n}"), "u3-30201", n, n)));
    events.extend(["8", "9"].map(|n| {
        json!({"event_id": format!("b{n}"), "type": "refund", "occurred_at": "2024-06-05T09:00:00+08:00", "original_event_id": format!("r{n}"),
            "budget_line_id": "u3-30201", "amount": "10.00"})
    }));
    // Of one who was paid twice on a line, one payment is moved on twice: the other one stays where it was.
    events.extend(["k1", "k2"].map(|id| person(id, "u1-30202", "11", "十一")));
    for (id, from, to) in [("m1", "u1-30202", "u2-30202"), ("m2", "u2-30202", "u3-30202")] {
        events.push(json!({"event_id": id, "type": "correction", "occurred_at": "2024-06-06T09:00:00+08:00", "original_event_id": "k1",
            "budget_line_id": from, "to_budget_line_id": to, "amount": "10.00", "reason": "x"}));
    }
    let bench = Bench::new(&lines(&events), CONFIG);
    once(&bench);
    assert_eq!(settle(&bench, &["--freeze"]).0, Some(0));
    let (code, told, err) =
        run(bench.path(), &["publish", "2024", "--out", "out", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(told.starts_with("10 cells: 6 are left out"), "{told}");
    let cells = fs::read_to_string(bench.path().join("out/cells.csv")).unwrap();
    for cell in [
        "2024,u1,,30301,",
        "2024,u2,,30301,",
        "2024,u3,,30302,",
        "2024,u3,,30201,",
        "2024,u1,,30202,",
        "2024,u3,,30202,",
    ] {
        let row = cells.lines().find(|row| row.starts_with(cell) && row.contains(",executed,"));
        assert!(row.is_some_and(|row| row.ends_with(",,true")), "{cell}: {cells}");
    }
}
