//! Time is passed in: nothing below `app` reads the wall clock.

use std::{sync::LazyLock, time::Duration};

use parking_lot::Mutex;

use crate::event::{Instant, TimeDelta};

/// Where the time comes from, so that tests can set it.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// What time it is.
    fn now(&self) -> Instant;
}

/// The wall clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        wall()
    }
}

/// The wall clock, without its jumps.
///
/// Watermarks that moved with a clock that was wrong cannot be taken back: windows have closed and schedules have run.
/// So the time goes on as the monotonic clock does. Small corrections of the wall clock are followed at once; a jump
/// is followed when it has lasted for ten minutes, because then it is the correction.
#[derive(Debug)]
pub struct SteadyClock(Mutex<Steady>);

/// How far the wall clock may be corrected at once.
const TOLERANCE: TimeDelta = TimeDelta::seconds(30);
/// How long a jump must last.
const PATIENCE: Duration = Duration::from_mins(10);

#[derive(Debug)]
struct Steady {
    /// A moment by the monotonic clock, and the time it was.
    anchor: (Duration, Instant),
    /// Since when the wall clock is elsewhere, and how far.
    jump: Option<(Duration, TimeDelta)>,
}

impl Default for SteadyClock {
    fn default() -> Self {
        let anchor = (monotonic(), wall());
        Self(Mutex::new(Steady { anchor, jump: None }))
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Instant {
        self.0.lock().tell(monotonic(), wall())
    }
}

/// Time since the first use in this process, by the clock that nobody sets.
fn monotonic() -> Duration {
    static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

fn wall() -> Instant {
    Instant::from_micros(jiff::Timestamp::now().as_microsecond())
}

impl Steady {
    fn tell(&mut self, monotonic: Duration, wall: Instant) -> Instant {
        let passed = TimeDelta::of(monotonic.saturating_sub(self.anchor.0));
        let steady = self.anchor.1.saturating_add(passed);
        let ahead = wall.saturating_since(steady);
        let near = |to: TimeDelta| ahead.saturating_sub(to).abs() <= TOLERANCE;
        if near(TimeDelta::ZERO) {
            (self.anchor, self.jump) = ((monotonic, wall), None);
            return wall;
        }
        match self.jump {
            Some((since, by)) if near(by) => {
                if monotonic.saturating_sub(since) < PATIENCE {
                    return steady;
                }
                tracing::warn!(seconds = ahead.as_seconds(), "the clock's jump has lasted, and is followed");
                (self.anchor, self.jump) = ((monotonic, wall), None);
                wall
            }
            _ => {
                tracing::warn!(
                    seconds = ahead.as_seconds(),
                    "the clock has jumped; time goes on as before unless it stays there for ten minutes"
                );
                self.jump = Some((monotonic, ahead));
                steady
            }
        }
    }
}

/// A clock that stands where a test puts it.
#[derive(Debug, Default)]
pub struct ManualClock(std::sync::atomic::AtomicI64);

impl ManualClock {
    /// A clock at this instant.
    #[must_use]
    pub fn at(at: Instant) -> Self {
        Self(std::sync::atomic::AtomicI64::new(at.as_micros()))
    }

    /// Moves the clock to an instant, forwards or back.
    pub fn set(&self, at: Instant) {
        self.0.store(at.as_micros(), std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(seconds: i64) -> Instant {
        Instant::EPOCH + TimeDelta::seconds(seconds)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_jump_is_followed_only_when_it_lasts() {
        let mut clock = Steady { anchor: (at(0), wall(1000)), jump: None };
        // Small corrections at once, forwards and back.
        assert_eq!(clock.tell(at(10), wall(1012)), wall(1012));
        assert_eq!(clock.tell(at(11), wall(1003)), wall(1003));
        // A jump of a year that is taken back was never there.
        let year = TimeDelta::days(365);
        assert_eq!(clock.tell(at(12), wall(1004) + year), wall(1004));
        assert_eq!(clock.tell(at(300), wall(1292) + year), wall(1292));
        assert_eq!(clock.tell(at(301), wall(1293)), wall(1293));
        // Nor was one back.
        assert_eq!(clock.tell(at(302), wall(1294) - year), wall(1294));
        // One to another place begins again.
        assert_eq!(clock.tell(at(800), wall(1792) + year), wall(1792));
        assert_eq!(clock.tell(at(1300), wall(2292) + year), wall(2292));
        assert_eq!(clock.tell(at(1400), wall(2392) + year), wall(2392) + year);
        assert_eq!(clock.tell(at(1401), wall(2393) + year), wall(2393) + year);
    }
}
