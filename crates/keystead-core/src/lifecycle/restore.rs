//! Keys of an earlier run, or of another host, take their place before the source has answered.

use core::time::Duration;
use std::sync::Arc;

use super::Lifecycle;
use super::change::Change;
use crate::jwk::Jwk;
use crate::key_set::KeySet;
use crate::state::SourceKind;

impl Lifecycle {
    /// Takes over keys that this source confirmed `age` before `now`, in an earlier run or to
    /// another host, and those that it had removed and that are accepted until a moment of their
    /// own (monotonic time), which no [`Schedule::removed_key_grace`](super::Schedule) exceeds.
    ///
    /// They are used at once, and they are no answer: the source stays due as it was, its state is
    /// stale until it answers, and `age` counts towards [`Schedule::max_stale`](super::Schedule).
    /// What of the keys held before goes is decided as after a fetch.
    ///
    /// None when they were not taken, and nothing changed: only sources on the network are
    /// restored, and only with a usable key that is confirmed later than those that are held.
    pub fn restore(
        &mut self,
        now: Duration,
        age: Duration,
        set: KeySet,
        leaving: impl IntoIterator<Item = (Arc<Jwk>, Duration)>,
    ) -> Option<Change> {
        let is_newer = self.facts().age(now).is_none_or(|held| age < held);
        if self.kind != SourceKind::Network || set.keys().is_empty() || !is_newer {
            return None;
        }
        let mut change = self.replace(now, set);
        let latest = self.end_of_grace(now);
        let leaving = leaving.into_iter().map(|(key, leaves)| (key, leaves.min(latest)));
        let leaving = self.live.let_leave(leaving.filter(|(_, leaves)| *leaves > now));
        let stood = |key: &Arc<Jwk>| {
            let live = self.live.keys().keys().iter().filter(|live| !leaving.contains(live));
            live.into_iter().any(|live| live.material() == key.material())
        };
        // One that was held and is held on its way out has neither come nor gone.
        let (stay, come): (Vec<_>, Vec<_>) =
            leaving.iter().cloned().partition(|key| is_among(key, &change.removed));
        change.removed.retain(|key| !is_among(key, &stay));
        change.added.extend(come.into_iter().filter(|key| !stood(key)));
        change.leaving.extend(leaving);
        self.last_success = Some(now);
        self.restored_age = Some(age);
        Some(change)
    }
}

fn is_among(key: &Arc<Jwk>, keys: &[Arc<Jwk>]) -> bool {
    keys.iter().any(|other| other.material() == key.material())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, EcCurve, LatestAttempt, Material, ProviderState, Schedule};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn set(materials: &[u8]) -> KeySet {
        KeySet::new(materials.iter().map(|n| {
            let coordinate: Box<[u8]> = [*n; 32].into();
            let (x, y) = (coordinate.clone(), coordinate);
            Jwk::new(None, None, Material::Ec { curve: EcCurve::P256, x, y }).unwrap()
        }))
    }

    fn source(kind: SourceKind) -> Lifecycle {
        Lifecycle::new(kind, Schedule { jitter_percent: 0, ..Schedule::default() }, 0)
    }

    fn restored(age: Duration) -> Lifecycle {
        let mut source = source(SourceKind::Network);
        assert_eq!(source.restore(s(1), age, set(&[1]), []).unwrap().added.len(), 1);
        source
    }

    fn state(source: &Lifecycle, now: Duration) -> ProviderState {
        source.facts().state(now)
    }

    /// G8
    #[test]
    fn restored_keys_are_stale_until_the_first_answer_and_do_not_put_it_off() {
        let mut source = restored(s(3_600));
        assert_eq!(state(&source, s(1)), ProviderState::Stale);
        assert_eq!(source.facts().age(s(11)), Some(s(3_610)));
        assert_eq!(source.facts().latest, LatestAttempt::Never);
        assert_eq!(source.poll(s(1)), Action::Fetch);
        source.on_failed(s(1), None);
        assert_eq!(source.poll(s(1)), Action::Wait(Some(s(2))), "warm: there are keys to live on");
        assert_eq!(source.poll(s(2)), Action::Fetch);
        source.on_fetched(s(2), set(&[1]), None);
        assert_eq!(state(&source, s(2)), ProviderState::Ready);
        assert_eq!((source.facts().age(s(2)), source.facts().restored_age), (Some(s(0)), None));
    }

    #[test]
    fn restored_keys_expire_by_the_age_that_they_have_altogether() {
        let mut source = restored(s(86_000));
        assert_eq!(state(&source, s(401)), ProviderState::Stale);
        assert_eq!(state(&source, s(402)), ProviderState::Expired);
        source.on_fetched(s(500), set(&[2]), None);
        assert_eq!(source.keys(), &set(&[2]), "a set that lacks expired keys does not revive them");
        assert_eq!(state(&restored(s(90_000)), s(1)), ProviderState::Expired, "held, not used");
    }

    #[test]
    fn a_first_answer_without_any_restored_key_stands_beside_them_until_a_second() {
        let mut source = restored(s(60));
        source.on_fetched(s(2), set(&[2]), None);
        assert_eq!(source.keys(), &set(&[2, 1]));
        source.on_fetched(s(32), set(&[2]), None);
        assert_eq!(source.keys(), &set(&[2]));
    }

    #[test]
    fn keys_that_are_held_give_way_to_younger_ones_only() {
        let mut source = restored(s(100));
        assert_eq!(source.restore(s(1), s(100), set(&[2]), []), None, "as old");
        assert_eq!(source.restore(s(1), s(0), KeySet::default(), []), None, "no key");
        source.on_fetched(s(10), set(&[1, 2]), None);
        assert_eq!(source.restore(s(20), s(10), set(&[3]), []), None);
        assert_eq!(source.keys(), &set(&[1, 2]));
        let change = source.restore(s(20), s(9), set(&[2, 3]), []).unwrap();
        assert_eq!((change.added.len(), change.removed.len()), (1, 1));
        assert_eq!(source.facts().age(s(20)), Some(s(9)));
        assert_eq!(source.facts().latest, LatestAttempt::Succeeded { at: s(10) });
    }

    #[test]
    fn files_and_memory_are_not_restored() {
        for kind in [SourceKind::File, SourceKind::Memory] {
            assert_eq!(source(kind).restore(s(1), s(1), set(&[1]), []), None);
        }
    }

    fn with_grace() -> Lifecycle {
        let schedule = Schedule { jitter_percent: 0, ..Schedule::default() };
        Lifecycle::new(SourceKind::Network, schedule.with_removed_key_grace(s(100)), 0)
    }

    /// A restart must neither cut a grace short nor begin it anew.
    #[test]
    fn keys_that_were_removed_leave_when_they_would_have() {
        let mut source = with_grace();
        let key = |n: u8| Arc::clone(&set(&[n]).keys()[0]);
        let leaving = [(key(2), s(900)), (key(3), s(60)), (key(4), s(10)), (key(1), s(70))];
        let change = source.restore(s(10), s(5), set(&[1]), leaving).unwrap();
        assert_eq!((change.added.len(), change.leaving.len()), (3, 2));
        assert_eq!(source.keys(), &set(&[1, 3, 2]), "neither what has left nor what is published");
        assert_eq!(
            source.leaving(),
            [(key(3), s(60)), (key(2), s(110))],
            "nor longer than written"
        );
        assert_eq!(source.poll(s(11)), Action::Fetch);
        let change = source.on_fetched(s(11), set(&[1]), None);
        assert!(change.is_empty(), "{change:?}");
        assert_eq!(source.expire(s(60)).removed, [key(3)]);
        assert_eq!(source.expire(s(110)).removed, [key(2)]);
        assert_eq!(source.keys(), &set(&[1]));
    }

    #[test]
    fn a_restored_kid_of_a_key_that_is_there_adds_no_key() {
        let mut source = with_grace();
        let material = set(&[1]).keys()[0].material().clone();
        let named = Jwk::new(Some("old"), None, material).unwrap();
        let leaving = [(Arc::new(named), s(60))];
        let change = source.restore(s(10), s(5), set(&[1]), leaving).unwrap();
        assert_eq!((change.added.len(), change.leaving.len()), (1, 1));
        assert_eq!(source.keys().keys().len(), 2);
    }
}
