//! The signature check alone: what nobody can do without.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use keystead::core::Algorithm;
use keystead_testkit::SigningKey;

use crate::Result;

/// What is signed, and its signature.
pub(crate) type Signed<'t> = (&'t [u8], Vec<u8>);

/// A key of aws-lc, parsed once.
pub(crate) fn parsed(key: &SigningKey) -> Result<ParsedPublicKey> {
    let der = der(&key.public_pem()?)?;
    Ok(match key.algorithm() {
        Algorithm::Rs256 => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der)?,
        Algorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der)?,
        Algorithm::EdDsa => ParsedPublicKey::new(&ED25519, der)?,
        other => return Err(format!("{other} is not measured").into()),
    })
}

/// Tokens, taken apart before anything is measured.
pub(crate) fn signed(tokens: &[String]) -> Result<Vec<Signed<'_>>> {
    let parts = tokens.iter().map(|token| {
        let (input, signature) = token.rsplit_once('.').ok_or("a token has three segments")?;
        Ok((input.as_bytes(), URL_SAFE_NO_PAD.decode_to_vec(signature)?))
    });
    parts.collect()
}

fn der(pem: &str) -> Result<Vec<u8>> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Ok(STANDARD.decode_to_vec(body)?)
}
