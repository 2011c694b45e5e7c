//! The pipeline of the core, with a signature library that answers yes.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use keystead::core::{
    Algorithm, Audiences, CryptoBackend, Directory, Disabled, Issuers, Jwk, KeyProblem, KeySet,
    Policy, Provenance, Provider, PublishedKeys, PublishedSource, Question, Requirements,
    SignatureVerifier, SourceFacts, TokenLimits, VerifiedToken,
};
use keystead::{Clock, SystemClock};
use keystead_bench::tokens::AUDIENCE;
use keystead_testkit::SigningKey;
use serde_json::json;

use crate::Result;

/// One provider whose signatures are always right.
#[derive(Debug)]
pub(crate) struct Pipeline {
    issuers: Arc<Issuers>,
    credulous: Credulous,
}

#[derive(Debug)]
pub(crate) struct Credulous {
    name: Arc<str>,
    policy: Policy,
    keys: PublishedKeys,
    clock: SystemClock,
}

impl Pipeline {
    pub(crate) fn new(issuer: &str, key: &SigningKey) -> Result<Self> {
        let keys = json!({ "keys": [key.jwk()] }).to_string();
        let keys = KeySet::parse(keys.as_bytes(), Provenance::Operator, 16)?;
        let facts = SourceFacts::memory(KeySet::keys(&keys).len());
        let source = PublishedSource::new("keys".into(), facts);
        let credulous = Credulous {
            name: "credulous".into(),
            policy: Policy::new(issuer, Audiences::OneOf(vec![AUDIENCE.to_owned()])),
            keys: PublishedKeys::prepare([(source, &keys)], &Yes, None),
            clock: SystemClock::new(),
        };
        let mut issuers = Issuers::new();
        issuers.add(0, &credulous.name, issuer, &[]);
        Ok(Self { issuers: Arc::new(issuers), credulous })
    }

    pub(crate) fn verify(&self, text: &str, now: Duration) -> Result<VerifiedToken> {
        let (limits, requirements) = (TokenLimits::default(), &Requirements::default());
        let question = Question { text, now, limits, requirements };
        Ok(keystead::core::verify(question, self).map_err(|refused| refused.to_string())?)
    }
}

impl Directory for Pipeline {
    type Provider = Credulous;

    fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    fn provider(&self, _: usize) -> Option<&Credulous> {
        Some(&self.credulous)
    }
}

impl Provider for Credulous {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn disabled(&self) -> Option<&Disabled> {
        None
    }

    fn keys(&self) -> impl Deref<Target = PublishedKeys> {
        &self.keys
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// The signature library.
struct Yes;

impl CryptoBackend for Yes {
    fn prepare(
        &self,
        _: &Jwk,
        _: Algorithm,
    ) -> std::result::Result<Box<dyn SignatureVerifier>, KeyProblem> {
        Ok(Box::new(Self))
    }
}

impl SignatureVerifier for Yes {
    fn verify(&self, _: &[u8], _: &[u8]) -> bool {
        true
    }
}
