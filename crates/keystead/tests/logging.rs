//! What the refresh side says, and how often: once for each change, and never a key or a secret.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    World, draft, held, key, metadata, minutes, pass, provider, publishes, refused_connection,
    secs, status, until,
};
use keystead::config::Config;
use keystead::core::KeySet;
use keystead::{Clock, KeySource, SourceError, Verifier};
use keystead_testkit::{Answer, PausedClock, ScriptedFetch};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";

/// One line: where it is from, its level and its fields.
#[derive(Clone, Debug)]
struct Line {
    target: &'static str,
    level: Level,
    fields: BTreeMap<&'static str, String>,
}

impl Line {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// Keeps every line that this thread writes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl Lines {
    fn listen() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let guard = common::listen(lines.clone());
        (lines, guard)
    }

    /// The lines since this was last asked.
    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The events since this was last asked, with the given field of each.
    fn events(&self, field: &str) -> Vec<(String, String)> {
        let of = |line: Line| (line.field("event").to_owned(), line.field(field).to_owned());
        self.take().into_iter().map(of).collect()
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("keystead")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        let mut line = Line { target, level, fields: BTreeMap::new() };
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec()
}

/// The same, and panics at every line for which this holds.
struct Panicking(Lines, fn(&Line) -> bool);

impl Subscriber for Panicking {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
        let panics = self.0.0.lock().unwrap().last().is_some_and(self.1);
        assert!(!panics, "this listener cannot bear it");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Promise 1: "retries for ever" is not over when somebody who listens panics. The task that told it
/// begins again, and says so; whoever waited for the attempt has its answer.
#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_ends_no_task_of_the_refresh() {
    let lines = Lines::default();
    let listener = Panicking(lines.clone(), |line| line.field("event") == "provider.fetch_failed");
    let _guard = common::listen(listener);
    let (a, b) = (key("A"), key("B"));
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [publishes(&[&a]), refused_connection(), publishes(&[&a, &b])]);
    world.start().await;
    lines.take();
    assert!(world.refresh("p").await.is_err(), "the attempt has ended");
    let said = lines.take();
    let panicked = said.iter().find(|line| line.field("event") == "refresh.panicked").unwrap();
    assert_eq!((panicked.level, panicked.field("provider")), (Level::ERROR, "p"));
    assert_eq!(panicked.field("task"), format!("jwks_url {KEYS}"));
    assert!(panicked.field("message").ends_with("it begins again in 1000 ms"), "{panicked:?}");
    pass(secs(3)).await;
    assert!(world.accepts(&world.token(ISSUER, &b)), "it was asked again");
    assert_eq!(world.network.count(KEYS), 3);
}

/// Nor is it when nobody can be told anything.
#[tokio::test(start_paused = true)]
async fn a_listener_that_always_panics_ends_no_task_of_the_refresh() {
    let _guard = common::listen(Panicking(Lines::default(), |_| true));
    let keys: Vec<_> = ["A", "B", "C"].map(key).into();
    let short = provider("p", ISSUER).jwks_url(KEYS).refresh_interval(secs(60));
    let mut world =
        World::new([short, provider("q", "https://q.example").jwks_url("https://q.example/keys")]);
    let answers = [refused_connection(), publishes(&[&keys[0]])];
    let rotations = (1..keys.len()).map(|n| publishes(&keys[n - 1..=n].iter().collect::<Vec<_>>()));
    world.network.on(KEYS, answers.into_iter().chain(rotations));
    world.network.on("https://q.example/keys", [publishes(&[&keys[0]])]);
    world.start().await;
    for key in &keys {
        let token = world.token(ISSUER, key);
        until(|| world.accepts(&token)).await;
    }
    assert!(world.accepts(&world.token("https://q.example", &keys[0])));
    assert!(world.refresh("p").await.is_ok());
}

/// A clock that panics when it is read this many times more.
#[derive(Debug, Default)]
struct Brittle(PausedClock, AtomicUsize);

impl Brittle {
    fn read(&self) -> &PausedClock {
        let left = self.1.load(Ordering::Relaxed);
        self.1.store(left.saturating_sub(1), Ordering::Relaxed);
        assert!(left != 1, "the clock broke");
        &self.0
    }
}

impl Clock for Brittle {
    fn wall(&self) -> Duration {
        self.read().wall()
    }

    fn monotonic(&self) -> Duration {
        self.read().monotonic()
    }
}

/// And whichever reading of the clock it is that panics, the source is asked on.
#[tokio::test(start_paused = true)]
async fn a_clock_that_panics_ends_no_task_of_the_refresh() {
    let (a, b) = (key("A"), key("B"));
    for reading in 1..100 {
        let (clock, network) = (Arc::new(Brittle::default()), ScriptedFetch::new());
        network.on(KEYS, [publishes(&[&a]), publishes(&[&a, &b])]);
        let verifier = Verifier::builder()
            .provider(provider("p", ISSUER).jwks_url(KEYS))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .fetch(Arc::new(network))
            .build();
        clock.1.store(reading, Ordering::Relaxed);
        let driver = verifier.clone();
        let driving = tokio::spawn(async move { driver.drive().await });
        pass(minutes(6)).await;
        clock.1.store(0, Ordering::Relaxed);
        let token = draft(ISSUER, clock.wall()).sign(&b).unwrap();
        assert!(verifier.verify(&token).is_ok(), "reading {reading}");
        driving.abort();
    }
}

/// G3, G41
#[tokio::test(start_paused = true)]
async fn at_start_each_provider_has_one_line() {
    let (lines, _guard) = Lines::listen();
    let local = key("local");
    let mut world = World::new([
        provider("a-local", "local").keys(Arc::unwrap_or_clone(held(&[&local]))),
        provider("b-invalid", ISSUER).jwks_url("abc"),
        provider("c-off", "https://off.example").switched_off(),
    ]);
    assert!(lines.take().is_empty(), "building says nothing");
    world.start().await;
    pass(minutes(60)).await;
    let started = lines.take();
    let shown: Vec<_> = started
        .iter()
        .map(|line| (line.level, line.field("event"), line.field("message")))
        .collect();
    assert_eq!(
        shown,
        [
            (Level::INFO, "provider.start", "provider a-local is ready: 1 key is held"),
            (
                Level::WARN,
                "provider.start",
                "provider b-invalid is disabled: misconfigured: jwks_url: \"abc\" is not an \
                 absolute URL (missing https://)"
            ),
            (Level::INFO, "provider.start", "provider c-off is disabled: off: it is switched off"),
        ]
    );
    assert_eq!(started[0].field("sources"), "providers.a-local.keys");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_goes_on_is_said_once_and_another_one_again() {
    let (lines, _guard) = Lines::listen();
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [refused_connection()]);
    world.start().await;
    pass(minutes(60)).await;
    assert!(world.network.count(KEYS) > 200);
    assert_eq!(
        lines.events("result"),
        pairs([("provider.start", ""), ("provider.fetch_failed", "connect")])
    );

    world.network.on(KEYS, [status(404)]);
    pass(minutes(60)).await;
    let said = lines.take();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].level, said[0].field("stage")), (Level::WARN, "status"));
    assert_eq!(
        said[0].field("message"),
        format!("provider p, jwks_url {KEYS}: the answer has status 404")
    );

    // After a success the same failure is news.
    world.network.on(KEYS, [publishes(&[&key("K")]), status(404)]);
    until(|| world.state("p") == "ready").await;
    pass(minutes(60)).await;
    assert_eq!(
        lines.events("event").into_iter().map(|(event, _)| event).collect::<Vec<_>>(),
        ["keys.changed", "provider.state", "provider.fetch_failed", "provider.state"]
    );
}

#[tokio::test(start_paused = true)]
async fn each_change_of_state_is_said_once_those_of_age_too() {
    let (lines, _guard) = Lines::listen();
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [status(500), publishes(&[&key("K")]), Answer::never()]);
    world.start().await;
    pass(minutes(25 * 60)).await;
    world.network.on(KEYS, [publishes(&[&key("K")])]);
    pass(minutes(60)).await;
    let states: Vec<_> = lines
        .take()
        .into_iter()
        .filter(|line| line.field("event") == "provider.state")
        .map(|line| (line.level, format!("{} -> {}", line.field("previous"), line.field("state"))))
        .collect();
    let expected = [
        (Level::INFO, "cold -> ready"),
        (Level::WARN, "ready -> stale"),
        (Level::WARN, "stale -> expired"),
        (Level::INFO, "expired -> ready"),
    ];
    assert_eq!(states, expected.map(|(level, text)| (level, text.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn changed_keys_are_named_by_their_thumbprints() {
    let (lines, _guard) = Lines::listen();
    let (first, second, third) = (key("1"), key("2"), key("3"));
    let print = |key: &keystead_testkit::SigningKey| key.thumbprint().unwrap();
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(
        KEYS,
        [
            publishes(&[&first]),
            publishes(&[&first, &second]),
            publishes(&[&second]),
            publishes(&[&third]),
            publishes(&[&third]),
            publishes(&[&third.clone().with_kid("renamed")]),
        ],
    );
    world.start().await;
    pass(minutes(60)).await;
    let changes: Vec<_> = lines
        .take()
        .into_iter()
        .filter(|line| line.field("event") == "keys.changed")
        .inspect(|line| assert_eq!(line.target, "keystead::audit"))
        .map(|line| ["added", "removed", "relabelled", "kept"].map(|f| line.field(f).to_owned()))
        .collect();
    let none = String::new;
    assert_eq!(
        changes,
        [
            [print(&first), none(), none(), none()],
            [print(&second), none(), none(), none()],
            [none(), print(&first), none(), none()],
            [print(&third), none(), none(), print(&second)],
            [none(), print(&second), none(), none()],
            [none(), none(), print(&third), none()],
        ]
    );
}

/// A source of keys that are replaced by hand.
#[derive(Clone, Default)]
struct Replaced(Arc<Mutex<Arc<KeySet>>>);

impl KeySource for Replaced {
    fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
        Ok(Arc::clone(&self.0.lock().unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_host_program_changes_are_named_too() {
    let (lines, _guard) = Lines::listen();
    let (first, second) = (key("1"), key("2"));
    let source = Replaced::default();
    *source.0.lock().unwrap() = held(&[&first]);
    let mut world = World::new([provider("p", ISSUER).key_source(Arc::new(source.clone()))]);
    world.start().await;
    assert!(world.accepts(&world.token(ISSUER, &first)));
    lines.take();
    *source.0.lock().unwrap() = held(&[&first]);
    assert!(world.accepts(&world.token(ISSUER, &first)));
    assert!(lines.take().is_empty(), "another set with the same keys is no change");
    *source.0.lock().unwrap() = held(&[&second]);
    for _ in 0..3 {
        assert!(world.accepts(&world.token(ISSUER, &second)));
    }
    let said = lines.take();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((said[0].target, said[0].field("event")), ("keystead::audit", "keys.changed"));
    let prints = [&second, &first].map(|key| key.thumbprint().unwrap());
    assert_eq!([said[0].field("added"), said[0].field("removed")], prints);
}

/// A source of keys that never has any.
struct Locked;

impl KeySource for Locked {
    fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
        Err(SourceError::new("the key store is locked"))
    }
}

/// T6
/// Promise 10: one line for each fetch that an unknown kid caused, and nothing in it steers a log.
#[tokio::test(start_paused = true)]
async fn a_fetch_for_an_unknown_kid_is_one_line() {
    let (lines, _guard) = Lines::listen();
    let signing = key("K");
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    lines.take();
    let long = "x".repeat(1_000);
    for kid in ["\u{1b}[31m\nforged=1", long.as_str()] {
        let token = world.draft(ISSUER).header("kid", kid).sign(&signing).unwrap();
        for _ in 0..10 {
            assert!(world.verifier.verify_wait(&token).await.is_err());
        }
        let said = lines.take();
        let [line] = &said[..] else { panic!("{said:?}") };
        assert_eq!((line.level, line.field("event")), (Level::INFO, "keys.asked"));
        let text = format!("{} {}", line.field("message"), line.field("kid"));
        assert!(!text.chars().any(char::is_control) && text.len() < 700, "{text}");
        pass(secs(31)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn flapping_is_said_once_with_the_setting_to_write() {
    let (lines, _guard) = Lines::listen();
    let (a, b) = (key("A"), key("B"));
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    let (both, one) = (|| publishes(&[&a, &b]), || publishes(&[&b]));
    world.network.on(KEYS, [both(), one(), both(), one(), both(), one(), both()]);
    world.start().await;
    pass(minutes(60)).await;
    let said: Vec<_> =
        lines.take().into_iter().filter(|line| line.field("event") == "keys.flapping").collect();
    let [line] = &said[..] else { panic!("{said:?}") };
    assert_eq!((line.level, line.field("returned")), (Level::WARN, &*a.thumbprint().unwrap()));
    assert!(line.field("message").contains("providers.p.removed_key_grace"));
}

/// The end of a grace is a change of keys like any other.
#[tokio::test(start_paused = true)]
async fn a_key_with_a_grace_is_named_when_it_is_removed_and_when_it_goes() {
    let (lines, _guard) = Lines::listen();
    let (kept, gone) = (key("kept"), key("gone"));
    let graced = provider("p", ISSUER).jwks_url(KEYS).removed_key_grace(minutes(20));
    let mut world = World::new([graced]);
    world.network.on(KEYS, [publishes(&[&kept, &gone]), publishes(&[&kept])]);
    world.start().await;
    lines.take();
    pass(minutes(60)).await;
    let changes: Vec<_> = lines
        .take()
        .into_iter()
        .filter(|line| line.field("event") == "keys.changed")
        .map(|line| ["removed", "leaving"].map(|field| line.field(field).to_owned()))
        .collect();
    let print = gone.thumbprint().unwrap();
    let expected = [[String::new(), print.clone()], [print, String::new()]];
    assert_eq!(changes, expected);
}

#[tokio::test(start_paused = true)]
async fn an_in_process_source_without_an_answer_is_said_once() {
    let (lines, _guard) = Lines::listen();
    let remote = key("K");
    let configured = provider("p", ISSUER).key_source(Arc::new(Locked)).jwks_url(KEYS);
    let mut world = World::new([configured]);
    world.network.on(KEYS, [publishes(&[&remote])]);
    world.start().await;
    for _ in 0..100 {
        assert!(world.accepts(&world.token(ISSUER, &remote)));
    }
    pass(minutes(60)).await;
    let said = lines.take();
    let about: Vec<_> = said.iter().filter(|line| line.field("result") == "in_process").collect();
    assert_eq!(about.len(), 1, "{said:?}");
    assert_eq!(about[0].field("message"), "provider p, in process: the key store is locked");
}

/// A document that fails beside keys that come is trouble, but no change of state.
#[tokio::test(start_paused = true)]
async fn trouble_on_the_way_to_keys_is_said_once() {
    let (lines, _guard) = Lines::listen();
    let document = "https://idp.example/.well-known/openid-configuration";
    let mut world = World::new([provider("p", ISSUER)]);
    world.network.on(document, [metadata(ISSUER, KEYS), status(500)]);
    world.network.on(KEYS, [publishes(&[&key("K")])]);
    world.start().await;
    lines.take();
    pass(minutes(180)).await;
    assert_eq!(lines.events("result"), pairs([("provider.fetch_failed", "status")]));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_is_applied_starts_only_what_is_new() {
    let (lines, _guard) = Lines::listen();
    let one = provider("one", ISSUER).jwks_url(KEYS);
    let two = provider("two", "https://two.example").jwks_url("https://two.example/keys");
    let mut world = World::new([one.clone()]);
    world.start().await;
    lines.take();
    world.verifier.apply(Config::of([one.clone(), two]));
    pass(secs(1)).await;
    assert_eq!(
        lines.events("provider"),
        pairs([("provider.start", "two"), ("provider.fetch_failed", "two")])
    );
    world.verifier.apply(Config::of([one]));
    pass(secs(1)).await;
    assert!(lines.take().is_empty());
}

/// Who waits for his turn to drive says nothing, until it comes.
#[tokio::test(start_paused = true)]
async fn a_second_driver_starts_when_the_first_has_left() {
    let (lines, _guard) = Lines::listen();
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [publishes(&[&key("K")])]);
    world.start().await;
    lines.take();
    let verifier = world.verifier.clone();
    let second = tokio::spawn(async move { verifier.drive().await });
    pass(minutes(60)).await;
    assert!(lines.take().is_empty());
    world.stop().await;
    pass(secs(1)).await;
    assert_eq!(lines.events("state"), pairs([("provider.start", "ready")]));
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn no_line_holds_a_key_a_token_or_a_secret() {
    let (lines, _guard) = Lines::listen();
    let (first, second) = (key("1"), key("2"));
    let secret = keystead_testkit::SigningKey::from_secret(
        b"a-shared-secret-of-thirty-two-bytes-or-more",
        keystead::core::Algorithm::Hs256,
    )
    .unwrap();
    let url = "https://idp.example/keys?apikey=hunter2";
    let local = provider("local", "local").keys_text(&secret.secret_jwk().unwrap().to_string());
    let mut world = World::new([local, provider("p", ISSUER).jwks_url(url)]);
    let answers =
        [publishes(&[&first]), status(500), publishes(&[&second]), Answer::json("<html>")];
    world.network.on(url, answers);
    world.start().await;
    let token = world.token(ISSUER, &first);
    for _ in 0..60 {
        // Whatever the verdicts are.
        let _verdict = world.verifier.verify(&token);
        let _explanation = world.verifier.explain(&token);
        pass(minutes(1)).await;
    }
    let lines = lines.take();
    assert!(lines.len() > 5, "{lines:?}");
    let text = lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line:?}").unwrap();
        text
    });
    let secret = secret.secret_jwk().unwrap()["k"].as_str().unwrap().to_owned();
    let coordinates = [&first, &second].map(|key| key.jwk()["x"].as_str().unwrap().to_owned());
    let signature = token.rsplit('.').next().unwrap().to_owned();
    let hunter = "hunter2".to_owned();
    for never in coordinates.into_iter().chain([secret, signature, hunter]) {
        assert!(!text.contains(&never), "{never} stands in {text}");
    }
}
