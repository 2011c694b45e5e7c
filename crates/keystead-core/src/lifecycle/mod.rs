//! The life cycle of one source's keys: when it is asked, what stays live, what may go.
//!
//! A pure machine. It reads no clock and does no I/O: time and the seed of its jitter come in, and
//! what is to be done comes out. A driver asks [`Lifecycle::poll`], does what it says and reports
//! how that ended.

mod change;
mod restore;
mod schedule;

use core::time::Duration;

pub use change::Change;
pub use schedule::{Backoff, Schedule};

use crate::key_set::KeySet;
use crate::state::{LatestAttempt, SourceFacts, SourceKind};
use change::{LiveKeys, Removal};
use schedule::Random;

/// The keys of one source, and when it is asked for them.
///
/// A failure never removes a key. A success adds the keys of its set at once, and each of the known
/// keys that the set lacks goes
/// * at once, when the set still holds at least one known key: an ordinary rotation;
/// * else when the successful set before lacked it too. A set without any known key may be another
///   provider's, or a test system's: its keys are live at once, the old ones beside them, and
///   [`Schedule::confirm_after`] later the source is asked again. When that second set lacks the
///   old keys too, they go, whether or not it equals the first; when it brings some of them back,
///   they stay and whatever it lacks goes. When it is a third set altogether, the oldest keys go
///   (two sets in a row lacked them), and those of the first set, by now known, stay beside it
///   under the same rule;
/// * at once, from a file or from memory (the operator's word is final), or when the known keys had
///   expired: a set that lacks them must not bring them back to life.
///
/// ```
/// use std::time::Duration;
/// use keystead_core::{Action, Lifecycle, ProviderState, Schedule, SourceKind};
///
/// let mut source = Lifecycle::new(SourceKind::Network, Schedule::default(), 7);
/// let now = Duration::from_secs(3);
/// assert_eq!(source.poll(now), Action::Fetch);
/// assert_eq!(source.poll(now), Action::Wait(None), "one attempt at a time");
/// source.on_failed(now, None);
/// let Action::Wait(Some(until)) = source.poll(now) else { panic!("it waits") };
/// assert!(until - now <= Duration::from_millis(275));
/// assert_eq!(source.poll(until), Action::Fetch);
/// assert_eq!(source.facts().state(now), ProviderState::Cold);
/// ```
#[derive(Clone, Debug)]
pub struct Lifecycle {
    kind: SourceKind,
    schedule: Schedule,
    random: Random,
    live: LiveKeys,
    latest: LatestAttempt,
    last_success: Option<Duration>,
    /// How old the keys were already at `last_success`, if they were restored then.
    restored_age: Option<Duration>,
    interval: Duration,
    due: Duration,
    failures: u32,
    attempts: u64,
    in_flight: bool,
    requested: bool,
}

/// What a source's driver is to do now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a driver must know every action")]
pub enum Action {
    /// Nothing before that moment (monotonic time). None: nothing until something else happens,
    /// because an attempt is in flight or the source is never asked.
    Wait(Option<Duration>),
    /// Ask the source, and report with [`Lifecycle::on_fetched`] or [`Lifecycle::on_failed`].
    Fetch,
}

impl Lifecycle {
    /// A source that was never asked: it is due at once (memory is never asked; its keys are given
    /// with [`Lifecycle::on_fetched`]).
    ///
    /// `seed` steers the jitter; sources of one process, and processes, should have different ones.
    #[must_use]
    pub fn new(kind: SourceKind, schedule: Schedule, seed: u64) -> Self {
        Self {
            kind,
            schedule,
            random: Random::new(seed),
            live: LiveKeys::default(),
            latest: LatestAttempt::Never,
            last_success: None,
            restored_age: None,
            interval: schedule.interval_after(None),
            due: Duration::ZERO,
            failures: 0,
            attempts: 0,
            in_flight: false,
            requested: false,
        }
    }

    /// What is to be done at `now` (monotonic time).
    ///
    /// After [`Action::Fetch`] an attempt is in flight until it is reported, and no other is handed
    /// out, however long that takes.
    pub fn poll(&mut self, now: Duration) -> Action {
        if self.in_flight || self.kind == SourceKind::Memory {
            return Action::Wait(None);
        }
        if !self.requested && now < self.due {
            return Action::Wait(Some(self.due));
        }
        self.requested = false;
        self.in_flight = true;
        self.attempts = self.attempts.saturating_add(1);
        Action::Fetch
    }

    /// Asks for an attempt out of turn: the next [`Lifecycle::poll`] hands one out. It counts like
    /// any other. While one is in flight, that one answers the request too.
    pub const fn request(&mut self) {
        self.requested = !self.in_flight;
    }

    /// The attempt gave this set.
    ///
    /// `max_age` is how long the answer may be used according to its `Cache-Control`: none when it
    /// did not say, zero for `no-store` and `no-cache`. It moves the interval within the bounds of
    /// the [`Schedule`].
    ///
    /// A set without a usable key is a failure, and taken as one.
    pub fn on_fetched(&mut self, now: Duration, set: KeySet, max_age: Option<Duration>) -> Change {
        if set.keys().is_empty() {
            self.on_failed(now, None);
            return Change::default();
        }
        let guarded = self.kind == SourceKind::Network && self.facts().serves(now);
        let removal = if guarded { Removal::Guarded } else { Removal::AtOnce };
        let change = self.live.replace(set, removal);
        self.in_flight = false;
        self.failures = 0;
        self.latest = LatestAttempt::Succeeded { at: now };
        self.last_success = Some(now);
        self.restored_age = None;
        self.interval = self.schedule.interval_after(max_age);
        let wait = if self.live.awaits_confirmation() {
            self.schedule.confirmation(self.interval)
        } else {
            self.schedule.regular(self.interval, &mut self.random)
        };
        self.due = now.saturating_add(wait);
        change
    }

    /// The attempt gave no usable key, for whatever reason. The live keys stay.
    ///
    /// `retry_after` is how long the source asked to be left alone; see [`Backoff`].
    pub fn on_failed(&mut self, now: Duration, retry_after: Option<Duration>) {
        self.in_flight = false;
        self.failures = self.failures.saturating_add(1);
        self.latest = LatestAttempt::Failed { at: now };
        let warm = self.facts().serves(now);
        let backoff = if warm { self.schedule.warm } else { self.schedule.cold };
        let wait =
            self.schedule.after_failure(backoff, self.failures, retry_after, &mut self.random);
        // A file costs nothing to read: it is not left alone for longer because it was away.
        let wait = if self.kind == SourceKind::File { wait.min(self.interval) } else { wait };
        self.due = now.saturating_add(wait);
    }

    /// The live keys, expired or not (see [`SourceFacts::is_expired`]): those of the latest
    /// successful set, and after them those that stay beside it until their removal is confirmed.
    /// Unusable keys are those of the latest successful set.
    #[must_use]
    pub const fn keys(&self) -> &KeySet {
        self.live.keys()
    }

    /// What this source's state is computed from.
    #[must_use]
    pub fn facts(&self) -> SourceFacts {
        SourceFacts {
            kind: self.kind,
            usable_keys: self.keys().keys().len(),
            latest: self.latest,
            last_success: self.last_success,
            restored_age: self.restored_age,
            interval: self.interval,
            max_stale: self.schedule.max_stale,
            next_attempt: (self.kind != SourceKind::Memory).then_some(self.due),
        }
    }

    /// How many attempts were handed out.
    #[must_use]
    pub const fn attempts(&self) -> u64 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EcCurve, Jwk, Material, ProviderState};

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

    /// Jitter off, so that moments can be written down.
    fn source(kind: SourceKind) -> Lifecycle {
        Lifecycle::new(kind, Schedule { jitter_percent: 0, ..Schedule::default() }, 0)
    }

    /// A network source that fetched this set at zero.
    fn holding(materials: &[u8]) -> Lifecycle {
        let mut source = source(SourceKind::Network);
        assert_eq!(source.poll(s(0)), Action::Fetch);
        source.on_fetched(s(0), set(materials), None);
        source
    }

    fn state(source: &Lifecycle, now: Duration) -> ProviderState {
        source.facts().state(now)
    }

    /// T10
    #[test]
    fn a_first_fetch_that_fails_is_made_again_and_heals() {
        let mut source = source(SourceKind::Network);
        assert_eq!(source.poll(s(0)), Action::Fetch);
        source.on_failed(s(1), None);
        assert_eq!(state(&source, s(1)), ProviderState::Cold);
        let again = Duration::from_millis(1_250);
        assert_eq!(source.poll(s(1)), Action::Wait(Some(again)));
        assert_eq!(source.poll(again), Action::Fetch);
        let change = source.on_fetched(again, set(&[1]), None);
        assert_eq!((change.added.len(), source.attempts()), (1, 2));
        assert_eq!(state(&source, again), ProviderState::Ready);
        assert_eq!(source.poll(again), Action::Wait(Some(again + s(300))));
    }

    /// T11, T22: a failure of any kind leaves the last known good keys alone.
    #[test]
    fn a_provider_that_dies_after_a_good_fetch_keeps_its_keys_and_shows_their_age() {
        let mut source = holding(&[1]);
        assert_eq!(source.poll(s(300)), Action::Fetch);
        source.on_failed(s(300), None);
        assert_eq!(source.keys(), &set(&[1]));
        assert_eq!(state(&source, s(300)), ProviderState::Stale);
        assert_eq!(source.facts().age(s(300)), Some(s(300)));
        assert_eq!(source.poll(s(300)), Action::Wait(Some(s(301))), "warm backoff");
        assert_eq!(source.poll(s(301)), Action::Fetch);
        let change = source.on_fetched(s(301), KeySet::default(), None);
        assert!(change.is_empty(), "a set without a usable key is a failure");
        assert_eq!(source.keys(), &set(&[1]));
        assert_eq!(source.facts().latest, LatestAttempt::Failed { at: s(301) });
        assert_eq!(source.poll(s(301)), Action::Wait(Some(s(303))));
    }

    #[test]
    fn expired_keys_are_kept_but_not_served_and_a_success_revives_them() {
        let mut source = holding(&[1]);
        let late = s(86_401);
        assert_eq!(state(&source, late), ProviderState::Expired);
        assert_eq!(source.poll(late), Action::Fetch);
        source.on_failed(late, Some(s(3_600)));
        let wait = Action::Wait(Some(late + s(15)));
        assert_eq!(source.poll(late), wait, "expired keys do not make it warm");
        assert_eq!(source.keys(), &set(&[1]));
        assert_eq!(source.poll(late + s(15)), Action::Fetch);
        assert!(source.on_fetched(late + s(15), set(&[1]), None).is_empty());
        assert_eq!(state(&source, late + s(15)), ProviderState::Ready);
    }

    #[test]
    fn a_set_that_lacks_expired_keys_does_not_bring_them_back() {
        let mut source = holding(&[1]);
        let change = source.on_fetched(s(86_401), set(&[2]), None);
        assert_eq!((change.removed.len(), change.kept.len()), (1, 0));
        assert_eq!(source.keys(), &set(&[2]));
    }

    /// K13
    #[test]
    fn no_store_still_waits_the_shortest_interval() {
        let mut source = holding(&[1]);
        source.on_fetched(s(0), set(&[1]), Some(s(0)));
        assert_eq!(source.poll(s(0)), Action::Wait(Some(s(60))));
        assert_eq!(source.keys(), &set(&[1]));
    }

    /// K14
    #[test]
    fn a_month_of_max_age_is_capped_at_the_longest_interval() {
        let mut source = holding(&[1]);
        source.on_fetched(s(0), set(&[1]), Some(s(2_592_000)));
        assert_eq!(source.poll(s(0)), Action::Wait(Some(s(3_600))));
        assert_eq!(state(&source, s(7_200)), ProviderState::Ready, "twice the interval in force");
        source.on_fetched(s(3_600), set(&[1]), None);
        assert_eq!(source.facts().interval, s(300), "each answer speaks for itself");
    }

    /// K15
    #[test]
    fn a_key_removed_upstream_goes_with_the_first_set_that_omits_it() {
        let mut source = holding(&[1, 2]);
        source.on_failed(s(300), None);
        assert_eq!(source.keys(), &set(&[1, 2]), "a failed fetch is not removal");
        let change = source.on_fetched(s(301), set(&[2]), None);
        assert_eq!(change.removed.len(), 1);
        assert_eq!(source.keys(), &set(&[2]));
    }

    /// K15
    #[test]
    fn a_wholesale_replacement_is_confirmed_by_a_second_fetch_of_its_own_making() {
        let mut source = holding(&[1]);
        assert_eq!(source.poll(s(300)), Action::Fetch);
        source.on_fetched(s(300), set(&[2]), None);
        assert_eq!(source.keys(), &set(&[2, 1]), "the new at once, the old beside them");
        assert_eq!(source.poll(s(300)), Action::Wait(Some(s(330))));
        assert_eq!(source.poll(s(330)), Action::Fetch);
        source.on_failed(s(330), None);
        assert_eq!(source.keys(), &set(&[2, 1]), "a failure confirms nothing");
        assert_eq!(source.poll(s(331)), Action::Fetch);
        assert_eq!(source.on_fetched(s(331), set(&[2]), None).removed.len(), 1);
        assert_eq!(source.keys(), &set(&[2]));
        assert_eq!(source.poll(s(331)), Action::Wait(Some(s(631))), "back to the interval");
    }

    #[test]
    fn a_file_is_the_operators_word() {
        let schedule = Schedule { jitter_percent: 0, ..Schedule::default() }.with_interval(s(2));
        let mut file = Lifecycle::new(SourceKind::File, schedule, 0);
        assert_eq!(file.poll(s(0)), Action::Fetch);
        file.on_fetched(s(0), set(&[1]), None);
        let change = file.on_fetched(s(2), set(&[2]), None);
        assert_eq!((change.removed.len(), change.kept.len()), (1, 0));
        for _ in 0..9 {
            file.on_failed(s(4), None);
        }
        assert_eq!(file.keys(), &set(&[2]), "but one that cannot be read says nothing");
        assert_eq!(state(&file, s(1_000_000)), ProviderState::Stale);
        assert_eq!(file.poll(s(4)), Action::Wait(Some(s(6))), "looked at as often as ever");
    }

    #[test]
    fn memory_is_never_asked() {
        let mut memory = source(SourceKind::Memory);
        memory.request();
        assert_eq!(memory.poll(Duration::MAX), Action::Wait(None));
        memory.on_fetched(s(0), set(&[1]), None);
        assert_eq!(memory.poll(Duration::MAX), Action::Wait(None));
        assert_eq!(state(&memory, Duration::MAX), ProviderState::Ready);
        assert_eq!((memory.attempts(), memory.facts().next_attempt), (0, None));
    }

    #[test]
    fn a_request_is_served_at_once_and_joins_an_attempt_in_flight() {
        let mut source = holding(&[1]);
        source.request();
        source.request();
        assert_eq!(source.poll(s(1)), Action::Fetch);
        source.request();
        assert_eq!(source.poll(s(1)), Action::Wait(None));
        source.on_failed(s(2), None);
        assert_eq!(source.poll(s(2)), Action::Wait(Some(s(3))), "one attempt for all three");
        assert_eq!(source.attempts(), 2);
    }

    #[test]
    fn the_clock_may_jump_or_stand_still() {
        let mut source = holding(&[1]);
        assert_eq!(source.poll(Duration::MAX), Action::Fetch);
        source.on_failed(Duration::MAX, Some(Duration::MAX));
        assert_eq!(source.poll(Duration::MAX), Action::Fetch, "one attempt, not the missed ones");
        assert_eq!(source.poll(Duration::MAX), Action::Wait(None));
        source.on_fetched(s(0), set(&[1]), None);
        assert_eq!(source.poll(s(0)), Action::Wait(Some(s(300))), "nor does going back break it");
    }
}
