//! 用户 and 令牌 in the store: who is known, and what they may. Each change is recorded with it in the audit log. What
//! people in a browser log in with is in `credentials.rs`, and for how long they are known then in `sessions.rs`.

mod credentials;
mod external;
mod rows;
mod second_factor;
mod sessions;

use std::path::Path;

use rusqlite::{OptionalExtension, Row, named_params};

use super::{
    Cases, Store, StoreError,
    audit::{self, AuditedAction},
    checksums::{self, Summed},
    named::insert,
};
use crate::{
    access::{Actor, Identity, NewToken, Roles, Token, User, check_name, presented},
    event::Instant,
    say,
    text::quoted,
};

pub use rows::no_user;
use rows::{
    TOKEN, USER, change_user, changeable, find_user, is_last_manager, last_manager, manages, tell, token,
    user,
};

pub use credentials::Credential;
pub use external::External;
pub use second_factor::Factor;

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// It may not be.
    #[error("{0}")]
    Refused(String),
    /// The store cannot do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct TokenSpec {
    /// What it is for.
    pub name: String,
    /// Whose it is; a program's if it is nobody's.
    pub owner: Option<String>,
    /// The roles of a program.
    pub roles: Roles,
    /// Until when it is good.
    pub expires_at: Instant,
}

/// The users and tokens of a state directory.
#[derive(Debug)]
pub struct Accounts {
    cases: Cases,
}

/// What somebody showed to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Used {
    /// A name that a proxy gives.
    Name,
    /// A token, by its id.
    Token(String),
    /// A session, by its id.
    Session(String),
}

type Refusable<T> = rusqlite::Result<Result<T, String>>;

impl Accounts {
    /// Opens them for changes.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { cases: Cases::open(dir)? })
    }

    /// The same; a state that is not there yet is made, because the first user may come before the first event.
    ///
    /// # Errors
    /// If it cannot be made, or is of another version.
    pub fn open_or_make(dir: &Path) -> Result<Self, StoreError> {
        match Self::open(dir) {
            Err(StoreError::Missing(_)) => {
                drop(Store::open(dir)?);
                Self::open(dir)
            }
            opened => opened,
        }
    }

    /// Opens them for reading.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { cases: Cases::open_read_only(dir)? })
    }

    /// All users, by name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn users(&self) -> Result<Vec<User>, StoreError> {
        let sql = format!("SELECT {USER} FROM users ORDER BY name");
        self.cases.read(|c| c.prepare_cached(&sql)?.query_map([], user)?.collect())
    }

    /// One user.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.cases.read(|c| find_user(c, name))
    }

    /// All tokens, the newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let sql = format!("SELECT {TOKEN} FROM tokens ORDER BY created_at DESC, id");
        self.cases.read(|c| c.prepare_cached(&sql)?.query_map([], token)?.collect())
    }

    /// Who sends this token, with its id; `None` if it is not good, or its owner may nothing.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn bearer(&self, text: &str, now: Instant) -> Result<Option<(String, Identity)>, StoreError> {
        let Some((id, digest)) = presented(text) else { return Ok(None) };
        let sql = format!("SELECT {TOKEN}, digest FROM tokens WHERE id = ?1");
        let row = |row: &Row<'_>| Ok((token(row)?, row.get::<_, Vec<u8>>("digest")?));
        self.cases.read(|c| {
            let found = c.prepare_cached(&sql)?.query_row([id], row).optional()?;
            let found = found.filter(|(token, kept)| digest.is(kept) && token.is_good(now));
            let Some((token, _)) = found else { return Ok(None) };
            let identity = match &token.owner {
                Some(owner) => find_user(c, owner)?.and_then(|user| user.identity()),
                None => Some(Identity { name: token.name, is_program: true, roles: token.roles }),
            };
            Ok(identity.map(|identity| (token.id, identity)))
        })
    }

    /// Who shows a certificate: the user of its name, or else the program with a good token of that name, and that token's id.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn certified(
        &self,
        name: &str,
        now: Instant,
    ) -> Result<Option<(Option<String>, Identity)>, StoreError> {
        if let Some(user) = self.user(name)? {
            return Ok(user.identity().map(|identity| (None, identity)));
        }
        let sql =
            format!("SELECT {TOKEN} FROM tokens WHERE name = ?1 AND owner IS NULL ORDER BY created_at DESC");
        self.cases.read(|c| {
            let mut statement = c.prepare_cached(&sql)?;
            let tokens = statement.query_map([name], token)?.collect::<Result<Vec<_>, _>>()?;
            let good = tokens.into_iter().find(|token| token.is_good(now));
            Ok(good.map(|t| (Some(t.id), Identity { name: t.name, is_program: true, roles: t.roles })))
        })
    }

    /// Adds a user, who comes by a token or a proxy.
    ///
    /// # Errors
    /// If the name is none or taken.
    pub fn add_user(
        &mut self,
        name: &str,
        roles: &Roles,
        by: &Actor,
        now: Instant,
    ) -> Result<(), AccountError> {
        self.add_user_with((name, None), roles, by, now)
    }

    /// Adds a user; with what is kept of their password, if they log in by one.
    ///
    /// # Errors
    /// If the name is none or taken.
    pub fn add_user_with(
        &mut self,
        (name, password): (&str, Option<&str>),
        roles: &Roles,
        by: &Actor,
        now: Instant,
    ) -> Result<(), AccountError> {
        check_name(name).map_err(AccountError::Refused)?;
        self.act(|summed| {
            if find_user(summed.transaction, name)?.is_some() {
                return Ok(Err(say!(
                    "there is a user {name} already; `fiscwatch user roles` changes what they may",
                    name = quoted(name)
                )));
            }
            insert!(summed.transaction, "INSERT INTO users", {
                name, roles: roles.to_string(), created_at: now, created_by: by.who,
            })?;
            summed.inserted(&checksums::USERS, [name])?;
            if let Some(password) = password {
                credentials::put(summed, (name, password), by, now)?;
            }
            tell(summed, now, by, ("users.add", name, &roles.to_string()))
        })
    }

    /// Gives a user other roles.
    ///
    /// # Errors
    /// If there is no such user, they change their own, or nobody would be left to manage users.
    pub fn set_roles(
        &mut self,
        name: &str,
        roles: &Roles,
        by: &Actor,
        now: Instant,
    ) -> Result<(), AccountError> {
        self.act(|summed| {
            let user = match changeable(summed.transaction, name, by)? {
                Ok(user) => user,
                Err(why) => return Ok(Err(why)),
            };
            if !manages(roles) && is_last_manager(summed.transaction, &user)? {
                return Ok(Err(last_manager(name)));
            }
            change_user(summed, name, "roles", Some(&roles.to_string()))?;
            sessions::end_all(summed, name)?;
            tell(summed, now, by, ("users.roles", name, &format!("{} -> {roles}", user.roles)))
        })
    }

    /// Takes everything from a user at once, or gives it back.
    ///
    /// # Errors
    /// If there is no such user, it is themselves, or nobody would be left to manage users.
    pub fn set_enabled(
        &mut self,
        name: &str,
        is: bool,
        by: &Actor,
        now: Instant,
    ) -> Result<(), AccountError> {
        self.act(|summed| {
            let user = match changeable(summed.transaction, name, by)? {
                Ok(user) => user,
                Err(why) => return Ok(Err(why)),
            };
            if !is && is_last_manager(summed.transaction, &user)? {
                return Ok(Err(last_manager(name)));
            }
            change_user(summed, name, "disabled_at", (!is).then_some(now))?;
            sessions::end_all(summed, name)?;
            tell(summed, now, by, (if is { "users.enable" } else { "users.disable" }, name, ""))
        })
    }

    /// Makes a token. What is given back is shown once: the store has only its digest.
    ///
    /// # Errors
    /// If the name is none, or its owner may nothing.
    pub fn add_token(
        &mut self,
        spec: &TokenSpec,
        by: &Actor,
        now: Instant,
    ) -> Result<NewToken, AccountError> {
        check_name(&spec.name).map_err(AccountError::Refused)?;
        let made = NewToken::make();
        self.act(|summed| {
            if let Some(owner) = &spec.owner
                && find_user(summed.transaction, owner)?.and_then(|user| user.identity()).is_none()
            {
                return Ok(Err(no_user(owner)));
            }
            let roles = spec.roles.to_string();
            insert!(summed.transaction, "INSERT INTO tokens", {
                id: made.id,
                name: spec.name,
                owner: spec.owner,
                roles,
                digest: made.digest.bytes(),
                created_at: now,
                created_by: by.who,
                expires_at: spec.expires_at,
            })?;
            summed.inserted(&checksums::TOKENS, [&made.id])?;
            let whose = spec.owner.as_ref().map_or(roles, |owner| format!("of {owner}"));
            tell(summed, now, by, ("tokens.add", &made.id, &format!("{} ({whose})", spec.name)))
        })?;
        Ok(made)
    }

    /// Revokes a token: from the next request on it is good for nothing.
    ///
    /// # Errors
    /// If there is none, or it is revoked already.
    pub fn revoke(&mut self, id: &str, by: &Actor, now: Instant) -> Result<(), AccountError> {
        self.act(|summed| {
            let sql = "UPDATE tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL";
            let values = named_params! { ":id": id, ":now": now };
            let changed =
                summed.change(&checksums::TOKENS, [id], || summed.transaction.execute(sql, values))?;
            if changed == 0 {
                return Ok(Err(say!(
                    "there is no token {id} that is not revoked; `fiscwatch token list` shows those there are",
                    id = quoted(id)
                )));
            }
            tell(summed, now, by, ("tokens.revoke", id, ""))
        })
    }

    /// Notes that a user, a token or a session was used. That is no change of anybody's rights, and is not recorded.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn used(&mut self, by: &Used, user: Option<&str>, now: Instant) -> Result<(), StoreError> {
        self.cases.change(|summed| {
            let noted = match by {
                Used::Name => None,
                Used::Token(id) => {
                    Some((&checksums::TOKENS, "UPDATE tokens SET used_at = :now WHERE id = :id", id))
                }
                Used::Session(id) => {
                    Some((&checksums::SESSIONS, "UPDATE sessions SET seen_at = :now WHERE id = :id", id))
                }
            };
            if let Some((table, sql, id)) = noted {
                let values = named_params! { ":id": id, ":now": now };
                summed.change(table, [id], || summed.transaction.execute(sql, values))?;
            }
            if let Some(name) = user {
                change_user(summed, name, "seen_at", Some(now))?;
            }
            Ok(())
        })
    }

    /// Records what somebody did, or was refused, that changes nothing in the store.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn record(&mut self, by: &Actor, deed: AuditedAction<'_>, now: Instant) -> Result<(), StoreError> {
        self.cases.change(|summed| audit::record(summed, now, by, deed))
    }

    /// Does `work` in a transaction; what it refuses has changed nothing.
    fn act<T>(&mut self, work: impl FnOnce(&Summed<'_>) -> Refusable<T>) -> Result<T, AccountError> {
        self.cases.change(work)?.map_err(AccountError::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::Role, store::Store};

    fn by(who: &str) -> Actor {
        Actor { who: who.to_owned(), place: String::from("test") }
    }

    fn accounts() -> (tempfile::TempDir, Accounts) {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let accounts = Accounts::open(dir.path()).unwrap();
        (dir, accounts)
    }

    fn roles(roles: &[Role]) -> Roles {
        Roles::of_person(roles.iter().copied()).unwrap()
    }

    #[test]
    fn a_token_is_good_until_it_expires_is_revoked_or_its_owner_may_nothing() {
        let (_dir, mut accounts) = accounts();
        accounts.add_user("王芳", &roles(&[Role::Officer]), &by("root"), Instant::from_micros(1)).unwrap();
        let scrape = Roles::of_program([Role::Metrics]).unwrap();
        let of = |owner: Option<&str>, roles: &Roles| TokenSpec {
            name: String::from("t"),
            owner: owner.map(str::to_owned),
            roles: roles.clone(),
            expires_at: Instant::from_micros(100),
        };
        let program = accounts.add_token(&of(None, &scrape), &by("root"), Instant::from_micros(2)).unwrap();
        let person = accounts
            .add_token(&of(Some("王芳"), &Roles::default()), &by("root"), Instant::from_micros(2))
            .unwrap();
        assert!(
            accounts
                .add_token(&of(Some("李雷"), &Roles::default()), &by("root"), Instant::from_micros(2))
                .is_err()
        );
        let bearer = |accounts: &Accounts, token: &NewToken, now| accounts.bearer(&token.text, now).unwrap();
        let (id, identity) = bearer(&accounts, &program, Instant::from_micros(99)).unwrap();
        assert_eq!((id, identity.is_program, identity.roles), (program.id.clone(), true, scrape));
        assert!(bearer(&accounts, &program, Instant::from_micros(100)).is_none(), "it has expired");
        let other = program.text.replace(&program.id, &person.id);
        assert!(
            accounts.bearer(&other, Instant::from_micros(99)).unwrap().is_none(),
            "the secret of another token"
        );
        // A person's token is worth what the person is at that moment.
        assert_eq!(
            bearer(&accounts, &person, Instant::from_micros(99)).unwrap().1.roles,
            roles(&[Role::Officer])
        );
        accounts.set_roles("王芳", &roles(&[Role::Auditor]), &by("root"), Instant::from_micros(3)).unwrap();
        assert_eq!(
            bearer(&accounts, &person, Instant::from_micros(99)).unwrap().1.roles,
            roles(&[Role::Auditor])
        );
        accounts.set_enabled("王芳", false, &by("root"), Instant::from_micros(4)).unwrap();
        assert!(bearer(&accounts, &person, Instant::from_micros(99)).is_none());
        accounts.revoke(&program.id, &by("root"), Instant::from_micros(5)).unwrap();
        assert!(bearer(&accounts, &program, Instant::from_micros(99)).is_none());
        assert!(accounts.revoke(&program.id, &by("root"), Instant::from_micros(6)).is_err());
    }

    #[test]
    fn nobody_locks_everybody_out_or_lifts_themselves() {
        let (_dir, mut accounts) = accounts();
        let (officer, security) = (roles(&[Role::Officer]), roles(&[Role::Security]));
        accounts.add_user("one", &security, &by("root"), Instant::from_micros(1)).unwrap();
        assert!(accounts.add_user("one", &officer, &by("root"), Instant::from_micros(1)).is_err());
        assert!(
            accounts.set_roles("one", &officer, &by("root"), Instant::from_micros(2)).is_err(),
            "the last one"
        );
        assert!(accounts.set_enabled("one", false, &by("root"), Instant::from_micros(2)).is_err());
        accounts.add_user("two", &security, &by("one"), Instant::from_micros(3)).unwrap();
        assert!(
            accounts.set_roles("two", &officer, &by("two"), Instant::from_micros(4)).is_err(),
            "themselves"
        );
        accounts.set_roles("two", &officer, &by("one"), Instant::from_micros(4)).unwrap();
        assert!(accounts.add_user("three four", &officer, &by("one"), Instant::from_micros(5)).is_err());
    }
}
