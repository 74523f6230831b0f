//! Random versions in random order through the loop, against sums over the last versions.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;

use fiscwatch::{
    decode::{Decoder, Reading},
    engine::{Dedup, SequenceCause, Sequencer, Ticker, Watermark},
    event::{Cents, Instant, TimeDelta},
    ledger::Ledger,
    map::{Map, MapShape, UpsertShape, Versioned},
    stream::{Block, Payload},
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::support::calendar;

/// A map of vouchers that are applied for, paid, and answered by the bank.
pub const MAP: &str = "
columns:
  凭证号: event_id
  状态: type
  支付日期: occurred_at
  指标: budget_line_id
  金额: amount
  收款人: payee_name
  用途: purpose
  录入: recorded_at
  实际收款人: actual_payee_name
  回单号: bank_ref
  银行状态: status
constants: { fiscal_year: 2026, region_code: '330100000', unit_code: '101001', function_code: '2050201', economic_code: '30201',
  payment_mode: direct, settlement: transfer, payee_account: '33010160006', payee_type: entity }
values: { 状态: { 申请: application, 支付: payment }, 银行状态: { 成功: paid, 退汇: returned } }
when: 状态 in ('申请', '支付')
";
pub const HEADER: &str = "凭证号,状态,更新,支付日期,指标,金额,收款人,用途,录入,实际收款人,回单号,银行状态\n";

fn decoder() -> Decoder {
    let shape: MapShape = serde_saphyr::from_str(MAP).unwrap();
    let upsert =
        UpsertShape {
            key: vec!["凭证号".into()], version: Some("更新".into()), ..UpsertShape::default()
        };
    let map = Map::compile_versions(&shape, Some((&upsert, Versioned::Not))).unwrap();
    Decoder::new(calendar()).reading(Reading::default().mapped(Arc::new(map)))
}

/// What a version of a voucher says.
#[derive(Debug, Clone, PartialEq)]
struct Voucher {
    state: &'static str,
    line: usize,
    cents: u32,
    payee: &'static str,
    purpose: &'static str,
    /// What the bank says: nothing, that it paid, or that the money came back.
    bank: Option<(&'static str, &'static str)>,
}

impl Voucher {
    fn any(rng: &mut ChaCha8Rng) -> Self {
        let bank = [None, Some(("成功", "B1")), Some(("成功", "B2")), Some(("退汇", "B3"))];
        Self {
            state: ["申请", "支付", "支付", "支付", "作废", "退回"][rng.random_range(0..6)],
            line: rng.random_range(0..3),
            cents: [100, 2050, 99_999_999][rng.random_range(0..3)],
            payee: ["甲公司", "乙公司"][rng.random_range(0..2)],
            purpose: ["", "货款"][rng.random_range(0..2)],
            bank: bank[rng.random_range(0..4)],
        }
    }

    /// The next version: mostly one thing is another.
    fn next(&self, rng: &mut ChaCha8Rng) -> Self {
        let other = Self::any(rng);
        let mut next = self.clone();
        match rng.random_range(0..8) {
            0 => next.state = other.state,
            1 => next.line = other.line,
            2 => next.cents = other.cents,
            3 => next.payee = other.payee,
            4 | 5 => next.bank = other.bank,
            6 => next.purpose = other.purpose,
            _ => next = other,
        }
        next
    }

    fn row(&self, key: usize, version: usize) -> String {
        let Self { state, line, cents, payee, purpose, bank } = self;
        let (status, reference) = bank.unwrap_or(("", ""));
        let actual = if bank.is_some() { *payee } else { "" };
        let (whole, part) = (cents / 100, cents % 100);
        format!(
            "V{key},{state},{version},2026-03-0{day}T10:00:00+08:00,L{line},{whole}.{part:02},{payee},{purpose},2026-04-01T10:00:{version:02}+08:00,{actual},{reference},{status}\n",
            day = 1 + key % 7,
        )
    }
}

/// Cents of a budget line: executed, reserved, cleared, uncleared.
type Sums = [i128; 4];

/// The books of what the last versions say.
fn expected<'v>(last: impl Iterator<Item = &'v Voucher>) -> BTreeMap<String, Sums> {
    let mut lines: BTreeMap<String, Sums> = BTreeMap::new();
    for voucher in last {
        let cents = i128::from(voucher.cents);
        let sums = lines.entry(format!("L{}", voucher.line)).or_default();
        match voucher.state {
            "申请" => sums[1] += cents,
            "支付" => {
                let cleared = if matches!(voucher.bank, Some(("成功", _))) { cents } else { 0 };
                sums[0] += cents;
                sums[2] += cleared;
                sums[3] += cents - cleared;
            }
            _ => {}
        }
    }
    lines.retain(|_, sums| *sums != Sums::default());
    lines
}

fn found(ledger: &Ledger) -> BTreeMap<String, Sums> {
    let sums = |id: &str| {
        let balances = ledger.line(id).unwrap().0.balances;
        [balances.executed, balances.reserved, balances.cleared, balances.uncleared()].map(Cents::as_i128)
    };
    let known = (0..3).map(|line| format!("L{line}")).filter(|id| ledger.line(id).is_some());
    let mut lines: BTreeMap<_, _> = known.map(|id| (id.clone(), sums(&id))).collect();
    lines.retain(|_, sums| *sums != Sums::default());
    lines
}

/// Gives rows to a loop, in batches of random length.
fn books(rows: &[String], rng: &mut ChaCha8Rng) -> BTreeMap<String, Sums> {
    let (decoder, ledger) = (decoder(), Arc::new(RwLock::new(Ledger::default())));
    let mut sequencer =
        Sequencer::new(Arc::clone(&ledger), Dedup::default(), Watermark::new(TimeDelta::ZERO, None), None);
    let mut ticker = Ticker::new(&Arc::default(), &calendar());
    let header: Arc<[String]> = HEADER.trim().split(',').map(str::to_owned).collect();
    let mut rows = rows;
    while !rows.is_empty() {
        let (part, rest) = rows.split_at(rng.random_range(1..=rows.len().min(7)));
        rows = rest;
        let payload = Payload::Csv {
            header: Arc::clone(&header),
            rows: part.concat().into(),
            dialect: fiscwatch::stream::Dialect::default(),
        };
        let blocks = [Block::new("vouchers".into(), "file".into(), 1, payload)];
        let decoded = decoder.decode(&blocks, None);
        assert_eq!(decoded.rejects, [], "{part:?}");
        let parts = sequencer
            .sequence(&blocks, decoded, SequenceCause::Events, (Instant::EPOCH, TimeDelta::MAX), &mut ticker)
            .unwrap();
        let last = parts.last().unwrap();
        assert_eq!(last.intake.rejects, [], "{part:?}");
        let receipt = last.receipts[0];
        assert_eq!(receipt.seen(), part.len() as u64, "every row is counted once: {receipt:?} {part:?}");
    }
    found(&ledger.read())
}

#[test]
fn any_order_and_repetition_of_versions_gives_the_books_of_the_last_ones() {
    let seeds = std::env::var("UPSERT_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    for seed in 0..seeds {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut rows, mut last) = (Vec::new(), Vec::new());
        for key in 0..rng.random_range(1..6) {
            let mut voucher = Voucher::any(&mut rng);
            for version in 0..rng.random_range(1..6) {
                if version > 0 {
                    voucher = voucher.next(&mut rng);
                }
                rows.push(voucher.row(key, version));
            }
            last.push(voucher);
        }
        let expected = expected(last.iter());
        assert_eq!(books(&rows, &mut rng), expected, "seed {seed}, in order: {rows:#?}");
        // Some come again, and all in any order; and the whole once more.
        let again: Vec<_> =
            (0..rows.len() / 2).map(|_| rows[rng.random_range(0..rows.len())].clone()).collect();
        rows.extend(again);
        rows.shuffle(&mut rng);
        assert_eq!(books(&rows, &mut rng), expected, "seed {seed}, in any order: {rows:#?}");
        rows.extend(rows.clone());
        assert_eq!(books(&rows, &mut rng), expected, "seed {seed}, twice: {rows:#?}");
    }
}
