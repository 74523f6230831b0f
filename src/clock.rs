//! Time is passed in: nothing below `app` reads the wall clock.

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
        jiff::Timestamp::now().as_microsecond()
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
