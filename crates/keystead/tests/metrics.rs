//! What monitoring is told, and when a verifier is of use.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::fs;
use std::sync::Arc;

use common::{
    World, held, key, metadata, minutes, pass, provider, publishes, refused_connection, secs,
    status, until,
};
use keystead::config::{Config, ReadyWhen};
use keystead::core::{Code, Reason, Rejection};
use keystead::{
    DocumentKind, Face, Metrics, ProviderConfig, ProviderMetrics, UnknownKid, Verdict, Verifier,
};
use keystead_testkit::Answer;

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";
const METADATA: &str = "https://idp.example/.well-known/openid-configuration";

fn numbers(verifier: &Verifier, provider: &str) -> ProviderMetrics {
    let metrics = verifier.metrics();
    let mut found = metrics.providers.into_iter().filter(|known| known.provider == provider);
    found.next().unwrap_or_else(|| panic!("no numbers of {provider}"))
}

fn judge(verifier: &Verifier, face: Face, token: &str) {
    let verdict = verifier.verify(token);
    verifier.count(face, verdict.as_ref(), secs(0));
}

/// G42: each document that is fetched is counted by what came of it.
#[tokio::test(start_paused = true)]
async fn fetches_are_counted_by_document_and_result() {
    let mut world = World::new([provider("idp", ISSUER)]);
    world.network.on(METADATA, [status(500), metadata(ISSUER, KEYS)]);
    world.network.on(KEYS, [refused_connection(), publishes(&[&key("K")])]);
    world.start().await;
    until(|| world.state("idp") == "ready").await;
    let idp = numbers(&world.verifier, "idp");
    let expected = [
        ((DocumentKind::Discovery, "ok"), 1),
        ((DocumentKind::Discovery, "status"), 1),
        ((DocumentKind::Jwks, "connect"), 1),
        ((DocumentKind::Jwks, "ok"), 1),
    ];
    assert_eq!(idp.fetches, expected.into());
    assert_eq!(idp.fetching.count(), 4);
    let (source, of_source) = idp.sources.first_key_value().unwrap();
    assert_eq!(*source, format!("discovery {METADATA}"), "as logs name it");
    assert_eq!(of_source.keys, 1);
    let now = keystead::Clock::wall(&world.clock);
    assert!(
        of_source.last_success.is_some_and(|at| at <= now && now.saturating_sub(at) < secs(60))
    );
    assert!(idp.next_refresh.is_some_and(|at| at > now && at.saturating_sub(now) < secs(400)));
}

/// A token that was accepted with last-known-good is the early warning.
#[tokio::test(start_paused = true)]
async fn decisions_are_counted_by_provider_face_and_code() {
    let signing = key("K");
    let mut world = World::new([provider("idp", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [publishes(&[&signing]), status(500)]);
    world.start().await;
    let token = world.token(ISSUER, &signing);
    judge(&world.verifier, Face::Verify, &token);
    until(|| world.state("idp") == "stale").await;
    judge(&world.verifier, Face::Verify, &token);
    judge(&world.verifier, Face::ForwardAuth, &format!("{token}x"));
    judge(&world.verifier, Face::ForwardAuth, &world.token("https://else.example", &signing));
    world.verifier.count(Face::Verify, Err(&Rejection::new(Reason::Missing)), secs(0));

    let idp = numbers(&world.verifier, "idp").decisions;
    assert_eq!(idp.allowed, [(Face::ForwardAuth, 0), (Face::Verify, 2)].into());
    assert_eq!(idp.stale, 1);
    let metrics = world.verifier.metrics();
    let unmatched = [
        ((Face::ForwardAuth, Code::IssuerUnknown), 1),
        ((Face::ForwardAuth, Code::TokenBase64), 1),
        ((Face::Verify, Code::AuthMissing), 1),
    ];
    assert_eq!(metrics.unmatched.refused, unmatched.into());
    assert_eq!(metrics.judging[&(Face::Verify, Verdict::Allow)].count(), 2);
    assert_eq!(metrics.judging[&(Face::ForwardAuth, Verdict::Refuse)].count(), 2);
}

/// T12, T13: how often made-up kids make it fetch, and how often they do not.
#[tokio::test(start_paused = true)]
async fn unknown_kids_are_counted_by_what_became_of_them() {
    let signing = key("K");
    let mut world = World::new([provider("idp", ISSUER).jwks_url(KEYS)]);
    let slow = publishes(&[&signing]).after(secs(2));
    world.network.on(KEYS, [publishes(&[&signing]), slow]);
    world.start().await;
    let made_up = world.token(ISSUER, &key("made up"));
    for _ in 0..3 {
        // The first begins a fetch and waits for 1 s in vain, as the second does, who joins it; by
        // the third it has ended, and the budget is spent.
        assert!(world.verifier.verify_wait(&made_up).await.is_err());
    }
    assert!(world.verifier.verify_wait(&world.token(ISSUER, &signing)).await.is_ok());
    let expected =
        [(UnknownKid::Joined, 1), (UnknownKid::Refetched, 1), (UnknownKid::Suppressed, 1)];
    assert_eq!(numbers(&world.verifier, "idp").unknown_kids, expected.into());
    assert_eq!(world.network.count(KEYS), 2);
}

/// A set that has not changed is counted apart.
#[tokio::test(start_paused = true)]
async fn an_answer_without_a_document_is_a_result_of_its_own() {
    let mut tagged = keystead::http::Document::json(common::jwks(&[&key("K")]));
    tagged.etag = Some("\"1\"".to_owned());
    let mut world = World::new([provider("idp", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [Answer::document(tagged), Answer::not_modified()]);
    world.start().await;
    pass(minutes(6)).await;
    let expected = [((DocumentKind::Jwks, "ok"), 1), ((DocumentKind::Jwks, "not_modified"), 1)];
    assert_eq!(numbers(&world.verifier, "idp").fetches, expected.into());
}

/// A provider that is configured anew goes on counting: a counter that falls looks like a restart.
#[tokio::test(start_paused = true)]
async fn counters_outlive_a_change_of_the_configuration() {
    let signing = key("K");
    let idp = provider("idp", ISSUER).jwks_url(KEYS);
    let mut world = World::new([idp.clone()]);
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    judge(&world.verifier, Face::Verify, &world.token(ISSUER, &signing));
    world.verifier.apply(Config::of([idp.leeway(secs(5))]));
    pass(secs(1)).await;
    let idp = numbers(&world.verifier, "idp");
    assert_eq!(idp.decisions.allowed[&Face::Verify], 1);
    assert_eq!(idp.fetches[&(DocumentKind::Jwks, "ok")], 2);
}

/// Labels are bounded: past two hundred providers, one set of numbers stands for all the others.
#[tokio::test(start_paused = true)]
async fn numbers_of_more_than_two_hundred_providers_are_added_up() {
    let signing = key("K");
    let local = |n: usize| {
        let keys = Arc::unwrap_or_clone(held(&[&signing]));
        provider(&format!("p{n:03}"), &format!("https://{n}.example")).keys(keys)
    };
    let dark = provider("z-dark", ISSUER).jwks_url(KEYS);
    let mut world = World::new((0..210).map(local).chain([dark]));
    world.network.on(KEYS, [refused_connection()]);
    world.start().await;
    for n in [0, 199, 200, 209] {
        let token = world.token(&format!("https://{n}.example"), &signing);
        judge(&world.verifier, Face::Verify, &token);
    }
    let metrics = world.verifier.metrics();
    assert_eq!(metrics.providers.len(), Metrics::MOST_PROVIDERS + 1);
    assert_eq!(numbers(&world.verifier, "p199").decisions.allowed[&Face::Verify], 1);
    let others = numbers(&world.verifier, Metrics::OTHER);
    assert_eq!(others.decisions.allowed[&Face::Verify], 2);
    let states = ["ready", "cold", "stale"].map(|state| others.states[state]);
    assert_eq!(states, [10, 1, 0]);
    let sources: Vec<_> = others.sources.iter().map(|(name, of)| (&**name, of.keys)).collect();
    assert_eq!(sources, [("other", 10)]);
    assert!(others.fetches[&(DocumentKind::Jwks, "connect")] > 0);
}

/// G13, G10
#[tokio::test(start_paused = true)]
async fn who_is_waited_for_is_the_operators_choice() {
    let signing = key("K");
    let local = |name: &str| {
        let keys = Arc::unwrap_or_clone(held(&[&signing]));
        provider(name, &format!("https://{name}.example")).keys(keys)
    };
    let dark = || provider("dark", ISSUER).jwks_url(KEYS);
    let invalid = || provider("invalid", "https://i.example").jwks_url("abc");
    let off = || local("off").switched_off();
    let unset = || ProviderConfig::new("unset", "no-url-and-no-keys").any_audience();
    let named = |name: &str| ReadyWhen::Named(vec![name.to_owned()]);
    let cases = [
        (vec![local("a"), dark()], ReadyWhen::Any, true, vec![]),
        (vec![dark(), off()], ReadyWhen::Any, false, vec![]),
        (vec![dark()], ReadyWhen::None, true, vec![]),
        (vec![local("a"), dark()], ReadyWhen::All, false, vec!["dark"]),
        (vec![local("a"), local("b"), off(), unset()], ReadyWhen::All, true, vec![]),
        (vec![local("a"), invalid()], ReadyWhen::All, false, vec!["invalid"]),
        (vec![off(), unset()], ReadyWhen::All, false, vec![]),
        (vec![local("a"), dark()], named("a"), true, vec![]),
        (vec![local("a"), dark()], named("dark"), false, vec!["dark"]),
        (vec![local("a"), off()], named("off"), false, vec!["off"]),
    ];
    for (providers, when, ready, missing) in cases {
        let names: Vec<_> = providers.iter().map(|provider| provider.name.clone()).collect();
        let world = World::new(providers);
        let readiness = world.verifier.readiness(&when);
        assert_eq!(readiness.is_ready(), ready, "{names:?} {when:?}");
        assert_eq!(readiness.missing, missing, "{names:?} {when:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn key_files_are_read_again_when_somebody_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let (first, second) = (key("1"), key("2"));
    fs::write(&path, common::jwks(&[&first])).unwrap();
    let file = provider("file", ISSUER).keys_file(&path);
    let mut world = World::new([file]);
    world.start().await;
    until(|| world.state("file") == "ready").await;
    fs::write(&path, common::jwks(&[&second])).unwrap();
    let since = keystead::Clock::wall(&world.clock);
    assert_eq!(world.verifier.reread_files(), 1);
    until(|| world.accepts(&world.token(ISSUER, &second))).await;
    let waited = keystead::Clock::wall(&world.clock).saturating_sub(since);
    assert!(waited < secs(3), "before its next turn, which comes after 5 s");
}

#[tokio::test(start_paused = true)]
async fn only_sources_that_depend_on_a_file_are_asked_again() {
    let other = "https://other.example/keys";
    let trusting = provider("other", "https://other.example").jwks_url(other);
    let mut world = World::new([
        provider("idp", ISSUER).jwks_url(KEYS),
        trusting.ca_file("/etc/keystead/other-ca.pem"),
    ]);
    world.network.on(KEYS, [publishes(&[&key("K")])]);
    world.network.on(other, [publishes(&[&key("K")])]);
    world.start().await;
    assert_eq!(world.verifier.reread_files(), 1);
    pass(minutes(1)).await;
    assert_eq!((world.network.count(KEYS), world.network.count(other)), (1, 2));
}
