//! Where keys come from: one file per kind of source.

pub(crate) mod discovery;
pub(crate) mod file;
pub(crate) mod jwks_url;
pub(crate) mod text;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keystead_core::KeySet;
use keystead_core::text::quoted;
use tokio::time::timeout;
use url::Url;

use crate::clock::Clock;
use crate::counters::{Counters, DocumentKind};
use crate::http::{
    Document, Fetch, FetchCode, FetchError, FetchRequest, FetchRules, NAMED, Reply, Stage,
};

/// How much longer than it may take a fetch is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// Keys that the host program holds in process, such as those of an embedded authority.
///
/// It is asked on every verification of its provider, so it must be cheap and never block: hand
/// out an `Arc` that is made when the keys change. Keys are prepared once per `Arc`, which is
/// recognised by its identity. A panic in it counts as an error.
///
/// ```
/// use std::sync::Arc;
/// use keystead::{KeySource, SourceError, core::KeySet};
///
/// struct Authority(Arc<KeySet>);
///
/// impl KeySource for Authority {
///     fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
///         Ok(Arc::clone(&self.0))
///     }
/// }
/// # let authority = Authority(Arc::new(KeySet::default()));
/// # assert!(authority.keys().unwrap().is_empty());
/// ```
pub trait KeySource: Send + Sync + 'static {
    /// The keys as they are now.
    ///
    /// # Errors
    /// When there is no answer. The last set stays in use, and the error is counted.
    fn keys(&self) -> Result<Arc<KeySet>, SourceError>;
}

/// Keys that never change.
impl KeySource for Arc<KeySet> {
    fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
        Ok(Self::clone(self))
    }
}

/// Why a [`KeySource`] has no answer, in one sentence: lower case, no full stop, and never a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceError(Box<str>);

impl SourceError {
    /// An error with this sentence.
    #[must_use]
    pub fn new(sentence: impl Into<Box<str>>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}

/// What one attempt gave.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) keys: Keys,
    /// How long the answer may be used, as it says itself.
    pub(crate) max_age: Option<Duration>,
    /// What went wrong on the way without keeping the keys from being had.
    pub(crate) notice: Option<FetchError>,
}

/// The keys that one attempt gave.
#[derive(Debug)]
pub(crate) enum Keys {
    /// A set with a usable key, and its tag if it has one.
    Set(KeySet, Option<Tag>),
    /// Those that the source gave the last time, whose tag the attempt presented.
    Unchanged,
}

/// The entity tag of a set of keys. It means something at the address alone that gave it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tag {
    pub(crate) url: Url,
    pub(crate) etag: String,
}

/// The network as one provider's sources see it.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rules: Arc<FetchRules>,
    pub(crate) counters: Arc<Counters>,
}

impl Network {
    /// Counts how a document was had, in one word, or why it was not, and how long that took.
    async fn counted<T>(
        &self,
        document: DocumentKind,
        had: impl Future<Output = Result<T, FetchError>>,
        word: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, FetchError> {
        let since = self.clock.monotonic();
        let had = had.await;
        let result = had.as_ref().map_or_else(|error| error.code.as_str(), word);
        self.counters.fetched(document, result, self.clock.monotonic().saturating_sub(since));
        had
    }

    /// One document, under the provider's rules. A [`Fetch`] of the host program is held to them
    /// as far as that can be done from outside: it sees no URL that they refuse, and one that does
    /// not answer in time is given up, because the places for attempts are for all providers.
    async fn fetch(&self, url: &Url, accept: &'static str) -> Result<Document, FetchError> {
        self.fetch_unless_still(None, url, accept).await?.into_document(url)
    }

    /// The same, unless the document is still the one with this tag.
    async fn fetch_unless_still(
        &self,
        tag: Option<&Tag>,
        url: &Url,
        accept: &'static str,
    ) -> Result<Reply, FetchError> {
        self.rules.admit_url(url, NAMED)?;
        let etag = tag.filter(|tag| tag.url == *url).map(|tag| tag.etag.clone());
        let has_condition = etag.is_some();
        let request = FetchRequest::new(url.clone(), accept, Arc::clone(&self.rules));
        let request = request.unless_still(etag);
        let limit = self.rules.timeout;
        // Later than the fetch itself gives up, which knows better what it waits for.
        let answer = timeout(limit.saturating_add(GRACE), self.fetch.fetch(request)).await;
        let answer = answer.unwrap_or_else(|_| {
            let detail = format!("no answer within {limit:?}");
            Err(FetchError::new(Stage::Request, FetchCode::Timeout, url, detail))
        });
        let reply = answer?;
        // Without a condition only a document is an answer, whoever gives it.
        if has_condition { Ok(reply) } else { reply.into_document(url).map(Reply::Document) }
    }
}

/// Why an attempt gave no keys, or what went wrong on its way, as status and logs say it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    /// One stable word.
    pub(crate) code: &'static str,
    /// How far the attempt got.
    pub(crate) stage: &'static str,
    /// One plain sentence.
    pub(crate) detail: String,
    /// What was asked.
    pub(crate) location: String,
    /// How long the source asked to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// Whether it would read the same, apart from numbers that change from attempt to attempt.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        (self.code, self.stage, &self.location) == (other.code, other.stage, &other.location)
    }

    /// A file without a usable key.
    pub(crate) fn no_usable_key(path: &Path, set: &KeySet) -> Self {
        let why = set.skipped().first().map_or_else(String::new, |key| format!(": {}", key.why));
        let (path, code) = (path.to_string_lossy(), FetchCode::NoUsableKey.as_str());
        let detail = format!("no key in key file {} can be used{why}", quoted(&path));
        Self::local(code, detail, path.into_owned())
    }

    /// An in-process source without an answer.
    pub(crate) fn in_process(error: &SourceError) -> Self {
        Self::local("in_process", error.to_string(), String::new())
    }

    /// An attempt that broke down in code that is not this library's.
    pub(crate) fn panicked() -> Self {
        Self::local("panicked", "the attempt panicked".to_owned(), String::new())
    }

    const fn local(code: &'static str, detail: String, location: String) -> Self {
        Self { code, stage: "read", detail, location, retry_after: None }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::from(&error)
    }
}

impl From<&FetchError> for Failure {
    fn from(error: &FetchError) -> Self {
        Self {
            code: error.code.as_str(),
            stage: error.stage.as_str(),
            detail: error.detail.clone(),
            location: error.url.clone(),
            retry_after: error.retry_after,
        }
    }
}

impl From<&file::FileError> for Failure {
    fn from(error: &file::FileError) -> Self {
        Self::local("file", error.to_string(), error.path.display().to_string())
    }
}
