//! A Kafka topic: a message an alert, keyed by the alert so that its changes stay in order.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use serde_json::Value;

use super::{SendError, Setup, Sink, json, mask::masked, sample::reason_word};
use crate::{
    alert::Notification,
    config::sinks::KafkaSinkSpec,
    event::duration,
    personal::number::NumberTail,
    say,
    source::kafka::{ClientLog, Connection, Reserved, wrong_property},
    text::quoted,
};

type Producer = FutureProducer<ClientLog>;

/// Settings that are ours, with what to do instead.
const RESERVED: &[Reserved] = &[
    ("bootstrap.servers", || say!("use `brokers`")),
    ("metadata.broker.list", || say!("use `brokers`")),
    ("enable.idempotence", || say!("it is always on")),
    ("acks", || say!("a message counts when all replicas in sync have it")),
    ("request.required.acks", || say!("a message counts when all replicas in sync have it")),
    ("message.timeout.ms", || say!("use `timeout`")),
    ("delivery.timeout.ms", || say!("use `timeout`")),
];

pub(crate) struct Kafka {
    config: ClientConfig,
    topic: String,
    timeout: Duration,
    mask: bool,
    setup: Setup,
    /// Made when it is first needed, and made again when it can go on no more.
    producer: Mutex<Option<Producer>>,
}

impl Kafka {
    /// Checks the settings and reads the secrets; no broker is asked yet.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn new(spec: &KafkaSinkSpec, setup: &Setup) -> Result<Self, String> {
        if spec.brokers.is_empty() || spec.topic.is_empty() {
            return Err(say!("name at least one broker, and the topic"));
        }
        let timeout = duration(&spec.timeout).map_err(|e| format!("timeout: {e}"))?;
        let connection = Connection {
            brokers: &spec.brokers,
            properties: &spec.properties,
            password_file: spec.password_file.as_deref(),
            key_password_file: spec.key_password_file.as_deref(),
        };
        let mut config = connection.client_config(RESERVED, &[])?;
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", timeout.as_millis().to_string());
        let topic = spec.topic.clone();
        let sink = Self {
            config,
            topic,
            timeout,
            mask: spec.mask,
            setup: setup.clone(),
            producer: Mutex::default(),
        };
        // Wrong properties are told now.
        let _ = sink.producer()?;
        Ok(sink)
    }

    fn producer(&self) -> Result<Producer, String> {
        let mut kept = self.producer.lock();
        if let Some(producer) = &*kept {
            return Ok(producer.clone());
        }
        let made: Result<Producer, _> = self.config.create_with_context(ClientLog);
        let made = made.map_err(|e| wrong_property(&e))?;
        *kept = Some(made.clone());
        Ok(made)
    }

    async fn produce(
        &self,
        producer: &Producer,
        id: &str,
        reason: &str,
        (key, message): &(String, String),
    ) -> Result<(), KafkaError> {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "fiscwatch-notification", value: Some(id) })
            .insert(Header { key: "fiscwatch-reason", value: Some(reason) })
            .insert(Header { key: "content-type", value: Some("application/json") });
        let record = FutureRecord::to(&self.topic).key(key).payload(message).headers(headers);
        producer.send(record, Timeout::After(self.timeout)).await.map(|_| ()).map_err(|(e, _)| e)
    }
}

#[async_trait]
impl Sink for Kafka {
    async fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let producer = self.producer().map_err(SendError::Temporary)?;
        let messages = match self.mask {
            true => messages(&masked(notification, NumberTail::Shown), &self.setup),
            false => messages(notification, &self.setup),
        };
        let reason = reason_word(notification.reason);
        let sent = messages.iter().map(|message| self.produce(&producer, &notification.id, &reason, message));
        // All are awaited: some may have failed while others are on their way.
        let failed: Vec<_> = join_all(sent).await.into_iter().filter_map(Result::err).collect();
        if failed.iter().any(|e| e.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)) {
            *self.producer.lock() = None;
        }
        let mut refusals: Vec<_> = failed.iter().map(|error| judge(&self.topic, error)).collect();
        // While one of them may still get through, the notification is tried again.
        let tried_again = refusals.iter().position(|e| matches!(e, SendError::Temporary(_))).unwrap_or(0);
        match refusals.is_empty() {
            true => Ok(()),
            false => Err(refusals.swap_remove(tried_again)),
        }
    }
}

/// Key and text of each message: one an alert, or one for what the daemon itself has to say.
fn messages(notification: &Notification, setup: &Setup) -> Vec<(String, String)> {
    let envelope = json::envelope(notification, setup);
    if notification.alerts.is_empty() {
        return vec![(notification.id.clone(), Value::Object(envelope).to_string())];
    }
    let message = |told| {
        let mut message = envelope.clone();
        message.insert("alert".into(), json::alert(told, setup));
        (told.alert.alert_id.clone(), Value::Object(message).to_string())
    };
    notification.alerts.iter().map(message).collect()
}

fn judge(topic: &str, error: &KafkaError) -> SendError {
    use RDKafkaErrorCode::{
        InvalidRecord, InvalidTopic, MessageSizeTooLarge, MessageTimedOut, TopicAuthorizationFailed,
        UnknownTopic, UnknownTopicOrPartition,
    };
    let topic = quoted(topic);
    SendError::Temporary(match error.rdkafka_error_code() {
        Some(MessageSizeTooLarge) => {
            return SendError::Permanent(say!(
                "topic {topic}: the message is larger than the broker takes",
                topic
            ));
        }
        Some(InvalidRecord | InvalidTopic) => {
            return SendError::Permanent(say!("topic {topic}: the broker refuses it: {error}", topic, error));
        }
        Some(UnknownTopic | UnknownTopicOrPartition) => {
            say!("topic {topic}: the brokers do not have it. Create the topic", topic)
        }
        Some(TopicAuthorizationFailed) => {
            say!("topic {topic}: this user may not write to it. Allow it on the broker", topic)
        }
        Some(MessageTimedOut) => {
            say!("topic {topic}: no broker took the message in time. Are the brokers up?", topic)
        }
        _ => say!("topic {topic}: {error}", topic, error),
    })
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("topic", &self.topic).field("mask", &self.mask).finish_non_exhaustive()
    }
}
