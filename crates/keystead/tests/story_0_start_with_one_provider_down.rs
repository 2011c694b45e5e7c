//! Field story 0: one provider of several cannot be reached at start.
//!
//! As reported: the service "crashes on startup when it cannot prefetch JWKS keys from all configured
//! OIDC providers", though it holds another provider's keys. Here it starts, serves every issuer that
//! it has keys for, retries the rest for ever, and says which.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use keystead::Config;

use common::{World, key, minutes, pass, provider, publishes, refused_connection, secs, until};

const GITLAB: &str = "https://gitlab.example.com";
const GITLAB_KEYS: &str = "https://gitlab.example.com/oauth/discovery/keys";
const PORTAL: &str = "https://customers.example.com";
const PORTAL_KEYS: &str = "https://customers.example.com/oauth/discovery/keys";

#[tokio::test(start_paused = true)]
async fn the_others_are_served_and_the_one_that_is_down_heals_by_itself() {
    let (gitlab_key, portal_key) = (key("gitlab"), key("portal"));
    let mut world = World::new([
        provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
        provider("portal", PORTAL).jwks_url(PORTAL_KEYS),
    ]);
    world.network.on(GITLAB_KEYS, [publishes(&[&gitlab_key])]);
    world.network.on(PORTAL_KEYS, [refused_connection()]);
    let of_gitlab = world.token(GITLAB, &gitlab_key);
    let of_portal = world.token(PORTAL, &portal_key);

    // The service starts, and the healthy provider's tokens are accepted.
    world.start().await;
    assert!(world.accepts(&of_gitlab));
    assert_eq!(world.state("gitlab"), "ready");

    // What cannot be judged is not called a bad token.
    let rejection = common::refused(&world.verifier, &of_portal);
    assert_eq!((rejection.http_status(), rejection.code().as_str()), (503, "keys.unavailable"));
    assert_eq!(rejection.provider(), Some("portal"));
    assert!(rejection.retry_after().is_some_and(|wait| wait <= secs(15)), "{rejection:?}");

    // The status says which provider it is and why, in one sentence.
    let portal = world.status("portal");
    assert_eq!(portal.state, "cold");
    assert_eq!(
        portal.reason,
        format!("no usable key is held; jwks_url {PORTAL_KEYS}: connection refused")
    );
    assert_eq!(world.verifier.status().state, "stale");
    assert!(world.verifier.can_verify());

    // Hours later it is still asked, never more seldom than every 15 s, and the other one as usual.
    pass(minutes(120)).await;
    let asked = world.network.count(PORTAL_KEYS);
    assert!((120 * 4..120 * 5).contains(&asked), "{asked} times in two hours");
    assert!((22..=27).contains(&world.network.count(GITLAB_KEYS)));
    assert_eq!(world.state("gitlab"), "ready");

    // It comes back: its tokens are accepted within one step of the backoff, without a restart.
    world.network.on(PORTAL_KEYS, [publishes(&[&portal_key])]);
    pass(secs(15)).await;
    assert!(world.accepts(&of_portal));
    assert_eq!((world.state("portal"), world.verifier.status().state), ("ready", "ready"));
}

/// The reporters' other case: it was there at start, and an outage comes later.
#[tokio::test(start_paused = true)]
async fn a_provider_that_dies_later_keeps_its_keys() {
    let (gitlab_key, portal_key) = (key("gitlab"), key("portal"));
    let mut world = World::new([
        provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
        provider("portal", PORTAL).jwks_url(PORTAL_KEYS),
    ]);
    world.network.on(GITLAB_KEYS, [publishes(&[&gitlab_key])]);
    world.network.on(PORTAL_KEYS, [publishes(&[&portal_key]), refused_connection()]);
    let (of_gitlab, of_portal) =
        (world.token(GITLAB, &gitlab_key), world.token(PORTAL, &portal_key));
    world.start().await;
    until(|| world.state("portal") == "stale").await;

    assert!(world.accepts(&of_gitlab) && world.accepts(&of_portal));
    let reason = world.status("portal").reason;
    assert!(reason.starts_with("1 key is held; "), "{reason}");
}

/// No provider can be reached and nothing is held: still no crash, and every answer is a 503.
#[tokio::test(start_paused = true)]
async fn with_every_provider_down_it_runs_and_says_so() {
    let key = key("any");
    let mut world = World::new([
        provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
        provider("portal", PORTAL).jwks_url(PORTAL_KEYS),
    ]);
    world.start().await;
    for issuer in [GITLAB, PORTAL] {
        assert_eq!(world.refusal(&world.token(issuer, &key)), (503, "keys.unavailable"));
    }
    assert!(!world.verifier.can_verify());
    assert_eq!(world.verifier.status().state, "cold");
}

/// The end of the story: a restart while nobody can be reached at all. What an earlier process was
/// given is on disk, and serves at once; who comes back is asked again.
#[tokio::test(start_paused = true)]
async fn a_restart_with_every_provider_down_serves_what_the_disk_remembers() {
    let (gitlab_key, portal_key) = (key("gitlab"), key("portal"));
    let folder = tempfile::tempdir().unwrap();
    let process = || {
        let mut config = Config::of([
            provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
            provider("portal", PORTAL).jwks_url(PORTAL_KEYS),
        ]);
        config.server.state_dir = Some(folder.path().join("state"));
        World::of(config)
    };
    let mut first = process();
    first.network.on(GITLAB_KEYS, [publishes(&[&gitlab_key])]);
    first.network.on(PORTAL_KEYS, [publishes(&[&portal_key])]);
    first.start().await;
    first.stop().await;

    let mut second = process();
    second.start().await;
    for (issuer, key) in [(GITLAB, &gitlab_key), (PORTAL, &portal_key)] {
        assert!(second.accepts(&second.token(issuer, key)), "{issuer}");
    }
    assert_eq!(second.verifier.status().state, "stale");

    let rotated = key("rotated");
    second.network.on(GITLAB_KEYS, [publishes(&[&gitlab_key, &rotated])]);
    until(|| second.state("gitlab") == "ready").await;
    assert!(second.accepts(&second.token(GITLAB, &rotated)));
    assert_eq!(second.state("portal"), "stale", "the other one is still away");
    assert!(second.accepts(&second.token(PORTAL, &portal_key)));
}
