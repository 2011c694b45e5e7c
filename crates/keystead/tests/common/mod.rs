//! What the scenarios share: a world in which time and network are scripted, and its tokens.
//!
//! Time is tokio's paused time. It stands still while anything can be done and then leaps to the next
//! moment at which something happens, so that waiting a day costs nothing and proves the schedule.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]
#![allow(dead_code, reason = "each scenario uses its own part of it")]

use std::sync::Arc;
use std::time::Duration;

use keystead::core::{Algorithm, KeySet, Provenance, Rejection};
use keystead::http::{Document, FetchCode, FetchError, Stage};
use keystead::{
    Clock, Config, ProviderConfig, ProviderStatus, RefreshError, Verifier, VerifierBuilder,
};
use keystead_testkit::{Answer, PausedClock, ScriptedFetch, SigningKey, Token};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tracing::Subscriber;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use url::Url;

/// The audience of every provider and token here.
pub(crate) const AUDIENCE: &str = "app";

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn minutes(minutes: u64) -> Duration {
    secs(60 * minutes)
}

/// Gives `listener` the lines of this thread for as long as the guard lives.
///
/// While it has one listener only, tracing asks about a line through the thread that comes to it
/// first, which may have none, and takes the answer for good. So there is another one at all times,
/// which wants nothing.
pub(crate) fn listen(listener: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    let _there_already = tracing::subscriber::set_global_default(NoSubscriber::default());
    tracing::subscriber::set_default(listener)
}

/// Clock, network, and a verifier between them.
pub(crate) struct World {
    pub(crate) clock: PausedClock,
    pub(crate) network: ScriptedFetch,
    pub(crate) verifier: Verifier,
    driving: Option<JoinHandle<()>>,
}

impl World {
    /// A verifier with these providers. Nothing is asked before [`World::start`].
    pub(crate) fn new(providers: impl IntoIterator<Item = ProviderConfig>) -> Self {
        let (clock, network) = (PausedClock::new(), ScriptedFetch::new());
        let builder =
            Verifier::builder().clock(Arc::new(clock.clone())).fetch(Arc::new(network.clone()));
        let verifier = providers.into_iter().fold(builder, VerifierBuilder::provider).build();
        Self { clock, network, verifier, driving: None }
    }

    /// A verifier with the providers of a configuration.
    pub(crate) fn of(config: Config) -> Self {
        let world = Self::new([]);
        world.verifier.apply(config);
        world
    }

    /// Starts the refresh, and lets it do what it can do at once.
    pub(crate) async fn start(&mut self) {
        let verifier = self.verifier.clone();
        self.driving = Some(tokio::spawn(async move { verifier.drive().await }));
        pass(Duration::from_millis(1)).await;
    }

    /// Ends the refresh.
    pub(crate) async fn stop(&mut self) {
        if let Some(driving) = self.driving.take() {
            driving.abort();
            assert!(driving.await.unwrap_err().is_cancelled());
        }
    }

    /// A token of `issuer`, valid for a year from now.
    pub(crate) fn token(&self, issuer: &str, key: &SigningKey) -> String {
        self.draft(issuer).sign(key).unwrap()
    }

    /// The same, to be changed and signed.
    pub(crate) fn draft(&self, issuer: &str) -> Token {
        draft(issuer, self.clock.wall())
    }

    pub(crate) fn status(&self, provider: &str) -> ProviderStatus {
        self.verifier.status().providers.get(provider).unwrap().clone()
    }

    /// The state of a provider in one word.
    pub(crate) fn state(&self, provider: &str) -> &'static str {
        self.status(provider).state
    }

    /// Asks a provider now.
    pub(crate) async fn refresh(&self, provider: &str) -> Result<ProviderStatus, RefreshError> {
        soon(self.verifier.refresh(provider)).await
    }

    /// How many requests were made, to whomever.
    pub(crate) fn requests(&self) -> usize {
        self.network.requests().len()
    }

    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.verifier.verify(token).is_ok()
    }

    /// Status and code of the refusal.
    pub(crate) fn refusal(&self, token: &str) -> (u16, &'static str) {
        refusal(&self.verifier, token)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(driving) = self.driving.take() {
            driving.abort();
        }
    }
}

/// A token of `issuer`, valid for a year from `now`, to be signed.
pub(crate) fn draft(issuer: &str, now: Duration) -> Token {
    let year = secs(365 * 86_400);
    Token::new().issuer(issuer).subject("alice").audience(AUDIENCE).expires_in(now, year)
}

/// Status and code of the refusal.
pub(crate) fn refusal(verifier: &Verifier, token: &str) -> (u16, &'static str) {
    let rejection = refused(verifier, token);
    (rejection.http_status(), rejection.code().as_str())
}

pub(crate) fn refused(verifier: &Verifier, token: &str) -> Rejection {
    verifier.verify(token).expect_err("the token is accepted")
}

/// Lets virtual time pass.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// What this gives; the test fails when a day of virtual time has passed before that.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let given = tokio::time::timeout(minutes(24 * 60), what).await;
    given.unwrap_or_else(|_| panic!("a day has passed in vain"))
}

/// Lets virtual time pass until that is so; the test fails when it is not so within a day.
pub(crate) async fn until(what: impl Fn() -> bool) {
    // Often enough to see what lasts as long as the shortest backoff, a second less its jitter.
    for _ in 0..4 * 86_400 {
        if what() {
            return;
        }
        pass(Duration::from_millis(250)).await;
    }
    panic!("a day has passed in vain");
}

/// A provider with the audience of these tests.
pub(crate) fn provider(name: &str, issuer: &str) -> ProviderConfig {
    ProviderConfig::new(name, issuer).audiences([AUDIENCE])
}

/// A new key on P-256 with this kid.
pub(crate) fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap().with_kid(kid)
}

/// Keys as the host program or an operator holds them.
pub(crate) fn held(keys: &[&SigningKey]) -> Arc<KeySet> {
    Arc::new(KeySet::parse(jwks(keys).as_bytes(), Provenance::Operator, 256).unwrap())
}

/// A JWK Set with these keys.
pub(crate) fn jwks(keys: &[&SigningKey]) -> String {
    jwks_of(keys.iter().map(|key| key.jwk()))
}

pub(crate) fn jwks_of(keys: impl IntoIterator<Item = Value>) -> String {
    let keys: Vec<Value> = keys.into_iter().collect();
    json!({ "keys": keys }).to_string()
}

/// The answer with these keys.
pub(crate) fn publishes(keys: &[&SigningKey]) -> Answer {
    Answer::json(jwks(keys))
}

/// The answer with these keys and this lifetime.
pub(crate) fn publishes_for(keys: &[&SigningKey], max_age: Duration) -> Answer {
    let mut document = Document::json(jwks(keys));
    document.max_age = Some(max_age);
    Answer::document(document)
}

/// The answer with a metadata document.
pub(crate) fn metadata(issuer: &str, jwks_uri: &str) -> Answer {
    Answer::json(json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string())
}

/// The answer of a port where nobody listens.
pub(crate) fn refused_connection() -> Answer {
    Answer::failure(Stage::Connect, FetchCode::Connect, "connection refused")
}

/// An answer with this status.
pub(crate) fn status(code: u16) -> Answer {
    let url = Url::parse("https://idp.example/").unwrap();
    let detail = format!("the answer has status {code}");
    let mut error = FetchError::new(Stage::Status, FetchCode::Status, &url, detail);
    error.status = Some(code);
    Answer::error(error)
}

/// The same, asking to be left alone for a while.
pub(crate) fn status_retry_after(code: u16, after: Duration) -> Answer {
    let url = Url::parse("https://idp.example/").unwrap();
    let mut error = FetchError::new(Stage::Status, FetchCode::Status, &url, "not now");
    (error.status, error.retry_after) = (Some(code), Some(after));
    Answer::error(error)
}
