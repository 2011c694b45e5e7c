//! Signatures that were found good, so that they are not computed again.
//!
//! An entry says that a key made the signature of exactly these bytes, and nothing else: the
//! pipeline judges it by the policy, the time and the live keys of the moment (see
//! [`SignedTokens`]). So nothing here can go out of date, and nothing has to be told when keys are
//! published or distrusted.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::quality::RandomState;
use keystead_core::{SignedToken, SignedTokens};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use crate::metrics::TokenCacheMetrics;

/// What a token takes at most, on the average, in bytes.
const MEAN_SIZE: usize = 2 * 1024;

/// What the table and the two counted pointers of an entry take beside the token, in bytes.
const ENTRY_SIZE: usize = 128;

/// The remembered tokens. The whole text is hashed, with a seed of this process, and compared.
pub(crate) struct TokenCache {
    /// Counts what it finds shard by shard, so that threads do not share one counter.
    entries: Cache<ByText, SignedToken, Size, RandomState>,
    /// What was found and did not pass.
    unfit: AtomicU64,
    /// What caches before this one counted.
    earlier: TokenCacheMetrics,
}

impl TokenCache {
    /// Room for so many tokens, none for 0; goes on counting where another one left off.
    pub(crate) fn of(tokens: usize, earlier: TokenCacheMetrics) -> Option<Self> {
        let bytes = u64::try_from(tokens.checked_mul(MEAN_SIZE)?).ok()?;
        let options = OptionsBuilder::new()
            .estimated_items_capacity(tokens)
            .weight_capacity(bytes)
            .build()
            .ok()
            .filter(|_| tokens > 0)?;
        let lifecycle = DefaultLifecycle::default();
        let entries = Cache::with_options(options, Size, RandomState::default(), lifecycle);
        Some(Self { entries, unfit: AtomicU64::new(0), earlier })
    }

    /// What was counted so far. It may be less than before by those that are just being forgotten.
    fn metrics(&self) -> TokenCacheMetrics {
        let unfit = self.unfit.load(Ordering::Relaxed);
        let hits = self.entries.hits().saturating_sub(unfit);
        let misses = self.entries.misses().saturating_add(unfit);
        TokenCacheMetrics {
            hits: self.earlier.hits.saturating_add(hits),
            misses: self.earlier.misses.saturating_add(misses),
            tokens: self.entries.len() as u64,
        }
    }
}

/// What was shown of a verifier's caches, which must never shrink: monitoring would take it for a
/// restart, and count everything twice.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Shown {
    /// What there is to show now.
    pub(crate) fn now(&self, cache: Option<&TokenCache>) -> TokenCacheMetrics {
        let counted = cache.map(TokenCache::metrics).unwrap_or_default();
        let most = |shown: &AtomicU64, now: u64| shown.fetch_max(now, Ordering::Relaxed).max(now);
        TokenCacheMetrics {
            hits: most(&self.hits, counted.hits),
            misses: most(&self.misses, counted.misses),
            tokens: counted.tokens,
        }
    }
}

impl SignedTokens for TokenCache {
    fn find(&self, text: &str) -> Option<SignedToken> {
        self.entries.get(&Text(text))
    }

    fn keep(&self, token: &SignedToken) {
        self.entries.insert(ByText(token.clone()), token.clone());
    }

    fn forget(&self, text: &str) {
        self.unfit.fetch_add(1, Ordering::Relaxed);
        self.entries.remove(&Text(text));
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}

/// A remembered token under its text. The text is the token's own, so that it is held once.
#[derive(Clone)]
struct ByText(SignedToken);

impl PartialEq for ByText {
    fn eq(&self, other: &Self) -> bool {
        self.0.text() == other.0.text()
    }
}

impl Eq for ByText {}

impl Hash for ByText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Text(self.0.text()).hash(state);
    }
}

/// A presented token, to be looked up.
#[derive(Hash)]
struct Text<'a>(&'a str);

impl Equivalent<ByText> for Text<'_> {
    fn equivalent(&self, key: &ByText) -> bool {
        self.0 == key.0.text()
    }
}

/// Never less than the mean, so that a bound in bytes is one in entries too.
#[derive(Clone)]
struct Size;

impl Weighter<ByText, SignedToken> for Size {
    fn weight(&self, _key: &ByText, token: &SignedToken) -> u64 {
        token.size().saturating_add(ENTRY_SIZE).max(MEAN_SIZE) as u64
    }
}
