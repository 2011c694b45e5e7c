//! The public face: from a presented token to a verdict.

mod observed;
mod running;
mod snapshots;
mod verified;
mod waiting;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use keystead_core::{
    Diagnostics, Directory, Issuers, Provider as _, Question, Rejection, Requirements,
    SignedTokens, TokenLimits,
};
use tokio::sync::watch;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ProviderConfig};
use crate::counters::{Decisions, Judging};
use crate::http::{Fetch, HyperFetch};
use crate::provider::Provider;
use crate::refresh::Shared;
use crate::snapshot::{self, Store};
use crate::status::Status;
use crate::token_cache::{Shown, TokenCache};

pub use observed::Readiness;
pub use running::{RefreshError, RefreshHandle};
pub use verified::{ClaimsError, VerifiedToken};

/// Verifies tokens of many providers.
///
/// Cheap to clone; all clones are one verifier. Verification is synchronous and does no I/O: it
/// reads the keys in memory. [`Verifier::start`] keeps those keys fresh, on a thread of its own.
/// [`Verifier::verify_wait`] is the same for servers: it may wait for a key that is not held yet.
///
/// An in-process key behind an issuer that does not resolve:
///
/// ```
/// # // Of a key made for this example. The token is valid until the year 2100.
/// # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"27qTwp0lm3MzuFMGDSgWEmF1U4rhB0q36izq3zLOZ0o"}]}"#;
/// # let token = "eyJhbGciOiJFZERTQSIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJhdWQiOiJteS1zZXJ2aWNlIiwiZXhwIjo0MTAyNDQ0ODAwLCJpc3MiOiJodHRwczovL3R1bm5lbC5pbnZhbGlkIiwic3ViIjoiYWxpY2UifQ.yc4LGB2qj9_4yQ_XcNpYePAYEojUfVNQuvU0wUJFIDhr8-79xXnwtoeqOBpM8muZWt5I8ZbJSjdxO-vcaxx_AQ";
/// use std::sync::Arc;
/// use keystead::{ProviderConfig, Verifier};
/// use keystead::core::{KeySet, Provenance};
///
/// let keys = Arc::new(KeySet::parse(jwks, Provenance::Operator, 16)?);
/// let provider = ProviderConfig::new("local", "https://tunnel.invalid")
///     .audiences(["my-service"])
///     .key_source(Arc::new(keys))
///     .discover();
/// let verifier = Verifier::builder().provider(provider).build();
/// let _refresh = verifier.start()?; // heals in the background; nothing waits for it
///
/// let verified = verifier.verify(token)?;
/// assert_eq!(verified.claims().subject().as_deref(), Some("alice"));
/// # assert_eq!(verified.key_origin(), "in process");
/// # let forged = format!("{token}A");
/// # assert!(verifier.verify(&forged).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: ArcSwap<Table>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    /// What faces answered where no provider was found.
    unmatched: Decisions,
    judging: Judging,
    remembered: Shown,
    /// Rung when the table was changed.
    applied: watch::Sender<()>,
    /// One `apply` at a time.
    applying: Mutex<()>,
    /// How many drive the refresh, those included who wait for their turn.
    drivers: watch::Sender<usize>,
    /// Whose turn it is to drive.
    turn: tokio::sync::Mutex<()>,
}

/// The providers: changes only with the configuration.
#[derive(Debug, Default)]
struct Table {
    issuers: Arc<Issuers>,
    providers: Vec<Arc<Provider>>,
    /// Where each provider stands in the list.
    names: HashMap<Arc<str>, usize>,
    limits: TokenLimits,
    /// Signatures that were found good. They do not outlive the configuration.
    cache: Option<TokenCache>,
}

impl Table {
    fn named(&self, name: &str) -> Option<&Provider> {
        self.provider(*self.names.get(name)?)
    }
}

impl Directory for Table {
    type Provider = Provider;

    fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    fn provider(&self, index: usize) -> Option<&Provider> {
        self.providers.get(index).map(|provider| &**provider)
    }

    fn signed_tokens(&self) -> Option<&dyn SignedTokens> {
        self.cache.as_ref().map(|cache| cache as &dyn SignedTokens)
    }
}

impl Verifier {
    /// A verifier with providers written in code. Building one does no I/O.
    pub fn builder() -> VerifierBuilder {
        VerifierBuilder::default()
    }

    /// A verifier with the providers of a configuration. Does no I/O.
    #[must_use]
    pub fn from_config(config: Config) -> Self {
        VerifierBuilder::default().build_with(config)
    }

    /// Takes over another configuration: providers that are the same in both keep their keys and
    /// schedule, the others come and go. A changed one has the keys of the sources that it had
    /// before too (same issuer, kind and address): they are used at once, by the policy and the
    /// limits that are written now, and are as old as they are; the provider is stale until it
    /// answers. The requests that are being judged meanwhile see one or the other, never a mixture.
    ///
    /// ```
    /// use keystead::{Config, Verifier};
    ///
    /// let verifier = Verifier::builder().build();
    /// verifier.apply(Config::parse_yaml(
    ///     "providers:
    ///        keycloak:
    ///          issuer: https://keycloak.acme.example/realms/akko
    ///          audiences: [catalog-manager]",
    /// )?);
    /// assert_eq!(verifier.status().providers["keycloak"].state, "cold");
    /// # Ok::<(), keystead::config::ConfigError>(())
    /// ```
    pub fn apply(&self, config: Config) {
        let _one_at_a_time = self.0.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = TokenLimits::with_token(config.server.limits.token);
        let store = Store::of(&config.server);
        let old = self.0.table.load();
        let providers: Vec<_> = config
            .providers
            .into_iter()
            .map(|config| {
                let same = old.providers.iter().find(|provider| *provider.config() == config);
                same.cloned().unwrap_or_else(|| {
                    let before = old.named(&config.name).map(Provider::counters);
                    let provider = Provider::new(config, Arc::clone(&self.0.clock));
                    for before in &old.providers {
                        snapshot::hand_on(before, &provider);
                    }
                    Arc::new(match before {
                        Some(counters) => provider.counting(counters),
                        None => provider,
                    })
                })
            })
            .collect();
        for provider in &providers {
            snapshot::attach(provider, store.as_ref());
        }
        let mut issuers = Issuers::new();
        // A disabled provider answers for its issuer only where no other one does.
        for enabled in [true, false] {
            for (index, provider) in providers.iter().enumerate() {
                if provider.config().is_enabled() == enabled {
                    let (name, policy) = (provider.name(), provider.policy());
                    issuers.add(index, name, &policy.issuer, &policy.aliases);
                }
            }
        }
        let named = providers.iter().enumerate();
        let names = named.map(|(at, provider)| (Arc::clone(provider.name()), at)).collect();
        let counted = self.0.remembered.now(old.cache.as_ref());
        let cache = TokenCache::of(config.server.limits.cached_tokens, counted);
        let table = Table { issuers: Arc::new(issuers), providers, names, limits, cache };
        self.0.table.store(Arc::new(table));
        self.0.applied.send_replace(());
    }

    /// Verifies a token now, by the policy of its provider.
    ///
    /// # Errors
    /// The first reason to refuse it.
    pub fn verify(&self, token: &str) -> Result<VerifiedToken, Rejection> {
        self.verify_with(token, &Requirements::default())
    }

    /// Verifies a token now, with what this call asks for in place of the provider's policy.
    ///
    /// # Errors
    /// The first reason to refuse it.
    pub fn verify_with(
        &self,
        token: &str,
        requirements: &Requirements,
    ) -> Result<VerifiedToken, Rejection> {
        self.verify_at(token, self.0.clock.wall(), requirements)
    }

    /// Verifies a token at another time (since the Unix epoch) than now.
    ///
    /// # Errors
    /// The first reason to refuse it.
    pub fn verify_at(
        &self,
        token: &str,
        now: Duration,
        requirements: &Requirements,
    ) -> Result<VerifiedToken, Rejection> {
        let table = self.0.table.load();
        let question = Question { text: token, now, limits: table.limits, requirements };
        keystead_core::verify(question, &**table).map(VerifiedToken)
    }

    /// Every check of a token, whatever the first one found. The verdict is that of
    /// [`Verifier::verify`].
    ///
    /// ```
    /// let verifier = keystead::Verifier::builder().build();
    /// let diagnostics = verifier.explain("not.a.token");
    /// let refused = diagnostics.refused.as_ref().map(|refused| refused.code().as_str());
    /// assert_eq!((refused, diagnostics.token.segments), (Some("token.base64"), 3));
    /// ```
    #[must_use]
    pub fn explain(&self, token: &str) -> Diagnostics {
        self.explain_at(token, self.0.clock.wall(), &Requirements::default())
    }

    /// Every check of a token, at another time (since the Unix epoch) than now and with what this
    /// call asks for.
    #[must_use]
    pub fn explain_at(
        &self,
        token: &str,
        now: Duration,
        requirements: &Requirements,
    ) -> Diagnostics {
        let table = self.0.table.load();
        let question = Question { text: token, now, limits: table.limits, requirements };
        keystead_core::explain(question, &**table)
    }

    /// What is known of every provider.
    ///
    /// ```
    /// use keystead::{ProviderConfig, Verifier};
    ///
    /// let portal = ProviderConfig::new("portal", "https://portal.acme.example").jwks_url("abc");
    /// let verifier = Verifier::builder().provider(portal.audiences(["my-service"])).build();
    /// let status = verifier.status();
    /// assert_eq!(status.providers["portal"].state, "disabled");
    /// assert!(status.providers["portal"].reason.contains("\"abc\" is not an absolute URL"));
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(self.0.table.load().providers.iter().map(|provider| &**provider))
    }

    /// Whether at least one provider can verify: cheaper than [`Verifier::status`].
    #[must_use]
    pub fn can_verify(&self) -> bool {
        self.0.table.load().providers.iter().any(|provider| provider.state().can_verify())
    }

    fn providers(&self) -> Vec<Arc<Provider>> {
        self.0.table.load().providers.clone()
    }
}

/// Builds a [`Verifier`] in code.
#[derive(Debug, Default)]
#[must_use]
pub struct VerifierBuilder {
    providers: Vec<ProviderConfig>,
    token_limit: Option<usize>,
    cached_tokens: Option<usize>,
    state_dir: Option<PathBuf>,
    clock: Option<Arc<dyn Clock>>,
    fetch: Option<Arc<dyn Fetch>>,
}

impl VerifierBuilder {
    /// Adds a provider. A mistake in it disables that provider alone; the status says why.
    pub fn provider(mut self, provider: ProviderConfig) -> Self {
        self.providers.push(provider);
        self
    }

    /// Accepts tokens of at most this many bytes. Default: 16 KiB.
    pub const fn token_limit(mut self, bytes: usize) -> Self {
        self.token_limit = Some(bytes);
        self
    }

    /// Remembers at most this many tokens whose signature was found good, so that it is not computed
    /// again; 0: none. Default: 10,000.
    ///
    /// A verdict does not depend on it. What is remembered is only that a key made the signature of
    /// exactly these bytes: the policy, the time, the requirements of the call and whether that key
    /// is still live are asked every time, and a refused token is never remembered. The memory is
    /// bounded in bytes too, to 2 KiB for each token, on the average.
    pub const fn cached_tokens(mut self, tokens: usize) -> Self {
        self.cached_tokens = Some(tokens);
        self
    }

    /// Keeps the keys of the network on disk too, one file per provider in this folder, so that
    /// they are there at the next start. It is made if it does not exist; others than the user of
    /// this process must not be able to write to it. Default: keys are kept in memory only.
    ///
    /// The folder is read and written by the refresh (see [`Verifier::start`]); no verification
    /// ever waits for it, and no trouble with it is ever a failure.
    pub fn state_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(folder.into());
        self
    }

    /// Reads these clocks instead of the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Fetches through this instead of [`HyperFetch`].
    pub fn fetch(mut self, fetch: Arc<dyn Fetch>) -> Self {
        self.fetch = Some(fetch);
        self
    }

    /// The verifier. Does no I/O at all, and cannot fail.
    #[must_use]
    pub fn build(mut self) -> Verifier {
        let mut config = Config::of(std::mem::take(&mut self.providers));
        if let Some(limit) = self.token_limit {
            config.server.limits.token = limit;
        }
        if let Some(tokens) = self.cached_tokens {
            config.server.limits.cached_tokens = tokens;
        }
        config.server.state_dir = self.state_dir.take();
        self.build_with(config)
    }

    fn build_with(self, config: Config) -> Verifier {
        let fetch = self.fetch.unwrap_or_else(|| Arc::new(HyperFetch::new()));
        let verifier = Verifier(Arc::new(Inner {
            table: ArcSwap::default(),
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            shared: Arc::new(Shared::new(fetch)),
            unmatched: Decisions::default(),
            judging: Judging::default(),
            remembered: Shown::default(),
            applied: watch::Sender::default(),
            applying: Mutex::new(()),
            drivers: watch::Sender::default(),
            turn: tokio::sync::Mutex::new(()),
        }));
        verifier.apply(config);
        verifier
    }
}
