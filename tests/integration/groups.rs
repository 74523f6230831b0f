//! 控制组: sums over budget lines that belong together, against sums over the lines themselves; and what rules and decisions
//! make of them.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::UInt32Array, compute::take_record_batch};
use parking_lot::RwLock;

use fiscwatch::{
    engine::{Dedup, SequenceCause, Sequencer, Ticker, Watermark},
    evaluate::Evaluator,
    event::{Column, Instant, TimeDelta},
    ledger::{AfterEvent, Attributes, Balances, Ledger, TrialScope},
    lists::Lists,
    rule::{Language, RuleSet, compile::Compiler},
    stream::Payload,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, block, calendar, decoder, lines, payment, random_events, run};

/// Two groupings, and rules that compare each.
const RULES: &str = "
groups:
  - { id: unit-class, by: [unit_code, 'left(economic_code, 3)'] }
  - { id: fund, by: [fund_type], where: approved and region_code = '330100000' }
rules:
  - { id: by-class, title: t, severity: low, trigger: payment, group: unit-class, when: group.used > group.total, key: [group.key] }
  - { id: by-fund, title: t, severity: low, trigger: payment, group: fund, when: group.available < 0, key: [group.key] }
";

fn rules() -> Arc<RuleSet> {
    let compiler = Compiler::new(&calendar(), Lists::default(), Language::En);
    RuleSet::from_text(RULES, &compiler, &calendar()).unwrap_or_else(|e| panic!("{e:?}"))
}

/// Random events on lines that differ in what they are grouped by, and change it when they are approved again.
fn events(seed: u64, count: usize) -> Vec<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut events = random_events(seed, count);
    for event in &mut events {
        if event.get("unit_code").is_none() {
            continue;
        }
        event["unit_code"] = json!(["101001", "101002"].choose(&mut rng));
        event["economic_code"] = json!(["30201", "30202", "31001"].choose(&mut rng));
        event["fiscal_year"] = json!(*[2025, 2026].choose(&mut rng).unwrap());
        event["region_code"] = json!(["330100000", "330200000"].choose(&mut rng));
        if rng.random_ratio(1, 2) {
            event["fund_type"] = json!(["11", "12"].choose(&mut rng));
        }
    }
    events
}

/// What the groups of the two groupings are, from nothing but the lines.
fn expected(ledger: &Ledger) -> [BTreeMap<String, (u32, Balances)>; 2] {
    let mut groups = [BTreeMap::new(), BTreeMap::new()];
    for (line, attributes) in ledger.lines() {
        for (at, key) in [class_key(attributes), fund_key(attributes)].into_iter().enumerate() {
            if let Some(key) = key {
                let (lines, balances): &mut (u32, Balances) = groups[at].entry(key).or_default();
                *lines += 1;
                *balances += line.balances;
            }
        }
    }
    groups
}

fn class_key(attributes: &Attributes) -> Option<String> {
    let (unit, class) = (attributes.text(Column::UnitCode)?, attributes.text(Column::EconomicCode)?);
    Some(format!("{} / {unit} / {}", attributes.fiscal_year?, &class[..3]))
}

fn fund_key(attributes: &Attributes) -> Option<String> {
    let is_meant = attributes.approved && attributes.text(Column::RegionCode) == Some("330100000");
    let fund = attributes.text(Column::FundType).filter(|_| is_meant)?;
    Some(format!("{} / {fund}", attributes.fiscal_year?))
}

fn found(ledger: &Ledger) -> Vec<BTreeMap<String, (u32, Balances)>> {
    let of = |sums: &fiscwatch::ledger::GroupSums| (sums.key.to_string(), (sums.lines, sums.balances));
    ledger.groups().map(|(_, groups)| groups.map(of).collect()).collect()
}

struct Stream {
    ledger: Arc<RwLock<Ledger>>,
    sequencer: Sequencer,
    ticker: Ticker,
}

impl Stream {
    fn new(rules: &Arc<RuleSet>) -> Self {
        let ledger = Arc::new(RwLock::new(Ledger::default()));
        let sequencer =
            Sequencer::new(ledger.clone(), Dedup::default(), Watermark::new(TimeDelta::ZERO, None), None);
        Self { ledger, sequencer, ticker: Ticker::new(rules, &calendar()) }
    }

    fn takes(&mut self, events: &[Value]) -> fiscwatch::engine::Sequenced {
        let blocks = [block(Payload::JsonLines(lines(events).into()))];
        let decoded = decoder().decode(&blocks, None);
        let now = (Instant::EPOCH, TimeDelta::MAX);
        self.sequencer
            .sequence(&blocks, decoded, SequenceCause::Events, now, &mut self.ticker)
            .unwrap()
            .pop()
            .unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_the_ledger_says_after_parts_is_what_it_says_after_all_of_them(seed in any::<u64>(), cut in 1usize..60) {
        let rules = rules();
        let decoded = decoder().decode(&[block(Payload::JsonLines(lines(&events(seed, 200)).into()))], None);
        let ledger = || {
            let mut ledger = Ledger::default();
            ledger.group_by(&rules.groupings());
            ledger
        };
        let (mut whole, mut by_parts, mut joined) = (ledger(), ledger(), AfterEvent::default());
        let expected = whole.apply(&decoded.events, &decoded.types);
        for (number, types) in decoded.types.chunks(cut).enumerate() {
            joined.append(by_parts.apply(&decoded.events.slice(number * cut, types.len()), types));
        }
        prop_assert!(expected.others.is_some() && !expected.named.is_empty() && expected.groups.len() == 2);
        prop_assert_eq!(format!("{joined:?}"), format!("{expected:?}"));
    }

    #[test]
    fn groups_are_the_sums_of_their_lines_at_every_commit(seed in any::<u64>(), cut in 1usize..30) {
        let rules = rules();
        let mut stream = Stream::new(&rules);
        for part in events(seed, 200).chunks(cut) {
            let sequenced = stream.takes(part);
            let ledger = stream.ledger.read();
            let expected = expected(&ledger);
            prop_assert_eq!(found(&ledger), expected.to_vec());
            // What rules see after the last event is what there is.
            let Some(last) = sequenced.types.len().checked_sub(1) else { continue };
            for (after, groups) in sequenced.after.groups.iter().zip(&expected) {
                if let Some(key) = &after.keys[last] {
                    let (lines, balances) = &groups[&**key];
                    prop_assert_eq!(after.lines[last], *lines);
                    prop_assert_eq!(after.sums.total[last], balances.total.as_i128());
                    prop_assert_eq!(after.sums.executed[last], balances.executed.as_i128());
                    prop_assert_eq!(after.sums.reserved[last], balances.reserved.as_i128());
                    prop_assert_eq!(after.sums.frozen[last], balances.frozen.as_i128());
                    prop_assert_eq!(after.sums.uncleared[last], balances.uncleared().as_i128());
                }
            }
        }
        // Grouped again, as at a start, they are the same.
        let mut ledger = stream.ledger.write();
        let followed = found(&ledger);
        ledger.group_by(&[]);
        ledger.group_by(&rules.groupings());
        prop_assert_eq!(found(&ledger), followed);
    }

    #[test]
    fn a_trial_says_of_groups_what_they_are_afterwards(seed in any::<u64>(), cut in 0usize..40) {
        let rules = rules();
        let evaluator = Evaluator::new(rules.clone(), calendar());
        let mut stream = Stream::new(&rules);
        let all = events(seed, 160);
        let (before, then) = all.split_at(120);
        stream.takes(before);
        let known: std::collections::BTreeSet<_> = before.iter().map(|event| event["event_id"].to_string()).collect();
        let mut applications: Vec<Value> = then.iter().filter(|event| event.get("payee_name").is_some()).cloned().collect();
        applications.retain(|event| !known.contains(&event["event_id"].to_string()));
        applications.dedup_by_key(|event| event["event_id"].to_string());
        for (n, application) in applications.iter_mut().enumerate() {
            application["type"] = json!("application");
            application["event_id"] = json!(format!("a{n}"));
            application["amount"] = json!(format!("{n}.50"));
            application["budget_line_id"] = json!(format!("L{}", n % 16));
            application.as_object_mut().unwrap().remove("application_id");
            application.as_object_mut().unwrap().remove("reason");
        }
        let decoded = decoder().decode(&[block(Payload::JsonLines(lines(&applications).into()))], None);
        let (count, behind) = (decoded.types.len(), cut.min(decoded.types.len()));
        // The others come alone behind the first so many, as if each were the last of those that come together.
        let apart = stream.sequencer.try_out(&decoded, TrialScope::Behind(behind), &evaluator).after;
        for row in [0, behind.saturating_sub(1), behind, count.saturating_sub(1)].into_iter().filter(|row| *row < count) {
            let rows: Vec<u32> = (0..behind.min(row)).chain([row]).filter_map(|row| u32::try_from(row).ok()).collect();
            let events = take_record_batch(&decoded.events, &UInt32Array::from(rows)).unwrap();
            let alone = stream.sequencer.try_out(&decoded.alike(events), TrialScope::Together, &evaluator).after;
            let last = |sums: &[i128]| *sums.last().unwrap();
            prop_assert_eq!(apart.reserved[row], last(&alone.reserved));
            prop_assert_eq!(apart.total[row], last(&alone.total));
            for (apart, alone) in apart.groups.iter().zip(&alone.groups) {
                prop_assert_eq!(apart.keys.get(row), alone.keys.last());
                prop_assert_eq!(apart.lines[row], *alone.lines.last().unwrap());
                prop_assert_eq!(apart.sums.reserved[row], last(&alone.sums.reserved));
            }
        }
        let tried = stream.sequencer.try_out(&decoded, TrialScope::Together, &evaluator).after.groups;
        let done = stream.takes(&applications).after.groups;
        prop_assert_eq!(tried.len(), done.len());
        for (tried, done) in tried.iter().zip(&done) {
            prop_assert_eq!(&tried.keys, &done.keys);
            prop_assert_eq!(&tried.lines, &done.lines);
            prop_assert_eq!(&tried.sums.total, &done.sums.total);
            prop_assert_eq!(&tried.sums.reserved, &done.sums.reserved);
            prop_assert_eq!(&tried.sums.executed, &done.sums.executed);
        }
    }
}

/// Parent and child have limits of their own: a unit may use all of its budget and not more, a line 130 of 100.
const TOLERANCES: &str = "
groups:
  - id: unit
    title: { zh: 单位, en: Unit }
    by: [unit_code]
    tolerances:
      - { handling: warn, share: 0.90 }
      - { handling: block, share: 1.00 }
      - { id: unit-explain, handling: explain, amount: 0, severity: medium, mode: shadow }
rules:
  - { id: line, title: t, severity: high, handling: block, trigger: [application, payment], key: [budget_line_id],
      when: budget.executed + budget.reserved > budget.total * 1.30 }
";

fn approve(line: &str, amount: &str) -> Value {
    json!({"event_id": format!("approve-{line}"), "type": "budget", "action": "approve", "occurred_at": "2026-01-02", "budget_line_id": line,
        "amount": amount, "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201", "economic_code": "30201"})
}

fn application(id: &str, line: &str, amount: &str) -> Value {
    let mut event = payment(id, line, amount);
    event["type"] = json!("application");
    event
}

fn bench(rules: &str) -> Bench {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("rules/rules.yaml"), rules).unwrap();
    std::fs::write(bench.path().join("fiscwatch.yaml"), "state: { dir: state }\nlanguage: en\n").unwrap();
    bench
}

fn decide(daemon: &Daemon, body: &Value) -> Value {
    let (status, text) = daemon.post("/api/v1/decide", &body.to_string());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn blocked_by(decision: &Value) -> Vec<&str> {
    let reasons = decision["reasons"].as_array().unwrap().iter();
    reasons.filter(|reason| reason["handling"] == "block").filter_map(|r| r["rule_id"].as_str()).collect()
}

#[test]
fn a_group_and_its_lines_are_decided_together() {
    let bench = bench(TOLERANCES);
    let daemon = Daemon::start(bench.path());
    let (status, _) =
        daemon.post("/api/v1/events", &lines(&[approve("L1", "100.00"), approve("L2", "100.00")]));
    assert_eq!(status, 200);

    // One line goes beyond its budget within its own tolerance, and within that of its unit.
    let first = decide(&daemon, &application("a1", "L1", "130.00"));
    assert_eq!((&first["decision"], blocked_by(&first)), (&json!("allow"), vec![]));
    let group = json!([{"group_id": "unit", "key": "2026 / 101001", "lines": 2,
        "after": {"total": "200.00", "executed": "0.00", "frozen": "0.00", "reserved": "130.00", "available": "70.00", "planned": "0.00", "plan_available": "-130.00"}}]);
    assert_eq!(first["groups"], group);
    // The other has money of its own left, and its unit has not.
    let second = decide(&daemon, &application("a2", "L2", "70.01"));
    assert_eq!((&second["decision"], blocked_by(&second)), (&json!("block"), vec!["unit-block"]));
    assert_eq!(second["largest_amount"], "70.00");
    let reason = second["reasons"].as_array().unwrap().iter().find(|r| r["rule_id"] == "unit-block").unwrap();
    assert_eq!(reason["title"], "Unit: more than 100% of the budget used");
    assert_eq!(reason["values"]["group.used"], "200.01");
    assert_eq!(reason["summary"], "2026 / 101001: 2 lines, budget 200.00, executed and reserved 200.01");
    assert_eq!(
        reason["conjuncts"][0]["values"],
        json!({"group.used": "200.01", "group.total": "200.00", "$share": "1.00"})
    );
    // The line's own limit holds as well.
    let third = decide(&daemon, &application("a3", "L1", "0.01"));
    assert_eq!(blocked_by(&third), ["line"]);
    // Together they ask for more than there is, though each alone would pass.
    let both = json!({"atomic": true, "applications": [application("a4", "L2", "40.00"), application("a5", "L2", "30.01")]});
    assert_eq!(decide(&daemon, &both)["decision"], "block");
    let last = decide(&daemon, &application("a6", "L2", "70.00"));
    assert_eq!(last["decision"], "allow");
    assert_eq!(last["reasons"][0]["rule_id"], "unit-warn");

    let listed = daemon.json("/api/v1/budget/groups?group=unit");
    assert_eq!((&listed["total"], &listed["groups"][0]["key"]), (&json!(1), &json!("2026 / 101001")));
    assert_eq!(listed["groups"][0]["sums"]["reserved"], "200.00");
    assert_eq!(listed["groups"][0]["used_ratio"], "1");

    // A payment settles an application; the unit has used as much as before, and is explained as it was found.
    let mut paid = payment("p1", "L1", "130.00");
    paid["application_id"] = json!("a1");
    assert_eq!(daemon.post("/api/v1/events", &lines(&[paid])).0, 200);
    let explained = daemon.json("/api/v1/explain?event=p1&rule=unit-warn");
    assert_eq!(
        (&explained["verdict"], &explained["values"]["group.used"]),
        (&json!("found"), &json!("200.00"))
    );
    let explained = daemon.json("/api/v1/explain?event=a6&rule=unit-block");
    assert_eq!(
        (&explained["verdict"], &explained["values"]["group.used"]),
        (&json!("not_found"), &json!("200.00"))
    );
    assert_eq!(daemon.stop("-TERM"), Some(0));

    // The journal once more gives the same findings, and a start the same groups.
    let (code, out, err) =
        run(bench.path(), &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let daemon = Daemon::start(bench.path());
    assert_eq!(daemon.json("/api/v1/budget/groups")["groups"][0]["sums"]["executed"], "130.00");
    let again = decide(&daemon, &application("a7", "L2", "0.01"));
    assert_eq!(blocked_by(&again), ["unit-block"]);
}

#[test]
fn another_grouping_comes_into_force_with_a_reload() {
    let bench = bench(TOLERANCES);
    let daemon = Daemon::start(bench.path());
    let mut other = approve("L3", "5.00");
    other["unit_code"] = json!("102001");
    assert_eq!(daemon.post("/api/v1/events", &lines(&[approve("L1", "100.00"), other])).0, 200);
    assert_eq!(daemon.json("/api/v1/budget/groups")["total"], 2);
    let wider = TOLERANCES
        .replace("by: [unit_code]", "by: ['left(unit_code, 2)']")
        .replace("id: unit\n", "id: bureau\n");
    std::fs::write(bench.path().join("rules/rules.yaml"), wider).unwrap();
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    let asked = decide(&daemon, &application("a1", "L1", "105.01"));
    assert_eq!(blocked_by(&asked), ["bureau-block"]);
    assert_eq!(asked["groups"][0]["key"], "2026 / 10");
    let listed = daemon.json("/api/v1/budget/groups");
    assert_eq!((&listed["total"], &listed["groups"][0]["group_id"]), (&json!(1), &json!("bureau")));
}

#[test]
fn what_is_wrong_with_a_group_is_said() {
    let cases = [
        ("group: fund", "group: funds", "there is no group \"funds\" in this file"),
        ("by: [fund_type]", "by: [fund_typ]", "unknown column \"fund_typ\""),
        ("by: [fund_type]", "by: []", "the group has no `by`"),
        ("id: fund,", "id: unit-class,", "there are two groups \"unit-class\""),
        ("group.available < 0", "group.availabel < 0", "unknown column \"group.availabel\""),
        ("by: [fund_type]", "by: ['fiscal_year * 1.5']", "a group is not made by"),
        (
            "by: [fund_type]",
            "tolerances: [{ handling: warn }], by: [fund_type]",
            "the tolerance needs `share` or `amount`",
        ),
        (
            "by: [fund_type]",
            "tolerances: [{ handling: warn, share: '1e3' }], by: [fund_type]",
            "share: \"1e3\" is not a number",
        ),
        (
            "group: fund,",
            "group: fund, over: { by: [unit_code], last: 7d }, measure: { n: count(*) },",
            "a rule with a window cannot have `group`",
        ),
        (
            "when: group.available < 0",
            "where: group.available < 0, when: amount > 1",
            "unknown column \"group.available\"",
        ),
    ];
    let bench = bench(RULES);
    assert_eq!(run(bench.path(), &["check", "--config", "fiscwatch.yaml"]).0, Some(0));
    for (from, to, told) in cases {
        std::fs::write(bench.path().join("rules/rules.yaml"), RULES.replace(from, to)).unwrap();
        let (code, out, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
        assert!(code == Some(1) && (out.clone() + &err).contains(told), "{to}: {out}{err}");
    }
}
