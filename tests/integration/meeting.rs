//! Rules on a schedule over several sources. After which event a tick takes place depends on how a file and requests came
//! together, and that is the sources' business. It is noted, so the findings can be made again from the journal, also
//! where the daemon was killed on the way.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, append, lines, payment, post, run, wait_until};

const CONFIG: &str = "
sources: [{ name: feed, file: { path: events.jsonl, follow: true } }]
state: { dir: state, checkpoint_events: 100 }
engine: { batch_rows: 20 }
";

const RULES: &str = r#"
rules:
  - id: busy
    title: busy
    severity: low
    trigger: schedule
    every: 1d
    sql: |
      SELECT unit_code, count(*) AS n, sum(amount) AS total FROM payments
      WHERE occurred_at >= now - interval '2 days' GROUP BY unit_code
    key: [unit_code]
    summary: "{{ unit_code }} {{ n }} {{ total }}"
"#;

const DAYS: i64 = 12;

/// The payments of a source on a day.
fn day(source: &str, day: i64) -> String {
    let event = |n: i64| -> Value {
        let mut event = payment(&format!("{source}-{day}-{n}"), "L1", &format!("{}.00", n + 1));
        // 2026-01-01T00:00 in Shanghai, in milliseconds.
        event["occurred_at"] = json!(1_767_196_800_000 + day * 86_400_000 + n * 6_000_000);
        event["unit_code"] = json!(format!("10100{}", n % 3));
        event
    };
    lines(&(0..12).map(event).collect::<Vec<_>>())
}

fn bench() -> Bench {
    let bench = Bench::new("", CONFIG);
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    bench
}

/// Both sources bring their days, each at its own pace; the daemon is killed so many times on the way.
fn live(bench: &Bench, kills: u32, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let file = bench.path().join("events.jsonl");
    let writer = std::thread::spawn({
        let waits: Vec<u64> = (0..DAYS).map(|_| rng.random_range(0..60)).collect();
        move || {
            for (number, wait) in (0..DAYS).zip(waits) {
                append(&file, &day("file", number));
                std::thread::sleep(Duration::from_millis(wait));
            }
        }
    });
    let mut deaths: Vec<i64> = (0..kills).map(|_| rng.random_range(1..DAYS)).collect();
    let mut daemon = Daemon::start(bench.path());
    for number in 0..DAYS {
        let url = format!("{}/api/v1/events", daemon.address);
        let body = day("http", number);
        if let Some(at) = deaths.iter().position(|death| *death == number) {
            deaths.remove(at);
            let posted = std::thread::spawn(move || post(&url, &body));
            std::thread::sleep(Duration::from_millis(rng.random_range(0..40)));
            drop(daemon);
            let _ = posted.join();
            daemon = Daemon::start(bench.path());
        }
        // What was not answered is sent again.
        assert_eq!(daemon.post("/api/v1/events", &day("http", number)).0, 200);
    }
    writer.join().unwrap();
    let all = DAYS * 12 * 2;
    wait_until(|| daemon.json("/api/v1/status")["journal_events"] == all);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

/// Every midnight that both sources have passed, as it is noted.
fn noted(bench: &Bench) -> Vec<i64> {
    let database = rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let mut ticks = database.prepare("SELECT at FROM ticks WHERE rule_id = 'busy' ORDER BY at").unwrap();
    let ticks = ticks.query_map([], |row| row.get(0)).unwrap();
    ticks.collect::<Result<_, _>>().unwrap()
}

/// The midnights after the first event and before the last ones.
fn midnights() -> Vec<i64> {
    (1..DAYS).map(|day| (1_767_196_800_000 + day * 86_400_000) * 1000).collect()
}

/// How many findings there are, after each was compared with what the journal gives.
fn verified(bench: &Bench) -> usize {
    let args = ["state", "verify", "--findings", "--config", "fiscwatch.yaml"];
    let (code, said, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0), "{said}{err}");
    assert_eq!(noted(bench), midnights());
    assert!(said.contains(&format!("{} ticks", midnights().len())), "{said}");
    let found = bench.state().0.len();
    assert!(said.contains(&format!("{found} findings compared")), "{said}");
    assert!(!said.contains("schedules are not compared"), "{said}");
    found
}

#[test]
fn schedules_over_a_file_and_requests_are_made_again_from_the_journal() {
    let bench = bench();
    live(&bench, 0, 1);
    assert!(verified(&bench) > 15);
}

#[test]
fn kills_change_nothing_that_the_journal_does_not_tell() {
    for seed in 2..4 {
        let bench = bench();
        live(&bench, 4, seed);
        assert!(verified(&bench) > 15);
    }
}

/// A tick that the daemon never did leaves nothing behind that could be wrong; that it was due tells.
#[test]
fn a_tick_that_was_never_done_is_told() {
    let bench = bench();
    live(&bench, 0, 6);
    let database = rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let at = midnights()[4];
    assert_eq!(database.execute("DELETE FROM ticks WHERE at = ?1", [at]).unwrap(), 1);
    assert!(database.execute("DELETE FROM findings WHERE at = ?1", [at]).unwrap() > 0);
    drop(database);
    let args = ["state", "verify", "--findings", "--config", "fiscwatch.yaml"];
    let (code, said, _) = run(bench.path(), &args);
    assert_eq!(code, Some(1));
    assert!(said.contains("busy was due at 2026-01-06T00:00:00+08:00 and was never evaluated"), "{said}");
    assert!(!said.contains("missing from the state"), "{said}");
    assert_eq!(said.matches("was never evaluated").count(), 1, "{said}");
}

/// To verify must not say that all is well when it has compared nothing.
#[test]
fn ticks_that_verify_has_no_time_for_are_told() {
    let bench = bench();
    live(&bench, 0, 7);
    let config = bench.path().join("fiscwatch.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("batch_rows: 20", "batch_rows: 20, query_time: 1ms")).unwrap();
    let args = ["state", "verify", "--findings", "--config", "fiscwatch.yaml"];
    let (code, said, _) = run(bench.path(), &args);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("INCOMPLETE") && said.contains("Not everything was compared"), "{said}");
    assert!(said.contains("not compared: busy at 2026-01-02T00:00:00+08:00, it took too long"), "{said}");
    assert!(said.contains("left out whose ticks could not be evaluated again"), "{said}");
    assert!(!said.contains("The state is damaged"), "{said}");
    let (code, said, _) = run(bench.path(), &[&args[..], &["--json"]].concat());
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["ok"]), (Some(1), &json!(false)), "{said}");
}

/// A tick that is noted at another place finds other things: the comparison tells.
#[test]
fn a_tick_at_another_place_is_told() {
    let bench = bench();
    live(&bench, 0, 5);
    let database = rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let last: i64 = database.query_row("SELECT max(block) FROM ticks", [], |row| row.get(0)).unwrap();
    assert!(database.execute("UPDATE ticks SET block = ?1", [last]).unwrap() > 5);
    drop(database);
    let args = ["state", "verify", "--findings", "--config", "fiscwatch.yaml"];
    let (code, said, _) = run(bench.path(), &args);
    assert_eq!(code, Some(1));
    assert!(said.contains("the table ticks does not match its checksum"), "{said}");
    assert!(said.contains("differs"), "{said}");
}
