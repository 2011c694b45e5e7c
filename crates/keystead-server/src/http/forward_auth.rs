//! `/v1/auth/forward`: the question that Traefik, Caddy and their like ask before they pass a
//! request on.
//!
//! The answer depends on the `Authorization` header alone. The body is not read, and neither is the
//! query, which some proxies take from the client.

use hyper::{Method, Request, StatusCode};

use keystead::{Face, VerifiedToken};

use crate::bearer;
use crate::decision::Asked;
use crate::http::judge::judge;
use crate::http::respond::{self, Answer};
use crate::http::{Caller, Shared, identity, refusal};

pub(crate) const PATH: &str = "/v1/auth/forward";

/// 200 with the identity headers, or the refusal.
pub(crate) async fn answer<B>(shared: &Shared, caller: Caller, request: &Request<B>) -> Answer {
    let method = request.method();
    if !matches!(*method, Method::GET | Method::HEAD | Method::POST) {
        return respond::method_not_allowed("GET, HEAD, POST");
    }
    let asked = Asked {
        face: Face::ForwardAuth,
        method,
        path: request.uri().path(),
        headers: request.headers(),
        peer: caller.peer,
        since: shared.decisions.now(),
    };
    let presented = bearer::token(request.headers());
    let grant = |token: VerifiedToken| identity::add(&token, respond::headers());
    match judge(shared, &asked, asked.since, presented, grant).await {
        Ok(headers) => respond::empty_with(StatusCode::OK, headers),
        Err(refused) => refusal::answer(&refused, shared.refusal_detail),
    }
}
