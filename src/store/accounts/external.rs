//! Users who are known elsewhere: by a provider of identities or a directory, which says who they are and in which groups.
//! Here they are users like others, without a password. Whose name it is was said by their first login; nobody else gets it.

use rusqlite::{OptionalExtension, named_params};

use super::{AccountError, Accounts, change_user, find_user, sessions, tell};
use crate::{
    access::{Actor, NewToken, Roles, Session, check_name, session::new_cookie},
    event::Instant,
    say,
    store::{
        StoreError,
        checksums::{self, Summed},
        named::insert,
    },
    text::quoted,
};

/// Who somebody is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// By what they are known: `oidc`, `ldap`.
    pub provider: &'static str,
    /// The provider that knows them, by its URL.
    pub issuer: String,
    /// Who they are there for good.
    pub subject: String,
}

impl Accounts {
    /// Begins a session of somebody who is known elsewhere, as the user that they became at their first login, with these roles.
    ///
    /// # Errors
    /// If the user is disabled, or the name is none or somebody else's.
    pub fn arrive(
        &mut self,
        who: &External,
        (name, roles): (&str, &Roles),
        place: &str,
        now: Instant,
    ) -> Result<(NewToken, Session), AccountError> {
        let made = new_cookie();
        let by = Actor { who: who.provider.to_owned(), place: place.to_owned() };
        let user = self.act(|summed| {
            let user = match find(summed, who)? {
                Some(user) => user,
                None => match add(summed, who, (name, roles), &by, now)? {
                    Ok(()) => name.to_owned(),
                    Err(why) => return Ok(Err(why)),
                },
            };
            let Some(known) = find_user(summed.transaction, &user)?.filter(|user| user.disabled_at.is_none())
            else {
                return Ok(Err(say!("the user {name} is disabled here", name = quoted(&user))));
            };
            if known.roles != *roles {
                change_user(summed, &user, "roles", Some(&roles.to_string()))?;
                sessions::end_all(summed, &user)?;
                tell(summed, now, &by, ("users.roles", &user, &format!("{} -> {roles}", known.roles)))?.ok();
            }
            Ok(sessions::open(summed, &made, (&user, place), now)?.map(|()| user))
        })?;
        let [id, place] = [&*made.id, place].map(str::to_owned);
        Ok((made, Session { id, user, place, began_at: now, seen_at: now }))
    }

    /// By what a user is known elsewhere, if they are.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn comes_by(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT provider FROM external_users WHERE name = ?1";
        self.cases.read(|c| c.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional())
    }

    /// Ends all sessions of somebody who is known elsewhere and may nothing here any more; who they are here, if they are
    /// anybody.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn turn_away(&mut self, who: &External) -> Result<Option<String>, StoreError> {
        self.cases.change(|summed| {
            let user = find(summed, who)?;
            user.as_ref().map_or(Ok(()), |user| sessions::end_all(summed, user))?;
            Ok(user)
        })
    }
}

fn find(summed: &Summed<'_>, who: &External) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT name FROM external_users
               WHERE provider = :provider AND issuer = :issuer AND subject = :subject";
    let values = named_params! { ":provider": who.provider, ":issuer": who.issuer, ":subject": who.subject };
    summed.transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()
}

/// Whether a user is known elsewhere.
pub(super) fn is_external(connection: &rusqlite::Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM external_users WHERE name = ?1")?.exists([name])
}

fn add(
    summed: &Summed<'_>,
    who: &External,
    (name, roles): (&str, &Roles),
    by: &Actor,
    now: Instant,
) -> super::Refusable<()> {
    if let Err(why) = check_name(name) {
        return Ok(Err(why));
    }
    if find_user(summed.transaction, name)?.is_some() {
        return Ok(Err(say!(
            "there is a user {name} here already who is somebody else; whoever manages users can tell them apart",
            name = quoted(name)
        )));
    }
    insert!(summed.transaction, "INSERT INTO users", {
        name, roles: roles.to_string(), created_at: now, created_by: by.who,
    })?;
    summed.inserted(&checksums::USERS, [name])?;
    let External { provider, issuer, subject } = who;
    insert!(summed.transaction, "INSERT INTO external_users", {
        name, provider, issuer, subject, since: now,
    })?;
    summed.inserted(&checksums::EXTERNAL_USERS, [name])?;
    tell(summed, now, by, ("users.add", name, &format!("{roles} ({issuer} {subject})")))
}
