//! The Kafka source against librdkafka's mock cluster: real connections, no Java.

use std::{
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fiscwatch::source::kafka::KafkaSource;
use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use crate::support::{Bench, Daemon, lines, random_events, run, wait_until};

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn produce(cluster: &Cluster, messages: impl IntoIterator<Item = (String, i32, Vec<u8>)>) {
    let producer: ThreadedProducer<_> = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("message.max.bytes", "4000000")
        .create()
        .unwrap();
    for (topic, partition, payload) in messages {
        let record = BaseRecord::<(), [u8]>::to(&topic).partition(partition).payload(&payload);
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

fn config(cluster: &Cluster, topics: &str) -> String {
    let brokers = cluster.bootstrap_servers();
    format!(
        "sources: [{{ name: core, kafka: {{ brokers: ['{brokers}'], topics: [{topics}] }} }}]\nstate: {{ dir: state }}\n"
    )
}

fn journal(daemon: &Daemon) -> i64 {
    daemon.json("/api/v1/status")["journal_events"].as_i64().unwrap()
}

#[test]
fn several_topics_and_partitions_are_read_once_over_kills() {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["payments", "budget"] {
        cluster.create_topic(topic, 3, 1).unwrap();
    }
    let events = random_events(21, 3000);
    // All events of an id go to one partition, so that their order is kept.
    let place = |n: usize| (["payments", "budget"][n % 2].to_owned(), i32::try_from(n % 3).unwrap());
    let messages: Vec<_> = events
        .iter()
        .map(|event| {
            let number: usize = event["event_id"].as_str().unwrap()[1..].parse().unwrap();
            let (topic, partition) = place(number);
            (topic, partition, event.to_string().into_bytes())
        })
        .collect();
    let bench = Bench::new(&lines(&events), &config(&cluster, "payments, budget"));
    let expected = bench.backtest(&[]);
    let accepted = {
        let (_, _, err) =
            run(bench.path(), &["backtest", "--config", "fiscwatch.yaml", "--events", "events.jsonl"]);
        err.lines().find_map(|l| l.split_once(" events (")?.0.parse::<i64>().ok()).unwrap()
    };
    for part in messages.chunks(700) {
        let daemon = Daemon::start(bench.path());
        let before = journal(&daemon);
        produce(&cluster, part.to_vec());
        wait_until(|| journal(&daemon) > before);
        // The drop is a kill -9, mostly in the middle of reading.
    }
    let daemon = Daemon::start(bench.path());
    wait_until(|| journal(&daemon) == accepted);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(journal(&daemon), accepted);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    // Partitions interleave, so the balances are compared, which do not depend on the order between partitions.
    let sums = |ledger: &[String]| -> Vec<_> {
        let parse = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap();
        ledger
            .iter()
            .map(parse)
            .map(|l| {
                (
                    l["budget_line_id"].clone(),
                    l["total"].clone(),
                    l["executed"].clone(),
                    l["reserved"].clone(),
                )
            })
            .collect()
    };
    assert_eq!(sums(&bench.state().1), sums(&expected.1));

    // Every position is the end of its partition, and nothing was read twice in the last run.
    let (_, info, _) = run(bench.path(), &["state", "info", "--json", "--config", "fiscwatch.yaml"]);
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let read: i64 = info["positions"].as_array().unwrap().iter().map(|p| p[2].as_i64().unwrap()).sum();
    assert_eq!(read, 3000);
}

#[test]
fn messages_that_are_empty_too_long_or_no_json_go_to_quarantine() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("payments", 1, 1).unwrap();
    let bench = Bench::new("", &config(&cluster, "payments"));
    let daemon = Daemon::start(bench.path());
    let good = crate::support::payment("p", "L", "1.00");
    // Pretty-printed: a message may have line ends.
    let good = serde_json::to_vec_pretty(&good).unwrap();
    let payloads = [Vec::new(), b"no json".to_vec(), vec![b'x'; 2 << 20], good];
    produce(&cluster, payloads.map(|payload| ("payments".to_owned(), 0, payload)));
    wait_until(|| journal(&daemon) == 1);
    let metrics = daemon.get("/metrics").1;
    assert!(
        metrics.contains("fiscwatch_quarantined_total{reason=\"invalid_json\",source=\"core\"} 2"),
        "{metrics}"
    );
    assert!(
        metrics.contains("fiscwatch_quarantined_total{reason=\"too_large\",source=\"core\"} 1"),
        "{metrics}"
    );
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (_, list, _) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert!(list.contains("\"partition\":\"payments[0]\",\"record\":2,\"reason\":\"too_large\""), "{list}");
}

/// A door to the cluster's broker that drops every connection until it is opened. (The mock broker's own
/// `broker_down` gives its port away, and aborts the process if somebody else took it meanwhile.)
fn door(broker: String) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let open = Arc::new(AtomicBool::new(false));
    let is_open = open.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten().filter(|_| is_open.load(Ordering::Relaxed)) {
            let server = TcpStream::connect(&broker).unwrap();
            let ends = [(&client, &server), (&server, &client)];
            for (mut from, mut to) in ends.map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap())) {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    (address, open)
}

#[test]
fn a_broker_that_is_down_is_waited_for_and_the_end_is_prompt() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("payments", 1, 1).unwrap();
    let (address, open) = door(cluster.bootstrap_servers());
    let bench = Bench::new("", &config(&cluster, "payments").replace(&cluster.bootstrap_servers(), &address));
    let daemon = Daemon::launch(bench.path());
    produce(
        &cluster,
        [("payments".to_owned(), 0, crate::support::payment("p", "L", "1.00").to_string().into_bytes())],
    );
    // It lives, but is not ready, and says why.
    wait_until(|| daemon.get("/-/ready").1.contains("source core: payments: no answer from"));
    assert_eq!(daemon.get("/-/ready").0, 503);
    assert_eq!(daemon.get("/-/healthy").0, 200);
    assert!(daemon.get("/metrics").1.contains("fiscwatch_source_up{source=\"core\"} 0"));
    open.store(true, Ordering::Relaxed);
    wait_until(|| journal(&daemon) == 1);
    assert_eq!(daemon.get("/-/ready"), (200, "fiscwatch is ready\n".to_owned()));
    assert!(daemon.get("/metrics").1.contains("fiscwatch_source_up{source=\"core\"} 1"));
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn settings_that_would_break_the_promise_are_refused_and_secrets_are_not_shown() {
    let bench = Bench::new("", "");
    let check = |kafka: &str| {
        let config =
            format!("sources: [{{ name: core, kafka: {{ brokers: ['b:9092'], topics: [t], {kafka} }} }}]\n");
        crate::support::write(bench.path(), "fiscwatch.yaml", &config);
        let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1), "{err}");
        err
    };
    let err = check("properties: { enable.auto.commit: 'true' }");
    assert!(err.contains("source \"core\": the property enable.auto.commit cannot be set: positions are committed with the data"), "{err}");
    let err = check("password_file: /none/such");
    assert!(
        err.contains("the secret for sasl.password cannot be read from /none/such: it is not there"),
        "{err}"
    );
    let err = check("topcis: []");
    assert!(err.contains("unknown key \"topcis\""), "{err}");

    let source: KafkaSource = serde_json::from_value(serde_json::json!({
        "brokers": ["b:9092"], "topics": ["t"], "properties": {"sasl.password": "geheim"}
    }))
    .unwrap();
    assert!(!format!("{source:?}").contains("geheim"));
}

#[test]
fn when_the_store_is_slow_the_partitions_are_paused_and_nothing_is_lost() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("payments", 2, 1).unwrap();
    let bench = Bench::new("", &format!("{}engine: {{ batch_rows: 10 }}\n", config(&cluster, "payments")));
    let daemon = Daemon::start(bench.path());
    // Another writer holds the database, as long as its patience lasts.
    let database = rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let event = |n: usize| crate::support::payment(&format!("p{n}"), "L", "1.00").to_string().into_bytes();
    produce(&cluster, (0..3000).map(|n| ("payments".to_owned(), i32::try_from(n % 2).unwrap(), event(n))));
    wait_until(|| daemon.log.try_iter().any(|line| line.contains("paused until there is room for more")));
    // What is not read yet is known all the same.
    let lag = || -> i64 {
        let metrics = daemon.get("/metrics").1;
        let values = metrics.lines().filter(|line| line.starts_with("fiscwatch_source_lag_records{"));
        values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap()).sum()
    };
    wait_until(|| lag() > 1000);
    assert_eq!(journal(&daemon), 0);
    database.execute_batch("ROLLBACK").unwrap();
    wait_until(|| journal(&daemon) == 3000);
    wait_until(|| lag() == 0);
    assert!(daemon.get("/metrics").1.contains("fiscwatch_duplicates_total 0"));
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn a_slow_broker_is_told_and_waited_for() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("payments", 1, 1).unwrap();
    let bench = Bench::new("", &config(&cluster, "payments"));
    let daemon = Daemon::start(bench.path());
    cluster.broker_round_trip_time(1, Duration::from_secs(20)).unwrap();
    let troubles = || daemon.json("/api/v1/status")["sources"]["core"]["troubles"].clone();
    wait_until(|| troubles()["payments"].is_string());
    assert_eq!(daemon.get("/-/ready").0, 200);
    cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
    let event = crate::support::payment("p", "L", "1.00").to_string().into_bytes();
    produce(&cluster, [("payments".to_owned(), 0, event)]);
    wait_until(|| journal(&daemon) == 1);
    wait_until(|| troubles() == serde_json::json!({}));
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn a_run_that_ends_by_itself_reads_up_to_where_the_topics_ended_at_its_start() {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["payments", "nothing"] {
        cluster.create_topic(topic, 2, 1).unwrap();
    }
    let bench = Bench::new("", &config(&cluster, "payments, nothing"));
    let args = ["run", "--once", "--config", "fiscwatch.yaml"];
    for (night, total) in [(0..300, 300), (300..500, 500)] {
        let payments: Vec<_> =
            night.map(|n| (n, crate::support::payment(&format!("e{n}"), "L", "1.00"))).collect();
        produce(
            &cluster,
            payments.iter().map(|(n, p)| (String::from("payments"), n % 2, p.to_string().into_bytes())),
        );
        let (code, _, err) = run(bench.path(), &args);
        assert_eq!(code, Some(0), "{err}");
        let (_, info, _) = run(bench.path(), &["state", "info", "--json", "--config", "fiscwatch.yaml"]);
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["events"], total);
    }
}
