//! Who sees accounts and names of persons as a whole: whoever may, asks for it, and is recorded.

use fiscwatch::{
    access::{Action, Actor, Role, Roles, decide},
    http::ROUTES,
    store::{Accounts, Store, TokenSpec},
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
            accounts.add_user(role.word(), &roles, &by, 1).unwrap();
            role.word().to_owned()
        });
        let roles = if owner.is_some() { Roles::default() } else { roles };
        let spec = TokenSpec { name: role.word().to_owned(), owner, roles, expires_at: i64::MAX };
        (role, accounts.add_token(&spec, &by, 1).unwrap().text)
    };
    let tokens: Vec<_> = Role::ALL.into_iter().map(&mut token).collect();
    let of = |wanted: Role| tokens.iter().find(|(role, _)| *role == wanted).unwrap().1.as_str();

    let daemon = Daemon::start(bench.path());
    let mut paid = payment("p1", "L1", "100.00");
    for (column, value) in [
        ("payee_name", "王小明"),
        ("payee_type", "person"),
        ("payee_account", ACCOUNT),
        ("purpose", "付王小明劳务费，卡 6222021202000012345"),
    ] {
        paid[column] = json!(value);
    }
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
