//! A real broker of its own in a temporary folder, on free ports. tests/kafka/broker.sh runs it and ends it when our
//! end of a pipe closes, which happens however this process ends.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Once, OnceLock},
    time::{Duration, Instant},
};

use futures::executor::block_on;
use rdkafka::{
    ClientConfig, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
};

use crate::support::free_port;

/// A Java machine on a loaded computer takes its time.
const START_MAX: Duration = Duration::from_mins(3);
const ANSWER: Duration = Duration::from_secs(30);

pub struct Broker {
    jars: PathBuf,
    dir: PathBuf,
    ports: [u16; 5],
    script: Option<Child>,
}

/// The jars that tests/kafka/setup.sh has put there. Without them these tests are skipped, and CI fails.
fn jars() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let jars = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka");
    let java = || Command::new("java").arg("-version").output().is_ok_and(|out| out.status.success());
    if jars.join("pom.xml").exists() && java() {
        return Some(jars);
    }
    let required = std::env::var("KAFKA_TESTS").is_ok_and(|value| value == "required");
    assert!(!required, "there is no Kafka broker to test with: run tests/kafka/setup.sh");
    // Past libtest's capture, so that it is seen.
    SAID.call_once(|| {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: tests against a real Kafka broker (tests/kafka/setup.sh gets one; it needs Java and Maven)"
        );
    });
    None
}

/// The broker that most tests share; each has topics of its own.
pub fn shared() -> Option<&'static Broker> {
    static SHARED: OnceLock<Option<Broker>> = OnceLock::new();
    SHARED.get_or_init(Broker::start).as_ref()
}

impl Broker {
    /// Starts a broker; `None` where there are no jars.
    pub fn start() -> Option<Self> {
        let jars = jars()?;
        // A port may be taken by somebody else between our look and the broker's.
        let mut log = String::new();
        for _ in 0..3 {
            let dir = tempfile::tempdir().unwrap().keep();
            let ports = std::array::from_fn(|_| free_port());
            let mut broker = Self { jars: jars.clone(), dir, ports, script: None };
            match broker.run() {
                Ok(()) => return Some(broker),
                Err(failed) => log = failed,
            }
        }
        panic!("the broker does not start:\n{log}");
    }

    fn run(&mut self) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/broker.sh");
        let script = Command::new(script)
            .args([&self.jars, &self.dir])
            .args(self.ports.map(|port| port.to_string()))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        self.script = Some(script);
        let started = Instant::now();
        loop {
            let log = || std::fs::read_to_string(self.dir.join("broker.log")).unwrap_or_default();
            let ended = self.script.as_mut().is_none_or(|script| script.try_wait().unwrap().is_some());
            if ended || started.elapsed() > START_MAX {
                return Err(log());
            }
            let consumer: BaseConsumer = self.client().create().unwrap();
            if consumer.fetch_metadata(None, Duration::from_secs(2)).is_ok() {
                return Ok(());
            }
        }
    }

    /// Ends the broker at once, as a crash does.
    pub fn kill(&mut self) {
        std::fs::write(self.dir.join("again"), "").unwrap();
        self.end();
    }

    /// Starts it again, with its data.
    pub fn restart(&mut self) {
        self.run().unwrap_or_else(|log| panic!("the broker does not start again:\n{log}"));
    }

    /// Sends a signal to the broker's process.
    pub fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.file("broker.pid")).unwrap();
        assert!(Command::new("kill").args([signal, pid.trim()]).status().unwrap().success());
    }

    fn end(&mut self) {
        if let Some(mut script) = self.script.take() {
            drop(script.stdin.take());
            let _ = script.wait();
        }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    pub fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[1])
    }

    pub fn sasl_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[2])
    }

    pub fn sasl_tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[3])
    }

    /// A file of the broker's folder, such as the certificate of its authority.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("log_level", "0");
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    pub fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        let made = block_on(self.admin().create_topics([&new], &options())).unwrap();
        made.into_iter().for_each(|result| drop(result.unwrap()));
    }

    pub fn delete(&self, topic: &str) {
        let deleted = block_on(self.admin().delete_topics(&[topic], &options())).unwrap();
        deleted.into_iter().for_each(|result| drop(result.unwrap()));
    }

    pub fn grow(&self, topic: &str, partitions: usize) {
        let grown =
            block_on(self.admin().create_partitions([&NewPartitions::new(topic, partitions)], &options()));
        grown.unwrap().into_iter().for_each(|result| drop(result.unwrap()));
    }

    /// Deletes the records of partition 0 before an offset, as retention does.
    pub fn truncate(&self, topic: &str, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, rdkafka::Offset::Offset(before)).unwrap();
        block_on(self.admin().delete_records(&list, &options())).unwrap();
    }

    /// The first offset of partition 0, and the one after its last.
    pub fn limits(&self, topic: &str) -> (i64, i64) {
        let consumer: BaseConsumer = self.client().create().unwrap();
        consumer.fetch_watermarks(topic, 0, ANSWER).unwrap()
    }

    /// What a group has committed for partition 0.
    pub fn committed(&self, group: &str, topic: &str) -> Option<i64> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let committed = consumer.committed_offsets(list, ANSWER).unwrap();
        committed.elements()[0].offset().to_raw().filter(|offset| *offset >= 0)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.dir.join("again"));
        self.end();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER))
}
