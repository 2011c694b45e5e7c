//! The fixtures of joserfc: tokens of RFC 7515, 7520 and 7797 with their keys, and keys of RFC 8037.

use std::collections::BTreeMap;
use std::path::Path;

use keystead::core::{Algorithm, KeySet, Provenance};
use serde_json::Value;

use crate::corpus::{Case, Expected, Found};
use crate::key_files;
use crate::signature::{self, published, set};
use crate::{files, token};

/// The secret of the examples of RFC 7797 section 4: the one of RFC 7515 appendix A.1.
const RFC7515_SECRET: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;

pub fn cases(folder: &Path) -> Vec<Case> {
    let (keys, tokens): (BTreeMap<_, _>, BTreeMap<_, _>) =
        files(folder).into_iter().partition(|(file, _)| file.starts_with("keys/"));
    let written = keys.iter().filter(|(file, _)| file.ends_with(".json"));
    let mut cases: Vec<_> =
        written.flat_map(|(file, bytes)| key_files::of_file(file, bytes)).collect();
    for (file, bytes) in &tokens {
        let fixture: Value = serde_json::from_slice(bytes).unwrap();
        for test in fixture["tests"].as_array().unwrap() {
            cases.extend(of_test(file, test, &keys));
        }
    }
    cases
}

type Files = BTreeMap<String, Vec<u8>>;

/// One case per serialisation that is there; where there is none, because the signature is made
/// anew in each run, whether the key can be used for the algorithm.
fn of_test(file: &str, test: &Value, files: &Files) -> Vec<Case> {
    let name = test["name"].as_str().unwrap();
    let Some(keys) = keys(test, files) else { return Vec::new() };
    let forms = ["token", "compact", "flattened_json", "general_json"];
    let written: Vec<_> = forms.into_iter().filter(|form| !test[form].is_null()).collect();
    if written.is_empty() {
        let found = usable(&keys, test["protected"]["alg"].as_str().unwrap());
        return vec![Case::new(format!("{file}:{name}:key"), Expected::Accept, found)];
    }
    let cases = written.into_iter().map(|form| {
        let text = test[form].as_str().map_or_else(|| test[form].to_string(), Into::into);
        let found = token::judge(&text, &keys);
        Case::new(format!("{file}:{name}:{form}"), Expected::Accept, found)
    });
    cases.collect()
}

fn usable(keys: &KeySet, alg: &str) -> Found {
    let algorithm = Algorithm::from_name(alg).unwrap();
    match signature::verify(&published(keys), algorithm, b"", b"") {
        Found::Refused(why) if why == "bad_signature" => Found::Accepted,
        refused => refused,
    }
}

/// The keys of a test; none when their file is not in the folder.
fn keys(test: &Value, files: &Files) -> Option<KeySet> {
    if let Some(secret) = test["secret"].as_str() {
        return Some(set(&signature::secret_jwk(secret.as_bytes())));
    }
    let Some(file) = test["public_key"].as_str() else { return Some(set(RFC7515_SECRET)) };
    let bytes = files.get(&format!("keys/{file}"))?;
    if file.ends_with(".json") {
        return Some(KeySet::parse_either(bytes, Provenance::Operator, 1).unwrap());
    }
    Some(set(&jwk_of_pem(std::str::from_utf8(bytes).unwrap())))
}

/// The JWK of a public key in PEM (RFC 7468 section 13).
fn jwk_of_pem(pem: &str) -> String {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64_simd::STANDARD.decode_to_vec(body).unwrap();
    let (info, _) = element(&der);
    let (algorithm, key) = element(info);
    let (key, _) = element(key);
    // A bit string says first how many bits of its last byte do not count: none.
    let key = &key[1..];
    let (_, parameters) = element(algorithm);
    match (parameters, key.len()) {
        ([], 57) => format!(r#"{{"kty":"OKP","crv":"Ed448","x":"{}"}}"#, signature::b64(key)),
        (_, 65) => signature::ec_jwk("P-256", key),
        (_, 97) => signature::ec_jwk("P-384", key),
        (_, 133) => signature::ec_jwk("P-521", key),
        _ => {
            let (numbers, _) = element(key);
            let (n, rest) = element(numbers);
            signature::rsa_jwk(n, element(rest).0)
        }
    }
}

/// The content of the first DER element, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, content) = match der[1] {
        short @ 0..0x80 => (usize::from(short), &der[2..]),
        long => {
            let (length, content) = der[2..].split_at(usize::from(long & 0x7f));
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), content)
        }
    };
    content.split_at(length)
}
