//! What a provider sends, or does instead of sending.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::bomb::bomb;
use super::catalogue::Fault;
use super::key_sets::{self, Ingredients};
use super::order::Act;
use super::schedule::{Hold, Taken};
use crate::idp::documents::{Answer, LOGIN, MOVED, error_answer, html_answer, jwks_path};
use crate::idp::error::IdpError;

/// What happens to a request.
#[derive(Debug)]
pub(in crate::idp) enum Reaction {
    /// It is answered.
    Reply(Reply),
    /// Nothing happens; for ever, or until its order is over.
    Silence(Option<Hold>),
    /// The connection is reset.
    Reset,
}

/// An answer, and how it goes over the wire. Its framing is that of its headers where they have any.
#[derive(Debug)]
pub(in crate::idp) struct Reply {
    pub(in crate::idp) answer: Answer,
    pub(in crate::idp) after: Duration,
    pub(in crate::idp) delivery: Delivery,
    pub(in crate::idp) ending: Ending,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::idp) enum Delivery {
    /// The body.
    Whole,
    /// The body, then this many spaces.
    Padded(u64),
    /// The body, then spaces, in chunks.
    Endless,
    /// The body, this many bytes in a second.
    Drip(u64),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::idp) enum Ending {
    /// The connection is kept, as far as the client wants.
    Keep,
    /// The connection ends.
    Close,
    /// The connection stays open, and nothing more happens on it.
    Hold,
}

/// What else a fault needs to know.
#[derive(Debug)]
pub(in crate::idp) struct Surroundings<'a> {
    /// The provider's `https://ADDRESS` or `http://ADDRESS`.
    pub(in crate::idp) base: &'a str,
    /// Its port.
    pub(in crate::idp) port: u16,
    /// The realm's name.
    pub(in crate::idp) realm: &'a str,
    /// The path that was asked.
    pub(in crate::idp) path: &'a str,
    pub(in crate::idp) ingredients: Ingredients,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { answer, after: Duration::ZERO, delivery: Delivery::Whole, ending: Ending::Keep }
    }
}

impl From<Answer> for Reaction {
    fn from(answer: Answer) -> Self {
        Self::Reply(answer.into())
    }
}

/// What becomes of a request that would be answered with `right`.
pub(in crate::idp) fn react(
    taken: Taken,
    right: Answer,
    around: Surroundings<'_>,
) -> Result<Reaction, IdpError> {
    match taken.act {
        Act::Healthy => Ok(right.into()),
        Act::Answer(canned) => Ok(canned.response()?.into()),
        Act::Fault(Fault::Blackhole) => Ok(Reaction::Silence(Some(taken.hold))),
        Act::Fault(Fault::Swallow) => Ok(Reaction::Silence(None)),
        Act::Fault(Fault::Reset) => Ok(Reaction::Reset),
        Act::Fault(fault) => {
            let Taken { amount, nth, .. } = taken;
            let reply = status(fault, amount, nth)
                .or_else(|| redirect(fault, &around).map(Reply::from))
                .map_or_else(|| document(fault, amount, nth, right, around), Ok)?;
            Ok(Reaction::Reply(reply))
        }
    }
}

/// Faults that show in the status.
fn status(fault: Fault, amount: u64, nth: u64) -> Option<Reply> {
    let error = |status, description| error_answer(status, "server_error", description);
    let answer = match fault {
        Fault::Status404 => error(StatusCode::NOT_FOUND, "told not to find it"),
        Fault::Status429 => {
            let answer = error(StatusCode::TOO_MANY_REQUESTS, "told to be asked less often");
            with(answer, &RETRY_AFTER, amount.into())
        }
        Fault::Status500 => error(StatusCode::INTERNAL_SERVER_ERROR, "told to fail"),
        Fault::Status502 => {
            let mut answer = html_answer("502 Bad Gateway", "The server behind this one is away.");
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        }
        Fault::Status503 => {
            let answer = error(StatusCode::SERVICE_UNAVAILABLE, "told to boot");
            with(answer, &RETRY_AFTER, amount.saturating_add(nth).into())
        }
        Fault::NotModified => {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            answer
        }
        Fault::Html => html_answer("Welcome", "Accept the terms of this network to go on."),
        _ => return None,
    };
    Some(answer.into())
}

fn redirect(fault: Fault, around: &Surroundings<'_>) -> Option<Answer> {
    let Surroundings { base, port, path, realm, .. } = around;
    let authority = base.split_once("://").map_or("", |(_, authority)| authority);
    let scheme = base.split_once("://").map_or("", |(scheme, _)| scheme);
    let location = match fault {
        Fault::LoginRedirect => format!("{base}{LOGIN}?realm={realm}"),
        Fault::RedirectSameOrigin => format!("{MOVED}{path}"),
        Fault::RedirectOtherHost => format!("{scheme}://localhost:{port}{MOVED}{path}"),
        Fault::RedirectHttp => format!("http://{authority}{MOVED}{path}"),
        Fault::RedirectLoop => (*path).to_owned(),
        Fault::RedirectUserinfo => format!("{scheme}://{USERINFO}@{authority}{MOVED}{path}"),
        Fault::RedirectCloudMetadata => CLOUD_METADATA.to_owned(),
        _ => return None,
    };
    let mut answer = html_answer("302 Found", "It is somewhere else.");
    *answer.status_mut() = StatusCode::FOUND;
    let location = HeaderValue::try_from(location).ok()?;
    answer.headers_mut().insert(LOCATION, location);
    Some(answer)
}

const USERINFO: &str = "admin:hunter2";
const CLOUD_METADATA: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";

/// Faults that show in the document, or in how it is delivered.
fn document(
    fault: Fault,
    amount: u64,
    nth: u64,
    right: Answer,
    around: Surroundings<'_>,
) -> Result<Reply, IdpError> {
    let body = right.body().clone();
    let half = body.len() / 2;
    let reply = Reply::from(right);
    Ok(match fault {
        Fault::Late => Reply { after: Duration::from_millis(amount), ..reply },
        Fault::TruncatedJson => rewritten(reply, body.slice(..half)),
        Fault::TruncatedBody => {
            let reply = rewritten(announced(reply, body.len()), body.slice(..half));
            Reply { ending: Ending::Close, ..reply }
        }
        Fault::Oversized => {
            let missing = amount.saturating_sub(length(&body));
            let length = missing.saturating_add(length(&body));
            let answer = with(reply.answer, &CONTENT_LENGTH, length.into());
            Reply { answer, delivery: Delivery::Padded(missing), ..reply }
        }
        Fault::LengthTooLong => {
            let reply = announced(reply, body.len().saturating_add(100));
            Reply { ending: Ending::Hold, ..reply }
        }
        Fault::LengthTooShort => Reply { ending: Ending::Close, ..announced(reply, half) },
        Fault::EndlessChunks => {
            let chunked = HeaderValue::from_static("chunked");
            let answer = with(reply.answer, &TRANSFER_ENCODING, chunked);
            Reply { answer, delivery: Delivery::Endless, ending: Ending::Close, ..reply }
        }
        Fault::SlowDrip => Reply { delivery: Delivery::Drip(amount), ..reply },
        Fault::CompressionBomb => {
            let gzip = HeaderValue::from_static("gzip");
            let reply = rewritten(reply, Bytes::from(bomb(&body)));
            Reply { answer: with(reply.answer, &CONTENT_ENCODING, gzip), ..reply }
        }
        Fault::Bom => rewritten(reply, [b"\xef\xbb\xbf".as_slice(), &body].concat().into()),
        Fault::WrongContentType => {
            let plain = HeaderValue::from_static("text/plain");
            Reply { answer: with(reply.answer, &CONTENT_TYPE, plain), ..reply }
        }
        _ if fault.documents() == Some(super::Documents::Jwks) => {
            let set = key_sets::set(fault, around.ingredients, amount, nth);
            rewritten(reply, set.to_string().into())
        }
        _ => {
            let mut metadata: Value = serde_json::from_slice(&body)
                .map_err(|error| IdpError::Order(format!("{fault}: {error}")))?;
            misdirect(fault, &mut metadata, &around);
            rewritten(reply, metadata.to_string().into())
        }
    })
}

/// Faults of provider metadata.
fn misdirect(fault: Fault, metadata: &mut Value, around: &Surroundings<'_>) {
    let Some(members) = metadata.as_object_mut() else { return };
    let path = jwks_path(around.realm);
    let (scheme, authority) = around.base.split_once("://").unwrap_or_default();
    let (name, value) = match fault {
        Fault::WrongIssuer => ("issuer", "https://somebody.else.example".to_owned()),
        Fault::RelativeJwksUri => ("jwks_uri", path),
        Fault::FileJwksUri => ("jwks_uri", "file:///etc/keys.json".to_owned()),
        Fault::UserinfoJwksUri => ("jwks_uri", format!("{scheme}://{USERINFO}@{authority}{path}")),
        Fault::CloudMetadataJwksUri => ("jwks_uri", CLOUD_METADATA.to_owned()),
        _ => {
            members.remove("jwks_uri");
            return;
        }
    };
    members.insert(name.to_owned(), value.into());
}

/// The reply with another body, which has no validator: it would be that of the right one.
fn rewritten(reply: Reply, body: Bytes) -> Reply {
    let mut answer = reply.answer.map(|_| body);
    answer.headers_mut().remove(ETAG);
    Reply { answer, ..reply }
}

fn announced(reply: Reply, length: usize) -> Reply {
    Reply { answer: with(reply.answer, &CONTENT_LENGTH, length.into()), ..reply }
}

fn with(mut answer: Answer, name: &HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name.clone(), value);
    answer
}

fn length(body: &Bytes) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}
