//! Bodies of requests to a running daemon.

use super::{fuzz, json::is_record, seeds};
use crate::support::{Bench, Daemon};

#[test]
fn bodies_are_answered_with_what_became_of_every_record() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let told = std::cell::Cell::new([0u64; 3]);
    fuzz("http", 60, &seeds("json"), |input, _| {
        let (status, answer) = daemon.post_bytes("/api/v1/events", input);
        let end = if input.contains(&b'\n') { b'\n' } else { b'\r' };
        let lines = || input.split(|b| *b == end).filter(|line| is_record(line));
        // One value over several lines is one record.
        let is_one = serde_json::from_slice::<serde::de::IgnoredAny>(input).is_ok();
        let records = if is_one { 1 } else { lines().count() as u64 };
        if input.iter().all(u8::is_ascii_whitespace) {
            return assert_eq!(status, 400, "{answer}");
        }
        // A body that is wrong as a whole is refused, and nothing of it is counted.
        if status == 400 {
            return assert!(answer.contains("the body is refused"), "{answer}");
        }
        assert_eq!(status, 200, "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let counts = ["accepted", "duplicates", "rejected"].map(|name| answer[name].as_u64().unwrap());
        assert_eq!(counts.iter().sum::<u64>(), records, "{answer}");
        let before = told.get();
        told.set([0, 1, 2].map(|at| before[at] + counts[at]));
    });
    let status = daemon.json("/api/v1/status");
    let since = &status["since_start"];
    let counts = ["accepted", "duplicates", "rejected"].map(|name| since[name].as_u64().unwrap());
    assert_eq!(counts, told.get());
    assert_eq!(status["journal_events"], counts[0]);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}
