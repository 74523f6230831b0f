//! Two instances on one state directory: the second waits, and takes over.

use crate::support::{
    Bench, Daemon, append, assert_same, lines, payment, random_events, run, wait_until, write,
};

const CONFIG: &str = "
sources: [{ name: feed, file: { path: feed.jsonl, follow: true } }]
state: { dir: state, standby: true }
engine: { batch_rows: 40 }
";

#[test]
fn a_standby_takes_over_from_one_that_is_killed_and_nothing_is_lost_or_repeated() {
    let events = random_events(31, 4000);
    let bench = Bench::new(&lines(&events), CONFIG);
    let expected = bench.backtest(&[]);
    let feed = write(bench.path(), "feed.jsonl", "");
    let journal = |daemon: &Daemon| daemon.json("/api/v1/status")["journal_events"].as_i64().unwrap();
    let mut active = Daemon::start(bench.path());
    for part in events.chunks(1000) {
        let standby = Daemon::launch(bench.path());
        let (status, text) = standby.get("/-/ready");
        assert_eq!(status, 503);
        assert!(text.starts_with("standby: another fiscwatch has the state directory"), "{text}");
        assert_eq!(standby.get("/api/v1/status").0, 503);
        assert!(standby.get("/metrics").1.contains("fiscwatch_standby 1"));
        let before = journal(&active);
        append(&feed, &lines(part));
        wait_until(|| journal(&active) > before);
        // kill -9, mostly in the middle of the part.
        drop(std::mem::replace(&mut active, standby));
        wait_until(|| active.get("/-/ready").0 == 200);
        assert!(active.get("/metrics").1.contains("fiscwatch_standby 0"));
    }
    wait_until(|| {
        let (_, info, _) = run(bench.path(), &["state", "info", "--json", "--config", "fiscwatch.yaml"]);
        info.contains(&format!(",{}]]", feed.metadata().unwrap().len()))
    });
    assert_eq!(active.stop("-TERM"), Some(0));
    assert_same(&bench.state(), &expected, "after four take-overs");
}

#[test]
fn a_standby_ends_when_asked_and_the_rules_are_those_of_the_take_over() {
    let bench = Bench::new("", CONFIG);
    write(bench.path(), "feed.jsonl", "");
    let active = Daemon::start(bench.path());
    let standby = Daemon::launch(bench.path());
    assert_eq!(standby.stop("-TERM"), Some(0));
    assert_eq!(active.get("/-/ready").0, 200);

    let standby = Daemon::launch(bench.path());
    assert_eq!(standby.get("/-/ready").0, 503);
    let rules = "rules: [{ id: new-one, title: new, severity: low, trigger: payment, when: amount > 0, key: [unit_code] }]";
    write(bench.path(), "rules/rules.yaml", rules);
    assert_eq!(active.stop("-TERM"), Some(0));
    wait_until(|| standby.get("/-/ready").0 == 200);
    let (status, answer) = standby.post("/api/v1/events", &lines(&[payment("p", "L", "1.00")]));
    assert_eq!(status, 200, "{answer}");
    wait_until(|| standby.json("/api/v1/findings")["findings"][0]["rule_id"] == "new-one");
    assert_eq!(standby.stop("-TERM"), Some(0));
}

#[test]
fn without_the_setting_a_second_instance_is_refused() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let active = Daemon::start(bench.path());
    let (code, _, err) = run(bench.path(), &["run", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("is in use by another fiscwatch") && err.contains("state.standby: true"), "{err}");
    assert_eq!(active.stop("-TERM"), Some(0));
}
