//! Between the sources of a provider and a snapshot: what is recorded, and what is restored.

use std::sync::Arc;
use std::time::Duration;

use keystead_core::{Change, Jwk, KeySet, Material, SourceFacts};

use super::store::Identity;
use super::{LeavingKey, ProviderSnapshot, Snapshot, SourceSnapshot, format};
use crate::crypto::{sha256, thumbprint};
use crate::http::shown;
use crate::provider::{Cell, Provider, Slot, SlotKind};
use crate::refresh;
use crate::status::timestamp;

/// How far clocks may differ before it is worth a word.
const SKEW: Duration = Duration::from_secs(60);

/// Where restored keys came from; what it says holds until their source answers.
#[derive(Clone, Debug)]
pub(crate) struct Restored {
    /// The origin of the keys, in words.
    pub(crate) origin: Arc<str>,
    /// How far their confirmation lies in the future, if it is worth a word.
    ahead: Option<Duration>,
}

/// What became of one source of an imported snapshot.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// The provider; what the snapshot calls it, where none here has its issuer.
    pub provider: String,
    /// Its issuer.
    pub issuer: String,
    /// `jwks_url` or `discovery`.
    pub kind: &'static str,
    /// The address, without what may be a secret in it.
    pub url: String,
    /// When the source confirmed these keys, since the Unix epoch.
    pub confirmed: Duration,
    /// What became of its keys.
    pub outcome: ImportOutcome,
}

/// What became of the keys of one source.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ImportOutcome {
    /// They are held now.
    Taken {
        /// The thumbprints (RFC 7638) of keys that were not held before.
        added: Vec<String>,
        /// The thumbprints of keys that are no longer held.
        removed: Vec<String>,
        /// Whether they are past `max_stale`: held, but not used.
        expired: bool,
    },
    /// What is held here was confirmed as late or later.
    NotNewer,
    /// No provider in use here has this issuer.
    UnknownIssuer,
    /// The provider here has no such source.
    UnknownSource,
}

/// Whose keys the file of a provider has to hold.
pub(super) fn identity(provider: &Provider) -> Identity {
    let issuer = &provider.config().policy.issuer;
    let bindings = provider.slots().iter().filter_map(|slot| binding(issuer, slot));
    Identity {
        name: provider.config().name.clone(),
        issuer: issuer.clone(),
        bindings: bindings.collect(),
    }
}

/// What binds keys to a source on the network: the digest of issuer, kind and exact address, which
/// may hold a secret in its query. Other sources have none: memory and files are there at the next
/// start without a snapshot.
fn binding(issuer: &str, slot: &Slot) -> Option<String> {
    let url = match &slot.kind {
        SlotKind::JwksUrl(url) => url,
        SlotKind::Discovery(discovery) => discovery.address(),
        _ => return None,
    };
    // The kind stands between the two: neither it nor an address has a line break in it.
    let bound = format!("{}\n{url}\n{issuer}", slot.kind.as_str());
    Some(format::hex(&sha256(bound.as_bytes())))
}

/// What a snapshot is to hold of a provider, if there is anything.
pub(crate) fn record(provider: &Provider) -> Option<ProviderSnapshot> {
    let config = provider.config();
    let issuer = &config.policy.issuer;
    let sources = provider.slots().iter().filter_map(|slot| record_source(provider, slot));
    let sources: Vec<_> = sources.collect();
    let (name, issuer) = (config.name.clone(), issuer.clone());
    (!sources.is_empty()).then_some(ProviderSnapshot { name, issuer, sources })
}

fn record_source(provider: &Provider, slot: &Slot) -> Option<SourceSnapshot> {
    let clock = provider.clock();
    let binding = binding(&provider.config().policy.issuer, slot)?;
    let (url, endpoint) = match &slot.kind {
        SlotKind::Discovery(discovery) => (discovery.address(), discovery.known_endpoint()),
        SlotKind::JwksUrl(url) => (url, None),
        _ => return None,
    };
    let cell = slot.cell();
    let is_leaving = |key: &&Arc<Jwk>| {
        cell.lifecycle.leaving().iter().any(|(leaving, _)| Arc::ptr_eq(leaving, key))
    };
    let live = cell.lifecycle.keys().keys().iter().filter(|key| !is_leaving(key));
    let mut keys: Vec<_> = live.filter_map(public).collect();
    let leaving = cell.lifecycle.leaving().iter().filter_map(|(key, leaves)| {
        // A moment of this process's own clock, on that of the wall.
        let until = clock.wall().saturating_add(leaves.saturating_sub(clock.monotonic()));
        Some(LeavingKey { key: Arc::new(public(key)?), until: format::to_the_millisecond(until) })
    });
    // Providers publish the same keys in changing order; that is no change.
    keys.sort_by_cached_key(|key| (thumbprint(key), key.kid().map(ToOwned::to_owned)));
    if keys.is_empty() {
        return None;
    }
    Some(SourceSnapshot {
        kind: slot.kind.as_str(),
        url: shown(url),
        confirmed: format::to_the_millisecond(cell.last_success?),
        keys: KeySet::new(keys),
        leaving: leaving.collect(),
        endpoint,
        binding,
    })
}

/// The key as a snapshot holds it: public, and nothing but the key.
fn public(key: &Arc<Jwk>) -> Option<Jwk> {
    if matches!(key.material(), Material::Oct { .. }) {
        return None;
    }
    Jwk::new(key.kid(), key.algorithm(), key.material().clone()).ok()
}

/// Puts the keys of a snapshot in place, as far as their sources are configured and hold no younger
/// ones, and publishes them.
pub(super) fn restore(provider: &Provider, snapshot: &ProviderSnapshot) -> Vec<Imported> {
    let issuer = &provider.config().policy.issuer;
    let mut changes = Vec::new();
    let restored = snapshot.sources.iter().map(|source| {
        let is_it = |slot: &&Slot| binding(issuer, slot).as_ref() == Some(&source.binding);
        let outcome = match provider.slots().iter().find(is_it) {
            None => ImportOutcome::UnknownSource,
            Some(slot) => match restore_source(provider, slot, source) {
                None => ImportOutcome::NotNewer,
                Some((change, expired)) => {
                    let outcome = taken(&change, expired);
                    changes.push((slot, change));
                    outcome
                }
            },
        };
        imported(&provider.config().name, snapshot, source, outcome)
    });
    let restored = restored.collect();
    provider.take_in_restored();
    // Whom this process believed is told by its log, wherever that came from.
    for (slot, change) in &changes {
        crate::report::change(provider, slot, change);
    }
    restored
}

/// Hands the keys of a provider on to the one that takes its place under another configuration, as far
/// as they have sources in common: issuer, kind and address, as with a snapshot. What is distrusted now
/// is not used, and what comes from elsewhere now has to come from there: none is handed on when the
/// network rules differ, which decide who answers at an address (`connect_to`, `ca_file`, ...).
///
/// They are as old as they are, and nobody has confirmed them under this configuration.
pub(crate) fn hand_on(from: &Provider, to: &Provider) {
    if from.rules() != to.rules() {
        return;
    }
    let (was, is) = (&from.config().policy.issuer, &to.config().policy.issuer);
    let mut changes = Vec::new();
    for slot in to.slots() {
        let bound = binding(is, slot);
        let is_it = |old: &&Slot| {
            bound.is_some() && binding(was, old) == bound && is_led_alike(&old.kind, &slot.kind)
        };
        let Some(old) = from.slots().iter().find(is_it) else { continue };
        let (age, restored) = {
            let cell = old.cell();
            let facts = cell.lifecycle.facts();
            let restored = cell.restored.clone().filter(|_| facts.restored_age.is_some());
            (facts.age(from.clock().monotonic()), restored)
        };
        let (Some(age), Some(mut source)) = (age, record_source(from, old)) else { continue };
        // This process knows it better than a wall clock that was set meanwhile.
        source.confirmed = to.clock().wall().saturating_sub(age);
        if let Some((change, _expired)) = restore_source(to, slot, &source) {
            slot.cell().restored = restored;
            changes.push((slot, change));
        }
    }
    if !changes.is_empty() {
        to.publish();
    }
    for (slot, change) in &changes {
        // Whatever listens must not keep a configuration from being taken over.
        refresh::spared(|| crate::report::change(to, slot, change));
    }
}

/// Whether two sources follow what their documents say to the same places.
fn is_led_alike(one: &SlotKind, other: &SlotKind) -> bool {
    match (one, other) {
        (SlotKind::Discovery(one), SlotKind::Discovery(other)) => {
            one.endpoint_origin() == other.endpoint_origin()
        }
        _ => true,
    }
}

/// What that changed, and whether the keys are past `max_stale`; none: they were not taken.
fn restore_source(
    provider: &Provider,
    slot: &Slot,
    source: &SourceSnapshot,
) -> Option<(Change, bool)> {
    let clock = provider.clock();
    let (wall, now) = (clock.wall(), clock.monotonic());
    // What comes from the future has no age that could be known. It counts from now on, so that its
    // life is bounded all the same.
    let confirmed = source.confirmed.min(wall);
    let ahead = source.confirmed.saturating_sub(wall);
    let mut cell = slot.cell();
    // And it is newer than nothing that is held.
    if !ahead.is_zero() && cell.lifecycle.facts().age(now).is_some() {
        return None;
    }
    let age = wall.saturating_sub(confirmed);
    let leaving = source.leaving.iter().map(|leaving| {
        (Arc::clone(&leaving.key), now.saturating_add(leaving.until.saturating_sub(wall)))
    });
    let change = cell.lifecycle.restore(now, age, source.keys.clone(), leaving)?;
    // It is not the tag of this set.
    cell.tag = None;
    cell.last_success = Some(confirmed);
    cell.restored = Some(Restored {
        origin: format!("snapshot of {}, confirmed {}", slot.origin, timestamp(confirmed)).into(),
        ahead: (ahead > SKEW).then_some(ahead),
    });
    if let (SlotKind::Discovery(discovery), Some(endpoint)) = (&slot.kind, &source.endpoint) {
        discovery.recall(endpoint);
    }
    let expired = cell.lifecycle.facts().is_expired(now);
    Some((change, expired))
}

fn taken(change: &Change, expired: bool) -> ImportOutcome {
    let list = |keys: &[Arc<Jwk>]| keys.iter().filter_map(|key| thumbprint(key)).collect();
    ImportOutcome::Taken { added: list(&change.added), removed: list(&change.removed), expired }
}

/// Puts the keys of a snapshot in place in whichever of these providers has their issuer, and
/// publishes them.
pub(crate) fn import(providers: &[Arc<Provider>], snapshot: &Snapshot) -> Vec<Imported> {
    let mut all = Vec::new();
    for found in &snapshot.providers {
        let has_it = |provider: &&Arc<Provider>| {
            provider.config().is_enabled() && provider.config().policy.issuer == found.issuer
        };
        let Some(provider) = providers.iter().find(has_it) else {
            let unknown =
                |source| imported(&found.name, found, source, ImportOutcome::UnknownIssuer);
            all.extend(found.sources.iter().map(unknown));
            continue;
        };
        let restored = restore(provider, found);
        super::report::imported(provider, &restored);
        all.extend(restored);
    }
    all
}

fn imported(
    name: &str,
    provider: &ProviderSnapshot,
    source: &SourceSnapshot,
    outcome: ImportOutcome,
) -> Imported {
    Imported {
        provider: name.to_owned(),
        issuer: provider.issuer.clone(),
        kind: source.kind,
        url: source.url.clone(),
        confirmed: source.confirmed,
        outcome,
    }
}

/// What is to be said of a source whose keys are restored ones.
pub(crate) fn remark(cell: &Cell, facts: &SourceFacts, now: Duration) -> Option<String> {
    facts.restored_age?;
    let age = facts.age(now)?.as_secs();
    let Some(restored) = &cell.restored else {
        return Some(format!("keys from before the configuration was changed, age {age} s"));
    };
    Some(match restored.ahead {
        None => format!("keys from snapshot, age {age} s"),
        Some(ahead) => format!(
            "keys from snapshot, confirmed {} s ahead of this clock, which was set back or is wrong; \
             age counted from the restart, {age} s",
            ahead.as_secs()
        ),
    })
}
