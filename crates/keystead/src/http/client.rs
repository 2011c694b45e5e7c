//! The client of the real network: hyper's connection, dialled by hand.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use keystead_core::text::quoted;
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::credentials::bearer;
use super::dial::{self, Lookups};
use super::error::{FetchCode, FetchError, Stage};
use super::exchange::{self, Hop, Landed, Stream};
use super::files::Files;
use super::peer::Peer;
use super::rules::{Author, NAMED, REDIRECTED};
use super::trust::Trust;
use super::{Fetch, FetchFuture, FetchRequest, Reply, redirect, tls, tunnel};

/// Fetches over HTTP/1.1, plain or in TLS.
///
/// Every address is judged by the [`FetchRules`](super::FetchRules) and then dialled, with no second
/// lookup between. One name is looked up once at a time and at most 64 in all, because a lookup
/// that is given up still keeps its thread. At most 5 redirects are followed, each of them judged
/// as if it had been asked for; compressed answers are refused, nothing is kept open, and no proxy
/// variable is read: proxies stand in the rules.
///
/// TLS trusts the system's CA certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured),
/// loaded at the first https fetch, and those of the rules. No process-wide rustls provider is used
/// or installed.
///
/// Clones share everything. Futures must be polled inside a tokio runtime with I/O and time.
#[derive(Clone, Debug)]
pub struct HyperFetch {
    network: Arc<Network>,
}

#[derive(Debug)]
struct Network {
    lookups: Lookups,
    files: Arc<Files>,
    trust: Trust,
}

impl HyperFetch {
    /// A client that trusts the system's CA certificates.
    #[must_use]
    pub fn new() -> Self {
        Self::with_extra_roots([])
    }

    /// A client that also trusts these CA certificates, each in DER. One that cannot be read fails
    /// every https fetch, at stage [`Stage::Tls`].
    #[must_use]
    pub fn with_extra_roots(certificates: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let extra = certificates.into_iter().map(CertificateDer::from).collect();
        Self { network: Arc::new(Network::new(Lookups::by_system(), extra)) }
    }
}

impl Default for HyperFetch {
    fn default() -> Self {
        Self::new()
    }
}

impl Fetch for HyperFetch {
    fn fetch(&self, request: FetchRequest) -> FetchFuture {
        let network = Arc::clone(&self.network);
        Box::pin(async move { network.fetch(&request).await })
    }
}

impl Network {
    fn new(lookups: Lookups, extra: Vec<CertificateDer<'static>>) -> Self {
        let files = Arc::new(Files::new());
        let system = rustls_native_certs::load_native_certs;
        Self { lookups, trust: Trust::new(system, extra, Arc::clone(&files)), files }
    }

    async fn fetch(&self, request: &FetchRequest) -> Result<Reply, FetchError> {
        let whole = Deadline::after(request.rules.timeout);
        let shown = self.bearer(request, whole).await?;
        let answer = self.follow(request, shown.as_ref(), whole).await;
        let Err(refused) = &answer else { return answer };
        if shown.is_none() || refused.status != Some(401) {
            return answer;
        }
        // The file may have been replaced since it was read. Showing the same token once more
        // would help nobody.
        let fresh = self.bearer(request, whole).await?;
        if fresh == shown { answer } else { self.follow(request, fresh.as_ref(), whole).await }
    }

    /// What the token file holds, if it is for this request.
    async fn bearer(
        &self,
        request: &FetchRequest,
        whole: Deadline,
    ) -> Result<Option<HeaderValue>, FetchError> {
        let FetchRequest { url, rules, .. } = request;
        rules.admit_url(url, NAMED)?;
        let path = rules.token_file.as_ref().filter(|_| rules.author_of(url) == Author::Operator);
        let Some(path) = path else { return Ok(None) };
        let unusable = |detail| FetchError::new(Stage::Request, FetchCode::File, url, detail);
        let read = async { bearer(&self.files, path).await.map_err(unusable) };
        let slow = || (Stage::Request, "token_file was not read".to_owned());
        whole.bound(url, slow, read).await.map(Some)
    }

    /// One attempt: the request, and those that redirects lead to. All of them share its time.
    async fn follow(
        &self,
        request: &FetchRequest,
        bearer: Option<&HeaderValue>,
        whole: Deadline,
    ) -> Result<Reply, FetchError> {
        let mut url = request.url.clone();
        for redirects in 0..=redirect::LIMIT {
            let hop =
                Hop { url: &url, fetch: request, bearer, proxy: None, redirected: redirects > 0 };
            match self.ask(hop, whole).await? {
                Landed::Reply(reply) => return Ok(reply),
                Landed::Elsewhere(target) => url = target,
            }
        }
        Err(redirect::too_many(&url))
    }

    /// One request on a connection of its own.
    async fn ask(&self, mut hop: Hop<'_>, whole: Deadline) -> Result<Landed, FetchError> {
        let Hop { url, fetch: FetchRequest { rules, .. }, .. } = hop;
        let peer = Peer::of(url, rules)?;
        let stream = self.connect(&hop, &peer, whole).await?;
        if url.scheme() != "https" {
            hop.proxy = peer.proxy();
        }
        let slow = || (Stage::Request, format!("no answer from {}", host(url)));
        let answer = whole.bound(url, slow, exchange::send(stream, &hop)).await?;
        let slow = || (Stage::Body, format!("the answer from {} was not complete", host(url)));
        whole.bound(url, slow, answer.land(&hop)).await
    }

    /// A connection for the request: judged, dialled, and in TLS where the URL says so.
    async fn connect(
        &self,
        hop: &Hop<'_>,
        peer: &Peer<'_>,
        whole: Deadline,
    ) -> Result<Stream, FetchError> {
        let Hop { url, fetch: FetchRequest { rules, .. }, .. } = *hop;
        let connected = Deadline::after(rules.connect_timeout).and(whole);
        let named = if hop.redirected { REDIRECTED } else { NAMED };
        rules.admit_url(url, named)?;
        if peer.proxy().is_some() {
            rules.admit_unseen(url, named)?;
        }
        let slow = || match peer.proxy() {
            Some(_) => (Stage::Connect, format!("{peer} was not looked up")),
            None => (Stage::Resolve, format!("name {peer} was not looked up")),
        };
        let addresses = connected.bound(url, slow, self.lookups.resolve(url, peer)).await?;
        if peer.proxy().is_none() {
            // These are the addresses that are dialled: there is no second lookup.
            rules.admit_addresses(url, &addresses, named)?;
        }
        let slow = || (Stage::Connect, format!("no connection to {peer}"));
        let stream = connected.bound(url, slow, dial::connect(url, peer, addresses)).await?;
        let mut stream: Stream = Box::new(stream);
        if url.scheme() != "https" {
            return Ok(stream);
        }
        if let Some(proxy) = peer.proxy() {
            let slow = || (Stage::Connect, format!("no tunnel through {peer}"));
            stream = connected.bound(url, slow, tunnel::open(url, proxy, stream)).await?;
        }
        let slow =
            || (Stage::Tls, format!("the TLS handshake with {} was not complete", host(url)));
        connected.bound(url, slow, tls::handshake(url, rules, &self.trust, stream)).await
    }
}

/// The URL's host as sentences call it.
fn host(url: &Url) -> String {
    quoted(url.host_str().unwrap_or_default()).to_string()
}

/// When something ends.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    fn after(limit: Duration) -> Self {
        let now = Instant::now();
        Self { at: now.checked_add(limit).unwrap_or(now + NEVER), limit }
    }

    /// The earlier of the two.
    fn and(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }

    /// Runs one stage for as long as there is time; `slow` says which, and what did not happen.
    async fn bound<T>(
        self,
        url: &Url,
        slow: impl FnOnce() -> (Stage, String),
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        timeout_at(self.at, work).await.unwrap_or_else(|_| {
            let (stage, what) = slow();
            let detail = format!("{what} within {:?}", self.limit);
            Err(FetchError::new(stage, FetchCode::Timeout, url, detail))
        })
    }
}

/// A limit too far away to be a moment.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::sync::{Mutex, PoisonError};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::http::FetchRules;

    fn network(lookups: Lookups) -> Network {
        Network::new(lookups, Vec::new())
    }

    fn resolving_to(addresses: &[&str]) -> Network {
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        network(Lookups::by(Arc::new(move |_: &str| Ok(addresses.clone()))))
    }

    fn operators(url: &str) -> FetchRequest {
        let url = Url::parse(url).unwrap();
        let operator_origins = vec![url.origin()];
        let rules = FetchRules { operator_origins, ..FetchRules::default() };
        FetchRequest::new(url, "application/json", Arc::new(rules))
    }

    /// Answers one request with `{}`.
    async fn serve_once(listener: TcpListener) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let _read = stream.read(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
    }

    #[tokio::test]
    async fn a_refused_address_leaves_the_turn_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(serve_once(listener));
        let request = operators(&format!("http://kc:{port}/"));
        let network = resolving_to(&["127.0.0.2", "::1", "127.0.0.1"]);
        let reply = network.fetch(&request).await.unwrap();
        assert_eq!(reply.into_document(&request.url).unwrap().body, "{}");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_blackholed_address_does_not_eat_the_time_of_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let blackhole = TcpSocket::new_v4().unwrap();
        blackhole.bind(format!("127.0.0.2:{port}").parse().unwrap()).unwrap();
        let blackhole = blackhole.listen(1).unwrap();
        // Once its queue is full, the system drops what else comes for it.
        let mut queue = Vec::new();
        let address = blackhole.local_addr().unwrap();
        let brief = Duration::from_millis(50);
        while let Ok(stream) = timeout(brief, TcpStream::connect(address)).await {
            queue.push(stream.unwrap());
        }
        let server = tokio::spawn(serve_once(listener));
        let request = operators(&format!("http://kc:{port}/"));
        let network = resolving_to(&["127.0.0.2", "127.0.0.1"]);
        let reply = network.fetch(&request).await.unwrap();
        assert_eq!(reply.into_document(&request.url).unwrap().body, "{}");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_document_cannot_be_rebound_to_a_private_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = Url::parse(&format!("https://keys.example:{port}/")).unwrap();
        let request = FetchRequest::new(url, "application/json", Arc::default());
        let error = resolving_to(&["8.8.8.8", "127.0.0.1"]).fetch(&request).await.unwrap_err();
        assert_eq!((error.stage, error.code), (Stage::Policy, FetchCode::Address));
        assert!(timeout(Duration::ZERO, listener.accept()).await.is_err(), "it was dialled");
    }

    #[tokio::test]
    async fn an_attempt_joins_the_lookup_that_the_last_one_left_behind() {
        let (finish, finished) = mpsc::channel::<()>();
        let finished = Mutex::new(finished);
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let network = network(Lookups::by(Arc::new(move |_: &str| {
            counter.fetch_add(1, Ordering::SeqCst);
            let _over = finished.lock().unwrap_or_else(PoisonError::into_inner).recv();
            Ok(Vec::new())
        })));
        let mut request = operators("http://kc:8080/");
        let slow = FetchRules {
            connect_timeout: Duration::from_millis(20),
            ..FetchRules::clone(&request.rules)
        };
        let patient = request.clone();
        request.rules = Arc::new(slow);
        for _ in 0..3 {
            let error = network.fetch(&request).await.unwrap_err();
            assert_eq!((error.stage, error.code), (Stage::Resolve, FetchCode::Timeout));
            assert_eq!(error.detail, "name \"kc\" was not looked up within 20ms");
        }
        let (error, ()) = tokio::join!(biased; network.fetch(&patient), async { drop(finish) });
        assert_eq!(error.unwrap_err().code, FetchCode::Resolve);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
