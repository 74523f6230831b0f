//! Anomalies that know no rule.

use super::*;

fn play_independent(plan: &Plan) -> Vec<Simulated> {
    Treasury::new(plan).events_like(false, true).collect()
}

fn written(simulated: &Simulated) -> String {
    serde_json::to_string(&simulated.event).unwrap()
}

/// Whether an event was made beside the clean stream.
fn is_made(simulated: &Simulated) -> bool {
    simulated.event.event_id.starts_with(['X', 'Y', 'Z'])
}

#[test]
fn the_clean_stream_stays_as_it_is() {
    let plan = plan(20_000, 40, false);
    let events = play_independent(&plan);
    let clean: Vec<_> = events.iter().filter(|simulated| !is_made(simulated)).map(written).collect();
    assert!(clean == play(&plan).iter().map(written).collect::<Vec<_>>(), "the clean events have changed");
    assert!(events.len() > clean.len() + 100);
    assert!(events.is_sorted_by_key(|simulated| simulated.at));
    let ids: HashSet<_> = events.iter().map(|simulated| &simulated.event.event_id).collect();
    assert_eq!(ids.len(), events.len());
    assert!(events.iter().map(written).eq(play_independent(&plan).iter().map(written)), "the same seed");
}

#[test]
fn every_kind_is_planted_and_labelled_and_names_no_rule() {
    let events = play_independent(&plan(60_000, 120, false));
    let payments: HashMap<&str, &Event> =
        payments(&events).map(|event| (event.event_id.as_str(), event)).collect();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut labelled = HashSet::new();
    for label in labels(&events) {
        *kinds.entry(&label.kind).or_default() += 1;
        assert!(label.rule_ids.is_empty() && !label.event_ids.is_empty(), "{label:?}");
        let own: Vec<_> = label.event_ids.iter().map(|id| payments[id.as_str()]).collect();
        assert_eq!((own[0].occurred_at, own[own.len() - 1].occurred_at), (label.from, label.to));
        labelled.extend(label.event_ids.iter().cloned());
        let account = |event: &&Event| event.payee_account.as_ref() == Some(&label.key.payee_account);
        let unit = |event: &&Event| event.unit_code.as_ref() == Some(&label.key.unit_code);
        assert!(own.iter().any(account) || own.iter().all(unit), "{label:?}");
    }
    assert_eq!(kinds.len(), 14, "{kinds:?}");
    assert!(kinds.values().all(|count| *count >= 2), "{kinds:?}");
    let made = events.iter().filter(|simulated| simulated.event.event_id.starts_with('X')).count();
    assert_eq!(labelled.len(), made, "every payment that was made belongs to a case");
}

#[test]
fn a_case_is_paid_for_and_answered_so_that_only_what_is_wrong_shows() {
    let events = play_independent(&plan(20_000, 40, false));
    let mut ledger = Ledger::default();
    for simulated in &events {
        for line in ledger.apply(&simulated.event) {
            assert!(!ledger.lines[&line].overdrawn(), "{line} by {}", simulated.event.event_id);
        }
    }
    let answered: HashSet<_> = events
        .iter()
        .filter(|simulated| simulated.event.event_type == EventType::Confirmation)
        .filter_map(|simulated| simulated.event.original_event_id.clone())
        .collect();
    let made = payments(&events).filter(|event| event.event_id.starts_with('X'));
    for event in made.filter(|event| event.settlement.as_deref() != Some("cash")) {
        assert!(answered.contains(&event.event_id), "{}", event.event_id);
    }
}

#[test]
fn short_plans_have_what_fits_into_them() {
    for (start, days) in [(date(2026, 3, 4), 1), (date(2026, 6, 1), 30), (date(2026, 12, 1), 90)] {
        let plan = Plan { start, days, ..plan(2_000, 5, false) };
        let events = play_independent(&plan);
        assert!(events.is_sorted_by_key(|simulated| simulated.at));
        let local = |simulated: &Simulated| plan.zone.to_datetime(simulated.at).date();
        assert!(local(&events[events.len() - 1]) < start.saturating_add(jiff::Span::new().days(days)));
    }
}

#[test]
fn ledger_traffic_is_as_far_from_the_plain_one_as_the_real_ledger_is() {
    let plan = plan(30_000, 60, false);
    let treasury = Treasury::new(&plan);
    let (plain, ledger): (Vec<_>, Vec<_>) = (play(&plan), treasury.events_like(true, false).collect());
    assert!(ledger.is_sorted_by_key(|simulated| simulated.at));
    assert!(
        ledger.iter().map(written).eq(treasury.events_like(true, false).map(|one| written(&one))),
        "the same seed"
    );
    let ids: HashSet<_> = ledger.iter().map(|simulated| &simulated.event.event_id).collect();
    assert_eq!(ids.len(), ledger.len());
    // Of 26,936 real payments 27 % have the amount of an earlier one to the same payee, 55 % share payee and day with another,
    // 9.5 % are round thousands, and the largest in a hundred have 52 % of the money.
    let [recurring, sharing, round, largest] = habits(&ledger);
    assert!((0.15..0.34).contains(&recurring) && (0.40..0.65).contains(&sharing), "{recurring} {sharing}");
    assert!((0.05..0.14).contains(&round) && (0.40..0.70).contains(&largest), "{round} {largest}");
    let [recurring, sharing, round, _] = habits(&plain);
    assert!(recurring < 0.05 && sharing < 0.35 && round < 0.02, "{recurring} {sharing} {round}");
    let mut balances = super::ledger::Ledger::default();
    for simulated in &ledger {
        for line in balances.apply(&simulated.event) {
            assert!(!balances.lines[&line].overdrawn(), "{line} by {}", simulated.event.event_id);
        }
    }
}

/// Of bills of companies: the shares that have an amount that the payee had before, that share payee and day, that are round
/// thousands, and of money that the largest hundredth has.
fn habits(events: &[Simulated]) -> [f64; 4] {
    let bills: Vec<_> = payments(events)
        .filter(|event| event.payee_type.as_deref() == Some("entity") && event.invoice_no.is_some())
        .map(|event| {
            let day = event.occurred_at.offset.to_datetime(event.occurred_at.at).date();
            (day, event.payee_account.clone().unwrap(), event.cents().unwrap())
        })
        .collect();
    let mut seen = HashSet::new();
    let recurring = bills.iter().filter(|(_, payee, amount)| !seen.insert((payee, amount))).count();
    let mut days: HashMap<_, usize> = HashMap::new();
    bills.iter().for_each(|(day, payee, _)| *days.entry((day, payee)).or_default() += 1);
    let sharing: usize = days.values().filter(|count| **count > 1).sum();
    let round = bills.iter().filter(|(.., amount)| amount % 100_000 == 0).count();
    let mut amounts: Vec<_> = bills.iter().map(|(.., amount)| *amount as f64).collect();
    amounts.sort_by(f64::total_cmp);
    let largest: f64 = amounts[amounts.len() - amounts.len() / 100..].iter().sum();
    let n = bills.len() as f64;
    [recurring as f64 / n, sharing as f64 / n, round as f64 / n, largest / amounts.iter().sum::<f64>()]
}
