//! The keys of one provider (RFC 7517 section 5): parsed one by one.

use core::fmt;
use std::sync::Arc;

use crate::json::{self, JsonError, Limits, Value};
use crate::jwk::{Jwk, KeyProblem, Provenance};

/// A JWK Set: its usable keys, and the unusable ones with the reason.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeySet {
    keys: Vec<Arc<Jwk>>,
    skipped: Vec<SkippedKey>,
}

/// A key that is published but cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "readers of key text outside this crate make them")]
pub struct SkippedKey {
    /// Its identifier, if it has a readable one.
    pub kid: Option<Box<str>>,
    /// Its type, if it has a readable one.
    pub kty: Option<Box<str>>,
    /// Why it cannot be used.
    pub why: KeyProblem,
}

/// Why a text is not a JWK Set at all.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeySetProblem {
    /// Not JSON.
    Json(JsonError),
    /// JSON, but without an array `keys`.
    NoKeysMember,
    /// More keys than are read.
    TooManyKeys {
        /// How many there are.
        found: usize,
        /// How many are read.
        limit: usize,
    },
}

impl fmt::Display for KeySetProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "not JSON ({error})"),
            Self::NoKeysMember => f.write_str("no JWK Set: it has no array \"keys\""),
            Self::TooManyKeys { found, limit } => {
                write!(f, "the set has {found} keys, the limit is {limit}")
            }
        }
    }
}

impl core::error::Error for KeySetProblem {}

impl KeySet {
    /// The set of these keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Jwk>) -> Self {
        Self { keys: keys.into_iter().map(Arc::new).collect(), skipped: Vec::new() }
    }

    /// Reads a JWK Set.
    ///
    /// A key that cannot be used is kept as a [`SkippedKey`] and never spoils the set.
    ///
    /// # Errors
    /// When the text is not a JWK Set, or holds more than `limit` keys.
    pub fn parse(
        bytes: &[u8],
        provenance: Provenance,
        limit: usize,
    ) -> Result<Self, KeySetProblem> {
        let document = json::parse(bytes, Limits::DOCUMENT).map_err(KeySetProblem::Json)?;
        let keys =
            document.member("keys").and_then(Value::elements).ok_or(KeySetProblem::NoKeysMember)?;
        let found = keys.clone().count();
        if found > limit {
            return Err(KeySetProblem::TooManyKeys { found, limit });
        }
        let mut set = Self::default();
        for key in keys {
            set.add(key, provenance);
        }
        Ok(set)
    }

    /// Reads a JWK, or a JWK Set (a document with a member `keys`).
    ///
    /// # Errors
    /// As [`KeySet::parse`].
    pub fn parse_either(
        bytes: &[u8],
        provenance: Provenance,
        limit: usize,
    ) -> Result<Self, KeySetProblem> {
        let document = json::parse(bytes, Limits::DOCUMENT).map_err(KeySetProblem::Json)?;
        if document.member("kty").is_none() {
            return Self::parse(bytes, provenance, limit);
        }
        let mut set = Self::default();
        set.add(document, provenance);
        Ok(set)
    }

    fn add(&mut self, value: Value<'_>, provenance: Provenance) {
        match Jwk::parse(value, provenance) {
            Ok(key) => self.keys.push(Arc::new(key)),
            Err(why) => {
                let read = |name| value.member(name).and_then(Value::as_str).map(Into::into);
                self.skipped.push(SkippedKey { kid: read("kid"), kty: read("kty"), why });
            }
        }
    }

    /// Adds a key.
    pub fn push(&mut self, key: Arc<Jwk>) {
        self.keys.push(key);
    }

    /// Adds a key that cannot be used.
    pub fn push_skipped(&mut self, key: SkippedKey) {
        self.skipped.push(key);
    }

    /// Adds every key of `other`.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.skipped.extend(other.skipped);
    }

    /// The usable keys, in the order in which they were written.
    #[must_use]
    pub fn keys(&self) -> &[Arc<Jwk>] {
        &self.keys
    }

    /// The unusable keys.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Whether the set holds no key at all, usable or not.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.skipped.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;
    use crate::json::JsonProblem;

    const SIGNING: &str = r#"{"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn parse(text: &str) -> Result<KeySet, KeySetProblem> {
        KeySet::parse(text.as_bytes(), Provenance::Network, 256)
    }

    fn set_of(keys: &[&str]) -> KeySet {
        parse(&format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap()
    }

    fn why(set: &KeySet) -> Vec<(Option<&str>, Option<&str>, &KeyProblem)> {
        set.skipped().iter().map(|s| (s.kid.as_deref(), s.kty.as_deref(), &s.why)).collect()
    }

    /// K12
    #[test]
    fn an_encryption_key_is_no_candidate_and_no_error() {
        let encryption =
            SIGNING.replace(r#""kid":"a""#, r#""kid":"e","use":"enc","alg":"RSA-OAEP""#);
        let set = set_of(&[&encryption, SIGNING]);
        assert_eq!(set.keys().len(), 1);
        assert_eq!(set.keys()[0].kid(), Some("a"));
        assert_eq!(why(&set), [(Some("e"), Some("OKP"), &KeyProblem::Use("enc".into()))]);
        assert!(set.skipped()[0].why.is_mismatch());
    }

    #[test]
    fn no_key_spoils_the_others() {
        use KeyProblem as P;

        let broken = [
            "1",
            "null",
            "[]",
            "{}",
            r#"{"kty":"AKP","alg":"ML-DSA-9000","pub":"AA","kid":"m"}"#,
            r#"{"kty":["RSA"],"kid":7}"#,
            r#"{"kty":"EC","kid":"d","kid":"d","crv":"P-256"}"#,
            r#"{"kty":"EC","meta":{"a":1,"a":2}}"#,
            r#"{"kty":"oct","k":"AAAA"}"#,
        ];
        let mut keys = Vec::from([SIGNING]);
        keys.extend(broken);
        keys.push(SIGNING);
        let set = set_of(&keys);
        assert_eq!(set.keys().len(), 2);
        assert_eq!(
            why(&set),
            [
                (None, None, &P::NotAnObject),
                (None, None, &P::NotAnObject),
                (None, None, &P::NotAnObject),
                (None, None, &P::MissingMember("kty")),
                (Some("m"), Some("AKP"), &P::UnsupportedAlgorithm("ML-DSA-9000".into())),
                (None, None, &P::MemberType("kid")),
                (Some("d"), Some("EC"), &P::DuplicateMember("kid".into())),
                (None, Some("EC"), &P::DuplicateMember("a".into())),
                (None, Some("oct"), &P::SecretFromNetwork),
            ]
        );
    }

    #[test]
    fn a_duplicate_beside_the_keys_does_not_hide_them() {
        let set = parse(&format!(r#"{{"meta":{{"a":1,"a":2}},"keys":[{SIGNING}]}}"#)).unwrap();
        assert_eq!(set.keys().len(), 1);
    }

    #[test]
    fn what_is_no_jwk_set_is_named() {
        let json = |text: &str| match parse(text) {
            Err(KeySetProblem::Json(error)) => error.problem,
            other => panic!("{text:?}: {other:?}"),
        };
        assert_eq!(json(""), JsonProblem::Syntax);
        assert_eq!(json("<html>"), JsonProblem::Syntax);
        assert_eq!(json(r#"{"keys":["#), JsonProblem::Syntax);
        assert_eq!(json(r#"{"keys":[],"keys":[]}"#), JsonProblem::DuplicateMember("keys".into()));
        for text in
            ["{}", "[]", "1", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"Keys":[]}"#, SIGNING]
        {
            assert_eq!(parse(text), Err(KeySetProblem::NoKeysMember), "{text}");
        }
        let not_text = KeySet::parse(b"{\"keys\":[\"\xff\"]}", Provenance::Network, 256);
        let problem = JsonError { problem: JsonProblem::Encoding, at: 10 };
        assert_eq!(not_text, Err(KeySetProblem::Json(problem)));
        for (problem, words) in [
            (not_text.unwrap_err(), "not JSON (not UTF-8 at byte 10)"),
            (KeySetProblem::NoKeysMember, "no JWK Set: it has no array \"keys\""),
            (
                KeySetProblem::TooManyKeys { found: 257, limit: 256 },
                "the set has 257 keys, the limit is 256",
            ),
        ] {
            assert_eq!(problem.to_string(), words);
        }
    }

    /// T22
    #[test]
    fn a_set_of_too_many_keys_is_refused_whole() {
        let text = |count: usize| format!(r#"{{"keys":[{}]}}"#, vec![SIGNING; count].join(","));
        assert_eq!(parse(&text(256)).unwrap().keys().len(), 256);
        assert_eq!(parse(&text(257)), Err(KeySetProblem::TooManyKeys { found: 257, limit: 256 }));
        assert!(parse(&text(0)).unwrap().is_empty());
    }

    #[test]
    fn one_key_is_read_where_a_set_or_a_key_may_stand() {
        let either = |text: &str| KeySet::parse_either(text.as_bytes(), Provenance::Operator, 256);
        assert_eq!(either(SIGNING).unwrap().keys().len(), 1);
        assert_eq!(
            either(&format!(r#"{{"keys":[{SIGNING}]}}"#)).unwrap(),
            either(SIGNING).unwrap()
        );
        let weak = either(r#"{"kty":"RSA","n":"AQ","e":"AQAB"}"#).unwrap();
        assert_eq!(why(&weak), [(None, Some("RSA"), &KeyProblem::RsaSize { bits: 1 })]);
        assert_eq!(either("{}"), Err(KeySetProblem::NoKeysMember));
        let secret = either(r#"{"kty":"oct","k":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"}"#);
        assert_eq!(secret.unwrap().keys()[0].fits(Algorithm::Hs256), Ok(()));
    }

    #[test]
    fn sets_are_united_in_order() {
        let first = set_of(&[SIGNING, "1"]);
        let mut united = set_of(&[&SIGNING.replace(r#""a""#, r#""b""#), "2"]);
        united.extend(first.clone());
        let kids: Vec<_> = united.keys().iter().filter_map(|key| key.kid()).collect();
        assert_eq!(kids, ["b", "a"]);
        assert_eq!(united.skipped().len(), 2);
        let mut built = KeySet::new(first.keys().iter().map(|key| Jwk::clone(key)));
        built.push_skipped(first.skipped()[0].clone());
        assert_eq!(built, first);
        built.push(Arc::clone(&first.keys()[0]));
        assert_eq!(built.keys().len(), 2);
        assert!(KeySet::default().is_empty());
        assert!(!set_of(&["1"]).is_empty());
    }
}
