//! Signatures by aws-lc: a key is parsed once, when it is prepared, and never per token.
//!
//! aws-lc does not judge keys: sizes, exponents and weak points are judged by [`Jwk`]. What only a
//! back-end can see is whether a point is on its curve.

pub(crate) mod derive;

use std::sync::Arc;

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, ParsedPublicKey, PqdsaVerificationAlgorithm, RsaParameters,
    RsaPublicKeyComponents,
};
use aws_lc_rs::{constant_time, digest, hmac};
use keystead_core::{
    Algorithm, CryptoBackend, EcCurve, Jwk, KeyProblem, KeySet, Material, SignatureVerifier,
    SkippedKey,
};

/// The signature library of this crate: every [`Algorithm`], by aws-lc.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has no state to grow, and callers name it")]
pub struct AwsLc;

impl CryptoBackend for AwsLc {
    fn prepare(
        &self,
        key: &Jwk,
        algorithm: Algorithm,
    ) -> Result<Box<dyn SignatureVerifier>, KeyProblem> {
        key.fits(algorithm)?;
        match key.material() {
            Material::Rsa { n, e } => {
                let parameters = rsa(algorithm).ok_or(NOT_SUPPORTED)?;
                RsaPublicKeyComponents { n, e }
                    .to_parsed_public_key(parameters)
                    .map(boxed)
                    .map_err(|_| KeyProblem::Backend("its RSA numbers form no public key"))
            }
            Material::Ec { curve, x, y } => {
                // A SEC 1 point, uncompressed (SEC 1 section 2.3.3).
                let point = [&[0x04], &**x, &**y].concat();
                ParsedPublicKey::new(ecdsa(*curve).ok_or(NOT_SUPPORTED)?, point)
                    .map(boxed)
                    .map_err(|_| KeyProblem::NotOnCurve)
            }
            Material::Ed25519 { x } => ParsedPublicKey::new(&signature::ED25519, x)
                .map(boxed)
                .map_err(|_| KeyProblem::NotOnCurve),
            Material::MlDsa { public, .. } => {
                ParsedPublicKey::new(ml_dsa(algorithm).ok_or(NOT_SUPPORTED)?, public)
                    .map(boxed)
                    .map_err(|_| KeyProblem::Backend("its bytes form no ML-DSA public key"))
            }
            Material::Oct { k } => {
                let hash = hmac_hash(algorithm).ok_or(NOT_SUPPORTED)?;
                Ok(Box::new(Secret(hmac::Key::new(hash, k))))
            }
            _ => Err(NOT_SUPPORTED),
        }
    }
}

const NOT_SUPPORTED: KeyProblem =
    KeyProblem::Backend("the signature library does not know this algorithm");

/// The set with those keys among the unusable ones that no algorithm can be prepared for.
///
/// A set is judged before it takes the place of another: one with nothing but points off their
/// curves must not pass for one with keys.
pub(crate) fn judged(set: KeySet) -> KeySet {
    if set.keys().iter().all(|key| problem(key).is_none()) {
        return set;
    }
    let mut judged = KeySet::default();
    for key in set.keys() {
        match problem(key) {
            None => judged.push(Arc::clone(key)),
            Some(why) => {
                let (kid, kty) = (key.kid().map(Into::into), Some(key.kty().into()));
                judged.push_skipped(SkippedKey { kid, kty, why });
            }
        }
    }
    set.skipped().iter().for_each(|key| judged.push_skipped(key.clone()));
    judged
}

/// Why no algorithm can use the key, if none can.
fn problem(key: &Jwk) -> Option<KeyProblem> {
    let mut problem = Some(KeyProblem::Backend("no signature algorithm fits it"));
    for algorithm in Algorithm::ALL.into_iter().filter(|a| key.fits(*a).is_ok()) {
        problem = AwsLc.prepare(key, algorithm).err();
        if problem.is_none() {
            break;
        }
    }
    problem
}

/// The SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// What stands for a token in logs and explanations: the first 8 hex digits of its SHA-256.
#[must_use]
pub fn fingerprint(token: &str) -> String {
    let [a, b, c, d, ..] = sha256(token.as_bytes());
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

/// Whether what was presented is this secret, in a time that depends on neither but for their
/// lengths.
pub(crate) fn same_secret(presented: &[u8], secret: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(presented, secret).is_ok()
}

/// The key's thumbprint: SHA-256 in base64url (RFC 7638).
///
/// `None` for a shared secret: its hash would let a guess at the secret be confirmed.
#[must_use]
pub fn thumbprint(key: &Jwk) -> Option<String> {
    if matches!(key.material(), Material::Oct { .. }) {
        return None;
    }
    let hash = sha256(key.thumbprint_input().as_bytes());
    Some(base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash))
}

/// A public key under one algorithm.
struct Public(ParsedPublicKey);

impl SignatureVerifier for Public {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

fn boxed(key: ParsedPublicKey) -> Box<dyn SignatureVerifier> {
    Box::new(Public(key))
}

/// A shared secret under one hash.
struct Secret(hmac::Key);

impl SignatureVerifier for Secret {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.0, message, signature).is_ok()
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// JWS signatures are R and S side by side, not ASN.1 (RFC 7518 section 3.4); each curve has one
/// hash.
fn ecdsa(curve: EcCurve) -> Option<&'static EcdsaVerificationAlgorithm> {
    Some(match curve {
        EcCurve::P256 => &signature::ECDSA_P256_SHA256_FIXED,
        EcCurve::P384 => &signature::ECDSA_P384_SHA384_FIXED,
        EcCurve::P521 => &signature::ECDSA_P521_SHA512_FIXED,
        EcCurve::Secp256k1 => &signature::ECDSA_P256K1_SHA256_FIXED,
        _ => return None,
    })
}

fn ml_dsa(algorithm: Algorithm) -> Option<&'static PqdsaVerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::MlDsa44 => &signature::ML_DSA_44,
        Algorithm::MlDsa65 => &signature::ML_DSA_65,
        Algorithm::MlDsa87 => &signature::ML_DSA_87,
        _ => return None,
    })
}

fn hmac_hash(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    Some(match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, PqdsaKeyPair,
        PqdsaSigningAlgorithm, RsaKeyPair, RsaSignatureEncoding,
    };

    use super::*;

    const MESSAGE: &[u8] = b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0";

    macro_rules! test_key {
        ($name:literal) => {
            include_str!(concat!("../../tests/data/keys/", $name))
        };
    }

    fn der(pem: &str) -> Vec<u8> {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        base64_simd::STANDARD.decode_to_vec(body).unwrap()
    }

    fn public(pem: &str) -> Jwk {
        let set = crate::source::text::parse(pem).unwrap();
        Jwk::clone(&set.keys()[0])
    }

    fn rsa_signature(padding: &'static RsaSignatureEncoding) -> Vec<u8> {
        let pair = RsaKeyPair::from_pkcs8(&der(test_key!("test-rsa-2048.pkcs8.pem"))).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
        signature
    }

    fn ec_signature(how: &'static EcdsaSigningAlgorithm, pem: &str) -> Vec<u8> {
        let pair = EcdsaKeyPair::from_pkcs8(how, &der(pem)).unwrap();
        pair.sign(&SystemRandom::new(), MESSAGE).unwrap().as_ref().to_vec()
    }

    fn ml_dsa_case(
        algorithm: Algorithm,
        how: &'static PqdsaSigningAlgorithm,
    ) -> (Algorithm, Jwk, Vec<u8>) {
        let pair = PqdsaKeyPair::from_seed(how, &[7; 32]).unwrap();
        let mut signature = vec![0; how.signature_len()];
        pair.sign(MESSAGE, &mut signature).unwrap();
        let public = pair.public_key().as_ref().into();
        let key = Jwk::new(None, Some(algorithm), Material::MlDsa { algorithm, public }).unwrap();
        (algorithm, key, signature)
    }

    /// A key, and its signature over [`MESSAGE`], for every algorithm there is.
    fn cases() -> Vec<(Algorithm, Jwk, Vec<u8>)> {
        let rsa = || public(test_key!("test-rsa-2048.spki.pem"));
        let secret = || Material::Oct { k: [9; 64].into() };
        let tag = |hash| hmac::sign(&hmac::Key::new(hash, &[9; 64]), MESSAGE).as_ref().to_vec();
        let ed25519 = test_key!("test-ed25519.pkcs8.pem");
        let ed25519_pair = Ed25519KeyPair::from_pkcs8(&der(ed25519)).unwrap();
        let mut cases = vec![
            (Algorithm::Rs256, rsa(), rsa_signature(&signature::RSA_PKCS1_SHA256)),
            (Algorithm::Rs384, rsa(), rsa_signature(&signature::RSA_PKCS1_SHA384)),
            (Algorithm::Rs512, rsa(), rsa_signature(&signature::RSA_PKCS1_SHA512)),
            (Algorithm::Ps256, rsa(), rsa_signature(&signature::RSA_PSS_SHA256)),
            (Algorithm::Ps384, rsa(), rsa_signature(&signature::RSA_PSS_SHA384)),
            (Algorithm::Ps512, rsa(), rsa_signature(&signature::RSA_PSS_SHA512)),
            (Algorithm::EdDsa, public(ed25519), ed25519_pair.sign(MESSAGE).as_ref().to_vec()),
            ml_dsa_case(Algorithm::MlDsa44, &signature::ML_DSA_44_SIGNING),
            ml_dsa_case(Algorithm::MlDsa65, &signature::ML_DSA_65_SIGNING),
            ml_dsa_case(Algorithm::MlDsa87, &signature::ML_DSA_87_SIGNING),
        ];
        for (algorithm, how, pem) in [
            (
                Algorithm::Es256,
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                test_key!("test-p256.pkcs8.pem"),
            ),
            (
                Algorithm::Es384,
                &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                test_key!("test-p384.pkcs8.pem"),
            ),
            (
                Algorithm::Es512,
                &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
                test_key!("test-p521.pkcs8.pem"),
            ),
            (
                Algorithm::Es256K,
                &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING,
                test_key!("test-secp256k1.pkcs8.pem"),
            ),
        ] {
            cases.push((algorithm, public(pem), ec_signature(how, pem)));
        }
        for (algorithm, hash) in [
            (Algorithm::Hs256, hmac::HMAC_SHA256),
            (Algorithm::Hs384, hmac::HMAC_SHA384),
            (Algorithm::Hs512, hmac::HMAC_SHA512),
        ] {
            cases.push((algorithm, Jwk::new(None, None, secret()).unwrap(), tag(hash)));
        }
        cases
    }

    /// T16 is the `EdDSA` case.
    #[test]
    fn every_algorithm_verifies_its_own_signature_and_no_altered_one() {
        let cases = cases();
        assert_eq!(cases.len(), Algorithm::ALL.len());
        for (algorithm, key, signature) in cases {
            let verifier = AwsLc.prepare(&key, algorithm).unwrap();
            assert!(verifier.verify(MESSAGE, &signature), "{algorithm}");
            assert!(!verifier.verify(b"another message", &signature), "{algorithm}");
            for at in [0, signature.len() / 2, signature.len() - 1] {
                let mut altered = signature.clone();
                altered[at] ^= 1;
                assert!(!verifier.verify(MESSAGE, &altered), "{algorithm} at {at}");
            }
        }
    }

    #[test]
    fn a_signature_of_the_wrong_length_is_no_signature() {
        for (algorithm, key, signature) in cases() {
            let verifier = AwsLc.prepare(&key, algorithm).unwrap();
            let longer = [&*signature, &[0]].concat();
            let padded = [&[0], &*signature].concat();
            let doubled = signature.repeat(2);
            let shorter = &signature[1..];
            for wrong in [&[], &[0][..], shorter, &longer, &padded, &doubled, &[0xff; 9000]] {
                assert!(!verifier.verify(MESSAGE, wrong), "{algorithm}, {} bytes", wrong.len());
            }
            assert!(!verifier.verify(&[], &signature), "{algorithm}");
            assert!(!verifier.verify(MESSAGE, &vec![0; signature.len()]), "{algorithm}");
        }
    }

    /// ECDSA signatures of a JWS are not ASN.1, though most libraries write them so.
    #[test]
    fn an_asn1_signature_is_refused() {
        let pem = test_key!("test-p256.pkcs8.pem");
        let asn1 = ec_signature(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, pem);
        let verifier = AwsLc.prepare(&public(pem), Algorithm::Es256).unwrap();
        assert!(!verifier.verify(MESSAGE, &asn1));
    }

    #[test]
    fn an_algorithm_verifies_no_signature_of_another() {
        let cases = cases();
        for (algorithm, key, _) in &cases {
            let verifier = AwsLc.prepare(key, *algorithm).unwrap();
            for (other, _, signature) in cases.iter().filter(|(other, ..)| other != algorithm) {
                assert!(!verifier.verify(MESSAGE, signature), "{other} under {algorithm}");
            }
        }
    }

    /// T17: in particular, no public key is ever prepared as a shared secret.
    #[test]
    fn a_key_is_prepared_only_for_algorithms_of_its_type() {
        for (algorithm, key, _) in cases() {
            for other in Algorithm::ALL {
                let fits = key.fits(other);
                let prepared = AwsLc.prepare(&key, other).map(|_| ());
                assert_eq!(prepared, fits, "{other} with a key for {algorithm}");
            }
        }
    }

    #[test]
    fn a_point_off_its_curve_is_named() {
        let point =
            |curve, len| Material::Ec { curve, x: vec![1; len].into(), y: vec![2; len].into() };
        for (curve, algorithm) in [
            (EcCurve::P256, Algorithm::Es256),
            (EcCurve::P384, Algorithm::Es384),
            (EcCurve::P521, Algorithm::Es512),
            (EcCurve::Secp256k1, Algorithm::Es256K),
        ] {
            let key = Jwk::new(None, None, point(curve, curve.coordinate_len())).unwrap();
            let found = AwsLc.prepare(&key, algorithm).map(|_| ());
            assert_eq!(found, Err(KeyProblem::NotOnCurve), "{}", curve.name());
            let zero = vec![0; curve.coordinate_len()];
            let infinity = Material::Ec { curve, x: zero.clone().into(), y: zero.into() };
            let key = Jwk::new(None, None, infinity).unwrap();
            let found = AwsLc.prepare(&key, algorithm).map(|_| ());
            assert_eq!(found, Err(KeyProblem::NotOnCurve), "{}", curve.name());
        }
    }

    #[test]
    fn a_point_of_one_curve_is_no_point_of_another() {
        let key = public(test_key!("test-p256.pkcs8.pem"));
        let Material::Ec { x, y, .. } = key.material() else { panic!("not an EC key") };
        let padded = |c: &[u8]| [&[0; 16], c].concat().into_boxed_slice();
        let claimed = |curve, x, y| Jwk::new(None, None, Material::Ec { curve, x, y });

        let short = claimed(EcCurve::P384, x.clone(), y.clone());
        let length = KeyProblem::Length { member: "x", expected: 48, found: 32 };
        assert_eq!(short, Err(length));

        let long = claimed(EcCurve::P384, padded(x), padded(y)).unwrap();
        let found = AwsLc.prepare(&long, Algorithm::Es384).map(|_| ());
        assert_eq!(found, Err(KeyProblem::NotOnCurve));

        let koblitz = claimed(EcCurve::Secp256k1, x.clone(), y.clone()).unwrap();
        let found = AwsLc.prepare(&koblitz, Algorithm::Es256K).map(|_| ());
        assert_eq!(found, Err(KeyProblem::NotOnCurve));
    }

    /// Anybody can sign for such keys, and aws-lc would accept them: the core refuses them first.
    #[test]
    fn keys_that_the_library_would_accept_are_refused_by_the_core() {
        let mut identity = [0; 32];
        identity[0] = 1;
        // R is the identity and S is zero: valid for every message under that key.
        let forged = [&identity[..], &[0; 32]].concat();
        let raw = ParsedPublicKey::new(&signature::ED25519, identity).unwrap();
        assert!(raw.verify_sig(MESSAGE, &forged).is_ok(), "the library judges keys by now");
        let key = Jwk::new(None, None, Material::Ed25519 { x: identity });
        assert_eq!(key, Err(KeyProblem::SmallOrder));

        let weak = crate::source::text::parse(test_key!("test-rsa-1024.pkcs8.pem")).unwrap();
        assert!(weak.keys().is_empty());
        assert_eq!(weak.skipped()[0].why, KeyProblem::RsaSize { bits: 1024 });
    }

    #[test]
    fn a_fingerprint_is_the_beginning_of_a_sha_256() {
        // FIPS 180-4 example: SHA-256("abc") = ba7816bf 8f01cfea ...
        assert_eq!(fingerprint("abc"), "ba7816bf");
        assert_eq!(fingerprint(""), "e3b0c442");
    }

    /// RFC 7638 section 3.1 and RFC 8037 appendix A.3.
    #[test]
    fn thumbprints_are_those_of_the_standards() {
        let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        let ed25519 =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let expected = [
            (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (ed25519, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ];
        for (jwk, hash) in expected {
            assert_eq!(thumbprint(&public(jwk)).as_deref(), Some(hash));
        }
    }

    #[test]
    fn a_shared_secret_has_no_thumbprint() {
        let key = Jwk::new(None, None, Material::Oct { k: [1; 32].into() }).unwrap();
        assert_eq!(thumbprint(&key), None);
    }
}
