//! What a seed draws: the records of every partition, and the settings of the run.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{
    rules::Set,
    versions::{self, Voucher},
};
use crate::support::{payment, status};

pub const MINUTE: i64 = 60_000_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// 2026-03-01 in Shanghai.
const START: i64 = 1_772_294_400_000_000;

/// A record of a source.
#[derive(Debug, Clone)]
pub struct Record {
    /// As the source has it; a line without its end.
    pub bytes: Vec<u8>,
    pub is: Is,
}

/// What a record is.
#[derive(Debug, Clone)]
pub enum Is {
    /// An event.
    Event(Value),
    /// A version of a record that comes again when it has changed.
    Version(Voucher),
    /// It must go to quarantine.
    Poison,
    /// An empty line, which is no record.
    Nothing,
}

/// How a partition reaches the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file of lines that grows, with byte offsets.
    Log,
    /// A partition of a topic, with offsets of messages.
    Topic,
    /// Requests that are sent again until they are answered; without positions.
    Requests,
}

/// A partition of a source.
#[derive(Debug)]
pub struct Partition {
    pub kind: Kind,
    pub source: &'static str,
    pub name: String,
    pub records: Vec<Record>,
    /// Where each record ends: byte offsets of a log, one more than the message's offset of a topic.
    pub ends: Vec<u64>,
}

/// All that is drawn before the run.
#[derive(Debug)]
pub struct Plan {
    pub partitions: Vec<Partition>,
    pub rules: Set,
    pub checkpoint_events: u64,
    pub lateness: i64,
    pub keep_late: i64,
    pub duplicate_horizon: i64,
    pub seal_after: i64,
    pub retain: Option<i64>,
    /// How often the process dies at most.
    pub deaths: u32,
    /// How often the rules are changed at most.
    pub reloads: u32,
    /// After the latest event.
    pub now: i64,
}

impl Plan {
    pub fn new(seed: u64, rng: &mut ChaCha8Rng) -> Self {
        let layout: &[(Kind, &'static str)] = match rng.random_range(0..6) {
            0 => &[(Kind::Log, "log")],
            1 => &[(Kind::Topic, "topic")],
            2 => &[(Kind::Topic, "topic"), (Kind::Topic, "topic")],
            3 => &[(Kind::Log, "log"), (Kind::Topic, "topic")],
            4 => &[(Kind::Requests, "http"), (Kind::Log, "log")],
            _ => &[(Kind::Log, "log"), (Kind::Topic, "topic"), (Kind::Topic, "topic")],
        };
        let count: usize = rng.random_range(20..160);
        // Some streams are long in time, so that days are sealed and files deleted; windows see most in dense ones.
        let step = [20 * MINUTE, 3 * HOUR, 12 * HOUR, 4 * DAY][rng.random_range(0..4)];
        // What is let go of is not known any more, so only what is recent comes again then.
        let retain = (step == 4 * DAY && layout.len() == 1 && rng.random_ratio(1, 2)).then_some(180 * DAY);
        let mut street = Street { rng, n: 0, at: START, step, recent: retain.is_some() };
        let mut partitions: Vec<_> =
            layout.iter().enumerate().map(|(n, (kind, source))| Partition::new(*kind, source, n)).collect();
        for _ in 0..count {
            let at = street.rng.random_range(0..partitions.len());
            let record = street.record(&partitions, at);
            partitions[at].records.push(record);
        }
        let mut last = street.at;
        // A third of the seeds has vouchers that change, with dice of their own.
        if seed % 3 == 1 && retain.is_none() {
            let dice = &mut dice(seed ^ 0x5eed);
            let kind = if dice.random_ratio(1, 2) { Kind::Log } else { Kind::Topic };
            let mut vouchers = Partition::new(kind, versions::SOURCE, partitions.len());
            vouchers.records = versions::records(dice, count.div_ceil(2), (START, 2 * step));
            partitions.push(vouchers);
            // Their times run ahead of the others' by so much at most.
            last = last.max(START + 4 * step * i64::try_from(count).unwrap_or(0));
        }
        partitions.iter_mut().for_each(|partition| partition.close(rng));
        // A query takes as long as a hundred events, and ticks are weekly.
        // Scores reach back further than events are kept, so there are none of those where some are let go of.
        let scheduled = step <= 3 * HOUR && rng.random_ratio(1, 3);
        let rules = if retain.is_some() || rng.random_ratio(1, 5) {
            Set::Others
        } else if scheduled {
            Set::Schedules
        } else {
            Set::Windows
        };
        Self {
            partitions,
            rules,
            checkpoint_events: rng.random_range(1..80),
            lateness: [0, 10 * MINUTE, DAY][rng.random_range(0..3)],
            keep_late: [HOUR, DAY, 35 * DAY][rng.random_range(0..3)],
            duplicate_horizon: [DAY, 5 * DAY, 400 * DAY][rng.random_range(0..3)],
            seal_after: [0, 2 * DAY, 400 * DAY][rng.random_range(0..3)],
            retain,
            deaths: rng.random_range(0..6),
            reloads: if rules != Set::Schedules && retain.is_none() { rng.random_range(0..3) } else { 0 },
            now: last + 400 * DAY,
        }
    }
}

impl Plan {
    /// Whether there are records that come again when they have changed.
    pub fn has_versions(&self) -> bool {
        self.partitions.iter().any(|partition| partition.source == versions::SOURCE)
    }
}

impl Partition {
    fn new(kind: Kind, source: &'static str, number: usize) -> Self {
        Self { kind, source, name: format!("{source}-{number}"), records: Vec::new(), ends: Vec::new() }
    }

    /// Lays the records out, when all are there.
    fn close(&mut self, rng: &mut impl Rng) {
        let mut at = 0;
        for record in &self.records {
            at += match self.kind {
                Kind::Log => record.bytes.len() as u64 + 1,
                // Offsets of a topic have gaps where transactions were.
                Kind::Topic if rng.random_ratio(1, 10) => rng.random_range(2..5),
                _ => 1,
            };
            self.ends.push(at);
        }
    }

    /// The records that lie in `(from, to]`.
    pub fn range(&self, from: u64, to: u64) -> std::ops::Range<usize> {
        let until = |offset| self.ends.partition_point(|end| *end <= offset);
        until(from)..until(to)
    }

    pub fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }
}

/// Makes records up, one after another.
struct Street<'r> {
    rng: &'r mut ChaCha8Rng,
    n: usize,
    at: i64,
    step: i64,
    /// Whether only recent records come again.
    recent: bool,
}

impl Street<'_> {
    fn record(&mut self, partitions: &[Partition], at: usize) -> Record {
        self.n += 1;
        match self.rng.random_range(0..100) {
            0..10 => self.again(partitions, at),
            10..14 => self.poison(),
            14..16 if partitions[at].kind != Kind::Topic => {
                let bytes: &[u8] = [&b""[..], b"  ", b"\r"][self.rng.random_range(0..3)];
                Record { bytes: bytes.to_vec(), is: Is::Nothing }
            }
            _ => self.event(),
        }
    }

    /// A record that came before: sent again as it was, written otherwise, or with other content.
    fn again(&mut self, partitions: &[Partition], at: usize) -> Record {
        let from = if self.rng.random_ratio(1, 4) { self.rng.random_range(0..partitions.len()) } else { at };
        let known = &partitions[from].records;
        if known.is_empty() {
            return self.event();
        }
        let first = if self.recent { known.len().saturating_sub(10) } else { 0 };
        let mut record = known[self.rng.random_range(first..known.len())].clone();
        if let Is::Event(event) = &mut record.is {
            match self.rng.random_range(0..4) {
                0 => {
                    event["recorded_at"] = json!((self.at + self.rng.random_range(1..DAY)) / 1000);
                    record.bytes = event.to_string().into_bytes();
                }
                1 => {
                    let fields = event.as_object().cloned().unwrap_or_default().into_iter().rev();
                    record.bytes = Value::Object(fields.collect()).to_string().into_bytes();
                }
                _ => {}
            }
        }
        if partitions[at].kind == Kind::Topic && matches!(record.is, Is::Nothing) {
            self.event()
        } else {
            record
        }
    }

    fn poison(&mut self) -> Record {
        let Record { bytes, is } = self.event();
        let Is::Event(event) = is else { unreachable!("an event is an event") };
        let with = |name: &str, value: Value| {
            let mut event = event.clone();
            event[name] = value;
            event.to_string().into_bytes()
        };
        let bytes = match self.rng.random_range(0..7) {
            0 => bytes[..bytes.len() / 2].to_vec(),
            1 if event.get("amount").is_some() => with("amount", json!("1.001")),
            2 => with("occurred_at", json!("yesterday")),
            3 => with("event_id", json!("")),
            4 => [&bytes[..bytes.len() - 1], b",\"x\":\"\xff\"}"].concat(),
            5 => with("occurred_at", json!("2990-01-01")),
            _ => b"null".to_vec(),
        };
        Record { bytes, is: Is::Poison }
    }

    fn event(&mut self) -> Record {
        let rng = &mut *self.rng;
        self.at += rng.random_range(0..2 * self.step);
        let late = match rng.random_range(0..12) {
            0 => rng.random_range(0..4 * DAY),
            1 => rng.random_range(0..HOUR),
            // Later than what windows hold after a start.
            2 if rng.random_ratio(1, 3) => rng.random_range(0..70 * DAY),
            _ => 0,
        };
        let at = (self.at - late) / 1000;
        let id = format!("e{}", self.n);
        let line = format!("L{}", rng.random_range(0..5));
        // What is let go of is not known any more, so only what is recent is named then.
        let first = if self.recent { self.n.saturating_sub(10).max(1) } else { 1 };
        let earlier = format!("e{}", rng.random_range(first..self.n + 4));
        let cents = rng.random_range(1..5_000_000);
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let other = format!("L{}", rng.random_range(0..6));
        let mut event = payment(&id, &line, &amount);
        event["occurred_at"] = json!(at);
        match rng.random_range(0..25) {
            21..24 => {
                // Of those that are let go of too: what is cleared of them is on no line, whoever remembers them.
                let (at, name) = match self.recent {
                    true => (self.at / 1000, format!("e{}", rng.random_range(1..self.n.max(2)))),
                    false => (at, earlier),
                };
                event = json!({"event_id": id, "type": "confirmation", "occurred_at": at, "original_event_id": name, "amount": amount,
                    "status": status(rng)});
                if rng.random_ratio(1, 4) {
                    event["budget_line_id"] = json!(line);
                }
            }
            24 => {
                event = json!({"event_id": id, "type": "receipt", "occurred_at": at, "account": "3301016001", "payer_name": "文具有限公司",
                    "payer_account": format!("3301016000{}", rng.random_range(0..4)), "amount": amount});
            }
            20 => {
                event = json!({"event_id": id, "type": "indicator", "occurred_at": at, "indicator_id": format!("I{}", rng.random_range(0..4)),
                    "fiscal_year": 2026, "project_code": "X", "target": rng.random_range(1..50).to_string(), "actual": amount});
            }
            0..11 => {
                event["unit_code"] = json!(format!("10100{}", rng.random_range(0..3)));
                event["payee_account"] = json!(format!("3301016000{}", rng.random_range(0..4)));
                event["settlement"] = json!(["transfer", "cash", "card"][rng.random_range(0..3)]);
                if rng.random_ratio(1, 4) {
                    event["application_id"] = json!(earlier);
                }
            }
            11..13 => event["type"] = json!("application"),
            13 => {
                event = json!({"event_id": id, "type": "withdrawal", "occurred_at": at, "budget_line_id": line, "original_event_id": earlier});
            }
            14 => {
                event = json!({"event_id": id, "type": "refund", "occurred_at": at, "budget_line_id": line, "original_event_id": earlier, "amount": amount});
            }
            15 => {
                event = json!({"event_id": id, "type": "correction", "occurred_at": at, "budget_line_id": line, "to_budget_line_id": other, "original_event_id": earlier, "amount": amount});
            }
            _ => {
                let actions = [
                    "approve",
                    "supplement",
                    "reduce",
                    "transfer",
                    "freeze",
                    "unfreeze",
                    "carry_over",
                    "reclaim",
                    "plan",
                    "plan_reduce",
                    "opening",
                ];
                event = json!({"event_id": id, "type": "budget", "action": actions[rng.random_range(0..11)], "occurred_at": at, "budget_line_id": line,
                    "to_budget_line_id": other, "amount": amount, "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001",
                    "function_code": "2050201", "economic_code": "30201"});
            }
        }
        Record { bytes: event.to_string().into_bytes(), is: Is::Event(event) }
    }
}

/// The dice of a seed.
pub fn dice(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
