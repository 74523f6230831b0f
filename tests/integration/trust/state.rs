//! A state with rows in every table.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use fiscwatch::{
    access::{Actor, LinkKey},
    alert::{Action, Desk, Policy, casework::Terms, desk::Order, inquiry::Letter, policy::Explain},
    event::Instant,
    rule::{Language, manifest::RuleManifest},
    store::{Accounts, Audit, Cases, External, RuleSets, Upload},
};
use serde_json::json;

use crate::support::{Bench, Daemon, agent, calendar, lines, payment, random_events, run};

/// Sinks that take nothing and routes that wait, so that notifications and the outbox hold something.
pub(super) const CONFIG: &str = "
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

pub(super) fn succeeds(dir: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(dir, &[args, &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    out
}

/// A state with rows in every table.
pub(super) fn full() -> Bench {
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
        let mut file = Upload::begin(&state, 1000).unwrap();
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
            RuleManifest::read(&format!("{{\"rules.lab.large-cash.params.limit\":\"{limit}\"}}")).unwrap();
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
