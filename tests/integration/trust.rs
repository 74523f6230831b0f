//! The store can be trusted, and says so: whatever is changed in a table is told by `state verify` and by a start, in
//! words that name the table; scores are made again digit for digit; another calendar is refused; files are private.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use fiscwatch::{
    access::{Actor, LinkKey},
    alert::{Action, Desk, Policy, casework::Terms, desk::Order, inquiry::Letter, policy::Explain},
    event::Instant,
    rule::{Language, manifest::Manifest},
    store::{Accounts, Audit, Cases, External, History, Incoming, Outcome, RuleSets, Store},
};
use rusqlite::{Connection, ErrorCode, params_from_iter, types::Value};
use serde_json::json;

use crate::support::{
    Bench, Daemon, agent, calendar, decoder, fiscwatch, lines, payment, random_events, run, source_files,
    wait_until,
};

/// Sinks that take nothing and routes that wait, so that notifications and the outbox hold something.
const CONFIG: &str = "
sources: [{ name: feed, file: { path: events.jsonl } }, { name: garbled, file: { path: garbled.jsonl } }, { name: changing, file: { path: changing.csv },
  map: { columns: { 号: event_id, 额: amount }, optional: [], constants: { type: payment, occurred_at: 2025-05-05, budget_line_id: L1, fiscal_year: 2025, region_code: '1', unit_code: '1',
    function_code: '1', economic_code: '1', payment_mode: direct, settlement: transfer, payee_name: 甲, payee_account: '1', payee_type: entity } },
  mode: upsert, upsert: { key: [号], version: 次 } }]
state: { dir: state, checkpoint_events: 150, seal_after: 0s, quarantine_mib: 1 }
engine: { batch_rows: 40, idle: 9999d, outlier: 9999d }
sinks: [{ name: dead, webhook: { url: 'http://127.0.0.1:1/' } }, { name: later, webhook: { url: 'http://127.0.0.1:1/' } }]
routes:
  sinks: [dead]
  group_wait: 0s
  routes:
    - { match: ['rule=\"large-cash\"'], sinks: [dead], group_wait: 0s, continue: true }
    - { match: ['rule=\"large-cash\"'], sinks: [later], digest: true }
";

/// Where random events begin, in milliseconds.
const YEAR_BEGINS: i64 = 1_735_660_800_000;

fn succeeds(dir: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(dir, &[args, &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    out
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// A state with rows in every table.
fn full() -> Bench {
    let mut events = random_events(51, 500);
    // A sealed file a day, and each of thousands of damages has all of them read: twelve days instead of a year.
    for at in events.iter_mut().map(|event| &mut event["occurred_at"]) {
        if let Some(millis) = at.as_i64() {
            *at = json!(YEAR_BEGINS + (millis - YEAR_BEGINS) / 30);
        }
    }
    let bench = Bench::new(&lines(&events), CONFIG);
    let long = "x".repeat(700_000);
    let garbled = format!("no JSON\n{{\"event_id\":\n{long}\n{long}\n{long}\n{{\"type\":\"{long}\"}}\n");
    std::fs::write(bench.path().join("garbled.jsonl"), garbled).unwrap();
    std::fs::write(bench.path().join("changing.csv"), "号,额,次\nc1,5,1\nc2,6,1\nc1,7,2\n").unwrap();
    succeeds(bench.path(), &["run", "--once"]);
    let alerts = succeeds(bench.path(), &["alerts", "list", "--json"]);
    let ids: Vec<String> = alerts
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["alert_id"].as_str().unwrap().to_owned()
        })
        .collect();
    succeeds(bench.path(), &["alerts", "ack", &ids[0], &ids[1], "--by", "王芳"]);
    succeeds(bench.path(), &["alerts", "comment", &ids[0], "--by", "王芳", "--why", "已电话核实"]);
    answered(&bench, &ids[..2]);
    for rule in ["rule=\"large-cash\"", "rule=\"over-budget\""] {
        let silence = ["silence", "add", "--match", rule, "--for", "2h", "--why", "盘点", "--by", "王芳"];
        succeeds(bench.path(), &silence);
    }
    succeeds(bench.path(), &["silence", "expire", "2", "--by", "王芳"]);
    for (name, role) in [("王芳", "officer"), ("李雷", "auditor")] {
        std::fs::write(bench.path().join("password"), "four words over tea").unwrap();
        succeeds(bench.path(), &["user", "add", name, "--role", role, "--password-file", "password"]);
        succeeds(bench.path(), &["token", "add", "console", "--user", name]);
        // Its end seals the audit log.
        succeeds(bench.path(), &["run", "--once"]);
    }
    let token = succeeds(bench.path(), &["token", "add", "platform", "--role", "decide"]);
    proposed(&bench);
    // People log in where they are asked who they are.
    let file = bench.path().join("fiscwatch.yaml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace(":0' }", ":0', auth: true }")).unwrap();
    let daemon = Daemon::start(bench.path());
    let send = |path: &str, token: &str, body: &serde_json::Value| {
        let request =
            agent().post(format!("{}{path}", daemon.address)).header("content-type", "application/json");
        let request = if token.is_empty() {
            request
        } else {
            request.header("authorization", format!("Bearer {token}"))
        };
        assert_eq!(request.send(body.to_string()).unwrap().status().as_u16(), 200, "{path}");
    };
    for (id, user) in [("asked", "王芳"), ("asked too", "李雷")] {
        let mut application = payment(id, "L1", "1.00");
        application["type"] = json!("application");
        send("/api/v1/decide?expires_in=30d", token.trim(), &application);
        send("/api/v1/session", "", &json!({"user": user, "password": "four words over tea"}));
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
    std::fs::write(&file, config).unwrap();
    overridden(&bench);
    elsewhere(&bench);
    bench
}

/// Two letters go out with links, and their units answer with a file.
fn answered(bench: &Bench, ids: &[String]) {
    let state = bench.path().join("state");
    let explain = Explain {
        sink: String::from("mail"),
        list: String::from("contacts"),
        column: String::from("email"),
        deadline: 5,
        answer_url: Some(String::from("https://answers.example.cn")),
        link_days: 14,
    };
    let policy = Policy { explain: Some(explain), ..Policy::silent(Language::Zh, &calendar()) };
    let (desk, now) = (
        Desk::new(Arc::new(policy)),
        fiscwatch::event::Instant::from_micros(jiff::Timestamp::now().as_microsecond()),
    );
    for id in ids {
        let letter = Some(Letter { due: jiff::civil::date(9000, 1, 1), again: false });
        let (who, terms) = (String::from("王芳"), Terms::default());
        let order = Order { action: Action::Inquire, who, why: None, version: None, letter, terms };
        let mut cases = Cases::open(&state).unwrap();
        let sent = cases.act(id, &order, &desk, now).unwrap();
        let token = LinkKey::of(&state).token(id, sent.inquiry.unwrap().at).unwrap();
        let mut file = Incoming::begin(&state, 1000).unwrap();
        file.add(format!("receipt {id}").as_bytes()).unwrap();
        let file = file.finish("receipt.txt").unwrap();
        cases.answer(&token, (String::from("见附件"), String::new()), &[file], &desk, now).unwrap();
    }
}

/// The older part of the audit log is in two files, and two users are known elsewhere.
fn elsewhere(bench: &Bench) {
    let state = bench.path().join("state");
    let audit = Audit::open(&state).unwrap();
    for keep in [10, 1] {
        assert!(audit.file(keep).unwrap().is_some());
    }
    let (mut accounts, officer) = (Accounts::open(&state).unwrap(), "officer".parse().unwrap());
    for subject in ["7", "8"] {
        let who = External { provider: "oidc", issuer: "https://login".into(), subject: subject.into() };
        accounts
            .arrive(&who, (&format!("of-{subject}"), &officer), "10.0.0.1", Instant::from_micros(1))
            .unwrap();
    }
}

/// Two sets of rules are proposed.
fn proposed(bench: &Bench) {
    let mut sets = RuleSets::open_or_make(&bench.path().join("state")).unwrap();
    let by = Actor { who: String::from("赵敏"), place: String::from("test") };
    for limit in ["5", "6"] {
        let params = BTreeMap::from([(
            String::from("large-cash"),
            BTreeMap::from([(String::from("limit"), json!(limit))]),
        )]);
        let manifest =
            Manifest::read(&format!("{{\"rules.lab.large-cash.params.limit\":\"{limit}\"}}")).unwrap();
        sets.propose((&manifest, Some(&params)), "from the lab", &by, Instant::from_micros(1)).unwrap();
    }
    for id in ["one", "two"] {
        let rule = format!(
            "rules: [{{ id: {id}, title: t, severity: low, trigger: payment, when: amount > 1, key: [event_id] }}]"
        );
        std::fs::create_dir_all(bench.path().join("proposed")).unwrap();
        std::fs::write(bench.path().join("proposed/rules.yaml"), rule).unwrap();
        succeeds(bench.path(), &["rules", "propose", "--reason", id, "--rules", "proposed"]);
    }
}

/// Two applications are blocked, and somebody lets them pass.
fn overridden(bench: &Bench) {
    let rule = "rules: [{ id: held, title: t, severity: high, handling: block, trigger: application, when: budget_line_id = 'no line', key: [event_id] }]";
    std::fs::write(bench.path().join("rules/held.yaml"), rule).unwrap();
    let daemon = Daemon::start(bench.path());
    for id in ["beyond", "beyond too"] {
        let mut application = payment(id, "no line", "1.00");
        application["type"] = json!("application");
        let (_, answer) = daemon.post("/api/v1/decide", &application.to_string());
        assert!(answer.contains("\"decision\":\"block\""), "{answer}");
        let path = format!("/api/v1/decisions/{}/overrides", id.replace(' ', "%20"));
        let request =
            agent().post(format!("{}{path}", daemon.address)).header("content-type", "application/json");
        let answer = request.send(r#"{"who":"王芳","reason":"急需"}"#).unwrap();
        assert_eq!(answer.status().as_u16(), 201, "{path}");
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

/// SQL and its parameters.
type Statement = (String, Vec<Value>);

/// A table as a stranger with SQL sees it.
struct Table {
    name: String,
    columns: Vec<String>,
    keys: Vec<usize>,
    rows: Vec<Vec<Value>>,
}

/// Columns that must be unique beside the primary key.
const UNIQUE: [(&str, &str); 4] =
    [("findings", "finding_id"), ("lines", "number"), ("notifications", "id"), ("alerts", "key")];

fn quoted(column: &str) -> String {
    format!("\"{column}\"")
}

/// Another value of the same type.
fn other(value: &Value) -> Value {
    match value {
        Value::Null => Value::Text("x".to_owned()),
        Value::Integer(n) => Value::Integer(n.wrapping_add(100_001)),
        Value::Real(n) => Value::Real(n + 1.0),
        Value::Text(text) => Value::Text(format!("{text}x")),
        Value::Blob(bytes) => Value::Blob(bytes.iter().rev().map(|byte| byte ^ 1).collect()),
    }
}

impl Table {
    fn all(database: &Connection) -> Vec<Self> {
        // Figures and rows of alerts are made anew by every start; `meeting.rs` has ticks, and changes them.
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'
                   AND name NOT IN ('sums', 'sqlite_sequence', 'figures', 'ticks', 'alert_rows')";
        let mut names = database.prepare(sql).unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
        names.map(|name| Self::read(database, name.unwrap())).collect()
    }

    fn read(database: &Connection, name: String) -> Self {
        let mut info = database.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid").unwrap();
        let info = info.query_map([&name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? > 0))).unwrap();
        let info: Vec<(String, bool)> = info.collect::<Result<_, _>>().unwrap();
        let keys = info.iter().enumerate().filter(|(_, (_, key))| *key).map(|(at, _)| at).collect();
        let mut rows = database.prepare(&format!("SELECT * FROM {name} LIMIT 20")).unwrap();
        let count = info.len();
        let rows = rows.query_map([], |row| (0..count).map(|at| row.get(at)).collect()).unwrap();
        let rows = rows.collect::<Result<_, _>>().unwrap();
        Self { columns: info.into_iter().map(|(name, _)| name).collect(), keys, rows, name }
    }

    fn is_key(&self, at: usize) -> bool {
        self.keys.contains(&at)
    }

    /// Sets a column of the row that has these keys.
    fn set(&self, row: &[Value], at: usize, to: &Value) -> (String, Vec<Value>) {
        let keys = self.keys.iter().map(|key| format!("{} IS ?", quoted(&self.columns[*key])));
        let condition = keys.collect::<Vec<_>>().join(" AND ");
        let sql = format!("UPDATE {} SET {} = ? WHERE {condition}", self.name, quoted(&self.columns[at]));
        (sql, [to.clone()].into_iter().chain(self.keys.iter().map(|key| row[*key].clone())).collect())
    }

    /// What can be done to it, in words and as statements.
    fn damages(&self) -> Vec<(String, Vec<Statement>)> {
        let name = &self.name;
        let sum = (format!("DELETE FROM sums WHERE name = '{name}'"), Vec::new());
        let mut damages = vec![(format!("{name}: its row of sums is deleted"), vec![sum])];
        let Some(first) = self.rows.first() else { return damages };
        for (at, column) in self.columns.iter().enumerate().filter(|(at, _)| !self.is_key(*at)) {
            let change = self.set(first, at, &other(&first[at]));
            damages.push((format!("{name}: {column} is changed"), vec![change]));
        }
        let keys = self.keys.iter().map(|key| format!("{} IS ?", quoted(&self.columns[*key])));
        let condition = keys.collect::<Vec<_>>().join(" AND ");
        let of_first = self.keys.iter().map(|key| first[*key].clone()).collect();
        let delete = (format!("DELETE FROM {name} WHERE {condition}"), of_first);
        damages.push((format!("{name}: a row is deleted"), vec![delete]));
        // The table of one row allows no second one.
        if name != "watermark" {
            let unique = |column: &str| UNIQUE.iter().any(|(t, c)| t == name && *c == column);
            let row = first.iter().enumerate().map(|(at, value)| {
                if self.is_key(at) || unique(&self.columns[at]) { other(value) } else { value.clone() }
            });
            let marks = vec!["?"; first.len()].join(", ");
            let insert = (format!("INSERT INTO {name} VALUES ({marks})"), row.collect());
            damages.push((format!("{name}: a row is inserted"), vec![insert]));
        }
        damages.extend(self.swap().map(|swap| (format!("{name}: two rows are swapped"), swap)));
        damages
    }

    /// Two rows exchange what they say; of rows that are nothing but a key, one part of it.
    fn swap(&self) -> Option<Vec<(String, Vec<Value>)>> {
        let first = self.rows.first()?;
        let whole_key = self.keys.len() == self.columns.len();
        let free = |at: &usize| {
            let unique = UNIQUE.iter().any(|(t, c)| *t == self.name && *c == self.columns[*at]);
            !unique && (if whole_key { *at + 1 == self.columns.len() } else { !self.is_key(*at) })
        };
        let places: Vec<usize> = (0..self.columns.len()).filter(free).collect();
        let differs = |second: &&Vec<Value>| {
            places.iter().any(|at| first[*at] != second[*at]) && (!whole_key || first[0] != second[0])
        };
        let second = self.rows[1..].iter().find(differs)?;
        if whole_key {
            // One statement at a time, and no key twice in between.
            let (at, mut between) = (places[0], first.clone());
            between[at] = Value::Text("between".to_owned());
            return Some(vec![
                self.set(first, at, &between[at]),
                self.set(second, at, &first[at]),
                self.set(&between, at, &second[at]),
            ]);
        }
        let both = places
            .iter()
            .flat_map(|at| [self.set(first, *at, &second[*at]), self.set(second, *at, &first[*at])]);
        Some(both.collect())
    }
}

/// What `state verify` and a start say of a state.
fn told(state: &Path) -> [String; 2] {
    let decoder = decoder();
    let schema = decoder.schema();
    let verified = History::open(state, schema).and_then(|history| history.verify(schema));
    let verified = verified.map_or_else(
        |error| error.to_string(),
        |checks| {
            let failed = checks.into_iter().filter(|check| check.outcome == Outcome::Failed);
            failed.flat_map(|check| check.problems).collect::<Vec<_>>().join("\n")
        },
    );
    let started = Store::open(state).and_then(|store| store.recover(schema, &mut |_| {}));
    [verified, started.err().map_or_else(String::new, |error| error.to_string())]
}

/// Damages a table in each way there is, and says in which ways it was; each is told by `verify` and by a start.
fn damaged(table: &Table, state: &Path, good: &Path) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (what, statements) in table.damages() {
        copy(good, state);
        let database = Connection::open(state.join("fiscwatch.db")).unwrap();
        // A bit that flips on a disk asks no trigger.
        database.execute_batch("DROP TRIGGER alert_rows_added; DROP TRIGGER alert_rows_changed; DROP TRIGGER alert_rows_taken").unwrap();
        let changed = statements.iter().try_fold((), |(), (sql, values)| {
            database.execute(sql, params_from_iter(values)).map(|changed| {
                assert_eq!(changed, 1, "{what}: {sql}");
            })
        });
        // Nobody can make a damage that the database itself refuses.
        if let Err(e) = changed {
            assert_eq!(e.sqlite_error_code(), Some(ErrorCode::ConstraintViolation), "{what}: {e}");
            continue;
        }
        drop(database);
        let [verified, started] = told(state);
        let journal = ["block", "ids", "checksum"].iter().any(|c| what == format!("journal: {c} is changed"));
        let named = if journal { "journal block".to_owned() } else { format!("table {} ", table.name) };
        for (who, said) in [("verify", &verified), ("run", &started)] {
            assert!(said.contains(&named), "{what}, {who}: {said}");
        }
        assert!(
            started.contains("is damaged: ") && started.contains("Restore a backup"),
            "{what}: {started}"
        );
        let kind = what.split_once(": ").unwrap().1.to_owned();
        seen.insert(if kind.ends_with("is changed") { "a column is changed".to_owned() } else { kind });
    }
    seen
}

#[test]
fn whatever_is_changed_in_a_table_is_told_by_verify_and_by_a_start() {
    let bench = full();
    let (state, good) = (bench.path().join("state"), bench.path().join("good"));
    copy(&state, &good);
    let database = || Connection::open(state.join("fiscwatch.db")).unwrap();
    assert_eq!(told(&state), ["", ""]);
    let tables = Table::all(&database());
    let empty: Vec<_> = tables.iter().filter(|table| table.rows.is_empty()).map(|t| &t.name).collect();
    assert_eq!(empty, [] as [&String; 0], "a table without rows proves nothing");
    // Two at a time, each on a copy of its own: there are thousands of damages.
    let seen: BTreeSet<String> = std::thread::scope(|scope| {
        let half = |number: usize| {
            let (state, good) = (bench.path().join(format!("state-{number}")), &good);
            let mine: Vec<_> = tables.iter().skip(number).step_by(2).collect();
            scope.spawn(move || {
                mine.into_iter().flat_map(|table| damaged(table, &state, good)).collect::<Vec<_>>()
            })
        };
        let halves = [0, 1].map(half);
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert!(tables.len() >= 24, "{}", tables.len());
}

#[test]
fn the_commands_say_what_is_damaged_and_what_to_do() {
    let bench = full();
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    assert_eq!(database.execute("UPDATE alert_history SET who = '李雷' WHERE who = '王芳'", []).unwrap(), 5);
    assert_eq!(database.execute("DELETE FROM sums WHERE name = 'silences'", []).unwrap(), 1);
    drop(database);
    let (code, out, _) = run(bench.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    for says in [
        "the table alert_history does not match its checksum",
        "the table silences has no checksum any more",
        "alert_history: record ",
        "restore the last backup that verifies",
    ] {
        assert!(out.contains(says), "{says}: {out}");
    }
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("the table silences has no checksum any more"), "{err}");
    // An officer's command does not write over it either.
    let silence = ["silence", "add", "--match", "rule=\"x\"", "--for", "2h", "--why", "盘点", "--by", "王芳"];
    let (code, _, err) = run(bench.path(), &[&silence[..], &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(code, Some(1));
    assert!(err.contains("the table silences has no checksum any more"), "{err}");
}

/// A register that lost a row must not cost the file: it is compared before anything is swept.
#[test]
fn no_sealed_file_is_deleted_by_a_register_that_is_damaged() {
    let bench = full();
    let files = || std::fs::read_dir(bench.path().join("state/sealed")).unwrap().count();
    let before = files();
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    assert!(database.execute("DELETE FROM sealed", []).unwrap() > 1);
    drop(database);
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("the table sealed does not match its checksum"), "{err}");
    assert_eq!(files(), before);
}

const SCORES: &str = "
rules:
  - id: z
    title: z
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], size: 6d, slide: 1d }
    measure: { total: sum(amount), spread: stddev(amount), mean: avg(amount) }
    anomaly: { of: total, method: zscore, history: 90, min_history: 2 }
    when: score > -99 and spread > -1
    key: [unit_code]
  - id: e
    title: e
    severity: low
    trigger: window
    of: payment
    window: { by: [budget_line_id], size: 1d }
    measure: { size: avg(amount) }
    anomaly: { of: size, method: ewma, history: 90, min_history: 2 }
    when: score > -99
    key: [budget_line_id]
  - id: s
    title: s
    severity: low
    trigger: payment
    over: { by: [unit_code], last: 30d }
    measure: { spread: stddev(amount), middle: median_deviation(amount), n: count(*) }
    when: n > 5 and spread > 0 and middle > -1
    key: [unit_code]
";

/// Whatever the size of batches, with a restart in the middle, and again from the journal.
#[test]
fn scores_are_the_same_digit_for_digit_however_they_are_made() {
    let mut events = random_events(52, 900);
    for (n, event) in events.iter_mut().enumerate() {
        // A quarter of an hour apart, and every tenth some days late.
        let late = if n % 10 == 0 { 3 * 86_400_000 } else { 0 };
        event["occurred_at"] = json!(1_735_660_800_000i64 + i64::try_from(n).unwrap() * 5_400_000 - late);
    }
    let mut found = BTreeMap::new();
    for (rows, parts) in [(7, 1), (64, 3), (4096, 1)] {
        let config = format!(
            "sources: [{{ name: feed, file: {{ path: events.jsonl, follow: false }} }}]\n\
             state: {{ dir: state, seal_after: 0s }}\nengine: {{ batch_rows: {rows}, idle: 9999d, lateness: 1d }}\n"
        );
        let bench = Bench::new("", &config);
        std::fs::write(bench.path().join("rules/rules.yaml"), SCORES).unwrap();
        succeeds(bench.path(), &["check"]);
        for part in 1..=parts {
            let until = events.len() * part / parts;
            std::fs::write(bench.path().join("events.jsonl"), lines(&events[..until])).unwrap();
            if part < parts {
                // A daemon that is stopped closes nothing; `--once` closes all windows at its end.
                let daemon = Daemon::start(bench.path());
                let before = events.len() * (part - 1) / parts;
                wait_until(|| {
                    let read = &daemon.json("/api/v1/status")["since_start"];
                    let of = |name: &str| read[name].as_u64().unwrap();
                    of("accepted") + of("duplicates") + of("rejected") == (until - before) as u64
                });
                assert_eq!(daemon.stop("-TERM"), Some(0));
            } else {
                succeeds(bench.path(), &["run", "--once"]);
            }
            let report = succeeds(bench.path(), &["state", "verify", "--findings", "--json"]);
            assert!(report.contains("findings compared"), "{report}");
        }
        let listed = succeeds(bench.path(), &["findings", "list", "--json", "--limit", "9999"]);
        let exported = succeeds(bench.path(), &["findings", "export"]);
        let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(sorted(&listed), sorted(&exported), "what is shown is what is stored");
        assert!(
            exported.matches("\"score\":").count() > 100 && exported.matches("\"spread\":").count() > 100
        );
        if parts == 1 {
            found.insert(rows, sorted(&exported));
        }
    }
    assert_eq!(found[&7], found[&4096]);
}

#[test]
fn a_state_of_another_calendar_is_refused_and_left_alone() {
    let config = "sources: [{ name: feed, file: { path: events.jsonl } }]\n";
    let bench = Bench::new(&lines(&random_events(53, 60)), config);
    succeeds(bench.path(), &["run", "--once"]);
    let before = bench.state();
    for (name, value, was) in [("TIME_ZONE", "UTC", "Asia/Shanghai"), ("FISCAL_YEAR_START", "04-01", "01-01")]
    {
        let key = name.to_lowercase();
        for args in [
            &["run", "--once"][..],
            &["state", "verify"],
            &["state", "query", "SELECT count(*) FROM payments"],
            &["budget", "top"],
        ] {
            let output = fiscwatch()
                .current_dir(bench.path())
                .args(args)
                .args(["--config", "fiscwatch.yaml"])
                .env(format!("FISCWATCH_{name}"), value)
                .output()
                .unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
            let says = format!("was made with {key} {was}, and the configuration says {value}");
            assert!(err.contains(&says) && err.contains("or name a new state.dir"), "{args:?}: {err}");
        }
    }
    succeeds(bench.path(), &["run", "--once"]);
    assert_eq!(bench.state(), before);
}

/// Everything below a folder, with its mode.
fn modes(folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        found.push((path.clone(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            modes(&path, found);
        }
    }
}

#[test]
fn files_are_for_their_owner_alone_whatever_the_umask() {
    let bench = Bench::new(&lines(&random_events(54, 400)), CONFIG);
    std::fs::write(bench.path().join("garbled.jsonl"), "no JSON\n").unwrap();
    let mut before = Vec::new();
    modes(bench.path(), &mut before);
    let config = "--config fiscwatch.yaml";
    for command in [
        format!("run --once {config}"),
        format!("state backup copy {config}"),
        format!("state restore copy --to again {config}"),
        format!("backtest --events events.jsonl --findings found.jsonl --ledger ledger.jsonl {config}"),
        format!("budget export --out budget.jsonl {config}"),
        format!("rejects export --out rejects.jsonl {config}"),
        String::from("init started"),
        String::from("generate --payments 200 --units 2 --days 5 --start 2025-03-03 --anomalies --out year"),
        String::from(
            "backtest --rules started/rules --events year/events.jsonl --labels year/labels.jsonl --scores scores.json",
        ),
    ] {
        // Killed while its log is there, a daemon leaves all of the database's files; a reader keeps them too.
        let script = format!("umask 000; exec \"$0\" {command}");
        let output = Command::new("bash")
            .current_dir(bench.path())
            .args(["-c", &script, env!("CARGO_BIN_EXE_fiscwatch")])
            .env("FAILPOINT", if command.starts_with("run") { "commit.done=abort@3" } else { "" })
            .output()
            .unwrap();
        let died = command.starts_with("run");
        assert_eq!(output.status.success(), !died, "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut after = Vec::new();
    modes(bench.path(), &mut after);
    let made: Vec<_> =
        after.iter().filter(|(path, _)| !before.iter().any(|(known, _)| known == path)).collect();
    for (path, mode) in &made {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(*mode, wanted, "{}: {mode:o}", path.display());
    }
    let names: Vec<String> = made.iter().map(|(path, _)| path.display().to_string()).collect();
    for part in [
        "state/lock",
        "copy/backup.json",
        "again/fiscwatch.db",
        "found.jsonl",
        "rejects.jsonl",
        "started/rules",
        "labels.jsonl",
        "scores.json",
    ] {
        assert!(names.iter().any(|name| name.contains(part)), "{part}: {names:?}");
    }
}

#[test]
fn one_module_makes_files() {
    // Manual pages and test reports are for everybody.
    let allowed = ["private.rs", "cli/manual.rs", "cli/test.rs"];
    let makes = ["File::create", "fs::write(", "fs::create_dir", "OpenOptions::new", "fs::copy("];
    for (path, source) in source_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let own = source.split("#[cfg(test)]").next().unwrap_or_default();
        let found: Vec<_> = makes.iter().filter(|call| own.contains(**call)).collect();
        let known = allowed.iter().any(|name| path.ends_with(name));
        assert!(known || found.is_empty(), "{}: {found:?}; use crate::private", path.display());
    }
}
