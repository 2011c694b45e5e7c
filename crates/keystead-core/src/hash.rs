//! A hash for tables that no caller writes to: the issuers of a configuration, the kids of a key set.
//!
//! It has no secret and need not have one. Whoever presents a token can look up what they like, but
//! add nothing, and a key set that makes its own kids collide slows down its own few keys.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by text.
pub(crate) type Table<K, V> = HashMap<K, V, BuildHasherDefault<Folded>>;

/// Folds eight bytes at a time into one word.
#[derive(Clone, Copy, Default)]
pub(crate) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in words.by_ref() {
            self.write_u64(word.try_into().map_or(0, u64::from_le_bytes));
        }
        // With the length, so that zero bytes at the end count.
        let rest = words.remainder().iter();
        self.write_u64(rest.fold(bytes.len() as u64, |word, byte| word << 8 | u64::from(*byte)));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u64(&mut self, word: u64) {
        // The multiplier of splitmix64: odd, and its bits are well spread.
        self.0 = (self.0.rotate_left(26) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // A product's low bits depend on few of its factors' bits, and tables use the low ones.
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_that_differ_little_have_other_hashes() {
        let of = |text: &str| {
            let mut folded = Folded::default();
            folded.write(text.as_bytes());
            folded.finish()
        };
        let long = "https://idp.acme.example/realms/";
        let texts = (0..10_000).map(|n| format!("{long}{n}"));
        let short = ["", "\0", "\0\0", "a", "a\0", "aud", "exp", "12345678", "12345678\0"];
        let all: Vec<_> = texts.chain(short.map(Into::into)).collect();
        let hashes: HashSet<_> = all.iter().map(|text| of(text)).collect();
        assert_eq!(hashes.len(), all.len());
        // And tables of 2^14 places, by the low bits, are filled as if by chance.
        let places: HashSet<_> = hashes.iter().map(|hash| hash % (1 << 14)).collect();
        assert!(places.len() > 7_000, "{} of 16,384 places", places.len());
        let tops: HashSet<_> = hashes.iter().map(|hash| hash >> 57).collect();
        assert_eq!(tops.len(), 128);
    }
}
