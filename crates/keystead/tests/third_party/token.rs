//! Tokens of corpora whose payload is no claims set, through the whole pipeline.
//!
//! Most corpora sign any bytes: `foo`, a sentence, nothing. Their header, key choice and signature
//! are judged by the real pipeline all the same: it sees claims that it accepts in place of the
//! payload, and the back-end checks the signature over what was signed.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use keystead::AwsLc;
use keystead::core::{
    self, Algorithm, Audiences, CryptoBackend, Directory, Disabled, Issuers, Jwk, KeyProblem,
    KeySet, Policy, PublishedKeys, PublishedSource, Question, Reason, Requirements, Segment,
    SignatureVerifier, SourceFacts, TokenLimits, UnverifiedToken,
};

use crate::corpus::Found;
use crate::signature::b64;

const ISSUER: &str = "https://idp.example";
const CLAIMS: &str = r#"{"iss":"https://idp.example","aud":"vectors","exp":1800000060}"#;
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// Judges a token by these keys, with every algorithm allowed.
pub fn judge(text: &str, keys: &KeySet) -> Found {
    match UnverifiedToken::parse(text, TokenLimits::default()) {
        // Three segments of base64url with a header; what the payload says is none of our business.
        Ok(_) | Err(Reason::Json { segment: Segment::Payload, .. }) => {}
        Err(reason) => return Found::refused(reason.class()),
    }
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let stand_in = format!("{header}.{}", b64(CLAIMS.as_bytes()));
    let backend = Swapping { signed: signed.into(), stand_in: stand_in.as_str().into() };
    let directory = World::new(keys, &backend);
    let requirements = Requirements::default();
    let question = Question {
        text: &format!("{stand_in}.{signature}"),
        now: NOW,
        limits: TokenLimits::default(),
        requirements: &requirements,
    };
    let verdict = core::verify(question, &directory);
    let explained = core::explain(question, &directory).refused;
    assert_eq!(verdict.as_ref().err(), explained.as_ref(), "explain is verify: {text}");
    match verdict {
        Ok(_) => Found::Accepted,
        Err(refused) => Found::refused(refused.reason().class()),
    }
}

/// Checks signatures over what was signed when it is asked about the stand-in.
struct Swapping {
    signed: Arc<str>,
    stand_in: Arc<str>,
}

impl CryptoBackend for Swapping {
    fn prepare(
        &self,
        key: &Jwk,
        algorithm: Algorithm,
    ) -> Result<Box<dyn SignatureVerifier>, KeyProblem> {
        let (signed, stand_in) = (Arc::clone(&self.signed), Arc::clone(&self.stand_in));
        let inner = AwsLc.prepare(key, algorithm)?;
        Ok(Box::new(Swapped { signed, stand_in, inner }))
    }
}

struct Swapped {
    signed: Arc<str>,
    stand_in: Arc<str>,
    inner: Box<dyn SignatureVerifier>,
}

impl SignatureVerifier for Swapped {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        assert_eq!(message, self.stand_in.as_bytes(), "the signing input is header and payload");
        self.inner.verify(self.signed.as_bytes(), signature)
    }
}

/// One provider with these keys.
struct World {
    issuers: Arc<Issuers>,
    provider: Provider,
}

struct Provider {
    name: Arc<str>,
    policy: Policy,
    keys: PublishedKeys,
}

impl World {
    fn new(keys: &KeySet, backend: &dyn CryptoBackend) -> Self {
        let audiences = Audiences::OneOf(vec!["vectors".to_owned()]);
        let mut policy = Policy::new(ISSUER, audiences);
        policy.algorithms = Algorithm::ALL.into_iter().collect();
        let facts = SourceFacts::memory(keys.keys().len());
        let source = PublishedSource::new(Arc::from("vectors"), facts);
        let keys = PublishedKeys::prepare([(source, keys)], backend, None);
        let name = Arc::from("vectors");
        let mut issuers = Issuers::new();
        issuers.add(0, &name, ISSUER, &[]);
        Self { issuers: Arc::new(issuers), provider: Provider { name, policy, keys } }
    }
}

impl Directory for World {
    type Provider = Provider;

    fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    fn provider(&self, index: usize) -> Option<&Provider> {
        (index == 0).then_some(&self.provider)
    }
}

impl core::Provider for Provider {
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
        Duration::ZERO
    }
}
