//! How long things took, as a histogram of atomics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts durations by how long they were.
#[derive(Debug)]
pub(crate) struct Durations<const N: usize> {
    /// Ascending, in microseconds; a duration belongs to the first that is not below it.
    bounds: &'static [u64; N],
    counts: [AtomicU64; N],
    above: AtomicU64,
    /// The sum, in nanoseconds.
    sum: AtomicU64,
}

impl<const N: usize> Durations<N> {
    pub(crate) const fn new(bounds: &'static [u64; N]) -> Self {
        let (counts, above) = ([const { AtomicU64::new(0) }; N], AtomicU64::new(0));
        Self { bounds, counts, above, sum: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, took: Duration) {
        let fits = |bound: &u64| took <= Duration::from_micros(*bound);
        let at = self.bounds.iter().position(fits);
        let count = at.and_then(|at| self.counts.get(at)).unwrap_or(&self.above);
        count.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Distribution {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let bounds = self.bounds.iter().map(|micros| Duration::from_micros(*micros));
        Distribution {
            buckets: bounds.zip(self.counts.iter().map(read)).collect(),
            above: read(&self.above),
            sum: Duration::from_nanos(read(&self.sum)),
        }
    }
}

/// How long things took.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Distribution {
    /// Upper bounds, ascending, and how many took no longer than that and longer than the bound
    /// before.
    pub buckets: Vec<(Duration, u64)>,
    /// How many took longer than the last bound.
    pub above: u64,
    /// All of them together.
    pub sum: Duration,
}

impl Distribution {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(self.above, |all, (_, count)| all.saturating_add(*count))
    }

    /// Adds another one with the same bounds.
    pub(crate) fn absorb(&mut self, other: Self) {
        if self.buckets.is_empty() {
            self.buckets = other.buckets;
        } else {
            for ((_, count), (_, more)) in self.buckets.iter_mut().zip(other.buckets) {
                *count = count.saturating_add(more);
            }
        }
        self.above = self.above.saturating_add(other.above);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [u64; 2] = [10, 100];

    fn counts(distribution: &Distribution) -> (Vec<u64>, u64) {
        (distribution.buckets.iter().map(|(_, count)| *count).collect(), distribution.above)
    }

    #[test]
    fn a_duration_is_counted_below_the_first_bound_that_it_does_not_exceed() {
        let durations = Durations::new(&BOUNDS);
        for nanos in [0, 10_000, 10_001, 100_000, 100_001, 5_000_000_000] {
            durations.observe(Duration::from_nanos(nanos));
        }
        let read = durations.read();
        assert_eq!(counts(&read), (vec![2, 2], 2));
        assert_eq!(read.count(), 6);
        assert_eq!(read.sum, Duration::from_nanos(5_000_220_002));
    }

    #[test]
    fn distributions_add_up() {
        let durations = Durations::new(&BOUNDS);
        durations.observe(Duration::from_micros(50));
        let mut sum = Distribution::default();
        sum.absorb(durations.read());
        sum.absorb(durations.read());
        assert_eq!(counts(&sum), (vec![0, 2], 0));
        assert_eq!(sum.sum, Duration::from_micros(100));
    }
}
