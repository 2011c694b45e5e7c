//! The keys of one provider (RFC 7517 section 5): parsed one by one.

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
