//! Which token is presented next.

/// Drawn beforehand, so that drawing is not measured; more than the processor learns by heart.
const DRAWN: usize = 1 << 20;

/// The same numbers in every run (`SplitMix64`).
#[derive(Debug)]
struct Random(u64);

/// Every one as often as any other.
pub(crate) fn uniform<T>(items: &[T]) -> Vec<&T> {
    let mut random = Random(1);
    let count = items.len() as u64;
    let below = |_| usize::try_from(random.next() % count).ok().and_then(|at| items.get(at));
    (0..DRAWN).filter_map(below).collect()
}

/// The second half as often as the first, the third a third as often, and so on: Zipf's law with the
/// exponent 1, as what users do mostly follows it.
pub(crate) fn zipf<T>(items: &[T]) -> Vec<&T> {
    let mut random = Random(2);
    let mut sum = 0.0;
    let add = |rank: usize| {
        sum += 1.0 / (rank + 1) as f64;
        sum
    };
    let sums: Vec<f64> = (0..items.len()).map(add).collect();
    let draw = |_| {
        let drawn = random.part() * sum;
        items.get(sums.partition_point(|sum| *sum <= drawn))
    };
    (0..DRAWN).filter_map(draw).collect()
}

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero up to one.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_drawn_as_often_as_any_other() {
        let items = [0, 1, 2, 3];
        for item in &items {
            let drawn = uniform(&items).iter().filter(|drawn| **drawn == item).count();
            assert!(drawn.abs_diff(DRAWN / 4) < DRAWN / 100, "{item}: {drawn}");
        }
    }

    #[test]
    fn the_second_item_is_drawn_half_as_often_as_the_first() {
        let items = [0, 1, 2, 3];
        let sum = 1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0;
        for (item, times) in items.iter().zip([1.0, 0.5, 1.0 / 3.0, 0.25]) {
            let drawn = zipf(&items).iter().filter(|drawn| **drawn == item).count() as f64;
            let expected = DRAWN as f64 * times / sum;
            assert!((drawn / expected - 1.0).abs() < 0.02, "{item}: {drawn}, not {expected}");
        }
    }
}
