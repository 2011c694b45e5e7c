//! At most so many lines per second and code.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keystead::core::Code;

/// How many lines of one code are written in one second.
const LINES_PER_SECOND: u64 = 100;

/// Counts the lines of each code in the second that is running.
///
/// A flood of bad tokens then costs a hundred lines per second and not a disk. It takes no lock:
/// it stands on the path of requests.
#[derive(Debug)]
pub(crate) struct Limiter {
    seconds: [AtomicU64; Code::ALL.len()],
}

/// Whether one more line is written, and what was not written before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Admission {
    /// Whether this line is written.
    pub(crate) written: bool,
    /// How many lines an earlier second kept back; not zero once per such second.
    pub(crate) suppressed: u64,
}

impl Limiter {
    pub(crate) fn new() -> Self {
        Self { seconds: [const { AtomicU64::new(0) }; Code::ALL.len()] }
    }

    /// Counts a line of this code at this (monotonic) time.
    pub(crate) fn admit(&self, code: Code, now: Duration) -> Admission {
        let Some(slot) = self.slot(code) else { return Admission { written: true, suppressed: 0 } };
        let now = second(now);
        let mut packed = slot.load(Ordering::Relaxed);
        loop {
            let before = Second::unpack(packed);
            // A clock that was read earlier on another thread must not open an older second again.
            let same = now <= before.second;
            let after = if same { before.one_more() } else { Second { second: now, lines: 1 } };
            match slot.compare_exchange_weak(
                packed,
                after.pack(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    return Admission {
                        written: after.lines <= LINES_PER_SECOND,
                        suppressed: if same { 0 } else { before.suppressed() },
                    };
                }
                Err(current) => packed = current,
            }
        }
    }

    /// Closes every second before this (monotonic) time: the codes of which lines were kept back,
    /// and how many.
    pub(crate) fn close(&self, now: Duration) -> Vec<(Code, u64)> {
        let now = second(now);
        let closed = |packed| {
            let before = Second::unpack(packed);
            (before.second < now && before.suppressed() > 0)
                .then(|| Second { second: before.second, lines: 0 }.pack())
        };
        let seconds = Code::ALL.into_iter().zip(&self.seconds);
        seconds
            .filter_map(|(code, slot)| {
                let before =
                    slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, closed).ok()?;
                Some((code, Second::unpack(before).suppressed()))
            })
            .collect()
    }

    fn slot(&self, code: Code) -> Option<&AtomicU64> {
        let at = Code::ALL.iter().position(|known| *known == code)?;
        self.seconds.get(at)
    }
}

/// A second, and how many lines it has seen. Packed into one word, so that both change at once.
#[derive(Clone, Copy)]
struct Second {
    second: u64,
    lines: u64,
}

impl Second {
    const BITS: u32 = 32;

    const fn unpack(packed: u64) -> Self {
        Self { second: packed >> Self::BITS, lines: packed & MOST }
    }

    const fn pack(self) -> u64 {
        self.second << Self::BITS | self.lines
    }

    fn one_more(self) -> Self {
        Self { lines: (self.lines + 1).min(MOST), ..self }
    }

    const fn suppressed(self) -> u64 {
        self.lines.saturating_sub(LINES_PER_SECOND)
    }
}

/// The most that half a word holds: 136 years, or four thousand million lines.
const MOST: u64 = u32::MAX as u64;

fn second(now: Duration) -> u64 {
    now.as_secs().min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_hundred_lines_pass_in_one_second_and_the_rest_is_counted() {
        let limiter = Limiter::new();
        let written =
            |n: u64| (0..n).filter(|_| limiter.admit(Code::TokenEmpty, at(5_500)).written).count();
        assert_eq!(written(100), 100);
        assert_eq!(written(50), 0);
        assert!(limiter.admit(Code::TokenExpired, at(5_500)).written, "codes are apart");
        let next = limiter.admit(Code::TokenEmpty, at(6_000));
        assert_eq!(next, Admission { written: true, suppressed: 50 });
        let then = limiter.admit(Code::TokenEmpty, at(7_000));
        assert_eq!(then, Admission { written: true, suppressed: 0 }, "reported once");
    }

    #[test]
    fn what_was_kept_back_is_reported_though_nothing_follows() {
        let limiter = Limiter::new();
        for _ in 0..107 {
            limiter.admit(Code::TokenEmpty, at(1_000));
        }
        assert_eq!(limiter.close(at(1_999)), [], "the second is not over");
        assert_eq!(limiter.close(at(2_000)), [(Code::TokenEmpty, 7)]);
        assert_eq!(limiter.close(at(3_000)), [], "reported once");
        assert_eq!(limiter.admit(Code::TokenEmpty, at(3_000)).suppressed, 0);
    }

    #[test]
    fn a_time_that_arrives_late_counts_in_the_second_that_is_running() {
        let limiter = Limiter::new();
        for _ in 0..100 {
            limiter.admit(Code::TokenEmpty, at(2_000));
        }
        assert!(!limiter.admit(Code::TokenEmpty, at(1_999)).written);
        assert!(!limiter.admit(Code::TokenEmpty, at(2_000)).written);
    }
}
