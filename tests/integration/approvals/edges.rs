//! What is at the edge of approvals: bounds, levels that change, content that no longer holds, what is counted.

use serde_json::{Value, json};

use super::{Bureau, CONFIG, approve_line, budget, detail};
use crate::support::{Bench, Daemon, run, wait_until, write};

#[test]
fn one_proposal_is_bounded() {
    let bureau = Bureau::open("");
    let actions = |n: usize| {
        let action = |at| approve_line(&format!("L{at}"), "1.00");
        budget(&(0..n).map(action).collect::<Vec<_>>())
    };
    let (status, told) = bureau.ask("officer", "POST", "approvals", &actions(101));
    assert!(status == 422 && detail(&told).contains("1 to 100 budget actions"), "{told}");
    let most = bureau.propose("officer", &actions(100));
    assert_eq!(most["amount"], "100.00");
    assert_eq!(bureau.judge("supervisor", &most, "approve").0, 200);
    bureau.is(&most, "in_force");
    assert_eq!((bureau.total("L0"), bureau.total("L99")), ("1.00".into(), "1.00".into()));
    let rows = |n: usize| {
        let row = |at| json!({ "name": format!("公司{at}"), "why": "court" });
        json!({ "kind": "list", "reason": "r", "list": "blocked", "put": (0..n).map(row).collect::<Vec<_>>() })
    };
    let (status, told) = bureau.ask("author", "POST", "approvals", &rows(1001));
    assert!(status == 422 && detail(&told).contains("1 to 1000 rows"), "{told}");
    let (status, told) = bureau.ask("author", "POST", "approvals", &rows(0));
    assert!(status == 422 && detail(&told).contains("1 to 1000 rows"), "{told}");
    let most = bureau.propose("author", &rows(1000));
    assert_eq!(bureau.judge("approver", &most, "approve").0, 200);
    bureau.is(&most, "in_force");
    let lists = bureau.ask("author", "GET", "lists", &Value::Null).1;
    let blocked = json!({ "name": "blocked", "columns": ["name", "why"], "key": "name", "rows": 1001 });
    wait_until(|| bureau.ask("author", "GET", "lists", &Value::Null).1["lists"] == json!([blocked]));
    assert_eq!(lists["lists"].as_array().unwrap().len(), 1);
    for long in ["x".repeat(501), String::from(" ")] {
        let mut wish = budget(&[approve_line("M", "1.00")]);
        wish["reason"] = json!(long);
        let (status, told) = bureau.ask("officer", "POST", "approvals", &wish);
        assert!(status == 422 && detail(&told).contains("1 to 500 characters"), "{told}");
    }
}

/// What was proposed goes by the levels of its day, what is proposed later by those of its own.
#[test]
fn levels_are_those_of_the_day_of_the_proposal() {
    let mut bureau = Bureau::open("");
    let before = bureau.propose("officer", &budget(&[approve_line("L1", "500.00")]));
    assert_eq!(before["needed"], json!(["supervisor"]));
    assert_eq!(bureau.daemon.take().unwrap().stop("-TERM"), Some(0));
    let stricter =
        CONFIG.replace("{ up_to: '1000.00', by: [supervisor] }", "{ up_to: '1.00', by: [supervisor] }");
    assert_ne!(stricter, CONFIG);
    write(bureau.bench.path(), "fiscwatch.yaml", &stricter);
    bureau.daemon = Some(Daemon::start(bureau.bench.path()));
    let after = bureau.propose("officer", &budget(&[approve_line("L2", "500.00")]));
    assert_eq!(after["needed"], json!(["supervisor", "approver"]));
    assert_eq!(bureau.judge("supervisor", &before, "approve").1["missing"], json!([]));
    bureau.is(&before, "in_force");
    assert_eq!(bureau.judge("supervisor", &after, "approve").1["missing"], json!(["approver"]));
    assert_eq!((bureau.total("L1"), bureau.total("L2")), ("500.00".into(), "none".into()));
}

/// Approved by command while no daemon runs, and then the key is another one: what nobody can check does not come into force.
#[test]
fn what_does_not_hold_any_more_fails_with_its_reason() {
    let mut bureau = Bureau::open("");
    let matter = bureau.propose("officer", &budget(&[approve_line("L1", "500.00")]));
    assert_eq!(bureau.daemon.take().unwrap().stop("-TERM"), Some(0));
    let path = bureau.bench.path().to_owned();
    let words = ["approvals", "approve", "1", "--by", "supervisor", "--config", "fiscwatch.yaml"];
    write(&path, "fiscwatch.yaml", &CONFIG.replace("auth: true", "auth: false"));
    let (code, out, err) = run(&path, &words);
    assert_eq!(code, Some(0), "{out}{err}");
    std::fs::remove_file(path.join("state/audit.key")).unwrap();
    write(&path, "fiscwatch.yaml", CONFIG);
    bureau.daemon = Some(Daemon::start(&path));
    bureau.is(&matter, "failed");
    let failed = bureau.matter(&matter);
    let why = failed["outcome"].as_str().unwrap();
    assert!(why.contains("act 1 is signed by another key"), "{failed}");
    assert_eq!(bureau.total("L1"), "none");
    assert_eq!(bureau.acts("approvals.failed").len(), 1);
    let (status, told) = bureau.judge("supervisor", &failed, "approve");
    assert!(status == 409 && detail(&told).contains("could not come into force"), "{told}");
    let text = bureau.metrics();
    assert!(text.contains("fiscwatch_approvals_total{act=\"failed\",kind=\"budget\"} 1"), "{text}");
}

#[test]
fn what_was_done_is_counted() {
    let bureau = Bureau::open("");
    let first = bureau.propose("officer", &budget(&[approve_line("L1", "5.00")]));
    bureau.judge("supervisor", &first, "approve");
    bureau.is(&first, "in_force");
    let second = bureau.propose("officer", &budget(&[approve_line("L2", "5.00")]));
    bureau.judge("supervisor", &second, "refuse");
    let third = bureau.propose("officer", &budget(&[approve_line("L3", "5.00")]));
    let path = format!("approvals/{}/withdrawal", third["approval_id"]);
    assert_eq!(bureau.ask("officer", "POST", &path, &json!({})).0, 200);
    // What is refused is no act.
    assert_eq!(bureau.judge("supervisor", &third, "approve").0, 409);
    let counted = |act: &str| {
        let text = bureau.metrics();
        let name = format!("fiscwatch_approvals_total{{act=\"{act}\",kind=\"budget\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap_or(0)
    };
    assert_eq!(["propose", "approve", "refuse", "withdraw"].map(counted), [3, 1, 1, 1]);
    wait_until(|| counted("in_force") == 1);
}

/// Somebody with the database in their hands changes what waits: nobody puts their name under it, and it is told which one.
#[test]
fn what_was_changed_in_the_database_is_not_approved_and_verify_names_it() {
    let mut bureau = Bureau::open("");
    bureau.propose("officer", &budget(&[approve_line("L1", "5.00")]));
    bureau.propose("officer", &budget(&[approve_line("L2", "12.00")]));
    assert_eq!(bureau.daemon.take().unwrap().stop("-TERM"), Some(0));
    let path = bureau.bench.path().to_owned();
    write(&path, "fiscwatch.yaml", &CONFIG.replace("auth: true", "auth: false"));
    let database = rusqlite::Connection::open(path.join("state/fiscwatch.db")).unwrap();
    let sql = "UPDATE approvals SET body = replace(body, '12.00', '99.00') WHERE approval_id = 2";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    drop(database);
    let by = |words: &[&str]| run(&path, &[words, &["--config", "fiscwatch.yaml"]].concat());
    let (code, out, err) = by(&["approvals", "approve", "2", "--by", "supervisor"]);
    assert!(code == Some(1) && err.contains("approval 2 was changed in the database"), "{out}{err}");
    let (code, out, err) = by(&["state", "verify"]);
    let told = out + &err;
    assert!(code == Some(1) && told.contains("approval 2 was changed in the database"), "{told}");
    assert!(!told.contains("approval 1 "), "{told}");
}

#[test]
fn commands_say_what_to_do_next() {
    let bench = Bench::new("", "");
    let by = |words: &[&str]| {
        let (code, out, err) = run(bench.path(), &[words, &["--config", "fiscwatch.yaml"]].concat());
        assert_eq!(code, Some(1), "{words:?}: {out}{err}");
        err
    };
    write(bench.path(), "fiscwatch.yaml", CONFIG.replace("auth: true", "auth: false").as_str());
    write(bench.path(), "rules/rules.yaml", super::RULES);
    write(bench.path(), "blocked.csv", "name,why\n");
    let head = "action,budget_line_id,amount,occurred_at\n";
    write(bench.path(), "actions.csv", &format!("{head}supplement,L1,5.00,2026-01-02\n"));
    let propose = |file: &str| by(&["approvals", "propose", "--budget", file, "--reason", "r", "--by", "a"]);
    for told in [by(&["approvals", "approve", "1", "--by", "a"]), propose("actions.csv")] {
        assert!(told.contains("there is no state"), "{told}");
    }
    let gbk = [head.as_bytes(), b"supplement,\xD6\xB8\xB1\xEA,5.00,2026-01-02\n"].concat();
    std::fs::write(bench.path().join("gbk.csv"), gbk).unwrap();
    let told = propose("gbk.csv");
    assert!(told.contains("GBK") && told.contains("save it as UTF-8"), "{told}");
    write(bench.path(), "wide.csv", &format!("{head}supplement,L1\n"));
    assert!(propose("wide.csv").contains("wide.csv:2: the row has more or fewer cells"));
    assert!(propose("none.csv").contains("none.csv: it is not there"));
    let large = std::fs::File::create(bench.path().join("large.csv")).unwrap();
    large.set_len(17 << 20).unwrap();
    assert!(propose("large.csv").contains("16 MiB at most"));
}
