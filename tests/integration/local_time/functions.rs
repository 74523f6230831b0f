//! Every function of the engine is judged: local, of no time, or refused.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::DataType;
use fiscwatch::{
    diagnostic::failure,
    event::time::Calendar,
    lists::Lists,
    rule::{Language, RuleSet, compile::Compiler},
};

use super::Bench;

/// What a function does with instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It reads the calendar, and a test here holds it against jiff.
    Local,
    /// It hands instants on, compares or counts them, or writes them as text, which has the local offset: no calendar.
    Passes,
    /// It is refused with an instant.
    Refused,
    /// It makes a day, a time of day or a length of numbers or text alone.
    Made,
}

/// Every function of the engine that takes or makes a time. A function that is not here fails the test until somebody has
/// judged it.
fn judged() -> Vec<(String, Verdict)> {
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/fixtures/time_functions.txt");
    std::fs::read_to_string(table)
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, verdict) = line.split_once(' ').unwrap();
            let verdict = match verdict.trim() {
                "local" => Verdict::Local,
                "passes" => Verdict::Passes,
                "refused" => Verdict::Refused,
                "made" => Verdict::Made,
                other => panic!("{name}: {other}"),
            };
            (name.to_owned(), verdict)
        })
        .collect()
}

/// Arguments to try functions with; those with an instant come first.
const ARGUMENTS: [&str; 24] = [
    "occurred_at",
    "occurred_at, occurred_at",
    "'day', occurred_at",
    "occurred_at, 'day'",
    "'%Y', occurred_at",
    "interval '1 day', occurred_at",
    "interval '1 day', occurred_at, occurred_at",
    "occurred_at, '%Y'",
    "occurred_at, 1",
    "occurred_at, occurred_at, interval '1 day'",
    "[occurred_at]",
    "[occurred_at], occurred_at",
    "occurred_at, 'Utf8'",
    "occurred_at, 1, occurred_at",
    "true, occurred_at",
    "cast(occurred_at AS date)",
    "'day', cast(occurred_at AS date)",
    "interval '1 day', cast(occurred_at AS date)",
    "cast(occurred_at AS date), '%Y'",
    "'2026-01-01'",
    "1767196800",
    "2026, 1, 1",
    "12, 0, 0",
    "1767196800, 'Asia/Shanghai'",
];

fn is_time(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_) => true,
        DataType::List(field) | DataType::LargeList(field) => is_time(field.data_type()),
        _ => false,
    }
}

#[test]
fn every_function_of_the_engine_is_judged() {
    let bench = Bench::new("America/New_York");
    let state = bench.context.state();
    let names: BTreeSet<String> = state
        .scalar_functions()
        .keys()
        .chain(state.aggregate_functions().keys())
        .chain(state.window_functions().keys())
        .cloned()
        .collect();
    let table = judged();
    let mut wrong = Vec::new();
    for name in &names {
        let (mut takes, mut refused, mut makes) = (None, None, None);
        for arguments in ARGUMENTS {
            let scalar = state.scalar_functions().contains_key(name);
            let forms: &[&str] = if scalar { &[""] } else { &["", " OVER (ORDER BY occurred_at)"] };
            if takes.is_some() {
                break;
            }
            for over in forms {
                let sql = format!("SELECT {name}({arguments}){over} AS x FROM payments");
                let planned = futures::executor::block_on(async {
                    bench.context.sql(&sql).await?.into_optimized_plan()
                });
                let with_instant = arguments.contains("occurred_at");
                match planned {
                    Ok(plan) if with_instant => {
                        takes.get_or_insert(sql);
                        let _ = plan;
                    }
                    Ok(plan) if is_time(plan.schema().field(0).data_type()) => {
                        makes.get_or_insert(sql);
                    }
                    Ok(_) => {}
                    Err(e) => {
                        let said = failure(&e).0;
                        if said.contains("without a zone")
                            || said.contains("not in local time")
                            || said.contains("in the zone")
                        {
                            refused.get_or_insert(sql);
                        }
                    }
                }
            }
        }
        let verdict = table.iter().find(|(known, _)| known == name).map(|(_, verdict)| *verdict);
        let fits = match verdict {
            Some(Verdict::Local | Verdict::Passes) => takes.is_some(),
            Some(Verdict::Refused) => refused.is_some(),
            Some(Verdict::Made) => makes.is_some(),
            None => takes.is_none() && refused.is_none() && makes.is_none(),
        };
        if !fits {
            wrong.push(format!(
                "{name}: {verdict:?}, but takes {takes:?}, makes {makes:?}, refused {refused:?}"
            ));
        }
    }
    wrong.extend(
        table.iter().filter(|(name, _)| !names.contains(name)).map(|(name, _)| format!("{name} is gone")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_would_count_in_utc_is_refused_at_load() {
    let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
    let compiler = Compiler::new(&calendar, Lists::default(), Language::En);
    for when in [
        "date_bin(interval '1 day', occurred_at, date '2026-01-01') = occurred_at",
        "date_part('hour', to_local_time(occurred_at)) > 8",
        "date_part('hour', occurred_at at time zone 'UTC') > 8",
        "date_part('hour', arrow_cast(occurred_at, 'Timestamp(Microsecond, None)')) > 8",
        "date_part('hour', arrow_cast(occurred_at, 'Timestamp(Microsecond, Some(\"UTC\"))')) > 8",
        "from_unixtime(1767196800) < occurred_at",
    ] {
        let rule = serde_json::json!({"rules": [{"id": "a", "severity": "low", "trigger": "payment", "key": [], "when": when}]});
        let problems = RuleSet::from_text(&rule.to_string(), &compiler, &calendar);
        let problems = problems.err().unwrap_or_else(|| panic!("{when} is accepted"));
        let said = &problems[0].message;
        assert!(said.contains("local time") || said.contains("without a zone"), "{when}: {said}");
    }
}
