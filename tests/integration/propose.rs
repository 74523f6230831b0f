//! Proposals over simulated years: nearer to what was executed than last year plus growth, the same when made again, kept
//! as versions that can be compared, and cut to a cap to the cent.

use std::fs;

use serde_json::Value;

use crate::support::{Bench, run};

const CONFIG: &str = "state: { dir: state }
engine: { max_future: 9999d }
sources: [{ name: feed, file: { path: years/events.jsonl } }]
rules: { paths: [rules] }
";
const RULES: &str = "rules: [{ id: none, title: none, severity: low, trigger: payment, when: amount < 0, key: [event_id] }]\n";

/// Four years of a small province; the fourth is what proposals are held against.
fn bench(seed: &str) -> Bench {
    let bench = Bench::new("", CONFIG);
    crate::support::write(bench.path(), "rules/rules.yaml", RULES);
    let args =
        ["generate", "--payments", "20000", "--units", "20", "--start", "2022-01-01", "--days", "1461"];
    let (code, _, err) = run(bench.path(), &[&args[..], &["--seed", seed, "--out", "years"]].concat());
    assert_eq!(code, Some(0), "{err}");
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    bench
}

fn propose(bench: &Bench, extra: &[&str]) -> (Option<i32>, String, String) {
    run(bench.path(), &[&["budget", "propose", "--config", "fiscwatch.yaml"], extra].concat())
}

fn cents(amount: &str) -> i128 {
    amount.replace('.', "").parse().unwrap()
}

#[test]
fn a_proposal_is_nearer_to_what_was_executed_than_last_year_plus_growth() {
    for seed in ["77", "22"] {
        let bench = bench(seed);
        let (code, out, err) = propose(&bench, &["--year", "2025", "--check", "--json"]);
        assert_eq!(code, Some(0), "{err}");
        let measured: Value = serde_json::from_str(&out).unwrap();
        println!("seed {seed}: {measured}");
        let error = |name: &str| measured[name].as_i64().unwrap();
        assert!(measured["lines"].as_i64().unwrap() > 300, "{measured}");
        assert!(error("median_error") < error("median_error_of_last_year"), "{measured}");
    }
}

#[test]
fn versions_are_kept_are_the_same_when_made_again_and_are_compared() {
    let bench = bench("5");
    let kept = |version: u32, ending: &str| {
        fs::read(bench.path().join(format!("kept/proposal-2025-v{version}.{ending}"))).unwrap()
    };
    for _ in 0..2 {
        let (code, _, err) = propose(&bench, &["--year", "2025", "--out", "kept"]);
        assert_eq!(code, Some(0), "{err}");
    }
    for ending in ["json", "csv", "xlsx"] {
        assert_eq!(kept(1, ending), kept(2, ending), "{ending}");
    }
    let first: Value = serde_json::from_slice(&kept(1, "json")).unwrap();
    let lines = first["lines"].as_array().unwrap();
    assert!(lines.iter().all(|line| !line["reason"].as_str().unwrap().is_empty()));
    let sum: i128 = lines.iter().map(|line| cents(line["amount"].as_str().unwrap())).sum();
    assert_eq!(sum, cents(first["sum"].as_str().unwrap()));

    // A cap below what is proposed is given away to the cent.
    let cap = format!("{}.{:02}", sum / 200, 37);
    let args = ["--year", "2025", "--cap", &cap, "--driver", "gdp=5.2%:205", "--out", "kept"];
    let (code, _, err) = propose(&bench, &args);
    assert_eq!(code, Some(0), "{err}");
    let third: Value = serde_json::from_slice(&kept(3, "json")).unwrap();
    assert_eq!(third["sum"].as_str().unwrap(), cap);
    let amounts =
        third["lines"].as_array().unwrap().iter().map(|line| cents(line["amount"].as_str().unwrap()));
    assert_eq!(amounts.sum::<i128>(), cents(&cap));

    let files = ["kept/proposal-2025-v1.json", "kept/proposal-2025-v3.json"];
    let (code, out, err) = propose(&bench, &["--compare", files[0], files[1], "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let differences = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let differences: i128 = differences.map(|line| cents(line["difference"].as_str().unwrap())).sum();
    assert_eq!(differences, cents(&cap) - sum);
    let same = ["--compare", files[0], "kept/proposal-2025-v2.json", "--json"];
    assert_eq!(propose(&bench, &same).1, "");
    for wrong in [["--driver", "gdp"], ["--cap", "205=x"]] {
        let (code, _, err) = propose(&bench, &[&["--year", "2025"], &wrong[..]].concat());
        assert_eq!(code, Some(1), "{err}");
    }
}
