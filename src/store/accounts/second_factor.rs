//! 动态口令 in the store: who has a second factor, who must have one, and which codes were used.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::{AccountError, Accounts, sessions, tell};
use crate::{
    access::Actor,
    event::Instant,
    say,
    store::{
        StoreError,
        checksums::{self, Summed},
    },
    text::quoted,
};

/// How somebody stands with a second factor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Factor {
    /// Whether this user must have one, whatever the configuration says.
    pub is_required: bool,
    /// The secret, in Base32.
    secret: Option<String>,
    /// Since when codes are asked for.
    since: Option<i64>,
    /// Whether they log in elsewhere, where a second factor is asked for or not.
    is_elsewhere: bool,
}

impl Factor {
    pub(super) const COLUMNS: &str = "totp_required, totp, totp_at";

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            is_required: row.get("totp_required")?,
            secret: row.get("totp")?,
            since: row.get("totp_at")?,
            is_elsewhere: false,
        })
    }

    /// Of somebody without a password.
    pub(super) fn elsewhere() -> Self {
        Self { is_elsewhere: true, ..Self::default() }
    }

    /// Whether they log in elsewhere: nothing is asked for here then.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// The secret whose codes are asked for.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        self.secret.as_deref().filter(|_| self.since.is_some())
    }

    /// The secret that waits for its first code.
    #[must_use]
    pub fn offered(&self) -> Option<&str> {
        self.secret.as_deref().filter(|_| self.since.is_none())
    }

    /// Whether one must be set up before anything else.
    #[must_use]
    pub fn is_missing(&self, by_configuration: bool) -> bool {
        (self.is_required || by_configuration) && self.secret().is_none() && !self.is_elsewhere
    }
}

impl Accounts {
    /// How all users who have a password stand with a second factor, by name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn factors(&self) -> Result<BTreeMap<String, Factor>, StoreError> {
        let sql = format!("SELECT name, {} FROM credentials", Factor::COLUMNS);
        let row = |row: &Row<'_>| Ok((row.get("name")?, Factor::read(row)?));
        self.cases.read(|c| c.prepare_cached(&sql)?.query_map([], row)?.collect())
    }

    /// How a user stands with a second factor; `None` if they have no password.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn factor(&self, user: &str) -> Result<Option<Factor>, StoreError> {
        self.cases.read(|c| find(c, user))
    }

    /// Uses the code of a step, which is not good again; whether it was good.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn use_code(&mut self, user: &str, step: i64) -> Result<bool, StoreError> {
        let set = "totp_step = :step WHERE name = :user AND (totp_step IS NULL OR totp_step < :step)";
        let values = named_params! { ":user": user, ":step": step };
        self.cases.change(|summed| update(summed, user, set, values))
    }

    /// Keeps a secret until its first code comes. One that waits already is forgotten.
    ///
    /// # Errors
    /// If the user has a second factor, or no password.
    pub fn offer_factor(&mut self, secret: &str, by: &Actor, now: Instant) -> Result<(), AccountError> {
        self.act(|summed| {
            let set = "totp = :secret, totp_step = NULL WHERE name = :user AND totp_at IS NULL";
            let values = named_params! { ":user": by.who, ":secret": secret };
            match update(summed, &by.who, set, values)? {
                true => tell(summed, now, by, ("users.totp", &by.who, "offered")),
                false => Ok(Err(say!("there is a second factor already; remove it first"))),
            }
        })
    }

    /// Asks for codes from now on: the first one, of this step, has come.
    ///
    /// # Errors
    /// If no secret waits for it.
    pub fn confirm_factor(
        &mut self,
        (secret, step): (&str, i64),
        (by, session): (&Actor, &str),
        now: Instant,
    ) -> Result<(), AccountError> {
        self.act(|summed| {
            let set =
                "totp_at = :now, totp_step = :step WHERE name = :user AND totp = :secret AND totp_at IS NULL";
            let values = named_params! { ":user": by.who, ":secret": secret, ":now": now, ":step": step };
            let is_on = update(summed, &by.who, set, values)?;
            if is_on {
                // They began without a code, perhaps by somebody who knows the password alone.
                sessions::end_others(summed, &by.who, session)?;
            }
            match is_on {
                true => tell(summed, now, by, ("users.totp", &by.who, "on")),
                false => Ok(Err(say!("no second factor waits for its first code; ask for one again"))),
            }
        })
    }

    /// Takes a user's second factor away. All their sessions end.
    ///
    /// # Errors
    /// If they have no password.
    pub fn remove_factor(&mut self, user: &str, by: &Actor, now: Instant) -> Result<(), AccountError> {
        self.act(|summed| {
            let set = "totp = NULL, totp_at = NULL, totp_step = NULL WHERE name = ?1";
            if !update(summed, user, set, params![user])? {
                return Ok(Err(no_password(user)));
            }
            sessions::end_all(summed, user)?;
            tell(summed, now, by, ("users.totp", user, "off"))
        })
    }

    /// Says whether a user must have one.
    ///
    /// # Errors
    /// If they have no password.
    pub fn require_factor(
        &mut self,
        user: &str,
        is_required: bool,
        by: &Actor,
        now: Instant,
    ) -> Result<(), AccountError> {
        self.act(|summed| {
            let set = "totp_required = :is_required WHERE name = :user";
            let values = named_params! { ":user": user, ":is_required": is_required };
            if !update(summed, user, set, values)? {
                return Ok(Err(no_password(user)));
            }
            tell(summed, now, by, ("users.totp", user, if is_required { "required" } else { "optional" }))
        })
    }
}

pub(super) fn find(connection: &Connection, user: &str) -> rusqlite::Result<Option<Factor>> {
    let sql = format!("SELECT {} FROM credentials WHERE name = ?1", Factor::COLUMNS);
    connection.prepare_cached(&sql)?.query_row([user], Factor::read).optional()
}

fn update(
    summed: &Summed<'_>,
    user: &str,
    set: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<bool> {
    let sql = format!("UPDATE credentials SET {set}");
    let changed = summed.change(&checksums::CREDENTIALS, [user], || {
        summed.transaction.prepare_cached(&sql)?.execute(values)
    })?;
    Ok(changed > 0)
}

fn no_password(user: &str) -> String {
    say!("{user} has no password, and so no second factor", user = quoted(user))
}
