//! Addresses of their own for programs and scrapes, the socket whose other end the kernel names, and how often anybody may ask.

use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream, process::CommandExt},
    path::Path,
    process::Output,
};

use fiscwatch::{
    access::{Actor, Role, Roles},
    event::Instant,
    http::ROUTES,
    store::{Accounts, Audit, Store, TokenSpec},
};
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, fiscwatch, free_port, lines, payment, run, wait_until, write};

const BY: &str = "test";
/// A user of every system who is not the one that the tests run as, nor the one that stands for all unknown ones.
const CLERK: (&str, u32) = ("daemon", 1);

fn by() -> Actor {
    Actor { who: String::from(BY), place: String::from(BY) }
}

struct Office {
    bench: Bench,
    ingest: u16,
    scrape: u16,
}

impl Office {
    fn new(http: &str) -> Self {
        let (bench, ingest, scrape) = (Bench::new("", ""), free_port(), free_port());
        let http = http
            .replace("INGEST", &format!("ingest: '127.0.0.1:{ingest}'"))
            .replace("SCRAPE", &format!("scrape: '127.0.0.1:{scrape}'"));
        let config = format!(
            "state: {{ dir: state }}\nhttp: {{ listen: '127.0.0.1:0', {http} }}\nrules: {{ paths: [rules] }}\nlog: {{ level: warn }}\n"
        );
        write(bench.path(), "fiscwatch.yaml", &config);
        drop(Store::open(&bench.path().join("state")).unwrap());
        Self { bench, ingest, scrape }
    }

    fn accounts(&self) -> Accounts {
        Accounts::open(&self.bench.path().join("state")).unwrap()
    }

    /// A token of a program, or of a person who is named after the role.
    fn token(&self, role: Role) -> String {
        let (mut accounts, roles) = (self.accounts(), role.word().parse::<Roles>().unwrap());
        let owner = (!role.is_for_programs()).then(|| {
            accounts.add_user(role.word(), &roles, &by(), Instant::EPOCH).unwrap();
            role.word().to_owned()
        });
        let roles = if owner.is_some() { Roles::default() } else { roles };
        let spec = TokenSpec { name: role.word().to_owned(), owner, roles, expires_at: Instant::MAX };
        accounts.add_token(&spec, &by(), Instant::EPOCH).unwrap().text
    }

    /// What the audit log has of who did what, and from where.
    fn audit(&self) -> Vec<(String, String, String)> {
        let audit = Audit::open_read_only(&self.bench.path().join("state")).unwrap();
        let rows = audit.after(0, 1000).unwrap().into_iter();
        rows.map(|row| (row.who, row.place, row.action)).collect()
    }
}

fn ask(port: u16, route: (&str, &str), headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut request =
        ureq::http::Request::builder().method(route.0).uri(format!("http://127.0.0.1:{port}{}", route.1));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = agent().run(request.body(body.to_owned()).unwrap()).unwrap();
    let is_stream = answer.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
    let text = if is_stream { String::new() } else { answer.body_mut().read_to_string().unwrap() };
    (answer.status().as_u16(), text)
}

fn port_of(daemon: &Daemon) -> u16 {
    daemon.address.rsplit(':').next().unwrap().parse().unwrap()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn each_address_serves_what_it_is_for_and_nothing_else() {
    let office = Office::new("auth: true, user_header: X-User, INGEST, SCRAPE");
    let (ingest, metrics, officer) =
        (office.token(Role::Ingest), office.token(Role::Metrics), office.token(Role::Officer));
    let daemon = Daemon::start(office.bench.path());
    let main = port_of(&daemon);
    let json = ("content-type", "application/json");
    for (method, path, _) in ROUTES {
        let path = &path.replace("{id}", "7").replace("{name}", "nobody").replace("{event_id}", "7");
        let route = (*method, path.as_str());
        let own = match route {
            ("POST", "/api/v1/events" | "/api/v1/decide") => Some(office.ingest),
            ("GET", "/metrics") => Some(office.scrape),
            (_, "/-/healthy" | "/-/ready") => None,
            _ => Some(main),
        };
        for port in [main, office.ingest, office.scrape] {
            let (status, body) = ask(port, route, &[json], "");
            let is_told = body.contains("http.ingest") || body.contains("http.scrape");
            assert_eq!(
                own.is_some_and(|own| own != port),
                status == 404 && is_told,
                "{port} {route:?}: {status} {body}"
            );
        }
    }
    for (port, path) in [(office.ingest, "/"), (office.scrape, "/alerts"), (office.ingest, "/api/v1/nothing")]
    {
        assert_eq!(
            ask(port, ("GET", path), &[("accept", "text/html")], "").0,
            404,
            "{path}: no console there"
        );
    }

    // A token counts there; neither a proxy's name nor a session does.
    let paid = json!({ "payee_name": "王小明", "payee_account": "6222021202000012345" });
    let mut event = payment("p1", "L1", "100.00");
    event.as_object_mut().unwrap().extend(paid.as_object().unwrap().clone());
    let event = lines(&[event]);
    let post = ("POST", "/api/v1/events");
    let named = |token: &str| ask(office.ingest, post, &[("authorization", &bearer(token))], &event).0;
    assert_eq!((named(&ingest), named(&officer), named("nonsense")), (200, 403, 401));
    office.accounts().add_user("operator", &"system".parse().unwrap(), &by(), Instant::EPOCH).unwrap();
    let scrape = ("GET", "/metrics");
    assert_eq!(ask(main, ("GET", "/api/v1/status"), &[("x-user", "operator")], "").0, 200, "behind a proxy");
    assert_eq!(ask(office.scrape, scrape, &[("x-user", "operator")], "").0, 401);
    assert_eq!(ask(office.scrape, scrape, &[("cookie", "fiscwatch=fs_x")], "").0, 401);
    let (status, text) = ask(office.scrape, scrape, &[("authorization", &bearer(&metrics))], "");
    assert!(status == 200 && text.contains("fiscwatch_http_refused_total{cause=\"entrance\"} "), "{text}");
    // Values are figures, in which any digits may stand.
    let labels: String = text.split('"').skip(1).step_by(2).collect::<Vec<_>>().join(" ");
    for personal in ["小明", "62220212020000", "2345"] {
        assert!(!labels.contains(personal), "{personal} is in the metrics");
    }
    // The doors have places of their own, and the gauge has them all.
    let open = text.lines().find_map(|line| line.strip_prefix("fiscwatch_http_connections{kind=\"open\"} "));
    assert!(open.unwrap().parse::<i64>().unwrap() >= 1, "{text}");
}

#[test]
fn addresses_that_others_reach_and_sockets_that_are_none_are_named() {
    for (http, says) in [
        ("ingest: '0.0.0.0:1234'", "http.ingest 0.0.0.0:1234 is reached from other machines"),
        ("scrape: '0.0.0.0:1234'", "http.scrape 0.0.0.0:1234 is reached from other machines"),
        ("scrape: here", "http.scrape \"here\" is not an address and port"),
        ("rate: 0", "http.rate: 0 is too small"),
    ] {
        let office = Office::new(http);
        let (code, _, err) = run(office.bench.path(), &["check", "--config", "fiscwatch.yaml"]);
        assert!(code == Some(1) && err.contains(says), "{http}: {err}");
    }
    let office = Office::new("socket: rules/rules.yaml");
    let (code, _, err) = run(office.bench.path(), &["run", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(1) && err.contains("http.socket") && err.contains("something else"), "{err}");
    assert!(office.bench.path().join("rules/rules.yaml").exists());
}

/// A request over the socket as this process' user; status and body.
fn knock(socket: &Path, head: &str, body: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The number of the tests' user.
fn my_number() -> String {
    let asked = std::process::Command::new("id").arg("-u").output().unwrap();
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}

/// Runs a command as another user of the system, with a copy of the program that they can reach.
fn as_clerk(office: &Office, arguments: &[&str]) -> Output {
    let dir = office.bench.path();
    let program = dir.join("fiscwatch");
    if !program.exists() {
        std::fs::copy(fiscwatch().get_program(), &program).unwrap();
    }
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(program);
    command.current_dir(dir).args(arguments).args(["--config", "fiscwatch.yaml"]);
    command.env_clear().env("FISCWATCH_LANG", "en").env("USER", CLERK.0).uid(CLERK.1).gid(CLERK.1);
    command.output().unwrap()
}

#[test]
fn the_kernel_says_who_is_at_the_socket() {
    let office = Office::new("auth: true, socket: local.sock");
    let ingest = office.token(Role::Ingest);
    let socket = office.bench.path().join("local.sock");
    // One that a daemon left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let daemon = Daemon::start(office.bench.path());
    wait_until(|| socket.exists());
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);

    // Nothing that is shown counts, not even a good token: this user has no roles.
    assert_eq!(knock(&socket, "GET /api/v1/alerts", "").0, 401);
    let token =
        format!("GET /api/v1/openapi.json HTTP/1.1\r\nAuthorization: Bearer {ingest}\r\nX-A: b\r\nX-B:");
    assert_eq!(knock(&socket, &token, "").0, 401);
    let me = String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    office.accounts().add_user(me.trim(), &"officer".parse().unwrap(), &by(), Instant::EPOCH).unwrap();
    let (status, session) = knock(&socket, "GET /api/v1/session", "");
    assert!(status == 200 && session.contains("\"local\"") && session.contains(me.trim()), "{session}");
    assert_eq!(knock(&socket, "POST /-/reload", "").0, 403, "no officer's");
    let order = r#"{"matchers":["rule=\"large-cash\""],"duration":"2h","reason":"test"}"#;
    assert_eq!(knock(&socket, "POST /api/v1/silences", order).0, 201);
    let other = r#"{"matchers":["rule=\"large-cash\""],"duration":"2h","reason":"test","author":"李雷"}"#;
    assert_eq!(knock(&socket, "POST /api/v1/silences", other).0, 403, "nobody acts as somebody else");
    let place = format!("local uid {}", my_number());
    assert!(
        office.audit().contains(&(me.trim().to_owned(), place, String::from("silences.order"))),
        "{:?}",
        office.audit()
    );
    daemon.stop("-TERM");
    assert!(!socket.exists(), "it goes with the daemon");
}

#[test]
fn officers_work_by_commands_without_the_state_being_theirs() {
    if my_number() != "0" {
        println!("skipped: only root can be another user");
        return;
    }
    let office = Office::new("auth: true, socket: local.sock");
    let ingest = office.token(Role::Ingest);
    let daemon = Daemon::start(office.bench.path());
    let mut cash = payment("p1", "L1", "50000.00");
    cash["settlement"] = json!("cash");
    let sent = ask(
        port_of(&daemon),
        ("POST", "/api/v1/events"),
        &[("authorization", &bearer(&ingest))],
        &lines(&[cash]),
    );
    assert_eq!(sent.0, 200, "{}", sent.1);
    let (_, listed, _) =
        run(office.bench.path(), &["alerts", "list", "--json", "--config", "fiscwatch.yaml"]);
    let alert = listed.lines().find(|line| line.contains("large-cash")).unwrap_or_else(|| panic!("{listed}"));
    let alert: Value = serde_json::from_str(alert).unwrap();
    let id = alert["alert_id"].as_str().unwrap();

    let told = |output: &Output| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, says) = told(&as_clerk(&office, &["alerts", "ack", id]));
    assert!(code == Some(1) && says.contains("say who you are"), "nobody knows this user yet: {says}");
    office.accounts().add_user(CLERK.0, &"auditor".parse().unwrap(), &by(), Instant::EPOCH).unwrap();
    let (code, says) = told(&as_clerk(&office, &["alerts", "ack", id]));
    assert!(code == Some(1) && says.contains("and this is for officer"), "{says}");
    office.accounts().set_roles(CLERK.0, &"officer".parse().unwrap(), &by(), Instant::EPOCH).unwrap();
    let (code, says) = told(&as_clerk(&office, &["alerts", "ack", id, "--by", "王芳"]));
    assert!(code == Some(1) && says.contains("cannot act as somebody else"), "{says}");
    let (code, says) = told(&as_clerk(&office, &["alerts", "ack", id]));
    assert!(code == Some(0) && says.contains("is acknowledged, version "), "{says}");
    let (code, says) =
        told(&as_clerk(&office, &["alerts", "dismiss", id, "--why", "checked", "--if-version", "1"]));
    assert!(code == Some(1), "somebody changed it meanwhile: {says}");
    let (code, says) = told(&as_clerk(&office, &["alerts", "comment", "../../users", "--why", "x"]));
    assert!(code == Some(1) && says.contains("no alert"), "{says}");
    // What they read comes through the socket too, and is what the command on the state says.
    let lists = |args: &[&str]| {
        let (code, own) = told(&as_clerk(&office, args));
        let whole = run(office.bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
        assert_eq!((code, own.is_empty()), (Some(0), false), "{args:?}: {own}");
        (own, whole.1)
    };
    for args in [
        &["alerts", "list"][..],
        &["alerts", "list", "--csv"],
        &["alerts", "list", "--severity", "medium", "--state", "all", "-n", "1"],
    ] {
        let (own, whole) = lists(args);
        assert_eq!(own, whole, "{args:?}");
    }
    // Tables show the beginning of an id, and that is enough here too.
    let (shown, _) = lists(&["alerts", "show", &id[..8]]);
    assert!(shown.contains(id) && shown.contains(CLERK.0) && !shown.contains("33010160006"), "{shown}");
    let (shown, _) = lists(&["alerts", "show", id, "--json", "--unmasked"]);
    assert!(shown.contains("33010160006") || shown.contains("50000.00"), "{shown}");
    let (own, whole) = lists(&["findings", "list"]);
    assert_eq!(own.lines().count(), whole.lines().count(), "{own}{whole}");
    assert_eq!(told(&as_clerk(&office, &["notify", "list"])).0, Some(0));
    // What is for others is refused, and the daemon says for whom.
    for args in [&["audit", "list"][..], &["audit", "verify"], &["rejects", "list"]] {
        let (code, says) = told(&as_clerk(&office, args));
        let allowed = args[0] == "rejects";
        assert_eq!(code, Some(i32::from(!allowed)), "{args:?}: {says}");
        assert!(allowed || says.contains("and this is for auditor"), "{says}");
    }
    let (own, _) = lists(&["alerts", "list", "--json"]);
    assert!(own.lines().any(|line| line.contains(id)), "{own}");
    assert!(!lists(&["alerts", "list", "--severity", "low", "--state", "all"]).0.contains("large cash"));
    let add = ["silence", "add", "--match", "rule=\"large-cash\"", "--for", "2h", "--why", "y"];
    let (code, says) = told(&as_clerk(&office, &add));
    assert!(
        code == Some(0) && says.contains("it mutes 1 alerts") && says.contains("silence 1 is active"),
        "{says}"
    );
    let (own, whole) = lists(&["silence", "list", "--csv"]);
    assert_eq!(own.lines().count(), 2, "{own}");
    assert!(own.lines().nth(1).unwrap().starts_with("1,active"), "{own} {whole}");
    let (code, says) = told(&as_clerk(&office, &["silence", "expire", "1"]));
    assert!(code == Some(0) && says.contains("silence 1 is expired"), "{says}");
    let place = format!("local uid {}", CLERK.1);
    for action in ["alerts.acknowledge", "silences.order", "silences.expire"] {
        let row = (CLERK.0.to_owned(), place.clone(), action.to_owned());
        assert!(office.audit().contains(&row), "{row:?}: {:?}", office.audit());
    }
    daemon.stop("-TERM");
    let (code, says) = told(&as_clerk(&office, &["alerts", "ack", id]));
    assert!(code == Some(1) && says.contains("the daemon does not answer at"), "{says}");
}

#[test]
fn whoever_asks_too_often_waits_and_nobody_else_does() {
    let office = Office::new("auth: true, rate: 2");
    let (officer, auditor) = (office.token(Role::Officer), office.token(Role::Auditor));
    let daemon = Daemon::start(office.bench.path());
    let main = port_of(&daemon);
    let rules = ("GET", "/api/v1/rules");
    let asked = |token: &str| {
        let request = agent().get(format!("{}{}", daemon.address, rules.1));
        let mut answer = request.header("authorization", bearer(token)).call().unwrap();
        let again = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), again, answer.body_mut().read_to_string().unwrap())
    };
    let answers: Vec<_> = (0..60).map(|_| asked(&officer)).collect();
    let taken = answers.iter().filter(|(status, ..)| *status == 200).count();
    // Twenty at once, and two more each second that it took.
    assert!((20..50).contains(&taken), "{taken}");
    let (_, again, says) = answers.iter().find(|(status, ..)| *status == 429).unwrap();
    assert!(again.as_deref().is_some_and(|seconds| seconds.parse::<u32>().unwrap() >= 1), "{again:?}");
    assert!(says.contains("http.rate") && says.contains("2 a second"), "{says}");
    assert_eq!(asked(&auditor).0, 200, "others are not held up");
    // Programs are told apart by their tokens, not by what these are called.
    let [one, other] = [Role::Read; 2].map(|role| office.token(role));
    assert!((0..60).any(|_| asked(&one).0 == 429));
    assert_ne!(asked(&other).0, 429, "another token of the same name");
    // Who is not known is counted by address, and still learns no more than that.
    let strangers: Vec<_> =
        (0..60).map(|_| ask(main, rules, &[("authorization", "Bearer fw_x")], "").0).collect();
    assert!(strangers.contains(&401) && strangers.contains(&429), "{strangers:?}");
    assert_eq!(asked(&auditor).0, 200, "the address of strangers keeps nobody out who is known");
    assert_eq!(ask(main, ("GET", "/-/healthy"), &[], "").0, 200);
    wait_until(|| {
        let audit = office.audit();
        audit.iter().any(|(who, ..)| who == "officer") && asked(&officer).0 == 200
    });
    let audit = Audit::open_read_only(&office.bench.path().join("state")).unwrap().after(0, 1000).unwrap();
    let rate = audit.iter().filter(|row| row.result == "rate").count();
    assert!((1..=5).contains(&rate), "recorded once a minute: {rate}");
}
