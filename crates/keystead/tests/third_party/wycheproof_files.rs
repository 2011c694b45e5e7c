//! Wycheproof: tokens and bare signatures, from its own files.

use std::path::Path;

use keystead::core::{Algorithm, KeySet, Provenance};
use serde_json::Value;

use crate::corpus::{Case, Expected, Found};
use crate::files;
use crate::signature::{self, published, set};
use crate::token;

/// The files of tokens: JSON Web Signature and JSON Web Crypto.
pub fn tokens(folder: &Path) -> Vec<Case> {
    let sets = files(folder).into_iter().filter(|(file, _)| file.starts_with("json_web_"));
    sets.flat_map(|(file, bytes)| {
        let set: Value = serde_json::from_slice(&bytes).unwrap();
        let name = file.strip_suffix(".json").unwrap().to_owned();
        let groups = set["testGroups"].as_array().unwrap().clone();
        groups.into_iter().flat_map(move |group| token_group(&name, &group))
    })
    .collect()
}

fn token_group(name: &str, group: &Value) -> Vec<Case> {
    // A shared secret has no public part.
    let written = [&group["public"], &group["private"]].into_iter().find(|key| key.is_object());
    let keys = keys(written.unwrap());
    let cases = group["tests"].as_array().unwrap().iter().map(|test| {
        let token = [&test["jws"], &test["jwe"]].into_iter().find(|token| !token.is_null());
        // A JSON serialisation is an object: its text is what a caller would present.
        let token = match token.unwrap() {
            Value::String(compact) => compact.clone(),
            other => other.to_string(),
        };
        let case = case(name, test, token::judge(&token, &keys));
        if lost_its_padding(test, &token) {
            Case { expected: Expected::Either, ..case }
        } else {
            case
        }
    });
    cases.collect()
}

/// Whether the case is about padding that its text does not have: what is left is the good token of
/// another case (C2SP/wycheproof issue 236). It may then be either, so that it has to be listed.
fn lost_its_padding(test: &Value, token: &str) -> bool {
    test["comment"].as_str().unwrap().contains("Base64Padding") && !token.contains('=')
}

/// A JWK is one that the operator wrote; a JWK Set is one that a provider published.
fn keys(written: &Value) -> KeySet {
    if written.get("keys").is_none() {
        return set(&written.to_string());
    }
    KeySet::parse(written.to_string().as_bytes(), Provenance::Network, 256).unwrap()
}

/// The files of bare signatures.
pub fn signatures(folder: &Path) -> Vec<Case> {
    let sets = files(folder).into_iter().filter(|(file, _)| !file.starts_with("json_web_"));
    sets.flat_map(|(file, bytes)| {
        let set: Value = serde_json::from_slice(&bytes).unwrap();
        let name = file.strip_suffix(".json").unwrap().to_owned();
        let groups = set["testGroups"].as_array().unwrap().clone();
        groups.into_iter().flat_map(move |group| signature_group(&name, &group))
    })
    .collect()
}

fn signature_group(name: &str, group: &Value) -> Vec<Case> {
    let bytes = |value: &Value| hex(value.as_str().unwrap());
    let key = &group["publicKey"];
    let rsa = || signature::rsa_jwk(&bytes(&key["modulus"]), &bytes(&key["publicExponent"]));
    let (algorithm, jwk) = match name {
        "rsa_signature_2048_sha256_test" => (Algorithm::Rs256, Some(rsa())),
        "rsa_pss_2048_sha256_mgf1_32_test" => (Algorithm::Ps256, Some(rsa())),
        "ecdsa_secp256r1_sha256_p1363_test" => {
            (Algorithm::Es256, Some(signature::ec_jwk("P-256", &bytes(&key["uncompressed"]))))
        }
        "ed25519_test" => (Algorithm::EdDsa, Some(signature::ed25519_jwk(&bytes(&key["pk"])))),
        "hmac_sha256_test" => (Algorithm::Hs256, None),
        other => panic!("nobody reads {other}"),
    };
    let cases = group["tests"].as_array().unwrap().iter().map(|test| {
        // Of a secret, every case has its own.
        let own = || signature::secret_jwk(&bytes(&test["key"]));
        let keys = published(&set(&jwk.clone().unwrap_or_else(own)));
        let tag = [&test["sig"], &test["tag"]].into_iter().find(|tag| tag.is_string()).unwrap();
        case(name, test, signature::verify(&keys, algorithm, &bytes(&test["msg"]), &bytes(tag)))
    });
    cases.collect()
}

fn case(name: &str, test: &Value, found: Found) -> Case {
    let expected = match test["result"].as_str().unwrap() {
        "valid" => Expected::Accept,
        "acceptable" => Expected::Either,
        "invalid" => Expected::Reject,
        other => panic!("{name}: the result is {other}"),
    };
    Case::new(format!("{name}:{}", test["tcId"]), expected, found)
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}
