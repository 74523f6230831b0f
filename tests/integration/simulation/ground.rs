//! What holds at every commit: each record is accounted for, positions follow one another, the watermark never goes
//! back, and nothing is found twice.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    ops::Range,
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};

use fiscwatch::{engine::Committable, event::Instant, stream::Receipt};
use serde_json::Value;

use super::{
    model::{Fate, Model, Next},
    plan::{Is, Plan},
};

/// A stretch of a partition's records.
pub type Delivery = (usize, Range<usize>);

/// An accepted event.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its partition and record there.
    pub place: (usize, usize),
    /// The event, if it follows from a version of a record.
    pub made: Option<Value>,
}

/// What was seen of a seed's run so far. It outlives the processes that die.
pub struct Ground {
    pub plan: Arc<Plan>,
    pub model: Model,
    /// Blocks that were sent and are not committed, in order.
    pub sent: VecDeque<Delivery>,
    /// Accepted events in order.
    pub journal: Vec<Taken>,
    /// Offsets of what is committed, by source and partition.
    positions: BTreeMap<Place, u64>,
    /// What became of the records of `sent` that are judged already.
    fates: Vec<Fate>,
    /// Whether the next of them, which is a version of a record, led to an event already.
    led: bool,
    /// Events of `sent` that are taken already.
    events: u64,
    duplicates: u64,
    rejected: u64,
    watermark: i64,
    told: HashSet<String>,
    /// A commit that was begun and not heard of again.
    pub begun: Option<Claim>,
    /// The journal block of each of them.
    pub blocks: Vec<i64>,
    /// A process died between a tick and the rest of the batch that it was in. The event that showed that the tick was
    /// due may be read after those of other partitions then, so the order of the journal does not show any more why the
    /// tick was where it was; the state has noted it.
    pub torn: bool,
    /// What went wrong first.
    pub problem: Option<String>,
}

/// What a commit says that it stores.
#[derive(Debug, Default, Clone)]
pub struct Claim(Vec<Part>);

/// A batch, or what of it comes before a tick. What became of its records is told with the last part.
#[derive(Debug, Clone)]
struct Part {
    spans: Vec<(Place, u64, u64)>,
    receipts: Vec<Receipt>,
    watermark: Option<i64>,
    journalled: u64,
    counts: Receipt,
}

/// Source and partition.
pub type Place = (String, String);

impl Claim {
    pub fn of(batches: &[Committable]) -> Self {
        let part = |batch: &Committable| Part {
            spans: batch
                .intake
                .spans
                .iter()
                .map(|s| ((s.source.to_string(), s.partition.to_string()), s.from, s.to.offset))
                .collect(),
            receipts: batch.receipts.iter().map(|(_, _, receipt)| *receipt).collect(),
            watermark: batch.watermark.as_ref().and_then(|watermark| watermark.at).map(Instant::as_micros),
            journalled: batch.journal.as_ref().map_or(0, |block| block.events as u64),
            counts: Receipt {
                accepted: batch.accepted.iter().map(|(_, _, n)| n).sum(),
                duplicates: batch.intake.duplicates,
                rejected: batch.intake.rejects.len() as u64,
                skipped: 0,
            },
        };
        Self(batches.iter().map(part).collect())
    }
}

/// What is stored, counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    pub events: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub positions: BTreeMap<Place, u64>,
}

impl Ground {
    pub fn new(plan: &Arc<Plan>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            plan: Arc::clone(plan),
            model: Model::keeping(plan.retain),
            sent: VecDeque::new(),
            journal: Vec::new(),
            positions: BTreeMap::new(),
            fates: Vec::new(),
            led: false,
            events: 0,
            duplicates: 0,
            rejected: 0,
            watermark: i64::MIN,
            told: HashSet::new(),
            begun: None,
            blocks: Vec::new(),
            torn: false,
            problem: None,
        }))
    }

    /// Notes a problem, the first one only: others may follow from it.
    pub fn problem(&mut self, what: impl FnOnce() -> String) {
        self.problem.get_or_insert_with(what);
    }

    fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.problem(what);
        }
    }

    /// What must be stored by now.
    pub fn stored(&self) -> Stored {
        Stored {
            events: self.journal.len() as u64,
            duplicates: self.duplicates,
            rejected: self.rejected,
            positions: self.positions.clone(),
        }
    }

    /// The process is dead. Whether its last commit was made is told by what is stored: who is killed in the middle of
    /// one cannot tell.
    pub fn bury(&mut self, stored: &Stored) {
        if let Some(claim) = self.begun.take()
            && *stored != self.stored()
        {
            self.committed(&claim);
        }
        let expected = self.stored();
        self.must(*stored == expected, || format!("{stored:?} is stored, and not {expected:?}"));
        self.torn |= (!self.fates.is_empty() || self.led) && self.plan.partitions.len() > 1;
        self.sent.clear();
        self.forget();
    }

    /// Goes on with other records.
    fn forget(&mut self) {
        self.fates.clear();
        (self.led, self.events) = (false, 0);
    }

    /// A transaction was made.
    pub fn committed(&mut self, claim: &Claim) {
        self.begun = None;
        claim.0.iter().for_each(|part| self.part(part));
    }

    fn part(&mut self, part: &Part) {
        for (place, from, to) in &part.spans {
            let at = self.positions.insert(place.clone(), *to).unwrap_or(0);
            self.must(at == *from, || format!("{place:?} goes on at {from} and not at {at}"));
        }
        if let Some(at) = part.watermark {
            let before = self.watermark;
            self.must(at >= before, || format!("the watermark goes back from {before} to {at}"));
            self.watermark = before.max(at);
        }
        let before = self.journal.len() as u64;
        if part.receipts.is_empty() {
            while (self.journal.len() as u64) < before + part.journalled && self.next() {}
        } else {
            self.finish(part);
        }
        let journalled = self.journal.len() as u64 - before;
        // The events of a part are a block.
        let block = self.blocks.last().map_or(1, |last| last + 1);
        self.blocks.resize(self.journal.len(), block);
        self.must(part.journalled == journalled, || {
            format!("{} events go into the journal, and not {journalled}", part.journalled)
        });
    }

    /// The rest of a batch, and what became of its records.
    fn finish(&mut self, part: &Part) {
        if self.sent.len() < part.receipts.len() {
            return self.problem(|| String::from("a block is committed that nobody sent"));
        }
        let records: usize = self.sent.iter().take(part.receipts.len()).map(|(_, range)| range.len()).sum();
        while self.fates.len() < records && self.next() {}
        let count = |wanted: Fate| self.fates.iter().filter(|fate| **fate == wanted).count() as u64;
        let expected = Receipt {
            accepted: count(Fate::Accepted),
            duplicates: count(Fate::Duplicate),
            rejected: count(Fate::Rejected),
            skipped: 0,
        };
        // A version of a record is one record, whatever it leads to.
        let counted = Receipt { accepted: self.events, ..expected };
        let refused = self.refused();
        self.duplicates += expected.duplicates;
        self.rejected += expected.rejected;
        self.sent.drain(..part.receipts.len());
        self.forget();
        let mut told = Receipt::default();
        for receipt in &part.receipts {
            told.accepted += receipt.accepted;
            told.duplicates += receipt.duplicates;
            told.rejected += receipt.rejected;
        }
        self.must(told == expected, || {
            format!("{told:?} is told of records that are {expected:?}: {refused}")
        });
        let counts = part.counts;
        self.must(counts == counted, || format!("{counts:?} is counted of records that are {counted:?}"));
    }

    /// The records at hand that were not accepted, for a message.
    fn refused(&self) -> String {
        let records = self.sent.iter().flat_map(|(at, range)| range.clone().map(|number| (*at, number)));
        let of = |((at, number), fate): ((usize, usize), &Fate)| {
            let text = String::from_utf8_lossy(&self.plan.partitions[at].records[number].bytes);
            (*fate != Fate::Accepted).then(|| format!("\n{at}/{number} {fate:?} {text}"))
        };
        records.zip(&self.fates).filter_map(of).collect()
    }

    /// Takes the next record that was sent, or the next event of it. `false` if there is none.
    fn next(&mut self) -> bool {
        let mut records = self.sent.iter().flat_map(|(at, range)| range.clone().map(|number| (*at, number)));
        let Some((partition, number)) = records.nth(self.fates.len()) else { return false };
        let plan = Arc::clone(&self.plan);
        let (record, place) = (&plan.partitions[partition].records[number], (partition, number));
        let fate = match &record.is {
            Is::Version(voucher) => match self.model.version(voucher, self.led) {
                Next::Over(fate) => fate,
                Next::Event(event) => {
                    self.journal.push(Taken { place, made: Some(event) });
                    (self.led, self.events) = (true, self.events + 1);
                    return true;
                }
            },
            _ => {
                let fate = self.model.take(record);
                if fate == Fate::Accepted {
                    self.journal.push(Taken { place, made: None });
                    self.events += 1;
                }
                fate
            }
        };
        self.led = false;
        self.fates.push(fate);
        true
    }

    /// A finding was handed on, after the transaction with it.
    pub fn told(&mut self, finding_id: &str) {
        let new = self.told.insert(finding_id.to_owned());
        self.must(new, || format!("the finding {finding_id} is told twice"));
    }
}

/// The ground, whoever panicked while holding it.
pub fn lock(ground: &Mutex<Ground>) -> MutexGuard<'_, Ground> {
    ground.lock()
}
