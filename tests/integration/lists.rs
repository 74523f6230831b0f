//! Reference lists that change while the daemon runs, and while it does not: half-written files, lists that lose their
//! rows, and events that were judged by a list that was not whole.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment, wait_until, write};

const RULES: &str = "
rules:
  - id: listed
    title: on the list
    severity: high
    trigger: payment
    when: in_list('black', payee_account) and budget.available < 100000
    key: [event_id]
    summary: '{{ event_id }} leaves {{ budget.available }}'
  - id: exempt
    title: exempt
    severity: low
    trigger: payment
    when: amount > 50
    exceptions: [{ name: listed, when: \"in_list('black', payee_account)\", reason: known }]
    key: [event_id]
";
const CONFIG: &str = "state: { dir: state }\nengine: { max_future: 9999d }\nlists: { settle: 100ms, rejudge: 1d, black: { path: black.csv } }\n";

/// A list of so many accounts: A00000 and on.
fn accounts(rows: usize) -> String {
    (0..rows).fold(String::from("account,reason\n"), |mut text, row| {
        let _ = writeln!(text, "A{row:05},x");
        text
    })
}

fn bench(rows: usize) -> Bench {
    let bench = Bench::new("", CONFIG);
    write(bench.path(), "rules/rules.yaml", RULES);
    write(bench.path(), "black.csv", &accounts(rows));
    bench
}

/// A payment to an account, an hour after the one before.
fn paid(n: i64, account: &str) -> Value {
    let mut event = payment(&format!("q{n}"), "L1", "100.00");
    event["occurred_at"] = json!(1_772_600_000_000i64 + n * 3_600_000);
    event["payee_account"] = json!(account);
    event
}

fn pay(daemon: &Daemon, n: i64, account: &str) {
    let (status, answer) = daemon.post("/api/v1/events", &lines(&[paid(n, account)]));
    assert_eq!(status, 200, "{answer}");
}

/// The payments that are found on the list, each as often as it is found.
fn found(daemon: &Daemon) -> Vec<String> {
    let findings = daemon.json("/api/v1/findings?rule=listed");
    let findings = findings["findings"].as_array().unwrap().iter();
    let mut ids: Vec<_> = findings.map(|f| f["event_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn metric(daemon: &Daemon, name: &str) -> String {
    let metrics = daemon.get("/metrics").1;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or("0").to_owned()
}

/// A blacklist is rewritten in place, slowly: what was judged by its first part is judged again by all of it, and the
/// findings are those of a list that was whole all the time.
#[test]
fn what_a_half_written_list_missed_is_found_once_it_is_whole() {
    let bench = bench(1000);
    let daemon = Daemon::start(bench.path());
    let last = "A00999";
    pay(&daemon, 1, last);
    assert_eq!(found(&daemon), ["q1"]);
    write(bench.path(), "black.csv", &accounts(700));
    wait_until(|| metric(&daemon, "fiscwatch_list_rows{list=\"black\"}") == "700");
    pay(&daemon, 2, last);
    pay(&daemon, 3, "A00100");
    assert_eq!(found(&daemon), ["q1", "q3"]);
    write(bench.path(), "black.csv", &accounts(1000));
    wait_until(|| found(&daemon) == ["q1", "q2", "q3"]);
    assert_eq!(metric(&daemon, "fiscwatch_list_changes_total{change=\"removed\",list=\"black\"}"), "300");
    assert_eq!(metric(&daemon, "fiscwatch_list_changes_total{change=\"added\",list=\"black\"}"), "300");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    // Neither a restart nor another change finds them twice.
    let daemon = Daemon::start(bench.path());
    write(bench.path(), "black.csv", &accounts(1001));
    wait_until(|| metric(&daemon, "fiscwatch_list_rows{list=\"black\"}") == "1001");
    pay(&daemon, 4, "A01000");
    assert_eq!(found(&daemon), ["q1", "q2", "q3", "q4"]);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let events = [paid(1, last), paid(2, last), paid(3, "A00100"), paid(4, "A01000")];
    write(bench.path(), "events.jsonl", &lines(&events));
    let expected = bench.backtest(&[]).0;
    let listed = |lines: Vec<String>| -> Vec<String> {
        let mut lines: Vec<_> = lines.into_iter().filter(|line| line.contains("\"listed\"")).collect();
        lines.sort();
        lines
    };
    assert_eq!(listed(bench.state().0), listed(expected));
}

#[test]
fn a_list_that_loses_most_of_its_rows_is_refused_unless_it_is_forced() {
    let bench = bench(100);
    let daemon = Daemon::start(bench.path());
    write(bench.path(), "black.csv", &accounts(49));
    wait_until(|| {
        daemon.log.try_iter().any(|line| line.contains("the file has 49 rows and the list in force 100"))
    });
    pay(&daemon, 1, "A00099");
    assert_eq!(found(&daemon), ["q1"]);
    assert_eq!(metric(&daemon, "fiscwatch_list_reads_total{list=\"black\",result=\"refused\"}"), "1");
    let (status, answer) = daemon.post("/-/reload", "");
    assert!(status == 422 && answer.contains("force=true"), "{answer}");
    assert_eq!(daemon.post("/-/reload?force=yes", "").0, 400);
    assert_eq!(daemon.post("/-/reload?force=true", "").0, 200);
    pay(&daemon, 2, "A00099");
    assert_eq!(found(&daemon), ["q1"]);
    // Exactly half stays allowed.
    write(bench.path(), "black.csv", &accounts(25));
    wait_until(|| metric(&daemon, "fiscwatch_list_rows{list=\"black\"}") == "25");
}

#[test]
fn a_list_that_changes_while_nobody_runs_is_judged_by_at_the_start() {
    let bench = bench(10);
    let daemon = Daemon::start(bench.path());
    for n in [1, 21, 41] {
        pay(&daemon, n, "A00010");
    }
    assert!(found(&daemon).is_empty());
    assert_eq!(daemon.stop("-KILL"), None);
    write(bench.path(), "black.csv", &accounts(11));
    let daemon = Daemon::start(bench.path());
    // The first payment is more than a day before the latest one.
    wait_until(|| found(&daemon) == ["q21", "q41"]);
    drop(daemon);
    let daemon = Daemon::start(bench.path());
    pay(&daemon, 42, "A00011");
    assert_eq!(found(&daemon), ["q21", "q41"]);
}

/// Another list, and rule files that somebody is in the middle of writing, are not read with it.
#[test]
fn a_list_is_read_alone() {
    let bench = bench(10);
    let daemon = Daemon::start(bench.path());
    write(bench.path(), "rules/rules.yaml", "rules:\n  - id: half");
    write(bench.path(), "black.csv", &accounts(11));
    wait_until(|| metric(&daemon, "fiscwatch_list_rows{list=\"black\"}") == "11");
    pay(&daemon, 1, "A00010");
    assert_eq!(found(&daemon), ["q1"]);
    assert_eq!(metric(&daemon, "fiscwatch_config_last_reload_successful"), "1");
}
