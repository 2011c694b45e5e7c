//! A network that answers from a script, and one that must not be asked at all.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use keystead::http::{
    Document, Fetch, FetchCode, FetchError, FetchFuture, FetchRequest, Reply, Stage,
};
use url::Url;

/// One answer of a [`ScriptedFetch`].
#[derive(Clone, Debug)]
pub struct Answer {
    delay: Duration,
    ending: Ending,
}

#[derive(Clone, Debug)]
enum Ending {
    Reply(Reply),
    Failure { stage: Stage, code: FetchCode, detail: String },
    Error(FetchError),
    Never,
}

impl Answer {
    /// A document.
    #[must_use]
    pub const fn document(document: Document) -> Self {
        Self::ending(Ending::Reply(Reply::Document(document)))
    }

    /// The document is still the one that is held.
    #[must_use]
    pub const fn not_modified() -> Self {
        Self::ending(Ending::Reply(Reply::NotModified { max_age: None }))
    }

    /// A document of type `application/json` with this body, which need not be JSON.
    #[must_use]
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::document(Document::json(body))
    }

    /// A failure about whatever URL was asked.
    #[must_use]
    pub fn failure(stage: Stage, code: FetchCode, detail: impl Into<String>) -> Self {
        Self::ending(Ending::Failure { stage, code, detail: detail.into() })
    }

    /// This very failure.
    #[must_use]
    pub const fn error(error: FetchError) -> Self {
        Self::ending(Ending::Error(error))
    }

    /// No answer, ever.
    #[must_use]
    pub const fn never() -> Self {
        Self::ending(Ending::Never)
    }

    /// The same answer, `delay` of tokio's time later.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    const fn ending(ending: Ending) -> Self {
        Self { delay: Duration::ZERO, ending }
    }

    async fn given(self, url: Url) -> Result<Reply, FetchError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match self.ending {
            Ending::Reply(reply) => Ok(reply),
            Ending::Failure { stage, code, detail } => {
                Err(FetchError::new(stage, code, &url, detail))
            }
            Ending::Error(error) => Err(error),
            Ending::Never => pending().await,
        }
    }
}

/// A [`Fetch`] that answers each URL from a script of its own. Clones share scripts and counts.
///
/// A URL without a script fails at the stage `resolve`, as an unknown name would.
#[derive(Clone, Debug, Default)]
pub struct ScriptedFetch(Arc<Mutex<Network>>);

#[derive(Debug, Default)]
struct Network {
    scripts: HashMap<String, Script>,
    requests: Vec<String>,
    /// The tag of each request, beside it.
    etags: Vec<Option<String>>,
}

#[derive(Debug)]
struct Script {
    answers: Vec<Answer>,
    next: usize,
}

impl ScriptedFetch {
    /// A network in which nothing answers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers `url` with these answers in turn, then with the last one for ever. A script that
    /// `url` had before is forgotten; its count of requests is not.
    pub fn on(&self, url: &str, answers: impl IntoIterator<Item = Answer>) -> &Self {
        let script = Script { answers: answers.into_iter().collect(), next: 0 };
        self.network().scripts.insert(normal(url), script);
        self
    }

    /// How often `url` was asked.
    #[must_use]
    pub fn count(&self, url: &str) -> usize {
        let url = normal(url);
        self.network().requests.iter().filter(|asked| **asked == url).count()
    }

    /// Every URL that was asked, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.network().requests.clone()
    }

    /// The tags that `url` was asked with, in order.
    #[must_use]
    pub fn etags(&self, url: &str) -> Vec<Option<String>> {
        let url = normal(url);
        let network = self.network();
        let all = network.requests.iter().zip(&network.etags);
        all.filter(|(asked, _)| **asked == url).map(|(_, etag)| etag.clone()).collect()
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch for ScriptedFetch {
    fn fetch(&self, request: FetchRequest) -> FetchFuture {
        let url = request.url;
        let answer = {
            let mut network = self.network();
            network.requests.push(url.to_string());
            network.etags.push(request.etag);
            network.scripts.get_mut(url.as_str()).and_then(Script::answer)
        };
        let answer = answer.unwrap_or_else(|| {
            let detail = "no answer is scripted for this URL";
            Answer::failure(Stage::Resolve, FetchCode::Resolve, detail)
        });
        Box::pin(answer.given(url))
    }
}

impl Script {
    fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.get(self.next).or_else(|| self.answers.last()).cloned();
        self.next = self.next.saturating_add(1);
        answer
    }
}

/// A [`Fetch`] that must not be asked: it fails, and remembers who was asked for, so that a test can
/// assert that nobody was. Clones share the record.
#[derive(Clone, Debug, Default)]
pub struct ForbiddenFetch(Arc<Mutex<Vec<String>>>);

impl ForbiddenFetch {
    /// A network that nobody has asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every URL that was asked all the same.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.asked().clone()
    }

    fn asked(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch for ForbiddenFetch {
    fn fetch(&self, request: FetchRequest) -> FetchFuture {
        self.asked().push(request.url.to_string());
        let detail = "this network must not be asked";
        Box::pin(Answer::failure(Stage::Policy, FetchCode::Address, detail).given(request.url))
    }
}

/// The URL as a request spells it, so that a test may write `https://idp` for `https://idp/`.
fn normal(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead::http::FetchRules;

    const KEYS: &str = "https://idp.example/keys";

    fn request(url: &str) -> FetchRequest {
        FetchRequest::new(
            Url::parse(url).unwrap(),
            "application/json",
            Arc::new(FetchRules::default()),
        )
    }

    async fn body(network: &ScriptedFetch, url: &str) -> Bytes {
        let request = request(url);
        let url = request.url.clone();
        network.fetch(request).await.unwrap().into_document(&url).unwrap().body
    }

    #[tokio::test]
    async fn answers_come_in_turn_and_the_last_repeats() {
        let network = ScriptedFetch::new();
        let refused = Answer::failure(Stage::Connect, FetchCode::Connect, "connection refused");
        network.on(KEYS, [refused, Answer::json("{}")]);
        let first = network.fetch(request(KEYS)).await.unwrap_err();
        assert_eq!((first.code, first.url.as_str()), (FetchCode::Connect, KEYS));
        for _ in 0..3 {
            assert_eq!(body(&network, KEYS).await, "{}");
        }
        assert_eq!(network.count(KEYS), 4);
        network.on(KEYS, [Answer::json("[]")]);
        assert_eq!(body(&network.clone(), KEYS).await, "[]");
        assert_eq!(network.count(KEYS), 5);
    }

    #[tokio::test]
    async fn an_unscripted_url_is_an_unknown_name() {
        let network = ScriptedFetch::new();
        network.on("https://idp.example", [Answer::json("{}")]);
        network.on(KEYS, []);
        for url in [KEYS, "https://other.example/"] {
            assert_eq!(network.fetch(request(url)).await.unwrap_err().stage, Stage::Resolve);
        }
        assert!(network.fetch(request("https://idp.example/")).await.is_ok());
        assert_eq!(network.requests(), [KEYS, "https://other.example/", "https://idp.example/"]);
    }

    #[tokio::test]
    async fn the_tags_of_requests_are_kept() {
        let network = ScriptedFetch::new();
        network.on(KEYS, [Answer::json("{}"), Answer::not_modified()]);
        network.fetch(request(KEYS)).await.unwrap();
        let tag = Some("\"a\"".to_owned());
        let reply = network.fetch(request(KEYS).unless_still(tag.clone())).await.unwrap();
        assert!(matches!(reply, Reply::NotModified { max_age: None }));
        assert_eq!(network.etags(KEYS), [None, tag]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_late_in_virtual_time_and_never_is_never() {
        let network = ScriptedFetch::new();
        let delay = Duration::from_secs(3);
        network.on(KEYS, [Answer::json("{}").after(delay), Answer::never()]);
        let start = tokio::time::Instant::now();
        network.fetch(request(KEYS)).await.unwrap();
        assert_eq!(start.elapsed(), delay);
        let year = Duration::from_secs(365 * 86_400);
        assert!(tokio::time::timeout(year, network.fetch(request(KEYS))).await.is_err());
    }

    #[tokio::test]
    async fn the_forbidden_network_remembers_each_call_even_one_that_is_not_awaited() {
        let network = ForbiddenFetch::new();
        assert!(network.requests().is_empty());
        drop(network.fetch(request(KEYS)));
        assert!(network.fetch(request(KEYS)).await.is_err());
        assert_eq!(network.requests(), [KEYS, KEYS]);
    }
}
