//! Clocks that a test moves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead::Clock;
use tokio::time::Instant;

/// Where a clock's wall time starts unless the test says otherwise: 2026-01-01T00:00:00Z.
const DEFAULT_WALL: Duration = Duration::from_secs(1_767_225_600);

/// A clock that stands still until it is moved. Clones share the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    wall: Duration,
    monotonic: Duration,
}

impl ManualClock {
    /// A clock whose wall time is 2026-01-01T00:00:00Z and whose monotonic time is zero.
    #[must_use]
    pub fn new() -> Self {
        Self::at(DEFAULT_WALL)
    }

    /// A clock whose wall time is `wall` (since the Unix epoch) and whose monotonic time is zero.
    #[must_use]
    pub fn at(wall: Duration) -> Self {
        Self(Arc::new(Mutex::new(Times { wall, monotonic: Duration::ZERO })))
    }

    /// Lets `by` pass: both times move.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        times.wall = times.wall.saturating_add(by);
        times.monotonic = times.monotonic.saturating_add(by);
    }

    /// Sets the wall time, as an operator or NTP would: monotonic time does not notice.
    pub fn set_wall(&self, wall: Duration) {
        self.times().wall = wall;
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        // A test that panicked while it held the lock left two plain numbers behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Duration {
        self.times().wall
    }

    fn monotonic(&self) -> Duration {
        self.times().monotonic
    }
}

/// A clock that follows tokio's time, so that a paused test and the tasks it watches share one
/// virtual time. Clones share the same wall shift.
///
/// Tokio pauses time per runtime: ask this clock on the runtime that is paused. Asked from a thread
/// outside of any runtime it follows real time.
#[derive(Clone, Debug)]
pub struct PausedClock {
    started: Instant,
    wall: Arc<Mutex<Duration>>,
}

impl PausedClock {
    /// A clock whose wall time starts at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self::at(DEFAULT_WALL)
    }

    /// A clock whose wall time starts at `wall` (since the Unix epoch); monotonic time starts at
    /// zero.
    #[must_use]
    pub fn at(wall: Duration) -> Self {
        Self { started: Instant::now(), wall: Arc::new(Mutex::new(wall)) }
    }

    /// Moves the wall time by this many seconds, forward or (negative) back, not before the epoch;
    /// monotonic time does not notice.
    pub fn shift_wall(&self, seconds: i64) {
        let by = Duration::from_secs(seconds.unsigned_abs());
        let mut start = self.start();
        *start = if seconds < 0 { start.saturating_sub(by) } else { start.saturating_add(by) };
    }

    fn start(&self) -> MutexGuard<'_, Duration> {
        self.wall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for PausedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for PausedClock {
    fn wall(&self) -> Duration {
        self.start().saturating_add(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_manual_clock_moves_only_when_told_and_for_every_clone() {
        let clock = ManualClock::at(HOUR);
        let seen: Arc<dyn Clock> = Arc::new(clock.clone());
        assert_eq!((seen.wall(), seen.monotonic()), (HOUR, Duration::ZERO));
        clock.advance(HOUR);
        assert_eq!((seen.wall(), seen.monotonic()), (2 * HOUR, HOUR));
        clock.set_wall(Duration::ZERO);
        assert_eq!((seen.wall(), seen.monotonic()), (Duration::ZERO, HOUR));
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_follows_tokio_and_its_wall_can_be_set() {
        let clock = PausedClock::at(2 * HOUR);
        let seen = clock.clone();
        tokio::time::advance(HOUR).await;
        assert_eq!((seen.wall(), seen.monotonic()), (3 * HOUR, HOUR));
        clock.shift_wall(-3600);
        assert_eq!((seen.wall(), seen.monotonic()), (2 * HOUR, HOUR));
        clock.shift_wall(7200);
        assert_eq!((seen.wall(), seen.monotonic()), (4 * HOUR, HOUR));
    }
}
