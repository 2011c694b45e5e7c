//! The public face: from a presented token to a verdict, and the thread that keeps keys fresh.

use std::ops::Deref;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use arc_swap::ArcSwap;
use keystead_core::{
    Diagnostics, Directory, Issuers, Provider as _, Question, Rejection, Requirements, TokenLimits,
};
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ProviderConfig};
use crate::http::{Fetch, HyperFetch};
use crate::provider::Provider;
use crate::refresh::{self, Shared};
use crate::report;
use crate::status::{ProviderStatus, Status};

/// How long [`Verifier::start`] waits for key files before it leaves them to the background.
const FILES_WAIT: Duration = Duration::from_secs(1);

/// Verifies tokens of many providers.
///
/// Cheap to clone; all clones are one verifier. Verification is synchronous and does no I/O: it
/// reads the keys in memory. [`Verifier::start`] keeps those keys fresh, on a thread of its own.
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
    limits: TokenLimits,
}

impl Directory for Table {
    type Provider = Provider;

    fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    fn provider(&self, index: usize) -> Option<&Provider> {
        self.providers.get(index).map(|provider| &**provider)
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
    /// schedule, the others come and go. The requests that are being judged meanwhile see one or
    /// the other, never a mixture.
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
        let old = self.0.table.load();
        let providers: Vec<_> = config
            .providers
            .into_iter()
            .map(|config| {
                let same = old.providers.iter().find(|provider| *provider.config() == config);
                same.cloned()
                    .unwrap_or_else(|| Arc::new(Provider::new(config, Arc::clone(&self.0.clock))))
            })
            .collect();
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
        self.0.table.store(Arc::new(Table { issuers: Arc::new(issuers), providers, limits }));
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

    /// Asks every source of a provider now, its discovery document too, and waits for the answers.
    ///
    /// The attempts are those of the refresh, which must have been started; dropping this future
    /// does not end them. One that is under way already is shared. When another configuration is
    /// applied meanwhile, the provider that has the name then is asked.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// use keystead::{ProviderConfig, RefreshError, Verifier};
    ///
    /// let portal = ProviderConfig::new("portal", "https://portal.invalid").any_audience();
    /// let verifier = Verifier::builder().provider(portal).build();
    /// let _refresh = verifier.start()?;
    /// match verifier.refresh("portal").await {
    ///     Ok(status) => println!("{} keys", status.keys.len()),
    ///     Err(RefreshError::Failed(status)) => println!("{}", status.reason),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such provider, when nobody drives the refresh (any more), or when an
    /// attempt gave no keys.
    pub async fn refresh(&self, provider: &str) -> Result<ProviderStatus, RefreshError> {
        let mut drivers = self.0.drivers.subscribe();
        let mut applied = self.0.applied.subscribe();
        loop {
            let found = self.providers().into_iter().find(|known| known.config().name == provider);
            let found = found.ok_or_else(|| RefreshError::UnknownProvider(provider.to_owned()))?;
            // The senders of both live as long as `self`.
            tokio::select! {
                biased;
                _none = drivers.wait_for(|drivers| *drivers == 0) => {
                    return Err(RefreshError::NotStarted);
                }
                succeeded = found.refresh() => {
                    let status = ProviderStatus::of(&found);
                    let failed = |status| RefreshError::Failed(Box::new(status));
                    return if succeeded { Ok(status) } else { Err(failed(status)) };
                }
                _changed = applied.changed() => {}
            }
        }
    }

    /// Reads the key files once, on this thread, and touches no network.
    ///
    /// For programs that run once and offline; [`Verifier::start`] does this and goes on doing it.
    pub fn load(&self) {
        for provider in &self.0.table.load_full().providers {
            for slot in provider.slots() {
                refresh::read_now(provider, slot);
            }
        }
    }

    /// Starts to keep keys fresh, on a thread of its own.
    ///
    /// Waits for the key files, for at most 1 s; the network is left to the background. Never
    /// fails because of a provider: what cannot be had is retried for ever, and
    /// [`Verifier::status`] says so.
    ///
    /// Sources are asked by one refresh at a time, however often this is called: a second one
    /// takes over when the first has ended.
    ///
    /// # Errors
    /// When the operating system gives no thread or no runtime.
    pub fn start(&self) -> io::Result<RefreshHandle> {
        let stop = Arc::new(Notify::new());
        let (started, when_started) = mpsc::sync_channel(1);
        let (files_read, when_files_read) = mpsc::sync_channel(1);
        let (verifier, stopped) = (self.clone(), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("keystead-refresh".into())
            .spawn(move || verifier.run(&stopped, &started, files_read))?;
        let spawner = when_started.recv().map_err(io::Error::other)??;
        let _slow_files_go_on_in_the_background = when_files_read.recv_timeout(FILES_WAIT);
        Ok(RefreshHandle { verifier: self.clone(), stop, thread: Some(thread), spawner })
    }

    /// The thread of the refresh. Its runtime is made here and not by the caller, who may stand
    /// inside another one, where it could not be dropped.
    fn run(
        &self,
        stopped: &Notify,
        started: &SyncSender<io::Result<Handle>>,
        files_read: SyncSender<()>,
    ) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                // The caller waits for it.
                let _received = started.send(Err(error));
                return;
            }
        };
        let _received = started.send(Ok(runtime.handle().clone()));
        runtime.block_on(async {
            let files = refresh::first_attempts(self.providers(), true);
            tokio::spawn(async move {
                files.await;
                // Nobody waits any more if it took too long.
                let _late = files_read.try_send(());
            });
            tokio::select! {
                () = self.drive() => {}
                () = stopped.notified() => {}
            }
        });
        // A name lookup cannot be cancelled, and must not be waited for.
        runtime.shutdown_background();
    }

    /// Keeps keys fresh on the runtime of the caller, for as long as it is polled: what
    /// [`Verifier::start`] runs on its thread.
    ///
    /// For hosts that want no thread of ours, and for tests with paused time. The runtime needs
    /// tokio's I/O and time. While another one drives, this waits for its turn, so that no source
    /// is asked twice.
    pub async fn drive(&self) {
        let _counted = Driver::count_in(&self.0.drivers);
        let _turn = self.0.turn.lock().await;
        let mut applied = self.0.applied.subscribe();
        let mut running: Vec<(Arc<Provider>, JoinSet<()>)> = Vec::new();
        loop {
            let providers = self.providers();
            running.retain(|(known, _)| is_among(known, &providers));
            for provider in providers {
                if !running.iter().any(|(known, _)| Arc::ptr_eq(known, &provider)) {
                    report::start(&provider);
                    let tasks = refresh::spawn(&provider, &self.0.shared);
                    running.push((provider, tasks));
                }
            }
            // The sender lives as long as `self`.
            let _changed = applied.changed().await;
        }
    }

    fn providers(&self) -> Vec<Arc<Provider>> {
        self.0.table.load().providers.clone()
    }
}

fn is_among(provider: &Arc<Provider>, providers: &[Arc<Provider>]) -> bool {
    providers.iter().any(|other| Arc::ptr_eq(other, provider))
}

/// Counts one who drives for as long as it is polled.
struct Driver<'a>(&'a watch::Sender<usize>);

impl<'a> Driver<'a> {
    fn count_in(drivers: &'a watch::Sender<usize>) -> Self {
        drivers.send_modify(|count| *count = count.saturating_add(1));
        Self(drivers)
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The running refresh. Dropping it ends the refresh; keys in memory stay and go on ageing.
#[must_use = "the refresh ends when its handle is dropped"]
pub struct RefreshHandle {
    verifier: Verifier,
    stop: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
    spawner: Handle,
}

impl RefreshHandle {
    /// Waits until every source has been asked once, or until the time is up; whether the former.
    ///
    /// For programs that run once. A server has no reason to wait.
    #[must_use]
    pub fn wait_first_attempts(&self, at_most: Duration) -> bool {
        let (done, when_done) = mpsc::sync_channel(1);
        let attempts = refresh::first_attempts(self.verifier.providers(), false);
        let task = self.spawner.spawn(async move {
            attempts.await;
            // Nobody waits any more if it took too long.
            let _late = done.try_send(());
        });
        let in_time = when_done.recv_timeout(at_most).is_ok();
        task.abort();
        in_time
    }

    /// Ends the refresh and waits for its thread, which takes no time: attempts are abandoned.
    pub fn stop(mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A refresh thread that panicked has nothing more to say here.
            let _panicked = thread.join();
        }
    }
}

impl Drop for RefreshHandle {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

impl fmt::Debug for RefreshHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshHandle").finish_non_exhaustive()
    }
}

/// Why [`Verifier::refresh`] has no good news.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RefreshError {
    /// No provider has this name.
    UnknownProvider(String),
    /// Nobody drives the refresh: [`Verifier::start`] was not called, or its handle was dropped.
    NotStarted,
    /// An attempt failed; the status says which and why.
    Failed(Box<ProviderStatus>),
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownProvider(name) => {
                write!(f, "no provider is called {}", keystead_core::text::quoted(name))
            }
            Self::NotStarted => f.write_str("the refresh is not running"),
            Self::Failed(status) => f.write_str(&status.reason),
        }
    }
}

impl std::error::Error for RefreshError {}

/// Builds a [`Verifier`] in code.
#[derive(Debug, Default)]
#[must_use]
pub struct VerifierBuilder {
    providers: Vec<ProviderConfig>,
    token_limit: Option<usize>,
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
        self.build_with(config)
    }

    fn build_with(self, config: Config) -> Verifier {
        let fetch = self.fetch.unwrap_or_else(|| Arc::new(HyperFetch::new()));
        let verifier = Verifier(Arc::new(Inner {
            table: ArcSwap::default(),
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            shared: Arc::new(Shared::new(fetch)),
            applied: watch::Sender::default(),
            applying: Mutex::new(()),
            drivers: watch::Sender::default(),
            turn: tokio::sync::Mutex::new(()),
        }));
        verifier.apply(config);
        verifier
    }
}

/// A token whose signature and claims have been verified.
///
/// Only a verifier makes one, so that holding one proves that every check passed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VerifiedToken(keystead_core::VerifiedToken);

impl VerifiedToken {
    /// The claims set as a type of the caller's.
    ///
    /// # Errors
    /// When the claims do not fit that type.
    pub fn claims_as<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        serde_json::from_str(self.0.claims().text()).map_err(|e| ClaimsError(e.to_string()))
    }
}

impl Deref for VerifiedToken {
    type Target = keystead_core::VerifiedToken;

    fn deref(&self) -> &keystead_core::VerifiedToken {
        &self.0
    }
}

/// Why claims do not fit a type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimsError(String);

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the claims do not fit the type: {}", self.0)
    }
}

impl std::error::Error for ClaimsError {}
