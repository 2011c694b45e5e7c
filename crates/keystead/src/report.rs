//! What the refresh side says: one line per provider at start, per change of state, per change of
//! keys, and per new kind of failure. Never a key, never a secret.

use std::sync::Arc;
use std::time::Duration;

use keystead_core::text::quoted;
use keystead_core::{Change, DisabledWhy, Jwk, KeySet, ProviderState};

use crate::crypto::thumbprint;
use crate::provider::{Ended, Provider, Slot};
use crate::source::Failure;
use crate::status::{flapping_advice, provider_reason};

/// Lines about who is trusted, for those who keep them: the server writes them whatever its level.
const AUDIT: &str = "keystead::audit";

/// A line whose level is known only when it is written.
macro_rules! line {
    ($warns:expr, $($line:tt)*) => {
        if $warns { tracing::warn!($($line)*) } else { tracing::info!($($line)*) }
    };
}

/// One line per provider, when it is first followed.
pub(crate) fn start(provider: &Provider) {
    let state = provider.report_state();
    let reason = provider_reason(provider);
    let name = provider.config().name.as_str();
    let issuer = keystead_core::text::escaped(&provider.config().policy.issuer);
    let origins: Vec<_> = provider.slots().iter().map(|slot| &*slot.origin).collect();
    let sources = origins.join(", ");
    line!(
        state == ProviderState::Disabled(DisabledWhy::Misconfigured),
        event = "provider.start",
        provider = name,
        state = state.as_str(),
        issuer,
        sources,
        "provider {name} is {state}: {reason}"
    );
}

/// One line per change of state, if there was one.
pub(crate) fn state(provider: &Provider) {
    let Some((was, now)) = provider.state_change() else { return };
    let name = provider.config().name.as_str();
    let reason = provider_reason(provider);
    line!(
        now != ProviderState::Ready,
        event = "provider.state",
        provider = name,
        state = now.as_str(),
        previous = was.as_str(),
        "provider {name} is {now}, it was {was}: {reason}"
    );
}

/// What came of one attempt, if it is news.
pub(crate) fn attempt(provider: &Provider, slot: &Slot, ended: &Ended) {
    if let Some(new) = &ended.new_failure {
        failure(provider, slot, new);
    }
    change(provider, slot, &ended.change);
    if ended.flaps {
        flapping(provider, slot, &ended.change);
    }
}

/// Which keys came, went and changed, if any did.
pub(crate) fn change(provider: &Provider, slot: &Slot, change: &Change) {
    if change.is_empty() {
        return;
    }
    let name = provider.config().name.as_str();
    tracing::info!(
        target: AUDIT,
        event = "keys.changed",
        provider = name,
        source = &*slot.origin,
        added = list(&change.added),
        removed = list(&change.removed),
        relabelled = list(&change.relabelled),
        kept = list(&change.kept),
        leaving = list(&change.leaving),
        "provider {name} has other keys: {} added, {} removed, {} relabelled, {} kept until the \
         next answer, {} leaving after their grace",
        change.added.len(),
        change.removed.len(),
        change.relabelled.len(),
        change.kept.len(),
        change.leaving.len()
    );
}

/// Keys that had gone are back: its answers take turns.
fn flapping(provider: &Provider, slot: &Slot, change: &Change) {
    let name = provider.config().name.as_str();
    tracing::warn!(
        event = "keys.flapping",
        provider = name,
        source = &*slot.origin,
        returned = list(&change.returned),
        "provider {name} is flapping: {}",
        flapping_advice(name)
    );
}

/// A token names a `kid` that no key has, and its provider is asked for keys because of it.
pub(crate) fn unknown_kid(provider: &Provider, kid: Option<&str>) {
    let name = provider.config().name.as_str();
    let named = kid.map_or_else(|| "no kid".to_owned(), |kid| format!("kid {}", quoted(kid)));
    tracing::info!(
        event = "keys.asked",
        provider = name,
        kid = kid.map(keystead_core::text::escaped),
        "provider {name} is asked for keys: a token with {named} fits none that is held"
    );
}

/// The host program handed out another set than before.
pub(crate) fn replaced(provider: &Provider, slot: &Slot, before: &KeySet, now: &KeySet) {
    let lacking = |from: &KeySet, keys: &KeySet| -> Vec<Arc<Jwk>> {
        let is_in = |key: &&Arc<Jwk>| from.keys().iter().any(|k| k.material() == key.material());
        keys.keys().iter().filter(|key| !is_in(key)).cloned().collect()
    };
    let mut replaced = Change::default();
    (replaced.added, replaced.removed) = (lacking(before, now), lacking(now, before));
    change(provider, slot, &replaced);
}

/// A source gave no keys, or something went wrong on their way.
pub(crate) fn failure(provider: &Provider, slot: &Slot, failure: &Failure) {
    let name = provider.config().name.as_str();
    let source = &*slot.origin;
    tracing::warn!(
        event = "provider.fetch_failed",
        provider = name,
        source,
        result = failure.code,
        stage = failure.stage,
        url = failure.location,
        "provider {name}, {source}: {}",
        failure.detail
    );
}

/// A task of the refresh panicked.
pub(crate) fn panicked(provider: &Provider, task: &str, again: Duration) {
    let name = provider.config().name.as_str();
    tracing::error!(
        event = "refresh.panicked",
        provider = name,
        task,
        "provider {name}, {task}: its task panicked, in code of the host program as a rule; it \
         begins again in {} ms",
        again.as_millis()
    );
}

/// Keys by their thumbprints (RFC 7638); a shared secret has none.
fn list(keys: &[Arc<Jwk>]) -> String {
    let names = keys.iter().map(|key| thumbprint(key).unwrap_or_else(|| "secret".to_owned()));
    names.collect::<Vec<_>>().join(",")
}
