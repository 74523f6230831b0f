//! 口令: what users log in with. What is kept of a password comes from `access`, and so does its comparison.

use rusqlite::OptionalExtension;

use super::{AccountError, Accounts, Factor, external, find_user, no_user, sessions, tell};
use crate::{
    access::Actor,
    event::Instant,
    say,
    store::{
        StoreError,
        checksums::{self, Summed},
        named::insert,
    },
    text::quoted,
};

/// What somebody logs in with.
#[derive(Debug, Clone)]
pub struct Credential {
    /// What is kept of the password.
    pub password: String,
    /// When it was set: another password has another time.
    pub set_at: Instant,
    pub(crate) factor: Factor,
}

impl Accounts {
    /// What a user logs in with, unless they are disabled or have no password.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn credential(&self, name: &str) -> Result<Option<Credential>, StoreError> {
        let sql = format!(
            "SELECT password, set_at, {} FROM credentials JOIN users USING (name)
             WHERE name = ?1 AND disabled_at IS NULL",
            Factor::COLUMNS
        );
        let row = |row: &rusqlite::Row<'_>| {
            let (password, set_at) = (row.get("password")?, row.get("set_at")?);
            Ok(Credential { password, set_at, factor: Factor::read(row)? })
        };
        self.cases.read(|c| c.prepare_cached(&sql)?.query_row([name], row).optional())
    }

    /// Gives a user a password, of which `kept` is what is kept. All their sessions end.
    ///
    /// # Errors
    /// If there is no such user, or they are disabled.
    pub fn set_password(
        &mut self,
        name: &str,
        kept: &str,
        by: &Actor,
        now: Instant,
    ) -> Result<(), AccountError> {
        self.act(|summed| {
            if find_user(summed.transaction, name)?.and_then(|user| user.identity()).is_none() {
                return Ok(Err(no_user(name)));
            }
            if external::is_external(summed.transaction, name)? {
                return Ok(Err(say!(
                    "{name} logs in elsewhere, and has no password here",
                    name = quoted(name)
                )));
            }
            put(summed, (name, kept), by, now)?;
            sessions::end_all(summed, name)?;
            tell(summed, now, by, ("users.password", name, ""))
        })
    }
}

/// Stores a password. A second factor stays what it was.
pub(super) fn put(
    summed: &Summed<'_>,
    (name, kept): (&str, &str),
    by: &Actor,
    now: Instant,
) -> rusqlite::Result<()> {
    let write = || {
        insert!(
            summed.transaction,
            "INSERT INTO credentials",
            { name, password: kept, set_at: now, set_by: by.who },
            "ON CONFLICT (name) DO UPDATE SET password = excluded.password,
             set_at = max(excluded.set_at, set_at + 1), set_by = excluded.set_by"
        )
    };
    summed.change(&checksums::CREDENTIALS, [name], write).map(|_| ())
}
