//! JWK Sets that a provider should not publish.

use serde_json::{Map, Value, json};

use super::catalogue::Fault;
use crate::encoding::base64url;

/// The keys that a faulty set is made of.
#[derive(Debug)]
pub(in crate::idp) struct Ingredients {
    /// The realm's own, newest first.
    pub(in crate::idp) own: Vec<Value>,
    /// Those of another realm, or none.
    pub(in crate::idp) foreign: Vec<Value>,
    /// One that no realm has.
    pub(in crate::idp) stranger: Value,
}

/// The set as this fault makes it; the realm's own set when the fault is not about sets.
pub(super) fn set(fault: Fault, with: Ingredients, amount: u64, nth: u64) -> Value {
    let Ingredients { own, foreign, stranger } = with;
    let keys = match fault {
        Fault::EmptySet => Vec::new(),
        Fault::NoKeysMember => return json!({}),
        Fault::NoUsableKey => unusable(),
        Fault::OneBrokenKey => [vec![broken()], own].concat(),
        Fault::ForeignKeys if foreign.is_empty() => vec![stranger],
        Fault::ForeignKeys => foreign,
        Fault::DuplicateKids => twins(own, &stranger),
        Fault::ManyKeys => crowd(own, amount),
        Fault::PrivateKey => own.into_iter().map(betrayed).collect(),
        Fault::OnlyEncryptionKey => vec![for_encryption(stranger)],
        Fault::FlappingSet if nth.is_multiple_of(2) => {
            let rest = own.into_iter().skip(1);
            [stranger].into_iter().chain(rest).collect()
        }
        Fault::ReplacedSet => vec![stranger],
        _ => own,
    };
    json!({ "keys": keys })
}

fn unusable() -> Vec<Value> {
    vec![
        json!({"kty": "QKD", "kid": "unknown-type", "use": "sig", "alg": "QKD1"}),
        json!({"kty": "EC", "crv": "P-192", "kid": "unknown-curve", "x": made_up(1, 24),
            "y": made_up(2, 24)}),
        json!({"kty": "RSA", "kid": "too-short", "alg": "RS256", "n": modulus(3, 64), "e": "AQAB"}),
        json!({"kty": "oct", "kid": "shared-secret", "alg": "HS256", "k": made_up(4, 32)}),
    ]
}

fn broken() -> Value {
    json!({"kty": "RSA", "kid": "broken", "alg": "RS256", "use": "sig", "n": "!", "e": "AQAB"})
}

fn twins(own: Vec<Value>, stranger: &Value) -> Vec<Value> {
    let twin = |key: &Value| with(stranger.clone(), "kid", key.get("kid").cloned());
    own.into_iter().flat_map(|key| [twin(&key), key]).collect()
}

fn crowd(own: Vec<Value>, amount: u64) -> Vec<Value> {
    let own_keys = u64::try_from(own.len()).unwrap_or(u64::MAX);
    let fillers = (own_keys..amount).map(|number| {
        json!({"kty": "RSA", "kid": format!("filler-{number}"), "alg": "RS256", "use": "sig",
            "n": modulus(number, 256), "e": "AQAB"})
    });
    own.into_iter().chain(fillers).collect()
}

/// The key with the private members of its type (RFC 7518 section 6, RFC 8037), in their sizes.
fn betrayed(key: Value) -> Value {
    let private: &[(&str, usize)] = match key.get("kty").and_then(Value::as_str) {
        Some("RSA") => &[("d", 256), ("p", 128), ("q", 128), ("dp", 128), ("dq", 128), ("qi", 128)],
        Some("AKP") => &[("priv", 32)],
        _ => &[("d", 32)],
    };
    private
        .iter()
        .fold(key, |key, (name, length)| with(key, name, Some(made_up(5, *length).into())))
}

fn for_encryption(key: Value) -> Value {
    with(with(key, "use", Some("enc".into())), "alg", Some("ECDH-ES".into()))
}

fn with(mut key: Value, name: &str, value: Option<Value>) -> Value {
    if let Some(members) = key.as_object_mut() {
        replace(members, name, value);
    }
    key
}

fn replace(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
}

/// An odd number with its highest bit set, as a modulus is.
fn modulus(seed: u64, length: usize) -> String {
    let mut bytes = noise(seed, length);
    if let Some(first) = bytes.first_mut() {
        *first |= 0x80;
    }
    if let Some(last) = bytes.last_mut() {
        *last |= 1;
    }
    base64url(&bytes)
}

fn made_up(seed: u64, length: usize) -> String {
    base64url(&noise(seed, length))
}

/// Bytes that look like nothing in particular, the same for the same seed: splitmix64.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    });
    words.flatten().take(length).collect()
}
