//! Which key made the signature, and what to say when none did.
//!
//! A `kid` binds: the keys with that `kid` are tried in turn, then the keys without one, never the
//! others. Without a `kid` every fitting key of the provider is tried, as long as they are few.

use core::time::Duration;
use std::sync::Arc;

use super::{Provider, Run, Stop};
use crate::Algorithm;
use crate::diagnostics::{Check, Detail, KeyOutcome, Record};
use crate::published::{PreparedKey, PublishedKeys};
use crate::rejection::Reason;
use crate::state::ProviderState;
use crate::text::{list, quoted};
use crate::token::UnverifiedToken;

/// How many keys are tried for one token.
const MAX_CANDIDATES: usize = 16;

impl<R: Record> Run<'_, R> {
    /// Finds the key that made the signature.
    pub(super) fn find_key<P: Provider>(
        &mut self,
        token: &UnverifiedToken<'_>,
        algorithm: Algorithm,
        live: &PublishedKeys,
        provider: &P,
    ) -> Result<Option<Arc<PreparedKey>>, Stop> {
        let kid = token.header().kid();
        let search =
            Search { live, kid: kid.as_deref(), algorithm, now: provider.monotonic(), tried: 0 };
        let (result, tried) = search.run(token, self.record);
        let detail = || {
            let presented = kid.as_ref().map_or_else(|| "no kid".into(), |k| quoted(k).to_string());
            let mut known: Vec<_> = live.keys().iter().filter_map(|k| k.jwk().kid()).collect();
            known.dedup();
            let unnamed = live.keys().iter().filter(|key| key.jwk().kid().is_none()).count();
            let all = live.keys().len();
            let accepted = format!("{all} known, {unnamed} without a kid: {}", list(&known));
            Detail::new(presented, accepted)
        };
        // A signature was looked at only if some key fitted.
        if tried == 0 {
            return self.note(Check::Key, result, provider, &detail);
        }
        match result {
            Err(reason @ Reason::BadSignature { .. }) => {
                self.pass(Check::Key, &detail);
                let tried = || Detail::new("", format!("made by one of {tried} keys"));
                self.note(Check::Signature, Err(reason), provider, &tried)
            }
            Err(reason) => self.note(Check::Key, Err(reason), provider, &detail),
            Ok(key) => {
                self.pass(Check::Key, &detail);
                self.note(Check::Signature, Ok(key), provider, &|| Detail::new("", "valid"))
            }
        }
    }
}

/// The search for one token's key.
struct Search<'a> {
    live: &'a PublishedKeys,
    kid: Option<&'a str>,
    algorithm: Algorithm,
    now: Duration,
    tried: usize,
}

impl Search<'_> {
    /// The key, or why there is none; and how many signatures were looked at.
    fn run(
        mut self,
        token: &UnverifiedToken<'_>,
        record: &mut impl Record,
    ) -> (Result<Arc<PreparedKey>, Reason>, usize) {
        if self.kid.is_none() {
            let fitting = self.live.keys().iter().filter(|key| self.fits(key)).count();
            if fitting > MAX_CANDIDATES {
                return (Err(Reason::Ambiguous { fitting }), 0);
            }
        }
        let result = token.with_signature(|signature| {
            let input = token.signing_input().as_bytes();
            self.first_verified(input, signature, record)
        });
        (result, self.tried)
    }

    fn fits(&self, key: &PreparedKey) -> bool {
        key.verifier(self.algorithm).is_ok() && self.live.serves(key.source(), self.now)
    }

    fn first_verified(
        &mut self,
        input: &[u8],
        signature: &[u8],
        record: &mut impl Record,
    ) -> Result<Arc<PreparedKey>, Reason> {
        let mut found = None;
        let live = self.live;
        for key in live.candidates(self.kid) {
            let outcome = self.look_at(key, input, signature);
            record.considered(key, &live.origin(key.source()), outcome.clone());
            if outcome == KeyOutcome::Verified {
                return Ok(Arc::clone(key));
            }
            // A key without a kid says nothing about a token that names one.
            if self.kid.is_none() || key.jwk().kid() == self.kid {
                found = more_specific(found, self.reason_of(outcome));
            }
            if self.tried >= MAX_CANDIDATES {
                break;
            }
        }
        Err(self.explain(found))
    }

    fn look_at(&mut self, key: &PreparedKey, input: &[u8], signature: &[u8]) -> KeyOutcome {
        if !self.live.serves(key.source(), self.now) {
            return KeyOutcome::Expired;
        }
        match key.verifier(self.algorithm) {
            Err(why) => KeyOutcome::Unfit(why),
            Ok(verifier) => {
                self.tried += 1;
                if verifier.verify(input, signature) {
                    KeyOutcome::Verified
                } else {
                    KeyOutcome::Refused
                }
            }
        }
    }

    /// What it means for the token that a key did not verify it.
    fn reason_of(&self, outcome: KeyOutcome) -> Option<Reason> {
        match outcome {
            KeyOutcome::Refused => Some(Reason::BadSignature { candidates: self.tried }),
            // Without a kid in the token, a key that does not fit was never meant.
            KeyOutcome::Unfit(why) => self.kid.map(|_| self.unfit(why)),
            KeyOutcome::Expired => self.expired(),
            KeyOutcome::Verified => None,
        }
    }

    /// Why no key made the signature, given the most that was found while looking.
    fn explain(&self, found: Option<Reason>) -> Reason {
        let skipped = self.kid.and_then(|kid| {
            let named = |key: &&(usize, crate::SkippedKey)| key.1.kid.as_deref() == Some(kid);
            self.live.skipped().iter().filter(named).fold(None, |worst, (_, key)| {
                more_specific(worst, Some(self.unfit(key.why.clone())))
            })
        });
        if let Some(reason) = more_specific(found, skipped) {
            // The number that was tried is the number at the end, keys without a kid included.
            return match reason {
                Reason::BadSignature { .. } => Reason::BadSignature { candidates: self.tried },
                reason => reason,
            };
        }
        // Only keys without a kid were tried, if any: the right one may be a key not held yet.
        match self.live.state(self.now) {
            state @ ProviderState::Cold => Reason::NoKeysYet { state },
            ProviderState::Expired => {
                self.expired().unwrap_or(Reason::NoKeysYet { state: ProviderState::Expired })
            }
            state => Reason::NoKey { kid: self.kid.map(Into::into), state },
        }
    }

    fn unfit(&self, why: crate::KeyProblem) -> Reason {
        let kid = self.kid.map(Into::into);
        if why.is_mismatch() {
            Reason::KeyMismatch { kid, algorithm: self.algorithm, why }
        } else {
            Reason::KeyUnusable { kid, why }
        }
    }

    fn expired(&self) -> Option<Reason> {
        self.live.expiry(self.now).map(|(age, limit)| Reason::KeysExpired { age, limit })
    }
}

fn more_specific(one: Option<Reason>, other: Option<Reason>) -> Option<Reason> {
    match (one, other) {
        (Some(one), Some(other)) if other.rank() > one.rank() => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}
