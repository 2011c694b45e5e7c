//! Whether an answer is a JSON document at all.

use keystead_core::json::{self, Limits};
use url::Url;

use super::Document;
use super::error::{FetchCode, FetchError, Stage};

/// The document's JSON text, checked by the limits of documents.
///
/// A byte order mark in front is left out: RFC 8259 section 8.1 forbids servers to send one and
/// lets readers ignore it, some identity providers send one all the same, and the scanner of
/// `keystead-core` refuses it because nothing may stand in front of what decides a verdict. Here
/// the key set behind it is what counts.
pub(crate) fn judge_json<'a>(document: &'a Document, url: &Url) -> Result<&'a [u8], FetchError> {
    let body: &[u8] = &document.body;
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if is_html(document.content_type.as_deref(), text) {
        let detail = "the answer is HTML and looks like a login page";
        return Err(FetchError::new(Stage::Parse, FetchCode::LoginPage, url, detail));
    }
    match json::parse(text, Limits::DOCUMENT) {
        Ok(_) => Ok(text),
        Err(error) => {
            let limit = error.problem.is_limit();
            let code = if limit { FetchCode::TooLarge } else { FetchCode::NotJson };
            let detail = match text {
                [] => "the answer is empty".to_owned(),
                _ if limit => format!("the answer exceeds a limit ({error})"),
                _ => format!("the answer is not JSON ({error})"),
            };
            Err(FetchError::new(Stage::Parse, code, url, detail))
        }
    }
}

/// A JSON document never begins with `<`, and some proxies serve sign-in pages as JSON; others
/// serve JSON as HTML, which is not held against them when it reads as JSON.
fn is_html(content_type: Option<&str>, text: &[u8]) -> bool {
    let html = content_type.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/html")
            || essence.eq_ignore_ascii_case("application/xhtml+xml")
    });
    match text.trim_ascii_start() {
        [b'<', ..] => true,
        [b'{' | b'[', ..] => false,
        _ => html,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(content_type: Option<&str>, body: &'static [u8]) -> Result<Vec<u8>, FetchCode> {
        let mut document = Document::json(body);
        document.content_type = content_type.map(str::to_owned);
        let url = Url::parse("https://idp.example/keys").unwrap();
        judge_json(&document, &url).map(<[u8]>::to_vec).map_err(|error| {
            assert_eq!(error.stage, Stage::Parse);
            error.code
        })
    }

    #[test]
    fn json_passes_whatever_it_is_called() {
        let body = b"{\"keys\":[]}";
        for kind in [Some("application/json"), Some("text/plain"), Some("text/html"), None] {
            assert_eq!(judged(kind, body), Ok(body.to_vec()), "{kind:?}");
        }
        assert_eq!(judged(None, b"\xef\xbb\xbf{\"keys\":[]}"), Ok(body.to_vec()));
        assert_eq!(judged(None, b"{}"), Ok(b"{}".to_vec()));
    }

    /// K20
    #[test]
    fn html_looks_like_a_login_page() {
        for (kind, body) in [
            (Some("application/json"), b"\n <!doctype html><title>Sign in</title>".as_slice()),
            (Some("text/html; charset=utf-8"), b"Sign in"),
            (Some("Text/HTML"), b""),
            (None, b"\xef\xbb\xbf<html>"),
        ] {
            assert_eq!(judged(kind, body), Err(FetchCode::LoginPage), "{kind:?}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_from_what_is_too_much() {
        for body in [
            b"".as_slice(),
            b"Bootstrap in progress",
            b"{\"keys\":[{\"kty\":\"RSA\",",
            b"{\"keys\":[]}{\"keys\":[]}",
            b"{\"keys\":[],\"keys\":[]}",
            b"\xef\xbb\xbf\xef\xbb\xbf{}",
            b"\xff\xfe{\x00}\x00",
        ] {
            assert_eq!(judged(Some("application/json"), body), Err(FetchCode::NotJson));
        }
        let deep = "[".repeat(100).leak().as_bytes();
        assert_eq!(judged(None, deep), Err(FetchCode::TooLarge));
    }
}
