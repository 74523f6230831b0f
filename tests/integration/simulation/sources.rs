//! The sources of a run: they deliver from a position, in stretches of any length.

use std::{ops::Range, path::PathBuf, sync::Arc};

use fiscwatch::{
    source::{Chunks, Format},
    stream::{Block, Payload, Position, Receipt, Span},
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::sync::oneshot;

use super::plan::{Kind, Partition, Plan};

/// A partition as one process reads it.
pub struct Reader {
    number: usize,
    /// Where it has read up to.
    at: Position,
    log: Option<Chunks>,
    /// The answer that a client waits for.
    waiting: Option<oneshot::Receiver<Receipt>>,
    in_flight: Range<usize>,
}

/// What outlives the processes: files as far as they are written, and clients.
pub struct World {
    pub plan: Arc<Plan>,
    pub dir: PathBuf,
    /// Bytes of each log that are written.
    written: Vec<usize>,
    /// Requests that were answered, by their records.
    answered: Vec<usize>,
}

impl World {
    pub fn new(plan: &Arc<Plan>, dir: PathBuf) -> Self {
        let none = vec![0; plan.partitions.len()];
        let world = Self { plan: Arc::clone(plan), dir, written: none.clone(), answered: none };
        for (number, partition) in plan.partitions.iter().enumerate() {
            if partition.kind == Kind::Log {
                std::fs::write(world.path(number), "").expect("a log is made");
            }
        }
        world
    }

    fn path(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{}.jsonl", self.plan.partitions[number].name))
    }

    /// A log grows, by any number of bytes.
    pub fn grow(&mut self, rng: &mut ChaCha8Rng) {
        for number in 0..self.plan.partitions.len() {
            let partition = &self.plan.partitions[number];
            if partition.kind != Kind::Log || rng.random_ratio(1, 3) {
                continue;
            }
            let text: Vec<u8> =
                partition.records.iter().flat_map(|r| r.bytes.iter().chain(b"\n")).copied().collect();
            let from = self.written[number];
            let more = rng.random_range(0..text.len().max(2)).div_ceil(rng.random_range(1..6));
            let to = (from + more).min(text.len());
            crate::support::append_bytes(&self.path(number), &text[from..to]);
            self.written[number] = to;
        }
    }

    /// Opens a partition at the position that is committed.
    pub fn open(&self, number: usize, at: Position, rng: &mut ChaCha8Rng) -> Reader {
        let log = (self.plan.partitions[number].kind == Kind::Log).then(|| self.chunks(number, &at, rng));
        Reader { number, at, log, waiting: None, in_flight: 0..0 }
    }

    fn chunks(&self, number: usize, at: &Position, rng: &mut ChaCha8Rng) -> Chunks {
        let path = self.path(number);
        let rows = [1, 2, 7, 1000][rng.random_range(0..4)];
        let at = (at.offset, at.records);
        Chunks::open(&path, Format::of(&path, None), rows, at, true, None).expect("the log opens")
    }

    /// The next block with its records; `None` if there is nothing to read at the moment.
    pub fn read(&mut self, reader: &mut Reader, rng: &mut ChaCha8Rng) -> Option<(Block, Range<usize>)> {
        let plan = Arc::clone(&self.plan);
        let partition = &plan.partitions[reader.number];
        match partition.kind {
            Kind::Log => self.read_log(reader, partition, rng),
            Kind::Topic => read_topic(reader, partition, rng),
            Kind::Requests => self.request(reader, partition, rng),
        }
    }

    fn read_log(
        &self,
        reader: &mut Reader,
        partition: &Partition,
        rng: &mut ChaCha8Rng,
    ) -> Option<(Block, Range<usize>)> {
        if rng.random_ratio(1, 6) {
            reader.log = Some(self.chunks(reader.number, &reader.at, rng));
        }
        let chunk = reader.log.as_mut()?.next_chunk().expect("the log can be read")?;
        let to = Position { offset: chunk.to, records: chunk.next_record, token: String::from("log") };
        let block = spanned(partition, chunk.from, &to, chunk.first_record, chunk.payload);
        reader.at = to;
        Some((block, partition.range(chunk.from, chunk.to)))
    }

    /// One request at a time; it is sent again until it is answered.
    fn request(
        &mut self,
        reader: &mut Reader,
        partition: &Partition,
        rng: &mut ChaCha8Rng,
    ) -> Option<(Block, Range<usize>)> {
        self.hear(reader);
        let from = self.answered[reader.number];
        let left = partition.records.len() - from;
        if reader.waiting.is_some() || left == 0 {
            return None;
        }
        let range = from..from + rng.random_range(1..=left.min(12));
        let lines: Vec<u8> = partition.records[range.clone()]
            .iter()
            .flat_map(|record| record.bytes.iter().chain(b"\n"))
            .copied()
            .collect();
        let (receipt, waiting) = oneshot::channel();
        let name: Arc<str> = format!("request {from}").into();
        let block = Block::new(Arc::from(partition.source), name, 0, Payload::JsonLines(lines.into()));
        (reader.waiting, reader.in_flight) = (Some(waiting), range.clone());
        Some((Block { receipt: Some(receipt), ..block }, range))
    }

    /// Hears the answer to a request, if it has come.
    pub fn hear(&mut self, reader: &mut Reader) {
        if let Some(waiting) = &mut reader.waiting
            && waiting.try_recv().is_ok()
        {
            self.answered[reader.number] = reader.in_flight.end;
            reader.waiting = None;
        }
    }

    /// Whether everything of a partition was read.
    pub fn is_read(&self, reader: &Reader) -> bool {
        let partition = &self.plan.partitions[reader.number];
        match partition.kind {
            Kind::Requests => self.answered[reader.number] == partition.records.len(),
            _ => reader.at.offset == partition.end(),
        }
    }
}

fn read_topic(
    reader: &mut Reader,
    partition: &Partition,
    rng: &mut ChaCha8Rng,
) -> Option<(Block, Range<usize>)> {
    let first = partition.range(reader.at.offset, partition.end()).start;
    let left = partition.records.len() - first;
    if left == 0 {
        return None;
    }
    let range = first..first + rng.random_range(1..=left.min(20));
    let to =
        Position { offset: partition.ends[range.end - 1], records: range.end as u64, token: String::new() };
    let block = spanned(partition, reader.at.offset, &to, first as u64, messages(partition, range.clone()));
    reader.at = to;
    Some((block, range))
}

/// Messages of a topic.
pub fn messages(partition: &Partition, numbers: impl IntoIterator<Item = usize>) -> Payload {
    let (mut data, mut ends) = (Vec::new(), Vec::new());
    for number in numbers {
        data.extend_from_slice(&partition.records[number].bytes);
        ends.push((u32::try_from(data.len()).expect("a small block"), partition.ends[number] - 1));
    }
    Payload::Messages { data: data.into(), ends }
}

/// A block with its place in the partition.
pub fn spanned(
    partition: &Partition,
    from: u64,
    to: &Position,
    first_record: u64,
    payload: Payload,
) -> Block {
    let (source, name): (Arc<str>, Arc<str>) = (partition.source.into(), partition.name.as_str().into());
    let span = Span { source: Arc::clone(&source), partition: Arc::clone(&name), from, to: to.clone() };
    Block { span: Some(span), ..Block::new(source, name, first_record, payload) }
}
