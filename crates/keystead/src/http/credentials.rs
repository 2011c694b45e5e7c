//! What a client shows to prove who it is. It goes to the operator's origins and to no other.

use std::fmt;
use std::path::Path;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};

use super::files::{Files, named};
use super::rules::RuleError;
use crate::token_file::{TOKEN_LIMIT, one_token};

/// Headers that the operator adds to requests. Their values are secrets: they are never shown.
///
/// They take the place of the headers `Accept` and `User-Agent` that would be sent otherwise. Those
/// that steer the connection or the form of the answer cannot be set.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct ClientHeaders(HeaderMap);

impl ClientHeaders {
    /// Adds a header, in place of one with the same name.
    ///
    /// # Errors
    /// When the name is none, or one that the client decides on; when the value cannot be sent.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), RuleError> {
        let Ok(name) = HeaderName::try_from(name.trim()) else {
            return Err(RuleError::new("it is not the name of a header", "write it as X-Api-Key"));
        };
        if is_reserved(&name) {
            let problem = format!("the header {name} is decided by the client");
            return Err(RuleError::new(problem, "remove it"));
        }
        let value = secret(value.trim()).map_err(|_| {
            let problem = format!("the value of the header {name} has a line break or control");
            RuleError::new(problem, "write it on one line")
        })?;
        self.0.insert(name, value);
        Ok(())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one with this name, in whatever case.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name.trim())
    }

    /// Whether one of them is `Authorization`, in whose place a token file would stand.
    pub(crate) fn authorize(&self) -> bool {
        self.0.contains_key(AUTHORIZATION)
    }

    pub(super) const fn map(&self) -> &HeaderMap {
        &self.0
    }
}

/// The names; never a value.
impl fmt::Debug for ClientHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(HeaderName::as_str)).finish()
    }
}

/// What decides where a request goes, where it ends, or in which form its answer comes.
fn is_reserved(name: &HeaderName) -> bool {
    const NAMES: [&str; 13] = [
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];
    let name = name.as_str();
    NAMES.contains(&name) || name.starts_with("if-") || name.starts_with("proxy-")
}

/// The bearer token in a file, as the value of `Authorization`.
///
/// It is read anew for each attempt, because tokens of service accounts are replaced every hour.
pub(super) async fn bearer(files: &Files, path: &Path) -> Result<HeaderValue, String> {
    const SETTING: &str = "token_file";
    let content = files.read(SETTING, path, TOKEN_LIMIT).await?;
    let value = one_token(&content).and_then(|token| {
        secret(&format!("Bearer {token}")).map_err(|_| "holds something that cannot be sent")
    });
    value.map_err(|problem| named(SETTING, path, problem))
}

/// A value that hyper and everybody else keeps out of what is shown.
pub(super) fn secret(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_never_shown() {
        let mut headers = ClientHeaders::default();
        headers.insert("X-Api-Key", " hunter2\n").unwrap();
        headers.insert("x-api-key", "hunter3").unwrap();
        assert_eq!(format!("{headers:?}"), "{\"x-api-key\"}");
        assert_eq!(headers.map().get("x-api-key").unwrap(), "hunter3");
        assert!(!format!("{:?}", headers.map()).contains("hunter"));
        assert!(!headers.authorize());
        headers.insert("authorization", "Basic aHVudGVyMg==").unwrap();
        assert!(headers.authorize());
    }

    #[test]
    fn what_the_client_decides_on_cannot_be_set() {
        for name in [
            "Host",
            "Content-Length",
            "Accept-Encoding",
            "Transfer-Encoding",
            "Connection",
            "If-None-Match",
            "Proxy-Authorization",
            "",
            "a b",
            "x:y",
            "\u{e9}",
        ] {
            let error = ClientHeaders::default().insert(name, "hunter2").unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        for value in ["hunter2\r\nHost: x", "hunter2\u{0}"] {
            let error = ClientHeaders::default().insert("X-Key", value).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_token_is_one_word_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let files = Files::new();
        let read = async || bearer(&files, &path).await;
        let said = |problem| format!("token_file \"{}\" {problem}", path.display());
        assert_eq!(read().await.unwrap_err(), said("does not exist"));
        for (content, problem) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("two words", "holds something else than one token"),
            ("two\nlines", "holds something else than one token"),
            ("caf\u{e9}", "holds something else than one token"),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read().await.unwrap_err(), said(problem), "{content:?}");
        }
        std::fs::write(&path, vec![b'x'; 64 * 1024 + 1]).unwrap();
        assert_eq!(read().await.unwrap_err(), said("is larger than 65536 bytes"));
        std::fs::write(&path, "\u{a}eyJ.a.b\r\n").unwrap();
        let value = read().await.unwrap();
        assert_eq!(value, "Bearer eyJ.a.b");
        assert!(value.is_sensitive());
    }
}
