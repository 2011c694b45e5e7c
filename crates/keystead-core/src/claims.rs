//! The claims set (RFC 7519 section 4), with the JSON types that its registered claims must have.

use std::borrow::Cow;

use crate::json::{self, Limits, Value};
use crate::rejection::Reason;
use crate::span::Span;
use crate::token::{Segment, json_refused};

/// The claims that are looked up on every verification, in the order of [`ClaimsIndex::spans`].
const INDEXED: [&str; 7] = ["iss", "aud", "exp", "nbf", "iat", "sub", "jti"];

/// Where the claims that every verification reads stand in the text.
#[derive(Debug, Default)]
pub(crate) struct ClaimsIndex {
    spans: [Option<Span>; INDEXED.len()],
}

impl ClaimsIndex {
    pub(crate) fn read(text: &str) -> Result<Self, Reason> {
        let mut index = Self::default();
        json::parse_object(text, Limits::TOKEN, |name, value| {
            let at = INDEXED.iter().position(|indexed| *indexed == name);
            if let Some(slot) = at.and_then(|at| index.spans.get_mut(at)) {
                *slot = Some(Span::of(text, value));
            }
        })
        .map_err(|error| json_refused(Segment::Payload, error))?;
        Ok(index)
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
        match INDEXED.iter().position(|indexed| *indexed == name) {
            Some(at) => self.index.spans.get(at)?.map(|span| span.value(self.text)),
            None => Value::checked(self.text()).member(name),
        }
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
        self.member("iss")
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
        let Some(value) = self.member("aud") else { return Ok(false) };
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

    /// The scopes of the token: `scope` (a space-separated string, RFC 8693 section 4.2), `scp`
    /// (either form) and `scopes` (an array).
    #[must_use]
    pub fn scopes(self) -> Vec<Cow<'a, str>> {
        let mut scopes = Vec::new();
        for name in ["scope", "scp", "scopes"] {
            let Some(value) = self.member(name) else { continue };
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
