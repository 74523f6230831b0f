//! What is configured decides how a value is read: the zone, the currency, and how a replay reads it.

use fiscwatch::{decode::Reading, event::Column, stream::Payload};
use serde_json::{Value, json};

use super::decoder;
use crate::support::{Bench, block, payment, run};

/// A table that is all right takes the short way; one value that is not must not change what the others become.
#[test]
fn a_dressed_value_changes_no_other_row() {
    let row = |id: &str, unit: &str| {
        let mut event = payment(id, "L", "1.00");
        event["unit_code"] = json!(unit);
        format!("{event}\n")
    };
    let plain = decoder(Reading::default())
        .decode(&[block(Payload::JsonLines((row("a", "101") + &row("b", "102")).into()))], None);
    let dressed = decoder(Reading::default())
        .decode(&[block(Payload::JsonLines((row(" a", "'101") + &row("=\"b\"", "１０２")).into()))], None);
    assert_eq!((plain.ids, plain.contents), (dressed.ids, dressed.contents));
    assert_eq!(
        plain.events.column(Column::UnitCode.index()),
        dressed.events.column(Column::UnitCode.index())
    );
}

/// A source says how its times are written; what was refused before is read so when it is replayed.
#[test]
fn a_source_has_its_own_zone_and_a_replay_keeps_it() {
    let event = |id: &str, at: &str| {
        let mut event = payment(id, "L", "1.00");
        event["occurred_at"] = json!(at);
        format!("{event}\n")
    };
    let config = |zone: &str| {
        format!(
            "state: {{ dir: state }}\nsources:\n  - {{ name: core, file: {{ path: events.jsonl }}{zone} }}\n"
        )
    };
    let bench = Bench::new(&event("p1", "2026-03-04T10:00:00"), &config(""));
    let once =
        |code| assert_eq!(run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]).0, Some(code));
    once(1);
    crate::support::write(bench.path(), "fiscwatch.yaml", &config(", zone: Asia/Shanghai"));
    let (code, out, err) = run(bench.path(), &["rejects", "replay", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.starts_with("1 records read again: 1 accepted"), "{out}");
    let sql = "select occurred_at from payments";
    let (_, out, _) = run(bench.path(), &["state", "query", "--config", "fiscwatch.yaml", "--json", sql]);
    assert_eq!(out.trim(), "{\"occurred_at\":\"2026-03-04T10:00:00+08:00\"}");
    // A backtest reads files as that source.
    let backtest = ["backtest", "--config", "fiscwatch.yaml", "--events", "events.jsonl"];
    let (code, _, err) = run(bench.path(), &backtest);
    assert!(code == Some(1) && err.contains("say with `zone` at the source"), "{err}");
    let (code, _, err) = run(bench.path(), &[&backtest[..], &["--as", "core"]].concat());
    assert_eq!(code, Some(0), "{err}");
    let (code, _, err) = run(bench.path(), &[&backtest[..], &["--as", "cor"]].concat());
    assert!(
        code == Some(1) && err.contains("--as cor: the configuration has no such source; it has core, http"),
        "{err}"
    );
}

/// A row of CSV says nothing without its header; in quarantine it is an object that can be read again.
#[test]
fn a_row_of_csv_is_replayed_by_what_is_configured_now() {
    let row = |id: &str, at: &str, tags: &str| {
        format!(
            "{id},payment,{at},L,2026,330100000,101001,2050201,30201,direct,transfer,\"杭州, 某公司\",33010160006,entity,1.50,{tags}\n"
        )
    };
    let header = "event_id,type,occurred_at,budget_line_id,fiscal_year,region_code,unit_code,function_code,economic_code,\
        payment_mode,settlement,payee_name,payee_account,payee_type,amount,tags\n";
    let rows = [
        row("p0", "2026-03-04T10:00:00+08:00", ""),
        row("p1", "2026-03-04T10:00:00", "a; b"),
        // The same event with other content, and a row that does not fit its header.
        row("p0", "2026-03-04T11:00:00+08:00", "c"),
        String::from("p2,payment\n"),
    ];
    let config = |zone: &str| {
        format!(
            "state: {{ dir: state }}\nsources:\n  - {{ name: core, file: {{ path: events.csv }}{zone} }}\n"
        )
    };
    let bench = Bench::new("", &config(""));
    crate::support::write(bench.path(), "events.csv", &(header.to_owned() + &rows.concat()));
    let with_config = |args: &[&str]| run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(with_config(&["run", "--once"]).0, Some(0));
    let rejected = || -> Vec<(String, String)> {
        let (_, out, _) = with_config(&["rejects", "list", "--json"]);
        let parse = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
        let text = |r: &serde_json::Value, name: &str| r[name].as_str().unwrap().to_owned();
        out.lines().map(parse).map(|r| (text(&r, "reason"), text(&r, "raw"))).collect()
    };
    let reasons = || rejected().into_iter().map(|(reason, _)| reason).collect::<Vec<_>>();
    let before = rejected();
    let late = before.iter().find(|(reason, _)| reason == "bad_time").unwrap();
    let object: serde_json::Value = serde_json::from_str(&late.1).unwrap();
    assert_eq!(object["tags"], json!(["a", "b"]));
    assert_eq!((&object["payee_name"], &object["fiscal_year"]), (&json!("杭州, 某公司"), &json!("2026")));
    assert!(before.iter().any(|(reason, raw)| reason == "conflict" && raw.contains("\"tags\":[\"c\"]")));
    assert!(before.contains(&(String::from("invalid_csv"), String::from("p2,payment"))), "{before:?}");

    crate::support::write(bench.path(), "fiscwatch.yaml", &config(", zone: Asia/Shanghai"));
    let (code, out, err) = with_config(&["rejects", "replay"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.starts_with("2 records read again: 1 accepted, 0 known already, 1 in quarantine again"),
        "{out}"
    );
    assert!(err.contains("1 records are no JSON objects and stay as they are"), "{err}");
    let sql = "select event_id, occurred_at, amount, payee_name, tags from payments where event_id = 'p1'";
    let (_, out, _) = with_config(&["state", "query", "--json", sql]);
    let event: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(event["occurred_at"], "2026-03-04T10:00:00+08:00", "{out}");
    assert_eq!((&event["amount"], &event["payee_name"]), (&json!("1.50"), &json!("杭州, 某公司")), "{out}");
    // What is still wrong is so for the same reason, and what cannot be read again keeps its own.
    let mut after = reasons();
    after.sort();
    assert!(
        after.contains(&String::from("conflict")) && after.contains(&String::from("invalid_csv")),
        "{after:?}"
    );
    assert!(!after.contains(&String::from("invalid_json")), "{after:?}");
}

#[test]
fn one_currency_is_configured() {
    let mut euro = payment("e1", "L", "1.00");
    euro["currency"] = json!("EUR");
    let mut yuan = payment("e2", "L", "1.00");
    yuan["currency"] = json!("人民币");
    let bench =
        Bench::new(&crate::support::lines(&[euro, yuan, payment("e3", "L", "1.00")]), "currency: EUR\n");
    let (_, ledger) = bench.backtest(&[]);
    assert!(ledger[0].contains("\"executed\":\"2.00\""), "{ledger:?}");
    crate::support::write(
        bench.path(),
        "fiscwatch.yaml",
        "currency: euro\nsources: [{ name: a, stdin: {}, zone: Mars }]\n",
    );
    let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("currency: \"euro\" is no code of a currency: write three capitals such as CNY"),
        "{err}"
    );
    assert!(err.contains("source \"a\": zone: unknown time zone \"Mars\""), "{err}");
}

/// Whatever an amount is about: those in another currency are told, and the word for our own adds nothing to a record.
#[test]
fn no_amount_of_another_currency_is_booked() {
    let paid = payment("p", "L", "1.00");
    let of = |kind: &str, more: serde_json::Value| {
        let mut event = paid.clone();
        event["type"] = json!(kind);
        event["event_id"] = json!(kind);
        more.as_object().unwrap().iter().for_each(|(name, value)| event[name] = value.clone());
        event
    };
    let events = [
        of("payment", json!({})),
        of("application", json!({})),
        of("refund", json!({"original_event_id": "payment"})),
        of("correction", json!({"original_event_id": "payment", "to_budget_line_id": "M"})),
        of("reversal", json!({"original_event_id": "payment"})),
        of("budget", json!({"action": "approve"})),
        of("confirmation", json!({"original_event_id": "payment", "status": "paid"})),
        of("receipt", json!({"account": "1", "payer_name": "甲", "payer_account": "2"})),
    ];
    let written = |currency: Option<&str>| {
        let mut events = events.clone();
        if let Some(currency) = currency {
            events.iter_mut().for_each(|event| event["currency"] = json!(currency));
        }
        crate::support::lines(&events)
    };
    let config = "sources: [{ name: feed, file: { path: events.jsonl } }]\n";
    let read = |text: &str| {
        let bench = Bench::new(text, config);
        let (code, out, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(i32::from(out.contains(" 0 accepted"))), "{out}{err}");
        let (_, rejects, _) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
        (out + &err, rejects.matches("\"currency\"").count())
    };
    let (told, refused) = read(&written(Some("USD")));
    assert!(told.contains("8 records: 0 accepted, 0 known already, 8 rejected"), "{told}");
    assert_eq!(refused, 8);
    let (told, _) = read(&(written(Some("RMB")) + &written(None)));
    assert!(told.contains("16 records: 8 accepted, 8 known already, 0 rejected"), "{told}");
}

/// Names that are written so that a comparison of characters misses them, and what a terminal and a spreadsheet get.
#[test]
fn a_disguised_name_is_found_and_steers_nothing() {
    let names = [
        "杭州\u{200b}某公司",
        "\u{202d}杭州某公司\u{202c}",
        "市⻓⻔公司\u{0}",
        "杭 州 某 公 司",
        "Cafe\u{301} MÜLLER ＆ O`Brien GmbH",
        "CAFÉ müller & o\u{2019}brien gmbh",
        "С\u{410}FÉ Müller & O'Brien GmbH",
        "=cmd|' /C calc'!A0\u{1b}[2J",
        "杭州某分公司",
    ];
    let mut events: Vec<Value> = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let mut event = payment(&format!("p{n}"), "L", "1.00");
        event["payee_name"] = json!(name);
        events.push(event);
    }
    let mut broken = payment("bad\u{1b}[2J", "L", "1.00");
    broken["unit_code"] = json!("1\u{202e}");
    events.push(broken);
    let config = "state: { dir: state }\nlists: { black: { path: black.csv } }\nsources: [{ name: a, file: { path: events.jsonl } }]\n";
    let bench = Bench::new(&crate::support::lines(&events), config);
    crate::support::write(
        bench.path(),
        "black.csv",
        "name\n杭州某公司\nCafé Müller & O’Brien GmbH\n市长门公司\n",
    );
    let rules = "rules:\n  - { id: black, title: t, severity: high, trigger: payment, when: \"name_in_list('black', payee_name)\", key: [event_id], summary: '{{ payee_name }}' }
  - { id: hidden, title: t, severity: low, trigger: payment, when: suspicious_text(payee_name), key: [event_id], summary: '{{ payee_name }}' }\n";
    crate::support::write(bench.path(), "rules/rules.yaml", rules);
    let (findings, _) = bench.backtest(&[]);
    let found = |rule: &str| -> Vec<String> {
        let of: Vec<Value> = findings.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        of.iter()
            .filter(|f| f["rule_id"] == rule)
            .map(|f| f["event_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found("black"), ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    assert_eq!(found("hidden"), ["p0", "p1", "p2", "p6", "p7"]);

    let once = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(once.0, Some(0), "{}", once.2);
    let config = ["--config", "fiscwatch.yaml"];
    let sql = "select payee_name from payments order by event_id";
    for command in
        [&["findings", "list"][..], &["alerts", "list"], &["rejects", "list"], &["state", "query", sql]]
    {
        let (_, out, err) = run(bench.path(), &[command, &config[..]].concat());
        let steers =
            |c: &char| c.is_control() && *c != '\n' || matches!(*c, '\u{200b}' | '\u{202d}' | '\u{202e}');
        assert_eq!((out + &err).chars().find(steers), None, "{command:?}");
    }
    for command in [&["findings", "list", "--csv"][..], &["state", "query", "--csv", sql]] {
        let (_, out, _) = run(bench.path(), &[command, &config[..]].concat());
        assert!(out.contains("'=cmd|") && !out.contains(",=cmd") && !out.contains("\n=cmd"), "{out}");
    }
}
