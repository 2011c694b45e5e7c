//! One GET over an open connection, and the judgement of its answer.

use std::error::Error as _;
use std::fmt;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING, USER_AGENT,
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
use super::proxy::Proxy;
use super::rules::Author;
use super::{Document, FetchRequest, Reply, redirect};

/// How many bytes the head of an answer may have.
const HEAD: usize = 64 * 1024;

/// What requests name as their sender, unless the operator names another.
pub(super) const AGENT: &str = concat!("keystead/", env!("CARGO_PKG_VERSION"));

/// A connection, in TLS or not, through a tunnel or not.
pub(super) type Stream = Box<dyn Connection>;

/// What a connection can do.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// One request on the way to a document.
#[derive(Clone, Copy)]
pub(super) struct Hop<'a> {
    /// What is asked now: the address of the document, or where redirects led.
    pub(super) url: &'a Url,
    /// What was asked for in the first place.
    pub(super) fetch: &'a FetchRequest,
    /// What may be shown to the operator's origins.
    pub(super) bearer: Option<&'a HeaderValue>,
    /// The proxy that is handed the whole request, other than through a tunnel.
    pub(super) proxy: Option<&'a Proxy>,
    /// Whether a redirect led here.
    pub(super) redirected: bool,
}

/// What a hop came to.
pub(super) enum Landed {
    /// An answer.
    Reply(Reply),
    /// Another address to ask.
    Elsewhere(Url),
}

/// The head of an answer, with its body still to come.
pub(super) struct Answer {
    response: Response<Incoming>,
    /// Drives the connection, and closes it when the answer is dropped.
    _connection: JoinSet<()>,
}

/// Sends the request and waits for the head of the answer.
pub(super) async fn send(stream: Stream, hop: &Hop<'_>) -> Result<Answer, FetchError> {
    let request = get(hop)?;
    let broken = |error| no_answer(hop.url, &error);
    let (mut sender, connection) = Builder::new()
        .max_header_size(HEAD)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
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
    pub(super) async fn land(self, hop: &Hop<'_>) -> Result<Landed, FetchError> {
        let (head, body) = self.response.into_parts();
        if redirect::is_redirect(head.status) {
            return redirect::target(hop.url, head.status, &head.headers).map(Landed::Elsewhere);
        }
        if head.status == StatusCode::NOT_MODIFIED && hop.etag().is_some() {
            let max_age = max_age(&head.headers);
            return Ok(Landed::Reply(Reply::NotModified { max_age }));
        }
        judge_status(hop, head.status, &head.headers)?;
        judge_encoding(hop.url, &head.headers)?;
        let content_type =
            head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let length = head
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
        let body = read(body, hop, length).await?;
        let max_age = max_age(&head.headers);
        // A tag is sent back to the address that gave it, and only there does it mean anything.
        let etag = if hop.redirected { None } else { etag(&head.headers) };
        Ok(Landed::Reply(Reply::Document(Document { body, content_type, max_age, etag })))
    }
}

impl Hop<'_> {
    /// The tag of what is held. It means nothing where a redirect led.
    fn etag(&self) -> Option<&str> {
        self.fetch.etag.as_deref().filter(|_| !self.redirected)
    }
}

fn get(hop: &Hop<'_>) -> Result<Request<Empty<Bytes>>, FetchError> {
    let unsendable = |error: &dyn fmt::Display| {
        let detail = format!("the request cannot be sent ({error})");
        FetchError::new(Stage::Request, FetchCode::BadUrl, hop.url, detail)
    };
    let mut request =
        Request::get(target(hop)).body(Empty::new()).map_err(|error| unsendable(&error))?;
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| unsendable(&error));
    let headers = request.headers_mut();
    headers.insert(HOST, value(&host(hop.url))?);
    headers.insert(ACCEPT, value(hop.fetch.accept)?);
    // A compressed body would make the limit on its size a lie.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(etag) = hop.etag() {
        headers.insert(IF_NONE_MATCH, value(etag)?);
    }
    let rules = &hop.fetch.rules;
    if rules.author_of(hop.url) == Author::Operator {
        for (name, value) in rules.headers.map() {
            headers.insert(name, value.clone());
        }
        if let Some(bearer) = hop.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
    }
    if let Some(authorization) = hop.proxy.and_then(|proxy| proxy.authorization.as_ref()) {
        headers.insert(PROXY_AUTHORIZATION, authorization.clone());
    }
    Ok(request)
}

/// What is asked for: path and query, or for a proxy the whole (RFC 9112 section 3.2.2).
fn target(hop: &Hop<'_>) -> String {
    let url = hop.url;
    let origin = match hop.proxy {
        Some(_) => format!("{}://{}", url.scheme(), host(url)),
        None => String::new(),
    };
    match url.query() {
        Some(query) => format!("{origin}{}?{query}", url.path()),
        None => format!("{origin}{}", url.path()),
    }
}

/// The URL's host, and its port where that is not the scheme's.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    }
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

fn judge_status(hop: &Hop<'_>, status: StatusCode, headers: &HeaderMap) -> Result<(), FetchError> {
    let code = match status.as_u16() {
        200 => return Ok(()),
        429 => FetchCode::RateLimited,
        _ => FetchCode::Status,
    };
    let mut detail = format!("the server answered {}", named(status));
    if let Some(proxy) = hop.proxy {
        // Which of the two it was that answered cannot be told.
        let proxy = quoted(&proxy.to_string()).to_string();
        detail = format!("{detail}, or the proxy {proxy} did in its place");
    }
    let mut error = FetchError::new(Stage::Status, code, hop.url, detail);
    error.status = Some(status.as_u16());
    error.retry_after = retry_after(headers);
    Err(error)
}

/// The status with its usual name; one without a name says nothing more than its number.
pub(super) fn named(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
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
async fn read(mut body: Incoming, hop: &Hop<'_>, length: Option<u64>) -> Result<Bytes, FetchError> {
    let limit = hop.fetch.rules.max_body;
    let refuse = |code, detail| FetchError::new(Stage::Body, code, hop.url, detail);
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
pub(super) fn cause(error: &hyper::Error) -> String {
    escaped(&error.source().map_or_else(|| error.to_string(), ToString::to_string))
}
