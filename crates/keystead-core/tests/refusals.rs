//! Every code that a token can be refused with: its sentence, hint, class and answer, literally.
#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test may panic, which clippy knows only of functions marked so; a table is read whole"
)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use keystead_core::{ClaimRule, Code, Disabled, DisabledWhy, KeySet, Reason, Rejection};
use support::{Mint, NOW, Source, World, b64, ec, jwks, rsa_json, signed};

struct Row {
    world: World,
    token: String,
    code: &'static str,
    http: u16,
    grpc: &'static str,
    class: &'static str,
    sentence: &'static str,
    hint: &'static str,
}

/// A refusal of a bad token: 401.
fn row(
    world: World,
    token: String,
    code: &'static str,
    class: &'static str,
    sentence: &'static str,
    hint: &'static str,
) -> Row {
    Row { world, token, code, http: 401, grpc: "UNAUTHENTICATED", class, sentence, hint }
}

fn with_status(row: Row, http: u16, grpc: &'static str) -> Row {
    Row { http, grpc, ..row }
}

fn held() -> KeySet {
    KeySet::new([ec(Some("k"), b'a')])
}

fn ready() -> World {
    World::of([Source::network(held())])
}

fn good() -> Mint {
    Mint::new().kid("k")
}

fn signed_good(mint: &Mint) -> String {
    mint.signed_by(&ec(Some("k"), b'a'))
}

/// A header and a payload as they are, signed with the good key.
fn raw(header: &str, payload: &str) -> String {
    signed(header, payload, &ec(None, b'a'), keystead_core::Algorithm::Es256)
}

const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;
const NOT_FOLLOWED: &str =
    "the token was changed on its way, or whoever made it does not follow RFC 7519";

fn of_texts() -> Vec<Row> {
    let too_large = |token, sentence, hint| {
        let row = row(ready(), token, "token.too_large", "too_large", sentence, hint);
        with_status(row, 400, "INVALID_ARGUMENT")
    };
    let fixed =
        "no setting changes this limit; an identity provider may be set to put less into a token";
    let long_header = format!(r#"{{"alg":"ES256","x":"{}"}}"#, "x".repeat(9_000 - 22));
    let members: Vec<_> = (0..1_025).map(|n| format!("\"{n}\":0")).collect();
    vec![
        too_large(
            "x".repeat(16_385),
            "token has 16385 bytes, the limit is 16384",
            "limits.token sets the limit; an identity provider may be set to put less into a token",
        ),
        too_large(raw(&long_header, "{}"), "header has 9000 bytes, the limit is 8192", fixed),
        too_large(
            raw(HEADER, &format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32))),
            "nesting exceeds the limit of 32 levels",
            fixed,
        ),
        too_large(
            raw(HEADER, &format!("{{{}}}", members.join(","))),
            "object exceeds the limit of 1024 members",
            fixed,
        ),
        too_large(
            raw(HEADER, &format!("{{\"exp\":{}}}", "9".repeat(129))),
            "number exceeds the limit of 128 bytes",
            fixed,
        ),
        row(
            ready(),
            String::new(),
            "token.empty",
            "malformed",
            "token is empty",
            "the Authorization header was present but had nothing after \"Bearer \"; the caller had \
             no token to send",
        ),
        row(
            ready(),
            "abc".to_owned(),
            "token.segments",
            "malformed",
            "token has 1 segment, expected 3",
            "this is not a JWT; an opaque token cannot be verified without asking its issuer",
        ),
        row(
            ready(),
            format!("{}.a.b.c.d", b64(r#"{"alg":"dir","enc":"A128GCM"}"#)),
            "token.encrypted",
            "encrypted_token",
            "token is encrypted (JWE), expected a signed one (JWS)",
            "ask the identity provider for signed tokens (JWS); decryption is not supported",
        ),
        row(
            ready(),
            signed_good(&good()).replacen('.', "=.", 1),
            "token.base64",
            "malformed",
            "header is not base64url without padding",
            "the token was cut, quoted or padded on its way, or \"Bearer \" stands before it twice",
        ),
        row(
            ready(),
            raw(HEADER, "{\"iss\":"),
            "token.json",
            "malformed",
            "payload is not JSON at byte 7",
            NOT_FOLLOWED,
        ),
        row(
            ready(),
            raw(r#"{"kid":"k"}"#, "{}"),
            "token.json",
            "malformed",
            "header has no \"alg\"",
            NOT_FOLLOWED,
        ),
        row(
            ready(),
            raw(r#"{"alg":"ES256","kid":7}"#, "{}"),
            "token.json",
            "malformed",
            "header member \"kid\" is a number, expected a string",
            NOT_FOLLOWED,
        ),
        row(
            ready(),
            raw(HEADER, r#"{"aud":"a","\u0061ud":"b"}"#),
            "token.duplicate_member",
            "malformed",
            "payload names member \"aud\" twice",
            "readers differ in which of the two counts; the identity provider has to name it once",
        ),
    ]
}

fn of_policies() -> Vec<Row> {
    let disabled = |why, reason: &str| ready().disabled(Disabled::new(why, reason));
    let other_issuer = || good().claim("iss", r#""https://login.acme.example/realms/a""#);
    vec![
        row(
            ready(),
            signed_good(&other_issuer()),
            "issuer.unknown",
            "unknown_issuer",
            "issuer \"https://login.acme.example/realms/a\" is not configured",
            "it differs only in host from providers.acme.issuer \
             \"https://idp.acme.example/realms/a\"; if both name the same realm, add it to \
             providers.acme.aliases",
        ),
        row(
            ready(),
            signed_good(&good().claim("iss", "\"ci\"")),
            "issuer.unknown",
            "unknown_issuer",
            "issuer \"ci\" is not configured",
            "no provider has this issuer; add one, or add it to the aliases of the provider that \
             it belongs to",
        ),
        row(
            disabled(DisabledWhy::Off, "it is switched off"),
            signed_good(&good()),
            "issuer.disabled",
            "unknown_issuer",
            "the provider of this issuer is switched off",
            "providers.acme.use: it is switched off",
        ),
        row(
            disabled(DisabledWhy::Unset, "issuer is not set"),
            signed_good(&good()),
            "issuer.disabled",
            "unknown_issuer",
            "the provider of this issuer is not set up",
            "providers.acme: issuer is not set",
        ),
        row(
            ready()
                .policy(|p| p.algorithms = [keystead_core::Algorithm::Rs256].into_iter().collect()),
            signed_good(&good()),
            "alg.not_allowed",
            "alg_not_allowed",
            "algorithm \"ES256\" is not allowed",
            "providers.acme.algorithms allows \"RS256\"",
        ),
        row(
            ready().policy(|p| p.typ = vec!["at+jwt".to_owned()]),
            signed_good(&good().header("typ", r#""JWT""#)),
            "typ.not_accepted",
            "bad_type",
            "token type \"JWT\" is not accepted",
            "providers.acme.typ accepts \"at+jwt\"",
        ),
        row(
            ready(),
            signed_good(&good().header("typ", r#""application/DPoP+JWT""#)),
            "typ.not_accepted",
            "bad_type",
            "token type \"application/DPoP+JWT\" is not accepted",
            "this type names another purpose; providers.acme.typ can accept it",
        ),
        row(
            ready(),
            signed_good(&good().header("crit", r#"["exp"]"#).header("b64", "false")),
            "crit.unsupported",
            "unsupported_crit",
            "extension \"exp\", \"b64\" is not supported",
            "crit, b64 and zip ask for extensions that are not supported; the identity provider \
             has to leave them out",
        ),
    ]
}

fn of_keys() -> Vec<Row> {
    let unavailable = |world, token, code, sentence, hint| {
        with_status(row(world, token, code, "keys_unavailable", sentence, hint), 503, "UNAVAILABLE")
    };
    let asked_again = "the status of the provider says why its keys could not be had; it is asked \
                       again in the background";
    let skipped = |more: &str| jwks(&[rsa_json(b'r', more), rsa_json(b's', r#","kid":"s""#)]);
    let misconfigured = Disabled::new(DisabledWhy::Misconfigured, "jwks_url: it has no scheme");
    let many = KeySet::new((0..17).map(|letter| ec(None, letter)));
    vec![
        row(
            ready(),
            signed_good(&good().kid("new")),
            "key.unknown_kid",
            "unknown_key",
            "no key with kid \"new\" is known",
            "the provider published no such key when it was last asked; a token of another \
             environment, or one signed with a key that was withdrawn, looks like this",
        ),
        row(
            World::of([Source::network(jwks(&[
                r#"{"kty":"RSA","kid":"k","n":"AQAB","e":"AQAB"}"#.to_owned(),
                rsa_json(b's', r#","kid":"s""#),
            ]))]),
            signed_good(&good()),
            "key.unusable",
            "weak_key",
            "key \"k\" cannot be used",
            "its RSA modulus has 17 bits, accepted are 2048 to 8192; the provider has to publish \
             another key",
        ),
        row(
            World::of([Source::network(skipped(r#","kid":"k","use":"enc""#))]),
            signed_good(&good()),
            "key.mismatch",
            "key_mismatch",
            "key \"k\" is not for algorithm \"ES256\"",
            "its use is \"enc\", not \"sig\"; a key is used with the algorithm, use and key_ops \
             that it is published with",
        ),
        row(
            World::of([Source::network(many)]),
            signed_good(&Mint::new()),
            "key.ambiguous",
            "unknown_key",
            "token names no key, and 17 keys fit, more than are tried",
            "the identity provider should name the key in the header member kid",
        ),
        unavailable(
            World::of([Source::network(held()).failed()]),
            signed_good(&good().kid("new")),
            "keys.unavailable",
            "no key with kid \"new\" is known, and the provider is stale: it may have one",
            asked_again,
        ),
        unavailable(
            World::of([Source::network(KeySet::default()).failed()]),
            signed_good(&good()),
            "keys.unavailable",
            "no usable key of this issuer is known, the provider is cold",
            asked_again,
        ),
        unavailable(
            ready().disabled(misconfigured),
            signed_good(&good()),
            "keys.unavailable",
            "the provider of this issuer is misconfigured",
            "providers.acme: jwks_url: it has no scheme",
        ),
        unavailable(
            World::of([Source::network(held()).expired()]),
            signed_good(&good()),
            "keys.expired",
            "the keys of this issuer were last confirmed 90000 s ago",
            "providers.acme.max_stale is 86400 s; the status of the provider says why it cannot be \
             reached",
        ),
        row(
            ready(),
            good().signed_by(&ec(Some("k"), b'z')),
            "signature.invalid",
            "bad_signature",
            "the signature was not made by the key of this issuer that fits",
            "the token was changed on its way, or signed by somebody else",
        ),
    ]
}

fn of_times() -> Vec<Row> {
    let clocks = "compare the clocks; providers.acme.leeway lets them differ by 60 s";
    let at = |time: u64| time.to_string();
    vec![
        row(
            ready(),
            signed_good(&good().claim("exp", &at(NOW - 61))),
            "token.expired",
            "expired",
            "token expired 61 s ago",
            "the caller should fetch a new token; if it is fresh, compare the clocks; \
             providers.acme.leeway lets them differ by 60 s",
        ),
        row(
            ready(),
            signed_good(&good().claim("nbf", &at(NOW + 90))),
            "token.not_yet_valid",
            "not_yet_valid",
            "token becomes valid in 90 s",
            clocks,
        ),
        row(
            ready(),
            signed_good(&good().claim("iat", &format!("{}.5", NOW + 90))),
            "token.issued_in_future",
            "not_yet_valid",
            "token was issued 90.500 s in the future",
            clocks,
        ),
        row(
            ready().policy(|p| p.max_token_age = Some(Duration::from_secs(3_600))),
            signed_good(&good().claim("iat", &at(NOW - 3_661))),
            "token.too_old",
            "expired",
            "token was issued 3661 s ago",
            "providers.acme.max_token_age accepts 3600 s",
        ),
    ]
}

fn of_claims() -> Vec<Row> {
    let asks = |name: &str, rule| {
        let rules = vec![(name.to_owned(), rule)];
        ready().policy(|p| p.required_claims = rules)
    };
    let tenant = || asks("tenant", ClaimRule::OneOf(vec!["acme".to_owned()]));
    let scopes = ready().policy(|p| p.scopes = vec!["read".to_owned(), "write".to_owned()]);
    let missing = |world, claim, sentence, hint| {
        row(
            world,
            signed_good(&good().without(claim)),
            "claim.missing",
            "missing_claim",
            sentence,
            hint,
        )
    };
    let wrong = |claim, json, class, sentence, hint| {
        row(ready(), signed_good(&good().claim(claim, json)), "claim.type", class, sentence, hint)
    };
    vec![
        missing(
            ready(),
            "iss",
            "claim \"iss\" is missing",
            "without \"iss\" no provider can be asked; the identity provider has to name itself",
        ),
        missing(ready(), "exp", "claim \"exp\" is missing", "every token must say when it expires"),
        missing(
            ready(),
            "aud",
            "claim \"aud\" is missing",
            "every token must name an audience; providers.acme.audiences says which",
        ),
        missing(
            tenant(),
            "tenant",
            "claim \"tenant\" is missing",
            "providers.acme.required_claims.tenant asks for it",
        ),
        wrong(
            "iss",
            "[\"https://idp.acme.example/realms/a\"]",
            "bad_issuer",
            "claim \"iss\" has the wrong JSON type: it is an array",
            "RFC 7519 has a string here",
        ),
        wrong(
            "aud",
            "{\"catalog\":true}",
            "bad_audience",
            "claim \"aud\" has the wrong JSON type: it is an object",
            "RFC 7519 has a string or an array of strings here",
        ),
        wrong(
            "exp",
            "\"1800000600\"",
            "malformed_claim",
            "claim \"exp\" has the wrong JSON type: it is a string",
            "RFC 7519 has a number of seconds since 1970 here",
        ),
        wrong(
            "exp",
            "1e400",
            "malformed_claim",
            "claim \"exp\" is a number out of range",
            "RFC 7519 has a number of seconds since 1970 here",
        ),
        row(
            ready(),
            signed_good(&good().claim("aud", r#"["billing","search"]"#)),
            "audience.not_accepted",
            "bad_audience",
            "audience \"billing\", \"search\" is not accepted",
            "providers.acme.audiences accepts \"catalog\"",
        ),
        row(
            tenant(),
            signed_good(&good().claim("tenant", "\"globex\"")),
            "claim.mismatch",
            "bad_audience",
            "claim \"tenant\" is \"globex\", which is not accepted",
            "providers.acme.required_claims.tenant accepts \"acme\"",
        ),
        with_status(
            row(
                scopes,
                signed_good(&good().claim("scope", "\"read openid\"")),
                "scope.insufficient",
                "insufficient_scope",
                "token lacks a required scope",
                "providers.acme.scopes asks for \"write\"",
            ),
            403,
            "PERMISSION_DENIED",
        ),
    ]
}

fn rows() -> Vec<Row> {
    [of_texts(), of_policies(), of_keys(), of_times(), of_claims()].into_iter().flatten().collect()
}

#[test]
fn every_code_has_its_sentence_hint_class_and_answer() {
    for row in rows() {
        let refused = row.world.verify(&row.token).unwrap_err();
        assert_eq!(refused.sentence(), row.sentence);
        assert_eq!(refused.hint(), row.hint);
        assert_eq!(refused.code().as_str(), row.code);
        assert_eq!(refused.reason().class(), row.class, "{}", row.sentence);
        assert_eq!(refused.http_status(), row.http, "{}", row.sentence);
        assert_eq!(refused.grpc_code().as_str(), row.grpc, "{}", row.sentence);
        assert_eq!(refused.retry_after().is_some(), row.http == 503, "{}", row.sentence);
        assert_eq!(refused.challenge().is_none(), row.http == 503, "{}", row.sentence);
    }
}

#[test]
fn every_code_that_a_token_can_earn_is_earned_here() {
    let earned: BTreeSet<_> = rows().iter().map(|row| row.code).collect();
    let left: Vec<_> =
        Code::ALL.iter().map(|code| code.as_str()).filter(|code| !earned.contains(code)).collect();
    assert_eq!(left, ["auth.missing", "auth.not_bearer", "auth.several_credentials"]);
}

/// T30, T31: what a face says before there is any token.
#[test]
fn requests_without_a_token_have_their_answers_too() {
    let missing = Rejection::new(Reason::Missing);
    assert_eq!((missing.code().as_str(), missing.http_status()), ("auth.missing", 401));
    assert_eq!(missing.sentence(), "no credentials were presented");
    assert_eq!(missing.challenge().unwrap(), "Bearer realm=\"keystead\"");

    let basic = Rejection::new(Reason::NotBearer { scheme: "Basic".into() });
    assert_eq!((basic.code().as_str(), basic.http_status()), ("auth.not_bearer", 401));
    assert_eq!(basic.sentence(), "the Authorization scheme \"Basic\" is not Bearer");
    assert_eq!(basic.challenge().unwrap(), "Bearer realm=\"keystead\"");

    let several = Rejection::new(Reason::SeveralCredentials);
    assert_eq!((several.code().as_str(), several.http_status()), ("auth.several_credentials", 400));
    assert_eq!(several.grpc_code().as_str(), "INVALID_ARGUMENT");
    let challenge = several.challenge().unwrap();
    assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
}

/// Promise 7: `WWW-Authenticate` is made of the code alone.
#[test]
fn a_challenge_says_what_the_code_means_and_nothing_that_was_presented() {
    for row in rows() {
        let refused = row.world.verify(&row.token).unwrap_err();
        assert_eq!(refused.challenge(), refused.code().challenge());
    }
    let refused = ready().verify(&signed_good(&good().claim("iss", "\"ci\""))).unwrap_err();
    assert_eq!(
        refused.challenge().unwrap(),
        "Bearer realm=\"keystead\", error=\"invalid_token\", \
         error_description=\"the issuer of the token is not configured\""
    );
}

/// Promise 8: until the next attempt to get keys; a minute where none will help.
#[test]
fn a_refusal_that_cannot_judge_says_when_to_ask_again() {
    let after = |row: &Row| row.world.verify(&row.token).unwrap_err().retry_after();
    for row in rows().iter().filter(|row| row.http == 503) {
        let seconds = if row.sentence.contains("misconfigured") { 60 } else { 12 };
        assert_eq!(after(row), Some(Duration::from_secs(seconds)), "{}", row.sentence);
    }
}
