//! The state that the handle, the documents and the control endpoint share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead::Clock;
use keystead::core::Algorithm;

use super::config::{IdpConfig, Metadata, Transport};
use super::error::IdpError;
use super::fault::{Hold, Ingredients, Order, Schedule};
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
    transport: Transport,
    realms: Mutex<BTreeMap<String, Realm>>,
    schedule: Mutex<Schedule>,
    /// The key that faulty sets have and no realm holds.
    stranger: SigningKey,
    pub(super) up: AtomicBool,
    pub(super) connections: AtomicU64,
}

impl Provider {
    pub(super) fn new(addr: SocketAddr, config: IdpConfig) -> Result<Self, IdpError> {
        if config.realms.is_empty() {
            return Err(IdpError::NoRealm);
        }
        let provider = Self {
            addr,
            clock: config.clock,
            transport: config.transport,
            realms: Mutex::new(BTreeMap::new()),
            schedule: Mutex::new(Schedule::default()),
            stranger: SigningKey::generate(Algorithm::Es256)?,
            up: AtomicBool::new(true),
            connections: AtomicU64::new(0),
        };
        for config in config.realms {
            let name = config.name.clone();
            let realm = Realm::new(config, &provider.base())?;
            if provider.realms().insert(name.clone(), realm).is_some() {
                return Err(IdpError::RealmTwice(name));
            }
        }
        provider.script(config.script)?;
        Ok(provider)
    }

    /// Scheme, host and port.
    pub(super) fn base(&self) -> String {
        let scheme = match self.transport {
            Transport::PlainHttp => "http",
            Transport::Tls => "https",
        };
        format!("{scheme}://{}", self.addr)
    }

    pub(super) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.wall()
    }

    /// The time of the schedule.
    pub(super) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(super) fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn order(&self, order: Order) -> Result<(), IdpError> {
        self.check(&order)?;
        self.schedule().order(order, self.monotonic())
    }

    pub(super) fn script(&self, orders: Vec<Order>) -> Result<(), IdpError> {
        for (number, order) in (1..).zip(&orders) {
            self.check(order)
                .map_err(|error| IdpError::Order(format!("order {number}: {error}")))?;
        }
        self.schedule().script(orders, self.monotonic())
    }

    /// Whether an order still keeps waiting whom it met.
    pub(super) fn holds(&self, hold: Hold) -> bool {
        self.schedule().holds(hold, self.monotonic())
    }

    fn check(&self, order: &Order) -> Result<(), IdpError> {
        if let Some(realm) = &order.realm {
            self.realm(realm, |_| ())?;
        }
        order.check(self.transport == Transport::Tls)
    }

    /// What faulty sets of this realm are made of.
    pub(super) fn ingredients(&self, name: &str) -> Ingredients {
        let realms = self.realms();
        let foreign = realms.iter().find(|(other, _)| *other != name);
        Ingredients {
            own: realms.get(name).map(Realm::jwks_keys).unwrap_or_default(),
            foreign: foreign.map(|(_, realm)| realm.jwks_keys()).unwrap_or_default(),
            stranger: self.stranger.jwk(),
        }
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
