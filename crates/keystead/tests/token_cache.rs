//! The memory for signatures behind the public face: what it saves, what it costs, and what it must
//! never do. Its verdicts are compared with those of the full path in `keystead-core`.
#![allow(clippy::unwrap_used, clippy::string_slice, reason = "tests may stop")]

mod common;

use std::sync::{Arc, Mutex};
use std::thread;

use common::{World, held, key, minutes, pass, provider, publishes, refused_connection};
use keystead::core::{KeySet, Requirements};
use keystead::{Clock, Config, KeySource, SourceError, SystemClock, TokenCacheMetrics, Verifier};
use keystead_testkit::SigningKey;

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";
const UNKNOWN: (u16, &str) = (401, "key.unknown_kid");

/// Hits, misses, and how many tokens are remembered.
fn tally(verifier: &Verifier) -> (u64, u64, u64) {
    let TokenCacheMetrics { hits, misses, tokens, .. } = verifier.metrics().token_cache;
    (hits, misses, tokens)
}

/// A key set that its host replaces.
#[derive(Debug, Default)]
struct Changing(Mutex<Arc<KeySet>>);

impl Changing {
    fn set(&self, keys: &[&SigningKey]) {
        *self.0.lock().unwrap() = held(keys);
    }
}

impl KeySource for Changing {
    fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
        Ok(Arc::clone(&self.0.lock().unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_remembered_once_it_was_accepted() {
    let (good, forger) = (key("K"), key("K"));
    let world = World::new([provider("p", ISSUER).key_source(Arc::new(held(&[&good])))]);
    let (token, forged) = (world.token(ISSUER, &good), world.token(ISSUER, &forger));
    let first = world.verifier.verify(&token).unwrap();
    assert_eq!(tally(&world.verifier), (0, 1, 1));
    let again = world.verifier.verify(&token).unwrap();
    assert_eq!(tally(&world.verifier), (1, 1, 1));
    assert_eq!(first.claims().text(), again.claims().text());
    assert_eq!(first.key_origin(), again.key_origin());
    // A refused token is not, however often it comes.
    for _ in 0..3 {
        assert_eq!(world.refusal(&forged), (401, "signature.invalid"));
    }
    assert_eq!(tally(&world.verifier), (1, 4, 1));
    // One byte more or less is another token.
    assert_eq!(world.refusal(&format!("{token}A")), (401, "signature.invalid"));
    assert!(!world.accepts(&token[1..]) && !world.accepts(&token[..token.len() - 1]));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_asks_for_more_gets_no_less() {
    let good = key("K");
    let world = World::new([provider("p", ISSUER).key_source(Arc::new(held(&[&good])))]);
    let token = world.token(ISSUER, &good);
    assert!(world.accepts(&token));
    let strict = Requirements::new().scopes(["write"]);
    let refused = world.verifier.verify_with(&token, &strict).unwrap_err();
    assert_eq!(refused.code().as_str(), "scope.insufficient");
    assert!(world.accepts(&token), "and the other calls go on");
}

/// The keys of a host program are asked for every token, remembered or not.
#[tokio::test(start_paused = true)]
async fn a_key_that_its_host_takes_away_verifies_nothing_from_then_on() {
    let (old, new) = (key("old"), key("new"));
    let host = Arc::new(Changing::default());
    let world = World::new([provider("p", ISSUER).key_source(Arc::clone(&host) as Arc<_>)]);
    let token = world.token(ISSUER, &old);
    for (keys, verdict) in [
        (&[&old][..], Ok(())),
        (&[&new], Err(UNKNOWN)),
        (&[&new, &old], Ok(())),
        (&[], Err((503, "keys.unavailable"))),
    ] {
        host.set(keys);
        for _ in 0..2 {
            let found = world.verifier.verify(&token).map(|_| ());
            let found = found.map_err(|refused| (refused.http_status(), refused.code().as_str()));
            assert_eq!(found, verdict);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_an_expired_and_a_distrusted_key_are_remembered_by_nobody() {
    let (old, new) = (key("old"), key("new"));
    let network = || provider("p", ISSUER).jwks_url(KEYS);
    let mut world = World::new([network()]);
    let answers = [publishes(&[&old, &new]), publishes(&[&new]), refused_connection()];
    world.network.on(KEYS, answers);
    world.start().await;
    let (of_old, of_new) = (world.token(ISSUER, &old), world.token(ISSUER, &new));
    assert!(world.accepts(&of_old) && world.accepts(&of_new));
    world.verifier.refresh("p").await.unwrap();
    assert_eq!(world.refusal(&of_old), UNKNOWN);
    assert!(world.accepts(&of_new));
    pass(minutes(25 * 60)).await;
    assert_eq!(world.refusal(&of_new), (503, "keys.expired"));

    let world = World::new([provider("p", ISSUER).key_source(Arc::new(held(&[&new])))]);
    assert!(world.accepts(&of_new));
    let print = new.thumbprint().unwrap();
    let distrusting = provider("p", ISSUER).key_source(Arc::new(held(&[&new])));
    world.verifier.apply(Config::of(vec![distrusting.distrusted_keys([print])]));
    assert_eq!(world.refusal(&of_new), (401, "key.unusable"));
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_bounded_in_tokens_and_in_bytes() {
    let good = key("K");
    let of = |tokens| {
        let provider = provider("p", ISSUER).key_source(Arc::new(held(&[&good])));
        Verifier::builder().cached_tokens(tokens).provider(provider).build()
    };
    let now = SystemClock::new().wall();
    let token = |n: usize, filler: usize| {
        let draft = common::draft(ISSUER, now).claim("n", n).claim("filler", "x".repeat(filler));
        draft.sign(&good).unwrap()
    };
    for (filler, most) in [(0, 200), (4_000, 200 * 2_048 / 9_000)] {
        let verifier = of(200);
        for n in 0..1_000 {
            verifier.verify(&token(n, filler)).unwrap();
        }
        let (hits, misses, tokens) = tally(&verifier);
        assert_eq!((hits, misses), (0, 1_000));
        assert!(tokens > most / 2 && tokens <= most, "{tokens} of {filler} bytes, at most {most}");
    }
    let verifier = of(0);
    let token = token(0, 0);
    for _ in 0..3 {
        verifier.verify(&token).unwrap();
    }
    assert_eq!(tally(&verifier), (0, 0, 0), "none is remembered");
}

/// Many threads, few tokens, little room and keys that come and go: a verdict is always the one of
/// the keys of that moment.
#[test]
fn threads_that_share_it_get_the_verdicts_of_their_moment() {
    let (lasting, passing) = (key("lasting"), key("passing"));
    let host = Arc::new(Changing::default());
    host.set(&[&lasting, &passing]);
    let verifier = Verifier::builder()
        .cached_tokens(40)
        .provider(provider("p", ISSUER).key_source(Arc::clone(&host) as Arc<_>))
        .build();
    let now = SystemClock::new().wall();
    let tokens = |key: &SigningKey| -> Vec<_> {
        (0..64).map(|n| common::draft(ISSUER, now).claim("n", n).sign(key).unwrap()).collect()
    };
    let (good, doomed) = (tokens(&lasting), tokens(&passing));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for token in good.iter().cycle().take(2_000) {
                    verifier.verify(token).unwrap();
                }
            });
        }
        for round in 0..200 {
            host.set(&[&lasting, &passing]);
            let token = &doomed[round % doomed.len()];
            verifier.verify(token).unwrap();
            verifier.verify(token).unwrap();
            host.set(&[&lasting]);
            assert_eq!(common::refusal(&verifier, token), UNKNOWN);
        }
    });
    let (hits, misses, tokens) = tally(&verifier);
    assert_eq!(hits + misses, 6_000 + 600);
    assert!(hits > 0 && tokens <= 40, "{hits} hits, {tokens} tokens");
}
