//! Requests about approvals and long work, for `openapi.rs`.

use serde_json::{Value, json};

/// Operations that other tests ask for: `codes.rs` reads tables of codes, `works.rs` files and tables, `approvals.rs` judges.
pub(super) const ELSEWHERE: [&str; 4] =
    ["list_codes", "file_of_work", "begin_comparison_with_table", "judge_approval"];

fn budget(line: &str, amount: &str) -> Value {
    json!({"kind": "budget", "reason": "县里第 12 号文", "who": "王",
        "actions": [{"action": "supplement", "budget_line_id": line, "amount": amount}]})
}

/// What somebody proposes, and what becomes of it. The override and the exception of the requests before these are 1 and 2.
pub(super) fn requests() -> Vec<(&'static str, &'static str, String, Value, u16)> {
    let path = |rest: &str| format!("/api/v1/{rest}");
    let judgement = |digest: &str| json!({"verdict": "approve", "digest": digest, "who": "李"});
    let adjustments = json!({"kind": "adjustments", "year": 2026});
    vec![
        ("propose_approval", "post", path("approvals"), budget("L1", "1.00"), 201),
        ("propose_approval", "post", path("approvals"), budget("L1", "1.00"), 409),
        ("propose_approval", "post", path("approvals"), budget("L1", "1.001"), 422),
        (
            "propose_approval",
            "post",
            path("approvals"),
            json!({"kind": "list", "reason": "r", "list": "none", "who": "王"}),
            404,
        ),
        ("list_approvals", "get", path("approvals?kind=budget&state=waiting"), Value::Null, 200),
        (
            "list_approvals",
            "get",
            path("approvals?for_me=true&totals=true&sort=amount&q=x"),
            Value::Null,
            200,
        ),
        ("list_approvals", "get", path("approvals?state=gone"), Value::Null, 400),
        ("list_reference_lists", "get", path("lists"), Value::Null, 200),
        ("show_approval", "get", path("approvals/3"), Value::Null, 200),
        ("show_approval", "get", path("approvals/99"), Value::Null, 404),
        ("export_approval", "get", path("approvals/3/signed"), Value::Null, 200),
        ("export_approval", "get", path("approvals/99/signed"), Value::Null, 404),
        ("judge_approval", "post", path("approvals/3/judgement"), judgement("0"), 409),
        ("judge_approval", "post", path("approvals/99/judgement"), judgement("0"), 404),
        ("withdraw_approval", "post", path("approvals/3/withdrawal"), json!({"who": "李"}), 409),
        ("withdraw_approval", "post", path("approvals/3/withdrawal"), json!({"who": "王"}), 200),
        ("withdraw_approval", "post", path("approvals/99/withdrawal"), json!({"who": "王"}), 404),
        ("begin_work", "post", path("works"), adjustments, 202),
        ("begin_work", "post", path("works"), json!({"kind": "settlement", "year": 2026, "by": "x"}), 422),
        ("list_works", "get", path("works"), Value::Null, 200),
        ("show_work", "get", path("works/1"), Value::Null, 200),
        ("show_work", "get", path("works/99"), Value::Null, 404),
        ("stop_work", "delete", path("works/1"), Value::Null, 200),
        ("stop_work", "delete", path("works/99"), Value::Null, 404),
    ]
}
