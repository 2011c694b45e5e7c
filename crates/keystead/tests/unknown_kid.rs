//! Tokens whose key is not held: who is asked because of them, who waits, and what a flood of made-up
//! kids can and cannot do.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{
    World, held, key, minutes, pass, provider, publishes, refused_connection, secs, status,
};
use keystead::core::{KeySet, Requirements};
use keystead::{Clock, Config, KeySource, ProviderConfig, SourceError, Verifier};
use keystead_testkit::{Answer, PausedClock, ScriptedFetch, SigningKey};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";
const OTHER_KEYS: &str = "https://idp.example/other";

const MILLI: Duration = Duration::from_millis(1);

/// A provider whose key address gives these answers, with its refresh started.
async fn answering(answers: impl IntoIterator<Item = Answer>) -> World {
    world([provider("p", ISSUER).jwks_url(KEYS)], answers).await
}

async fn world(
    providers: impl IntoIterator<Item = ProviderConfig>,
    answers: impl IntoIterator<Item = Answer>,
) -> World {
    let mut world = World::new(providers);
    world.network.on(KEYS, answers);
    world.start().await;
    world
}

fn asked(world: &World) -> usize {
    world.network.count(KEYS)
}

/// Accepted, or status and code of the refusal; and how long that took.
async fn waited(world: &World, token: &str) -> (Result<(), (u16, &'static str)>, Duration) {
    let before = Instant::now();
    (verdict(&world.verifier, token).await, before.elapsed())
}

async fn verdict(verifier: &Verifier, token: &str) -> Result<(), (u16, &'static str)> {
    let verdict = verifier.verify_wait(token).await;
    verdict.map(drop).map_err(|refused| (refused.http_status(), refused.code().as_str()))
}

/// The same from a task of its own.
fn asking(world: &World, token: String) -> JoinHandle<Result<(), (u16, &'static str)>> {
    let verifier = world.verifier.clone();
    tokio::spawn(async move { verdict(&verifier, &token).await })
}

/// A token with a kid that nobody has a key for.
fn made_up(world: &World, kid: &str, key: &SigningKey) -> String {
    world.draft(ISSUER).header("kid", kid).sign(key).unwrap()
}

const UNKNOWN: Result<(), (u16, &str)> = Err((401, "key.unknown_kid"));
const UNAVAILABLE: Result<(), (u16, &str)> = Err((503, "keys.unavailable"));

/// T12
#[tokio::test(start_paused = true)]
async fn a_rotation_is_accepted_within_one_fetch_which_gives_its_budget_back() {
    let (a, b, c) = (key("A"), key("B"), key("C"));
    let answers = [publishes(&[&a]), publishes(&[&a, &b]), publishes(&[&b, &c])];
    let world = answering(answers).await;
    pass(secs(10)).await;
    assert_eq!(waited(&world, &world.token(ISSUER, &b)).await, (Ok(()), Duration::ZERO));
    assert_eq!(asked(&world), 2);
    assert_eq!(waited(&world, &world.token(ISSUER, &c)).await, (Ok(()), Duration::ZERO));
    assert_eq!(asked(&world), 3, "the budget is whole");
    assert_eq!(
        world.verifier.verify_wait(&world.token(ISSUER, &a)).await.unwrap_err().code().as_str(),
        "key.unknown_kid"
    );
}

/// T12: a made-up kid spends the budget; another unknown one within 30 s is refused without a fetch.
#[tokio::test(start_paused = true)]
async fn a_made_up_kid_spends_the_budget() {
    let (a, b) = (key("A"), key("B"));
    let world = answering([publishes(&[&a])]).await;
    assert_eq!(waited(&world, &made_up(&world, "x", &a)).await, (UNKNOWN, Duration::ZERO));
    assert_eq!(asked(&world), 2);
    pass(secs(29)).await;
    assert_eq!(waited(&world, &made_up(&world, "y", &a)).await, (UNKNOWN, Duration::ZERO));
    assert_eq!(asked(&world), 2);
    world.network.on(KEYS, [publishes(&[&a, &b])]);
    pass(secs(1)).await;
    assert_eq!(waited(&world, &world.token(ISSUER, &b)).await, (Ok(()), Duration::ZERO));
    assert_eq!(asked(&world), 3);
}

/// T13: a provider whose replicas disagree is no reason to ask it all the time, although every fetch
/// finds what it was made for.
#[tokio::test(start_paused = true)]
async fn answers_that_take_turns_do_not_give_the_budget_back_for_ever() {
    let (x, a, b) = (key("X"), key("A"), key("B"));
    let turns = [publishes(&[&x, &a]), publishes(&[&x, &b])];
    let world = answering(turns.into_iter().cycle().take(200)).await;
    let (of_a, of_b) = (world.token(ISSUER, &a), world.token(ISSUER, &b));
    for _ in 0..100 {
        let _comes_and_goes = verdict(&world.verifier, &of_a).await;
        let _comes_and_goes = verdict(&world.verifier, &of_b).await;
        pass(Duration::from_millis(900)).await;
    }
    // The first answer, one for each of the two keys that gave the budget back, and at most one in
    // each 30 s of the 90.
    assert!(asked(&world) <= 1 + 2 + 4, "{}", asked(&world));
    assert!(world.accepts(&world.token(ISSUER, &x)));
}

/// T13: and tokens with a known key neither wait nor notice.
#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_kids_is_one_fetch_in_thirty_seconds() {
    let (signing, forger) = (key("K"), key("forger"));
    let world = answering([publishes(&[&signing])]).await;
    let good = world.token(ISSUER, &signing);
    let forged = made_up(&world, "KID", &forger);
    let header = forged.split('.').next().unwrap();
    let began = Instant::now();
    for n in 0..10_000_u32 {
        // The kid alone differs; the signature is not looked at without a key.
        let named = made_up(&world, &n.to_string(), &forger);
        assert!(!named.starts_with(header));
        assert_eq!(verdict(&world.verifier, &named).await, UNKNOWN);
        if n % 100 == 0 {
            assert_eq!(waited(&world, &good).await, (Ok(()), Duration::ZERO));
            pass(secs(1)).await;
        }
    }
    assert_eq!(began.elapsed(), secs(100));
    assert_eq!(asked(&world), 1 + 4, "at 0, 30, 60 and 90 s");
    assert_eq!(world.state("p"), "ready");
}

/// T13: a rotation in the flood is accepted within 30 s of it and the time of one fetch; without a flood
/// it takes one fetch alone (T12).
#[tokio::test(start_paused = true)]
async fn a_rotation_gets_through_a_flood_within_thirty_seconds() {
    let (old, forger) = (key("old"), key("forger"));
    let (latency, step) = (Duration::from_millis(40), Duration::from_millis(100));
    // Right after a fetch, long after it, just before the next and just after.
    for rotated_at in [1, 17, 29, 31] {
        let new = key("new");
        let world = answering([publishes(&[&old]).after(latency)]).await;
        pass(secs(1)).await;
        let token = world.token(ISSUER, &new);
        let began = Instant::now();
        let mut made_up_kids = 0..;
        let mut flood = || {
            let kid = made_up_kids.next().map(|n: u32| n.to_string()).unwrap();
            let _forged = asking(&world, made_up(&world, &kid, &forger));
        };
        while began.elapsed() < secs(rotated_at) {
            flood();
            pass(step).await;
        }
        world.network.on(KEYS, [publishes(&[&old, &new]).after(latency)]);
        let rotated = Instant::now();
        while verdict(&world.verifier, &token).await.is_err() {
            flood();
            pass(step).await;
        }
        let waited = rotated.elapsed();
        assert!(waited <= secs(30) + latency + step, "rotated at {rotated_at} s: {waited:?}");
        assert!(asked(&world) <= 4, "{}", asked(&world));
    }
}

/// T13: the same kid again and again is asked for once in 30 s, and no more seldom than that: somebody
/// may have guessed the kid of the next key, which gets through like any other.
#[tokio::test(start_paused = true)]
async fn a_kid_that_was_guessed_long_ago_gets_through_within_thirty_seconds() {
    let (old, new, forger) = (key("2026-01"), key("2026-02"), key("forger"));
    let hourly = provider("p", ISSUER).jwks_url(KEYS).refresh_interval(minutes(60));
    let world = world([hourly], [publishes(&[&old])]).await;
    let guessed = made_up(&world, "2026-02", &forger);
    let mut at = Vec::new();
    for second in 0..605_u64 {
        let before = asked(&world);
        assert_eq!(verdict(&world.verifier, &guessed).await, UNKNOWN);
        if asked(&world) > before {
            at.push(second);
        }
        pass(secs(1)).await;
    }
    assert!(at.iter().copied().eq((0..=600).step_by(30)), "{at:?}");
    world.network.on(KEYS, [publishes(&[&old, &new])]);
    let (rotated, token) = (Instant::now(), world.token(ISSUER, &new));
    while verdict(&world.verifier, &token).await.is_err() {
        let _forged = verdict(&world.verifier, &guessed).await;
        pass(secs(1)).await;
    }
    assert!(rotated.elapsed() <= secs(30), "{:?}", rotated.elapsed());
}

/// T5
#[tokio::test(start_paused = true)]
async fn a_local_key_set_beside_a_complete_one_without_the_kid_is_the_last_word() {
    let (local, remote, unknown) = (key("local"), key("remote"), key("K"));
    let configured = provider("p", ISSUER).key_source(Arc::new(held(&[&local]))).jwks_url(KEYS);
    let world = world([configured], [publishes(&[&remote])]).await;
    assert_eq!(waited(&world, &world.token(ISSUER, &unknown)).await, (UNKNOWN, Duration::ZERO));
    assert_eq!(asked(&world), 2, "after one more look");
}

/// T29: the first attempt is the provider's, not the caller's.
#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_during_the_first_fetch_ends_nothing() {
    let signing = key("K");
    let slow = publishes(&[&signing]).after(Duration::from_millis(400));
    let world = answering([slow]).await;
    let token = world.token(ISSUER, &signing);
    let impatient = asking(&world, token.clone());
    pass(Duration::from_millis(100)).await;
    impatient.abort();
    assert_eq!(verdict(&world.verifier, &token).await, Ok(()), "and others wait on");
    assert_eq!(asked(&world), 1);
}

/// T29: nor does one who leaves during the fetch that is made for its own kid.
#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_does_not_take_its_fetch_along() {
    let (a, b) = (key("A"), key("B"));
    let slow = publishes(&[&a, &b]).after(Duration::from_millis(400));
    let world = answering([publishes(&[&a]), slow]).await;
    let token = world.token(ISSUER, &b);
    let impatient = asking(&world, token.clone());
    pass(Duration::from_millis(100)).await;
    let patient = asking(&world, token.clone());
    impatient.abort();
    pass(Duration::from_millis(301)).await;
    assert!(world.accepts(&token));
    assert_eq!(patient.await.unwrap(), Ok(()));
    assert_eq!(asked(&world), 2, "one fetch for both");
}

/// Promise 2: the very first attempt is waited for, the next one is not.
#[tokio::test(start_paused = true)]
async fn only_the_very_first_attempt_of_a_dead_provider_is_waited_for() {
    let signing = key("K");
    let dead = [refused_connection().after(Duration::from_millis(300)), Answer::never()];
    let world = answering(dead).await;
    let token = world.token(ISSUER, &signing);
    assert_eq!(waited(&world, &token).await, (UNAVAILABLE, Duration::from_millis(299)));
    pass(Duration::from_millis(600)).await;
    assert_eq!(asked(&world), 2, "the second one is under way and will hang");
    assert_eq!(waited(&world, &token).await, (UNAVAILABLE, Duration::ZERO));
}

/// T2: and nobody waits whose key is there.
#[tokio::test(start_paused = true)]
async fn a_blackholed_source_delays_no_token_whose_key_is_held() {
    let (local, remote) = (key("local"), key("remote"));
    let configured = provider("p", ISSUER).key_source(Arc::new(held(&[&local]))).jwks_url(KEYS);
    let world = world([configured], [Answer::never()]).await;
    let token = world.token(ISSUER, &local);
    let before = Instant::now();
    let all: Vec<_> = (0..100).map(|_| asking(&world, token.clone())).collect();
    for one in all {
        assert_eq!(one.await.unwrap(), Ok(()));
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    let (refused, waited) = waited(&world, &world.token(ISSUER, &remote)).await;
    assert_eq!(refused, UNAVAILABLE, "what the other source holds nobody knows");
    assert_eq!(waited, secs(1));
}

/// A scheduled attempt that hangs: the forced one does not join it but takes its place.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_never_wedges_a_forced_one() {
    let (a, b) = (key("A"), key("B"));
    let world = answering([publishes(&[&a]), Answer::never(), publishes(&[&a, &b])]).await;
    while asked(&world) < 2 {
        pass(secs(1)).await;
    }
    assert_eq!(waited(&world, &world.token(ISSUER, &b)).await, (Ok(()), Duration::ZERO));
    assert_eq!((asked(&world), world.state("p")), (3, "ready"));
    // It counts as the scheduled one, which is over.
    pass(secs(200)).await;
    assert_eq!(asked(&world), 3);
}

/// A forced attempt that hangs has a deadline of its own: waiting for it ends after `unknown_kid_wait`,
/// it ends after `timeout`, and the next one brings the key.
#[tokio::test(start_paused = true)]
async fn a_forced_attempt_that_hangs_never_wedges_the_next() {
    let (a, b) = (key("A"), key("B"));
    let world = answering([publishes(&[&a]), Answer::never(), publishes(&[&a, &b])]).await;
    let token = world.token(ISSUER, &b);
    let refused = world.verifier.verify_wait(&token).await.unwrap_err();
    assert_eq!((refused.http_status(), refused.retry_after()), (503, Some(secs(1))));
    assert_eq!(
        refused.sentence(),
        r#"no key with kid "B" is known yet, the provider is being asked"#
    );
    // Whoever comes meanwhile joins it.
    assert_eq!(waited(&world, &token).await, (UNAVAILABLE, secs(1)));
    assert_eq!(asked(&world), 2);
    for _ in 0..10 {
        pass(secs(1)).await;
    }
    assert!(world.accepts(&token), "{}", world.status("p").reason);
    assert_eq!(asked(&world), 3);
}

/// Promise 8: 401 only when no attempt that could bring the key is under way, forced or not.
#[tokio::test(start_paused = true)]
async fn a_scheduled_attempt_that_could_bring_the_key_is_waited_for_when_the_budget_is_spent() {
    let (a, b) = (key("A"), key("B"));
    let slow = publishes(&[&a, &b]).after(Duration::from_millis(500));
    let configured = provider("p", ISSUER).jwks_url(KEYS).refresh_interval(secs(20));
    let world = world([configured], [publishes(&[&a]), publishes(&[&a]), slow]).await;
    assert_eq!(verdict(&world.verifier, &made_up(&world, "x", &a)).await, UNKNOWN);
    while asked(&world) < 3 {
        pass(Duration::from_millis(100)).await;
    }
    let (verdict, waited) = waited(&world, &world.token(ISSUER, &b)).await;
    assert_eq!(verdict, Ok(()));
    assert!(waited > Duration::ZERO && waited <= Duration::from_millis(500), "{waited:?}");
    assert_eq!(asked(&world), 3);
}

/// Keys of the host program, which runs something the next time they are asked for after it was
/// armed: for this provider that is while an answer of the network is being published.
#[derive(Default)]
struct Tripwire {
    keys: Arc<KeySet>,
    armed: Mutex<Option<Run>>,
}

type Run = Box<dyn FnOnce() + Send>;

impl KeySource for Tripwire {
    fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
        let armed = self.armed.lock().unwrap().take();
        if let Some(run) = armed {
            run();
        }
        Ok(Arc::clone(&self.keys))
    }
}

/// Promise 8: an attempt that has ended is still one that could bring the key for as long as what it
/// gave is not published. What has just been fetched is no 401, and neither is what could not be.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_not_published_yet_is_waited_for() {
    let (a, b) = (key("A"), key("B"));
    for (answer, expected) in [(publishes(&[&a, &b]), Ok(())), (status(500), UNAVAILABLE)] {
        let tripwire = Arc::new(Tripwire::default());
        let configured = provider("p", ISSUER)
            .key_source(Arc::clone(&tripwire) as Arc<dyn KeySource>)
            .jwks_url(KEYS)
            .refresh_interval(secs(20));
        let slow = answer.after(Duration::from_millis(500));
        let world = world([configured], [publishes(&[&a]), publishes(&[&a]), slow]).await;
        // The budget is spent, so that nothing is asked because of the next kid.
        assert_eq!(verdict(&world.verifier, &made_up(&world, "x", &a)).await, UNKNOWN);
        while asked(&world) < 3 {
            pass(Duration::from_millis(100)).await;
        }
        let (verifier, token) = (world.verifier.clone(), world.token(ISSUER, &b));
        let (sender, receiver) = std::sync::mpsc::channel();
        *tripwire.armed.lock().unwrap() = Some(Box::new(move || {
            let mut caller = Box::pin(async move { verdict(&verifier, &token).await });
            let at_once = caller.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            sender.send((at_once, caller)).unwrap();
        }));
        pass(Duration::from_millis(500)).await;
        let (at_once, caller) = receiver.try_recv().unwrap();
        assert_eq!(at_once, Poll::Pending, "it is on its way");
        assert_eq!((caller.await, asked(&world)), (expected, 3));
    }
}

/// A source that failed the last time is not asked because of a kid, and delays nobody.
#[tokio::test(start_paused = true)]
async fn only_sources_that_answered_the_last_time_are_asked() {
    let (a, b) = (key("A"), key("B"));
    let configured = provider("p", ISSUER).jwks_url(KEYS).jwks_url(OTHER_KEYS);
    let mut world = World::new([configured]);
    world.network.on(KEYS, [publishes(&[&a])]);
    world.network.on(OTHER_KEYS, [publishes(&[&b]), status(500)]);
    world.start().await;
    assert!(world.verifier.refresh("p").await.is_err());
    let (of_one, of_other) = (asked(&world), world.network.count(OTHER_KEYS));
    let unknown = world.token(ISSUER, &key("C"));
    assert_eq!(waited(&world, &unknown).await, (UNAVAILABLE, Duration::ZERO));
    assert_eq!(asked(&world), of_one + 1);
    assert_eq!(world.network.count(OTHER_KEYS), of_other);
}

/// A provider's sources are islands too: who has the key is not waiting for who has not.
#[tokio::test(start_paused = true)]
async fn a_key_is_used_as_soon_as_one_source_brings_it() {
    let (a, b, c) = (key("A"), key("B"), key("C"));
    let configured = provider("p", ISSUER).jwks_url(OTHER_KEYS).jwks_url(KEYS);
    let mut world = World::new([configured]);
    world.network.on(OTHER_KEYS, [publishes(&[&c]), Answer::never()]);
    let slow = publishes(&[&a, &b]).after(Duration::from_millis(20));
    world.network.on(KEYS, [publishes(&[&a]).after(Duration::from_millis(30)), slow]);
    world.start().await;
    // At start as well.
    let took = Duration::from_millis(29);
    assert_eq!(waited(&world, &world.token(ISSUER, &a)).await, (Ok(()), took));
    let took = Duration::from_millis(20);
    assert_eq!(waited(&world, &world.token(ISSUER, &b)).await, (Ok(()), took));
    // A kid that neither has is not settled before both have spoken.
    let unknown = world.token(ISSUER, &key("D"));
    let (verdict, waited) = waited(&world, &unknown).await;
    assert_eq!((verdict, waited), (UNAVAILABLE, secs(1)));
}

/// Nor for longer than 30 s if it is not among those that were asked for: a source with a long
/// `timeout` delays the keys of its siblings no more than a flood does.
#[tokio::test(start_paused = true)]
async fn a_source_that_is_slow_does_not_keep_the_others_from_being_asked_again() {
    let (a, b, c) = (key("A"), key("B"), key("C"));
    let configured = provider("p", ISSUER).jwks_url(OTHER_KEYS).jwks_url(KEYS);
    let configured = configured.refresh_interval(minutes(60)).timeout(minutes(1));
    let mut world = World::new([configured]);
    let slow = publishes(&[&c]).after(secs(55));
    world.network.on(OTHER_KEYS, [publishes(&[&c]), slow]);
    world.network.on(KEYS, [publishes(&[&a])]);
    world.start().await;
    let others = || world.network.count(OTHER_KEYS);
    assert_eq!(waited(&world, &made_up(&world, "x", &a)).await, (UNAVAILABLE, secs(1)));
    assert_eq!((asked(&world), others()), (2, 2));
    world.network.on(KEYS, [publishes(&[&a, &b])]);
    let token = world.token(ISSUER, &b);
    pass(secs(28)).await;
    assert_eq!(waited(&world, &token).await.0, UNAVAILABLE, "the budget is spent");
    assert_eq!(waited(&world, &token).await, (Ok(()), Duration::ZERO));
    assert_eq!((asked(&world), others()), (3, 2), "the slow one is not asked twice at once");
    // A kid that was found is over; whoever asks in vain again has to wait for the slow one too.
    assert_eq!(waited(&world, &made_up(&world, "y", &a)).await, (UNAVAILABLE, secs(1)));
    assert_eq!((asked(&world), others()), (4, 2));
    pass(secs(60)).await;
    assert_eq!(waited(&world, &made_up(&world, "z", &a)).await, (UNAVAILABLE, secs(1)));
    assert_eq!((asked(&world), others()), (5, 3));
}

#[tokio::test(start_paused = true)]
async fn at_most_two_hundred_and_fifty_six_callers_wait() {
    let (a, b) = (key("A"), key("B"));
    let world = answering([publishes(&[&a]), Answer::never()]).await;
    let token = world.token(ISSUER, &b);
    let mut waiting: Vec<_> = (0..256).map(|_| asking(&world, token.clone())).collect();
    pass(MILLI).await;
    assert!(waiting.iter().all(|caller| !caller.is_finished()));
    assert_eq!(waited(&world, &token).await, (UNAVAILABLE, Duration::ZERO));
    // Tokens with a known key have nothing to do with them.
    assert_eq!(waited(&world, &world.token(ISSUER, &a)).await, (Ok(()), Duration::ZERO));
    // Who leaves makes room.
    let left = waiting.swap_remove(0);
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    waiting.push(asking(&world, token.clone()));
    pass(MILLI).await;
    assert!(!waiting[255].is_finished());
    for caller in waiting {
        assert_eq!(caller.await.unwrap(), UNAVAILABLE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_zero_asks_and_answers_at_once() {
    let (a, b) = (key("A"), key("B"));
    let configured = provider("p", ISSUER).jwks_url(KEYS).unknown_kid_wait(Duration::ZERO);
    let world = world([configured], [publishes(&[&a]), publishes(&[&a, &b])]).await;
    let token = world.token(ISSUER, &b);
    assert_eq!(waited(&world, &token).await, (UNAVAILABLE, Duration::ZERO));
    pass(MILLI).await;
    assert_eq!(waited(&world, &token).await, (Ok(()), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_written_wait_and_a_written_cooldown_count() {
    let (a, b) = (key("A"), key("B"));
    let configured = provider("p", ISSUER).jwks_url(KEYS);
    let configured = configured.unknown_kid_wait(secs(3)).unknown_kid_cooldown(secs(5));
    let slow = publishes(&[&a, &b]).after(secs(2));
    let world = world([configured], [publishes(&[&a]), publishes(&[&a]), slow]).await;
    assert_eq!(verdict(&world.verifier, &made_up(&world, "x", &a)).await, UNKNOWN);
    pass(secs(5)).await;
    assert_eq!(waited(&world, &world.token(ISSUER, &b)).await, (Ok(()), secs(2)));
}

/// T14, K16, and promise 8: what no key could save asks nobody, whatever its kid.
#[tokio::test(start_paused = true)]
async fn tokens_that_are_refused_for_another_reason_ask_nobody() {
    let (signing, forger) = (key("K"), key("forger"));
    let world = answering([publishes(&[&signing])]).await;
    let now = world.clock.wall();
    let draft = || world.draft(ISSUER);
    for (token, code) in [
        (draft().header("kid", "K").sign(&forger), "signature.invalid"),
        (draft().without_header("kid").sign(&forger), "signature.invalid"),
        (draft().claim("exp", now.as_secs() - 3_600).sign(&forger), "token.expired"),
        (draft().claim("aud", "another").sign(&forger), "audience.not_accepted"),
        (world.draft("https://elsewhere.example").sign(&forger), "issuer.unknown"),
    ] {
        let token = token.unwrap();
        let (verdict, waited) = waited(&world, &token).await;
        assert_eq!((verdict, waited), (Err((401, code)), Duration::ZERO));
    }
    for token in ["", "a.b.c", "not a token"] {
        assert_eq!(waited(&world, token).await.1, Duration::ZERO);
    }
    assert_eq!(asked(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn requirements_of_the_call_count_for_both_looks() {
    let (a, b) = (key("A"), key("B"));
    let world = answering([publishes(&[&a]), publishes(&[&a, &b])]).await;
    let token = world.draft(ISSUER).audience("other").sign(&b).unwrap();
    let requirements = Requirements::new().audiences(["other"]);
    assert!(world.verifier.verify_wait_with(&token, &requirements).await.is_ok());
    assert_eq!(asked(&world), 2);
}

/// A token without a kid, for which no key fits, is one more unknown kid.
#[tokio::test(start_paused = true)]
async fn a_token_without_a_kid_that_no_key_fits_is_asked_for_too() {
    let (ec, ed) = (key("A"), SigningKey::generate(keystead::core::Algorithm::EdDsa).unwrap());
    let world = answering([publishes(&[&ec]), publishes(&[&ec, &ed])]).await;
    let token = world.draft(ISSUER).without_header("kid").sign(&ed).unwrap();
    assert_eq!(waited(&world, &token).await, (Ok(()), Duration::ZERO));
    assert_eq!(asked(&world), 2);
}

/// A failure makes the provider stale: what is not known is then a 503 and nobody is asked again
/// because of it, until the provider has answered.
#[tokio::test(start_paused = true)]
async fn a_forced_fetch_that_fails_leaves_it_to_the_backoff() {
    let (a, b) = (key("A"), key("B"));
    let world = answering([publishes(&[&a]), status(500)]).await;
    let token = world.token(ISSUER, &b);
    assert_eq!(waited(&world, &token).await, (UNAVAILABLE, Duration::ZERO));
    assert_eq!((world.state("p"), asked(&world)), ("stale", 2));
    for _ in 0..100 {
        assert_eq!(waited(&world, &token).await, (UNAVAILABLE, Duration::ZERO));
    }
    assert_eq!(asked(&world), 2);
    assert!(world.accepts(&world.token(ISSUER, &a)));
    world.network.on(KEYS, [publishes(&[&a, &b])]);
    pass(secs(2)).await;
    assert!(world.accepts(&token));
}

/// One provider's flood is not another one's.
#[tokio::test(start_paused = true)]
async fn budgets_are_the_providers_own() {
    let other = "https://other.example";
    let (a, b, forger) = (key("A"), key("B"), key("forger"));
    let providers =
        [provider("p", ISSUER).jwks_url(KEYS), provider("q", other).jwks_url(OTHER_KEYS)];
    let mut world = World::new(providers);
    world.network.on(KEYS, [publishes(&[&a])]);
    world.network.on(OTHER_KEYS, [publishes(&[&a]), publishes(&[&a, &b])]);
    world.start().await;
    assert_eq!(verdict(&world.verifier, &made_up(&world, "x", &forger)).await, UNKNOWN);
    assert_eq!(waited(&world, &world.token(other, &b)).await, (Ok(()), Duration::ZERO));
    assert_eq!((asked(&world), world.network.count(OTHER_KEYS)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn without_a_refresh_the_answer_comes_at_once() {
    let signing = key("K");
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    let token = world.token(ISSUER, &signing);
    assert_eq!(waited(&world, &token).await, (UNAVAILABLE, Duration::ZERO));
    assert_eq!(asked(&world), 0);
    world.network.on(KEYS, [publishes(&[&signing]), Answer::never()]);
    world.start().await;
    let unknown = made_up(&world, "x", &signing);
    let waiting = asking(&world, unknown.clone());
    pass(MILLI).await;
    world.stop().await;
    let before = Instant::now();
    // Nobody knows what the fetch would have brought.
    assert_eq!(waiting.await.unwrap(), UNAVAILABLE);
    assert_eq!(waited(&world, &unknown).await.0, UNKNOWN);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

/// Who waits while another configuration is applied is judged by that one.
#[tokio::test(start_paused = true)]
async fn a_configuration_that_is_applied_ends_the_wait_for_the_one_before() {
    let (a, b) = (key("A"), key("B"));
    let world = answering([publishes(&[&a]), Answer::never()]).await;
    let waiting = asking(&world, world.token(ISSUER, &b));
    pass(MILLI).await;
    let before = Instant::now();
    world
        .verifier
        .apply(Config::of([provider("local", ISSUER).keys(Arc::unwrap_or_clone(held(&[&b])))]));
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

/// The future needs nothing of the runtime that polls it, and can be sent to another thread.
#[test]
fn waiting_needs_no_timers_of_the_callers_runtime() {
    fn sent<T>(future: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        future
    }
    let network = ScriptedFetch::new();
    let (a, b) = (key("A"), key("B"));
    network.on(KEYS, [publishes(&[&a]), Answer::never()]);
    let configured = provider("p", ISSUER).jwks_url(KEYS).unknown_kid_wait(MILLI);
    let verifier =
        Verifier::builder().fetch(Arc::new(network.clone())).provider(configured).build();
    let handle = verifier.start().unwrap();
    assert!(handle.wait_first_attempts(secs(600)));
    let token = common::draft(ISSUER, keystead::SystemClock::new().wall()).sign(&b).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(sent(verifier.verify_wait(&token))).unwrap_err();
    assert_eq!((refused.http_status(), network.count(KEYS)), (503, 2));
}

/// Time stands still for those who never wait.
#[tokio::test(start_paused = true)]
async fn a_verifier_without_providers_waits_for_nothing() {
    let verifier = Verifier::builder().clock(Arc::new(PausedClock::new())).build();
    let before = Instant::now();
    assert_eq!(verdict(&verifier, "a.b.c").await, Err((401, "token.base64")));
    assert_eq!(before.elapsed(), Duration::ZERO);
}
