//! The words of a refusal: a sentence for the caller, a hint for the operator.
//!
//! Lower case, no full stop, values in quotes, numbers with units. The sentence goes to the caller:
//! of values it holds presented ones only. What is accepted, how far clocks may differ and what is
//! wrong with a key stand in the hint.

use core::fmt;
use core::time::Duration;

use super::{JsonFault, Reason, Rejection};
use crate::algorithm::Algorithm;
use crate::json::Kind;
use crate::jwk::KeyProblem;
use crate::state::{Disabled, DisabledWhy, ProviderState};
use crate::text::{escaped, list, quoted, seconds};

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no credentials were presented"),
            Self::NotBearer { scheme } => {
                write!(f, "the Authorization scheme {} is not Bearer", quoted(scheme))
            }
            Self::SeveralCredentials => f.write_str("more than one credential was presented"),
            Self::TooLarge { what, found: Some(found), limit, unit } => {
                write!(f, "{what} has {found} {unit}, the limit is {limit}")
            }
            Self::TooLarge { what, found: None, limit, unit } => {
                write!(f, "{what} exceeds the limit of {limit} {unit}")
            }
            Self::Empty => f.write_str("token is empty"),
            Self::Segments { found: 1 } => f.write_str("token has 1 segment, expected 3"),
            Self::Segments { found } => write!(f, "token has {found} segments, expected 3"),
            Self::Encrypted => f.write_str("token is encrypted (JWE), expected a signed one (JWS)"),
            Self::Base64 { segment } => {
                write!(f, "{} is not base64url without padding", segment.as_str())
            }
            Self::Json { segment, fault } => write!(f, "{} {fault}", segment.as_str()),
            Self::DuplicateMember { segment, name } => {
                write!(f, "{} names member {} twice", segment.as_str(), quoted(name))
            }
            _ => self.fmt_of_provider(f),
        }
    }
}

impl Reason {
    /// The sentences of everything that is found once the token has the right shape.
    fn fmt_of_provider(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Of the claims that must have a type, only a date may be a number; this one is none.
            Self::ClaimType { claim, found: Kind::Number } if is_date(claim) => {
                write!(f, "claim {} is a number out of range", quoted(claim))
            }
            Self::ClaimType { claim, found } => {
                write!(f, "claim {} has the wrong JSON type: it is {found}", quoted(claim))
            }
            Self::MissingIssuer => f.write_str("claim \"iss\" is missing"),
            Self::UnknownIssuer { presented } => {
                write!(f, "issuer {} is not configured", quoted(presented))
            }
            Self::ProviderDisabled { disabled } => f.write_str(match disabled.why {
                DisabledWhy::Off => "the provider of this issuer is switched off",
                DisabledWhy::Unset => "the provider of this issuer is not set up",
                DisabledWhy::Misconfigured => "the provider of this issuer is misconfigured",
            }),
            Self::AlgorithmNotAllowed { presented, .. } => {
                write!(f, "algorithm {} is not allowed", quoted(presented))
            }
            Self::WrongType { presented: Some(typ), .. } => {
                write!(f, "token type {} is not accepted", quoted(typ))
            }
            Self::WrongType { presented: None, .. } => f.write_str("token has no typ"),
            Self::UnsupportedCritical { names } => {
                write!(f, "extension {} is not supported", list(names))
            }
            Self::MissingClaim { claim } => write!(f, "claim {} is missing", quoted(claim)),
            Self::WrongAudience { presented, .. } if presented.is_empty() => {
                f.write_str("token is meant for no audience")
            }
            Self::WrongAudience { presented, .. } => {
                write!(f, "audience {} is not accepted", list(presented))
            }
            Self::ClaimMismatch { claim, presented, .. } => {
                write!(f, "claim {} is {}, which is not accepted", quoted(claim), quoted(presented))
            }
            Self::InsufficientScope { .. } => f.write_str("token lacks a required scope"),
            _ => self.fmt_of_key_or_time(f),
        }
    }

    fn fmt_of_key_or_time(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey { kid, state } => fmt_no_key(f, kid.as_deref(), *state),
            Self::NoKeyInTime { kid: Some(kid) } => {
                write!(
                    f,
                    "no key with kid {} is known yet, the provider is being asked",
                    quoted(kid)
                )
            }
            Self::NoKeyInTime { kid: None } => {
                f.write_str("no key that fits the token is known yet, the provider is being asked")
            }
            Self::KeyUnusable { kid, .. } => write!(f, "{} cannot be used", Key(kid.as_deref())),
            Self::KeyMismatch { kid, algorithm, .. } => {
                write!(f, "{} is not for algorithm \"{algorithm}\"", Key(kid.as_deref()))
            }
            Self::Ambiguous { fitting } => {
                write!(f, "token names no key, and {fitting} keys fit, more than are tried")
            }
            Self::NoKeysYet { state } => {
                write!(f, "no usable key of this issuer is known, the provider is {state}")
            }
            Self::KeysExpired { age, .. } => {
                write!(f, "the keys of this issuer were last confirmed {} s ago", age.as_secs())
            }
            Self::BadSignature { candidates: 1 } => {
                f.write_str("the signature was not made by the key of this issuer that fits")
            }
            Self::BadSignature { candidates } => {
                write!(f, "the signature was made by none of the {candidates} keys that fit")
            }
            Self::Expired { exp, now, .. } => {
                write!(f, "token expired {} s ago", seconds(now - exp))
            }
            Self::NotYetValid { nbf, now, .. } => {
                write!(f, "token becomes valid in {} s", seconds(nbf - now))
            }
            Self::IssuedInFuture { iat, now, .. } => {
                write!(f, "token was issued {} s in the future", seconds(iat - now))
            }
            Self::TooOld { iat, now, .. } => {
                write!(f, "token was issued {} s ago", seconds(now - iat))
            }
            // Everything else has its sentence above.
            _ => f.write_str(self.code().meaning()),
        }
    }
}

fn fmt_no_key(f: &mut fmt::Formatter<'_>, kid: Option<&str>, state: ProviderState) -> fmt::Result {
    match kid {
        Some(kid) => write!(f, "no key with kid {} is known", quoted(kid))?,
        None => f.write_str("no key that fits the token is known")?,
    }
    if state == ProviderState::Ready {
        return Ok(());
    }
    write!(f, ", and the provider is {state}: it may have one")
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => write!(f, "is {error}"),
            Self::HeaderMember { name, found: None } => write!(f, "has no \"{name}\""),
            Self::HeaderMember { name, found: Some(kind) } => {
                write!(f, "member \"{name}\" is {kind}, expected a string")
            }
        }
    }
}

/// A key by its `kid`.
struct Key<'a>(Option<&'a str>);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(kid) => write!(f, "key {}", quoted(kid)),
            None => f.write_str("the key"),
        }
    }
}

pub(super) fn hint(rejection: &Rejection) -> String {
    let setting = |name: &str| match rejection.provider() {
        Some(provider) => format!("providers.{provider}.{name}"),
        None => format!("the provider's {name}"),
    };
    match rejection.reason() {
        Reason::UnknownIssuer { .. } => unknown_issuer(rejection),
        Reason::ProviderDisabled { disabled: Disabled { why: DisabledWhy::Off, reason } } => {
            format!("{}: {reason}", setting("use"))
        }
        Reason::ProviderDisabled { disabled } => match rejection.provider() {
            Some(provider) => format!("providers.{provider}: {}", disabled.reason),
            None => disabled.reason.to_string(),
        },
        Reason::AlgorithmNotAllowed { allowed, .. } => {
            let names: Vec<_> = allowed.iter().map(Algorithm::name).collect();
            format!("{} allows {}", setting("algorithms"), list(&names))
        }
        Reason::WrongType { expected, .. } if expected.is_empty() => {
            format!("this type names another purpose; {} can accept it", setting("typ"))
        }
        Reason::WrongType { expected, .. } => {
            format!("{} accepts {}", setting("typ"), list(expected))
        }
        Reason::WrongAudience { accepted, .. } => {
            format!("{} accepts {}", setting("audiences"), list(accepted))
        }
        Reason::ClaimMismatch { claim, accepted, .. } => {
            let rule = setting("required_claims");
            format!("{rule}.{} accepts {}", escaped(claim), list(accepted))
        }
        Reason::MissingClaim { claim } => missing_claim(claim, setting),
        Reason::InsufficientScope { missing } => {
            format!("{} asks for {}", setting("scopes"), list(missing))
        }
        reason => key_or_time_hint(reason, setting),
    }
}

fn key_or_time_hint(reason: &Reason, setting: impl Fn(&str) -> String) -> String {
    let clocks = |leeway: &Duration| {
        let leeway = seconds(leeway.as_secs_f64());
        format!("compare the clocks; {} lets them differ by {leeway} s", setting("leeway"))
    };
    match reason {
        Reason::NoKey { state: ProviderState::Ready, .. } => {
            "the provider published no such key when it was last asked; a token of another \
             environment, or one signed with a key that was withdrawn, looks like this"
                .to_owned()
        }
        Reason::NoKey { .. } | Reason::NoKeysYet { .. } => {
            "the status of the provider says why its keys could not be had; it is asked again in \
             the background"
                .to_owned()
        }
        Reason::NoKeyInTime { .. } => format!(
            "{} is how long a request waits for the answer; the attempt goes on without it",
            setting("unknown_kid_wait")
        ),
        Reason::KeyUnusable { why: KeyProblem::Distrusted, .. } => {
            format!("{} lists the thumbprint of this key", setting("distrusted_keys"))
        }
        Reason::KeyUnusable { why, .. } => {
            format!("{why}; the provider has to publish another key")
        }
        Reason::KeyMismatch { why, .. } => format!(
            "{why}; a key is used with the algorithm, use and key_ops that it is published with"
        ),
        Reason::Ambiguous { .. } => {
            "the identity provider should name the key in the header member kid".to_owned()
        }
        Reason::KeysExpired { limit, .. } => format!(
            "{} is {} s; the status of the provider says why it cannot be reached",
            setting("max_stale"),
            limit.as_secs()
        ),
        Reason::BadSignature { .. } => {
            "the token was changed on its way, or signed by somebody else".to_owned()
        }
        Reason::Expired { leeway, .. } => {
            format!("the caller should fetch a new token; if it is fresh, {}", clocks(leeway))
        }
        Reason::NotYetValid { leeway, .. } | Reason::IssuedInFuture { leeway, .. } => {
            clocks(leeway)
        }
        Reason::TooOld { max_age, .. } => {
            let max_age = seconds(max_age.as_secs_f64());
            format!("{} accepts {max_age} s", setting("max_token_age"))
        }
        reason => text_hint(reason).to_owned(),
    }
}

/// What to do about a request or a text that is no token: no provider has a say in it.
fn text_hint(reason: &Reason) -> &'static str {
    match reason {
        Reason::Missing => "send the header \"Authorization: Bearer TOKEN\"",
        Reason::NotBearer { .. } => "only \"Authorization: Bearer TOKEN\" is accepted",
        Reason::SeveralCredentials => "send exactly one Authorization header with one token",
        Reason::TooLarge { what: "token", .. } => {
            "limits.token sets the limit; an identity provider may be set to put less into a token"
        }
        Reason::TooLarge { .. } => {
            "no setting changes this limit; an identity provider may be set to put less into a \
             token"
        }
        Reason::Empty => {
            "the Authorization header was present but had nothing after \"Bearer \"; the caller \
             had no token to send"
        }
        Reason::Segments { .. } => {
            "this is not a JWT; an opaque token cannot be verified without asking its issuer"
        }
        Reason::Encrypted => {
            "ask the identity provider for signed tokens (JWS); decryption is not supported"
        }
        Reason::Base64 { .. } => {
            "the token was cut, quoted or padded on its way, or \"Bearer \" stands before it twice"
        }
        Reason::DuplicateMember { .. } => {
            "readers differ in which of the two counts; the identity provider has to name it once"
        }
        Reason::ClaimType { claim, .. } => claim_type(claim),
        Reason::MissingIssuer => {
            "without \"iss\" no provider can be asked; the identity provider has to name itself"
        }
        Reason::UnsupportedCritical { .. } => {
            "crit, b64 and zip ask for extensions that are not supported; the identity provider \
             has to leave them out"
        }
        // A segment that is not the JSON it must be.
        _ => "the token was changed on its way, or whoever made it does not follow RFC 7519",
    }
}

fn is_date(claim: &str) -> bool {
    matches!(claim, "exp" | "nbf" | "iat")
}

fn claim_type(claim: &str) -> &'static str {
    match claim {
        claim if is_date(claim) => "RFC 7519 has a number of seconds since 1970 here",
        "aud" => "RFC 7519 has a string or an array of strings here",
        _ => "RFC 7519 has a string here",
    }
}

fn missing_claim(claim: &str, setting: impl Fn(&str) -> String) -> String {
    match claim {
        "aud" => format!("every token must name an audience; {} says which", setting("audiences")),
        "exp" => "every token must say when it expires".to_owned(),
        "iat" => {
            format!(
                "{} or {} asks for it",
                setting("max_token_age"),
                setting("required_claims.iat")
            )
        }
        _ => format!("{}.{} asks for it", setting("required_claims"), escaped(claim)),
    }
}

fn unknown_issuer(rejection: &Rejection) -> String {
    match rejection.near_miss() {
        Some(near) => format!(
            "it differs only {} from {} {}; if both name the same realm, add it to \
             providers.{}.aliases",
            near.difference.phrase(),
            near.setting,
            quoted(&near.issuer),
            near.provider
        ),
        None => "no provider has this issuer; add one, or add it to the aliases of the provider \
                 that it belongs to"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::json::{JsonError, JsonProblem};
    use crate::token::Segment;
    use crate::{AlgorithmSet, KeyProblem};

    /// A presented string that would like to be more than that.
    const NASTY: &str = "\u{1b}[31m\r\nforged=1 \u{202e}\u{200b}\"\\\u{7f}\u{9b}";

    /// Every reason that holds a presented string.
    fn reasons(nasty: &str) -> Vec<Reason> {
        let text = || -> Box<str> { nasty.into() };
        let texts = || vec![nasty.to_owned(); 50];
        let state = ProviderState::Ready;
        let twice = JsonError { problem: JsonProblem::DuplicateMember(text()), at: 0 };
        let why = KeyProblem::Use(text());
        vec![
            Reason::NotBearer { scheme: text() },
            Reason::DuplicateMember { segment: Segment::Payload, name: text() },
            Reason::Json { segment: Segment::Payload, fault: JsonFault::Text(twice) },
            Reason::UnknownIssuer { presented: text() },
            Reason::AlgorithmNotAllowed { presented: text(), allowed: AlgorithmSet::DEFAULT },
            Reason::WrongType { presented: Some(text()), expected: texts() },
            Reason::UnsupportedCritical { names: texts() },
            Reason::NoKey { kid: Some(text()), state },
            Reason::NoKeyInTime { kid: Some(text()) },
            Reason::KeyUnusable { kid: Some(text()), why: why.clone() },
            Reason::KeyMismatch { kid: Some(text()), algorithm: Algorithm::Es256, why },
            Reason::ClaimType { claim: text(), found: Kind::Null },
            Reason::MissingClaim { claim: text() },
            Reason::WrongAudience { presented: texts(), accepted: texts() },
            Reason::ClaimMismatch { claim: text(), presented: text(), accepted: texts() },
            Reason::InsufficientScope { missing: texts() },
        ]
    }

    /// Promise 10.
    #[test]
    fn nothing_that_was_presented_steers_a_log_or_fills_it() {
        for nasty in [NASTY, &"x".repeat(100_000), &NASTY.repeat(10_000)] {
            for reason in reasons(nasty) {
                let rejection = Rejection::of_provider(reason, Arc::from("acme"), || None);
                let (sentence, hint) = (rejection.sentence(), rejection.hint());
                for text in [&sentence, &hint] {
                    assert_eq!(text.chars().find(|c| c.is_control()), None, "{text:?}");
                    assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text:?}");
                    // At most two presented strings of 256 bytes, and the words around them.
                    assert!(text.len() < 2 * 261 + 150, "{} bytes: {text}", text.len());
                }
            }
        }
    }

    /// Promise 7: what is accepted is for the operator.
    #[test]
    fn accepted_values_stand_in_the_hint_and_not_in_the_sentence() {
        let accepted = || vec!["accepted-value".to_owned()];
        let leeway = Duration::from_millis(4_711_500);
        let (age, limit) = (Duration::from_secs(9), Duration::from_secs(4_711));
        let kid: Option<Box<str>> = None;
        for (reason, value) in [
            (Reason::WrongAudience { presented: vec![], accepted: accepted() }, "accepted-value"),
            (Reason::WrongType { presented: None, expected: accepted() }, "accepted-value"),
            (
                Reason::ClaimMismatch {
                    claim: "c".into(),
                    presented: "p".into(),
                    accepted: accepted(),
                },
                "accepted-value",
            ),
            (Reason::InsufficientScope { missing: accepted() }, "accepted-value"),
            (
                Reason::AlgorithmNotAllowed {
                    presented: "none".into(),
                    allowed: AlgorithmSet::EMPTY.with(Algorithm::Es384),
                },
                "ES384",
            ),
            (Reason::Expired { exp: 0.0, now: 1.0, leeway }, "4711.500 s"),
            (Reason::NotYetValid { nbf: 2.0, now: 1.0, leeway }, "4711.500 s"),
            (Reason::IssuedInFuture { iat: 2.0, now: 1.0, leeway }, "4711.500 s"),
            (Reason::TooOld { iat: 0.0, now: 1.0, max_age: limit }, "4711 s"),
            (Reason::KeysExpired { age, limit }, "4711 s"),
            (Reason::KeyUnusable { kid, why: KeyProblem::RsaSize { bits: 4_711 } }, "4711 bits"),
        ] {
            let rejection = Rejection::of_provider(reason, Arc::from("acme"), || None);
            assert!(!rejection.sentence().contains(value), "{rejection}");
            assert!(rejection.hint().contains(value), "{}", rejection.hint());
        }
    }

    #[test]
    fn a_refusal_without_a_provider_still_has_a_hint() {
        let audience = Reason::WrongAudience { presented: vec![], accepted: vec!["a".to_owned()] };
        assert_eq!(Rejection::new(audience).hint(), "the provider's audiences accepts \"a\"");
        let disabled = Disabled::new(DisabledWhy::Unset, "issuer is not set");
        let disabled = Rejection::new(Reason::ProviderDisabled { disabled });
        assert_eq!(disabled.hint(), "issuer is not set");
    }

    /// What an integration test cannot reach or has no need of; tests/refusals.rs has the others.
    #[test]
    fn what_no_token_is_refused_with_there_has_its_words_here() {
        let rejection = |reason| Rejection::of_provider(reason, Arc::from("acme"), || None);
        let kid = || Some("k".into());
        for (reason, sentence) in [
            (Reason::Missing, "no credentials were presented"),
            (Reason::SeveralCredentials, "more than one credential was presented"),
            (Reason::WrongType { presented: None, expected: Vec::new() }, "token has no typ"),
            (
                Reason::ClaimType { claim: "sub".into(), found: Kind::Number },
                "claim \"sub\" has the wrong JSON type: it is a number",
            ),
            (
                Reason::NoKeyInTime { kid: kid() },
                "no key with kid \"k\" is known yet, the provider is being asked",
            ),
            (
                Reason::NoKeyInTime { kid: None },
                "no key that fits the token is known yet, the provider is being asked",
            ),
            (
                Reason::BadSignature { candidates: 3 },
                "the signature was made by none of the 3 keys that fit",
            ),
        ] {
            assert_eq!(rejection(reason).sentence(), sentence);
        }
        for (reason, hint) in [
            (Reason::Missing, "send the header \"Authorization: Bearer TOKEN\""),
            (
                Reason::NotBearer { scheme: "Basic".into() },
                "only \"Authorization: Bearer TOKEN\" is accepted",
            ),
            (Reason::SeveralCredentials, "send exactly one Authorization header with one token"),
            (
                Reason::MissingClaim { claim: "iat".into() },
                "providers.acme.max_token_age or providers.acme.required_claims.iat asks for it",
            ),
        ] {
            assert_eq!(rejection(reason).hint(), hint);
        }
    }
}
