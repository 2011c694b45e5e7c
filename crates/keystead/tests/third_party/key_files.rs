//! Keys and key sets of others: each key read on its own, usable or passed over with a reason.

use std::path::Path;

use keystead::core::{Algorithm, Jwk, KeyProblem, KeySet, Provenance};
use serde_json::Value;

use crate::corpus::{Case, Expected, Found};
use crate::files;
use crate::signature::{published, word};

/// A folder of files that hold a JWK or a JWK Set each.
pub fn cases(folder: &Path) -> Vec<Case> {
    files(folder).iter().flat_map(|(file, bytes)| of_file(file, bytes)).collect()
}

/// One case per key of the file; a file that is no JWK Set is one case itself.
pub fn of_file(file: &str, bytes: &[u8]) -> Vec<Case> {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else {
        let found = match KeySet::parse_either(bytes, Provenance::Operator, 256) {
            Ok(_) => Found::Accepted,
            Err(problem) => Found::refused(format!("{problem:?}").split('(').next().unwrap()),
        };
        return vec![Case::new(file, Expected::Reject, found)];
    };
    let written = document["keys"].as_array().cloned().unwrap_or_else(|| vec![document.clone()]);
    let keys = KeySet::parse_either(bytes, Provenance::Operator, 256).unwrap();
    assert_eq!(keys.keys().len() + keys.skipped().len(), written.len(), "{file} loses a key");
    let cases = written.iter().enumerate().map(|(at, written)| {
        let found = found(file, written);
        Case::new(format!("{file}:{at}"), expected(written), found)
    });
    cases.collect()
}

/// What was written for signatures, of whatever kind, is expected to be usable: its `use` and `alg`
/// name no encryption, and its curve is none for key agreement.
fn expected(written: &Value) -> Expected {
    let of = |name: &str| written[name].as_str().unwrap_or_default();
    let encrypts = of("use") == "enc"
        || ["RSA-OAEP", "RSA1_5", "ECDH", "A128", "A192", "A256", "dir"]
            .iter()
            .any(|prefix| of("alg").starts_with(prefix))
        || ["X25519", "X448"].contains(&of("crv"));
    if encrypts { Expected::Reject } else { Expected::Accept }
}

/// What becomes of the key when the operator wrote it. From the network the same comes of it, but
/// for a secret.
fn found(file: &str, written: &Value) -> Found {
    let text = format!(r#"{{"keys":[{written}]}}"#);
    let read = |provenance| KeySet::parse(text.as_bytes(), provenance, 1).unwrap();
    let (operator, network) = (read(Provenance::Operator), read(Provenance::Network));
    if written["kty"] == "oct" {
        assert!(network.keys().is_empty(), "{file}: a secret from the network");
    } else {
        assert_eq!(network, operator, "{file}");
    }
    match (operator.keys(), operator.skipped()) {
        ([key], []) => prepared(file, &operator, key, written),
        ([], [skipped]) => Found::refused(word(&skipped.why)),
        _ => panic!("{file}: one key became several"),
    }
}

/// Whether the crypto library takes it for each algorithm that it fits, its own above all.
fn prepared(file: &str, keys: &KeySet, key: &Jwk, written: &Value) -> Found {
    assert_eq!(key.private_part_seen(), written.get("d").is_some(), "{file}");
    let own = written["alg"].as_str().map(|name| Algorithm::from_name(name).unwrap());
    assert_eq!(key.algorithm(), own, "{file}");
    let published = published(keys);
    let fitting: Vec<_> = Algorithm::ALL.into_iter().filter(|a| key.fits(*a).is_ok()).collect();
    assert!(!fitting.is_empty() && own.is_none_or(|own| fitting == [own]), "{file}: {fitting:?}");
    let problem = |algorithm: &Algorithm| match published.keys() {
        [key] => key.verifier(*algorithm).err(),
        _ => Some(KeyProblem::NotAnObject),
    };
    match fitting.iter().find_map(problem) {
        None => Found::Accepted,
        Some(why) => Found::refused(word(&why)),
    }
}
