//! What somebody wants done with an alert, and why it is refused.

use super::super::{Action, BY_ITSELF, casework::Terms, inquiry::Letter};
use crate::{event::normal_name, say};

/// Why an officer's action is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The state does not allow it.
    #[error("{0}")]
    State(String),
    /// Somebody else changed the alert meanwhile.
    #[error("{}", changed_meanwhile(*now, *seen))]
    Version {
        /// The version it is at.
        now: i64,
        /// The version that was given.
        seen: i64,
    },
    /// The action lacks what it has to come with, such as a reason.
    #[error("{0}")]
    Missing(String),
}

fn changed_meanwhile(now: i64, seen: i64) -> String {
    say!(
        "the alert was changed meanwhile: it is at version {now}, you saw {seen}. Look at it again, then decide",
        now,
        seen
    )
}

/// What an officer wants done with an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The transition that is asked for.
    pub action: Action,
    /// The officer who asks, for the history.
    pub who: String,
    /// The reason that the history shows, where one is needed.
    pub why: Option<String>,
    /// The version that the officer saw; `None` takes whatever there is.
    pub version: Option<i64>,
    /// The letter that goes out, for [`Action::Inquire`].
    pub letter: Option<Letter>,
    /// To whom, by when, with what outcome.
    pub terms: Terms,
}

/// Longest name and longest reason of an officer, in characters.
const WHO_MAX: usize = 100;

const WHY_MAX: usize = 4000;

/// An officer's name without the blanks around it: one line of a bounded length.
///
/// # Errors
/// If it is not that.
pub fn name(text: &str) -> Result<&str, String> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > WHO_MAX || name.chars().any(char::is_control) {
        return Err(say!("say who you are, in one line of 1 to {most} characters", most = WHO_MAX));
    }
    // However it is written: wide, in other cases, with characters that nobody sees.
    if normal_name(name) == normal_name(BY_ITSELF) {
        return Err(say!(
            "{name} is the name under which the daemon itself acts; act under your own: --by, or `who` in a request",
            name
        ));
    }
    Ok(name)
}

/// An officer's words without the blanks around them: lines of a bounded length; empty if there are none.
///
/// # Errors
/// If it is too long, or has characters that steer a terminal.
pub fn reason(text: &str) -> Result<String, String> {
    let reason = text.trim().replace("\r\n", "\n");
    if reason.chars().count() > WHY_MAX {
        return Err(say!(
            "the reason may have {most} characters; keep longer papers in their own file",
            most = WHY_MAX
        ));
    }
    if reason.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(say!("the reason may have line breaks, but no other control characters"));
    }
    Ok(reason)
}
