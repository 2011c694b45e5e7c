//! A real OIDC provider on loopback: discovery, a JWK Set, tokens, and the things that happen to
//! providers (rotation, withdrawal, outage) on command.

mod client;
mod config;
mod control;
mod documents;
mod error;
mod mint_request;
mod provider;
mod realm;
mod server;

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
    WellKnown,
};
pub use error::IdpError;
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
        self.provider.realm(realm, |_| documents::discovery_url(self.addr(), realm))
    }

    /// Where the realm's JWK Set is served.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`].
    pub fn jwks_url(&self, realm: &str) -> Result<String, IdpError> {
        self.provider.realm(realm, |_| documents::jwks_url(self.addr(), realm))
    }

    /// The JWK Set that the realm publishes now.
    ///
    /// # Errors
    /// [`IdpError::UnknownRealm`].
    pub fn jwks(&self, realm: &str) -> Result<Value, IdpError> {
        self.provider.realm(realm, realm::Realm::jwks)
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
