//! Who may do what: every route and every command is tried with every role, and compared with the one table.

use std::{collections::BTreeSet, path::Path};

use fiscwatch::{
    access::{Action, Actor, Role, Roles, decide},
    cli,
    event::Instant,
    http::ROUTES,
    store::{Accounts, Store, TokenSpec},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, fiscwatch, lines, payment, run, wait_until};

const CONFIG: &str = "state: { dir: state }
http: { listen: '127.0.0.1:0', auth: true }
log: { level: warn }
sinks: [{ name: dead, webhook: { url: 'http://127.0.0.1:1/' } }]
";

const NEVER: Instant = Instant::MAX;

fn by(who: &str) -> Actor {
    Actor { who: who.to_owned(), place: String::from("test") }
}

fn bench(config: &str) -> Bench {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    drop(Store::open(&bench.path().join("state")).unwrap());
    bench
}

fn accounts(bench: &Bench) -> Accounts {
    Accounts::open(&bench.path().join("state")).unwrap()
}

fn only(role: Role) -> Roles {
    role.word().parse().unwrap()
}

/// A token of somebody who has this role alone.
fn token_of(accounts: &mut Accounts, role: Role) -> String {
    let name = role.word();
    let spec = match role.is_for_programs() {
        true => TokenSpec { name: name.to_owned(), owner: None, roles: only(role), expires_at: NEVER },
        false => {
            accounts.add_user(name, &only(role), &by("test"), Instant::EPOCH).unwrap();
            TokenSpec {
                name: name.to_owned(),
                owner: Some(name.to_owned()),
                roles: Roles::default(),
                expires_at: NEVER,
            }
        }
    };
    accounts.add_token(&spec, &by("test"), Instant::EPOCH).unwrap().text
}

/// Sends a request with these headers; the status and the body.
fn ask(daemon: &Daemon, (method, path): (&str, &str), headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", daemon.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = agent().run(request.body(body.to_owned()).unwrap()).unwrap();
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let text = match kind == Some("text/event-stream") {
        // It would not end.
        true => String::new(),
        false => response.body_mut().read_to_string().unwrap_or_default(),
    };
    (response.status().as_u16(), text)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn every_route_answers_every_role_as_the_table_says() {
    let bench = bench(CONFIG);
    let mut accounts = accounts(&bench);
    let tokens: Vec<_> = Role::ALL.into_iter().map(|role| (role, token_of(&mut accounts, role))).collect();
    let daemon = Daemon::start(bench.path());
    let mut refused = 0;
    for (method, path, action) in ROUTES {
        let path = path.replace("{id}", "7").replace("{name}", "nobody");
        let route = (*method, path.as_str());
        let json = ("content-type", "application/json");
        let (status, body) = ask(&daemon, route, &[json], "");
        match action {
            // One's own session is told, or begun by a body that is missing here.
            None if path == "/api/v1/session" => {
                assert!(matches!(status, 200 | 204 | 400), "{route:?}: {body}");
            }
            // Who logs in elsewhere is nobody yet; here there is no elsewhere.
            None if path.starts_with("/api/v1/session/oidc") => assert_eq!(status, 404, "{route:?}: {body}"),
            // Of a letter that was never sent.
            None if path.starts_with("/answer/") => assert_eq!(status, 404, "{route:?}: {body}"),
            None if path.starts_with("/api/v1/session/") => assert_eq!(status, 401, "{route:?}: {body}"),
            None => assert_eq!(status, 200, "{route:?}: {body}"),
            Some(_) => {
                assert_eq!(status, 401, "{route:?}: {body}");
                let problem: Value = serde_json::from_str(&body).unwrap();
                assert!(problem["detail"].as_str().unwrap().contains("Authorization: Bearer"), "{body}");
            }
        }
        for (role, token) in &tokens {
            let (status, body) = ask(&daemon, route, &[json, ("authorization", &bearer(token))], "");
            let may = action.is_none_or(|action| decide(&only(*role), action));
            assert_eq!(!matches!(status, 401 | 403), may, "{role:?} {route:?}: {status} {body}");
            if !may {
                refused += 1;
                assert!(body.contains("application") || body.contains("fiscwatch access show"), "{body}");
            }
        }
    }
    assert!(refused > 80, "{refused}");
    // What is served nowhere is told to those who are known only.
    assert_eq!(ask(&daemon, ("GET", "/api/v1/nothing"), &[], "").0, 401);
    let reader = bearer(&tokens.iter().find(|(role, _)| *role == Role::Read).unwrap().1);
    assert_eq!(ask(&daemon, ("GET", "/api/v1/nothing"), &[("authorization", &reader)], "").0, 404);
    assert_eq!(ask(&daemon, ("DELETE", "/api/v1/alerts"), &[("authorization", &reader)], "").0, 405);
    let metrics = bearer(&tokens.iter().find(|(role, _)| *role == Role::Metrics).unwrap().1);
    let (_, text) = ask(&daemon, ("GET", "/metrics"), &[("authorization", &metrics)], "");
    for cause in ["identity", "role"] {
        let count = format!("fiscwatch_http_refused_total{{cause=\"{cause}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&count)).unwrap();
        assert!(count.parse::<u64>().unwrap() > 10, "{cause}: {count}");
    }
}

/// The name of whoever runs the tests.
fn me() -> String {
    let asked = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}

/// Arguments with which a command gets as far as being asked.
fn arguments(command: &str) -> Vec<&str> {
    let mut words: Vec<&str> = command.split(' ').collect();
    words.extend::<&[&str]>(match command {
        "alerts dismiss" | "alerts close" | "alerts comment" | "alerts return" => &["x", "--why", "y"],
        "alerts assign" => &["x", "--to", "y"],
        "alerts register" => &["--xlsx", "cases.xlsx"],
        "alerts report" => &["--month", "2026-05"],
        "alerts hand-over" => &["--from", "x", "--to", "y"],
        "alerts due" => &["x", "--on", "2026-03-01", "--why", "y"],
        "alerts merge" => &["x", "--into", "y"],
        "alerts ack" | "alerts revoke" | "alerts approve" | "alerts withdraw" | "alerts confirm"
        | "alerts rectify" | "alerts show" | "alerts inquire" | "notify retry" => &["x"],
        "approvals propose" => &["--budget", "none.jsonl", "--reason", "x"],
        "approvals refuse" => &["7", "--why", "y"],
        "silence add" => &["--match", "rule=\"x\"", "--for", "2h", "--why", "y", "--dry-run"],
        "approvals list" => &[],
        command if command == "silence expire" || command.starts_with("approvals ") => &["7"],
        "ask" => &["执行率"],
        "notify test" => &["dead"],
        "budget show" => &["L1"],
        "budget propose" => &["--year", "2027"],
        "evidence" => &["x", "-o", "case.zip"],
        "settle" | "settle --freeze" => &["2025"],
        "publish" => &["2025", "--out", "out"],
        "state backup" => &["copy"],
        "state lake" => &["--to", "file:///nowhere"],
        "state query" => &["SELECT 1"],
        "rules propose" => &["--reason", "x"],
        "rules approve" | "rules withdraw" | "rules show" | "token revoke" => &["00000000"],
        "user add" => &["somebody", "--role", "officer"],
        "user roles" => &["nobody", "--role", "officer"],
        "state drill" | "state restore" | "user disable" | "user enable" => &["nobody"],
        "user totp" => &["nobody", "--require"],
        "user password" => &["nobody", "--password-file", "/dev/null"],
        "token add" => &["scrape", "--role", "metrics"],
        _ => &[],
    });
    words.extend(["--config", "fiscwatch.yaml"]);
    words
}

#[test]
fn every_command_answers_every_role_as_the_table_says() {
    let asks = cli::commands_that_ask();
    let asking: BTreeSet<_> = asks.iter().map(|(command, _)| (*command).to_owned()).collect();
    let free: BTreeSet<_> = cli::commands().into_iter().filter(|command| !asking.contains(command)).collect();
    let known = "access show,approvals verify,backtest,check,completions,demo,evidence verify,forecast,generate,import,init,man,\
                 notify preview,routes show,routes test,rules sign,rules verify,run,test,tune";
    assert_eq!(free, known.split(',').map(str::to_owned).collect(), "commands that nobody is asked for");

    let bench = bench(CONFIG);
    let (me, mut accounts) = (me(), accounts(&bench));
    accounts.add_user("safe", &only(Role::Security), &by("test"), Instant::EPOCH).unwrap();
    // The system's user that has the state may, as long as nobody of that name has roles.
    let (code, out, err) = run(bench.path(), &arguments("user list"));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("safe"), "{out}");
    accounts.add_user(&me, &only(Role::Officer), &by("test"), Instant::EPOCH).unwrap();
    for role in Role::ALL.into_iter().filter(|role| !role.is_for_programs()) {
        accounts.set_roles(&me, &only(role), &by("test"), Instant::from_micros(2)).unwrap();
        for (command, action) in asks {
            let (_, _, err) = run(bench.path(), &arguments(command));
            let may = decide(&only(role), *action);
            assert_eq!(!err.contains("and this is for"), may, "{role:?} {command}: {err}");
            assert!(!err.contains("Usage") && !err.contains("panicked"), "{command}: {err}");
        }
    }
    accounts.set_enabled(&me, false, &by("test"), Instant::from_micros(3)).unwrap();
    let (code, _, err) = run(bench.path(), &arguments("user list"));
    assert!(code == Some(1) && err.contains("and this is for auditor, security"), "{err}");
    let audit = audit(&bench);
    assert!(
        audit.iter().any(|row| row.starts_with(&format!("{me}|local uid ")) && row.contains("|refused|"))
    );
    for (_, action) in asks.iter().filter(|(_, action)| action.shows()) {
        let told = format!("|{}||done|command", action.word());
        assert!(audit.iter().any(|row| row.ends_with(&told)), "{action:?} was done, and is not recorded");
    }
}

/// The audit log: who, place, action, subject, result, detail.
fn audit(bench: &Bench) -> Vec<String> {
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let sql = "SELECT concat_ws('|', who, place, action, subject, result, detail) FROM audit ORDER BY seq";
    let mut statement = database.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn verifies(bench: &Bench) {
    let (code, out, err) = run(bench.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn who_acts_is_who_is_known_and_a_revoked_token_is_worth_nothing() {
    let bench = bench(CONFIG);
    let mut accounts = accounts(&bench);
    let officer = bearer(&token_of(&mut accounts, Role::Officer));
    let ingest = bearer(&token_of(&mut accounts, Role::Ingest));
    let daemon = Daemon::start(bench.path());
    let headers = |token: &'static str| [("content-type", token)];
    let json = headers("application/json")[0];
    let (officer, ingest) = (("authorization", officer.as_str()), ("authorization", ingest.as_str()));
    let (status, body) =
        ask(&daemon, ("POST", "/api/v1/events"), &[ingest], &lines(&[payment("p1", "L1", "110.00")]));
    assert_eq!(status, 200, "{body}");
    let (_, body) = ask(&daemon, ("GET", "/api/v1/alerts"), &[officer], "");
    let alerts: Value = serde_json::from_str(&body).unwrap();
    let id = alerts["alerts"][0]["alert_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/alerts/{id}/transitions");
    let act = |who: Value| {
        ask(
            &daemon,
            ("POST", &path),
            &[json, officer],
            &json!({"action": "acknowledge", "who": who}).to_string(),
        )
    };
    let (status, body) = act(json!("王芳"));
    assert!(status == 403 && body.contains("logged in as"), "{body}");
    assert_eq!(act(Value::Null).0, 200);
    let (_, body) = ask(&daemon, ("GET", &format!("/api/v1/alerts/{id}")), &[officer], "");
    let alert: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(alert["history"].as_array().unwrap().last().unwrap()["who"], "officer");
    let told = format!("officer|127.0.0.1|alerts.acknowledge|{id}|done|");
    assert!(audit(&bench).contains(&told), "{:?}", audit(&bench));

    // What was read is recorded beside the answer, once a minute, and what was not there as that.
    assert_eq!(ask(&daemon, ("GET", "/api/v1/alerts/none"), &[officer], "").0, 404);
    for (path, result) in [("", "done"), (&*format!("/{id}"), "done"), ("/none", "missing")] {
        let read = format!("officer|127.0.0.1|alerts.read|/api/v1/alerts{path}|{result}|");
        wait_until(|| audit(&bench).iter().filter(|row| **row == read).count() == 1);
    }

    // A name from a proxy counts only where the configuration has its header; here it has none.
    assert_eq!(ask(&daemon, ("GET", "/api/v1/alerts"), &[("x-forwarded-user", "officer")], "").0, 401);
    for token in accounts.tokens().unwrap() {
        let used = token.used_at.is_some();
        wait_until(|| used || accounts.tokens().unwrap().iter().all(|t| t.used_at.is_some()));
        accounts.revoke(&token.id, &by("test"), Instant::from_micros(3)).unwrap();
    }
    assert_eq!(ask(&daemon, ("GET", "/api/v1/alerts"), &[officer], "").0, 401);
    assert_eq!(ask(&daemon, ("POST", "/api/v1/events"), &[ingest], "").0, 401);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    verifies(&bench);
    // Nothing of a secret is anywhere in the state.
    let secret = officer.1.rsplit('_').next().unwrap().as_bytes().to_owned();
    for file in ["fiscwatch.db", "fiscwatch.db-wal"] {
        let bytes = std::fs::read(bench.path().join("state").join(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{file}");
    }
}

#[test]
fn a_name_counts_from_a_proxy_that_is_listed() {
    for (proxies, expected) in [("[]", 200), ("['10.9.9.9']", 401), ("['127.0.0.1']", 200)] {
        let config =
            CONFIG.replace("auth: true", &format!("auth: true, user_header: X-User, proxies: {proxies}"));
        let bench = bench(&config);
        accounts(&bench).add_user("王芳", &only(Role::Officer), &by("test"), Instant::EPOCH).unwrap();
        let daemon = Daemon::start(bench.path());
        let alerts = ("GET", "/api/v1/alerts");
        let named = |name: &str| ask(&daemon, alerts, &[("x-user", name)], "").0;
        assert_eq!(named("王芳"), expected, "{proxies}");
        assert_eq!(named("李雷"), 401);
        assert_eq!(ask(&daemon, alerts, &[], "").0, 401);
    }
}

#[test]
fn an_address_that_others_reach_needs_both_and_loopback_says_that_nobody_is_asked() {
    for (http, lacks) in [
        ("listen: '0.0.0.0:0'", Some("lacks http.auth: true, http.tls: proxy")),
        ("listen: '[::]:0', tls: proxy", Some("lacks http.auth: true")),
        ("listen: '0.0.0.0:0', auth: true", Some("lacks http.tls: proxy")),
        ("listen: '0.0.0.0:0', auth: true, tls: proxy", None),
        ("listen: '127.0.0.1:0'", None),
    ] {
        let bench = Bench::new("", "");
        let config = format!("state: {{ dir: state }}\nhttp: {{ {http} }}\n");
        std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
        for command in [&["run", "--once"][..], &["check"]] {
            let output = fiscwatch()
                .current_dir(bench.path())
                .args(command)
                .args(["--config", "fiscwatch.yaml"])
                .output()
                .unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            match lacks {
                Some(lacks) => {
                    assert!(output.status.code() == Some(1) && err.contains(lacks), "{http}: {err}");
                }
                None => {
                    assert_eq!(output.status.code(), Some(0), "{http} {command:?}: {err}");
                }
            }
        }
    }
}

/// Killed between an act and its record, the state has neither; afterwards both.
#[test]
fn an_act_and_its_record_are_there_together_or_not_at_all() {
    let bench = Bench::new(
        &lines(&[payment("p1", "L1", "110.00")]),
        "sources: [{ name: feed, file: { path: events.jsonl } }]\n",
    );
    let config = ["--config", "fiscwatch.yaml"];
    assert_eq!(run(bench.path(), &[&["run", "--once"], &config[..]].concat()).0, Some(0));
    let (_, out, _) = run(bench.path(), &[&["alerts", "list", "--json"], &config[..]].concat());
    let alert: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    let id = alert["alert_id"].as_str().unwrap();
    let acts: [&[&str]; 4] = [
        &["alerts", "ack", id, "--by", "王芳"],
        &["silence", "add", "--match", "rule=\"x\"", "--for", "2h", "--why", "盘点", "--by", "王芳"],
        &["user", "add", "李雷", "--role", "officer"],
        &["token", "add", "scrape", "--role", "metrics"],
    ];
    let rows = |table: &str| -> i64 {
        let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    let tables = ["alert_history", "silence_history", "users", "tokens", "audit"];
    for (act, table) in acts.into_iter().zip(tables) {
        let before = tables.map(rows);
        for failpoint in ["audit.record=abort", "audit.recorded=abort"] {
            let killed = fiscwatch()
                .current_dir(bench.path())
                .args([act, &config].concat())
                .env("FAILPOINT", failpoint)
                .output()
                .unwrap();
            assert!(!killed.status.success(), "{act:?} {failpoint}");
            assert_eq!(tables.map(rows), before, "{act:?} {failpoint}");
            verifies(&bench);
        }
        let (code, _, err) = run(bench.path(), &[act, &config].concat());
        assert_eq!(code, Some(0), "{act:?}: {err}");
        let (own, audit) = (tables.iter().position(|t| *t == table).unwrap(), tables.map(rows));
        assert_eq!((audit[own], audit[4]), (before[own] + 1, before[4] + 1), "{act:?}");
    }
    verifies(&bench);
}

#[test]
fn the_table_is_shown_whole() {
    let (code, out, err) = run(Path::new("."), &["access", "show", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), Action::ALL.len());
    for (row, action) in rows.iter().zip(Action::ALL) {
        let roles: Vec<_> = action.roles().iter().map(|role| role.word()).collect();
        assert_eq!((&row["action"], &row["roles"]), (&json!(action.word()), &json!(roles)));
        let used = ["requests", "commands"].iter().map(|by| row[by].as_array().unwrap().len()).sum::<usize>();
        assert!(used > 0, "nothing asks for {}", action.word());
    }
    let (_, out, _) = run(Path::new("."), &["access", "show", "--csv"]);
    insta::assert_snapshot!("access", out);
}
