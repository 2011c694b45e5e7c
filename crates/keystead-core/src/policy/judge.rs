//! Comparing a token with a policy: what its header may say, what its claims must say.
//!
//! All of this may refuse a token; none of it believes one.

use core::time::Duration;
use std::borrow::Cow;

use super::{Audiences, ClaimRule, Policy, Requirements};
use crate::claims::{Claims, Date, Registered, wrong_type};
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
        let accepted = match presented.as_deref().map(short_type) {
            None => self.typ.is_empty(),
            Some(typ) if self.typ.is_empty() => {
                !OTHER_PURPOSES.iter().any(|other| typ.eq_ignore_ascii_case(other))
            }
            Some(typ) => {
                self.typ.iter().any(|accepted| typ.eq_ignore_ascii_case(short_type(accepted)))
            }
        };
        if accepted {
            return Ok(());
        }
        Err(Reason::WrongType { presented: presented.map(Into::into), expected: self.typ.to_vec() })
    }

    /// `exp` (RFC 7519 section 4.1.4), which is required: `now < exp + leeway`.
    pub(crate) fn check_expiry(&self, claims: Claims<'_>, now: f64) -> Result<(), Reason> {
        let exp = claims.date(Date::Expiry)?.ok_or_else(|| missing("exp"))?;
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
        match finite_date(claims, Date::NotBefore)? {
            Some(nbf) if nbf > now + self.leeway.as_secs_f64() => {
                Err(Reason::NotYetValid { nbf, now, leeway: self.leeway })
            }
            _ => Ok(()),
        }
    }

    /// `iat` (RFC 7519 section 4.1.6), if it is there or `max_token_age` is set.
    pub(crate) fn check_issued_at(&self, claims: Claims<'_>, now: f64) -> Result<(), Reason> {
        let leeway = self.leeway.as_secs_f64();
        match (finite_date(claims, Date::IssuedAt)?, self.max_token_age) {
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
    let mut strings = [Registered::Subject, Registered::Id].into_iter();
    let wrong = strings.find(|claim| claims.is_string(*claim) == Some(false));
    match wrong.and_then(|claim| Some((claim, claims.registered(claim)?))) {
        Some((claim, value)) => Err(wrong_type(claim.name(), value)),
        None => Ok(()),
    }
}

/// The first number that no longer fits a signed 64-bit count of seconds.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

fn finite_date(claims: Claims<'_>, date: Date) -> Result<Option<f64>, Reason> {
    match claims.date(date)? {
        Some(found) if !found.is_finite() => {
            Err(Reason::ClaimType { claim: date.claim().name().into(), found: Kind::Number })
        }
        date => Ok(date),
    }
}

fn missing(claim: &str) -> Reason {
    Reason::MissingClaim { claim: claim.into() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::ClaimsIndex;
    use crate::header::HeaderIndex;

    const NOW: f64 = 1_800_000_000.0;

    fn policy() -> Policy {
        Policy::new("i", Audiences::OneOf(vec!["a".to_owned(), "b".to_owned()]))
    }

    /// What `look` finds in these claims under a policy and what a call asks for.
    fn judge(
        policy: &Policy,
        call: &Requirements,
        claims: &str,
        look: impl FnOnce(&Demands<'_>, Claims<'_>) -> Result<(), Reason>,
    ) -> &'static str {
        let index = ClaimsIndex::read(claims).unwrap();
        let verdict = look(&Demands::new(policy, call), Claims::new(claims, &index));
        verdict.map_or_else(|reason| reason.code().as_str(), |()| "ok")
    }

    fn time(claims: &str) -> &'static str {
        timed(&policy(), claims)
    }

    fn timed(policy: &Policy, claims: &str) -> &'static str {
        judge(policy, &Requirements::new(), claims, |demands, claims| {
            demands
                .check_expiry(claims, NOW)
                .and_then(|()| demands.check_not_before(claims, NOW))
                .and_then(|()| demands.check_issued_at(claims, NOW))
        })
    }

    #[test]
    fn exp_is_compared_with_leeway_to_the_fraction() {
        let exp = |json: &str| time(&format!(r#"{{"exp":{json}}}"#));
        assert_eq!(exp("1799999940"), "token.expired", "now = exp + leeway");
        assert_eq!(exp("1799999940.001"), "ok");
        assert_eq!(exp("1799999941"), "ok");
        assert_eq!(exp("1.8e9"), "ok");
        let mut strict = policy();
        strict.leeway = Duration::ZERO;
        assert_eq!(timed(&strict, r#"{"exp":1800000000}"#), "token.expired");
        assert_eq!(timed(&strict, r#"{"exp":1800000000.5}"#), "ok");
        strict.leeway = Duration::from_millis(500);
        assert_eq!(timed(&strict, r#"{"exp":1799999999.5}"#), "token.expired");
        assert_eq!(timed(&strict, r#"{"exp":1799999999.75}"#), "ok");
    }

    #[test]
    fn no_exp_wraps_or_saturates_into_the_future() {
        let exp = |json: &str| time(&format!(r#"{{"exp":{json}}}"#));
        for past in ["0", "-0", "-1", "-1e400", "-18446744073709551615", "-9223372036854775808"] {
            assert_eq!(exp(past), "token.expired", "{past}");
        }
        for beyond in ["9223372036854775808", "18446744073709551617", "1e400", "1e19"] {
            assert_eq!(exp(beyond), "claim.type", "{beyond}");
        }
        assert_eq!(exp("9223372036854774784"), "ok", "the last binary64 below 2^63");
        for wrong in ["\"1800000600\"", "null", "true", "[1800000600]", "{}"] {
            assert_eq!(exp(wrong), "claim.type", "{wrong}");
        }
        assert_eq!(time("{}"), "claim.missing");
        // However far clocks may differ, a negative number is no time of ours.
        let mut loose = policy();
        loose.leeway = Duration::MAX;
        assert_eq!(timed(&loose, r#"{"exp":-1}"#), "token.expired");
        assert_eq!(timed(&loose, r#"{"exp":0}"#), "ok");
    }

    #[test]
    fn nbf_and_iat_are_optional_finite_and_have_a_leeway() {
        let with = |name: &str, json: &str| time(&format!(r#"{{"exp":1.9e9,"{name}":{json}}}"#));
        for (name, code) in [("nbf", "token.not_yet_valid"), ("iat", "token.issued_in_future")] {
            assert_eq!(with(name, "1800000060"), "ok", "{name} = now + leeway");
            assert_eq!(with(name, "1800000060.5"), code);
            assert_eq!(with(name, "1e300"), code);
            assert_eq!(with(name, "-1e300"), "ok");
            for wrong in ["1e400", "-1e400", "\"0\"", "null", "[]"] {
                assert_eq!(with(name, wrong), "claim.type", "{name} {wrong}");
            }
        }
    }

    #[test]
    fn a_limit_of_age_makes_iat_required() {
        let mut policy = policy();
        policy.max_token_age = Some(Duration::from_secs(3_600));
        let iat = |json: &str| timed(&policy, &format!(r#"{{"exp":1.9e9,"iat":{json}}}"#));
        assert_eq!(timed(&policy, r#"{"exp":1.9e9}"#), "claim.missing");
        assert_eq!(iat("1799996340"), "ok", "now - iat = age + leeway");
        assert_eq!(iat("1799996339.5"), "token.too_old");
        assert_eq!(iat("-1e300"), "token.too_old");
        assert_eq!(iat("1800000061"), "token.issued_in_future");
    }

    fn audience(audiences: Audiences, claims: &str) -> &'static str {
        let policy = Policy::new("i", audiences);
        judge(&policy, &Requirements::new(), claims, |demands, claims| {
            demands.check_audience(claims)
        })
    }

    #[test]
    fn any_audience_still_has_the_right_type() {
        let one_of = |claims| audience(policy().audiences, claims);
        assert_eq!(one_of(r#"{"aud":"b"}"#), "ok");
        assert_eq!(one_of(r#"{"aud":["x","a"]}"#), "ok");
        assert_eq!(one_of(r#"{"aud":["a","x"]}"#), "ok");
        assert_eq!(one_of(r#"{"aud":["a",7]}"#), "claim.type", "whatever stands before it");
        assert_eq!(one_of(r#"{"aud":[]}"#), "audience.not_accepted");
        assert_eq!(one_of("{}"), "claim.missing");
        assert_eq!(
            audience(Audiences::OneOf(Vec::new()), r#"{"aud":"a"}"#),
            "audience.not_accepted"
        );
        assert_eq!(audience(Audiences::Any, "{}"), "ok");
        assert_eq!(audience(Audiences::Any, r#"{"aud":"x"}"#), "ok");
        assert_eq!(audience(Audiences::Any, r#"{"aud":7}"#), "claim.type");
    }

    #[test]
    fn required_claims_are_present_and_equal_to_one_of_the_texts() {
        let required = |rule: ClaimRule, json: &str| {
            let call = Requirements::new().required_claim("c", rule);
            judge(&policy(), &call, &format!(r#"{{"c":{json}}}"#), |demands, claims| {
                demands.check_required(claims)
            })
        };
        let one_of = |json| {
            let texts = ["x", "7", "true"].map(ToOwned::to_owned).to_vec();
            required(ClaimRule::OneOf(texts), json)
        };
        for json in ["\"x\"", r#""\u0078""#, "7", "true", "[\"y\",\"x\"]", "[7]"] {
            assert_eq!(one_of(json), "ok", "{json}");
        }
        for json in ["\"X\"", "\"x \"", "7.0", "false", "[]", "[[\"x\"]]", "{\"x\":1}"] {
            assert_eq!(one_of(json), "claim.mismatch", "{json}");
        }
        assert_eq!(one_of("null"), "claim.missing");
        assert_eq!(required(ClaimRule::Present, "null"), "claim.missing");
        for json in ["0", "\"\"", "false", "[]", "{}"] {
            assert_eq!(required(ClaimRule::Present, json), "ok", "{json}");
        }
    }

    #[test]
    fn sub_and_jti_are_strings() {
        let types = |claims| judge(&policy(), &Requirements::new(), claims, |_, c| check_types(c));
        assert_eq!(types("{}"), "ok");
        assert_eq!(types(r#"{"sub":"s","jti":"j"}"#), "ok");
        assert_eq!(types(r#"{"sub":null}"#), "claim.type");
        assert_eq!(types(r#"{"jti":7}"#), "claim.type");
    }

    #[test]
    fn scopes_are_asked_for_all_together() {
        let scoped = |claims| {
            let call = Requirements::new().scopes(["a", "b"]);
            judge(&policy(), &call, claims, |demands, claims| {
                assert_eq!(demands.scopes, ["a", "b"]);
                demands.authorize(claims)
            })
        };
        assert_eq!(scoped(r#"{"scope":"b c a"}"#), "ok");
        assert_eq!(scoped(r#"{"scope":"a"}"#), "scope.insufficient");
        assert_eq!(scoped("{}"), "scope.insufficient");
    }

    fn admitted(policy: &Policy, header: &str) -> &'static str {
        let index = HeaderIndex::read(header).unwrap();
        let header = Header::new(header, &index);
        let call = Requirements::new();
        let demands = Demands::new(policy, &call);
        let verdict = demands.admit_algorithm(header).and_then(|_| demands.admit_type(header));
        verdict.map_or_else(|reason| reason.code().as_str(), |()| "ok")
    }

    #[test]
    fn types_are_media_types() {
        let with = |typ: &str| format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#);
        let free = policy();
        assert_eq!(admitted(&free, r#"{"alg":"ES256"}"#), "ok");
        for typ in ["JWT", "at+jwt", "anything", "", "x/dpop+jwt"] {
            assert_eq!(admitted(&free, &with(typ)), "ok", "{typ}");
        }
        for typ in OTHER_PURPOSES {
            assert_eq!(admitted(&free, &with(typ)), "typ.not_accepted", "{typ}");
            let long = format!("APPLICATION/{}", typ.to_uppercase());
            assert_eq!(admitted(&free, &with(&long)), "typ.not_accepted", "{long}");
        }
        let mut bound = policy();
        bound.typ = ["application/at+jwt", "logout+jwt", "x/y"].map(ToOwned::to_owned).to_vec();
        for typ in ["at+jwt", "AT+JWT", "Application/At+Jwt", "logout+jwt"] {
            assert_eq!(admitted(&bound, &with(typ)), "ok", "{typ}");
        }
        for typ in ["JWT", "at+jwt ", "application/application/at+jwt", "application/x/y", ""] {
            assert_eq!(admitted(&bound, &with(typ)), "typ.not_accepted", "{typ}");
        }
        assert_eq!(admitted(&bound, r#"{"alg":"ES256"}"#), "typ.not_accepted");
    }

    #[test]
    fn a_call_replaces_what_it_sets_and_keeps_the_rest() {
        let mut policy = policy();
        policy.scopes = vec!["s".to_owned()];
        policy.max_token_age = Some(Duration::from_secs(9));
        let kept = Requirements::new();
        let demands = Demands::new(&policy, &kept);
        assert_eq!((demands.audiences, demands.scopes), (&policy.audiences, &*policy.scopes));
        assert_eq!((demands.leeway, demands.max_token_age), (policy.leeway, policy.max_token_age));
        let call = Requirements::new()
            .audiences(["c"])
            .algorithms(AlgorithmSet::EMPTY)
            .typ(["t"])
            .scopes(Vec::<String>::new())
            .required_claim("c", ClaimRule::Present)
            .leeway(Duration::from_secs(1))
            .max_token_age(Duration::from_secs(2));
        let demands = Demands::new(&policy, &call);
        assert_eq!(demands.audiences, &Audiences::OneOf(vec!["c".to_owned()]));
        assert_eq!((demands.algorithms, demands.typ.len()), (AlgorithmSet::EMPTY, 1));
        assert_eq!((demands.scopes.len(), demands.required_claims.len()), (0, 1));
        assert_eq!(demands.leeway, Duration::from_secs(1));
        assert_eq!(demands.max_token_age, Some(Duration::from_secs(2)));
    }
}
