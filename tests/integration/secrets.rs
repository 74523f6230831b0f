//! What somebody logs in with stands in no place of the system that others can read: not in what the kernel tells of the
//! process, not in a core, not in the log and the state.

use std::{
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Command, Stdio},
};

use fiscwatch::{
    access::{Actor, Role, Roles},
    event::Instant,
    store::{Accounts, Store, TokenSpec},
};
use serde_json::json;

use crate::support::{Bench, Daemon, agent, fiscwatch, free_port, run, wait_until, write};

const PASSWORD: &str = "vier blaue Dosen im Wald 4711";
/// A user that every system has and who is not root.
const DAEMON: u32 = 1;

fn bench() -> (Bench, String) {
    let bench = Bench::new("", "");
    write(
        bench.path(),
        "fiscwatch.yaml",
        "state: { dir: state }\nhttp: { listen: '127.0.0.1:0', auth: true }\nlog: { level: trace }\n",
    );
    let state = bench.path().join("state");
    drop(Store::open(&state).unwrap());
    write(bench.path(), "password", PASSWORD);
    for (user, role) in [("safe", "security"), ("wang.fang", "officer")] {
        let add = [
            "user",
            "add",
            user,
            "--role",
            role,
            "--password-file",
            "password",
            "--config",
            "fiscwatch.yaml",
        ];
        let (code, _, err) = run(bench.path(), &add);
        assert_eq!(code, Some(0), "{err}");
    }
    std::fs::remove_file(bench.path().join("password")).unwrap();
    let roles = Roles::of_program([Role::Read]).unwrap();
    let spec = TokenSpec {
        name: String::from("reader"),
        owner: None,
        roles,
        expires_at: fiscwatch::event::Instant::MAX,
    };
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let token = Accounts::open(&state).unwrap().add_token(&spec, &by, Instant::from_micros(1)).unwrap().text;
    (bench, token)
}

/// Logs in, and uses a token.
fn sign_in(daemon: &Daemon, token: &str) {
    let login = json!({ "user": "wang.fang", "password": PASSWORD }).to_string();
    let post =
        agent().post(format!("{}/api/v1/session", daemon.address)).header("content-type", "application/json");
    assert_eq!(post.send(login).unwrap().status(), 200);
    let get = agent().get(format!("{}/api/v1/rules", daemon.address));
    assert_eq!(get.header("authorization", format!("Bearer {token}")).call().unwrap().status(), 200);
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    memchr::memmem::find(bytes, secret.as_bytes()).is_some()
}

/// The secret part of a token.
fn secret(token: &str) -> &str {
    token.rsplit('_').next().unwrap()
}

#[test]
fn the_kernel_tells_nobody_and_no_core_is_left() {
    let (bench, token) = bench();
    let daemon = Daemon::start(bench.path());
    sign_in(&daemon, &token);
    let pid = daemon.child.id();
    for told in ["cmdline", "environ", "status", "limits", "maps"] {
        let bytes = std::fs::read(format!("/proc/{pid}/{told}")).unwrap_or_default();
        assert!(!holds(&bytes, PASSWORD) && !holds(&bytes, secret(&token)), "{told}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    let mut daemon = daemon;
    assert!(Command::new("kill").args(["-ABRT", &pid.to_string()]).status().unwrap().success());
    let ended = daemon.child.wait().unwrap();
    assert!(ended.signal() == Some(6) && !ended.core_dumped(), "{ended}");
    let log: String = daemon.log.try_iter().collect();
    assert!(!holds(log.as_bytes(), PASSWORD) && !holds(log.as_bytes(), secret(&token)), "in the log");
    let left = crate::support::source_files(bench.path());
    assert!(
        left.iter().all(|(path, _)| !path.file_name().unwrap().to_string_lossy().contains("core")),
        "{left:?}"
    );
    for file in std::fs::read_dir(bench.path().join("state")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!holds(&bytes, PASSWORD) && !holds(&bytes, secret(&token)), "in {}", path.display());
    }
}

fn shell(dir: &Path, user: u32, script: &str) -> bool {
    let mut command = Command::new("sh");
    command
        .current_dir(dir)
        .args(["-c", script])
        .uid(user)
        .gid(user)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().unwrap().success()
}

/// The daemon's own user has its files. Its memory is not even theirs.
#[test]
fn not_even_its_own_user_reads_its_memory() {
    if !shell(Path::new("/"), DAEMON, "true") {
        println!("skipped: only root can be another user");
        return;
    }
    let (bench, token) = bench();
    let dir = bench.path();
    std::fs::copy(fiscwatch().get_program(), dir.join("fiscwatch")).unwrap();
    let own = Command::new("chown").args(["-R", &format!("{DAEMON}:{DAEMON}")]).arg(dir).status().unwrap();
    assert!(own.success());
    let port = free_port();
    let mut command = Command::new(dir.join("fiscwatch"));
    command.current_dir(dir).args(["run", "--config", "fiscwatch.yaml"]).uid(DAEMON).gid(DAEMON);
    command.env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}")).stderr(Stdio::null());
    let daemon = Daemon::adopt(command.spawn().unwrap(), port);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    sign_in(&daemon, &token);
    let pid = daemon.child.id();
    // A process that hides nothing, to know that the test could fail.
    let open = Command::new("sleep").arg("60").uid(DAEMON).gid(DAEMON).spawn().unwrap();
    for (of, may) in [(open.id(), true), (pid, false)] {
        assert_eq!(shell(dir, DAEMON, &format!("cat /proc/{of}/environ")), may, "its variables: {of}");
        assert_eq!(shell(dir, DAEMON, &format!("cat /proc/{of}/maps")), may, "its memory: {of}");
        assert_eq!(shell(dir, DAEMON, &format!("ls /proc/{of}/fd/")), may, "its files: {of}");
    }
    // Where it is installed, and the machine lets users trace their own.
    if shell(dir, DAEMON, &format!("gcore -o core {}", open.id())) {
        let core = format!("gcore -o core {pid} && test -s core.{pid}");
        assert!(!shell(dir, DAEMON, &core), "a core by its own user");
    }
    let mut open = open;
    open.kill().unwrap();
    open.wait().unwrap();
}
