//! Reference lists that change while the daemon runs, and while it does not: half-written files, lists that lose their
//! rows, and events that were judged by a list that was not whole.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, fiscwatch, lines, payment, run, wait_until, write};

const RULES: &str = "
rules:
  - id: listed
    title: on the list
    severity: high
    trigger: payment
    when: in_list('black', payee_account) and budget.available < 100000
    key: [event_id]
    summary: '{{ event_id }} leaves {{ budget.available }}'
  - id: often
    title: often on the list
    severity: low
    trigger: payment
    where: in_list('black', payee_account)
    over: { by: [unit_code], last: 30d }
    measure: { n: count(*) }
    when: n > 0
    key: [event_id]
    summary: '{{ event_id }} {{ n }}'
  - id: daily
    title: paid to the list
    severity: low
    trigger: schedule
    every: 1d
    sql: SELECT unit_code, count(*) AS n FROM payments WHERE in_list('black', payee_account) GROUP BY unit_code
    key: [unit_code]
    summary: '{{ unit_code }} {{ n }}'
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

/// What `state verify --findings` says, with its exit code.
fn verified(bench: &Bench) -> (Option<i32>, String) {
    let (code, said, err) =
        run(bench.path(), &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    (code, said + &err)
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

/// Findings of a list that is another one by now are no damage; those of the list in force are compared.
#[test]
fn what_another_list_found_is_not_compared() {
    let bench = bench(10);
    let daemon = Daemon::start(bench.path());
    for n in [1, 20] {
        pay(&daemon, n, "A00009");
    }
    assert_eq!(found(&daemon), ["q1", "q20"]);
    write(bench.path(), "black.csv", &accounts(9));
    wait_until(|| metric(&daemon, "fiscwatch_list_rows{list=\"black\"}") == "9");
    pay(&daemon, 25, "A00009");
    for n in [26, 50] {
        pay(&daemon, n, "A00001");
    }
    assert_eq!(found(&daemon), ["q1", "q20", "q26", "q50"]);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (code, said) = verified(&bench);
    assert_eq!(code, Some(0), "{said}");
    for rule in ["listed", "often", "daily", "exempt"] {
        assert!(said.contains(&format!("{rule} is in force since block ")), "{said}");
    }
    // Once the file has changed again, nothing was judged by it yet.
    write(bench.path(), "black.csv", &accounts(8));
    let (code, said) = verified(&bench);
    assert!(
        code == Some(0) && said.contains("often is another one than at the last commit, or a list"),
        "{said}"
    );
    write(bench.path(), "black.csv", &accounts(9));
    let database = rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let delete = "DELETE FROM findings WHERE event_id = 'q50' AND rule_id IN ('listed', 'often')";
    assert_eq!(database.execute(delete, []).unwrap(), 2);
    drop(database);
    let (code, said) = verified(&bench);
    assert_eq!(code, Some(1));
    for rule in ["listed", "often"] {
        assert!(said.contains(&format!("missing from the state: {rule} on q50")), "{said}");
    }
}

/// A file that is gone is told like one that is wrong, and one that comes back as it was is in order again.
#[test]
fn a_list_whose_file_is_deleted_is_told() {
    let bench = bench(10);
    let daemon = Daemon::start(bench.path());
    let (list, away) = (bench.path().join("black.csv"), bench.path().join("away"));
    std::fs::rename(&list, &away).unwrap();
    wait_until(|| metric(&daemon, "fiscwatch_config_last_reload_successful") == "0");
    let told: Vec<_> = daemon.log.try_iter().filter(|line| line.contains("the old list stays")).collect();
    assert!(told.len() == 1 && told[0].contains("black.csv"), "{told:?}");
    pay(&daemon, 1, "A00009");
    assert_eq!(found(&daemon), ["q1"]);
    std::fs::rename(&away, &list).unwrap();
    wait_until(|| metric(&daemon, "fiscwatch_config_last_reload_successful") == "1");
    assert_eq!(metric(&daemon, "fiscwatch_list_reads_total{list=\"black\",result=\"refused\"}"), "1");
}

/// A rule was left out because of its list; the list is corrected, and the rule comes into force.
#[test]
fn a_rule_that_was_left_out_for_its_list_is_read_again() {
    let bench = bench(10);
    let rule = "
  - id: capped
    title: capped
    severity: low
    trigger: payment
    when: lookup('black', payee_account, 'cap') = 'none'
    key: [event_id]
";
    write(bench.path(), "rules/rules.yaml", &(RULES.to_owned() + rule));
    let config = std::fs::read_to_string(bench.path().join("fiscwatch.yaml")).unwrap();
    write(bench.path(), "fiscwatch.yaml", &(config + "rules: { on_error: skip }\n"));
    let daemon = Daemon::start(bench.path());
    assert_eq!(daemon.json("/api/v1/status")["rules_skipped"][0]["rule_id"], "capped");
    write(bench.path(), "black.csv", &accounts(11).replace("reason", "cap").replace(",x", ",none"));
    wait_until(|| daemon.json("/api/v1/status")["rules_skipped"] == json!([]));
    pay(&daemon, 1, "A00010");
    assert_eq!(daemon.json("/api/v1/findings?rule=capped")["findings"].as_array().unwrap().len(), 1);
}

/// A process that dies while it judges again leaves that to the next one, and after so many no other dies of it.
#[test]
fn a_process_that_dies_while_it_judges_again_leaves_it_to_the_next() {
    let paid_before = || {
        let bench = bench(10);
        let daemon = Daemon::start(bench.path());
        pay(&daemon, 1, "A00010");
        assert_eq!(daemon.stop("-TERM"), Some(0));
        write(bench.path(), "black.csv", &accounts(11));
        bench
    };
    let dies = |bench: &Bench| {
        let args = ["run", "--config", "fiscwatch.yaml"];
        let run =
            fiscwatch().current_dir(bench.path()).args(args).env("FAILPOINT", "lists.batch=abort").output();
        let output = run.unwrap();
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
    };
    let bench = paid_before();
    dies(&bench);
    let daemon = Daemon::start(bench.path());
    wait_until(|| found(&daemon) == ["q1"]);
    drop(daemon);
    let bench = paid_before();
    (0..3).for_each(|_| dies(&bench));
    let daemon = Daemon::start(bench.path());
    wait_until(|| daemon.log.try_iter().any(|line| line.contains("they stay as they were judged")));
    assert!(found(&daemon).is_empty());
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_eq!(verified(&bench).0, Some(0));
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

/// In a query as in an expression: the list is named, and what to do.
#[test]
fn a_query_over_a_list_that_is_not_there_names_it() {
    let bench = Bench::new("", "");
    let rule = "rules:\n  - {id: a, title: a, severity: low, trigger: schedule, every: 1d, sql: \"SELECT unit_code FROM payments WHERE lookup('nobody', payee_account, 'x') IS NULL\", key: [unit_code]}\n";
    std::fs::write(bench.path().join("rules/rules.yaml"), rule).unwrap();
    let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("there is no list \"nobody\"") && err.contains("name its file under `lists:`"),
        "{err}"
    );
}
