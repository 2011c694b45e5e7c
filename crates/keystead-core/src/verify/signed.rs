//! What may be remembered of a token: that a key made its signature, and nothing else.

use core::fmt;
use std::sync::Arc;

use super::Held;
use crate::claims::Claims;
use crate::header::Header;
use crate::published::PreparedKey;
use crate::token::{Decoded, TokenLimits};

/// A token whose signature was made by a key that was held at the time.
///
/// It says nothing of the token's claims, nor that the key is still trusted: both are asked again
/// whenever it is used. Only the pipeline makes one. Cheap to clone.
#[derive(Clone)]
pub struct SignedToken(Arc<Signed>);

struct Signed {
    decoded: Decoded,
    key: Arc<PreparedKey>,
    provider: Arc<str>,
    key_origin: Arc<str>,
}

/// Remembers tokens whose signature was found good, so that it need not be computed again.
///
/// A memory saves work and nothing else: the pipeline judges a remembered token by the policy and the
/// keys of the moment, and one that does not pass takes the full path like any other. The one thing it is
/// trusted with is that what it finds has exactly the text that was asked for.
pub trait SignedTokens {
    /// The token with exactly this text. Compare all of it: a hash is no text.
    fn find(&self, text: &str) -> Option<SignedToken>;

    /// Remembers a token under its [`SignedToken::text`].
    fn keep(&self, token: &SignedToken);

    /// A token that was found did not pass: it should be forgotten.
    fn forget(&self, text: &str);
}

impl SignedToken {
    pub(super) fn new(decoded: Decoded, key: Arc<PreparedKey>, held: &Held<'_>) -> Self {
        let provider = Arc::clone(held.provider);
        let key_origin = held.live.origin(key.source());
        Self(Arc::new(Signed { decoded, key, provider, key_origin }))
    }

    /// The whole token as it was presented; empty unless its directory remembers tokens.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.decoded.original()
    }

    /// How many bytes of memory it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Signed>() + self.0.decoded.text_len()
    }

    /// Whether the token would be read under these limits.
    pub(super) fn is_within(&self, limits: TokenLimits) -> bool {
        self.text().len() <= limits.token && self.header().text().len() <= limits.header
    }

    /// Whether its key is said to be of the same provider and source now. That names are shared and
    /// not made again for every verdict keeps threads from counting the holders of the same few.
    pub(super) fn is_of(&self, held: &Held<'_>) -> bool {
        let source = held.live.sources().get(self.0.key.source());
        source.is_some_and(|source| source.origin == self.0.key_origin)
            && *held.provider == self.0.provider
    }

    pub(super) fn provider(&self) -> &str {
        &self.0.provider
    }

    pub(super) fn key_origin(&self) -> &str {
        &self.0.key_origin
    }

    pub(super) fn header(&self) -> Header<'_> {
        self.0.decoded.header()
    }

    pub(super) fn claims(&self) -> Claims<'_> {
        self.0.decoded.claims()
    }

    pub(super) fn prepared_key(&self) -> &Arc<PreparedKey> {
        &self.0.key
    }
}

/// Names the key only: a token is a secret, and its claims may be personal.
impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kid = self.prepared_key().jwk().kid();
        f.debug_struct("SignedToken").field("kid", &kid).finish_non_exhaustive()
    }
}
