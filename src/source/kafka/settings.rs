//! The settings of a Kafka source. Whatever librdkafka knows is passed through, except what would break the
//! promise that positions are committed with the data.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use rdkafka::{ClientConfig, error::KafkaError};
use serde::{Deserialize, Serialize};

use crate::{diagnostic::os_reason, say, text::quoted};

/// Kafka topics to read.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSource {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// The topics.
    pub topics: Vec<String>,
    /// The consumer group, for access rules and for tools that show lag: offsets are committed to it after the store
    /// has them, and never read from it.
    #[serde(default = "group")]
    pub group: String,
    /// What a message holds: `json`, one event; `debezium`, a change of a row in a database.
    #[serde(default)]
    pub format: MessageFormat,
    /// Where a partition without a stored position begins.
    #[serde(default)]
    pub start: Start,
    /// What to do when the broker no longer has what is to be read next.
    #[serde(default)]
    pub on_loss: OnLoss,
    /// librdkafka's settings: TLS, SASL and the like.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// A file with the SASL password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A file with the password of the TLS key.
    #[serde(default)]
    pub key_password_file: Option<PathBuf>,
    /// The only partition that is read, where each is a shard's (`shards`).
    #[serde(skip)]
    pub partition: Option<i32>,
}

/// What a message holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageFormat {
    /// One event, a JSON object.
    #[default]
    Json,
    /// A change of a row in a database, in Debezium's envelope.
    Debezium,
}

/// Where a partition without a stored position begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the first message there is.
    #[default]
    Earliest,
    /// At the next message that comes.
    Latest,
}

/// What to do when messages are gone that were not read: retention has passed the position, or the topic was created again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLoss {
    /// Stop the daemon with an error, before anything after the hole is read.
    #[default]
    Stop,
    /// Go on with the first message there is, and keep the hole in quarantine.
    Earliest,
}

fn group() -> String {
    String::from("fiscwatch")
}

/// How brokers are reached, by sources and sinks alike.
#[derive(Debug)]
pub(crate) struct Connection<'c> {
    pub brokers: &'c [String],
    pub properties: &'c BTreeMap<String, String>,
    pub password_file: Option<&'c Path>,
    pub key_password_file: Option<&'c Path>,
}

/// A property that cannot be set, and what to do instead.
pub(crate) type Reserved = (&'static str, fn() -> String);

impl Connection<'_> {
    /// librdkafka's configuration: `defaults`, the properties over them, the secrets of the files. `reserved` names the
    /// properties that cannot be set, with what to do instead.
    pub(crate) fn client_config(
        &self,
        reserved: &[Reserved],
        defaults: &[(&str, &str)],
    ) -> Result<ClientConfig, String> {
        for (name, instead) in reserved {
            if self.properties.contains_key(*name) {
                return Err(say!("the property {name} cannot be set: {instead}", name, instead = instead()));
            }
        }
        let mut config = ClientConfig::new();
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", self.brokers.join(","));
        let secrets = [("sasl.password", self.password_file), ("ssl.key.password", self.key_password_file)];
        for (name, file) in secrets {
            if let Some(path) = file {
                let secret = std::fs::read_to_string(path).map_err(|e| {
                    let (path, reason) = (path.display(), os_reason(&e));
                    say!("the secret for {name} cannot be read from {path}: {reason}", name, path, reason)
                })?;
                config.set(name, secret.trim_end_matches(['\n', '\r']));
            }
        }
        Ok(config)
    }
}

/// Why a client cannot be made, without the value of the property: it may be a password.
pub(crate) fn wrong_property(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, what, name, _) => say!("{what} ({name}). Check `properties`", what, name),
        other => say!("{reason}. Check `properties`", reason = other),
    }
}

/// Settings that are ours, with what to do instead.
const RESERVED: &[Reserved] = &[
    ("bootstrap.servers", || say!("use `brokers`")),
    ("metadata.broker.list", || say!("use `brokers`")),
    ("group.id", || say!("use `group`")),
    ("enable.auto.commit", || say!("positions are committed with the data")),
    ("enable.auto.offset.store", || say!("positions are committed with the data")),
    ("auto.offset.reset", || {
        say!("use `start` and `on_loss`; a position that is gone is reported, not skipped")
    }),
    ("isolation.level", || say!("messages of transactions that were aborted are never read")),
    ("enable.partition.eof", || say!("it is used to tell how far a topic is read")),
    ("statistics.interval.ms", || say!("it is used to tell how far a topic is read")),
];

/// What librdkafka may hold of messages that we did not take yet, over all topics of a source, unless the settings say
/// otherwise.
const QUEUED_KBYTES: usize = 65536;
/// And at least for each topic.
const QUEUED_KBYTES_MIN: usize = 4096;
/// What one answer of a broker may hold; a single larger message still comes.
const FETCH_BYTES_MAX: &str = "16777216";
/// How often librdkafka tells how far it is, in milliseconds.
const STATISTICS: &str = "1000";

impl KafkaSource {
    /// Whether the settings can be used, as far as it can be told without a broker.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        self.client_config().map(|_| ())
    }

    pub(super) fn client_config(&self) -> Result<ClientConfig, String> {
        if self.brokers.is_empty() || self.topics.is_empty() {
            return Err(say!("name at least one broker and one topic"));
        }
        if let Some(twice) = self.topics.iter().enumerate().find(|(at, t)| self.topics[..*at].contains(t)) {
            return Err(say!("the topic {topic} is named twice", topic = quoted(twice.1)));
        }
        let connection = Connection {
            brokers: &self.brokers,
            properties: &self.properties,
            password_file: self.password_file.as_deref(),
            key_password_file: self.key_password_file.as_deref(),
        };
        let queued = (QUEUED_KBYTES / self.topics.len()).max(QUEUED_KBYTES_MIN).to_string();
        let defaults = [
            ("queued.max.messages.kbytes", queued.as_str()),
            ("fetch.max.bytes", FETCH_BYTES_MAX),
            // A broker that takes messages is asked again soon, one that is away at most every few seconds.
            ("reconnect.backoff.max.ms", "3000"),
            ("client.id", "fiscwatch"),
        ];
        let mut config = connection.client_config(RESERVED, &defaults)?;
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "false")
            .set("statistics.interval.ms", STATISTICS);
        Ok(config)
    }
}

/// Without the values of the properties: a password may be among them.
impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource")
            .field("brokers", &self.brokers)
            .field("topics", &self.topics)
            .field("group", &self.group)
            .field("format", &self.format)
            .field("start", &self.start)
            .field("on_loss", &self.on_loss)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("password_file", &self.password_file)
            .field("key_password_file", &self.key_password_file)
            .field("partition", &self.partition)
            .finish()
    }
}
