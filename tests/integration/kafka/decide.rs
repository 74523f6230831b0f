//! Applications that are decided over Kafka: each request gets one answer, whatever happens in between.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use serde_json::{Value, json};

use super::broker::{self, Broker};
use crate::support::{Bench, Daemon, lines, payment, run, wait_until};

/// Requests that are answered while the process is killed.
const REQUESTS: usize = 80;
const RULES: &str = "
rules:
  - { id: over-line, title: Beyond the line, severity: critical, handling: block, trigger: [application, payment], when: budget.available < 0, key: [budget_line_id] }
";

fn bench(broker: &Broker, name: &str) -> Bench {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let config = format!(
        "state: {{ dir: state }}\nlanguage: en\ndecide: {{ kafka: {{ brokers: ['{}'], requests: {name}-asked, replies: {name}-answered, group: {name} }} }}\n",
        broker.address()
    );
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    broker.create(&format!("{name}-asked"), 2, &[]);
    broker.create(&format!("{name}-answered"), 1, &[]);
    bench
}

fn approve(daemon: &Daemon, amount: &str) {
    let event = json!({"event_id": "approve", "type": "budget", "action": "approve", "occurred_at": "2026-01-02", "budget_line_id": "L1",
        "amount": amount, "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201", "economic_code": "30201"});
    assert_eq!(daemon.post("/api/v1/events", &lines(&[event])).0, 200);
}

fn application(id: &str, amount: &str) -> Value {
    let mut event = payment(id, "L1", amount);
    event["type"] = json!("application");
    event
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    partition: i32,
    key: &str,
    text: &str,
) {
    let headers = OwnedHeaders::new().insert(Header { key: "correlation", value: Some(key) });
    let record = BaseRecord::to(topic).partition(partition).key(key).payload(text).headers(headers);
    producer.send(record).map_err(|(e, _)| e).unwrap();
}

/// An answer: its key, its status, what it says.
type Answered = (String, String, Value);

/// The answers of committed transactions until there are so many, and for a while longer.
fn answers(broker: &Broker, topic: &str, count: usize) -> Vec<Answered> {
    let consumer: BaseConsumer = broker
        .client()
        .set("group.id", "reader")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let (mut found, started) = (Vec::new(), Instant::now());
    let mut quiet = Instant::now();
    while found.len() < count || quiet.elapsed() < Duration::from_secs(2) {
        assert!(started.elapsed() < Duration::from_mins(3), "{} of {count} answers", found.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
        let headers = message.headers().unwrap();
        let header = |name: &str| {
            let found = headers.iter().find(|header| header.key == name).unwrap();
            String::from_utf8(found.value.unwrap().to_vec()).unwrap()
        };
        assert_eq!(header("correlation"), key, "the headers of the request come back");
        let said = serde_json::from_slice(message.payload().unwrap()).unwrap();
        found.push((key, header("fiscwatch-status"), said));
        quiet = Instant::now();
    }
    found
}

#[test]
fn requests_are_answered_as_over_http() {
    let Some(broker) = broker::shared() else { return };
    let bench = bench(broker, "asks");
    let daemon = Daemon::start(bench.path());
    approve(&daemon, "100.00");
    let producer: ThreadedProducer<_> = broker.client().create().unwrap();
    let several =
        json!({"applications": [application("d", "10.00"), application("e", "95.00")], "atomic": true});
    let tried = json!({"applications": [application("f", "1.00")], "mode": "what_if"});
    for (key, text) in [
        ("a", application("a", "60.00").to_string()),
        ("b", application("b", "50.00").to_string()),
        ("a again", application("a", "60.00").to_string()),
        ("another a", application("a", "1.00").to_string()),
        ("no JSON", String::from("{")),
        ("both", several.to_string()),
        ("tried", tried.to_string()),
    ] {
        send(&producer, "asks-asked", 0, key, &text);
    }
    producer.flush(Duration::from_mins(1)).unwrap();
    let answered = answers(broker, "asks-answered", 7);
    let told: Vec<_> = answered
        .iter()
        .map(|(key, status, said)| (key.as_str(), status.as_str(), said["decision"].as_str()))
        .collect();
    let expected = [
        ("a", "200", Some("allow")),
        ("b", "200", Some("block")),
        ("a again", "200", Some("allow")),
        ("another a", "409", None),
        ("no JSON", "400", None),
        ("both", "200", Some("block")),
        ("tried", "200", Some("allow")),
    ];
    assert_eq!(told, expected);
    assert_eq!(answered[2].2["replayed"], true);
    assert_eq!(answered[1].2["asked_by"], "kafka:asks-asked");
    assert_eq!(daemon.json("/api/v1/budget-lines/L1")["reserved"], "60.00");
    let metrics = daemon.get("/metrics").1;
    for line in ["answered\"} 5", "refused\"} 2"] {
        assert!(
            metrics.contains(&format!("fiscwatch_decision_requests_total{{result=\"{line}")),
            "{metrics}"
        );
    }
}

/// A process that ends between a decision and its answer leaves the answer to the next one, and no answer comes twice.
#[test]
fn each_request_gets_one_answer_whenever_the_process_is_killed() {
    let Some(broker) = broker::shared() else { return };
    let bench = bench(broker, "killed");
    let daemon = Daemon::start(bench.path());
    approve(&daemon, "50.00");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let producer: ThreadedProducer<_> = broker.client().create().unwrap();
    let ask = |numbers: std::ops::Range<usize>| {
        for n in numbers {
            let asked = application(&format!("k{n}"), "1.00").to_string();
            send(&producer, "killed-asked", i32::from(n % 2 == 1), &format!("k{n}"), &asked);
        }
        producer.flush(Duration::from_mins(1)).unwrap();
    };
    ask(0..40);
    // Right behind the commit of a decision, before anybody is told of it.
    for nth in [1, 4] {
        let mut failing = Daemon::begin(bench.path(), &format!("commit.done=abort@{nth}"));
        wait_until(|| !failing.ready_or_dead());
    }
    ask(40..REQUESTS);
    // And wherever it is by then.
    let decided = |daemon: &Daemon| daemon.json("/api/v1/status")["journal_events"].as_u64().unwrap_or(0);
    for _ in 0..2 {
        let daemon = Daemon::start(bench.path());
        let before = decided(&daemon);
        wait_until(|| decided(&daemon) > before + 8 || before >= 100);
        daemon.stop("-KILL");
    }
    let daemon = Daemon::start(bench.path());
    let answered = answers(broker, "killed-answered", REQUESTS);
    let mut by_request: BTreeMap<&str, &Value> = BTreeMap::new();
    for (key, status, said) in &answered {
        assert_eq!(status, "200", "{said}");
        assert!(by_request.insert(key, said).is_none(), "{key} was answered twice");
        // What was answered is what was decided.
        let stored = daemon.json(&format!("/api/v1/decisions/{key}"));
        assert_eq!(
            (&stored["decision"], &stored["decided_at"]),
            (&said["decision"], &said["decided_at"]),
            "{key}"
        );
    }
    assert_eq!(by_request.len(), REQUESTS);
    let allowed = by_request.values().filter(|said| said["decision"] == "allow").count();
    assert_eq!(allowed, 50, "the line has room for so many");
    wait_until(|| daemon.json("/api/v1/budget-lines/L1")["available"] == "0.00");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (code, out, err) =
        run(bench.path(), &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}
