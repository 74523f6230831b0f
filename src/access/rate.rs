//! How many requests an identity may send: as many a second as the configuration says, and ten seconds' worth at once. Each
//! identity has one timestamp: when its next request is due at that rate (the generic cell rate algorithm). Who has not
//! sent for a while needs none. Time is passed in.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::event::{Instant, TimeDelta};

/// For how long what is sent may come at once.
const BURST: TimeDelta = TimeDelta::seconds(10);

/// Who has sent how much.
#[derive(Debug)]
pub struct Rates {
    /// What one request is worth.
    each: TimeDelta,
    /// Identities that are held at a time.
    most: usize,
    due: Mutex<HashMap<String, Instant>>,
}

impl Rates {
    /// For so many requests a second, and so many identities at a time.
    #[must_use]
    pub fn new(a_second: u32, most: usize) -> Self {
        Self {
            each: (TimeDelta::SECOND / i64::from(a_second.max(1))).max(TimeDelta::MICROSECOND),
            most,
            due: Mutex::default(),
        }
    }

    /// Counts a request of somebody, by any clock that does not go back.
    ///
    /// # Errors
    /// If it is one too many: the seconds until the next one is taken. Nothing is counted then.
    pub fn ask(&self, who: &str, now: Instant) -> Result<(), u32> {
        let mut held = self.due.lock();
        let before = held.get(who).copied().unwrap_or(now).max(now);
        let (due, last) = (before.saturating_add(self.each), now.saturating_add(BURST));
        if due > last {
            return Err(u32::try_from(
                (due - last + TimeDelta::SECOND - TimeDelta::MICROSECOND) / TimeDelta::SECOND,
            )
            .unwrap_or(1));
        }
        if held.len() >= self.most && !held.contains_key(who) {
            held.retain(|_, due| *due > now);
            // All of them send just now: there is no room for one more to be counted.
            if held.len() >= self.most {
                return Err(1);
            }
        }
        held.insert(who.to_owned(), due);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_seconds_worth_may_come_at_once_and_then_the_pace_is_kept() {
        let rates = Rates::new(5, 10);
        let taken = |now| (0..1000).take_while(|_| rates.ask("a", now).is_ok()).count();
        assert_eq!(taken(Instant::EPOCH), 50);
        assert_eq!(rates.ask("a", Instant::EPOCH), Err(1));
        assert_eq!(rates.ask("b", Instant::EPOCH), Ok(()), "others are not held up");
        assert_eq!(taken(Instant::EPOCH + TimeDelta::SECOND / 5), 1);
        assert_eq!(taken(Instant::EPOCH + TimeDelta::seconds(3)), 14);
        assert_eq!(taken(Instant::EPOCH + TimeDelta::seconds(1000)), 50, "what was not used is not saved up");
    }

    #[test]
    fn the_table_is_bounded_and_makes_room_for_those_who_send() {
        let rates = Rates::new(1, 3);
        for who in ["a", "b", "c"] {
            assert_eq!(rates.ask(who, Instant::EPOCH), Ok(()));
        }
        assert_eq!(rates.ask("d", Instant::EPOCH), Err(1), "nobody is forgotten who sent just now");
        assert_eq!(rates.ask("a", Instant::EPOCH), Ok(()));
        assert_eq!(
            rates.ask("d", Instant::EPOCH + TimeDelta::SECOND),
            Ok(()),
            "b and c have nothing left to keep"
        );
        assert_eq!(rates.due.lock().len(), 2);
    }

    proptest::proptest! {
        /// Whatever the times are, no span of a second more than ten holds more than the pace allows.
        #[test]
        fn no_span_holds_more(gaps in proptest::collection::vec(0_i64..300_000, 1..600)) {
            let rates = Rates::new(10, 4);
            let (mut now, mut taken) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                if rates.ask("a", Instant::from_micros(now)).is_ok() {
                    taken.push(now);
                }
            }
            for (at, begun) in taken.iter().enumerate() {
                let within = taken[at..].iter().take_while(|time| *time - begun < TimeDelta::SECOND.as_micros()).count();
                proptest::prop_assert!(within <= 110, "{within}");
            }
        }
    }
}
