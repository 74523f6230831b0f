//! Over S3's protocol, with a real server: Versity's gateway over a folder where it is, which checks signatures; else moto.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{Machines, expected, has_read, hasty, state};
use crate::{
    notify::service,
    support::{Daemon, append, assert_same, free_port, lines, random_events, run, wait_until},
};

struct Server {
    child: Child,
    port: u16,
    /// Whether it looks at keys.
    checks_keys: bool,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that a variable names, or that is at a place.
fn named(variable: &str, place: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from);
    let usual = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(place);
    given.or_else(|| usual.exists().then_some(usual))
}

fn server() -> Option<Server> {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let gateway = named("VERSITYGW", "target/services/versitygw/versitygw");
    let checks_keys = gateway.is_some();
    let mut command = match gateway {
        Some(program) => {
            let mut command = Command::new(program);
            command
                .args(["--access", "officer", "--secret", "a-secret-key"])
                .args(["--port", &format!("127.0.0.1:{port}"), "posix"])
                .arg(dir.path());
            // A bucket is a folder.
            std::fs::create_dir(dir.path().join("treasury")).unwrap();
            command
        }
        None => {
            let usual = named("MOTO", "target/services/moto/bin/moto_server");
            let program = usual.or_else(|| service(&["target/services/moto/bin/moto_server"]))?;
            let mut command = Command::new(program);
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        }
    };
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    if !checks_keys {
        let made = crate::support::agent().put(format!("http://127.0.0.1:{port}/treasury")).send_empty();
        assert_eq!(made.unwrap().status(), 200);
    }
    Some(Server { child, port, checks_keys, _dir: dir })
}

fn replicate(server: &Server, bucket: &str, key_id: &str, secret: &str) -> String {
    format!(
        "to: 's3://{bucket}/state/4201', endpoint: 'http://127.0.0.1:{}', key_id: {key_id}, secret: {secret}, when_away: wait, takeover_after: 5s",
        server.port
    )
}

#[test]
fn another_machine_goes_on_from_a_bucket() {
    let Some(server) = server() else { return };
    let machines = Machines::new("wait");
    let right = replicate(&server, "treasury", "officer", "a-secret-key");
    let mut machine = machines.machine_with("m0", &right);
    let mut daemon = Daemon::start(&machine);
    for (n, part) in random_events(21, 1200).chunks(400).enumerate() {
        append(&machines.feed(), &lines(part));
        std::thread::sleep(Duration::from_millis(300 * n as u64));
        drop(daemon);
        std::fs::remove_dir_all(machine.join("state")).unwrap();
        machine = machines.machine_with(&format!("m{}", n + 1), &right);
        daemon = hasty(&machine);
        wait_until(|| daemon.get("/-/ready").0 == 200);
    }
    wait_until(|| has_read(&machine, machines.feed().metadata().unwrap().len()));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_same(&state(&machine), &expected(&machines.bench, &machines.feed()), "after three machines");
    let (code, _, err) = run(
        &machine,
        &[
            "state",
            "restore",
            "--from",
            "s3://treasury/state/4201",
            "--to",
            "copy",
            "--config",
            "fiscwatch.yaml",
        ],
    );
    assert_eq!(code, Some(0), "{err}");
}

#[test]
fn what_is_wrong_with_a_bucket_is_said_in_our_words() {
    let Some(server) = server() else { return };
    let machines = Machines::new("wait");
    for (bucket, id, secret, said) in [
        ("nowhere", "officer", "a-secret-key", "there is no bucket nowhere"),
        ("treasury", "stranger", "a-secret-key", "does not know the key's id"),
        ("treasury", "officer", "another-key", "the secret of the key is a wrong one"),
    ] {
        if bucket == "treasury" && !server.checks_keys {
            continue;
        }
        let machine = machines.machine_with("m", &replicate(&server, bucket, id, secret));
        let (code, out, err) = run(&machine, &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1), "{out}{err}");
        assert!(err.contains(said), "{said}: {err}");
        assert!(!err.contains("a-secret-key"), "{err}");
    }
}
