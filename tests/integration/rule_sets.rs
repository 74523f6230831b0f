//! Rules come into force after one person has proposed and another one has approved them.

use std::path::Path;

use fiscwatch::{
    access::{Actor, Role, Roles, SealKey},
    approval::Office,
    event::Instant,
    rule::manifest::RuleManifest,
    store::{Accounts, RuleSets, TokenSpec},
};
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, fiscwatch, run, write};

const CONFIG: &str = "state: { dir: state }
http: { listen: '127.0.0.1:0', auth: true }
rules: { paths: [rules], require_approval: true }
log: { level: warn }
";

fn rule(limit: u32) -> String {
    format!(
        "rules: [{{ id: large, title: t, severity: low, trigger: payment, when: amount > {limit}, key: [event_id] }}]\n"
    )
}

fn bench() -> Bench {
    let bench = Bench::new("", "");
    write(bench.path(), "fiscwatch.yaml", CONFIG);
    std::fs::remove_dir_all(bench.path().join("rules")).unwrap_or_default();
    write(bench.path(), "rules/rules.yaml", &rule(1));
    bench
}

fn command(bench: &Bench, words: &[&str]) -> (Option<i32>, String, String) {
    run(bench.path(), &[words, &["--config", "fiscwatch.yaml"]].concat())
}

fn me() -> String {
    let asked = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}

fn by(who: &str) -> Actor {
    Actor { who: who.to_owned(), place: String::from("test") }
}

/// Has acts signed with the key of the state.
fn office(bench: &Bench) -> Office {
    let key = std::fs::read_to_string(bench.path().join("state/audit.key")).unwrap();
    Office { key: SealKey::read(&key), ..Office::default() }
}

fn audit(bench: &Bench, action: &str) -> Vec<(String, String)> {
    let database = rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let sql = "SELECT who, subject FROM audit WHERE action = ?1 ORDER BY seq";
    let mut statement = database.prepare(sql).unwrap();
    statement
        .query_map([action], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn a_start_with_rules_that_nobody_approved_is_refused_and_says_what_to_do() {
    let bench = bench();
    let start = || command(&bench, &["run", "--once"]);
    let (code, _, err) = start();
    assert!(code == Some(1) && err.contains("nobody has proposed these rules"), "{err}");
    assert!(err.contains("fiscwatch rules propose --reason"), "{err}");

    // Before the first start there is no state, and no user in it.
    let (code, out, err) = command(&bench, &["rules", "propose", "--reason", "the first rules", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let set: Value = serde_json::from_str(&out).unwrap();
    let digest = set["digest"].as_str().unwrap();
    assert_eq!((digest.len(), &set["state"], &set["proposed_by"]), (64, &json!("proposed"), &json!(me())));
    let (code, _, err) = start();
    assert!(code == Some(1) && err.contains("are not approved"), "{err}");
    assert!(err.contains(&format!("fiscwatch rules approve {}", &digest[..12])), "{err}");
    let (code, _, err) = command(&bench, &["rules", "propose", "--reason", "again"]);
    assert!(code == Some(1) && err.contains("proposed already, by"), "{err}");

    // Never one's own.
    let (code, _, err) = command(&bench, &["rules", "approve", &digest[..8]]);
    assert!(code == Some(1) && err.contains("nobody approves what they themselves proposed"), "{err}");
    assert_eq!(start().0, Some(1));
    // What a command does afterwards is done only if all that was done before is signed.
    let mut sets = RuleSets::open(&bench.path().join("state")).unwrap().judged_by(office(&bench));
    sets.approve(digest, &by("陈静"), Instant::from_micros(7)).unwrap();
    assert_eq!(start().0, Some(0));
    assert!(
        sets.approve(digest, &by("李雷"), Instant::from_micros(8))
            .unwrap_err()
            .to_string()
            .contains("approved already")
    );

    // Another file, another constant of the configuration, another rule: another set. The folder's name is none of it.
    std::fs::rename(bench.path().join("rules"), bench.path().join("rules.next")).unwrap();
    let moved = CONFIG.replace("[rules]", "[rules.next]");
    write(bench.path(), "fiscwatch.yaml", &moved);
    assert_eq!(start().0, Some(0));
    let changed = moved.replace("true }", "true, overrides: { large: { mode: shadow } } }").replacen(
        "auth: true, overrides: { large: { mode: shadow } } }",
        "auth: true }",
        1,
    );
    write(bench.path(), "fiscwatch.yaml", &changed);
    let (code, _, err) = start();
    assert!(code == Some(1) && err.contains("nobody has proposed these rules"), "{err}");
    write(bench.path(), "fiscwatch.yaml", &moved);
    write(bench.path(), "rules.next/rules.yaml", &rule(2));
    assert_eq!(start().0, Some(1));
    let (_, out, _) = command(&bench, &["rules", "status"]);
    assert!(out.contains("are not proposed"), "{out}");
    write(bench.path(), "rules.next/rules.yaml", &rule(1));
    assert_eq!(start().0, Some(0));

    // An approval that is taken back is worth nothing at the next start.
    let (code, _, err) = command(&bench, &["rules", "withdraw", &digest[..8]]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(start().0, Some(1));
    let told = |who: &str| vec![(who.to_owned(), digest.to_owned())];
    assert_eq!(audit(&bench, "rules.propose"), told(&me()));
    assert_eq!(audit(&bench, "rules.approve"), told("陈静"));
    assert_eq!(audit(&bench, "rules.withdraw"), told(&me()));
    let (code, out, err) = command(&bench, &["state", "verify"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn a_reload_keeps_the_old_rules_until_an_approver_has_approved_the_new_ones() {
    let bench = bench();
    assert_eq!(command(&bench, &["rules", "propose", "--reason", "first"]).0, Some(0));
    let state = bench.path().join("state");
    let mut sets = RuleSets::open(&state).unwrap();
    let first = sets.all().unwrap()[0].digest.clone();
    sets.approve(&first, &by("陈静"), Instant::from_micros(1)).unwrap();
    let mut accounts = Accounts::open(&state).unwrap();
    let mut token = |name: &str, roles: &[Role]| {
        let roles = Roles::of_person(roles.iter().copied()).unwrap();
        accounts.add_user(name, &roles, &by("test"), Instant::from_micros(1)).unwrap();
        let owner = Some(name.to_owned());
        let spec = TokenSpec {
            name: name.to_owned(),
            owner,
            roles: Roles::default(),
            expires_at: fiscwatch::event::Instant::MAX,
        };
        accounts.add_token(&spec, &by("test"), Instant::from_micros(1)).unwrap().text
    };
    let author = token("赵敏", &[Role::Author]);
    let approver = token("陈静", &[Role::Approver]);
    let both = token("周磊", &[Role::Author, Role::Approver]);

    let daemon = Daemon::start(bench.path());
    let ask = |token: &str, method: &str, path: &str, body: &str| {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", daemon.address))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let mut answer = agent().run(request.body(body.to_owned()).unwrap()).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default())
    };
    let in_force = || {
        let list: Value = serde_json::from_str(&ask(&author, "GET", "/api/v1/rule-sets", "").1).unwrap();
        list["in_force"].as_str().unwrap().to_owned()
    };
    assert_eq!(in_force(), first);
    write(bench.path(), "rules/rules.yaml", &rule(2));
    let (status, body) = ask(&approver, "POST", "/-/reload", "");
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("the old rules stay in force") && body.contains("rules propose"), "{body}");
    let propose = |token: &str, reason: &str| {
        ask(token, "POST", "/api/v1/rule-sets", &json!({ "reason": reason }).to_string())
    };
    assert_eq!(propose(&approver, "x").0, 403, "an approver proposes nothing");
    let (status, body) = propose(&both, "a higher limit");
    assert_eq!(status, 201, "{body}");
    let second: Value = serde_json::from_str(&body).unwrap();
    let second = second["digest"].as_str().unwrap();
    let approval = format!("/api/v1/rule-sets/{second}/approval");
    assert_eq!(ask(&author, "POST", &approval, "").0, 403, "an author approves nothing");
    let (status, body) = ask(&both, "POST", &approval, "");
    assert!(status == 409 && body.contains("themselves proposed"), "{status} {body}");
    assert_eq!(ask(&approver, "POST", "/-/reload", "").0, 422);
    assert_eq!(in_force(), first);
    let (status, body) = ask(&approver, "POST", &approval, "");
    assert!(status == 200 && body.contains("\"approved_by\":\"陈静\""), "{status} {body}");
    let (status, body) = ask(&approver, "POST", "/-/reload", "");
    assert_eq!(status, 200, "{body}");
    assert_eq!(in_force(), second);

    // What is taken back stays in force until then.
    assert_eq!(ask(&approver, "DELETE", &approval, "").0, 200);
    assert_eq!(ask(&approver, "POST", "/-/reload", "").0, 422);
    assert_eq!(in_force(), second);
    // What differs is told to whoever approves.
    let (_, out, err) = command(&bench, &["rules", "show", second, "--json"]);
    assert!(out.contains(r#"{"change":"changed","part":"rules.yaml"}"#), "{out}{err}");
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn an_approval_needs_people_who_are_told_apart() {
    let bench = bench();
    write(bench.path(), "fiscwatch.yaml", &CONFIG.replace(", auth: true", ""));
    let (code, _, err) = command(&bench, &["check"]);
    assert!(code == Some(1) && err.contains("rules.require_approval needs http.auth: true"), "{err}");
}

/// Killed between a proposal or an approval and its record, the state has neither.
#[test]
fn a_proposal_and_an_approval_are_there_with_their_records_or_not_at_all() {
    let bench = bench();
    let rows = |sql: &str| -> i64 {
        let database = rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let state = bench.path().join("state");
    drop(RuleSets::open_or_make(&state).unwrap());
    write(&state, "audit.key", &"4f".repeat(32));
    let mut sets = RuleSets::open(&state).unwrap().judged_by(office(&bench));
    let digest = sets
        .propose((&RuleManifest::default(), None), "somebody's", &by("赵敏"), Instant::from_micros(1))
        .unwrap()
        .digest;
    let acts: [(&[&str], &str); 2] = [
        (&["rules", "propose", "--reason", "x"], "SELECT count(*) FROM rule_sets"),
        (&["rules", "approve", &digest], "SELECT count(*) FROM rule_sets WHERE approved_at IS NOT NULL"),
    ];
    for (act, done) in acts {
        let before = (rows(done), rows("SELECT count(*) FROM audit"));
        for failpoint in ["audit.record=abort", "audit.recorded=abort"] {
            let killed = fiscwatch()
                .current_dir(bench.path())
                .args([act, &["--config", "fiscwatch.yaml"]].concat())
                .env("FAILPOINT", failpoint)
                .output()
                .unwrap();
            assert!(!killed.status.success(), "{act:?} {failpoint}");
            assert_eq!((rows(done), rows("SELECT count(*) FROM audit")), before, "{act:?} {failpoint}");
        }
        let (code, _, err) = command(&bench, act);
        assert_eq!(code, Some(0), "{act:?}: {err}");
        assert_eq!((rows(done), rows("SELECT count(*) FROM audit")), (before.0 + 1, before.1 + 1), "{act:?}");
    }
}

#[test]
fn a_pack_is_signed_and_checked() {
    let bench = bench();
    let (code, out, err) = run(bench.path(), &["rules", "sign", "rules", "--key", "pack.key"]);
    assert_eq!(code, Some(0), "{err}");
    let key = out.split_whitespace().find(|word| word.trim_end_matches(';').len() == 64).unwrap();
    let key = key.trim_end_matches(';');
    let verify = || run(bench.path(), &["rules", "verify", "rules", "--key", key]);
    assert_eq!(verify().0, Some(0), "{}", verify().2);
    // The signature changes nothing of what runs.
    let (_, out, _) = command(&bench, &["check"]);
    assert!(!out.contains("pack.sig"), "{out}");
    write(bench.path(), "rules/rules.yaml", &rule(3));
    let (code, _, err) = verify();
    assert!(code == Some(1) && err.contains("rules.yaml (changed)"), "{err}");
    let secret = std::fs::read_to_string(bench.path().join("pack.key")).unwrap();
    let signature = std::fs::read_to_string(bench.path().join("rules/pack.sig")).unwrap();
    assert!(!signature.contains(secret.trim()) && !err.contains(secret.trim()));
}

/// Somebody with these roles, by a token.
fn token(state: &Path, name: &str, role: Role) -> String {
    let mut accounts = Accounts::open(state).unwrap();
    let roles = Roles::of_person([role]).unwrap();
    accounts.add_user(name, &roles, &by("test"), Instant::from_micros(1)).unwrap();
    let owner = Some(name.to_owned());
    let spec = TokenSpec {
        name: name.to_owned(),
        owner,
        roles: Roles::default(),
        expires_at: fiscwatch::event::Instant::MAX,
    };
    accounts.add_token(&spec, &by("test"), Instant::from_micros(1)).unwrap().text
}

fn ask(daemon: &Daemon, token: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", daemon.address))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    let mut answer = agent().run(request.body(body.to_owned()).unwrap()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[test]
fn constants_from_the_lab_come_into_force_without_a_restart_and_outlive_one() {
    let bench = bench();
    let state = bench.path().join("state");
    let constant = "rules: [{ id: large, title: t, severity: low, trigger: payment, when: amount > $limit, params: { limit: 1000 }, key: [event_id] }]\n";
    write(bench.path(), "rules/rules.yaml", constant);
    assert_eq!(command(&bench, &["rules", "propose", "--reason", "first"]).0, Some(0));
    let mut sets = RuleSets::open(&state).unwrap();
    let first = sets.all().unwrap()[0].digest.clone();
    sets.approve(&first, &by("陈静"), Instant::from_micros(1)).unwrap();
    let [author, approver] =
        [("赵敏", Role::Author), ("陈静", Role::Approver)].map(|(name, role)| token(&state, name, role));
    let daemon = Daemon::start(bench.path());
    let limit =
        |daemon: &Daemon| ask(daemon, &author, "GET", "/api/v1/rules/large", "").1["params"]["limit"].clone();
    assert_eq!(limit(&daemon), "1000");
    let propose = |value: &str| {
        let body =
            json!({ "reason": "as the circular of May has it", "params": { "large": { "limit": value } } });
        ask(&daemon, &author, "POST", "/api/v1/rule-sets", &body.to_string())
    };
    assert_eq!(propose("much").0, 422);
    let (status, set) = propose("5");
    assert_eq!((status, &set["params"]), (201, &json!({ "large": { "limit": "5" } })), "{set}");
    assert_eq!(propose("5").0, 409, "it is proposed already");
    let set = set["digest"].as_str().unwrap();
    let (approval, force) =
        (format!("/api/v1/rule-sets/{set}/approval"), format!("/api/v1/rule-sets/{set}/force"));
    let listed = ask(&daemon, &approver, "GET", "/api/v1/rule-sets", "").1;
    let change = json!([{ "part": "rules.lab.large.params.limit", "change": "added", "before": "\"1000\"", "after": "\"5\"" }]);
    let entry =
        listed["sets"].as_array().unwrap().iter().find(|entry| entry["set"]["digest"] == set).unwrap();
    assert_eq!((&entry["changes"], &entry["is_in_force"]), (&change, &json!(false)), "{listed}");

    assert_eq!(ask(&daemon, &author, "POST", &force, "").0, 403, "who writes rules puts none into force");
    assert_eq!(ask(&daemon, &approver, "POST", &force, "").0, 409, "it is not approved");
    assert_eq!(ask(&daemon, &approver, "POST", &approval, "").0, 200);
    assert_eq!(limit(&daemon), "1000", "an approval changes nothing by itself");
    // Files that have gone on since are no longer what was approved.
    write(bench.path(), "rules/rules.yaml", &format!("{constant}# another day\n"));
    let (status, why) = ask(&daemon, &approver, "POST", &force, "");
    assert!(status == 409 && why.to_string().contains("propose again"), "{status} {why}");
    assert_eq!(limit(&daemon), "1000");
    write(bench.path(), "rules/rules.yaml", constant);
    let (status, now) = ask(&daemon, &approver, "POST", &force, "");
    assert_eq!((status, &now["in_force"]), (200, &json!(set)), "{now}");
    assert_eq!(limit(&daemon), "5");

    // A reload and a restart keep it; the command line counts it too.
    assert_eq!(ask(&daemon, &approver, "POST", "/-/reload", "").0, 200);
    assert_eq!(limit(&daemon), "5");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (_, out, err) = command(&bench, &["rules", "status"]);
    assert!(out.contains("are approved"), "{out}{err}");
    let daemon = Daemon::start(bench.path());
    assert_eq!(limit(&daemon), "5");
    // Taken back, what was before it comes back with the next reload.
    assert_eq!(ask(&daemon, &approver, "DELETE", &approval, "").0, 200);
    assert_eq!(ask(&daemon, &approver, "POST", "/-/reload", "").0, 200);
    assert_eq!(limit(&daemon), "1000");
    assert_eq!(audit(&bench, "rules.adopt"), [(String::from("陈静"), set.to_owned())]);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn a_constant_of_the_lab_that_a_rule_has_no_more_is_left_out() {
    let bench = bench();
    let state = bench.path().join("state");
    let [author, approver] = [("赵敏", Role::Author), ("陈静", Role::Approver)];
    write(bench.path(), "fiscwatch.yaml", &CONFIG.replace(", require_approval: true", ""));
    let constant = "rules: [{ id: large, title: t, severity: low, trigger: payment, when: amount > $limit, params: { limit: 1000 }, key: [event_id] }]\n";
    write(bench.path(), "rules/rules.yaml", constant);
    drop(RuleSets::open_or_make(&state).unwrap());
    let [author, approver] = [author, approver].map(|(name, role)| token(&state, name, role));
    let daemon = Daemon::start(bench.path());
    let body = json!({ "reason": "less", "params": { "large": { "limit": "5" } } });
    let (status, set) = ask(&daemon, &author, "POST", "/api/v1/rule-sets", &body.to_string());
    assert_eq!(status, 201, "{set}");
    let digest = set["digest"].as_str().unwrap();
    for step in ["approval", "force"] {
        let path = format!("/api/v1/rule-sets/{digest}/{step}");
        assert_eq!(ask(&daemon, &approver, "POST", &path, "").0, 200, "{step}");
    }
    write(bench.path(), "rules/rules.yaml", &rule(7));
    let (status, said) = ask(&daemon, &approver, "POST", "/-/reload", "");
    assert_eq!(status, 200, "{said}");
    let (_, now) = ask(&daemon, &author, "GET", "/api/v1/rules/large", "");
    assert_eq!((&now["when"], &now["params"]), (&json!("amount > 7"), &json!({})), "{now}");
    let (code, log) = daemon.end("-TERM");
    assert!(code == Some(0) && log.contains("left out"), "{log}");
}
