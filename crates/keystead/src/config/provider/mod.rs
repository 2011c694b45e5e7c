//! One provider: its policy, where its keys come from, and whether it takes part at all.

mod build;
mod checks;
mod judge;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keystead_core::{DisabledWhy, KeySet, Policy};
use url::Url;

use super::error::{Origin, Problem, Scope, Wrong};
use super::layers::provider_path;
use super::value::shown;
use crate::http::FetchRules;
use crate::source::KeySource;

pub(super) use read::{read, read_defaults};

/// One provider, as configured.
///
/// From a file, variables and flags through [`Config::load`](super::Config::load), or in code:
/// [`ProviderConfig::new`] and the methods that follow it. They never fail; a value that is wrong
/// disables this provider alone, as `misconfigured`, with the reason.
///
/// ```
/// use keystead::config::{Config, ProviderConfig, Standing};
///
/// let config = Config::of([
///     ProviderConfig::new("keycloak", "https://keycloak.acme.example/realms/akko")
///         .audiences(["catalog-manager"])
///         .jwks_url("http://akko-keycloak:8080/realms/akko/protocol/openid-connect/certs"),
///     ProviderConfig::new("portal", "https://portal.acme.example")
///         .audiences(["catalog-manager"])
///         .jwks_url("abc"),
/// ]);
/// assert_eq!(config.providers[0].standing, Standing::Enabled);
/// let Standing::Disabled { reason, .. } = &config.providers[1].standing else { panic!() };
/// assert_eq!(reason, r#"jwks_url: "abc" is not an absolute URL (missing https://)"#);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProviderConfig {
    /// Its name, by which everything that is shown speaks of it.
    pub name: String,
    /// Whether it takes part. Final once a [`Config`](super::Config) holds it.
    pub standing: Standing,
    /// What its tokens must look like.
    pub policy: Policy,
    /// Where its keys come from. Discovery joins them once a [`Config`](super::Config) holds it.
    pub sources: Vec<SourceConfig>,
    /// How often its network sources are asked. Default: 5 min.
    pub refresh_interval: Duration,
    /// How long keys are used after the last successful fetch; none: for ever. Default: 24 h.
    pub max_stale: Option<Duration>,
    /// How long a key that its provider removed is still accepted. Default: not at all.
    pub removed_key_grace: Duration,
    /// How long a token with an unknown `kid` waits for the provider to be asked. Default: 1 s.
    pub unknown_kid_wait: Duration,
    /// How long after a fetch for an unknown `kid` there is no other, unless it found its key.
    /// Default: 30 s.
    pub unknown_kid_cooldown: Duration,
    /// Keys that are never used, by their thumbprints (RFC 7638, SHA-256).
    pub distrusted_keys: Vec<String>,
    /// Its network rules.
    pub rules: FetchRules,
    draft: Draft,
    problems: Vec<Problem>,
}

/// Whether a provider takes part.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Standing {
    /// It does.
    Enabled,
    /// It does not.
    Disabled {
        /// The reason in one word.
        why: DisabledWhy,
        /// The reason in one sentence.
        reason: String,
    },
}

/// One place that keys come from.
#[derive(Clone)]
#[non_exhaustive]
pub enum SourceConfig {
    /// Keys that are written in the configuration.
    Inline {
        /// The keys.
        keys: KeySet,
        /// The setting they are written in.
        setting: String,
    },
    /// A file with PEM, a JWK or a JWK Set.
    File {
        /// The file.
        path: PathBuf,
    },
    /// A JWK Set on the network.
    JwksUrl {
        /// Its address.
        url: Url,
    },
    /// Provider metadata on the network, which names a JWK Set.
    Discovery {
        /// Where the document is.
        address: DiscoveryAddress,
        /// What becomes of the origin of its `jwks_uri`.
        endpoint_origin: EndpointOrigin,
    },
    /// Keys that the host program holds.
    InProcess(Arc<dyn KeySource>),
}

/// Where a provider's metadata document is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DiscoveryAddress {
    /// At the well-known places of this issuer URL.
    FromIssuer(Url),
    /// At exactly this URL.
    Written(Url),
}

/// What becomes of the scheme, host and port of the `jwks_uri` in a metadata document.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum EndpointOrigin {
    /// They stay as the document says.
    #[default]
    Document,
    /// They are replaced by those that the document was fetched from.
    Discovery,
}

/// What is written but has no meaning until everything is there.
#[derive(Clone, Debug)]
struct Draft {
    /// Where the provider's name stands.
    named_at: Origin,
    /// Where each of its settings stands.
    at: BTreeMap<&'static str, Origin>,
    switched_off: bool,
    audiences_written: bool,
    discovery: DiscoveryMode,
    discovery_url: Option<Url>,
    endpoint_origin: EndpointOrigin,
    judged: bool,
}

/// Whether keys are discovered from the issuer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum DiscoveryMode {
    /// When no place of keys is written.
    #[default]
    Auto,
    Issuer,
    Off,
}

impl ProviderConfig {
    /// Whether it takes part.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        matches!(self.standing, Standing::Enabled)
    }

    /// The mistakes in it.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The path of one of its settings.
    fn path(&self, setting: &str) -> String {
        let path = provider_path(&self.name);
        if setting.is_empty() { path } else { format!("{path}.{setting}") }
    }

    /// Notes a mistake in one of its settings. Empty: in the provider as a whole.
    fn mistake(&mut self, setting: &str, wrong: Wrong) {
        let at = self.draft.at.get(setting).unwrap_or(&self.draft.named_at).clone();
        self.problems.push(wrong.at(self.path(setting), at, Scope::Provider(self.name.clone())));
    }

    /// Whether a setting is written, rightly or wrongly.
    pub(crate) fn is_written(&self, setting: &str) -> bool {
        self.draft.at.contains_key(setting)
    }
}

/// Two configurations of a provider are equal when they do the same; where they were written does
/// not matter.
impl PartialEq for ProviderConfig {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.standing == other.standing
            && self.policy == other.policy
            && self.sources == other.sources
            && self.refresh_interval == other.refresh_interval
            && self.max_stale == other.max_stale
            && self.removed_key_grace == other.removed_key_grace
            && self.unknown_kid_wait == other.unknown_kid_wait
            && self.unknown_kid_cooldown == other.unknown_kid_cooldown
            && self.distrusted_keys == other.distrusted_keys
            && self.rules == other.rules
    }
}

/// Keys in process are equal when they are the same object.
impl PartialEq for SourceConfig {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline { keys: a, .. }, Self::Inline { keys: b, .. }) => a == b,
            (Self::File { path: a }, Self::File { path: b }) => a == b,
            (Self::JwksUrl { url: a }, Self::JwksUrl { url: b }) => a == b,
            (
                Self::Discovery { address: a, endpoint_origin: x },
                Self::Discovery { address: b, endpoint_origin: y },
            ) => a == b && x == y,
            (Self::InProcess(a), Self::InProcess(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl fmt::Debug for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { setting, .. } => write!(f, "Inline({setting})"),
            Self::File { path } => write!(f, "File({})", path.display()),
            Self::JwksUrl { url } => write!(f, "JwksUrl({})", shown(url.as_str())),
            Self::Discovery { address, endpoint_origin } => {
                let (DiscoveryAddress::FromIssuer(url) | DiscoveryAddress::Written(url)) = address;
                write!(f, "Discovery({}, {endpoint_origin:?})", shown(url.as_str()))
            }
            Self::InProcess(_) => f.write_str("InProcess"),
        }
    }
}
