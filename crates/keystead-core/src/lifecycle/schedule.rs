//! When a source is asked again: intervals, backoff and jitter.

use core::time::Duration;

/// No wait is shorter, whatever is set: a mistyped interval must not become a busy loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// When a source is asked, and how long its keys live.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Schedule {
    /// How long after a success the source is asked again, when the answer says nothing about it.
    /// Default: 5 min.
    pub interval: Duration,
    /// The interval is never shorter because of an answer's `Cache-Control`. Default: 1 min.
    pub shortest_interval: Duration,
    /// The interval is never longer because of an answer's `Cache-Control`. Default: 1 h.
    pub longest_interval: Duration,
    /// How far waits are spread, in percent to either side, so that many processes do not ask in
    /// step. Default: 10; at most 100.
    pub jitter_percent: u32,
    /// Waits after failures while no usable key is held. Default: 250 ms doubling to 15 s,
    /// `Retry-After` up to 15 s (Keycloak's counts up while it boots).
    pub cold: Backoff,
    /// Waits after failures while usable keys are held. Default: 1 s doubling to 60 s,
    /// `Retry-After` up to 5 min.
    pub warm: Backoff,
    /// How long after a set without any known key the source is asked again, to confirm that the
    /// old keys are gone. Default: 30 s.
    pub confirm_after: Duration,
    /// How long keys may be used after the last success; none: for ever. Default: 24 h. Only keys
    /// from the network expire.
    pub max_stale: Option<Duration>,
    /// How long a key that was removed stays accepted. Default: not at all. Only for keys from the
    /// network; it does not outlast `max_stale`.
    pub removed_key_grace: Duration,
}

/// Waits after failures: they double from one failure to the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait, jitter included.
    pub cap: Duration,
    /// How far a `Retry-After` is obeyed (RFC 9110 section 10.2.3), jitter included.
    pub longest_retry_after: Duration,
}

impl Backoff {
    /// The wait after that many failures in a row, before jitter.
    #[must_use]
    pub fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.cap)
    }
}

impl Default for Schedule {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            interval: minutes(5),
            shortest_interval: minutes(1),
            longest_interval: minutes(60),
            jitter_percent: 10,
            cold: Backoff {
                first: Duration::from_millis(250),
                cap: Duration::from_secs(15),
                longest_retry_after: Duration::from_secs(15),
            },
            warm: Backoff {
                first: Duration::from_secs(1),
                cap: minutes(1),
                longest_retry_after: minutes(5),
            },
            confirm_after: Duration::from_secs(30),
            max_stale: Some(minutes(24 * 60)),
            removed_key_grace: Duration::ZERO,
        }
    }
}

impl Schedule {
    /// Asks at the interval that the operator wrote.
    ///
    /// Who writes an interval wants a withdrawn key to be gone within it. An answer may then ask to
    /// be fetched sooner, but not later: the interval becomes the upper bound as well, and the lower
    /// bound too where it is shorter than that.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self.shortest_interval = self.shortest_interval.min(interval);
        self.longest_interval = interval;
        self
    }

    /// Lets keys be used this long after the last success; none: for ever.
    #[must_use]
    pub const fn with_max_stale(mut self, max_stale: Option<Duration>) -> Self {
        self.max_stale = max_stale;
        self
    }

    /// Goes on accepting keys for this long after they were removed.
    #[must_use]
    pub const fn with_removed_key_grace(mut self, grace: Duration) -> Self {
        self.removed_key_grace = grace;
        self
    }

    /// The interval in force after an answer that may be used for `max_age` (RFC 9111 section
    /// 5.2.2.1), if it said so.
    pub(super) fn interval_after(&self, max_age: Option<Duration>) -> Duration {
        let asked = max_age.map_or(self.interval, |age| {
            age.min(self.longest_interval).max(self.shortest_interval)
        });
        asked.max(SHORTEST_WAIT)
    }

    /// A wait of about one interval.
    pub(super) fn regular(&self, interval: Duration, random: &mut Random) -> Duration {
        let part = self.part_of(interval);
        let earliest = interval.saturating_sub(part).max(SHORTEST_WAIT);
        random.between(earliest, interval.saturating_add(part))
    }

    /// The wait after that many failures in a row.
    pub(super) fn after_failure(
        &self,
        backoff: Backoff,
        failures: u32,
        retry_after: Option<Duration>,
        random: &mut Random,
    ) -> Duration {
        let wait = backoff.after(failures);
        let part = self.part_of(wait);
        let latest = wait.saturating_add(part).min(backoff.cap);
        let own = random.between(wait.saturating_sub(part), latest);
        // The source's wish never shortens our own wait: a Retry-After of 0 in every answer would
        // be an invitation to a storm.
        let asked = retry_after.map_or(Duration::ZERO, |asked| {
            let asked = asked.min(backoff.longest_retry_after);
            let latest = asked.saturating_add(self.part_of(asked));
            random.between(asked, latest.min(backoff.longest_retry_after))
        });
        own.max(asked).max(SHORTEST_WAIT)
    }

    /// The wait before the fetch that confirms a removal.
    pub(super) fn confirmation(&self, interval: Duration) -> Duration {
        self.confirm_after.min(interval).max(SHORTEST_WAIT)
    }

    fn part_of(&self, wait: Duration) -> Duration {
        // Division first: the product could overflow, and a lost nanosecond does not matter.
        (wait / 100).saturating_mul(self.jitter_percent.min(100))
    }
}

/// A small generator of even numbers (SplitMix64): for jitter, never for secrets.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration between these two, both included.
    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
        let scaled = (u128::from(self.next()) * (u128::from(span) + 1)) >> 64;
        low.saturating_add(Duration::from_nanos(u64::try_from(scaled).unwrap_or(span)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn backoff_doubles_from_its_first_wait_to_its_cap() {
        let schedule = Schedule { jitter_percent: 0, ..Schedule::default() };
        let random = &mut Random::new(0);
        let mut cold = |n| schedule.after_failure(schedule.cold, n, None, random).as_millis();
        assert_eq!([1, 2, 3, 6, 7, 8].map(&mut cold), [250, 500, 1_000, 8_000, 15_000, 15_000]);
        assert_eq!(cold(u32::MAX), 15_000);
        let mut warm = |n| schedule.after_failure(schedule.warm, n, None, random).as_secs();
        assert_eq!([1, 2, 6, 7, 99].map(&mut warm), [1, 2, 32, 60, 60]);
    }

    #[test]
    fn a_retry_after_lengthens_the_wait_up_to_its_cap_and_never_shortens_it() {
        let schedule = Schedule::default();
        for seed in 0..200 {
            let random = &mut Random::new(seed);
            let mut wait = |backoff, n, asked| {
                schedule.after_failure(backoff, n, Some(Duration::from_secs(asked)), random)
            };
            assert!((s(10)..=s(11)).contains(&wait(schedule.cold, 1, 10)));
            assert_eq!(wait(schedule.cold, 1, 44), s(15), "capped while no key is held");
            assert!((s(44)..=s(49)).contains(&wait(schedule.warm, 1, 44)));
            assert_eq!(wait(schedule.warm, 1, u64::MAX), s(300));
            assert!(wait(schedule.warm, 9, 0) >= s(54), "its own backoff goes on");
        }
    }

    #[test]
    fn jitter_spreads_ten_percent_to_either_side() {
        let schedule = Schedule::default();
        let random = &mut Random::new(7);
        let waits: Vec<_> = (0..1_000).map(|_| schedule.regular(s(300), random)).collect();
        assert!(waits.iter().all(|wait| (s(270)..=s(330)).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < s(275)) && waits.iter().any(|wait| *wait > s(325)));
    }

    #[test]
    fn jitter_never_passes_a_backoff_cap_and_still_spreads_there() {
        let schedule = Schedule::default();
        let random = &mut Random::new(7);
        let waits: Vec<_> =
            (0..1_000).map(|_| schedule.after_failure(schedule.cold, 20, None, random)).collect();
        assert!(waits.iter().all(|wait| (Duration::from_millis(13_500)..=s(15)).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < s(14)));
    }

    #[test]
    fn an_answer_moves_the_default_interval_within_its_bounds() {
        let after = |age| Schedule::default().interval_after(age);
        assert_eq!(after(None), s(300));
        assert_eq!(after(Some(s(0))), s(60));
        assert_eq!(after(Some(s(600))), s(600));
        assert_eq!(after(Some(Duration::MAX)), s(3600));
    }

    #[test]
    fn an_answer_may_shorten_a_written_interval_but_not_lengthen_it() {
        let after = |written, age| Schedule::default().with_interval(written).interval_after(age);
        assert_eq!(after(s(1800), Some(s(3600))), s(1800));
        assert_eq!(after(s(1800), Some(s(120))), s(120));
        assert_eq!(after(s(1800), Some(s(0))), s(60));
        assert_eq!(after(s(10), Some(s(0))), s(10), "shorter than the usual lower bound");
        assert_eq!(after(s(10), Some(s(3600))), s(10));
        assert_eq!(after(s(7200), None), s(7200));
    }

    #[test]
    fn nothing_that_is_set_makes_a_busy_loop() {
        let zero = Backoff {
            first: Duration::ZERO,
            cap: Duration::ZERO,
            longest_retry_after: Duration::ZERO,
        };
        let schedule =
            Schedule { confirm_after: Duration::ZERO, jitter_percent: 100, ..Schedule::default() }
                .with_interval(Duration::ZERO);
        let random = &mut Random::new(1);
        assert_eq!(schedule.interval_after(Some(Duration::ZERO)), SHORTEST_WAIT);
        assert_eq!(schedule.after_failure(zero, 1, None, random), SHORTEST_WAIT);
        assert_eq!(schedule.confirmation(Duration::ZERO), SHORTEST_WAIT);
        let waits = (0..1_000).map(|_| schedule.regular(SHORTEST_WAIT, random));
        assert!(waits.into_iter().all(|wait| wait >= SHORTEST_WAIT), "jitter included");
    }

    #[test]
    fn the_largest_durations_do_not_overflow() {
        let schedule = Schedule { jitter_percent: u32::MAX, ..Schedule::default() };
        let random = &mut Random::new(u64::MAX);
        assert!(schedule.regular(Duration::MAX, random) > s(0));
        let endless = Backoff {
            first: Duration::MAX,
            cap: Duration::MAX,
            longest_retry_after: Duration::MAX,
        };
        let wait = schedule.after_failure(endless, u32::MAX, Some(Duration::MAX), random);
        assert_eq!(wait, Duration::MAX);
    }
}
