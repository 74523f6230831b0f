//! The demo is a whole daemon: what it was started with can be read again.

use std::process::Stdio;

use serde_json::json;

use crate::support::{Daemon, fiscwatch, free_port, post_json, wait_until};

#[test]
fn the_demo_reads_its_rules_again_wherever_it_was_started() {
    let (elsewhere, port) = (tempfile::tempdir().unwrap(), free_port());
    let child = fiscwatch()
        .current_dir(elsewhere.path())
        .args(["demo", "--language", "zh", "--listen", &format!("127.0.0.1:{port}"), "--seconds", "60"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let daemon = Daemon::adopt(child, port);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    let rules = daemon.json("/api/v1/rules");
    let (status, said) = daemon.post("/-/reload", "");
    assert_eq!(status, 200, "{said}");
    assert_eq!(
        daemon.json("/api/v1/rules")["rules"].as_array().map(Vec::len),
        rules["rules"].as_array().map(Vec::len)
    );
    // Constants are proposed, approved and in force, while the simulation goes on.
    let propose = json!({"reason": "试算", "params": {"large-cash": {"limit": "12345"}}, "who": "赵敏"});
    let (status, set) = post_json(&daemon, "/api/v1/rule-sets", &propose);
    assert_eq!(status, 201, "{set}");
    let digest =
        serde_json::from_str::<serde_json::Value>(&set).unwrap()["digest"].as_str().unwrap().to_owned();
    for step in ["approval?who=黄磊", "force?who=黄磊"] {
        let (status, said) = daemon
            .post(&format!("/api/v1/rule-sets/{digest}/{}", step.replace("黄磊", "%E9%BB%84%E7%A3%8A")), "");
        assert_eq!(status, 200, "{said}");
    }
    assert_eq!(daemon.json("/api/v1/rules/large-cash")["params"]["limit"], "12345");
}
