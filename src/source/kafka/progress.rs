//! Handing blocks on, and telling how far the topic is read: to the status, and to the broker's consumer group.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
};

use super::{
    partition::Partition,
    topic::{ANSWER, Flow, TopicConsumer, TopicReader},
};
use crate::{
    source::{PartitionStatus, Room},
    stream::Block,
};

/// After waiting so long for room, the partitions are paused, which also empties librdkafka's queue.
const STALL: Duration = Duration::from_secs(2);
/// How often one looks for room.
const ROOM: Duration = Duration::from_millis(50);
/// How often positions move over offsets without messages, and the consumer group is told.
const TIDY: Duration = Duration::from_secs(5);

impl TopicReader<'_> {
    /// Sends blocks in their order.
    pub(crate) fn send_all(
        &mut self,
        consumer: &TopicConsumer,
        blocks: impl IntoIterator<Item = Block>,
    ) -> Flow {
        let mut flow = Flow::On;
        for block in blocks {
            match self.send(consumer, block) {
                Flow::Stop => return Flow::Stop,
                Flow::Reopen => flow = Flow::Reopen,
                Flow::On => {}
            }
        }
        flow
    }

    /// Sends what was gathered.
    pub(crate) fn send_gathered(&mut self, consumer: &TopicConsumer) -> Flow {
        let blocks: Vec<_> = self.partitions.values_mut().filter_map(Partition::cut).collect();
        self.send_all(consumer, blocks)
    }

    /// Sends a block, and waits for room. If that takes long the partitions are paused meanwhile; a new session goes
    /// on from where they stood.
    fn send(&mut self, consumer: &TopicConsumer, block: Block) -> Flow {
        let since = std::time::Instant::now();
        let mut block = block;
        let mut paused = false;
        let mut measured = std::time::Instant::now();
        while !self.outlet.stop.is_cancelled() {
            match self.outlet.offer_blocking(block, ROOM) {
                Room::Taken => return if paused { Flow::Reopen } else { Flow::On },
                Room::Gone => return Flow::Stop,
                Room::None(back) => block = *back,
            }
            if !paused && since.elapsed() > STALL {
                paused = true;
                tracing::info!(source = %self.outlet.name, topic = self.topic, "kafka: paused until there is room for more");
                if let Err(e) = consumer.assignment().and_then(|all| consumer.pause(&all)) {
                    tracing::debug!("kafka: pause: {e}");
                }
            }
            if paused {
                // Callbacks are served, and nothing that still comes is taken: the new session reads it again.
                let _ = consumer.poll(Duration::ZERO);
                if measured.elapsed() > TIDY {
                    measured = std::time::Instant::now();
                    self.ask_ends(consumer);
                }
            }
        }
        Flow::Stop
    }

    /// Takes over what the fetchers told, and tells the lag.
    pub(crate) fn measure(&mut self, consumer: &TopicConsumer) {
        if let Some(fetched) = consumer.context().take_fetched() {
            self.fetched = fetched;
            self.tell();
        }
    }

    /// The queue is empty, so everything that the fetchers had passed when they told last is taken, up to the ends of
    /// the partitions: offsets that brought no message until there never will.
    pub(crate) fn caught_up(&mut self) {
        for (number, fetched) in &mut self.fetched {
            if let (Some(at_end), Some(partition)) = (fetched.at_end.take(), self.partitions.get_mut(number))
                && at_end > partition.next()
            {
                partition.reach(at_end);
                tell(self.outlet, partition, fetched.end);
            }
        }
    }

    fn tell(&self) {
        for (number, fetched) in &self.fetched {
            if let Some(partition) = self.partitions.get(number) {
                tell(self.outlet, partition, fetched.end);
            }
        }
    }

    /// The ends of the partitions while nothing is fetched.
    fn ask_ends(&mut self, consumer: &TopicConsumer) {
        for (number, partition) in &self.partitions {
            match consumer.fetch_watermarks(self.topic, *number, ANSWER) {
                Ok((_, end)) => tell(self.outlet, partition, end),
                Err(_) => return,
            }
        }
    }

    /// Now and then: moves positions over offsets without messages, and tells the consumer group what is committed.
    pub(crate) fn tidy(&mut self, consumer: &TopicConsumer) -> Flow {
        if self.tidied.elapsed() < TIDY {
            return Flow::On;
        }
        self.tidied = std::time::Instant::now();
        let mut committed = TopicPartitionList::new();
        for (number, partition) in &mut self.partitions {
            let Some(at) = partition.newly_committed().and_then(|at| i64::try_from(at).ok()) else {
                continue;
            };
            let _ = committed.add_partition_offset(self.topic, *number, Offset::Offset(at));
        }
        let result = match committed.count() {
            0 => Ok(()),
            _ => consumer.commit(&committed, CommitMode::Async),
        };
        let refused = result.err().map(|e| e.to_string()).or_else(|| consumer.context().take_refused());
        if refused.is_some() && self.refused != refused {
            self.refused = refused;
            let why = self.refused.as_deref().unwrap_or_default();
            // The store has the positions; only what lag tools show is behind.
            tracing::warn!(source = %self.outlet.name, group = self.source.group, "kafka: the group's offsets were not taken: {why}");
        }
        let blocks: Vec<_> = self.partitions.values_mut().filter_map(Partition::advance).collect();
        self.send_all(consumer, blocks)
    }
}

fn tell(outlet: &crate::source::Outlet, partition: &Partition, end: i64) {
    let lag = u64::try_from(end.saturating_sub(partition.next())).unwrap_or(0);
    outlet.status.partition(partition.name(), PartitionStatus { next: partition.next().unsigned_abs(), lag });
}
