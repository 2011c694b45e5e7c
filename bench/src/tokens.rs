//! Tokens to ask with.

use std::error::Error;
use std::time::{Duration, SystemTime, SystemTimeError, UNIX_EPOCH};

use keystead_testkit::{RawToken, SigningKey, Token};
use serde_json::json;

/// What every token here is for.
pub const AUDIENCE: &str = "bench";

/// How long they are good for: longer than a run takes.
const GOOD_FOR: Duration = Duration::from_secs(3600);

/// As many different tokens as that, genuinely signed.
pub fn many(
    issuer: &str,
    key: &SigningKey,
    count: usize,
) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
    (0..count).map(|number| Ok(usual(issuer, number)?.sign(key)?)).collect()
}

/// A token as access tokens are: 15 claims of about 400 bytes. Each number has a user of its own.
pub fn usual(issuer: &str, number: usize) -> Result<Token, SystemTimeError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Token::new()
        .issuer(issuer)
        .subject(format!("9ac28ed2-6c0d-4b1b-8d3c-{number:012x}"))
        .audience(AUDIENCE)
        .issued_at(now)
        .expires_in(now, GOOD_FOR)
        .claim("jti", format!("b1f0c7b2-{number:08}"))
        .claim("azp", "storefront")
        .claim("scope", "openid profile orders:read orders:write")
        .claim("sid", format!("4f6c8d1e-2b3a-4c5d-{number:08x}"))
        .claim("acr", "1")
        .claim("typ", "Bearer")
        .claim("email_verified", true)
        .claim("preferred_username", format!("user{number}"))
        .claim("groups", json!(["staff", "orders"]))
        .claim("auth_time", now.as_secs()))
}

/// A token with a kid that nobody has; no two numbers have the same.
pub fn with_made_up_kid(issuer: &str, number: u64) -> Result<String, SystemTimeError> {
    let exp = (SystemTime::now().duration_since(UNIX_EPOCH)? + GOOD_FOR).as_secs();
    // Multiplying by an odd number spreads them and keeps them apart.
    let kid = format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let header = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
    let claims = json!({ "iss": issuer, "aud": AUDIENCE, "sub": "mallory", "exp": exp });
    Ok(RawToken::new(header.to_string(), claims.to_string()).with_signature([7; 64]))
}
