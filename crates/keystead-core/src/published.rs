//! The keys that verify: prepared once when they are published, never per token.

use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::crypto::{CryptoBackend, SignatureVerifier};
use crate::jwk::{Jwk, KeyProblem};
use crate::key_set::{KeySet, SkippedKey};
use crate::state::{ProviderState, SourceFacts};

/// One key under every algorithm that it fits.
pub struct PreparedKey {
    jwk: Arc<Jwk>,
    source: usize,
    verifiers: Vec<(Algorithm, Box<dyn SignatureVerifier>)>,
}

impl PreparedKey {
    /// The key.
    #[must_use]
    pub fn jwk(&self) -> &Arc<Jwk> {
        &self.jwk
    }

    /// Which of the provider's sources it came from, by its place in [`PublishedKeys::sources`].
    #[must_use]
    pub const fn source(&self) -> usize {
        self.source
    }

    /// The verifier for `algorithm`.
    ///
    /// # Errors
    /// Why the key does not fit the algorithm.
    pub fn verifier(&self, algorithm: Algorithm) -> Result<&dyn SignatureVerifier, KeyProblem> {
        match self.verifiers.iter().find(|(prepared, _)| *prepared == algorithm) {
            Some((_, verifier)) => Ok(&**verifier),
            None => match self.jwk.fits(algorithm) {
                Err(why) => Err(why),
                Ok(()) => Err(KeyProblem::Backend("the crypto back-end cannot use it so")),
            },
        }
    }
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<_> = self.verifiers.iter().map(|(algorithm, _)| algorithm).collect();
        f.debug_struct("PreparedKey")
            .field("jwk", &self.jwk)
            .field("source", &self.source)
            .field("algorithms", &algorithms)
            .finish()
    }
}

/// What one provider verifies with at this moment, and what is known of where it came from.
///
/// Immutable: a publish builds a new one and swaps it in.
#[derive(Debug, Default)]
pub struct PublishedKeys {
    keys: Vec<Arc<PreparedKey>>,
    by_kid: HashMap<Box<str>, Vec<usize>>,
    without_kid: Vec<usize>,
    skipped: Vec<(usize, SkippedKey)>,
    sources: Vec<PublishedSource>,
}

/// One source of a provider's keys, as it was when the keys were published.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublishedSource {
    /// What the source is, such as `jwks_url https://idp.example/certs`.
    pub origin: Arc<str>,
    /// What the state of the source is computed from.
    pub facts: SourceFacts,
}

impl PublishedSource {
    /// A source.
    #[must_use]
    pub const fn new(origin: Arc<str>, facts: SourceFacts) -> Self {
        Self { origin, facts }
    }
}

impl PublishedKeys {
    /// Prepares the keys of every source for every algorithm that they fit.
    ///
    /// Every fitting algorithm, and not only the allowed ones, because one call may allow another
    /// (see [`crate::Requirements::algorithms`]); which one a token may use is decided before any
    /// key is looked at. What `previous` has prepared is taken over.
    #[must_use]
    pub fn prepare<'s>(
        sources: impl IntoIterator<Item = (PublishedSource, &'s KeySet)>,
        backend: &dyn CryptoBackend,
        previous: Option<&Self>,
    ) -> Self {
        let mut live = Self::default();
        for (at, (source, set)) in sources.into_iter().enumerate() {
            live.sources.push(source);
            for jwk in set.keys() {
                live.add(at, jwk, backend, previous);
            }
            live.skipped.extend(set.skipped().iter().map(|key| (at, key.clone())));
        }
        live
    }

    fn add(
        &mut self,
        source: usize,
        jwk: &Arc<Jwk>,
        backend: &dyn CryptoBackend,
        previous: Option<&Self>,
    ) {
        let known = previous.and_then(|live| {
            live.candidates(jwk.kid()).find(|key| key.source == source && key.jwk == *jwk)
        });
        let key = match known.map_or_else(|| prepare(source, jwk, backend), |k| Ok(Arc::clone(k))) {
            Ok(key) => key,
            Err(why) => {
                let kid = jwk.kid().map(Into::into);
                let skipped = SkippedKey { kid, kty: Some(jwk.kty().into()), why };
                self.skipped.push((source, skipped));
                return;
            }
        };
        let at = self.keys.len();
        match jwk.kid() {
            Some(kid) => self.by_kid.entry(kid.into()).or_default().push(at),
            None => self.without_kid.push(at),
        }
        self.keys.push(key);
    }

    /// The keys to try for a token: those with exactly its `kid`, then those without one; without
    /// a `kid` in the token, all of them.
    pub fn candidates<'a>(
        &'a self,
        kid: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<PreparedKey>> + 'a {
        let named = kid.and_then(|kid| self.by_kid.get(kid)).map_or(&[][..], Vec::as_slice);
        let unnamed = if kid.is_some() { self.without_kid.as_slice() } else { &[] };
        let all = if kid.is_none() { self.keys.as_slice() } else { &[] };
        let picked = named.iter().chain(unnamed).filter_map(|at| self.keys.get(*at));
        picked.chain(all)
    }

    /// The usable keys.
    #[must_use]
    pub fn keys(&self) -> &[Arc<PreparedKey>] {
        &self.keys
    }

    /// The unusable keys, each with its source.
    #[must_use]
    pub fn skipped(&self) -> &[(usize, SkippedKey)] {
        &self.skipped
    }

    /// The sources, in the order in which they are asked.
    #[must_use]
    pub fn sources(&self) -> &[PublishedSource] {
        &self.sources
    }

    /// What this source is, in words.
    #[must_use]
    pub fn origin(&self, source: usize) -> Arc<str> {
        self.sources.get(source).map_or_else(|| Arc::from(""), |s| Arc::clone(&s.origin))
    }

    /// The state of the whole at the monotonic time `now`.
    #[must_use]
    pub fn state(&self, now: Duration) -> ProviderState {
        ProviderState::of(self.sources.iter().map(|source| &source.facts), now)
    }

    /// Whether the keys of a source may be used at `now`: they are not past `max_stale`.
    #[must_use]
    pub fn serves(&self, source: usize, now: Duration) -> bool {
        self.sources.get(source).is_some_and(|source| !source.facts.is_expired(now))
    }

    /// How long until the next attempt to get keys, where one is planned.
    #[must_use]
    pub fn next_attempt(&self, now: Duration) -> Option<Duration> {
        let planned = self.sources.iter().filter_map(|source| source.facts.next_attempt);
        planned.min().map(|at| at.saturating_sub(now))
    }

    /// How old the youngest expired keys are, and how old they may be.
    #[must_use]
    pub fn expiry(&self, now: Duration) -> Option<(Duration, Duration)> {
        let expired = self.sources.iter().filter(|source| source.facts.is_expired(now));
        expired.filter_map(|s| Some((s.facts.age(now)?, s.facts.max_stale?))).min()
    }
}

fn prepare(
    source: usize,
    jwk: &Arc<Jwk>,
    backend: &dyn CryptoBackend,
) -> Result<Arc<PreparedKey>, KeyProblem> {
    let mut verifiers = Vec::new();
    let mut problem = KeyProblem::Backend("no signature algorithm fits it");
    for algorithm in Algorithm::ALL.into_iter().filter(|a| jwk.fits(*a).is_ok()) {
        match backend.prepare(jwk, algorithm) {
            Ok(verifier) => verifiers.push((algorithm, verifier)),
            Err(why) => problem = why,
        }
    }
    if verifiers.is_empty() {
        return Err(problem);
    }
    Ok(Arc::new(PreparedKey { jwk: Arc::clone(jwk), source, verifiers }))
}
