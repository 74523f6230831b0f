//! Servers that run as processes of their own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::Value;

/// A process; killed when dropped.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The real mail server and what it has received.
pub struct MailServer {
    pub port: u16,
    lines: Receiver<String>,
    _process: Process,
}

impl MailServer {
    /// `kind` is plain, starttls or tls; `login` is what it insists on. `None` where it is not installed.
    pub fn start(kind: &str, login: &[&str]) -> Option<Self> {
        let python = super::service(&["target/services/venv/bin/python"])?;
        let root = env!("CARGO_MANIFEST_DIR");
        let mut child = Command::new(python)
            .arg(format!("{root}/tests/integration/notify/server.py"))
            .arg(kind)
            .arg(format!("{root}/tests/integration/fixtures/tls/server.pem"))
            .arg(format!("{root}/tests/integration/fixtures/tls/server.key"))
            .args(login)
            .env("PYTHONIOENCODING", "utf-8")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let process = Process(child);
        let port = lines.recv_timeout(Duration::from_mins(1)).unwrap().parse().unwrap();
        Some(Self { port, lines, _process: process })
    }

    /// The next mail, parsed.
    pub fn mail(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(Duration::from_mins(1)).unwrap()).unwrap()
    }

    pub fn nothing_more(&self) -> bool {
        self.lines.try_recv().is_err()
    }
}
