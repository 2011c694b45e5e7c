//! Answers, as far as they are not about a token. None of them may be stored on the way.

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};

/// A whole answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    empty_with(status, headers())
}

/// The headers of every answer.
pub(crate) fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers
}

/// An answer without a body that has grown out of [`headers`].
pub(crate) fn empty_with(status: StatusCode, headers: HeaderMap) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_body(status, "application/json", body)
}

pub(crate) fn text(status: StatusCode, body: String) -> Answer {
    with_body(status, "text/plain; charset=utf-8", body)
}

/// Why a request was not even looked at: the form of a refusal, with codes of its own that begin
/// with `request.`.
pub(crate) fn problem(status: StatusCode, code: &'static str, sentence: &str) -> Answer {
    let error = if status.is_server_error() { "server_error" } else { "invalid_request" };
    let sentence = serde_json::Value::from(sentence);
    json(status, format!(r#"{{"error":"{error}","error_description":{sentence},"code":"{code}"}}"#))
}

pub(crate) fn not_found() -> Answer {
    problem(StatusCode::NOT_FOUND, "request.not_found", "there is nothing at this path")
}

/// The path is right, the method is not; `allowed` are those that are.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Answer {
    let sentence = format!("this path answers {allowed} only");
    let mut answer =
        problem(StatusCode::METHOD_NOT_ALLOWED, "request.method_not_allowed", &sentence);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// The program met a fault of its own.
pub(crate) fn fault() -> Answer {
    problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "request.fault",
        "the program met a fault of its own, its log says where",
    )
}

/// The answer to HEAD is that to GET without the body (RFC 9110 section 9.3.2).
pub(crate) fn to(method: &Method, mut answer: Answer) -> Answer {
    if method == Method::HEAD {
        let length = answer.body().size_hint().exact().unwrap_or_default();
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
        *answer.body_mut() = Full::default();
    }
    answer
}

/// Names the reason in a header too: a proxy may pass on nothing but headers.
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-keystead-reason");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

fn with_body(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = empty(status);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    *answer.body_mut() = Full::new(body.into());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_has_the_length_of_the_body_that_it_does_not_have() {
        let whole = not_found();
        let length = whole.body().size_hint().exact();
        let head = to(&Method::HEAD, whole);
        assert_eq!(head.body().size_hint().exact(), Some(0));
        let told = head.headers()[CONTENT_LENGTH].to_str().unwrap().parse().ok();
        assert_eq!(told, length);
    }
}
