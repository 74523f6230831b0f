//! Alertmanager itself, as Debian packages it.

use std::{
    process::{Command, Stdio},
    sync::Arc,
};

use parking_lot::Mutex;

use fiscwatch::{
    alert::{Notification, NotifiedAlert, Reason, State},
    clock::{Clock, SystemClock},
    event::TimeDelta,
    notify::{Resender, Sink},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{notification, server::Process, service, setup, sink, temporary};
use crate::support::{NOBODY, free_port, wait_until};

/// Installed, or unpacked by `scripts/setup/services.sh`.
const BINARY: [&str; 2] = [
    "/usr/bin/prometheus-alertmanager",
    "target/services/prometheus-alertmanager/usr/bin/prometheus-alertmanager",
];

struct Alertmanager {
    url: String,
    _process: Process,
    _dir: tempfile::TempDir,
}

impl Alertmanager {
    fn start() -> Option<Self> {
        let binary = service(&BINARY)?;
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("alertmanager.yml");
        std::fs::write(&config, "route: { receiver: none }\nreceivers: [{ name: none }]\n").unwrap();
        let port = free_port();
        let child = Command::new(binary)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { url: format!("http://127.0.0.1:{port}"), _process: Process(child), _dir: dir };
        wait_until(|| ureq::get(format!("{}/-/ready", server.url)).call().is_ok());
        Some(server)
    }

    /// The alerts that it takes for active, by their ids.
    fn alerts(&self) -> Vec<Value> {
        let text =
            ureq::get(format!("{}/api/v2/alerts", self.url)).call().unwrap().into_body().read_to_string();
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    fn alert(&self, id: &str) -> Option<Value> {
        self.alerts().into_iter().find(|alert| alert["labels"]["alert_id"] == id)
    }
}

/// A notification of now, as Alertmanager goes by the clock.
fn now(reason: Reason) -> Notification {
    let mut notification = notification(reason, "");
    let now = SystemClock.now();
    for told in &mut notification.alerts {
        told.alert.opened_at = now - TimeDelta::MINUTE;
        told.alert.ended_at = told.alert.ended_at.map(|_| now - TimeDelta::SECOND);
    }
    notification.created_at = now;
    notification
}

fn sink_to(urls: &[&str], more: &str) -> Arc<dyn Sink> {
    sink(
        &format!(
            "alertmanager: {{ urls: ['{}'], labels: {{ source: fiscwatch }}, {more} }}",
            urls.join("', '")
        ),
        &setup(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_begin_and_end_there() {
    let Some(server) = Alertmanager::start() else { return };
    let sink = sink_to(&[&server.url], "");
    let mut sent = now(Reason::New);
    sink.send(&sent).await.unwrap();
    wait_until(|| server.alerts().len() == 3);
    let split = server.alert(&sent.alerts[1].alert.alert_id).unwrap();
    let labels = serde_json::to_string_pretty(&split["labels"]).unwrap();
    let annotations = serde_json::to_string_pretty(&split["annotations"]).unwrap();
    insta::assert_snapshot!(format!("{labels}\n{annotations}"));
    assert_eq!(
        split["generatorURL"],
        format!("https://fiscwatch.example.gov.cn/alerts/{}", sent.alerts[1].alert.alert_id)
    );

    // The same alert with other values is the same alert there, and once it has ended it goes.
    let told = &mut sent.alerts[0].alert;
    told.summary = "又一笔".into();
    told.findings = 3;
    sink.send(&sent).await.unwrap();
    let id = sent.alerts[0].alert.alert_id.clone();
    wait_until(|| server.alert(&id).is_some_and(|alert| alert["annotations"]["findings"] == "3"));
    assert_eq!(server.alerts().len(), 3);
    for told in &mut sent.alerts {
        told.alert.state = State::Closed;
        told.alert.ended_at = Some(SystemClock.now() - TimeDelta::SECOND);
    }
    sink.send(&sent).await.unwrap();
    wait_until(|| server.alerts().is_empty());
    sink.send(&now(Reason::Test)).await.unwrap();
    wait_until(|| server.alerts().iter().any(|alert| alert["labels"]["alertname"] == "FiscwatchTest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_kept_alive_until_they_end() {
    let Some(server) = Alertmanager::start() else { return };
    let sink = sink_to(&[&server.url], "resend: 1s");
    assert_eq!(sink.resend_every(), Some(std::time::Duration::from_secs(1)));
    let current: Arc<Mutex<Vec<NotifiedAlert>>> = Arc::new(Mutex::new(now(Reason::New).alerts));
    let given = current.clone();
    let resender = Arc::new(Resender {
        name: "test".into(),
        sink,
        current: Arc::new(move || given.lock().clone()),
        clock: Arc::new(SystemClock),
        metrics: setup().metrics,
    });
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (resender, stop) = (resender.clone(), stop.clone());
        async move { resender.run(stop).await }
    });
    let id = current.lock()[0].alert.alert_id.clone();
    let ends_at = || server.alert(&id).map(|alert| alert["endsAt"].as_str().unwrap().to_owned());
    wait_until(|| ends_at().is_some());
    for _ in 0..2 {
        let before = ends_at();
        wait_until(|| ends_at() > before);
    }
    // An end is told again, for a while: it may have been lost before.
    let now = SystemClock.now();
    current.lock()[0].alert.ended_at = Some(now - TimeDelta::SECOND);
    wait_until(|| ends_at().is_none());
    current.lock()[1].alert.ended_at = Some(now - TimeDelta::minutes(16));
    assert_eq!(resender.once().await, Ok(2));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_of_several_is_enough() {
    let dead = format!("http://{NOBODY}");
    let text = temporary(sink_to(&[&dead, &dead], "").send(&now(Reason::First)).await);
    assert_eq!(text.matches("nobody listens there").count(), 2, "{text}");
    let Some(server) = Alertmanager::start() else { return };
    sink_to(&[&dead, &server.url], "").send(&now(Reason::First)).await.unwrap();
    wait_until(|| server.alerts().len() == 1);
}
