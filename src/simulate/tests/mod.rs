use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::civil::{Date, date};

use super::*;
use crate::event::{BudgetAction, EventType};

mod independent;
mod ledger;
use ledger::Ledger;

fn plan(payments: u64, units: u32, anomalies: bool) -> Plan {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    Plan { payments, units, seed: 7, start: date(2026, 1, 1), days: 365, anomalies, zone }
}

fn play(plan: &Plan) -> Vec<Simulated> {
    Treasury::new(plan).events().collect()
}

fn payments(events: &[Simulated]) -> impl Iterator<Item = &Event> {
    events.iter().map(|simulated| &simulated.event).filter(|event| event.event_type == EventType::Payment)
}

fn labels(events: &[Simulated]) -> impl Iterator<Item = &Label> {
    events.iter().filter_map(|simulated| simulated.label.as_ref())
}

fn list(treasury: &Treasury, name: &str) -> String {
    treasury.lists().into_iter().find(|list| list.0 == name).unwrap().1
}

fn first_column(text: &str) -> HashSet<String> {
    text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
}

#[test]
fn the_same_plan_gives_the_same_bytes() {
    let text = |plan: &Plan| -> Vec<String> {
        let events = play(plan);
        events.iter().map(|simulated| serde_json::to_string(&simulated.event).unwrap()).collect()
    };
    let plan = plan(3_000, 20, true);
    assert_eq!(text(&plan), text(&plan));
    assert_eq!(Treasury::new(&plan).lists(), Treasury::new(&plan).lists());
    assert_ne!(text(&plan), text(&Plan { seed: 8, ..plan.clone() }));
}

#[test]
fn there_are_exactly_as_many_payments_as_planned() {
    let whole_year = [(1, 1), (100, 10), (2_000, 10), (3_000, 700), (30_000, 40)];
    for (count, units) in whole_year {
        for anomalies in [false, true] {
            let events = play(&plan(count, units, anomalies));
            assert_eq!(payments(&events).count() as u64, count, "{count} {units} {anomalies}");
        }
    }
}

#[test]
fn odd_periods_work_too() {
    let periods: [(Date, u32); 5] = [
        (date(2026, 2, 16), 3),
        (date(2026, 3, 4), 1),
        (date(2026, 6, 1), 30),
        (date(2026, 12, 1), 90),
        (date(2025, 7, 1), 700),
    ];
    for (start, days) in periods {
        let plan = Plan { start, days, ..plan(4_000, 15, true) };
        let events = play(&plan);
        assert_eq!(payments(&events).count(), 4_000, "{start}");
        assert!(events.is_sorted_by_key(|simulated| simulated.at), "{start}");
        let local = |simulated: &Simulated| plan.zone.to_datetime(simulated.at).date();
        assert!(local(&events[0]) >= start);
        assert!(local(&events[events.len() - 1]) < start.saturating_add(jiff::Span::new().days(days)));
        let mut ledger = Ledger::default();
        for simulated in &events {
            ledger.apply(&simulated.event);
        }
    }
    assert_eq!(play(&Plan { days: 0, ..plan(10, 1, true) }).len(), 0);
}

#[test]
fn events_are_in_order_of_time() {
    for anomalies in [false, true] {
        let events = play(&plan(20_000, 60, anomalies));
        assert!(events.is_sorted_by_key(|simulated| simulated.at));
        assert!(events.iter().all(|simulated| simulated.at == simulated.event.occurred_at.at));
        let recorded_later =
            |event: &Event| event.recorded_at.is_some_and(|stamp| stamp.at >= event.occurred_at.at);
        assert!(events.iter().all(|simulated| recorded_later(&simulated.event)));
    }
}

#[test]
fn the_clean_stream_never_overdraws_a_line_or_its_plan() {
    for (count, units) in [(500, 30), (30_000, 25), (20_000, 300)] {
        let mut ledger = Ledger::default();
        for simulated in Treasury::new(&plan(count, units, false)).events() {
            let Simulated { event, label, .. } = &simulated;
            assert_eq!(*label, None);
            for line in ledger.apply(event) {
                let balance = &ledger.lines[&line];
                assert!(!balance.overdrawn(), "{line} is overdrawn by {}", event.event_id);
                if matches!(event.event_type, EventType::Application | EventType::Payment) {
                    assert_eq!(balance.frozen, 0, "{line} is frozen");
                    let within_cap = balance.executed * 10 < balance.total * 8;
                    assert!(within_cap || !balance.three_public, "{line} is close to its cap");
                }
            }
        }
        assert!(ledger.applications.is_empty());
        assert_eq!(ledger.unknown, 0);
    }
}

#[test]
fn the_clean_stream_breaks_no_rule_of_conduct() {
    let plan = plan(30_000, 50, false);
    let treasury = Treasury::new(&plan);
    let own = first_column(&list(&treasury, "unit_accounts.csv"));
    let carded = first_column(&list(&treasury, "card_catalogue.csv"));
    let allowed = first_column(&list(&treasury, "allowed_classes.csv"));
    let words = first_column(&list(&treasury, "sensitive_words.csv"));
    let blacklist: HashSet<String> = list(&treasury, "blacklist.csv")
        .lines()
        .skip(1)
        .flat_map(|line| line.split(',').take(2).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let holidays = list(&treasury, "holidays.csv");
    for Simulated { event, .. } in treasury.events() {
        for stamp in [Some(event.occurred_at), event.recorded_at].into_iter().flatten() {
            let local = plan.zone.to_datetime(stamp.at);
            assert!((8..18).contains(&local.hour()), "{stamp}");
            assert!(is_open(&holidays, local.date()), "{stamp}");
        }
        if !matches!(event.event_type, EventType::Application | EventType::Payment) {
            continue;
        }
        let (class, cents) = (event.economic_code.as_deref().unwrap(), event.cents().unwrap());
        let (name, account) = (event.payee_name.as_ref().unwrap(), event.payee_account.as_ref().unwrap());
        let purpose = event.purpose.as_ref().unwrap();
        assert!(cents > 0 && cents < 1_000_000_000);
        assert!(!own.contains(account) && Some(name) != event.unit_name.as_ref());
        assert!(!blacklist.contains(name) && !blacklist.contains(account));
        assert!(
            purpose.chars().count() >= 4 && !words.iter().any(|word| purpose.contains(word)),
            "{purpose}"
        );
        assert!(allowed.contains(&format!(
            "{}:{}",
            &event.function_code.as_ref().unwrap()[..3],
            &class[..3]
        )));
        assert!(
            event.settlement.as_deref() != Some("cash") || (cents <= 1_000_000 && !carded.contains(class))
        );
        let exempt = class.starts_with("301") || class.starts_with("303") || class == "30226";
        assert!(event.payee_type.as_deref() != Some("person") || exempt || cents < 5_000_000);
        assert!(event.bond_code.is_none() || class.starts_with("310"));
        assert!(event.actual_payee_name.is_none(), "a payment does not know what the bank will do");
    }
}

fn is_open(holidays: &str, day: Date) -> bool {
    let weekend = day.weekday().to_monday_zero_offset() >= 5;
    let listed = |kind: &str| holidays.contains(&format!("{day},{kind},"));
    listed("workday") || (!weekend && !listed("holiday"))
}

#[test]
fn the_clean_stream_has_no_duplicates_or_bursts_or_large_first_payments() {
    let events = play(&plan(40_000, 120, false));
    let (mut bills, mut subsidies) = (HashSet::new(), HashSet::new());
    let (mut daily, mut met) = (HashMap::<_, u32>::new(), HashSet::new());
    for event in payments(&events) {
        let key = (event.unit_code.clone(), event.payee_account.clone());
        let day = event.occurred_at.to_string()[..10].to_owned();
        *daily.entry((key.clone(), day.clone())).or_default() += 1;
        for paper in [&event.contract_no, &event.invoice_no].into_iter().flatten() {
            assert!(bills.insert((key.clone(), event.amount, paper.clone())), "{}", event.event_id);
        }
        if let Some(person) = &event.beneficiary_id {
            let once = (person.clone(), event.project_code.clone(), day[..7].to_owned());
            assert!(subsidies.insert(once), "{}", event.event_id);
        }
        let known = !met.insert(event.payee_account.clone());
        assert!(known || event.cents().unwrap() < 50_000_000, "{}", event.event_id);
    }
    assert!(daily.values().all(|&count| count <= 5));
}

#[test]
fn every_kind_is_planted_in_a_whole_year_at_its_rate() {
    for (count, units) in [(60_000, 200), (200_000, 50)] {
        let events = play(&plan(count, units, true));
        let mut planted: BTreeMap<String, u64> = BTreeMap::new();
        for label in events.iter().filter_map(|simulated| simulated.label.as_ref()) {
            *planted.entry(label.kind.to_string()).or_default() += 1;
        }
        for kind in ANOMALIES {
            let found = planted.get(kind.kind).copied().unwrap_or(0);
            let whole = count * kind.rate / 100_000;
            // What takes a unit of a certain size may not fit into this world.
            let needs_units =
                matches!(kind.kind, "benford" | "late-december" | "payee-concentration" | "cash-year-cap");
            // An account that wakes after more than a year takes more than one.
            let fits = !needs_units && kind.kind != "dormant-account-wakes";
            assert!(found <= (whole + 1).max(1), "{}: {found}", kind.kind);
            assert!(found >= whole.max(1) || !fits, "{}: {found} of {whole}", kind.kind);
        }
    }
    assert!(play(&plan(2_000, 10, false)).iter().all(|simulated| simulated.label.is_none()));
}

#[test]
fn labels_name_the_events_they_are_about() {
    let events = play(&plan(60_000, 200, true));
    let by_id: HashMap<&str, &Event> =
        events.iter().map(|simulated| (simulated.event.event_id.as_str(), &simulated.event)).collect();
    for label in events.iter().filter_map(|simulated| simulated.label.as_ref()) {
        let kind = ANOMALIES.iter().find(|kind| kind.kind == label.kind).unwrap();
        assert_eq!(label.rule_ids[0], kind.kind.split('/').next().unwrap());
        assert_eq!(
            label.event_ids.is_empty(),
            matches!(kind.kind, "wages-unpaid" | "benford" | "target-unreported" | "feed-silent")
        );
        let named: Vec<_> = label.event_ids.iter().map(|id| by_id[id.as_str()]).collect();
        let paid = named.iter().filter(|event| event.event_type == EventType::Payment).count();
        assert!(kind.payments == 0 || paid as u64 == kind.payments, "{}", kind.kind);
        assert!(label.from.at <= label.to.at);
        for event in named {
            assert!((label.from.at..=label.to.at).contains(&event.occurred_at.at), "{}", kind.kind);
            if event.event_type != EventType::Confirmation {
                assert_eq!(event.unit_code.clone().unwrap_or_default(), label.key.unit_code, "{}", kind.kind);
            }
        }
    }
}

#[test]
fn every_kind_names_rules_that_are_shipped() {
    let shipped: String = crate::shipped::FILES
        .iter()
        .filter(|(path, _)| path.starts_with("rules/"))
        .map(|(_, text)| *text)
        .collect();
    for kind in ANOMALIES {
        for rule in kind.rules.iter().filter(|rule| !rule.contains('/')) {
            assert!(shipped.contains(&format!("\n  - id: {rule}\n")), "{rule}");
        }
    }
}

#[test]
fn wages_are_paid_each_month_but_where_they_are_stopped() {
    let events = play(&plan(60_000, 200, true));
    let mut months: HashMap<String, BTreeSet<i8>> = HashMap::new();
    for event in payments(&events).filter(|event| event.economic_code.as_deref() == Some("30101")) {
        let local = event.occurred_at.offset.to_datetime(event.occurred_at.at);
        if local.day() <= 20 {
            months.entry(event.unit_code.clone().unwrap()).or_default().insert(local.month());
        }
    }
    let stopped = |unit: &str| {
        let label = |label: &Label| label.kind == "wages-unpaid" && label.key.unit_code == unit;
        events.iter().filter_map(|simulated| simulated.label.as_ref()).filter(|&l| label(l)).count()
    };
    assert_eq!(months.len(), 200);
    for (unit, months) in months {
        assert_eq!(months.len() + stopped(&unit), 12, "{unit}");
    }
}

#[test]
fn anomalies_overdraw_only_lines_of_their_own() {
    let events = play(&plan(60_000, 150, true));
    let overdrawing = [
        "no-budget",
        "line-exhausted",
        "plan-exceeded",
        "overspend-rate",
        "overspend-rate-critical",
        "frozen-line-payment",
    ];
    let mut ledger = Ledger::default();
    let mut overdrawn = BTreeSet::new();
    for Simulated { event, .. } in &events {
        for line in ledger.apply(event) {
            if ledger.lines[&line].overdrawn() {
                overdrawn.insert(line);
            }
        }
    }
    let labels = events.iter().filter_map(|simulated| simulated.label.as_ref());
    let expected = labels.filter(|label| overdrawing.contains(&&*label.kind));
    assert_eq!(overdrawn, expected.map(|label| label.key.budget_line_id.clone()).collect());
}

#[test]
fn ids_are_unique_and_codes_within_their_limits() {
    let events = play(&plan(20_000, 1_500, true));
    let mut ids = HashSet::new();
    let digits = |text: &str, count: std::ops::RangeInclusive<usize>| {
        count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    for Simulated { event, .. } in &events {
        assert!(ids.insert(event.event_id.clone()));
        assert!((1..=64).contains(&event.event_id.len()));
        assert!(event.budget_line_id.as_ref().is_none_or(|line| line.len() <= 64));
        let Some(region) = &event.region_code else { continue };
        assert!(digits(region, 9..=9));
        let unit = event.unit_code.as_ref().unwrap();
        assert!(digits(unit, 12..=21) && unit[..6] == region[..6]);
        if event.event_type == EventType::Indicator {
            assert!(digits(event.project_code.as_ref().unwrap(), 21..=21));
            continue;
        }
        assert!(digits(event.function_code.as_ref().unwrap(), 7..=7));
        assert!(digits(event.economic_code.as_ref().unwrap(), 5..=5));
        assert!(digits(event.fiscal_year.as_ref().unwrap(), 4..=4));
        assert!(event.project_code.as_ref().is_none_or(|code| digits(code, 21..=21)));
        for account in [&event.payee_account, &event.payer_account].into_iter().flatten() {
            assert!(digits(account, 16..=19), "{account}");
        }
        assert!(event.payee_name.as_ref().is_none_or(|name| (2..=100).contains(&name.chars().count())));
    }
}

#[test]
fn units_have_names_and_codes_of_their_own() {
    let treasury = Treasury::new(&plan(100_000, 30_000, false));
    let names: HashSet<&str> = treasury.units.iter().map(|unit| unit.name.as_str()).collect();
    let codes: HashSet<&str> = treasury.units.iter().map(|unit| unit.code.as_str()).collect();
    assert_eq!((names.len(), codes.len()), (30_000, 30_000));
    let accounts = first_column(&list(&treasury, "unit_accounts.csv"));
    assert_eq!(accounts.len(), 60_000);
}

#[test]
fn records_are_written_as_the_contract_says() {
    let events = play(&plan(2_000, 10, true));
    let payment = payments(&events).find(|event| event.application_id.is_some()).unwrap();
    let written = serde_json::to_value(payment).unwrap();
    assert_eq!(written["type"], "payment");
    let amount = written["amount"].as_str().unwrap();
    assert_eq!(amount, payment.amount.unwrap().to_string());
    assert_eq!(amount.split('.').next_back().unwrap().len(), 2);
    let time = written["occurred_at"].as_str().unwrap();
    assert!(time.ends_with("+08:00"));
    assert_eq!(time.parse::<jiff::Timestamp>().unwrap(), payment.occurred_at.at);
    assert!(written.get("action").is_none());
    let approval = events.iter().find(|made| made.event.action == Some(BudgetAction::Approve)).unwrap();
    assert_eq!(serde_json::to_value(&approval.event).unwrap()["action"], "approve");
}

#[test]
fn stamps_and_amounts_are_written_exactly() {
    let at = "2026-01-05T09:07:03.045-03:30".parse().unwrap();
    let offset = jiff::tz::Offset::from_seconds(-12_600).unwrap();
    assert_eq!(LocalStamp { at, offset }.to_string(), "2026-01-05T09:07:03.045-03:30");
    assert_eq!(money(123_450).to_string(), "1234.50");
    assert_eq!(money(-5).to_string(), "-0.05");
}

#[test]
fn a_feed_is_silent_for_a_day_and_nothing_is_lost() {
    let plan = plan(60_000, 200, true);
    let events = play(&plan);
    let silent: Vec<_> = labels(&events).filter(|label| label.kind == "feed-silent").collect();
    assert!(!silent.is_empty());
    for label in silent {
        let of_region = || {
            payments(&events).filter(|event| event.region_code.as_deref() == Some(&*label.key.region_code))
        };
        let within = |from: jiff::Timestamp, to: jiff::Timestamp| {
            of_region().filter(|event| (from..to).contains(&event.occurred_at.at)).count()
        };
        let (from, to) = (label.from.at, label.to.at);
        let week = jiff::SignedDuration::from_hours(7 * 24);
        assert_eq!(within(from, to), 0);
        assert!(within(from - week, from) > 20 && within(to, to + week) > 20);
    }
    assert_eq!(payments(&events).count(), 60_000);
}

#[test]
fn an_account_wakes_after_more_than_a_year() {
    let plan = Plan { days: 730, ..plan(60_000, 100, true) };
    let events = play(&plan);
    let woken: Vec<_> = labels(&events).filter(|label| label.kind == "dormant-account-wakes").collect();
    assert!(!woken.is_empty());
    for label in woken {
        let credits = events.iter().map(|simulated| &simulated.event);
        let credits: Vec<_> =
            credits.filter(|event| event.account.as_deref() == Some(&*label.key.account)).collect();
        let [first, second] = credits[..] else { panic!("{credits:?}") };
        let days = second.occurred_at.at.duration_since(first.occurred_at.at).as_hours() / 24;
        assert!(days > 366 && label.event_ids == [second.event_id.clone()], "{days}");
    }
    assert_eq!(
        labels(&play(&Plan { days: 365, ..plan })).filter(|l| l.kind == "dormant-account-wakes").count(),
        0
    );
}
