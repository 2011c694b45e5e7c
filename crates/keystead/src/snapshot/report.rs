//! What is said of snapshots: one line when keys are restored, when a file is refused, and when
//! writing begins to fail or works again. Never a key.

use super::SnapshotError;
use super::exchange::{ImportOutcome, Imported};
use crate::provider::Provider;

/// Keys were read from disk.
pub(super) fn restored(provider: &Provider, sources: &[Imported]) {
    let name = provider.config().name.as_str();
    let Some((keys, oldest)) = sum(sources) else { return };
    let age = provider.clock().wall().saturating_sub(oldest).as_secs();
    tracing::info!(
        event = "snapshot.restored",
        provider = name,
        keys,
        age_seconds = age,
        "provider {name} has {} from its snapshot, age {age} s",
        count(keys)
    );
    let ahead = oldest.saturating_sub(provider.clock().wall()).as_secs();
    if ahead > 0 {
        tracing::warn!(
            event = "snapshot.ahead",
            provider = name,
            ahead_seconds = ahead,
            "provider {name}: its snapshot is {ahead} s ahead of this clock, which was set back or \
             is wrong"
        );
    }
}

/// Keys were handed in.
pub(super) fn imported(provider: &Provider, sources: &[Imported]) {
    let name = provider.config().name.as_str();
    let Some((keys, oldest)) = sum(sources) else { return };
    let age = provider.clock().wall().saturating_sub(oldest).as_secs();
    tracing::info!(
        event = "snapshot.imported",
        provider = name,
        keys,
        age_seconds = age,
        added = list(sources, |outcome| match outcome {
            ImportOutcome::Taken { added, .. } => added,
            _ => &[],
        }),
        removed = list(sources, |outcome| match outcome {
            ImportOutcome::Taken { removed, .. } => removed,
            _ => &[],
        }),
        "provider {name} took {} from an imported snapshot, age {age} s",
        count(keys)
    );
}

fn list(sources: &[Imported], of: impl Fn(&ImportOutcome) -> &[String]) -> String {
    let all: Vec<_> = sources.iter().flat_map(|source| of(&source.outcome)).cloned().collect();
    all.join(",")
}

fn count(keys: usize) -> String {
    if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") }
}

/// How many keys were added, and when the oldest of them were confirmed.
fn sum(sources: &[Imported]) -> Option<(usize, std::time::Duration)> {
    let taken = sources.iter().filter_map(|source| match &source.outcome {
        ImportOutcome::Taken { added, .. } => Some((added.len(), source.confirmed)),
        _ => None,
    });
    taken.reduce(|(all, oldest), (keys, confirmed)| (all + keys, oldest.min(confirmed)))
}

/// A file is not used, and why.
pub(super) fn refused(provider: &Provider, error: &SnapshotError) {
    let name = provider.config().name.as_str();
    tracing::warn!(
        event = "snapshot.refused",
        provider = name,
        code = error.code(),
        hint = error.hint(),
        "provider {name}: its snapshot is not used: {error}"
    );
}

/// The snapshot cannot be written any more.
pub(super) fn failing(provider: &Provider, error: &SnapshotError) {
    let name = provider.config().name.as_str();
    tracing::warn!(
        event = "snapshot.write_failed",
        provider = name,
        code = error.code(),
        hint = error.hint(),
        "provider {name}: its keys are not kept on disk: {error}"
    );
}

/// The snapshot can be written again.
pub(super) fn works_again(provider: &Provider) {
    let name = provider.config().name.as_str();
    tracing::info!(
        event = "snapshot.written",
        provider = name,
        "provider {name}: its keys are kept on disk again"
    );
}
