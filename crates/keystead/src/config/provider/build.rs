//! A provider that is put together in code.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keystead_core::{AlgorithmSet, Audiences, ClaimRule, KeySet, Policy};

use super::super::error::{Origin, Scope, Wrong};
use super::{DiscoveryMode, Draft, EndpointOrigin, ProviderConfig, SourceConfig, Standing, checks};
use crate::http::{FetchRules, Proxies};
use crate::source::KeySource;

/// The bounds of the interval between two refreshes: a second and a week.
pub(super) const INTERVALS: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(7 * 86_400));
/// The bounds of the time for which removed keys are accepted: none, and a week.
pub(super) const GRACES: (Duration, Duration) = (Duration::ZERO, INTERVALS.1);
/// The bounds of the wait for an unknown `kid`: none, and a minute.
pub(super) const WAITS: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(60));
/// The bounds of the time between two fetches for unknown kids: a second and an hour.
pub(super) const COOLDOWNS: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(3_600));
/// The bounds of timeouts.
pub(super) const TIMEOUTS: (Duration, Duration) =
    (Duration::from_millis(1), Duration::from_secs(60));

impl ProviderConfig {
    /// How often network sources are asked unless something else is written.
    pub const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(300);
    /// How long keys are used after the last successful fetch unless something else is written.
    pub const DEFAULT_MAX_STALE: Duration = Duration::from_secs(86_400);

    /// How long a token with an unknown `kid` waits unless something else is written.
    pub const DEFAULT_UNKNOWN_KID_WAIT: Duration = Duration::from_secs(1);
    /// How long after a fetch for an unknown `kid` there is no other unless something else is
    /// written.
    pub const DEFAULT_UNKNOWN_KID_COOLDOWN: Duration = Duration::from_secs(30);

    /// A provider for tokens of `issuer`. Its audiences have to be named before it can be used.
    ///
    /// Its keys are discovered from the issuer, unless a place of keys is named.
    #[must_use]
    pub fn new(name: impl Into<String>, issuer: impl Into<String>) -> Self {
        let mut provider = Self::named(name.into(), Origin::Code);
        let issuer = issuer.into();
        // What is wrong may be a secret in the wrong place, and issuers are shown everywhere.
        if provider.check("issuer", checks::issuer(&issuer)).is_some() {
            provider.policy.issuer = issuer;
        }
        provider
    }

    /// A provider of which nothing is known but its name.
    pub(super) fn named(name: String, named_at: Origin) -> Self {
        let mut provider = Self {
            name,
            standing: Standing::Enabled,
            policy: Policy::new(String::new(), Audiences::OneOf(Vec::new())),
            sources: Vec::new(),
            refresh_interval: Self::DEFAULT_REFRESH_INTERVAL,
            max_stale: Some(Self::DEFAULT_MAX_STALE),
            removed_key_grace: Duration::ZERO,
            unknown_kid_wait: Self::DEFAULT_UNKNOWN_KID_WAIT,
            unknown_kid_cooldown: Self::DEFAULT_UNKNOWN_KID_COOLDOWN,
            distrusted_keys: Vec::new(),
            rules: FetchRules::default(),
            draft: Draft {
                named_at,
                at: std::collections::BTreeMap::new(),
                switched_off: false,
                audiences_written: false,
                discovery: DiscoveryMode::Auto,
                discovery_url: None,
                endpoint_origin: EndpointOrigin::Document,
                judged: false,
            },
            problems: Vec::new(),
        };
        if let Err(wrong) = checks::name(&provider.name) {
            provider.mistake("", wrong);
        }
        provider
    }

    /// Notes that a setting is written in code, and what is wrong with it.
    fn check<T>(&mut self, setting: &'static str, result: Result<T, Wrong>) -> Option<T> {
        self.draft.at.entry(setting).or_insert(Origin::Code);
        result.map_err(|wrong| self.mistake(setting, wrong)).ok()
    }

    /// Declares further strings equal to the issuer.
    #[must_use]
    pub fn aliases<S: Into<String>>(mut self, aliases: impl IntoIterator<Item = S>) -> Self {
        for alias in aliases.into_iter().map(Into::into) {
            if self.check("aliases", checks::issuer(&alias)).is_some() {
                self.policy.aliases.push(alias);
            }
        }
        self
    }

    /// Accepts tokens for one of these audiences.
    #[must_use]
    pub fn audiences<S: Into<String>>(mut self, audiences: impl IntoIterator<Item = S>) -> Self {
        self.draft.audiences_written = true;
        let mut accepted = Vec::new();
        for audience in audiences.into_iter().map(Into::into) {
            if self.check("audiences", checks::audience(&audience)).is_some() {
                accepted.push(audience);
            }
        }
        if accepted.is_empty() && !self.has_mistake_in("audiences") {
            let wrong = Wrong::new("it names no audience");
            self.mistake("audiences", wrong.hint("name one, or accept any audience"));
        }
        self.policy.audiences = Audiences::OneOf(accepted);
        self
    }

    /// Accepts tokens for whatever audience, and such without any.
    #[must_use]
    pub fn any_audience(mut self) -> Self {
        self.draft.audiences_written = true;
        self.policy.audiences = Audiences::Any;
        self
    }

    /// Accepts only these algorithms.
    #[must_use]
    pub fn algorithms(mut self, algorithms: AlgorithmSet) -> Self {
        let empty = || Wrong::new("it names no algorithm").hint("name one");
        let some = (algorithms != AlgorithmSet::EMPTY).then_some(());
        self.check("algorithms", some.ok_or_else(empty));
        self.policy.algorithms = algorithms;
        self
    }

    /// Accepts only these `typ` values.
    #[must_use]
    pub fn typ<S: Into<String>>(mut self, typ: impl IntoIterator<Item = S>) -> Self {
        self.policy.typ = typ.into_iter().map(Into::into).collect();
        self
    }

    /// Asks for a claim, beside those already asked for.
    #[must_use]
    pub fn required_claim(mut self, name: impl Into<String>, rule: ClaimRule) -> Self {
        self.policy.required_claims.push((name.into(), rule));
        self
    }

    /// Asks for all of these scopes.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.policy.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Allows clocks to differ this far.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.policy.leeway = leeway;
        self
    }

    /// Refuses tokens issued longer ago than this.
    #[must_use]
    pub const fn max_token_age(mut self, age: Duration) -> Self {
        self.policy.max_token_age = Some(age);
        self
    }

    /// Adds keys from text: PEM, a JWK or a JWK Set.
    #[must_use]
    pub fn keys_text(self, text: &str) -> Self {
        self.keys(checks::keys(text))
    }

    /// Adds keys.
    #[must_use]
    pub fn keys(mut self, keys: KeySet) -> Self {
        self.draft.at.entry("keys").or_insert(Origin::Code);
        self.add_keys(keys, &Origin::Code);
        self
    }

    /// Adds the keys of a file: PEM, a JWK or a JWK Set. It is read once the verifier starts.
    #[must_use]
    pub fn keys_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.draft.at.entry("keys_file").or_insert(Origin::Code);
        self.add(SourceConfig::File { path: path.into() });
        self
    }

    /// Adds a JWK Set on the network.
    #[must_use]
    pub fn jwks_url(mut self, url: &str) -> Self {
        if let Some(url) = self.check("jwks_url", checks::url(url)) {
            self.add(SourceConfig::JwksUrl { url });
        }
        self
    }

    /// Has the keys discovered through the metadata document at this URL.
    #[must_use]
    pub fn discovery_url(mut self, url: &str) -> Self {
        let url = self.check("discovery_url", checks::url(url));
        self.draft.discovery_url = url;
        self
    }

    /// Has keys discovered from the issuer, beside those from every place that is named.
    #[must_use]
    pub const fn discover(mut self) -> Self {
        self.draft.discovery = DiscoveryMode::Issuer;
        self
    }

    /// Never has keys discovered from the issuer.
    #[must_use]
    pub const fn no_discovery(mut self) -> Self {
        self.draft.discovery = DiscoveryMode::Off;
        self
    }

    /// Says what becomes of the origin of a discovered `jwks_uri`.
    #[must_use]
    pub const fn endpoint_origin(mut self, origin: EndpointOrigin) -> Self {
        self.draft.endpoint_origin = origin;
        self
    }

    /// Adds keys that the host program holds.
    #[must_use]
    pub fn key_source(mut self, source: Arc<dyn KeySource>) -> Self {
        self.add(SourceConfig::InProcess(source));
        self
    }

    /// Asks network sources this often: every 1 s to 168 h.
    #[must_use]
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        let checked = checks::within(interval, INTERVALS.0, INTERVALS.1);
        if let Some(interval) = self.check("refresh_interval", checked) {
            self.refresh_interval = interval;
        }
        self
    }

    /// Uses keys this long after the last successful fetch; none: for ever.
    #[must_use]
    pub fn max_stale(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.max_stale = limit.into();
        self
    }

    /// Goes on accepting keys for this long after their provider removed them: up to 168 h.
    #[must_use]
    pub fn removed_key_grace(mut self, grace: Duration) -> Self {
        let checked = checks::within(grace, GRACES.0, GRACES.1);
        if let Some(grace) = self.check("removed_key_grace", checked) {
            self.removed_key_grace = grace;
        }
        self
    }

    /// Lets a token with an unknown `kid` wait this long for the provider to be asked: up to 60 s.
    #[must_use]
    pub fn unknown_kid_wait(mut self, wait: Duration) -> Self {
        let checked = checks::within(wait, WAITS.0, WAITS.1);
        if let Some(wait) = self.check("unknown_kid_wait", checked) {
            self.unknown_kid_wait = wait;
        }
        self
    }

    /// Asks for unknown kids this seldom, 1 s to 1 h, as long as they are asked for in vain.
    #[must_use]
    pub fn unknown_kid_cooldown(mut self, cooldown: Duration) -> Self {
        let checked = checks::within(cooldown, COOLDOWNS.0, COOLDOWNS.1);
        if let Some(cooldown) = self.check("unknown_kid_cooldown", checked) {
            self.unknown_kid_cooldown = cooldown;
        }
        self
    }

    /// Never uses the keys with these thumbprints (RFC 7638, SHA-256), wherever they come from.
    #[must_use]
    pub fn distrusted_keys<S: AsRef<str>>(
        mut self,
        thumbprints: impl IntoIterator<Item = S>,
    ) -> Self {
        for thumbprint in thumbprints {
            let checked = checks::thumbprint(thumbprint.as_ref());
            if let Some(thumbprint) = self.check("distrusted_keys", checked) {
                self.distrusted_keys.push(thumbprint);
            }
        }
        self
    }

    /// Gives name lookup, TCP and TLS this long: 1 ms to 60 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        let checked = checks::within(timeout, TIMEOUTS.0, TIMEOUTS.1);
        if let Some(timeout) = self.check("connect_timeout", checked) {
            self.rules.connect_timeout = timeout;
        }
        self
    }

    /// Gives one fetch this long: 1 ms to 60 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let checked = checks::within(timeout, TIMEOUTS.0, TIMEOUTS.1);
        if let Some(timeout) = self.check("timeout", checked) {
            self.rules.timeout = timeout;
        }
        self
    }

    /// Sends a header to the origins that are named here, and to no other. Its value is a secret: it
    /// is never shown.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let inserted = self.rules.headers.insert(name, value);
        self.check("headers", inserted.map_err(checks::rule));
        self
    }

    /// Sends the bearer token in this file to the origins that are named here, and to no other. It
    /// is read for each attempt.
    #[must_use]
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.check("token_file", Ok(()));
        self.rules.token_file = Some(path.into());
        self
    }

    /// Trusts the CA certificates in this file (PEM), beside those of the system. It is read at
    /// each fetch.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.rules.ca_file = Some(path.into());
        self
    }

    /// Asks for, and wants, a certificate for this name in place of the host of the URLs that are
    /// named here.
    #[must_use]
    pub fn tls_server_name(mut self, name: &str) -> Self {
        self.rules.tls_server_name = self.check("tls_server_name", checks::server_name(name));
        self
    }

    /// Dials this host and port, `host:port`, in place of those of the URLs that are named here.
    #[must_use]
    pub fn connect_to(mut self, place: &str) -> Self {
        self.rules.connect_to = self.check("connect_to", checks::connect_to(place));
        self
    }

    /// Asks every URL through one proxy, `http://host:port` with a name and password or without;
    /// `off`: through none, which is the default.
    #[must_use]
    pub fn proxy(mut self, address: &str) -> Self {
        if let Some(proxies) = self.check("proxy", checks::proxy(address)) {
            self.rules.proxies = proxies;
        }
        self
    }

    /// Asks URLs through these proxies, such as those of [`Proxies::from_variables`].
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.rules.proxies = proxies;
        self
    }

    /// Allows plain http for every URL that is named here, and not only to private places.
    #[must_use]
    pub const fn plain_http_anywhere(mut self) -> Self {
        self.rules.plain_http_anywhere = true;
        self
    }

    /// Lets URLs of documents reach private addresses.
    #[must_use]
    pub const fn private_addresses_anywhere(mut self) -> Self {
        self.rules.private_addresses_anywhere = true;
        self
    }

    /// Keeps it out: its tokens are refused as `issuer.disabled`.
    #[must_use]
    pub const fn switched_off(mut self) -> Self {
        self.draft.switched_off = true;
        self
    }

    /// Adds a source that is not there yet.
    pub(super) fn add(&mut self, source: SourceConfig) {
        if !self.sources.contains(&source) {
            self.sources.push(source);
        }
    }

    /// Adds keys that are written in the configuration, noting those that cannot be used.
    pub(super) fn add_keys(&mut self, keys: KeySet, origin: &Origin) {
        let setting = self.path("keys");
        for wrong in checks::key_mistakes(&keys) {
            let scope = Scope::Key(self.name.clone());
            self.problems.push(wrong.at(setting.clone(), origin.clone(), scope));
        }
        self.sources.push(SourceConfig::Inline { keys, setting });
    }
}
