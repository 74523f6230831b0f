//! Time is passed in: nothing below `app` reads the wall clock.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

/// Tells the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Microseconds since the epoch.
    fn now(&self) -> i64;
}

/// The wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
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

/// How far the wall clock may be corrected at once, in microseconds.
const TOLERANCE: i64 = 30_000_000;
/// How long a jump must last.
const PATIENCE: Duration = Duration::from_mins(10);

#[derive(Debug)]
struct Steady {
    /// A moment by the monotonic clock, and the time it was.
    anchor: (Duration, i64),
    /// Since when the wall clock is elsewhere, and how far.
    jump: Option<(Duration, i64)>,
}

impl Default for SteadyClock {
    fn default() -> Self {
        let anchor = (monotonic(), wall());
        Self(Mutex::new(Steady { anchor, jump: None }))
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> i64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).tell(monotonic(), wall())
    }
}

/// Time since the first use in this process, by the clock that nobody sets.
fn monotonic() -> Duration {
    static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

fn wall() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

impl Steady {
    fn tell(&mut self, monotonic: Duration, wall: i64) -> i64 {
        let passed = monotonic.saturating_sub(self.anchor.0).as_micros();
        let steady = self.anchor.1.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX));
        let ahead = wall.saturating_sub(steady);
        let near = |to: i64| ahead.saturating_sub(to).abs() <= TOLERANCE;
        if near(0) {
            (self.anchor, self.jump) = ((monotonic, wall), None);
            return wall;
        }
        match self.jump {
            Some((since, by)) if near(by) => {
                if monotonic.saturating_sub(since) < PATIENCE {
                    return steady;
                }
                tracing::warn!(seconds = ahead / 1_000_000, "the clock's jump has lasted, and is followed");
                (self.anchor, self.jump) = ((monotonic, wall), None);
                wall
            }
            _ => {
                tracing::warn!(
                    seconds = ahead / 1_000_000,
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
    pub fn at(micros: i64) -> Self {
        Self(std::sync::atomic::AtomicI64::new(micros))
    }

    /// Moves the clock.
    pub fn set(&self, micros: i64) {
        self.0.store(micros, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_jump_is_followed_only_when_it_lasts() {
        let mut clock = Steady { anchor: (at(0), 1000 * SECOND), jump: None };
        // Small corrections at once, forwards and back.
        assert_eq!(clock.tell(at(10), 1012 * SECOND), 1012 * SECOND);
        assert_eq!(clock.tell(at(11), 1003 * SECOND), 1003 * SECOND);
        // A jump of a year that is taken back was never there.
        let year = 31_536_000 * SECOND;
        assert_eq!(clock.tell(at(12), 1004 * SECOND + year), 1004 * SECOND);
        assert_eq!(clock.tell(at(300), 1292 * SECOND + year), 1292 * SECOND);
        assert_eq!(clock.tell(at(301), 1293 * SECOND), 1293 * SECOND);
        // Nor was one back.
        assert_eq!(clock.tell(at(302), 1294 * SECOND - year), 1294 * SECOND);
        // One to another place begins anew.
        assert_eq!(clock.tell(at(800), 1792 * SECOND + year), 1792 * SECOND);
        assert_eq!(clock.tell(at(1300), 2292 * SECOND + year), 2292 * SECOND);
        assert_eq!(clock.tell(at(1400), 2392 * SECOND + year), 2392 * SECOND + year);
        assert_eq!(clock.tell(at(1401), 2393 * SECOND + year), 2393 * SECOND + year);
    }
}
