//! People in a browser: passwords, sessions, and what is done to them by others.

use std::{process::Stdio, time::Duration};

use fiscwatch::{
    access::{Actor, Role, Roles},
    event::Instant,
    store::{Accounts, TokenSpec},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, fiscwatch, run, wait_until};

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
fn whatever_changes_what_somebody_may_ends_their_sessions_at_once() {
    let bench = bench(CONFIG, &[("safe", "security"), ("王芳", "officer")]);
    let mut accounts = accounts(&bench);
    let daemon = Daemon::start(bench.path());
    let roles = |role: Role| Roles::of_person([role, Role::Approver]).unwrap();
    let acts: [(&str, &mut dyn FnMut()); 3] = [
        ("roles", &mut || {
            accounts.set_roles("王芳", &roles(Role::Officer), &by("safe"), Instant::from_micros(5)).unwrap();
        }),
        ("password", &mut || {
            let args =
                ["user", "password", "王芳", "--password-file", "password", "--config", "fiscwatch.yaml"];
            let (code, out, err) = run(bench.path(), &args);
            assert_eq!(code, Some(0), "{out}{err}");
        }),
        ("disable", &mut || {
            Accounts::open(&bench.path().join("state"))
                .unwrap()
                .set_enabled("王芳", false, &by("safe"), Instant::from_micros(6))
                .unwrap();
        }),
    ];
    for (what, act) in acts {
        let [one, two] = [(); 2].map(|()| session(&daemon, "王芳").0);
        assert_eq!((status_of(&daemon, &one), status_of(&daemon, &two)), (200, 200), "{what}");
        act();
        assert_eq!((status_of(&daemon, &one), status_of(&daemon, &two)), (401, 401), "{what}");
    }
    assert_eq!(log_in(&daemon, "王芳", PASSWORD, &[]).status, 401, "whoever is disabled does not log in");

    // Whoever manages users sees who is logged in, and ends it; others see nothing of it.
    Accounts::open(&bench.path().join("state"))
        .unwrap()
        .set_enabled("王芳", true, &by("safe"), Instant::from_micros(7))
        .unwrap();
    let ((cookie, csrf), (safe, safe_csrf)) = (session(&daemon, "王芳"), session(&daemon, "safe"));
    let list = |cookie: &str| ask(&daemon, "GET", "/api/v1/sessions", &[("cookie", cookie)], &Value::Null);
    assert_eq!(list(&cookie).status, 403);
    let sessions = list(&safe).json();
    let of = |user: &str| {
        let all = sessions["sessions"].as_array().unwrap();
        all.iter().find(|session| session["user"] == user).unwrap().clone()
    };
    assert_eq!(of("王芳")["place"], "127.0.0.1");
    assert!(of("safe")["idle_until"].as_str().unwrap() > of("safe")["began_at"].as_str().unwrap());
    let path = format!("/api/v1/sessions/{}", of("王芳")["id"].as_str().unwrap());
    let expel = |cookie: &str, csrf: &str| {
        ask(&daemon, "DELETE", &path, &[("cookie", cookie), ("x-csrf-token", csrf)], &Value::Null).status
    };
    assert_eq!(expel(&cookie, &csrf), 403);
    assert_eq!(expel(&safe, &safe_csrf), 204);
    assert_eq!(expel(&safe, &safe_csrf), 404);
    assert_eq!(status_of(&daemon, &cookie), 401);
    let id = of("王芳")["id"].as_str().unwrap().to_owned();
    assert!(audit(&bench).contains(&format!("safe|127.0.0.1|sessions.end|{id}|done")));
}

/// A stream lasts for minutes; who may no longer read has none of them.
#[test]
fn a_stream_ends_soon_after_its_reader_may_no_longer() {
    let bench = bench(CONFIG, &[("safe", "security"), ("王芳", "officer"), ("李强", "officer")]);
    let daemon = Daemon::start(bench.path());
    let open = |user: &str| {
        let request = ureq::http::Request::get(format!("{}/api/v1/stream", daemon.address))
            .header("cookie", session(&daemon, user).0);
        let mut answer = agent().run(request.body(()).unwrap()).unwrap();
        assert_eq!(answer.status(), 200);
        std::thread::spawn(move || {
            let _ = answer.body_mut().read_to_string();
            std::time::Instant::now()
        })
    };
    let (disabled, stays) = (open("王芳"), open("李强"));
    accounts(&bench).set_enabled("王芳", false, &by("safe"), Instant::from_micros(6)).unwrap();
    let at = std::time::Instant::now();
    assert!(disabled.join().unwrap() - at < Duration::from_secs(8));
    assert!(!stays.is_finished(), "others read on");
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn the_last_who_manages_users_is_not_limited_to_units() {
    let bench = bench(CONFIG, &[("safe", "security"), ("王芳", "officer")]);
    let limited: Roles = "security unit:101".parse().unwrap();
    let refused = accounts(&bench)
        .set_roles("safe", &limited, &by("王芳"), Instant::from_micros(5))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("the last one who manages users"), "{refused}");
}

#[test]
fn somebody_changes_their_own_password() {
    let bench = bench(CONFIG, &[("王芳", "officer")]);
    let token = TokenSpec {
        name: String::from("feed"),
        owner: None,
        roles: Roles::of_program([Role::Read]).unwrap(),
        expires_at: Instant::MAX,
    };
    let token =
        format!("Bearer {}", accounts(&bench).add_token(&token, &by("test"), Instant::EPOCH).unwrap().text);
    let daemon = Daemon::start(bench.path());
    let ((cookie, csrf), (elsewhere, _)) = (session(&daemon, "王芳"), session(&daemon, "王芳"));
    let change = |headers: &[(&str, &str)], old: &str, new: &str| {
        let path = "/api/v1/session/password";
        ask(&daemon, "POST", path, headers, &json!({"password": old, "new": new}))
    };
    let own = [("cookie", &*cookie), ("x-csrf-token", &*csrf)];
    assert_eq!(change(&[], PASSWORD, OTHER).status, 401);
    assert_eq!(change(&[("authorization", &token)], PASSWORD, OTHER).status, 409);
    assert_eq!(change(&own[..1], PASSWORD, OTHER).status, 403);
    assert_eq!(change(&own, OTHER, OTHER).status, 401);
    for (new, why) in [
        ("short", "12 to 128"),
        ("password-1234", "first that are tried"),
        ("我是王芳，四个词一起喝茶", "name of its user"),
    ] {
        let refused = change(&own, PASSWORD, new);
        assert!(
            refused.status == 422 && refused.body.contains(why) && !refused.body.contains(new),
            "{}",
            refused.body
        );
    }
    let changed = change(&own, PASSWORD, OTHER);
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(status_of(&daemon, &cookie), 401);
    assert_eq!(status_of(&daemon, &elsewhere), 401);
    assert_eq!(status_of(&daemon, &changed.cookie()), 200);
    assert_ne!(changed.json()["csrf"].as_str().unwrap(), csrf);
    assert_eq!(log_in(&daemon, "王芳", PASSWORD, &[]).status, 401);
    assert_eq!(log_in(&daemon, "王芳", OTHER, &[]).status, 200);
    assert!(audit(&bench).contains(&String::from("王芳|127.0.0.1|users.password|王芳|done")));
}

#[test]
fn whoever_guesses_waits_and_locks_nobody_else_out() {
    let bench = bench(&CONFIG.replace("auth: true", "auth: true, tls: proxy"), &[("王芳", "officer")]);
    let daemon = Daemon::start(bench.path());
    let from =
        |address: &str, password: &str| log_in(&daemon, "王芳", password, &[("x-forwarded-for", address)]);
    for _ in 0..5 {
        assert_eq!(from("10.6.6.6", OTHER).status, 401);
    }
    let held = from("10.6.6.6", PASSWORD);
    assert_eq!((held.status, held.json()["reason"].as_str()), (429, Some("throttled")));
    let seconds: u32 = held.header("retry-after").parse().unwrap();
    assert!((20..=31).contains(&seconds), "{seconds}");
    // The right one is not even compared there, and works elsewhere. Behind TLS its cookie never leaves it.
    let home = from("10.0.0.1", PASSWORD);
    assert_eq!(home.status, 200, "{}", home.body);
    let cookie = home.header("set-cookie");
    assert!(cookie.starts_with("__Host-fiscwatch=") && cookie.contains("; Secure"), "{cookie}");
    assert_eq!(status_of(&daemon, &home.cookie()), 200);
    let audit = audit(&bench);
    let wrong = audit.iter().filter(|record| *record == "|10.6.6.6|sessions.begin|王芳|wrong");
    assert_eq!(wrong.count(), 5, "{audit:?}");
    assert!(audit.contains(&String::from("|10.6.6.6|sessions.begin|王芳|throttled")), "{audit:?}");
}

/// Comparing takes memory by intent: many at once wait, or are told to come again, and everybody else is answered.
#[test]
fn a_crowd_that_logs_in_holds_nobody_up() {
    let bench = bench(&CONFIG.replace("auth: true", "auth: true, tls: proxy"), &[("王芳", "officer")]);
    let daemon = Daemon::start(bench.path());
    let (cookie, _) = session(&daemon, "王芳");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let crowd: Vec<_> = (0..80)
            .map(|n| {
                let at = &daemon.address;
                scope.spawn(move || {
                    let address = format!("10.1.{n}.1");
                    log_in_at(at, "王芳", OTHER, &[("x-forwarded-for", &address)]).status
                })
            })
            .collect();
        assert_eq!(daemon.get("/-/healthy").0, 200);
        assert_eq!(status_of(&daemon, &cookie), 200);
        crowd.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| matches!(status, 401 | 503)), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 401).count() >= 30, "{statuses:?}");
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

#[test]
fn a_password_comes_from_a_file_or_a_pipe_and_is_no_argument() {
    let bench = bench(CONFIG, &[]);
    assert!(!bench.path().join("state").exists());
    let add = |name: &str, file: &str, typed: &str| {
        let mut child = fiscwatch()
            .current_dir(bench.path())
            .args(["user", "add", name, "--role", "security", "--password-file", file])
            .args(["--config", "fiscwatch.yaml"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = add("safe", "nowhere", "");
    assert!(code == Some(1) && err.contains("the password cannot be read from nowhere"), "{err}");
    let (code, err) = add("safe", "-", "password1234\n");
    assert!(code == Some(1) && err.contains("first that are tried") && !err.contains("1234"), "{err}");
    assert!(!bench.path().join("state").exists(), "what was refused has made nothing");
    assert_eq!(add("safe", "-", &format!("{PASSWORD}\n")), (Some(0), String::new()));
    let (code, _, err) = run(bench.path(), &["user", "password", "safe", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(2) && err.contains("--password-file"), "{err}");
    let daemon = Daemon::start(bench.path());
    assert_eq!(log_in(&daemon, "safe", PASSWORD, &[]).status, 200);
}

/// The step of 30 s that it is, with some of it left.
fn step() -> u64 {
    loop {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        if now % 30 < 18 {
            return now / 30;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// The code of a secret at a step, by the recipe of RFC 6238 and no code of ours.
fn code_at(secret: &str, step: u64) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let bits = secret.bytes().flat_map(|c| {
        let value = if c.is_ascii_digit() { c - b'2' + 26 } else { c - b'A' };
        (0..5).rev().map(move |bit| value >> bit & 1)
    });
    let bits: Vec<u8> = bits.collect();
    let key: Vec<u8> =
        bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit)).collect();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key).unwrap();
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let value = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", value % 1_000_000)
}

#[test]
fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let bench =
        bench(&CONFIG.replace("auth: true", "auth: true, second_factor: true"), &[("王芳", "officer")]);
    let daemon = Daemon::start(bench.path());
    let begin = |totp: Value| {
        let body = json!({"user": "王芳", "password": PASSWORD, "totp": totp});
        ask(&daemon, "POST", "/api/v1/session", &[], &body)
    };
    let begun = begin(Value::Null);
    assert_eq!(begun.json()["second_factor"], "missing", "{}", begun.body);
    let (cookie, csrf) = (begun.cookie(), begun.json()["csrf"].as_str().unwrap().to_owned());
    let own = [("cookie", &*cookie), ("x-csrf-token", &*csrf)];
    let post =
        |path: &str, body: Value| ask(&daemon, "POST", &format!("/api/v1/session/{path}"), &own, &body);
    // Until there is one, nothing else can be done.
    let refused = ask(&daemon, "GET", "/api/v1/alerts", &own, &Value::Null);
    assert_eq!((refused.status, refused.json()["reason"].as_str()), (403, Some("second_factor")));
    assert_eq!(post("totp/confirm", json!({"totp": "000000"})).status, 409);
    assert_eq!(post("totp", json!({"password": OTHER})).status, 401);
    let offer = post("totp", json!({"password": PASSWORD}));
    assert_eq!(offer.status, 200, "{}", offer.body);
    let secret = offer.json()["secret"].as_str().unwrap().to_owned();
    assert!(offer.json()["url"].as_str().unwrap().contains(&secret), "{}", offer.body);
    let now = step();
    let code = |steps: i64| code_at(&secret, now.checked_add_signed(steps).unwrap());
    assert_eq!(post("totp/confirm", json!({"totp": code(9)})).status, 422);
    let confirmed = post("totp/confirm", json!({"totp": code(-1)}));
    assert_eq!(confirmed.status, 204, "{}", confirmed.body);
    assert_eq!(status_of(&daemon, &cookie), 200);
    assert_eq!(post("totp", json!({"password": PASSWORD, "totp": code(0)})).status, 409);

    let reason = |answer: &Answer| (answer.status, answer.json()["reason"].as_str().map(str::to_owned));
    let totp = (401, Some(String::from("totp")));
    assert_eq!(reason(&begin(Value::Null)), totp);
    assert_eq!(reason(&begin(json!(code(-1)))), totp, "it confirmed the factor");
    assert_eq!(reason(&begin(json!(code(0)))), totp, "it was used before");
    let next = begin(json!(code(1)));
    assert_eq!((next.status, next.json()["second_factor"].as_str()), (200, Some("on")), "{}", next.body);
    assert_eq!(reason(&begin(json!(code(1)))), totp);
    assert!(audit(&bench).contains(&String::from("|127.0.0.1|sessions.begin|王芳|wrong code")));

    // Who has lost it comes in by the password again, and has to set up another one.
    let args = ["user", "totp", "王芳", "--reset", "--config", "fiscwatch.yaml"];
    let (ended, out, err) = run(bench.path(), &args);
    assert_eq!(ended, Some(0), "{out}{err}");
    assert_eq!(status_of(&daemon, &cookie), 401);
    assert_eq!(begin(Value::Null).json()["second_factor"], "missing");
    let (_, out, _) = run(bench.path(), &["user", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert!(out.contains(r#""has_password":true,"second_factor":"off""#), "{out}");
}

#[test]
fn users_and_tokens_are_managed_over_the_api() {
    let bench = bench(CONFIG, &[("safe", "security"), ("eye", "auditor")]);
    let daemon = Daemon::start(bench.path());
    let ((cookie, csrf), (eye, eye_csrf)) = (session(&daemon, "safe"), session(&daemon, "eye"));
    let own = [("cookie", &*cookie), ("x-csrf-token", &*csrf)];
    let ask = |method: &str, path: &str, body: Value| self::ask(&daemon, method, path, &own, &body);
    let new = json!({"name": "李雷", "roles": ["officer"], "password": PASSWORD});
    let theirs = [("cookie", &*eye), ("x-csrf-token", &*eye_csrf)];
    assert_eq!(self::ask(&daemon, "POST", "/api/v1/users", &theirs, &new).status, 403);
    assert_eq!(self::ask(&daemon, "GET", "/api/v1/users", &theirs, &Value::Null).status, 200);
    let added = ask("POST", "/api/v1/users", new.clone());
    assert_eq!(added.status, 201, "{}", added.body);
    assert!(!added.body.contains(PASSWORD) && !added.body.contains("argon2"), "{}", added.body);
    assert_eq!(ask("POST", "/api/v1/users", new).status, 409);
    for wrong in [
        json!({"name": "x", "roles": ["security", "auditor"]}),
        json!({"name": "x", "roles": ["ingest"]}),
        json!({"name": "x", "roles": []}),
        json!({"name": "x", "roles": ["officer"], "password": "x"}),
    ] {
        assert_eq!(ask("POST", "/api/v1/users", wrong.clone()).status, 422, "{wrong}");
    }
    let (theirs, _) = session(&daemon, "李雷");
    assert_eq!(status_of(&daemon, &theirs), 200);
    let path = "/api/v1/users/%E6%9D%8E%E9%9B%B7";
    let changed = ask("PATCH", path, json!({"roles": ["supervisor"], "second_factor_required": true}));
    assert_eq!(changed.json()["roles"], json!(["supervisor"]), "{}", changed.body);
    assert_eq!((status_of(&daemon, &theirs), &changed.json()["second_factor"]), (401, &json!("required")));
    assert_eq!(ask("PATCH", path, json!({"enabled": false})).json()["state"], "disabled");
    assert_eq!(log_in(&daemon, "李雷", PASSWORD, &[]).status, 401);
    assert_eq!(ask("PATCH", "/api/v1/users/safe", json!({"roles": ["officer"]})).status, 409, "oneself");
    assert_eq!(ask("PATCH", "/api/v1/users/nobody", json!({"enabled": false})).status, 409);

    let order = json!({"name": "prometheus", "roles": ["metrics"], "duration": "30d"});
    let made = ask("POST", "/api/v1/tokens", order);
    assert_eq!(made.status, 201, "{}", made.body);
    let bearer = format!("Bearer {}", made.json()["token"].as_str().unwrap());
    let scrape =
        || self::ask(&daemon, "GET", "/metrics", &[("authorization", &*bearer)], &Value::Null).status;
    assert_eq!(scrape(), 200);
    wait_until(|| !ask("GET", "/api/v1/tokens", Value::Null).json()["tokens"][0]["used_at"].is_null());
    assert_eq!(ask("POST", "/api/v1/tokens", json!({"name": "x", "roles": ["officer"]})).status, 422);
    assert_eq!(
        ask("POST", "/api/v1/tokens", json!({"name": "x", "roles": ["read"], "duration": "900d"})).status,
        422
    );
    let path = format!("/api/v1/tokens/{}", made.json()["id"].as_str().unwrap());
    assert_eq!((ask("DELETE", &path, Value::Null).status, scrape()), (204, 401));
    assert_eq!(ask("DELETE", &path, Value::Null).status, 409);
}
