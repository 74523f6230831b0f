//! People log in by a real provider of identities (npm's oidc-provider): the way there and back, whose user they are then,
//! and what does not pass for a login.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    notify::service,
    support::{Bench, Daemon, run},
};

const SITE: &str = "http://localhost:9464";
const SECRET: &str = "a secret & more";

/// The provider; it ends with its input.
struct Provider {
    child: Child,
    issuer: String,
    /// It would end if nobody heard what it says.
    _says: BufReader<ChildStdout>,
}

impl Provider {
    fn start() -> Option<Self> {
        let modules = service(&["target/services/oidc/node_modules"])?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc/provider.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(modules)
            .arg(format!("{SITE}/api/v1/session/oidc/callback"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut issuer, mut says) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
        says.read_line(&mut issuer).unwrap();
        Some(Self { child, issuer: issuer.trim().to_owned(), _says: says })
    }

    /// Who logs in from now on.
    fn is(&self, sub: &str, name: &str, groups: &str) {
        let name = name.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        let url = format!("{}/control?sub={sub}&name={name}&groups={groups}", self.issuer);
        assert_eq!(get(&url, &mut Jar::new()).status, 200);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Jar = BTreeMap<String, String>;

struct Answer {
    status: u16,
    location: String,
    cookies: Vec<String>,
    body: String,
}

/// What a browser does, but for following redirects.
fn get(url: &str, jar: &mut Jar) -> Answer {
    send("GET", url, jar, &[])
}

fn send(method: &str, url: &str, jar: &mut Jar, headers: &[(&str, &str)]) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let cookies = jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if !cookies.is_empty() {
        request = request.header("cookie", cookies);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = agent.run(request.body(()).unwrap()).unwrap();
    let headers = response.headers();
    let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap().to_owned();
    let location = headers.get("location").map(text).unwrap_or_default();
    let cookies: Vec<String> = headers.get_all("set-cookie").iter().map(text).collect();
    for cookie in &cookies {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        match value.is_empty() {
            true => jar.remove(name),
            false => jar.insert(name.to_owned(), value.to_owned()),
        };
    }
    let status = response.status().as_u16();
    Answer { status, location, cookies, body: response.body_mut().read_to_string().unwrap() }
}

/// A browser with the cookies of both sites.
#[derive(Default)]
struct Browser {
    ours: Jar,
    theirs: Jar,
}

impl Browser {
    /// Goes to the provider and logs in there; the address that it sends back to, as the daemon has it here.
    fn goes_to_provider(&mut self, daemon: &Daemon, provider: &Provider) -> String {
        let begun = get(&format!("{}/api/v1/session/oidc", daemon.address), &mut self.ours);
        assert_eq!(begun.status, 303, "{}", begun.body);
        assert!(begun.cookies[0].contains("HttpOnly; SameSite=Lax"), "{:?}", begun.cookies);
        let mut url = begun.location;
        for _ in 0..8 {
            if let Some(path) = url.strip_prefix(SITE) {
                return format!("{}{path}", daemon.address);
            }
            let answer = get(&url, &mut self.theirs);
            assert_eq!(answer.status, 303, "{url}: {}", answer.body);
            url = match answer.location.starts_with('/') {
                true => format!("{}{}", provider.issuer, answer.location),
                false => answer.location,
            };
        }
        panic!("the provider does not send back")
    }

    fn log_in(&mut self, daemon: &Daemon, provider: &Provider) -> Answer {
        let back = self.goes_to_provider(daemon, provider);
        get(&back, &mut self.ours)
    }

    fn own(&mut self, daemon: &Daemon) -> Value {
        let answer = get(&format!("{}/api/v1/session", daemon.address), &mut self.ours);
        serde_json::from_str(&answer.body).unwrap()
    }

    fn status(&mut self, daemon: &Daemon, path: &str) -> u16 {
        get(&format!("{}{path}", daemon.address), &mut self.ours).status
    }
}

fn bench(provider: &Provider) -> Bench {
    let bench = Bench::new("", "");
    let config = format!(
        "state: {{ dir: state }}
external_url: {SITE}
http:
  listen: '127.0.0.1:0'
  auth: true
  second_factor: true
  oidc:
    issuer: {}
    client_id: fiscwatch
    client_secret_file: secret
    label: 统一身份认证
    roles: {{ jiankong: [officer, 'unit:101'], shenji: [auditor], anquan: [security] }}
log: {{ level: info }}
",
        provider.issuer
    );
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    std::fs::write(bench.path().join("secret"), format!("{SECRET}\n")).unwrap();
    command(&bench, &["user", "add", "李雷", "--role", "officer"]);
    bench
}

fn command(bench: &Bench, args: &[&str]) -> String {
    let (code, out, err) = run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    out
}

/// The audit log: what, of whom, what came of it, by whom, and what else.
fn log(bench: &Bench) -> Vec<String> {
    let text = command(bench, &["audit", "export"]);
    text.lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            ["who", "action", "subject", "result", "detail"].map(text).join(" ")
        })
        .collect()
}

#[test]
fn people_log_in_by_a_provider_with_the_roles_of_their_groups() {
    let Some(provider) = Provider::start() else { return };
    let bench = bench(&provider);
    let daemon = Daemon::start(bench.path());
    let mut browser = Browser::default();
    assert_eq!(browser.own(&daemon)["single_sign_on"], "统一身份认证");
    provider.is("7", "王芳", "jiankong,others");
    let answer = browser.log_in(&daemon, &provider);
    assert_eq!(answer.status, 200, "{} {:?}", answer.body, daemon.log.try_iter().collect::<Vec<_>>());
    assert!(answer.body.contains(&format!("content=\"0;url={SITE}/\"")), "{}", answer.body);
    assert!(answer.cookies.iter().any(|c| c.contains("HttpOnly; SameSite=Strict")), "{:?}", answer.cookies);
    let own = browser.own(&daemon);
    assert_eq!((&own["user"], &own["by"]), (&"王芳".into(), &"session".into()));
    assert_eq!(
        (&own["roles"], &own["units"]),
        (&serde_json::json!(["officer"]), &serde_json::json!(["101"]))
    );
    // Whoever logs in elsewhere is asked for no second factor here.
    assert_eq!(own["second_factor"], Value::Null);
    assert_eq!(browser.status(&daemon, "/api/v1/alerts"), 200);
    assert_eq!(browser.status(&daemon, "/api/v1/audit"), 403);
    // Other groups at the next login: other roles, and sessions with the old ones end. The name stays what it was.
    provider.is("7", "王小芳", "shenji");
    let mut again = Browser::default();
    assert_eq!(again.log_in(&daemon, &provider).status, 200);
    assert_eq!((&again.own(&daemon)["user"], again.status(&daemon, "/api/v1/audit")), (&"王芳".into(), 200));
    assert_eq!(browser.status(&daemon, "/api/v1/alerts"), 401);
    // A key that the provider has had since a moment ago.
    assert_eq!(get(&format!("{}/control?rotate=ES256", provider.issuer), &mut Jar::new()).status, 200);
    assert_eq!(Browser::default().log_in(&daemon, &provider).status, 200);
    // Disabled here: at once, whatever the provider says.
    command(&bench, &["user", "disable", "王芳"]);
    assert_eq!(again.status(&daemon, "/api/v1/audit"), 401);
    let refused = Browser::default().log_in(&daemon, &provider);
    assert!(refused.status == 403 && refused.body.contains("disabled"), "{}", refused.body);
    let log = log(&bench);
    let issuer = &provider.issuer;
    for record in [
        format!("oidc users.add 王芳 done officer unit:101 ({issuer} 7)"),
        "oidc users.roles 王芳 done officer unit:101 -> auditor".into(),
        "oidc sessions.begin 王小芳 refused the user \"王芳\" is disabled here".into(),
    ] {
        assert!(log.contains(&record), "{record}: {log:#?}");
    }
    let (_, said) = daemon.end("-TERM");
    assert!(!said.contains(SECRET) && !said.contains("code="), "{said}");
}

#[test]
fn nobody_becomes_somebody_else_by_a_provider() {
    let Some(provider) = Provider::start() else { return };
    let bench = bench(&provider);
    let daemon = Daemon::start(bench.path());
    let refused = |says: &str| {
        let mut browser = Browser::default();
        let answer = browser.log_in(&daemon, &provider);
        assert!(answer.status == 403 && answer.body.contains(says), "{says}: {}", answer.body);
        assert_eq!(browser.own(&daemon)["user"], Value::Null);
    };
    // The name of a user of ours, and that of somebody else of theirs.
    provider.is("8", "李雷", "shenji");
    refused("here already who is somebody else");
    provider.is("7", "王芳", "jiankong");
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(&daemon, &provider).status, 200);
    provider.is("9", "王芳", "anquan");
    refused("here already who is somebody else");
    // Roles that one person may not hold together, and none.
    provider.is("10", "赵敏", "anquan,shenji");
    refused("the duties are separated");
    provider.is("11", "", "jiankong");
    refused("a name has");
    assert_eq!(browser.status(&daemon, "/api/v1/alerts"), 200);
    provider.is("7", "王芳", "others");
    refused("none of their groups has a role here");
    assert_eq!(browser.status(&daemon, "/api/v1/alerts"), 401, "their sessions end with their last group");
    // No password makes another way in for whoever comes by the provider.
    std::fs::write(bench.path().join("password"), "four words over tea\n").unwrap();
    let args = ["user", "password", "王芳", "--password-file", "password", "--config", "fiscwatch.yaml"];
    let (code, _, err) = run(bench.path(), &args);
    assert!(code != Some(0) && err.contains("logs in elsewhere"), "{err}");
}

#[test]
fn what_another_browser_began_or_ended_already_is_no_login() {
    let Some(provider) = Provider::start() else { return };
    let bench = bench(&provider);
    let daemon = Daemon::start(bench.path());
    provider.is("7", "王芳", "jiankong");
    let (mut one, mut other) = (Browser::default(), Browser::default());
    let (back, others) =
        (one.goes_to_provider(&daemon, &provider), other.goes_to_provider(&daemon, &provider));
    let fails = |browser: &mut Browser, url: &str| {
        let kept = browser.ours.clone();
        let answer = get(url, &mut browser.ours);
        assert_eq!(answer.status, 401, "{url}: {}", answer.body);
        assert_eq!(browser.own(&daemon)["user"], Value::Null);
        browser.ours = kept;
    };
    fails(&mut Browser::default(), &back);
    fails(&mut other, &back);
    // The code of one login with the state of another: whoever has it lacks its verifier.
    let part = |url: &str, name: &str| {
        let query = url.split_once('?').unwrap().1;
        query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap().to_owned()
    };
    let swapped = others.replace(&part(&others, "code"), &part(&back, "code"));
    fails(&mut other, &swapped);
    fails(&mut other, &others.replace("iss=", "iss=http%3A%2F%2Fother&x="));
    fails(&mut other, &others.replace("code=", "x="));
    fails(&mut other, &format!("{}/api/v1/session/oidc/callback?error=access_denied&state=", daemon.address));
    let denied = format!(
        "{}/api/v1/session/oidc/callback?error=%3Cscript%3E&state={}",
        daemon.address,
        part(&others, "state")
    );
    let answer = get(&denied, &mut other.ours.clone());
    assert!(answer.status == 401 && !answer.body.contains("<script>"), "{}", answer.body);
    // What was good once is not good twice.
    let mut fresh = Browser::default();
    let back = fresh.goes_to_provider(&daemon, &provider);
    let kept = fresh.ours.clone();
    assert_eq!(get(&back, &mut fresh.ours).status, 200);
    fails(&mut Browser { ours: kept, ..Browser::default() }, &back);
    // Logging out leads to the provider, where they are logged in still.
    let own = fresh.own(&daemon);
    assert_eq!(own["user"], "王芳");
    let csrf = own["csrf"].as_str().unwrap();
    let url = format!("{}/api/v1/session", daemon.address);
    let out = send("DELETE", &url, &mut fresh.ours, &[("x-csrf-token", csrf)]);
    let at: Value = serde_json::from_str(&out.body).unwrap();
    assert!(at["log_out_at"].as_str().unwrap().starts_with(&provider.issuer), "{at}");
    assert_eq!(fresh.own(&daemon)["user"], Value::Null);
    // A provider that is away: a page says so.
    drop(provider);
    daemon.stop("-TERM");
    let daemon = Daemon::start(bench.path());
    let answer = get(&format!("{}/api/v1/session/oidc", daemon.address), &mut Jar::new());
    assert_eq!(answer.status, 502, "{}", answer.body);
}
