//! What changes, as a browser hears of it.

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, lines, payment};

/// A stream of server-sent events.
struct Stream(BufReader<ureq::BodyReader<'static>>);

/// A message: its name, its id and its data.
type Message = (String, Option<String>, Value);

impl Stream {
    fn open(daemon: &Daemon, last: Option<&str>) -> Result<Self, u16> {
        let mut request = agent().get(format!("{}/api/v1/stream", daemon.address));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.call().unwrap();
        match answer.status().as_u16() {
            200 => Ok(Self(BufReader::new(answer.into_body().into_reader()))),
            status => Err(status),
        }
    }

    /// The next message that is no comment.
    fn next(&mut self) -> Message {
        let (mut name, mut id, mut data) = (String::new(), None, Value::Null);
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream has ended");
            match line.trim_end().split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("data", value)) => data = serde_json::from_str(value).unwrap(),
                _ if line.trim_end().is_empty() && !name.is_empty() => return (name, id, data),
                _ => {}
            }
        }
    }

    /// The next message of this name.
    fn until(&mut self, name: &str) -> Message {
        loop {
            let message = self.next();
            if message.0 == name {
                return message;
            }
        }
    }
}

fn overspend(daemon: &Daemon, line: &str) {
    let event = payment(&format!("p-{line}"), line, "110.00");
    assert_eq!(daemon.post("/api/v1/events", &lines(&[event])).0, 200);
}

#[test]
fn a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let mut stream = Stream::open(&daemon, None).unwrap();
    let (_, _, status) = stream.until("status");
    assert_eq!(status["ready"], true);
    overspend(&daemon, "L1");
    let (_, _, finding) = stream.until("finding");
    assert_eq!((&finding["rule_id"], &finding["event_id"]), (&json!("over-budget"), &json!("p-L1")));
    let (_, _, alert) = stream.until("alert");
    assert_eq!((&alert["state"], &alert["alert_id"]), (&json!("open"), &finding["alert_id"]));
    assert!(!alert.to_string().contains("33010160006"), "a stream tells nothing of persons");
    // It acts on the alert, is away while more happens, and comes back.
    let act = |action: &str| {
        let url =
            format!("{}/api/v1/alerts/{}/transitions", daemon.address, alert["alert_id"].as_str().unwrap());
        let body = json!({"action": action, "who": "li"});
        assert_eq!(agent().post(url).send_json(&body).unwrap().status(), 200);
    };
    act("acknowledge");
    let (_, last, seen) = stream.until("alert");
    assert_eq!((&seen["state"], &seen["owner"]), (&json!("acknowledged"), &json!("li")));
    let last = last.expect("the last of several messages at one place has its id");
    drop(stream);
    overspend(&daemon, "L2");
    act("confirm");
    let mut stream = Stream::open(&daemon, Some(&last)).unwrap();
    let mut missed = Vec::new();
    while missed.len() < 3 {
        let (name, _, data) = stream.next();
        if name != "status" {
            missed.push((name, data["state"].clone()));
        }
    }
    let told = |name: &str, state: Value| (name.to_owned(), state);
    let all = [told("finding", Value::Null), told("alert", json!("open")), told("alert", json!("confirmed"))];
    assert_eq!(missed, all);

    // The same, asked for.
    let changes = daemon.json(&format!("/api/v1/changes?since={last}"));
    let asked: Vec<_> = changes["changes"].as_array().unwrap().iter().map(|c| c["event"].clone()).collect();
    assert_eq!(asked, ["finding", "alert", "alert"]);
    let next = changes["next"].as_str().unwrap();
    assert_eq!(daemon.json(&format!("/api/v1/changes?since={next}"))["changes"], json!([]));
    assert_eq!(daemon.json("/api/v1/changes")["next"], next);
    // A place of another state, or none at all, begins again.
    for wrong in ["999999.1.0", "yesterday"] {
        let (name, id, _) = Stream::open(&daemon, Some(wrong)).unwrap().until("reset");
        assert_eq!((name.as_str(), id.as_deref()), ("reset", Some(next)));
    }
}

#[test]
fn streams_are_counted_and_end_with_the_daemon() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let config = "state: { dir: state }\nhttp: { listen: '127.0.0.1:0', connections: 16 }\n";
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let daemon = Daemon::start(bench.path());
    let mut open: Vec<_> = (0..4).map(|_| Stream::open(&daemon, None).unwrap()).collect();
    open.iter_mut().for_each(|stream| assert_eq!(stream.next().0, "status"));
    assert_eq!(Stream::open(&daemon, None).err(), Some(503));
    assert!(daemon.get("/metrics").1.contains("fiscwatch_http_refused_total{cause=\"streams\"} 1"));
    open.pop();
    crate::support::wait_until(|| Stream::open(&daemon, None).is_ok());
    let begun = std::time::Instant::now();
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert!(begun.elapsed() < std::time::Duration::from_secs(15), "streams hold up no stop");
}
