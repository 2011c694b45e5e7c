//! The claims set (RFC 7519 section 4), with the JSON types that its registered claims must have.

use std::borrow::Cow;

use crate::json::{self, Escapes, Kind, Limits, Value};
use crate::rejection::Reason;
use crate::span::Span;
use crate::token::{Segment, json_refused};

/// A claim that is looked up for every token.
#[derive(Clone, Copy)]
pub(crate) enum Registered {
    Issuer,
    Audience,
    Expiry,
    NotBefore,
    IssuedAt,
    Subject,
    Id,
    Scope,
    Scp,
    Scopes,
}

impl Registered {
    const COUNT: usize = 10;

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "iss",
            Self::Audience => "aud",
            Self::Expiry => "exp",
            Self::NotBefore => "nbf",
            Self::IssuedAt => "iat",
            Self::Subject => "sub",
            Self::Id => "jti",
            Self::Scope => "scope",
            Self::Scp => "scp",
            Self::Scopes => "scopes",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "iss" => Self::Issuer,
            "aud" => Self::Audience,
            "exp" => Self::Expiry,
            "nbf" => Self::NotBefore,
            "iat" => Self::IssuedAt,
            "sub" => Self::Subject,
            "jti" => Self::Id,
            "scope" => Self::Scope,
            "scp" => Self::Scp,
            "scopes" => Self::Scopes,
            _ => return None,
        })
    }
}

/// A time that is compared on every verification.
#[derive(Clone, Copy)]
pub(crate) enum Date {
    Expiry,
    NotBefore,
    IssuedAt,
}

impl Date {
    const ALL: [Self; 3] = [Self::Expiry, Self::NotBefore, Self::IssuedAt];

    pub(crate) const fn claim(self) -> Registered {
        match self {
            Self::Expiry => Registered::Expiry,
            Self::NotBefore => Registered::NotBefore,
            Self::IssuedAt => Registered::IssuedAt,
        }
    }
}

/// Where the claims that every verification reads stand in the text.
#[derive(Debug, Default)]
pub(crate) struct ClaimsIndex {
    spans: [Option<Span>; Registered::COUNT],
    /// The times, where they are numbers: read once, and compared whenever the token comes.
    dates: [Option<f64>; Date::ALL.len()],
}

impl ClaimsIndex {
    pub(crate) fn read(text: &str) -> Result<Self, Reason> {
        let mut index = Self::default();
        json::parse_object(text, Limits::TOKEN, |name, value| {
            let registered = Registered::named(name);
            if let Some(slot) = registered.and_then(|claim| index.spans.get_mut(claim as usize)) {
                *slot = Some(Span::of(text, value));
            }
        })
        .map_err(|error| json_refused(Segment::Payload, error))?;
        index.dates = Date::ALL.map(|date| index.value(text, date.claim())?.as_f64());
        Ok(index)
    }

    fn value<'a>(&self, text: &'a str, claim: Registered) -> Option<Value<'a>> {
        self.spans.get(claim as usize)?.map(|span| span.value(text))
    }
}

/// A claims set.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    text: &'a str,
    index: &'a ClaimsIndex,
}

impl<'a> Claims<'a> {
    pub(crate) const fn new(text: &'a str, index: &'a ClaimsIndex) -> Self {
        Self { text, index }
    }

    /// The claims set as it was written: a JSON object.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.text.trim_matches([' ', '\t', '\n', '\r'])
    }

    /// A claim by its name.
    #[must_use]
    pub fn member(self, name: &str) -> Option<Value<'a>> {
        match Registered::named(name) {
            Some(claim) => self.registered(claim),
            None => Value::checked(self.text(), Escapes::Maybe).member(name),
        }
    }

    pub(crate) fn registered(self, claim: Registered) -> Option<Value<'a>> {
        self.index.value(self.text, claim)
    }

    /// Whether a claim is a string, if it is there.
    pub(crate) fn is_string(self, claim: Registered) -> Option<bool> {
        let span = (*self.index.spans.get(claim as usize)?)?;
        // Nearly always known without a look at the text, which may be far from the processor.
        Some(span.is_plain_string() || span.value(self.text).kind() == Kind::String)
    }

    /// A claim that is a string.
    #[must_use]
    pub fn string(self, name: &str) -> Option<Cow<'a, str>> {
        self.member(name)?.as_str()
    }

    /// `iss` (RFC 7519 section 4.1.1), if it is there.
    ///
    /// # Errors
    /// When it is not a string.
    pub fn issuer(self) -> Result<Option<Cow<'a, str>>, Reason> {
        self.registered(Registered::Issuer)
            .map(|value| value.as_str().ok_or_else(|| wrong_type("iss", value)))
            .transpose()
    }

    /// `sub` (RFC 7519 section 4.1.2), if it is there and a string.
    #[must_use]
    pub fn subject(self) -> Option<Cow<'a, str>> {
        self.string("sub")
    }

    /// `aud` (RFC 7519 section 4.1.3) as a list, if it is there.
    ///
    /// # Errors
    /// When it is neither a string nor an array of strings.
    pub fn audience(self) -> Result<Option<Vec<Cow<'a, str>>>, Reason> {
        let mut names = Vec::new();
        let present = self.each_audience(|name| names.push(name))?;
        Ok(present.then_some(names))
    }

    /// Shows every `aud` without making a list; whether there is the claim at all.
    pub(crate) fn each_audience(self, mut show: impl FnMut(Cow<'a, str>)) -> Result<bool, Reason> {
        let Some(value) = self.registered(Registered::Audience) else { return Ok(false) };
        if let Some(one) = value.as_str() {
            show(one);
            return Ok(true);
        }
        for element in value.elements().ok_or_else(|| wrong_type("aud", value))? {
            show(element.as_str().ok_or_else(|| wrong_type("aud", value))?);
        }
        Ok(true)
    }

    /// A `NumericDate` (RFC 7519 section 2) as binary64, if it is there.
    ///
    /// # Errors
    /// When it is not a number.
    pub fn numeric_date(self, name: &str) -> Result<Option<f64>, Reason> {
        self.member(name)
            .map(|value| value.as_f64().ok_or_else(|| wrong_type(name, value)))
            .transpose()
    }

    /// The same for a claim that is read on every verification.
    pub(crate) fn date(self, date: Date) -> Result<Option<f64>, Reason> {
        let read = self.index.dates.get(date as usize).copied().flatten();
        match (read, self.registered(date.claim())) {
            (None, Some(other)) => Err(wrong_type(date.claim().name(), other)),
            (read, _) => Ok(read),
        }
    }

    /// The scopes of the token, from `scope` (RFC 8693 section 4.2), `scp` and `scopes`: each a
    /// string with spaces between them or an array, as providers differ.
    #[must_use]
    pub fn scopes(self) -> Vec<Cow<'a, str>> {
        let mut scopes = Vec::new();
        for claim in [Registered::Scope, Registered::Scp, Registered::Scopes] {
            let Some(value) = self.registered(claim) else { continue };
            match value.as_str() {
                Some(Cow::Borrowed(list)) => {
                    scopes.extend(list.split_ascii_whitespace().map(Cow::Borrowed));
                }
                Some(Cow::Owned(list)) => {
                    scopes.extend(list.split_ascii_whitespace().map(|s| Cow::Owned(s.to_owned())));
                }
                None => {
                    scopes.extend(value.elements().into_iter().flatten().filter_map(Value::as_str));
                }
            }
        }
        scopes
    }
}

pub(crate) fn wrong_type(claim: &str, found: Value<'_>) -> Reason {
    Reason::ClaimType { claim: claim.into(), found: found.kind() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Kind;

    fn with<R>(text: &str, look: impl FnOnce(Claims<'_>) -> R) -> R {
        look(Claims::new(text, &ClaimsIndex::read(text).unwrap()))
    }

    fn of_type(claim: &str, found: Kind) -> Reason {
        Reason::ClaimType { claim: claim.into(), found }
    }

    #[test]
    fn claims_are_found_by_name_indexed_or_not() {
        with(r#" { "is\u0073":"i", "a":{"iss":"inner"}, "\u0062":[1], "jti":"j" } "#, |claims| {
            assert_eq!(claims.issuer().unwrap().as_deref(), Some("i"));
            assert_eq!(claims.member("a").unwrap().text(), r#"{"iss":"inner"}"#);
            assert_eq!(claims.member("b").unwrap().text(), "[1]");
            assert_eq!(claims.string("jti").as_deref(), Some("j"));
            assert_eq!(claims.member("c"), None);
            assert_eq!(claims.member("sub"), None);
        });
    }

    #[test]
    fn a_claim_is_a_string_with_escapes_and_without() {
        with(r#"{"sub":"s","jti":"\u0073","iss":7,"aud":["s"]}"#, |claims| {
            assert_eq!(claims.is_string(Registered::Subject), Some(true));
            assert_eq!(claims.is_string(Registered::Id), Some(true));
            assert_eq!(claims.is_string(Registered::Issuer), Some(false));
            assert_eq!(claims.is_string(Registered::Audience), Some(false));
            assert_eq!(claims.is_string(Registered::Scope), None);
        });
    }

    #[test]
    fn an_issuer_is_a_string() {
        assert_eq!(with("{}", |c| c.issuer().map(|iss| iss.is_some())), Ok(false));
        let wrong = with(r#"{"iss":["i"]}"#, |c| c.issuer().map(|iss| iss.is_some()));
        assert_eq!(wrong, Err(of_type("iss", Kind::Array)));
    }

    #[test]
    fn an_audience_is_a_string_or_strings() {
        let audience = |json: &str| {
            with(&format!(r#"{{"aud":{json}}}"#), |claims| {
                claims.audience().map(|aud| aud.unwrap().into_iter().map(String::from).collect())
            })
        };
        let strings =
            |texts: &[&str]| Ok(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(audience(r#""a""#), strings(&["a"]));
        assert_eq!(audience(r#"["a","\u0062"]"#), strings(&["a", "b"]));
        assert_eq!(audience("[]"), strings(&[]));
        assert_eq!(audience(r#"["a",null]"#), Err(of_type("aud", Kind::Array)));
        assert_eq!(audience("7"), Err(of_type("aud", Kind::Number)));
        assert_eq!(audience("null"), Err(of_type("aud", Kind::Null)));
        assert!(with("{}", |claims| claims.audience().unwrap().is_none()));
    }

    #[test]
    fn a_date_is_any_number() {
        let date =
            |json: &str| with(&format!(r#"{{"exp":{json}}}"#), |claims| claims.numeric_date("exp"));
        assert_eq!(date("1.8e9"), Ok(Some(1_800_000_000.0)));
        assert_eq!(date("-0"), Ok(Some(0.0)));
        assert_eq!(date("1e400"), Ok(Some(f64::INFINITY)));
        assert_eq!(date("18446744073709551617"), Ok(Some(18_446_744_073_709_551_616.0)));
        assert_eq!(date(r#""1""#), Err(of_type("exp", Kind::String)));
        assert_eq!(date("null"), Err(of_type("exp", Kind::Null)));
    }

    #[test]
    fn scopes_come_from_three_claims() {
        let scopes = |text: &str| with(text, |c| c.scopes().join("|"));
        assert_eq!(scopes(r#"{"scope":"a  b\u0020c"}"#), "a|b|c");
        assert_eq!(scopes(r#"{"scp":["a b","c",7]}"#), "a b|c");
        assert_eq!(scopes(r#"{"scopes":["a"],"scp":"b c","scope":"d"}"#), "d|b|c|a");
        assert_eq!(scopes(r#"{"scope":7,"scopes":{"a":1}}"#), "");
        assert_eq!(scopes("{}"), "");
    }
}
