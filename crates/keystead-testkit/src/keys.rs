//! Keys that sign, and their public form.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use aws_lc_rs::{digest, hmac, rand};
use keystead::core::{Algorithm, EcCurve, Family};
use serde_json::{Map, Value};

use crate::MintError;
use crate::encoding::{base64url, pem_section, pkcs8_section, rsa_public};

/// A private key (or shared secret) with the algorithm it signs with and its key id.
///
/// Clones share the key. `Debug` shows neither the key nor the secret.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    kid: Option<String>,
    pair: Arc<Pair>,
    /// The RFC 7638 members, which are the public key; empty for a shared secret.
    members: BTreeMap<&'static str, String>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(signature::PqdsaKeyPair),
    Secret(Vec<u8>),
}

impl SigningKey {
    /// A new key: RSA with 2,048 bits, the algorithm's own curve or parameter set, or a secret as
    /// long as the hash. Its kid is its RFC 7638 thumbprint; a secret has none, because a digest of
    /// a secret is not for publication (RFC 7638 section 7).
    ///
    /// RSA takes about a sixth of a second: see [`SigningKey::fixed_rsa`].
    ///
    /// # Errors
    /// [`MintError::Generate`] when the crypto library fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, MintError> {
        let failed = |_| MintError::Generate(algorithm);
        let pair = match algorithm.family() {
            Family::Rsa => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            Family::Ec(curve) => Pair::Ec(EcdsaKeyPair::generate(ecdsa(curve)?).map_err(failed)?),
            Family::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            Family::MlDsa => {
                let parameters = ml_dsa(algorithm)?;
                Pair::MlDsa(signature::PqdsaKeyPair::generate(parameters).map_err(failed)?)
            }
            Family::Hmac { hash_len } => {
                let mut secret = vec![0; hash_len];
                rand::fill(&mut secret).map_err(failed)?;
                Pair::Secret(secret)
            }
            _ => return Err(MintError::Generate(algorithm)),
        };
        Self::new(algorithm, pair)
    }

    /// The private key in one PEM section `PRIVATE KEY` (PKCS#8, RFC 5958), which must be of the
    /// type and curve that `algorithm` takes. Its kid is its thumbprint.
    ///
    /// # Errors
    /// [`MintError::NotPkcs8Pem`], or [`MintError::OtherKey`] when the section holds something else.
    pub fn from_pkcs8_pem(pem: &str, algorithm: Algorithm) -> Result<Self, MintError> {
        let der = pkcs8_section(pem).ok_or(MintError::NotPkcs8Pem)?;
        let other = |_| MintError::OtherKey(algorithm);
        let pair = match algorithm.family() {
            Family::Rsa => Pair::Rsa(RsaKeyPair::from_pkcs8(&der).map_err(other)?),
            Family::Ec(curve) => {
                Pair::Ec(EcdsaKeyPair::from_pkcs8(ecdsa(curve)?, &der).map_err(other)?)
            }
            Family::Ed25519 => {
                // OpenSSL writes no public part, which the stricter reader insists on.
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(other)?)
            }
            Family::MlDsa => {
                let parameters = ml_dsa(algorithm)?;
                Pair::MlDsa(signature::PqdsaKeyPair::from_pkcs8(parameters, &der).map_err(other)?)
            }
            _ => return Err(MintError::OtherKey(algorithm)),
        };
        Self::new(algorithm, pair)
    }

    /// A shared secret of any length, too short ones included. It has no kid.
    ///
    /// # Errors
    /// [`MintError::OtherKey`] when `algorithm` is not an HMAC.
    pub fn from_secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, MintError> {
        mac(algorithm)?;
        Self::new(algorithm, Pair::Secret(secret.to_vec()))
    }

    /// One of [`SigningKey::FIXED_RSA_KEYS`] RSA keys that are embedded in this library, numbered
    /// from 0, signing with RS256. They are there because making RSA keys is slow, and they are
    /// public: everybody can sign with them.
    ///
    /// # Errors
    /// [`MintError::NoFixedKey`] beyond the last one.
    pub fn fixed_rsa(number: usize) -> Result<Self, MintError> {
        let held = FIXED_RSA.len();
        let pem = FIXED_RSA.get(number).ok_or(MintError::NoFixedKey { asked: number, held })?;
        Self::from_pkcs8_pem(pem, Algorithm::Rs256)
    }

    /// How many keys [`SigningKey::fixed_rsa`] knows.
    pub const FIXED_RSA_KEYS: usize = FIXED_RSA.len();

    /// The same key with another key id.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// The same key without a key id, in its JWK and in the tokens it signs.
    #[must_use]
    pub fn without_kid(mut self) -> Self {
        self.kid = None;
        self
    }

    /// The same key, signing with another algorithm: an RSA key with any RSA algorithm, a secret
    /// with any HMAC.
    ///
    /// # Errors
    /// [`MintError::Unfit`] when the key's type or curve does not fit.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Result<Self, MintError> {
        let fits = match (&*self.pair, algorithm.family()) {
            (Pair::Rsa(_), Family::Rsa) | (Pair::Secret(_), Family::Hmac { .. }) => true,
            _ => algorithm == self.algorithm,
        };
        if !fits {
            return Err(MintError::Unfit { own: self.algorithm, asked: algorithm });
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// The algorithm it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key id, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The RFC 7638 thumbprint of the public key (SHA-256, base64url); none for a shared secret.
    #[must_use]
    pub fn thumbprint(&self) -> Option<String> {
        (!self.members.is_empty()).then(|| thumbprint(&self.members))
    }

    /// The public key as a JWK (RFC 7517) with `kid`, `alg` and `use`. Of a shared secret only these
    /// and `kty`: see [`SigningKey::secret_jwk`].
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = Map::new();
        if self.members.is_empty() {
            jwk.insert("kty".to_owned(), "oct".into());
        }
        for (name, value) in &self.members {
            jwk.insert((*name).to_owned(), value.as_str().into());
        }
        if let Some(kid) = &self.kid {
            jwk.insert("kid".to_owned(), kid.as_str().into());
        }
        jwk.insert("alg".to_owned(), self.algorithm.name().into());
        jwk.insert("use".to_owned(), "sig".into());
        Value::Object(jwk)
    }

    /// A shared secret as a JWK with the secret in it, as an operator would write it down; none for
    /// every other key.
    #[must_use]
    pub fn secret_jwk(&self) -> Option<Value> {
        let Pair::Secret(secret) = &*self.pair else { return None };
        let mut jwk = self.jwk();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("k".to_owned(), base64url(secret).into());
        }
        Some(jwk)
    }

    /// The public key as a PEM section `PUBLIC KEY` (RFC 7468 section 13).
    ///
    /// # Errors
    /// [`MintError::NoPublicForm`] for a shared secret.
    pub fn public_pem(&self) -> Result<String, MintError> {
        let der: Result<PublicKeyX509Der<'_>, _> = match &*self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ec(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::MlDsa(pair) => pair.public_key().as_der(),
            Pair::Secret(_) => return Err(MintError::NoPublicForm(self.algorithm)),
        };
        let der = der.map_err(|_| MintError::NoPublicForm(self.algorithm))?;
        Ok(pem_section("PUBLIC KEY", der.as_ref()))
    }

    /// The signature over `message`, in the form of RFC 7518 section 3 (for ECDSA, R and S side by
    /// side).
    ///
    /// # Errors
    /// [`MintError::Sign`] when the crypto library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, MintError> {
        let failed = |_| MintError::Sign(self.algorithm);
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = rsa_padding(self.algorithm)?;
                pair.sign(padding, &SystemRandom::new(), message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            Pair::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                let written = pair.sign(message, &mut signature).map_err(failed)?;
                signature.truncate(written);
                Ok(signature)
            }
            Pair::Secret(secret) => {
                let key = hmac::Key::new(mac(self.algorithm)?, secret);
                Ok(hmac::sign(&key, message).as_ref().to_vec())
            }
        }
    }

    fn new(algorithm: Algorithm, pair: Pair) -> Result<Self, MintError> {
        let members = members(algorithm, &pair).ok_or(MintError::Generate(algorithm))?;
        let kid = (!members.is_empty()).then(|| thumbprint(&members));
        Ok(Self { algorithm, kid, pair: Arc::new(pair), members })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

const FIXED_RSA: [&str; 4] = [
    include_str!("fixed/rsa-0.pem"),
    include_str!("fixed/rsa-1.pem"),
    include_str!("fixed/rsa-2.pem"),
    include_str!("fixed/rsa-3.pem"),
];

/// The members of RFC 7638 section 3.2 (RFC 8037 section 2 for `OKP`); none for a secret.
fn members(algorithm: Algorithm, pair: &Pair) -> Option<BTreeMap<&'static str, String>> {
    Some(match pair {
        Pair::Rsa(pair) => {
            let (n, e) = rsa_public(pair.public_key().as_ref())?;
            BTreeMap::from([("kty", "RSA".to_owned()), ("n", base64url(n)), ("e", base64url(e))])
        }
        Pair::Ec(pair) => {
            let Family::Ec(curve) = algorithm.family() else { return None };
            // An uncompressed point (SEC 1 section 2.3.3): 4, x, y.
            let coordinates = pair.public_key().as_ref().strip_prefix(&[4])?;
            let (x, y) = coordinates.split_at_checked(curve.coordinate_len())?;
            BTreeMap::from([
                ("kty", "EC".to_owned()),
                ("crv", curve.name().to_owned()),
                ("x", base64url(x)),
                ("y", base64url(y)),
            ])
        }
        Pair::Ed25519(pair) => BTreeMap::from([
            ("kty", "OKP".to_owned()),
            ("crv", "Ed25519".to_owned()),
            ("x", base64url(pair.public_key().as_ref())),
        ]),
        Pair::MlDsa(pair) => BTreeMap::from([
            ("kty", "AKP".to_owned()),
            ("alg", algorithm.name().to_owned()),
            ("pub", base64url(pair.public_key().as_ref())),
        ]),
        Pair::Secret(_) => BTreeMap::new(),
    })
}

/// RFC 7638 section 3.1. No value needs escaping: they are base64url and registered names.
fn thumbprint(members: &BTreeMap<&'static str, String>) -> String {
    let members: Vec<String> = members.iter().map(|(k, v)| format!(r#""{k}":"{v}""#)).collect();
    let canonical = format!("{{{}}}", members.join(","));
    base64url(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
}

fn ecdsa(curve: EcCurve) -> Result<&'static signature::EcdsaSigningAlgorithm, MintError> {
    Ok(match curve {
        EcCurve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        EcCurve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        EcCurve::P521 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
        EcCurve::Secp256k1 => &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING,
        other => return Err(MintError::UnknownAlgorithm(other.name().to_owned())),
    })
}

fn ml_dsa(algorithm: Algorithm) -> Result<&'static signature::PqdsaSigningAlgorithm, MintError> {
    Ok(match algorithm {
        Algorithm::MlDsa44 => &signature::ML_DSA_44_SIGNING,
        Algorithm::MlDsa65 => &signature::ML_DSA_65_SIGNING,
        Algorithm::MlDsa87 => &signature::ML_DSA_87_SIGNING,
        other => return Err(MintError::OtherKey(other)),
    })
}

fn rsa_padding(algorithm: Algorithm) -> Result<&'static dyn signature::RsaEncoding, MintError> {
    Ok(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        other => return Err(MintError::OtherKey(other)),
    })
}

fn mac(algorithm: Algorithm) -> Result<hmac::Algorithm, MintError> {
    Ok(match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        other => return Err(MintError::OtherKey(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::UnparsedPublicKey;
    use base64_simd::STANDARD;
    use keystead::core::{Jwk, Provenance, json};

    /// RFC 8037 appendix A.1 (the same key as in RFC 8410 section 10.3's form).
    const RFC8037_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";

    fn verifier(algorithm: Algorithm) -> &'static dyn signature::VerificationAlgorithm {
        match algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
            Algorithm::Es512 => &signature::ECDSA_P521_SHA512_FIXED,
            Algorithm::Es256K => &signature::ECDSA_P256K1_SHA256_FIXED,
            Algorithm::EdDsa => &signature::ED25519,
            Algorithm::MlDsa44 => &signature::ML_DSA_44,
            Algorithm::MlDsa65 => &signature::ML_DSA_65,
            Algorithm::MlDsa87 => &signature::ML_DSA_87,
            other => panic!("{other} has no public key"),
        }
    }

    fn some_key(algorithm: Algorithm) -> SigningKey {
        match algorithm.family() {
            Family::Rsa => SigningKey::fixed_rsa(0).unwrap().with_algorithm(algorithm).unwrap(),
            _ => SigningKey::generate(algorithm).unwrap(),
        }
    }

    fn der(pem: &str) -> Vec<u8> {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode_to_vec(body).unwrap()
    }

    #[test]
    fn every_algorithm_signs_what_its_public_key_verifies() {
        for algorithm in Algorithm::ALL {
            let key = some_key(algorithm);
            assert_eq!(key.algorithm(), algorithm);
            let signature = key.sign(b"message").unwrap();
            if let Family::Hmac { hash_len } = algorithm.family() {
                assert_eq!(signature.len(), hash_len);
                continue;
            }
            let public = der(&key.public_pem().unwrap());
            let public = UnparsedPublicKey::new(verifier(algorithm), public);
            public.verify(b"message", &signature).unwrap();
            public.verify(b"another message", &signature).unwrap_err();
        }
    }

    #[test]
    fn every_jwk_is_one_that_the_core_reads_and_fits_its_algorithm() {
        for algorithm in Algorithm::ALL {
            let key = some_key(algorithm);
            let text = key.secret_jwk().unwrap_or_else(|| key.jwk()).to_string();
            let value = json::parse(text.as_bytes(), json::Limits::DOCUMENT).unwrap();
            let jwk = Jwk::parse(value, Provenance::Operator).unwrap();
            jwk.fits(algorithm).unwrap();
            assert_eq!((jwk.kid(), jwk.algorithm()), (key.kid(), Some(algorithm)));
        }
    }

    #[test]
    fn the_thumbprint_is_the_one_of_the_rfc() {
        let key = SigningKey::from_pkcs8_pem(RFC8037_KEY, Algorithm::EdDsa).unwrap();
        // RFC 8037 appendix A.3.
        assert_eq!(key.kid(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
        // RFC 8037 appendix A.4.
        let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7\
                         sVvpAr_MuM0KAg";
        assert_eq!(base64url(&key.sign(input).unwrap()), signature);
    }

    #[test]
    fn fixed_keys_are_the_same_every_time_and_differ_from_each_other() {
        let kids: Vec<_> = (0..SigningKey::FIXED_RSA_KEYS)
            .map(|n| SigningKey::fixed_rsa(n).unwrap().kid().unwrap().to_owned())
            .collect();
        assert_eq!(SigningKey::fixed_rsa(0).unwrap().kid(), Some(kids[0].as_str()));
        let distinct: std::collections::BTreeSet<_> = kids.iter().collect();
        assert_eq!(distinct.len(), SigningKey::FIXED_RSA_KEYS);
        let beyond = SigningKey::fixed_rsa(SigningKey::FIXED_RSA_KEYS).unwrap_err();
        assert_eq!(beyond, MintError::NoFixedKey { asked: 4, held: 4 });
        assert_eq!(beyond.to_string(), "there is no fixed key 4, they are numbered 0 to 3");
    }

    #[test]
    fn a_pem_that_is_no_such_key_is_refused() {
        let es256 = |pem: &str| SigningKey::from_pkcs8_pem(pem, Algorithm::Es256).unwrap_err();
        assert_eq!(es256(""), MintError::NotPkcs8Pem);
        assert_eq!(es256(&RFC8037_KEY.replace("PRIVATE", "EC PRIVATE")), MintError::NotPkcs8Pem);
        assert_eq!(es256(&RFC8037_KEY.replace("MC4C", "!!!!")), MintError::NotPkcs8Pem);
        assert_eq!(es256(&RFC8037_KEY.repeat(2)), MintError::NotPkcs8Pem);
        assert_eq!(es256(RFC8037_KEY), MintError::OtherKey(Algorithm::Es256));
        let hs256 = SigningKey::from_pkcs8_pem(RFC8037_KEY, Algorithm::Hs256).unwrap_err();
        assert_eq!(hs256, MintError::OtherKey(Algorithm::Hs256));
        assert!(SigningKey::from_secret(b"s", Algorithm::Es256).is_err());
    }

    #[test]
    fn a_key_changes_its_algorithm_only_within_its_type() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        assert_eq!(
            key.with_algorithm(Algorithm::Es384).unwrap_err(),
            MintError::Unfit { own: Algorithm::Es256, asked: Algorithm::Es384 }
        );
        let secret = SigningKey::from_secret(b"short", Algorithm::Hs256).unwrap();
        assert!(secret.with_algorithm(Algorithm::Hs512).is_ok());
    }

    #[test]
    fn neither_debug_nor_the_jwk_shows_a_secret() {
        let secret = SigningKey::from_secret(b"correct horse", Algorithm::Hs256).unwrap();
        let shown = format!("{secret:?} {}", secret.jwk());
        assert!(!shown.contains("correct") && !shown.contains(&base64url(b"correct horse")));
        assert_eq!((secret.kid(), secret.thumbprint()), (None, None));
        assert_eq!(secret.secret_jwk().unwrap()["k"], base64url(b"correct horse"));
        assert!(secret.public_pem().is_err());

        let key = SigningKey::fixed_rsa(0).unwrap();
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey {{ algorithm: Rs256, kid: {:?}, .. }}", key.kid())
        );
        assert!(key.secret_jwk().is_none());
        let jwk = key.jwk();
        let names: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    }
}
