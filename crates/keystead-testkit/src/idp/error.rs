//! Why the provider did not start, or did not do what it was told.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use keystead::core::Algorithm;
use keystead::core::text::quoted;

use crate::MintError;

/// Why the provider did not start, or did not do what it was told.
#[derive(Debug)]
#[non_exhaustive]
pub enum IdpError {
    /// The provider and its control endpoint are for loopback only.
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    Bind {
        /// Which.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The provider's thread or runtime could not be started.
    Thread(io::Error),
    /// The provider's thread has ended.
    Stopped,
    /// No realm was configured.
    NoRealm,
    /// A name that cannot stand in a path.
    RealmName(String),
    /// A name that appears twice.
    RealmTwice(String),
    /// A realm without algorithms and without keys.
    NoAlgorithm(String),
    /// A `Cache-Control` that cannot stand in a header.
    CacheControl(String),
    /// A number that is no HTTP status.
    Status(u16),
    /// A JWK Set must not hold a shared secret.
    SharedSecret(Algorithm),
    /// No realm has this name.
    UnknownRealm {
        /// What was asked.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// There are several realms and none was named.
    WhichRealm(Vec<String>),
    /// The realm publishes no key with this kid.
    UnknownKid {
        /// What was asked.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The realm has no key (for this algorithm) to sign with.
    NoSigningKey {
        /// Which realm.
        realm: String,
        /// For which algorithm, when one was asked.
        algorithm: Option<Algorithm>,
    },
    /// A token without an audience was asked for, and it was not said that it shall have none.
    NoAudience,
    /// An order to misbehave that makes no sense.
    Order(String),
    /// No fault has this name.
    UnknownFault(String),
    /// The certificates for TLS could not be made.
    Tls(String),
    /// A request to the control endpoint that cannot be understood.
    BadRequest(String),
    /// A key or a token could not be made.
    Mint(MintError),
}

impl IdpError {
    /// The error in one stable word, as the control endpoint says it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotLoopback(_) => "not_loopback",
            Self::Bind { .. } => "bind",
            Self::Thread(_) => "thread",
            Self::Stopped => "stopped",
            Self::NoRealm => "no_realm",
            Self::RealmName(_) => "realm_name",
            Self::RealmTwice(_) => "realm_twice",
            Self::NoAlgorithm(_) => "no_algorithm",
            Self::CacheControl(_) => "cache_control",
            Self::Status(_) => "status",
            Self::SharedSecret(_) => "shared_secret",
            Self::UnknownRealm { .. } => "unknown_realm",
            Self::WhichRealm(_) => "which_realm",
            Self::UnknownKid { .. } => "unknown_kid",
            Self::NoSigningKey { .. } => "no_signing_key",
            Self::NoAudience => "no_audience",
            Self::Order(_) => "order",
            Self::UnknownFault(_) => "unknown_fault",
            Self::Tls(_) => "tls",
            Self::BadRequest(_) => "bad_request",
            Self::Mint(_) => "mint",
        }
    }

    /// Whether asking differently would help, as opposed to something failing in here.
    pub(crate) const fn is_askers(&self) -> bool {
        !matches!(
            self,
            Self::Bind { .. }
                | Self::Thread(_)
                | Self::Stopped
                | Self::Tls(_)
                | Self::Mint(MintError::Generate(_) | MintError::Sign(_))
        )
    }
}

impl fmt::Display for IdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(addr) => {
                write!(f, "{addr} is not a loopback address; this provider is for tests only")
            }
            Self::Bind { addr, source } => write!(f, "cannot listen on {addr}: {source}"),
            Self::Thread(source) => write!(f, "the provider cannot be started: {source}"),
            Self::Stopped => f.write_str("the provider has stopped"),
            Self::NoRealm => f.write_str("the provider has no realm"),
            Self::RealmName(name) => write!(
                f,
                "{} is not a realm name: letters, digits, \"-\", \"_\" and \".\", beginning with a \
                 letter or digit",
                quoted(name)
            ),
            Self::RealmTwice(name) => write!(f, "there are two realms {}", quoted(name)),
            Self::NoAlgorithm(name) => {
                write!(f, "realm {} has neither algorithms nor keys", quoted(name))
            }
            Self::CacheControl(value) => {
                write!(f, "{} cannot stand in a Cache-Control header", quoted(value))
            }
            Self::Status(status) => write!(f, "{status} is not an HTTP status"),
            Self::SharedSecret(algorithm) => write!(
                f,
                "a shared secret for {algorithm} cannot be published in a JWK Set; sign with it \
                 directly"
            ),
            Self::UnknownRealm { asked, known } => {
                write!(f, "there is no realm {}; there is {}", quoted(asked), listed(known))
            }
            Self::WhichRealm(known) => {
                write!(f, "there are several realms, name one of them: {}", listed(known))
            }
            Self::UnknownKid { asked, known } => {
                write!(f, "no published key has the kid {}; ", quoted(asked))?;
                write!(f, "the kids are {}", listed(known))
            }
            Self::NoSigningKey { realm, algorithm: Some(algorithm) } => {
                write!(f, "realm {} has no key for {algorithm}", quoted(realm))
            }
            Self::NoSigningKey { realm, algorithm: None } => {
                write!(f, "realm {} has no key left to sign with", quoted(realm))
            }
            Self::NoAudience => f.write_str("the token needs an audience"),
            Self::UnknownFault(name) => {
                write!(f, "there is no fault {}; keystead idp faults lists them", quoted(name))
            }
            Self::Tls(what) => write!(f, "the certificates cannot be made: {what}"),
            Self::Order(what) | Self::BadRequest(what) => f.write_str(what),
            Self::Mint(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for IdpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::Thread(source) => Some(source),
            Self::Mint(error) => Some(error),
            _ => None,
        }
    }
}

impl From<MintError> for IdpError {
    fn from(error: MintError) -> Self {
        Self::Mint(error)
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| quoted(name).to_string()).collect();
    names.join(", ")
}
