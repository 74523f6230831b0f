//! Who sees accounts and names of persons as a whole: whoever may, asks for it, and is recorded.

use fiscwatch::{
    access::{Action, Actor, Role, Roles, decide},
    cli,
    event::Instant,
    http::ROUTES,
    store::{Accounts, Cases, Store, TokenSpec},
};
use serde_json::json;

use crate::support::{Bench, Daemon, agent, lines, payment, run, wait_until, write};

const CONFIG: &str = "state: { dir: state }
http: { listen: '127.0.0.1:0', auth: true }
rules: { paths: [rules] }
log: { level: warn }
";
const RULES: &str = "
rules:
  - id: persons
    title: persons
    severity: high
    trigger: payment
    over: { by: [payee_account], last: 30d }
    measure: { names: \"array_agg(distinct payee_name)\", n: count(*) }
    when: n > 0
    key: [payee_account]
    summary: \"向 {{ payee_name }}（{{ payee_account }}）支付，同户 {{ names }}\"
";
const ACCOUNT: &str = "6222021202000012345";
const GIVEN: &str = "小明";

fn ask(daemon: &Daemon, path: &str, token: &str, unmasked: bool) -> (u16, String) {
    let mut request = ureq::http::Request::get(format!("{}{path}", daemon.address))
        .header("authorization", format!("Bearer {token}"));
    if unmasked {
        request = request.header("x-unmasked", "true");
    }
    let mut answer = agent().run(request.body(()).unwrap()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    (answer.status().as_u16(), text)
}

fn tells(text: &str) -> bool {
    text.contains(ACCOUNT) || text.contains(GIVEN) || text.contains(&ACCOUNT[..15])
}

#[test]
fn persons_are_masked_for_everybody_and_shown_to_who_may_and_asks() {
    let bench = Bench::new("", "");
    write(bench.path(), "fiscwatch.yaml", CONFIG);
    write(bench.path(), "rules/rules.yaml", RULES);
    drop(Store::open(&bench.path().join("state")).unwrap());
    let mut accounts = Accounts::open(&bench.path().join("state")).unwrap();
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let mut token = |role: Role| {
        let roles: Roles = role.word().parse().unwrap();
        let owner = (!role.is_for_programs()).then(|| {
            accounts.add_user(role.word(), &roles, &by, Instant::from_micros(1)).unwrap();
            role.word().to_owned()
        });
        let roles = if owner.is_some() { Roles::default() } else { roles };
        let spec = TokenSpec {
            name: role.word().to_owned(),
            owner,
            roles,
            expires_at: fiscwatch::event::Instant::MAX,
        };
        (role, accounts.add_token(&spec, &by, Instant::from_micros(1)).unwrap().text)
    };
    let tokens: Vec<_> = Role::ALL.into_iter().map(&mut token).collect();
    let of = |wanted: Role| tokens.iter().find(|(role, _)| *role == wanted).unwrap().1.as_str();

    let daemon = Daemon::start(bench.path());
    let paid = paid("p1");
    let mut wrong = paid.clone();
    (wrong["event_id"], wrong["amount"]) = (json!("p2"), json!("a lot"));
    let posted = agent()
        .post(format!("{}/api/v1/events", daemon.address))
        .header("authorization", format!("Bearer {}", of(Role::Ingest)))
        .send(lines(&[paid, wrong]))
        .unwrap();
    assert_eq!(posted.status(), 200);
    let alert = || {
        let list = ask(&daemon, "/api/v1/alerts", of(Role::Officer), false).1;
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        list["alerts"][0]["alert_id"].as_str().map(str::to_owned)
    };
    wait_until(|| alert().is_some());
    let alert = alert().unwrap();

    let mut shown = 0;
    for (method, path, action) in ROUTES {
        let of_path = match *path {
            "/api/v1/alerts/{id}" => path.replace("{id}", &alert),
            "/api/v1/events/{id}" => path.replace("{id}", "p1"),
            "/api/v1/rules/{id}" => path.replace("{id}", "persons"),
            "/api/v1/explain" => String::from("/api/v1/explain?event=p1&rule=persons"),
            other => other.replace("{id}", "L1").replace("{event_id}", "p1"),
        };
        if *method != "GET" || of_path == "/api/v1/stream" {
            continue;
        }
        for (role, token) in &tokens {
            let (status, text) = ask(&daemon, &of_path, token, false);
            assert!(!tells(&text), "{role:?} {of_path} {status}: {text}");
            let Some(action) = action.filter(|_| status == 200) else { continue };
            let may = decide(&role.word().parse().unwrap(), Action::ShowPersonal);
            let (status, text) = ask(&daemon, &of_path, token, true);
            assert_eq!(status, if may { 200 } else { 403 }, "{role:?} {of_path}: {text}");
            let personal = [
                "/api/v1/alerts",
                "/api/v1/alerts/{id}",
                "/api/v1/events",
                "/api/v1/events/{id}",
                "/api/v1/explain",
                "/api/v1/findings",
                "/api/v1/quarantine",
                "/api/v1/budget-lines/{id}/history",
            ];
            if may && personal.contains(path) {
                assert!(tells(&text), "{role:?} {of_path} asks to see it ({}): {text}", action.word());
                shown += 1;
            }
        }
    }
    assert!(shown >= 20, "{shown}");
    let audit = || {
        let (code, out, err) = run(bench.path(), &["audit", "export", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
        out
    };
    let reads = |out: &str| out.lines().filter(|line| line.contains("personal.show")).count();
    wait_until(|| reads(&audit()) >= shown);
    assert!(!tells(&audit()), "the log tells who looked, not what they saw");
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

/// The name of whoever runs the tests.
fn me() -> String {
    let asked = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}

/// A payment to a natural person.
fn paid(id: &str) -> serde_json::Value {
    let mut paid = payment(id, "L1", "100.00");
    for (column, value) in [
        ("payee_name", "王小明"),
        ("payee_type", "person"),
        ("payee_account", ACCOUNT),
        ("purpose", "付王小明劳务费，卡 6222021202000012345"),
    ] {
        paid[column] = json!(value);
    }
    paid
}

/// Every command that says something of payments, as each role runs it: masked, and whole for who may and asks.
#[test]
fn commands_mask_persons_by_the_role_of_who_runs_them() {
    let (mut wrong, mut cut) = (paid("p2"), lines(&[paid("p3")]));
    wrong["amount"] = json!("a lot");
    cut.truncate(cut.len() - 3);
    let sources = "sources: [{ name: feed, file: { path: events.jsonl } }]\n";
    let bench = Bench::new(&(lines(&[paid("p1"), paid("p4"), wrong]) + &cut + "\n"), "");
    write(bench.path(), "fiscwatch.yaml", &format!("{}{sources}", CONFIG.replace("warn", "error")));
    write(bench.path(), "rules/rules.yaml", RULES);
    let config = ["--config", "fiscwatch.yaml"];
    let (code, _, err) = run(bench.path(), &[&["run", "--once"], &config[..]].concat());
    assert_eq!(code, Some(0), "{err}");

    let mut accounts = Accounts::open(&bench.path().join("state")).unwrap();
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let alert = Cases::open_read_only(&bench.path().join("state")).unwrap();
    let alert = alert.complete("").unwrap_or_else(|e| panic!("{e}"));
    let select = "SELECT payee_name AS a, substr(payee_account, 1, 15) AS b, concat('to ', purpose) AS c FROM payments";
    let asked: [&[&str]; 11] = [
        &["alerts", "list", "--json"],
        &["alerts", "show", &alert],
        &["alerts", "show", &alert, "--json"],
        &["findings", "list"],
        &["findings", "list", "--json"],
        &["findings", "export"],
        &["rejects", "list", "--json"],
        &["rejects", "list"],
        &["rejects", "export"],
        &["state", "query", select, "--json"],
        &["state", "query", "SELECT * FROM findings", "--csv"],
    ];
    let may_all: &[&[&str]] = &[
        &["alerts", "comment", &alert, "--why", "x", "--json"],
        &["silence", "add", "--match", "rule=\"persons\"", "--for", "2h", "--why", "y", "--dry-run"],
        &["notify", "list", "--json"],
        &["budget", "show", "L1", "--json"],
        &["budget", "export"],
        &["audit", "export"],
        &["state", "verify", "--findings"],
    ];
    let action = |words: &[&str]| {
        let name = words[..2].join(" ");
        cli::commands_that_ask().iter().find(|(command, _)| *command == name).unwrap().1
    };
    let (me, mut shown, mut masked) = (me(), 0, 0);
    let mut walk = |role: Option<Role>| {
        let may = |action| role.is_none_or(|role| decide(&role.word().parse().unwrap(), action));
        for words in asked.into_iter().chain(may_all.iter().copied()) {
            let (code, out, err) = run(bench.path(), &[words, &config].concat());
            assert!(!tells(&out) && !tells(&err), "{role:?} {words:?}: {out}{err}");
            if words[..2] == ["rejects", "export"] {
                assert!(
                    code == Some(1) && (err.contains("--unmasked") || !may(action(words))),
                    "{role:?}: {err}"
                );
            } else if asked.contains(&words) {
                assert_eq!(code == Some(0), may(action(words)), "{role:?} {words:?}: {err}");
            } else {
                assert_eq!(!err.contains("and this is for"), may(action(words)), "{role:?} {words:?}: {err}");
            }
            masked += usize::from(out.contains("王**") || out.contains("****2345"));
        }
        for words in asked {
            let (code, out, err) = run(bench.path(), &[words, &["--unmasked"], &config[..]].concat());
            let expected = may(action(words)) && may(Action::ShowPersonal);
            assert_eq!(code == Some(0), expected, "{role:?} {words:?}: {err}");
            assert_eq!(tells(&out), expected, "{role:?} {words:?} asks to see it: {out}");
            shown += usize::from(expected);
        }
    };
    // Whoever has the state and no roles, then each role.
    walk(None);
    // Somebody manages users, whatever becomes of the one who walks.
    accounts
        .add_user("keeper", &Role::Security.word().parse().unwrap(), &by, Instant::from_micros(1))
        .unwrap();
    accounts.add_user(&me, &Role::Officer.word().parse().unwrap(), &by, Instant::from_micros(1)).unwrap();
    for role in Role::ALL.into_iter().filter(|role| !role.is_for_programs()) {
        accounts.set_roles(&me, &role.word().parse().unwrap(), &by, Instant::from_micros(2)).unwrap();
        walk(Some(role));
    }
    assert!(shown >= 30 && masked >= 30, "{shown} {masked}");
    drop(accounts);
    let audit = rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let told = "SELECT count(*) FROM audit WHERE action = 'personal.show' AND result = 'done' AND who = ?1";
    let told: usize = audit.query_row(told, [&me], |row| row.get(0)).unwrap();
    assert_eq!(told, shown, "each look at a whole name is recorded");
}
