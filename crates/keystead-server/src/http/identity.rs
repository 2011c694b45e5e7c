//! Who a token is, as headers for the service behind the proxy.

use std::borrow::Cow;
use std::fmt::Write;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use keystead::VerifiedToken;
use keystead::core::{Reason, Rejection};

/// How many bytes one header may have.
const LONGEST: usize = 1024;

/// Adds the identity headers, each of them on every allow and empty when its claim is absent: a header
/// that is not there lets one through that the client made up.
///
/// Bytes outside 0x21 to 0x7E and `%` are percent-encoded, so that a claim cannot end a header or
/// add one, and two claims never look alike.
///
/// # Errors
/// When the subject or the issuer does not fit. A name that was cut off could be somebody else's,
/// so there is no identity to hand on. Scopes that do not fit are left out instead, whole: a token
/// may always do less than it could.
pub(crate) fn add(token: &VerifiedToken, mut headers: HeaderMap) -> Result<HeaderMap, Rejection> {
    let claims = token.claims();
    let subject = claims.subject().unwrap_or_default();
    headers.insert(SUBJECT, whole("subject", &subject)?);
    headers.insert(ISSUER, whole("issuer", &token.issuer())?);
    headers.insert(PROVIDER, whole("provider", token.provider())?);
    headers.insert(SCOPE, value(&fitting(claims.scopes().iter().map(|scope| &**scope))));
    Ok(headers)
}

fn whole(what: &'static str, text: &str) -> Result<HeaderValue, Rejection> {
    let encoded = encode(text);
    if encoded.len() > LONGEST {
        let found = Some(encoded.len());
        let reason = Reason::TooLarge { what, found, limit: LONGEST, unit: "bytes" };
        return Err(Rejection::new(reason));
    }
    Ok(value(&encoded))
}

/// As many scopes as fit, separated by an encoded space.
fn fitting<'a>(scopes: impl Iterator<Item = &'a str> + Clone) -> String {
    const SEPARATOR: &str = "%20";
    let likely = scopes.clone().map(|scope| scope.len() + SEPARATOR.len()).sum();
    let mut all = String::with_capacity(LONGEST.min(likely));
    for scope in scopes {
        let next = encode(scope);
        let separator = if all.is_empty() { "" } else { SEPARATOR };
        if all.len() + separator.len() + next.len() > LONGEST {
            break;
        }
        all.push_str(separator);
        all.push_str(&next);
    }
    all
}

fn encode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && byte != b'%'
}

/// What was encoded is visible ASCII and always fits.
fn value(encoded: &str) -> HeaderValue {
    HeaderValue::from_str(encoded).unwrap_or(HeaderValue::from_static(""))
}

const SUBJECT: HeaderName = HeaderName::from_static("x-keystead-subject");
const ISSUER: HeaderName = HeaderName::from_static("x-keystead-issuer");
const PROVIDER: HeaderName = HeaderName::from_static("x-keystead-provider");
const SCOPE: HeaderName = HeaderName::from_static("x-keystead-scope");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_claim_holds_is_one_header_of_visible_ascii() {
        assert_eq!(encode("auth0|user@a.example"), "auth0|user@a.example");
        assert_eq!(encode("a b"), "a%20b");
        assert_eq!(encode("100%"), "100%25");
        assert_eq!(encode("x\r\nX-Admin: yes"), "x%0D%0AX-Admin:%20yes");
        assert_eq!(encode("J\u{fc}rgen\u{7f}\0"), "J%C3%BCrgen%7F%00");
        let all: String = (0..=0x10_ffff_u32).step_by(251).filter_map(char::from_u32).collect();
        assert_eq!(value(&encode(&all)).to_str().unwrap(), encode(&all), "nothing is lost");
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused_and_never_cut() {
        assert!(whole("subject", &"s".repeat(1024)).is_ok());
        let refused = whole("subject", &"s".repeat(1025)).unwrap_err();
        assert_eq!(refused.code().as_str(), "token.too_large");
        assert_eq!(refused.sentence(), "subject has 1025 bytes, the limit is 1024");
        assert!(whole("subject", &"\u{e9}".repeat(171)).is_err(), "encoded bytes count");
    }

    #[test]
    fn scopes_that_do_not_fit_are_left_out_whole() {
        assert_eq!(fitting(["read", "write"].into_iter()), "read%20write");
        assert_eq!(fitting(std::iter::empty()), "");
        let scopes = vec!["0123456789"; 100];
        let fits = fitting(scopes.into_iter());
        assert!(fits.len() <= LONGEST);
        assert!(fits.split("%20").all(|scope| scope == "0123456789"));
        assert!(fits.len() > LONGEST - 13, "no more are left out than must be");
    }
}
