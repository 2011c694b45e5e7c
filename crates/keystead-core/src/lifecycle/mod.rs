//! The life cycle of one source's keys: when it is asked, what stays live, what may go.
//!
//! A pure machine. It reads no clock and does no I/O: time and the seed of its jitter come in, and
//! what is to be done comes out. A driver asks [`Lifecycle::poll`], does what it says and reports
//! how that ended.

mod change;
mod restore;
mod schedule;
mod unknown_kids;

use core::time::Duration;
use std::sync::Arc;

pub use change::Change;
pub use schedule::{Backoff, Schedule};
pub use unknown_kids::{KidDigest, UnknownKids, Wish};

use crate::jwk::Jwk;
use crate::key_set::KeySet;
use crate::state::{LatestAttempt, SourceFacts, SourceKind};
use change::{LiveKeys, REMEMBERED, Removal};
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
/// Any successful fetch is the second one, who ever asked for it: a scheduled one, an operator's or
/// one for an unknown `kid`. Somebody who makes up kids can thereby shorten the 30 s, and no more:
/// it is still the provider itself that has to lack the keys twice.
///
/// A key that goes stays accepted for [`Schedule::removed_key_grace`], if one is set; then
/// [`Lifecycle::expire`] takes it away. The same holds for a `kid` under which a key is published no
/// more. What went and is back within 48 h shows that the provider's answers take turns, see
/// [`Lifecycle::is_flapping`].
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
    in_flight: Option<Turn>,
    /// What the next attempt is, if it does not wait for its time.
    wanted: Option<Turn>,
    /// When a key last came back that had gone.
    returned: Option<Duration>,
}

/// Why an attempt is made. Of two reasons the greater one counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Turn {
    /// Its time has come.
    Scheduled,
    /// Somebody wants to know now.
    Requested,
    /// Somebody wants an answer that is younger than the question.
    Forced,
}

/// What a source's driver is to do now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a driver must know every action")]
pub enum Action {
    /// Nothing before that moment (monotonic time). None: nothing until something else happens,
    /// because an attempt is in flight or the source is never asked.
    Wait(Option<Duration>),
    /// Ask the source, and report with [`Lifecycle::on_fetched`], [`Lifecycle::on_unchanged`] or
    /// [`Lifecycle::on_failed`], or take it back with [`Lifecycle::abandon`].
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
            in_flight: None,
            wanted: None,
            returned: None,
        }
    }

    /// What is to be done at `now` (monotonic time).
    ///
    /// After [`Action::Fetch`] an attempt is in flight until it is reported, and no other is handed
    /// out, however long that takes.
    pub fn poll(&mut self, now: Duration) -> Action {
        if self.in_flight.is_some() || self.kind == SourceKind::Memory {
            return Action::Wait(None);
        }
        if self.wanted.is_none() && now < self.due {
            return Action::Wait(Some(self.due));
        }
        self.in_flight = Some(self.wanted.take().unwrap_or(Turn::Scheduled));
        self.attempts = self.attempts.saturating_add(1);
        Action::Fetch
    }

    /// Asks for an attempt out of turn: the next [`Lifecycle::poll`] hands one out. It counts like
    /// any other. While one is in flight, that one answers the request too.
    pub fn request(&mut self) {
        if self.in_flight.is_none() {
            self.want(Turn::Requested);
        }
    }

    /// Asks for an attempt that begins after this call, and says which one it is by its number (see
    /// [`Lifecycle::attempts`]).
    ///
    /// One that is in flight may have been answered before whatever this is about came about, or
    /// hang: it is superseded, and its driver abandons it. But a forced one is never superseded by
    /// another, which it answers as well: else a source that is slower than it is asked would never
    /// come to answer.
    pub fn force(&mut self) -> u64 {
        if self.in_flight == Some(Turn::Forced) {
            return self.attempts;
        }
        self.want(Turn::Forced);
        self.attempts.saturating_add(1)
    }

    /// Whether the attempt in flight should be abandoned: a forced one waits for its place.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.wanted == Some(Turn::Forced) && self.in_flight.is_some_and(|turn| turn < Turn::Forced)
    }

    /// The attempt in flight was not made to its end: another is due as it was.
    pub fn abandon(&mut self) {
        if let Some(turn) = self.in_flight.take()
            && !(self.wanted == Some(Turn::Forced) && turn < Turn::Forced)
        {
            self.want(turn);
        }
    }

    /// Whether the attempt in flight should take no answer but the whole set. So it is when somebody
    /// has reason to doubt what is held, and before keys are taken away for good: "not modified"
    /// is only as true as the source's tags are, and some sources hand out the same one for two sets.
    #[must_use]
    pub fn wants_whole_set(&self) -> bool {
        !self.live.kept().is_empty() || self.in_flight > Some(Turn::Scheduled)
    }

    fn want(&mut self, turn: Turn) {
        self.wanted = self.wanted.max(Some(turn));
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
        let change = self.replace(now, set);
        if self.kind == SourceKind::Network && !change.returned.is_empty() {
            self.returned = Some(now);
        }
        self.in_flight = None;
        self.failures = 0;
        self.latest = LatestAttempt::Succeeded { at: now };
        self.last_success = Some(now);
        self.restored_age = None;
        self.interval = self.schedule.interval_after(max_age);
        let wait = if self.live.kept().is_empty() {
            self.schedule.regular(self.interval, &mut self.random)
        } else {
            self.schedule.confirmation(self.interval)
        };
        self.due = now.saturating_add(wait);
        change
    }

    /// The attempt gave the latest successful set once more, without repeating it (RFC 9110 section
    /// 15.4.5). That is a success like any other. `max_age`: as for [`Lifecycle::on_fetched`].
    pub fn on_unchanged(&mut self, now: Duration, max_age: Option<Duration>) -> Change {
        self.on_fetched(now, self.live.published(), max_age)
    }

    /// The attempt gave no usable key, for whatever reason. The live keys stay.
    ///
    /// `retry_after` is how long the source asked to be left alone; see [`Backoff`].
    pub fn on_failed(&mut self, now: Duration, retry_after: Option<Duration>) {
        self.in_flight = None;
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

    /// Makes this set live. What of the keys held before goes, and when, depends on whether they
    /// are still used.
    fn replace(&mut self, now: Duration, set: KeySet) -> Change {
        let guarded = self.kind == SourceKind::Network && self.facts().serves(now);
        let leaves = self.end_of_grace(now);
        let removal = if guarded { Removal::Guarded { leaves } } else { Removal::AtOnce };
        self.live.replace(set, removal, now)
    }

    /// Until when a key stays accepted that is removed now.
    const fn end_of_grace(&self, now: Duration) -> Duration {
        now.saturating_add(self.schedule.removed_key_grace)
    }

    /// Takes away the keys whose [`Schedule::removed_key_grace`] is over at `now`.
    pub fn expire(&mut self, now: Duration) -> Change {
        self.live.expire(now)
    }

    /// The live keys, expired or not (see [`SourceFacts::is_expired`]): those of the latest
    /// successful set, after them those that stay beside it until their removal is confirmed, and
    /// after those the ones that were removed and have their grace.
    /// Unusable keys are those of the latest successful set.
    #[must_use]
    pub const fn keys(&self) -> &KeySet {
        self.live.keys()
    }

    /// Those of the live keys that the latest successful set lacks: they go when the next one lacks
    /// them too.
    #[must_use]
    pub fn kept(&self) -> &[Arc<Jwk>] {
        self.live.kept()
    }

    /// Those of the live keys that were removed, each with the moment at which it goes (monotonic
    /// time).
    #[must_use]
    pub fn leaving(&self) -> &[(Arc<Jwk>, Duration)] {
        self.live.leaving()
    }

    /// Whether a key of the network source, or the `kid` of one, went and came back, within 48 h of
    /// each other and of `now`: what it answers takes turns, and tokens of such keys are refused in
    /// between. A longer [`Schedule::removed_key_grace`] bridges that.
    #[must_use]
    pub fn is_flapping(&self, now: Duration) -> bool {
        self.returned.is_some_and(|at| now.saturating_sub(at) <= REMEMBERED)
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

    /// How many attempts were handed out: the number of the latest one, the first being 1.
    #[must_use]
    pub const fn attempts(&self) -> u64 {
        self.attempts
    }

    /// The number of the attempt in flight, if there is one.
    #[must_use]
    pub fn in_flight(&self) -> Option<u64> {
        self.in_flight.map(|_| self.attempts)
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

    #[test]
    fn a_forced_attempt_supersedes_a_scheduled_one_that_hangs() {
        let mut source = holding(&[1]);
        assert_eq!(source.poll(s(300)), Action::Fetch);
        assert_eq!((source.in_flight(), source.is_superseded()), (Some(2), false));
        assert_eq!(source.force(), 3);
        assert!(source.is_superseded());
        assert_eq!(source.poll(s(301)), Action::Wait(None), "still one at a time");
        source.abandon();
        assert_eq!(source.poll(s(301)), Action::Fetch);
        assert_eq!((source.in_flight(), source.attempts()), (Some(3), 3));
        source.on_fetched(s(301), set(&[1, 2]), None);
        assert_eq!(source.poll(s(301)), Action::Wait(Some(s(601))), "one answer for both");
    }

    #[test]
    fn a_forced_attempt_is_made_even_if_the_one_it_supersedes_ends_first() {
        let mut source = holding(&[1]);
        assert_eq!(source.poll(s(300)), Action::Fetch);
        let forced = source.force();
        source.on_fetched(s(300), set(&[1]), None);
        assert!(!source.is_superseded());
        assert_eq!(source.poll(s(300)), Action::Fetch);
        assert_eq!(source.in_flight(), Some(forced));
    }

    /// Else a source that answers after 40 s and is forced every 30 s would never come to answer.
    #[test]
    fn a_forced_attempt_is_superseded_by_nothing() {
        let mut source = holding(&[1]);
        let forced = source.force();
        assert_eq!(source.force(), forced);
        assert_eq!(source.poll(s(1)), Action::Fetch);
        assert_eq!(source.force(), forced);
        source.request();
        assert!(!source.is_superseded());
        source.on_fetched(s(41), set(&[1]), None);
        assert_eq!(source.poll(s(41)), Action::Wait(Some(s(341))));
    }

    #[test]
    fn an_abandoned_attempt_is_made_again_for_the_same_reason() {
        let mut source = holding(&[1]);
        for (ask, whole) in [
            (Lifecycle::request as fn(&mut Lifecycle), true),
            (|source: &mut Lifecycle| assert!(source.force() > 0), true),
        ] {
            ask(&mut source);
            for _ in 0..2 {
                assert_eq!(source.poll(s(1)), Action::Fetch);
                assert_eq!(source.wants_whole_set(), whole);
                source.abandon();
            }
            assert_eq!(source.poll(s(1)), Action::Fetch);
            source.on_fetched(s(1), set(&[1]), None);
        }
        assert_eq!(source.poll(s(301)), Action::Fetch);
        source.abandon();
        assert_eq!(source.poll(s(301)), Action::Fetch);
        assert!(!source.wants_whole_set(), "it was scheduled");
        source.abandon();
        source.abandon();
        assert_eq!(source.attempts(), 9, "those that were not made to their end count");
    }

    #[test]
    fn an_unchanged_set_is_a_success_and_no_change() {
        let mut source = holding(&[1, 2]);
        assert_eq!(source.poll(s(300)), Action::Fetch);
        assert!(!source.wants_whole_set());
        assert!(source.on_unchanged(s(300), Some(s(120))).is_empty());
        assert_eq!(source.keys(), &set(&[1, 2]));
        assert_eq!(source.facts().last_success, Some(s(300)));
        assert_eq!(source.poll(s(300)), Action::Wait(Some(s(420))));
        // It brings expired keys back to life, which it has just confirmed.
        assert!(source.on_unchanged(s(100_000), None).is_empty());
        assert_eq!(state(&source, s(100_000)), ProviderState::Ready);
    }

    #[test]
    fn nothing_is_unchanged_where_nothing_was() {
        let mut source = source(SourceKind::Network);
        assert_eq!(source.poll(s(0)), Action::Fetch);
        assert!(source.on_unchanged(s(0), None).is_empty());
        assert_eq!(source.facts().latest, LatestAttempt::Failed { at: s(0) });
    }

    /// Promise 3: the tag belongs to the set that came last, its removals still pending or not.
    #[test]
    fn a_removal_is_confirmed_by_a_whole_set_and_if_need_be_by_an_unchanged_one() {
        let mut source = holding(&[1]);
        source.on_fetched(s(300), set(&[2]), None);
        assert_eq!(source.kept(), set(&[1]).keys());
        assert_eq!(source.poll(s(330)), Action::Fetch);
        assert!(source.wants_whole_set());
        assert_eq!(source.on_unchanged(s(330), None).removed.len(), 1);
        assert_eq!(source.keys(), &set(&[2]), "it is the set that lacked them before");
    }

    #[test]
    fn a_removed_key_has_its_grace_and_a_return_from_beyond_it_is_flapping() {
        let schedule = Schedule { jitter_percent: 0, ..Schedule::default() };
        let graced = schedule.with_removed_key_grace(s(100));
        let mut source = Lifecycle::new(SourceKind::Network, graced, 0);
        source.on_fetched(s(0), set(&[1, 2]), None);
        source.on_fetched(s(10), set(&[2]), None);
        assert_eq!(source.keys(), &set(&[2, 1]));
        let leaving: Vec<_> = source.leaving().iter().map(|(_, leaves)| *leaves).collect();
        assert_eq!(leaving, [s(110)]);
        source.on_fetched(s(20), set(&[1, 2]), None);
        assert!(!source.is_flapping(s(20)), "nobody has noticed");
        source.on_fetched(s(30), set(&[2]), None);
        assert!(source.expire(s(129)).is_empty());
        assert_eq!(source.expire(s(130)).removed.len(), 1);
        assert_eq!(source.on_fetched(s(140), set(&[1, 2]), None).returned.len(), 1);
        let day = 24 * 3_600;
        assert!(source.is_flapping(s(140)) && source.is_flapping(s(2 * day + 140)));
        assert!(!source.is_flapping(s(2 * day + 141)));
    }

    #[test]
    fn a_file_does_not_flap() {
        let mut file = source(SourceKind::File);
        for (at, keys) in [(0, &[1, 2][..]), (5, &[2]), (10, &[1, 2])] {
            file.on_fetched(s(at), set(keys), None);
        }
        assert!(!file.is_flapping(s(10)));
    }
}
