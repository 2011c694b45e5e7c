//! The library as a service calls it.

use std::error::Error;
use std::time::{Duration, SystemTime, SystemTimeError, UNIX_EPOCH};

use keystead::core::{Algorithm, AlgorithmSet, KeySet, Provenance};
use keystead::{ProviderConfig, Verifier, VerifierBuilder};
use keystead_testkit::SigningKey;
use serde::Deserialize;
use serde_json::json;

use crate::tokens::AUDIENCE;

/// The issuer of tokens whose provider nobody asks.
pub const ISSUER: &str = "https://idp.test.example";

type Failure = Box<dyn Error + Send + Sync>;

/// What a service wants from a token: all 15 claims of [`crate::tokens::usual`].
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "read so that reading is measured")]
pub struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
    azp: String,
    scope: String,
    sid: String,
    acr: String,
    typ: String,
    email_verified: bool,
    preferred_username: String,
    groups: Vec<String>,
    auth_time: u64,
}

/// The same, borrowed from the verified token.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "read so that reading is measured")]
pub struct BorrowedClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: &'a str,
    azp: &'a str,
    scope: &'a str,
    sid: &'a str,
    acr: &'a str,
    typ: &'a str,
    email_verified: bool,
    preferred_username: &'a str,
    #[serde(borrow)]
    groups: Vec<&'a str>,
    auth_time: u64,
}

/// A verifier of these providers, with their keys in memory, that remembers this many tokens.
pub fn verifier(providers: impl IntoIterator<Item = ProviderConfig>, cached: usize) -> Verifier {
    let builder = Verifier::builder().cached_tokens(cached);
    let verifier = providers.into_iter().fold(builder, VerifierBuilder::provider).build();
    verifier.load();
    verifier
}

/// A provider with this key.
pub fn provider(name: &str, issuer: &str, key: &SigningKey) -> Result<ProviderConfig, Failure> {
    let keys = json!({ "keys": [key.secret_jwk().unwrap_or_else(|| key.jwk())] }).to_string();
    let keys = KeySet::parse(keys.as_bytes(), Provenance::Operator, 16)?;
    let config = ProviderConfig::new(name, issuer).audiences([AUDIENCE]).keys(keys);
    Ok(config.algorithms(AlgorithmSet::DEFAULT.with(Algorithm::Hs256)))
}

/// A key whose signatures cost next to nothing to check, so that the rest shows.
pub fn shared_secret() -> Result<SigningKey, Failure> {
    let secret = SigningKey::from_secret(SECRET, Algorithm::Hs256)?;
    Ok(secret.with_kid("shared-secret"))
}

/// The bytes of [`shared_secret`].
pub const SECRET: &[u8; 32] = b"known to everybody who reads it.";

/// The time of judgement.
pub fn now() -> Result<Duration, SystemTimeError> {
    SystemTime::now().duration_since(UNIX_EPOCH)
}
