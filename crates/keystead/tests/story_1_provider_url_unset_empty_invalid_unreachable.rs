//! Field story 1: a provider's URL is unset, empty, invalid or unreachable.
//!
//! As reported: an obscure stack trace in three of the four cases, and then "INCOMPLETE state cached
//! for 24h or until pod restart", the healthy provider's keys with it. Here each case is a state with
//! one plain sentence, and every provider has a cache of its own.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use common::{
    AUDIENCE, World, jwks, key, minutes, pass, provider, publishes, refused_connection, secs,
};
use keystead::config::{Config, Layers};
use keystead_testkit::SigningKey;

const GITLAB: &str = "https://gitlab.example.com";
const GITLAB_KEYS: &str = "https://gitlab.example.com/oauth/discovery/keys";
const PORTAL: &str = "https://customers.example.com";

/// What the operator of the AI gateway sets: GitLab, two local keys, and the portal as said.
fn configured(local: [&SigningKey; 2], portal: &[(&str, &str)]) -> Config {
    let local = jwks(&local);
    let common = [
        ("KEYSTEAD_PROVIDERS__GITLAB__ISSUER", GITLAB),
        ("KEYSTEAD_PROVIDERS__GITLAB__JWKS_URL", GITLAB_KEYS),
        ("KEYSTEAD_PROVIDERS__LOCAL__ISSUER", "gitlab-ai-gateway"),
        ("KEYSTEAD_PROVIDERS__LOCAL__KEYS", &local),
        ("KEYSTEAD_DEFAULTS__DISCOVERY", "auto"),
        ("KEYSTEAD_PROVIDERS__GITLAB__AUDIENCES", AUDIENCE),
        ("KEYSTEAD_PROVIDERS__LOCAL__AUDIENCES", AUDIENCE),
        ("KEYSTEAD_PROVIDERS__PORTAL__AUDIENCES", AUDIENCE),
    ];
    let env = common.iter().chain(portal);
    let env = env.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(&Layers { env, ..Layers::default() }).unwrap()
}

/// Every case has the same healthy neighbours; what differs is the portal.
struct Case {
    world: World,
    gitlab: SigningKey,
    local: SigningKey,
}

impl Case {
    async fn of(portal: &[(&str, &str)]) -> Self {
        let (gitlab, local, other) = (key("gitlab"), key("local"), key("local-validation"));
        let mut world = World::of(configured([&local, &other], portal));
        world.network.on(GITLAB_KEYS, [publishes(&[&gitlab])]);
        world.start().await;
        Self { world, gitlab, local }
    }

    fn neighbours_are_served(&self) -> bool {
        let world = &self.world;
        world.accepts(&world.token(GITLAB, &self.gitlab))
            && world.accepts(&world.token("gitlab-ai-gateway", &self.local))
    }

    fn asked_only_gitlab(&self) -> bool {
        self.world.network.requests().iter().all(|url| url == GITLAB_KEYS)
    }
}

/// G1, G2
#[tokio::test(start_paused = true)]
async fn unset_and_empty_mean_that_there_is_no_such_provider_here() {
    for portal in [&[][..], &[("KEYSTEAD_PROVIDERS__PORTAL__ISSUER", "")]] {
        let case = Case::of(portal).await;
        let world = &case.world;
        assert!(case.neighbours_are_served());

        let status = world.status("portal");
        assert_eq!(status.state, "disabled");
        assert_eq!(
            status.reason,
            "unset: nothing is set: write issuer, and jwks_url, discovery_url or keys (keys_file) \
             unless keys are discovered from it"
        );
        // It is no trouble: the others are all there is to be ready.
        assert_eq!(world.verifier.status().state, "ready");
        let keys: usize = world.verifier.status().providers.values().map(|p| p.keys.len()).sum();
        assert_eq!(keys, 3);

        // Nobody is asked in its place, now or later.
        pass(minutes(60)).await;
        assert!(case.asked_only_gitlab());
        let portal_token = world.token(PORTAL, &key("portal"));
        assert_eq!(world.refusal(&portal_token), (401, "issuer.unknown"));
    }
}

/// K8
#[test]
fn a_blank_is_noticed_by_name() {
    let (local, other) = (key("local"), key("other"));
    let config = configured([&local, &other], &[("KEYSTEAD_PROVIDERS__PORTAL__ISSUER", "  ")]);
    let notices: Vec<_> = config.notices().iter().map(ToString::to_string).collect();
    let about = |name: &str| notices.iter().filter(|notice| notice.contains(name)).count();
    assert_eq!(about("KEYSTEAD_PROVIDERS__PORTAL__ISSUER"), 1, "{notices:?}");
}

/// G3
#[tokio::test(start_paused = true)]
async fn invalid_disables_that_provider_and_says_what_to_write() {
    let case = Case::of(&[
        ("KEYSTEAD_PROVIDERS__PORTAL__ISSUER", PORTAL),
        ("KEYSTEAD_PROVIDERS__PORTAL__JWKS_URL", "abc"),
    ])
    .await;
    let world = &case.world;
    assert!(case.neighbours_are_served());

    let status = world.status("portal");
    assert_eq!(
        (status.state, status.reason.as_str()),
        ("disabled", r#"misconfigured: jwks_url: "abc" is not an absolute URL (missing https://)"#)
    );
    pass(minutes(60)).await;
    assert!(case.asked_only_gitlab());

    // Its policy cannot be trusted, so its tokens are not judged at all.
    let rejection = common::refused(&world.verifier, &world.token(PORTAL, &key("portal")));
    assert_eq!((rejection.http_status(), rejection.code().as_str()), (503, "keys.unavailable"));
    assert_eq!(rejection.retry_after(), Some(secs(60)));
}

/// G4, G6, G7
#[tokio::test(start_paused = true)]
async fn unreachable_is_retried_and_shown_with_its_error() {
    let portal_keys = "http://127.0.0.1:6666/keys";
    let portal_key = key("portal");
    let (gitlab, local, other) = (key("gitlab"), key("local"), key("local-validation"));
    let config = configured(
        [&local, &other],
        &[
            ("KEYSTEAD_PROVIDERS__PORTAL__ISSUER", PORTAL),
            ("KEYSTEAD_PROVIDERS__PORTAL__JWKS_URL", portal_keys),
        ],
    );
    let mut world = World::of(config);
    world.network.on(GITLAB_KEYS, [publishes(&[&gitlab])]);
    world.network.on(portal_keys, [refused_connection()]);
    world.start().await;

    let source = world.status("portal").sources.remove(0);
    let error = source.last_error.unwrap();
    assert_eq!((source.state, error.stage, error.code), ("cold", "connect", "connect"));
    assert_eq!((error.detail.as_str(), source.errors), ("connection refused", 0));
    assert!(source.last_success.is_none() && source.next_attempt.is_some());
    assert!(world.accepts(&world.token(GITLAB, &gitlab)));
    assert_eq!(world.refusal(&world.token(PORTAL, &portal_key)), (503, "keys.unavailable"));

    // The incomplete state is not cached as complete: when the portal answers, its key is there
    // within one step of the backoff, not after 24 hours.
    pass(secs(90)).await;
    world.network.on(portal_keys, [publishes(&[&portal_key])]);
    pass(secs(15)).await;
    assert!(world.accepts(&world.token(PORTAL, &portal_key)));
}

/// G11: their library kept the old key of the healthy provider for up to 24 hours.
#[tokio::test(start_paused = true)]
async fn a_healthy_provider_rotates_while_another_is_down() {
    let (old, new, portal_key) = (key("old"), key("new"), key("portal"));
    let portal_keys = "https://customers.example.com/keys";
    let mut world = World::new([
        provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
        provider("portal", PORTAL).jwks_url(portal_keys),
    ]);
    world.network.on(GITLAB_KEYS, [publishes(&[&old]), publishes(&[&old, &new])]);
    world.network.on(portal_keys, [publishes(&[&portal_key]), refused_connection()]);
    world.start().await;
    pass(minutes(6)).await;

    assert_eq!((world.state("gitlab"), world.state("portal")), ("ready", "stale"));
    assert!(world.accepts(&world.token(GITLAB, &new)));
    assert!(world.accepts(&world.token(PORTAL, &portal_key)));
}

/// The rest of the story: the key that the healthy provider rotated to is in force for the first
/// token that names it, however incomplete the other provider is.
#[tokio::test(start_paused = true)]
async fn the_first_token_with_a_new_key_is_accepted_while_another_provider_is_down() {
    let (old, new) = (key("old"), key("new"));
    let mut world = World::new([
        provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
        provider("portal", PORTAL).jwks_url("https://customers.example.com/keys"),
    ]);
    world.network.on(GITLAB_KEYS, [publishes(&[&old]), publishes(&[&old, &new])]);
    world.start().await;
    let token = world.token(GITLAB, &new);
    assert_eq!(world.refusal(&token), (401, "key.unknown_kid"));
    assert!(world.verifier.verify_wait(&token).await.is_ok());
    assert_eq!(world.state("portal"), "cold");
    assert_eq!(world.network.count(GITLAB_KEYS), 2);
}
