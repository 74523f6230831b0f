//! Roles that are limited to units: what lies outside is not there, in any byte of any answer.

use std::collections::BTreeMap;

use fiscwatch::{
    access::{Actor, Limits, Role, Roles},
    event::Instant,
    http::{ROUTES, WITHIN_LIMITS},
    store::{Accounts, Store, TokenSpec},
};
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, lines, payment, run};

const CONFIG: &str = "state: { dir: state }
http: { listen: '127.0.0.1:0', auth: true }
log: { level: warn }
";
/// A rule that shows of every unit's payments who else paid the same account.
const ELSEWHERE: &str = "rules:
  - { id: paid-elsewhere, title: t, severity: high, trigger: payment, over: { by: [payee_account], last: 30d }, measure: { elsewhere: max(unit_code) },
      when: 1 = 1, key: [unit_code, payee_account], summary: '{{ elsewhere }}' }
";
const OWN: &str = "101001";
const OTHER: &str = "999888";

fn by() -> Actor {
    Actor { who: String::from("test"), place: String::from("test") }
}

/// A token of somebody with these roles within these units and regions.
fn token(accounts: &mut Accounts, name: &str, roles: &[Role], units: &[&str], regions: &[&str]) -> String {
    let owned = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
    let limits = Limits::new(owned(units), owned(regions)).unwrap();
    let roles = Roles::of_person(roles.iter().copied()).unwrap().limited_to(limits);
    accounts.add_user(name, &roles, &by(), Instant::from_micros(1)).unwrap();
    let spec = TokenSpec {
        name: String::from("t"),
        owner: Some(name.to_owned()),
        roles: Roles::default(),
        expires_at: fiscwatch::event::Instant::MAX,
    };
    format!("Bearer {}", accounts.add_token(&spec, &by(), Instant::from_micros(1)).unwrap().text)
}

/// Status, headers and body together.
fn ask(daemon: &Daemon, method: &str, path: &str, token: &str, body: &Value) -> (u16, String) {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", daemon.address))
        .header("authorization", token)
        .header("content-type", "application/json");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut response = agent().run(request.body(body).unwrap()).unwrap();
    let headers = format!("{:?}", response.headers());
    let text = response.body_mut().read_to_string().unwrap_or_default();
    (response.status().as_u16(), headers + &text)
}

fn json_of((status, text): (u16, String)) -> Value {
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text[text.find("}{").unwrap() + 1..]).unwrap()
}

/// Payments of two units, each beyond its line and in cash, and of one payee that both pay.
fn events() -> Vec<Value> {
    let mut events = Vec::new();
    for (unit, region, line) in [(OTHER, "650000", "L-other"), (OWN, "320100", "L-own")] {
        for n in 0..3 {
            let mut event = payment(&format!("{line}-{n}"), line, "30000.00");
            for (name, value) in [
                ("unit_code", unit),
                ("unit_name", &format!("单位{unit}")),
                ("region_code", region),
                ("settlement", "cash"),
                ("payee_account", "6222000011112222"),
            ] {
                event[name] = json!(value);
            }
            events.push(event);
        }
    }
    events
}

fn bench() -> (Bench, BTreeMap<&'static str, String>) {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("fiscwatch.yaml"), CONFIG).unwrap();
    std::fs::write(bench.path().join("rules/elsewhere.yaml"), ELSEWHERE).unwrap();
    let state = bench.path().join("state");
    drop(Store::open(&state).unwrap());
    let mut accounts = Accounts::open(&state).unwrap();
    let all = [Role::Officer, Role::Supervisor, Role::Author, Role::Approver, Role::Auditor];
    let mut tokens = BTreeMap::from([
        ("all", token(&mut accounts, "all", &all, &[], &[])),
        ("unit", token(&mut accounts, "unit", &all, &["101"], &[])),
        ("region", token(&mut accounts, "region", &all, &[], &["3201"])),
        ("none", token(&mut accounts, "none", &all, &["555"], &[])),
    ]);
    let feed = TokenSpec {
        name: String::from("feed"),
        owner: None,
        roles: Roles::of_program([Role::Ingest]).unwrap(),
        expires_at: fiscwatch::event::Instant::MAX,
    };
    tokens.insert(
        "feed",
        format!("Bearer {}", accounts.add_token(&feed, &by(), Instant::from_micros(1)).unwrap().text),
    );
    (bench, tokens)
}

/// A daemon that was sent the events.
fn fed(bench: &Bench, tokens: &BTreeMap<&'static str, String>) -> Daemon {
    let daemon = Daemon::start(bench.path());
    let mut request =
        ureq::http::Request::builder().method("POST").uri(format!("{}/api/v1/events", daemon.address));
    request = request.header("authorization", &tokens["feed"]);
    assert_eq!(agent().run(request.body(lines(&events())).unwrap()).unwrap().status().as_u16(), 200);
    daemon
}

/// The unit outside stands below another one by the table of units: whoever is limited to that one has it, and nobody else.
#[test]
fn a_role_that_is_limited_to_a_unit_covers_what_stands_below_it() {
    let (bench, mut tokens) = bench();
    let codes = format!("{CONFIG}codes: {{ unit_code: {{ path: units.csv }} }}\n");
    crate::support::write(bench.path(), "fiscwatch.yaml", &codes);
    let units = format!("code,name,parent\n88,上级,\n{OTHER},下级,88\n{OWN},别处,\n");
    crate::support::write(bench.path(), "units.csv", &units);
    let mut accounts = Accounts::open(&bench.path().join("state")).unwrap();
    let all = [Role::Officer, Role::Supervisor, Role::Author, Role::Approver, Role::Auditor];
    tokens.insert("tree", token(&mut accounts, "tree", &all, &["88"], &[]));
    drop(accounts);
    let daemon = fed(&bench, &tokens);
    let get = |path: &str, who: &str| ask(&daemon, "GET", path, &tokens[who], &Value::Null);
    let lines_of = |who: &str| {
        let listed = json_of(get("/api/v1/budget-lines", who));
        let rows = listed["budget_lines"].as_array().unwrap().iter();
        rows.map(|row| row["budget_line_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (lines_of("tree"), lines_of("unit")),
        (vec![String::from("L-other")], vec![String::from("L-own")])
    );
    let alerts = |who: &str| json_of(get("/api/v1/alerts", who))["alerts"].as_array().unwrap().len();
    assert_eq!((alerts("tree"), alerts("unit"), alerts("none")), (2, 2, 0));
    let findings = |who: &str| json_of(get("/api/v1/findings", who))["findings"].as_array().unwrap().len();
    assert!(findings("tree") > 2 && findings("none") == 0);
    let codes = |who: &str| {
        let page = json_of(get("/api/v1/codes/unit_code", who));
        page["codes"].as_array().unwrap().iter().map(|row| row["code"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(codes("tree"), [json!("88"), json!(OTHER)]);
    assert_eq!(codes("unit"), [json!(OWN)]);
}

#[test]
fn the_code_of_a_unit_outside_is_in_no_byte_of_any_answer() {
    let (bench, tokens) = bench();
    let daemon = fed(&bench, &tokens);

    let get = |path: &str, who: &str| ask(&daemon, "GET", path, &tokens[who], &Value::Null);
    let ids = |who: &str, list: &str, of: &str, id: &str| -> Vec<String> {
        let listed = json_of(get(&format!("/api/v1/{list}"), who));
        let rows = listed[of].as_array().unwrap().iter();
        rows.map(|row| row[id].as_str().unwrap().to_owned()).collect()
    };
    // Whoever is not limited sees both, so there is something to hide.
    let (every, own) =
        (ids("all", "alerts", "alerts", "alert_id"), ids("unit", "alerts", "alerts", "alert_id"));
    assert!(
        every.len() == 6 && own.len() == 2 && own.iter().all(|id| every.contains(id)),
        "{every:?} {own:?}"
    );
    assert_eq!(ids("region", "alerts", "alerts", "alert_id"), own);
    assert_eq!(ids("none", "alerts", "alerts", "alert_id"), [] as [&str; 0]);
    assert_eq!(ids("all", "budget-lines", "budget_lines", "budget_line_id").len(), 2);
    assert_eq!(ids("unit", "budget-lines", "budget_lines", "budget_line_id"), ["L-own"]);
    let found = |who: &str| ids(who, "findings", "findings", "finding_id").len();
    assert!(found("unit") > 2 && found("unit") * 2 < found("all") + 1, "{} {}", found("unit"), found("all"));
    assert_eq!((found("region"), found("none")), (found("unit"), 0));

    let mut asked = 0;
    for (_, path, _) in ROUTES.iter().filter(|(method, ..)| *method == "GET") {
        let ids = every.iter().map(String::as_str).chain(["L-own", "L-other", "1"]);
        let paths: Vec<String> = match path.contains("{id}") {
            true => ids.map(|id| path.replace("{id}", id)).collect(),
            false => ["", "?limit=1", "?unit=999888", "?unit_code=999888", "?payee=6222"]
                .map(|q| format!("{path}{q}"))
                .into(),
        };
        for path in paths {
            for who in ["unit", "region", "none"] {
                let (status, text) = get(&path, who);
                let hidden = [OTHER, "L-other", "650000"].iter().filter(|hidden| !path.contains(**hidden));
                for hidden in hidden {
                    assert!(!text.contains(hidden), "{who} {path} {status}: {text}");
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 150, "{asked}");
    // What is outside is not refused but missing, and nobody acts on it.
    let other = every.iter().find(|id| !own.contains(id)).unwrap();
    let act = |who: &str, id: &str| {
        let path = format!("/api/v1/alerts/{id}/transitions");
        ask(&daemon, "POST", &path, &tokens[who], &json!({"action": "acknowledge"})).0
    };
    assert_eq!(get(&format!("/api/v1/alerts/{other}"), "unit").0, 404);
    assert_eq!(get("/api/v1/budget-lines/L-other", "unit").0, 404);
    assert_eq!((act("unit", other), act("unit", &own[0]), act("all", other)), (404, 200, 200));
    let silence = json!({"matchers": ["rule=\"large-cash\""], "duration": "2h", "reason": "x"});
    let (status, text) = ask(&daemon, "POST", "/api/v1/silences", &tokens["unit"], &silence);
    assert!(status == 403 && text.contains("\"reason\":\"limited\""), "{text}");
}

/// Whoever is given an alert sees it, and what officers said of other units is in no number for those who are limited.
#[test]
fn an_alert_goes_to_nobody_for_whom_it_is_not_there() {
    let (bench, tokens) = bench();
    let codes = format!("{CONFIG}codes: {{ unit_code: {{ path: units.csv }} }}\n");
    crate::support::write(bench.path(), "fiscwatch.yaml", &codes);
    crate::support::write(
        bench.path(),
        "units.csv",
        &format!("code,name,parent\n555,上级,\n{OTHER},下级,555\n{OWN},别处,\n"),
    );
    let daemon = fed(&bench, &tokens);
    let get = |path: &str, who: &str| ask(&daemon, "GET", path, &tokens[who], &Value::Null);
    let of = |unit: &str| {
        let listed = json_of(get(&format!("/api/v1/alerts?rule=large-cash&unit={unit}"), "all"));
        listed["alerts"][0]["alert_id"].as_str().unwrap().to_owned()
    };
    let (own, other) = (of(OWN), of(OTHER));
    let act = |id: &str, what: Value| {
        ask(&daemon, "POST", &format!("/api/v1/alerts/{id}/transitions"), &tokens["all"], &what)
    };
    let assign = |id: &str, to: &str| act(id, json!({"action": "assign", "to": to, "why": "x"}));
    let (status, text) = assign(&other, "unit");
    assert!(
        status == 422 && text.contains("is limited to other units or regions than those of alert"),
        "{text}"
    );
    assert_eq!(assign(&own, "unit").0, 200);
    // By the table of units the other one stands below theirs.
    assert_eq!((assign(&other, "none").0, assign(&own, "none").0), (200, 422));
    assert_eq!(assign(&other, "all").0, 200);
    let shift = json!({"from": "all", "to": "unit"});
    assert_eq!(ask(&daemon, "POST", "/api/v1/alerts/hand-over", &tokens["all"], &shift).0, 422);

    let dismissed =
        |who: &str| json_of(get(&format!("/api/v1/alerts/{own}/worth"), who))["dismissed"].clone();
    let worth = |who: &str| json_of(get(&format!("/api/v1/alerts/{own}/worth"), who))["worth"].clone();
    let before = worth("unit");
    for action in ["acknowledge", "dismiss"] {
        let why = "卡 6222020000000022 属实";
        assert_eq!(act(&other, json!({"action": action, "why": why})).0, 200);
    }
    assert_eq!((dismissed("all"), dismissed("unit")), (json!(1), json!(0)));
    assert_eq!(worth("unit"), before);
    // What people write has accounts in it.
    let (_, shown) = get(&format!("/api/v1/alerts/{other}"), "all");
    assert!(shown.contains("卡 ****0022 属实") && !shown.contains("6222020000000022"), "{shown}");
}

/// A route that somebody adds is closed to whoever is limited until it keeps to the limits.
#[test]
fn routes_that_keep_to_limits_are_routes() {
    for route in WITHIN_LIMITS {
        assert!(ROUTES.iter().any(|(method, path, _)| (*method, *path) == *route), "{route:?}");
    }
}

#[test]
fn commands_read_everything_and_are_not_for_whoever_is_limited() {
    let (bench, _) = bench();
    let me = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    let me = String::from_utf8(me).unwrap().trim().to_owned();
    let limits = Limits::new(vec![String::from("101")], Vec::new()).unwrap();
    let roles = Roles::of_person([Role::Supervisor]).unwrap().limited_to(limits);
    Accounts::open(&bench.path().join("state"))
        .unwrap()
        .add_user(&me, &roles, &by(), Instant::from_micros(1))
        .unwrap();
    for command in [&["alerts", "list"][..], &["findings", "export"], &["state", "query", "SELECT 1"]] {
        let (code, out, err) = run(bench.path(), &[command, &["--config", "fiscwatch.yaml"]].concat());
        assert!(
            code == Some(1) && out.is_empty() && err.contains("are limited to unit:101"),
            "{command:?}: {err}"
        );
    }
}
