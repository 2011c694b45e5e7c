//! A token as it is asked for over the control endpoint: one definition for both sides.

use keystead::core::Algorithm;
use keystead::core::text::quoted;
use serde_json::{Map, Value};

use super::error::IdpError;
use crate::{MintError, Token};

/// A token to be minted by a provider in another process; what is unset has the defaults of
/// [`Idp::mint`](super::Idp::mint).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MintRequest {
    /// The realm; may be unset when the provider has only one.
    pub realm: Option<String>,
    /// The audiences: one makes `aud` a string, several an array, none is refused unless `claims`
    /// has `aud`.
    pub audiences: Vec<String>,
    /// The subject.
    pub subject: Option<String>,
    /// Further claims; they win over everything else, `iss` and `exp` included.
    pub claims: Map<String, Value>,
    /// How long the token lasts, in seconds; negative for one that has expired.
    pub ttl: Option<i64>,
    /// The registered name of the algorithm to sign with; unset: whatever the realm signs with.
    pub algorithm: Option<String>,
}

impl MintRequest {
    /// A token for this audience.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        Self { audiences: vec![audience.into()], ..Self::default() }
    }

    /// The request's body: `realm`, `aud`, `sub`, `claims`, `ttl`, `alg`.
    pub(super) fn to_json(&self) -> Value {
        let mut body = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        put("realm", self.realm.clone().map(Value::from));
        put("aud", (!self.audiences.is_empty()).then(|| self.audiences.clone().into()));
        put("sub", self.subject.clone().map(Value::from));
        put("claims", (!self.claims.is_empty()).then(|| self.claims.clone().into()));
        put("ttl", self.ttl.map(Value::from));
        put("alg", self.algorithm.clone().map(Value::from));
        Value::Object(body)
    }

    /// Reads a request's body; `aud` may be a string or an array.
    pub(super) fn from_json(body: &Map<String, Value>) -> Result<Self, IdpError> {
        let mut request = Self::default();
        for (name, value) in body {
            match name.as_str() {
                "realm" => request.realm = Some(string(name, value)?),
                "aud" => request.audiences = strings(name, value)?,
                "sub" => request.subject = Some(string(name, value)?),
                "claims" => request.claims = object(name, value)?,
                "ttl" => {
                    request.ttl = Some(value.as_i64().ok_or_else(|| wrong(name, "whole seconds"))?);
                }
                "alg" => request.algorithm = Some(string(name, value)?),
                _ => return Err(unknown(name, "realm, aud, sub, claims, ttl, alg")),
            }
        }
        Ok(request)
    }

    pub(super) fn algorithm(&self) -> Result<Option<Algorithm>, IdpError> {
        let Some(name) = &self.algorithm else { return Ok(None) };
        match Algorithm::from_name(name) {
            Some(algorithm) => Ok(Some(algorithm)),
            None => Err(MintError::UnknownAlgorithm(name.clone()).into()),
        }
    }

    /// The token, dated by `now` (in seconds since the Unix epoch).
    pub(super) fn token(self, now: u64) -> Token {
        let mut token = Token::new();
        for audience in self.audiences {
            token = token.audience(audience);
        }
        if let Some(subject) = self.subject {
            token = token.subject(subject);
        }
        if let Some(ttl) = self.ttl {
            token = token.claim("exp", now.saturating_add_signed(ttl));
        }
        for (name, value) in self.claims {
            token = token.claim(name, value);
        }
        token
    }
}

pub(super) fn string(name: &str, value: &Value) -> Result<String, IdpError> {
    value.as_str().map(ToOwned::to_owned).ok_or_else(|| wrong(name, "a string"))
}

pub(super) fn unknown(name: &str, known: &str) -> IdpError {
    IdpError::BadRequest(format!("unknown member {}; known are {known}", quoted(name)))
}

fn strings(name: &str, value: &Value) -> Result<Vec<String>, IdpError> {
    const EXPECTED: &str = "a string or an array of strings";
    match value {
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(several) => {
            let strings = several.iter().map(|item| item.as_str().map(ToOwned::to_owned));
            strings.collect::<Option<_>>().ok_or_else(|| wrong(name, EXPECTED))
        }
        _ => Err(wrong(name, EXPECTED)),
    }
}

pub(super) fn object(name: &str, value: &Value) -> Result<Map<String, Value>, IdpError> {
    value.as_object().cloned().ok_or_else(|| wrong(name, "an object"))
}

pub(super) fn wrong(name: &str, expected: &str) -> IdpError {
    IdpError::BadRequest(format!("{} must be {expected}", quoted(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_survives_the_wire() {
        let mut request = MintRequest::new("a");
        assert_eq!(read(&request.to_json()).unwrap(), request);
        request.realm = Some("r".to_owned());
        request.audiences.push("b".to_owned());
        request.subject = Some("bob".to_owned());
        request.claims.insert("roles".to_owned(), json!(["x", null]));
        request.ttl = Some(-60);
        request.algorithm = Some("RS256".to_owned());
        assert_eq!(read(&request.to_json()).unwrap(), request);
        let empty = MintRequest::default();
        assert_eq!(read(&empty.to_json()).unwrap(), empty);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (body, named) in [
            (json!({"aud": 1}), "\"aud\" must be"),
            (json!({"aud": ["a", 1]}), "\"aud\" must be"),
            (json!({"claims": []}), "\"claims\" must be"),
            (json!({"ttl": 1.5}), "\"ttl\" must be"),
            (json!({"ttl": "5m"}), "\"ttl\" must be"),
            (json!({"realm": null}), "\"realm\" must be"),
            (json!({"audience": "a"}), "unknown member \"audience\""),
        ] {
            let error = read(&body).unwrap_err();
            assert!(error.to_string().starts_with(named), "{error}");
            assert_eq!(error.code(), "bad_request");
        }
    }

    fn read(body: &Value) -> Result<MintRequest, IdpError> {
        MintRequest::from_json(body.as_object().unwrap())
    }
}
