//! Where the token sits in a request: `Authorization: Bearer TOKEN` (RFC 6750 section 2.1), once.
//!
//! Never in the query string (RFC 9700 section 4.3.2), and never in a form body: a token in an
//! address ends up in the logs and histories of everybody on the way.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use keystead::core::{Reason, Segment};

/// The token of a request, as it was presented.
///
/// The scheme is case-insensitive (RFC 9110 section 11.1) and followed by one space or more; space
/// around the whole value does not belong to it (RFC 9110 section 5.5). What stands between is the
/// token, unchanged: white space or anything else that is no token is the verifier's to refuse.
///
/// # Errors
/// When there is no such token, or more than one. Two headers, and the one that a proxy makes of
/// two (`Bearer a,Bearer b`, RFC 9110 section 5.3), are refused rather than one of them picked: the
/// service behind may pick the other.
pub(crate) fn token(headers: &HeaderMap) -> Result<&str, Reason> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Reason::Missing)?;
    if values.next().is_some() {
        return Err(Reason::SeveralCredentials);
    }
    of_value(value.as_bytes())
}

fn of_value(value: &[u8]) -> Result<&str, Reason> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return Err(Reason::Missing);
    }
    let mut parts = value.splitn(2, |byte| *byte == b' ');
    let scheme = parts.next().unwrap_or_default();
    let token = parts.next().unwrap_or_default().trim_ascii_start();
    // A token holds no comma (RFC 6750 section 2.1), so one stands between two credentials.
    if value.contains(&b',') {
        let mut others = value.split(|byte| *byte == b',').skip(1);
        if is_bearer(scheme) || others.any(starts_with_bearer) {
            return Err(Reason::SeveralCredentials);
        }
    }
    if !is_bearer(scheme) {
        return Err(Reason::NotBearer { scheme: shown_scheme(scheme).into() });
    }
    if token.is_empty() {
        return Err(Reason::Empty);
    }
    core::str::from_utf8(token).map_err(|_| not_text(token))
}

fn is_bearer(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"bearer")
}

fn starts_with_bearer(credential: &[u8]) -> bool {
    credential.trim_ascii_start().split(|byte| *byte == b' ').next().is_some_and(is_bearer)
}

/// The scheme, if it is one that people use. Whoever forgets the scheme presents the secret in its
/// place, and a refusal must not repeat that.
fn shown_scheme(scheme: &[u8]) -> &'static str {
    let known = KNOWN_SCHEMES.iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
    known.copied().unwrap_or("(unknown)")
}

/// Why bytes that are no text are no token: what the verifier would say of them.
fn not_text(token: &[u8]) -> Reason {
    let segments = token.split(|byte| *byte == b'.');
    let found = segments.clone().count();
    if found != 3 {
        return Reason::Segments { found };
    }
    let mut named =
        [Segment::Header, Segment::Payload, Segment::Signature].into_iter().zip(segments);
    let segment = named.find(|(_, segment)| !segment.is_ascii());
    Reason::Base64 { segment: segment.map_or(Segment::Header, |(name, _)| name) }
}

/// The registered schemes, and a few that are met.
const KNOWN_SCHEMES: [&str; 20] = [
    "ApiKey",
    "AWS4-HMAC-SHA256",
    "Basic",
    "Concealed",
    "Digest",
    "DPoP",
    "GNAP",
    "HOBA",
    "JWT",
    "Key",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "PrivateToken",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "Signature",
    "Token",
    "vapid",
];

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn of(values: &[&[u8]]) -> Result<String, Reason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        token(&headers).map(ToOwned::to_owned)
    }

    fn not_bearer(scheme: &str) -> Reason {
        Reason::NotBearer { scheme: scheme.into() }
    }

    /// T32: the scheme is case-insensitive.
    #[test]
    fn the_scheme_is_case_insensitive_and_space_around_the_token_is_not_the_token() {
        for value in
            [&b"Bearer a.b.c"[..], b"bearer a.b.c", b"BEARER    a.b.c", b"  Bearer a.b.c \t"]
        {
            assert_eq!(of(&[value]).unwrap(), "a.b.c", "{value:?}");
        }
        assert_eq!(of(&[b"Bearer a b"]).unwrap(), "a b", "the verifier says what is wrong with it");
    }

    /// T30, G14
    #[test]
    fn nothing_and_nothing_after_the_scheme_are_two_things() {
        assert_eq!(of(&[]), Err(Reason::Missing));
        assert_eq!(of(&[b""]), Err(Reason::Missing));
        assert_eq!(of(&[b"Bearer"]), Err(Reason::Empty));
        assert_eq!(of(&[b"Bearer "]), Err(Reason::Empty));
        assert_eq!(of(&[b"bearer    "]), Err(Reason::Empty));
    }

    /// T31
    #[test]
    fn another_scheme_is_named_and_a_secret_in_its_place_is_not() {
        assert_eq!(of(&[b"Basic dTpw"]), Err(not_bearer("Basic")));
        assert_eq!(of(&[b"digest username=\"a\", realm=\"b\""]), Err(not_bearer("Digest")));
        assert_eq!(of(&[b"eyJhbGciOiJub25lIn0.e30."]), Err(not_bearer("(unknown)")));
        assert_eq!(of(&[b"hunter2 hunter3"]), Err(not_bearer("(unknown)")));
        assert_eq!(of(&[b"Bearer\ta.b.c"]), Err(not_bearer("(unknown)")));
        assert_eq!(of(&[b"Bearera.b.c"]), Err(not_bearer("(unknown)")));
    }

    #[test]
    fn several_credentials_are_refused_however_they_arrive() {
        let several = Err(Reason::SeveralCredentials);
        assert_eq!(of(&[b"Bearer a.b.c", b"Bearer a.b.c"]), several);
        assert_eq!(of(&[b"Basic dTpw", b"Bearer a.b.c"]), several);
        assert_eq!(of(&[b"Bearer ", b""]), several);
        for merged in [
            &b"Bearer a,Bearer b"[..],
            b"Bearer a, bearer b",
            b"Bearer a,b",
            b"Bearer ,Bearer b",
            b", Bearer b",
            b"Basic dTpw,Bearer b",
        ] {
            assert_eq!(of(&[merged]), several, "{merged:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_judged_as_the_verifier_judges_text() {
        assert_eq!(of(&[b"Bearer \xff"]), Err(Reason::Segments { found: 1 }));
        let segment = Segment::Payload;
        assert_eq!(of(&[b"Bearer a.\xff.c"]), Err(Reason::Base64 { segment }));
        assert_eq!(of(&["Bearer \u{e9}.b.c".as_bytes()]).unwrap(), "\u{e9}.b.c");
    }
}
