//! Field story 3: discovery is a hard gate in front of a key that is there in process.
//!
//! As reported: a token signed by the embedded authority is refused with "OIDC discovery failed: ... no
//! such host", because the public issuer URL does not resolve inside the cluster; the key provider that
//! would have resolved the key in memory is never reached. Here keys in memory come first, no request
//! waits for the network, and discovery heals in the background.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::sync::Arc;

use common::{World, held, key, metadata, pass, provider, publishes, secs, until};
use keystead::core::Freshness;
use keystead_testkit::{Answer, ForbiddenFetch, PausedClock};
use tokio::time::Instant;

const TUNNEL: &str = "https://tunnel.invalid";
const DOCUMENT: &str = "https://tunnel.invalid/.well-known/openid-configuration";
const KEYS: &str = "https://tunnel.invalid/keys";

/// T1
#[tokio::test(start_paused = true)]
async fn a_token_of_the_embedded_authority_is_accepted_at_the_very_first_request() {
    let signing = key("K");
    let (network, clock) = (ForbiddenFetch::new(), PausedClock::new());
    let verifier = keystead::Verifier::builder()
        .clock(Arc::new(clock.clone()))
        .fetch(Arc::new(network.clone()))
        .provider(provider("vmcp", TUNNEL).key_source(Arc::new(held(&[&signing]))).discover())
        .build();
    let token = common::draft(TUNNEL, keystead::Clock::wall(&clock)).sign(&signing).unwrap();

    let before = Instant::now();
    let verified = verifier.verify(&token).unwrap();
    assert_eq!((verified.kid(), verified.key_origin()), (Some("K"), "in process"));
    assert_eq!(verified.freshness(), Freshness::Fresh, "what the host program says is settled");
    assert_eq!(before.elapsed(), secs(0), "virtual time has not moved");
    assert!(network.requests().is_empty(), "nobody was asked");
}

/// T2
#[tokio::test(start_paused = true)]
async fn a_hundred_first_requests_do_not_wait_for_an_issuer_that_never_answers() {
    let signing = key("K");
    let in_process = Arc::new(held(&[&signing]));
    let mut world = World::new([provider("vmcp", TUNNEL).key_source(in_process).discover()]);
    world.network.on(DOCUMENT, [Answer::never()]);
    world.start().await;
    assert_eq!(world.requests(), 1, "discovery is under way");

    let token = world.token(TUNNEL, &signing);
    let before = Instant::now();
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (verifier, token) = (world.verifier.clone(), token.clone());
            tokio::spawn(async move { verifier.verify(&token).is_ok() })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap());
    }
    assert_eq!(before.elapsed(), secs(0));
    assert_eq!(world.requests(), 1, "no request has asked");
}

/// T3: in the reported system discovery was never tried again.
#[tokio::test(start_paused = true)]
async fn discovery_heals_in_the_background_and_brings_its_own_keys() {
    let (local, remote) = (key("K"), key("K2"));
    let in_process = Arc::new(held(&[&local]));
    let mut world = World::new([provider("vmcp", TUNNEL).key_source(in_process).discover()]);
    world.start().await;
    let of_remote = world.token(TUNNEL, &remote);
    assert_eq!(world.refusal(&of_remote), (503, "keys.unavailable"));
    assert_eq!(world.state("vmcp"), "stale");

    pass(secs(5)).await;
    world.network.on(DOCUMENT, [metadata(TUNNEL, KEYS)]);
    world.network.on(KEYS, [publishes(&[&remote])]);
    until(|| world.accepts(&of_remote)).await;
    assert!(world.accepts(&world.token(TUNNEL, &local)), "and the key in process stays");
    assert_eq!(world.state("vmcp"), "ready");
    assert_eq!(
        world.verifier.verify(&of_remote).unwrap().key_origin(),
        format!("discovery {DOCUMENT}")
    );
}

/// T4
#[tokio::test(start_paused = true)]
async fn a_kid_that_memory_does_not_hold_cannot_be_judged_while_discovery_is_down() {
    let (local, unknown) = (key("other"), key("K"));
    let in_process = Arc::new(held(&[&local]));
    let mut world = World::new([provider("vmcp", TUNNEL).key_source(in_process).discover()]);
    world.start().await;

    let token = world.token(TUNNEL, &unknown);
    let rejection = common::refused(&world.verifier, &token);
    assert_eq!((rejection.http_status(), rejection.code().as_str()), (503, "keys.unavailable"));
    assert!(rejection.retry_after().is_some());
    assert_eq!(
        rejection.sentence(),
        r#"no key with kid "K" is known, and the provider is stale: it may have one"#
    );
    // What the explanation is put together from: the kid, the keys held, and why there are no more.
    let diagnostics = world.verifier.explain(&token);
    let step = diagnostics.steps.iter().find(|s| s.check == keystead::core::Check::Key).unwrap();
    assert_eq!(step.detail.presented, r#""K""#);
    assert!(step.detail.accepted.contains(r#""other""#), "{:?}", step.detail);
    let reason = world.status("vmcp").reason;
    assert!(reason.contains("discovery") && reason.contains("1 key is held"), "{reason}");

    // A token that no key could save is refused as what it is.
    let expired = world.draft(TUNNEL).expires_at(secs(1)).sign(&unknown).unwrap();
    assert_eq!(world.refusal(&expired), (401, "token.expired"));
}

/// The rest of the story: once the issuer was reached, a key that it rotates to is asked for by the
/// first token that names it; the key in process never waits for any of that.
#[tokio::test(start_paused = true)]
async fn a_rotation_behind_the_tunnel_is_seen_by_the_first_token() {
    let (local, before, after) = (key("K"), key("K2"), key("K3"));
    let in_process = Arc::new(held(&[&local]));
    let mut world = World::new([provider("vmcp", TUNNEL).key_source(in_process).discover()]);
    world.network.on(DOCUMENT, [metadata(TUNNEL, KEYS)]);
    world.network.on(KEYS, [publishes(&[&before]), publishes(&[&before, &after])]);
    world.start().await;
    assert!(world.verifier.verify_wait(&world.token(TUNNEL, &local)).await.is_ok());
    assert_eq!(world.network.count(KEYS), 1, "what is in process asks nobody");

    assert!(world.verifier.verify_wait(&world.token(TUNNEL, &after)).await.is_ok());
    assert_eq!(world.network.count(KEYS), 2);
}
