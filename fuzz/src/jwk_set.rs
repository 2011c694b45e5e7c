//! A JWK Set: each key of it is prepared or has a reason, what is kept is the public part and
//! nothing else, and what was judged sound is sound.

use std::sync::Arc;

use keystead::core::json::{self, Limits};
use keystead::core::{
    Algorithm, Jwk, KeySet, KeySetProblem, Material, Provenance, PublishedKeys, PublishedSource,
    SourceFacts,
};
use keystead::{AwsLc, thumbprint};
use serde_json::Value;

use crate::oracle::{self, assert_printable};

/// How many keys a set may hold here: few enough that the fuzzer finds the limit.
const LIMIT: usize = 12;
/// The members that make a key what it is (RFC 7638 section 3.2, RFC 8037 section 2, RFC 9964).
const PUBLIC: [&str; 9] = ["alg", "crv", "e", "k", "kty", "n", "pub", "x", "y"];
/// The members without which a key is not private (RFC 7518 section 6, RFC 8037, RFC 9964).
const PRIVATE: [&str; 2] = ["d", "priv"];

pub fn check(data: &[u8]) {
    let network = read(data, Provenance::Network);
    let operator = read(data, Provenance::Operator);
    match (&network, &operator) {
        (Ok(network), Ok(operator)) => {
            let all = operator.keys();
            assert!(network.keys().iter().all(|key| all.contains(key)), "the network's alone");
            let secret = |key: &Arc<Jwk>| matches!(key.material(), Material::Oct { .. });
            assert!(!network.keys().iter().any(secret), "a secret that everybody can read");
            assert_eq!(all.iter().filter(|key| !secret(key)).count(), network.keys().len());
        }
        _ => assert_eq!(network, operator, "where it is from decides on keys only"),
    }
    if let Ok(set) = &operator {
        assert_counted(set, data);
        assert_prepared(set);
        set.keys().iter().for_each(|key| assert_sound(key));
        assert_private_part_seen(set, data);
    }
}

fn read(data: &[u8], provenance: Provenance) -> Result<KeySet, KeySetProblem> {
    let set = KeySet::parse(data, provenance, LIMIT);
    assert_eq!(set, KeySet::parse(data, provenance, LIMIT));
    let either = KeySet::parse_either(data, provenance, LIMIT);
    match &set {
        // A set that is a key as well is read as a key.
        Ok(_) if oracle::object(data).is_some_and(|set| set.contains_key("kty")) => {}
        Ok(set) => {
            assert_eq!(either.as_ref(), Ok(set));
            for skipped in set.skipped() {
                let why = skipped.why.to_string();
                assert!(!why.is_empty());
                assert_printable(&why);
            }
        }
        Err(problem) => assert_printable(&problem.to_string()),
    }
    set
}

/// No key is lost on the way, in the eyes of another reader.
fn assert_counted(set: &KeySet, data: &[u8]) {
    let members = oracle::object(data).expect("a set is a JSON object");
    let keys: Vec<&serde_json::value::RawValue> =
        serde_json::from_str(members["keys"].get()).expect("keys is an array");
    assert_eq!(set.keys().len() + set.skipped().len(), keys.len());
    assert!(keys.len() <= LIMIT);
}

/// Each key can verify under some algorithm, or it is told why not.
fn assert_prepared(set: &KeySet) {
    let source = PublishedSource::new(Arc::from("fuzz"), SourceFacts::memory(set.keys().len()));
    let live = PublishedKeys::prepare([(source, set)], &AwsLc, None);
    let (usable, skipped) = (live.keys().len(), live.skipped().len());
    assert_eq!(usable + skipped, set.keys().len() + set.skipped().len());
    for key in live.keys() {
        let fits: Vec<_> =
            Algorithm::ALL.into_iter().filter(|a| key.jwk().fits(*a).is_ok()).collect();
        assert!(fits.iter().any(|algorithm| key.verifier(*algorithm).is_ok()));
        for algorithm in Algorithm::ALL {
            if let Ok(verifier) = key.verifier(algorithm) {
                assert!(fits.contains(&algorithm), "{algorithm} does not fit");
                for nothing in [&[][..], &[0; 32], &[0; 64], &[0; 256]] {
                    assert!(!verifier.verify(b"message", nothing), "{algorithm}: not a signature");
                }
            }
        }
        let found: Vec<_> = live.candidates(key.jwk().kid()).collect();
        assert!(found.iter().any(|found| Arc::ptr_eq(found, key)), "it is a candidate");
    }
    let again = PublishedKeys::prepare(
        [(PublishedSource::new(Arc::from("fuzz"), SourceFacts::memory(0)), set)],
        &AwsLc,
        Some(&live),
    );
    assert_eq!(again.keys().len(), usable, "what was prepared stays so");
}

/// The demands on keys, said once more; and a key survives being written down and read again.
fn assert_sound(key: &Jwk) {
    match key.material() {
        Material::Rsa { n, e } => {
            let bits = n.len() * 8 - n[0].leading_zeros() as usize;
            assert!((2048..=8192).contains(&bits) && n[n.len() - 1] % 2 == 1, "{bits} bits");
            let exponent = e.iter().fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
            assert!(e.len() <= 5 && exponent >= 3 && exponent % 2 == 1 && exponent < 1 << 33);
        }
        Material::Ec { curve, x, y } => {
            assert_eq!((x.len(), y.len()), (curve.coordinate_len(), curve.coordinate_len()));
        }
        Material::Ed25519 { x } => {
            let mut y = *x;
            y[31] &= 0x7f;
            assert!(y[1..] != [0; 31] || y[0] > 1, "small order");
        }
        Material::Oct { k } => assert!(!k.is_empty()),
        _ => {}
    }
    let mut text: Value = serde_json::from_str(&key.thumbprint_input()).expect("it is JSON");
    let members = text.as_object_mut().expect("it is an object");
    assert!(members.keys().all(|name| PUBLIC.contains(&&**name)), "{members:?}");
    if let Some(kid) = key.kid() {
        members.insert("kid".to_owned(), kid.into());
    }
    if let Some(algorithm) = key.algorithm() {
        members.insert("alg".to_owned(), algorithm.name().into());
    }
    let text = text.to_string();
    let value = json::parse(text.as_bytes(), Limits::DOCUMENT).expect("it is JSON here too");
    let again = Jwk::parse(value, Provenance::Operator).expect("what was sound is sound");
    assert_eq!(again.material(), key.material());
    assert_eq!((again.kid(), again.algorithm()), (key.kid(), key.algorithm()));
    assert!(!again.private_part_seen());
    let print = thumbprint(key);
    assert_eq!(print, thumbprint(&again));
    let secret = matches!(key.material(), Material::Oct { .. });
    assert_eq!(print.map(|print| print.len()), (!secret).then_some(43));
}

/// Private members are seen and let go.
fn assert_private_part_seen(set: &KeySet, data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    let written = document["keys"].as_array().into_iter().flatten();
    if !set.skipped().is_empty() {
        return;
    }
    for (key, written) in set.keys().iter().zip(written) {
        let there = PRIVATE.iter().any(|name| written.get(name).is_some());
        assert_eq!(key.private_part_seen(), there && key.kty() != "oct", "{key:?}");
    }
}
