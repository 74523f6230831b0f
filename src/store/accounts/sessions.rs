//! 会话 in the store: who logged in, from where, and for how long they are known.

use rusqlite::{OptionalExtension, Row, named_params};

use super::{AccountError, Accounts, Credential, Factor, Refusable, find_user, second_factor, tell};
use crate::{
    access::{
        Actor, Identity, NewToken, Session, presented_cookie,
        session::{IDLE, LONGEST, OF_ONE, new_cookie},
    },
    event::Instant,
    say,
    store::{
        StoreError,
        checksums::{self, Summed},
        named::insert,
    },
};

const SESSION: &str = "id, user, place, began_at, seen_at";
/// Sessions shown, the newest.
const SHOWN: u32 = 1000;

impl Accounts {
    /// The session of a cookie, whose it is, and how they stand with a second factor; `None` if it is over or theirs no more.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn session(
        &self,
        cookie: &str,
        now: Instant,
    ) -> Result<Option<(Session, Identity, Factor)>, StoreError> {
        let Some((id, digest)) = presented_cookie(cookie) else { return Ok(None) };
        let sql = format!("SELECT {SESSION}, digest FROM sessions WHERE id = ?1");
        let row = |row: &Row<'_>| Ok((session(row)?, row.get::<_, Vec<u8>>("digest")?));
        self.cases.read(|c| {
            let found = c.prepare_cached(&sql)?.query_row([id], row).optional()?;
            let found = found.filter(|(session, kept)| digest.is(kept) && !session.is_over(now));
            let Some((session, _)) = found else { return Ok(None) };
            let factor = second_factor::find(c, &session.user)?.unwrap_or_else(Factor::elsewhere);
            let identity = find_user(c, &session.user)?.and_then(|user| user.identity());
            Ok(identity.map(|identity| (session, identity, factor)))
        })
    }

    /// The sessions that are not over, the newest first, as far as they are shown.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn sessions(&self, now: Instant) -> Result<Vec<Session>, StoreError> {
        let sql = format!("SELECT {SESSION} FROM sessions ORDER BY began_at DESC, id LIMIT {SHOWN}");
        let all: Vec<Session> =
            self.cases.read(|c| c.prepare_cached(&sql)?.query_map([], session)?.collect())?;
        Ok(all.into_iter().filter(|session| !session.is_over(now)).collect())
    }

    /// Begins a session of a user whose password was right.
    ///
    /// # Errors
    /// If the password was changed, or the user disabled, since it was compared.
    pub fn begin_session(
        &mut self,
        (user, compared): (&str, &Credential),
        place: &str,
        now: Instant,
    ) -> Result<(NewToken, Session), AccountError> {
        let made = new_cookie();
        self.act(|summed| {
            let c = summed.transaction;
            let sql = "SELECT set_at FROM credentials WHERE name = ?1";
            let set_at: Option<Instant> =
                c.prepare_cached(sql)?.query_row([user], |row| row.get(0)).optional()?;
            let is_known = find_user(c, user)?.and_then(|user| user.identity()).is_some();
            if !is_known || set_at != Some(compared.set_at) {
                return Ok(Err(say!("the password was changed in the meantime; log in again")));
            }
            open(summed, &made, (user, place), now)
        })?;
        let [id, user, place] = [&*made.id, user, place].map(str::to_owned);
        Ok((made, Session { id, user, place, began_at: now, seen_at: now }))
    }

    /// Ends a session: from the next request on its cookie is good for nothing. Whether there was one.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn end_session(&mut self, id: &str, by: &Actor, now: Instant) -> Result<bool, AccountError> {
        self.act(|summed| {
            let sql = "SELECT user FROM sessions WHERE id = ?1";
            let user: Option<String> =
                summed.transaction.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
            let Some(user) = user else { return Ok(Ok(false)) };
            end_where(summed, "id = ?1", [id])?;
            Ok(tell(summed, now, by, ("sessions.end", id, &user))?.map(|()| true))
        })
    }
}

/// Begins a session. What is over is forgotten, and so is the oldest of too many.
pub(super) fn open(
    summed: &Summed<'_>,
    made: &NewToken,
    (user, place): (&str, &str),
    now: Instant,
) -> Refusable<()> {
    let by = Actor { who: user.to_owned(), place: place.to_owned() };
    end_where(
        summed,
        "began_at <= :began OR seen_at <= :seen",
        named_params! { ":began": now - LONGEST, ":seen": now - IDLE },
    )?;
    let keep = i64::try_from(OF_ONE - 1).unwrap_or(0);
    end_where(
        summed,
        "id IN (SELECT id FROM sessions WHERE user = :user ORDER BY seen_at DESC, id LIMIT -1 OFFSET :keep)",
        named_params! { ":user": user, ":keep": keep },
    )?;
    insert!(summed.transaction, "INSERT INTO sessions", {
        id: made.id, user, place, digest: made.digest.bytes(), began_at: now, seen_at: now,
    })?;
    summed.inserted(&checksums::SESSIONS, [&made.id])?;
    tell(summed, now, &by, ("sessions.begin", &made.id, ""))
}

/// Ends whatever sessions a user has.
pub(super) fn end_all(summed: &Summed<'_>, user: &str) -> rusqlite::Result<()> {
    end_where(summed, "user = ?1", [user])
}

/// Ends whatever sessions a user has but this one.
pub(super) fn end_others(summed: &Summed<'_>, user: &str, kept: &str) -> rusqlite::Result<()> {
    end_where(summed, "user = :user AND id <> :kept", named_params! { ":user": user, ":kept": kept })
}

fn end_where(
    summed: &Summed<'_>,
    condition: &str,
    values: impl rusqlite::Params + Copy,
) -> rusqlite::Result<()> {
    let sql = format!("DELETE FROM sessions WHERE {condition}");
    let delete = || summed.transaction.prepare_cached(&sql)?.execute(values);
    summed.change_where(&checksums::SESSIONS, condition, values, delete).map(|_| ())
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        user: row.get("user")?,
        place: row.get("place")?,
        began_at: row.get("began_at")?,
        seen_at: row.get("seen_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TimeDelta;
    use crate::{
        access::{Role, Roles},
        store::{Store, Used},
    };

    fn accounts() -> (tempfile::TempDir, Accounts, Actor) {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let mut accounts = Accounts::open(dir.path()).unwrap();
        let by = Actor { who: String::from("root"), place: String::from("test") };
        let roles = Roles::of_person([Role::Officer]).unwrap();
        accounts.add_user_with(("王芳", Some("kept")), &roles, &by, Instant::from_micros(1)).unwrap();
        (dir, accounts, by)
    }

    #[test]
    fn a_session_lasts_as_long_as_somebody_comes_and_no_longer_than_half_a_day() {
        let (_dir, mut accounts, _) = accounts();
        let credential = accounts.credential("王芳").unwrap().unwrap();
        let (cookie, begun) =
            accounts.begin_session(("王芳", &credential), "10.0.0.1", Instant::from_micros(1)).unwrap();
        let is_known = |accounts: &Accounts, now| accounts.session(&cookie.text, now).unwrap().is_some();
        assert!(
            is_known(&accounts, Instant::EPOCH + IDLE)
                && !is_known(&accounts, Instant::from_micros(1) + IDLE)
        );
        let mut now = Instant::from_micros(1);
        while now + IDLE < Instant::EPOCH + LONGEST {
            now += IDLE - TimeDelta::MICROSECOND;
            assert!(is_known(&accounts, now), "{now:?}");
            accounts.used(&Used::Session(begun.id.clone()), Some("王芳"), now).unwrap();
        }
        assert!(!is_known(&accounts, Instant::from_micros(1) + LONGEST));
        let (other, _) = accounts.begin_session(("王芳", &credential), "10.0.0.1", now).unwrap();
        let mixed = cookie.text.replace(&begun.id, &other.id);
        assert!(accounts.session(&mixed, now).unwrap().is_none(), "the secret of another session");
        assert!(accounts.session("", now).unwrap().is_none());
    }

    #[test]
    fn one_more_than_a_user_may_have_ends_the_oldest() {
        let (_dir, mut accounts, by) = accounts();
        let credential = accounts.credential("王芳").unwrap().unwrap();
        let mut begin = |now| accounts.begin_session(("王芳", &credential), "10.0.0.1", now).unwrap().0.text;
        let cookies: Vec<_> =
            (0..=i64::try_from(OF_ONE).unwrap()).map(|n| begin(Instant::from_micros(10 + n))).collect();
        let known = |accounts: &Accounts| {
            cookies
                .iter()
                .filter(|cookie| accounts.session(cookie, Instant::from_micros(100)).unwrap().is_some())
                .count()
        };
        assert_eq!(
            (known(&accounts), accounts.sessions(Instant::from_micros(100)).unwrap().len()),
            (OF_ONE, OF_ONE)
        );
        assert!(accounts.session(&cookies[0], Instant::from_micros(100)).unwrap().is_none());
        accounts.set_password("王芳", "another", &by, Instant::from_micros(100)).unwrap();
        assert_eq!(known(&accounts), 0);
        // What was compared before that is worth nothing any more.
        assert!(
            accounts.begin_session(("王芳", &credential), "10.0.0.1", Instant::from_micros(100)).is_err()
        );
    }
}
