//! One replay, and the onlooker who holds the promises against what is live: somebody who knows what
//! was answered, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use keystead::AwsLc;
use keystead::core::{
    Action, Algorithm, Change, Jwk, KeySet, Lifecycle, ProviderState, PublishedKeys,
    PublishedSource, SourceKind,
};

use super::{DAY, History, Plan, Weather};

/// How long a key that went is remembered, to notice that it came back.
const REMEMBERED: Duration = Duration::from_secs(48 * 3_600);

/// What happened in the replays, so that no promise goes untried.
#[derive(Debug, Default)]
pub(super) struct Met {
    removed_at_once: usize,
    guarded: usize,
    confirmed: usize,
    expired: usize,
    flapped: usize,
    bridged: usize,
}

impl Met {
    pub(super) fn all(&self) -> bool {
        let Self { removed_at_once, guarded, confirmed, expired, flapped, bridged } = self;
        [removed_at_once, guarded, confirmed, expired, flapped, bridged].iter().all(|n| **n > 0)
    }
}

/// Places in `History::keys`.
pub(super) type Keys = BTreeSet<usize>;

pub(super) struct Replay<'h> {
    history: &'h History,
    plan: Plan,
    met: &'h mut Met,
    machine: Lifecycle,
    now: Duration,
    prepared: PublishedKeys,
    onlooker: Onlooker,
}

/// What somebody knows who sees the answers and nothing else.
#[derive(Default)]
struct Onlooker {
    /// When each key was last in an answer.
    seen: BTreeMap<usize, Duration>,
    /// Since when each key that was in an answer has been in none.
    missed: BTreeMap<usize, Duration>,
    /// When each key that is not live any more went.
    gone: BTreeMap<usize, Duration>,
    /// When a key last came back that had gone less than 48 h before.
    returned: Option<Duration>,
    last_success: Option<Duration>,
}

impl Onlooker {
    fn answered(&mut self, now: Duration, published: &Keys) {
        self.last_success = Some(now);
        self.seen.extend(published.iter().map(|key| (*key, now)));
        self.missed.retain(|key, _| !published.contains(key));
        for key in self.seen.keys().filter(|key| !published.contains(key)) {
            self.missed.entry(*key).or_insert(now);
        }
    }
}

impl<'h> Replay<'h> {
    pub(super) fn new(history: &'h History, plan: Plan, met: &'h mut Met) -> Self {
        Self {
            history,
            plan,
            met,
            machine: Lifecycle::new(SourceKind::Network, plan.schedule, 7),
            now: history.begin(),
            prepared: PublishedKeys::default(),
            onlooker: Onlooker::default(),
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let until = match self.machine.poll(self.now) {
                Action::Fetch => {
                    self.ask();
                    continue;
                }
                Action::Wait(until) => until.expect("another attempt is planned"),
            };
            let leaves = self.machine.leaving().iter().map(|(_, leaves)| *leaves).min();
            self.now = until.min(leaves.unwrap_or(until));
            if self.now > self.history.end() {
                return;
            }
            let before = self.live();
            let change = self.machine.expire(self.now);
            self.take_in(&before, &change);
            self.check();
        }
    }

    fn live(&self) -> Keys {
        self.history.places(self.machine.keys().keys())
    }

    /// Those of them that were removed and have their grace.
    fn leaving(&self) -> Keys {
        self.history.places(self.machine.leaving().iter().map(|(key, _)| key))
    }

    /// What the provider answers now.
    fn answer(&self) -> Option<&'h KeySet> {
        let events = &self.history.events;
        let latest = events.iter().rposition(|event| event.at <= self.now)?;
        let event = &events[latest];
        match self.plan.weather {
            Weather::CutOff(from, to) if (from..to).contains(&self.now) => None,
            Weather::Turns
                if latest > 0
                    && self.since(event.at) < DAY
                    && self.machine.attempts().is_multiple_of(2) =>
            {
                events[latest - 1].set.as_ref()
            }
            _ => event.set.as_ref(),
        }
    }

    /// One attempt, and what it must and must not change.
    fn ask(&mut self) {
        let before = self.live();
        let Some(set) = self.answer().filter(|set| !set.keys().is_empty()) else {
            match self.answer() {
                Some(empty) => {
                    let change = self.machine.on_fetched(self.now, empty.clone(), None);
                    assert_eq!(change, Change::default(), "{}", self.place());
                }
                None => self.machine.on_failed(self.now, None),
            }
            assert_eq!(self.live(), before, "a failure changed keys: {}", self.place());
            return self.check();
        };
        let was_expired = self.machine.facts().is_expired(self.now);
        let leaving = self.leaving();
        let kept = self.history.places(self.machine.kept());
        let known: Keys = before.difference(&leaving).copied().collect();
        let change = self.machine.on_fetched(self.now, set.clone(), None);
        let published = self.history.places(set.keys());
        let bridged = leaving.intersection(&published).count();
        self.met.bridged += bridged;
        self.met.expired += usize::from(was_expired);
        self.check_removal(&known, &kept, &published, was_expired);
        self.onlooker.answered(self.now, &published);
        self.take_in(&before, &change);
        self.check();
    }

    /// At once while a known key is left, or none is good any more; else on the second set in a row
    /// that lacks it, which is asked for within 30 s.
    fn check_removal(&mut self, known: &Keys, kept: &Keys, published: &Keys, was_expired: bool) {
        let (live, leaving) = (self.live(), self.leaving());
        let missing: Keys = known.difference(published).copied().collect();
        assert!(live.is_superset(published), "published, but not live: {}", self.place());
        let stay: Keys = live.difference(published).copied().collect();
        let at_once = was_expired || self.history.share_a_key(known, published);
        if at_once {
            self.met.removed_at_once += usize::from(!was_expired && !missing.is_empty());
            assert_eq!(
                stay,
                leaving,
                "live, but neither published nor in its grace: {}",
                self.place()
            );
        } else {
            let first_time: Keys = missing.difference(kept).copied().collect();
            let expected: Keys = first_time.union(&leaving).copied().collect();
            assert_eq!(
                stay,
                expected,
                "without a known key the first miss removes none: {}",
                self.place()
            );
            self.met.guarded += usize::from(!first_time.is_empty());
        }
        self.met.confirmed += usize::from(!kept.is_empty() && self.machine.kept().is_empty());
        let wait = self.machine.facts().next_attempt.unwrap().saturating_sub(self.now);
        if self.machine.kept().is_empty() {
            assert!(wait <= self.longest_wait(), "{wait:?}: {}", self.place());
        } else {
            assert!(wait <= self.plan.schedule.confirm_after, "confirmed late: {}", self.place());
        }
    }

    /// Keeps what is live prepared, and remembers what came and went.
    fn take_in(&mut self, before: &Keys, change: &Change) {
        if change.is_empty() {
            return;
        }
        let after = self.live();
        for key in after.difference(before) {
            let back = self.onlooker.gone.remove(key);
            if back.is_some_and(|gone| self.since(gone) <= REMEMBERED) {
                self.onlooker.returned = Some(self.now);
                self.met.flapped += 1;
            }
        }
        for key in before.difference(&after) {
            self.onlooker.gone.insert(*key, self.now);
        }
        let source = PublishedSource::new(Arc::from("history"), self.machine.facts());
        let sources = [(source, self.machine.keys())];
        self.prepared = PublishedKeys::prepare(sources, &AwsLc, Some(&self.prepared));
        assert!(self.prepared.skipped().is_empty(), "{}", self.place());
        for key in self.machine.keys().keys() {
            assert!(self.can_verify(key), "{:?} verifies nothing: {}", key.kid(), self.place());
        }
    }

    /// Whether a token that names the key would be checked with it.
    fn can_verify(&self, key: &Jwk) -> bool {
        let algorithm = key.algorithm().unwrap_or(Algorithm::Rs256);
        self.prepared.candidates(key.kid()).any(|candidate| {
            candidate.jwk().material() == key.material() && candidate.verifier(algorithm).is_ok()
        })
    }

    /// What holds at every moment.
    fn check(&self) {
        let (live, facts) = (self.live(), self.machine.facts());
        let Onlooker { seen, missed, returned, last_success, .. } = &self.onlooker;
        assert_eq!(
            live.is_empty(),
            last_success.is_none(),
            "what was held once is held: {}",
            self.place()
        );
        let Some(last_success) = *last_success else {
            assert_eq!(facts.state(self.now), ProviderState::Cold, "{}", self.place());
            return;
        };
        let age = self.since(last_success);
        let limit = self.plan.schedule.max_stale.unwrap_or(Duration::MAX);
        assert_eq!(
            facts.serves(self.now),
            age <= limit,
            "served while fresh enough: {}",
            self.place()
        );
        let grace = self.plan.schedule.removed_key_grace;
        for (key, seen) in seen {
            let unseen = self.since(*seen);
            // While its provider published it last, and for as long after as it is given.
            let in_time = unseen > grace.max(age) || live.contains(key);
            assert!(in_time, "key {key} went too early: {}", self.place());
        }
        let latest = self.plan.schedule.confirm_after + grace;
        for (key, missed) in missed {
            let in_time = self.since(*missed) <= latest || !live.contains(key);
            assert!(in_time, "key {key} went too late: {}", self.place());
        }
        let flaps = returned.is_some_and(|at| self.since(at) <= REMEMBERED);
        assert_eq!(self.machine.is_flapping(self.now), flaps, "{}", self.place());
        self.check_published(&live);
    }

    /// A key that has been there for longer than any wait is live, whoever answered last.
    fn check_published(&self, live: &Keys) {
        let (Weather::Fair, Some(event)) =
            (self.plan.weather, self.history.events.iter().rfind(|event| event.at <= self.now))
        else {
            return;
        };
        let keys = event.set.iter().flat_map(KeySet::keys);
        if self.since(event.at) > self.longest_wait() {
            assert!(live.is_superset(&self.history.places(keys)), "not live yet: {}", self.place());
        }
    }

    /// Between two attempts while all is well, spread included.
    fn longest_wait(&self) -> Duration {
        self.plan.schedule.interval * 11 / 10
    }

    fn since(&self, at: Duration) -> Duration {
        self.now.saturating_sub(at)
    }

    fn place(&self) -> String {
        let since = self.since(self.history.begin()).as_secs_f64() / 3_600.0;
        format!("{} {} after {since:.2} h", self.history.name, self.plan.name)
    }
}
