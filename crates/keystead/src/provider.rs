//! One provider at run time: its policy, its sources, and the keys in memory.
//!
//! Verification reads [`Provider::keys`], an immutable set behind one pointer. The sources' life
//! cycles are written by the refresh tasks and read by the status; no verification waits for them.

mod slot;

use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use keystead_core::{
    Disabled, KeySet, Policy, ProviderState, PublishedKeys, PublishedSource, SourceFacts,
    SourceKind,
};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::{ProviderConfig, Standing};
use crate::crypto::AwsLc;
use crate::http::FetchRules;
pub(crate) use slot::{Ended, Slot, SlotKind};

/// A provider and everything that is known of it.
#[derive(Debug)]
pub(crate) struct Provider {
    name: Arc<str>,
    config: ProviderConfig,
    disabled: Option<Disabled>,
    rules: Arc<FetchRules>,
    clock: Arc<dyn Clock>,
    slots: Vec<Slot>,
    live: ArcSwap<Live>,
    /// The state that was last reported, and the lock under which keys are published.
    reported: Mutex<ProviderState>,
    /// Rung when keys or facts were published.
    pub(crate) published: Notify,
}

/// What verification reads.
#[derive(Debug, Default)]
struct Live {
    keys: PublishedKeys,
    /// The sets that the in-process sources gave, recognised by identity.
    in_process: Vec<Option<Arc<KeySet>>>,
}

/// The published keys at one moment.
pub(crate) struct LiveGuard(Guard<Arc<Live>>);

impl Deref for LiveGuard {
    type Target = PublishedKeys;

    fn deref(&self) -> &PublishedKeys {
        &self.0.keys
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
            clock,
            slots,
            live: ArcSwap::default(),
            reported: Mutex::new(ProviderState::Cold),
            published: Notify::new(),
            config,
        };
        provider.publish();
        provider
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

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The state at this moment.
    pub(crate) fn state(&self) -> ProviderState {
        match &self.disabled {
            Some(disabled) => ProviderState::Disabled(disabled.why),
            None => self.live.load().keys.state(self.clock.monotonic()),
        }
    }

    /// The state now and the one that was reported before, if they differ.
    pub(crate) fn state_change(&self) -> Option<(ProviderState, ProviderState)> {
        let now = self.state();
        let mut reported = lock(&self.reported);
        (*reported != now).then(|| (std::mem::replace(&mut *reported, now), now))
    }

    /// When the state would next change by itself, as keys and answers age (monotonic time).
    pub(crate) fn next_change(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let live = self.live.load();
        let moments = live.keys.sources().iter().flat_map(|source| {
            let SourceFacts { kind, last_success, interval, max_stale, .. } = source.facts;
            let at = last_success.filter(|_| kind == SourceKind::Network);
            let stale = at.map(|at| at.saturating_add(interval.saturating_mul(2)));
            let expired = at.zip(max_stale).map(|(at, limit)| at.saturating_add(limit));
            [stale, expired]
        });
        // One millisecond past the moment: a limit is still kept when it is just reached.
        let past = moments.flatten().map(|at| at.saturating_add(Duration::from_millis(1)));
        past.filter(|at| *at > now).min()
    }

    /// Swaps in what the sources hold now.
    pub(crate) fn publish(&self) {
        // One at a time, so that an older view never replaces a newer one.
        let _publishing = lock(&self.reported);
        let previous = self.live.load();
        let mut in_process = Vec::new();
        let mut sets = Vec::new();
        for slot in &self.slots {
            if let SlotKind::InProcess(source) = &slot.kind {
                let last = previous.in_process.get(in_process.len()).cloned().flatten();
                let set = source.keys().ok().or(last);
                let keys: Arc<KeySet> = set.clone().unwrap_or_default();
                in_process.push(set);
                let facts = SourceFacts::memory(KeySet::keys(&keys).len());
                sets.push((PublishedSource::new(Arc::clone(&slot.origin), facts), keys));
            } else {
                let cell = slot.cell();
                let facts = cell.lifecycle.facts();
                let keys = Arc::new(cell.lifecycle.keys().clone());
                sets.push((PublishedSource::new(Arc::clone(&slot.origin), facts), keys));
            }
        }
        let sources = sets.iter().map(|(source, keys)| (source.clone(), &**keys));
        let keys = PublishedKeys::prepare(sources, &AwsLc, Some(&previous.keys));
        self.live.store(Arc::new(Live { keys, in_process }));
        self.published.notify_waiters();
    }

    /// Takes over what in-process sources hand out now, if it is not what is published.
    fn follow_in_process(&self) {
        let live = self.live.load();
        let mut changed = false;
        let mut known = live.in_process.iter();
        for slot in &self.slots {
            let SlotKind::InProcess(source) = &slot.kind else { continue };
            let known = known.next().and_then(Option::as_ref);
            match source.keys() {
                Ok(set) => changed |= !known.is_some_and(|known| Arc::ptr_eq(known, &set)),
                Err(_) => {
                    slot.errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if changed {
            self.publish();
        }
    }
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
        if self.slots.iter().any(|slot| matches!(slot.kind, SlotKind::InProcess(_))) {
            self.follow_in_process();
        }
        LiveGuard(self.live.load())
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
