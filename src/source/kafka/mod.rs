//! Kafka topics (with `notify/kafka`, the only place that knows rdkafka). Partitions are assigned by hand, at the offsets that the store
//! holds: what was read is committed with what became of it. The offsets of the consumer group are written afterwards,
//! for those who look at lag, and never read from.

mod context;
mod membership;
mod opening;
mod partition;
mod progress;
mod requests;
mod settings;
mod topic;
mod topic_id;

use super::{Outlet, Positions, SourceError};
use topic::TopicReader;

use crate::say;

pub(crate) use context::ClientLog;
pub use membership::{Holder, Member};
pub use requests::{KafkaRequests, Reply, Request};
pub(crate) use settings::{Connection, Reserved, wrong_property};
pub use settings::{KafkaSource, MessageFormat, OnLoss, Start};

impl KafkaSource {
    /// Reads until asked to stop. Brokers and topics that are not there are waited for. Each topic has a consumer and a
    /// thread of its own: one that is missing or slow does not hold back the others.
    ///
    /// # Errors
    /// If the settings are wrong, or messages are gone and the settings say to stop then.
    pub fn run(&self, outlet: &Outlet, positions: &Positions) -> Result<(), SourceError> {
        outlet.status.start(self.topics.iter().cloned());
        // The first topic that cannot go on ends the others.
        let outlet = &Outlet { stop: outlet.stop.child_token(), ..outlet.clone() };
        std::thread::scope(|scope| {
            let read = |topic| {
                move || {
                    let result = TopicReader::new(self, topic, outlet, positions).read();
                    result.inspect_err(|_| outlet.stop.cancel())
                }
            };
            let readers: Vec<_> = self.topics.iter().map(|topic| scope.spawn(read(topic))).collect();
            let broken = |_| Err(SourceError::Broken { message: say!("a Kafka reader panicked") });
            let ended = readers.into_iter().map(|reader| reader.join().unwrap_or_else(broken));
            ended.fold(Ok(()), Result::and)
        })
    }
}
