//! The admin listener: health with its reasons, and the status.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{any, get};
use hyper::Method;

use crate::http::health::{self, Detail};
use crate::http::{Shared, respond, status};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let live = |method: Method| async move { respond::to(&method, health::live(&method)) };
    let ready = |State(shared): State<Arc<Shared>>, method: Method| async move {
        respond::to(&method, health::ready(&shared, &method, Detail::Providers))
    };
    Router::new()
        .route(health::LIVE, any(live))
        .route(health::HEALTHY, any(live))
        .route(health::READY, any(ready))
        .route(
            status::PATH,
            get(|State(shared): State<Arc<Shared>>| async move { status::answer(&shared) }),
        )
        .fallback(|| async { respond::not_found() })
        .method_not_allowed_fallback(|| async { respond::method_not_allowed("GET, HEAD") })
        .with_state(shared)
}
