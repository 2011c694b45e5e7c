//! An answer that was written down beforehand, instead of a fault of the catalogue.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use keystead::core::text::quoted;
use serde_json::{Map, Value};

use crate::idp::documents::Answer;
use crate::idp::error::IdpError;
use crate::idp::mint_request::{object, string, unknown, wrong};

/// An answer that says what it was told to say, whatever was asked.
///
/// ```
/// use keystead_testkit::idp::CannedAnswer;
///
/// let teapot = CannedAnswer::new(418).header("content-type", "text/plain").body("short and stout");
/// assert_eq!(teapot.status, 418);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CannedAnswer {
    /// The status, from 200.
    pub status: u16,
    /// The headers, in order. `Content-Length` is counted, not told.
    pub headers: Vec<(String, String)>,
    /// The body. Answers to HEAD, 204 and 304 go without.
    pub body: String,
}

impl CannedAnswer {
    /// An answer with this status, without headers and body.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// 200 with this body as `application/json`, JSON or not.
    #[must_use]
    pub fn json(body: impl Into<String>) -> Self {
        Self::new(200).header("content-type", "application/json").body(body)
    }

    /// Has this header too.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Has this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// The answer as HTTP, if it can be said in HTTP.
    pub(super) fn response(&self) -> Result<Answer, IdpError> {
        let status = StatusCode::from_u16(self.status).ok().filter(|s| s.as_u16() >= 200);
        let mut response = Response::new(Bytes::from(self.body.clone()));
        *response.status_mut() = status.ok_or(IdpError::Status(self.status))?;
        for (name, value) in &self.headers {
            let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            let Some((name, value)) = header.filter(|(name, _)| !is_the_servers(name)) else {
                let problem = format!("the header {} cannot be told", quoted(name));
                return Err(IdpError::Order(problem));
            };
            response.headers_mut().append(name, value);
        }
        Ok(response)
    }

    /// Its JSON form: `status`, `headers` (an object) and `body`.
    pub(super) fn to_json(&self) -> Value {
        let headers: Map<String, Value> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let mut written = Map::new();
        written.insert("status".to_owned(), self.status.into());
        written.insert("headers".to_owned(), headers.into());
        written.insert("body".to_owned(), self.body.clone().into());
        written.into()
    }

    /// Reads the JSON form; a body that is no text is written as JSON.
    pub(super) fn from_json(written: &Map<String, Value>) -> Result<Self, IdpError> {
        let mut answer = Self::new(200);
        for (name, value) in written {
            match name.as_str() {
                "status" => {
                    let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
                    answer.status = status.ok_or_else(|| wrong(name, "an HTTP status"))?;
                }
                "headers" => {
                    for (name, value) in object(name, value)? {
                        let value = string(&name, &value)?;
                        answer.headers.push((name, value));
                    }
                }
                "body" => {
                    let text = value.as_str().map(ToOwned::to_owned);
                    answer.body = text.unwrap_or_else(|| value.to_string());
                }
                _ => return Err(unknown(name, "status, headers, body")),
            }
        }
        answer.response()?;
        Ok(answer)
    }
}

/// What frames the answer: a canned one that lied about it could hang the client for ever, and that
/// is what faults are for.
fn is_the_servers(name: &HeaderName) -> bool {
    [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(written: &Value) -> Result<CannedAnswer, IdpError> {
        CannedAnswer::from_json(written.as_object().unwrap())
    }

    #[test]
    fn an_answer_survives_the_wire() {
        let answer = CannedAnswer::new(418).header("x-pot", "tea").body("short");
        assert_eq!(read(&answer.to_json()).unwrap(), answer);
        assert_eq!(read(&json!({})).unwrap(), CannedAnswer::new(200));
        assert_eq!(read(&json!({"body": {"keys": []}})).unwrap().body, r#"{"keys":[]}"#);
    }

    #[test]
    fn what_http_cannot_say_is_refused() {
        for (written, said) in [
            (json!({"status": 199}), "199 is not an HTTP status"),
            (json!({"status": 70_000}), "\"status\" must be an HTTP status"),
            (json!({"headers": {"a b": "c"}}), "the header \"a b\" cannot be told"),
            (json!({"headers": {"a": "b\r\nc: d"}}), "the header \"a\" cannot be told"),
            (json!({"headers": {"content-length": "7"}}), "the header \"content-length\" cannot"),
            (json!({"headers": {"a": 1}}), "\"a\" must be a string"),
            (json!({"header": {}}), "unknown member \"header\""),
        ] {
            let error = read(&written).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
