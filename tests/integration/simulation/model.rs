//! What must come out, written as plainly as it can be: no batches, no columns, no store.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::{
    plan::{DAY, HOUR, Is, Record},
    versions::{Standing, State, Voucher},
};

/// A budget line, in cents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    pub approved: bool,
    pub total: i128,
    pub executed: i128,
    pub frozen: i128,
    pub reserved: i128,
    pub planned: i128,
    pub transferred: i128,
    pub corrected: i128,
    pub opening: i128,
    pub paid: i128,
    pub cleared: i128,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Accepted,
    Duplicate,
    Rejected,
    /// It is no record.
    Nothing,
}

/// The state of the treasury, and what was found.
#[derive(Debug, Default)]
pub struct Model {
    known: HashMap<String, Value>,
    /// What stands of records that come again, by key.
    records: HashMap<u32, Standing>,
    pub lines: BTreeMap<String, Line>,
    /// When it was stated last, the target and what is achieved, by indicator.
    pub indicators: BTreeMap<String, (i64, String, String)>,
    open: HashMap<String, (String, i128)>,
    settled: HashSet<String>,
    payments: Vec<Payment>,
    /// Events this much older than the latest are not known any more.
    retain: Option<i64>,
    latest: i64,
    /// What is taken back of whom: the line and cents of payments, `None` for applications.
    originals: HashMap<String, Option<(String, i128)>>,
    /// The times of those.
    times: HashMap<String, i64>,
    /// What is cleared of each payment.
    cleared: HashMap<String, i128>,
    /// What is cleared of payments that have not come.
    pub waiting: BTreeMap<String, i128>,
    withdrawn: HashMap<String, u32>,
    /// The cents that reversals moved to a line, by original and line.
    moved: HashMap<(String, String), i128>,
    /// Ids of the accepted events, in order.
    pub accepted: Vec<String>,
    /// Rule and subject of the findings of the plain rules.
    pub findings: BTreeSet<(String, String)>,
}

/// What a version of a record comes to.
pub enum Next {
    /// Another event.
    Event(Value),
    /// Nothing more.
    Over(Fate),
}

#[derive(Debug)]
struct Payment {
    at: i64,
    unit: String,
    account: String,
    cents: i128,
}

impl Model {
    /// A treasury that knows events for so long.
    pub fn keeping(retain: Option<i64>) -> Self {
        Self { retain, ..Self::default() }
    }

    /// Takes the next record.
    pub fn take(&mut self, record: &Record) -> Fate {
        let event = match &record.is {
            Is::Nothing => return Fate::Nothing,
            Is::Poison => return Fate::Rejected,
            Is::Event(event) => event,
            Is::Version(_) => unreachable!("versions are taken event by event"),
        };
        let id = text(event, "event_id").to_owned();
        match self.known.get(&id) {
            Some(known) if known == event => return Fate::Duplicate,
            Some(_) => return Fate::Rejected,
            None => {}
        }
        self.known.insert(id.clone(), event.clone());
        self.apply(event, &id);
        self.accepted.push(id);
        Fate::Accepted
    }

    /// Takes the next event that a version leads to; `led` says whether it led to one before. A process may die between two.
    pub fn version(&mut self, voucher: &Voucher, led: bool) -> Next {
        let standing = self.records.entry(voucher.key).or_default();
        let next = voucher.next(standing);
        match standing.version {
            Some(before) if led && before == voucher.version => return Next::Over(Fate::Accepted),
            Some(before) if before > voucher.version => return Next::Over(Fate::Duplicate),
            Some(before) if before == voucher.version && next.is_some() => return Next::Over(Fate::Rejected),
            _ => {}
        }
        let Some((event, after)) = next else {
            standing.version = Some(voucher.version);
            let skipped = voucher.state == State::Void && standing.is_nothing();
            return Next::Over(if skipped { Fate::Nothing } else { Fate::Duplicate });
        };
        let is_last = voucher.next(&after).is_none();
        *standing = after;
        if is_last {
            standing.version = Some(voucher.version);
        }
        let id = text(&event, "event_id").to_owned();
        self.known.insert(id.clone(), event.clone());
        self.apply(&event, &id);
        self.accepted.push(id);
        Next::Event(event)
    }

    fn line(&mut self, event: &Value, name: &str) -> &mut Line {
        self.lines.entry(text(event, name).to_owned()).or_default()
    }

    fn apply(&mut self, event: &Value, id: &str) {
        let cents = event
            .get("amount")
            .and_then(Value::as_str)
            .map_or(0, |amount| amount.replace('.', "").parse().expect("the plan writes two decimals"));
        let millis = event["occurred_at"].as_i64().expect("the plan writes milliseconds");
        let at = millis * 1000;
        self.latest = self.latest.max(at);
        if text(event, "type") == "indicator" {
            let at = millis;
            let stated = (at, text(event, "target").to_owned(), text(event, "actual").to_owned());
            let known = self.indicators.entry(text(event, "indicator_id").to_owned()).or_default();
            if known.0 <= at {
                *known = stated;
            }
            return;
        }
        match text(event, "type") {
            "receipt" => return,
            "confirmation" => return self.confirm(event, id, cents),
            "payment" | "application" => drop(self.times.insert(id.to_owned(), at)),
            _ => {}
        }
        self.line(event, "budget_line_id");
        self.take_back(event, id, cents);
        match text(event, "type") {
            "payment" => {
                let cleared = self.waiting.remove(id).unwrap_or(0);
                let line = self.line(event, "budget_line_id");
                line.executed += cents;
                line.paid += cents;
                line.cleared += cleared;
                if let Some(application) = event.get("application_id").and_then(Value::as_str) {
                    self.settle(application);
                }
                self.judge(event, id, cents);
            }
            "application" => {
                if !self.settled.contains(id) {
                    self.open.insert(id.to_owned(), (text(event, "budget_line_id").to_owned(), cents));
                    self.line(event, "budget_line_id").reserved += cents;
                }
                self.over_budget(event, id);
            }
            "withdrawal" => self.settle(text(event, "original_event_id")),
            "refund" => self.line(event, "budget_line_id").executed -= cents,
            "reversal" => {
                let line = self.line(event, "budget_line_id");
                line.executed -= cents;
                line.paid -= cents;
            }
            "correction" => {
                for (name, cents) in [("budget_line_id", -cents), ("to_budget_line_id", cents)] {
                    let line = self.line(event, name);
                    line.executed += cents;
                    line.corrected += cents;
                }
            }
            "budget" => self.act(event, cents),
            other => unreachable!("the plan makes no {other}"),
        }
    }

    fn act(&mut self, event: &Value, cents: i128) {
        let line = self.line(event, "budget_line_id");
        match text(event, "action") {
            "approve" => {
                line.total += cents;
                line.approved = true;
            }
            "supplement" | "carry_over" => line.total += cents,
            "reduce" | "reclaim" => line.total -= cents,
            "freeze" => line.frozen += cents,
            "unfreeze" => line.frozen -= cents,
            "plan" => line.planned += cents,
            "plan_reduce" => line.planned -= cents,
            "opening" => {
                line.executed += cents;
                line.opening += cents;
            }
            "transfer" => {
                for (name, cents) in [("budget_line_id", -cents), ("to_budget_line_id", cents)] {
                    let line = self.line(event, name);
                    line.total += cents;
                    line.transferred += cents;
                }
            }
            other => unreachable!("the plan knows no action {other}"),
        }
    }

    /// What the bank says of a payment: it is cleared on the line that the bank names, or else on the payment's, now or when
    /// that comes.
    fn confirm(&mut self, event: &Value, id: &str, cents: i128) {
        let name = text(event, "original_event_id").to_owned();
        let cents = if text(event, "status") == "returned" { -cents } else { cents };
        let sum = self.cleared.entry(name.clone()).or_default();
        *sum += cents;
        let sum = *sum;
        let kept = self.retain.map_or(i64::MIN, |retain| self.latest - retain);
        let original = self.originals.get(&name).filter(|_| self.times[&name] >= kept).cloned();
        if original.is_none() {
            self.found("cleared-nothing", id);
        }
        let payment = original.flatten();
        if payment.as_ref().is_some_and(|(_, paid)| sum > *paid) {
            self.found("cleared-beyond", id);
        }
        let own = event.get("budget_line_id").and_then(Value::as_str).map(str::to_owned);
        match own.or(payment.map(|(line, _)| line)) {
            Some(line) => {
                let line = self.lines.entry(line).or_default();
                line.cleared += cents;
                if line.paid - line.cleared < 0 {
                    self.found("cleared-line", id);
                }
            }
            None => *self.waiting.entry(name).or_default() += cents,
        }
    }

    fn settle(&mut self, application: &str) {
        self.settled.insert(application.to_owned());
        if let Some((line, cents)) = self.open.remove(application)
            && let Some(line) = self.lines.get_mut(&line)
        {
            line.reserved -= cents;
        }
    }

    /// What an event takes back of another one, and whether it is there.
    fn take_back(&mut self, event: &Value, id: &str, cents: i128) {
        let line = text(event, "budget_line_id").to_owned();
        let kind = text(event, "type");
        match kind {
            "payment" => drop(self.originals.insert(id.to_owned(), Some((line, cents)))),
            "application" => drop(self.originals.insert(id.to_owned(), None)),
            "refund" | "correction" | "withdrawal" => {
                let name = text(event, "original_event_id").to_owned();
                if kind != "withdrawal" {
                    *self.moved.entry((name.clone(), line.clone())).or_default() -= cents;
                }
                if kind == "correction" {
                    let to = text(event, "to_budget_line_id").to_owned();
                    *self.moved.entry((name.clone(), to)).or_default() += cents;
                }
                let times = self.withdrawn.entry(name.clone()).or_default();
                *times += u32::from(kind == "withdrawal");
                let (known, again) = (self.originals.get(&name).cloned(), *times > 1);
                if known.is_none() || again {
                    self.found("of-nothing", id);
                }
                if let (Some(Some((paid_on, paid))), true) = (known, kind != "withdrawal") {
                    let own = if paid_on == line { paid } else { 0 };
                    if own + self.moved.get(&(name, line)).copied().unwrap_or(0) < 0 {
                        self.found("taken-back", id);
                    }
                }
            }
            _ => {}
        }
    }

    fn over_budget(&mut self, event: &Value, id: &str) {
        let l = self.line(event, "budget_line_id");
        if l.total - l.frozen - l.reserved - l.executed < 0 {
            self.found("over-budget", id);
        }
    }

    fn judge(&mut self, event: &Value, id: &str, cents: i128) {
        self.over_budget(event, id);
        if text(event, "settlement") == "cash" && cents > 2_000_000 {
            self.found("large-cash", id);
        }
        let at = event["occurred_at"].as_i64().expect("the plan writes milliseconds") * 1000;
        let (unit, account) = (text(event, "unit_code").to_owned(), text(event, "payee_account").to_owned());
        self.payments.push(Payment { at, unit: unit.clone(), account: account.clone(), cents });
        let burst = |p: &&Payment| p.account == account && p.at > at - 6 * HOUR && p.at <= at;
        if self.payments.iter().filter(burst).count() >= 3 {
            self.found("burst", id);
        }
        let first = day(at) - 2 * DAY;
        let split = |p: &&Payment| p.account == account && p.unit == unit && p.at >= first && p.at <= at;
        if self.payments.iter().filter(split).map(|p| p.cents).sum::<i128>() > 9_000_000 {
            self.found("split", id);
        }
        // Amounts are positive, so a day that is over the limit once stays so.
        let that_day = |p: &&Payment| p.unit == unit && day(p.at) == day(at);
        if self.payments.iter().filter(that_day).map(|p| p.cents).sum::<i128>() > 6_000_000 {
            self.found("unit-day", &format!("{unit} {}", day(at) + DAY));
        }
    }

    fn found(&mut self, rule: &str, subject: &str) {
        self.findings.insert((rule.to_owned(), subject.to_owned()));
    }
}

fn text<'e>(event: &'e Value, name: &str) -> &'e str {
    event[name].as_str().unwrap_or_else(|| panic!("{name} of {event} is no text"))
}

/// The start of the local day; Shanghai is eight hours ahead all year.
fn day(at: i64) -> i64 {
    (at + 8 * HOUR).div_euclid(DAY) * DAY - 8 * HOUR
}
