//! Who tries passwords: after some failures each further one has to wait, longer and longer. It is counted by name and
//! address together, so that nobody can lock somebody else out, and by address alone, for whoever tries many names.

use std::{collections::BTreeMap, net::IpAddr};

use xxhash_rust::xxh3::xxh3_64;

use crate::event::{Instant, TimeDelta};

/// Failures before one has to wait: of a name at an address, and of an address.
const FREE: u32 = 5;
const FREE_OF_ADDRESS: u32 = 20;
/// The first wait and the longest one.
const FIRST: TimeDelta = TimeDelta::seconds(30);
const LONGEST: TimeDelta = TimeDelta::minutes(15);
/// When failures are forgotten that no others followed.
const FORGOTTEN: TimeDelta = TimeDelta::HOUR;
/// Names and addresses that are remembered.
const REMEMBERED: usize = 10_000;

/// Failures by who had them.
#[derive(Debug, Default)]
pub struct Throttle(BTreeMap<(IpAddr, Option<u64>), Failures>);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
    /// Whether somebody was told to wait since.
    told: bool,
}

/// Somebody has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter {
    pub(crate) lasts: TimeDelta,
    /// Whether they are told so for the first time since they failed.
    pub is_first: bool,
}

impl Failures {
    /// Until when the next one waits.
    fn until(self, free: u32) -> Instant {
        let Some(over) = self.count.checked_sub(free) else { return Instant::MIN };
        let wait = (FIRST * (1 << over.min(16))).min(LONGEST);
        self.last.saturating_add(wait)
    }
}

impl Throttle {
    /// Begins to try a password. It counts as a failure until [`Self::succeeded`] or [`Self::undo`], so that many at the same
    /// moment are as many failures.
    ///
    /// # Errors
    /// How long to wait.
    pub fn attempt(&mut self, name: &str, address: IpAddr, now: Instant) -> Result<(), RetryAfter> {
        let keys = keys(name, address);
        for (key, free) in &keys {
            let Some(failures) = self.0.get_mut(key) else { continue };
            let lasts = failures.until(*free).saturating_since(now);
            if lasts > TimeDelta::ZERO {
                let is_first = !std::mem::replace(&mut failures.told, true);
                return Err(RetryAfter { lasts, is_first });
            }
        }
        for (key, _) in keys {
            self.make_room(now);
            let before = self.0.get(&key).filter(|failures| now - failures.last <= FORGOTTEN);
            let count = before.map_or(0, |failures| failures.count).saturating_add(1);
            self.0.insert(key, Failures { count, last: now, told: false });
        }
        Ok(())
    }

    /// The password was right. Other names of the address stay what they were.
    pub fn succeeded(&mut self, name: &str, address: IpAddr) {
        let [(own, _), (all, _)] = keys(name, address);
        self.0.remove(&own);
        self.less(&all);
    }

    /// Nothing was tried.
    pub fn undo(&mut self, name: &str, address: IpAddr) {
        keys(name, address).iter().for_each(|(key, _)| self.less(key));
    }

    fn less(&mut self, key: &(IpAddr, Option<u64>)) {
        if let Some(failures) = self.0.get_mut(key) {
            failures.count = failures.count.saturating_sub(1);
            if failures.count == 0 {
                self.0.remove(key);
            }
        }
    }

    /// Forgets what is old, or else the quarter that matters least: few failures, long ago.
    fn make_room(&mut self, now: Instant) {
        if self.0.len() < REMEMBERED {
            return;
        }
        self.0.retain(|_, failures| now - failures.last <= FORGOTTEN);
        if self.0.len() >= REMEMBERED {
            let mut all: Vec<_> = self.0.iter().map(|(key, f)| ((f.count >= FREE, f.last), *key)).collect();
            all.sort();
            for (_, key) in all.into_iter().take(REMEMBERED / 4) {
                self.0.remove(&key);
            }
        }
    }
}

/// What failures are counted by, and how many are free of each.
fn keys(name: &str, address: IpAddr) -> [((IpAddr, Option<u64>), u32); 2] {
    let network = network(address);
    // Anybody can send names of any length: what is remembered of one is eight bytes.
    [((network, Some(xxh3_64(name.as_bytes()))), FREE), ((network, None), FREE_OF_ADDRESS)]
}

/// One subscriber has 2⁶⁴ addresses of IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn after_five_failures_one_waits_longer_and_longer() {
        let (mut throttle, home, mut now) = (Throttle::default(), at("10.0.0.1"), 0);
        for _ in 0..5 {
            assert_eq!(throttle.attempt("王芳", home, Instant::from_micros(now)), Ok(()));
        }
        for seconds in [30, 60, 120, 240, 480, 900, 900] {
            let wait = |micros, is_first| Err(RetryAfter { lasts: TimeDelta::from_micros(micros), is_first });
            assert_eq!(
                throttle.attempt("王芳", home, Instant::from_micros(now)),
                wait(seconds * SECOND, true)
            );
            assert_eq!(
                throttle.attempt("王芳", home, Instant::from_micros(now + seconds * SECOND - 1)),
                wait(1, false)
            );
            now += seconds * SECOND;
            assert_eq!(throttle.attempt("王芳", home, Instant::from_micros(now)), Ok(()));
        }
        // The victim is elsewhere, and logs in as ever.
        assert_eq!(throttle.attempt("王芳", at("10.0.0.2"), Instant::from_micros(now)), Ok(()));
        throttle.succeeded("王芳", at("10.0.0.2"));
        assert!(throttle.attempt("王芳", home, Instant::from_micros(now)).is_err());
        now += (FORGOTTEN + LONGEST).as_micros();
        for _ in 0..5 {
            assert_eq!(throttle.attempt("王芳", home, Instant::from_micros(now)), Ok(()));
        }
    }

    #[test]
    fn who_tries_many_names_waits_too() {
        let mut throttle = Throttle::default();
        // One subscriber has many addresses.
        let home = |n: u32| at(&format!("2001:db8::{n:x}"));
        let tried = (0..100)
            .take_while(|n| throttle.attempt(&format!("user {n}"), home(*n), Instant::EPOCH).is_ok())
            .count();
        assert_eq!(tried, 20);
        assert_eq!(throttle.attempt("somebody", at("2001:db8:0:1::1"), Instant::EPOCH), Ok(()));
        // Logging in oneself in between gives no more than that back.
        let mut throttle = Throttle::default();
        let tried = (0..100).take_while(|n| {
            let own = throttle.attempt("own", home(1), Instant::EPOCH).is_ok();
            throttle.succeeded("own", home(1));
            own && throttle.attempt(&format!("user {n}"), home(1), Instant::EPOCH).is_ok()
        });
        assert_eq!(tried.count(), 20);
    }

    #[test]
    fn whatever_comes_memory_is_bounded_and_the_worst_are_remembered() {
        let mut throttle = Throttle::default();
        let worst = at("10.9.9.9");
        (0..5).for_each(|_| throttle.attempt("王芳", worst, Instant::EPOCH).unwrap());
        for n in 0..30_000_u32 {
            let _ = throttle.attempt("x", IpAddr::from(n.to_be_bytes()), Instant::from_micros(1));
        }
        assert!(throttle.0.len() <= REMEMBERED, "{}", throttle.0.len());
        assert!(throttle.attempt("王芳", worst, Instant::from_micros(1)).is_err());
    }

    #[test]
    fn what_was_not_tried_does_not_count() {
        let (mut throttle, home) = (Throttle::default(), at("10.0.0.1"));
        for _ in 0..50 {
            throttle.attempt("王芳", home, Instant::EPOCH).unwrap();
            throttle.undo("王芳", home);
        }
    }
}
