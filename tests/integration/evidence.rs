//! Evidence packs: made of a state, checked in another folder, by the binary and by hand; what is tampered with is named.

use std::{fs, path::Path, process::Command, sync::Arc};

use fiscwatch::{
    access::{Actor, Roles},
    alert::{Desk, Policy},
    event::Instant,
    rule::Language,
    store::{Accounts, Audit, Cases, TokenSpec, Upload},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, calendar, lines, payment, run};

const RULES: &str = r#"
rules:
  # Money, by itself and by its line.
  - id: beyond
    title: beyond the line
    severity: critical
    trigger: payment
    when: budget.available < 0 and not name_in_list('known', payee_name)
    key: [budget_line_id]
    summary: "{{ payee_name }} leaves {{ budget.available }}"

  - id: often
    title: often
    severity: high
    params: { times: 3 }
    trigger: payment
    over: { by: [payee_account], last: 7d }
    measure: { n: count(*), total: sum(amount) }
    when: n >= $times
    key: [payee_account]
    summary: "{{ n }} payments of {{ total }}"

  - id: day
    title: a day's cash
    severity: medium
    trigger: window
    of: payment
    where: settlement = 'cash'
    window: { by: [unit_code], size: 1d }
    measure: { total: sum(amount) }
    when: total > 500
    key: [unit_code]
    summary: "{{ total }}"

  - id: spent
    title: spent
    severity: medium
    trigger: schedule
    every: month
    sql: SELECT budget_line_id, executed, total FROM budget_lines WHERE executed > total
    key: [budget_line_id]
    summary: "{{ executed }} of {{ total }}"
"#;

const CONFIG: &str = "state: { dir: state }
sources: [{ name: feed, file: { path: events.jsonl } }]
rules: { paths: [rules], overrides: { often: { params: { times: 2 } } } }
lists: { known: { path: known.csv } }
";

fn events() -> Vec<Value> {
    let at = |day: u32, hour: u32| json!(format!("2026-03-{day:02}T{hour:02}:00:00+08:00"));
    let mut events = Vec::new();
    for line in ["L1", "L2"] {
        events.push(json!({"event_id": format!("b-{line}"), "type": "budget", "action": "approve", "occurred_at": at(1, 8),
            "budget_line_id": line, "amount": "1000.00", "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001",
            "function_code": "2050201", "economic_code": "30201"}));
    }
    for n in 0..30_u32 {
        let mut event = payment(&format!("p{n}"), if n % 3 == 0 { "L1" } else { "L2" }, "90.10");
        event["occurred_at"] = at(2 + n / 2, 9 + n % 2);
        event["payee_account"] = json!(format!("622200000000{:04}", n % 7));
        event["settlement"] = json!(if n % 5 == 0 { "cash" } else { "transfer" });
        events.push(event);
    }
    let mut cash = payment("cash", "L2", "600.00");
    cash["occurred_at"] = at(20, 9);
    cash["settlement"] = json!("cash");
    cash["payee_account"] = json!("6222000000009999");
    let mut last = payment("last", "L9", "1.00");
    last["occurred_at"] = json!("2026-04-05T09:00:00+08:00");
    last["payee_account"] = json!("6222000000008888");
    events.extend([cash, last]);
    events
}

fn bench() -> Bench {
    let bench = Bench::new(&lines(&events()), CONFIG);
    fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    fs::write(bench.path().join("known.csv"), "name,since\n安心供水公司,2020\n").unwrap();
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    bench
}

fn alerts(bench: &Bench) -> Vec<Value> {
    let args = ["alerts", "list", "--state", "all", "--json", "--config", "fiscwatch.yaml"];
    let (code, out, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0), "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn pack(bench: &Bench, alert: &str, file: &str) -> String {
    let (code, out, err) = run(bench.path(), &["evidence", alert, "-o", file, "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    out
}

fn verify(dir: &Path, file: &str, extra: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = run(dir, &[&["evidence", "verify", file, "--json"], extra].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

#[test]
fn each_kind_of_rule_is_packed_and_made_again_where_there_is_no_state() {
    let bench = bench();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for (number, alert) in alerts(&bench).iter().enumerate() {
        let (id, rule) = (alert["alert_id"].as_str().unwrap(), alert["rule_id"].as_str().unwrap());
        let file = format!("{number}.zip");
        pack(&bench, id, &file);
        fs::rename(bench.path().join(&file), elsewhere.path().join(&file)).unwrap();
        let (code, report) = verify(elsewhere.path(), &file, &[]);
        assert_eq!(code, Some(0), "{rule}: {report}");
        assert_eq!(
            report["same"].as_array().unwrap().len() as u64,
            alert["findings"].as_u64().unwrap(),
            "{rule}: {report}"
        );
        assert_eq!(report["facts"]["rule_unchanged"], true, "{rule}");
        assert_eq!(report["facts"]["not_carried"], json!([]), "{rule}");
        if rule == "beyond" {
            assert_eq!(report["facts"]["events_carried"], "own");
        }
        kinds.insert(rule.to_owned());
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["beyond", "day", "often", "spent"]);
    // Nothing is written over, and each that was made is in the audit log.
    let first = alerts(&bench)[0]["alert_id"].as_str().unwrap().to_owned();
    pack(&bench, &first[..12], "a.zip");
    let again = ["evidence", &first, "-o", "a.zip", "--config", "fiscwatch.yaml"];
    assert_eq!(run(bench.path(), &again).0, Some(1));
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let sql = "SELECT count(*) FROM audit WHERE action = 'evidence.export' AND subject = ?1 AND detail LIKE 'whole, %sha256%'";
    let recorded: i64 = database.query_row(sql, [&first], |row| row.get(0)).unwrap();
    assert!(recorded >= 2, "{recorded}");
}

/// What a unit handed in goes along for who may see persons, and is only counted for others.
#[test]
fn files_of_the_case_go_along() {
    let bench = bench();
    let state = bench.path().join("state");
    let id = alerts(&bench)[0]["alert_id"].as_str().unwrap().to_owned();
    let mut file = Upload::begin(&state, 1000).unwrap();
    file.add(b"%PDF-1.7 the contract").unwrap();
    let desk = Desk::new(Arc::new(Policy::silent(Language::Zh, &calendar())));
    let file = file.finish("合同.pdf").unwrap();
    Cases::open(&state).unwrap().attach(&id, file, &desk, Instant::from_micros(1)).unwrap();
    pack(&bench, &id, "case.zip");
    let (code, report) = verify(bench.path(), "case.zip", &[]);
    assert_eq!(code, Some(0), "{report}");
    let shown = |name: &str| {
        let zip =
            Command::new("unzip").args(["-p", "case.zip", name]).current_dir(bench.path()).output().unwrap();
        String::from_utf8(zip.stdout).unwrap()
    };
    assert_eq!(shown("files/0001"), "%PDF-1.7 the contract");
    let told: Value = serde_json::from_str(&shown("case/files.jsonl")).unwrap();
    assert_eq!((&told["name"], &told["file"]), (&json!("合同.pdf"), &json!("files/0001")));
    let audit = Connection::open(state.join("fiscwatch.db")).unwrap();
    let taken = "SELECT count(*) FROM audit WHERE action = 'alerts.download' AND subject = ?1";
    assert_eq!(audit.query_row(taken, [&id], |row| row.get::<_, u32>(0)).unwrap(), 1);
}

/// What is no pack at all is said in one sentence.
#[test]
fn another_file_is_no_pack() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yaml"), "rules: []").unwrap();
    let (code, out, _) = run(folder.path(), &["evidence", "verify", "rules.yaml"]);
    assert_eq!((code, out.trim()), (Some(1), "this is no evidence pack"));
}

#[test]
fn a_pack_is_checked_by_hand() {
    let bench = bench();
    let alert = alerts(&bench)[0]["alert_id"].as_str().unwrap().to_owned();
    let told = pack(&bench, &alert, "case.zip");
    let script = "set -e; unzip -q case.zip -d case; cd case; sha256sum --quiet --check --strict SHA256SUMS;
        openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig;
        openssl pkey -pubin -in key.pem -outform DER | tail -c 32 | od -An -tx1 | tr -d ' \\n'";
    let output = Command::new("sh").args(["-c", script]).current_dir(bench.path()).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}{}", String::from_utf8_lossy(&output.stderr));
    let key = out.lines().last().unwrap();
    assert!(out.contains("Verified Successfully") && told.contains(key), "{out}{told}");
    // The folder verifies as the file does, and by its key only.
    assert_eq!(verify(bench.path(), "case", &["--key", key]).0, Some(0));
    let (code, report) = verify(bench.path(), "case.zip", &["--key", &key.replace(['0', '1'], "2")]);
    assert!(code == Some(1) && report["problems"][0].as_str().unwrap().contains(key), "{report}");
    // What is changed, missing or added in the folder is named.
    let folder = bench.path().join("case");
    let events = fs::read_to_string(folder.join("events.jsonl")).unwrap();
    fs::write(folder.join("events.jsonl"), events.replacen("90.10", "90.11", 1)).unwrap();
    fs::remove_file(folder.join("rule/rule.yaml")).unwrap();
    fs::write(folder.join("note.txt"), "x").unwrap();
    let (code, report) = verify(bench.path(), "case", &[]);
    let problems = report["problems"].to_string();
    assert_eq!(code, Some(1));
    for told in ["events.jsonl is not what was packed", "rule/rule.yaml is missing", "note.txt was added"] {
        assert!(problems.contains(told), "{told}: {problems}");
    }
    // So is a byte of the file, and what is no pack at all.
    let mut bytes = fs::read(bench.path().join("case.zip")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(bench.path().join("other.zip"), &bytes).unwrap();
    assert_eq!(verify(bench.path(), "other.zip", &[]).0, Some(1));
    assert_eq!(verify(bench.path(), "events.jsonl", &[]).0, Some(1));
}

#[test]
fn a_rule_that_has_changed_is_told_and_not_claimed() {
    let bench = bench();
    let alert = alerts(&bench).into_iter().find(|alert| alert["rule_id"] == "beyond").unwrap();
    let rules = RULES.replace("{{ payee_name }} leaves", "{{ payee_name }} LEAVES");
    fs::write(bench.path().join("rules/rules.yaml"), rules).unwrap();
    let out = pack(&bench, alert["alert_id"].as_str().unwrap(), "case.zip");
    assert!(out.contains("has changed since") && out.contains("cannot be made again"), "{out}");
    let (code, report) = verify(bench.path(), "case.zip", &[]);
    assert_eq!((code, report["same"].as_array().unwrap().len()), (Some(0), 0), "{report}");
    assert_eq!(report["facts"]["rule_unchanged"], false);
}

#[test]
fn persons_are_masked_for_who_does_not_ask_for_more() {
    let bench = bench();
    let config = fs::read_to_string(bench.path().join("fiscwatch.yaml")).unwrap();
    let config =
        config.replace("http: { listen: '127.0.0.1:0' }", "http: { listen: '127.0.0.1:0', auth: true }");
    fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let alert = alerts(&bench).into_iter().find(|alert| alert["rule_id"] == "often").unwrap();
    let out = pack(&bench, alert["alert_id"].as_str().unwrap(), "case.zip");
    assert!(out.contains("persons are masked"), "{out}");
    let bytes = fs::read(bench.path().join("case.zip")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("622200000000") && text.contains("****"), "an account is whole");
    let (code, report) = verify(bench.path(), "case.zip", &[]);
    assert_eq!((code, report["same"].as_array().unwrap().len()), (Some(0), 0), "{report}");
}

/// What the daemon hands out is what the command makes: it is checked without a state, and leaves a record.
#[test]
fn packs_over_the_api_are_checked_and_recorded() {
    let bench = bench();
    let config = fs::read_to_string(bench.path().join("fiscwatch.yaml")).unwrap();
    let with = "http: { listen: '127.0.0.1:0', auth: true }\naudit: { provider: national }";
    let config = config.replace("http: { listen: '127.0.0.1:0' }", with);
    fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let alert = alerts(&bench).into_iter().find(|alert| alert["rule_id"] == "often").unwrap();
    let id = alert["alert_id"].as_str().unwrap();
    let state = bench.path().join("state");
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let tokens = [("lin", "supervisor"), ("limited", "supervisor unit:101"), ("wang", "officer")];
    let tokens = tokens.map(|(name, roles)| {
        let mut accounts = Accounts::open(&state).unwrap();
        accounts.add_user(name, &roles.parse().unwrap(), &by, Instant::from_micros(1)).unwrap();
        let owner = Some(name.to_owned());
        let spec = TokenSpec {
            name: name.to_owned(),
            owner,
            roles: Roles::default(),
            expires_at: fiscwatch::event::Instant::MAX,
        };
        accounts.add_token(&spec, &by, Instant::from_micros(1)).unwrap().text
    });
    let daemon = Daemon::start(bench.path());
    let take = |token: &str, id: &str, unmasked: bool| {
        let mut request = agent().get(format!("{}/api/v1/alerts/{id}/evidence", daemon.address));
        request = request.header("authorization", format!("Bearer {token}"));
        if unmasked {
            request = request.header("x-unmasked", "true");
        }
        let mut answer = request.call().unwrap();
        (answer.status().as_u16(), answer.body_mut().with_config().limit(100 << 20).read_to_vec().unwrap())
    };
    assert_eq!(take(&tokens[2], id, false).0, 403, "an officer takes none out");
    assert_eq!(take(&tokens[1], id, false).0, 403, "lists cannot be parted by units");
    assert_eq!(take(&tokens[0], "0000000000000000", false).0, 404);
    for (unmasked, same) in [(false, 0), (true, 1)] {
        let (status, bytes) = take(&tokens[0], id, unmasked);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(
            text.contains("622200000000"),
            unmasked,
            "accounts are whole only where that is asked for"
        );
        assert!(
            text.contains("SM3SUMS") && !text.contains("SHA256SUMS"),
            "by the algorithms that are configured"
        );
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("case.zip"), &bytes).unwrap();
        let (code, report) = verify(elsewhere.path(), "case.zip", &[]);
        assert_eq!((code, report["problems"].as_array().unwrap().len()), (Some(0), 0), "{report}");
        assert!(report["same"].as_array().unwrap().len() >= same, "{report}");
        let key = report["key"].as_str().unwrap().to_owned();
        assert!(key.starts_with("sm2:"), "{key}");
        assert_eq!(verify(elsewhere.path(), "case.zip", &["--key", &key]).0, Some(0));
        assert_eq!(verify(elsewhere.path(), "case.zip", &["--key", &"0".repeat(64)]).0, Some(1));
        let mut other = bytes.clone();
        let at = other.len() / 2;
        other[at] ^= 1;
        fs::write(elsewhere.path().join("case.zip"), &other).unwrap();
        assert_eq!(verify(elsewhere.path(), "case.zip", &[]).0, Some(1));
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let log = Audit::open_read_only(&state).unwrap().after(0, 1000).unwrap();
    let taken: Vec<_> = log.iter().filter(|entry| entry.action == "evidence.export").collect();
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|entry| entry.who == "lin" && entry.subject == id));
    assert!(taken[0].detail.starts_with("masked") && taken[1].detail.starts_with("whole"), "{taken:?}");
    assert!(log.iter().any(|entry| entry.action == "personal.show" && entry.who == "lin"));
    // The log is sealed by the same key.
    let args = ["audit", "verify", "--json", "--config", "fiscwatch.yaml"];
    let (code, out, err) = run(bench.path(), &args);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!(code, Some(0), "{report}");
    assert!(report["keys"].to_string().contains("sm2:"), "{report}");
}
