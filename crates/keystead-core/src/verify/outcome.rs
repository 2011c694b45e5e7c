//! What a token becomes when everything has been checked.

use core::fmt;
use std::borrow::Cow;

use super::{Held, SignedToken};
use crate::claims::Claims;
use crate::header::Header;
use crate::jwk::Jwk;
use crate::state::ProviderState;

/// A token whose signature and claims have been verified.
///
/// Only the pipeline makes one, so that holding one proves that every check passed. Cheap to clone.
#[derive(Clone)]
pub struct VerifiedToken {
    signed: SignedToken,
    freshness: Freshness,
}

/// Whether the key that verified a token is surely among the newest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Freshness {
    /// Its source is settled, or answered lately.
    Fresh,
    /// Last-known-good: its source failed last, or has not answered for long.
    Stale,
}

impl Freshness {
    /// `fresh` or `stale`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
        }
    }
}

impl VerifiedToken {
    pub(super) fn new(signed: SignedToken, held: &Held<'_>) -> Self {
        let source = held.live.sources().get(signed.prepared_key().source());
        let ready = source.is_some_and(|s| s.facts.state(held.now) == ProviderState::Ready);
        Self { signed, freshness: if ready { Freshness::Fresh } else { Freshness::Stale } }
    }

    pub(super) const fn signed(&self) -> &SignedToken {
        &self.signed
    }

    /// The JOSE header.
    #[must_use]
    pub fn header(&self) -> Header<'_> {
        self.signed.header()
    }

    /// The claims set.
    #[must_use]
    pub fn claims(&self) -> Claims<'_> {
        self.signed.claims()
    }

    /// The name of the provider whose token this is.
    #[must_use]
    pub fn provider(&self) -> &str {
        self.signed.provider()
    }

    /// The issuer, exactly as the token names it.
    #[must_use]
    pub fn issuer(&self) -> Cow<'_, str> {
        self.claims().string("iss").unwrap_or_default()
    }

    /// The key that verified it.
    #[must_use]
    pub fn key(&self) -> &Jwk {
        self.signed.prepared_key().jwk()
    }

    /// The `kid` of the key that verified it.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.key().kid()
    }

    /// Where that key came from, such as `jwks_url https://idp.example/certs`.
    #[must_use]
    pub fn key_origin(&self) -> &str {
        self.signed.key_origin()
    }

    /// Whether that key is surely among the newest.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }
}

/// Names the token without its claims: they may be personal.
impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("provider", &self.provider())
            .field("kid", &self.kid())
            .field("freshness", &self.freshness)
            .finish_non_exhaustive()
    }
}
