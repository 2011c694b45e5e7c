//! Accepting: how many connections, how large a head, and what happens when the system has none to
//! give.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use keystead::config::LimitsConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::http::drain::{self, Phase};
#[cfg(unix)]
use crate::http::socket::SocketFile;
use crate::http::stream::Stream;

/// The head of a request beside the token that is as long as it may be. Both together are more than
/// hyper's own limits, so that an over-long token gets our answer and not a bare 431.
const HEAD_BESIDE_TOKEN: usize = 48 * 1024;
/// How long accepting pauses when the system has no descriptor to give, doubling up to the second.
const PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// How much a listener takes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    connections: usize,
    head: usize,
}

impl Limits {
    pub(crate) fn of(config: LimitsConfig) -> Self {
        Self {
            connections: config.connections.min(Semaphore::MAX_PERMITS),
            head: config.token.saturating_add(HEAD_BESIDE_TOKEN).max(64 * 1024),
        }
    }
}

/// A listener that is bound and not yet accepting.
#[derive(Debug)]
pub(crate) struct Bound(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(SocketFile),
}

impl Bound {
    pub(crate) async fn tcp(setting: &'static str, address: SocketAddr) -> Result<Self, BindError> {
        let bound = TcpListener::bind(address).await.map(|listener| Self(Kind::Tcp(listener)));
        bound.map_err(|cause| BindError { setting, address: address.to_string(), cause })
    }

    #[cfg(unix)]
    pub(crate) fn unix(setting: &'static str, path: &Path) -> Result<Self, BindError> {
        let bound = SocketFile::bind(path).map(|socket| Self(Kind::Unix(socket)));
        bound.map_err(|cause| BindError { setting, address: unix_address(path), cause })
    }

    #[cfg(not(unix))]
    pub(crate) fn unix(setting: &'static str, path: &Path) -> Result<Self, BindError> {
        let cause = io::ErrorKind::Unsupported.into();
        Err(BindError { setting, address: unix_address(path), cause })
    }

    /// One line that says where it listens: the port, too, that the system chose for port 0.
    pub(crate) fn report(&self, listener: &'static str) {
        let address = match &self.0 {
            Kind::Tcp(tcp) => tcp.local_addr().map(|a| a.to_string()).unwrap_or_default(),
            #[cfg(unix)]
            Kind::Unix(socket) => unix_address(socket.path()),
        };
        tracing::info!(event = "listening", listener, address, "{listener} listener at {address}");
    }

    /// Accepts in a task of its own until the phase is [`Phase::Stopping`]; the task ends when the
    /// last connection has.
    pub(crate) fn serve<M, S, B>(
        self,
        listeners: &mut JoinSet<()>,
        service: M,
        limits: Limits,
        phase: &watch::Receiver<Phase>,
    ) where
        M: Fn(Option<IpAddr>) -> S + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
        B::Data: Send,
    {
        let phase = phase.clone();
        match self.0 {
            Kind::Tcp(tcp) => listeners.spawn(accept_all(tcp, service, limits, phase)),
            #[cfg(unix)]
            Kind::Unix(unix) => listeners.spawn(accept_all(unix, service, limits, phase)),
        };
    }
}

/// Why a listener could not be bound.
#[derive(Debug)]
pub(crate) struct BindError {
    setting: &'static str,
    address: String,
    cause: io::Error,
}

impl BindError {
    /// A kind of listener that this program does not know.
    pub(crate) fn unknown(setting: &'static str) -> Self {
        Self { setting, address: String::new(), cause: io::ErrorKind::Unsupported.into() }
    }

    /// The setting to change.
    pub(crate) const fn setting(&self) -> &'static str {
        self.setting
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, address, cause } = self;
        match cause.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "cannot listen at {address} ({setting}): it is in use already")
            }
            _ => write!(f, "cannot listen at {address} ({setting}): {cause}"),
        }
    }
}

impl std::error::Error for BindError {}

/// Where connections come from.
trait Accept: Send + Sync + 'static {
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Option<IpAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<IpAddr>)> {
        let (stream, peer) = self.accept().await?;
        // Answers are small and whole: waiting for more to send only delays them.
        stream.set_nodelay(true)?;
        Ok((stream, Some(peer.ip())))
    }
}

#[cfg(unix)]
impl Accept for SocketFile {
    type Io = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<(Self::Io, Option<IpAddr>)> {
        let (stream, _unnamed) = self.listener.accept().await?;
        Ok((stream, None))
    }
}

async fn accept_all<A, M, S, B>(
    listener: A,
    service: M,
    limits: Limits,
    mut phase: watch::Receiver<Phase>,
) where
    A: Accept,
    M: Fn(Option<IpAddr>) -> S + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    B::Data: Send,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    let builder = builder(limits);
    let mut connections = JoinSet::new();
    let mut pauses = Pauses::default();
    loop {
        let next = async {
            // Nobody closes the semaphore.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = drain::stopping(&mut phase) => break,
        };
        match accepted {
            Ok((io, peer)) => {
                pauses = Pauses::default();
                let (builder, service, phase) = (builder.clone(), service(peer), phase.clone());
                connections.spawn(async move {
                    serve_connection(&builder, io, service, phase).await;
                    drop(place);
                });
            }
            Err(error) => pauses.after(&error).await,
        }
        // Those that have ended are not kept until the end.
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_connection<I, S, B>(
    builder: &Builder<TokioExecutor>,
    io: I,
    service: S,
    mut phase: watch::Receiver<Phase>,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    B::Data: Send,
{
    let io = TokioIo::new(Stream::new(io));
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain::stopping(&mut phase) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(event = "connection.ended", "a connection ended early: {error}");
    }
}

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Time is kept by the stream below, which knows heads from idle connections.
    builder.http1().max_buf_size(limits.head).header_read_timeout(None);
    // Most answers are short: to copy head and body into one piece takes less than to have them gathered.
    builder.http1().writev(false);
    builder.http2().max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX));
    builder
}

/// How long accepting pauses after errors.
#[derive(Debug, Default)]
struct Pauses {
    last: Option<Duration>,
}

impl Pauses {
    async fn after(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset};
        // The client left before it was accepted; the listener is well.
        if matches!(error.kind(), ConnectionAborted | ConnectionReset) {
            return;
        }
        // No descriptors, as a rule: connections that end give some back, and asking again at once
        // would only burn the time that they need.
        let [first, longest] = PAUSE;
        if self.last.is_none() {
            tracing::warn!(
                event = "server.accept",
                "no connection can be accepted for now: {error}"
            );
        }
        let pause = self.last.map_or(first, |last| last.saturating_mul(2).min(longest));
        self.last = Some(pause);
        tokio::time::sleep(pause).await;
    }
}

fn unix_address(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn accepting_pauses_for_longer_while_there_are_no_descriptors() {
        let mut pauses = Pauses::default();
        let full = io::Error::from_raw_os_error(24); // EMFILE
        let mut waited = Vec::new();
        for _ in 0..6 {
            let since = Instant::now();
            pauses.after(&full).await;
            waited.push(since.elapsed().as_millis());
        }
        let expected: [std::ops::RangeInclusive<u128>; 6] =
            [50..=52, 100..=102, 200..=202, 400..=402, 800..=802, 1000..=1002];
        assert!(waited.iter().zip(&expected).all(|(w, e)| e.contains(w)), "{waited:?}");
        let since = Instant::now();
        pauses.after(&io::ErrorKind::ConnectionAborted.into()).await;
        assert_eq!(since.elapsed(), Duration::ZERO, "a client that left is nobody's fault");
    }

    #[test]
    fn a_head_has_room_for_the_longest_token_and_more() {
        let of = |token| {
            let mut config = LimitsConfig::default();
            config.token = token;
            Limits::of(config).head
        };
        assert_eq!(of(16 * 1024), 64 * 1024);
        assert_eq!(of(1), 64 * 1024);
        assert_eq!(of(1024 * 1024), 1024 * 1024 + HEAD_BESIDE_TOKEN);
    }
}
