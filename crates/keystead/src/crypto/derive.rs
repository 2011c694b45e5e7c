//! Public keys, worked out from what a key file holds: a private key, or a compressed point.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, ParsedPublicKey,
    PqdsaKeyPair, PqdsaSigningAlgorithm,
};
use keystead_core::{Algorithm, EcCurve};

/// The uncompressed point of a private key on `curve`, in PKCS#8 or SEC 1 form.
///
/// It is computed where the key does not carry it. `None` when this is no key on that curve.
pub(crate) fn ec_public(curve: EcCurve, private_key: &[u8]) -> Option<Vec<u8>> {
    let pair = EcdsaKeyPair::from_private_key_der(signing(curve)?, private_key).ok()?;
    Some(pair.public_key().as_ref().to_vec())
}

/// The public key of an Ed25519 private key in PKCS#8 form.
pub(crate) fn ed25519_public(pkcs8: &[u8]) -> Option<[u8; 32]> {
    Ed25519KeyPair::from_pkcs8(pkcs8).ok()?.public_key().as_ref().try_into().ok()
}

/// The public key of an ML-DSA private key in PKCS#8 form.
pub(crate) fn ml_dsa_public(algorithm: Algorithm, pkcs8: &[u8]) -> Option<Vec<u8>> {
    let signing: &'static PqdsaSigningAlgorithm = match algorithm {
        Algorithm::MlDsa44 => &signature::ML_DSA_44_SIGNING,
        Algorithm::MlDsa65 => &signature::ML_DSA_65_SIGNING,
        Algorithm::MlDsa87 => &signature::ML_DSA_87_SIGNING,
        _ => return None,
    };
    Some(PqdsaKeyPair::from_pkcs8(signing, pkcs8).ok()?.public_key().as_ref().to_vec())
}

/// The uncompressed form of a compressed point; `None` when it is not on the curve.
pub(crate) fn uncompressed(curve: EcCurve, point: &[u8]) -> Option<Vec<u8>> {
    let key = ParsedPublicKey::new(super::ecdsa(curve)?, point).ok()?;
    let spki: PublicKeyX509Der<'_> = key.as_der().ok()?;
    // The point is the last thing in a SubjectPublicKeyInfo (RFC 5280 section 4.1).
    let len = curve.coordinate_len().saturating_mul(2).saturating_add(1);
    let start = spki.as_ref().len().checked_sub(len)?;
    let point = spki.as_ref().get(start..)?;
    (point.first() == Some(&0x04)).then(|| point.to_vec())
}

fn signing(curve: EcCurve) -> Option<&'static EcdsaSigningAlgorithm> {
    Some(match curve {
        EcCurve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        EcCurve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        EcCurve::P521 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
        EcCurve::Secp256k1 => &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING,
        _ => return None,
    })
}
