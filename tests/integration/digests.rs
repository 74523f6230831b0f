//! What a notification says of more alerts than it lists.

use fiscwatch::event::TimeDelta;
use serde_json::json;

use crate::dispatch::{PLAIN, World};

/// A notification lists a hundred alerts; what it does not list is counted, by rule.
#[test]
fn a_digest_counts_what_it_does_not_list() {
    let mut w = World::new(PLAIN);
    for line in 0..130 {
        w.find("round", &format!("L{line}"), "101001");
    }
    w.find("round", "L129", "101001");
    let digests = w.pass(TimeDelta::hours(23), "mail");
    let [digest] = &digests[..] else { panic!("{} notifications", digests.len()) };
    assert_eq!((digest.alerts.len(), digest.omitted), (100, 30));
    let omitted: Vec<_> = digest.omitted_by_rule.iter().map(|of| serde_json::to_value(of).unwrap()).collect();
    assert_eq!(omitted.len(), 1, "{omitted:?}");
    assert_eq!((&omitted[0]["rule_id"], &omitted[0]["alerts"]), (&json!("round"), &json!(30)));
    let listed: u64 = digest.alerts.iter().map(|told| told.alert.findings).sum();
    assert_eq!(listed + omitted[0]["findings"].as_u64().unwrap(), 131);
}
