//! What ends a session that somebody else has, and who must not be left without one.

use std::time::Duration;

use fiscwatch::{
    access::{Role, Roles},
    event::Instant,
    store::Accounts,
};
use serde_json::{Value, json};

use super::{CONFIG, PASSWORD, accounts, ask, audit, bench, by, log_in, session, status_of};
use crate::support::{Daemon, agent, run, wait_until};

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
