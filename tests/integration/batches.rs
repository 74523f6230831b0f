//! Findings and balances depend on the events and their order, and on nothing else.

use crate::support::{Bench, lines, random_events, run};

const SOURCE: &str = "sources: [{ name: feed, file: { path: events.jsonl } }]\nstate: { dir: state, checkpoint_events: 700 }\n";

#[test]
fn batch_sizes_and_the_daemon_give_what_one_batch_gives() {
    let bench = Bench::new(&lines(&random_events(11, 4000)), SOURCE);
    let expected = bench.backtest(&["--batch-rows", "65536"]);
    assert!(expected.0.len() > 200, "the rules must find something");
    for rows in ["1", "7", "1000"] {
        assert_eq!(bench.backtest(&["--batch-rows", rows]), expected, "--batch-rows {rows}");
    }
    for rows in ["1", "7", "1000", "65536"] {
        let _ = std::fs::remove_dir_all(bench.path().join("state"));
        let mut command = crate::support::fiscwatch();
        command.current_dir(bench.path()).args(["run", "--once", "--config", "fiscwatch.yaml"]);
        let output = command.env("FISCWATCH_ENGINE__BATCH_ROWS", rows).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(bench.state(), expected, "run with batch_rows {rows}");
    }
}

#[test]
fn events_known_already_change_nothing() {
    let bench = Bench::new(&lines(&random_events(12, 1000)), SOURCE);
    let once = bench.backtest(&[]);
    let args = [
        "backtest",
        "--config",
        "fiscwatch.yaml",
        "--findings",
        "f2.jsonl",
        "--ledger",
        "l2.jsonl",
        "--events",
        "events.jsonl",
        "events.jsonl",
    ];
    let (code, _, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0));
    assert_eq!(crate::support::file_lines(&bench.path().join("f2.jsonl")), once.0);
    assert_eq!(crate::support::file_lines(&bench.path().join("l2.jsonl")), once.1);
    assert!(!err.contains(" 0 duplicates"), "{err}");
}

#[test]
fn from_and_to_limit_the_findings_and_not_the_events() {
    let bench = Bench::new(&lines(&random_events(13, 2000)), SOURCE);
    let (all, ledger) = bench.backtest(&[]);
    let (some, same) = bench.backtest(&["--from", "2025-04-01", "--to", "2025-05-01"]);
    let april = |f: &&String| f.contains("\"at\":\"2025-04");
    assert_eq!(some, all.iter().filter(april).cloned().collect::<Vec<_>>());
    assert!(!some.is_empty());
    assert_eq!(ledger, same);
}
