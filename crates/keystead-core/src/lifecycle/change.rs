//! How a newly published set changes the live keys: what is added, and what may go.

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::hash::DefaultHasher;
use std::sync::Arc;

use crate::jwk::{Jwk, Material};
use crate::key_set::KeySet;

/// How long a key that went is remembered, to notice that it came back.
pub(super) const REMEMBERED: Duration = Duration::from_secs(48 * 3_600);

/// How many keys may be on their way out at once, and how many that went are remembered: as many as
/// one set may hold. A source that changes its keys all the time must not fill the memory.
const MOST: usize = 256;

/// What a successful fetch changed. Keys are compared by their material (the RFC 7638 members),
/// never by `kid`; but a token finds a key by its `kid`, so a `kid` that is published no more leaves
/// and returns as a key does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// Keys that were not live before.
    pub added: Vec<Arc<Jwk>>,
    /// Keys that are no longer live.
    pub removed: Vec<Arc<Jwk>>,
    /// Keys that were live already, now published under another `kid` or `alg` (or more, or fewer
    /// of them). They are live as published now.
    pub relabelled: Vec<Arc<Jwk>>,
    /// Keys that the set lacks and that stay live all the same, until the next successful fetch:
    /// the set held none of the known keys.
    pub kept: Vec<Arc<Jwk>>,
    /// Keys that were removed now, or are published no more under this `kid`, and stay live for
    /// [`Schedule::removed_key_grace`](super::Schedule::removed_key_grace).
    pub leaving: Vec<Arc<Jwk>>,
    /// Keys of the set that had gone less than 48 h before, altogether or under their `kid`.
    pub returned: Vec<Arc<Jwk>>,
    /// Whether the unusable keys, or their reasons, are others than before.
    pub skipped_changed: bool,
}

impl Change {
    /// Whether everything is as it was, so that nothing has to be published or told.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.relabelled.is_empty()
            && self.leaving.is_empty()
            && !self.skipped_changed
    }
}

/// How keys that a new set lacks are taken away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Removal {
    /// At once.
    AtOnce,
    /// At once when the set still holds some known key; else each key only when the set before
    /// lacked it too. What is removed stays live until `leaves`.
    Guarded {
        /// Monotonic time.
        leaves: Duration,
    },
}

/// The live keys: those of the latest successful set, after them those kept beside it, and after
/// those the ones that were removed and are still accepted.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveKeys {
    keys: KeySet,
    kept: Vec<Arc<Jwk>>,
    /// In the order in which they leave.
    leaving: Vec<(Arc<Jwk>, Duration)>,
    /// What went lately, the oldest first: the hash of its material, or of its material and `kid`
    /// where the material stayed, and when.
    gone: Vec<(u64, Duration)>,
}

impl LiveKeys {
    pub(super) const fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Those that are only kept until the next successful fetch.
    pub(super) fn kept(&self) -> &[Arc<Jwk>] {
        &self.kept
    }

    /// Those that were removed, and when each of them goes.
    pub(super) fn leaving(&self) -> &[(Arc<Jwk>, Duration)] {
        &self.leaving
    }

    /// The latest successful set.
    pub(super) fn published(&self) -> KeySet {
        let mut set = KeySet::default();
        let beside = self.kept.len().saturating_add(self.leaving.len());
        let published = self.keys.keys().len().saturating_sub(beside);
        for key in self.keys.keys().iter().take(published) {
            set.push(Arc::clone(key));
        }
        for key in self.keys.skipped() {
            set.push_skipped(key.clone());
        }
        set
    }

    /// Makes this set live in place of the one before, as far as `removal` allows.
    pub(super) fn replace(&mut self, set: KeySet, removal: Removal, now: Duration) -> Change {
        let mut change =
            Change { skipped_changed: self.keys.skipped() != set.skipped(), ..Change::default() };
        let known = by_material(self.known());
        let parting = by_material(self.leaving.iter().map(|(key, _)| key));
        let published = by_material(set.keys());
        for key in set.keys() {
            match known.get(key.material()).or_else(|| parting.get(key.material())) {
                None => change.added.push(Arc::clone(key)),
                Some(held) if !same_labels(held, published.get(key.material())) => {
                    change.relabelled.push(Arc::clone(key));
                }
                Some(_) => {}
            }
        }
        let (kept, mut gone) = self.part_missing(&published, removal);
        gone.extend(self.known().iter().filter(|key| lost_its_kid(key, &published)).cloned());
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain(|(key, _)| !published_as(key, &published));
        match removal {
            Removal::AtOnce => gone.extend(leaving.drain(..).map(|(key, _)| key)),
            Removal::Guarded { leaves } if leaves > now => {
                leaving.extend(gone.iter().map(|key| (Arc::clone(key), leaves)));
                change.leaving = gone;
                let over = leaving.len().saturating_sub(MOST);
                gone = leaving.drain(..over).map(|(key, _)| key).collect();
            }
            Removal::Guarded { .. } => {}
        }
        change.returned = self.returned(&set, &change.added, now);
        change.kept.clone_from(&kept);
        self.assemble(set, kept, leaving);
        self.take_away(gone, now, &mut change);
        change
    }

    /// Accepts these beside the live keys until their time, as what was removed before; those that
    /// were not live.
    pub(super) fn let_leave(
        &mut self,
        keys: impl IntoIterator<Item = (Arc<Jwk>, Duration)>,
    ) -> Vec<Arc<Jwk>> {
        let mut added = Vec::new();
        let published = self.published();
        let mut leaving = std::mem::take(&mut self.leaving);
        for (key, leaves) in keys {
            let is_it =
                |other: &Arc<Jwk>| other.material() == key.material() && other.kid() == key.kid();
            let is_live = self.keys.keys().iter().any(is_it);
            if !is_live && leaving.len() < MOST && !leaving.iter().any(|(other, _)| is_it(other)) {
                added.push(Arc::clone(&key));
                leaving.push((key, leaves));
            }
        }
        leaving.sort_by_key(|(_, leaves)| *leaves);
        let kept = std::mem::take(&mut self.kept);
        self.assemble(published, kept, leaving);
        added
    }

    /// Takes away what was removed and has been accepted for long enough.
    pub(super) fn expire(&mut self, now: Duration) -> Change {
        if !self.leaving.iter().any(|(_, leaves)| *leaves <= now) {
            return Change::default();
        }
        let published = self.published();
        let (left, leaving): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.leaving).into_iter().partition(|(_, leaves)| *leaves <= now);
        let kept = std::mem::take(&mut self.kept);
        self.assemble(published, kept, leaving);
        let mut change = Change::default();
        self.take_away(left.into_iter().map(|(key, _)| key).collect(), now, &mut change);
        change
    }

    fn assemble(
        &mut self,
        published: KeySet,
        kept: Vec<Arc<Jwk>>,
        leaving: Vec<(Arc<Jwk>, Duration)>,
    ) {
        self.keys = published;
        for key in kept.iter().chain(leaving.iter().map(|(key, _)| key)) {
            self.keys.push(Arc::clone(key));
        }
        (self.kept, self.leaving) = (kept, leaving);
    }

    /// The live keys but for those that were removed before: they are not known any more, even while
    /// they are accepted.
    fn known(&self) -> &[Arc<Jwk>] {
        let known = self.keys.keys().len().saturating_sub(self.leaving.len());
        self.keys.keys().get(..known).unwrap_or_default()
    }

    /// The known keys that `now` lacks: those that stay, and those that go.
    fn part_missing(
        &self,
        now: &ByMaterial<'_>,
        removal: Removal,
    ) -> (Vec<Arc<Jwk>>, Vec<Arc<Jwk>>) {
        let missing = |key: &&Arc<Jwk>| !now.contains_key(key.material());
        let known_one_left = !self.known().iter().all(|key| missing(&key));
        let at_once = known_one_left || removal == Removal::AtOnce;
        let missed_before: HashSet<_> = self.kept.iter().map(|key| key.material()).collect();
        let missing = self.known().iter().filter(missing).cloned();
        missing.partition(|key| !at_once && !missed_before.contains(key.material()))
    }

    /// Tells what these leave behind, who are live no more: nothing, or their material under another
    /// `kid`.
    fn take_away(&mut self, gone: Vec<Arc<Jwk>>, now: Duration, change: &mut Change) {
        for key in gone {
            let same = |other: &&Arc<Jwk>| other.material() == key.material();
            let left: Vec<_> = self.keys.keys().iter().filter(same).collect();
            if left.is_empty() {
                self.gone.push((hash(key.material()), now));
                change.removed.push(key);
                continue;
            }
            self.gone.push((hash(label(&key)), now));
            for other in left {
                if !change.relabelled.contains(other) && !change.added.contains(other) {
                    change.relabelled.push(Arc::clone(other));
                }
            }
        }
        self.gone.drain(..self.gone.len().saturating_sub(MOST));
    }

    /// Those of the set that went lately; they are forgotten as such.
    fn returned(&mut self, set: &KeySet, added: &[Arc<Jwk>], now: Duration) -> Vec<Arc<Jwk>> {
        self.gone.retain(|(_, went)| now.saturating_sub(*went) <= REMEMBERED);
        let gone: HashSet<u64> = self.gone.iter().map(|(hash, _)| *hash).collect();
        let is_back = |key: &&Arc<Jwk>| {
            gone.contains(&hash(label(key)))
                || (gone.contains(&hash(key.material())) && added.contains(key))
        };
        let back: Vec<_> = set.keys().iter().filter(is_back).cloned().collect();
        let hashes = |key: &Arc<Jwk>| [hash(label(key)), hash(key.material())];
        let here: HashSet<u64> = back.iter().flat_map(hashes).collect();
        self.gone.retain(|(hash, _)| !here.contains(hash));
        back
    }
}

/// What a token finds a key by, and what makes it what it is.
fn label(key: &Jwk) -> (Option<&str>, &Material) {
    (key.kid(), key.material())
}

/// Enough to notice that a key came back: two keys with one hash would cause a wrong notice, no more.
fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

type ByMaterial<'a> = HashMap<&'a Material, Vec<&'a Arc<Jwk>>>;

/// One material may be published several times, under several identifiers.
fn by_material<'a>(keys: impl IntoIterator<Item = &'a Arc<Jwk>>) -> ByMaterial<'a> {
    let mut map = ByMaterial::new();
    for key in keys {
        map.entry(key.material()).or_default().push(key);
    }
    map
}

/// Whether the key is published under its `kid`.
fn published_as(key: &Jwk, published: &ByMaterial<'_>) -> bool {
    let same = published.get(key.material());
    same.is_some_and(|same| same.iter().any(|other| other.kid() == key.kid()))
}

/// Whether the key is published, and not under its `kid`.
fn lost_its_kid(key: &Jwk, published: &ByMaterial<'_>) -> bool {
    published.contains_key(key.material()) && !published_as(key, published)
}

fn same_labels(held: &[&Arc<Jwk>], published: Option<&Vec<&Arc<Jwk>>>) -> bool {
    published.is_some_and(|published| {
        published.iter().all(|key| held.contains(key))
            && held.iter().all(|key| published.contains(key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, EcCurve, KeyProblem, SkippedKey};

    fn key(n: u8, kid: &str, algorithm: Option<Algorithm>) -> Jwk {
        let coordinate: Box<[u8]> = [n; 32].into();
        let (x, y) = (coordinate.clone(), coordinate);
        Jwk::new(Some(kid), algorithm, Material::Ec { curve: EcCurve::P256, x, y }).unwrap()
    }

    fn set(materials: &[u8]) -> KeySet {
        KeySet::new(materials.iter().map(|n| key(*n, &n.to_string(), None)))
    }

    fn kids(keys: &[Arc<Jwk>]) -> Vec<&str> {
        keys.iter().filter_map(|key| key.kid()).collect()
    }

    const NOW: Duration = Duration::from_secs(1_000);
    const GUARDED: Removal = Removal::Guarded { leaves: NOW };

    fn replaced(live: &mut LiveKeys, materials: &[u8]) -> Change {
        live.replace(set(materials), GUARDED, NOW)
    }

    /// The same at another time, with what is removed accepted for ten seconds more.
    fn replaced_at(live: &mut LiveKeys, seconds: u64, materials: &[u8]) -> Change {
        let now = Duration::from_secs(seconds);
        live.replace(set(materials), Removal::Guarded { leaves: now + GRACE }, now)
    }

    const GRACE: Duration = Duration::from_secs(10);

    #[test]
    fn an_equal_set_is_no_change() {
        let mut live = LiveKeys::default();
        assert_eq!(kids(&replaced(&mut live, &[1, 2]).added), ["1", "2"]);
        assert!(replaced(&mut live, &[2, 1]).is_empty());
        assert_eq!(kids(live.keys().keys()), ["2", "1"], "in the order published");
    }

    #[test]
    fn a_known_key_in_the_set_lets_the_missing_ones_go_at_once() {
        let mut live = LiveKeys::default();
        replaced(&mut live, &[1, 2]);
        let change = replaced(&mut live, &[2, 3]);
        assert_eq!((kids(&change.added), kids(&change.removed)), (vec!["3"], vec!["1"]));
        assert!(change.kept.is_empty() && live.kept().is_empty());
    }

    #[test]
    fn a_set_without_any_known_key_stands_beside_the_old_until_a_second_one_agrees() {
        let mut live = LiveKeys::default();
        replaced(&mut live, &[1, 2]);
        let change = replaced(&mut live, &[3]);
        assert_eq!(
            (kids(&change.kept), kids(live.keys().keys())),
            (vec!["1", "2"], vec!["3", "1", "2"])
        );
        assert!(change.removed.is_empty() && !live.kept().is_empty());
        let change = replaced(&mut live, &[3, 4]);
        assert_eq!(kids(&change.removed), ["1", "2"], "the second need not equal the first");
        assert_eq!(kids(live.keys().keys()), ["3", "4"]);
    }

    #[test]
    fn old_keys_that_return_stay_and_the_short_lived_new_ones_go() {
        let mut live = LiveKeys::default();
        replaced(&mut live, &[1, 2]);
        replaced(&mut live, &[3]);
        let change = replaced(&mut live, &[1]);
        assert_eq!(kids(&change.removed), ["3", "2"]);
        assert!(change.added.is_empty() && live.kept().is_empty());
    }

    #[test]
    fn a_third_set_ends_the_first_and_keeps_the_second_for_one_more_fetch() {
        let mut live = LiveKeys::default();
        replaced(&mut live, &[1]);
        replaced(&mut live, &[2]);
        let change = replaced(&mut live, &[3]);
        assert_eq!((kids(&change.removed), kids(&change.kept)), (vec!["1"], vec!["2"]));
        assert!(!live.kept().is_empty());
        assert_eq!(kids(&replaced(&mut live, &[3]).removed), ["2"]);
    }

    #[test]
    fn without_the_guard_missing_keys_go_at_once() {
        let mut live = LiveKeys::default();
        replaced(&mut live, &[1]);
        let change = live.replace(set(&[2]), Removal::AtOnce, NOW);
        assert_eq!((kids(&change.removed), kids(live.keys().keys())), (vec!["1"], vec!["2"]));
    }

    /// K16
    #[test]
    fn the_same_kid_with_other_material_is_another_key() {
        let mut live = LiveKeys::default();
        live.replace(KeySet::new([key(1, "a", None), key(2, "b", None)]), GUARDED, NOW);
        let rekeyed = KeySet::new([key(3, "a", None), key(2, "b", None)]);
        let change = live.replace(rekeyed, GUARDED, NOW);
        assert_eq!(change.added, [Arc::new(key(3, "a", None))]);
        assert_eq!(change.removed, [Arc::new(key(1, "a", None))]);
    }

    #[test]
    fn a_new_kid_or_algorithm_of_a_known_key_takes_effect() {
        let mut live = LiveKeys::default();
        let mut put = |keys: Vec<Jwk>| live.replace(KeySet::new(keys), GUARDED, NOW);
        put(vec![key(1, "a", None)]);
        for relabelled in [key(1, "b", None), key(1, "b", Some(Algorithm::Es256))] {
            let change = put(vec![relabelled.clone()]);
            assert_eq!(change.relabelled, [Arc::new(relabelled)]);
            assert!(change.added.is_empty() && change.removed.is_empty() && !change.is_empty());
        }
        assert_eq!(live.keys().keys(), [Arc::new(key(1, "b", Some(Algorithm::Es256)))]);
    }

    #[test]
    fn one_key_under_two_identifiers_keeps_both_until_one_is_withdrawn() {
        let mut live = LiveKeys::default();
        let mut put = |keys: Vec<Jwk>| live.replace(KeySet::new(keys), GUARDED, NOW);
        put(vec![key(1, "a", None)]);
        let both = vec![key(1, "a", None), key(1, "b", None)];
        assert_eq!(kids(&put(both.clone()).relabelled), ["a", "b"]);
        assert!(put(both).is_empty());
        assert_eq!(kids(&put(vec![key(1, "b", None)]).relabelled), ["b"]);
        assert_eq!(kids(live.keys().keys()), ["b"]);
    }

    #[test]
    fn unusable_keys_are_those_of_the_latest_set() {
        let mut live = LiveKeys::default();
        let mut with_skipped = set(&[1]);
        with_skipped.push_skipped(SkippedKey { kid: None, kty: None, why: KeyProblem::KeyOps });
        live.replace(with_skipped.clone(), GUARDED, NOW);
        assert!(live.replace(with_skipped, GUARDED, NOW).is_empty());
        let change = replaced(&mut live, &[1]);
        assert!(change.skipped_changed && !change.is_empty() && live.keys().skipped().is_empty());
    }

    #[test]
    fn a_removed_key_stays_for_its_grace_and_is_then_gone() {
        let mut live = LiveKeys::default();
        replaced_at(&mut live, 0, &[1, 2]);
        let change = replaced_at(&mut live, 5, &[2]);
        assert_eq!((kids(&change.leaving), kids(&change.removed)), (vec!["1"], vec![]));
        assert!(!change.is_empty());
        assert_eq!(kids(live.keys().keys()), ["2", "1"]);
        assert_eq!(kids(live.published().keys()), ["2"]);
        assert!(replaced_at(&mut live, 6, &[2]).is_empty(), "its end is not put off");
        assert!(live.expire(Duration::from_secs(14)).is_empty());
        assert_eq!(kids(&live.expire(Duration::from_secs(15)).removed), ["1"]);
        assert_eq!(kids(live.keys().keys()), ["2"]);
    }

    #[test]
    fn a_key_that_comes_back_within_its_grace_was_never_away() {
        let mut live = LiveKeys::default();
        replaced_at(&mut live, 0, &[1, 2]);
        replaced_at(&mut live, 5, &[2]);
        let change = replaced_at(&mut live, 9, &[1, 2]);
        assert!(change.is_empty() && change.returned.is_empty(), "{change:?}");
        assert!(live.leaving().is_empty());
        assert!(live.expire(Duration::MAX).is_empty());
    }

    #[test]
    fn a_key_in_its_grace_is_no_known_key() {
        let mut live = LiveKeys::default();
        replaced_at(&mut live, 0, &[1, 2]);
        replaced_at(&mut live, 1, &[2]);
        // Key 1 alone says nothing about key 2, which therefore stays until it is missed again.
        let change = replaced_at(&mut live, 2, &[1]);
        assert_eq!(kids(&change.kept), ["2"]);
        assert_eq!(kids(live.keys().keys()), ["1", "2"]);
        let change = replaced_at(&mut live, 3, &[1]);
        assert_eq!(kids(&change.leaving), ["2"], "the grace begins with the removal");
    }

    #[test]
    fn without_the_guard_there_is_no_grace_either() {
        let mut live = LiveKeys::default();
        replaced_at(&mut live, 0, &[1, 2]);
        replaced_at(&mut live, 1, &[2]);
        let change = live.replace(set(&[3]), Removal::AtOnce, Duration::from_secs(2));
        assert_eq!(kids(&change.removed), ["2", "1"]);
        assert_eq!(kids(live.keys().keys()), ["3"]);
    }

    #[test]
    fn a_key_that_went_and_came_back_is_named_for_forty_eight_hours() {
        for (back, named) in [(48 * 3_600 + 1_000, true), (48 * 3_600 + 1_001, false)] {
            let mut live = LiveKeys::default();
            replaced(&mut live, &[1, 2]);
            assert_eq!(kids(&replaced(&mut live, &[2]).removed), ["1"]);
            let change = replaced_at(&mut live, back, &[1, 2]);
            assert_eq!(kids(&change.added), ["1"]);
            assert_eq!(!change.returned.is_empty(), named);
        }
    }

    #[test]
    fn a_source_that_changes_its_keys_all_the_time_does_not_fill_the_memory() {
        let mut live = LiveKeys::default();
        let keep = || key(0, "0", None);
        for n in 0..600_u32 {
            let mut x = [0; 32];
            x[..4].copy_from_slice(&n.to_be_bytes());
            let (x, y) = (x.into(), [1; 32].into());
            let next = Jwk::new(None, None, Material::Ec { curve: EcCurve::P256, x, y }).unwrap();
            let leaves = Duration::MAX;
            live.replace(KeySet::new([keep(), next]), Removal::Guarded { leaves }, NOW);
        }
        assert_eq!((live.leaving().len(), live.gone.len()), (MOST, MOST));
    }

    /// A token finds a key by its kid, so a kid that takes turns is as bad as a key that does.
    #[test]
    fn a_kid_that_is_published_no_more_has_its_grace_and_may_return() {
        let mut live = LiveKeys::default();
        let mut put = |seconds: u64, keys: &[(u8, &str)]| {
            let now = Duration::from_secs(seconds);
            let set = KeySet::new(keys.iter().map(|(n, kid)| key(*n, kid, None)));
            let change = live.replace(set, Removal::Guarded { leaves: now + GRACE }, now);
            (change, live.clone())
        };
        put(0, &[(1, "a"), (1, "b")]);
        let (change, live) = put(1, &[(1, "b")]);
        assert_eq!((kids(&change.leaving), kids(&change.relabelled)), (vec!["a"], vec!["b"]));
        assert!(change.removed.is_empty() && change.added.is_empty());
        assert_eq!(kids(live.keys().keys()), ["b", "a"]);
        assert_eq!(kids(live.published().keys()), ["b"]);
        let (change, _) = put(2, &[(1, "b")]);
        assert!(change.is_empty(), "nothing new: {change:?}");
        let (change, live) = put(3, &[(1, "a"), (1, "b")]);
        assert!(change.returned.is_empty(), "it never went");
        assert!(live.leaving().is_empty());
        let (_, mut live) = put(4, &[(1, "b")]);
        assert!(live.expire(Duration::from_secs(13)).is_empty());
        let change = live.expire(Duration::from_secs(14));
        assert_eq!((kids(&change.relabelled), change.removed.len()), (vec!["b"], 0));
        assert_eq!(kids(live.keys().keys()), ["b"]);
    }

    #[test]
    fn a_kid_goes_at_once_without_a_grace_and_its_return_is_noticed() {
        let mut live = LiveKeys::default();
        let both = || KeySet::new([key(1, "a", None), key(1, "b", None)]);
        let one = || KeySet::new([key(1, "b", None)]);
        live.replace(both(), GUARDED, NOW);
        let change = live.replace(one(), GUARDED, NOW);
        assert_eq!(kids(live.keys().keys()), ["b"]);
        assert_eq!((kids(&change.relabelled), change.removed.len()), (vec!["b"], 0));
        let change = live.replace(both(), GUARDED, NOW + REMEMBERED);
        assert_eq!(kids(&change.returned), ["a"]);
        live.replace(one(), GUARDED, NOW);
        let late = NOW + REMEMBERED + Duration::from_secs(1);
        assert!(live.replace(both(), GUARDED, late).returned.is_empty());
    }

    #[test]
    fn a_kid_in_its_grace_goes_when_everything_is_replaced_at_once() {
        let mut live = LiveKeys::default();
        live.replace(KeySet::new([key(1, "a", None), key(1, "b", None)]), GUARDED, NOW);
        let leaves = NOW + GRACE;
        let one = || KeySet::new([key(1, "b", None)]);
        live.replace(one(), Removal::Guarded { leaves }, NOW);
        assert_eq!(live.leaving().len(), 1);
        let change = live.replace(one(), Removal::AtOnce, NOW);
        assert_eq!((kids(&change.relabelled), change.removed.len()), (vec!["b"], 0));
        assert_eq!(kids(live.keys().keys()), ["b"]);
    }

    #[test]
    fn a_kid_in_its_grace_is_restored_beside_its_key() {
        let mut live = LiveKeys::default();
        live.replace(KeySet::new([key(1, "b", None)]), GUARDED, NOW);
        let old = |kid| (Arc::new(key(1, kid, None)), NOW + GRACE);
        assert_eq!(kids(&live.let_leave([old("a"), old("b"), old("a")])), ["a"]);
        assert_eq!(kids(live.keys().keys()), ["b", "a"]);
    }
}
