//! Field story 2: 401 "Not enough segments".
//!
//! As reported: a stack trace of the JOSE library and `"auth_error_details": "Forbidden by auth
//! provider"`, after hours of changing charts and IAM users. The caller had sent `Authorization:
//! Bearer ` with nothing after it. Here the refusal says so, and what it says names no token.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use common::{World, key, provider, refused};

const GITLAB: &str = "https://gitlab.example.com";
const KEYS: &str = "https://gitlab.example.com/oauth/discovery/keys";

/// G14, G15
#[test]
fn each_shape_of_a_token_that_is_none_has_a_sentence_of_its_own() {
    let world = tokio_free();
    for (text, code, sentence) in [
        ("", "token.empty", "token is empty"),
        ("abc", "token.segments", "token has 1 segment, expected 3"),
        ("a.b", "token.segments", "token has 2 segments, expected 3"),
        ("a.b.c.d", "token.segments", "token has 4 segments, expected 3"),
    ] {
        let rejection = refused(&world, text);
        assert_eq!(rejection.code().as_str(), code, "{text:?}");
        assert_eq!((rejection.http_status(), rejection.sentence().as_str()), (401, sentence));
        assert_eq!(rejection.provider(), None, "no provider was looked at");
        assert!(rejection.retry_after().is_none());
    }
}

/// The hint is what the operator needed: it is the caller who had nothing to send.
#[test]
fn the_hint_points_at_the_caller_and_not_at_the_providers() {
    let rejection = refused(&tokio_free(), "");
    assert_eq!(rejection.code().blame().as_str(), "caller");
    assert_eq!(
        rejection.hint(),
        "the Authorization header was present but had nothing after \"Bearer \"; the caller had no \
         token to send"
    );
    let challenge = rejection.challenge().unwrap();
    assert!(challenge.starts_with("Bearer ") && challenge.contains("invalid_token"), "{challenge}");
}

#[test]
fn the_explanation_counts_and_makes_no_other_check() {
    let diagnostics = tokio_free().explain("");
    assert_eq!((diagnostics.token.length, diagnostics.token.segments), (0, 0));
    assert!(diagnostics.provider.is_none() && diagnostics.keys.is_empty());
    assert_eq!(diagnostics.failures().count(), 1);
}

/// What cannot be a token is refused at once, whatever state the providers are in.
#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_does_not_make_it_a_503() {
    let mut world = World::new([provider("gitlab", GITLAB).jwks_url(KEYS)]);
    world.start().await;
    assert_eq!(world.state("gitlab"), "cold");
    let asked = world.requests();
    assert_eq!(world.refusal(""), (401, "token.empty"));
    assert_eq!(world.refusal("abc"), (401, "token.segments"));
    assert_eq!(world.requests(), asked, "and nobody was asked for it");
}

/// The other half of the report: chat worked with the same configuration, since it had a token.
#[tokio::test(start_paused = true)]
async fn a_caller_with_a_token_is_served_beside_the_one_without() {
    let signing = key("gitlab");
    let mut world = World::new([provider("gitlab", GITLAB).jwks_url(KEYS)]);
    world.network.on(KEYS, [common::publishes(&[&signing])]);
    world.start().await;
    assert_eq!(world.refusal(""), (401, "token.empty"));
    assert!(world.accepts(&world.token(GITLAB, &signing)));
}

/// The rest of the story: however often it comes, it asks nobody for keys and waits for nothing.
#[tokio::test(start_paused = true)]
async fn a_flood_of_what_is_no_token_costs_no_fetch_and_no_wait() {
    let mut world = World::new([provider("gitlab", GITLAB).jwks_url(KEYS)]);
    world.network.on(KEYS, [common::publishes(&[&key("gitlab")])]);
    world.start().await;
    let (asked, began) = (world.requests(), tokio::time::Instant::now());
    for text in ["", "abc", "a.b"].iter().cycle().take(300) {
        let refused = world.verifier.verify_wait(text).await.unwrap_err();
        assert_eq!(refused.http_status(), 401);
    }
    assert_eq!((world.requests(), tokio::time::Instant::now()), (asked, began));
}

/// A verifier outside of any runtime.
fn tokio_free() -> keystead::Verifier {
    keystead::Verifier::builder().provider(provider("gitlab", GITLAB).jwks_url(KEYS)).build()
}
