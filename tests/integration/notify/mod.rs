//! The sinks against real servers, and against servers that misbehave in every way there is.

mod alertmanager;
mod broken;
mod delivery;
mod email;
mod health;
mod kafka;
mod limits;
mod masking;
mod receiver;
mod server;
pub mod smtp;
mod webhook;

use std::{path::PathBuf, sync::Arc};

use fiscwatch::{
    alert::{Notification, Reason},
    clock::{Clock, SystemClock},
    config::Config,
    notify::{self, SendError, Setup, Sink, Sinks, sample::sample, template::Templates},
    rule::Language,
    telemetry::Metrics,
};

fn setup_at(clock: Arc<dyn Clock>) -> Setup {
    Setup {
        language: Language::Zh,
        calendar: crate::support::calendar(),
        clock,
        templates: Arc::new(Templates::default()),
        office: Arc::default(),
        external_url: Some("https://fiscwatch.example.gov.cn".into()),
        links: None,
        metrics: Arc::new(Metrics::new().unwrap()),
        names: Arc::default(),
    }
}

fn setup() -> Setup {
    setup_at(Arc::new(SystemClock))
}

/// The sinks of a configuration.
fn build(yaml: &str, setup: &Setup) -> Result<Sinks, String> {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let config = Config::parse("test.yaml", yaml, &base, std::iter::empty());
    let config = config.map_err(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let sinks = notify::build("test.yaml", &config.sinks, setup);
    sinks.map_err(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// The one sink of a configuration: `kind: { … }`.
fn sink(kind: &str, setup: &Setup) -> Arc<dyn Sink> {
    let sinks = build(&format!("sinks: [{{ name: test, {kind} }}]"), setup).unwrap();
    sinks.into_values().next().unwrap()
}

fn notification(reason: Reason, to: &str) -> Notification {
    Notification { recipient: Some(to.to_owned()), ..sample(reason, Language::Zh) }
}

/// A fresh one, so that mails can be told apart.
fn numbered(n: usize) -> Notification {
    let mut notification = notification(Reason::New, "officer@example.cn");
    notification.id = format!("n{n}");
    notification
}

fn temporary(result: Result<(), SendError>) -> String {
    match result {
        Err(SendError::Temporary(text)) => text,
        other => panic!("expected a temporary failure, got {other:?}"),
    }
}

fn permanent(result: Result<(), SendError>) -> String {
    match result {
        Err(SendError::Permanent(text)) => text,
        other => panic!("expected a permanent failure, got {other:?}"),
    }
}

/// A program that `scripts/setup/services.sh` fetches, at the first of these places where it is. CI insists on it, others
/// are told what is skipped.
pub fn service(places: &[&str]) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = places.iter().map(|place| root.join(place)).find(|path| path.exists());
    if found.is_none() {
        let missing = places.join(" and no ");
        assert!(
            std::env::var_os("SERVICES_REQUIRED").is_none(),
            "run scripts/setup/services.sh: there is no {missing}"
        );
        eprintln!("skipped: there is no {missing}; scripts/setup/services.sh fetches it");
    }
    found
}

/// The commented example of the shipped configuration is a configuration.
#[test]
fn the_shipped_example_of_sinks_is_valid() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/fiscwatch.yaml")).unwrap();
    let from = text.find("sinks: []").unwrap();
    let to = text.find("# external_url: ").unwrap();
    let to = text[to..].find('\n').unwrap() + to;
    let example = text[from..to]
        .replace("sinks: []", "sinks:")
        .replace("\n#  ", "\n  ")
        .replace("\n# templates", "\ntemplates")
        .replace("\n# external", "\nexternal");
    let dir = tempfile::tempdir().unwrap();
    let config = Config::parse("example", &example, dir.path(), std::iter::empty()).unwrap();
    assert_eq!(config.sinks.len(), 5);
    assert!(config.templates.is_some() && config.external_url.is_some());
    // The files that it names are not there, and that is all that is wrong.
    let problems = notify::build("example", &config.sinks, &setup()).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:?}");
    for problem in &problems {
        assert!(
            problem.message.contains("cannot be read") || problem.message.contains("No such file"),
            "{problem}"
        );
    }
}

#[test]
fn wrong_sinks_are_told_and_no_secret_is() {
    let yaml = "
sinks:
  - { name: 'a b', log: {} }
  - { name: two, log: {}, kafka: { brokers: [b], topic: t } }
  - { name: none }
  - { name: twice, log: {} }
  - { name: twice, log: {} }
  - { name: scheme, email: { servers: ['smtp://mx'], from: a@b.cn, to: [c@d.cn] } }
  - { name: from, email: { servers: [mx], from: 'not an address', to: [c@d.cn] } }
  - { name: nobody, email: { servers: [mx], from: a@b.cn, to: [] } }
  - { name: login, email: { servers: [mx], from: a@b.cn, to: [c@d.cn], user: u } }
  - { name: wait, email: { servers: [mx], from: a@b.cn, to: [c@d.cn], accept_timeout: soon } }
  - { name: url, webhook: { url: 'ftp://u:hunter2@h/?token=hunter2' } }
  - { name: both, webhook: { url: 'https://h', secret: hunter2, secret_file: f } }
  - { name: am, alertmanager: { urls: ['http://am'], labels: { 'no-name': x } } }
  - { name: acks, kafka: { brokers: [b], topic: t, properties: { acks: '0' } } }
  - { name: property, kafka: { brokers: [b], topic: t, properties: { no.such: hunter2 } } }
";
    let problems = build(yaml, &setup()).unwrap_err();
    assert!(!problems.contains("hunter2"), "{problems}");
    insta::assert_snapshot!(problems);
    let config = Config::parse("c", yaml, std::path::Path::new(""), std::iter::empty()).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
