//! Where the partitions of a topic go on, and what is said when that is not where they stood.

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    metadata::{Metadata, MetadataPartition, MetadataTopic},
};

use super::{
    OnLoss, Start,
    partition::Partition,
    topic::{ANSWER, Flow, TopicConsumer, TopicReader},
    topic_id::topic_id,
};
use crate::{say, source::SourceError, text::quoted};

/// What the broker no longer has.
#[derive(Debug, PartialEq, Eq)]
struct Loss {
    detail: String,
    /// The most records that it can be; compaction and transactions leave offsets without records.
    records: Option<u64>,
}

impl TopicReader<'_> {
    /// Opens all partitions of the topic. `false` if something does not answer yet.
    pub(crate) fn open(&mut self, consumer: &TopicConsumer) -> Result<bool, SourceError> {
        let Some((id, numbers)) = self.describe(consumer) else { return Ok(false) };
        let Some(limits) = self.limits(consumer, &numbers) else { return Ok(false) };
        if self.ends.is_empty() {
            self.ends = limits.iter().map(|(number, _, high)| (*number, *high)).collect();
        }
        // Partitions of a topic that was read before are new ones: nobody has seen their start.
        let prefix = format!("{}[", self.topic);
        let known = !self.partitions.is_empty() || self.stored.keys().any(|name| name.starts_with(&prefix));
        for (number, low, high) in limits {
            if self.place(consumer, number, (low, high), id.as_deref(), known)? == Flow::Stop {
                return Ok(false);
            }
        }
        if self.forget(consumer, &numbers) == Flow::Stop {
            return Ok(false);
        }
        self.check_group(consumer);
        let assigned = list(self.topic, &self.partitions).and_then(|list| consumer.assign(&list));
        self.opened(assigned)
    }

    /// Lets go of partitions that a topic that was created again does not have. What was taken from them is kept.
    fn forget(&mut self, consumer: &TopicConsumer, numbers: &[i32]) -> Flow {
        let mut taken = Vec::new();
        for (_, mut partition) in self.partitions.extract_if(.., |number, _| !numbers.contains(number)) {
            self.outlet.status.forget(partition.name());
            taken.extend(partition.cut());
        }
        self.send_all(consumer, taken)
    }

    /// Looks whether the topic is the same, and reads partitions that it did not have before.
    pub(crate) fn survey(&mut self, consumer: &TopicConsumer) -> Result<Flow, SourceError> {
        let Some((id, numbers)) = self.describe(consumer) else { return Ok(Flow::On) };
        let other = |p: &Partition| id.as_deref().is_some_and(|id| p.topic_id().is_some_and(|old| old != id));
        if self.partitions.values().any(other) {
            return Ok(Flow::Reopen);
        }
        let new: Vec<_> = numbers.into_iter().filter(|n| !self.partitions.contains_key(n)).collect();
        let Some(limits) = self.limits(consumer, &new) else { return Ok(Flow::On) };
        let mut added = TopicPartitionList::new();
        for (number, low, high) in limits {
            let flow = self.place(consumer, number, (low, high), id.as_deref(), true)?;
            if flow != Flow::On {
                return Ok(flow);
            }
            tracing::info!(source = %self.outlet.name, topic = self.topic, partition = number, "kafka: a new partition is read");
            let next = self.partitions.get(&number).map_or(low, Partition::next);
            let _ = added.add_partition_offset(self.topic, number, Offset::Offset(next));
        }
        let assigned = if new.is_empty() { Ok(()) } else { consumer.incremental_assign(&added) };
        Ok(if self.opened(assigned)? { Flow::On } else { Flow::Reopen })
    }

    fn opened(&mut self, assigned: KafkaResult<()>) -> Result<bool, SourceError> {
        match assigned {
            Ok(()) => {
                self.recovered();
                self.outlet.status.reads(self.topic);
                Ok(true)
            }
            Err(e) => {
                self.trouble(&say!("the partitions cannot be assigned: {reason}", reason = e));
                Ok(false)
            }
        }
    }

    /// The topic's id, if it has one, and the numbers of its partitions.
    fn describe(&mut self, consumer: &TopicConsumer) -> Option<(Option<String>, Vec<i32>)> {
        let described = self.ask(consumer);
        described.map_err(|trouble| self.trouble(&trouble)).ok()
    }

    fn ask(&self, consumer: &TopicConsumer) -> Result<(Option<String>, Vec<i32>), String> {
        let silent = |e: String| {
            let why = consumer.context().cause().unwrap_or(e);
            say!(
                "no answer from {brokers}: {why}; it is tried again",
                brokers = self.source.brokers.join(", "),
                why
            )
        };
        let metadata =
            consumer.fetch_metadata(Some(self.topic), ANSWER).map_err(|e| silent(why_silent(&e)))?;
        let is_read = |p: &&MetadataPartition| self.source.partition.is_none_or(|only| only == p.id());
        let numbers: Vec<_> =
            partitions_of(&metadata, self.topic).filter(is_read).map(MetadataPartition::id).collect();
        if numbers.is_empty() {
            return Err(say!(
                "the topic {topic} does not exist; it is waited for",
                topic = quoted(self.topic)
            ));
        }
        let mut leaderless = partitions_of(&metadata, self.topic).filter(is_read).filter(|p| p.leader() < 0);
        if let Some(partition) = leaderless.next() {
            return Err(say!("partition {number} has no leader; it is waited for", number = partition.id()));
        }
        let id = topic_id(consumer, self.topic, metadata.orig_broker_id(), ANSWER).map_err(silent)?;
        Ok((id, numbers))
    }

    /// The first offset of each partition and the one after its last, if all of them answer.
    fn limits(&mut self, consumer: &TopicConsumer, numbers: &[i32]) -> Option<Vec<(i32, i64, i64)>> {
        let mut limits = Vec::new();
        for number in numbers {
            if self.outlet.stop.is_cancelled() {
                return None;
            }
            match consumer.fetch_watermarks(self.topic, *number, ANSWER) {
                Ok((low, high)) => limits.push((*number, low, high)),
                Err(e) => {
                    self.trouble(&say!(
                        "no answer about partition {number}: {reason}; it is tried again",
                        number,
                        reason = e
                    ));
                    return None;
                }
            }
        }
        Some(limits)
    }

    /// Puts a partition where it goes on.
    fn place(
        &mut self,
        consumer: &TopicConsumer,
        number: i32,
        limits: (i64, i64),
        id: Option<&str>,
        known: bool,
    ) -> Result<Flow, SourceError> {
        let (low, high) = limits;
        let start = if self.source.start == Start::Latest && !known { high } else { low };
        let name = format!("{}[{number}]", self.topic);
        let (outlet, stored) = (self.outlet, self.stored.get(&name));
        let partition = self
            .partitions
            .entry(number)
            .or_insert_with(|| Partition::new(&outlet.name, &name, stored, start));
        let mut blocks = Vec::new();
        if let Some(loss) = judge(partition.next(), partition.topic_id(), limits, id) {
            let (at, detail) = (partition.next(), loss.detail);
            if self.source.on_loss == OnLoss::Stop {
                return Err(SourceError::Lost { partition: name, detail, goes_on: low });
            }
            tracing::error!(source = %outlet.name, partition = name, position = at, goes_on = low, "kafka: {detail}");
            outlet.status.lost(&name, loss.records, &detail);
            blocks.extend(partition.cut());
            blocks.push(partition.lose(detail, low, id));
        }
        partition.belongs_to(id);
        if stored.is_none() {
            // Kept at once: a start at the latest message must not move with every restart.
            blocks.extend(partition.advance());
        }
        // A pause on the way needs no new session: the partition is assigned afterwards.
        Ok(match self.send_all(consumer, blocks) {
            Flow::Stop => Flow::Stop,
            _ => Flow::On,
        })
    }

    /// Says if somebody else commits to our consumer group, once.
    fn check_group(&mut self, consumer: &TopicConsumer) {
        if std::mem::replace(&mut self.group_checked, true) {
            return;
        }
        let ours = list(self.topic, &self.partitions);
        let theirs = match ours.and_then(|ours| consumer.committed_offsets(ours, ANSWER)) {
            Ok(theirs) => theirs,
            Err(e) => {
                tracing::debug!(source = %self.outlet.name, "kafka: the offsets of the group: {e}");
                return;
            }
        };
        for element in theirs.elements() {
            let Offset::Offset(committed) = element.offset() else { continue };
            let Some(partition) = self.partitions.get(&element.partition()) else { continue };
            if committed > partition.next() {
                tracing::warn!(
                    source = %self.outlet.name, group = self.source.group, partition = %partition.name(), committed,
                    position = partition.next(),
                    "kafka: the group's offset is ahead of ours: another instance commits to it, or this state is older. Nothing is shared: each state directory reads everything. Give each a group of its own (kafka.group)"
                );
                return;
            }
        }
    }
}

fn partitions_of<'m>(metadata: &'m Metadata, topic: &'m str) -> impl Iterator<Item = &'m MetadataPartition> {
    let topics = metadata.topics().iter().filter(move |t| t.name() == topic && t.error().is_none());
    topics.flat_map(MetadataTopic::partitions)
}

/// The partitions at where they go on.
fn list(
    topic: &str,
    partitions: &std::collections::BTreeMap<i32, Partition>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (number, partition) in partitions {
        list.add_partition_offset(topic, *number, Offset::Offset(partition.next()))?;
    }
    Ok(list)
}

/// Whether the broker still has what comes at `next`. Gaps before the first message that comes are no loss; a first
/// offset after it is.
fn judge(next: i64, old: Option<&str>, (low, high): (i64, i64), id: Option<&str>) -> Option<Loss> {
    if let (Some(old), Some(new)) = (old, id)
        && old != new
    {
        let detail = say!(
            "the topic was deleted and created again (its id was {old} and is {new} now); the old one was read up to offset {next}, and what it held after that is gone",
            old,
            new,
            next
        );
        return Some(Loss { detail, records: None });
    }
    if next < low {
        let records = low.abs_diff(next);
        let detail = say!(
            "up to {records} messages, from offset {next} on, were deleted by the broker before they were read (retention)",
            records,
            next
        );
        return Some(Loss { detail, records: Some(records) });
    }
    (next > high).then(|| {
        let detail = say!(
            "the topic ends at offset {high}, before {next}, up to which it was read: the cluster has lost its end, or the topic was created again",
            high,
            next
        );
        Loss { detail, records: None }
    })
}

/// Why no broker answers, in our words where we have some.
pub(super) fn why_silent(error: &KafkaError) -> String {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, RequestTimedOut};
    match error.rdkafka_error_code() {
        Some(BrokerTransportFailure | AllBrokersDown) => {
            say!(
                "the connection does not come about; look at `brokers` of the source, the network, and whether the broker runs"
            )
        }
        Some(OperationTimedOut | RequestTimedOut) => say!("it took too long"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn a_position_is_lost_when_its_topic_or_its_messages_are_gone() {
        let said =
            |next, old, limits, id| judge(next, old, limits, id).map(|loss| (loss.records, loss.detail));
        assert_eq!(said(5, Some("a"), (0, 9), Some("a")), None);
        assert_eq!(said(0, Some("a"), (0, 0), Some("a")), None);
        assert_eq!(said(9, None, (9, 9), Some("a")), None);
        assert_eq!(said(5, Some("a"), (5, 9), None), None);
        let (records, detail) = said(5, Some("a"), (8, 9), Some("a")).unwrap();
        assert_eq!(records, Some(3));
        assert!(detail.contains("up to 3 messages, from offset 5 on"), "{detail}");
        let (records, detail) = said(5, Some("a"), (0, 9), Some("b")).unwrap();
        assert_eq!(records, None);
        assert!(detail.contains("deleted and created again"), "{detail}");
        assert!(said(5, None, (0, 3), None).unwrap().1.contains("ends at offset 3, before 5"));
    }
}
