//! `/status.json`: what is known of every provider. On the admin listener only: it names addresses.

use hyper::StatusCode;

use crate::http::Shared;
use crate::http::respond::{self, Answer};

pub(crate) const PATH: &str = "/status.json";

pub(crate) fn answer(shared: &Shared) -> Answer {
    let body = serde_json::to_string(&shared.verifier.status());
    body.map_or_else(|_| respond::fault(), |body| respond::json(StatusCode::OK, body))
}
