//! Comparing a token with a policy: what its header may say, what its claims must say.
//!
//! All of this may refuse a token; none of it believes one.

use core::time::Duration;
use std::borrow::Cow;

use super::{Audiences, ClaimRule, Policy, Requirements};
use crate::claims::{Claims, wrong_type};
use crate::header::Header;
use crate::json::{Kind, Value};
use crate::rejection::Reason;
use crate::{Algorithm, AlgorithmSet};

/// Types that name another purpose than a bearer token: logout tokens (OIDC Back-Channel Logout
/// section 2.4), `DPoP` proofs (RFC 9449 section 4.2), security events (RFC 8417 section 2.3),
/// introspection answers (RFC 9701 section 5) and request objects (RFC 9101 section 10.8).
const OTHER_PURPOSES: [&str; 5] =
    ["logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-authz-req+jwt"];

/// The policy of a provider with what one call asks for in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demands<'a> {
    pub(crate) audiences: &'a Audiences,
    pub(crate) algorithms: AlgorithmSet,
    pub(crate) typ: &'a [String],
    pub(crate) required_claims: &'a [(String, ClaimRule)],
    pub(crate) scopes: &'a [String],
    pub(crate) leeway: Duration,
    pub(crate) max_token_age: Option<Duration>,
}

impl<'a> Demands<'a> {
    pub(crate) fn new(policy: &'a Policy, call: &'a Requirements) -> Self {
        Self {
            audiences: call.audiences.as_ref().unwrap_or(&policy.audiences),
            algorithms: call.algorithms.unwrap_or(policy.algorithms),
            typ: call.typ.as_ref().unwrap_or(&policy.typ),
            required_claims: call.required_claims.as_ref().unwrap_or(&policy.required_claims),
            scopes: call.scopes.as_ref().unwrap_or(&policy.scopes),
            leeway: call.leeway.unwrap_or(policy.leeway),
            max_token_age: call.max_token_age.or(policy.max_token_age),
        }
    }

    /// The algorithm of the token, if it is allowed (RFC 8725 sections 3.1 and 3.2).
    pub(crate) fn admit_algorithm(&self, header: Header<'_>) -> Result<Algorithm, Reason> {
        let presented = header.alg();
        match Algorithm::from_name(&presented).filter(|a| self.algorithms.contains(*a)) {
            Some(algorithm) => Ok(algorithm),
            None => Err(Reason::AlgorithmNotAllowed {
                presented: presented.into(),
                allowed: self.algorithms,
            }),
        }
    }

    /// `typ` (RFC 8725 section 3.11): media types are compared without case, and `application/` may
    /// be left out (RFC 7515 section 4.1.9).
    pub(crate) fn admit_type(&self, header: Header<'_>) -> Result<(), Reason> {
        let presented = header.typ();
        let accepted = match &presented {
            None => self.typ.is_empty(),
            Some(typ) if self.typ.is_empty() => {
                !OTHER_PURPOSES.iter().any(|other| same_type(typ, other))
            }
            Some(typ) => self.typ.iter().any(|accepted| same_type(typ, accepted)),
        };
        if accepted {
            return Ok(());
        }
        Err(Reason::WrongType { presented: presented.map(Into::into), expected: self.typ.to_vec() })
    }

    /// `exp` (RFC 7519 section 4.1.4), which is required: `now < exp + leeway`.
    pub(crate) fn check_expiry(&self, claims: Claims<'_>, now: f64) -> Result<(), Reason> {
        let exp = claims.numeric_date("exp")?.ok_or_else(|| missing("exp"))?;
        // A negative number must not wrap into the future, nor a huge one mean "never".
        if exp >= TWO_TO_63 {
            return Err(Reason::ClaimType { claim: "exp".into(), found: Kind::Number });
        }
        if exp >= 0.0 && now < exp + self.leeway.as_secs_f64() {
            return Ok(());
        }
        Err(Reason::Expired { exp, now, leeway: self.leeway })
    }

    /// `nbf` (RFC 7519 section 4.1.5), if it is there: `nbf <= now + leeway`.
    pub(crate) fn check_not_before(&self, claims: Claims<'_>, now: f64) -> Result<(), Reason> {
        match finite_date(claims, "nbf")? {
            Some(nbf) if nbf > now + self.leeway.as_secs_f64() => {
                Err(Reason::NotYetValid { nbf, now, leeway: self.leeway })
            }
            _ => Ok(()),
        }
    }

    /// `iat` (RFC 7519 section 4.1.6), if it is there or `max_token_age` is set.
    pub(crate) fn check_issued_at(&self, claims: Claims<'_>, now: f64) -> Result<(), Reason> {
        let leeway = self.leeway.as_secs_f64();
        match (finite_date(claims, "iat")?, self.max_token_age) {
            (Some(iat), _) if iat > now + leeway => {
                Err(Reason::IssuedInFuture { iat, now, leeway: self.leeway })
            }
            (Some(iat), Some(max_age)) if now - iat > max_age.as_secs_f64() + leeway => {
                Err(Reason::TooOld { iat, now, max_age })
            }
            (None, Some(_)) => Err(missing("iat")),
            _ => Ok(()),
        }
    }

    /// `aud` (RFC 7519 section 4.1.3), which is required unless every audience is accepted.
    pub(crate) fn check_audience(&self, claims: Claims<'_>) -> Result<(), Reason> {
        let Audiences::OneOf(accepted) = self.audiences else {
            return claims.each_audience(|_| ()).map(|_| ());
        };
        let mut named = false;
        if !claims.each_audience(|aud| named |= accepted.iter().any(|a| *a == aud))? {
            return Err(missing("aud"));
        }
        if named {
            return Ok(());
        }
        let presented = claims.audience()?.unwrap_or_default();
        Err(Reason::WrongAudience {
            presented: presented.into_iter().map(Cow::into_owned).collect(),
            accepted: accepted.clone(),
        })
    }

    /// The claims that the provider or the call requires.
    pub(crate) fn check_required(&self, claims: Claims<'_>) -> Result<(), Reason> {
        for (name, rule) in self.required_claims {
            let value = claims.member(name).filter(|value| value.kind() != Kind::Null);
            let value = value.ok_or_else(|| missing(name))?;
            let ClaimRule::OneOf(accepted) = rule else { continue };
            if !satisfies(value, accepted) {
                return Err(Reason::ClaimMismatch {
                    claim: name.as_str().into(),
                    presented: value.as_str().unwrap_or_else(|| value.text().into()).into(),
                    accepted: accepted.clone(),
                });
            }
        }
        Ok(())
    }

    /// The scopes. Asked last, of genuine tokens only: 403 says that the caller is who it says.
    pub(crate) fn authorize(&self, claims: Claims<'_>) -> Result<(), Reason> {
        if self.scopes.is_empty() {
            return Ok(());
        }
        let presented = claims.scopes();
        let missing: Vec<_> =
            self.scopes.iter().filter(|s| !presented.iter().any(|p| p == *s)).cloned().collect();
        if missing.is_empty() { Ok(()) } else { Err(Reason::InsufficientScope { missing }) }
    }
}

/// The extensions that the token demands: none is supported (RFC 7515 section 4.1.11).
pub(crate) fn admit_critical(header: Header<'_>) -> Result<(), Reason> {
    let names = header.unsupported();
    if names.is_empty() { Ok(()) } else { Err(Reason::UnsupportedCritical { names }) }
}

/// `sub` and `jti` (RFC 7519 sections 4.1.2 and 4.1.7), if they are there, must be strings.
pub(crate) fn check_types(claims: Claims<'_>) -> Result<(), Reason> {
    for name in ["sub", "jti"] {
        match claims.member(name) {
            Some(value) if value.kind() != Kind::String => return Err(wrong_type(name, value)),
            _ => {}
        }
    }
    Ok(())
}

/// The first number that no longer fits a signed 64-bit count of seconds.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

fn finite_date(claims: Claims<'_>, name: &str) -> Result<Option<f64>, Reason> {
    match claims.numeric_date(name)? {
        Some(date) if !date.is_finite() => {
            Err(Reason::ClaimType { claim: name.into(), found: Kind::Number })
        }
        date => Ok(date),
    }
}

fn missing(claim: &str) -> Reason {
    Reason::MissingClaim { claim: claim.into() }
}

fn same_type(presented: &str, accepted: &str) -> bool {
    short_type(presented).eq_ignore_ascii_case(short_type(accepted))
}

/// A media type without the `application/` that may be left out.
fn short_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match (typ.get(..PREFIX.len()), typ.get(PREFIX.len()..)) {
        (Some(prefix), Some(rest))
            if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') =>
        {
            rest
        }
        _ => typ,
    }
}

/// Whether a claim, or one element of it if it is an array, is one of the accepted texts.
fn satisfies(value: Value<'_>, accepted: &[String]) -> bool {
    match value.elements() {
        Some(mut elements) => elements.any(|element| is_one_of(element, accepted)),
        None => is_one_of(value, accepted),
    }
}

fn is_one_of(value: Value<'_>, accepted: &[String]) -> bool {
    match value.kind() {
        Kind::String => value.as_str().is_some_and(|text| accepted.iter().any(|a| *a == text)),
        Kind::Number | Kind::Bool => accepted.iter().any(|a| a == value.text()),
        _ => false,
    }
}
