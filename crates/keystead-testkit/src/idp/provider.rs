//! The state that the handle, the documents and the control endpoint share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead::Clock;
use keystead::core::Algorithm;

use super::config::{Metadata, RealmConfig};
use super::error::IdpError;
use super::realm::{Realm, check_metadata, check_public, new_keys};
use crate::{SigningKey, Token};

/// Whom tokens are about unless told otherwise.
const DEFAULT_SUBJECT: &str = "alice";

/// How long tokens last unless told otherwise.
const DEFAULT_TTL: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct Provider {
    addr: SocketAddr,
    clock: Arc<dyn Clock>,
    realms: Mutex<BTreeMap<String, Realm>>,
    pub(super) up: AtomicBool,
    pub(super) connections: AtomicU64,
}

impl Provider {
    pub(super) fn new(
        addr: SocketAddr,
        clock: Arc<dyn Clock>,
        configs: Vec<RealmConfig>,
    ) -> Result<Self, IdpError> {
        if configs.is_empty() {
            return Err(IdpError::NoRealm);
        }
        let mut realms = BTreeMap::new();
        for config in configs {
            let name = config.name.clone();
            let realm = Realm::new(config, &format!("http://{addr}"))?;
            if realms.insert(name.clone(), realm).is_some() {
                return Err(IdpError::RealmTwice(name));
            }
        }
        Ok(Self {
            addr,
            clock,
            realms: Mutex::new(realms),
            up: AtomicBool::new(true),
            connections: AtomicU64::new(0),
        })
    }

    pub(super) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.wall()
    }

    pub(super) fn realm_names(&self) -> Vec<String> {
        self.realms().keys().cloned().collect()
    }

    /// The realm that is meant when none is named: the only one.
    pub(super) fn only_realm(&self) -> Result<String, IdpError> {
        let mut names = self.realm_names();
        match (names.pop(), names.is_empty()) {
            (Some(name), true) => Ok(name),
            _ => Err(IdpError::WhichRealm(self.realm_names())),
        }
    }

    /// Looks at one realm.
    pub(super) fn realm<T>(
        &self,
        name: &str,
        look: impl FnOnce(&Realm) -> T,
    ) -> Result<T, IdpError> {
        self.change(name, |realm| look(realm))
    }

    /// Changes one realm.
    pub(super) fn change<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Realm) -> T,
    ) -> Result<T, IdpError> {
        let mut realms = self.realms();
        if let Some(realm) = realms.get_mut(name) {
            return Ok(change(realm));
        }
        let known = realms.keys().cloned().collect();
        Err(IdpError::UnknownRealm { asked: name.to_owned(), known })
    }

    pub(super) fn mint(
        &self,
        name: &str,
        algorithm: Option<Algorithm>,
        token: Token,
    ) -> Result<String, IdpError> {
        let (issuer, key) = self
            .realm(name, |realm| (realm.issuer.clone(), realm.signing_key(algorithm).cloned()))?;
        let key =
            key.ok_or_else(|| IdpError::NoSigningKey { realm: name.to_owned(), algorithm })?;
        if !token.has("aud") && !token.leaves_out("aud") {
            return Err(IdpError::NoAudience);
        }
        let now = self.now();
        let token = token
            .default_claim("iss", issuer)
            .default_claim("sub", DEFAULT_SUBJECT)
            .default_claim("iat", now.as_secs())
            .default_claim("exp", now.saturating_add(DEFAULT_TTL).as_secs())
            .sign(&key)?;
        Ok(token)
    }

    pub(super) fn rotate(&self, name: &str) -> Result<String, IdpError> {
        self.renew(name, |realm, keys| {
            realm.keys.splice(..0, keys);
        })
    }

    pub(super) fn recreate(&self, name: &str) -> Result<String, IdpError> {
        self.renew(name, |realm, keys| realm.keys = keys)
    }

    pub(super) fn rotate_to(&self, name: &str, key: SigningKey) -> Result<(), IdpError> {
        check_public(key.algorithm())?;
        self.change(name, |realm| realm.keys.insert(0, key))
    }

    pub(super) fn withdraw(&self, name: &str, kid: &str) -> Result<(), IdpError> {
        self.change(name, |realm| {
            let before = realm.keys.len();
            realm.keys.retain(|key| key.kid() != Some(kid));
            if realm.keys.len() == before {
                return Err(IdpError::UnknownKid { asked: kid.to_owned(), known: realm.kids() });
            }
            Ok(())
        })?
    }

    pub(super) fn set_metadata(&self, name: &str, metadata: Metadata) -> Result<(), IdpError> {
        check_metadata(&metadata)?;
        self.change(name, |realm| realm.metadata = metadata)
    }

    /// Installs new keys; they are made outside of the lock, which documents are served under.
    fn renew(
        &self,
        name: &str,
        install: impl FnOnce(&mut Realm, Vec<SigningKey>),
    ) -> Result<String, IdpError> {
        let algorithms = self.realm(name, |realm| realm.algorithms.clone())?;
        let keys = new_keys(&algorithms)?;
        let kid = keys.first().and_then(SigningKey::kid).map(ToOwned::to_owned);
        self.change(name, |realm| install(realm, keys))?;
        kid.ok_or_else(|| IdpError::NoSigningKey { realm: name.to_owned(), algorithm: None })
    }

    fn realms(&self) -> MutexGuard<'_, BTreeMap<String, Realm>> {
        self.realms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
