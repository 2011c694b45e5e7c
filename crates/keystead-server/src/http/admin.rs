//! The admin listener: health with its reasons, the status, numbers, and what can be asked to happen.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper::{HeaderMap, Method, Uri};

use crate::http::guard::Guard;
use crate::http::health::{self, Detail};
use crate::http::{Shared, metrics, refresh, respond, status};

pub(crate) fn router(shared: Arc<Shared>, guard: Guard) -> Router {
    let guard = Arc::new(guard);
    let live = |method: Method| async move { respond::to(&method, health::live(&method)) };
    let ready = |State(shared): State<Arc<Shared>>, method: Method, uri: Uri| async move {
        let detail = Detail::asked_by(&uri);
        respond::to(&method, health::ready(&shared, &method, detail))
    };
    let numbers = |State(shared): State<Arc<Shared>>, headers: HeaderMap| async move {
        metrics::answer(&shared, &headers)
    };
    let changer = Arc::clone(&guard);
    let asked = move |State(shared): State<Arc<Shared>>, request: Request| async move {
        let (head, _body) = request.into_parts();
        if head.method != Method::POST {
            return respond::method_not_allowed("POST");
        }
        if let Err(refused) = changer.admit_change(&head.headers).await {
            return refused.answer();
        }
        // As it stands on the request line: no name of a provider needs another spelling.
        let provider = head.uri.path().strip_prefix(refresh::PREFIX).unwrap_or_default();
        refresh::answer(&shared, provider).await
    };
    Router::new()
        .route(health::LIVE, any(live))
        .route(health::HEALTHY, any(live))
        .route(health::READY, any(ready))
        .route(
            status::PATH,
            get(|State(shared): State<Arc<Shared>>| async move { status::answer(&shared) }),
        )
        .route(metrics::PATH, get(numbers))
        .route(&format!("{}{{provider}}", refresh::PREFIX), any(asked))
        .fallback(|| async { respond::not_found() })
        .method_not_allowed_fallback(|| async { respond::method_not_allowed("GET, HEAD") })
        .layer(middleware::from_fn_with_state(guard, admitted))
        .with_state(shared)
}

async fn admitted(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.admit(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.answer().into_response(),
    }
}
