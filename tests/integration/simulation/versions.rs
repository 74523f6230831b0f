//! Records that come again when they have changed (`mode: upsert`), and the events that follow from them: one after another,
//! as docs/feeds.md says it, from what stands of the record and what its version says.

use fiscwatch::{
    decode::Reading,
    map::{Map, MapShape, UpsertShape, Versioned},
};
use rand::{Rng, RngExt, seq::IndexedRandom};
use serde_json::{Value, json};

use super::plan::{DAY, Is, Record};
use crate::support::payment;

pub const SOURCE: &str = "vouchers";

/// How the source writes its records.
pub fn reading() -> Reading {
    let map = "
columns: { no: event_id, st: type, at: occurred_at, line: budget_line_id, amt: amount, unit: unit_code, account: payee_account, how: settlement,
  got: actual_payee_name, ref: bank_ref, bank: status }
constants: { fiscal_year: 2026, region_code: '330100000', function_code: '2050201', economic_code: '30201', payment_mode: direct,
  payee_name: 杭州某公司, payee_type: entity }
when: st <> 'void'
";
    let shape: MapShape = serde_saphyr::from_str(map).expect("a map");
    let upsert =
        UpsertShape { key: vec!["no".into()], version: Some("ver".into()), ..UpsertShape::default() };
    let map = Map::compile_versions(&shape, Some((&upsert, Versioned::Not))).expect("a map");
    Reading::default().mapped(map.into())
}

/// What a voucher is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Applied,
    Paid,
    Void,
}

/// What is of interest in a payment.
#[derive(Debug, Clone, PartialEq)]
struct Content {
    at: i64,
    line: u32,
    cents: u32,
    unit: u32,
    account: u32,
    how: &'static str,
}

/// What the bank says.
#[derive(Debug, Clone, PartialEq)]
struct Bank {
    status: &'static str,
    payee: &'static str,
    reference: u32,
}

/// A version of a voucher.
#[derive(Debug, Clone)]
pub struct Voucher {
    pub key: u32,
    /// When it changed, in milliseconds: whole seconds.
    pub version: i64,
    pub state: State,
    content: Content,
    bank: Option<Bank>,
}

/// What stands of a voucher.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    pub version: Option<i64>,
    application: Option<(String, Content)>,
    payment: Option<(Value, Content)>,
    /// What the bank said, unless nobody saw it, and whether the money is with the payee.
    answer: Option<(Option<Bank>, bool)>,
    applied: bool,
    paid: bool,
}

impl Standing {
    /// Whether there never was anything.
    pub fn is_nothing(&self) -> bool {
        Self { version: None, ..self.clone() } == Self::default()
    }
}

impl Content {
    fn any(rng: &mut impl Rng, at: i64) -> Self {
        Self {
            at,
            line: rng.random_range(0..5),
            cents: rng.random_range(1..5_000_000),
            unit: rng.random_range(0..3),
            account: rng.random_range(0..4),
            how: ["transfer", "cash", "card"].choose(rng).expect("three"),
        }
    }

    fn amount(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }

    /// The event of it.
    fn event(&self, id: &str, kind: &str) -> Value {
        let mut event = payment(id, &format!("L{}", self.line), &self.amount());
        event["type"] = kind.into();
        event["occurred_at"] = self.at.into();
        event["unit_code"] = format!("10100{}", self.unit).into();
        event["payee_account"] = format!("3301016000{}", self.account).into();
        event["settlement"] = self.how.into();
        event
    }
}

impl Voucher {
    fn shown(&self) -> String {
        jiff::Timestamp::from_millisecond(self.version).expect("a time").to_string()
    }

    /// The record.
    fn row(&self) -> Value {
        let state = match self.state {
            State::Applied => "application",
            State::Paid => "payment",
            State::Void => "void",
        };
        let Content { at, line, unit, account, how, .. } = &self.content;
        let mut row = json!({ "no": format!("V{}", self.key), "ver": self.shown(), "st": state, "at": at, "line": format!("L{line}"),
            "amt": self.content.amount(), "unit": format!("10100{unit}"), "account": format!("3301016000{account}"), "how": how });
        if let Some(Bank { status, payee, reference }) = &self.bank {
            (row["bank"], row["got"], row["ref"]) =
                ((*status).into(), (*payee).into(), format!("B{reference}").into());
        }
        row
    }

    fn is_paid(&self) -> bool {
        self.state == State::Paid
    }

    /// The next event that leads from what stands to this version, and what stands after it.
    pub fn next(&self, standing: &Standing) -> Option<(Value, Standing)> {
        let (record, ver, mut after) = (format!("V{}", self.key), self.version, standing.clone());
        let id = |word: &str| format!("{record}@{}{word}", self.shown());
        let wanted = self.bank.as_ref().filter(|_| self.is_paid());
        let stays =
            standing.payment.as_ref().is_some_and(|(_, content)| self.is_paid() && *content == self.content);
        if let Some((told, cleared)) = &standing.answer
            && (!stays || told.as_ref() != wanted)
            && !(stays && wanted.is_some_and(|bank| bank.status == "returned"))
        {
            after.answer = None;
            let Some((payment, _)) = standing.payment.as_ref().filter(|_| *cleared) else {
                return self.next(&after);
            };
            let event = json!({ "event_id": id("/recalled"), "type": "confirmation", "occurred_at": ver, "original_event_id": payment["event_id"],
                "budget_line_id": payment["budget_line_id"], "amount": payment["amount"], "status": "returned" });
            return Some((event, after));
        }
        if let Some((payment, _)) = standing.payment.as_ref().filter(|_| !stays) {
            (after.payment, after.answer) = (None, None);
            let mut event = payment.clone();
            event.as_object_mut().expect("an event").remove("application_id");
            event["original_event_id"] = payment["event_id"].clone();
            (event["event_id"], event["type"]) = (id("/reversal").into(), "reversal".into());
            (event["reason"], event["recorded_at"]) = (self.shown().into(), ver.into());
            return Some((event, after));
        }
        let applies = self.state == State::Applied;
        if let Some((application, content)) = &standing.application
            && !self.is_paid()
            && !(applies && *content == self.content)
        {
            after.application = None;
            let event = json!({ "event_id": format!("{record}/application@{}/withdrawal", self.shown()), "type": "withdrawal", "occurred_at": content.at,
                "recorded_at": ver, "original_event_id": application, "budget_line_id": format!("L{}", content.line) });
            return Some((event, after));
        }
        if applies && standing.application.is_none() {
            let again = if standing.applied { format!("@{}", self.shown()) } else { String::new() };
            let application = format!("{record}/application{again}");
            after.application = Some((application.clone(), self.content.clone()));
            after.applied = true;
            return Some((self.content.event(&application, "application"), after));
        }
        if self.is_paid() && standing.payment.is_none() {
            let name = if standing.paid { id("") } else { record };
            let mut event = self.content.event(&name, "payment");
            if let Some((application, _)) = after.application.take() {
                event["application_id"] = application.into();
            }
            after.payment = Some((event.clone(), self.content.clone()));
            after.paid = true;
            return Some((event, after));
        }
        let (bank, (payment, _)) = (wanted?, standing.payment.as_ref()?);
        let (told, cleared) = standing.answer.clone().unwrap_or((None, false));
        let returned = bank.status == "returned";
        if told.as_ref() == Some(bank) || (returned && standing.answer.is_some() && !cleared) {
            return None;
        }
        // What came back was paid before, in a version that nobody saw.
        let unseen = returned && !cleared;
        let status = if unseen { "paid" } else { bank.status };
        after.answer = Some((Some(bank.clone()).filter(|_| !unseen), status != "returned"));
        let word = if status == "returned" { "/returned" } else { "/paid" };
        let event = json!({ "event_id": id(word), "type": "confirmation", "occurred_at": ver, "original_event_id": payment["event_id"],
            "amount": self.content.amount(), "status": status, "actual_payee_name": bank.payee, "bank_ref": format!("B{}", bank.reference) });
        Some((event, after))
    }

    /// Another version of it, later.
    fn change(&self, rng: &mut impl Rng, version: i64) -> Self {
        let mut next = Self { version, ..self.clone() };
        match rng.random_range(0..8) {
            0..4 => next.state = State::Paid,
            4 => next.state = [State::Applied, State::Void][rng.random_range(0..2)],
            5 => next.content = Content::any(rng, self.content.at),
            _ => {}
        }
        if next.is_paid() && rng.random_ratio(2, 3) {
            next.bank = rng.random_ratio(5, 6).then(|| Bank {
                status: ["paid", "paid", "partial", "returned"].choose(rng).expect("four"),
                payee: ["杭州某公司", "另一公司"].choose(rng).expect("two"),
                reference: rng.random_range(0..4),
            });
        }
        next
    }
}

/// Vouchers that are made up, changed, sent again and late, one record after another.
pub fn records(rng: &mut impl Rng, count: usize, (mut at, step): (i64, i64)) -> Vec<Record> {
    let mut sent: Vec<Voucher> = Vec::new();
    let mut latest: Vec<Voucher> = Vec::new();
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        at += rng.random_range(0..2 * step);
        let version = at / 1_000_000 * 1000;
        let voucher = match rng.random_range(0..12) {
            // One that came before, which may be the last one of its record or an older one.
            0..2 if !sent.is_empty() => sent.choose(rng).expect("some").clone(),
            // The last version of a record with other content.
            2 if !latest.is_empty() => {
                let last = latest.choose(rng).expect("some");
                last.change(rng, last.version)
            }
            3..9 if !latest.is_empty() => {
                let which = rng.random_range(0..latest.len());
                latest[which] = latest[which].change(rng, version);
                latest[which].clone()
            }
            _ => {
                let ordered = at - rng.random_range(0..DAY);
                let content = Content::any(rng, ordered / 1000);
                let key = u32::try_from(latest.len()).expect("few");
                let fresh = Voucher { key, version, state: State::Applied, content, bank: None };
                let fresh = if rng.random_ratio(1, 3) { fresh } else { fresh.change(rng, version) };
                latest.push(fresh.clone());
                fresh
            }
        };
        sent.push(voucher.clone());
        let mut row = voucher.row();
        let poison = rng.random_ratio(1, 20);
        if poison {
            // What is wrong with a record must not change what stands of it.
            let (name, value) = [("amt", "1.001"), ("bank", "odd"), ("ver", "")][rng.random_range(0..3)];
            row[name] = value.into();
            row["st"] = "payment".into();
        }
        let is = if poison { Is::Poison } else { Is::Version(voucher) };
        all.push(Record { bytes: row.to_string().into_bytes(), is });
    }
    all
}
