//! One GET over an open connection, and the judgement of its answer.

use std::error::Error as _;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST,
    HeaderMap, HeaderName, IF_NONE_MATCH, LOCATION, TRANSFER_ENCODING, USER_AGENT,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use keystead_core::text::{escaped, quoted};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use url::Url;

use super::error::{FetchCode, FetchError, Stage};
use super::headers::{etag, max_age, retry_after};
use super::{Document, FetchRequest, Reply};

/// How many bytes the head of an answer may have.
const HEAD: usize = 64 * 1024;

/// The head of an answer, with its body still to come.
pub(super) struct Answer {
    response: Response<Incoming>,
    /// Drives the connection, and closes it when the answer is dropped.
    _connection: JoinSet<()>,
}

/// Sends the request and waits for the head of the answer.
pub(super) async fn send(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    fetch: &FetchRequest,
) -> Result<Answer, FetchError> {
    let request = get(fetch)?;
    let broken = |error| no_answer(&fetch.url, &error);
    let (mut sender, connection) = Builder::new()
        .max_header_size(HEAD)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(io))
        .await
        .map_err(broken)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Whatever ends the connection early ends the request or the body with the same error.
        let _told_there = connection.await;
    });
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok(Answer { response, _connection: driver })
}

impl Answer {
    /// Judges the head and reads the body.
    pub(super) async fn reply(self, fetch: &FetchRequest) -> Result<Reply, FetchError> {
        let (head, body) = self.response.into_parts();
        if head.status == StatusCode::NOT_MODIFIED && fetch.etag.is_some() {
            return Ok(Reply::NotModified { max_age: max_age(&head.headers) });
        }
        judge_status(&fetch.url, head.status, &head.headers)?;
        judge_encoding(&fetch.url, &head.headers)?;
        let content_type =
            head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let length = head
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
        let body = read(body, fetch, length).await?;
        let (max_age, etag) = (max_age(&head.headers), etag(&head.headers));
        Ok(Reply::Document(Document { body, content_type, max_age, etag }))
    }
}

fn get(fetch: &FetchRequest) -> Result<Request<Empty<Bytes>>, FetchError> {
    let url = &fetch.url;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let name = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    };
    let mut request = Request::get(target)
        .header(HOST, host)
        .header(ACCEPT, fetch.accept)
        // A compressed body would make the limit on its size a lie.
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, concat!("keystead/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    if let Some(etag) = &fetch.etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    request.body(Empty::new()).map_err(|error| {
        let detail = format!("the request cannot be sent ({error})");
        FetchError::new(Stage::Request, FetchCode::BadUrl, url, detail)
    })
}

/// A 304 to a request without a tag.
pub(super) fn not_asked_for(url: &Url) -> FetchError {
    let detail = format!("the server answered {}", named(StatusCode::NOT_MODIFIED));
    let mut error = FetchError::new(Stage::Status, FetchCode::Status, url, detail);
    error.status = Some(StatusCode::NOT_MODIFIED.as_u16());
    error
}

fn no_answer(url: &Url, error: &hyper::Error) -> FetchError {
    let detail = if error.is_parse() {
        format!("the head of the answer cannot be read ({error})")
    } else if error.is_incomplete_message() {
        "the server closed the connection without an answer".to_owned()
    } else {
        format!("the connection broke ({})", cause(error))
    };
    FetchError::new(Stage::Request, FetchCode::Connect, url, detail)
}

fn judge_status(url: &Url, status: StatusCode, headers: &HeaderMap) -> Result<(), FetchError> {
    let (code, detail) = match status.as_u16() {
        200 => return Ok(()),
        301 | 302 | 303 | 307 | 308 => (
            FetchCode::Redirect,
            format!("the answer is a redirect ({}) to {}", status.as_u16(), target(url, headers)),
        ),
        429 => (FetchCode::RateLimited, format!("the server answered {}", named(status))),
        _ => (FetchCode::Status, format!("the server answered {}", named(status))),
    };
    let mut error = FetchError::new(Stage::Status, code, url, detail);
    error.status = Some(status.as_u16());
    error.retry_after = retry_after(headers);
    Err(error)
}

/// The status with its usual name; one without a name says nothing more than its number.
fn named(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Where a redirect leads: the origin alone, because the rest of a `Location` may hold secrets.
fn target(url: &Url, headers: &HeaderMap) -> String {
    let Some(location) = headers.get(LOCATION) else { return "nowhere (no Location)".to_owned() };
    match location.to_str().ok().and_then(|location| url.join(location).ok()) {
        Some(target) if target.origin().is_tuple() => {
            format!("{}, which is not followed", quoted(&target.origin().ascii_serialization()))
        }
        Some(target) => format!("scheme {}, which is not followed", quoted(target.scheme())),
        None => "a Location that is no URL".to_owned(),
    }
}

fn judge_encoding(url: &Url, headers: &HeaderMap) -> Result<(), FetchError> {
    let coding = |name: HeaderName, plain: &'static str| {
        headers
            .get_all(name)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(|coding| String::from_utf8_lossy(coding.trim_ascii()))
            .find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(plain))
    };
    let found =
        coding(CONTENT_ENCODING, "identity").or_else(|| coding(TRANSFER_ENCODING, "chunked"));
    let Some(found) = found else { return Ok(()) };
    let detail = format!("the answer is encoded as {}, which was not asked for", quoted(&found));
    Err(FetchError::new(Stage::Body, FetchCode::Encoding, url, detail))
}

/// The whole body, of at most as many bytes as the rules say. `length` is the `Content-Length`.
async fn read(
    mut body: Incoming,
    fetch: &FetchRequest,
    length: Option<u64>,
) -> Result<Bytes, FetchError> {
    let limit = fetch.rules.max_body;
    let refuse = |code, detail| FetchError::new(Stage::Body, code, &fetch.url, detail);
    let too_large =
        || refuse(FetchCode::TooLarge, format!("the answer has more than {limit} bytes"));
    if length.is_some_and(|length| usize::try_from(length).is_ok_and(|l| l > limit)) {
        return Err(too_large());
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let of = length.map(|length| format!(" of {length}")).unwrap_or_default();
            let detail =
                format!("the answer broke off after {}{of} bytes ({})", read.len(), cause(&error));
            refuse(FetchCode::Connect, detail)
        })?;
        // Trailers mean nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit.saturating_sub(read.len()) {
            return Err(too_large());
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// What hyper's error is about; its own text only says where it happened.
fn cause(error: &hyper::Error) -> String {
    escaped(&error.source().map_or_else(|| error.to_string(), ToString::to_string))
}
