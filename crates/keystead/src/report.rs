//! What the refresh side says: one line per provider at start, per change of state, per change of
//! keys, and per new kind of failure. Never a key, never a secret.

use keystead_core::{Jwk, ProviderState};
use std::sync::Arc;

use crate::crypto::thumbprint;
use crate::provider::{Ended, Provider, Slot};
use crate::status::provider_reason;

/// One line per provider, when it is first followed.
pub(crate) fn start(provider: &Provider) {
    let state = provider.state();
    let reason = provider_reason(provider);
    let name = provider.config().name.as_str();
    let issuer = keystead_core::text::escaped(&provider.config().policy.issuer);
    let origins: Vec<_> = provider.slots().iter().map(|slot| &*slot.origin).collect();
    let sources = origins.join(", ");
    tracing::info!(
        event = "provider.start",
        provider = name,
        state = state.as_str(),
        issuer,
        sources,
        "provider {name} is {state}: {reason}"
    );
}

/// One line per change of state.
pub(crate) fn state(provider: &Provider, was: ProviderState, now: ProviderState) {
    let name = provider.config().name.as_str();
    let reason = provider_reason(provider);
    if now == ProviderState::Ready {
        tracing::info!(
            event = "provider.state",
            provider = name,
            state = now.as_str(),
            previous = was.as_str(),
            "provider {name} is {now}, it was {was}: {reason}"
        );
    } else {
        tracing::warn!(
            event = "provider.state",
            provider = name,
            state = now.as_str(),
            previous = was.as_str(),
            "provider {name} is {now}, it was {was}: {reason}"
        );
    }
}

/// What came of one attempt, if it is news.
pub(crate) fn attempt(provider: &Provider, slot: &Slot, ended: &Ended) {
    let name = provider.config().name.as_str();
    let source = &*slot.origin;
    if let Some(failure) = &ended.new_failure {
        tracing::warn!(
            event = "provider.fetch_failed",
            provider = name,
            source,
            result = failure.code,
            stage = failure.stage,
            url = failure.location,
            "provider {name} gave no answer that can be used: {}",
            failure.detail
        );
    }
    if !ended.change.is_empty() {
        let (added, removed) = (list(&ended.change.added), list(&ended.change.removed));
        let kept = list(&ended.change.kept);
        tracing::info!(
            event = "keys.changed",
            provider = name,
            source,
            added,
            removed,
            kept,
            "provider {name} has {} new keys, {} are gone",
            ended.change.added.len(),
            ended.change.removed.len()
        );
    }
}

/// Keys by their thumbprints (RFC 7638); a shared secret has none.
fn list(keys: &[Arc<Jwk>]) -> String {
    let names = keys.iter().map(|key| thumbprint(key).unwrap_or_else(|| "secret".to_owned()));
    names.collect::<Vec<_>>().join(",")
}
