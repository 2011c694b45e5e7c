//! Bytes to an [`UnverifiedToken`]: compact JWS (RFC 7515 section 7.1) holding a JWT (RFC 7519).
//!
//! No policy, no keys, no clock: what is refused here could not be a token of anybody's.

use crate::claims::{Claims, ClaimsIndex};
use crate::header::{Header, HeaderIndex};
use crate::json::{self, JsonError, JsonProblem, Limits};
use crate::rejection::{JsonFault, Reason};

/// One of the three parts of a compact JWS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Segment {
    /// The first: the JOSE header.
    Header,
    /// The second: the claims set.
    Payload,
    /// The third.
    Signature,
}

impl Segment {
    /// The segment in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        }
    }
}

/// How large a token may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TokenLimits {
    /// The whole token, in bytes. Default: 16 KiB.
    pub token: usize,
    /// The decoded header, in bytes. Default: 8 KiB.
    pub header: usize,
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self { token: 16 * 1024, header: 8 * 1024 }
    }
}

impl TokenLimits {
    /// The default header limit beside another token limit.
    #[must_use]
    pub fn with_token(token: usize) -> Self {
        Self { token, ..Self::default() }
    }
}

/// What can be said of a presented token without believing any of it: for logs and explanations.
///
/// Its texts are as they were presented: print them with [`crate::text::quoted`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TokenFacts {
    /// How many bytes it has.
    pub length: usize,
    /// How many dot-separated segments it has; none for an empty one.
    pub segments: usize,
    /// The `alg` it presents.
    pub alg: Option<Box<str>>,
    /// The `kid` it presents.
    pub kid: Option<Box<str>>,
    /// The `iss` it presents.
    pub issuer: Option<Box<str>>,
    /// The `exp` it presents, in seconds since the Unix epoch.
    pub exp: Option<f64>,
}

impl TokenFacts {
    /// The facts of the bare text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let segments = if text.is_empty() { 0 } else { text.split('.').count() };
        Self { length: text.len(), segments, ..Self::default() }
    }
}

/// A token that has the right shape. Nothing in it has been verified.
#[derive(Debug)]
pub struct UnverifiedToken<'t> {
    signing_input: &'t str,
    signature: &'t str,
    decoded: Decoded,
}

/// The decoded header and claims set, back to back in one allocation, and after them the token as
/// it was presented if that is to be kept.
#[derive(Debug)]
pub(crate) struct Decoded {
    text: Box<str>,
    header_len: usize,
    claims_end: usize,
    header: HeaderIndex,
    claims: ClaimsIndex,
}

/// Whether the text of a token is needed after its verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Original {
    Kept,
    Dropped,
}

impl<'t> UnverifiedToken<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// The first reason why it is not a compact JWS with a JSON header and a JSON claims set.
    pub fn parse(text: &'t str, limits: TokenLimits) -> Result<Self, Reason> {
        Self::read(text, limits, Original::Dropped)
    }

    /// The same; the token may be kept beside what was read of it.
    pub(crate) fn read(
        text: &'t str,
        limits: TokenLimits,
        original: Original,
    ) -> Result<Self, Reason> {
        if text.is_empty() {
            return Err(Reason::Empty);
        }
        if text.len() > limits.token {
            return Err(Reason::TooLarge {
                what: "token",
                found: Some(text.len()),
                limit: limits.token,
                unit: "bytes",
            });
        }
        let (header, payload, signature) = segments(text).ok_or_else(|| wrong_segments(text))?;
        // Exactly what all of it takes (RFC 4648 section 4), so that it is allocated once.
        let kept = if original == Original::Kept { text } else { "" };
        let mut decoded =
            String::with_capacity(header.len() * 3 / 4 + payload.len() * 3 / 4 + kept.len());
        decode(Segment::Header, header, &mut decoded)?;
        let header_len = decoded.len();
        if header_len > limits.header {
            return Err(Reason::TooLarge {
                what: "header",
                found: Some(header_len),
                limit: limits.header,
                unit: "bytes",
            });
        }
        let header_index = HeaderIndex::read(&decoded)?;
        decode(Segment::Payload, payload, &mut decoded)?;
        let claims = ClaimsIndex::read(decoded.get(header_len..).unwrap_or_default())?;
        base64_simd::URL_SAFE_NO_PAD
            .check(signature.as_bytes())
            .map_err(|_| Reason::Base64 { segment: Segment::Signature })?;
        let signing_input = text.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let claims_end = decoded.len();
        decoded.push_str(kept);
        let text = decoded.into_boxed_str();
        let decoded = Decoded { text, header_len, claims_end, header: header_index, claims };
        Ok(Self { signing_input, signature, decoded })
    }

    /// The JOSE header.
    #[must_use]
    pub fn header(&self) -> Header<'_> {
        self.decoded.header()
    }

    /// The claims set. Nobody has vouched for it yet.
    #[must_use]
    pub fn claims(&self) -> Claims<'_> {
        self.decoded.claims()
    }

    /// What the signature is over (RFC 7515 section 2).
    #[must_use]
    pub const fn signing_input(&self) -> &'t str {
        self.signing_input
    }

    /// Hands the decoded signature to `check`.
    ///
    /// It fits the stack unless it is of ML-DSA or of an RSA key of more than 4,096 bits; the text was
    /// checked when parsed.
    pub(crate) fn with_signature<R>(&self, check: impl FnOnce(&[u8]) -> R) -> R {
        let text = self.signature.as_bytes();
        let mut stack = [0_u8; 512];
        if base64_simd::URL_SAFE_NO_PAD.decoded_length(text).is_ok_and(|n| n <= stack.len()) {
            let out = base64_simd::Out::from_slice(&mut stack);
            let signature = base64_simd::URL_SAFE_NO_PAD.decode(text, out);
            return check(signature.map_or(&[][..], |s| s));
        }
        check(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).unwrap_or_default())
    }

    /// What can be said of the token without believing it.
    #[must_use]
    pub fn facts(&self) -> TokenFacts {
        let (header, claims) = (self.header(), self.claims());
        TokenFacts {
            length: self.signing_input.len() + 1 + self.signature.len(),
            segments: 3,
            alg: Some(header.alg().into()),
            kid: header.kid().map(Into::into),
            issuer: claims.issuer().ok().flatten().map(Into::into),
            exp: claims.member("exp").and_then(json::Value::as_f64),
        }
    }

    pub(crate) fn into_decoded(self) -> Decoded {
        self.decoded
    }
}

impl Decoded {
    pub(crate) fn header(&self) -> Header<'_> {
        Header::new(self.text.get(..self.header_len).unwrap_or_default(), &self.header)
    }

    pub(crate) fn claims(&self) -> Claims<'_> {
        let text = self.text.get(self.header_len..self.claims_end);
        Claims::new(text.unwrap_or_default(), &self.claims)
    }

    /// The token as it was presented; empty unless it was kept.
    pub(crate) fn original(&self) -> &str {
        self.text.get(self.claims_end..).unwrap_or_default()
    }

    pub(crate) fn text_len(&self) -> usize {
        self.text.len()
    }
}

/// The three segments, if there are three.
fn segments(text: &str) -> Option<(&str, &str, &str)> {
    let (header, rest) = split_at_dot(text)?;
    let (payload, signature) = split_at_dot(rest)?;
    split_at_dot(signature).is_none().then_some((header, payload, signature))
}

/// What stands before and after the first dot.
fn split_at_dot(text: &str) -> Option<(&str, &str)> {
    let at = memchr::memchr(b'.', text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Tells an encrypted token (RFC 7516 section 3.1) from any other wrong number of segments.
fn wrong_segments(text: &str) -> Reason {
    let found = text.split('.').count();
    let mut first = String::new();
    let header = text.split('.').next().unwrap_or_default();
    if found == 5
        && decode(Segment::Header, header, &mut first).is_ok()
        && json::parse(first.as_bytes(), Limits::TOKEN).is_ok_and(|h| h.member("enc").is_some())
    {
        return Reason::Encrypted;
    }
    Reason::Segments { found }
}

/// Appends the decoded segment: base64url without padding, without anything else, and with
/// canonical trailing bits (RFC 7515 section 2, RFC 4648 section 3.5), and UTF-8 inside.
fn decode(segment: Segment, text: &str, out: &mut String) -> Result<(), Reason> {
    let start = out.len();
    let mut bytes = core::mem::take(out).into_bytes();
    base64_simd::URL_SAFE_NO_PAD
        .decode_append(text.as_bytes(), &mut bytes)
        .map_err(|_| Reason::Base64 { segment })?;
    *out = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to().saturating_sub(start);
        let problem = JsonError { problem: JsonProblem::Encoding, at };
        Reason::Json { segment, fault: JsonFault::Text(problem) }
    })?;
    Ok(())
}

/// What a scanner's finding means for a token.
pub(crate) fn json_refused(segment: Segment, error: JsonError) -> Reason {
    match error.problem {
        JsonProblem::DuplicateMember(name) => Reason::DuplicateMember { segment, name },
        JsonProblem::Depth => too_large("nesting", Limits::TOKEN.depth, "levels"),
        JsonProblem::Members => too_large("object", Limits::TOKEN.members, "members"),
        JsonProblem::Number => too_large("number", Limits::TOKEN.number, "bytes"),
        _ => Reason::Json { segment, fault: JsonFault::Text(error) },
    }
}

const fn too_large(what: &'static str, limit: usize, unit: &'static str) -> Reason {
    Reason::TooLarge { what, found: None, limit, unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b64(bytes: impl AsRef<[u8]>) -> String {
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
    }

    fn token(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        format!("{}.{}.{}", b64(header), b64(payload), b64("signature"))
    }

    fn refused(text: &str) -> Reason {
        UnverifiedToken::parse(text, TokenLimits::default()).map(|_| ()).unwrap_err()
    }

    const HEADER: &str = r#"{"alg":"ES256"}"#;

    #[test]
    fn a_token_is_taken_apart() {
        let text = token(r#"{"alg":"ES256","kid":"k"}"#, r#"{"iss":"i","exp":1.5}"#);
        let parsed = UnverifiedToken::parse(&text, TokenLimits::default()).unwrap();
        assert_eq!(parsed.header().text(), r#"{"alg":"ES256","kid":"k"}"#);
        assert_eq!(parsed.claims().text(), r#"{"iss":"i","exp":1.5}"#);
        assert_eq!(parsed.signing_input(), text.rsplit_once('.').unwrap().0);
        assert_eq!(parsed.with_signature(<[u8]>::to_vec), b"signature");
        let facts = parsed.facts();
        assert_eq!((facts.length, facts.segments), (text.len(), 3));
        assert_eq!((facts.alg.as_deref(), facts.kid.as_deref()), (Some("ES256"), Some("k")));
        assert_eq!((facts.issuer.as_deref(), facts.exp), (Some("i"), Some(1.5)));
    }

    #[test]
    fn the_facts_of_a_text_are_its_length_and_its_segments() {
        for (text, segments) in [("", 0), ("abc", 1), ("a.b", 2), ("a..b.\u{e9}", 4)] {
            let facts = TokenFacts::of(text);
            assert_eq!((facts.length, facts.segments), (text.len(), segments), "{text:?}");
        }
    }

    #[test]
    fn a_signature_of_any_length_is_handed_over_whole() {
        for length in [0, 1, 64, 511, 512, 513, 4_627] {
            let signature: Vec<_> = (0..=255).cycle().take(length).collect();
            let text = format!("{}.{}.{}", b64(HEADER), b64("{}"), b64(&signature));
            let parsed = UnverifiedToken::parse(&text, TokenLimits::default()).unwrap();
            assert_eq!(parsed.with_signature(<[u8]>::to_vec), signature);
        }
    }

    #[test]
    fn limits_hold_to_the_byte() {
        let header = |len: usize| format!(r#"{{"alg":"{}"}}"#, "x".repeat(len - 10));
        let fits = token(header(8_192), "{}");
        assert!(UnverifiedToken::parse(&fits, TokenLimits::default()).is_ok());
        let Reason::TooLarge { what: "header", found: Some(8_193), limit: 8_192, .. } =
            refused(&token(header(8_193), "{}"))
        else {
            panic!("a header of 8,193 bytes");
        };
        let exact = TokenLimits::with_token(fits.len());
        assert!(UnverifiedToken::parse(&fits, exact).is_ok());
        let short = TokenLimits::with_token(fits.len() - 1);
        let Err(Reason::TooLarge { what: "token", .. }) = UnverifiedToken::parse(&fits, short)
        else {
            panic!("a token one byte too long");
        };
    }

    #[test]
    fn segments_are_counted_whatever_is_in_them() {
        assert_eq!(refused(""), Reason::Empty);
        for (text, found) in [("abc", 1), (".", 2), ("...", 4), (".a.b.c", 4), ("a.b.c.", 4)] {
            assert_eq!(refused(text), Reason::Segments { found }, "{text:?}");
        }
        assert_eq!(refused(&".".repeat(16_384)), Reason::Segments { found: 16_385 });
        let serialized = r#"{"protected":"e30","payload":"e30","signature":""}"#;
        assert_eq!(refused(serialized), Reason::Segments { found: 1 });
        // Dots of other scripts are no dots.
        assert_eq!(refused("a\u{ff0e}b\u{ff0e}c"), Reason::Segments { found: 1 });
    }

    #[test]
    fn five_segments_are_an_encrypted_token_only_with_enc() {
        let five = |header: &str| refused(&format!("{}....", b64(header)));
        assert_eq!(five(r#"{"alg":"dir","enc":"A128GCM"}"#), Reason::Encrypted);
        for other in [r#"{"alg":"ES256"}"#, r#"["enc"]"#, "enc", r#"{"enc":"A""#] {
            assert_eq!(five(other), Reason::Segments { found: 5 }, "{other}");
        }
        let four = format!("{}...", b64(r#"{"alg":"dir","enc":"A128GCM"}"#));
        assert_eq!(refused(&four), Reason::Segments { found: 4 });
    }

    #[test]
    fn segments_are_base64url_in_its_one_canonical_form() {
        // "e30" is {}, "e31" has a stray bit, "e30=" is padded, "e" is no whole byte.
        for broken in ["e31", "e30=", "e", "e3 0", "e30\n", " e30", "e+/0", "\u{435}30", "\"e30\""]
        {
            for (segment, at) in
                [(Segment::Header, 0), (Segment::Payload, 1), (Segment::Signature, 2)]
            {
                let mut parts = [b64(HEADER), b64("{}"), b64("signature")];
                broken.clone_into(&mut parts[at]);
                assert_eq!(refused(&parts.join(".")), Reason::Base64 { segment }, "{broken:?}");
            }
        }
    }

    #[test]
    fn a_scheme_in_front_is_no_part_of_a_token() {
        let text = format!("Bearer {}", token(HEADER, "{}"));
        assert_eq!(refused(&text), Reason::Base64 { segment: Segment::Header });
    }

    #[test]
    fn what_is_no_text_is_named_with_its_place_in_its_segment() {
        let encoding = |segment, at| Reason::Json {
            segment,
            fault: JsonFault::Text(JsonError { problem: JsonProblem::Encoding, at }),
        };
        assert_eq!(refused(&token(b"{\"\xff", "{}")), encoding(Segment::Header, 2));
        assert_eq!(refused(&token(HEADER, b"{\"a\xc0\xaf\":1}")), encoding(Segment::Payload, 3));
        // Half a character at the end of the header is not completed by the payload.
        assert_eq!(refused(&token(b"{}\xc3", b"\xa9{}")), encoding(Segment::Header, 2));
        let lone = refused(&token(HEADER, r#"{"a":"\ud800"}"#));
        assert!(matches!(lone, Reason::Json { segment: Segment::Payload, .. }), "{lone:?}");
    }

    #[test]
    fn header_and_claims_are_json_objects() {
        for other in
            ["", "null", "7", "\"x\"", "[]", "{} {}", "{'a':1}", "\u{feff}{}", "{\"a\":01}"]
        {
            let header = refused(&token(other, "{}"));
            assert!(matches!(header, Reason::Json { segment: Segment::Header, .. }), "{other:?}");
            let payload = refused(&token(HEADER, other));
            assert!(matches!(payload, Reason::Json { segment: Segment::Payload, .. }), "{other:?}");
        }
        let spaced = token(HEADER, " {\"iss\" : \"i\"}\n");
        let parsed = UnverifiedToken::parse(&spaced, TokenLimits::default()).unwrap();
        assert_eq!(parsed.claims().text(), "{\"iss\" : \"i\"}");
        assert_eq!(parsed.claims().issuer().unwrap().as_deref(), Some("i"));
    }

    #[test]
    fn a_member_is_named_once_at_every_level() {
        let twice = |segment, name: &str| Reason::DuplicateMember { segment, name: name.into() };
        assert_eq!(
            refused(&token(r#"{"alg":"ES256","\u0061lg":"none"}"#, "{}")),
            twice(Segment::Header, "alg")
        );
        assert_eq!(
            refused(&token(HEADER, r#"{"a":[{"b":{"c":1,"c":2}}]}"#)),
            twice(Segment::Payload, "c")
        );
    }

    #[test]
    fn limits_inside_the_json_are_named() {
        let what = |payload: &str| match refused(&token(HEADER, payload)) {
            Reason::TooLarge { what, .. } => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(what(&format!("{{\"a\":{}", "[".repeat(5_000))), "nesting");
        assert_eq!(what(&format!("{{\"a\":{}", "1".repeat(5_000) + "}")), "number");
        let members: Vec<_> = (0..1_100).map(|n| format!("\"{n}\":0")).collect();
        assert_eq!(what(&format!("{{{}}}", members.join(","))), "object");
    }
}
