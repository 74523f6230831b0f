//! What several modules need: random events, the binary, and small helpers.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use fiscwatch::{
    alert::{Desk, Policy},
    decode::{Decoded, Decoder},
    event::time::Calendar,
    rule::Language,
    stream::{Block, Payload},
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// A desk that tells nobody anything.
pub fn desk() -> Desk {
    Desk::new(Arc::new(Policy::silent(Language::Zh, &calendar())))
}

pub fn calendar() -> Arc<Calendar> {
    Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap())
}

pub fn decoder() -> Decoder {
    Decoder::new(calendar())
}

pub fn block(payload: Payload) -> Block {
    Block::new("test".into(), "input".into(), 0, payload)
}

pub fn decode_lines(text: &str) -> Decoded {
    decoder().decode(&[block(Payload::JsonLines(text.to_owned().into()))], None)
}

/// A payment that breaks nothing.
pub fn payment(id: &str, line: &str, amount: &str) -> Value {
    json!({
        "event_id": id, "type": "payment", "occurred_at": "2026-03-04T10:00:00+08:00", "budget_line_id": line,
        "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201",
        "economic_code": "30201", "payment_mode": "direct", "settlement": "transfer", "payee_name": "杭州某公司",
        "payee_account": "33010160006", "payee_type": "entity", "amount": amount,
    })
}

pub fn lines(events: &[Value]) -> String {
    events.iter().fold(String::new(), |mut text, event| {
        let _ = writeln!(text, "{event}");
        text
    })
}

/// Random events of every type, with duplicates, conflicts, broken records, early settlements and unknown lines.
pub fn random_events(seed: u64, count: usize) -> Vec<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut events: Vec<Value> = Vec::new();
    for n in 0..count {
        if n > 10 && rng.random_ratio(1, 40) {
            let mut again = events[rng.random_range(0..events.len())].clone();
            if rng.random_ratio(1, 4) {
                again["reason"] = json!("another");
                again["purpose"] = json!("another");
                again["occurred_at"] = json!("2026-05-05T05:05:05Z");
            }
            events.push(again);
        } else {
            events.push(random_event(&mut rng, n));
        }
    }
    events
}

fn random_event(rng: &mut impl Rng, n: usize) -> Value {
    let line = format!("L{}", rng.random_range(0..12));
    let cents: u64 = if rng.random_ratio(1, 50) {
        rng.random_range(1..10u64.pow(17))
    } else {
        rng.random_range(1..5_000_000)
    };
    let amount = format!("{}.{:02}", cents / 100, cents % 100);
    let mut event = payment(&format!("e{n}"), &line, &amount);
    // In the past of every clock, or the daemon would refuse some.
    let at = 1_735_660_800_000i64 + rng.random_range(0..31_536_000_000i64);
    event["occurred_at"] = json!(at);
    let earlier = format!("e{}", rng.random_range(0..n.max(1) + 5));
    match rng.random_range(0..25) {
        21..24 => {
            let mut event = json!({"event_id": format!("e{n}"), "type": "confirmation", "occurred_at": at, "original_event_id": earlier, "amount": amount,
                "status": status(rng)});
            if rng.random_ratio(1, 4) {
                event["budget_line_id"] = json!(line);
            }
            return event;
        }
        24 => {
            return json!({"event_id": format!("e{n}"), "type": "receipt", "occurred_at": at, "account": "3301016001", "payer_name": "文具有限公司",
                "payer_account": "33010160099", "amount": amount});
        }
        20 => return random_indicator(rng, n, at, &line),
        0..7 => {
            if rng.random_ratio(1, 3) {
                event["application_id"] = json!(earlier);
            }
            event["settlement"] = json!(["transfer", "cash", "card"][rng.random_range(0..3)]);
        }
        7..10 => event["type"] = json!("application"),
        10..12 => {
            return json!({"event_id": format!("e{n}"), "type": "withdrawal", "occurred_at": at, "budget_line_id": line, "original_event_id": earlier});
        }
        12..14 => {
            let kind = if n.is_multiple_of(3) { "reversal" } else { "refund" };
            return json!({"event_id": format!("e{n}"), "type": kind, "occurred_at": at, "budget_line_id": line, "original_event_id": earlier, "amount": amount});
        }
        14 => {
            return json!({"event_id": format!("e{n}"), "type": "correction", "occurred_at": at, "budget_line_id": line, "to_budget_line_id": format!("L{}", rng.random_range(0..14)), "original_event_id": earlier, "amount": amount});
        }
        15 => {
            event["amount"] = json!(["-1", "0", "1.001", "many", "1e30"][rng.random_range(0..5)]);
        }
        _ => {
            let action = [
                "approve",
                "supplement",
                "reduce",
                "transfer",
                "freeze",
                "unfreeze",
                "carry_over",
                "reclaim",
                "plan",
                "plan_reduce",
                "opening",
            ][rng.random_range(0..11)];
            return json!({"event_id": format!("e{n}"), "type": "budget", "action": action, "occurred_at": at, "budget_line_id": line, "to_budget_line_id": format!("L{}", rng.random_range(0..14)), "amount": amount,
                "fiscal_year": 2025, "region_code": "330100000", "unit_code": format!("10100{}", rng.random_range(0..3)), "function_code": "2050201", "economic_code": "30201"});
        }
    }
    event
}

/// What a bank says, mostly that it has paid.
pub fn status(rng: &mut impl Rng) -> &'static str {
    ["paid", "paid", "partial", "returned"][rng.random_range(0..4)]
}

fn random_indicator(rng: &mut impl Rng, n: usize, at: i64, line: &str) -> Value {
    let mut event = json!({"event_id": format!("e{n}"), "type": "indicator", "occurred_at": at, "indicator_id": format!("I{}", rng.random_range(0..9)),
        "fiscal_year": 2025, "project_code": format!("X{}", rng.random_range(0..3)), "target": rng.random_range(-2..100).to_string(),
        "direction": if rng.random() { "at_least" } else { "at_most" }});
    if rng.random_ratio(2, 3) {
        event["actual"] =
            json!(format!("{}.{:06}", rng.random_range(-1..120), rng.random_range(0..1_000_000)));
    }
    if rng.random_ratio(1, 2) {
        event["budget_line_id"] = json!(line);
    }
    event
}

/// The binary under test.
pub fn fiscwatch() -> Command {
    // Long harnesses bring a copy, so that a build beside them does not change what they run.
    let binary = std::env::var_os("TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_fiscwatch").into());
    let mut command = Command::new(binary);
    // What steers the tests is no configuration, and would be refused as such.
    for name in ["FISCWATCH_CONFIG", "FISCWATCH_TEST_KILLS", "FISCWATCH_TEST_SEED"] {
        command.env_remove(name);
    }
    // Nor is the terminal that the tests run on.
    for name in ["COLUMNS", "NO_COLOR", "TERM"] {
        command.env_remove(name);
    }
    // Messages are compared in English, whatever the configuration and the machine say.
    command.env("RUST_BACKTRACE", "0").env("FISCWATCH_LANG", "en");
    command
}

/// Runs the binary and returns exit code, standard output and standard error.
pub fn run(dir: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = fiscwatch().current_dir(dir).args(args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Rules that find something on most random streams.
pub const RULES: &str = "
rules:
  - id: over-budget
    title: over budget
    severity: critical
    trigger: [payment, application]
    when: budget.available < 0
    key: [budget_line_id]
    summary: '{{ budget_line_id }} {{ amount }} leaves {{ budget.available }} ({{ budget.overspend_ratio }})'
  - id: large-cash
    title: large cash
    severity: medium
    params: { limit: 20000 }
    trigger: payment
    where: settlement = 'cash'
    when: amount > $limit
    key: [unit_code]
    summary: 'cash {{ amount }}'
  - id: late-in-the-day
    title: night
    severity: low
    mode: shadow
    trigger: payment
    when: local_hour(occurred_at) >= 20 or not is_workday(occurred_at)
    key: [payee_account]
";

/// A folder with rules, a configuration and events.
pub struct Bench {
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn new(events: &str, extra_config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rules")).unwrap();
        std::fs::write(dir.path().join("rules/rules.yaml"), RULES).unwrap();
        std::fs::write(dir.path().join("events.jsonl"), events).unwrap();
        let config = format!("http: {{ listen: '127.0.0.1:0' }}\nlog: {{ level: warn }}\n{extra_config}");
        std::fs::write(dir.path().join("fiscwatch.yaml"), config).unwrap();
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Findings and ledger of a backtest over the events.
    pub fn backtest(&self, extra: &[&str]) -> (Vec<String>, Vec<String>) {
        let args = [
            "backtest",
            "--config",
            "fiscwatch.yaml",
            "--events",
            "events.jsonl",
            "--findings",
            "f.jsonl",
            "--ledger",
            "l.jsonl",
        ];
        let (code, _, err) = run(self.path(), &[&args[..], extra].concat());
        assert_eq!(code, Some(0), "{err}");
        (file_lines(&self.path().join("f.jsonl")), file_lines(&self.path().join("l.jsonl")))
    }

    /// Findings (in the order found) and ledger of the state.
    pub fn state(&self) -> (Vec<String>, Vec<String>) {
        let (code, findings, err) = run(self.path(), &["findings", "export", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
        let (code, ledger, err) = run(self.path(), &["budget", "export", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
        let owned = |text: String| text.lines().map(str::to_owned).collect();
        (owned(findings), owned(ledger))
    }
}

pub fn file_lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    pub child: Child,
    pub address: String,
    pub log: std::sync::mpsc::Receiver<String>,
}

impl Daemon {
    /// Starts the daemon and waits until it is ready.
    pub fn start(dir: &Path) -> Self {
        let daemon = Self::launch(dir);
        wait_until(|| daemon.get("/-/ready").0 == 200);
        daemon
    }

    /// Starts the daemon and waits until it lives.
    pub fn launch(dir: &Path) -> Self {
        let daemon = Self::begin(dir, "");
        wait_until(|| daemon.get("/-/healthy").0 == 200);
        daemon
    }

    /// Starts the daemon with a failpoint, if there is one, and waits until it is ready.
    pub fn start_failing(dir: &Path, failpoint: &str) -> Self {
        let daemon = Self::begin(dir, failpoint);
        wait_until(|| daemon.get("/-/ready").0 == 200);
        daemon
    }

    /// Begins to start the daemon, and waits for nothing.
    pub fn begin(dir: &Path, failpoint: &str) -> Self {
        let port = free_port();
        let mut command = fiscwatch();
        if !failpoint.is_empty() {
            command.env("FAILPOINT", failpoint);
        }
        let mut child = command
            .current_dir(dir)
            .args(["run", "--config", "fiscwatch.yaml"])
            .env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .env("FISCWATCH_LOG__LEVEL", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, address: format!("http://127.0.0.1:{port}"), log }
    }

    /// A daemon that was started otherwise.
    pub fn adopt(child: Child, port: u16) -> Self {
        let (_, log) = std::sync::mpsc::channel();
        Self { child, address: format!("http://127.0.0.1:{port}"), log }
    }

    /// Waits until it is ready; `false` if it has ended before.
    pub fn ready_or_dead(&mut self) -> bool {
        let mut dead = false;
        wait_until(|| {
            dead = self.child.try_wait().unwrap().is_some();
            dead || self.get("/-/ready").0 == 200
        });
        !dead
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        answer(agent().get(format!("{}{path}", self.address)).call())
    }

    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        post(&format!("{}{path}", self.address), body)
    }

    pub fn post_bytes(&self, path: &str, body: &[u8]) -> (u16, String) {
        answer(agent().post(format!("{}{path}", self.address)).send(body))
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).1).unwrap()
    }

    /// Sends a signal and waits for the end.
    pub fn stop(self, signal: &str) -> Option<i32> {
        self.end(signal).0
    }

    /// The same, with what the log says from now on.
    pub fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        (code, self.log.iter().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Posts to a daemon from a thread that does not have it.
pub fn post(url: &str, body: &str) -> (u16, String) {
    answer(agent().post(url).send(body))
}

/// Posts JSON to a daemon that asks nobody who they are.
pub fn post_json(daemon: &Daemon, path: &str, body: &Value) -> (u16, String) {
    let request =
        agent().post(format!("{}{path}", daemon.address)).header("content-type", "application/json");
    answer(request.send(body.to_string()))
}

pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, String) {
    match response {
        Ok(mut response) => {
            (response.status().as_u16(), response.body_mut().read_to_string().unwrap_or_default())
        }
        Err(e) => (0, e.to_string()),
    }
}

/// Where nobody listens, whatever other tests do.
pub const NOBODY: &str = "127.0.0.1:1";

/// A port that nobody else takes before it is used: below those that the system gives out, and each given once.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        // Another run of the tests beside this one begins elsewhere.
        let at = std::process::id().wrapping_mul(97) + GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + u16::try_from(at % 22_000).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits for something that must happen soon.
pub fn wait_until(mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < Duration::from_mins(3), "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// Reads everything there is in a process of its own.
pub fn run_once(bench: &Bench) -> Child {
    let args = ["run", "--once", "--config", "fiscwatch.yaml"];
    fiscwatch().current_dir(bench.path()).args(args).spawn().unwrap()
}

/// Kills a process after a while; `false` if it had ended well by then.
pub fn kill_after(mut child: Child, wait: Duration) -> bool {
    std::thread::sleep(wait);
    if let Some(status) = child.try_wait().unwrap() {
        assert!(status.success());
        return false;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

pub fn append(path: &Path, text: &str) {
    append_bytes(path, text.as_bytes());
}

pub fn append_bytes(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Compares findings and ledgers, and shows the first difference instead of everything.
pub fn assert_same(found: &(Vec<String>, Vec<String>), expected: &(Vec<String>, Vec<String>), what: &str) {
    let pairs = [("finding", &found.0, &expected.0), ("budget line", &found.1, &expected.1)];
    for (kind, found, expected) in pairs {
        for (at, (a, b)) in found.iter().zip(expected).enumerate() {
            assert_eq!(a, b, "{what}: {kind} {at}");
        }
        assert_eq!(found.len(), expected.len(), "{what}: number of {kind}s");
    }
}

/// Every file below a folder that is text in UTF-8, with its content, in the order of their paths.
pub fn source_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let read = |path: PathBuf| match path.is_dir() {
        true => source_files(&path),
        false => fs::read_to_string(&path).map(|text| (path, text)).into_iter().collect(),
    };
    entries.into_iter().flat_map(read).collect()
}
