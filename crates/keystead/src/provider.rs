//! One provider at run time: its policy, its sources, and the keys in memory.
//!
//! Verification reads [`Provider::keys`](keystead_core::Provider::keys), an immutable set behind one pointer. The sources' life
//! cycles are written by the refresh tasks and read by the status; no verification waits for them.

mod asking;
mod distrust;
mod ending;
mod slot;

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use keystead_core::{
    Disabled, Jwk, KeySet, Policy, ProviderState, PublishedKeys, PublishedSource, SourceFacts,
    SourceKind,
};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::{ProviderConfig, Standing};
use crate::counters::Counters;
use crate::crypto::{AwsLc, judged};
use crate::http::FetchRules;
use crate::report;
use crate::snapshot::Keeper;
use crate::source::{Failure, KeySource, SourceError};
use asking::Desk;
pub(crate) use asking::{Asked, Attendance};
pub(crate) use slot::{Cell, Ended, Slot, SlotKind, Turn};

/// A provider and everything that is known of it.
#[derive(Debug)]
pub(crate) struct Provider {
    name: Arc<str>,
    config: ProviderConfig,
    disabled: Option<Disabled>,
    rules: Arc<FetchRules>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    slots: Vec<Slot>,
    live: ArcSwap<Live>,
    /// Who waits for a key that is not held.
    desk: Desk,
    /// One publish at a time.
    publishing: Mutex<()>,
    /// Its keys on disk.
    keeper: Keeper,
    /// The state that was last reported.
    reported: Mutex<ProviderState>,
    /// Rung when keys or facts were published.
    pub(crate) published: Notify,
}

/// What verification reads.
#[derive(Debug, Default)]
struct Live {
    keys: PublishedKeys,
    /// What the in-process sources gave, in their order.
    in_process: Vec<InProcess>,
    /// The keys that the operator trusts no more, each with the place of its source.
    distrusted: Vec<(usize, Arc<Jwk>)>,
}

/// The last answer of an in-process source.
#[derive(Clone, Debug, Default)]
struct InProcess {
    /// The set as it was handed out, recognised by identity.
    given: Option<Arc<KeySet>>,
    /// The same as it is used.
    judged: Arc<KeySet>,
    /// Whether there was no answer since.
    failing: bool,
}

impl InProcess {
    fn is_settled_by(&self, answer: &Result<Arc<KeySet>, SourceError>) -> bool {
        match (answer, &self.given) {
            (Ok(set), Some(given)) => !self.failing && Arc::ptr_eq(set, given),
            (Ok(_), None) => false,
            (Err(_), _) => self.failing,
        }
    }
}

/// The published keys at one moment.
pub(crate) struct LiveGuard(Guard<Arc<Live>>);

impl Deref for LiveGuard {
    type Target = PublishedKeys;

    fn deref(&self) -> &PublishedKeys {
        &self.0.keys
    }
}

impl LiveGuard {
    /// The keys that the operator trusts no more, each with the place of its source. They are among
    /// the unusable ones too.
    pub(crate) fn distrusted(&self) -> &[(usize, Arc<Jwk>)] {
        &self.0.distrusted
    }
}

impl Provider {
    pub(crate) fn new(config: ProviderConfig, clock: Arc<dyn Clock>) -> Self {
        let disabled = match &config.standing {
            Standing::Disabled { why, reason } => Some(Disabled::new(*why, reason.as_str())),
            Standing::Enabled => None,
        };
        let mut slots = Vec::new();
        if disabled.is_none() {
            slots.extend(
                config.sources.iter().enumerate().map(|(at, source)| {
                    Slot::new(source, &config, seed(&config.name, at, &*clock))
                }),
            );
            // Memory and files first: what is there already must not wait for what is not.
            slots.sort_by_key(Slot::rank);
        }
        let provider = Self {
            name: config.name.as_str().into(),
            rules: Arc::new(config.rules.clone()),
            disabled,
            desk: Desk::new(&config, seed(&config.name, 0, &*clock)),
            clock,
            counters: Arc::default(),
            slots,
            live: ArcSwap::default(),
            publishing: Mutex::new(()),
            keeper: Keeper::default(),
            reported: Mutex::new(ProviderState::Cold),
            published: Notify::new(),
            config,
        };
        provider.publish();
        provider
    }

    /// The same provider, going on counting where one of its name left off.
    pub(crate) fn counting(mut self, counters: &Arc<Counters>) -> Self {
        self.counters = Arc::clone(counters);
        self
    }

    pub(crate) fn config(&self) -> &ProviderConfig {
        &self.config
    }

    pub(crate) fn rules(&self) -> &Arc<FetchRules> {
        &self.rules
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) const fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    pub(crate) const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The state at this moment.
    pub(crate) fn state(&self) -> ProviderState {
        self.state_of(&self.live(), self.clock.monotonic())
    }

    /// The state at `now` (monotonic time), given the keys of that moment.
    pub(crate) fn state_of(&self, live: &PublishedKeys, now: Duration) -> ProviderState {
        match &self.disabled {
            Some(disabled) => ProviderState::Disabled(disabled.why),
            None => live.state(now),
        }
    }

    /// The keys as they are at this moment.
    pub(crate) fn live(&self) -> LiveGuard {
        self.follow_in_process();
        self.held()
    }

    /// The keys as they were last published, without asking in-process sources.
    pub(crate) fn held(&self) -> LiveGuard {
        LiveGuard(self.live.load())
    }

    /// Whether keys of one of its sources went and came back.
    pub(crate) fn is_flapping(&self, now: Duration) -> bool {
        self.slots.iter().any(|slot| slot.cell().lifecycle.is_flapping(now))
    }

    /// The state now, which counts as reported.
    pub(crate) fn report_state(&self) -> ProviderState {
        let now = self.state_of(&self.held(), self.clock.monotonic());
        *lock(&self.reported) = now;
        now
    }

    /// The state now and the one that was reported before, if they differ.
    pub(crate) fn state_change(&self) -> Option<(ProviderState, ProviderState)> {
        let mut reported = lock(&self.reported);
        let now = self.state_of(&self.held(), self.clock.monotonic());
        (*reported != now).then(|| (std::mem::replace(&mut *reported, now), now))
    }

    /// When the state would next change by itself, as keys and answers age (monotonic time).
    pub(crate) fn next_change(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let live = self.live.load();
        let moments = live.keys.sources().iter().flat_map(|source| {
            let SourceFacts { kind, last_success, interval, .. } = source.facts;
            let at = last_success.filter(|_| kind == SourceKind::Network);
            let stale = at.map(|at| at.saturating_add(interval.saturating_mul(2)));
            [stale, source.facts.expires_after()]
        });
        // One millisecond past the moment: a limit is still kept when it is just reached.
        let past = moments.flatten().map(|at| at.saturating_add(Duration::from_millis(1)));
        past.filter(|at| *at > now).min()
    }

    /// Asks every source now, its discovery document too, and waits for the answers; whether all
    /// of them gave keys. Never returns when nobody makes the attempts.
    pub(crate) async fn refresh(&self) -> bool {
        let asked = || self.slots.iter().filter(|slot| slot.is_asked());
        let ended: Vec<_> = asked()
            .map(|slot| {
                let mut finished = slot.finished();
                let before = *finished.borrow_and_update();
                slot.request();
                (finished, before)
            })
            .collect();
        for (mut finished, before) in ended {
            // The sender lives in the slot.
            let _gone = finished.wait_for(|count| *count > before).await;
        }
        asked().all(Slot::is_proven)
    }

    /// Swaps in what the sources hold now.
    pub(crate) fn publish(&self) {
        // One at a time, so that an older view never replaces a newer one.
        let publishing = lock(&self.publishing);
        let mut news = Vec::new();
        let previous = self.live.load();
        let mut in_process = Vec::new();
        let mut sets = Vec::new();
        for slot in &self.slots {
            if let SlotKind::InProcess(source) = &slot.kind {
                let last = previous.in_process.get(in_process.len()).cloned().unwrap_or_default();
                let answer = take_in(slot, last, ask(&**source), &mut news);
                let keys = Arc::clone(&answer.judged);
                in_process.push(answer);
                let facts = SourceFacts::memory(KeySet::keys(&keys).len());
                sets.push((PublishedSource::new(Arc::clone(&slot.origin), facts), keys));
            } else {
                let cell = slot.cell();
                let mut source = PublishedSource::new(cell.origin(slot), cell.lifecycle.facts());
                source.leaving = cell.lifecycle.leaving().to_vec();
                sets.push((source, Arc::new(cell.lifecycle.keys().clone())));
            }
        }
        let mut distrusted = Vec::new();
        for (at, (source, keys)) in sets.iter_mut().enumerate() {
            let listed = distrust::withhold(&self.config.distrusted_keys, keys);
            // What is not used counts for nothing.
            let used = &mut source.facts.usable_keys;
            *used = used.saturating_sub(listed.len());
            distrusted.extend(listed.into_iter().map(|key| (at, key)));
        }
        let sources = sets.iter().map(|(source, keys)| (source.clone(), &**keys));
        let keys = PublishedKeys::prepare(sources, &AwsLc, Some(&previous.keys));
        let same = keys.keys().iter().map(|key| key.jwk());
        let same = same.eq(previous.keys.keys().iter().map(|key| key.jwk()));
        self.live.store(Arc::new(Live { keys, in_process, distrusted }));
        if !same {
            self.desk.keys_changed();
        }
        self.published.notify_waiters();
        drop(publishing);
        // Who hears of it may ask this provider something, which must not find it locked.
        for (slot, news) in news {
            match news {
                News::Replaced(before, after) => report::replaced(self, slot, &before, &after),
                News::Failed(failure) => report::failure(self, slot, &failure),
            }
        }
    }

    /// Takes over what in-process sources hand out now, if it is not what is published.
    fn follow_in_process(&self) {
        let live = self.live.load();
        let mut settled = true;
        let mut known = live.in_process.iter();
        for slot in &self.slots {
            let SlotKind::InProcess(source) = &slot.kind else { continue };
            let answer = ask(&**source);
            if answer.is_err() {
                slot.errors.fetch_add(1, Ordering::Relaxed);
            }
            settled &= known.next().is_some_and(|known| known.is_settled_by(&answer));
        }
        if !settled {
            self.publish();
        }
    }
}

/// What is to be said of an in-process source once its keys are published.
enum News {
    Replaced(Arc<KeySet>, Arc<KeySet>),
    Failed(Failure),
}

/// What an in-process source gives from now on. An error keeps the last set.
fn take_in<'a>(
    slot: &'a Slot,
    last: InProcess,
    answer: Result<Arc<KeySet>, SourceError>,
    news: &mut Vec<(&'a Slot, News)>,
) -> InProcess {
    if last.is_settled_by(&answer) {
        return last;
    }
    match answer {
        Ok(set) => {
            slot.cell().last_error = None;
            let judged = Arc::new(judged(KeySet::clone(&set)));
            // The first set is what the host program starts with, as keys in a configuration are.
            if last.given.is_some() {
                let replaced = News::Replaced(Arc::clone(&last.judged), Arc::clone(&judged));
                news.push((slot, replaced));
            }
            InProcess { given: Some(set), judged, failing: false }
        }
        Err(error) => {
            let failure = Failure::in_process(&error);
            slot.cell().last_error = Some(failure.clone());
            news.push((slot, News::Failed(failure)));
            InProcess { failing: true, ..last }
        }
    }
}

/// Asks code of the host program, whose panics are no answer: they must end neither a verification
/// nor the refresh.
fn ask(source: &dyn KeySource) -> Result<Arc<KeySet>, SourceError> {
    let keys = AssertUnwindSafe(|| source.keys());
    catch_unwind(keys).unwrap_or_else(|_| Err(SourceError::new("the key source panicked")))
}

impl keystead_core::Provider for Provider {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn policy(&self) -> &Policy {
        &self.config.policy
    }

    fn disabled(&self) -> Option<&Disabled> {
        self.disabled.as_ref()
    }

    fn keys(&self) -> impl Deref<Target = PublishedKeys> {
        self.live()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// Jitter differs between providers, sources and processes; it needs no secrecy.
fn seed(name: &str, at: usize, clock: &dyn Clock) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write(name.as_bytes());
    hasher.write_usize(at);
    hasher.write_u128(clock.wall().as_nanos());
    hasher.finish()
}

/// Plain data behind these locks is sound whatever its holder was doing when it panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
