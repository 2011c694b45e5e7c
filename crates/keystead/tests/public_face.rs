//! The verifier as a host program meets it: build, apply, refresh, start, stop, load, verify, explain.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{
    World, draft, held, key, minutes, pass, provider, publishes, refused_connection, secs, soon,
    status, until,
};
use keystead::config::{Config, Layers};
use keystead::core::Requirements;
use keystead::{Clock, ProviderConfig, RefreshError, Verifier};
use keystead_testkit::{Answer, ForbiddenFetch, ManualClock, SigningKey};

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";
const OTHER: &str = "https://other.example";
const OTHER_KEYS: &str = "https://other.example/keys";

fn idp() -> ProviderConfig {
    provider("idp", ISSUER).jwks_url(KEYS)
}

fn other() -> ProviderConfig {
    provider("other", OTHER).jwks_url(OTHER_KEYS)
}

/// T42
#[test]
fn a_configuration_without_any_provider_is_none_and_accepts_nobody() {
    let error = Config::load(&Layers::default()).unwrap_err();
    assert!(error.to_string().contains("no provider is configured"), "{error}");
    assert!(Config::parse_yaml("version: 1\n").is_err());

    let verifier = Verifier::builder().build();
    let token = draft(ISSUER, secs(1)).sign(&key("K")).unwrap();
    assert_eq!(common::refusal(&verifier, &token), (401, "issuer.unknown"));
    assert!(!verifier.can_verify());
    assert_eq!(verifier.status().state, "cold");
}

/// K28
#[tokio::test(start_paused = true)]
async fn clocks_may_differ_by_the_leeway_and_no_further() {
    let signing = key("K");
    let mut world = World::new([idp()]);
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    let starting_in = |seconds| {
        let now = world.clock.wall();
        world.draft(ISSUER).not_before(now + secs(seconds)).sign(&signing).unwrap()
    };
    assert!(world.accepts(&starting_in(45)));
    let late = starting_in(90);
    assert_eq!(world.refusal(&late), (401, "token.not_yet_valid"));
    let sentence = common::refused(&world.verifier, &late).sentence();
    // The refresh was given a millisecond to start.
    assert!(sentence.starts_with("token becomes valid in 89.999 s"), "{sentence}");
    // A call may ask for more, or for another time.
    let lenient = Requirements::new().leeway(secs(120));
    assert!(world.verifier.verify_with(&late, &lenient).is_ok());
    let then = world.clock.wall() + secs(60);
    assert!(world.verifier.verify_at(&late, then, &Requirements::default()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_explanation_ends_in_the_verdict() {
    let signing = key("K");
    let mut world = World::new([idp()]);
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    let good = world.token(ISSUER, &signing);
    assert!(world.verifier.explain(&good).accepted());
    for token in [
        world.token(OTHER, &signing),
        world.token(ISSUER, &key("unknown")),
        world.draft(ISSUER).expires_at(secs(1)).sign(&signing).unwrap(),
        format!("{good}x"),
        String::new(),
    ] {
        let refused = world.verifier.explain(&token).refused;
        assert_eq!(refused, world.verifier.verify(&token).err());
        assert!(refused.is_some());
    }
}

mod apply {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_unchanged_keeps_its_keys_and_its_schedule() {
        let (first, second) = (key("1"), key("2"));
        let mut world = World::new([idp()]);
        world.network.on(KEYS, [publishes(&[&first]), refused_connection()]);
        world.network.on(OTHER_KEYS, [publishes(&[&second])]);
        world.start().await;
        for _ in 0..20 {
            pass(secs(10)).await;
            world.verifier.apply(Config::of([idp(), other()]));
        }
        assert!(world.accepts(&world.token(ISSUER, &first)));
        assert!(world.accepts(&world.token(OTHER, &second)), "what is new is asked at once");
        assert_eq!((world.network.count(KEYS), world.network.count(OTHER_KEYS)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_is_neither_asked_nor_accepted_any_more() {
        let signing = key("K");
        let mut world = World::new([idp(), other()]);
        world.network.on(KEYS, [publishes(&[&signing])]);
        world.start().await;
        let token = world.token(ISSUER, &signing);
        assert!(world.accepts(&token));
        world.verifier.apply(Config::of([other()]));
        assert_eq!(world.refusal(&token), (401, "issuer.unknown"));
        let asked = world.network.count(KEYS);
        pass(minutes(60)).await;
        assert_eq!(world.network.count(KEYS), asked);
        assert!(world.verifier.status().providers.keys().eq(["other"]));
        let unknown = world.refresh("idp").await.unwrap_err();
        assert!(matches!(unknown, RefreshError::UnknownProvider(name) if name == "idp"));
    }

    /// A provider with this key, which then goes away; 100 s later another configuration is applied.
    async fn changed(signing: &SigningKey, to: ProviderConfig) -> World {
        let mut world = World::new([idp()]);
        world.network.on(KEYS, [publishes(&[signing]), refused_connection()]);
        world.start().await;
        pass(secs(100)).await;
        world.verifier.apply(Config::of([to]));
        world
    }

    /// What is written about tokens has nothing to do with where keys come from: no provider has to
    /// be there when it is changed.
    #[tokio::test(start_paused = true)]
    async fn what_is_changed_keeps_the_keys_of_sources_that_stay() {
        let signing = key("K");
        let world = changed(&signing, idp().audiences(["second"])).await;
        let token = world.draft(ISSUER).audience("second").sign(&signing).unwrap();
        for _ in 0..2 {
            assert!(world.accepts(&token));
            let (status, keys) = (world.status("idp"), world.status("idp").keys);
            assert_eq!((status.state, keys[0].age_seconds), ("stale", Some(100)));
            assert_eq!(keys[0].origin, format!("jwks_url {KEYS}"));
            let remark = "keys from before the configuration was changed, age 100 s";
            assert!(status.reason.contains(remark), "{}", status.reason);
            // Changed once more before anybody has answered, they are still no younger.
            world.verifier.apply(Config::of([idp().audiences(["second"]).leeway(secs(1))]));
        }
        assert_eq!(world.status("idp").audiences, Some(vec!["second".to_owned()]));
        world.network.on(KEYS, [publishes(&[&signing])]);
        until(|| world.state("idp") == "ready").await;
        assert!(world.accepts(&token));
    }

    /// The clock on the wall has no say in that.
    #[tokio::test(start_paused = true)]
    async fn keys_that_are_kept_expire_when_they_would_have() {
        let signing = key("K");
        for leap in [0, 400 * 86_400, -86_400] {
            let mut world = World::new([idp()]);
            world.network.on(KEYS, [publishes(&[&signing]), refused_connection()]);
            world.start().await;
            let long = secs(10 * 365 * 86_400);
            let token = draft(ISSUER, world.clock.wall()).expires_in(world.clock.wall(), long);
            let token = token.sign(&signing).unwrap();
            pass(secs(100)).await;
            world.clock.shift_wall(leap);
            world.verifier.apply(Config::of([idp().max_stale(secs(600))]));
            pass(secs(499)).await;
            assert!(world.accepts(&token));
            pass(secs(2)).await;
            assert_eq!(world.refusal(&token), (503, "keys.expired"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_of_another_source_or_issuer_are_not_kept() {
        let signing = key("K");
        let elsewhere = "https://idp.example/elsewhere";
        for other in [
            provider("idp", ISSUER).jwks_url(elsewhere),
            provider("idp", OTHER).jwks_url(KEYS),
            provider("idp", ISSUER).discovery_url(KEYS),
            // Somebody else answers at the same address.
            idp().connect_to("staging.example:443"),
            idp().proxy("http://proxy.example:3128"),
        ] {
            let issuer = other.policy.issuer.clone();
            let world = changed(&signing, other).await;
            let token = world.token(&issuer, &signing);
            assert_eq!(world.refusal(&token), (503, "keys.unavailable"));
            assert_eq!(world.state("idp"), "cold");
        }
    }

    /// Whoever lists a key distrusts what is held, and does not wait for an answer.
    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_distrusted_now_is_not_used_any_more() {
        let signing = key("K");
        let listed = idp().distrusted_keys([signing.thumbprint().unwrap()]);
        let world = changed(&signing, listed).await;
        let token = world.token(ISSUER, &signing);
        assert_eq!(world.refusal(&token), (401, "key.unusable"));
        assert_eq!(world.state("idp"), "cold");
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_is_switched_off_says_so() {
        let signing = key("K");
        let mut world = World::new([idp()]);
        world.network.on(KEYS, [publishes(&[&signing])]);
        world.start().await;
        let token = world.token(ISSUER, &signing);
        world.verifier.apply(Config::of([idp().switched_off()]));
        assert_eq!(world.refusal(&token), (401, "issuer.disabled"));
        assert_eq!(world.state("idp"), "disabled");
        world.verifier.apply(Config::of([idp()]));
        pass(secs(1)).await;
        assert!(world.accepts(&token));
    }

    /// A provider that is off does not stand in the way of one in use that has its issuer.
    #[tokio::test(start_paused = true)]
    async fn an_enabled_provider_answers_for_an_issuer_before_a_disabled_one() {
        let signing = key("K");
        let off = provider("a-off", ISSUER).switched_off();
        let mut world = World::new([off, idp()]);
        world.network.on(KEYS, [publishes(&[&signing])]);
        world.start().await;
        let token = world.token(ISSUER, &signing);
        assert_eq!(world.verifier.verify(&token).unwrap().provider(), "idp");
    }

    /// Judges both tokens again and again: each is its own provider's, or there is the other one.
    fn judge_until(over: &AtomicBool, verifier: &Verifier, tokens: &[String; 2]) {
        let judge = |token, expected| match verifier.verify(token) {
            Ok(verified) => assert_eq!(verified.provider(), expected),
            Err(refused) => {
                assert_eq!(refused.code().as_str(), "audience.not_accepted");
                assert_ne!(refused.provider(), Some(expected));
            }
        };
        while !over.load(Ordering::Relaxed) {
            judge(&tokens[0], "one");
            judge(&tokens[1], "two");
        }
    }

    /// Two configurations that each accept one of two audiences under one issuer: a mixture would
    /// accept neither or be without a provider.
    #[test]
    fn those_who_verify_meanwhile_see_one_or_the_other() {
        let (signing, clock) = (key("K"), ManualClock::new());
        let keys = Arc::new(held(&[&signing]));
        let with = |name: &str, audience: &str| {
            let keys = Arc::clone(&keys);
            Config::of([provider(name, ISSUER).audiences([audience]).key_source(keys)])
        };
        let (one, two) = (with("one", "1"), with("two", "2"));
        let verifier = Verifier::builder().clock(Arc::new(clock.clone())).build();
        verifier.apply(one.clone());
        let token = |audience: &str| {
            let claims = draft(ISSUER, clock.wall()).without("aud").audience(audience);
            claims.sign(&signing).unwrap()
        };
        let tokens = [token("1"), token("2")];
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| judge_until(&over, &verifier, &tokens));
            }
            for _ in 0..200 {
                verifier.apply(two.clone());
                verifier.apply(one.clone());
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}

mod refresh {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_says_why_it_has_no_good_news() {
        let mut world = World::new([idp()]);
        let unknown = world.refresh("nobody").await.unwrap_err();
        assert_eq!(unknown.to_string(), "no provider is called \"nobody\"");
        let not_started = world.refresh("idp").await.unwrap_err();
        assert!(matches!(not_started, RefreshError::NotStarted));

        world.network.on(KEYS, [status(500)]);
        world.start().await;
        let RefreshError::Failed(failed) = world.refresh("idp").await.unwrap_err() else {
            panic!("it failed for another reason")
        };
        assert_eq!(failed.state, "cold");
        assert!(failed.reason.contains("status 500"), "{}", failed.reason);

        world.network.on(KEYS, [publishes(&[&key("K")])]);
        let refreshed = world.refresh("idp").await.unwrap();
        assert_eq!((refreshed.state, refreshed.keys.len()), ("ready", 1));

        world.stop().await;
        let stopped = world.refresh("idp").await.unwrap_err();
        assert_eq!(stopped.to_string(), "the refresh is not running");
    }

    #[tokio::test(start_paused = true)]
    async fn it_asks_the_discovery_document_too() {
        let document = "https://idp.example/.well-known/openid-configuration";
        let mut world = World::new([provider("idp", ISSUER)]);
        world.network.on(document, [common::metadata(ISSUER, KEYS)]);
        world.network.on(KEYS, [publishes(&[&key("K")])]);
        world.start().await;
        world.refresh("idp").await.unwrap();
        assert_eq!(world.network.requests(), [document, KEYS, document, KEYS]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_shares_an_attempt_that_is_under_way() {
        let mut world = World::new([idp()]);
        world.network.on(KEYS, [publishes(&[&key("K")]).after(secs(3))]);
        world.start().await;
        let verifier = &world.verifier;
        let (one, two) = tokio::join!(verifier.refresh("idp"), verifier.refresh("idp"));
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(world.network.count(KEYS), 1);
    }

    /// The attempt is the provider's, not the caller's.
    #[tokio::test(start_paused = true)]
    async fn it_goes_on_when_its_caller_leaves() {
        let signing = key("K");
        let mut world = World::new([idp()]);
        world.network.on(KEYS, [status(500), publishes(&[&signing]).after(secs(3))]);
        world.start().await;
        let impatient = tokio::time::timeout(secs(1), world.verifier.refresh("idp"));
        assert!(impatient.await.is_err());
        pass(secs(3)).await;
        assert!(world.accepts(&world.token(ISSUER, &signing)));
        assert_eq!(world.network.count(KEYS), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_the_refresh_ends() {
        let mut world = World::new([idp()]);
        world.network.on(KEYS, [Answer::never()]);
        world.start().await;
        let verifier = world.verifier.clone();
        let refreshing = tokio::spawn(async move { verifier.refresh("idp").await });
        pass(secs(1)).await;
        world.stop().await;
        assert!(matches!(soon(refreshing).await.unwrap().unwrap_err(), RefreshError::NotStarted));
    }

    #[tokio::test(start_paused = true)]
    async fn it_follows_a_configuration_that_is_applied_meanwhile() {
        let moved = "https://idp.example/moved";
        for (applied, expected) in [
            (vec![idp(), other()], "failed"),
            (vec![provider("idp", ISSUER).jwks_url(moved)], "ready"),
            (vec![other()], "unknown"),
        ] {
            let mut world = World::new([idp()]);
            world.network.on(KEYS, [status(500).after(secs(3))]);
            world.network.on(moved, [publishes(&[&key("K")])]);
            world.start().await;
            let verifier = world.verifier.clone();
            let refreshing = tokio::spawn(async move { verifier.refresh("idp").await });
            pass(secs(1)).await;
            world.verifier.apply(Config::of(applied));
            let found = match soon(refreshing).await.unwrap() {
                Ok(status) => status.state,
                Err(RefreshError::Failed(_)) => "failed",
                Err(RefreshError::UnknownProvider(_)) => "unknown",
                Err(_) => "not started",
            };
            assert_eq!(found, expected);
        }
    }

    /// Nothing of it is asked, so that nothing can fail.
    #[tokio::test(start_paused = true)]
    async fn a_provider_with_nothing_to_ask_is_refreshed_at_once() {
        let keys = Arc::new(held(&[&key("K")]));
        let local = provider("local", "local").key_source(keys);
        let mut world = World::new([local, idp().switched_off()]);
        world.start().await;
        assert_eq!(world.refresh("local").await.unwrap().state, "ready");
        assert_eq!(world.refresh("idp").await.unwrap().state, "disabled");
    }
}

mod driving {
    use tokio::task::JoinHandle;

    use super::*;

    fn driver(world: &World) -> JoinHandle<()> {
        let verifier = world.verifier.clone();
        tokio::spawn(async move { verifier.drive().await })
    }

    /// An attempt that nobody finished is made again, at once.
    #[tokio::test(start_paused = true)]
    async fn after_a_restart_an_interrupted_attempt_is_made_again() {
        let signing = key("K");
        let mut world = World::new([idp()]);
        world.network.on(KEYS, [Answer::never(), publishes(&[&signing])]);
        world.start().await;
        world.stop().await;
        assert_eq!(world.state("idp"), "cold");
        assert!(world.status("idp").sources[0].last_error.is_none(), "it has not failed");
        world.start().await;
        assert!(world.accepts(&world.token(ISSUER, &signing)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_asks_nobody_before_his_time() {
        let mut world = World::new([idp()]);
        world.network.on(KEYS, [publishes(&[&key("K")])]);
        for _ in 0..20 {
            world.start().await;
            world.stop().await;
        }
        assert_eq!((world.network.count(KEYS), world.state("idp")), (1, "ready"));
        world.start().await;
        pass(minutes(6)).await;
        assert_eq!(world.network.count(KEYS), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn two_who_drive_ask_once_and_either_may_leave() {
        for leaving in [0, 1] {
            let mut world = World::new([idp()]);
            world.network.on(KEYS, [publishes(&[&key("K")])]);
            let mut drivers = vec![driver(&world), driver(&world)];
            pass(minutes(60)).await;
            let asked = world.network.count(KEYS);
            assert!((11..=14).contains(&asked), "{asked}");

            drivers.remove(leaving).abort();
            pass(minutes(60)).await;
            let asked = world.network.count(KEYS);
            assert!((22..=27).contains(&asked), "{asked}");
            assert!(world.refresh("idp").await.is_ok());

            drivers.remove(0).abort();
            pass(minutes(60)).await;
            assert_eq!(world.network.count(KEYS), asked + 1);
            let stopped = world.refresh("idp").await.unwrap_err();
            assert!(matches!(stopped, RefreshError::NotStarted));
            world.stop().await;
        }
    }

    /// Whoever waits for his turn has it with everything that was under way, a refresh included.
    #[tokio::test(start_paused = true)]
    async fn a_refresh_outlives_a_change_of_drivers() {
        let mut world = World::new([idp()]);
        world.network.on(KEYS, [Answer::never(), publishes(&[&key("K")])]);
        world.start().await;
        let second = driver(&world);
        let verifier = world.verifier.clone();
        let refreshing = tokio::spawn(async move { verifier.refresh("idp").await });
        pass(secs(1)).await;
        world.stop().await;
        assert_eq!(soon(refreshing).await.unwrap().unwrap().state, "ready");
        second.abort();
    }
}

mod load {
    use super::*;

    #[test]
    fn files_are_read_on_the_spot_and_the_network_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, signing) = (folder.path().join("keys.json"), key("K"));
        let (clock, network) = (ManualClock::new(), ForbiddenFetch::new());
        let verifier = Verifier::builder()
            .clock(Arc::new(clock.clone()))
            .fetch(Arc::new(network.clone()))
            .provider(provider("p", ISSUER).keys_file(&path).discover())
            .build();
        let token = draft(ISSUER, clock.wall()).sign(&signing).unwrap();
        assert!(verifier.verify(&token).is_err(), "building does no I/O");
        verifier.load();
        let reason = verifier.status().providers["p"].reason.clone();
        assert!(reason.contains("does not exist"), "{reason}");

        fs::write(&path, common::jwks(&[&signing])).unwrap();
        verifier.load();
        assert!(verifier.verify(&token).is_ok(), "each call reads, whatever the schedule says");
        let other = key("other");
        fs::write(&path, common::jwks(&[&other])).unwrap();
        verifier.load();
        assert!(verifier.verify(&token).is_err());
        assert!(network.requests().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn it_gets_along_with_a_refresh_that_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (path, first, second): (_, SigningKey, SigningKey) =
            (folder.path().join("keys.json"), key("1"), key("2"));
        fs::write(&path, common::jwks(&[&first])).unwrap();
        let mut world = World::new([provider("p", ISSUER).keys_file(&path)]);
        world.start().await;
        fs::write(&path, common::jwks(&[&second])).unwrap();
        world.verifier.load();
        assert!(world.accepts(&world.token(ISSUER, &second)));
        fs::write(&path, common::jwks(&[&first])).unwrap();
        pass(secs(6)).await;
        assert!(world.accepts(&world.token(ISSUER, &first)), "and the refresh goes on");
    }
}
