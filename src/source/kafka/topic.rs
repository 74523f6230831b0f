//! Reads one topic: a session opens the partitions where they stand, and takes messages until something asks for
//! another session.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    KafkaSource,
    context::{Fetched, KafkaCallbacks},
    partition::Partition,
    settings::wrong_property,
};
use crate::{
    say,
    source::{Outlet, Positions, SourceError},
    stream::RECORD_BYTES_MAX,
};

/// A consumer of one topic.
pub(crate) type TopicConsumer = BaseConsumer<KafkaCallbacks>;

/// How long one look for a message takes; also how long a lone message waits for company.
const POLL: Duration = Duration::from_millis(5);
/// A block is sent after this long even if messages keep coming.
const BLOCK_AGE_MAX: Duration = Duration::from_millis(50);
/// How often the topic is looked at: for new partitions, and whether it is still the same one.
const SURVEY: Duration = Duration::from_secs(5);
/// How often while something is wrong.
const RETRY: Duration = Duration::from_secs(1);
/// How long a broker may take to answer a question.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);

/// How reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    On,
    /// With a new session: what the consumer has fetched is not to be used.
    Reopen,
    Stop,
}

pub(crate) struct TopicReader<'s> {
    pub source: &'s KafkaSource,
    pub topic: &'s str,
    pub outlet: &'s Outlet,
    /// How far it was read before the start.
    pub stored: &'s Positions,
    pub partitions: BTreeMap<i32, Partition>,
    /// How far the fetchers of this session are.
    pub fetched: BTreeMap<i32, Fetched>,
    /// Whether something is wrong, so that a message that comes puts it right.
    pub troubled: bool,
    /// Whether it was looked who else writes to the consumer group.
    pub group_checked: bool,
    pub tidied: std::time::Instant,
    /// Why the group's offsets were not taken the last time.
    pub refused: Option<String>,
    /// The ends of the partitions when they were first opened: what is read once is read up to here.
    pub ends: BTreeMap<i32, i64>,
}

impl<'s> TopicReader<'s> {
    pub(crate) fn new(
        source: &'s KafkaSource,
        topic: &'s str,
        outlet: &'s Outlet,
        stored: &'s Positions,
    ) -> Self {
        Self {
            source,
            topic,
            outlet,
            stored,
            partitions: BTreeMap::new(),
            fetched: BTreeMap::new(),
            troubled: false,
            group_checked: false,
            tidied: std::time::Instant::now(),
            refused: None,
            ends: BTreeMap::new(),
        }
    }

    /// Reads until asked to stop.
    pub(crate) fn read(mut self) -> Result<(), SourceError> {
        let fail = |message| SourceError::Kafka { message };
        let config = self.source.client_config().map_err(fail)?;
        while !self.outlet.stop.is_cancelled() {
            let context = KafkaCallbacks::new(Arc::clone(&self.outlet.name));
            let consumer: TopicConsumer =
                config.create_with_context(context).map_err(|e| fail(wrong_property(&e)))?;
            self.fetched.clear();
            while !self.open(&consumer)? {
                if self.wait(&consumer) == Flow::Stop {
                    return Ok(());
                }
            }
            if self.session(&consumer)? == Flow::Stop || self.troubled && self.wait(&consumer) == Flow::Stop {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes messages. The partitions are assigned.
    fn session(&mut self, consumer: &TopicConsumer) -> Result<Flow, SourceError> {
        let mut survey_at = std::time::Instant::now() + SURVEY;
        let mut sent_at = std::time::Instant::now();
        loop {
            if self.outlet.stop.is_cancelled() {
                return Ok(Flow::Stop);
            }
            if std::time::Instant::now() >= survey_at {
                match self.survey(consumer)? {
                    Flow::On => {}
                    other => return Ok(other),
                }
                survey_at = std::time::Instant::now() + if self.troubled { RETRY } else { SURVEY };
            }
            let served = consumer.context().served();
            let (flow, empty) = self.poll(consumer);
            if flow != Flow::On {
                return Ok(flow);
            }
            // A look may have ended with a call served instead of an empty queue.
            let idle = empty && consumer.context().served() == served;
            if idle {
                self.caught_up();
            }
            self.measure(consumer);
            if self.outlet.once && self.is_read() {
                let _ = self.send_gathered(consumer);
                return Ok(Flow::Stop);
            }
            if empty || sent_at.elapsed() > BLOCK_AGE_MAX {
                sent_at = std::time::Instant::now();
                match self.send_gathered(consumer) {
                    Flow::On => {}
                    other => return Ok(other),
                }
            }
            match self.tidy(consumer) {
                Flow::On => {}
                other => return Ok(other),
            }
        }
    }

    /// Whether everything is taken that was there when the topic was first opened.
    fn is_read(&self) -> bool {
        let reached = |number: &i32, end: i64| self.partitions.get(number).is_some_and(|p| p.next() >= end);
        self.ends.iter().all(|(number, end)| reached(number, *end))
    }

    /// Takes a message, if there is one; says whether there was none.
    fn poll(&mut self, consumer: &TopicConsumer) -> (Flow, bool) {
        let (number, full) = match consumer.poll(POLL) {
            None => return (Flow::On, true),
            Some(Err(error)) => return (self.error(&error), true),
            Some(Ok(message)) => {
                self.recovered();
                let number = message.partition();
                let Some(partition) = self.partitions.get_mut(&number) else {
                    return (Flow::On, false);
                };
                let payload = message.payload().unwrap_or_default();
                if payload.len() > RECORD_BYTES_MAX {
                    let blocks = [partition.cut(), partition.too_large(message.offset(), payload)];
                    drop(message);
                    return (self.send_all(consumer, blocks.into_iter().flatten()), false);
                }
                (number, partition.take(message.offset(), payload, self.outlet.rows))
            }
        };
        let block = self.partitions.get_mut(&number).filter(|_| full).and_then(Partition::cut);
        (self.send_all(consumer, block), false)
    }

    /// Waits a while for what is missing, with an open ear for errors.
    fn wait(&mut self, consumer: &TopicConsumer) -> Flow {
        let until = std::time::Instant::now() + RETRY;
        while std::time::Instant::now() < until {
            if self.outlet.stop.is_cancelled() {
                return Flow::Stop;
            }
            if let Some(Err(error)) = consumer.poll(Duration::from_millis(50)) {
                self.error(&error);
            }
        }
        Flow::On
    }

    fn error(&mut self, error: &KafkaError) -> Flow {
        use RDKafkaErrorCode as Code;
        match error {
            KafkaError::MessageConsumption(
                Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::LogTruncation,
            ) => Flow::Reopen,
            KafkaError::MessageConsumption(
                Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                // What cannot be unpacked is tried again rather than passed over.
                | Code::BadMessage
                | Code::BadCompression
                | Code::NotImplemented,
            )
            | KafkaError::MessageConsumptionFatal(_) => {
                self.trouble(&say!("{error}; the topic is opened again", error));
                Flow::Reopen
            }
            // One of several brokers may be away, and the others have all that is read; if not, the topic's survey tells.
            KafkaError::MessageConsumption(Code::BrokerTransportFailure | Code::OperationTimedOut) => {
                self.outlet.status.error();
                Flow::On
            }
            // They come often; what is known to be wrong is not said again.
            _ if self.troubled => {
                self.outlet.status.error();
                Flow::On
            }
            error => {
                self.trouble(&say!("{error}; it goes on when the broker is back", error));
                Flow::On
            }
        }
    }

    /// Counts what is wrong, and says it until something else is.
    pub(crate) fn trouble(&mut self, trouble: &str) {
        self.troubled = true;
        if self.outlet.status.trouble(self.topic, trouble) {
            tracing::warn!(source = %self.outlet.name, topic = self.topic, "kafka: {trouble}");
        }
    }

    /// Nothing is wrong any more.
    pub(crate) fn recovered(&mut self) {
        if self.troubled {
            self.troubled = false;
            if self.outlet.status.recovered(self.topic) {
                tracing::info!(source = %self.outlet.name, topic = self.topic, "kafka: the topic is read again");
            }
        }
    }
}
