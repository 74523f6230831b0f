//! The Kafka source against a real Apache Kafka broker.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer, ThreadedProducer},
};
use serde_json::Value;

use super::broker::{self, Broker};
use crate::support::{Bench, Daemon, lines, payment, run, wait_until};

/// A message: partition, key and, unless it is a tombstone, payload.
type Message = (i32, &'static str, Option<Vec<u8>>);

fn produce(client: &mut ClientConfig, topic: &str, messages: impl IntoIterator<Item = Message>) {
    let producer: ThreadedProducer<_> = client.set("message.max.bytes", "4000000").create().unwrap();
    send(&producer, topic, messages);
    producer.flush(Duration::from_mins(1)).unwrap();
}

fn send(
    producer: &ThreadedProducer<rdkafka::producer::DefaultProducerContext>,
    topic: &str,
    messages: impl IntoIterator<Item = Message>,
) {
    for (partition, key, payload) in messages {
        let record = BaseRecord::<str, [u8]>::to(topic).partition(partition).key(key);
        let record = match &payload {
            Some(payload) => record.payload(payload),
            None => record,
        };
        let header = Header { key: "origin", value: Some("bank") };
        producer.send(record.headers(OwnedHeaders::new().insert(header))).map_err(|(e, _)| e).unwrap();
    }
}

/// Payments `{prefix}{n}` on one budget line, for partition 0.
fn payments(prefix: &str, numbers: std::ops::Range<usize>) -> Vec<Message> {
    numbers
        .map(|n| (0, "k", Some(payment(&format!("{prefix}{n}"), "L", "1.00").to_string().into_bytes())))
        .collect()
}

fn bench(brokers: &str, topic: &str, settings: &str) -> Bench {
    Bench::new("", &config(brokers, topic, settings))
}

fn config(brokers: &str, topic: &str, settings: &str) -> String {
    format!(
        "sources: [{{ name: core, kafka: {{ brokers: ['{brokers}'], topics: [{topic}], {settings} }} }}]\nstate: {{ dir: state }}\n"
    )
}

/// Another configuration for the same state.
fn configure(bench: &Bench, brokers: &str, topic: &str, settings: &str) {
    let text = format!("http: {{ listen: '127.0.0.1:0' }}\n{}", config(brokers, topic, settings));
    std::fs::write(bench.path().join("fiscwatch.yaml"), text).unwrap();
}

fn journal(daemon: &Daemon) -> i64 {
    daemon.json("/api/v1/status")["journal_events"].as_i64().unwrap()
}

fn source(daemon: &Daemon) -> Value {
    daemon.json("/api/v1/status")["sources"]["core"].clone()
}

fn lag(daemon: &Daemon, topic: &str, partition: i32) -> Option<i64> {
    let metrics = daemon.get("/metrics").1;
    let name = format!("fiscwatch_source_lag_records{{partition=\"{topic}[{partition}]\",source=\"core\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
}

fn rejects(bench: &Bench) -> Vec<(String, String, u64)> {
    let (code, out, err) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    let parse = |line: &str| -> (String, String, u64) {
        let reject: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| reject[name].as_str().unwrap().to_owned();
        (text("reason"), text("detail"), reject["record"].as_u64().unwrap())
    };
    out.lines().map(parse).collect()
}

fn position(bench: &Bench, topic: &str) -> Option<i64> {
    let (_, info, _) = run(bench.path(), &["state", "info", "--json", "--config", "fiscwatch.yaml"]);
    let info: Value = serde_json::from_str(&info).unwrap();
    let of_topic = |p: &&Value| p[1] == format!("{topic}[0]");
    info["positions"].as_array().unwrap().iter().find(of_topic)?[2].as_i64()
}

#[test]
fn every_compression_and_committed_transactions_are_read_once() {
    let Some(broker) = broker::shared() else { return };
    broker.create("codecs", 1, &[]);
    let bench = bench(&broker.address(), "codecs", "group: lag-tools");
    let daemon = Daemon::start(bench.path());
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        produce(broker.client().set("compression.codec", codec), "codecs", payments(codec, 0..50));
    }
    let wait = Duration::from_mins(1);
    for (id, commits) in [("first", true), ("aborted", false), ("last", true)] {
        let producer: ThreadedProducer<_> = broker.client().set("transactional.id", id).create().unwrap();
        producer.init_transactions(wait).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, "codecs", payments(id, 0..20));
        producer.flush(wait).unwrap();
        match commits {
            true => producer.commit_transaction(wait).unwrap(),
            false => producer.abort_transaction(wait).unwrap(),
        }
    }
    wait_until(|| journal(&daemon) == 5 * 50 + 2 * 20);
    // Everything once more, in another order: nothing changes.
    let again: Vec<_> = payments("zstd", 0..50).into_iter().rev().chain(payments("first", 0..20)).collect();
    produce(&mut broker.client(), "codecs", again);
    wait_until(|| daemon.json("/api/v1/status")["since_start"]["duplicates"] == 70);
    assert_eq!(journal(&daemon), 290);
    // A transaction's marker takes an offset and brings no message: lag and position move over it all the same.
    let producer: ThreadedProducer<_> = broker.client().set("transactional.id", "end").create().unwrap();
    producer.init_transactions(wait).unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, "codecs", payments("end", 0..1));
    producer.commit_transaction(wait).unwrap();
    let end = broker.limits("codecs").1;
    assert_eq!(end, 250 + 3 * 21 + 70 + 2);
    wait_until(|| journal(&daemon) == 291);
    wait_until(|| lag(&daemon, "codecs", 0) == Some(0));
    wait_until(|| position(&bench, "codecs") == Some(end));
    // The group is told afterwards.
    wait_until(|| broker.committed("lag-tools", "codecs") == Some(end));
    // Retention up to the end takes nothing that was not read.
    assert_eq!(daemon.stop("-TERM"), Some(0));
    broker.truncate("codecs", end);
    let daemon = Daemon::start(bench.path());
    produce(&mut broker.client(), "codecs", payments("more", 0..1));
    wait_until(|| journal(&daemon) == 292);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_eq!(rejects(&bench), []);
}

#[test]
fn tls_and_scram_with_secrets_from_files() {
    let Some(broker) = broker::shared() else { return };
    broker.create("secured", 1, &[]);
    produce(&mut broker.client(), "secured", payments("p", 0..10));
    let ca = format!("ssl.ca.location: '{}'", broker.file("ca.pem").display());
    let certificate = format!(
        "ssl.certificate.location: '{}', ssl.key.location: '{}'",
        broker.file("client.pem").display(),
        broker.file("client.key").display()
    );
    let scram = |protocol: &str, mechanism: &str| {
        format!("security.protocol: {protocol}, sasl.mechanism: {mechanism}, sasl.username: reader")
    };
    let secure = format!("{}, {ca}", scram("SASL_SSL", "SCRAM-SHA-512"));
    for (address, properties, secret) in [
        (broker.tls_address(), format!("security.protocol: SSL, {ca}"), ""),
        (
            broker.tls_address(),
            format!("security.protocol: SSL, {ca}, {certificate}"),
            "key_password_file: client-key",
        ),
        (broker.sasl_address(), scram("SASL_PLAINTEXT", "SCRAM-SHA-256"), "password_file: reader-256"),
        (broker.sasl_tls_address(), secure.clone(), "password_file: reader-512"),
    ] {
        let bench = bench(&address, "secured", &format!("properties: {{ {properties} }}, {secret}"));
        for secret in ["client-key", "reader-256", "reader-512"] {
            std::fs::write(bench.path().join(secret), format!("{secret}\n")).unwrap();
        }
        let daemon = Daemon::start(bench.path());
        wait_until(|| journal(&daemon) == 10);
        assert_eq!(daemon.stop("-TERM"), Some(0));
    }

    // A wrong password is told, without it.
    let bench = bench(
        &broker.sasl_tls_address(),
        "secured",
        &format!("properties: {{ {secure} }}, password_file: wrong"),
    );
    std::fs::write(bench.path().join("wrong"), "geheim").unwrap();
    let daemon = Daemon::launch(bench.path());
    wait_until(|| daemon.get("/-/ready").1.contains("Authentication failed"));
    let (status, why) = daemon.get("/-/ready");
    assert_eq!(status, 503);
    assert!(why.contains("source core: secured: ") && !why.contains("geheim"), "{why}");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    // And so is an authority that did not sign the broker's certificate.
    configure(&bench, &broker.tls_address(), "secured", "properties: { security.protocol: SSL }");
    let daemon = Daemon::launch(bench.path());
    wait_until(|| daemon.get("/-/ready").1.contains("certificate verify failed"));
    assert_eq!(daemon.get("/-/ready").0, 503);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn compaction_leaves_gaps_and_no_event_is_a_reject_with_a_reason() {
    let Some(broker) = broker::shared() else { return };
    let compacted = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.0"),
        ("max.compaction.lag.ms", "100"),
        ("delete.retention.ms", "60000"),
    ];
    broker.create("compacted", 1, &compacted);
    let bench = bench(&broker.address(), "compacted", "");
    let daemon = Daemon::start(bench.path());
    let by_key = |n: usize, key: &'static str| {
        (0, key, Some(payment(&format!("e{n}"), "L", "1.00").to_string().into_bytes()))
    };
    produce(&mut broker.client(), "compacted", (0..10).map(|n| by_key(n, "same")));
    wait_until(|| journal(&daemon) == 10);
    assert_eq!(daemon.stop("-TERM"), Some(0));

    produce(&mut broker.client(), "compacted", (10..40).map(|n| by_key(n, "same")));
    let tombstone = (0, "gone", None);
    let empty = (0, "empty", Some(Vec::new()));
    let long = (0, "long", Some(vec![b'x'; 2 << 20]));
    produce(&mut broker.client(), "compacted", [tombstone, empty, long]);
    // A message now and then ends a segment; the cleaner then works on those before it.
    let first_left = || {
        produce(&mut broker.client(), "compacted", [by_key(40, "last")]);
        let consumer: rdkafka::consumer::BaseConsumer =
            broker.client().set("group.id", "look").create().unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset("compacted", 0, rdkafka::Offset::Offset(10)).unwrap();
        rdkafka::consumer::Consumer::assign(&consumer, &list).unwrap();
        let message = consumer.poll(Duration::from_secs(30)).unwrap().unwrap();
        rdkafka::Message::offset(&message)
    };
    wait_until(|| first_left() == 39);

    let daemon = Daemon::start(bench.path());
    wait_until(|| journal(&daemon) == 12);
    wait_until(|| lag(&daemon, "compacted", 0) == Some(0));
    assert_eq!(source(&daemon)["losses"], serde_json::json!([]));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let reasons: Vec<_> = rejects(&bench).into_iter().map(|(reason, _, at)| (reason, at)).collect();
    let expected = [("invalid_json", 40), ("invalid_json", 41), ("too_large", 42)];
    assert_eq!(reasons, expected.map(|(reason, at)| (reason.to_owned(), at)));
}

#[test]
fn what_retention_took_is_never_passed_over_in_silence() {
    let Some(broker) = broker::shared() else { return };
    broker.create("retained", 1, &[]);
    let bench = bench(&broker.address(), "retained", "");
    produce(&mut broker.client(), "retained", payments("p", 0..10));
    let daemon = Daemon::start(bench.path());
    wait_until(|| journal(&daemon) == 10);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    produce(&mut broker.client(), "retained", payments("p", 10..40));
    broker.truncate("retained", 25);

    // By default nothing after the hole is read.
    for _ in 0..2 {
        let (code, _, err) = run(bench.path(), &["run", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1), "{err}");
        assert!(
            err.contains("source \"core\": retained[0]: up to 15 messages, from offset 10 on, were deleted by the broker before they were read (retention). Nothing was passed over."),
            "{err}"
        );
        assert!(err.contains("set `on_loss: earliest` for this source: it goes on at 25"), "{err}");
        assert_eq!(position(&bench, "retained"), Some(10));
    }

    configure(&bench, &broker.address(), "retained", "on_loss: earliest");
    let daemon = Daemon::start(bench.path());
    wait_until(|| journal(&daemon) == 25);
    let status = source(&daemon);
    assert_eq!(status["lost"]["retained[0]"], 15);
    assert!(
        status["losses"][0].as_str().unwrap().contains("up to 15 messages, from offset 10 on"),
        "{status}"
    );
    let metrics = daemon.get("/metrics").1;
    assert!(
        metrics.contains("fiscwatch_source_lost_records_total{partition=\"retained[0]\",source=\"core\"} 15"),
        "{metrics}"
    );
    assert!(daemon.log.try_iter().any(|line| line.contains("ERROR") && line.contains("up to 15 messages")));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let lost = rejects(&bench);
    assert_eq!(lost.len(), 1);
    assert_eq!((lost[0].0.as_str(), lost[0].2), ("lost", 10));
    // It is said once, and the hole is no record that could be read again.
    let daemon = Daemon::start(bench.path());
    wait_until(|| lag(&daemon, "retained", 0) == Some(0));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (code, out, err) = run(bench.path(), &["rejects", "replay", "--config", "fiscwatch.yaml"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "0 records read again: 0 accepted, 0 known already, 0 in quarantine again\n"),
        "{err}"
    );
    assert_eq!(rejects(&bench).len(), 1);
}

#[test]
fn a_topic_that_was_made_anew_is_told_from_the_old_one_even_if_it_is_longer() {
    let Some(broker) = broker::shared() else { return };
    broker.create("anew", 1, &[]);
    let bench = bench(&broker.address(), "anew", "on_loss: earliest");
    produce(&mut broker.client(), "anew", payments("old", 0..5));
    let daemon = Daemon::start(bench.path());
    wait_until(|| journal(&daemon) == 5);
    // While it runs.
    let recreate = |prefix: &str, count: usize| {
        broker.delete("anew");
        wait_until(|| {
            let consumer: rdkafka::consumer::BaseConsumer = broker.client().create().unwrap();
            let topics =
                rdkafka::consumer::Consumer::fetch_metadata(&consumer, None, Duration::from_secs(30));
            topics.unwrap().topics().iter().all(|topic| topic.name() != "anew")
        });
        broker.create("anew", 1, &[]);
        produce(&mut broker.client(), "anew", payments(prefix, 0..count));
    };
    recreate("new", 9);
    wait_until(|| journal(&daemon) == 5 + 9);
    assert!(source(&daemon)["losses"][0].as_str().unwrap().contains("deleted and created again"));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_eq!(rejects(&bench).len(), 1);
    // Between two runs, where nothing is to be passed over.
    configure(&bench, &broker.address(), "anew", "");
    recreate("third", 30);
    let (code, _, err) = run(bench.path(), &["run", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("the topic was deleted and created again"), "{err}");
    assert!(err.contains("the old one was read up to offset 9"), "{err}");
    assert_eq!(position(&bench, "anew"), Some(9));
}

#[test]
fn new_partitions_are_read_from_their_start_and_latest_is_where_the_first_start_was() {
    let Some(broker) = broker::shared() else { return };
    broker.create("grown", 1, &[]);
    produce(&mut broker.client(), "grown", payments("before", 0..5));
    let bench = bench(&broker.address(), "grown", "start: latest");
    let daemon = Daemon::start(bench.path());
    wait_until(|| position(&bench, "grown") == Some(5));
    drop(daemon);
    // Nothing was read, but the place is kept.
    produce(&mut broker.client(), "grown", payments("between", 0..3));
    let daemon = Daemon::start(bench.path());
    wait_until(|| journal(&daemon) == 3);
    broker.grow("grown", 3);
    // Before anybody can have noticed.
    let elsewhere = |n: usize| {
        (
            i32::try_from(1 + n % 2).unwrap(),
            "k",
            Some(payment(&format!("n{n}"), "L", "1.00").to_string().into_bytes()),
        )
    };
    let mut client = broker.client();
    wait_until(|| broker_has(broker, "grown", 3));
    produce(&mut client, "grown", (0..20).map(elsewhere));
    wait_until(|| journal(&daemon) == 23);
    wait_until(|| (0..3).all(|n| lag(&daemon, "grown", n) == Some(0)));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_eq!(rejects(&bench), []);
}

fn broker_has(broker: &Broker, topic: &str, partitions: usize) -> bool {
    let consumer: rdkafka::consumer::BaseConsumer = broker.client().create().unwrap();
    let metadata =
        rdkafka::consumer::Consumer::fetch_metadata(&consumer, Some(topic), Duration::from_secs(30));
    metadata.unwrap().topics()[0].partitions().len() == partitions
}

#[test]
fn a_broker_that_hangs_dies_and_comes_back_loses_and_repeats_nothing() {
    let Some(mut broker) = Broker::start() else { return };
    broker.create("payments", 1, &[]);
    let bench = bench(&broker.address(), "payments", "");
    let daemon = Daemon::start(bench.path());
    produce(&mut broker.client(), "payments", payments("a", 0..20));
    wait_until(|| journal(&daemon) == 20);

    // It hangs.
    broker.signal("-STOP");
    wait_until(|| source(&daemon)["troubles"]["payments"].is_string());
    let (status, text) = daemon.get("/-/ready");
    assert_eq!(status, 200);
    assert!(text.contains("source core: payments: "), "{text}");
    let metrics = daemon.get("/metrics").1;
    assert!(metrics.contains("fiscwatch_source_up{source=\"core\"} 0"), "{metrics}");
    broker.signal("-CONT");
    wait_until(|| source(&daemon)["troubles"] == serde_json::json!({}));
    produce(&mut broker.client(), "payments", payments("b", 0..20));
    wait_until(|| journal(&daemon) == 40);

    // It dies, and the daemon is killed meanwhile.
    broker.kill();
    wait_until(|| source(&daemon)["troubles"]["payments"].is_string());
    assert!(source(&daemon)["errors"].as_u64().unwrap() > 0);
    broker.restart();
    wait_until(|| source(&daemon)["troubles"] == serde_json::json!({}));
    produce(&mut broker.client(), "payments", payments("c", 0..20));
    wait_until(|| journal(&daemon) == 60);
    broker.kill();
    drop(daemon);
    let daemon = Daemon::launch(bench.path());
    wait_until(|| daemon.get("/-/ready").1.contains("source core: payments: "));
    assert_eq!(daemon.get("/-/ready").0, 503);
    broker.restart();
    produce(&mut broker.client(), "payments", payments("d", 0..20));
    wait_until(|| journal(&daemon) == 80);
    wait_until(|| lag(&daemon, "payments", 0) == Some(0));
    let metrics = daemon.get("/metrics").1;
    assert!(metrics.contains("fiscwatch_source_up{source=\"core\"} 1"), "{metrics}");
    assert!(metrics.contains("fiscwatch_duplicates_total 0"), "{metrics}");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_eq!(position(&bench, "payments"), Some(80));
}

#[test]
fn instances_with_states_of_their_own_each_read_everything() {
    let Some(broker) = broker::shared() else { return };
    broker.create("both", 1, &[]);
    let event = payment("p0", "L", "5.00");
    let first = Bench::new(&lines(&[event]), &config(&broker.address(), "both", "group: one-group"));
    let second = bench(&broker.address(), "both", "group: one-group");
    produce(&mut broker.client(), "both", payments("p", 0..30));
    let a = Daemon::start(first.path());
    wait_until(|| journal(&a) == 30);
    wait_until(|| broker.committed("one-group", "both") == Some(30));
    // The second is warned that the group's offsets are not its own, and is not misled by them.
    let b = Daemon::start(second.path());
    wait_until(|| journal(&b) == 30);
    assert!(
        b.log
            .try_iter()
            .any(|line| line.contains("the group's offset is ahead of ours") && line.contains("one-group"))
    );
    produce(&mut broker.client(), "both", payments("q", 0..30));
    wait_until(|| journal(&a) == 60 && journal(&b) == 60);
    assert_eq!(a.stop("-TERM"), Some(0));
    assert_eq!(b.stop("-TERM"), Some(0));
    assert_eq!(first.state(), second.state());
}

#[test]
fn a_standby_takes_over_the_topic_from_one_that_is_killed() {
    let Some(broker) = broker::shared() else { return };
    broker.create("handed", 1, &[]);
    let bench = bench(&broker.address(), "handed", "");
    let text = std::fs::read_to_string(bench.path().join("fiscwatch.yaml")).unwrap();
    let text = text
        .replace("state: { dir: state }", "state: { dir: state, standby: true }\nengine: { batch_rows: 20 }");
    std::fs::write(bench.path().join("fiscwatch.yaml"), text).unwrap();
    let mut active = Daemon::start(bench.path());
    for part in 0..4 {
        let standby = Daemon::launch(bench.path());
        assert_eq!(standby.get("/-/ready").0, 503);
        let before = journal(&active);
        produce(&mut broker.client(), "handed", payments("p", part * 400..(part + 1) * 400));
        wait_until(|| journal(&active) > before);
        // kill -9, mostly in the middle of the part.
        drop(std::mem::replace(&mut active, standby));
        wait_until(|| active.get("/-/ready").0 == 200);
    }
    wait_until(|| journal(&active) == 1600);
    wait_until(|| lag(&active, "handed", 0) == Some(0));
    assert_eq!(active.stop("-TERM"), Some(0));
    let (_, info, _) = run(bench.path(), &["state", "info", "--json", "--config", "fiscwatch.yaml"]);
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(
        (&info["events"], &info["duplicates"], &info["quarantined"]),
        (&1600.into(), &0.into(), &0.into())
    );
    assert_eq!(position(&bench, "handed"), Some(1600));
}
