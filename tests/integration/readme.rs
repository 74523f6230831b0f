//! What the README tells a newcomer to paste works as it stands, in an empty folder.

use std::{path::Path, process::Command};

use crate::support::{Daemon, fiscwatch, free_port};

/// The indented lines of a section of the README, a block of them at a time.
fn blocks(section: &str) -> Vec<Vec<String>> {
    let readme = include_str!("../../README.md");
    let text = readme.split("\n## ").find(|part| part.starts_with(section));
    let text = text.unwrap_or_else(|| panic!("the README has no section {section:?}"));
    let mut blocks = vec![Vec::new()];
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(command) => blocks.last_mut().unwrap().push(command.to_owned()),
            None if !blocks.last().unwrap().is_empty() => blocks.push(Vec::new()),
            None => {}
        }
    }
    blocks
}

/// A shell that finds the binary as `fiscwatch`, and whose daemon listens on a port that is free. `USER` is not set.
fn shell(folder: &Path, port: u16, script: &str) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_fiscwatch")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.current_dir(folder).env("PATH", path).env_remove("USER");
    shell.env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"));
    shell.args(["-euc", &script.replace("127.0.0.1:9464", &format!("127.0.0.1:{port}"))]);
    shell
}

#[test]
fn the_first_commands_work_word_for_word() {
    let blocks = blocks("Your first findings in five minutes");
    let begins = |start: &str| blocks.iter().find(|block| block.first().is_some_and(|line| line == start));
    let mut first = begins("fiscwatch init --example treasury").unwrap().clone();
    let second = begins("cd treasury").unwrap().join("\n");
    assert_eq!(first.pop().as_deref(), Some("fiscwatch run"), "the first terminal ends with the daemon");

    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let output = shell(folder.path(), port, &first.join("\n")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let table = ["overspent", "line-exhausted", "payee-mismatch"];
    assert!(
        table.iter().all(|rule| said.contains(rule)),
        "the backtest finds what the example plants: {said}"
    );

    let mut daemon = fiscwatch();
    daemon.current_dir(folder.path().join("treasury")).arg("run");
    daemon.env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"));
    let mut daemon = Daemon::adopt(daemon.spawn().unwrap(), port);
    assert!(daemon.ready_or_dead(), "the daemon did not start");
    crate::support::wait_until(|| daemon.get("/api/v1/findings").1.contains("\"P6\""));

    let output = shell(folder.path(), port, &second).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    for shown in ["\"accepted\":3", "超预算支出", "市第一小学"] {
        assert!(out.contains(shown), "{shown} is not in {out}");
    }
    assert!(daemon.get("/api/v1/alerts").1.contains("confirmed"), "the officer's verdict is in force");
}

#[test]
fn the_readme_shows_the_rule_that_is_shipped() {
    let shown: Vec<_> =
        include_str!("../../README.md").lines().filter_map(|line| line.strip_prefix("      ")).collect();
    for line in include_str!("../../config/example/my-rules/over.yaml").lines().skip(1) {
        assert!(shown.contains(&line), "the README does not show {line:?}");
    }
}
