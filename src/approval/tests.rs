//! Random acts of random people, held against a plain model of the rules; and signatures against every change of what is signed.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{Kind, Level, Levels, Matter, MatterState, NewMatter, Office, Person, Verb, check_signed};
use crate::{
    access::{
        Role::{Approver, Supervisor},
        provider,
        seal::SealKey,
    },
    event::{Cents, Instant},
};

fn office(by: &'static dyn provider::Provider) -> Office {
    let levels = vec![
        Level { up_to: Some(Cents::new(1_000)), by: vec![Supervisor] },
        Level { up_to: Some(Cents::new(5_000)), by: vec![Supervisor, Approver] },
        Level { up_to: None, by: vec![Supervisor, Approver, Approver] },
    ];
    let levels = Levels(BTreeMap::from([(Kind::Budget, levels)]));
    Office { levels, key: SealKey::make_by(by).ok() }
}

fn at(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

fn wish(cents: i128) -> NewMatter {
    let content =
        json!({ "actions": [{ "action": "approve", "amount": "1.00", "z": { "b": 1, "a": [true, null] } }] });
    let (subject, reason) = (String::from("L1"), String::from("因公"));
    NewMatter {
        kind: Kind::Budget,
        subject,
        content,
        cents: Some(Cents::new(cents)),
        reason,
        expires_at: Some(at(1_000)),
    }
}

const PEOPLE: [(&str, &[crate::access::Role]); 6] = [
    ("officer", &[]),
    ("s1", &[Supervisor]),
    ("s2", &[Supervisor]),
    ("a1", &[Approver]),
    ("a2", &[Approver]),
    ("both", &[Supervisor, Approver]),
];

fn person(at: usize) -> Person {
    Person { who: PEOPLE[at].0.to_owned(), roles: PEOPLE[at].1.to_vec() }
}

/// How many places of a level the people can fill, tried out.
fn filled(needed: &[crate::access::Role], people: &[usize]) -> usize {
    let Some((first, rest)) = people.split_first() else { return 0 };
    let with = (0..needed.len()).filter(|at| PEOPLE[*first].1.contains(&needed[*at])).map(|at| {
        let mut left = needed.to_vec();
        left.remove(at);
        1 + filled(&left, rest)
    });
    with.max().unwrap_or(0).max(filled(needed, rest))
}

#[test]
fn random_acts_do_what_a_plain_model_says() {
    let office = office(provider::INTERNATIONAL);
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cents = [1_000, 1_001, 5_000, 5_001][rng.random_range(0..4)];
        let needed = match cents {
            ..=1_000 => vec![Supervisor],
            1_001..=5_000 => vec![Supervisor, Approver],
            _ => vec![Supervisor, Approver, Approver],
        };
        let proposer = rng.random_range(0..PEOPLE.len());
        let mut matter = Matter::propose(1, wish(cents), (&person(proposer), at(0)), &office).unwrap();
        assert_eq!(matter.needed, needed);
        let (mut approved, mut state): (Vec<usize>, MatterState) = (Vec::new(), MatterState::Waiting);
        for step in 0..12 {
            let (who, now) = (rng.random_range(0..PEOPLE.len()), if step > 10 { 1_000 } else { step });
            let expired = now >= 1_000 && matches!(state, MatterState::Waiting | MatterState::Approved);
            let may_judge =
                state == MatterState::Waiting && !expired && who != proposer && !approved.contains(&who);
            let by = person(who);
            match rng.random_range(0..10) {
                0 => {
                    let may = state == MatterState::Waiting && !expired && who == proposer;
                    assert_eq!(matter.withdraw((&by, at(now), ""), &office).is_ok(), may, "{seed} {step}");
                    if may {
                        state = MatterState::Withdrawn;
                    }
                }
                1 => {
                    let may = may_judge && needed.iter().any(|role| by.roles.contains(role));
                    assert_eq!(
                        matter.refuse((&by, at(now), "no"), None, &office).is_ok(),
                        may,
                        "{seed} {step}"
                    );
                    if may {
                        state = MatterState::Refused;
                    }
                }
                _ => {
                    let with = [&approved[..], &[who]].concat();
                    let may = may_judge && filled(&needed, &with) > filled(&needed, &approved);
                    let digest = matter.digest.clone();
                    let done = matter.approve((&by, at(now), ""), Some(&digest), &office);
                    assert_eq!(done.is_ok(), may, "{seed} {step} {done:?}");
                    if may {
                        approved = with;
                        if filled(&needed, &approved) == needed.len() {
                            state = MatterState::Approved;
                        }
                    }
                }
            }
            assert_eq!(matter.state, state, "{seed} {step}");
        }
        let key = office.key.as_ref().unwrap().public();
        assert_eq!(check_signed(&matter, Some(&key)), Ok(key), "{seed}");
    }
}

/// Every place in a value where a plain value stands.
fn places(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), found));
        }
        _ => {
            found.insert(at.to_owned());
        }
    }
}

#[test]
fn whatever_is_changed_of_what_was_signed_is_found() {
    for by in provider::ALL {
        let office = office(by);
        let mut matter = Matter::propose(7, wish(2_000), (&person(0), at(1)), &office).unwrap();
        assert!(!matter.approve((&person(5), at(2), "seen"), None, &office).unwrap());
        assert!(matter.approve((&person(3), at(3), "too"), None, &office).unwrap());
        let signed = serde_json::to_value(&matter).unwrap();
        let mut all = BTreeSet::new();
        places(&signed, "", &mut all);
        // What became of it is noted by the daemon, and nobody signs it.
        let unsigned = ["/state", "/ended_at", "/outcome"];
        for place in all.iter().filter(|place| !unsigned.contains(&place.as_str())) {
            let mut changed = signed.clone();
            let value = changed.pointer_mut(place).unwrap();
            *value = match &*value {
                Value::String(text) if text == "approve" => json!("refuse"),
                Value::String(text) if text == "propose" => json!("withdraw"),
                Value::String(text) if text == "supervisor" => json!("approver"),
                Value::String(text) if text == "approver" => json!("supervisor"),
                Value::String(text) if text == "budget" => json!("list"),
                Value::String(text) if text == "2000" => json!("2001"),
                Value::String(text) => json!(format!("{text}0")),
                Value::Number(number) => json!(number.as_i64().unwrap() + 1),
                Value::Bool(flag) => json!(!*flag),
                _ => json!("x"),
            };
            // What is no matter any more is found, too.
            let Ok(changed) = serde_json::from_value::<Matter>(changed) else { continue };
            assert!(check_signed(&changed, None).is_err(), "{place} {}", by.word());
        }
        for act in 0..3 {
            let mut without = matter.clone();
            without.acts.remove(act);
            // An act at the end that is missing is found by its state.
            assert!(check_signed(&without, None).is_err(), "{act}");
        }
        let mut twice = matter.clone();
        twice.acts.push(twice.acts[2].clone());
        assert!(check_signed(&twice, None).is_err());
        assert_eq!(matter.acts[0].verb, Verb::Propose);
    }
}
