//! The reference of every refusal: one example of each way in which a code comes about.

use core::fmt::{self, Write};
use core::time::Duration;
use std::sync::Arc;

use super::{Code, JsonFault, Reason, Rejection};
use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::issuer::Issuers;
use crate::json::{JsonError, JsonProblem, Kind};
use crate::jwk::KeyProblem;
use crate::state::{Disabled, DisabledWhy, ProviderState};
use crate::token::Segment;

const INTRODUCTION: &str = "\
<!-- generated from the table of codes: make docs -->
# Refusals

Codes are never renamed and never reused.

A refusal has a code, a sentence and a hint. The caller gets the code and the sentence, which holds
presented values only, escaped and cut at 256 bytes. The hint names the setting that would change
the verdict, with what it accepts: it is for logs, explanations and the admin listener. The header
`WWW-Authenticate` holds the error and the meaning below, and nothing that was presented.

Status 503 means that the token cannot be judged: `Retry-After` says when keys are asked for again.
";

/// How a code comes about, for example.
struct Example {
    when: &'static str,
    rejection: Rejection,
}

impl Rejection {
    /// The reference of every code as Markdown: what it means, how it is answered, and an example
    /// of each way in which it comes about.
    #[must_use]
    pub fn reference() -> String {
        let mut page = INTRODUCTION.to_owned();
        // Writing into a String cannot fail.
        let _infallible = write_table(&mut page).and_then(|()| write_examples(&mut page));
        page
    }
}

fn write_table(page: &mut String) -> fmt::Result {
    page.push_str("\n| code | meaning | HTTP | gRPC | error | who can put it right | class |\n");
    page.push_str("|---|---|---|---|---|---|---|\n");
    for code in Code::ALL {
        let link = code.as_str().replace('.', "");
        writeln!(
            page,
            "| [`{code}`](#{link}) | {} | {} | {} | `{}` | {} | {} |",
            code.meaning(),
            code.http_status(),
            code.grpc_code().as_str(),
            code.error(),
            code.blame().as_str(),
            code.class()
        )?;
    }
    Ok(())
}

fn write_examples(page: &mut String) -> fmt::Result {
    let examples = examples();
    for code in Code::ALL {
        writeln!(page, "\n## `{code}`\n\n{}.", sentence_case(code.meaning()))?;
        for Example { when, rejection } in examples.iter().filter(|e| e.rejection.code() == code) {
            let (when, hint) = (sentence_case(when), rejection.hint());
            writeln!(page, "\n{when}:\n\n```text\n{rejection}\nhint: {hint}\n```")?;
        }
    }
    Ok(())
}

fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| format!("{}{}", c.to_uppercase(), chars.as_str()))
}

const ISSUER: &str = "https://keycloak.acme.example/realms/a";

fn examples() -> Vec<Example> {
    let rooms = [of_requests(), of_texts(), of_issuers(), of_headers(), of_keys(), of_claims()];
    rooms.into_iter().flatten().collect()
}

fn before_any_provider(when: &'static str, reason: Reason) -> Example {
    Example { when, rejection: Rejection::new(reason) }
}

fn of_provider(when: &'static str, reason: Reason) -> Example {
    let next_attempt = || Some(Duration::from_secs(12));
    let rejection = Rejection::of_provider(reason, Arc::from("keycloak"), next_attempt);
    Example { when, rejection }
}

fn of_requests() -> Vec<Example> {
    let too_large = |what, found, limit, unit| Reason::TooLarge { what, found, limit, unit };
    let of = before_any_provider;
    vec![
        of("the request has no credentials", Reason::Missing),
        of("the header says `Basic ...`", Reason::NotBearer { scheme: "Basic".into() }),
        of("the header Authorization comes twice", Reason::SeveralCredentials),
        of("the whole token", too_large("token", Some(20_480), 16_384, "bytes")),
        of("its header", too_large("header", Some(9_000), 8_192, "bytes")),
        of("arrays and objects in each other", too_large("nesting", None, 32, "levels")),
        of("the members of one object", too_large("object", None, 1_024, "members")),
        of("the digits of one number", too_large("number", None, 128, "bytes")),
    ]
}

fn of_texts() -> Vec<Example> {
    let json = |segment, fault| Reason::Json { segment, fault };
    let text = |problem, at| JsonFault::Text(JsonError { problem, at });
    let member = |name, found| JsonFault::HeaderMember { name, found };
    let twice = Reason::DuplicateMember { segment: Segment::Payload, name: "aud".into() };
    let of = before_any_provider;
    vec![
        of("nothing comes after `Bearer `", Reason::Empty),
        of("the token is opaque", Reason::Segments { found: 1 }),
        of("five segments, the first with `enc`", Reason::Encrypted),
        of("a segment with padding", Reason::Base64 { segment: Segment::Payload }),
        of("the claims set is cut", json(Segment::Payload, text(JsonProblem::Syntax, 41))),
        of("the claims set is an array", json(Segment::Payload, text(JsonProblem::NotAnObject, 0))),
        of("bytes that are no text", json(Segment::Header, text(JsonProblem::Encoding, 7))),
        of("the header has no `alg`", json(Segment::Header, member("alg", None))),
        of("a `kid` of the wrong type", json(Segment::Header, member("kid", Some(Kind::Number)))),
        of("`aud` twice in the claims set", twice),
    ]
}

fn of_issuers() -> Vec<Example> {
    let issuers = {
        let mut issuers = Issuers::new();
        issuers.add(0, &Arc::from("keycloak"), ISSUER, &[]);
        Arc::new(issuers)
    };
    let unknown = |when, presented: &str| Example {
        when,
        rejection: Rejection::unknown_issuer(presented, Arc::clone(&issuers)),
    };
    let disabled = |when, why, reason: &str| {
        of_provider(when, Reason::ProviderDisabled { disabled: Disabled::new(why, reason) })
    };
    let misconfigured = "jwks_url: \"keycloak:8080\" is missing http://";
    vec![
        before_any_provider("the token names no issuer", Reason::MissingIssuer),
        unknown("a configured issuer is near", "https://identity.acme.example/realms/a"),
        unknown("none is", "https://elsewhere.example"),
        disabled("the operator switched it off", DisabledWhy::Off, "it is switched off"),
        disabled("it has no place of keys", DisabledWhy::Unset, "no place of keys is set"),
        disabled("its settings have mistakes", DisabledWhy::Misconfigured, misconfigured),
    ]
}

fn of_headers() -> Vec<Example> {
    let algorithm = Reason::AlgorithmNotAllowed {
        presented: "HS256".into(),
        allowed: AlgorithmSet::EMPTY.with(Algorithm::Rs256).with(Algorithm::Es256),
    };
    let typ = |presented: Option<&str>, expected: &[&str]| Reason::WrongType {
        presented: presented.map(Into::into),
        expected: expected.iter().map(ToString::to_string).collect(),
    };
    vec![
        of_provider("the algorithm is not in the list", algorithm),
        of_provider("`typ` is not in the list", typ(Some("JWT"), &["at+jwt"])),
        of_provider("`typ` is absent", typ(None, &["at+jwt"])),
        of_provider(
            "there is no list, and `typ` names another purpose",
            typ(Some("dpop+jwt"), &[]),
        ),
        of_provider(
            "`crit` demands an extension",
            Reason::UnsupportedCritical { names: vec!["exp-policy".to_owned()] },
        ),
    ]
}

fn of_keys() -> Vec<Example> {
    let kid = || Some("2024-10".into());
    let no_key = |kid: Option<Box<str>>, state| Reason::NoKey { kid, state };
    let weak = Reason::KeyUnusable { kid: kid(), why: KeyProblem::RsaSize { bits: 1_024 } };
    let distrusted = Reason::KeyUnusable { kid: kid(), why: KeyProblem::Distrusted };
    let mismatch = Reason::KeyMismatch {
        kid: kid(),
        algorithm: Algorithm::Rs256,
        why: KeyProblem::Use("enc".into()),
    };
    let expired = Reason::KeysExpired {
        age: Duration::from_secs(90_000),
        limit: Duration::from_secs(86_400),
    };
    let of = of_provider;
    vec![
        of("the provider is `ready` and has no such key", no_key(kid(), ProviderState::Ready)),
        of("the token names no key, and none fits", no_key(None, ProviderState::Ready)),
        of(
            "the provider may have a key that is not known yet",
            no_key(kid(), ProviderState::Stale),
        ),
        of("the provider has no usable key", Reason::NoKeysYet { state: ProviderState::Cold }),
        of("the provider is `ready` and being asked", Reason::NoKeyInTime { kid: kid() }),
        of("the key with this `kid` is too weak", weak),
        of("the operator trusts the key with this `kid` no more", distrusted),
        of("the key with this `kid` has another purpose", mismatch),
        of("no `kid`, and more keys fit than are tried", Reason::Ambiguous { fitting: 17 }),
        of("the provider could not be reached for longer than `max_stale`", expired),
        of("one key fits", Reason::BadSignature { candidates: 1 }),
        of("several keys fit", Reason::BadSignature { candidates: 3 }),
    ]
}

fn of_claims() -> Vec<Example> {
    let (now, leeway) = (1_800_000_000.0, Duration::from_secs(60));
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let wrong_type = |claim: &str, found| Reason::ClaimType { claim: claim.into(), found };
    let missing = |claim: &str| Reason::MissingClaim { claim: claim.into() };
    let audience = |presented: &[&str]| Reason::WrongAudience {
        presented: texts(presented),
        accepted: texts(&["catalog"]),
    };
    let of = of_provider;
    vec![
        of("`exp` has passed", Reason::Expired { exp: now - 120.0, now, leeway }),
        of("`nbf` has not come", Reason::NotYetValid { nbf: now + 90.0, now, leeway }),
        of("`iat` has not come", Reason::IssuedInFuture { iat: now + 90.0, now, leeway }),
        of(
            "`iat` is longer ago than `max_token_age`",
            Reason::TooOld { iat: now - 7_200.0, now, max_age: Duration::from_secs(3_600) },
        ),
        of("`exp` is missing", missing("exp")),
        of("`aud` is missing", missing("aud")),
        of("`iat` is missing", missing("iat")),
        of("a required claim is missing", missing("tenant")),
        of("`exp` is a string", wrong_type("exp", Kind::String)),
        of("`exp` is beyond every clock", wrong_type("exp", Kind::Number)),
        of("`aud` is an object", wrong_type("aud", Kind::Object)),
        of("`sub` is a number", wrong_type("sub", Kind::Number)),
        of("`aud` names others", audience(&["billing", "search"])),
        of("`aud` names nobody", audience(&[])),
        of(
            "a required claim has another value",
            Reason::ClaimMismatch {
                claim: "tenant".into(),
                presented: "globex".into(),
                accepted: texts(&["acme"]),
            },
        ),
        of("a scope is missing", Reason::InsufficientScope { missing: texts(&["catalog:write"]) }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_example() {
        for code in Code::ALL {
            assert!(examples().iter().any(|e| e.rejection.code() == code), "{code}");
        }
    }

    /// Promise 7: a code, a plain sentence and a hint.
    #[test]
    fn sentences_and_hints_are_written_alike() {
        for Example { rejection, .. } in examples() {
            for text in [rejection.sentence(), rejection.hint()] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{text:?}");
                assert!(
                    !text.starts_with(char::is_uppercase) || text.starts_with("RFC"),
                    "{text:?}"
                );
                assert!(!text.contains(['\n', '`']) && !text.contains("  "), "{text:?}");
            }
            let challenge = rejection.challenge().unwrap_or_default();
            assert!(!challenge.contains("2024-10") && !challenge.contains("acme"), "{challenge}");
        }
    }
}
