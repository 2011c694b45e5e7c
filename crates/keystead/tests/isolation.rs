//! Providers are islands: whatever becomes of one, the others neither wait for it nor lend it a key.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    World, draft, held, jwks, key, minutes, pass, provider, publishes, refused_connection, secs,
    status, status_retry_after,
};
use keystead::http::{Document, Fetch, FetchFuture, FetchRequest};
use keystead::{Clock, Verifier, VerifierBuilder};
use keystead_testkit::{Answer, PausedClock, ScriptedFetch, SigningKey};
use proptest::prelude::*;
use proptest::test_runner::Config as Cases;
use tokio::time::Instant;

const GITLAB: &str = "https://gitlab.example.com";
const GITLAB_KEYS: &str = "https://gitlab.example.com/keys";
const PORTAL: &str = "https://customers.example.com";
const PORTAL_KEYS: &str = "https://customers.example.com/keys";

/// G4, G6, G7, K27
#[tokio::test(start_paused = true)]
async fn one_issuer_of_five_that_never_answers_delays_nobody() {
    let keys: Vec<_> = (0..5).map(|n| key(&n.to_string())).collect();
    let issuer = |n: usize| format!("https://idp{n}.example");
    let address = |n: usize| format!("https://idp{n}.example/keys");
    let mut world =
        World::new((0..5).map(|n| provider(&format!("p{n}"), &issuer(n)).jwks_url(&address(n))));
    for (n, key) in keys.iter().enumerate() {
        let answer = if n == 3 { Answer::never() } else { publishes(&[key]) };
        world.network.on(&address(n), [answer]);
    }
    let before = Instant::now();
    world.start().await;
    for (n, key) in keys.iter().enumerate().filter(|(n, _)| *n != 3) {
        assert!(world.accepts(&world.token(&issuer(n), key)));
    }
    assert_eq!(world.refusal(&world.token(&issuer(3), &keys[3])), (503, "keys.unavailable"));
    assert_eq!(before.elapsed(), Duration::from_millis(1), "only the step of the start has passed");
}

/// G9
#[tokio::test(start_paused = true)]
async fn a_local_key_works_with_everything_else_down() {
    let (local, portal) = (key("local"), key("portal"));
    let mut world = World::new([
        provider("local", "gitlab-ai-gateway").keys(Arc::unwrap_or_clone(held(&[&local]))),
        provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
        provider("portal", PORTAL).jwks_url(PORTAL_KEYS),
    ]);
    world.start().await;
    assert!(world.accepts(&world.token("gitlab-ai-gateway", &local)));
    assert_eq!(world.refusal(&world.token(PORTAL, &portal)), (503, "keys.unavailable"));
    assert!(world.verifier.can_verify());
}

/// G10
#[tokio::test(start_paused = true)]
async fn with_nothing_at_all_every_answer_is_a_503_and_names_its_provider() {
    let mut world = World::new([
        provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
        provider("portal", PORTAL).jwks_url(PORTAL_KEYS),
    ]);
    world.start().await;
    let status = world.verifier.status();
    assert!(!status.can_verify() && !world.verifier.can_verify());
    assert_eq!((status.state, status.providers.len()), ("cold", 2));
    for (name, issuer) in [("gitlab", GITLAB), ("portal", PORTAL)] {
        let rejection = common::refused(&world.verifier, &world.token(issuer, &key("any")));
        assert_eq!((rejection.http_status(), rejection.provider()), (503, Some(name)));
    }
}

/// G25: their library accepted it.
#[tokio::test(start_paused = true)]
async fn a_key_of_one_issuer_never_verifies_a_token_of_another() {
    let (gitlab, portal, local) = (key("gitlab"), key("portal"), key("local"));
    let mut world = World::new([
        provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
        provider("portal", PORTAL).jwks_url(PORTAL_KEYS),
        provider("local", "local").keys(Arc::unwrap_or_clone(held(&[&local]))),
    ]);
    world.network.on(GITLAB_KEYS, [publishes(&[&gitlab])]);
    world.network.on(PORTAL_KEYS, [publishes(&[&portal])]);
    world.start().await;
    for stranger in [&portal, &local] {
        assert_eq!(world.refusal(&world.token(GITLAB, stranger)), (401, "key.unknown_kid"));
        // Under the kid of a key that is known, or under none.
        let token = world.draft(GITLAB).header("kid", "gitlab").sign(stranger).unwrap();
        assert_eq!(world.refusal(&token), (401, "signature.invalid"));
        let token = world.draft(GITLAB).without_header("kid").sign(stranger).unwrap();
        assert_eq!(world.refusal(&token), (401, "signature.invalid"));
    }
}

/// G12
#[tokio::test(start_paused = true)]
async fn a_portal_that_returns_after_ninety_seconds_is_live_within_one_step() {
    let portal = key("portal");
    let mut world = World::new([provider("portal", PORTAL).jwks_url(PORTAL_KEYS)]);
    world.network.on(PORTAL_KEYS, [refused_connection()]);
    world.start().await;
    pass(secs(90)).await;
    world.network.on(PORTAL_KEYS, [publishes(&[&portal])]);
    pass(secs(15)).await;
    assert!(world.accepts(&world.token(PORTAL, &portal)));
}

/// A network whose attempts are counted while they are under way.
#[derive(Clone, Debug, Default)]
struct Crowd(Arc<CrowdState>);

#[derive(Debug, Default)]
struct CrowdState {
    under_way: AtomicUsize,
    most: AtomicUsize,
    /// When each address was asked.
    asked: Mutex<HashMap<String, Vec<Instant>>>,
    keys: String,
}

/// One attempt, for as long as it is under way.
struct Present(Crowd);

impl Crowd {
    fn publishing(key: &SigningKey) -> Self {
        Self(Arc::new(CrowdState { keys: jwks(&[key]), ..CrowdState::default() }))
    }

    fn enter(&self) -> Present {
        let now = self.0.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(now, Ordering::SeqCst);
        Present(self.clone())
    }

    /// How many attempts were under way at once, at most, since this was last asked.
    fn most(&self) -> usize {
        self.0.most.swap(self.0.under_way.load(Ordering::SeqCst), Ordering::SeqCst)
    }

    /// How long it took from each attempt on this address to the next.
    fn gaps(&self, url: &str) -> Vec<Duration> {
        let asked = self.0.asked.lock().unwrap();
        let asked = asked.get(url).map_or(&[][..], Vec::as_slice);
        asked.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Addresses on `dead` hosts never answer, on `slow` ones after 3 s, on `broken` ones there is a bug.
impl Fetch for Crowd {
    fn fetch(&self, request: FetchRequest) -> FetchFuture {
        let crowd = self.clone();
        let url = request.url.to_string();
        self.0.asked.lock().unwrap().entry(url.clone()).or_default().push(Instant::now());
        Box::pin(async move {
            let present = crowd.enter();
            if url.contains("dead") {
                pending::<()>().await;
            }
            if url.contains("slow") {
                tokio::time::sleep(secs(3)).await;
            }
            assert!(!url.contains("broken"), "the host program's Fetch has a bug");
            drop(present);
            Ok(Document::json(crowd.0.keys.clone()).into())
        })
    }
}

fn crowded(crowd: &Crowd, hosts: impl IntoIterator<Item = String>) -> Verifier {
    let builder =
        Verifier::builder().clock(Arc::new(PausedClock::new())).fetch(Arc::new(crowd.clone()));
    let providers = hosts.into_iter().map(|host| {
        let issuer = format!("https://{host}.example");
        provider(&host, &issuer).jwks_url(&format!("{issuer}/keys"))
    });
    let verifier = providers.fold(builder, VerifierBuilder::provider).build();
    let driven = verifier.clone();
    tokio::spawn(async move { driven.drive().await });
    verifier
}

/// Half of the places are kept for those who answered last time.
#[tokio::test(start_paused = true)]
async fn eighty_dead_providers_do_not_starve_the_living_one() {
    for living in ["a-living", "z-living"] {
        let signing = key("K");
        let crowd = Crowd::publishing(&signing);
        let hosts = (0..80).map(|n| format!("dead-{n}")).chain([living.to_owned()]);
        let verifier = crowded(&crowd, hosts);
        // Those before it in the line are given up one after the other.
        pass(secs(30)).await;
        assert_eq!(verifier.status().providers[living].state, "ready");
        pass(minutes(120)).await;
        let gaps = crowd.gaps(&format!("https://{living}.example/keys"));
        assert!(gaps.len() >= 20, "{gaps:?}");
        assert!(gaps.iter().all(|gap| (secs(270)..=secs(331)).contains(gap)), "{gaps:?}");
        assert!((32..=33).contains(&crowd.most()), "thirty-two of the dead, and the living one");
        let token = draft(&format!("https://{living}.example"), PausedClock::new().wall());
        assert!(verifier.verify(&token.sign(&signing).unwrap()).is_ok());
        // None of the dead is forgotten either.
        let dead = verifier.status().providers["dead-79"].sources[0].clone();
        assert_eq!(dead.last_error.unwrap().detail, "no answer within 5s");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_sixty_four_attempts_are_under_way() {
    let crowd = Crowd::publishing(&key("K"));
    let hosts: Vec<_> = (0..100).map(|n| format!("slow-{n}")).collect();
    let verifier = crowded(&crowd, hosts.clone());
    pass(secs(60)).await;
    assert_eq!(crowd.most(), 32, "nobody has answered yet");
    let all: Vec<_> = hosts
        .into_iter()
        .map(|host| {
            let verifier = verifier.clone();
            tokio::spawn(async move { verifier.refresh(&host).await.is_ok() })
        })
        .collect();
    for refreshed in all {
        assert!(refreshed.await.unwrap());
    }
    assert_eq!(crowd.most(), 64);
}

/// A bug in the host program's `Fetch` ends one attempt, and neither the source nor its neighbours.
#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_is_an_attempt_that_failed() {
    let crowd = Crowd::publishing(&key("K"));
    let verifier = crowded(&crowd, ["broken", "sound"].map(str::to_owned));
    pass(minutes(10)).await;
    let status = verifier.status();
    assert_eq!(status.providers["sound"].state, "ready");
    let broken = &status.providers["broken"];
    assert_eq!(broken.sources[0].last_error.as_ref().unwrap().detail, "the attempt panicked");
    assert!(crowd.gaps("https://broken.example/keys").len() > 30, "it is asked on and on");
}

/// What a provider under test may be answered.
#[derive(Clone, Copy, Debug)]
enum Whim {
    OwnKeys,
    NeighboursKeys,
    Empty,
    Html,
    Status(u16),
    RetryAfter(u64),
    Refused,
    Never,
    Late(u64),
}

fn whim() -> impl Strategy<Value = Whim> {
    prop_oneof![
        Just(Whim::OwnKeys),
        Just(Whim::NeighboursKeys),
        Just(Whim::Empty),
        Just(Whim::Html),
        (300_u16..600).prop_map(Whim::Status),
        (0_u64..100_000).prop_map(Whim::RetryAfter),
        Just(Whim::Refused),
        Just(Whim::Never),
        (0_u64..20).prop_map(Whim::Late),
    ]
}

impl Whim {
    fn answer(self, own: &SigningKey, neighbours: &SigningKey) -> Answer {
        match self {
            Self::OwnKeys => publishes(&[own]),
            Self::NeighboursKeys => publishes(&[neighbours]),
            Self::Empty => publishes(&[]),
            Self::Html => Answer::json("<html>"),
            Self::Status(code) => status(code),
            Self::RetryAfter(seconds) => status_retry_after(503, secs(seconds)),
            Self::Refused => refused_connection(),
            Self::Never => Answer::never(),
            Self::Late(seconds) => publishes(&[own]).after(secs(seconds)),
        }
    }
}

/// A scripted network that notes when each address is asked.
#[derive(Clone, Debug)]
struct Noted(ScriptedFetch, Crowd);

impl Fetch for Noted {
    fn fetch(&self, request: FetchRequest) -> FetchFuture {
        let url = request.url.to_string();
        self.1.0.asked.lock().unwrap().entry(url).or_default().push(Instant::now());
        self.0.fetch(request)
    }
}

/// The calm provider's view of two hours beside a neighbour that is answered like this.
async fn two_hours_beside(whims: Vec<Vec<Whim>>) -> Result<(), TestCaseError> {
    let (calm, wild) = (key("K"), key("K"));
    let network = Noted(ScriptedFetch::new(), Crowd::default());
    network.0.on(GITLAB_KEYS, [publishes(&[&calm])]);
    let mut neighbour = provider("a-neighbour", PORTAL);
    for (n, whims) in whims.into_iter().enumerate() {
        let url = format!("{PORTAL}/keys/{n}");
        network.0.on(&url, whims.into_iter().map(|whim| whim.answer(&wild, &calm)));
        neighbour = neighbour.jwks_url(&url);
    }
    let clock = PausedClock::new();
    let verifier = Verifier::builder()
        .clock(Arc::new(clock.clone()))
        .fetch(Arc::new(network.clone()))
        .provider(neighbour)
        .provider(provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS))
        .build();
    let driven = verifier.clone();
    tokio::spawn(async move { driven.drive().await });
    pass(Duration::from_millis(1)).await;

    let own = draft(GITLAB, clock.wall()).sign(&calm).unwrap();
    let foreign = draft(GITLAB, clock.wall()).sign(&wild).unwrap();
    for _ in 0..120 {
        prop_assert!(verifier.verify(&own).is_ok());
        let refused = verifier.verify(&foreign).unwrap_err();
        prop_assert_eq!(refused.code().as_str(), "signature.invalid");
        prop_assert_eq!(verifier.status().providers["gitlab"].state, "ready");
        pass(minutes(1)).await;
    }
    let gaps = network.1.gaps(GITLAB_KEYS);
    prop_assert!(gaps.len() >= 20);
    prop_assert!(gaps.iter().all(|gap| (secs(270)..=secs(331)).contains(gap)), "{:?}", gaps);
    Ok(())
}

proptest! {
    #![proptest_config(Cases { cases: 24, ..Cases::default() })]

    #[test]
    fn no_answer_to_one_provider_changes_verdicts_or_schedule_of_another(
        whims in prop::collection::vec(prop::collection::vec(whim(), 1..12), 1..4)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(two_hours_beside(whims))?;
    }
}
