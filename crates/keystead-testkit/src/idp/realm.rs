//! One issuer: its keys, and what was asked of it.

use http::{HeaderValue, StatusCode};
use keystead::core::{Algorithm, Family};
use serde_json::{Value, json};

use super::config::{Metadata, RealmConfig, Validator, WellKnown};
use super::error::IdpError;
use crate::{MintError, SigningKey};

/// How many requests a realm has answered, whatever the answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Requests {
    /// For its provider metadata, under any of the well-known paths.
    pub discovery: u64,
    /// For its JWK Set.
    pub jwks: u64,
    /// For anything else under its path.
    pub other: u64,
    /// How many of all these were conditional (`If-None-Match`).
    pub conditional: u64,
}

#[derive(Debug)]
pub(super) struct Realm {
    pub(super) issuer: String,
    pub(super) algorithms: Vec<Algorithm>,
    /// What is published, newest first.
    pub(super) keys: Vec<SigningKey>,
    pub(super) well_known: WellKnown,
    pub(super) cache_control: Option<HeaderValue>,
    pub(super) validator: Validator,
    pub(super) metadata: Metadata,
    pub(super) requests: Requests,
}

impl Realm {
    /// The realm as configured, with `base` (scheme, host and port) in front of its default issuer.
    pub(super) fn new(config: RealmConfig, base: &str) -> Result<Self, IdpError> {
        let name = config.name;
        if !is_realm_name(&name) {
            return Err(IdpError::RealmName(name));
        }
        if config.algorithms.is_empty() && config.keys.is_empty() {
            return Err(IdpError::NoAlgorithm(name));
        }
        check_metadata(&config.metadata)?;
        for key in &config.keys {
            check_public(key.algorithm())?;
        }
        let algorithms = if config.algorithms.is_empty() {
            config.keys.iter().map(SigningKey::algorithm).collect()
        } else {
            config.algorithms
        };
        let keys = if config.keys.is_empty() { new_keys(&algorithms)? } else { config.keys };
        let cache_control = match config.cache_control {
            None => None,
            Some(value) => Some(
                HeaderValue::from_str(&value).map_err(|_| IdpError::CacheControl(value.clone()))?,
            ),
        };
        Ok(Self {
            issuer: config.issuer.unwrap_or_else(|| format!("{base}/realms/{name}")),
            algorithms,
            keys,
            well_known: config.well_known,
            cache_control,
            validator: config.validator,
            metadata: config.metadata,
            requests: Requests::default(),
        })
    }

    pub(super) fn jwks(&self) -> Value {
        json!({ "keys": self.jwks_keys() })
    }

    pub(super) fn jwks_keys(&self) -> Vec<Value> {
        self.keys.iter().map(SigningKey::jwk).collect()
    }

    pub(super) fn kids(&self) -> Vec<String> {
        self.keys.iter().filter_map(SigningKey::kid).map(ToOwned::to_owned).collect()
    }

    /// The newest key, or the newest for this algorithm.
    pub(super) fn signing_key(&self, algorithm: Option<Algorithm>) -> Option<&SigningKey> {
        self.keys.iter().find(|key| algorithm.is_none_or(|asked| key.algorithm() == asked))
    }
}

/// One new key for each algorithm, in their order.
pub(super) fn new_keys(algorithms: &[Algorithm]) -> Result<Vec<SigningKey>, IdpError> {
    for algorithm in algorithms {
        check_public(*algorithm)?;
    }
    let keys: Result<_, MintError> = algorithms.iter().map(|a| SigningKey::generate(*a)).collect();
    Ok(keys?)
}

pub(super) fn check_public(algorithm: Algorithm) -> Result<(), IdpError> {
    match algorithm.family() {
        Family::Hmac { .. } => Err(IdpError::SharedSecret(algorithm)),
        _ => Ok(()),
    }
}

pub(super) fn check_metadata(metadata: &Metadata) -> Result<(), IdpError> {
    match metadata.status {
        // Below 200 hyper would wait for the real answer.
        Some(status) if status < 200 || StatusCode::from_u16(status).is_err() => {
            Err(IdpError::Status(status))
        }
        _ => Ok(()),
    }
}

fn is_realm_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
