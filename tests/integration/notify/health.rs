//! What is wrong with the daemon itself reaches people though a sink is dead, and the dead man's switch hears of it.

use serde_json::json;

use super::receiver::receiver;
use crate::support::{Bench, Daemon, wait_until};

#[test]
fn a_daemon_that_is_unwell_says_so_past_the_outbox_and_the_sink_that_is_dead() {
    let (port, received, _) = receiver();
    let bench = Bench::new(
        "",
        &format!(
            "state: {{ dir: state }}
sinks:
  - {{ name: dead, webhook: {{ url: 'http://127.0.0.1:1/' }} }}
  - {{ name: hook, webhook: {{ url: 'http://127.0.0.1:{port}/hook' }} }}
alerts:
  watch: {{ rejects_per_hour: 1, disk_free_mib: 0, silent_after: never }}
  heartbeat: {{ url: 'http://127.0.0.1:{port}/beat', every: 1s }}
"
        ),
    );
    let daemon = Daemon::start(bench.path());
    let bodies = |path: &str| -> Vec<_> {
        let received = received.lock();
        received.iter().filter(|(at, _)| at == path).map(|(_, body)| body.clone()).collect()
    };
    wait_until(|| bodies("/beat").iter().any(|beat| beat["unwell"] == json!([]) && beat["ready"] == true));
    assert_eq!(bodies("/hook").len(), 0);

    assert_eq!(daemon.post("/api/v1/events", "garbage\n").0, 200);
    wait_until(|| !bodies("/hook").is_empty());
    let told = &bodies("/hook")[0];
    assert_eq!(told["reason"], "daemon", "{told}");
    assert!(told["message"].as_str().unwrap().contains("1 records put into quarantine"), "{told}");
    wait_until(|| bodies("/beat").iter().any(|beat| beat["unwell"] == json!(["quarantine"])));
    assert!(daemon.get("/metrics").1.contains("fiscwatch_unwell{trouble=\"quarantine\"} 1"));
    assert_eq!(daemon.json("/api/v1/notifications")["notifications"], json!([]), "it went past the outbox");
}
