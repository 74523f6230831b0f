//! Requests on one topic, answered on another, each exactly once: the answers and how far requests are answered are one
//! transaction of Kafka. What is asked and answered is not known here.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::{BorrowedHeaders, BorrowedMessage, Header},
    producer::{FutureProducer, FutureRecord, Producer},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Connection, Reserved, context::ClientLog, wrong_property};
use crate::{say, text::quoted};

/// A topic with requests and one for their answers.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaRequests {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// The topic that requests are read from.
    pub requests: String,
    /// The topic that answers are written to.
    pub replies: String,
    /// The consumer group that keeps how far requests are answered. Transactions have its name too: a daemon that starts
    /// with it ends those of the one before.
    #[serde(default = "group")]
    pub group: String,
    /// librdkafka's settings: TLS, SASL and the like.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// A file with the SASL password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A file with the password of the TLS key.
    #[serde(default)]
    pub key_password_file: Option<PathBuf>,
}

fn group() -> String {
    String::from("fiscwatch-decide")
}

/// A message that asks for something.
#[derive(Debug)]
pub struct Request<'m> {
    pub(crate) payload: &'m [u8],
    /// Topic, partition and offset, in one word.
    pub place: String,
}

/// What is answered to a request, and where.
#[derive(Debug)]
pub struct Reply {
    pub(crate) status: u16,
    /// The text, in JSON.
    pub body: Vec<u8>,
}

/// Settings that are ours, with what to do instead.
const RESERVED: &[Reserved] = &[
    ("bootstrap.servers", || say!("use `brokers`")),
    ("metadata.broker.list", || say!("use `brokers`")),
    ("group.id", || say!("use `group`")),
    ("transactional.id", || say!("use `group`")),
    ("enable.auto.commit", || say!("positions are committed with the data")),
    ("isolation.level", || say!("messages of transactions that were aborted are never read")),
    ("enable.idempotence", || say!("it is always on")),
    ("acks", || say!("a message counts when all replicas in sync have it")),
    ("request.required.acks", || say!("a message counts when all replicas in sync have it")),
];

/// Requests that one transaction answers at most.
const TOGETHER: usize = 64;
/// How long one look for a message takes.
const POLL: Duration = Duration::from_millis(20);
/// How long a broker may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How often the topic is looked at for new partitions.
const SURVEY: Duration = Duration::from_secs(10);
/// How long is waited after something went wrong.
const AGAIN: Duration = Duration::from_secs(1);

impl KafkaRequests {
    /// Whether the settings can be used, as far as it can be told without a broker.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        if self.brokers.is_empty() || self.requests.is_empty() || self.replies.is_empty() {
            return Err(say!("name at least one broker, the topic of requests and that of replies"));
        }
        if self.requests == self.replies {
            return Err(say!("requests and replies are two topics"));
        }
        self.client_config().map(|_| ())
    }

    fn client_config(&self) -> Result<ClientConfig, String> {
        let connection = Connection {
            brokers: &self.brokers,
            properties: &self.properties,
            password_file: self.password_file.as_deref(),
            key_password_file: self.key_password_file.as_deref(),
        };
        let defaults = [("client.id", "fiscwatch"), ("reconnect.backoff.max.ms", "3000")];
        connection.client_config(RESERVED, &defaults)
    }

    /// Answers requests until asked to stop, in the order of each partition. `answer` gives `None` where it can answer
    /// nothing more; what it was asked is then asked again by the next process. It may be asked the same more than once,
    /// and then has to answer the same. `failed` is told of what went wrong; it is tried again.
    pub fn serve(
        &self,
        stop: &CancellationToken,
        mut answer: impl FnMut(Request<'_>) -> Option<Reply>,
        mut failed: impl FnMut(&str),
    ) {
        while !stop.is_cancelled() {
            if let Err(why) = Session::open(self).and_then(|session| session.run(stop, &mut answer)) {
                failed(&why);
                let until = std::time::Instant::now() + AGAIN;
                while std::time::Instant::now() < until && !stop.is_cancelled() {
                    std::thread::sleep(POLL);
                }
            }
        }
    }
}

/// As long as nothing goes wrong, and the topic has the same partitions.
struct Session<'s> {
    settings: &'s KafkaRequests,
    consumer: BaseConsumer<ClientLog>,
    producer: FutureProducer<ClientLog>,
    partitions: usize,
}

impl<'s> Session<'s> {
    /// Ends the transaction of a process before, and begins where its last one ended.
    fn open(settings: &'s KafkaRequests) -> Result<Self, String> {
        let mut config = settings.client_config()?;
        let producer: FutureProducer<ClientLog> = config
            .clone()
            .set("transactional.id", &settings.group)
            .set("acks", "all")
            .create_with_context(ClientLog)
            .map_err(|e| wrong_property(&e))?;
        producer.init_transactions(ANSWER).map_err(|e| e.to_string())?;
        let consumer: BaseConsumer<ClientLog> = config
            .set("group.id", &settings.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .create_with_context(ClientLog)
            .map_err(|e| wrong_property(&e))?;
        let mut session = Self { settings, consumer, producer, partitions: 0 };
        session.partitions = session.count().map_err(|e| e.to_string())?;
        if session.partitions == 0 {
            let topic = quoted(&settings.requests);
            return Err(say!("topic {topic}: the brokers do not have it. Create the topic", topic));
        }
        session.assign().map_err(|e| e.to_string())?;
        Ok(session)
    }

    fn count(&self) -> KafkaResult<usize> {
        let metadata = self.consumer.fetch_metadata(Some(&self.settings.requests), ANSWER)?;
        Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
    }

    /// Partitions are assigned by hand: one daemon has the state, and does not wait for a group to notice that the one before
    /// is gone.
    fn assign(&self) -> KafkaResult<()> {
        let mut wanted = TopicPartitionList::new();
        for partition in 0..self.partitions {
            wanted.add_partition(&self.settings.requests, i32::try_from(partition).unwrap_or(i32::MAX));
        }
        let committed = self.consumer.committed_offsets(wanted, ANSWER)?;
        let mut from = TopicPartitionList::new();
        for element in committed.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let offset = match element.offset() {
                Offset::Invalid => Offset::Beginning,
                offset => offset,
            };
            let (first, _) = self.consumer.fetch_watermarks(topic, partition, ANSWER)?;
            if let Some(gone) =
                offset.to_raw().map(|at| first - at).filter(|gone| offset != Offset::Beginning && *gone > 0)
            {
                tracing::warn!(
                    topic,
                    partition,
                    gone,
                    "requests were deleted before they were answered; those who asked have to ask again"
                );
            }
            from.add_partition_offset(topic, partition, offset)?;
        }
        self.consumer.assign(&from)
    }

    fn run(
        &self,
        stop: &CancellationToken,
        answer: &mut impl FnMut(Request<'_>) -> Option<Reply>,
    ) -> Result<(), String> {
        let mut surveyed = std::time::Instant::now();
        while !stop.is_cancelled() {
            if surveyed.elapsed() > SURVEY {
                if self.count().is_ok_and(|partitions| partitions != self.partitions) {
                    return Ok(());
                }
                surveyed = std::time::Instant::now();
            }
            let requests = self.take().map_err(|e| e.to_string())?;
            let mut replies = Vec::with_capacity(requests.len());
            for message in &requests {
                let place = format!("{}/{}/{}", message.topic(), message.partition(), message.offset());
                let payload = message.payload().unwrap_or_default();
                let Some(reply) = answer(Request { payload, place }) else { break };
                replies.push(reply);
            }
            if !replies.is_empty() {
                self.commit(&requests[..replies.len()], &replies).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// The messages that are there, at most so many as one transaction answers.
    fn take(&self) -> KafkaResult<Vec<BorrowedMessage<'_>>> {
        let mut taken = Vec::new();
        while taken.len() < TOGETHER {
            let wait = if taken.is_empty() { POLL } else { Duration::ZERO };
            match self.consumer.poll(wait) {
                Some(message) => taken.push(message?),
                None => break,
            }
        }
        Ok(taken)
    }

    /// Writes the replies and how far requests are answered, all or nothing.
    fn commit(&self, requests: &[BorrowedMessage<'_>], replies: &[Reply]) -> KafkaResult<()> {
        self.producer.begin_transaction()?;
        let written = self.write(requests, replies).and_then(|()| self.producer.commit_transaction(ANSWER));
        if written.is_err() {
            // A session that begins again ends it too.
            let _ = self.producer.abort_transaction(ANSWER);
        }
        written
    }

    fn write(&self, requests: &[BorrowedMessage<'_>], replies: &[Reply]) -> KafkaResult<()> {
        let mut offsets = TopicPartitionList::new();
        let mut next = BTreeMap::new();
        for (request, reply) in requests.iter().zip(replies) {
            // The commit fails if one of them does not arrive.
            self.reply(request, reply)?;
            next.insert(request.partition(), request.offset() + 1);
        }
        for (partition, offset) in next {
            offsets.add_partition_offset(&self.settings.requests, partition, Offset::Offset(offset))?;
        }
        match self.consumer.group_metadata() {
            Some(group) => self.producer.send_offsets_to_transaction(&offsets, &group, ANSWER),
            None => Err(KafkaError::Canceled),
        }
    }

    /// A reply has the key and the headers of its request, its own place and status.
    fn reply(&self, request: &BorrowedMessage<'_>, reply: &Reply) -> KafkaResult<()> {
        let asked = request.headers().map(BorrowedHeaders::detach).unwrap_or_default();
        let status = reply.status.to_string();
        let headers = asked.insert(Header { key: "fiscwatch-status", value: Some(&status) });
        let record =
            FutureRecord::<[u8], [u8]>::to(&self.settings.replies).headers(headers).payload(&reply.body);
        let record = match request.key() {
            Some(key) => record.key(key),
            None => record,
        };
        self.producer.send_result(record).map(|_| ()).map_err(|(error, _)| error)
    }
}

/// Without the values of the properties: a password may be among them.
impl fmt::Debug for KafkaRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaRequests")
            .field("brokers", &self.brokers)
            .field("requests", &self.requests)
            .field("replies", &self.replies)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
