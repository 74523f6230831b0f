//! Users and tokens as their rows, and who may change them.

use rusqlite::{Connection, OptionalExtension, Row, named_params, types::Type};

use super::{
    super::{
        audit::{self, AuditedAction, DONE},
        checksums::{self, Summed},
    },
    Refusable,
};
use crate::{
    access::{Actor, Role, Roles, Token, User},
    event::Instant,
    say,
    text::quoted,
};

pub(super) fn tell(
    summed: &Summed<'_>,
    now: Instant,
    by: &Actor,
    (action, subject, detail): (&str, &str, &str),
) -> Refusable<()> {
    audit::record(summed, now, by, AuditedAction { action, subject, result: DONE, detail }).map(Ok)
}

pub(super) fn change_user(
    summed: &Summed<'_>,
    name: &str,
    column: &'static str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    let sql = format!("UPDATE users SET {column} = :value WHERE name = :name");
    let values = named_params! { ":name": name, ":value": value };
    summed.change(&checksums::USERS, [name], || summed.transaction.execute(&sql, values)).map(|_| ())
}

/// A user whom somebody else may change.
pub(super) fn changeable(connection: &Connection, name: &str, by: &Actor) -> Refusable<User> {
    let user = find_user(connection, name)?;
    Ok(match user {
        Some(_) if by.who == name => Err(say!("nobody changes what they themselves may; ask somebody else")),
        Some(user) => Ok(user),
        None => Err(no_user(name)),
    })
}

/// That there is no such user.
pub fn no_user(name: &str) -> String {
    say!(
        "there is no user {name}, or they are disabled; `fiscwatch user list` shows those there are",
        name = quoted(name)
    )
}

/// Users cannot be parted by units, so who is limited manages none.
pub(super) fn manages(roles: &Roles) -> bool {
    roles.has(Role::Security) && roles.limits().is_none()
}

pub(super) fn is_last_manager(connection: &Connection, user: &User) -> rusqlite::Result<bool> {
    let manages = |user: &User| user.disabled_at.is_none() && manages(&user.roles);
    let sql = format!("SELECT {USER} FROM users");
    let all: Vec<User> =
        connection.prepare_cached(&sql)?.query_map([], self::user)?.collect::<Result<_, _>>()?;
    Ok(manages(user) && all.iter().filter(|user| manages(user)).count() == 1)
}

pub(super) fn last_manager(name: &str) -> String {
    say!(
        "{name} is the last one who manages users (security); give that role to somebody else first",
        name = quoted(name)
    )
}

/// The columns of users and tokens that are shown.
pub(super) const USER: &str = "name, roles, created_at, created_by, disabled_at, seen_at";

pub(super) const TOKEN: &str =
    "id, name, owner, roles, created_at, created_by, expires_at, revoked_at, used_at";

pub(super) fn find_user(connection: &Connection, name: &str) -> rusqlite::Result<Option<User>> {
    let sql = format!("SELECT {USER} FROM users WHERE name = ?1");
    connection.prepare_cached(&sql)?.query_row([name], user).optional()
}

pub(super) fn roles(row: &Row<'_>) -> rusqlite::Result<Roles> {
    let words: String = row.get("roles")?;
    words.parse().map_err(|e: String| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, e.into()))
}

pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        name: row.get("name")?,
        roles: roles(row)?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
        disabled_at: row.get("disabled_at")?,
        seen_at: row.get("seen_at")?,
    })
}

pub(super) fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: row.get("id")?,
        name: row.get("name")?,
        owner: row.get("owner")?,
        roles: roles(row)?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
        used_at: row.get("used_at")?,
    })
}
