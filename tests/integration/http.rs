//! The API of a running daemon.

use serde_json::json;

use crate::support::{Bench, Daemon, lines, payment, wait_until};

#[test]
fn events_in_findings_balances_and_metrics_out() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    assert_eq!(daemon.get("/-/healthy").0, 200);

    let approve = json!({"event_id": "b1", "type": "budget", "action": "approve", "occurred_at": "2026-01-02", "budget_line_id": "L1",
        "amount": "100.00", "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201", "economic_code": "30201"});
    let body = format!(
        "{}{}not json\n",
        lines(&[approve]),
        lines(&[payment("p1", "L1", "110.00"), payment("p1", "L1", "110.00")])
    );
    let (status, answer) = daemon.post("/api/v1/events", &body);
    assert_eq!((status, answer.as_str()), (200, "{\"accepted\":2,\"duplicates\":1,\"rejected\":1}"));

    let line = daemon.json("/api/v1/budget-lines/L1");
    assert_eq!(line["executed"], "110.00");
    assert_eq!(line["available"], "-10.00");
    assert_eq!(line["overspend_ratio"], "0.1");
    assert_eq!(line["approved"], true);
    let findings = daemon.json("/api/v1/findings?rule=over-budget");
    assert_eq!(findings["findings"][0]["summary"], "L1 110.00 leaves -10.00 (0.1)");
    assert_eq!(
        findings["findings"][0]["values"],
        json!({"amount": "110.00", "budget_line_id": "L1", "budget.available": "-10.00", "budget.overspend_ratio": "0.1"})
    );
    assert_eq!(findings["findings"][0]["key"], json!({"budget_line_id": "L1"}));
    assert_eq!(daemon.json("/api/v1/findings?rule=none")["findings"], json!([]));
    assert_eq!(daemon.json("/api/v1/status")["since_start"]["accepted"], 2);
    assert_eq!(daemon.json("/api/v1/rules")["rules"][0]["id"], "over-budget");

    let metrics = daemon.get("/metrics").1;
    for line in [
        "fiscwatch_events_total{result=\"accepted\",source=\"http\",type=\"payment\"} 1",
        "fiscwatch_duplicates_total 1",
        "fiscwatch_quarantined_total{reason=\"invalid_json\",source=\"http\"} 1",
        "fiscwatch_rule_findings_total{mode=\"live\",rule=\"over-budget\",severity=\"critical\"} 1",
        "fiscwatch_budget_amount{kind=\"executed\"} 110",
        "fiscwatch_budget_executed_ratio{unit_code=\"101001\"} 1.1",
        "fiscwatch_journal_events 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn wrong_requests_get_problem_documents() {
    let bench = Bench::new("", "state: { dir: state }\nhttp: { body_bytes_max: 1000 }\n".trim_start());
    std::fs::write(
        bench.path().join("fiscwatch.yaml"),
        "http: { body_bytes_max: 1000 }\nstate: { dir: state }\n",
    )
    .unwrap();
    let daemon = Daemon::start(bench.path());
    for (path, status, words) in [
        ("/api/v1/nothing", 404, "nothing at this path"),
        ("/api/v1/decide", 405, "another method"),
        ("/api/v1/budget-lines/none", 404, "no budget line"),
        ("/api/v1/findings?rul=x", 400, "there is no \"rul\" here"),
    ] {
        let (found, body) = daemon.get(path);
        assert_eq!(found, status, "{path}: {body}");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().unwrap().contains(words), "{body}");
    }
    assert_eq!(daemon.post("/api/v1/events", " \n").0, 400);
    assert_eq!(daemon.post("/api/v1/events", &"x".repeat(2000)).0, 413);
}

#[test]
fn a_reload_is_all_or_nothing() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let rules = bench.path().join("rules/rules.yaml");
    let old = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, old.replace("budget.available < 0", "budget.availabel < 0")).unwrap();
    let (status, body) = daemon.post("/-/reload", "");
    assert_eq!(status, 422);
    assert!(body.contains("did you mean \\\"budget.available\\\"?"), "{body}");
    assert_eq!(daemon.json("/api/v1/rules")["rules"].as_array().unwrap().len(), 3);
    assert!(daemon.get("/metrics").1.contains("fiscwatch_config_last_reload_successful 0"));

    std::fs::write(&rules, old.split("  - id: large-cash").next().unwrap()).unwrap();
    assert!(
        std::process::Command::new("kill")
            .args(["-HUP", &daemon.child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    wait_until(|| daemon.json("/api/v1/rules")["rules"].as_array().unwrap().len() == 1);
    // The rules are in force a moment before the reload has ended and is told.
    wait_until(|| daemon.get("/metrics").1.contains("fiscwatch_config_last_reload_successful 1"));
}
