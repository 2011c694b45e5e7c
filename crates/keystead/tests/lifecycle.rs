//! A source over time: first fetches that fail, rotation, withdrawal, outage, age, and what the answers
//! ask for.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::time::Duration;

use common::{
    World, jwks_of, key, minutes, pass, provider, publishes, publishes_for, refused_connection,
    secs, status, status_retry_after, until,
};
use keystead::core::Freshness;
use keystead_testkit::{Answer, SigningKey};

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";

/// A provider whose key address gives these answers, with its refresh started.
async fn answering(answers: impl IntoIterator<Item = Answer>) -> World {
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, answers);
    world.start().await;
    world
}

fn accepts(world: &World, key: &SigningKey) -> bool {
    world.accepts(&world.token(ISSUER, key))
}

fn asked(world: &World) -> usize {
    world.network.count(KEYS)
}

/// T10
#[tokio::test(start_paused = true)]
async fn a_first_fetch_that_fails_heals_by_itself() {
    let signing = key("K");
    let world = answering([status(500), publishes(&[&signing])]).await;
    assert_eq!((world.state("p"), asked(&world)), ("cold", 1));
    assert!(!world.verifier.can_verify());
    pass(Duration::from_millis(280)).await;
    assert!(accepts(&world, &signing));
    let status = world.status("p");
    assert_eq!((status.state, status.reason.as_str()), ("ready", "1 key is held"));
    assert!(status.sources[0].last_error.is_none());
}

/// T11
#[tokio::test(start_paused = true)]
async fn a_provider_that_dies_after_a_good_fetch_is_served_with_the_age_of_its_keys() {
    let signing = key("K");
    let never = Answer::never();
    for death in [status(503), refused_connection(), Answer::json("<html>"), never] {
        let world = answering([publishes(&[&signing]), death]).await;
        pass(minutes(120)).await;
        let verified = world.verifier.verify(&world.token(ISSUER, &signing)).unwrap();
        assert_eq!(verified.freshness(), Freshness::Stale);
        let status = world.status("p");
        assert_eq!(status.state, "stale");
        assert_eq!(status.keys[0].age_seconds, Some(7_200));
        assert!(status.sources[0].last_success < status.sources[0].last_attempt);
        assert!(asked(&world) > 100, "and it is asked on: {}", asked(&world));
    }
}

/// G5: seven ways to answer without keys have seven names, and none of them touches the neighbour.
#[tokio::test(start_paused = true)]
async fn each_answer_without_keys_has_a_name_of_its_own() {
    let neighbour = key("neighbour");
    let document = "https://idp.example/.well-known/openid-configuration";
    let no_uri = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":""}}"#);
    let cases = [
        (KEYS, status(502), "status"),
        (KEYS, Answer::json("<!doctype html><title>Sign in</title>"), "login_page"),
        (KEYS, Answer::json("Bootstrap in progress"), "not_json"),
        (KEYS, Answer::json("{}"), "no_keys_member"),
        (document, Answer::json(no_uri), "no_jwks_uri"),
        (KEYS, Answer::json(r#"{"keys":[]}"#), "empty_set"),
        (KEYS, Answer::json(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#), "no_usable_key"),
    ];
    for (url, answer, code) in cases {
        let portal = provider("portal", ISSUER);
        let portal = if url == KEYS { portal.jwks_url(KEYS) } else { portal };
        let healthy = provider("healthy", "https://h.example").jwks_url("https://h.example/keys");
        let mut world = World::new([portal, healthy]);
        world.network.on("https://h.example/keys", [publishes(&[&neighbour])]);
        world.network.on(url, [answer]);
        world.start().await;
        let error = world.status("portal").sources[0].last_error.clone().unwrap();
        assert_eq!(error.code, code);
        let token = world.token(ISSUER, &neighbour);
        for _ in 0..100 {
            assert_eq!(world.refusal(&token), (503, "keys.unavailable"));
        }
        assert_eq!(world.network.count(url), 1, "never on the request path");
        pass(minutes(10)).await;
        assert!((40..=50).contains(&world.network.count(url)), "once for each step of the backoff");
        assert!(world.accepts(&world.token("https://h.example", &neighbour)));
        assert_eq!(world.state("healthy"), "ready");
    }
}

/// K13
#[tokio::test(start_paused = true)]
async fn no_store_does_not_make_a_busy_loop() {
    let signing = key("K");
    let world = answering([publishes_for(&[&signing], secs(0))]).await;
    pass(minutes(60)).await;
    assert!((54..=68).contains(&asked(&world)), "once a minute: {}", asked(&world));
    world.network.on(KEYS, [status(500)]);
    pass(minutes(3)).await;
    assert!(accepts(&world, &signing), "nor does it take the keys away");
}

/// K14
#[tokio::test(start_paused = true)]
async fn a_month_of_max_age_is_an_hour() {
    let (old, new) = (key("old"), key("new"));
    let month = secs(2_592_000);
    let world =
        answering([publishes_for(&[&old], month), publishes_for(&[&old, &new], month)]).await;
    pass(minutes(53)).await;
    assert_eq!(asked(&world), 1, "what the answer asks for is honoured");
    pass(minutes(14)).await;
    assert_eq!(asked(&world), 2);
    assert!(accepts(&world, &new));
    assert_eq!(world.state("p"), "ready");
}

/// K14: who writes an interval wants a withdrawn key to be gone within it.
#[tokio::test(start_paused = true)]
async fn a_written_interval_is_not_outlasted_by_an_answer() {
    for written in [minutes(5), minutes(10)] {
        let mut world =
            World::new([provider("p", ISSUER).jwks_url(KEYS).refresh_interval(written)]);
        world.network.on(KEYS, [publishes_for(&[&key("K")], minutes(60))]);
        world.start().await;
        pass(written + written / 5).await;
        assert_eq!(asked(&world), 2, "{written:?}");
    }
}

/// K15
#[tokio::test(start_paused = true)]
async fn a_withdrawn_key_goes_with_the_first_set_that_omits_it() {
    let (kept, withdrawn) = (key("kept"), key("withdrawn"));
    let world =
        answering([publishes(&[&kept, &withdrawn]), status(500), publishes(&[&kept])]).await;
    until(|| world.state("p") == "stale").await;
    assert!(accepts(&world, &withdrawn), "a failed fetch is not removal");
    until(|| world.state("p") == "ready").await;
    assert_eq!(world.refusal(&world.token(ISSUER, &withdrawn)), (401, "key.unknown_kid"));
    assert!(accepts(&world, &kept));
}

/// K15
#[tokio::test(start_paused = true)]
async fn a_set_of_strangers_stands_beside_the_old_keys_until_a_second_answer_agrees() {
    let (old, new) = (key("old"), key("new"));
    let world = answering([publishes(&[&old]), publishes(&[&new])]).await;
    until(|| asked(&world) == 2).await;
    assert!(accepts(&world, &new) && accepts(&world, &old));
    pass(secs(29)).await;
    assert_eq!(asked(&world), 2);
    pass(secs(2)).await;
    assert_eq!(asked(&world), 3, "the second answer is sought, not waited for");
    assert!(accepts(&world, &new));
    assert_eq!(world.refusal(&world.token(ISSUER, &old)), (401, "key.unknown_kid"));
}

/// K15: somebody else's keys for the length of one answer, such as those of a test system.
#[tokio::test(start_paused = true)]
async fn old_keys_that_come_back_were_never_away() {
    let (old, stranger) = (key("old"), key("stranger"));
    let world = answering([publishes(&[&old]), publishes(&[&stranger]), publishes(&[&old])]).await;
    for _ in 0..600 {
        pass(secs(1)).await;
        assert!(accepts(&world, &old));
    }
    assert!(asked(&world) >= 3);
    assert_eq!(world.refusal(&world.token(ISSUER, &stranger)), (401, "key.unknown_kid"));
}

/// K16
#[tokio::test(start_paused = true)]
async fn new_material_under_an_old_kid_is_accepted_after_a_refresh_and_not_before() {
    let (old, new, other) = (key("A"), key("A"), key("B"));
    let world = answering([publishes(&[&old, &other]), publishes(&[&new, &other])]).await;
    let of_new = world.token(ISSUER, &new);
    for _ in 0..100 {
        assert_eq!(world.refusal(&of_new), (401, "signature.invalid"));
    }
    pass(secs(60)).await;
    assert_eq!(asked(&world), 1, "a bad signature never causes a fetch");
    world.refresh("p").await.unwrap();
    assert!(world.accepts(&of_new));
    assert_eq!(world.refusal(&world.token(ISSUER, &old)), (401, "signature.invalid"));
}

/// K17
#[tokio::test(start_paused = true)]
async fn a_keycloak_that_boots_later_is_served_within_one_step_of_the_backoff() {
    let signing = key("K");
    let world = answering([refused_connection()]).await;
    let token = world.token(ISSUER, &signing);
    let unavailable = (503, "keys.unavailable");
    pass(secs(60)).await;
    assert_eq!(world.refusal(&token), unavailable);
    // Its Retry-After counts up while it boots; what it asks for is capped.
    world.network.on(KEYS, (1..9).map(|n| status_retry_after(503, secs(20 * n))));
    pass(secs(60)).await;
    assert_eq!(world.refusal(&token), unavailable);
    let retry_after = common::refused(&world.verifier, &token).retry_after().unwrap();
    assert!(retry_after <= secs(15), "{retry_after:?}");
    world.network.on(KEYS, [status(404)]);
    pass(secs(60)).await;
    assert_eq!(world.refusal(&token), unavailable);
    world.network.on(KEYS, [publishes(&[&signing])]);
    pass(secs(15)).await;
    assert!(world.accepts(&token));
}

#[tokio::test(start_paused = true)]
async fn keys_past_max_stale_expire_and_a_success_revives_them() {
    let signing = key("K");
    let world = answering([publishes(&[&signing]), refused_connection()]).await;
    let token = world.token(ISSUER, &signing);
    pass(minutes(24 * 60 - 1)).await;
    assert!(world.accepts(&token));
    assert_eq!(world.state("p"), "stale");
    pass(minutes(2)).await;

    let rejection = common::refused(&world.verifier, &token);
    assert_eq!((rejection.http_status(), rejection.code().as_str()), (503, "keys.expired"));
    assert!(rejection.retry_after().unwrap() <= secs(60));
    let status = world.status("p");
    assert_eq!((status.state, world.verifier.can_verify()), ("expired", false));
    assert!(status.reason.starts_with("1 key is held, past max_stale; "), "{}", status.reason);
    assert_eq!((status.keys[0].usable, status.sources[0].state), (false, "expired"));

    world.network.on(KEYS, [publishes(&[&signing])]);
    pass(secs(60)).await;
    assert!(world.accepts(&token));
    assert_eq!(world.state("p"), "ready");
}

#[tokio::test(start_paused = true)]
async fn a_written_max_stale_counts_and_forever_never_ends() {
    let signing = key("K");
    for (limit, served) in [(Some(minutes(10)), false), (None, true)] {
        let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS).max_stale(limit)]);
        world.network.on(KEYS, [publishes(&[&signing]), refused_connection()]);
        world.start().await;
        pass(minutes(9)).await;
        assert!(accepts(&world, &signing));
        pass(minutes(40 * 60)).await;
        assert_eq!(accepts(&world, &signing), served, "{limit:?}");
    }
}

/// Keys of one source that expired do not come between a token and the keys of another.
#[tokio::test(start_paused = true)]
async fn keys_that_expired_stand_beside_living_ones_unused() {
    let (living, expired) = (key("living"), key("expired"));
    let other = "https://idp.example/other";
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS).jwks_url(other)]);
    world.network.on(KEYS, [publishes(&[&expired]), refused_connection()]);
    world.network.on(other, [publishes(&[&living])]);
    world.start().await;
    pass(minutes(25 * 60)).await;
    assert!(accepts(&world, &living));
    assert_eq!(world.state("p"), "stale");
    assert_eq!(world.refusal(&world.token(ISSUER, &expired)), (503, "keys.expired"));
}

/// Without anybody to refresh them keys age all the same, and the status says why.
#[tokio::test(start_paused = true)]
async fn when_the_refresh_ends_keys_go_on_ageing() {
    let signing = key("K");
    let mut world = answering([publishes(&[&signing])]).await;
    world.stop().await;
    pass(minutes(11)).await;
    let status = world.status("p");
    assert_eq!(status.state, "stale");
    assert!(status.reason.ends_with("the last answer is 660 s old"), "{}", status.reason);
    pass(minutes(24 * 60)).await;
    assert_eq!(world.state("p"), "expired");
}

/// A set with an unusable key is no trouble; the key is shown with the reason.
#[tokio::test(start_paused = true)]
async fn an_unusable_key_never_spoils_its_set() {
    let good = key("good");
    let mut weak = SigningKey::fixed_rsa(0).unwrap().with_kid("weak").jwk();
    weak["e"] = "AQ".into();
    let world = answering([Answer::json(jwks_of([weak, good.jwk()]))]).await;
    assert!(accepts(&world, &good));
    let shown = world.status("p").keys;
    let weak = shown.iter().find(|key| key.kid.as_deref() == Some("weak")).unwrap();
    assert!(!weak.usable && weak.why.is_some());
    assert_eq!(world.state("p"), "ready");
}

/// The wall clock may be set: schedule and age do not notice, the times of tokens do.
#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_moves_no_schedule() {
    let signing = key("K");
    let world = answering([publishes(&[&signing])]).await;
    let token = world.token(ISSUER, &signing);
    world.clock.shift_wall(-30 * 86_400);
    pass(minutes(60)).await;
    assert!((11..=14).contains(&asked(&world)), "{}", asked(&world));
    assert_eq!(world.state("p"), "ready");
    assert!(world.accepts(&token));
    world.clock.shift_wall(500 * 86_400);
    assert_eq!(world.refusal(&token), (401, "token.expired"));
    assert_eq!(world.state("p"), "ready");
}
