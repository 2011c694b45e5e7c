//! The connections at the provider's ports.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{self, JoinSet};

use super::control;
use super::documents::Way;
use super::fault::Fault;
use super::provider::Provider;
use super::server::Commands;
use super::tls::Certificates;
use super::wire;

/// How long to wait when a connection cannot be accepted (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections may be open at each port; further ones are closed at once.
const MAX_CONNECTIONS: usize = 1024;

/// How long a client may take until TLS is agreed on.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// The first byte of a TLS handshake (RFC 8446 section 5.1), which is no letter of a request.
const HANDSHAKE_RECORD: u8 = 22;

/// A task that accepts connections until it is told to stop; it hands back those still open.
pub(super) struct Listening {
    pub(super) stop: oneshot::Sender<()>,
    pub(super) task: task::JoinHandle<JoinSet<()>>,
}

pub(super) fn open_provider(
    listener: TcpListener,
    provider: &Arc<Provider>,
    certificates: Option<Arc<Certificates>>,
) -> Listening {
    let provider = Arc::clone(provider);
    let (stop, stopped) = oneshot::channel();
    let serve = move |stream| {
        provider.connections.fetch_add(1, Ordering::SeqCst);
        serve_provider(stream, Arc::clone(&provider), certificates.clone())
    };
    let task = task::spawn(accept(listener, stopped, serve));
    Listening { stop, task }
}

pub(super) fn open_control(listener: TcpListener, provider: &Arc<Provider>, commands: Commands) {
    let provider = Arc::clone(provider);
    // It lives as long as the thread: nothing ever stops it earlier.
    task::spawn(async move {
        let (_never, stopped) = oneshot::channel();
        let serve = move |stream| serve_control(stream, Arc::clone(&provider), commands.clone());
        accept(listener, stopped, serve).await
    });
}

/// Accepts and serves connections until `stop`; then the port is closed, and what is still open is
/// handed back.
async fn accept<F, S>(
    listener: TcpListener,
    mut stop: oneshot::Receiver<()>,
    serve: F,
) -> JoinSet<()>
where
    F: Fn(TcpStream) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => return connections,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok(_) if connections.len() >= MAX_CONNECTIONS => {}
            Ok((stream, _)) => {
                connections.spawn(serve(stream));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve_provider(
    mut stream: TcpStream,
    provider: Arc<Provider>,
    certificates: Option<Arc<Certificates>>,
) {
    let Some(certificates) = certificates else {
        return wire::serve(stream, provider, Way::Front).await;
    };
    let mut first = [0];
    match tokio::time::timeout(HANDSHAKE, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first == [HANDSHAKE_RECORD] => {}
        Ok(Ok(1)) => return wire::serve(stream, provider, Way::Downgraded).await,
        _ => return,
    }
    let met = provider.schedule().connection(provider.monotonic());
    if let Some((Fault::TlsSilent, hold)) = met {
        return wire::silence(&mut stream, &provider, Some(hold)).await;
    }
    let acceptor = certificates.acceptor(met.map(|(fault, _)| fault));
    // A client that does not like the certificate, or none at all, is its own business.
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        wire::serve(stream, provider, Way::Front).await;
    }
}

async fn serve_control(stream: TcpStream, provider: Arc<Provider>, commands: Commands) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = control::answer(Arc::clone(&provider), commands.clone(), request);
        async { Ok::<_, std::convert::Infallible>(answer.await.map(Full::new)) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A client that went away is its own business.
    let _client_left = served;
}
