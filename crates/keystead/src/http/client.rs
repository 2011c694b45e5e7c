//! The client of the real network: hyper's connection, dialled by hand.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use keystead_core::text::quoted;
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::dial::{self, Lookups};
use super::error::{FetchCode, FetchError, Stage};
use super::exchange;
use super::tls::Tls;
use super::{Fetch, FetchFuture, FetchRequest, FetchRules, Reply};

/// Fetches over HTTP/1.1, plain or in TLS.
///
/// Every address is judged by the [`FetchRules`] and then dialled, with no second lookup between.
/// One name is looked up once at a time and at most 64 in all, because a lookup that is given up
/// still keeps its thread. Redirects are not followed, compressed answers are refused, nothing is
/// kept open and no proxy variable is read.
///
/// TLS trusts the system's CA certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured),
/// loaded at the first https fetch. No process-wide rustls provider is used or installed.
///
/// Clones share everything. Futures must be polled inside a tokio runtime with I/O and time.
#[derive(Clone, Debug)]
pub struct HyperFetch {
    network: Arc<Network>,
}

#[derive(Debug)]
struct Network {
    lookups: Lookups,
    tls: Tls,
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
        let tls = Tls::with_system_roots(extra);
        Self { network: Arc::new(Network { lookups: Lookups::by_system(), tls }) }
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
    async fn fetch(&self, request: &FetchRequest) -> Result<Reply, FetchError> {
        let FetchRequest { url, rules, .. } = request;
        rules.admit_url(url)?;
        let time = Deadlines::from_now(url, rules);
        let addresses = time.bound(Stage::Resolve, self.lookups.resolve(url)).await?;
        let stream = time.bound(Stage::Connect, dial::connect(url, rules, addresses)).await?;
        let answer = if url.scheme() == "https" {
            let stream = time.bound(Stage::Tls, self.tls.handshake(url, stream)).await?;
            time.bound(Stage::Request, exchange::send(stream, request)).await?
        } else {
            time.bound(Stage::Request, exchange::send(stream, request)).await?
        };
        time.bound(Stage::Body, answer.reply(request)).await
    }
}

/// When one attempt ends.
struct Deadlines<'a> {
    url: &'a Url,
    connected: Deadline,
    whole: Deadline,
}

#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl<'a> Deadlines<'a> {
    fn from_now(url: &'a Url, rules: &FetchRules) -> Self {
        let now = Instant::now();
        let after = |limit| Deadline { at: now.checked_add(limit).unwrap_or(now + NEVER), limit };
        let whole = after(rules.timeout);
        let connected = after(rules.connect_timeout.min(rules.timeout));
        Self { url, connected, whole }
    }

    /// Runs one stage, for as long as the attempt may go on.
    async fn bound<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let deadline = match stage {
            Stage::Resolve | Stage::Connect | Stage::Tls => self.connected,
            _ => self.whole,
        };
        timeout_at(deadline.at, work)
            .await
            .unwrap_or_else(|_| Err(self.too_slow(stage, deadline.limit)))
    }

    fn too_slow(&self, stage: Stage, limit: Duration) -> FetchError {
        let host = quoted(self.url.host_str().unwrap_or_default());
        let what: &dyn fmt::Display = match stage {
            Stage::Resolve => &format_args!("name {host} was not looked up"),
            Stage::Connect => &format_args!("no connection to {host}"),
            Stage::Tls => &format_args!("the TLS handshake with {host} was not complete"),
            Stage::Request => &format_args!("no answer from {host}"),
            _ => &format_args!("the answer from {host} was not complete"),
        };
        let detail = format!("{what} within {limit:?}");
        FetchError::new(stage, FetchCode::Timeout, self.url, detail)
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

    fn network(lookups: Lookups) -> Network {
        Network { lookups, tls: Tls::with_system_roots(Vec::new()) }
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
