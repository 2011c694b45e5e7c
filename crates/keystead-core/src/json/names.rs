//! The member names of one object, to notice the second use of one.

use std::borrow::Cow;

use super::strings::{Raw, unescape};

/// How many names are compared one by one, without an allocation: nearly every object has fewer.
const FEW: usize = 24;

/// The names that were seen.
///
/// Names are compared with their escapes resolved; hashes only save comparisons. Beyond the first
/// few, names are kept and sorted when the object ends: a thousand names that somebody chose, and
/// hashes that somebody made collide, must not cost a million comparisons.
pub(super) struct Names<'a> {
    text: &'a str,
    few: [Name; FEW],
    more: Vec<Name>,
    len: usize,
    /// A bit for each hash that was seen, by its highest bits: most names are new at a glance.
    glance: u64,
}

/// Where a name stands, escapes unresolved.
#[derive(Clone, Copy, Default)]
struct Name {
    hash: u64,
    start: usize,
    len: usize,
}

impl<'a> Names<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        const NONE: Name = Name { hash: 0, start: 0, len: 0 };
        Self { text, few: [NONE; FEW], more: Vec::new(), len: 0, glance: 0 }
    }

    /// Notes a name, and says whether it is one of the first few again.
    pub(super) fn seen_before(&mut self, name: &str, raw: Raw<'_>) -> bool {
        let hash = hash(name.as_bytes());
        let bit = 1 << (hash >> 58);
        let same = |known: &Name| known.hash == hash && self.unescaped(known) == name;
        if self.glance & bit != 0 && self.few.iter().take(self.len).any(same) {
            return true;
        }
        self.glance |= bit;
        let note = Name { hash, start: raw.start, len: raw.text.len() };
        match self.few.get_mut(self.len) {
            Some(slot) => *slot = note,
            None => self.more.push(note),
        }
        self.len += 1;
        false
    }

    /// A name that appears twice beyond the first few.
    pub(super) fn duplicate_among_the_rest(mut self) -> Option<Cow<'a, str>> {
        if self.more.is_empty() {
            return None;
        }
        let mut more = core::mem::take(&mut self.more);
        more.sort_unstable_by(|one, other| {
            let by_hash = one.hash.cmp(&other.hash);
            by_hash.then_with(|| self.unescaped(one).cmp(&self.unescaped(other)))
        });
        more.windows(2).find_map(|pair| match pair {
            [one, other] if one.hash == other.hash => {
                Some(self.unescaped(one)).filter(|name| *name == self.unescaped(other))
            }
            _ => None,
        })
    }

    fn unescaped(&self, name: &Name) -> Cow<'a, str> {
        unescape(self.text.get(name.start..name.start + name.len).unwrap_or_default())
    }
}

/// Equal for equal names. Their ends and their length are what tells most names apart.
fn hash(name: &[u8]) -> u64 {
    let ends = match (name.first_chunk(), name.last_chunk(), name.first_chunk(), name.last_chunk())
    {
        (Some(first), Some(last), _, _) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        (_, _, Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    (ends ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
