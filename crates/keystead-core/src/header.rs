//! The JOSE header (RFC 7515 section 4): which members mean something, and of which type they are.
//!
//! `jku`, `jwk`, `x5u` and `x5c` are not read: a token does not bring its own key (RFC 8725
//! section 3.10).

use std::borrow::Cow;

use crate::json::{self, Kind, Limits, Value};
use crate::rejection::{JsonFault, Reason};
use crate::span::Span;
use crate::token::{Segment, json_refused};

/// Where the members that are read stand in the header's text.
#[derive(Debug, Default)]
pub(crate) struct HeaderIndex {
    alg: Option<Span>,
    kid: Option<Span>,
    typ: Option<Span>,
    crit: Option<Span>,
    b64: Option<Span>,
    zip: Option<Span>,
}

impl HeaderIndex {
    /// Reads a header, and checks the types of the members it understands.
    pub(crate) fn read(text: &str) -> Result<Self, Reason> {
        let mut index = Self::default();
        json::parse_object(text, Limits::TOKEN, |name, value| {
            let slot = match name {
                "alg" => &mut index.alg,
                "kid" => &mut index.kid,
                "typ" => &mut index.typ,
                "crit" => &mut index.crit,
                "b64" => &mut index.b64,
                "zip" => &mut index.zip,
                _ => return,
            };
            *slot = Some(Span::of(text, value));
        })
        .map_err(|error| json_refused(Segment::Header, error))?;
        if index.alg.is_none() {
            return Err(member_fault("alg", None));
        }
        for (name, span) in [("alg", &index.alg), ("kid", &index.kid), ("typ", &index.typ)] {
            if let Some(value) = span.as_ref().map(|s| s.value(text))
                && value.kind() != Kind::String
            {
                return Err(member_fault(name, Some(value)));
            }
        }
        Ok(index)
    }
}

fn member_fault(name: &'static str, found: Option<Value<'_>>) -> Reason {
    let fault = JsonFault::HeaderMember { name, found: found.map(Value::kind) };
    Reason::Json { segment: Segment::Header, fault }
}

/// A header whose members have the right types.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    text: &'a str,
    index: &'a HeaderIndex,
}

impl<'a> Header<'a> {
    pub(crate) const fn new(text: &'a str, index: &'a HeaderIndex) -> Self {
        Self { text, index }
    }

    /// The header as it was written.
    #[must_use]
    pub const fn text(self) -> &'a str {
        self.text
    }

    /// `alg` (RFC 7515 section 4.1.1).
    #[must_use]
    pub fn alg(self) -> Cow<'a, str> {
        self.string(self.index.alg.as_ref()).unwrap_or_default()
    }

    /// `kid` (RFC 7515 section 4.1.4).
    #[must_use]
    pub fn kid(self) -> Option<Cow<'a, str>> {
        self.string(self.index.kid.as_ref())
    }

    /// `typ` (RFC 7515 section 4.1.9).
    #[must_use]
    pub fn typ(self) -> Option<Cow<'a, str>> {
        self.string(self.index.typ.as_ref())
    }

    /// The extensions that must be understood and are not: everything in `crit` (RFC 7515
    /// section 4.1.11), `b64` unless it is `true` (RFC 7797 section 7: not in a JWT), and `zip`,
    /// which belongs to encrypted tokens.
    ///
    /// A `crit` that is empty or not an array of strings breaks its own rule and counts too.
    #[must_use]
    pub fn unsupported(self) -> Vec<String> {
        let mut names = Vec::new();
        if let (None, None, None) = (self.index.crit, self.index.b64, self.index.zip) {
            return names;
        }
        if let Some(crit) = self.index.crit.as_ref().map(|s| s.value(self.text)) {
            names.extend(
                crit.elements()
                    .into_iter()
                    .flatten()
                    .filter_map(|name| name.as_str().map(Cow::into_owned)),
            );
            if names.is_empty() {
                names.push("crit".to_owned());
            }
        }
        let b64 = self.index.b64.as_ref().map(|s| s.value(self.text));
        let b64 = b64.is_some_and(|value| value.as_bool() != Some(true));
        for (name, demanded) in [("b64", b64), ("zip", self.index.zip.is_some())] {
            if demanded && !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    fn string(self, span: Option<&Span>) -> Option<Cow<'a, str>> {
        span?.value(self.text).as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<R>(text: &str, look: impl FnOnce(Header<'_>) -> R) -> R {
        look(Header::new(text, &HeaderIndex::read(text).unwrap()))
    }

    fn refused(text: &str) -> Reason {
        HeaderIndex::read(text).unwrap_err()
    }

    #[test]
    fn members_are_read_with_their_escapes_resolved() {
        with(r#"{"\u0061lg":"ES\u0032\u0035\u0036","kid":"a\/b","typ":"JWT","x":1}"#, |header| {
            assert_eq!(header.alg(), "ES256");
            assert_eq!(header.kid().as_deref(), Some("a/b"));
            assert_eq!(header.typ().as_deref(), Some("JWT"));
        });
        with(r#"{"alg":""}"#, |header| {
            assert_eq!((&*header.alg(), header.kid(), header.typ()), ("", None, None));
        });
    }

    #[test]
    fn a_member_of_the_wrong_type_is_refused() {
        let fault = |name, found| member_fault_of(name, found);
        assert_eq!(refused("{}"), fault("alg", None));
        for (json, kind) in [
            ("null", Kind::Null),
            ("7", Kind::Number),
            ("true", Kind::Bool),
            (r#"["ES256"]"#, Kind::Array),
            (r#"{"$ne":""}"#, Kind::Object),
        ] {
            assert_eq!(refused(&format!(r#"{{"alg":{json}}}"#)), fault("alg", Some(kind)));
            for name in ["kid", "typ"] {
                let text = format!(r#"{{"alg":"ES256","{name}":{json}}}"#);
                assert_eq!(refused(&text), fault(name, Some(kind)), "{text}");
            }
        }
    }

    fn member_fault_of(name: &'static str, found: Option<Kind>) -> Reason {
        let fault = JsonFault::HeaderMember { name, found };
        Reason::Json { segment: Segment::Header, fault }
    }

    #[test]
    fn every_extension_that_must_be_understood_is_named() {
        let unsupported = |member: &str| {
            let text = format!(r#"{{"alg":"ES256",{member}}}"#);
            with(&text, |header| header.unsupported().join(" "))
        };
        for (member, names) in [
            (r#""crit":["exp","x"]"#, "exp x"),
            (r#""crit":["b64"],"b64":false"#, "b64"),
            (r#""crit":["b64"],"b64":true"#, "b64"),
            (r#""crit":["x",7]"#, "x"),
            // A crit that breaks its own rule (RFC 7515 section 4.1.11).
            (r#""crit":[]"#, "crit"),
            (r#""crit":[7]"#, "crit"),
            (r#""crit":"exp""#, "crit"),
            (r#""crit":null"#, "crit"),
            (r#""b64":false"#, "b64"),
            (r#""b64":"true""#, "b64"),
            (r#""b64":true"#, ""),
            (r#""zip":"DEF""#, "zip"),
            (r#""zip":null"#, "zip"),
            (r#""cty":"JWT""#, ""),
        ] {
            assert_eq!(unsupported(member), names, "{member}");
        }
    }

    #[test]
    fn a_key_that_the_token_brings_is_not_read() {
        let text = r#"{"alg":"ES256","jku":"https://evil.example","jwk":{"kty":"oct"},"x5c":[7]}"#;
        with(text, |header| {
            assert_eq!(header.kid(), None);
            assert!(header.unsupported().is_empty());
        });
    }
}
