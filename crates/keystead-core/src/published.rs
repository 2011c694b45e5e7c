//! The keys that verify: prepared once when they are published, never per token.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::crypto::{CryptoBackend, SignatureVerifier};
use crate::hash::Table;
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
    by_kid: Table<Box<str>, Vec<usize>>,
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
    /// Those of its keys that it has removed, each with the moment at which it goes (monotonic
    /// time), in the order in which they go.
    pub leaving: Vec<(Arc<Jwk>, Duration)>,
}

impl PublishedSource {
    /// A source, none of whose keys is about to go.
    #[must_use]
    pub const fn new(origin: Arc<str>, facts: SourceFacts) -> Self {
        Self { origin, facts, leaving: Vec::new() }
    }

    /// Whether this is one of its keys that should have gone at `now`, or before.
    fn has_lost(&self, key: &Jwk, now: Duration) -> bool {
        let mut gone = self.leaving.iter().take_while(|(_, leaves)| *leaves <= now);
        gone.any(|(left, _)| **left == *key)
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

    /// Whether one of these keys may be used at `now`: it is not past `max_stale`, and if its source
    /// has removed it, its grace is not over.
    ///
    /// What was published says so itself, so that both limits are kept whether or not anybody is
    /// there to publish again.
    #[must_use]
    pub fn serves(&self, key: &PreparedKey, now: Duration) -> bool {
        self.sources
            .get(key.source)
            .is_some_and(|source| !source.facts.is_expired(now) && !source.has_lost(&key.jwk, now))
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

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::algorithm::EcCurve;
    use crate::jwk::Material;
    use crate::state::{LatestAttempt, SourceKind};

    /// Counts what it is asked to prepare, and cannot prepare one algorithm.
    #[derive(Default)]
    struct Counting {
        prepared: AtomicUsize,
        refuses: Option<Algorithm>,
    }

    struct Never;

    impl SignatureVerifier for Never {
        fn verify(&self, _message: &[u8], _signature: &[u8]) -> bool {
            false
        }
    }

    impl CryptoBackend for Counting {
        fn prepare(
            &self,
            _key: &Jwk,
            algorithm: Algorithm,
        ) -> Result<Box<dyn SignatureVerifier>, KeyProblem> {
            self.prepared.fetch_add(1, Ordering::Relaxed);
            if self.refuses == Some(algorithm) {
                return Err(KeyProblem::NotOnCurve);
            }
            Ok(Box::new(Never))
        }
    }

    fn ec(kid: Option<&str>, letter: u8) -> Jwk {
        let (x, y) = ([letter; 32].into(), [1; 32].into());
        Jwk::new(kid, None, Material::Ec { curve: EcCurve::P256, x, y }).unwrap()
    }

    fn rsa() -> Jwk {
        let mut n = vec![0xc1; 256];
        n[255] = 1;
        Jwk::new(Some("rsa"), None, Material::Rsa { n: n.into(), e: [1, 0, 1].into() }).unwrap()
    }

    fn source(facts: SourceFacts) -> PublishedSource {
        PublishedSource::new(Arc::from("keys"), facts)
    }

    fn publish(
        sets: &[&KeySet],
        backend: &Counting,
        previous: Option<&PublishedKeys>,
    ) -> PublishedKeys {
        let sources = sets.iter().map(|set| (source(SourceFacts::memory(1)), *set));
        PublishedKeys::prepare(sources, backend, previous)
    }

    #[test]
    fn a_key_is_prepared_for_every_algorithm_that_it_fits() {
        let backend = Counting::default();
        let live = publish(&[&KeySet::new([rsa(), ec(Some("ec"), 1)])], &backend, None);
        assert_eq!(backend.prepared.into_inner(), 6 + 1);
        let [rsa, ec] = live.keys() else { panic!("{live:?}") };
        assert!(rsa.verifier(Algorithm::Rs256).is_ok() && rsa.verifier(Algorithm::Ps512).is_ok());
        assert!(ec.verifier(Algorithm::Es256).is_ok());
        let mismatch = KeyProblem::AlgorithmForOtherType { algorithm: Algorithm::Es384, kty: "EC" };
        assert_eq!(ec.verifier(Algorithm::Es384).err(), Some(mismatch));
    }

    #[test]
    fn what_was_prepared_is_taken_over() {
        let backend = Counting::default();
        let set = KeySet::new([ec(Some("k"), 1), ec(None, 2)]);
        let first = publish(&[&set], &backend, None);
        let grown = KeySet::new([ec(Some("k"), 1), ec(None, 2), ec(Some("k"), 3)]);
        let second = publish(&[&grown], &backend, Some(&first));
        assert_eq!(backend.prepared.load(Ordering::Relaxed), 3, "only the new key");
        assert!(Arc::ptr_eq(&first.keys()[0], &second.keys()[0]));
        assert!(Arc::ptr_eq(&first.keys()[1], &second.keys()[1]));
        // A key that now comes from another source says so.
        let moved = publish(&[&KeySet::default(), &set], &backend, Some(&second));
        assert_eq!(moved.keys().iter().map(|key| key.source()).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(backend.prepared.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn a_key_that_the_back_end_refuses_is_kept_as_skipped_with_its_source() {
        let backend = Counting { refuses: Some(Algorithm::Es256), ..Counting::default() };
        let live = publish(&[&KeySet::default(), &KeySet::new([ec(Some("k"), 1)])], &backend, None);
        assert!(live.keys().is_empty());
        let [(1, skipped)] = live.skipped() else { panic!("{live:?}") };
        assert_eq!((skipped.kid.as_deref(), skipped.kty.as_deref()), (Some("k"), Some("EC")));
        assert_eq!(skipped.why, KeyProblem::NotOnCurve);
        // One refused algorithm of several leaves the key to the others.
        let backend = Counting { refuses: Some(Algorithm::Ps256), ..Counting::default() };
        let live = publish(&[&KeySet::new([rsa()])], &backend, None);
        assert!(live.keys()[0].verifier(Algorithm::Rs256).is_ok());
        let why = live.keys()[0].verifier(Algorithm::Ps256).err().unwrap();
        assert!(!why.is_mismatch(), "{why}");
    }

    #[test]
    fn candidates_have_the_kid_or_none() {
        let keys = [ec(None, 1), ec(Some("k"), 2), ec(Some("x"), 3), ec(Some("k"), 4), ec(None, 5)];
        let live = publish(&[&KeySet::new(keys)], &Counting::default(), None);
        let letters = |kid: Option<&str>| -> Vec<u8> {
            let letter = |key: &Arc<PreparedKey>| match key.jwk().material() {
                Material::Ec { x, .. } => x[0],
                other => panic!("{other:?}"),
            };
            live.candidates(kid).map(letter).collect()
        };
        assert_eq!(letters(Some("k")), [2, 4, 1, 5], "exact kid first, then the keys without one");
        assert_eq!(letters(Some("K")), [1, 5]);
        assert_eq!(letters(None), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn facts_of_several_sources_are_summed_up() {
        let at = Duration::from_secs;
        let network = |last_success, next_attempt| {
            let facts = SourceFacts {
                kind: SourceKind::Network,
                latest: LatestAttempt::Failed { at: at(1_000) },
                last_success: Some(at(last_success)),
                interval: at(300),
                max_stale: Some(at(600)),
                next_attempt: Some(at(next_attempt)),
                ..SourceFacts::memory(1)
            };
            source(facts)
        };
        let sets = [1, 2, 3].map(|letter| KeySet::new([ec(None, letter)]));
        let sources = [network(100, 1_030), network(200, 1_020), source(SourceFacts::memory(1))];
        let live =
            PublishedKeys::prepare(sources.into_iter().zip(&sets), &Counting::default(), None);
        assert_eq!(live.state(at(1_000)), ProviderState::Stale);
        assert_eq!(live.next_attempt(at(1_000)), Some(at(20)));
        assert_eq!(live.next_attempt(at(1_025)), Some(at(0)), "due");
        assert_eq!(live.expiry(at(1_000)), Some((at(800), at(600))), "the youngest");
        let serves = live.keys().iter().map(|key| live.serves(key, at(800)));
        assert_eq!(serves.collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(&*live.origin(3), "", "there is no such source");
        assert_eq!(PublishedKeys::default().next_attempt(at(0)), None);
    }

    #[test]
    fn a_key_that_was_removed_serves_until_its_grace_is_over() {
        let at = Duration::from_secs;
        let keys = [ec(Some("k"), 1), ec(Some("k"), 2), ec(None, 3)];
        let removed = |n: usize, leaves| (Arc::new(keys[n].clone()), at(leaves));
        let leaving = vec![removed(2, 10), removed(0, 20)];
        let sources = [
            PublishedSource { leaving, ..source(SourceFacts::memory(3)) },
            source(SourceFacts::memory(3)),
        ];
        let set = KeySet::new(keys.clone());
        let live = PublishedKeys::prepare(
            sources.into_iter().map(|source| (source, &set)),
            &Counting::default(),
            None,
        );
        let serves = |now| -> Vec<bool> {
            live.keys().iter().map(|key| live.serves(key, at(now))).collect()
        };
        assert_eq!(serves(9), [true; 6]);
        assert_eq!(serves(10), [true, true, false, true, true, true]);
        assert_eq!(serves(20), [false, true, false, true, true, true], "nor of another source");
    }
}
