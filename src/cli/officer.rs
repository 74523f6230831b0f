//! What the commands of officers share: who acts, and how values are shown on a terminal.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use crate::{
    clock::{Clock, SystemClock},
    say,
};

/// Who acts.
#[derive(Debug, Args)]
pub struct Officer {
    /// Who does it; the one who is logged in, without it
    #[arg(long = "by", value_name = "NAME", env = "USER", hide_env_values = true)]
    name: Option<String>,
}

impl Officer {
    /// The name as given, or else the system's: a scheduled job may run without `USER`.
    ///
    /// # Errors
    /// If nobody knows, as in a container whose user has no entry.
    pub fn name(&self) -> anyhow::Result<String> {
        let given = self.name.clone().filter(|name| !name.trim().is_empty());
        let name = given.or_else(logged_in).unwrap_or_default();
        match name.trim() {
            "" => Err(anyhow::anyhow!(say!("this system does not know who you are: say it with --by NAME"))),
            name => Ok(name.to_owned()),
        }
    }
}

/// The name of the system's user, wherever the system has it from.
fn logged_in() -> Option<String> {
    let asked = std::process::Command::new("id").arg("-un").output().ok()?;
    String::from_utf8(asked.stdout).ok().filter(|_| asked.status.success())
}

/// Now, in microseconds.
pub fn now() -> i64 {
    SystemClock.now()
}

/// Says what is wrong with the arguments.
pub fn wrong_usage(message: &str) -> ExitCode {
    eprintln!("fiscwatch: {message}");
    ExitCode::from(2)
}

/// Text of data on one line of a bounded length: nothing in it can steer the terminal.
pub fn line(text: &str, characters_max: usize) -> String {
    let mut line: String =
        text.chars().map(|c| if steers(c) { ' ' } else { c }).take(characters_max + 1).collect();
    if line.chars().count() > characters_max {
        line.pop();
        line.push('…');
    }
    line
}

/// The same for officers' words, which may have several lines.
pub fn lines(text: &str) -> String {
    text.lines().map(|part| line(part, usize::MAX - 1)).collect::<Vec<_>>().join("\n")
}

/// Control characters, and those that turn the direction of what follows.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A severity's word in both languages.
pub fn severity(word: &str) -> String {
    let zh = match word {
        "critical" => "红",
        "high" => "橙",
        "medium" => "黄",
        "low" => "蓝",
        _ => "",
    };
    format!("{word} {zh}")
}

/// `unit_code=101001 amount=60.00`
pub fn pairs(object: &Map<String, Value>) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let pairs: Vec<_> = object.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
    pairs.join(" ")
}

/// A span of time in its largest unit: `45s`, `12m`, `5h`, `3d`.
pub fn span(micros: i64) -> String {
    let seconds = micros.max(0) / 1_000_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_steer_the_terminal() {
        assert_eq!(line("a\u{1b}[2Jb\r\nc\u{202e}d", 100), "a [2Jb  c d");
        assert_eq!(line("预警预警", 3), "预警预…");
        assert_eq!(line("预警预", 3), "预警预");
        assert_eq!(lines("one\r\ntwo\u{7}"), "one\ntwo ");
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let spans = [59, 60, 3_600, 86_400, 172_800].map(|s| span(s * 1_000_000));
        assert_eq!(spans, ["59s", "1m", "1h", "24h", "2d"]);
    }
}
