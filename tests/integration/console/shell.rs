//! The files of the console, as a browser asks for them.

use fiscwatch::http::SCREENS;

use crate::support::{Bench, Daemon, agent};

type Answer = ureq::http::Response<ureq::Body>;

fn get(daemon: &Daemon, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = agent().get(format!("{}{path}", daemon.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.call().unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn every_screen_is_the_page_for_everybody_and_the_data_are_not() {
    let bench = Bench::new("", "");
    let config = "state: { dir: state }\nhttp: { listen: '127.0.0.1:0', auth: true }\nlog: { level: warn }\n";
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let daemon = Daemon::start(bench.path());
    for screen in SCREENS {
        let path = screen.replace("{id}", "A%2F1");
        let mut answer = get(&daemon, &path, &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]);
        assert_eq!(answer.status(), 200, "{path}");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&answer, "cache-control"), "no-cache");
        assert!(answer.body_mut().read_to_string().unwrap().starts_with("<!doctype html>"));
    }
    assert_eq!(get(&daemon, "/alerts", &[("accept", "application/json")]).status(), 404);
    for path in ["/api/v1/alerts", "/api/v1/budget-lines", "/api/v1/none"] {
        assert_eq!(get(&daemon, path, &[("accept", "text/html")]).status(), 401, "{path}");
    }
    // Where nothing is, people get the page, which says so; programs learn it only if they are known.
    let mut nothing = get(&daemon, "/screens/none", &[("accept", "text/html")]);
    assert_eq!((nothing.status().as_u16(), header(&nothing, "cache-control")), (404, "no-store"));
    assert!(nothing.body_mut().read_to_string().unwrap().starts_with("<!doctype html>"));
    assert_eq!(get(&daemon, "/screens/none", &[]).status(), 401);
}

#[test]
fn the_page_is_packed_and_not_sent_twice_and_every_file_it_names_is_there() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let plain = get(&daemon, "/", &[("accept-encoding", "identity")]);
    let tag = header(&plain, "etag").to_owned();
    let again = get(&daemon, "/budget", &[("accept-encoding", "identity"), ("if-none-match", &tag)]);
    assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.as_str()));
    let packed = get(&daemon, "/", &[("accept-encoding", "gzip")]);
    assert_eq!((header(&packed, "content-encoding"), header(&packed, "vary")), ("gzip", "accept-encoding"));
    assert_ne!(header(&packed, "etag"), tag);

    let page = daemon.get("/").1;
    let named = regex::Regex::new(r#"(?:src|href)="(/[^"]+)""#).unwrap();
    for (_, [path]) in named.captures_iter(&page).map(|found| found.extract()) {
        let answer = get(&daemon, path, &[]);
        assert_eq!(answer.status(), 200, "{path}");
        if path.starts_with("/assets/") {
            assert!(header(&answer, "cache-control").ends_with("immutable"), "{path}");
        }
    }
    assert_eq!(daemon.get("/assets/0123456789abcdef/app.js").0, 404, "a name of another build");
}
