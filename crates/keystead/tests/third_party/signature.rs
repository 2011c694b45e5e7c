//! Bare signatures, through the path of a key: the text of a JWK, a key set, a prepared key.

use std::sync::Arc;

use keystead::AwsLc;
use keystead::core::{
    Algorithm, KeyProblem, KeySet, Provenance, PublishedKeys, PublishedSource, SourceFacts,
};

use crate::corpus::Found;

/// The set of one key, from its JWK as text.
pub fn set(jwk: &str) -> KeySet {
    let text = format!(r#"{{"keys":[{jwk}]}}"#);
    KeySet::parse(text.as_bytes(), Provenance::Operator, 1).unwrap()
}

/// The keys as a provider publishes them that holds nothing else.
pub fn published(keys: &KeySet) -> PublishedKeys {
    let facts = SourceFacts::memory(keys.keys().len());
    let source = PublishedSource::new(Arc::from("vectors"), facts);
    PublishedKeys::prepare([(source, keys)], &AwsLc, None)
}

/// Whether the one key of the set signed the message.
pub fn verify(keys: &PublishedKeys, algorithm: Algorithm, message: &[u8], tag: &[u8]) -> Found {
    let key = match (keys.keys(), keys.skipped()) {
        ([key], []) => key,
        ([], [(_, skipped)]) => return Found::refused(word(&skipped.why)),
        (usable, skipped) => panic!("{} keys and {} others", usable.len(), skipped.len()),
    };
    match key.verifier(algorithm) {
        Err(why) => Found::refused(word(&why)),
        Ok(verifier) if verifier.verify(message, tag) => Found::Accepted,
        Ok(_) => Found::refused("bad_signature"),
    }
}

/// The problem in one word: the name of its variant.
pub fn word(why: &KeyProblem) -> String {
    let shown = format!("{why:?}");
    shown.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
}

pub fn b64(bytes: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// The JWK of an RSA key. The numbers may begin with zeros; a JWK's do not.
pub fn rsa_jwk(n: &[u8], e: &[u8]) -> String {
    let number = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        b64(&bytes[zeros..])
    };
    format!(r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#, number(n), number(e))
}

/// The JWK of a point, from its uncompressed form (SEC 1 section 2.3.3).
pub fn ec_jwk(crv: &str, point: &[u8]) -> String {
    let (form, coordinates) = point.split_first().unwrap();
    assert_eq!(*form, 4, "an uncompressed point");
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    format!(r#"{{"kty":"EC","crv":"{crv}","x":"{}","y":"{}"}}"#, b64(x), b64(y))
}

pub fn ed25519_jwk(x: &[u8]) -> String {
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, b64(x))
}

pub fn secret_jwk(k: &[u8]) -> String {
    format!(r#"{{"kty":"oct","k":"{}"}}"#, b64(k))
}

pub fn ml_dsa_jwk(algorithm: Algorithm, public: &[u8]) -> String {
    format!(r#"{{"kty":"AKP","alg":"{algorithm}","pub":"{}"}}"#, b64(public))
}

#[test]
fn a_problem_is_named_by_its_variant() {
    assert_eq!(word(&KeyProblem::RsaSize { bits: 1 }), "RsaSize");
    assert_eq!(word(&KeyProblem::NotOnCurve), "NotOnCurve");
    assert_eq!(word(&KeyProblem::Use("enc".into())), "Use");
}
