//! 会话: how long somebody in a browser stays known after logging in.

use super::{NewToken, secret};

use crate::event::{Instant, TimeDelta};

/// How long a session lasts without a request.
pub(crate) const IDLE: TimeDelta = TimeDelta::minutes(30);
/// How long it lasts at most.
pub(crate) const LONGEST: TimeDelta = TimeDelta::hours(12);
/// Sessions of one user at a time; one more ends the oldest.
pub(crate) const OF_ONE: usize = 16;

/// A session, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names it in lists and in the log, where its secret must not stand.
    pub id: String,
    /// The name of the user who logged in.
    pub user: String,
    /// The address that it was begun from.
    pub place: String,
    /// When it was begun.
    pub began_at: Instant,
    /// When its last request came, to the minute.
    pub seen_at: Instant,
}

impl Session {
    /// When it ends if no request comes.
    #[must_use]
    pub fn idle_until(&self) -> Instant {
        self.seen_at.saturating_add(IDLE).min(self.until())
    }

    /// When it ends whatever comes.
    #[must_use]
    pub fn until(&self) -> Instant {
        self.began_at.saturating_add(LONGEST)
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        now >= self.idle_until()
    }
}

/// The cookie of a session that begins.
#[must_use]
pub(crate) fn new_cookie() -> NewToken {
    NewToken::with_prefix("")
}

/// What a page of ours sends with a change and no other page can know: it is made from the cookie, which no page reads.
#[must_use]
pub(crate) fn csrf(cookie: &str) -> String {
    secret::digest_of(&["csrf ", cookie])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_nobody_comes_and_when_it_is_old() {
        let begun = |seen_at| Session {
            id: String::new(),
            user: String::new(),
            place: String::new(),
            began_at: Instant::EPOCH,
            seen_at,
        };
        assert!(
            !begun(Instant::EPOCH).is_over(Instant::EPOCH + IDLE - TimeDelta::MICROSECOND)
                && begun(Instant::EPOCH).is_over(Instant::EPOCH + IDLE)
        );
        assert!(
            !begun(Instant::EPOCH + LONGEST - TimeDelta::from_micros(5))
                .is_over(Instant::EPOCH + LONGEST - TimeDelta::MICROSECOND)
                && begun(Instant::EPOCH + LONGEST - TimeDelta::from_micros(5))
                    .is_over(Instant::EPOCH + LONGEST)
        );
        let (one, other) = (new_cookie().text, new_cookie().text);
        assert_eq!(csrf(&one), csrf(&one));
        assert!(csrf(&one) != csrf(&other) && !csrf(&one).contains(&one[..8]));
    }
}
