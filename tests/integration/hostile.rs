//! Rules and queries that were written to stop the watch: each is held against its bounds of time and memory, in `check`,
//! in a backtest, and in the daemon, where it must neither stop the stream nor end the process. The figures that were
//! measured stand in docs/security.md.

use std::{
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{Daemon, fiscwatch, lines, payment, wait_until};

/// What one process may use, in MiB. The debug build itself takes some 150.
const MEMORY_MIB: u64 = 700;

/// What a process did within its bounds.
struct Held {
    code: Option<i32>,
    text: String,
    seconds: f64,
    mib: u64,
}

/// A folder with rules, a configuration and events.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new(rules: &str, events: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rules")).unwrap();
        std::fs::write(dir.path().join("rules/rules.yaml"), rules).unwrap();
        std::fs::write(dir.path().join("fiscwatch.yaml"), CONFIG).unwrap();
        std::fs::write(dir.path().join("events.jsonl"), stream(events)).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a command; one that takes longer than `seconds` is killed, and that is a failure.
    fn run(&self, args: &[&str], seconds: u64) -> Held {
        let (out, err) = (self.path().join("out"), self.path().join("err"));
        let started = Instant::now();
        let mut child = fiscwatch()
            .current_dir(self.path())
            .args(args)
            .env("FISCWATCH_LANG", "en")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(std::fs::File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let mut mib = 0;
        let status = loop {
            mib = peak_mib(&child).unwrap_or(mib);
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > Duration::from_secs(seconds) {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{args:?} took more than {seconds} s, at {mib} MiB");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let text = [out, err].map(|path| std::fs::read_to_string(path).unwrap()).concat();
        Held { code: status.code(), text, seconds: started.elapsed().as_secs_f64(), mib }
    }

    fn check(&self) -> Held {
        self.run(&["check", "--config", "fiscwatch.yaml"], 60)
    }

    fn backtest(&self) -> Held {
        self.run(
            &[
                "backtest",
                "--config",
                "fiscwatch.yaml",
                "--events",
                "events.jsonl",
                "--findings",
                "found.jsonl",
            ],
            120,
        )
    }
}

/// The most memory that a process had so far.
fn peak_mib(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}

impl Held {
    /// It ended by itself, in its bounds, and said something.
    fn within(&self, what: &str) -> &Self {
        eprintln!("{what}: {:.1} s, {} MiB", self.seconds, self.mib);
        assert!(self.code.is_some(), "{what} ended by a signal: {}", self.text);
        assert!(self.mib < MEMORY_MIB, "{what} took {} MiB", self.mib);
        self
    }

    fn says(&self, text: &str) -> &Self {
        assert!(self.text.contains(text), "{text:?} is not in: {}", self.text);
        self
    }
}

const CONFIG: &str = "
language: en
time_zone: Asia/Shanghai
rules: { paths: [rules] }
engine: { query_time: 500ms, query_memory_mib: 128 }
state: { dir: state }
http: { listen: 127.0.0.1:0 }
";

/// Payments of two days, so that a daily schedule is due.
fn stream(events: usize) -> String {
    let event = |n: usize| {
        let mut event = payment(&format!("e{n}"), &format!("L{}", n % 7), &format!("{}.50", n % 900 + 1));
        let at = 1_772_600_000_000i64
            + i64::try_from(n).unwrap() * 172_800_000 / i64::try_from(events.max(1)).unwrap();
        event["occurred_at"] = json!(at);
        event["purpose"] = json!("办公用品采购");
        event
    };
    lines(&(0..events).map(event).collect::<Vec<_>>())
}

/// A rule on a schedule.
fn schedule(id: &str, sql: &str) -> String {
    format!("  - {{id: {id}, severity: low, trigger: schedule, every: 1d, key: [], sql: \"{sql}\"}}\n")
}

/// A rule on payments.
fn row(id: &str, when: &str) -> String {
    format!("  - {{id: {id}, severity: low, trigger: payment, key: [unit_code], when: \"{when}\"}}\n")
}

fn rules(rules: &[String]) -> String {
    format!("rules:\n{}", rules.concat())
}

/// What makes much of little is refused where it is folded, and an error of its row where it is computed.
#[test]
fn functions_that_blow_up_are_capped() {
    for (when, said) in [
        ("length(repeat('x', 2000000000)) > 1", "a value of 'repeat' would have 2000000000 bytes"),
        ("cardinality(range(1, 1000000000)) > 1", "'range' would have"),
        ("cardinality(generate_series(1, 1000000000)) > 1", "'generate_series' would have"),
        ("length(lpad('x', 2000000000)) > 1", "a value of 'lpad' would have"),
        (
            "length(rpad(purpose, 2000000000, 'ab')) > 1 or length(rpad('x', 1000000000)) > 1",
            "a value of 'rpad' would have",
        ),
        ("cardinality(array_repeat('x', 1000000000)) > 1", "'array_repeat' would have"),
        ("cardinality(array_resize([1], 1000000000, 1)) > 1", "'array_resize' would have"),
        (
            "length(replace(repeat('x', 200000), 'x', repeat('y', 200000))) > 1",
            "its constants have 400000 bytes",
        ),
        (
            "length(array_to_string(array_repeat('', 1000), repeat('y', 3000))) > 1",
            "'array_to_string' would have",
        ),
        ("length(repeat('x', 200000) || repeat('x', 200000)) > 1", "its constants have 400000 bytes"),
        ("length(concat(repeat('x', 200000), repeat('x', 200000))) > 1", "its constants have 400000 bytes"),
        ("regexp_like(purpose, '(\\\\\\\\pL{500}){500}')", "the pattern of 'regexp_like' is too large"),
        ("arrow_cast('x', 'FixedSizeBinary(2000000000)') is null", "a fixed length cannot be cast to"),
    ] {
        let bench = Bench::new(&rules(&[row("a", when)]), 0);
        let held = bench.check();
        held.within(when).says(said);
        assert_eq!(held.code, Some(1), "{when}");
    }
}

/// The same in queries, over rows that are there.
#[test]
fn queries_are_ended_when_their_time_or_memory_is_over() {
    let hostile = [
        ("cross-join", "SELECT count(*) AS n FROM payments a, payments b WHERE a.amount + b.amount > 0.5"),
        (
            "skewed-join",
            "SELECT count(*) AS n FROM payments a JOIN payments b ON a.unit_code = b.unit_code JOIN payments c ON c.unit_code = b.unit_code WHERE a.amount + b.amount + c.amount < 0",
        ),
        ("endless", "SELECT count(*) AS n FROM generate_series(1, 4000000000000) a WHERE a.value % 7 = 8"),
        ("distinct", "SELECT count(distinct repeat(event_id, 100000)) AS n FROM payments"),
        (
            "lists",
            "SELECT count(*) AS n FROM (SELECT unnest(range(1, cast(amount as bigint) + 3000)) AS x FROM payments) WHERE x % 7 = 8",
        ),
        ("aggregated", "SELECT length(string_agg(repeat(event_id, 3500), '')) AS n FROM payments"),
        (
            "collected",
            "SELECT cardinality(array_agg(a.event_id || b.event_id)) AS n FROM payments a JOIN payments b ON a.unit_code = b.unit_code",
        ),
        (
            "windows",
            "SELECT max(n) AS n FROM (SELECT sum(a.amount) OVER (PARTITION BY a.unit_code ORDER BY b.amount) AS n FROM payments a JOIN payments b ON a.unit_code = b.unit_code)",
        ),
        (
            "sorted",
            "SELECT a.event_id FROM payments a JOIN payments b ON a.unit_code = b.unit_code ORDER BY a.amount + b.amount, a.event_id || b.event_id",
        ),
        ("wide", "SELECT event_id, repeat(event_id, 2000) AS x FROM payments"),
    ];
    let mut all: Vec<String> = hostile.iter().map(|(id, sql)| schedule(id, sql)).collect();
    all.push(schedule("good", "SELECT count(*) AS n FROM payments"));
    let bench = Bench::new(&rules(&all), 10_000);
    let held = bench.check();
    assert_eq!(held.within("check of hostile queries").code, Some(0), "{}", held.text);
    let held = bench.backtest();
    assert_eq!(held.within("backtest of hostile queries").code, Some(0), "{}", held.text);
    let found = std::fs::read_to_string(bench.path().join("found.jsonl")).unwrap();
    assert!(found.contains("\"good\""), "the rule beside them goes on: {found}");
    for (id, _) in hostile {
        held.says(&format!("rule {id}: "));
        assert!(!found.contains(&format!("\"rule_id\":\"{id}\"")), "{id} finds what it did not see");
    }
    // Ten queries at two ticks, each of which takes its time at most.
    assert!(held.seconds < 40.0, "{} s", held.seconds);
}

/// A rule whose query cannot be stopped loses its own ticks, and no other rule does.
#[test]
fn a_slow_rule_costs_no_other_rule_its_ticks() {
    // One step of it takes far longer than the query may and is waited for.
    let slow = "SELECT max(levenshtein(repeat(left(event_id, 1), 60000), repeat(left(unit_code, 1), 60000))) AS n FROM payments WHERE event_id = 'e0'";
    let good = schedule("good", "SELECT count(*) AS n FROM payments");
    let found = |bench: &Bench| {
        let found = std::fs::read_to_string(bench.path().join("found.jsonl")).unwrap();
        found.lines().filter(|line| line.contains("\"rule_id\":\"good\"")).count()
    };
    let bench = Bench::new(&rules(&[schedule("slow", slow), good.clone()]), 0);
    let events: Vec<_> = (0..6i64)
        .map(|day| {
            let mut event = payment(&format!("e{day}"), "L1", "1.00");
            event["occurred_at"] = json!(1_772_600_000_000i64 + day * 86_400_000);
            event
        })
        .collect();
    std::fs::write(bench.path().join("events.jsonl"), lines(&events)).unwrap();
    std::fs::write(bench.path().join("fiscwatch.yaml"), CONFIG.replace("500ms", "200ms")).unwrap();
    let held = bench.backtest();
    held.within("backtest of a query that cannot be stopped").says("rule slow: ");
    let beside = found(&bench);
    write_rules(&bench, &rules(&[good]));
    bench.backtest();
    assert!(beside >= 4, "{beside} ticks");
    assert_eq!(beside, found(&bench), "{}", held.text);
}

/// What an aggregate collects of a window is as bounded as any other value.
#[test]
fn aggregates_over_a_window_are_capped() {
    let judged = |id: &str, window: &str, measure: &str| {
        format!(
            "  - {{id: {id}, severity: low, {window}, measure: {{ n: \"length({measure})\" }}, when: n > 400000, key: [region_code]}}\n"
        )
    };
    let sliding = "trigger: payment, over: { by: [region_code], last: 30d }";
    let closing = "trigger: window, of: payment, window: { by: [region_code], size: 1d }";
    let long = "string_agg(repeat(event_id, 1000), ',')";
    let list = "array_to_string(array_agg(repeat(event_id, 1000)), ',')";
    let different = "array_to_string(array_agg(distinct repeat(event_id, 1000)), ',')";
    let bench = Bench::new(
        &rules(&[
            judged("sliding", sliding, long),
            judged("closing", closing, long),
            judged("listed", sliding, list),
            judged("different", sliding, different),
            judged("closed", closing, different),
        ]),
        400,
    );
    let checked = bench.check();
    assert_eq!(checked.code, Some(0), "{}", checked.text);
    let held = bench.backtest();
    held.within("backtest of aggregates that collect all of a window");
    for (id, function) in [
        ("sliding", "string_agg"),
        ("closing", "string_agg"),
        ("listed", "array_agg"),
        ("different", "array_agg"),
        ("closed", "array_agg"),
    ] {
        held.says(&format!("rule {id}: "));
        held.says(&format!("a value of '{function}' would have"));
    }
    let found = std::fs::read_to_string(bench.path().join("found.jsonl")).unwrap();
    assert_eq!(found, "", "nothing is found by half a window");
}

/// What is too large is refused by numbers before it is planned.
#[test]
fn a_rule_that_is_too_large_is_refused_before_it_is_planned() {
    let ands = |n: usize| vec!["amount > 1"; n].join(" and ");
    let unions = |n: usize| vec!["SELECT unit_code FROM payments"; n].join(" UNION ALL ");
    let doubled = |n: usize| {
        let steps = (1..n).map(|n| {
            format!(
                "t{n} AS (SELECT a.unit_code FROM t{p} a JOIN t{p} b ON a.unit_code = b.unit_code)",
                p = n - 1
            )
        });
        let first = String::from("t0 AS (SELECT unit_code FROM payments)");
        let all: Vec<_> = std::iter::once(first).chain(steps).collect();
        format!("WITH {} SELECT unit_code FROM t{}", all.join(", "), n - 1)
    };
    let grown = |n: usize| {
        let steps = (1..n).map(|n| format!("t{n} AS (SELECT x + x AS x FROM t{p})", p = n - 1));
        let all: Vec<_> =
            std::iter::once(String::from("t0 AS (SELECT amount AS x FROM payments)")).chain(steps).collect();
        format!("WITH {} SELECT x FROM t{} WHERE x > 1", all.join(", "), n - 1)
    };
    let cases = [
        (row("a", &ands(800)), "conditions or parts stand in one another, 200 are allowed"),
        (row("a", &ands(3000)), "operators, 2000 are allowed"),
        (row("a", &ands(20_000)), "bytes, 65536 are allowed"),
        (
            row("a", &format!("{} amount > 1", "not ".repeat(400))),
            "400 signs stand before one value (`not`, `-`), 40 are allowed",
        ),
        (
            row("a", &format!("{}amount > 1{}", "(".repeat(5000), ")".repeat(5000))),
            "5000 brackets stand in one another",
        ),
        (row("a", &format!("amount {} > 1", "+ 1 ".repeat(1500))), "stand in one another, 200 are allowed"),
        (schedule("a", &unions(300)), "299 conditions or parts"),
        (schedule("a", &unions(150)), "it reads 150 tables, 64 are allowed"),
        (schedule("a", &unions(1500)), "stand in one another, 200 are allowed"),
        (schedule("a", &unions(3000)), "bytes, 65536 are allowed"),
        (schedule("a", &unions(20_000)), "bytes, 65536 are allowed"),
        (schedule("a", &doubled(25)), "it reads 16777216 tables, 64 are allowed"),
        (schedule("a", &grown(30)), "columns, calls and operators, 20000 are allowed"),
        (
            schedule(
                "a",
                "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t",
            ),
            "a WITH that reads itself is not allowed",
        ),
        (format!("  - {}{}\n", "[".repeat(100_000), "]".repeat(100_000)), "the file is nested too deeply"),
        (format!("  - {{id: a, title: \"{}\"}}\n", "x".repeat(2 << 20)), "bytes, 1048576 are allowed"),
        (
            (0..2500).map(|n| row(&format!("r{n}"), "amount > 1")).collect(),
            "there are 2500 rules, 2000 are allowed",
        ),
    ];
    for (n, (rule, said)) in cases.into_iter().enumerate() {
        let bench = Bench::new(&rules(&[rule]), 0);
        let held = bench.check();
        held.within(&format!("case {n}: {said}")).says(said);
        assert_eq!(held.code, Some(1), "case {n}: {}", held.text);
    }
}

/// What is just small enough is planned and evaluated, on every way.
#[test]
fn what_is_small_enough_runs() {
    let ands = vec!["amount > 1"; 198].join(" and ");
    let sum = format!("amount {} > 1", "+ 1 ".repeat(190));
    let unions = vec!["SELECT count(*) AS n FROM payments"; 60].join(" UNION ALL ");
    let listed = (0..5000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let text = rules(&[
        row("ands", &ands),
        row("sum", &sum),
        row("listed", &format!("fiscal_year in ({listed})")),
        schedule("unions", &unions),
    ]);
    let bench = Bench::new(&text, 300);
    // Sixty tables take seconds to plan in a debug build.
    std::fs::write(bench.path().join("fiscwatch.yaml"), CONFIG.replace("500ms", "30s")).unwrap();
    assert_eq!(bench.check().within("check of large rules").code, Some(0));
    let held = bench.backtest();
    assert_eq!(held.within("backtest of large rules").code, Some(0), "{}", held.text);
    let found = std::fs::read_to_string(bench.path().join("found.jsonl")).unwrap();
    for id in ["ands", "sum", "listed", "unions"] {
        assert!(found.contains(&format!("\"rule_id\":\"{id}\"")), "{id} finds nothing: {}", held.text);
    }
    assert!(!held.text.contains("could not be evaluated"), "{}", held.text);
}

fn post(daemon: &Daemon, events: &str) {
    let (status, body) = daemon.post("/api/v1/events", events);
    assert_eq!(status, 200, "{body}");
}

const DAEMON: &str = "
language: en
engine: { query_time: 1s, query_memory_mib: 64, lateness: 0s, idle: 1h }
http: { accept_events: true }
";

fn write_rules(bench: &Bench, text: &str) {
    std::fs::write(bench.path().join("rules/rules.yaml"), text).unwrap();
}

/// No reload drops the rules that are in force, and none ends the daemon.
#[test]
fn a_hostile_reload_keeps_the_old_rules() {
    let good = rules(&[row("good", "amount > 0")]);
    let bench = Bench::new(&good, 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), DAEMON).unwrap();
    let mut daemon = Daemon::start(bench.path());
    let ands = vec!["amount > 1"; 800].join(" and ");
    let unions = vec!["SELECT unit_code FROM payments"; 1500].join(" UNION ALL ");
    for rule in
        [row("bad", &ands), schedule("bad", &unions), row("bad", "length(repeat('x', 2000000000)) > 1")]
    {
        write_rules(&bench, &rules(&[rule]));
        let (status, body) = daemon.post("/-/reload", "");
        assert_eq!(status, 422, "{body}");
        assert!(body.contains("the old rules stay in force"), "{body}");
        daemon.log.try_iter().for_each(drop);
        let pid = daemon.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
        let mut told = String::new();
        wait_until(|| {
            told = daemon.log.try_iter().collect::<Vec<_>>().join("\n");
            told.contains("reload refused, the old rules stay")
        });
        let in_force = daemon.json("/api/v1/rules");
        assert_eq!(in_force["rules"][0]["id"], "good", "{in_force}");
    }
    assert!(daemon.child.try_wait().unwrap().is_none());
    let mib = peak_mib(&daemon.child).unwrap();
    assert!(mib < MEMORY_MIB, "{mib} MiB");
}

/// A rule that is legal and takes for ever: its tick is passed, told and not begun again, and events go on.
#[test]
fn a_tick_beyond_its_budget_is_passed_once() {
    let slow = "SELECT count(*) AS n FROM generate_series(1, 4000000000000) a WHERE a.value % 7 = 8";
    let text = rules(&[schedule("slow", slow), row("good", "amount > 0")]);
    let bench = Bench::new(&text, 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), DAEMON).unwrap();
    let daemon = Daemon::start(bench.path());
    let started = Instant::now();
    post(&daemon, &stream(20));
    let status = daemon.json("/api/v1/status");
    let passed = status["ticks_passed"].as_array().unwrap().len();
    assert!(passed >= 1, "{status}");
    assert_eq!(status["ticks_passed"][0]["rule_id"], "slow", "{status}");
    assert_eq!(status["ticks_passed"][0]["why"], "it took too long", "{status}");
    assert_eq!(status["rule_errors"]["slow"]["errors"], passed, "{status}");
    assert_eq!(status["query_running"], json!(null), "{status}");
    let metrics = daemon.get("/metrics").1;
    assert!(
        metrics.contains(&format!("fiscwatch_ticks_passed_total{{rule=\"slow\"}} {passed}")),
        "{metrics}"
    );
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(daemon.stop("-TERM"), Some(0));

    // The next process does not begin the tick again.
    let started = Instant::now();
    let daemon = Daemon::start(bench.path());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let status = daemon.json("/api/v1/status");
    assert_eq!(status["ticks_passed"].as_array().unwrap().len(), passed, "{status}");
    assert_eq!(status["rule_errors"], json!({}), "{status}");
    assert_eq!(daemon.stop("-TERM"), Some(0));

    let held = bench.run(&["findings", "list", "--config", "fiscwatch.yaml"], 20);
    held.says("ticks of schedules were passed without an answer, the last of rule slow at");
    let held = bench.run(&["state", "verify", "--findings", "--config", "fiscwatch.yaml"], 60);
    assert_eq!(held.code, Some(0), "{}", held.text);
    held.says("were passed without an answer and are left out");
}

/// A process that dies in a tick begins it again, but not for ever: it is killed each time before the tick is over.
#[test]
fn a_tick_that_ends_the_process_is_not_begun_for_ever() {
    let slow = "SELECT count(*) AS n FROM generate_series(1, 4000000000000) a WHERE a.value % 7 = 8";
    let bench = Bench::new(&rules(&[schedule("slow", slow), row("good", "amount > 0")]), 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), DAEMON.replace("query_time: 1s", "query_time: 5m"))
        .unwrap();
    let daemon = Daemon::start(bench.path());
    let url = format!("{}/api/v1/events", daemon.address);
    let events = stream(20);
    let posting = std::thread::spawn(move || crate::support::post(&url, &events));
    let runs = |daemon: &Daemon| daemon.json("/api/v1/status")["query_running"]["rule_id"] == "slow";
    let mut daemon = daemon;
    for _ in 0..4 {
        wait_until(|| runs(&daemon));
        drop(daemon);
        daemon = Daemon::launch(bench.path());
        if wait_for(Duration::from_millis(1500), || {
            !daemon.json("/api/v1/status")["ticks_passed"].as_array().unwrap().is_empty()
        }) {
            break;
        }
    }
    let status = daemon.json("/api/v1/status");
    assert_eq!(
        status["ticks_passed"][0]["why"], "the daemon ended several times while it was evaluated",
        "{status}"
    );
    drop(posting);
}

fn wait_for(time: Duration, mut happened: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < time {
        if happened() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// A start goes on without a rule that is wrong where it is told to, and says so everywhere.
#[test]
fn a_start_without_a_wrong_rule_tells_which() {
    let text = rules(&[row("good", "amount > 0"), row("bad", "amont > 0")]);
    let bench = Bench::new(&text, 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), DAEMON).unwrap();
    let held = bench.run(&["run", "--once", "--config", "fiscwatch.yaml"], 20);
    assert_eq!(held.code, Some(1), "{}", held.text);
    held.says("unknown column \"amont\"");

    std::fs::write(bench.path().join("fiscwatch.yaml"), format!("{DAEMON}rules: {{ on_error: skip }}\n"))
        .unwrap();
    let daemon = Daemon::start(bench.path());
    let status = daemon.json("/api/v1/status");
    assert_eq!(status["rules_skipped"][0]["rule_id"], "bad", "{status}");
    assert!(status["rules_skipped"][0]["problem"].as_str().unwrap().contains("unknown column"), "{status}");
    assert!(daemon.get("/metrics").1.contains("fiscwatch_rules_skipped 1"));
    assert!(daemon.log.try_iter().any(|line| line.contains("the daemon runs without this rule")));
    // It stays out at a reload; but a rule in force is not dropped.
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    write_rules(&bench, &rules(&[row("good", "amont > 0"), row("bad", "amont > 0")]));
    let (status, body) = daemon.post("/-/reload", "");
    assert_eq!(status, 422, "{body}");
    assert_eq!(daemon.json("/api/v1/rules")["rules"][0]["id"], "good");
    // Mended, it comes into force.
    write_rules(&bench, &rules(&[row("good", "amount > 0"), row("bad", "amount > 1")]));
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    assert_eq!(daemon.json("/api/v1/status")["rules_skipped"], json!([]));
    // A file that cannot be read as rules does not take those with it that it held.
    write_rules(&bench, "rules: [");
    assert_eq!(daemon.post("/-/reload", "").0, 422);
    assert_eq!(daemon.json("/api/v1/rules")["rules"].as_array().unwrap().len(), 2);
}

/// Of two rules with one id the first stays, at a start and at a reload.
#[test]
fn of_two_rules_with_one_id_the_first_stays() {
    let twice = rules(&[row("twice", "amount > 0"), row("other", "amount > 0"), row("twice", "amount < 0")]);
    let bench = Bench::new(&twice, 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), format!("{DAEMON}rules: {{ on_error: skip }}\n"))
        .unwrap();
    let daemon = Daemon::start(bench.path());
    for _ in 0..2 {
        let in_force = daemon.json("/api/v1/rules");
        let ids: Vec<_> = in_force["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
        assert_eq!(ids, ["twice", "other"]);
        let skipped = daemon.json("/api/v1/status")["rules_skipped"].clone();
        assert_eq!(skipped[0]["rule_id"], "twice", "{skipped}");
        assert!(skipped[0]["problem"].as_str().unwrap().contains("the id \"twice\" is taken"), "{skipped}");
        assert_eq!(daemon.post("/-/reload", "").0, 200);
    }
    let event = crate::support::payment("p1", "L1", "1.00");
    assert_eq!(daemon.post("/api/v1/events", &event.to_string()).0, 200);
    let found = daemon.json("/api/v1/findings?rule=twice");
    assert_eq!(found["findings"].as_array().unwrap().len(), 1, "{found}");
}
