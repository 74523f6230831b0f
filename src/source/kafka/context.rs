//! What librdkafka tells beside messages: log lines, errors, statistics and the fate of committed offsets.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

/// librdkafka's log lines become ours.
pub(crate) struct ClientLog;

impl ClientContext for ClientLog {
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

impl ConsumerContext for ClientLog {}

/// How far the fetcher of a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The partition's end, for us: of what is committed, where producers use transactions.
    pub end: i64,
    /// Where the fetcher stood at the end; everything before is in the queue, or was taken from it.
    pub at_end: Option<i64>,
}

/// Receives what librdkafka tells.
pub(crate) struct KafkaCallbacks {
    source: Arc<str>,
    /// Calls so far: a look at the queue may have served one instead of finding the queue empty.
    served: AtomicU64,
    fetched: Mutex<Option<BTreeMap<i32, Fetched>>>,
    refused: Mutex<Option<String>>,
    /// Why brokers cannot be talked to, if librdkafka knows better than that they do not answer.
    cause: Mutex<Option<String>>,
}

impl KafkaCallbacks {
    /// A receiver for the consumer of one topic.
    pub(crate) fn new(source: Arc<str>) -> Self {
        Self {
            source,
            served: AtomicU64::new(0),
            fetched: Mutex::default(),
            refused: Mutex::default(),
            cause: Mutex::default(),
        }
    }

    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }

    /// The latest statistics, once.
    pub(crate) fn take_fetched(&self) -> Option<BTreeMap<i32, Fetched>> {
        self.fetched.lock().take()
    }

    /// Why the broker did not take the offsets for its consumer group, once.
    pub(crate) fn take_refused(&self) -> Option<String> {
        self.refused.lock().take()
    }

    /// Why brokers cannot be talked to, if that is known.
    pub(crate) fn cause(&self) -> Option<String> {
        self.cause.lock().clone()
    }

    fn serve(&self) {
        self.served.fetch_add(1, Ordering::SeqCst);
    }
}

impl ClientContext for KafkaCallbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.serve();
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::warn!(source = %self.source, facility, "kafka: {message}");
            }
            // Errors of brokers come again as such, and are told once; here they come with every attempt.
            _ => tracing::debug!(source = %self.source, facility, "kafka: {message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.serve();
        // A consumer reads one topic.
        let partitions = statistics.topics.into_values().flat_map(|topic| topic.partitions);
        let fetched = partitions.filter(|(number, p)| *number >= 0 && p.desired).map(|(number, p)| {
            let end = if p.ls_offset >= 0 { p.ls_offset } else { p.hi_offset };
            (number, Fetched { end, at_end: (p.eof_offset >= 0).then_some(p.eof_offset) })
        });
        *self.fetched.lock() = Some(fetched.collect());
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode::{Authentication, Resolve, SSL};
        self.serve();
        tracing::debug!(source = %self.source, "kafka: {error}: {reason}");
        if let Some(Authentication | Resolve | SSL) = error.rdkafka_error_code() {
            // Without the broker in front and the time at the end, which differ from one attempt to the next.
            let reason = reason.split_once(": ").map_or(reason, |(_, what)| what);
            let reason = reason.split(" (after ").next().unwrap_or(reason);
            *self.cause.lock() = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for KafkaCallbacks {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.serve();
        if let Err(error) = result {
            *self.refused.lock() = Some(error.to_string());
        }
    }
}
