//! Whatever happens in whatever order: a source's keys and its schedule obey their rules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic; clippy knows only functions marked as tests"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keystead_core::{
    Action, Algorithm, Change, EcCurve, Jwk, KeySet, LatestAttempt, Lifecycle, Material,
    ProviderState, Schedule, SourceKind,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    /// Time passes.
    Pass(Duration),
    /// It passes to just the moment that the machine asked for.
    PassUntilDue,
    Poll,
    Request,
    Force,
    Abandon,
    Unchanged,
    Fetched {
        keys: Vec<(u8, Label)>,
        max_age: Option<Duration>,
    },
    Failed {
        retry_after: Option<Duration>,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Label {
    First,
    Second,
    Bound,
}

fn key(material: u8, label: Label) -> Jwk {
    let coordinate: Box<[u8]> = [material; 32].into();
    let (x, y) = (coordinate.clone(), coordinate);
    let (kid, algorithm) = match label {
        Label::First => ("first", None),
        Label::Second => ("second", None),
        Label::Bound => ("first", Some(Algorithm::Es256)),
    };
    Jwk::new(Some(kid), algorithm, Material::Ec { curve: EcCurve::P256, x, y }).unwrap()
}

fn set(keys: &[(u8, Label)]) -> KeySet {
    KeySet::new(keys.iter().map(|(material, label)| key(*material, *label)))
}

/// Which of the materials of these tests these keys have.
fn materials<'a>(keys: impl IntoIterator<Item = &'a Arc<Jwk>>) -> BTreeSet<u8> {
    let x = |key: &Jwk| match key.material() {
        Material::Ec { x, .. } => x[0],
        other => panic!("not made here: {other:?}"),
    };
    keys.into_iter().map(|key| x(key)).collect()
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0_u64..2_000).prop_map(Duration::from_millis),
        4 => (0_u64..4_000).prop_map(Duration::from_secs),
        1 => (80_000_u64..100_000).prop_map(Duration::from_secs),
        1 => any::<u64>().prop_map(Duration::from_secs),
        1 => Just(Duration::ZERO),
    ]
}

fn label() -> impl Strategy<Value = Label> {
    prop_oneof![4 => Just(Label::First), 1 => Just(Label::Second), 1 => Just(Label::Bound)]
}

fn event() -> impl Strategy<Value = Event> {
    // Few materials, so that sets overlap, replace each other and return.
    let keys = prop::collection::vec((1_u8..6, label()), 0..4);
    prop_oneof![
        2 => duration().prop_map(Event::Pass),
        3 => Just(Event::PassUntilDue),
        4 => Just(Event::Poll),
        1 => Just(Event::Request),
        1 => Just(Event::Force),
        1 => Just(Event::Abandon),
        1 => Just(Event::Unchanged),
        4 => (keys, prop::option::of(duration()))
            .prop_map(|(keys, max_age)| Event::Fetched { keys, max_age }),
        2 => prop::option::of(duration()).prop_map(|retry_after| Event::Failed { retry_after }),
    ]
}

fn kind() -> impl Strategy<Value = SourceKind> {
    prop_oneof![
        1 => Just(SourceKind::Memory),
        1 => Just(SourceKind::File),
        4 => Just(SourceKind::Network),
    ]
}

/// The machine, and what an onlooker knows of its past.
struct Watched {
    machine: Lifecycle,
    kind: SourceKind,
    schedule: Schedule,
    now: Duration,
    /// The attempt in flight, and whether it was forced.
    in_flight: Option<bool>,
    /// An attempt is wanted out of turn, and whether it has to be a forced one.
    wanted: Option<bool>,
    handed_out: u64,
    /// The materials of the last two successful sets, the latest last.
    successes: [BTreeSet<u8>; 2],
    /// The latest successful set.
    latest: Vec<(u8, Label)>,
    last_success: Option<Duration>,
    failed_last: bool,
}

impl Watched {
    fn new(kind: SourceKind, schedule: Schedule, seed: u64) -> Self {
        Self {
            machine: Lifecycle::new(kind, schedule, seed),
            kind,
            schedule,
            now: Duration::ZERO,
            in_flight: None,
            wanted: None,
            handed_out: 0,
            successes: [BTreeSet::new(), BTreeSet::new()],
            latest: Vec::new(),
            last_success: None,
            failed_last: false,
        }
    }

    fn live(&self) -> BTreeSet<u8> {
        materials(self.machine.keys().keys())
    }

    /// Told from the outside: keys are held, and the last success is no longer ago than allowed.
    fn is_warm(&self) -> bool {
        let limit = self.schedule.max_stale.unwrap_or(Duration::MAX);
        let in_time = self.last_success.is_some_and(|at| self.now.saturating_sub(at) <= limit);
        in_time || (self.kind != SourceKind::Network && self.last_success.is_some())
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Pass(time) => self.now = self.now.saturating_add(*time),
            Event::PassUntilDue => {
                let due = self.machine.facts().next_attempt.unwrap_or_default();
                self.now = self.now.max(due);
            }
            Event::Poll => self.poll(),
            Event::Request => {
                self.machine.request();
                if self.in_flight.is_none() {
                    self.wanted = self.wanted.max(Some(false));
                }
            }
            Event::Force => self.force(),
            Event::Abandon => {
                self.machine.abandon();
                if let Some(forced) = self.in_flight.take() {
                    self.wanted = self.wanted.max(Some(forced));
                }
            }
            Event::Unchanged if self.latest.is_empty() => {
                self.fails(|machine, now| {
                    assert_eq!(machine.on_unchanged(now, None), Change::default());
                });
            }
            Event::Unchanged => {
                let keys = self.latest.clone();
                self.fetches(&keys, |machine, now, _| machine.on_unchanged(now, None));
            }
            Event::Fetched { keys, .. } if keys.is_empty() => {
                self.fails(|machine, now| {
                    let change = machine.on_fetched(now, KeySet::default(), None);
                    assert_eq!(change, Change::default());
                });
            }
            Event::Fetched { keys, max_age } => {
                self.fetches(keys, |machine, now, set| machine.on_fetched(now, set, *max_age));
            }
            Event::Failed { retry_after } => {
                self.fails(|machine, now| machine.on_failed(now, *retry_after));
            }
        }
        self.check_state();
    }

    fn poll(&mut self) {
        let due = self.machine.facts().next_attempt;
        let expected = match due {
            _ if self.in_flight.is_some() => Action::Wait(None),
            None => Action::Wait(None),
            Some(due) if self.now < due && self.wanted.is_none() => Action::Wait(Some(due)),
            Some(_) => Action::Fetch,
        };
        assert_eq!(self.machine.poll(self.now), expected);
        if expected == Action::Fetch {
            self.in_flight = Some(self.wanted.take() == Some(true));
            self.handed_out += 1;
            assert_eq!(self.machine.poll(self.now), Action::Wait(None), "twice at once");
            assert_eq!(self.machine.poll(Duration::MAX), Action::Wait(None), "twice at once");
        }
        assert_eq!(self.machine.attempts(), self.handed_out);
    }

    /// It is answered by an attempt that begins from now on, unless it joins a forced one.
    fn force(&mut self) {
        let number = self.machine.force();
        if self.in_flight == Some(true) {
            assert_eq!(number, self.handed_out);
        } else {
            assert_eq!(number, self.handed_out + 1);
            self.wanted = Some(true);
        }
        assert_eq!(self.machine.is_superseded(), self.in_flight == Some(false));
    }

    fn fetches(
        &mut self,
        keys: &[(u8, Label)],
        report: impl FnOnce(&mut Lifecycle, Duration, KeySet) -> Change,
    ) {
        let before = self.live();
        let warm = self.is_warm();
        let change = report(&mut self.machine, self.now, set(keys));
        self.in_flight = None;
        self.latest = keys.to_vec();
        self.failed_last = false;
        self.last_success = Some(self.now);
        let now: BTreeSet<u8> = keys.iter().map(|(material, _)| *material).collect();
        self.successes.rotate_left(1);
        self.successes[1].clone_from(&now);

        let after = self.live();
        for (material, label) in keys {
            let published = Arc::new(key(*material, *label));
            assert!(self.machine.keys().keys().contains(&published), "published, but not live");
        }
        let removed: BTreeSet<u8> = before.difference(&after).copied().collect();
        assert!(removed.is_disjoint(&now), "removed, but in the latest success");
        let missing: BTreeSet<u8> = before.difference(&now).copied().collect();
        let at_once = self.kind != SourceKind::Network || !warm || !before.is_disjoint(&now);
        let missed_twice = missing.difference(&self.successes[0]).copied().collect();
        assert_eq!(removed, if at_once { missing } else { missed_twice });
        assert_eq!(materials(&change.added), after.difference(&before).copied().collect());
        assert_eq!(materials(&change.removed), removed);
        let kept: BTreeSet<u8> = after.difference(&now).copied().collect();
        assert_eq!(materials(&change.kept), kept);
        self.check_next_after_success(kept.is_empty());
    }

    fn check_next_after_success(&self, settled: bool) {
        let Some(next) = self.machine.facts().next_attempt else { return };
        let wait = next.saturating_sub(self.now);
        let Schedule { shortest_interval, longest_interval, confirm_after, .. } = self.schedule;
        let spread = longest_interval * 11 / 10;
        assert!(wait <= spread, "{wait:?} is later than {spread:?}");
        let earliest = if settled { shortest_interval * 9 / 10 } else { confirm_after };
        // At the end of time there is no later moment to plan for.
        assert!(wait >= earliest || next == Duration::MAX, "{wait:?} is before {earliest:?}");
        if !settled {
            assert!(wait <= confirm_after, "confirmed late: {wait:?}");
        }
    }

    fn fails(&mut self, report: impl FnOnce(&mut Lifecycle, Duration)) {
        let keys = self.machine.keys().clone();
        let warm = self.is_warm();
        report(&mut self.machine, self.now);
        self.in_flight = None;
        self.failed_last = true;
        assert_eq!(self.machine.keys(), &keys, "a failure took a key");
        let Some(next) = self.machine.facts().next_attempt else { return };
        let wait = next.saturating_sub(self.now);
        let backoff = if warm { self.schedule.warm } else { self.schedule.cold };
        let earliest = backoff.first * 9 / 10;
        assert!(wait >= earliest || next == Duration::MAX, "{wait:?} is before {earliest:?}");
        assert!(wait <= backoff.cap.max(backoff.longest_retry_after), "{wait:?} is too late");
    }

    /// The words of the state, told from the outside.
    fn check_state(&self) {
        let facts = self.machine.facts();
        let held = !self.live().is_empty();
        assert_eq!(held, self.last_success.is_some(), "what was held once is held");
        assert_eq!(facts.last_success, self.last_success);
        let settled = match self.kind {
            SourceKind::Network => {
                let old = self.last_success.map(|at| self.now.saturating_sub(at));
                !self.failed_last && old.is_some_and(|old| old <= facts.interval * 2)
            }
            SourceKind::File => !self.failed_last,
            _ => true,
        };
        let expected = match (held, self.is_warm(), settled) {
            (false, ..) => ProviderState::Cold,
            (true, false, _) => ProviderState::Expired,
            (true, true, true) => ProviderState::Ready,
            (true, true, false) => ProviderState::Stale,
        };
        assert_eq!(facts.state(self.now), expected);
        assert_eq!(facts.serves(self.now), expected.can_verify());
        assert_eq!(facts.is_expired(self.now), expected == ProviderState::Expired);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// T11, T22, K13, K14, K15
    #[test]
    fn keys_and_schedule_obey_their_rules_whatever_happens(
        kind in kind(),
        seed: u64,
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut watched = Watched::new(kind, Schedule::default(), seed);
        for event in &events {
            watched.happen(event);
        }
    }

    /// A driver that does as it is told, against a provider that fails as it likes, and is then
    /// well: the keys are there within the cold cap of 15 s.
    ///
    /// T10
    #[test]
    fn a_provider_that_comes_back_is_served_within_the_cold_cap(
        seed: u64,
        outage in 0_u64..3_600,
        retry_after in prop::option::of(duration()),
    ) {
        let mut machine = Lifecycle::new(SourceKind::Network, Schedule::default(), seed);
        let (mut now, back) = (Duration::ZERO, Duration::from_secs(outage));
        while machine.facts().latest.at().is_none() || machine.keys().is_empty() {
            match machine.poll(now) {
                Action::Wait(until) => now = until.expect("an attempt is planned"),
                Action::Fetch if now < back => machine.on_failed(now, retry_after),
                Action::Fetch => {
                    machine.on_fetched(now, set(&[(1, Label::First)]), None);
                }
            }
        }
        prop_assert!(now <= back + Duration::from_secs(15), "{now:?} for a return at {back:?}");
        prop_assert_eq!(machine.facts().latest, LatestAttempt::Succeeded { at: now });
        prop_assert_eq!(machine.facts().state(now), ProviderState::Ready);
    }
}
