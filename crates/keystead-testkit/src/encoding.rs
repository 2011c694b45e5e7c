//! The encodings of keys: base64url, PEM, and as much DER as an RSA public key needs.

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};

pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// The contents of the only PEM section, which must be `PRIVATE KEY` (RFC 7468 section 10).
pub(crate) fn pkcs8_section(pem: &str) -> Option<Vec<u8>> {
    let (_, after) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, after) = after.split_once("-----END PRIVATE KEY-----")?;
    if after.contains("-----BEGIN") {
        return None;
    }
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode_to_vec(body).ok()
}

/// `der` as a PEM section with this label.
pub(crate) fn pem_section(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    let body = STANDARD.encode_to_string(der);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 appendix A.1.1), without leading zeros.
pub(crate) fn rsa_public(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, _) = der_element(der, 0x30)?;
    let (n, rest) = der_element(body, 0x02)?;
    let (e, _) = der_element(rest, 0x02)?;
    Some((without_sign(n), without_sign(e)))
}

/// The contents of the DER element with this tag at the start of `der`, and what follows it.
fn der_element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.strip_prefix(&[tag])?.split_first()?;
    if first < 0x80 {
        return rest.split_at_checked(usize::from(first));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let length = length.iter().try_fold(0_usize, |sum, byte| {
        Some(sum.checked_mul(256)?.saturating_add(usize::from(*byte)))
    })?;
    rest.split_at_checked(length)
}

fn without_sign(integer: &[u8]) -> &[u8] {
    integer.strip_prefix(&[0]).unwrap_or(integer)
}
