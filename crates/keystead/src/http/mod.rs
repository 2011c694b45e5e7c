//! The only network seam: one bounded GET, with typed stages.

mod error;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

pub use error::{FetchCode, FetchError, Stage};

/// Fetches one document. Implementations are asked from the refresh thread only, never from a
/// verification.
pub trait Fetch: Send + Sync + fmt::Debug + 'static {
    /// One GET of `request.url`, bounded in time and size by `request.rules`.
    ///
    /// # Errors
    /// A [`FetchError`] that names the stage at which it failed.
    fn fetch(&self, request: FetchRequest) -> FetchFuture;
}

/// What [`Fetch::fetch`] returns.
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<Document, FetchError>> + Send + 'static>>;

/// What to fetch, and under which rules.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The document's address.
    pub url: Url,
    /// The value of the `Accept` header.
    pub accept: &'static str,
    /// The provider's rules.
    pub rules: Arc<FetchRules>,
}

/// The network rules of one provider.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FetchRules {
    /// Origins that the operator wrote for this provider: scheme, host and port.
    pub operator_origins: Vec<url::Origin>,
    /// Whether plain http is allowed on every operator URL (`plain_http: any`), and not only to
    /// loopback and private names and addresses.
    pub plain_http_anywhere: bool,
    /// Whether URLs that a document named may reach private addresses (`private_addresses: any`).
    /// Cloud metadata addresses stay out of reach.
    pub private_addresses_anywhere: bool,
    /// How long name lookup, TCP and TLS may take. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long the whole attempt may take. Default: 5 s.
    pub timeout: Duration,
    /// How many bytes a body may have. Default: 512 KiB.
    pub max_body: usize,
}

impl Default for FetchRules {
    fn default() -> Self {
        Self {
            operator_origins: Vec::new(),
            plain_http_anywhere: false,
            private_addresses_anywhere: false,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            max_body: 512 * 1024,
        }
    }
}

/// A document that was answered with 200.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Document {
    /// The body, complete.
    pub body: Bytes,
    /// The `Content-Type`, if there was one.
    pub content_type: Option<String>,
    /// How long the answer may be kept, as `Cache-Control` says: `max-age`, or zero for `no-store`
    /// and `no-cache`.
    pub max_age: Option<Duration>,
}

impl Document {
    /// A document with this body, of type `application/json`.
    #[must_use]
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), content_type: Some("application/json".to_owned()), max_age: None }
    }
}
