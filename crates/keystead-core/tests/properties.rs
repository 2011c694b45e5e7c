//! Whatever is presented, whatever is held: what must always hold of a verdict.
#![allow(
    clippy::unwrap_used,
    reason = "a test may panic; clippy knows only functions marked as tests"
)]

mod support;

use std::fmt::Write;
use std::time::Duration;

use keystead_core::{
    Algorithm, Check, ClaimRule, Disabled, DisabledWhy, Jwk, KeySet, Rejection, StepVerdict,
};
use proptest::prelude::*;
use support::{ISSUER, Mint, NOW, Source, World, ec, jwks, policy, rsa_json, signed};

const KIDS: [Option<&str>; 3] = [None, Some("k"), Some("x")];

/// A key out of a few, so that tokens and providers often agree on one.
fn any_key() -> impl Strategy<Value = Jwk> {
    (prop::sample::select(&KIDS[..]), b'a'..b'd').prop_map(|(kid, letter)| ec(kid, letter))
}

fn any_keys() -> impl Strategy<Value = KeySet> {
    let few = prop::collection::vec(any_key(), 0..5).prop_map(KeySet::new);
    let many = prop::collection::vec(any_key(), 15..20).prop_map(KeySet::new);
    let odd = Just(jwks(&[
        rsa_json(b'r', r#","kid":"k""#),
        rsa_json(b's', r#","kid":"x","use":"enc""#),
        r#"{"kty":"oct","kid":"k","k":"AAAA"}"#.to_owned(),
        r#"{"kty":"RSA","kid":"x","n":"AQAB","e":"AQAB"}"#.to_owned(),
        r#"{"kid":"\u001b[31m\u202e"}"#.to_owned(),
    ]));
    prop_oneof![6 => few, 1 => many, 2 => odd]
}

fn any_source() -> impl Strategy<Value = Source> {
    (any_keys(), 0..4).prop_map(|(keys, state)| match state {
        0 => Source::memory(keys),
        1 => Source::network(keys),
        2 => Source::network(keys).failed(),
        _ => Source::network(keys).expired(),
    })
}

fn any_sources() -> impl Strategy<Value = Vec<Source>> {
    prop::collection::vec(any_source(), 0..3)
}

/// What a provider may demand beyond the default.
fn any_policy() -> impl Strategy<Value = keystead_core::Policy> {
    let texts = || prop::collection::vec("[a-c]{0,2}", 0..3);
    let age = prop::option::of(0_u64..200).prop_map(|age| age.map(Duration::from_secs));
    (texts(), texts(), 0_u64..100, age, any::<bool>()).prop_map(
        |(typ, scopes, leeway, age, claim)| {
            let mut policy = policy(ISSUER);
            policy.typ = typ;
            policy.scopes = scopes;
            policy.leeway = Duration::from_secs(leeway);
            policy.max_token_age = age;
            policy.algorithms = policy.algorithms.with(Algorithm::Hs256);
            if claim {
                let rule = ClaimRule::OneOf(vec!["a".to_owned(), "b".to_owned()]);
                policy.required_claims = vec![("tenant".to_owned(), rule)];
            }
            policy
        },
    )
}

fn any_world() -> impl Strategy<Value = World> {
    let why = prop::sample::select(vec![
        None,
        None,
        None,
        Some(DisabledWhy::Off),
        Some(DisabledWhy::Unset),
        Some(DisabledWhy::Misconfigured),
    ]);
    (any_policy(), any_sources(), why).prop_map(|(policy, sources, why)| {
        let world = World::new().with("acme", policy, sources);
        match why {
            Some(why) => world.disabled(Disabled::new(why, "because")),
            None => world,
        }
    })
}

/// Strings that a token might like to smuggle somewhere.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("\u{1b}[31m\r\n\u{202e}\u{200b}\u{feff}\"\\".to_owned()),
        Just("x".repeat(3_000)),
    ]
}

fn any_json() -> impl Strategy<Value = String> {
    let text = hostile().prop_map(|text| quoted(&text));
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        (-200_i64..200).prop_map(|n| (i64::try_from(NOW).unwrap() + n).to_string()),
        any::<f64>()
            .prop_filter("JSON has no such number", |n| n.is_finite())
            .prop_map(|n| format!("{n:e}")),
        Just("1e400".to_owned()),
        Just("-1e400".to_owned()),
    ];
    let leaf = prop_oneof![
        text,
        number,
        prop::sample::select(vec!["null", "true", "false", "[]", "{}", "\"a\"", "\"catalog\""])
            .prop_map(ToOwned::to_owned),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[{}]", all.join(","))),
            ("[a-c]{1,2}", inner).prop_map(|(name, json)| format!("{{\"{name}\":{json}}}")),
        ]
    })
}

/// A JSON string; controls escaped as the grammar demands, the rest as it is.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if u32::from(c) < 0x20 => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn changes(names: &'static [&'static str]) -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let some = prop::collection::vec((prop::sample::select(names), any_json()), 1..3);
    prop_oneof![2 => Just(Vec::new()), 1 => some]
}

/// A token that is nearly good: a few members are something else.
fn any_mint() -> impl Strategy<Value = Mint> {
    let header = changes(&["alg", "kid", "typ", "crit", "b64", "zip", "jwk"]);
    let claims =
        changes(&["iss", "aud", "exp", "nbf", "iat", "sub", "jti", "tenant", "scope", "scopes"]);
    let absent = prop::sample::select(vec!["iss", "aud", "exp", "iat", "sub"]);
    let absent = prop::option::weighted(0.2, absent);
    (prop::sample::select(&KIDS[..]), header, claims, absent).prop_map(
        |(kid, header, claims, absent)| {
            let mut mint = Mint::new();
            if let Some(kid) = kid {
                mint = mint.kid(kid);
            }
            mint = header.iter().fold(mint, |mint, (name, json)| mint.header(name, json));
            mint = claims.iter().fold(mint, |mint, (name, json)| mint.claim(name, json));
            match absent {
                Some(name) => mint.without(name),
                None => mint,
            }
        },
    )
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => any::<String>(),
        1 => "[A-Za-z0-9_=.-]{0,80}",
        2 => (any_json(), any_json(), any_key())
            .prop_map(|(header, payload, key)| signed(&header, &payload, &key, Algorithm::Es256)),
        6 => (any_mint(), any_key()).prop_map(|(mint, key)| mint.signed_by(&key)),
    ]
}

fn assert_safe(refused: &Rejection) {
    for text in [refused.sentence(), refused.hint(), refused.challenge().unwrap_or_default()] {
        let steers = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
        };
        assert!(!text.contains(steers), "{text:?}");
        assert!(text.len() <= 2 * 261 + 250, "{} bytes: {text}", text.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    /// Promises 7 and 8, for tokens of any kind and providers in any state. That the explanation
    /// comes to the verdict is asserted by [`World::verify`].
    #[test]
    fn a_refusal_is_safe_to_print_and_has_one_answer(world in any_world(), text in any_text()) {
        match world.verify(&text) {
            Ok(token) => prop_assert_eq!(token.provider(), "acme"),
            Err(refused) => {
                assert_safe(&refused);
                let judged = refused.http_status() != 503;
                prop_assert_eq!(refused.retry_after().is_none(), judged);
                prop_assert_eq!(refused.challenge().is_some(), judged);
            }
        }
    }

    /// Promise 8: what is found before keys are looked at does not depend on keys.
    #[test]
    fn checks_that_need_no_key_do_not_depend_on_keys(
        policy in any_policy(),
        one in any_sources(),
        other in any_sources(),
        text in any_text(),
    ) {
        let found = |sources| {
            let world = World::new().with("acme", policy.clone(), sources);
            let explained = world.explain(&text);
            let before = explained.steps.into_iter().filter(|step| step.check < Check::Key);
            let failed = before.filter(|step| matches!(step.verdict, StepVerdict::Failed(_)));
            let failed: Vec<_> = failed.map(|step| format!("{:?}", step.verdict)).collect();
            (failed, explained.refused.map(|refused| refused.http_status()))
        };
        let ((one, status), (other, _)) = (found(one), found(other));
        prop_assert_eq!(&one, &other);
        prop_assert!(one.is_empty() || status != Some(503));
    }

    /// The signature is over the whole signing input, and a segment has one spelling only.
    #[test]
    fn a_changed_token_is_refused(
        claims in changes(&["x", "y", "jti"]),
        at in any::<prop::sample::Index>(),
        how in 0..4,
        with in "[A-Za-z0-9_=.+/-]",
    ) {
        let key = ec(Some("k"), b'a');
        let world = World::of([Source::network(KeySet::new([key.clone(), ec(None, b'b')]))]);
        let mint = Mint::new().kid("k");
        let mint = claims.iter().fold(mint, |mint, (name, json)| mint.claim(name, json));
        let token = mint.claim("jti", "\"1\"").signed_by(&key);
        prop_assert_eq!(world.code(&token), "ok");
        let at = at.index(token.len());
        let mut changed = token.clone();
        match how {
            0 => changed.replace_range(at..=at, &with),
            1 => changed.insert_str(at, &with),
            2 => drop(changed.remove(at)),
            _ => changed.truncate(at),
        }
        prop_assert!(changed == token || world.verify(&changed).is_err(), "{}", changed);
    }

    /// K4: byte equality with what is written, and nothing else.
    #[test]
    fn an_issuer_matches_only_itself(
        issuer in "[aA/:%.]{1,3}",
        aliases in prop::collection::vec("[aA/:%.]{1,3}", 0..3),
        presented in "[aA/:%. ]{0,3}",
    ) {
        let key = ec(Some("k"), b'a');
        let mut policy = policy(&issuer);
        policy.aliases.clone_from(&aliases);
        let world =
            World::new().with("acme", policy, [Source::memory(KeySet::new([key.clone()]))]);
        let token = Mint::new().kid("k").claim("iss", &quoted(&presented)).signed_by(&key);
        let equal = presented == issuer || aliases.contains(&presented);
        prop_assert_eq!(world.code(&token), if equal { "ok" } else { "issuer.unknown" });
    }

    /// Promise 4: providers are islands.
    #[test]
    fn a_verdict_does_not_depend_on_the_keys_of_another_provider(
        own in any_sources(),
        one in any_sources(),
        other in any_sources(),
        mint in any_mint(),
        key in any_key(),
    ) {
        let token = mint.signed_by(&key);
        let verdict = |neighbour| {
            let world = World::of(own.clone()).with("other", policy("https://other"), neighbour);
            world.verify(&token).map(|token| (token.kid().map(str::to_owned), token.freshness()))
        };
        prop_assert_eq!(verdict(one), verdict(other));
    }

    /// A kid binds: what verified has the kid that the token names, or none.
    #[test]
    fn the_key_that_verified_has_the_kid_of_the_token_or_none(
        sources in any_sources(),
        mint in any_mint(),
        key in any_key(),
    ) {
        if let Ok(token) = World::of(sources).verify(&mint.signed_by(&key)) {
            prop_assert_eq!(token.key().material(), key.material());
            if let (Some(named), Some(kid)) = (token.header().kid(), token.kid()) {
                prop_assert_eq!(named, kid);
            }
        }
    }
}

/// The properties above would prove nothing if hardly a token were ever accepted.
#[test]
fn the_tokens_of_these_tests_are_often_accepted() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut accepted = 0;
    for _ in 0..1_000 {
        let tree = (any_sources(), any_mint(), any_key()).new_tree(&mut runner).unwrap();
        let (sources, mint, key) = proptest::strategy::ValueTree::current(&tree);
        accepted += usize::from(World::of(sources).verify(&mint.signed_by(&key)).is_ok());
    }
    assert!(accepted > 80, "{accepted} of 1,000");
}
