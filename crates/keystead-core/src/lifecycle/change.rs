//! How a newly published set changes the live keys: what is added, and what may go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::jwk::{Jwk, Material};
use crate::key_set::KeySet;

/// What a successful fetch changed. Keys are compared by their material (the RFC 7638 members),
/// never by `kid`.
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
    /// Whether the unusable keys, or their reasons, are others than before.
    pub skipped_changed: bool,
}

impl Change {
    /// Whether the live set is as it was, so that nothing has to be published.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.relabelled.is_empty()
            && !self.skipped_changed
    }
}

/// How keys that a new set lacks are taken away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Removal {
    /// At once.
    AtOnce,
    /// At once when the set still holds some known key; else each key only when the set before
    /// lacked it too.
    Guarded,
}

/// The live keys: those of the latest successful set, and after them those kept beside it.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveKeys {
    keys: KeySet,
    kept: Vec<Arc<Jwk>>,
}

impl LiveKeys {
    pub(super) const fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Whether some keys are only kept until the next successful fetch.
    pub(super) const fn awaits_confirmation(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Makes this set live in place of the one before, as far as `removal` allows.
    pub(super) fn replace(&mut self, set: KeySet, removal: Removal) -> Change {
        let mut change =
            Change { skipped_changed: self.keys.skipped() != set.skipped(), ..Change::default() };
        let before = by_material(self.keys.keys());
        let now = by_material(set.keys());
        for key in set.keys() {
            match before.get(key.material()) {
                None => change.added.push(Arc::clone(key)),
                Some(held) if !same_labels(held, now.get(key.material())) => {
                    change.relabelled.push(Arc::clone(key));
                }
                Some(_) => {}
            }
        }
        (change.kept, change.removed) = self.part_missing(&now, removal);
        self.kept.clone_from(&change.kept);
        self.keys = set;
        for key in &self.kept {
            self.keys.push(Arc::clone(key));
        }
        change
    }

    /// The live keys that `now` lacks: those that stay, and those that go.
    fn part_missing(
        &self,
        now: &ByMaterial<'_>,
        removal: Removal,
    ) -> (Vec<Arc<Jwk>>, Vec<Arc<Jwk>>) {
        let missing = |key: &&Arc<Jwk>| !now.contains_key(key.material());
        let known_one_left = !self.keys.keys().iter().all(|key| missing(&key));
        let at_once = known_one_left || removal == Removal::AtOnce;
        let missed_before: HashSet<_> = self.kept.iter().map(|key| key.material()).collect();
        self.keys
            .keys()
            .iter()
            .filter(missing)
            .cloned()
            .partition(|key| !at_once && !missed_before.contains(key.material()))
    }
}

type ByMaterial<'a> = HashMap<&'a Material, Vec<&'a Arc<Jwk>>>;

/// One material may be published several times, under several identifiers.
fn by_material(keys: &[Arc<Jwk>]) -> ByMaterial<'_> {
    let mut map = ByMaterial::new();
    for key in keys {
        map.entry(key.material()).or_default().push(key);
    }
    map
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

    fn replaced(live: &mut LiveKeys, materials: &[u8]) -> Change {
        live.replace(set(materials), Removal::Guarded)
    }

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
        assert!(change.kept.is_empty() && !live.awaits_confirmation());
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
        assert!(change.removed.is_empty() && live.awaits_confirmation());
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
        assert!(change.added.is_empty() && !live.awaits_confirmation());
    }

    #[test]
    fn a_third_set_ends_the_first_and_keeps_the_second_for_one_more_fetch() {
        let mut live = LiveKeys::default();
        replaced(&mut live, &[1]);
        replaced(&mut live, &[2]);
        let change = replaced(&mut live, &[3]);
        assert_eq!((kids(&change.removed), kids(&change.kept)), (vec!["1"], vec!["2"]));
        assert!(live.awaits_confirmation());
        assert_eq!(kids(&replaced(&mut live, &[3]).removed), ["2"]);
    }

    #[test]
    fn without_the_guard_missing_keys_go_at_once() {
        let mut live = LiveKeys::default();
        replaced(&mut live, &[1]);
        let change = live.replace(set(&[2]), Removal::AtOnce);
        assert_eq!((kids(&change.removed), kids(live.keys().keys())), (vec!["1"], vec!["2"]));
    }

    /// K16
    #[test]
    fn the_same_kid_with_other_material_is_another_key() {
        let mut live = LiveKeys::default();
        live.replace(KeySet::new([key(1, "a", None), key(2, "b", None)]), Removal::Guarded);
        let rekeyed = KeySet::new([key(3, "a", None), key(2, "b", None)]);
        let change = live.replace(rekeyed, Removal::Guarded);
        assert_eq!(change.added, [Arc::new(key(3, "a", None))]);
        assert_eq!(change.removed, [Arc::new(key(1, "a", None))]);
    }

    #[test]
    fn a_new_kid_or_algorithm_of_a_known_key_takes_effect() {
        let mut live = LiveKeys::default();
        let mut put = |keys: Vec<Jwk>| live.replace(KeySet::new(keys), Removal::Guarded);
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
        let mut put = |keys: Vec<Jwk>| live.replace(KeySet::new(keys), Removal::Guarded);
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
        live.replace(with_skipped.clone(), Removal::Guarded);
        assert!(live.replace(with_skipped, Removal::Guarded).is_empty());
        let change = replaced(&mut live, &[1]);
        assert!(change.skipped_changed && !change.is_empty() && live.keys().skipped().is_empty());
    }
}
