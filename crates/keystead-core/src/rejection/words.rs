//! The words of a refusal: a sentence for the caller, a hint for the operator.
//!
//! Lower case, no full stop, values in quotes, numbers with units. The sentence holds presented
//! values only; accepted ones are in the hint.

use core::fmt;

use super::{JsonFault, Reason, Rejection};
use crate::state::{DisabledWhy, ProviderState};
use crate::text::{list, quoted, seconds};

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
            Self::InsufficientScope { missing } => {
                write!(f, "token lacks scope {}", list(missing))
            }
            _ => self.fmt_of_key_or_time(f),
        }
    }

    fn fmt_of_key_or_time(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey { kid, state } => fmt_no_key(f, kid.as_deref(), *state),
            Self::KeyUnusable { kid, why } => {
                write!(f, "{} cannot be used: {why}", Key(kid.as_deref()))
            }
            Self::KeyMismatch { kid, algorithm, why } => {
                write!(f, "{} is not for algorithm \"{algorithm}\": {why}", Key(kid.as_deref()))
            }
            Self::Ambiguous { fitting } => {
                write!(f, "token names no key, and {fitting} keys fit, more than are tried")
            }
            Self::NoKeysYet { state } => {
                write!(f, "no usable key of this issuer is known, the provider is {state}")
            }
            Self::KeysExpired { age, limit } => write!(
                f,
                "the keys of this issuer are {} s old, the limit is {} s",
                age.as_secs(),
                limit.as_secs()
            ),
            Self::BadSignature { candidates: 1 } => {
                f.write_str("the signature was not made by the key of this issuer that fits")
            }
            Self::BadSignature { candidates } => {
                write!(f, "the signature was made by none of the {candidates} keys that fit")
            }
            Self::Expired { exp, now, leeway } => write!(
                f,
                "token expired {} s ago, {} s are allowed",
                seconds(now - exp),
                leeway.as_secs()
            ),
            Self::NotYetValid { nbf, now, leeway } => write!(
                f,
                "token becomes valid in {} s, {} s are allowed",
                seconds(nbf - now),
                leeway.as_secs()
            ),
            Self::IssuedInFuture { iat, now, leeway } => write!(
                f,
                "token was issued {} s in the future, {} s are allowed",
                seconds(iat - now),
                leeway.as_secs()
            ),
            Self::TooOld { iat, now, max_age } => write!(
                f,
                "token was issued {} s ago, {} s are allowed",
                seconds(now - iat),
                max_age.as_secs()
            ),
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

pub(super) fn hint(rejection: &Rejection) -> Option<String> {
    let setting = |name: &str| match rejection.provider() {
        Some(provider) => format!("providers.{provider}.{name}"),
        None => format!("the provider's {name}"),
    };
    let hint = match rejection.reason() {
        Reason::Missing => "send the header \"Authorization: Bearer TOKEN\"".to_owned(),
        Reason::NotBearer { .. } => "only \"Authorization: Bearer TOKEN\" is accepted".to_owned(),
        Reason::SeveralCredentials => {
            "send exactly one Authorization header with one token".to_owned()
        }
        Reason::TooLarge { what: "token", .. } => {
            "limits.token sets the limit; an identity provider may be set to put less into a token"
                .to_owned()
        }
        Reason::Empty => "the Authorization header was present but had nothing after \"Bearer \"; \
                          the caller had no token to send"
            .to_owned(),
        Reason::Segments { .. } => {
            "this is not a JWT; an opaque token cannot be verified without asking its issuer"
                .to_owned()
        }
        Reason::Encrypted => {
            "ask the identity provider for signed tokens (JWS); decryption is not supported"
                .to_owned()
        }
        Reason::UnknownIssuer { .. } => unknown_issuer(rejection),
        Reason::ProviderDisabled { disabled } => {
            format!("{}: {}", setting("use"), disabled.reason)
        }
        Reason::AlgorithmNotAllowed { allowed, .. } => {
            let names: Vec<_> = allowed.iter().map(|a| a.name().to_owned()).collect();
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
        Reason::ClaimMismatch { accepted, .. } => {
            format!("{} accepts {}", setting("required_claims"), list(accepted))
        }
        Reason::MissingClaim { claim } => missing_claim(claim, setting),
        Reason::InsufficientScope { .. } => format!("{} asks for it", setting("scopes")),
        reason => return key_or_time_hint(reason, setting),
    };
    Some(hint)
}

fn key_or_time_hint(reason: &Reason, setting: impl Fn(&str) -> String) -> Option<String> {
    let hint = match reason {
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
        Reason::KeyUnusable { .. } => "the provider has to publish another key".to_owned(),
        Reason::KeyMismatch { .. } => {
            "a key is used with the algorithm, use and key_ops that it is published with".to_owned()
        }
        Reason::Ambiguous { .. } => {
            "the identity provider should name the key in the header member kid".to_owned()
        }
        Reason::KeysExpired { .. } => {
            format!(
                "{} sets the limit; the status of the provider says why it cannot be reached",
                setting("max_stale")
            )
        }
        Reason::BadSignature { .. } => {
            "the token was changed on its way, or signed by somebody else".to_owned()
        }
        Reason::Expired { .. } => format!(
            "the caller should fetch a new token; compare the clocks if it is fresh; {} says how \
             far they may differ",
            setting("leeway")
        ),
        Reason::NotYetValid { .. } | Reason::IssuedInFuture { .. } => {
            format!("compare the clocks; {} says how far they may differ", setting("leeway"))
        }
        Reason::TooOld { .. } => format!("{} sets the limit", setting("max_token_age")),
        _ => return None,
    };
    Some(hint)
}

fn missing_claim(claim: &str, setting: impl Fn(&str) -> String) -> String {
    match claim {
        "aud" => format!("every token must name an audience; {} says which", setting("audiences")),
        "exp" => "every token must say when it expires".to_owned(),
        "iat" => format!("{} needs it", setting("max_token_age")),
        _ => format!("{} asks for it", setting("required_claims")),
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
