//! What a provider is started with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use keystead::core::Algorithm;
use keystead::{Clock, SystemClock};

use super::fault::Order;
use crate::SigningKey;

/// Where `keystead idp serve` listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 8090);

/// Where the control endpoint of `keystead idp serve` listens unless told otherwise.
pub const DEFAULT_CONTROL: SocketAddr = SocketAddr::new(LOOPBACK, 8099);

/// The realm that `keystead idp serve` has unless told otherwise.
pub const DEFAULT_REALM: &str = "demo";

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The provider: where it listens, and its realms.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdpConfig {
    /// Where the provider listens; loopback only. Port 0, the default, lets the kernel choose.
    pub listen: SocketAddr,
    /// Where the control endpoint listens; loopback only. Default: there is none.
    pub control: Option<SocketAddr>,
    /// The realms, each an issuer of its own. At least one.
    pub realms: Vec<RealmConfig>,
    /// What tokens are dated by, and how long faults last. Default: the clocks of the operating
    /// system.
    pub clock: Arc<dyn Clock>,
    /// What it is spoken to over. Default: plain HTTP.
    pub transport: Transport,
    /// What it does wrong from its first request on. Default: nothing.
    pub script: Vec<Order>,
}

impl IdpConfig {
    /// A provider on a port of 127.0.0.1 that the kernel chooses, without realms and without a
    /// control endpoint.
    #[must_use]
    pub fn new() -> Self {
        Self {
            listen: SocketAddr::new(LOOPBACK, 0),
            control: None,
            realms: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            transport: Transport::PlainHttp,
            script: Vec::new(),
        }
    }

    /// Adds a realm: a name, or a [`RealmConfig`].
    #[must_use]
    pub fn realm(mut self, realm: impl Into<RealmConfig>) -> Self {
        self.realms.push(realm.into());
        self
    }

    /// Listens there.
    #[must_use]
    pub const fn listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }

    /// Has a control endpoint there.
    #[must_use]
    pub const fn control(mut self, control: SocketAddr) -> Self {
        self.control = Some(control);
        self
    }

    /// Has a control endpoint on a port of 127.0.0.1 that the kernel chooses.
    #[must_use]
    pub const fn with_control(self) -> Self {
        self.control(SocketAddr::new(LOOPBACK, 0))
    }

    /// Dates tokens by this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Serves over TLS, with a certificate of a CA that is made for it: see
    /// [`Idp::ca_pem`](super::Idp::ca_pem).
    #[must_use]
    pub const fn over_tls(mut self) -> Self {
        self.transport = Transport::Tls;
        self
    }

    /// Does this wrong from its first request on, one order after the other.
    #[must_use]
    pub fn script(mut self, orders: impl IntoIterator<Item = Order>) -> Self {
        self.script = orders.into_iter().collect();
        self
    }
}

impl Default for IdpConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What a provider is spoken to over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Transport {
    /// HTTP as it is.
    #[default]
    PlainHttp,
    /// HTTP over TLS. The certificate names `localhost`, 127.0.0.1 and `::1`.
    Tls,
}

/// One issuer of the provider.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RealmConfig {
    /// Its name in paths: letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
    pub name: String,
    /// Its issuer. Default: `http://ADDRESS/realms/NAME`, where it listens.
    pub issuer: Option<String>,
    /// What its keys sign with, the first being what tokens are signed with unless asked otherwise.
    /// Default: ES256.
    pub algorithms: Vec<Algorithm>,
    /// The keys it starts with, newest first. Default: a new one for each algorithm.
    pub keys: Vec<SigningKey>,
    /// Under which paths its metadata is served. Default: OIDC's.
    pub well_known: WellKnown,
    /// The `Cache-Control` of its JWK Set. Default: none.
    pub cache_control: Option<String>,
    /// Whether its JWK Set can be asked for conditionally. Default: it cannot.
    pub validator: Validator,
    /// What its metadata says. Default: the truth.
    pub metadata: Metadata,
}

impl RealmConfig {
    /// A realm with this name and the defaults.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            issuer: None,
            algorithms: vec![Algorithm::Es256],
            keys: Vec::new(),
            well_known: WellKnown::Oidc,
            cache_control: None,
            validator: Validator::Absent,
            metadata: Metadata::default(),
        }
    }

    /// Has this issuer, wherever it listens.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Has a key for each of these algorithms.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Starts with these keys, newest first, instead of new ones.
    #[must_use]
    pub fn keys(mut self, keys: impl IntoIterator<Item = SigningKey>) -> Self {
        self.keys = keys.into_iter().collect();
        self
    }

    /// Serves its metadata there.
    #[must_use]
    pub const fn well_known(mut self, well_known: WellKnown) -> Self {
        self.well_known = well_known;
        self
    }

    /// Serves its JWK Set with this `Cache-Control`.
    #[must_use]
    pub fn cache_control(mut self, value: impl Into<String>) -> Self {
        self.cache_control = Some(value.into());
        self
    }

    /// Serves its JWK Set with an `ETag`, and 304 to whoever has that body already.
    #[must_use]
    pub const fn with_etag(mut self) -> Self {
        self.validator = Validator::Etag;
        self
    }

    /// Says this in its metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

impl From<&str> for RealmConfig {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for RealmConfig {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// Whether a JWK Set can be asked for conditionally (RFC 9110 section 13).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Validator {
    /// It cannot: there is no validator.
    #[default]
    Absent,
    /// It has an `ETag`, a digest of the body.
    Etag,
}

/// Under which paths a realm's provider metadata is served; 404 under the others.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WellKnown {
    /// `/realms/NAME/.well-known/openid-configuration` (OIDC Discovery section 4).
    #[default]
    Oidc,
    /// `/.well-known/oauth-authorization-server/realms/NAME` (RFC 8414 section 3.1).
    Oauth,
    /// `/realms/NAME/.well-known/oauth-authorization-server`, which RFC 8414 does not have and some
    /// servers do.
    OauthAppended,
    /// As [`WellKnown::Oidc`] and as [`WellKnown::Oauth`].
    Both,
}

/// What a realm's provider metadata says when it does not say the truth.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Metadata {
    /// The `issuer` in the document. Default: the realm's.
    pub issuer: Option<String>,
    /// The `jwks_uri` in the document.
    pub jwks_uri: JwksUri,
    /// Answers with this status and an error instead of the document.
    pub status: Option<u16>,
}

impl Metadata {
    /// Says this `issuer`.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Says this `jwks_uri`.
    #[must_use]
    pub fn jwks_uri(mut self, uri: impl Into<String>) -> Self {
        self.jwks_uri = JwksUri::Other(uri.into());
        self
    }

    /// Has no `jwks_uri`.
    #[must_use]
    pub fn without_jwks_uri(mut self) -> Self {
        self.jwks_uri = JwksUri::Absent;
        self
    }

    /// Answers with this status and an error instead of the document.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

/// What a realm's provider metadata says about where its keys are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum JwksUri {
    /// Where they are.
    #[default]
    Own,
    /// Nothing.
    Absent,
    /// Something else, a URL or not.
    Other(String),
}
