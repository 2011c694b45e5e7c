//! Which key made the signature, and what to say when none did.
//!
//! A `kid` binds: the keys with that `kid` are tried in turn, then the keys without one, never the
//! others. Without a `kid` every fitting key of the provider is tried, as long as they are few.

use std::sync::Arc;

use super::{Held, Presented, Run, Signature};
use crate::algorithm::Algorithm;
use crate::diagnostics::{Check, Detail, KeyOutcome, Record};
use crate::jwk::KeyProblem;
use crate::published::PreparedKey;
use crate::rejection::{Reason, Rejection};
use crate::state::ProviderState;
use crate::text::{list, quoted};
use crate::token::UnverifiedToken;

/// How many keys are tried for one token.
const MAX_CANDIDATES: usize = 16;

impl<R: Record> Run<'_, R> {
    /// Finds the key that made the signature.
    pub(super) fn find_key<'k>(
        &mut self,
        token: &Presented<'_>,
        algorithm: Algorithm,
        held: &Held<'k>,
    ) -> Result<Option<&'k Arc<PreparedKey>>, Rejection> {
        let kid = token.header.kid();
        let search = Search { held, kid: kid.as_deref(), algorithm, tried: 0 };
        let detail = || search.detail();
        let result = match token.signature {
            Signature::Unverified(token) => search.run(token, self.record),
            Signature::MadeBy(key) => search.finds_again(key),
        };
        match &result {
            // A key that fits was there: what is left is about the signature.
            Ok(_) | Err(Reason::BadSignature { .. }) => {
                self.pass(Check::Key, &detail);
                let made = || Detail::new("", "made by a key that fits");
                self.note(Check::Signature, result, held, &made)
            }
            Err(_) => self.note(Check::Key, result, held, &detail),
        }
    }
}

/// The search for one token's key.
#[derive(Clone, Copy)]
struct Search<'a, 'k> {
    held: &'a Held<'k>,
    kid: Option<&'a str>,
    algorithm: Algorithm,
    tried: usize,
}

impl<'k> Search<'_, 'k> {
    /// The key, or why there is none.
    fn run(
        mut self,
        token: &UnverifiedToken<'_>,
        record: &mut impl Record,
    ) -> Result<&'k Arc<PreparedKey>, Reason> {
        self.check_ambiguity()?;
        token.with_signature(|signature| {
            self.first_verified(token.signing_input().as_bytes(), signature, record)
        })
    }

    /// The same for a signature that `known` is known to have made: whether it would be tried now.
    ///
    /// A key that went away and came back was prepared anew, so that it is not found again here.
    fn finds_again(mut self, known: &Arc<PreparedKey>) -> Result<&'k Arc<PreparedKey>, Reason> {
        self.check_ambiguity()?;
        for key in self.held.live.candidates(self.kid) {
            if !self.fits(key) || self.repeats(key) {
                continue;
            }
            if Arc::ptr_eq(key, known) {
                return Ok(key);
            }
            self.tried += 1;
            if self.tried >= MAX_CANDIDATES {
                break;
            }
        }
        Err(self.not_held())
    }

    /// Without a kid every fitting key is meant, which must not be too many.
    fn check_ambiguity(&self) -> Result<(), Reason> {
        if self.kid.is_none() && self.fitting().nth(MAX_CANDIDATES).is_some() {
            let fitting = self.fitting().filter(|key| !self.repeats(key)).count();
            if fitting > MAX_CANDIDATES {
                return Err(Reason::Ambiguous { fitting });
            }
        }
        Ok(())
    }

    fn fitting(&self) -> impl Iterator<Item = &'k Arc<PreparedKey>> {
        self.held.live.keys().iter().filter(|key| self.fits(key))
    }

    /// Whether this is for a token without a kid a key that was tried before: one key is held under as
    /// many kids as its provider gave it.
    fn repeats(&self, key: &Arc<PreparedKey>) -> bool {
        let mut before = self.fitting().take_while(|other| !Arc::ptr_eq(other, key));
        self.kid.is_none() && before.any(|other| other.jwk().material() == key.jwk().material())
    }

    fn fits(&self, key: &PreparedKey) -> bool {
        key.verifier(self.algorithm).is_ok() && self.held.serves(key)
    }

    fn first_verified(
        &mut self,
        input: &[u8],
        signature: &[u8],
        record: &mut impl Record,
    ) -> Result<&'k Arc<PreparedKey>, Reason> {
        let mut found = None;
        let live = self.held.live;
        for key in live.candidates(self.kid) {
            if self.fits(key) && self.repeats(key) {
                continue;
            }
            let outcome = self.look_at(key, input, signature);
            let source = live.sources().get(key.source());
            let age = source.and_then(|source| source.facts.age(self.held.now));
            record.considered(key, source.map_or("", |s| &s.origin), age, &outcome);
            if outcome == KeyOutcome::Verified {
                return Ok(key);
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
        if !self.held.serves(key) {
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
        // The number that was tried is the number at the end, keys without a kid included.
        match more_specific(found, self.skipped()) {
            Some(Reason::BadSignature { .. }) => Reason::BadSignature { candidates: self.tried },
            Some(reason) => reason,
            None => self.not_held(),
        }
    }

    /// What is known of unusable keys with the token's `kid`.
    fn skipped(&self) -> Option<Reason> {
        let kid = self.kid?;
        let keys = self.held.live.skipped().iter().map(|(_, key)| key);
        keys.filter(|key| key.kid.as_deref() == Some(kid))
            .map(|key| self.unfit(key.why.clone()))
            .fold(None, |found, reason| more_specific(found, Some(reason)))
    }

    /// No key that could have made the signature is held. Keys without a kid were tried at most, and
    /// the right one may be a key that is not held yet: what that means, the state says.
    fn not_held(&self) -> Reason {
        match self.held.live.state(self.held.now) {
            state @ ProviderState::Cold => Reason::NoKeysYet { state },
            state @ ProviderState::Expired => self.expired().unwrap_or(Reason::NoKeysYet { state }),
            state => Reason::NoKey { kid: self.kid.map(Into::into), state },
        }
    }

    fn unfit(&self, why: KeyProblem) -> Reason {
        let kid = self.kid.map(Into::into);
        if why.is_mismatch() {
            Reason::KeyMismatch { kid, algorithm: self.algorithm, why }
        } else {
            Reason::KeyUnusable { kid, why }
        }
    }

    fn expired(&self) -> Option<Reason> {
        let expiry = self.held.live.expiry(self.held.now);
        expiry.map(|(age, limit)| Reason::KeysExpired { age, limit })
    }

    /// For an explanation: the `kid`, and the keys there are.
    fn detail(&self) -> Detail {
        let keys = self.held.live.keys();
        let known: Vec<_> = keys.iter().filter_map(|key| key.jwk().kid()).collect();
        let presented = self.kid.map_or_else(|| "no kid".into(), |kid| quoted(kid).to_string());
        let unnamed = keys.len() - known.len();
        let accepted = format!("{} known, {unnamed} without a kid: {}", keys.len(), list(&known));
        Detail::new(presented, accepted)
    }
}

fn more_specific(one: Option<Reason>, other: Option<Reason>) -> Option<Reason> {
    match (one, other) {
        (Some(one), Some(other)) if other.rank() > one.rank() => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}
