//! `jsonwebtoken` on aws-lc-rs.
//!
//! The key is the one that [`JwkSet::find`] finds; the algorithms are those of the key, never the
//! token's word; `exp`, `iss` and `aud` are required, `nbf` is checked. Which of several keys
//! without a kid made a token is left to the caller there, so they are tried one after the other.

use std::error::Error;

use ::jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use ::jsonwebtoken::{
    Algorithm as Alg, DecodingKey, Validation, decode, decode_header, get_current_timestamp,
};
use ::keystead::core::Algorithm;
use serde_json::Value;

use super::{Latest, Peer, Verdict};
use crate::cases::Case;
use crate::setting::{ALIAS, AUDIENCE, ISSUER, LEEWAY, NOW};

#[derive(Debug)]
pub(crate) struct JsonWebToken(Latest<Result<JwkSet, String>>);

impl JsonWebToken {
    pub(crate) const fn new() -> Self {
        Self(Latest::new())
    }
}

impl Peer for JsonWebToken {
    fn name(&self) -> &'static str {
        "jsonwebtoken"
    }

    fn knows(&self, algorithm: Algorithm) -> bool {
        algorithm != Algorithm::Es512
    }

    fn judge(&mut self, cases: &[&Case]) -> Result<Vec<Verdict>, Box<dyn Error + Send + Sync>> {
        Ok(cases.iter().map(|case| self.verdict(case)).collect())
    }
}

impl JsonWebToken {
    fn verdict(&mut self, case: &Case) -> Verdict {
        let read = |text: &str| serde_json::from_str(text).map_err(|error| error.to_string());
        match self.0.of(&case.made.key_set, read) {
            Err(why) => Verdict::Refused(why.clone()),
            Ok(keys) => match accepted(keys, &case.made.token) {
                Ok(()) => Verdict::Accepted,
                Err(why) => Verdict::Refused(why),
            },
        }
    }
}

fn accepted(keys: &JwkSet, token: &str) -> Result<(), String> {
    let header = decode_header(token).map_err(|error| error.to_string())?;
    let Some(kid) = header.kid else {
        let mut why = "no key".to_owned();
        for key in &keys.keys {
            match accepted_by(key, token) {
                Ok(()) => return Ok(()),
                Err(error) => why = error,
            }
        }
        return Err(why);
    };
    accepted_by(keys.find(&kid).ok_or("no key with this kid")?, token)
}

fn accepted_by(jwk: &Jwk, token: &str) -> Result<(), String> {
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    let algorithms = algorithms(jwk)?;
    loop {
        let second = get_current_timestamp();
        let decoded = decode::<Value>(token, &key, &validation(&algorithms, second));
        // A second that passed meanwhile would move the limits of `exp` and `nbf`.
        if get_current_timestamp() == second {
            return decoded.map(|_| ()).map_err(|error| error.to_string());
        }
    }
}

/// What the key is for: its own `alg`, or all that its type and curve can do.
fn algorithms(jwk: &Jwk) -> Result<Vec<Alg>, String> {
    if let Some(algorithm) = jwk.common.key_algorithm {
        if matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_)) {
            return Err("a shared secret is no key of this policy".to_owned());
        }
        return Ok(vec![
            algorithm.to_string().parse().map_err(|_| "the key is for something else")?,
        ]);
    }
    match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => {
            Ok(vec![Alg::RS256, Alg::RS384, Alg::RS512, Alg::PS256, Alg::PS384, Alg::PS512])
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Ok(vec![Alg::ES256])
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
            Ok(vec![Alg::ES384])
        }
        AlgorithmParameters::OctetKeyPair(_) => Ok(vec![Alg::EdDSA]),
        _ => Err("no algorithm for such a key".to_owned()),
    }
}

/// The policy at [`NOW`], which is later than the `second` that the library reads from the system.
///
/// It compares `exp - reject < now - leeway` and `nbf > now + leeway`, so that this leeway and this
/// `reject` make of its now ours, with the leeway of everybody.
fn validation(algorithms: &[Alg], second: u64) -> Validation {
    let ahead = NOW.saturating_sub(second);
    let mut validation = Validation {
        algorithms: algorithms.to_vec(),
        leeway: ahead + LEEWAY,
        reject_tokens_expiring_in_less_than: 2 * ahead,
        validate_nbf: true,
        ..Validation::default()
    };
    validation.set_issuer(&[ISSUER, ALIAS]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation
}
