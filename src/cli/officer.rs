//! What the commands of officers share: who acts, and how values are shown on a terminal.

use std::process::ExitCode;

use clap::Args;

use super::{
    local::local,
    table::{cut, visible},
};
use crate::{
    access::Actor,
    clock::{Clock, SystemClock},
    config::Config,
    event::{Instant, TimeDelta},
    say,
    text::quoted,
};

/// Who acts.
#[derive(Debug, Args)]
pub(crate) struct Officer {
    /// Who does it; the one who is logged in, without it
    #[arg(long = "by", value_name = "NAME", env = "USER", hide_env_values = true)]
    name: Option<String>,
}

impl Officer {
    /// The name as given, or else the system's: a scheduled job may run without `USER`.
    ///
    /// # Errors
    /// If nobody knows, as in a container whose user has no entry.
    pub(crate) fn name(&self, config: &Config) -> anyhow::Result<String> {
        if config.clients.auth || config.clients.socket.is_some() {
            return self.known();
        }
        // A variable may be set to nothing; a name of blanks is somebody's mistake.
        // A variable may be set to nothing. A name of blanks is refused where every name is judged.
        let given = self.name.as_deref().filter(|name| !name.is_empty()).map(|name| name.trim().to_owned());
        given.or_else(logged_in).ok_or_else(|| {
            anyhow::anyhow!(say!("this system does not know who you are: say it with --by NAME"))
        })
    }
}

impl Officer {
    /// Where people are told apart, nobody acts as somebody else.
    fn known(&self) -> anyhow::Result<String> {
        let who = local().who;
        let usual = std::env::var("USER").ok();
        match self.name.as_ref().is_none_or(|given| *given == who || Some(given) == usual.as_ref()) {
            true => Ok(who),
            false => Err(anyhow::anyhow!(say!(
                "you are logged in as {who} and cannot act as somebody else; leave out --by",
                who = quoted(&who)
            ))),
        }
    }

    /// Who acts, and from where, for what is recorded.
    ///
    /// # Errors
    /// If nobody knows.
    pub(crate) fn actor(&self, config: &Config) -> anyhow::Result<Actor> {
        Ok(Actor { who: self.name(config)?, place: local().place })
    }
}

/// The name of the system's user, wherever the system has it from.
fn logged_in() -> Option<String> {
    let asked = std::process::Command::new("id").arg("-un").output().ok()?;
    let name = String::from_utf8(asked.stdout).ok().filter(|_| asked.status.success())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

pub(crate) fn now() -> Instant {
    SystemClock.now()
}

/// Says what is wrong with the arguments.
pub(crate) fn wrong_usage(message: &str) -> ExitCode {
    eprintln!("fiscwatch: {message}");
    ExitCode::from(2)
}

/// Text of data on one line of a bounded length: nothing in it can steer the terminal.
pub(crate) fn line(text: &str, columns_max: usize) -> String {
    cut(&visible(text), columns_max).into_owned()
}

/// A span of time in its largest unit: `45s`, `12m`, `5h`, `3d`.
pub(crate) fn span(length: TimeDelta) -> String {
    let seconds = length.max(TimeDelta::ZERO).as_seconds();
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
    fn spans_are_told_in_their_largest_unit() {
        let spans = [59, 60, 3_600, 86_400, 172_800].map(|s| span(TimeDelta::from_micros(s * 1_000_000)));
        assert_eq!(spans, ["59s", "1m", "1h", "24h", "2d"]);
    }
}
