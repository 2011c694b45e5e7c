//! The only network seam: one bounded GET, with typed stages.

mod address;
mod client;
mod credentials;
mod dial;
mod error;
mod exchange;
mod files;
mod headers;
mod joined;
mod judge;
mod peer;
mod proxy;
mod redirect;
mod rules;
mod tls;
mod trust;
mod tunnel;
mod url;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::url::{Origin, Url};
use bytes::Bytes;

pub use client::HyperFetch;
pub use credentials::ClientHeaders;
pub(crate) use error::shown;
pub use error::{FetchCode, FetchError, Stage};
pub(crate) use judge::judge_json;
pub use peer::ConnectTo;
pub use proxy::Proxies;
pub(crate) use rules::NAMED;
pub use rules::RuleError;
pub(crate) use tls::parse_server_name;
pub use url::is_private_name;
pub(crate) use url::{holds_userinfo, parse_operator_url};

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
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<Reply, FetchError>> + Send + 'static>>;

/// What to fetch, and under which rules.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchRequest {
    /// The document's address.
    pub url: Url,
    /// The value of the `Accept` header.
    pub accept: &'static str,
    /// The provider's rules.
    pub rules: Arc<FetchRules>,
    /// The [`Document::etag`] of what is held already. With one, [`Reply::NotModified`] is an answer.
    pub etag: Option<String>,
}

impl FetchRequest {
    /// A request for `url` under `rules`.
    #[must_use]
    pub const fn new(url: Url, accept: &'static str, rules: Arc<FetchRules>) -> Self {
        Self { url, accept, rules, etag: None }
    }

    /// The same request, made only if the document is another one than that with this tag (RFC
    /// 9110 section 13.1.2). Without a tag the request has no condition.
    #[must_use]
    pub fn unless_still(mut self, etag: Option<String>) -> Self {
        self.etag = etag;
        self
    }
}

/// The network rules of one provider.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FetchRules {
    /// Origins that the operator wrote for this provider: scheme, host and port.
    pub operator_origins: Vec<Origin>,
    /// Whether plain http is allowed on every operator URL (`plain_http: any`), and not only to
    /// loopback and private names and addresses.
    pub plain_http_anywhere: bool,
    /// Whether URLs that a document named may reach private addresses (`private_addresses: any`).
    /// Cloud metadata addresses stay out of reach.
    pub private_addresses_anywhere: bool,
    /// How long name lookup, TCP and TLS may take, for each redirect anew. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long the whole attempt may take, redirects and all. Default: 5 s.
    pub timeout: Duration,
    /// How many bytes a body may have. Default: 512 KiB.
    pub max_body: usize,
    /// Headers that are sent to the operator's origins, and to no other. Default: none.
    pub headers: ClientHeaders,
    /// A file with a bearer token (RFC 6750) that is sent to the operator's origins, and to no
    /// other. It is read for each attempt, and once more when the answer is 401: if it holds
    /// another token then, that one is tried too.
    pub token_file: Option<PathBuf>,
    /// A file with CA certificates in PEM that are trusted beside those of the system. It is read
    /// for each handshake. While it cannot be read, every https fetch fails at [`Stage::Tls`].
    pub ca_file: Option<PathBuf>,
    /// The name that TLS asks for and verifies in place of the host of the operator's URLs: a DNS
    /// name or an address.
    pub tls_server_name: Option<String>,
    /// What is dialled in place of the host and port of the operator's URLs, without a proxy. The
    /// URL, its `Host` header and the name that TLS verifies stay.
    pub connect_to: Option<ConnectTo>,
    /// The proxies. Which address a proxy dials cannot be seen from here: of what a document names,
    /// only private addresses that are written as such and private names are refused.
    pub proxies: Proxies,
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
            headers: ClientHeaders::default(),
            token_file: None,
            ca_file: None,
            tls_server_name: None,
            connect_to: None,
            proxies: Proxies::default(),
        }
    }
}

/// What a request was answered with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// A document (200).
    Document(Document),
    /// The document is still the one whose tag the request carried (304).
    NotModified {
        /// How long it may be kept from now on: see [`Document::max_age`].
        max_age: Option<Duration>,
    },
}

impl Reply {
    /// The document, where only a document is an answer.
    ///
    /// # Errors
    /// With [`FetchCode::Status`] when `url` answered that the document has not changed.
    pub fn into_document(self, url: &Url) -> Result<Document, FetchError> {
        match self {
            Self::Document(document) => Ok(document),
            Self::NotModified { .. } => Err(exchange::not_asked_for(url)),
        }
    }
}

impl From<Document> for Reply {
    fn from(document: Document) -> Self {
        Self::Document(document)
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
    /// How long the answer may be kept, as `Cache-Control` says: `max-age` (at most 2^31 s), or zero
    /// for `no-store` and `no-cache`.
    pub max_age: Option<Duration>,
    /// The document's entity tag (RFC 9110 section 8.8.3), strong or weak, of at most 256 bytes. It
    /// belongs to this body: keep it with what was made of the body. A document that was reached by
    /// way of a redirect has none, because the address asked did not give it.
    pub etag: Option<String>,
}

impl Document {
    /// A document with this body, of type `application/json`.
    #[must_use]
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            content_type: Some("application/json".to_owned()),
            max_age: None,
            etag: None,
        }
    }
}
