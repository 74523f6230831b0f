//! Rules and lists that are broken when they are read again: the old ones stay, and everybody is told why.

use serde_json::json;

use crate::support::{Bench, Daemon, lines, payment, wait_until, write};

const RULES: &str = "
rules:
  - { id: listed, severity: high, trigger: payment, when: \"in_list('black', payee_name)\", key: [unit_code] }
";

fn found(daemon: &Daemon, id: &str, payee: &str) -> bool {
    let mut event = payment(id, "L1", "1.00");
    event["payee_name"] = json!(payee);
    assert_eq!(daemon.post("/api/v1/events", &lines(&[event])).0, 200);
    let findings = daemon.json(&format!("/api/v1/findings?event={id}"));
    !findings["findings"].as_array().unwrap().is_empty()
}

fn last_reload(daemon: &Daemon) -> String {
    let metrics = daemon.get("/metrics").1;
    let name = "fiscwatch_config_last_reload_successful ";
    metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned()
}

#[test]
fn broken_files_change_nothing_and_say_why() {
    let bench = Bench::new("", "state: { dir: state }\nlists: { black: { path: black.csv } }\n");
    write(bench.path(), "rules/rules.yaml", RULES);
    write(bench.path(), "black.csv", "name\n甲\n");
    let daemon = Daemon::start(bench.path());
    assert!(found(&daemon, "a", "甲") && !found(&daemon, "b", "乙"));
    let mut id = 0;
    for (file, broken, why) in [
        ("black.csv", &b"name\n\xff\xfe\n"[..], "black.csv"),
        ("black.csv", b"name\n\"half a ro", "black.csv"),
        ("black.csv", b"name\nx,y\n", "black.csv:2"),
        ("black.csv", b"", "black.csv:1"),
        ("rules/rules.yaml", b"rules:\n  - { id: listed, trigger: pay", "rules.yaml:"),
        ("rules/rules.yaml", b"\xff\xfe", "rules.yaml"),
        (
            "rules/rules.yaml",
            b"rules: [{ id: x, trigger: payment, when: nonsense > 1, key: [] }]",
            "nonsense",
        ),
        ("fiscwatch.yaml", b"stat: {}", "fiscwatch.yaml"),
    ] {
        let path = bench.path().join(file);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, broken).unwrap();
        let (status, answer) = daemon.post("/-/reload", "");
        if file == "black.csv" && broken == b"name\n\"half a ro" && status == 200 {
            // An unfinished quote is a row for the CSV reader; the list is what it says.
            std::fs::write(&path, good).unwrap();
            assert_eq!(daemon.post("/-/reload", "").0, 200);
            continue;
        }
        assert_eq!(status, 422, "{file}: {answer}");
        assert!(answer.contains("the old rules stay in force") && answer.contains(why), "{file}: {answer}");
        assert_eq!(last_reload(&daemon), "0", "{file}");
        id += 1;
        assert!(found(&daemon, &format!("c{id}"), "甲"), "{file}");
        assert!(!found(&daemon, &format!("d{id}"), "乙"), "{file}");
        std::fs::write(&path, good).unwrap();
        assert_eq!(daemon.post("/-/reload", "").0, 200, "{file}");
        assert_eq!(last_reload(&daemon), "1", "{file}");
    }
    // By a signal the log says it.
    std::fs::remove_file(bench.path().join("black.csv")).unwrap();
    let pid = daemon.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    wait_until(|| last_reload(&daemon) == "0");
    wait_until(|| daemon.log.try_iter().any(|line| line.contains("reload refused, the old rules stay")));
    assert!(found(&daemon, "e", "甲"));
}

#[test]
fn a_list_whose_file_changes_is_read_by_itself_if_it_is_whole() {
    let bench = Bench::new("", "state: { dir: state }\nlists: { black: { path: black.csv } }\n");
    write(bench.path(), "rules/rules.yaml", RULES);
    write(bench.path(), "black.csv", "name\n甲\n");
    let daemon = Daemon::start(bench.path());
    write(bench.path(), "black.csv", "name\nx,y\n");
    wait_until(|| last_reload(&daemon) == "0");
    assert!(found(&daemon, "a", "甲"));
    write(bench.path(), "black.csv", "name\n乙\n");
    wait_until(|| last_reload(&daemon) == "1");
    assert!(found(&daemon, "b", "乙") && !found(&daemon, "c", "甲"));
}
