//! What every shipped rule finds in a simulated year, and in the events of its own tests, goes through every sink, and no
//! account and no person of these events comes out of any of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aho_corasick::{AhoCorasick, MatchKind};
use fiscwatch::{
    alert::{Alert, Filing, Notification, NotifiedAlert, Reason},
    app::replay::Replay,
    config::Config,
    daemon::load_rules,
    engine::{Committable, EngineError, Output},
    event::Instant,
    finding::Finding,
    notify::{
        Setup,
        render::{Rendered, Style, render},
        sample::sample,
        template::Templates,
    },
    rule::{Language, RuleMode, RuleSet},
    trial::unit_test,
};
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    mocking::MockCluster,
};
use serde_json::{Map, Value};

use super::{receiver::receiver, setup, sink};
use crate::support::{calendar, desk, run};

/// Alerts that are told of each rule, and findings of each alert.
const ALERTS: usize = 3;
const EVIDENCE: usize = 2;
/// A year with anomalies, in a folder.
fn year(dir: &Path) -> Config {
    let args =
        ["generate", "--payments", "12000", "--units", "40", "--seed", "7", "--out", "year", "--anomalies"];
    let (code, _, err) = run(dir, &args);
    assert_eq!(code, Some(0), "{err}");
    let year = dir.join("year");
    let mut text = std::fs::read_to_string(year.join("fiscwatch.yaml")).unwrap();
    text.push_str(&format!("rules: {{ paths: ['{}'] }}\n", concat!(env!("CARGO_MANIFEST_DIR"), "/rules")));
    Config::parse("fiscwatch.yaml", &text, &year, std::iter::empty()).unwrap()
}

/// The alerts of each rule, filed as the daemon files them, and their findings.
#[derive(Default)]
struct Found {
    alerts: BTreeMap<String, Vec<NotifiedAlert>>,
}

impl Output for Found {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        batches.iter().for_each(|batch| self.file(batch));
        Ok(())
    }
}

impl Found {
    fn file(&mut self, batch: &Committable) {
        for (finding, found) in batch.evaluation.findings.iter().zip(&batch.evaluation.found) {
            self.take(finding, found.at, &batch.rules);
        }
    }

    fn take(&mut self, finding: &Finding, at: Instant, rules: &RuleSet) {
        let rule = rules.rules.iter().find(|rule| rule.rule.id == finding.rule_id).unwrap();
        let told = self.alerts.entry(finding.rule_id.clone()).or_default();
        let known = told.iter().position(|told| told.alert.key == finding.key);
        if known.is_none() && told.len() == ALERTS {
            return;
        }
        let filing = Filing {
            finding: finding.clone(),
            at,
            rule: Arc::clone(&rule.rule),
            personal: Arc::clone(&rule.personal),
            clears: false,
        };
        let current = known.map(|at| told[at].alert.clone());
        let alert = stored(&desk().file(current, None, &filing, at).alert);
        match known {
            None => told.push(NotifiedAlert { alert, evidence: vec![finding.clone()] }),
            Some(at) => {
                told[at].alert = alert;
                told[at].evidence.insert(0, finding.clone());
                told[at].evidence.truncate(EVIDENCE);
            }
        }
    }
}

/// An alert as it comes back from the store.
fn stored(alert: &Alert) -> Alert {
    serde_json::from_str(&serde_json::to_string(alert).unwrap()).unwrap()
}

/// What must not come out: the accounts and the natural persons of the events.
struct Secrets {
    pattern: AhoCorasick,
    words: Vec<String>,
    /// Names of organisations, in which a person's may stand by chance.
    others: AhoCorasick,
}

/// Without its tail, which may be shown, as far as what is left is still like no other number.
fn told_apart(account: &str) -> Option<String> {
    let digits = account.chars().filter(char::is_ascii_digit).count();
    let count = account.chars().count();
    (digits >= 8).then(|| account.chars().take(if count >= 12 { count - 4 } else { count }).collect())
}

impl Secrets {
    fn of(events: &[Map<String, Value>]) -> Self {
        let (mut words, mut others) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
            for account in ["payer_account", "payee_account", "actual_payee_account", "beneficiary_id"] {
                words.extend(text(account).and_then(|account| told_apart(&account)));
            }
            match text("payee_type").as_deref() {
                Some("person") => words.extend(text("payee_name")),
                _ => others.extend(text("payee_name")),
            }
            others.extend(text("unit_name"));
        }
        let words: Vec<_> = words.into_iter().filter(|word| word.chars().count() > 1).collect();
        let longest = |words: &[String]| {
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(words).unwrap()
        };
        let others = longest(&others.into_iter().collect::<Vec<_>>());
        Self { pattern: longest(&words), words, others }
    }

    /// Those in a text.
    fn within(&self, text: &str) -> BTreeSet<&str> {
        let text = self.others.replace_all(text, &vec!["*"; self.others.patterns_len()]);
        self.pattern.find_iter(&text).map(|found| self.words[found.pattern()].as_str()).collect()
    }
}

/// The notification of a rule's alerts.
fn notification(reason: Reason, told: &[NotifiedAlert]) -> Notification {
    let mut notification = sample(reason, Language::Zh);
    notification.group = told[0].alert.labels.clone();
    notification.alerts = told.to_vec();
    notification
}

/// A mail as its readers see it, and its subject.
fn mail(notification: &Notification, language: Language, mask: bool) -> (String, String) {
    let calendar = crate::support::calendar();
    let style = Style { mask, ..Style::new(language, &calendar) };
    let Rendered { subject, text, html, attachments, .. } =
        render(&Templates::default(), notification, &style);
    let files = attachments.iter().map(|a| String::from_utf8_lossy(&a.content).into_owned());
    let files = files.collect::<Vec<_>>().join("\n");
    (subject, [text, html, files].join("\n"))
}

/// What is found in a simulated year, and its events.
fn simulated(config: &Config, events: PathBuf) -> (Found, Vec<Map<String, Value>>) {
    let text = std::fs::read_to_string(&events).unwrap();
    let rules = load_rules(config).unwrap_or_else(|e| panic!("{e:?}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut found = Found::default();
    let (judged, read) = runtime.block_on(async {
        let replay = Replay::new(&[events], None, None, config).unwrap();
        replay.run(config, rules, &mut found).await
    });
    judged.unwrap();
    read.unwrap();
    (found, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What is found in the events of the rules' own tests, and these events: a year has few payments that some rules look for.
fn tested(rules: &RuleSet) -> (Found, Vec<Map<String, Value>>) {
    let report = unit_test::run(&[PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/tests"))]);
    let (mut found, mut events) = (Found::default(), Vec::new());
    for test in report.tests {
        events.extend(test.events);
        // What is in shadow is told as if it were not: one day it is.
        for finding in test.findings.iter().filter(|finding| finding.mode == RuleMode::Shadow) {
            if rules.rules.iter().any(|rule| rule.rule.id == finding.rule_id) {
                found.take(finding, calendar().parse(&finding.at).unwrap(), rules);
            }
        }
        for alert in test.alerts {
            let is_its = |finding: &&Finding| finding.rule_id == alert.rule_id && finding.key == alert.key;
            let evidence: Vec<_> = test.findings.iter().rev().filter(is_its).cloned().collect();
            let told = found.alerts.entry(alert.rule_id.clone()).or_default();
            if told.len() < 4 * ALERTS {
                told.push(NotifiedAlert { alert: stored(&alert), evidence });
            }
        }
    }
    (found, events)
}

#[test]
fn no_account_and_no_person_leaves_by_any_sink() {
    let dir = tempfile::tempdir().unwrap();
    let config = year(dir.path());
    let rules = load_rules(&config).unwrap_or_else(|e| panic!("{e:?}"));
    let (mut seen, mut bare) = (BTreeSet::new(), BTreeSet::new());
    for (found, events) in [simulated(&config, dir.path().join("year/events.jsonl")), tested(&rules)] {
        seen.extend(found.alerts.keys().cloned());
        bare.extend(leaves_nothing(&found, &Secrets::of(&events)));
    }
    // The search finds what is not masked, so that finding nothing means something: measures named `known`, `name` and
    // `paid_to` are among it.
    for rule in [
        "account-second-name",
        "known-name-new-account",
        "burst",
        "refund-repaid-elsewhere",
        "payee-mismatch",
    ] {
        assert!(bare.contains(rule), "{rule} tells nothing: {bare:?}");
    }
    let ids = rules.rules.iter().map(|rule| rule.rule.id.as_str());
    let without: Vec<_> = ids.filter(|id| !seen.contains(*id)).collect();
    assert_eq!(without, Vec::<&str>::new(), "rules of which nothing is known");
}

/// Gives the rules whose mails do tell something when they are not masked.
fn leaves_nothing(found: &Found, secrets: &Secrets) -> BTreeSet<String> {
    let (mut bare, mut sent) = (BTreeSet::new(), Vec::new());
    for (rule, told) in &found.alerts {
        let ways =
            [(Reason::First, Language::Zh), (Reason::Explain, Language::Zh), (Reason::Digest, Language::En)];
        for (reason, language) in ways {
            let (subject, text) = mail(&notification(reason, told), language, true);
            assert_eq!(secrets.within(&text), BTreeSet::new(), "{rule}: {text}");
            assert!(secrets.within(&subject).is_empty() && !has_tail(&subject), "{rule}: {subject}");
        }
        let notification = notification(Reason::First, told);
        let (subject, unmasked) = mail(&notification, Language::Zh, false);
        assert!(secrets.within(&subject).is_empty() && !has_tail(&subject), "{rule}: {subject}");
        bare.extend(secrets.within(&unmasked).into_iter().map(|_| rule.clone()));
        sent.push(notification);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for (name, text) in runtime.block_on(received(&sent)) {
        assert!(text.len() > 10_000 || name == "log", "{name}: {text}");
        assert_eq!(secrets.within(&text), BTreeSet::new(), "{name}");
    }
    bare
}

/// Whether a masked account shows digits.
fn has_tail(text: &str) -> bool {
    text.split("****").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// What the receivers of the sinks for machines get, by sink.
async fn received(sent: &[Notification]) -> Vec<(&'static str, String)> {
    let (setup, mut texts) = (setup(), Vec::new());
    for (kind, path) in
        [("webhook", "url: 'http://127.0.0.1:PORT/'"), ("alertmanager", "urls: ['http://127.0.0.1:PORT']")]
    {
        let (port, got, _) = receiver();
        let sink = sink(&format!("{kind}: {{ {} }}", path.replace("PORT", &port.to_string())), &setup);
        for notification in sent {
            sink.send(notification).await.unwrap();
            sink.resend(&notification.alerts).await.unwrap();
        }
        let got = got.lock();
        texts.push((
            kind,
            got.iter().map(|(path, body)| format!("{path} {body}")).collect::<Vec<_>>().join("\n"),
        ));
    }
    texts.push(("kafka", topic(sent, &setup).await));
    texts.push(("log", log(sent, &setup).await));
    texts
}

async fn topic(sent: &[Notification], setup: &Setup) -> String {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let sink = sink(&format!("kafka: {{ brokers: ['{brokers}'], topic: alerts }}"), setup);
    for notification in sent {
        sink.send(notification).await.unwrap();
    }
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["alerts"]).unwrap();
    let (mut text, mut messages) = (String::new(), 0);
    crate::support::wait_until(|| {
        while let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.unwrap();
            let parts = [message.key().unwrap(), b" ", message.payload().unwrap(), b"\n"].concat();
            text.push_str(&String::from_utf8(parts).unwrap());
            messages += 1;
        }
        messages == sent.iter().map(|notification| notification.alerts.len()).sum::<usize>()
    });
    text
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn log(sent: &[Notification], setup: &Setup) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let sink = sink("log: {}", setup);
    {
        // The sink writes before it first waits, so its lines are this thread's.
        let _log = tracing::subscriber::set_default(subscriber);
        for notification in sent {
            sink.send(notification).await.unwrap();
        }
    }
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    assert!(text.lines().count() >= sent.len(), "{text}");
    text
}
