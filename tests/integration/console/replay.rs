//! Records of the quarantine, corrected and read again while the daemon goes on.

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, payment, post_json};

#[test]
fn a_record_is_corrected_and_read_again_and_each_step_is_counted() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let mut wrong = payment("m1", "L1", "壹万元");
    let body = format!("{wrong}\nno JSON at all\n");
    assert_eq!(daemon.post("/api/v1/events", &body).0, 200);
    let list = daemon.json("/api/v1/quarantine");
    assert_eq!(list["total"], 2);
    let seq = list["records"][0]["seq"].as_i64().unwrap();
    assert_eq!(list["records"][0]["can_be_read_again"], true);
    let one = daemon.json(&format!("/api/v1/quarantine/{seq}"));
    assert_eq!(serde_json::from_str::<Value>(one["text"].as_str().unwrap()).unwrap(), wrong);

    let replay = |body: &Value| -> (u16, Value) {
        let (status, answer) = post_json(&daemon, "/api/v1/quarantine/replay", body);
        (status, serde_json::from_str(&answer).unwrap())
    };
    // As it is, it is in quarantine again, and the answer says why.
    let (status, again) = replay(&json!({"seqs": [seq]}));
    assert_eq!((status, &again["accepted"], &again["rejected"]), (200, &json!(0), &json!(1)), "{again}");
    assert_eq!(again["again"][0]["reason"], one["reason"]);
    assert_eq!(daemon.get("/api/v1/events/m1").0, 404);

    wrong["amount"] = json!("10000.00");
    let (status, corrected) = replay(&json!({"seqs": [seq], "record": wrong.to_string(), "who": "赵敏"}));
    assert_eq!(
        (status, &corrected["accepted"], &corrected["rejected"]),
        (200, &json!(1), &json!(0)),
        "{corrected}"
    );
    assert_eq!(daemon.json("/api/v1/events/m1")["event"]["amount"], "10000.00");
    assert!(daemon.json(&format!("/api/v1/quarantine/{seq}"))["replayed_at"].is_string());
    // Once more it changes nothing.
    let (_, known) = replay(&json!({"seqs": [seq], "record": wrong.to_string()}));
    assert_eq!((&known["accepted"], &known["duplicates"]), (&json!(0), &json!(1)), "{known}");
    let audit = daemon.json("/api/v1/audit?action=quarantine.replay");
    assert!(audit.to_string().contains("corrected: ") && audit.to_string().contains("赵敏"), "{audit}");

    for wrong in [
        json!({"seqs": []}),
        json!({"seqs": [1, 2], "record": "{}"}),
        json!({"seqs": [seq], "record": " "}),
        json!({"seqs": (0..1001).collect::<Vec<_>>()}),
    ] {
        assert_eq!(replay(&wrong).0, 422, "{wrong}");
    }
    assert_eq!(replay(&json!({"seqs": [9999]})).0, 404);
}
