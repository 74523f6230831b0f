//! People in a browser: passwords, sessions, and what is done to them by others.

mod ends;
mod passwords;

use fiscwatch::{access::Actor, store::Accounts};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, run};

const CONFIG: &str = "state: { dir: state }
http: { listen: '127.0.0.1:0', auth: true }
log: { level: warn }
";

const PASSWORD: &str = "four words over tea";

const OTHER: &str = "a ship that nobody sees";

/// A bench without a state, where the first users are made by the command that makes the state too.
fn bench(config: &str, users: &[(&str, &str)]) -> Bench {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    std::fs::write(bench.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    for (name, role) in users {
        let args = ["user", "add", name, "--role", role, "--password-file", "password"];
        let (code, out, err) = run(bench.path(), &[&args[..], &["--config", "fiscwatch.yaml"]].concat());
        assert_eq!(code, Some(0), "{out}{err}");
    }
    bench
}

fn accounts(bench: &Bench) -> Accounts {
    Accounts::open(&bench.path().join("state")).unwrap()
}

fn by(who: &str) -> Actor {
    Actor { who: who.to_owned(), place: String::from("test") }
}

/// What a request is answered: status, headers, JSON.
struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The cookie that it sets, as a browser sends it back.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }
}

fn ask(daemon: &Daemon, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    ask_at(&daemon.address, method, path, headers, body)
}

/// The same from a thread that does not have the daemon.
fn ask_at(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = ureq::http::Request::builder().method(method).uri(format!("{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = request.header("content-type", "application/json").body(body).unwrap();
    let mut response = agent().run(request).unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.body_mut().read_to_string().unwrap_or_default(),
    }
}

fn log_in(daemon: &Daemon, user: &str, password: &str, headers: &[(&str, &str)]) -> Answer {
    log_in_at(&daemon.address, user, password, headers)
}

fn log_in_at(address: &str, user: &str, password: &str, headers: &[(&str, &str)]) -> Answer {
    let claim = json!({"user": user, "password": password});
    ask_at(address, "POST", "/api/v1/session", headers, &claim)
}

/// A session: its cookie and its token.
fn session(daemon: &Daemon, user: &str) -> (String, String) {
    let answer = log_in(daemon, user, PASSWORD, &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    (answer.cookie(), answer.json()["csrf"].as_str().unwrap().to_owned())
}

fn status_of(daemon: &Daemon, cookie: &str) -> u16 {
    ask(daemon, "GET", "/api/v1/alerts", &[("cookie", cookie)], &Value::Null).status
}

/// The audit log: who, place, action, subject, result.
fn audit(bench: &Bench) -> Vec<String> {
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let sql = "SELECT concat_ws('|', who, place, action, subject, result) FROM audit ORDER BY seq";
    let mut statement = database.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn somebody_logs_in_works_and_logs_out() {
    let bench = bench(CONFIG, &[("王芳", "officer")]);
    let daemon = Daemon::start(bench.path());
    let own = |headers: &[(&str, &str)]| ask(&daemon, "GET", "/api/v1/session", headers, &Value::Null);
    let nobody = own(&[]);
    assert_eq!(nobody.status, 200);
    let expected = json!({"auth": true, "user": null, "by": null, "roles": [], "units": [], "regions": [], "actions": [], "csrf": null,
                          "second_factor": null, "idle_until": null, "until": null, "single_sign_on": null, "offers": []});
    assert_eq!(nobody.json(), expected);

    for (user, password) in [("王芳", OTHER), ("王芳", ""), ("nobody-of-that-name", PASSWORD)] {
        let wrong = log_in(&daemon, user, password, &[]);
        assert_eq!((wrong.status, wrong.json()["reason"].as_str()), (401, Some("credentials")));
        assert_eq!(wrong.header("set-cookie"), "");
    }
    let begun = log_in(&daemon, "王芳", PASSWORD, &[]);
    assert_eq!(begun.status, 200, "{}", begun.body);
    let flags: Vec<_> = begun.header("set-cookie").split("; ").skip(1).collect();
    assert_eq!(flags, ["Path=/", "HttpOnly", "SameSite=Strict"]);
    let (cookie, told) = (begun.cookie(), begun.json());
    assert_eq!(
        (&told["user"], &told["by"], &told["roles"]),
        (&json!("王芳"), &json!("session"), &json!(["officer"]))
    );
    let actions = told["actions"].as_array().unwrap();
    assert!(actions.contains(&json!("alerts.work")) && !actions.contains(&json!("users.read")), "{told}");
    let again = own(&[("cookie", &format!("theme=dark; {cookie}"))]).json();
    assert_eq!(again, told, "the same is told later");

    // The browser sends the cookie by itself; a change needs what only a page of ours knows.
    let csrf = told["csrf"].as_str().unwrap();
    let act = |headers: &[(&str, &str)]| {
        let path = "/api/v1/alerts/nothing/transitions";
        ask(
            &daemon,
            "POST",
            path,
            &[&[("cookie", &*cookie)], headers].concat(),
            &json!({"action": "acknowledge"}),
        )
    };
    for wrong in [&[][..], &[("x-csrf-token", "")], &[("x-csrf-token", &csrf[1..])]] {
        let refused = act(wrong);
        assert_eq!((refused.status, refused.json()["reason"].as_str()), (403, Some("csrf")));
    }
    assert_eq!(act(&[("x-csrf-token", csrf)]).status, 404);
    let elsewhere = [("x-csrf-token", csrf), ("origin", "http://evil.example")];
    assert_eq!(act(&elsewhere).status, 403);
    assert_eq!(status_of(&daemon, &cookie), 200);

    let out = |headers: &[(&str, &str)]| ask(&daemon, "DELETE", "/api/v1/session", headers, &Value::Null);
    assert_eq!(out(&[("cookie", &cookie)]).status, 403);
    assert_eq!(status_of(&daemon, &cookie), 200);
    let ended = out(&[("cookie", &cookie), ("x-csrf-token", csrf)]);
    assert!(ended.status == 204 && ended.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(status_of(&daemon, &cookie), 401);
    assert_eq!(own(&[("cookie", &cookie)]).json(), expected);

    let audit = audit(&bench);
    let (id, secret) = cookie.split_once('=').unwrap().1.split_once('_').unwrap();
    for record in [
        String::from("|127.0.0.1|sessions.begin|王芳|wrong"),
        String::from("|127.0.0.1|sessions.begin||wrong"),
        format!("王芳|127.0.0.1|sessions.begin|{id}|done"),
        format!("王芳|127.0.0.1|sessions.end|{id}|done"),
    ] {
        assert!(audit.contains(&record), "{record}: {audit:?}");
    }
    let (code, log) = daemon.end("-TERM");
    assert_eq!(code, Some(0), "{log}");
    // Nothing of what they typed, nor of the cookie, is anywhere.
    let kept = ["fiscwatch.db", "fiscwatch.db-wal"]
        .map(|file| std::fs::read(bench.path().join("state").join(file)).unwrap_or_default());
    for hidden in [PASSWORD, OTHER, secret, csrf, "nobody-of-that-name"] {
        assert!(!log.contains(hidden), "the log has {hidden}");
        let is_in = |bytes: &Vec<u8>| bytes.windows(hidden.len()).any(|part| part == hidden.as_bytes());
        assert!(!kept.iter().any(is_in), "the state has {hidden}");
    }
    let (code, out, err) = run(bench.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn where_nobody_is_asked_nobody_logs_in() {
    let bench = Bench::new("", "");
    let daemon = Daemon::start(bench.path());
    let own = ask(&daemon, "GET", "/api/v1/session", &[], &Value::Null).json();
    assert_eq!((&own["auth"], &own["user"]), (&json!(false), &Value::Null));
    assert!(own["actions"].as_array().unwrap().contains(&json!("users.manage")), "{own}");
    assert_eq!(log_in(&daemon, "王芳", PASSWORD, &[]).status, 409);
}
