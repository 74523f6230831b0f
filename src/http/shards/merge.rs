//! What shards answer, put together: metrics with a label more, pages of lists in one order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use crate::config::shards::ShardPart;

/// The families of a keeper's own: of all others it counts nothing, and zeros beside those of its shards would mislead.
const OWN: [&str; 3] = ["fiscwatch_shard_", "fiscwatch_http_", "process_"];

/// What is said of a metric, and its samples.
type Family<'t> = (Vec<&'t str>, Vec<String>);

/// The metrics of all shards, each with the label `shard`, and those of the keeper.
pub(super) fn metrics(own: &str, shards: &[(ShardPart, String)]) -> String {
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for (family, line) in lines(own).filter(|(family, _)| OWN.iter().any(|own| family.starts_with(own))) {
        let (said, samples) = families.entry(family).or_default();
        match line.starts_with('#') {
            true => said.push(line),
            false => samples.push(line.to_owned()),
        }
    }
    for (part, text) in shards {
        for (family, line) in lines(text) {
            let (said, samples) = families.entry(family).or_default();
            match line.starts_with('#') {
                true if said.contains(&line) => {}
                true => said.push(line),
                false => samples.push(labelled(line, *part)),
            }
        }
    }
    let mut text = String::new();
    for (said, samples) in families.values() {
        said.iter().for_each(|line| _ = writeln!(text, "{line}"));
        samples.iter().for_each(|line| _ = writeln!(text, "{line}"));
    }
    text
}

/// Lines with the family that they are of: that of the latest `# HELP` or `# TYPE`.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut family = "";
    text.lines().filter(|line| !line.is_empty()).map(move |line| {
        if let Some(named) = line.strip_prefix("# ").and_then(|rest| rest.split(' ').nth(1)) {
            family = named;
        }
        (family, line)
    })
}

/// A sample with the label.
fn labelled(sample: &str, part: ShardPart) -> String {
    let end = sample.find(['{', ' ']).unwrap_or(sample.len());
    let (name, rest) = sample.split_at(end);
    match rest.strip_prefix('{') {
        Some(labels) => format!("{name}{{shard=\"{part}\",{labels}"),
        None => format!("{name}{{shard=\"{part}\"}}{rest}"),
    }
}

/// Where the list of each shard goes on, as a page says it: `0:abc;2:def`.
pub(super) fn cursors(text: &str) -> Option<BTreeMap<ShardPart, String>> {
    let cursor = |part: &str| {
        let (part, cursor) = part.split_once(':')?;
        Some((part.parse().ok()?, cursor.to_owned()))
    };
    text.split(';').map(cursor).collect()
}

/// A query as an address has it.
pub(super) fn query(query: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, value) in query {
        let sign = if text.is_empty() { '?' } else { '&' };
        let _ = write!(text, "{sign}{}={}", escaped(name), escaped(value));
    }
    text
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            byte => _ = write!(out, "%{byte:02X}"),
        }
        out
    })
}

/// Pages of shards as one: the rows of all, the newest first, each with its shard.
pub(super) fn pages(name: &str, at: &str, pages: Vec<(ShardPart, Value)>) -> Value {
    let mut rows: Vec<Value> = Vec::new();
    let (mut next, mut total, mut shown) = (Vec::new(), None, BTreeSet::new());
    for (part, mut page) in pages {
        shown.insert(part);
        match &page["next"] {
            Value::String(cursor) => next.push(format!("{part}:{cursor}")),
            Value::Number(cursor) => next.push(format!("{part}:{cursor}")),
            _ => {}
        }
        if let Some(of_shard) = page["total"].as_u64() {
            total = Some(total.unwrap_or(0) + of_shard);
        }
        let Value::Array(of_shard) = page[name].take() else { continue };
        rows.extend(of_shard.into_iter().map(|mut row| {
            row["shard"] = json!(part);
            row
        }));
    }
    // All times are of one zone and one form, so their texts are in the order of time.
    rows.sort_by(|a, b| b[at].as_str().cmp(&a[at].as_str()));
    let mut page = json!({name: rows, "shards": shown});
    page["next"] = if next.is_empty() { Value::Null } else { json!(next.join(";")) };
    if let Some(total) = total {
        page["total"] = json!(total);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_their_shard() {
        let own = "# HELP fiscwatch_shard_up up\n# TYPE fiscwatch_shard_up gauge\nfiscwatch_shard_up{shard=\"0\"} 1\n\
                   # HELP fiscwatch_journal_events x\n# TYPE fiscwatch_journal_events gauge\nfiscwatch_journal_events 0\n";
        let of = |n: u32| {
            format!(
                "# HELP fiscwatch_journal_events x\n# TYPE fiscwatch_journal_events gauge\nfiscwatch_journal_events {n}\n\
                 # HELP h y\n# TYPE h histogram\nh_bucket{{le=\"1\"}} {n}\nh_count {n}\n"
            )
        };
        let text = metrics(own, &[(ShardPart::Partition(0), of(3)), (ShardPart::Partition(2), of(4))]);
        let wanted = "# HELP fiscwatch_journal_events x
# TYPE fiscwatch_journal_events gauge
fiscwatch_journal_events{shard=\"0\"} 3
fiscwatch_journal_events{shard=\"2\"} 4
# HELP fiscwatch_shard_up up
# TYPE fiscwatch_shard_up gauge
fiscwatch_shard_up{shard=\"0\"} 1
# HELP h y
# TYPE h histogram
h_bucket{shard=\"0\",le=\"1\"} 3
h_count{shard=\"0\"} 3
h_bucket{shard=\"2\",le=\"1\"} 4
h_count{shard=\"2\"} 4
";
        assert_eq!(text, wanted);
    }

    #[test]
    fn pages_are_one_page() {
        let page = |times: &[&str], next: Value| {
            let rows: Vec<_> = times.iter().map(|at| json!({"at": at})).collect();
            json!({"findings": rows, "next": next, "total": 7})
        };
        let merged = pages(
            "findings",
            "at",
            vec![
                (ShardPart::Partition(0), page(&["2026-03-02", "2026-01-01"], json!(5))),
                (ShardPart::Whole, page(&["2026-02-01"], Value::Null)),
            ],
        );
        let order: Vec<_> =
            merged["findings"].as_array().unwrap().iter().map(|row| row["shard"].clone()).collect();
        assert_eq!(order, [json!(0), json!("whole"), json!(0)]);
        assert_eq!(merged["next"], "0:5");
        assert_eq!(merged["total"], 14);
        let first = ShardPart::Partition(0);
        assert_eq!(cursors("0:5"), Some(BTreeMap::from([(first, String::from("5"))])));
        let both = BTreeMap::from([(first, "5".into()), (ShardPart::Whole, "1~a".into())]);
        assert_eq!(cursors("0:5;whole:1~a"), Some(both));
        assert_eq!(cursors("x"), None);
        assert_eq!(query(&BTreeMap::from([("q".into(), "a&b".into())])), "?q=a%26b");
    }
}
