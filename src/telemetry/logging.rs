//! Logging to standard error: text for people, JSON for machines, and for journald lines with a priority instead of a
//! time, which it knows better.

use std::io::{self, IsTerminal, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::config::{LogFormat, LogSpec};

/// Starts logging as the configuration says.
pub fn log(config: &LogSpec) {
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // A second start in one process (tests) keeps the first logger.
    let _ = match (config.format, is_journal()) {
        (LogFormat::Json, false) => builder.json().with_writer(io::stderr).try_init(),
        (LogFormat::Json, true) => builder.json().with_writer(Journal).try_init(),
        (LogFormat::Text, false) => {
            builder.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).try_init()
        }
        (LogFormat::Text, true) => {
            builder.without_time().with_level(false).with_ansi(false).with_writer(Journal).try_init()
        }
    };
}

/// Whether standard error goes to journald, which says so by the device and number of the socket (systemd.exec(5)).
fn is_journal() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| leads_to(&stream))
}

#[cfg(target_os = "linux")]
fn leads_to(stream: &str) -> bool {
    use std::os::linux::fs::MetadataExt;
    let is = |meta: std::fs::Metadata| format!("{}:{}", meta.st_dev(), meta.st_ino()) == stream;
    std::fs::metadata("/proc/self/fd/2").is_ok_and(is)
}

#[cfg(not(target_os = "linux"))]
fn leads_to(_stream: &str) -> bool {
    false
}

/// Standard error with the priority in front of every line, as journald reads it (sd-daemon(3)).
#[derive(Debug, Clone, Copy)]
struct Journal;

impl<'w> MakeWriter<'w> for Journal {
    type Writer = Prefixed<io::Stderr>;

    fn make_writer(&'w self) -> Self::Writer {
        Prefixed { out: io::stderr(), priority: priority(Level::INFO) }
    }

    fn make_writer_for(&'w self, meta: &Metadata<'_>) -> Self::Writer {
        Prefixed { out: io::stderr(), priority: priority(*meta.level()) }
    }
}

/// syslog's number of a level.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

struct Prefixed<W> {
    out: W,
    priority: &'static str,
}

impl<W: Write> Write for Prefixed<W> {
    /// An event comes in one piece; its further lines, if a message has several, have the same priority.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut lines = Vec::with_capacity(event.len() + 8);
        for line in event.split_inclusive(|byte| *byte == b'\n') {
            lines.extend_from_slice(self.priority.as_bytes());
            lines.extend_from_slice(line);
        }
        self.out.write_all(&lines)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_priority_of_its_event() {
        let mut writer = Prefixed { out: Vec::new(), priority: priority(Level::WARN) };
        writer.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(writer.out, b"<4>one\n<4>two\n");
    }
}
