//! A small world around the pipeline: providers whose keys, facts and clock a test sets, and a toy
//! signature that needs no crypto library.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "every test file uses a part of this, and a test may panic and lock"
)]

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_core::{
    Algorithm, Audiences, CryptoBackend, Diagnostics, Directory, Disabled, EcCurve, Issuers, Jwk,
    KeyProblem, KeySet, LatestAttempt, Material, Policy, Provenance, Provider, PublishedKeys,
    PublishedSource, Question, Rejection, Requirements, SignatureVerifier, SignedToken,
    SignedTokens, SourceFacts, SourceKind, TokenLimits, VerifiedToken,
};

pub const ISSUER: &str = "https://idp.acme.example/realms/a";
/// The time of judgement, in seconds since the Unix epoch.
pub const NOW: u64 = 1_800_000_000;
/// The monotonic time of every world.
pub const MONOTONIC: Duration = Duration::from_secs(1_000_000);

/// A toy: the signature is a keyed checksum, so whoever knows a public key can sign with it.
#[derive(Debug)]
pub struct ToyBackend;

struct ToyVerifier {
    key: Vec<u8>,
}

impl CryptoBackend for ToyBackend {
    fn prepare(
        &self,
        key: &Jwk,
        algorithm: Algorithm,
    ) -> Result<Box<dyn SignatureVerifier>, KeyProblem> {
        Ok(Box::new(ToyVerifier { key: toy_key(key, algorithm) }))
    }
}

impl SignatureVerifier for ToyVerifier {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        toy_signature(&self.key, message) == signature
    }
}

fn toy_key(key: &Jwk, algorithm: Algorithm) -> Vec<u8> {
    format!("{algorithm} {}", key.thumbprint_input()).into_bytes()
}

fn toy_signature(key: &[u8], message: &[u8]) -> Vec<u8> {
    let lane = |seed: u64| {
        let bytes = key.iter().chain(&[0xff]).chain(message);
        bytes.fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(7)
        })
    };
    (0..4).flat_map(|seed: u64| lane(seed << 32).to_be_bytes()).collect()
}

/// An ES256 key; different letters are different keys.
pub fn ec(kid: Option<&str>, letter: u8) -> Jwk {
    let material = Material::Ec { curve: EcCurve::P256, x: [letter; 32].into(), y: [1; 32].into() };
    Jwk::new(kid, None, material).unwrap()
}

/// A JWK of type RSA with 2,048 bits as JSON; `more` is further members, such as `,"use":"enc"`.
pub fn rsa_json(letter: u8, more: &str) -> String {
    let n = b64([0xc1].iter().chain(&[letter; 254]).chain(&[0x01]).copied().collect::<Vec<_>>());
    format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"{more}}}"#)
}

/// The key of a JWK.
pub fn jwk(json: &str) -> Jwk {
    let value = keystead_core::json::parse(json.as_bytes(), keystead_core::json::Limits::DOCUMENT);
    Jwk::parse(value.unwrap(), Provenance::Operator).unwrap()
}

/// A JWK Set from JWKs, as the network would give it.
pub fn jwks(keys: &[String]) -> KeySet {
    let text = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    KeySet::parse(text.as_bytes(), Provenance::Network, 256).unwrap()
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// A token to be: its members as JSON, in order.
#[derive(Clone, Debug)]
pub struct Mint {
    header: Vec<(String, String)>,
    claims: Vec<(String, String)>,
}

impl Mint {
    /// A token that the default world accepts once a key of it has signed.
    pub fn new() -> Self {
        let mint = Self { header: Vec::new(), claims: Vec::new() };
        mint.header("alg", r#""ES256""#)
            .claim("iss", &format!("\"{ISSUER}\""))
            .claim("aud", r#""catalog""#)
            .claim("sub", r#""alice""#)
            .claim("iat", &(NOW - 60).to_string())
            .claim("exp", &(NOW + 600).to_string())
    }

    pub fn kid(self, kid: &str) -> Self {
        self.header("kid", &format!("\"{kid}\""))
    }

    /// Sets a header member to a JSON text.
    pub fn header(mut self, name: &str, json: &str) -> Self {
        self.header.retain(|(known, _)| known != name);
        self.header.push((name.to_owned(), json.to_owned()));
        self
    }

    /// Sets a claim to a JSON text.
    pub fn claim(mut self, name: &str, json: &str) -> Self {
        self.claims.retain(|(known, _)| known != name);
        self.claims.push((name.to_owned(), json.to_owned()));
        self
    }

    pub fn without(mut self, claim: &str) -> Self {
        self.claims.retain(|(known, _)| known != claim);
        self
    }

    /// Signs with ES256.
    pub fn signed_by(&self, key: &Jwk) -> String {
        self.signed_with(key, Algorithm::Es256)
    }

    pub fn signed_with(&self, key: &Jwk, algorithm: Algorithm) -> String {
        signed(&object(&self.header), &object(&self.claims), key, algorithm)
    }
}

/// A token of these texts, whatever they are.
pub fn signed(header: &str, payload: &str, key: &Jwk, algorithm: Algorithm) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    let signature = toy_signature(&toy_key(key, algorithm), input.as_bytes());
    format!("{input}.{}", b64(signature))
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(n, json)| format!("\"{n}\":{json}")).collect();
    format!("{{{}}}", members.join(","))
}

/// One source of keys and what is known of it.
#[derive(Clone, Debug)]
pub struct Source {
    pub origin: &'static str,
    pub facts: SourceFacts,
    pub keys: KeySet,
}

impl Source {
    pub fn memory(keys: KeySet) -> Self {
        Self { origin: "keys", facts: SourceFacts::memory(keys.keys().len()), keys }
    }

    /// A network source whose latest attempt has just succeeded; asked again in 12 s.
    pub fn network(keys: KeySet) -> Self {
        let mut facts = SourceFacts::memory(keys.keys().len());
        facts.kind = SourceKind::Network;
        facts.latest = LatestAttempt::Succeeded { at: MONOTONIC };
        facts.last_success = Some(MONOTONIC);
        facts.interval = Duration::from_secs(300);
        facts.max_stale = Some(Duration::from_secs(86_400));
        facts.next_attempt = Some(MONOTONIC + Duration::from_secs(12));
        Self { origin: "jwks_url https://idp.acme.example/certs", facts, keys }
    }

    /// The same source, whose latest attempt has failed.
    pub fn failed(mut self) -> Self {
        self.facts.latest = LatestAttempt::Failed { at: MONOTONIC };
        self
    }

    /// The same source, which has answered nothing for 90,000 s.
    pub fn expired(mut self) -> Self {
        self.facts.last_success = Some(MONOTONIC.saturating_sub(Duration::from_secs(90_000)));
        self.failed()
    }
}

/// One provider that a test has set up.
#[derive(Debug)]
pub struct ToyProvider {
    name: Arc<str>,
    pub policy: Policy,
    pub disabled: Option<Disabled>,
    keys: Arc<PublishedKeys>,
}

impl Provider for ToyProvider {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn disabled(&self) -> Option<&Disabled> {
        self.disabled.as_ref()
    }

    fn keys(&self) -> impl Deref<Target = PublishedKeys> {
        Arc::clone(&self.keys)
    }

    fn monotonic(&self) -> Duration {
        MONOTONIC
    }
}

/// Providers to judge tokens with.
#[derive(Debug, Default)]
pub struct World {
    issuers: Arc<Issuers>,
    providers: Vec<ToyProvider>,
    pub requirements: Requirements,
}

impl Directory for World {
    type Provider = ToyProvider;

    fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    fn provider(&self, index: usize) -> Option<&ToyProvider> {
        self.providers.get(index)
    }
}

impl World {
    pub fn new() -> Self {
        Self::default()
    }

    /// A world of one provider named `acme`, whose tokens are of [`ISSUER`] for `catalog`.
    pub fn of(sources: impl IntoIterator<Item = Source>) -> Self {
        Self::new().with("acme", policy(ISSUER), sources)
    }

    /// Adds a provider.
    pub fn with(
        mut self,
        name: &str,
        policy: Policy,
        sources: impl IntoIterator<Item = Source>,
    ) -> Self {
        let sources: Vec<_> = sources.into_iter().collect();
        let published = sources.iter().map(|source| {
            (PublishedSource::new(Arc::from(source.origin), source.facts), &source.keys)
        });
        let keys = Arc::new(PublishedKeys::prepare(published, &ToyBackend, None));
        let name: Arc<str> = Arc::from(name);
        Arc::get_mut(&mut self.issuers).unwrap().add(
            self.providers.len(),
            &name,
            &policy.issuer,
            &policy.aliases,
        );
        self.providers.push(ToyProvider { name, policy, disabled: None, keys });
        self
    }

    /// Changes the policy of the first provider.
    pub fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.providers.first_mut().unwrap().policy);
        self
    }

    /// Disables the first provider.
    pub fn disabled(mut self, disabled: Disabled) -> Self {
        self.providers.first_mut().unwrap().disabled = Some(disabled);
        self
    }

    pub fn asking(mut self, requirements: Requirements) -> Self {
        self.requirements = requirements;
        self
    }

    /// Changes when the keys of the first provider were last confirmed, and nothing else.
    pub fn with_facts(mut self, facts: SourceFacts) -> Self {
        let provider = self.providers.first_mut().unwrap();
        let sets: Vec<_> = provider.keys.keys().iter().map(|key| Arc::clone(key.jwk())).collect();
        let mut set = KeySet::default();
        for key in sets {
            set.push(key);
        }
        let source = PublishedSource::new(provider.keys.origin(0), facts);
        let keys = PublishedKeys::prepare([(source, &set)], &ToyBackend, Some(&provider.keys));
        provider.keys = Arc::new(keys);
        self
    }

    /// A world whose one provider, and the one source of it, have these names. What this one has
    /// prepared of the keys is taken over.
    pub fn renamed(&self, provider: &str, origin: &str, keys: &KeySet) -> Self {
        let known = self.providers.first().unwrap();
        let facts = known.keys.sources().first().unwrap().facts;
        let mut renamed = Self::new().with(provider, known.policy.clone(), []);
        let source = PublishedSource::new(Arc::from(origin), facts);
        let keys = PublishedKeys::prepare([(source, keys)], &ToyBackend, Some(&known.keys));
        renamed.providers.first_mut().unwrap().keys = Arc::new(keys);
        renamed
    }

    pub fn question<'a>(&'a self, text: &'a str) -> Question<'a> {
        let now = Duration::from_secs(NOW);
        let limits = TokenLimits::default();
        Question { text, now, limits, requirements: &self.requirements }
    }

    /// The verdict; that an explanation comes to the same one is checked on the way, and that a
    /// memory for signatures changes nothing.
    pub fn verify(&self, text: &str) -> Result<VerifiedToken, Rejection> {
        let verdict = keystead_core::verify(self.question(text), self);
        assert_eq!(self.explain(text).refused.as_ref(), verdict.as_ref().err(), "{text}");
        let memory = Memory::default();
        for remembered in [0, usize::from(verdict.is_ok())] {
            assert_eq!(memory.len(), remembered, "{text}");
            let again = self.verify_remembering(text, &memory);
            assert_eq!(seen(&again), seen(&verdict), "{text}");
        }
        verdict
    }

    /// The verdict with a memory beside it.
    pub fn verify_remembering(
        &self,
        text: &str,
        memory: &Memory,
    ) -> Result<VerifiedToken, Rejection> {
        keystead_core::verify(self.question(text), &Remembering { world: self, memory })
    }

    pub fn explain(&self, text: &str) -> Diagnostics {
        keystead_core::explain(self.question(text), self)
    }

    /// The code of the refusal, `ok` when there is none.
    pub fn code(&self, text: &str) -> &'static str {
        self.verify(text).map_or_else(|refused| refused.code().as_str(), |_| "ok")
    }
}

/// Everything that a caller sees of a verdict.
pub fn seen(verdict: &Result<VerifiedToken, Rejection>) -> Result<[String; 5], &Rejection> {
    let token = verdict.as_ref()?;
    let (provider, origin) = (token.provider().to_owned(), token.key_origin().to_owned());
    let texts = format!("{}{}", token.header().text(), token.claims().text());
    Ok([provider, origin, texts, format!("{:?}", token.key()), token.freshness().as_str().into()])
}

/// A memory that forgets nothing by itself.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, SignedToken>>);

impl Memory {
    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl SignedTokens for Memory {
    fn find(&self, text: &str) -> Option<SignedToken> {
        self.0.lock().unwrap().get(text).cloned()
    }

    fn keep(&self, token: &SignedToken) {
        self.0.lock().unwrap().insert(token.text().to_owned(), token.clone());
    }

    fn forget(&self, text: &str) {
        self.0.lock().unwrap().remove(text);
    }
}

/// A world with a memory beside it.
pub struct Remembering<'a> {
    pub world: &'a World,
    pub memory: &'a Memory,
}

impl Directory for Remembering<'_> {
    type Provider = ToyProvider;

    fn issuers(&self) -> &Arc<Issuers> {
        self.world.issuers()
    }

    fn provider(&self, index: usize) -> Option<&ToyProvider> {
        self.world.provider(index)
    }

    fn signed_tokens(&self) -> Option<&dyn SignedTokens> {
        Some(self.memory)
    }
}

pub fn policy(issuer: &str) -> Policy {
    Policy::new(issuer, Audiences::OneOf(vec!["catalog".to_owned()]))
}
