//! The HTTP face: what is answered at which path.
//!
//! The public listener matches its few paths itself; a path is what stands on the request line,
//! byte for byte, so that no other spelling of one reaches anything. The admin listener is a router
//! of its own.

mod admin;
pub(crate) mod drain;
mod forward_auth;
pub(crate) mod guard;
mod health;
mod identity;
mod judge;
pub(crate) mod listener;
mod metrics;
mod refresh;
mod refusal;
mod respond;
#[cfg(unix)]
mod socket;
mod status;
mod stream;
mod verify;

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::Request;
use hyper::body::{Body, Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::service::TowerToHyperService;
use keystead::Verifier;
use keystead::config::{AdminListen, ReadyWhen, RefusalDetail, ServerConfig};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::decision::Decisions;
use crate::log::LinesDropped;
use drain::Phase;
use guard::Guard;
use listener::{BindError, Bound, Limits};
use respond::Answer;

pub use metrics::reference as metrics_reference;

/// What every request can reach.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) verifier: Verifier,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) refusal_detail: RefusalDetail,
    pub(crate) ready_when: ReadyWhen,
    /// How many bytes the body of a request may have.
    pub(crate) body_limit: usize,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) lines_dropped: LinesDropped,
    /// When the process started (wall time).
    pub(crate) started: Duration,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// The other end of the connection, where it has an address.
    pub(crate) peer: Option<IpAddr>,
}

/// Both listeners, bound and not yet accepting.
#[derive(Debug)]
pub(crate) struct Faces {
    public: Bound,
    admin: Bound,
    guard: Guard,
    limits: Limits,
}

impl Faces {
    /// Binds both listeners, and says where.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub(crate) async fn bind(config: &ServerConfig) -> Result<Self, BindError> {
        let public = Bound::tcp("listen", config.listen).await?;
        let admin = match &config.admin_listen {
            AdminListen::Tcp(address) => Bound::tcp("admin_listen", *address).await?,
            AdminListen::Unix(path) => Bound::unix("admin_listen", path)?,
            _ => return Err(BindError::unknown("admin_listen")),
        };
        let (guard, limits) = (Guard::of(config), Limits::of(config.limits));
        Ok(Self { public, admin, guard, limits })
    }

    /// Serves both until the phase is [`Phase::Stopping`] and the last connection has ended.
    pub(crate) fn serve(self, shared: &Arc<Shared>) -> JoinSet<()> {
        let mut listeners = JoinSet::new();
        self.public.report("public");
        self.admin.report("admin");
        self.guard.check();
        let public = Arc::clone(shared);
        let service = move |peer| {
            let shared = Arc::clone(&public);
            service_fn(move |mut request: Request<Incoming>| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(public_answer(&shared, peer, &mut request).await) }
            })
        };
        self.public.serve(&mut listeners, service, self.limits, &shared.phase);
        let router = admin::router(Arc::clone(shared), self.guard);
        let service = move |_| TowerToHyperService::new(router.clone());
        self.admin.serve(&mut listeners, service, self.limits, &shared.phase);
        listeners
    }
}

/// The answer of the public listener; a fault in one request is the end of that request alone.
async fn public_answer<B>(shared: &Shared, peer: Option<IpAddr>, request: &mut Request<B>) -> Answer
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let answer = contained(pin!(route(shared, Caller { peer }, request))).await;
    respond::to(request.method(), answer)
}

/// The request stays where it is: it is large, and every future that it moved into would be too.
async fn route<B>(shared: &Shared, caller: Caller, request: &mut Request<B>) -> Answer
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match request.uri().path() {
        forward_auth::PATH => forward_auth::answer(shared, caller, request).await,
        verify::PATH => verify::answer(shared, caller, request).await,
        health::LIVE | health::HEALTHY => health::live(request.method()),
        health::READY => health::ready(shared, request.method(), health::Detail::Verdict),
        _ => respond::not_found(),
    }
}

/// Turns a panic into an answer. The lints keep panics out of our code; this is for what stands
/// below it.
async fn contained(mut answer: Pin<&mut impl Future<Output = Answer>>) -> Answer {
    poll_fn(|cx| {
        // What requests share are atomics, pointers that are swapped whole, and locks that recover:
        // one that ended half-way leaves nothing half-done behind.
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(respond::fault()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Empty};
    use hyper::{Method, StatusCode};
    use keystead::SystemClock;
    use keystead::config::LogDecisions;

    fn shared(phase: Phase) -> (Shared, watch::Sender<Phase>) {
        let (sender, phase) = watch::channel(phase);
        let decisions = Decisions::new(LogDecisions::None, 16_384, Arc::new(SystemClock::new()));
        let shared = Shared {
            verifier: Verifier::builder().build(),
            decisions: Arc::new(decisions),
            refusal_detail: RefusalDetail::Sentence,
            ready_when: ReadyWhen::Any,
            body_limit: 1024,
            phase,
            lines_dropped: LinesDropped::default(),
            started: Duration::ZERO,
        };
        (shared, sender)
    }

    async fn status(method: &str, path: &str) -> u16 {
        let (shared, _phase) = shared(Phase::Serving);
        let request = Request::builder().method(method).uri(path);
        let mut request = request.body(Empty::<Bytes>::new()).unwrap();
        public_answer(&shared, None, &mut request).await.status().as_u16()
    }

    /// G37: no other spelling of a path reaches anything.
    #[tokio::test]
    async fn a_path_is_matched_as_it_is_written() {
        assert_eq!(status("GET", "/livez").await, 200);
        assert_eq!(status("GET", "/livez?x=/readyz").await, 200);
        assert_eq!(status("GET", "/v1/auth/forward").await, 401);
        for other in [
            "//livez",
            "/livez/",
            "/LIVEZ",
            "/%6civez",
            "/livez;x",
            "/./livez",
            "/x/../livez",
            "//v1/auth/forward",
            "/v1/auth/forward/",
            "/v1/auth/forward/p",
            "/status.json",
            "/",
        ] {
            assert_eq!(status("GET", other).await, 404, "{other}");
        }
    }

    #[tokio::test]
    async fn other_methods_are_refused_with_those_that_are_answered() {
        for (method, path, allowed) in [
            ("DELETE", "/v1/auth/forward", "GET, HEAD, POST"),
            ("GET", "/v1/verify", "POST"),
            ("POST", "/readyz", "GET, HEAD"),
        ] {
            let (shared, _phase) = shared(Phase::Serving);
            let request = Request::builder().method(method).uri(path);
            let mut request = request.body(Empty::<Bytes>::new()).unwrap();
            let answer = public_answer(&shared, None, &mut request).await;
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.headers()["allow"], allowed);
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_to_one_request() {
        let answer = contained(pin!(async { panic!("a fault of the test") })).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("test"), "its message is not shown");
    }

    #[tokio::test]
    async fn nothing_is_ready_that_cannot_verify_or_is_about_to_end() {
        for (phase, body) in [(Phase::Serving, "not ready\n"), (Phase::Draining, "draining\n")] {
            let (shared, _phase) = shared(phase);
            let answer = health::ready(&shared, &Method::GET, health::Detail::Verdict);
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
        }
    }
}
