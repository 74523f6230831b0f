//! A rule that ran in shadow for a while: what it would bring, and what is known of it, for who decides whether it goes live.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use serde::Serialize;

use crate::{
    event::{Instant, time::Calendar},
    finding::{Finding, RuleMode},
};

/// Findings of a rule that are shown.
const SAMPLE: usize = 5;

/// One rule in shadow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Pilot {
    pub rule_id: String,
    /// The words of its latest finding; empty if it found nothing.
    pub severity: String,
    pub handling: String,
    pub findings: usize,
    /// Keys that they are of: each would be one alert as long as it is not over.
    pub keys: usize,
    /// Keys by day, all days together: the alerts, if each were over the same day.
    pub key_days: usize,
    /// The most keys of one day.
    pub worst_day: usize,
    /// Findings about an event, or a key on a day, that a live rule has found too.
    pub overlapping: usize,
    /// The live rules that did, with how often.
    pub overlaps: BTreeMap<String, usize>,
    /// What officers said of the live alerts that it overlaps with.
    pub confirmed: usize,
    pub dismissed: usize,
    /// Some of them, spread over the time.
    pub sample: Vec<Finding>,
}

#[derive(Debug, Default)]
pub(crate) struct Pilots {
    shadow: BTreeMap<String, Vec<(Date, Finding)>>,
    /// What live rules found, by the events, and by key and day.
    live: HashMap<String, Vec<(String, String)>>,
}

/// What a finding is about, to compare it with those of other rules.
fn subjects(day: Date, finding: &Finding) -> Vec<String> {
    let key = serde_json::Value::Object(finding.key.clone());
    let event = finding.event_id.as_ref().map(|id| format!("event {id}"));
    event.into_iter().chain([format!("{day} {key}")]).collect()
}

impl Pilots {
    /// Takes a finding of the time that is looked at.
    pub(crate) fn take(&mut self, at: Instant, finding: Finding, calendar: &Calendar) {
        let day = calendar.local(at).date();
        if finding.mode == RuleMode::Shadow {
            self.shadow.entry(finding.rule_id.clone()).or_default().push((day, finding));
            return;
        }
        for subject in subjects(day, &finding) {
            let found = (finding.rule_id.clone(), finding.finding_id.clone());
            self.live.entry(subject).or_default().push(found);
        }
    }

    /// The live rules that found something about the same.
    pub(crate) fn overlapping_rules(&self) -> BTreeSet<&str> {
        let shadow = self.shadow.values().flatten().flat_map(|(day, finding)| subjects(*day, finding));
        let found = shadow.filter_map(|subject| self.live.get(&subject)).flatten();
        found.map(|(rule, _)| rule.as_str()).collect()
    }

    /// What is known of a rule. `verdicts` says of findings of live rules whether they were as suspected.
    pub(crate) fn of(&self, rule_id: &str, verdicts: &BTreeMap<String, bool>) -> Pilot {
        let mut pilot = Pilot { rule_id: rule_id.to_owned(), ..Pilot::default() };
        let found = self.shadow.get(rule_id).map(Vec::as_slice).unwrap_or_default();
        let mut days: BTreeMap<Date, BTreeSet<String>> = BTreeMap::new();
        let mut judged: BTreeMap<&str, bool> = BTreeMap::new();
        for (day, finding) in found {
            days.entry(*day).or_default().insert(serde_json::Value::Object(finding.key.clone()).to_string());
            let same: BTreeSet<_> = subjects(*day, finding)
                .iter()
                .filter_map(|subject| self.live.get(subject))
                .flatten()
                .collect();
            pilot.overlapping += usize::from(!same.is_empty());
            let rules: BTreeSet<&str> = same.iter().map(|(rule, _)| rule.as_str()).collect();
            rules.into_iter().for_each(|rule| *pilot.overlaps.entry(rule.to_owned()).or_default() += 1);
            judged.extend(same.iter().filter_map(|(_, id)| Some((id.as_str(), *verdicts.get(id)?))));
        }
        pilot.findings = found.len();
        pilot.keys = days.values().flatten().collect::<BTreeSet<_>>().len();
        pilot.key_days = days.values().map(BTreeSet::len).sum();
        pilot.worst_day = days.values().map(BTreeSet::len).max().unwrap_or(0);
        pilot.confirmed = judged.values().filter(|confirmed| **confirmed).count();
        pilot.dismissed = judged.len() - pilot.confirmed;
        let step = found.len().div_ceil(SAMPLE).max(1);
        pilot.sample = found.iter().step_by(step).map(|(_, finding)| finding.clone()).collect();
        if let Some((_, last)) = found.last() {
            pilot.severity = last.severity.to_string();
            pilot.handling = last.handling.to_string();
        }
        pilot
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finding(rule: &str, mode: &str, key: &str, event: Option<&str>, n: usize) -> Finding {
        serde_json::from_value(json!({
            "finding_id": format!("{rule}-{n}"), "rule_id": rule, "severity": "high", "handling": "warn", "mode": mode,
            "key": {"unit_code": key}, "at": "2026-03-02T10:00:00+08:00", "event_id": event, "values": {}, "summary": "s",
        }))
        .unwrap()
    }

    #[test]
    fn what_a_rule_would_bring_is_counted_by_key_and_day() {
        const DAY: i64 = 86_400_000_000;
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let mut pilots = Pilots::default();
        let mut take = |day: i64, finding| pilots.take(Instant::from_micros(day * DAY), finding, &calendar);
        for n in 0..12 {
            let day = i64::try_from(n / 6).unwrap();
            take(day, finding("new", "shadow", &format!("u{}", n % 3), Some(&format!("e{n}")), n));
        }
        take(0, finding("old", "live", "other", Some("e1"), 1));
        take(0, finding("old", "live", "u2", Some("else"), 2));
        take(1, finding("far", "live", "nobody", Some("e99"), 3));
        assert_eq!(pilots.overlapping_rules(), BTreeSet::from(["old"]));
        let verdicts = BTreeMap::from([(String::from("old-1"), true), (String::from("old-2"), false)]);
        let pilot = pilots.of("new", &verdicts);
        assert_eq!((pilot.findings, pilot.keys, pilot.key_days, pilot.worst_day), (12, 3, 6, 3));
        // e1 by its event, and what u2 has on that day by its key.
        assert_eq!((pilot.overlapping, pilot.overlaps["old"]), (3, 3));
        assert_eq!((pilot.confirmed, pilot.dismissed), (1, 1));
        assert_eq!(pilot.sample.len(), 4);
        assert_eq!(pilots.of("quiet", &verdicts).findings, 0);
    }
}
