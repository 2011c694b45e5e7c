//! A signature that is remembered saves work and changes no verdict.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "a test may panic, and keys that change are locked"
)]

mod support;

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keystead_core::{
    Algorithm, Audiences, CryptoBackend, Directory, Disabled, DisabledWhy, Issuers, Jwk,
    KeyProblem, KeySet, Policy, Provider, PublishedKeys, PublishedSource, Question, Requirements,
    SignatureVerifier, SignedTokens, SourceFacts, TokenLimits,
};
use support::{
    ISSUER, MONOTONIC, Memory, Mint, NOW, Remembering, Source, ToyBackend, World, ec, policy, seen,
};

fn ready() -> World {
    World::of([Source::network(KeySet::new([ec(Some("k"), b'a')]))])
}

fn good() -> String {
    Mint::new().kid("k").claim("scope", r#""read""#).signed_by(&ec(None, b'a'))
}

/// A world that has accepted this token, and remembers its signature.
fn primed(text: &str) -> (World, Memory) {
    let (world, memory) = (ready(), Memory::default());
    world.verify_remembering(text, &memory).unwrap();
    assert_eq!(memory.len(), 1);
    (world, memory)
}

#[test]
fn a_remembered_token_takes_no_signature() {
    let text = good();
    let (world, memory) = primed(&text);
    let first = memory.find(&text).unwrap();
    assert_eq!(first.text(), text);
    let decoded = text.len() - text.len() / 4;
    let beside = first.size() - text.len() - decoded;
    assert!((1..1_024).contains(&beside), "its texts are counted, and {beside} bytes beside them");
    let again = world.verify_remembering(&text, &memory);
    assert_eq!(seen(&again), seen(&world.verify(&text)));
    // Had it been judged in full, it would have been kept once more.
    let kept = memory.find(&text).unwrap();
    assert!(std::ptr::eq(kept.text(), first.text()));
    assert!(!format!("{kept:?}").contains(text.get(..20).unwrap()), "a token is a secret");
}

/// What is asked of a token beside its signature is asked every time, and the refusal is the one
/// that it would have had anyway.
#[test]
fn everything_but_the_signature_is_asked_again() {
    let text = good();
    let require = |change: fn(Requirements) -> Requirements| change(Requirements::new());
    let other = |world: World, change: fn(&mut Policy)| world.policy(change);
    let changes: [(&str, &dyn Fn(World) -> World); 12] = [
        ("audience.not_accepted", &|w| {
            other(w, |p| p.audiences = Audiences::OneOf(vec!["other".into()]))
        }),
        ("alg.not_allowed", &|w| {
            other(w, |p| p.algorithms = [Algorithm::Rs256].into_iter().collect())
        }),
        ("typ.not_accepted", &|w| other(w, |p| p.typ = vec!["at+jwt".into()])),
        ("scope.insufficient", &|w| other(w, |p| p.scopes = vec!["write".into()])),
        ("token.too_old", &|w| {
            other(w, |p| {
                p.leeway = Duration::ZERO;
                p.max_token_age = Some(Duration::from_secs(59));
            })
        }),
        ("issuer.disabled", &|w| w.disabled(Disabled::new(DisabledWhy::Off, "off"))),
        ("keys.unavailable", &|w| w.disabled(Disabled::new(DisabledWhy::Misconfigured, "no"))),
        ("scope.insufficient", &|w| w.asking(require(|r| r.scopes(["write"])))),
        ("audience.not_accepted", &|w| w.asking(require(|r| r.audiences(["other"])))),
        ("keys.expired", &|w| {
            w.with_facts(Source::network(KeySet::new([ec(Some("k"), b'a')])).expired().facts)
        }),
        ("keys.unavailable", &|_| World::of([Source::network(KeySet::default())])),
        ("issuer.unknown", &|_| World::new().with("other", policy("https://other.example"), [])),
    ];
    for (code, change) in changes {
        let (world, memory) = primed(&text);
        let world = change(world);
        let verdict = world.verify_remembering(&text, &memory);
        assert_eq!(verdict.as_ref().map_err(|r| r.code().as_str()).err(), Some(code));
        assert_eq!(seen(&verdict), seen(&world.verify(&text)), "{code}");
        assert_eq!(memory.len(), 0, "{code}: what does not pass is forgotten");
    }
}

#[test]
fn time_goes_on_for_a_remembered_token() {
    let text = good();
    let (world, memory) = primed(&text);
    let directory = Remembering { world: &world, memory: &memory };
    let at = |now| {
        let now = Duration::from_secs(now);
        let question = Question { now, ..world.question(&text) };
        keystead_core::verify(question, &directory).map_err(|refused| refused.code().as_str())
    };
    assert!(at(NOW + 600 + 59).is_ok());
    assert_eq!(at(NOW + 600 + 60).unwrap_err(), "token.expired");
    assert_eq!(memory.len(), 0);
}

#[test]
fn limits_hold_for_a_remembered_token() {
    let text = good();
    let mut header = TokenLimits::default();
    header.header = 10;
    for limits in [TokenLimits::with_token(text.len() - 1), header] {
        let (world, memory) = primed(&text);
        let question = Question { limits, ..world.question(&text) };
        let verdict =
            keystead_core::verify(question, &Remembering { world: &world, memory: &memory })
                .unwrap_err();
        assert_eq!(verdict.code().as_str(), "token.too_large");
    }
}

/// The same key, published anew: it went away in between, so that what it signed is asked again.
#[test]
fn a_key_that_went_and_came_back_is_asked_again() {
    let text = good();
    let (_, memory) = primed(&text);
    let before = memory.find(&text).unwrap();
    let world = ready();
    let verdict = world.verify_remembering(&text, &memory);
    assert_eq!(seen(&verdict), seen(&world.verify(&text)));
    let after = memory.find(&text).unwrap();
    assert!(!std::ptr::eq(before.text(), after.text()), "it was judged in full");
}

/// At most sixteen keys are tried, remembered or not: the last of them is found again, and one that
/// newer keys have pushed behind them is not.
#[test]
fn a_key_that_would_not_be_tried_is_not_remembered_either() {
    for (kid, refused) in [(None, "key.ambiguous"), (Some("k"), "signature.invalid")] {
        let mint = kid.map_or_else(Mint::new, |kid| Mint::new().kid(kid));
        let text = mint.signed_by(&ec(None, b'a'));
        for (more, verdict) in [(15, None), (16, Some(refused))] {
            let memory = Memory::default();
            let keys = |more: u8| KeySet::new((0..=more).rev().map(|n| ec(kid, b'a' + n)));
            let few = PublishedKeys::prepare([(source(), &keys(15))], &ToyBackend, None);
            let rotating = Rotating::new(few);
            rotating.verify(&text, &memory).unwrap();
            let first = memory.find(&text).unwrap();
            let again = PublishedKeys::prepare(
                [(source(), &keys(more))],
                &ToyBackend,
                Some(&rotating.now()),
            );
            rotating.publish(again);
            let code = rotating.verify(&text, &memory).map_err(|refused| refused.code().as_str());
            assert_eq!(code.err(), verdict);
            let kept = memory.find(&text).map(|kept| std::ptr::eq(kept.text(), first.text()));
            assert_eq!(kept, verdict.is_none().then_some(true), "found again without a signature");
        }
    }
}

/// A provider or a source may be named anew while its keys stay as they were prepared.
#[test]
fn whose_a_remembered_token_is_follows_the_names_of_the_moment() {
    let text = good();
    let (world, memory) = primed(&text);
    let keys = KeySet::new([ec(Some("k"), b'a')]);
    let origin = Source::network(KeySet::default()).origin;
    for (provider, source) in [("acme", origin), ("acme", "moved"), ("renamed", origin)] {
        let renamed = world.renamed(provider, source, &keys);
        let verdict = renamed.verify_remembering(&text, &memory);
        assert_eq!(seen(&verdict), seen(&renamed.verify(&text)));
        let token = verdict.unwrap();
        assert_eq!((token.provider(), token.key_origin()), (provider, source));
        assert_eq!(memory.len(), 1);
        let again = world.verify_remembering(&text, &memory).unwrap();
        assert_eq!((again.provider(), again.key_origin()), ("acme", origin), "and back");
    }
}

/// One key under many kids is one key: a provider that gives it a new kid at every start, and kids that
/// have their grace, must not turn away tokens without a kid.
#[test]
fn a_key_under_many_kids_is_one_to_choose_from() {
    let text = Mint::new().signed_by(&ec(None, b'a'));
    let kids: Vec<_> = (0..40).map(|n| format!("kid-{n}")).collect();
    let renamed = kids.iter().map(|kid| ec(Some(kid), b'a'));
    let others = (1..=15).map(|n| ec(None, b'a' + n));
    for keys in [
        KeySet::new(renamed.clone()),
        KeySet::new(renamed.clone().chain(others.clone())),
        KeySet::new(others.chain(renamed)),
    ] {
        let memory = Memory::default();
        let live = PublishedKeys::prepare([(source(), &keys)], &ToyBackend, None);
        let rotating = Rotating::new(live);
        let first = rotating.verify(&text, &memory).unwrap();
        let again = rotating.verify(&text, &memory).unwrap();
        assert_eq!(first.kid(), again.kid());
        assert_eq!(memory.len(), 1);
    }
}

/// Which kid a key is reported under does not depend on what is remembered.
#[test]
fn a_key_that_got_another_kid_in_front_is_reported_under_that_one() {
    let text = Mint::new().signed_by(&ec(None, b'a'));
    let memory = Memory::default();
    let keys = |kids: &[&str]| KeySet::new(kids.iter().map(|kid| ec(Some(kid), b'a')));
    let old = PublishedKeys::prepare([(source(), &keys(&["old"]))], &ToyBackend, None);
    let rotating = Rotating::new(old);
    assert_eq!(rotating.verify(&text, &memory).unwrap().kid(), Some("old"));
    let both = [(source(), &keys(&["new", "old"]))];
    rotating.publish(PublishedKeys::prepare(both, &ToyBackend, Some(&rotating.now())));
    let remembered = rotating.verify(&text, &memory);
    assert_eq!(remembered.as_ref().unwrap().kid(), Some("new"));
    assert_eq!(seen(&remembered), seen(&rotating.verify(&text, &Memory::default())));
}

/// A key set is published after a signature was checked with the old one and before that is
/// remembered: the memory holds a dead key's verdict for a moment, and nobody is told so.
#[test]
fn keys_published_between_verifying_and_remembering_leave_no_dead_verdict() {
    let text = Mint::new().kid("k").signed_by(&ec(None, b'a'));
    let memory = Memory::default();
    let rotating = Arc::new(Rotating::new(PublishedKeys::default()));
    let new = PublishedKeys::prepare(
        [(source(), &KeySet::new([ec(Some("n"), b'n')]))],
        &ToyBackend,
        None,
    );
    let (published, new) = (Arc::clone(&rotating), Mutex::new(Some(new)));
    let publishing = Meanwhile(Arc::new(move || {
        if let Some(new) = new.lock().unwrap().take() {
            published.publish(new);
        }
    }));
    let old = KeySet::new([ec(Some("k"), b'a')]);
    rotating.publish(PublishedKeys::prepare([(source(), &old)], &publishing, None));

    let first = rotating.verify(&text, &memory).unwrap();
    assert_eq!(first.kid(), Some("k"), "judged by the keys of the moment at which it came");
    assert_eq!(memory.len(), 1, "the new keys were there before this was remembered");
    let again = rotating.verify(&text, &memory).unwrap_err();
    assert_eq!(again.code().as_str(), "key.unknown_kid");
    assert_eq!(memory.len(), 0);
}

fn source() -> PublishedSource {
    PublishedSource::new(Arc::from("keys"), SourceFacts::memory(1))
}

/// One provider whose keys change.
struct Rotating {
    issuers: Arc<Issuers>,
    name: Arc<str>,
    policy: Policy,
    keys: Mutex<Arc<PublishedKeys>>,
}

impl Rotating {
    fn new(keys: PublishedKeys) -> Self {
        let (name, mut issuers) = (Arc::from("acme"), Issuers::new());
        issuers.add(0, &name, ISSUER, &[]);
        let keys = Mutex::new(Arc::new(keys));
        Self { issuers: Arc::new(issuers), name, policy: policy(ISSUER), keys }
    }

    fn publish(&self, keys: PublishedKeys) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    fn now(&self) -> Arc<PublishedKeys> {
        Arc::clone(&self.keys.lock().unwrap())
    }

    fn verify(
        &self,
        text: &str,
        memory: &Memory,
    ) -> Result<keystead_core::VerifiedToken, keystead_core::Rejection> {
        let (now, requirements) = (Duration::from_secs(NOW), Requirements::default());
        let limits = TokenLimits::default();
        let question = Question { text, now, limits, requirements: &requirements };
        keystead_core::verify(question, &Published { rotating: self, memory })
    }
}

impl Provider for Rotating {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn disabled(&self) -> Option<&Disabled> {
        None
    }

    fn keys(&self) -> impl Deref<Target = PublishedKeys> {
        self.now()
    }

    fn monotonic(&self) -> Duration {
        MONOTONIC
    }
}

struct Published<'a> {
    rotating: &'a Rotating,
    memory: &'a Memory,
}

impl Directory for Published<'_> {
    type Provider = Rotating;

    fn issuers(&self) -> &Arc<Issuers> {
        &self.rotating.issuers
    }

    fn provider(&self, _index: usize) -> Option<&Rotating> {
        Some(self.rotating)
    }

    fn signed_tokens(&self) -> Option<&dyn SignedTokens> {
        Some(self.memory)
    }
}

/// Does something else in the middle of checking a signature.
struct Meanwhile(Arc<dyn Fn() + Send + Sync>);

struct MeanwhileVerifier(Box<dyn SignatureVerifier>, Arc<dyn Fn() + Send + Sync>);

impl CryptoBackend for Meanwhile {
    fn prepare(
        &self,
        key: &Jwk,
        algorithm: Algorithm,
    ) -> Result<Box<dyn SignatureVerifier>, KeyProblem> {
        let verifier = ToyBackend.prepare(key, algorithm)?;
        Ok(Box::new(MeanwhileVerifier(verifier, Arc::clone(&self.0))))
    }
}

impl SignatureVerifier for MeanwhileVerifier {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let made = self.0.verify(message, signature);
        (self.1)();
        made
    }
}
