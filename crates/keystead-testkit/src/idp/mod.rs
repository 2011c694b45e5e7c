//! A real OIDC provider on loopback: discovery, a JWK Set, tokens, and the things that happen to
//! providers (rotation, withdrawal, outage, and every fault of [`Fault::ALL`]) on command.

mod client;
mod config;
mod connections;
mod control;
mod documents;
mod error;
mod fault;
mod http_date;
mod mint_request;
mod provider;
mod realm;
mod server;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use keystead::core::Algorithm;
use serde_json::Value;

pub use client::{ControlClient, ControlError};
pub use config::{
    DEFAULT_CONTROL, DEFAULT_LISTEN, DEFAULT_REALM, IdpConfig, JwksUri, Metadata, RealmConfig,
    Transport, Validator, WellKnown,
};
pub use error::IdpError;
pub use fault::{Act, Amount, CannedAnswer, Documents, Extent, Fault, Order, ScriptError};
pub use mint_request::MintRequest;
pub use realm::Requests;

use crate::{SigningKey, Token};
use provider::Provider;
use server::Commands;

/// A running provider. It has a thread and a runtime of its own, so that blocking and async tests
/// can use it alike; dropping it closes its ports.
///
/// ```
/// use keystead_testkit::Token;
/// use keystead_testkit::idp::{Idp, IdpConfig};
///
/// let idp = Idp::start(IdpConfig::new().realm("akko"))?;
/// assert_eq!(idp.issuer("akko")?, format!("http://{}/realms/akko", idp.addr()));
/// let token = idp.mint("akko", Token::new().audience("catalog").claim("scope", "read"))?;
/// let new_kid = idp.rotate("akko")?;
/// assert_eq!(idp.kids("akko")?.first(), Some(&new_kid));
/// idp.down()?;
/// idp.up()?;
/// # assert_eq!(token.split('.').count(), 3);
/// # Ok::<(), keystead_testkit::idp::IdpError>(())
/// ```
#[derive(Debug)]
pub struct Idp {
    provider: Arc<Provider>,
    control: Option<SocketAddr>,
    ca: Option<String>,
    commands: Commands,
    thread: Option<JoinHandle<()>>,
}

impl Idp {
    /// Makes the keys, opens the ports and answers from then on.
    ///
    /// # Errors
    /// An address that is not loopback or not free; a realm without a usable name, or named twice; a
    /// setting that does not fit into HTTP; a shared secret among the keys; a key that could not be
    /// made.
    pub fn start(config: IdpConfig) -> Result<Self, IdpError> {
        let started = server::start(config)?;
        Ok(Self {
            provider: started.provider,
            control: started.control,
            ca: started.ca,
            commands: started.commands,
            thread: Some(started.thread),
        })
    }

    /// Where the provider listens (or, while it is down, listened and will listen again).
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.provider.addr()
    }

    /// Where the control endpoint listens, if one was asked for.
    #[must_use]
    pub const fn control_addr(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The names of the realms, in order.
    #[must_use]
    pub fn realms(&self) -> Vec<String> {
        self.provider.realm_names()
    }

    /// The realm's issuer: what its tokens have as `iss`.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`].
    pub fn issuer(&self, realm: &str) -> Result<String, IdpError> {
        self.provider.realm(realm, |realm| realm.issuer.clone())
    }

    /// Where the realm's `openid-configuration` is served, whatever its issuer says.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`].
    pub fn discovery_url(&self, realm: &str) -> Result<String, IdpError> {
        self.provider.realm(realm, |_| documents::discovery_url(&self.provider.base(), realm))
    }

    /// Where the realm's JWK Set is served.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`].
    pub fn jwks_url(&self, realm: &str) -> Result<String, IdpError> {
        self.provider.realm(realm, |_| documents::jwks_url(&self.provider.base(), realm))
    }

    /// The JWK Set that the realm publishes now.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`].
    pub fn jwks(&self, realm: &str) -> Result<Value, IdpError> {
        self.provider.realm(realm, realm::Realm::jwks)
    }

    /// The provider metadata that the realm publishes now.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`].
    pub fn discovery(&self, realm: &str) -> Result<Value, IdpError> {
        let base = self.provider.base();
        let look = |found: &realm::Realm| documents::metadata_document(found, &base, realm);
        self.provider.realm(realm, look)
    }

    /// The kids of the published keys, newest first.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`].
    pub fn kids(&self, realm: &str) -> Result<Vec<String>, IdpError> {
        self.provider.realm(realm, realm::Realm::kids)
    }

    /// Signs a token with the realm's newest key.
    ///
    /// What the token neither sets nor leaves out ([`Token::without`]) is filled in: `iss` is the
    /// realm's issuer, `sub` is `alice`, `iat` is now, `exp` is 300 s from now, by the configured
    /// clock. The audience has to be said.
    ///
    /// # Errors
    /// [`IdpError::NoAudience`], [`IdpError::NoSigningKey`] when every key was withdrawn,
    /// [`IdpError::UnknownRealm`], or what [`Token::sign`] says.
    pub fn mint(&self, realm: &str, token: Token) -> Result<String, IdpError> {
        self.provider.mint(realm, None, token)
    }

    /// Signs a token as [`Idp::mint`] does, with the realm's newest key for `algorithm`.
    ///
    /// # Errors
    /// As [`Idp::mint`].
    pub fn mint_as(
        &self,
        realm: &str,
        algorithm: Algorithm,
        token: Token,
    ) -> Result<String, IdpError> {
        self.provider.mint(realm, Some(algorithm), token)
    }

    /// Puts a new key in front of the old ones, one for each of the realm's algorithms; the old ones
    /// stay published. Returns the kid that [`Idp::mint`] signs with from now on.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`], or that a key could not be made.
    pub fn rotate(&self, realm: &str) -> Result<String, IdpError> {
        self.provider.rotate(realm)
    }

    /// Puts this key in front of the old ones, which stay published.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`], or [`IdpError::SharedSecret`].
    pub fn rotate_to(&self, realm: &str, key: SigningKey) -> Result<(), IdpError> {
        self.provider.rotate_to(realm, key)
    }

    /// Takes the keys with this kid out of the JWK Set and signs with the newest that remains.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`], [`IdpError::UnknownKid`].
    pub fn withdraw(&self, realm: &str, kid: &str) -> Result<(), IdpError> {
        self.provider.withdraw(realm, kid)
    }

    /// Replaces every key, as a realm does that is deleted and created again. Returns the kid that
    /// [`Idp::mint`] signs with from now on.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`], or that a key could not be made.
    pub fn recreate(&self, realm: &str) -> Result<String, IdpError> {
        self.provider.recreate(realm)
    }

    /// Changes what the realm's provider metadata says, from the next request on.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`], or [`IdpError::Status`] for a number that is no HTTP status.
    pub fn set_metadata(&self, realm: &str, metadata: Metadata) -> Result<(), IdpError> {
        self.provider.set_metadata(realm, metadata)
    }

    /// Closes the port and every connection; whoever connects is refused. The port is kept for
    /// [`Idp::up`], and the control endpoint stays. Does nothing when the provider is down already.
    ///
    /// # Errors
    /// [`IdpError::Stopped`] when the provider's thread has ended.
    pub fn down(&self) -> Result<(), IdpError> {
        self.commands.down()
    }

    /// Listens again on the same port. Does nothing when the provider is up already.
    ///
    /// # Errors
    /// [`IdpError::Bind`] when somebody else listens there, [`IdpError::Stopped`].
    pub fn up(&self) -> Result<(), IdpError> {
        self.commands.up()
    }

    /// Misbehaves in this way from now on: a [`Fault`], or an [`Order`] that says more. It comes before
    /// earlier orders, and replaces those that are about nothing else than it is.
    ///
    /// # Errors
    /// [`IdpError::Order`] for what makes no sense or needs TLS, [`IdpError::UnknownRealm`],
    /// [`IdpError::Stopped`].
    pub fn fault(&self, order: impl Into<Order>) -> Result<(), IdpError> {
        self.provider.order(order.into())?;
        self.commands.settle()
    }

    /// Misbehaves in these ways one after the other, and forgets every earlier order. An order begins
    /// when nothing before it is left that is about the same requests.
    ///
    /// # Errors
    /// As [`Idp::fault`].
    pub fn script(&self, orders: impl IntoIterator<Item = Order>) -> Result<(), IdpError> {
        self.provider.script(orders.into_iter().collect())?;
        self.commands.settle()
    }

    /// Behaves from now on: forgets every order, and listens again if it does not.
    ///
    /// # Errors
    /// [`IdpError::Bind`] when somebody else listens there, [`IdpError::Stopped`].
    pub fn heal(&self) -> Result<(), IdpError> {
        self.commands.heal()
    }

    /// The orders that are not over, those that come first being first.
    #[must_use]
    pub fn orders(&self) -> Vec<Order> {
        let orders = self.provider.schedule().orders(self.provider.monotonic());
        orders.into_iter().map(|(order, ..)| order).collect()
    }

    /// How many requests met this fault; `other` counts connections.
    #[must_use]
    pub fn served(&self, fault: Fault) -> Requests {
        self.provider.schedule().served(fault)
    }

    /// The certificate of the CA that its certificate is of, in PEM, when it serves over TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Whether the provider listens.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.provider.up.load(Ordering::SeqCst)
    }

    /// How many requests the realm has answered, whatever the answer.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`].
    pub fn requests(&self, realm: &str) -> Result<Requests, IdpError> {
        self.provider.realm(realm, |realm| realm.requests)
    }

    /// How many connections the provider has accepted, with or without a request.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.provider.connections.load(Ordering::SeqCst)
    }

    /// The wall time of the provider's clock, since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.provider.now()
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.commands.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has closed its ports all the same.
            let _ended = thread.join();
        }
    }
}
