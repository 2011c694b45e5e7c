//! The life cycle of keys: whatever happens in whatever order, at whatever time, forwards and
//! backwards.
//!
//! No key is lost to a failure, the last known good keys are let go by the source alone, the next
//! attempt is near, and made-up kids cause one attempt per cooldown.

mod story;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use keystead::core::{
    Action, Change, Jwk, KeySet, Lifecycle, Schedule, SourceKind, UnknownKids, Wish,
};

use story::{Event, Kind, Span, Story, key, materials, set};

/// The shortest wait there is, whatever is configured.
const SHORTEST: Duration = Duration::from_millis(1);

pub fn check(data: &[u8]) {
    let Ok(story) = Story::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut watch = Watch::new(&story);
    for event in &story.events {
        watch.happen(event);
    }
}

/// The machine, and what an onlooker knows of its past.
struct Watch {
    machine: Lifecycle,
    kind: Kind,
    schedule: Schedule,
    now: Duration,
    in_flight: bool,
    wanted: bool,
    handed_out: u64,
    /// When the source last confirmed what is held, and how old that was then.
    confirmed: Option<(Duration, Duration)>,
    kids: UnknownKids,
    cooldown: Duration,
    /// When a fetch for an unknown kid last began whose budget was not given back.
    spent: Option<Duration>,
    asking: Option<BTreeSet<u8>>,
}

impl Watch {
    fn new(story: &Story) -> Self {
        let bound = |span: Span, least, most| {
            span.time().clamp(Duration::from_secs(least), Duration::from_secs(most))
        };
        // As far as a configuration goes: a second to a week.
        let mut schedule = Schedule::default()
            .with_interval(bound(story.interval, 1, 604_800))
            .with_max_stale(story.max_stale.map(Span::time))
            .with_removed_key_grace(bound(story.grace, 0, 604_800));
        schedule.jitter_percent = u32::from(story.jitter % 101);
        let kind = match story.kind {
            Kind::File => SourceKind::File,
            Kind::Memory => SourceKind::Memory,
            Kind::Network => SourceKind::Network,
        };
        let cooldown = bound(story.cooldown, 1, 3_600);
        Self {
            machine: Lifecycle::new(kind, schedule, story.seed),
            kind: story.kind,
            schedule,
            now: Duration::ZERO,
            in_flight: false,
            wanted: false,
            handed_out: 0,
            confirmed: None,
            kids: UnknownKids::new(cooldown, story.seed),
            cooldown,
            spent: None,
            asking: None,
        }
    }

    fn happen(&mut self, event: &Event) {
        let before = self.machine.keys().clone();
        let mut same = true;
        match event {
            Event::Forward(span) => self.now = self.now.saturating_add(span.time()),
            Event::Rewind(span) => self.now = self.now.saturating_sub(span.time()),
            Event::UntilDue => self.now = self.machine.facts().next_attempt.unwrap_or(self.now),
            Event::Poll => self.poll(),
            Event::Request => {
                self.machine.request();
                self.wanted |= !self.in_flight;
            }
            Event::Force => self.force(),
            Event::Abandon => {
                self.machine.abandon();
                self.wanted |= self.in_flight;
                self.in_flight = false;
            }
            Event::Failed(retry_after) => {
                let retry_after = retry_after.map(Span::time);
                self.fails(|machine, now| machine.on_failed(now, retry_after));
            }
            Event::Fetched(keys, _) if keys.is_empty() => self.fails(|machine, now| {
                assert_eq!(machine.on_fetched(now, KeySet::default(), None), Change::default());
            }),
            Event::Fetched(keys, max_age) => {
                same = false;
                let (set, max_age) = (set(keys), max_age.map(Span::time));
                self.succeeds(&set.clone(), |machine, now| machine.on_fetched(now, set, max_age));
            }
            Event::Unchanged(_) if self.confirmed.is_none() => self.fails(|machine, now| {
                assert_eq!(machine.on_unchanged(now, None), Change::default());
            }),
            Event::Unchanged(max_age) => {
                same = false;
                let max_age = max_age.map(Span::time);
                self.succeeds(&self.published(), |machine, now| machine.on_unchanged(now, max_age));
            }
            Event::Restore(age, keys, leaving) => {
                same = false;
                self.restore(age.time(), keys, leaving);
            }
            Event::Expire => {
                same = false;
                self.expire();
            }
            Event::Wish(_)
            | Event::KidsEnded(_)
            | Event::KidsFailed
            | Event::KidsGivenUp
            | Event::KidsHeld(_) => self.ask_for_kid(event),
        }
        assert!(!same || *self.machine.keys() == before, "{event:?} changed the keys");
        self.check_state();
    }

    /// What is left when keys that are kept or leaving are taken away.
    fn published(&self) -> KeySet {
        let keys = self.machine.keys().keys();
        let beside = self.machine.kept().len() + self.machine.leaving().len();
        KeySet::new(keys.iter().take(keys.len() - beside).map(|key| Jwk::clone(key)))
    }

    fn live(&self) -> BTreeSet<u8> {
        materials(self.machine.keys().keys())
    }

    /// Those that leave altogether, and not one of their kids only.
    fn leaving(&self) -> BTreeSet<u8> {
        let leaving = self.machine.leaving().iter().map(|(key, _)| key);
        let leaves = |key: &&Arc<Jwk>| leaving.clone().any(|other| Arc::ptr_eq(other, key));
        let stay = materials(self.machine.keys().keys().iter().filter(|key| !leaves(key)));
        materials(leaving.clone()).difference(&stay).copied().collect()
    }

    /// Told from the outside: keys are held that are not too old.
    fn serves(&self) -> bool {
        let Some((at, age)) = self.confirmed else { return false };
        let age = self.now.saturating_sub(at).saturating_add(age);
        let limit = self.schedule.max_stale.filter(|_| matches!(self.kind, Kind::Network));
        limit.is_none_or(|limit| age <= limit)
    }

    fn poll(&mut self) {
        let due = self.machine.facts().next_attempt;
        let expected = match due {
            _ if self.in_flight => Action::Wait(None),
            None => Action::Wait(None),
            Some(due) if self.now < due && !self.wanted => Action::Wait(Some(due)),
            Some(_) => Action::Fetch,
        };
        assert_eq!(self.machine.poll(self.now), expected);
        if expected == Action::Fetch {
            (self.in_flight, self.wanted) = (true, false);
            self.handed_out += 1;
            assert_eq!(self.machine.poll(Duration::MAX), Action::Wait(None), "two at once");
        }
        assert_eq!(self.machine.attempts(), self.handed_out);
    }

    fn force(&mut self) {
        let number = self.machine.force();
        assert!(number == self.handed_out || number == self.handed_out + 1, "{number}");
        // Who joins a forced attempt wants no other.
        self.wanted |= number == self.handed_out + 1;
    }

    fn fails(&mut self, report: impl FnOnce(&mut Lifecycle, Duration)) {
        let warm = self.serves();
        report(&mut self.machine, self.now);
        self.in_flight = false;
        let Some(next) = self.machine.facts().next_attempt else { return };
        let wait = next.saturating_sub(self.now);
        let backoff = if warm { self.schedule.warm } else { self.schedule.cold };
        let latest = backoff.cap.max(backoff.longest_retry_after);
        assert!(wait <= latest, "{wait:?} after a failure is more than {latest:?}");
        assert!(wait >= SHORTEST || next == Duration::MAX, "{wait:?} after a failure is a storm");
    }

    fn succeeds(&mut self, set: &KeySet, report: impl FnOnce(&mut Lifecycle, Duration) -> Change) {
        let guarded = self.serves() && matches!(self.kind, Kind::Network);
        let expected = self.before_replacement(set, guarded);
        let change = report(&mut self.machine, self.now);
        self.in_flight = false;
        self.confirmed = Some((self.now, Duration::ZERO));
        expected.check(self, set, &change);
        let Some(next) = self.machine.facts().next_attempt else { return };
        let wait = next.saturating_sub(self.now);
        let jitter = self.schedule.jitter_percent;
        let latest = self.schedule.longest_interval / 100 * (100 + jitter) + SHORTEST;
        assert!(wait <= latest, "{wait:?} after a success is more than {latest:?}");
        assert!(wait >= SHORTEST || next == Duration::MAX, "{wait:?} after a success is a storm");
        let confirm = self.schedule.confirm_after.max(SHORTEST);
        assert!(self.machine.kept().is_empty() || wait <= confirm, "confirmed late: {wait:?}");
    }

    fn restore(&mut self, age: Duration, keys: &[u8], leaving: &[(u8, Span)]) {
        let set = set(keys);
        let expected = self.before_replacement(&set, self.serves());
        let before = self.machine.keys().clone();
        let leaving: Vec<_> =
            leaving.iter().take(8).map(|(n, at)| (Arc::new(key(*n)), at.time())).collect();
        let held = self.confirmed.map(|(at, age)| self.now.saturating_sub(at).saturating_add(age));
        let wanted = matches!(self.kind, Kind::Network)
            && !set.keys().is_empty()
            && held.is_none_or(|held| age < held);
        match self.machine.restore(self.now, age, set.clone(), leaving) {
            None => {
                assert!(!wanted, "a younger set was not taken");
                assert_eq!(self.machine.keys(), &before);
            }
            Some(change) => {
                assert!(wanted, "an older set was taken");
                self.confirmed = Some((self.now, age));
                expected.check(self, &set, &change);
            }
        }
    }

    fn expire(&mut self) {
        let before = self.machine.keys().keys().len();
        let over = self.machine.leaving().iter().filter(|(_, at)| *at <= self.now);
        let over: Vec<_> = over.map(|(key, _)| Arc::clone(key)).collect();
        let change = self.machine.expire(self.now);
        assert_eq!(self.machine.keys().keys().len(), before - over.len());
        // A key that stays under another kid has lost one of its names, and is not removed.
        let gone: BTreeSet<u8> = materials(&over).difference(&self.live()).copied().collect();
        assert_eq!(materials(&change.removed), gone, "whose time is over goes, and nobody else");
        assert!(self.machine.leaving().iter().all(|(_, at)| *at > self.now));
    }

    fn before_replacement(&self, set: &KeySet, guarded: bool) -> Replacement {
        let leaving = self.leaving();
        let known: BTreeSet<u8> = self.live().difference(&leaving).copied().collect();
        let now = materials(set.keys());
        Replacement {
            rotation: !known.is_disjoint(&now),
            before: self.live(),
            kept: materials(self.machine.kept()),
            known,
            leaving,
            guarded,
        }
    }

    fn ask_for_kid(&mut self, event: &Event) {
        let names = |kids: &[u8]| -> Vec<String> { kids.iter().map(u8::to_string).collect() };
        let found = |asking: &Option<BTreeSet<u8>>, kids: &[u8]| {
            asking.as_ref().is_some_and(|asking| kids.iter().any(|kid| asking.contains(kid)))
        };
        match event {
            Event::Wish(kid) => self.wish(*kid),
            Event::KidsEnded(kids) => {
                self.kids.on_ended(names(kids).iter().map(String::as_str));
                if found(&self.asking, kids) {
                    self.spent = None;
                }
                self.asking = None;
            }
            Event::KidsHeld(kids) => {
                let over = self.kids.on_held(names(kids).iter().map(String::as_str));
                assert_eq!(over, found(&self.asking, kids));
                if over {
                    (self.asking, self.spent) = (None, None);
                }
            }
            Event::KidsFailed => self.kids.on_failed(),
            _ => {
                self.kids.on_abandoned();
                self.asking = None;
            }
        }
        assert!(self.kids.remembered() <= 128, "made-up kids fill the memory");
    }

    /// The cooldown counts from attempts, whatever came of them.
    fn wish(&mut self, kid: u8) {
        let wish = self.kids.wish(Some(&kid.to_string()), self.now);
        let cooling =
            self.spent.is_some_and(|spent| self.now.saturating_sub(spent) < self.cooldown);
        match (wish, &mut self.asking) {
            (Wish::Join, Some(asking)) => {
                asking.insert(kid);
            }
            (Wish::Start, None) => {
                assert!(!cooling, "asked again within the cooldown");
                self.spent = Some(self.now);
                self.asking = Some(BTreeSet::from([kid]));
            }
            // A source that hangs does not hold up its siblings for longer than the cooldown.
            (Wish::Start, Some(asking)) => {
                assert!(!cooling, "asked again within the cooldown");
                self.spent = Some(self.now);
                asking.insert(kid);
            }
            (Wish::Refused, None) => {}
            (wish, asking) => panic!("{wish:?} while asking for {asking:?}"),
        }
    }

    fn check_state(&self) {
        let facts = self.machine.facts();
        let held = !self.live().is_empty();
        assert_eq!(held, self.confirmed.is_some(), "what was held once is held");
        assert_eq!(facts.serves(self.now), self.serves());
        assert_eq!(facts.state(self.now).can_verify(), self.serves());
        assert_eq!(facts.usable_keys, self.machine.keys().keys().len());
        let _at_any_time = (facts.age(Duration::MAX), facts.state(Duration::MAX));
        let _flaps = self.machine.is_flapping(self.now);
    }
}

/// What may become of the keys that were held when a new set comes.
struct Replacement {
    before: BTreeSet<u8>,
    /// Those that no set has removed yet.
    known: BTreeSet<u8>,
    /// Those of the known ones that the latest set lacked.
    kept: BTreeSet<u8>,
    leaving: BTreeSet<u8>,
    guarded: bool,
    /// Whether the new set holds a known key.
    rotation: bool,
}

impl Replacement {
    fn check(&self, watch: &Watch, set: &KeySet, change: &Change) {
        let (now, after) = (materials(set.keys()), watch.live());
        assert!(now.is_subset(&after), "published, but not live");
        let gone: BTreeSet<u8> = self.before.difference(&after).copied().collect();
        assert!(gone.is_disjoint(&now));
        assert_eq!(materials(&change.removed), gone);
        let added: BTreeSet<u8> = after.difference(&self.before).copied().collect();
        assert_eq!(materials(&change.added), added);
        if !self.guarded {
            return;
        }
        // Nothing leaves before its time, and what one set lacks stays when that set has nothing
        // in common with what is known.
        assert!(gone.is_disjoint(&self.leaving.difference(&now).copied().collect()));
        let lost: BTreeSet<u8> = gone.intersection(&self.known).copied().collect();
        assert!(self.rotation || lost.is_subset(&self.kept), "{lost:?} after one strange set");
        let graced = watch.now.saturating_add(watch.schedule.removed_key_grace) > watch.now;
        assert!(lost.is_empty() || !graced, "{lost:?} had no grace");
    }
}
