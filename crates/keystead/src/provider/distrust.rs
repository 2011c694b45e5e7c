//! The off switch for single keys.

use std::sync::Arc;

use keystead_core::{Jwk, KeyProblem, KeySet, SkippedKey};

use crate::crypto::thumbprint;

/// Moves the keys with the listed thumbprints to the unusable ones, and gives them back.
///
/// That is done to what is published, and not to what comes in: they stay known, so that the rules for
/// what is added and removed see what their source sees.
pub(super) fn withhold(listed: &[String], keys: &mut Arc<KeySet>) -> Vec<Arc<Jwk>> {
    if listed.is_empty() {
        return Vec::new();
    }
    let is_listed = |key: &Arc<Jwk>| thumbprint(key).is_some_and(|print| listed.contains(&print));
    let (distrusted, trusted): (Vec<_>, Vec<_>) =
        KeySet::keys(keys).iter().cloned().partition(is_listed);
    if distrusted.is_empty() {
        return distrusted;
    }
    let mut set = KeySet::default();
    for key in trusted {
        set.push(key);
    }
    for key in keys.skipped() {
        set.push_skipped(key.clone());
    }
    for key in &distrusted {
        let (kid, kty) = (key.kid().map(Into::into), Some(key.kty().into()));
        set.push_skipped(SkippedKey { kid, kty, why: KeyProblem::Distrusted });
    }
    *keys = Arc::new(set);
    distrusted
}
