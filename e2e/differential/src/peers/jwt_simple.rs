//! `jwt-simple`, its variant in pure Rust.
//!
//! It reads single keys, strictly; which key of a set is meant, its documentation leaves to
//! `Token::decode_metadata` and the caller. The type of a key says its algorithm: what the JWK says
//! of itself, or one after the other where it says nothing. It has no way to require `exp`, so that
//! is looked at afterwards.

use std::collections::HashSet;
use std::error::Error;

use ::jwt_simple::prelude::*;
use ::keystead::core::Algorithm;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Latest, Peer, Verdict};
use crate::cases::Case;
use crate::setting::{ALIAS, AUDIENCE, ISSUER, LEEWAY, NOW};

#[derive(Debug)]
pub(crate) struct JwtSimple(Latest<Result<Vec<Box<RawValue>>, String>>);

/// A key set whose keys are left as they are written.
#[derive(Debug, serde::Deserialize)]
struct KeySet {
    keys: Vec<Box<RawValue>>,
}

impl JwtSimple {
    pub(crate) const fn new() -> Self {
        Self(Latest::new())
    }
}

impl Peer for JwtSimple {
    fn name(&self) -> &'static str {
        "jwt-simple"
    }

    fn knows(&self, algorithm: Algorithm) -> bool {
        algorithm != Algorithm::Es512
    }

    fn judge(&mut self, cases: &[&Case]) -> Result<Vec<Verdict>, Box<dyn Error + Send + Sync>> {
        Ok(cases.iter().map(|case| self.verdict(case)).collect())
    }
}

impl JwtSimple {
    fn verdict(&mut self, case: &Case) -> Verdict {
        let read = |text: &str| {
            let set: Result<KeySet, _> = serde_json::from_str(text);
            set.map(|set| set.keys).map_err(|error| error.to_string())
        };
        match self.0.of(&case.made.key_set, read) {
            Err(why) => Verdict::Refused(why.clone()),
            Ok(keys) => match accepted(keys, &case.made.token) {
                Ok(()) => Verdict::Accepted,
                Err(why) => Verdict::Refused(why),
            },
        }
    }
}

fn accepted(keys: &[Box<RawValue>], token: &str) -> Result<(), String> {
    let metadata = Token::decode_metadata(token).map_err(|error| error.to_string())?;
    let mut why = "no key with this kid".to_owned();
    for key in keys {
        let jwk: Value = serde_json::from_str(key.get()).unwrap_or_default();
        let kid = jwk.get("kid").and_then(Value::as_str);
        if metadata.key_id().is_some_and(|wanted| kid != Some(wanted)) {
            continue;
        }
        for algorithm in algorithms(&jwk) {
            match verified(algorithm, key.get(), token) {
                Ok(claims) if claims.expires_at.is_some() => return Ok(()),
                Ok(_) => "no exp".clone_into(&mut why),
                Err(error) => why = error.to_string(),
            }
        }
    }
    Err(why)
}

fn algorithms(jwk: &Value) -> Vec<&str> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    match (text("alg"), text("kty"), text("crv")) {
        (Some(alg), _, _) => vec![alg],
        (None, Some("RSA"), _) => vec!["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        (None, Some("EC"), Some("P-256")) => vec!["ES256"],
        (None, Some("EC"), Some("P-384")) => vec!["ES384"],
        (None, Some("OKP"), _) => vec!["EdDSA"],
        _ => Vec::new(),
    }
}

fn verified(
    algorithm: &str,
    jwk: &str,
    token: &str,
) -> Result<JWTClaims<NoCustomClaims>, ::jwt_simple::Error> {
    let options = Some(VerificationOptions {
        allowed_issuers: Some(HashSet::from_strings(&[ISSUER, ALIAS])),
        allowed_audiences: Some(HashSet::from_strings(&[AUDIENCE])),
        time_tolerance: Some(Duration::from_secs(LEEWAY)),
        artificial_time: Some(UnixTimeStamp::from_secs(NOW)),
        ..VerificationOptions::default()
    });
    match algorithm {
        "RS256" => RS256PublicKey::from_jwk(jwk)?.verify_token(token, options),
        "RS384" => RS384PublicKey::from_jwk(jwk)?.verify_token(token, options),
        "RS512" => RS512PublicKey::from_jwk(jwk)?.verify_token(token, options),
        "PS256" => PS256PublicKey::from_jwk(jwk)?.verify_token(token, options),
        "PS384" => PS384PublicKey::from_jwk(jwk)?.verify_token(token, options),
        "PS512" => PS512PublicKey::from_jwk(jwk)?.verify_token(token, options),
        "ES256" => ES256PublicKey::from_jwk(jwk)?.verify_token(token, options),
        "ES384" => ES384PublicKey::from_jwk(jwk)?.verify_token(token, options),
        "EdDSA" | "Ed25519" => Ed25519PublicKey::from_jwk(jwk)?.verify_token(token, options),
        _ => Err(::jwt_simple::Error::msg("no algorithm of this peer")),
    }
}
