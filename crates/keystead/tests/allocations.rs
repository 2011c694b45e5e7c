//! How often a verification asks for memory: a service that verifies tokens all day should not feed
//! its allocator with them.
//!
//! Rust's allocator is counted, on the thread that verifies. What aws-lc allocates in C is not seen by
//! it, and is the same for everybody who asks aws-lc: for each signature that is computed, 25 times for
//! RS256, 31 times for ES256 and once for `EdDSA` (aws-lc-sys 0.47; the numbers that are computed with, the
//! contexts of key and digest, and ECDSA's signature in another form and back).
#![allow(clippy::unwrap_used, reason = "tests may stop")]

use std::hint::black_box;
use std::time::Duration;

use keystead::core::{Algorithm, KeySet, Provenance};
use keystead::{Clock, ProviderConfig, SystemClock, Verifier};
use keystead_testkit::{SigningKey, Token};
use serde_json::json;

const ISSUER: &str = "https://idp.example";
const AUDIENCE: &str = "catalog";
const TOKENS: usize = 20;

#[test]
fn a_remembered_token_is_verified_without_an_allocation() {
    for key in keys() {
        let (verifier, tokens) = (verifier(&key, 2 * TOKENS), tokens(&key));
        // The first look at a thread's own variables may allocate, and remembering does.
        for token in &tokens {
            drop(verifier.verify(token).unwrap());
        }
        let before = verifier.metrics().token_cache.hits;
        assert_eq!(most(&verifier, &tokens), 0, "{}", key.algorithm());
        assert_eq!(verifier.metrics().token_cache.hits - before, TOKENS as u64);
    }
}

#[test]
fn a_token_that_is_not_remembered_takes_two_allocations() {
    for key in keys() {
        let (verifier, tokens) = (verifier(&key, 0), tokens(&key));
        drop(verifier.verify(&tokens[0]).unwrap());
        assert!(most(&verifier, &tokens) <= 2, "{}", key.algorithm());
    }
}

/// The most that one of these tokens took.
fn most(verifier: &Verifier, tokens: &[String]) -> u64 {
    let counts = tokens.iter().map(|token| {
        let verify = || drop(black_box(verifier.verify(token).unwrap()));
        allocation_counter::measure(verify).count_total
    });
    counts.max().unwrap()
}

fn keys() -> [SigningKey; 3] {
    let made = |algorithm| SigningKey::generate(algorithm).unwrap();
    [SigningKey::fixed_rsa(0).unwrap(), made(Algorithm::Es256), made(Algorithm::EdDsa)]
}

fn verifier(key: &SigningKey, cached: usize) -> Verifier {
    let keys = json!({ "keys": [key.jwk()] }).to_string();
    let keys = KeySet::parse(keys.as_bytes(), Provenance::Operator, 16).unwrap();
    let provider = ProviderConfig::new("idp", ISSUER).audiences([AUDIENCE]).keys(keys);
    let verifier = Verifier::builder().cached_tokens(cached).provider(provider).build();
    verifier.load();
    verifier
}

/// With 15 claims each, as access tokens have.
fn tokens(key: &SigningKey) -> Vec<String> {
    let now = SystemClock::new().wall();
    let token = |number: usize| {
        let token = Token::new()
            .issuer(ISSUER)
            .subject(format!("9ac28ed2-6c0d-4b1b-8d3c-{number:012x}"))
            .audience(AUDIENCE)
            .issued_at(now)
            .not_before(now)
            .expires_in(now, Duration::from_secs(3600))
            .claim("jti", format!("b1f0c7b2-{number:08}"))
            .claim("azp", "storefront")
            .claim("scope", "openid profile orders:read orders:write")
            .claim("sid", format!("4f6c8d1e-2b3a-4c5d-{number:08x}"))
            .claim("typ", "Bearer")
            .claim("email_verified", true)
            .claim("preferred_username", format!("user{number}"))
            .claim("groups", json!(["staff", "orders"]))
            .claim("auth_time", now.as_secs());
        token.sign(key).unwrap()
    };
    (0..TOKENS).map(token).collect()
}
