//! Membership in a consumer group by which machines share out the partitions of a topic. Nothing is read by it: what holds a
//! partition reads it by itself, from where its state stands.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
};
use tokio_util::sync::CancellationToken;

use super::{KafkaSource, opening::why_silent, settings::wrong_property, topic::ANSWER};
use crate::{say, source::SourceError, text::quoted};

/// How long one look for news of the group takes.
const POLL: Duration = Duration::from_millis(100);
/// How often it is looked how many partitions the topic has, and how soon again while nobody answers.
const SURVEY: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);
/// How long partitions may take to be let go of before the broker takes a member for dead.
const LET_GO: Duration = Duration::from_mins(5);
/// The shortest session that brokers allow by their defaults.
const SESSION_MIN: Duration = Duration::from_secs(6);

/// Who holds what this member is given.
pub trait Holder: Send + Sync + 'static {
    /// These are ours from now on.
    fn assigned(&self, partitions: &[i32]);

    /// These are somebody else's as soon as this comes back.
    fn revoked(&self, partitions: &[i32]);

    /// The topic has so many partitions; `false` if it cannot be told yet whether it can be held then.
    ///
    /// # Errors
    /// Why it cannot.
    fn topic_has(&self, partitions: usize) -> Result<bool, String>;
}

/// A member of a group.
#[derive(Debug, Clone)]
pub struct Member {
    pub(crate) group: String,
    /// Its name for good: who comes back under it within a session is given what it had.
    pub instance: String,
    /// How long it may be silent before others are given what it has.
    pub session: Duration,
}

/// Passes on what the group decides.
struct RebalanceListener {
    holder: Arc<dyn Holder>,
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}

impl ClientContext for RebalanceListener {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "shards: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("shards: {error}: {reason}");
    }
}

impl ConsumerContext for RebalanceListener {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        // What a member lost without being asked is fenced by the state's log, and is let go of in the same way.
        if let Rebalance::Revoke(list) = rebalance {
            self.holder.revoked(&numbers(list));
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            // Nothing is to be fetched here.
            if let Err(error) = consumer.pause(list) {
                tracing::debug!("shards: partitions cannot be paused: {error}");
            }
            self.holder.assigned(&numbers(list));
        }
    }
}

impl Member {
    fn client_config(&self, source: &KafkaSource) -> Result<ClientConfig, String> {
        let session = self.session.max(SESSION_MIN);
        let mut config = source.client_config()?;
        config
            .set("group.id", &self.group)
            .set("group.instance.id", &self.instance)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session.as_millis().to_string())
            .set("heartbeat.interval.ms", (session.as_millis() / 6).to_string())
            .set("max.poll.interval.ms", LET_GO.max(session).as_millis().to_string())
            .set("auto.offset.reset", "latest")
            .set("queued.min.messages", "1")
            .set("statistics.interval.ms", "0");
        Ok(config)
    }

    /// Is a member until asked to stop. A broker that is away is waited for.
    ///
    /// # Errors
    /// If the settings are wrong, another machine has the same name, or the topic cannot be held.
    pub fn hold(
        &self,
        source: &KafkaSource,
        holder: &Arc<dyn Holder>,
        stop: &CancellationToken,
    ) -> Result<(), SourceError> {
        let fail = |message| SourceError::Kafka { message };
        let topic = source.topics.first().map_or("", String::as_str);
        let config = self.client_config(source).map_err(fail)?;
        let consumer: BaseConsumer<RebalanceListener> = config
            .create_with_context(RebalanceListener { holder: Arc::clone(holder) })
            .map_err(|e| fail(wrong_property(&e)))?;
        let (mut due, mut is_member, mut said) = (std::time::Instant::now(), false, None);
        while !stop.is_cancelled() {
            if std::time::Instant::now() >= due {
                let may = match partitions(&consumer, &source.brokers.join(", "), topic) {
                    Ok(count) => holder.topic_has(count).map_err(fail)?,
                    Err(trouble) => {
                        tell(&mut said, &trouble);
                        false
                    }
                };
                due = std::time::Instant::now() + if may { SURVEY } else { RETRY };
                if may {
                    said = None;
                }
                if may && !is_member {
                    consumer.subscribe(&[topic]).map_err(|e| fail(e.to_string()))?;
                    is_member = true;
                }
            }
            match consumer.poll(POLL) {
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Err(fail(say!(
                        "the group {group} does not have this machine any more: {reason}. Is there another one of the same name, {instance} (shards.instance)?",
                        group = quoted(&self.group),
                        reason = code,
                        instance = quoted(&self.instance)
                    )));
                }
                // Brokers come and go; who asks for the topic tells if none is there.
                Some(Err(error)) => tracing::debug!("shards: {error}"),
                Some(Ok(_)) | None => {}
            }
        }
        Ok(())
    }
}

/// Tells what is wrong until something else is.
fn tell(said: &mut Option<String>, trouble: &str) {
    if said.as_deref() != Some(trouble) {
        tracing::warn!("shards: {trouble}");
        *said = Some(trouble.to_owned());
    }
}

/// How many partitions a topic has.
fn partitions(
    consumer: &BaseConsumer<RebalanceListener>,
    brokers: &str,
    topic: &str,
) -> Result<usize, String> {
    let metadata: KafkaResult<_> = consumer.fetch_metadata(Some(topic), ANSWER);
    let metadata = metadata.map_err(|e| {
        say!("no answer from {brokers}: {why}; it is tried again", brokers, why = why_silent(&e))
    })?;
    let count = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
    match count.map_or(0, |topic| topic.partitions().len()) {
        0 => Err(say!("the topic {topic} does not exist; it is waited for", topic = quoted(topic))),
        count => Ok(count),
    }
}
