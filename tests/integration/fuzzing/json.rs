//! JSON Lines and messages.

use std::{collections::BTreeMap, str::FromStr};

use arrow::{
    array::{Array, AsArray},
    datatypes::Decimal128Type,
    util::pretty::pretty_format_batches,
};
use fiscwatch::{
    decode::{Decoded, Reading},
    event::{Column, money::parse_amount, stamp::StampUnit},
    stream::{Block, Payload, RejectReason},
};
use rand::{Rng, RngExt};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::{fuzz, seeds};
use crate::support::{block, decoder};

fn decode(payloads: Vec<Payload>) -> Decoded {
    let blocks: Vec<Block> = payloads.into_iter().map(block).collect();
    decoder().decode(&blocks, None)
}

/// A line that must have become an event or a reject.
pub fn is_record(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    !line.iter().all(u8::is_ascii_whitespace)
}

pub fn outcome(decoded: &Decoded) -> (String, Vec<(RejectReason, Vec<u8>)>) {
    let events = pretty_format_batches(std::slice::from_ref(&decoded.events)).unwrap().to_string();
    (events, decoded.rejects.iter().map(|r| (r.reason, r.raw.to_vec())).collect())
}

#[test]
fn lines_are_all_accounted_for_however_they_are_cut() {
    let seeds = seeds("json");
    fuzz("json", 1000, &seeds, |input, rng| {
        let lines: Vec<_> = input.split_inclusive(|b| *b == b'\n').collect();
        let records = lines.iter().filter(|line| is_record(line)).count();
        let whole = decode(vec![Payload::JsonLines(input.to_vec().into())]);
        assert_eq!(whole.types.len() + whole.rejects.len(), records, "records of {} lines", lines.len());
        let pieces = cut(&lines, rng).into_iter().map(|piece| Payload::JsonLines(piece.into()));
        assert_eq!(outcome(&decode(pieces.collect())), outcome(&whole));
        // A record by itself is what it is among others.
        let mut alone = Vec::new();
        for line in &lines {
            let decoded = decode(vec![Payload::JsonLines(line.to_vec().into())]);
            check_line(line, &decoded);
            alone.extend(decoded.contents);
        }
        assert_eq!(alone, whole.contents);
    });
}

#[test]
fn messages_are_all_accounted_for() {
    let seeds = seeds("json");
    fuzz("messages", 500, &seeds, |input, rng| {
        // A message is any bytes, line ends too.
        let (mut ends, mut at) = (Vec::new(), 0);
        while at < input.len() || ends.is_empty() {
            at = (at + rng.random_range(0..600)).min(input.len());
            ends.push((u32::try_from(at).unwrap(), ends.len() as u64));
        }
        let decoded = decode(vec![Payload::Messages { data: input.to_vec().into(), ends: ends.clone() }]);
        assert_eq!(decoded.types.len() + decoded.rejects.len(), ends.len());
    });
}

#[test]
fn change_events_are_all_accounted_for_and_each_is_what_it_is_alone() {
    let seeds = seeds("changes");
    let decode = |payload: Payload| {
        let reading = Reading::new(None, StampUnit::default(), None).in_debezium(true);
        decoder().reading(reading).decode(&[block(payload)], None)
    };
    fuzz("changes", 500, &seeds, |input, _| {
        let lines: Vec<_> = input.split_inclusive(|b| *b == b'\n').collect();
        let whole = decode(Payload::JsonLines(input.to_vec().into()));
        let counted = whole.types.len() + whole.rejects.len() + usize::try_from(whole.skipped[0]).unwrap();
        assert_eq!(counted, lines.len());
        let mut alone = Vec::new();
        for line in &lines {
            let text = line.strip_suffix(b"\n").unwrap_or(line).to_vec();
            let ends = vec![(u32::try_from(text.len()).unwrap(), 0)];
            let decoded = decode(Payload::Messages { data: text.clone().into(), ends });
            assert!(decoded.rejects.iter().all(|reject| reject.raw == text && !reject.detail.is_empty()));
            alone.extend(decoded.contents);
        }
        assert_eq!(alone, whole.contents);
    });
}

fn cut(lines: &[&[u8]], rng: &mut impl Rng) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    for line in lines {
        if rng.random_ratio(1, 3) {
            pieces.push(Vec::new());
        }
        pieces.last_mut().unwrap().extend_from_slice(line);
    }
    pieces
}

/// One line against `serde_json` and an independent decimal.
fn check_line(line: &[u8], decoded: &Decoded) {
    let text = std::str::from_utf8(line).map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let read = text.ok().and_then(|text| serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text).ok());
    match (read, decoded.types.is_empty()) {
        (None, accepted_none) => assert!(accepted_none, "accepted, and serde_json cannot read it"),
        (Some(fields), false) => check_values(&fields, decoded),
        (Some(fields), true) => check_reject(&fields, decoded),
    }
}

fn check_values(fields: &BTreeMap<String, Box<RawValue>>, decoded: &Decoded) {
    for (column, field) in fiscwatch::event::schema::FIELDS.iter().enumerate() {
        let array = decoded.events.column(column);
        let raw = fields.get(field.name).map(|raw| raw.get());
        if let Some(found) = array.as_string_view_opt().filter(|found| found.is_valid(0)) {
            let text: Option<String> = raw.and_then(|raw| serde_json::from_str(raw).ok());
            let text = text.unwrap_or_else(|| String::from("CNY"));
            assert_eq!(found.value(0), text, "{}", field.name);
        } else if column == Column::Amount.index() && array.is_valid(0) {
            let cents = array.as_primitive::<Decimal128Type>().value(0);
            let text = raw.map(|raw| raw.trim_matches('"')).unwrap_or_default();
            if let Some(amount) = decimal(text) {
                assert_eq!(amount, Decimal::from_i128_with_scale(cents, 2), "{text}");
            }
        }
    }
}

/// A reject for its money must be one, and one for its JSON too.
fn check_reject(fields: &BTreeMap<String, Box<RawValue>>, decoded: &Decoded) {
    for reject in &decoded.rejects {
        assert!(!reject.detail.is_empty());
        match reject.reason {
            RejectReason::InvalidJson => {
                assert!(reject.detail.contains("appears twice"), "{}", reject.detail);
            }
            RejectReason::BadAmount => {
                let raw = fields["amount"].get();
                let text = serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned());
                let limit = Decimal::from(10u64.pow(16));
                if let Some(amount) = decimal(&text) {
                    let good = amount > Decimal::ZERO && amount < limit && amount.normalize().scale() <= 2;
                    assert!(!good, "{text} is money: {}", reject.detail);
                }
            }
            _ => {}
        }
    }
}

/// An independent reading of a decimal, where it has digits enough.
fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['_', ' ']) || text.starts_with(['.', '+']) || text.ends_with('.') || text.contains(".e")
    {
        return None;
    }
    let exponent = text.split_once(['e', 'E']).map(|(_, exponent)| exponent.parse::<i64>().is_ok());
    if exponent == Some(false) {
        return None;
    }
    match text.contains(['e', 'E']) {
        true => Decimal::from_scientific(text).ok(),
        false => Decimal::from_str_exact(text).ok(),
    }
}

#[test]
fn money_is_what_an_independent_reader_reads() {
    let seeds: Vec<Vec<u8>> =
        ["0.01", "1234567890123.45", "1e3", "12.999", "9999999999999999.99", "1.50e-1", "000.10"]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect();
    fuzz("money", 6000, &seeds, |input, _| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let (ours, theirs) = (parse_amount(text), decimal(text));
        match (ours, theirs) {
            (Ok(cents), Some(amount)) => {
                assert_eq!(amount, Decimal::from_i128_with_scale(cents.as_i128(), 2), "{text}");
            }
            // Theirs has 28 digits at most, and rounds nothing.
            (Ok(_), None) => {
                assert!(text.len() > 20 || Decimal::from_str(text).is_ok(), "{text} is no decimal");
            }
            (Err(_), Some(amount)) => {
                let good = amount > Decimal::ZERO && amount < Decimal::from(10u64.pow(16));
                assert!(!(good && amount.normalize().scale() <= 2), "{text} is money: {ours:?}");
            }
            (Err(_), None) => {}
        }
    });
}
