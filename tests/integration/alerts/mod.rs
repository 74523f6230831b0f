//! Alerts as officers have them: over HTTP, from the command line, and while nobody is to hear of them.

mod answer_page;
mod api;
mod cli;
mod lists;
mod office;
mod openapi;
mod register;
mod silences;
mod tables;

use serde_json::Value;

use crate::support::{Bench, Daemon, agent, lines, payment};

/// A daemon with a sink that takes everything at once, letters to units included, and its folder.
fn desk() -> (Bench, Daemon) {
    desk_with("")
}

/// The same with more settings of the HTTP server.
fn desk_with(http: &str) -> (Bench, Daemon) {
    let bench = Bench::new("", "");
    let config = format!(
        "state: {{ dir: state }}\nsinks: [{{ name: book, log: {{}} }}]\nroutes: {{ group_wait: 0s, group_interval: 0s }}\n\
         alerts: {{ review: {{ dismiss: [] }}, explain: {{ sink: book, list: contacts, column: email }} }}\nlists: {{ contacts: {{ path: contacts.csv }} }}\n\
         http: {{ listen: '127.0.0.1:0', {http} }}\n"
    );
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    std::fs::write(bench.path().join("contacts.csv"), "unit_code,email\n101001,unit@example.cn\n").unwrap();
    let daemon = Daemon::start(bench.path());
    (bench, daemon)
}

/// Opens an alert for each budget line by paying without a budget.
fn overspend(daemon: &Daemon, lines_paid: &[&str]) {
    let events: Vec<_> =
        lines_paid.iter().map(|line| payment(&format!("p-{line}"), line, "110.00")).collect();
    let (status, body) = daemon.post("/api/v1/events", &lines(&events));
    assert_eq!(status, 200, "{body}");
}

/// What a request was answered.
struct Answer {
    status: u16,
    etag: Option<String>,
    kind: String,
    body: Value,
}

impl Answer {
    fn detail(&self) -> &str {
        assert_eq!(self.kind, "application/problem+json", "{}", self.body);
        assert_eq!(self.body["status"], self.status);
        self.body["detail"].as_str().unwrap()
    }
}

/// Sends a request of any method.
fn ask(daemon: &Daemon, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    ask_at(&daemon.address, method, path, headers, body)
}

fn ask_at(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = ureq::http::Request::builder().method(method).uri(format!("{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, ureq::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let mut response = agent().run(request.body(body.to_owned()).unwrap()).unwrap();
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (status, etag) = (response.status().as_u16(), header("etag"));
    let kind = header("content-type").unwrap_or_default();
    let text = response.body_mut().read_to_string().unwrap();
    Answer { status, etag, kind, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// Posts JSON.
fn post(daemon: &Daemon, path: &str, body: &Value) -> Answer {
    ask(daemon, "POST", path, &[JSON], &body.to_string())
}

fn get(daemon: &Daemon, path: &str) -> Answer {
    ask(daemon, "GET", path, &[], "")
}

/// The ids of all alerts, the newest first.
fn ids(daemon: &Daemon) -> Vec<String> {
    let alerts = get(daemon, "/api/v1/alerts").body["alerts"].clone();
    alerts.as_array().unwrap().iter().map(|a| a["alert_id"].as_str().unwrap().to_owned()).collect()
}

fn transitions(id: &str) -> String {
    format!("/api/v1/alerts/{id}/transitions")
}
