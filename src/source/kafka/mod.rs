//! Kafka topics (with `notify/kafka`, the only place that knows rdkafka). Partitions are assigned by hand, at the offsets that the store
//! holds: what was read is committed with what became of it, and the broker's own offsets are not used.

mod partition;
mod settings;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    metadata::MetadataPartition,
};

use super::{Outlet, Positions, SourceError};
use partition::Partition;

pub(crate) use settings::{Connection, wrong_property};
pub use settings::{KafkaSource, Start};

/// How long one look for a message takes; also how long a lone message waits for company.
const POLL: Duration = Duration::from_millis(5);
/// A block is sent after this long even if messages keep coming.
const BLOCK_AGE_MAX: Duration = Duration::from_millis(50);
/// How often new topics and partitions are looked for.
const DISCOVER: Duration = Duration::from_secs(10);
/// How often while a topic is missing or no broker answers.
const DISCOVER_MISSING: Duration = Duration::from_secs(1);
/// How long a broker may take to answer a question.
const ANSWER: Duration = Duration::from_secs(5);

/// librdkafka's log lines become ours.
pub(crate) struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!(facility, "kafka: {message}");
            }
            _ => tracing::warn!(facility, "kafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!("kafka: {error}: {reason}");
    }
}

impl ConsumerContext for Context {}

impl KafkaSource {
    /// Reads until asked to stop. Brokers and topics that are not there are waited for.
    ///
    /// # Errors
    /// If the settings are wrong.
    pub fn run(&self, outlet: &Outlet, positions: &Positions) -> Result<(), SourceError> {
        let fail = |message: String| SourceError::Kafka { source_name: outlet.name.to_string(), message };
        let config = self.client_config().map_err(fail)?;
        let consumer: BaseConsumer<Context> =
            config.create_with_context(Context).map_err(|e| fail(wrong_property(&e)))?;
        Reader { source: self, consumer, outlet, positions, partitions: BTreeMap::new(), trouble: None }
            .read();
        Ok(())
    }
}

/// A consumer and the partitions it reads.
struct Reader<'s> {
    source: &'s KafkaSource,
    consumer: BaseConsumer<Context>,
    outlet: &'s Outlet,
    positions: &'s Positions,
    partitions: BTreeMap<String, BTreeMap<i32, Partition>>,
    /// What was said last about what is wrong, so that it is said once.
    trouble: Option<String>,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut discover_at = Instant::now();
        let mut sent_at = Instant::now();
        while !self.outlet.stop.is_cancelled() {
            if Instant::now() >= discover_at {
                let complete = self.discover();
                discover_at = Instant::now() + if complete { DISCOVER } else { DISCOVER_MISSING };
            }
            // A look at the queue also serves librdkafka's callbacks, so it happens without partitions too.
            let idle = match self.consumer.poll(POLL) {
                None => true,
                Some(Ok(message)) => {
                    let topic = self.partitions.get_mut(message.topic());
                    match topic.and_then(|numbers| numbers.get_mut(&message.partition())) {
                        Some(partition) => {
                            let payload = message.payload().unwrap_or_default();
                            if !partition.take(message.offset(), payload, self.outlet) {
                                return;
                            }
                        }
                        // It was on its way when the assignment changed, and comes again.
                        None => continue,
                    }
                    false
                }
                Some(Err(error)) => {
                    self.error(&error);
                    true
                }
            };
            if idle || sent_at.elapsed() > BLOCK_AGE_MAX {
                sent_at = Instant::now();
                if !self.partitions.values_mut().flat_map(BTreeMap::values_mut).all(|p| p.send(self.outlet)) {
                    return;
                }
            }
        }
    }

    /// Looks for partitions that are not read yet. `false` if a topic is missing or nobody answers.
    fn discover(&mut self) -> bool {
        let mut complete = true;
        let mut added = false;
        for topic in &self.source.topics {
            let numbers = match self.partition_numbers(topic) {
                Ok(numbers) => numbers,
                Err(trouble) => {
                    self.say(trouble);
                    complete = false;
                    continue;
                }
            };
            for number in numbers {
                if self.partitions.get(topic).is_some_and(|numbers| numbers.contains_key(&number)) {
                    continue;
                }
                match self.open(topic, number) {
                    Ok(partition) => {
                        self.partitions.entry(topic.clone()).or_default().insert(number, partition);
                        added = true;
                    }
                    Err(trouble) => {
                        self.say(trouble);
                        complete = false;
                    }
                }
            }
        }
        if added {
            complete &= self.assign();
        }
        if complete && self.trouble.take().is_some() {
            tracing::info!(source = %self.outlet.name, "kafka: all topics are read");
        }
        complete
    }

    fn partition_numbers(&self, topic: &str) -> Result<Vec<i32>, String> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ANSWER);
        let metadata =
            metadata.map_err(|e| format!("no answer from {}: {e}", self.source.brokers.join(", ")))?;
        let topics = metadata.topics().iter().filter(|t| t.name() == topic && t.error().is_none());
        let numbers: Vec<_> = topics.flat_map(|t| t.partitions().iter().map(MetadataPartition::id)).collect();
        if numbers.is_empty() {
            Err(format!("the topic {topic:?} does not exist; it is waited for"))
        } else {
            Ok(numbers)
        }
    }

    /// A partition at its stored position, or where the source starts.
    fn open(&self, topic: &str, number: i32) -> Result<Partition, String> {
        let name = format!("{topic}[{number}]");
        let (low, high) = self
            .consumer
            .fetch_watermarks(topic, number, ANSWER)
            .map_err(|e| format!("no answer about {name}: {e}"))?;
        let stored = self.positions.get(&name).and_then(|p| i64::try_from(p.offset).ok());
        let next = match stored {
            Some(at) if at < low => {
                self.lost(
                    &name,
                    at,
                    low,
                    "the broker has deleted them (retention); get them from where they came from",
                );
                low
            }
            Some(at) if at > high => {
                self.lost(
                    &name,
                    at,
                    low,
                    "the topic ends before them: was it made anew? It is read from its start",
                );
                low
            }
            Some(at) => at,
            None if self.source.start == Start::Latest => high,
            None => low,
        };
        Ok(Partition::new(name, next, stored))
    }

    /// A hole in the stream is never passed over in silence.
    fn lost(&self, name: &str, at: i64, goes_on: i64, why: &str) {
        tracing::error!(
            source = %self.outlet.name, partition = name, position = at, goes_on,
            "kafka: messages from the stored position on are not there: {why}"
        );
    }

    fn assign(&mut self) -> bool {
        let mut list = TopicPartitionList::new();
        let mut added = Ok(());
        for (topic, numbers) in &self.partitions {
            for (number, partition) in numbers {
                added =
                    added.and(list.add_partition_offset(topic, *number, Offset::Offset(partition.next())));
            }
        }
        match added.and_then(|()| self.consumer.assign(&list)) {
            Ok(()) => true,
            Err(e) => {
                self.say(format!("the partitions cannot be assigned: {e}"));
                self.partitions.clear();
                false
            }
        }
    }

    fn error(&mut self, error: &KafkaError) {
        let gone = RDKafkaErrorCode::OffsetOutOfRange;
        let reset = RDKafkaErrorCode::AutoOffsetReset;
        match error {
            KafkaError::MessageConsumption(code) if *code == gone || *code == reset => self.reposition(),
            error => self.say(format!("{error}; it goes on when the broker is back")),
        }
    }

    /// Retention has overtaken us: partitions go on, loudly, at the first message that is there.
    fn reposition(&mut self) {
        let mut lost = Vec::new();
        for (topic, numbers) in &mut self.partitions {
            for (number, partition) in numbers {
                let Ok((low, high)) = self.consumer.fetch_watermarks(topic, *number, ANSWER) else {
                    continue;
                };
                if !(low..=high).contains(&partition.next()) {
                    lost.push((partition.name().to_owned(), partition.next(), low));
                    partition.jump(low);
                }
            }
        }
        for (name, at, low) in lost {
            self.lost(&name, at, low, "the broker has deleted them, or the topic was made anew");
        }
        self.assign();
    }

    /// Says what is wrong once, until something else is.
    fn say(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::warn!(source = %self.outlet.name, "kafka: {trouble}");
            self.trouble = Some(trouble);
        }
    }
}
