//! What a daemon meets only while it runs is looked at before: files that it needs later, addresses, and how it logs.

use crate::support::{Bench, run, write};

/// `check` accepts nothing that a start refuses, or that fails unseen when it is first needed.
#[test]
fn check_and_run_agree_on_what_is_met_later() {
    let bench = Bench::new("", "");
    let d = bench.path();
    let text = "rules: { paths: [rules] }\nstate: { dir: state }\nsources: [{ name: feed, file: { path: events.jsonl } }]\n";
    write(d, "none.pem", "no certificate");
    std::fs::create_dir(d.join("folder")).unwrap();
    let long = "x".repeat(120);
    for (more, told) in [
        ("log: { level: inof }".to_owned(), "log.level: \"inof\" is no level"),
        ("log: { level: '' }".to_owned(), "log.level: \"\" is no level"),
        (
            "log: { level: 'info,fiscwatch=warning' }".to_owned(),
            "log.level: \"fiscwatch=warning\" is no level",
        ),
        (
            "http: { listen: 127.0.0.1:29611, scrape: '127.0.0.1:29611' }".to_owned(),
            "http.scrape and http.listen are one address",
        ),
        ("http: { socket: none/s.sock }".to_owned(), "none: it is not there"),
        ("http: { socket: none.pem }".to_owned(), "there is something else at this path"),
        (format!("http: {{ socket: {long} }}"), "longer than 107 bytes"),
        ("audit: { key_file: none.pem }".to_owned(), "holds no key of the audit log"),
        ("audit: { key_file: none/key }".to_owned(), "none: it is not there"),
        ("audit: { head_file: folder }".to_owned(), "folder: it is a folder"),
    ] {
        write(d, "wrong.yaml", &format!("{text}\n{more}\n"));
        let (code, _, err) = run(d, &["check", "--config", "wrong.yaml"]);
        assert!(code == Some(1) && err.contains(told), "{more}: {err}");
        let (code, _, err) = run(d, &["run", "--once", "--config", "wrong.yaml"]);
        assert!(code == Some(1) && err.contains(told), "{more}: {err}");
    }
    write(
        d,
        "right.yaml",
        &format!(
            "{text}\nlog: {{ level: 'warn,fiscwatch=debug' }}\naudit: {{ key_file: new.key, head_file: new.head }}\n"
        ),
    );
    let (code, _, err) = run(d, &["check", "--config", "right.yaml"]);
    assert_eq!(code, Some(0), "{err}");
}
