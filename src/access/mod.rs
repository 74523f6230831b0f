//! Who may do what: identities, roles and actions, and the one place that decides. Who somebody is stands in the
//! store, and is asked there; only `link.rs` and `seal.rs` read and make files, those of keys.

mod action;
mod limits;
mod link;
pub(crate) mod login;
mod password;
pub(crate) mod provider;
mod rate;
mod role;
pub(crate) mod seal;
mod secret;
pub(crate) mod session;
mod throttle;
mod totp;
pub(crate) mod trees;

pub use action::{Action, decide};
pub(crate) use limits::Below;
pub use limits::Limits;
pub use link::{LINK_KEY, LinkKey, link_digest};
pub use password::Password;
pub use rate::Rates;
pub use role::{Role, Roles};
pub use seal::SealKey;
pub use secret::{NewToken, SecretDigest, is_same, presented, presented_cookie};
pub use session::Session;
pub use throttle::{RetryAfter, Throttle, network};
pub use totp::SecondFactor;
pub use trees::LimitScope;

use crate::{
    event::{Instant, TimeDelta},
    say,
};

/// Somebody who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's or token's name.
    pub name: String,
    /// Whether it is a program.
    pub is_program: bool,
    pub(crate) roles: Roles,
}

impl Identity {
    /// What tells it from all others: a program may have the name of a person.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", if self.is_program { "token" } else { "user" }, self.name)
    }
}

/// A person with roles, as `access` knows them.
#[derive(Debug, Clone)]
pub struct User {
    /// As the proxy, or the operating system, names them.
    pub name: String,
    pub(crate) roles: Roles,
    /// When they were added.
    pub created_at: Instant,
    pub(crate) created_by: String,
    /// Since when they may nothing.
    pub disabled_at: Option<Instant>,
    /// When they were here last, to the minute.
    pub seen_at: Option<Instant>,
}

impl User {
    /// What they are while they are not disabled.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let identity = Identity { name: self.name.clone(), is_program: false, roles: self.roles.clone() };
        self.disabled_at.is_none().then_some(identity)
    }
}

/// A token, without its secret.
#[derive(Debug, Clone)]
pub struct Token {
    /// Names it in lists and in the log, where its secret must not stand.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Whose it is; a program's if it is nobody's.
    pub owner: Option<String>,
    /// What a program may with it; who uses a person's token may what that person may.
    pub roles: Roles,
    /// When it was made.
    pub created_at: Instant,
    pub(crate) created_by: String,
    /// Until when it is good.
    pub expires_at: Instant,
    /// When it was revoked.
    pub revoked_at: Option<Instant>,
    /// When it was used last, to the minute.
    pub used_at: Option<Instant>,
}

impl Token {
    /// Whether it is good for anything.
    #[must_use]
    pub fn is_good(&self, now: Instant) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// What becomes of it in one word.
    #[must_use]
    pub fn state(&self, now: Instant) -> &'static str {
        match (self.revoked_at, now < self.expires_at) {
            (Some(_), _) => "revoked",
            (None, false) => "expired",
            (None, true) => "good",
        }
    }
}

/// The longest life of a token.
const TOKEN_LASTS: TimeDelta = TimeDelta::days(400);

/// A life that a token may have.
///
/// # Errors
/// If it is none, or too long.
pub fn token_lasts(lasts: std::time::Duration) -> Result<TimeDelta, String> {
    let lasts = TimeDelta::of(lasts);
    match (TimeDelta::MICROSECOND..=TOKEN_LASTS).contains(&lasts) {
        true => Ok(lasts),
        false => Err(say!("a token is good for 1s to 400d")),
    }
}

/// The most characters of a name.
const NAME_MAX: usize = 64;

/// A name that a user or token may have: it stands in logs and in the histories of alerts.
///
/// # Errors
/// If it is empty, too long, or has blanks or signs that are not seen.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=NAME_MAX).contains(&name.chars().count());
    match fits && name.chars().all(|c| !c.is_whitespace() && !c.is_control()) {
        true => Ok(()),
        false => Err(say!("a name has 1 to {most} characters and no blanks", most = NAME_MAX)),
    }
}

/// Who does something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name in the audit log and in histories.
    pub who: String,
    /// The address or the system's user.
    pub place: String,
}

impl Actor {
    /// Whoever acts where no person does: the daemon itself.
    #[must_use]
    pub fn daemon() -> Self {
        Self { who: String::from("fiscwatch"), place: String::from("daemon") }
    }
}
