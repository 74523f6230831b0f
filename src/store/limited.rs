//! What limited roles see of alerts and findings, as conditions of SQL: one place for lists, totals, exports and acts.
//!
//! An alert is there for them if all that it is about is. Its key must tie it to one unit: by the unit, a budget line or an
//! event. An alert about a payee, say, may hear of other units later, and is nobody's who is limited; nor is one of a rule that
//! shows what other units did.

use std::collections::BTreeSet;

use rusqlite::types::Value;

use super::conditions::Conditions;
use crate::access::Limits;

/// What ties an alert to one unit, and so to one region.
const TIED: &str =
    "coalesce(json_extract(a.body, '$.key.unit_code'), json_extract(a.body, '$.key.budget_line_id'),
                             json_extract(a.body, '$.key.event_id')) IS NOT NULL";

/// Which rows `a` of alerts, or of what lists keep of them, are there for somebody.
pub(crate) fn alerts(limits: &Limits) -> Conditions {
    let mut all = Conditions::default();
    all.within("a.alert_id IN (SELECT a.alert_id FROM alerts a WHERE ", bodies(limits), ")");
    all
}

/// The same of the alerts themselves.
fn bodies(limits: &Limits) -> Conditions {
    let mut all = Conditions::default();
    if limits.is_none() {
        return all;
    }
    all.and(TIED, []);
    if !limits.hidden_rules.is_empty() {
        let marks = vec!["?"; limits.hidden_rules.len()].join(", ");
        let rules = limits.hidden_rules.iter().map(|rule| rule.clone().into());
        all.and(&format!("a.rule_id NOT IN ({marks})"), rules);
    }
    let (units, regions) = limits.below();
    for (column, prefixes, below) in
        [("unit_code", &limits.units, units), ("region_code", &limits.regions, regions)]
    {
        if prefixes.is_empty() {
            continue;
        }
        // One value at least, and none outside.
        let each = format!("json_each(a.body, '$.labels.{column}') l");
        all.and(&format!("EXISTS (SELECT 1 FROM {each})"), []);
        let (begins, values) = begins("l.value", prefixes, below);
        all.and(&format!("NOT EXISTS (SELECT 1 FROM {each} WHERE NOT {begins})"), values);
    }
    all
}

/// Which rows of `findings f` are: those of alerts that are, unless they name somebody outside.
pub(crate) fn findings(limits: &Limits) -> Conditions {
    let mut all = Conditions::default();
    if limits.is_none() {
        return all;
    }
    let of_alert = bodies(limits);
    all.and(
        &format!(
            "f.seq IN (SELECT l.finding FROM alerts a JOIN alert_findings l USING (alert_id) {})",
            of_alert.clause()
        ),
        of_alert.values,
    );
    let (units, regions) = limits.below();
    for (ends, prefixes, below) in
        [("%unit_code", &limits.units, units), ("%region_code", &limits.regions, regions)]
    {
        if prefixes.is_empty() {
            continue;
        }
        for part in ["$.key", "$.values"] {
            let (begins, values) = begins("v.value", prefixes, below);
            all.and(
                &format!(
                    "NOT EXISTS (SELECT 1 FROM json_each(f.body, '{part}') v
                                 WHERE v.key LIKE '{ends}' AND v.value IS NOT NULL AND NOT {begins})"
                ),
                values,
            );
        }
    }
    all
}

/// Whether a value begins with one of these or is one of those below, and the values of the question marks.
fn begins(value: &str, prefixes: &[String], below: Option<&BTreeSet<String>>) -> (String, Vec<Value>) {
    let one = format!("substr({value}, 1, ?) = ?");
    let mut any = vec![one; prefixes.len()].join(" OR ");
    let length = |prefix: &String| i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
    let values = prefixes.iter().flat_map(|prefix| [length(prefix).into(), prefix.clone().into()]);
    let mut values: Vec<Value> = values.collect();
    if let Some(below) = below.filter(|below| !below.is_empty()) {
        // One value, however many codes a tree has.
        any.push_str(&format!(" OR {value} IN (SELECT value FROM json_each(?))"));
        values.push(below.iter().cloned().collect::<serde_json::Value>().to_string().into());
    }
    (format!("({any})"), values)
}
