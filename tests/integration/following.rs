//! Windows that begin with events as people meet them: mistakes in rules, tests of rules, and why something was found.

use serde_json::json;

use crate::support::{Bench, Daemon, lines, payment, run};

#[test]
fn mistakes_are_told_with_their_place() {
    let bench = Bench::new("", "");
    let check = |rule: &str| {
        let text = format!(
            "rules:\n  - {{ id: a, severity: low, key: [], when: n > 1, measure: {{ n: count(*) }}, {rule} }}\n"
        );
        std::fs::write(bench.path().join("rules/rules.yaml"), text).unwrap();
        let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1), "{rule}: {err}");
        err
    };
    let window = |window: &str| {
        check(&format!("trigger: window, of: payment, window: {{ by: [unit_code], {window} }}"))
    };
    for (wrong, told) in [
        ("gap: 3d, from: amount > 1", "a window has a `size`, a `gap`, or `from` and `within`"),
        (
            "from: amount > 1",
            "such as `size: 1d`, or `gap: 3d`, or `from: type = 'payment'` with `within: 5d`",
        ),
        ("gap: month", "`gap` is a number of s, m, h, d or w"),
        ("gap: 3", "gap: \"3\" is not a length of time"),
        ("gap: 3d, size: 7d", "size"),
        ("gap: 3d, slide: 1d", "leave `slide` out: these windows begin with events"),
        ("from: amount > 1, within: 3d, size: 1d", "leave `size` out: `within` says how long the window is"),
        ("from: amunt > 1, within: 3d", "amount"),
        ("from: amount, within: 3d", "amount"),
        ("from: amount > 5 and amount < 3, within: 3d", "amount"),
        ("from: original.amount > 1, within: 3d", "original"),
    ] {
        let err = window(wrong);
        assert!(err.contains(told) && err.contains("rules.yaml:2:"), "{wrong}: {err}");
    }
    let compared =
        "trigger: window, of: payment, window: { by: [unit_code], gap: 3d }, anomaly: { of: n, method: mad }";
    assert!(check(compared).contains("compare windows on the calendar"));
    for wrong in ["amunt > 1", "amount", "count(*) > 1", "original.amount > 1"] {
        let err = check(&format!("trigger: payment, over: {{ by: [unit_code], last: 7d, since: {wrong} }}"));
        assert!(err.contains("rules.yaml:2:"), "{wrong}: {err}");
    }
    let at_last = check("trigger: payment, over: { by: [unit_code], since: amount > 1 }");
    assert!(at_last.contains("`over` needs either `last` or `to_date`"), "{at_last}");
}

/// The tests of rules play such windows to their end.
#[test]
fn rules_are_tested_with_them() {
    let bench = Bench::new("", "");
    let rules = "rules:
  - id: unanswered
    severity: high
    trigger: window
    of: [payment, refund]
    window: { by: [budget_line_id, amount], from: type = 'payment', within: 2d }
    measure: { back: count(*) filter (where type = 'refund') }
    when: back = 0
    key: [budget_line_id]
    summary: '{{ amount|money }} until {{ window_end }}'
";
    std::fs::write(bench.path().join("rules/rules.yaml"), rules).unwrap();
    let tests = "rules: [rules/rules.yaml]
defaults:
  { budget_line_id: L1, fiscal_year: 2026, region_code: 33, unit_code: 001, function_code: 2050201, economic_code: 30201,
    payment_mode: direct, settlement: transfer, payee_name: A, payee_account: 1, payee_type: entity }
tests:
  - name: one has an answer and two have none
    events:
      - { occurred_at: 2026-03-02T10:00:00+08:00, amount: 5 }
      - { occurred_at: 2026-03-02T11:00:00+08:00, amount: 7 }
      - { occurred_at: 2026-03-03T11:00:00+08:00, amount: 7 }
      - { type: refund, original_event_id: e1, occurred_at: 2026-03-04T23:59:59+08:00, amount: 5 }
      - { type: refund, original_event_id: e1, occurred_at: 2026-03-05T00:00:00+08:00, amount: 7 }
      - { occurred_at: 2026-03-09T10:00:00+08:00, amount: 5 }
    at:
      - time: 2026-03-06T00:00:00+08:00
        expect:
          - { rule: unanswered, at: 2026-03-05T00:00:00+08:00, values: { amount: 7 } }
    expect:
      - { rule: unanswered, event: 2026-03-05T00:00:00+08:00 }
      - { rule: unanswered, event: 2026-03-12T00:00:00+08:00, summary: '5.00 until 2026-03-12T00:00:00+08:00' }
";
    std::fs::write(bench.path().join("t.yaml"), tests).unwrap();
    let (code, out, err) = run(bench.path(), &["test", "t.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

/// Why a rule found something about an event, or why not: by the windows that the event is in.
#[test]
fn an_event_is_explained_by_the_windows_that_it_is_in() {
    let at = |id: &str, unit: &str, at: &str, settlement: &str| {
        let mut event = payment(id, "L", "10");
        event["unit_code"] = json!(unit);
        event["occurred_at"] = json!(format!("2026-03-{at}:00+08:00"));
        event["settlement"] = json!(settlement);
        event
    };
    let events = [
        at("a", "u1", "02T10:00", "cash"),
        at("b", "u1", "03T10:00", "transfer"),
        at("c", "u2", "03T11:00", "cash"),
        at("d", "u1", "04T10:00", "cash"),
        at("e", "u2", "05T10:00", "card"),
        at("f", "u3", "25T10:00", "cash"),
    ];
    let bench = Bench::new(
        &lines(&events),
        "sources: [{ name: file, file: { path: events.jsonl } }]\nstate: { dir: state }\nengine: { journal_from: 2026-01-01 }\n",
    );
    let rules = "rules:
  - id: in-a-row
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], gap: 1d }
    measure: { n: count(*) }
    when: n >= 3
    key: [unit_code]
  - id: no-card
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], from: settlement = 'cash', within: 2d }
    measure: { cards: count(*) filter (where settlement = 'card'), n: count(*) }
    when: cards = 0 and n > 1
    key: [unit_code]
";
    std::fs::write(bench.path().join("rules/rules.yaml"), rules).unwrap();
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    let daemon = Daemon::start(bench.path());
    let told = |event: &str, rule: &str| daemon.json(&format!("/api/v1/explain?event={event}&rule={rule}"));
    let row = told("b", "in-a-row");
    assert_eq!((&row["verdict"], &row["window"]["total"]), (&json!("found"), &json!(3)), "{row}");
    assert_eq!(row["window"]["start"], "2026-03-02T10:00:00+08:00", "{row}");
    assert_eq!(row["window"]["end"], "2026-03-06T00:00:00+08:00", "{row}");
    assert_eq!(told("c", "in-a-row")["verdict"], "not_found");
    // It is in two windows: of the one that was found it is told.
    let card = told("d", "no-card");
    assert_eq!(card["verdict"], "found", "{card}");
    assert_eq!(card["window"]["start"], "2026-03-02T10:00:00+08:00", "{card}");
    let answered = told("c", "no-card");
    assert_eq!(
        (&answered["verdict"], &answered["values"]["cards"]),
        (&json!("not_found"), &json!(1)),
        "{answered}"
    );
    // It begins no window and is in that of another one.
    assert_eq!(told("e", "no-card")["window"]["start"], "2026-03-03T11:00:00+08:00");
}

#[test]
fn a_journal_that_forgets_too_soon_is_warned_of() {
    let bench = Bench::new("", "state: { dir: state, retain: 200d }\n");
    let rule = |id: &str, last: &str| {
        format!(
            "  - {{ id: {id}, severity: low, trigger: payment, over: {{ by: [unit_code], last: {last} }}, measure: {{ n: count(*) }}, when: n > 1, key: [] }}\n"
        )
    };
    let text = format!("rules:\n{}{}", rule("short", "30d"), rule("long", "365d"));
    std::fs::write(bench.path().join("rules/rules.yaml"), text).unwrap();
    let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("warning: rule \"long\" looks 366 days back, but state.retain keeps 200"), "{err}");
    assert!(!err.contains("\"short\""), "{err}");
}
