//! The ledger against a plain model: the equations of docs/events.md computed from sets of events, by other means.

use std::collections::{BTreeMap, BTreeSet};

use fiscwatch::{
    decode::Decoder,
    engine::{Dedup, SequenceCause, Sequencer, Ticker, Watermark},
    event::{BudgetAction, Cents, EventType, TimeDelta},
    ledger::Ledger,
    stream::Payload,
};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::support::{block, calendar, decode_lines, lines, payment, random_events};

/// The balances of a line, from nothing but the list of accepted events.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    total: Decimal,
    executed: Decimal,
    frozen: Decimal,
    reserved: Decimal,
    planned: Decimal,
    opening: Decimal,
    paid: Decimal,
    cleared: Decimal,
}

/// Says by its own rules which records are events: valid, and the first with their id.
fn accepted(events: &[Value]) -> Vec<&Value> {
    let mut ids = BTreeSet::new();
    let valid = |event: &&Value| {
        let amount = event.get("amount").and_then(Value::as_str).map(str::parse::<Decimal>);
        match amount {
            None => event["type"] == "withdrawal" || event["type"] == "indicator",
            Some(Err(_)) => false,
            Some(Ok(amount)) => {
                amount > Decimal::ZERO && amount.scale() <= 2 && amount < Decimal::from(10u64.pow(16))
            }
        }
    };
    events.iter().filter(valid).filter(|event| ids.insert(event["event_id"].as_str().unwrap())).collect()
}

fn model(events: &[&Value]) -> BTreeMap<String, Expected> {
    let mut lines: BTreeMap<String, Expected> = BTreeMap::new();
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let settled: BTreeSet<String> = events
        .iter()
        .filter_map(|e| match e["type"].as_str()? {
            "payment" => e.get("application_id").and_then(Value::as_str).map(str::to_owned),
            "withdrawal" => Some(text(e, "original_event_id")),
            _ => None,
        })
        .collect();
    let paid_on = |id: &Value| {
        let payment = events.iter().find(|e| e["type"] == "payment" && e["event_id"] == *id);
        payment.map(|payment| payment["budget_line_id"].clone())
    };
    let of_lines =
        |event: &&&Value| !["indicator", "confirmation", "receipt"].map(Value::from).contains(&event["type"]);
    for event in events.iter().filter(|event| event["type"] == "confirmation") {
        let amount: Decimal = text(event, "amount").parse().unwrap();
        let own = event.get("budget_line_id").cloned();
        if let Some(Value::String(line)) = own.or_else(|| paid_on(&event["original_event_id"])) {
            let sign = if event["status"] == "returned" { -Decimal::ONE } else { Decimal::ONE };
            lines.entry(line).or_default().cleared += sign * amount;
        }
    }
    for event in events.iter().filter(of_lines) {
        let amount: Decimal = text(event, "amount").parse().unwrap_or_default();
        let to = text(event, "to_budget_line_id");
        let line = lines.entry(text(event, "budget_line_id")).or_default();
        match event["type"].as_str().unwrap() {
            "payment" => {
                line.executed += amount;
                line.paid += amount;
            }
            "application" if settled.contains(event["event_id"].as_str().unwrap()) => {}
            "application" => line.reserved += amount,
            "refund" => line.executed -= amount,
            "reversal" => {
                line.executed -= amount;
                line.paid -= amount;
            }
            "correction" => {
                line.executed -= amount;
                lines.entry(to).or_default().executed += amount;
            }
            "budget" => match event["action"].as_str().unwrap() {
                "approve" | "supplement" | "carry_over" => line.total += amount,
                "reduce" | "reclaim" => line.total -= amount,
                "transfer" => {
                    line.total -= amount;
                    lines.entry(to).or_default().total += amount;
                }
                "freeze" => line.frozen += amount,
                "unfreeze" => line.frozen -= amount,
                "plan" => line.planned += amount,
                "plan_reduce" => line.planned -= amount,
                "opening" => {
                    line.executed += amount;
                    line.opening += amount;
                }
                other => panic!("{other}"),
            },
            _ => {}
        }
    }
    lines
}

/// Target and actual of each indicator: the latest statement, of equally late ones the last.
fn indicators(events: &[&Value]) -> BTreeMap<String, (Decimal, Option<Decimal>)> {
    let mut latest: BTreeMap<String, &Value> = BTreeMap::new();
    let time = |event: &Value| event["occurred_at"].as_i64().unwrap_or(1_777_957_505_000);
    for event in events.iter().filter(|event| event["type"] == "indicator") {
        let id = event["indicator_id"].as_str().unwrap();
        if latest.get(id).is_none_or(|known| time(known) <= time(event)) {
            latest.insert(id.to_owned(), event);
        }
    }
    let number = |value: &Value| value.as_str().map(|text| text.parse().unwrap());
    let numbers = |event: &Value| (number(&event["target"]).unwrap(), number(&event["actual"]));
    latest.into_iter().map(|(id, event)| (id, numbers(event))).collect()
}

fn cents(value: Cents) -> Decimal {
    Decimal::from_i128_with_scale(value.as_i128(), 2)
}

fn compare(ledger: &Ledger, events: &[Value]) {
    let events = accepted(events);
    let expected = model(&events);
    let mut transferred = Cents::ZERO;
    let mut corrected = Cents::ZERO;
    for (line, _) in ledger.lines() {
        let b = &line.balances;
        let found = Expected {
            total: cents(b.total),
            executed: cents(b.executed),
            frozen: cents(b.frozen),
            reserved: cents(b.reserved),
            planned: cents(b.planned),
            opening: cents(b.opening),
            paid: cents(b.paid()),
            cleared: cents(b.cleared),
        };
        assert_eq!(Some(&found), expected.get(&*line.id), "{}", line.id);
        assert_eq!(b.available(), b.total - b.frozen - b.reserved - b.executed);
        assert_eq!(b.plan_available(), b.planned - b.reserved - b.executed);
        assert_eq!(b.uncleared(), b.paid() - b.cleared);
        transferred += b.transferred;
        corrected += b.corrected;
    }
    assert_eq!(ledger.len(), expected.len());
    let number = |millionths: i128| Decimal::from_i128_with_scale(millionths, 6);
    let stated =
        ledger.indicators().iter().map(|(id, i)| (id.to_owned(), (number(i.target), i.actual.map(number))));
    assert_eq!(stated.collect::<BTreeMap<_, _>>(), indicators(&events));
    let met: BTreeSet<_> = ledger.saved_confirmations().map(|(id, _)| id).collect();
    let came =
        |event: &&&Value| event["type"] == "payment" && met.contains(event["event_id"].as_str().unwrap());
    assert_eq!(events.iter().find(came), None, "nothing waits for a payment that has come");
    assert_eq!(
        (transferred, corrected),
        (Cents::ZERO, Cents::ZERO),
        "transfers and corrections have two legs"
    );
}

fn no_ticks() -> Ticker {
    Ticker::new(&std::sync::Arc::default(), &calendar())
}

fn sequenced(decoder: &Decoder, sequencer: &mut Sequencer, events: &[Value]) {
    let blocks = [block(Payload::JsonLines(lines(events).into()))];
    let decoded = decoder.decode(&blocks, None);
    let sequenced = sequencer
        .sequence(
            &blocks,
            decoded,
            SequenceCause::Events,
            (fiscwatch::event::Instant::EPOCH, fiscwatch::event::TimeDelta::MAX),
            &mut no_ticks(),
        )
        .unwrap()
        .pop()
        .unwrap();
    // What rules see after each event obeys the equations too.
    for row in 0..sequenced.types.len() {
        let found = sequenced.attributes.get(sequenced.after.attributes[row] as usize).is_some();
        let may_be_of_none = [EventType::Indicator, EventType::Confirmation, EventType::Receipt];
        assert!(found || may_be_of_none.contains(&sequenced.types[row]) && !sequenced.after.has_line(row));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_ledger_agrees_with_the_model_at_every_commit(seed in any::<u64>(), cut in 1usize..80) {
        let events = random_events(seed, 250);
        let decoder = Decoder::new(calendar());
        let ledger = std::sync::Arc::new(parking_lot::RwLock::new(Ledger::default()));
        let mut sequencer = Sequencer::new(ledger.clone(), Dedup::default(), Watermark::new(TimeDelta::ZERO, None), None);
        let mut seen = 0;
        for part in events.chunks(cut) {
            sequenced(&decoder, &mut sequencer, part);
            seen += part.len();
            compare(&ledger.read(), &events[..seen]);
        }
    }
}

#[test]
fn a_payment_on_an_unknown_line_opens_it_unapproved() {
    let decoded = decode_lines(&lines(&[payment("p", "X", "12.50")]));
    let mut ledger = Ledger::default();
    let after = ledger.apply(&decoded.events, &decoded.types);
    let (line, attributes) = ledger.line("X").unwrap();
    assert!(!attributes.approved);
    assert_eq!(attributes.text(fiscwatch::event::Column::UnitCode), Some("101001"));
    let sums = [line.balances.total, line.balances.executed, line.balances.available()];
    assert_eq!(sums.map(Cents::as_i128), [0, 1250, -1250]);
    assert_eq!(line.balances.executed_ratio(), None);
    assert_eq!(after.executed, [1250]);
}

#[test]
fn every_type_and_action_is_covered_by_the_random_events() {
    let decoded = decode_lines(&lines(&random_events(1, 2000)));
    for event_type in EventType::ALL {
        assert!(decoded.types.contains(&event_type), "{event_type:?}");
    }
    let text = lines(&random_events(1, 2000));
    for action in BudgetAction::ALL {
        assert!(text.contains(&format!("\"{}\"", action.name())), "{action:?}");
    }
    assert!(!decoded.rejects.is_empty());
}
