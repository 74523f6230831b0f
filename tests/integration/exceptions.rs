//! 例外: what officers dismissed again and again suggests an exception; one person proposes it, another approves it, and it
//! comes into force while the daemon goes on, until a day.

use std::path::Path;

use fiscwatch::{
    access::{Actor, Role, Roles},
    event::Instant,
    store::{Accounts, Audit, TokenSpec},
};
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, lines, payment, run, write};

const CONFIG: &str = "state: { dir: state }
http: { listen: '127.0.0.1:0', auth: true }
rules: { paths: [rules] }
log: { level: warn }
";
/// The second judges nothing that has a unit.
const RULES: &str = "
rules:
  - { id: large, title: large, severity: low, trigger: payment, when: amount > 1, key: [event_id] }
  - id: daily
    title: daily
    severity: low
    trigger: schedule
    cron: '0 0 1 * *'
    sql: SELECT payee_account, count(*) AS n FROM payments GROUP BY payee_account HAVING count(*) > 1000
    key: [payee_account]
";

fn token(state: &Path, name: &str, role: Role) -> String {
    let mut accounts = Accounts::open(state).unwrap();
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let (owner, roles) = match Roles::of_program([role]) {
        Ok(roles) => (None, roles),
        Err(_) => {
            accounts
                .add_user(name, &Roles::of_person([role]).unwrap(), &by, Instant::from_micros(1))
                .unwrap();
            (Some(name.to_owned()), Roles::default())
        }
    };
    let spec = TokenSpec { name: name.to_owned(), owner, roles, expires_at: fiscwatch::event::Instant::MAX };
    accounts.add_token(&spec, &by, Instant::from_micros(1)).unwrap().text
}

struct Office {
    bench: Bench,
    daemon: Daemon,
    officer: String,
    author: String,
    approver: String,
    ingest: String,
}

impl Office {
    fn open() -> Self {
        let bench = Bench::new("", "");
        write(bench.path(), "fiscwatch.yaml", CONFIG);
        write(bench.path(), "rules/rules.yaml", RULES);
        let (code, out, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{out}{err}");
        let state = bench.path().join("state");
        let of = |name, role| token(&state, name, role);
        let (officer, author) = (of("王芳", Role::Supervisor), of("赵敏", Role::Author));
        let (approver, ingest) = (of("陈静", Role::Approver), of("feed", Role::Ingest));
        let daemon = Daemon::start(bench.path());
        Self { bench, daemon, officer, author, approver, ingest }
    }

    fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/api/v1/{path}", self.daemon.address))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut answer = agent().run(request.body(body).unwrap()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(&self.officer, "GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Payments of a unit; gives how many findings there are then.
    fn pay(&self, unit: &str, ids: &[String]) -> usize {
        let events: Vec<Value> = ids
            .iter()
            .map(|id| {
                let mut event = payment(id, "L1", "100.00");
                event["unit_code"] = json!(unit);
                event
            })
            .collect();
        let request = agent().post(format!("{}/api/v1/events", self.daemon.address));
        let request = request.header("authorization", format!("Bearer {}", self.ingest));
        assert_eq!(request.send(lines(&events)).unwrap().status(), 200);
        self.get("findings?limit=1000")["findings"].as_array().unwrap().len()
    }

    fn dismiss(&self, count: usize) {
        let found = self.get("alerts?state=open&rule=large&limit=200");
        let alerts: Vec<Value> = found["alerts"].as_array().unwrap().iter().take(count).cloned().collect();
        assert_eq!(alerts.len(), count);
        let alerts: Vec<_> = alerts.iter().map(|alert| json!({ "alert_id": alert["alert_id"] })).collect();
        for (action, why) in [("acknowledge", Value::Null), ("dismiss", json!("in order"))] {
            let order = json!({ "action": action, "why": why, "alerts": alerts });
            let (status, answer) = self.ask(&self.officer, "POST", "alerts/transitions", &order);
            assert_eq!((status, &answer["failed"]), (200, &json!(0)), "{answer}");
        }
    }

    fn of_unit(&self) -> Value {
        let alert = &self.get("alerts?unit=101001&limit=1")["alerts"][0];
        self.get(&format!("alerts/{}/worth", alert["alert_id"].as_str().unwrap()))["of_unit"].clone()
    }
}

fn ids(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("p{n}")).collect()
}

#[test]
fn verdicts_suggest_an_exception_that_two_people_put_into_force() {
    let office = Office::open();
    assert_eq!(office.pay("101001", &ids(0, 12)), 12);
    office.dismiss(11);
    assert_eq!(office.of_unit()["suggests_exception"], false);
    office.dismiss(1);
    let of_unit = office.of_unit();
    assert_eq!(
        (&of_unit["dismissed"], &of_unit["suggests_exception"]),
        (&json!(12), &json!(true)),
        "{of_unit}"
    );
    let suggested = json!([{ "rule": "large", "unit": "101001", "name": null, "dismissed": 12 }]);
    assert_eq!(office.get("reports/service")["exceptions"], suggested);

    let propose = |token: &str, rule: &str, unit: &str, until: &str| {
        let body = json!({ "unit": unit, "until": until, "reason": "paid by contract" });
        office.ask(token, "POST", &format!("rules/{rule}/exceptions"), &body)
    };
    assert_eq!(propose(&office.officer, "large", "101001", "2099-01-01").0, 403, "authors propose");
    assert_eq!(propose(&office.approver, "large", "101001", "2099-01-01").0, 403);
    assert_eq!(propose(&office.author, "nothing", "101001", "2099-01-01").0, 404);
    for (rule, unit, until) in [
        ("large", "101001", "2020-01-01"),
        ("large", "101001", "soon"),
        ("large", "", "2099-01-01"),
        ("large", "x' OR 'a' = 'a", "2099-01-01"),
        ("daily", "101001", "2099-01-01"),
    ] {
        let (status, why) = propose(&office.author, rule, unit, until);
        assert_eq!(status, 422, "{rule} {unit:?} {until}: {why}");
    }
    let (status, set) = propose(&office.author, "large", "101001", "2099-01-01");
    assert_eq!(status, 201, "{set}");
    let set = set["digest"].as_str().unwrap();
    let listed = office.ask(&office.approver, "GET", "rule-sets", &Value::Null).1;
    let changes = &listed["sets"][0]["changes"];
    assert_eq!(changes[0]["part"], "rules.lab.large.exceptions.101001", "{listed}");
    assert_eq!(changes[0]["after"], "unit_code = '101001' < 2099-01-01: paid by contract");

    let (approval, force) = (format!("rule-sets/{set}/approval"), format!("rule-sets/{set}/force"));
    assert_eq!(office.ask(&office.author, "POST", &approval, &Value::Null).0, 403, "not by who proposed it");
    assert_eq!(office.ask(&office.approver, "POST", &force, &Value::Null).0, 409, "it is not approved");
    assert_eq!(office.ask(&office.approver, "POST", &approval, &Value::Null).0, 200);
    assert_eq!(office.pay("101001", &ids(12, 13)), 13, "an approval changes nothing by itself");
    assert_eq!(office.ask(&office.approver, "POST", &force, &Value::Null).0, 200);

    // In force without a restart, for that unit alone.
    assert_eq!(office.pay("101001", &ids(13, 15)), 13);
    assert_eq!(office.pay("102001", &ids(15, 16)), 14);
    let rule = office.get("rules/large");
    assert_eq!(rule["exceptions"][0]["when"], "unit_code = '101001'", "{rule}");
    assert_eq!(office.get("reports/service")["exceptions"], json!([]), "what is excepted is not suggested");
    assert_eq!(office.of_unit()["excepted_until"], "2099-01-01");

    // A pack of a finding that is made with the exception in force carries it, and is made again.
    let other = office.get("alerts?unit=102001")["alerts"][0]["alert_id"].clone();
    let dir = office.bench.path();
    let args =
        ["evidence", other.as_str().unwrap(), "-o", "case.zip", "--unmasked", "--config", "fiscwatch.yaml"];
    let (code, out, err) = run(dir, &args);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, _) = run(dir, &["evidence", "verify", "case.zip", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, report["same"].as_array().unwrap().len()), (Some(0), 1), "{report}");

    // The log is exported while the daemon goes on.
    let (code, out, err) = run(dir, &["audit", "export", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(0) && out.contains("rules.adopt"), "{out}{err}");
    assert_eq!(office.daemon.stop("-TERM"), Some(0));
    let log = Audit::open_read_only(&dir.join("state")).unwrap().after(0, 1000).unwrap();
    let done: Vec<_> = log
        .iter()
        .filter(|entry| entry.action.starts_with("rules.") && entry.subject == set)
        .map(|entry| (&*entry.who, &*entry.action))
        .collect();
    assert_eq!(done, [("赵敏", "rules.propose"), ("陈静", "rules.approve"), ("陈静", "rules.adopt")]);
    // A restart keeps it.
    let office = Office { daemon: Daemon::start(office.bench.path()), ..office };
    assert_eq!(office.pay("101001", &ids(16, 17)), 14);
    assert_eq!(office.daemon.stop("-TERM"), Some(0));
}

/// Rules go on without an exception that does not fit them any more: too much is found then, and nothing is missed.
#[test]
fn an_exception_that_its_rule_outgrew_is_left_out() {
    let office = Office::open();
    let body = json!({ "unit": "101001", "until": "2099-01-01", "reason": "r" });
    let (status, set) = office.ask(&office.author, "POST", "rules/large/exceptions", &body);
    assert_eq!(status, 201, "{set}");
    let path = format!("rule-sets/{}", set["digest"].as_str().unwrap());
    for step in ["approval", "force"] {
        let done = office.ask(&office.approver, "POST", &format!("{path}/{step}"), &Value::Null);
        assert_eq!(done.0, 200, "{step}: {}", done.1);
    }
    assert_eq!(office.pay("101001", &ids(0, 1)), 0);
    let changed = RULES.replace("id: large, title: large", "id: other, title: other");
    write(office.bench.path(), "rules/rules.yaml", &changed.replace("id: daily", "id: large"));
    assert_eq!(office.daemon.stop("-TERM"), Some(0));
    let office = Office { daemon: Daemon::start(office.bench.path()), ..office };
    assert_eq!(
        office.pay("101001", &ids(1, 2)),
        1,
        "the rule of another id, and a schedule that knows no unit"
    );
    assert_eq!(office.daemon.stop("-TERM"), Some(0));
}
