//! Where keys come from, and which of them may verify a token: memory, files, addresses, discovery.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{
    AUDIENCE, World, held, jwks, jwks_of, key, minutes, pass, provider, publishes, refusal, secs,
};
use keystead::config::{Config, Layers};
use keystead::core::{Algorithm, KeyProblem, KeySet};
use keystead::{KeySource, SourceError};
use keystead_testkit::{Answer, SigningKey};
use serde_json::json;

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";

/// Keys of the host program that a test changes, with what it is asked counted.
#[derive(Clone, Default)]
struct Authority(Arc<AuthorityState>);

#[derive(Default)]
struct AuthorityState {
    now: Mutex<Option<Answered>>,
    asked: AtomicUsize,
}

#[derive(Clone)]
enum Answered {
    Keys(Arc<KeySet>),
    Error,
    Panic,
}

impl Authority {
    fn with(keys: &[&SigningKey]) -> Self {
        let authority = Self::default();
        authority.set(Answered::Keys(held(keys)));
        authority
    }

    fn set(&self, answer: Answered) {
        *self.0.now.lock().unwrap() = Some(answer);
    }

    /// How often it was asked since the last time that this was asked.
    fn asked(&self) -> usize {
        self.0.asked.swap(0, Ordering::SeqCst)
    }
}

impl KeySource for Authority {
    fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.0.now.lock().unwrap().clone();
        match answer {
            Some(Answered::Keys(keys)) => Ok(keys),
            Some(Answered::Error) | None => Err(SourceError::new("the key store is locked")),
            Some(Answered::Panic) => panic!("the host program has a bug"),
        }
    }
}

/// T5
#[tokio::test(start_paused = true)]
async fn a_kid_that_no_settled_source_holds_is_unknown() {
    let (local, remote, unknown) = (key("other"), key("R"), key("K"));
    let in_process = Arc::new(held(&[&local]));
    let mut world = World::new([provider("p", ISSUER).key_source(in_process).jwks_url(KEYS)]);
    world.network.on(KEYS, [publishes(&[&remote])]);
    world.start().await;
    world.refresh("p").await.unwrap();
    assert_eq!(world.refusal(&world.token(ISSUER, &unknown)), (401, "key.unknown_kid"));
}

/// T6
#[tokio::test(start_paused = true)]
async fn an_in_process_source_without_an_answer_leaves_the_others_alone() {
    let remote = key("K");
    let authority = Authority::default();
    let in_process = Arc::new(authority.clone());
    let mut world = World::new([provider("p", ISSUER).key_source(in_process).jwks_url(KEYS)]);
    world.network.on(KEYS, [publishes(&[&remote])]);
    world.start().await;
    let token = world.token(ISSUER, &remote);
    let errors = |world: &World| world.status("p").sources[0].errors;
    let before = errors(&world);
    for _ in 0..3 {
        assert!(world.accepts(&token));
    }
    // The status has asked once itself.
    assert_eq!(errors(&world), before + 4);
    let source = world.status("p").sources.remove(0);
    let error = source.last_error.unwrap();
    assert_eq!((source.kind, source.state, error.code), ("in_process", "cold", "in_process"));
    assert_eq!(error.detail, "the key store is locked");
}

#[test]
fn keys_in_process_are_followed_by_the_identity_of_their_set() {
    let (first, second) = (key("first"), key("second"));
    let authority = Authority::with(&[&first]);
    let world = world_with(&authority);
    let (of_first, of_second) = (token(&first), token(&second));
    authority.asked();
    for _ in 0..5 {
        assert!(world.verify(&of_first).is_ok());
    }
    assert_eq!(authority.asked(), 5, "once for each verification, and nothing is prepared anew");

    authority.set(Answered::Keys(held(&[&second])));
    assert!(world.verify(&of_second).is_ok(), "at the very next verification");
    assert_eq!(authority.asked(), 2, "the change was noticed, and taken over");
    assert_eq!(refusal(&world, &of_first), (401, "key.unknown_kid"), "what it says is final");
    authority.asked();
    assert!(world.verify(&of_second).is_ok());
    assert_eq!(authority.asked(), 1);
}

#[test]
fn an_in_process_error_keeps_the_last_set_and_is_counted() {
    let signing = key("K");
    let authority = Authority::with(&[&signing]);
    let world = world_with(&authority);
    authority.set(Answered::Error);
    for _ in 0..3 {
        assert!(world.verify(&token(&signing)).is_ok());
    }
    let provider = world.status().providers.remove("p").unwrap();
    assert_eq!((provider.state, provider.sources[0].errors), ("ready", 4));
    assert!(provider.reason.contains("the key store is locked"), "{}", provider.reason);

    authority.set(Answered::Keys(held(&[&signing])));
    assert!(world.verify(&token(&signing)).is_ok());
    let provider = world.status().providers.remove("p").unwrap();
    assert_eq!((provider.sources[0].errors, provider.reason.as_str()), (4, "1 key is held"));
}

/// A bug of the host program is an error of that source: no verification ends with it.
#[test]
fn an_in_process_panic_counts_as_an_error() {
    let signing = key("K");
    let authority = Authority::with(&[&signing]);
    let world = world_with(&authority);
    authority.set(Answered::Panic);
    assert!(world.verify(&token(&signing)).is_ok());
    let source = world.status().providers["p"].sources[0].clone();
    assert_eq!(source.last_error.unwrap().detail, "the key source panicked");
    assert_eq!(source.errors, 2);

    // Nor does a verifier that is built while it panics.
    let cold = world_with(&authority);
    assert_eq!(refusal(&cold, &token(&signing)), (503, "keys.unavailable"));
    authority.set(Answered::Keys(held(&[&signing])));
    assert!(cold.verify(&token(&signing)).is_ok());
}

/// Readiness and status follow keys in process without waiting for a token.
#[test]
fn keys_that_arrive_in_process_make_the_provider_ready() {
    let authority = Authority::with(&[]);
    let world = world_with(&authority);
    assert_eq!(world.status().providers["p"].state, "cold");
    assert!(!world.can_verify());
    authority.set(Answered::Keys(held(&[&key("K")])));
    assert!(world.can_verify());
    let status = world.status().providers.remove("p").unwrap();
    assert_eq!((status.state, status.keys.len()), ("ready", 1));
}

/// T8
#[test]
fn a_jwks_url_without_an_issuer_is_not_any_issuer() {
    let config = Config::parse_yaml(&format!(
        "providers:\n  p:\n    jwks_url: {KEYS}\n    audiences: [app]\n"
    ))
    .unwrap();
    let status = keystead::Verifier::from_config(config).status().providers.remove("p").unwrap();
    assert_eq!(
        (status.state, status.reason.as_str()),
        ("disabled", "unset: issuer is not set: it is what iss is compared with")
    );
}

/// T9
#[test]
fn a_provider_of_which_nothing_is_set_names_what_could_be() {
    let config = Config::parse_yaml("providers:\n  p:\n    audiences: [app]\n").unwrap();
    let status = keystead::Verifier::from_config(config).status().providers.remove("p").unwrap();
    assert_eq!(status.state, "disabled");
    for setting in ["issuer", "jwks_url", "discovery_url", "keys", "keys_file"] {
        assert!(status.reason.contains(setting), "{}", status.reason);
    }
}

/// T14
#[tokio::test(start_paused = true)]
async fn a_bad_signature_tries_no_other_key_and_causes_no_fetch() {
    let (named, other) = (key("A"), key("B"));
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [publishes(&[&named, &other])]);
    world.start().await;
    let asked = world.requests();
    // Genuinely made by B, and named A.
    let forged = world.draft(ISSUER).header("kid", "A").sign(&other).unwrap();
    assert_eq!(world.refusal(&forged), (401, "signature.invalid"));
    let considered = world.verifier.explain(&forged).keys;
    let kids: Vec<_> = considered.iter().map(|key| key.kid.as_deref()).collect();
    assert_eq!(kids, [Some("A")]);
    pass(secs(30)).await;
    assert_eq!(world.requests(), asked);
}

/// T15, K12
#[tokio::test(start_paused = true)]
async fn a_token_without_a_kid_is_tried_with_the_signing_keys_only() {
    let rsa = |n, kid: &str| SigningKey::fixed_rsa(n).unwrap().with_kid(kid);
    let (first, second, encryption) = (rsa(0, "first"), rsa(1, "second"), rsa(2, "enc"));
    let mut enc = encryption.jwk();
    (enc["use"], enc["alg"]) = (json!("enc"), json!("RSA-OAEP"));
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [Answer::json(jwks_of([enc, first.jwk(), second.jwk()]))]);
    world.start().await;

    let unnamed = |key: &SigningKey| world.draft(ISSUER).without_header("kid").sign(key).unwrap();
    let token = unnamed(&second);
    assert_eq!(world.verifier.verify(&token).unwrap().kid(), Some("second"));
    let tried = world.verifier.explain(&token).keys;
    let kids: Vec<_> = tried.iter().filter_map(|key| key.kid.as_deref()).collect();
    assert_eq!(kids, ["first", "second"], "the encryption key is never tried");
    assert_eq!(world.refusal(&unnamed(&encryption)), (401, "signature.invalid"));

    // It is no trouble either: the key is shown with its reason, the provider is ready.
    let status = world.status("p");
    assert_eq!((status.state, status.sources[0].last_error.is_none()), ("ready", true));
    let shown: Vec<_> = status.keys.iter().map(|key| (key.kid.as_deref(), key.usable)).collect();
    assert_eq!(shown, [(Some("first"), true), (Some("second"), true), (Some("enc"), false)]);
}

/// T16
#[tokio::test(start_paused = true)]
async fn an_ed25519_key_file_verifies_eddsa() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("local.pem");
    let signing = SigningKey::generate(Algorithm::EdDsa).unwrap();
    fs::write(&path, signing.public_pem().unwrap()).unwrap();
    let mut world = World::new([provider("p", "local").keys_file(&path)]);
    world.start().await;
    let token = world.draft("local").without_header("kid").sign(&signing).unwrap();
    let verified = world.verifier.verify(&token).unwrap();
    assert_eq!(verified.key_origin(), format!("file {}", path.display()));
    assert_eq!(verified.header().alg(), "EdDSA");
    assert_eq!(world.requests(), 0, "a key file never causes a network call");
}

/// T22
#[tokio::test(start_paused = true)]
async fn a_set_that_is_too_large_or_empty_is_refused_whole() {
    let good = key("good");
    let many = vec![good.jwk(); 257];
    let most = vec![good.jwk(); 256];
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [publishes(&[&good])]);
    world.start().await;
    let token = world.token(ISSUER, &good);
    let mut reasons = Vec::new();
    for bad in [jwks_of(many), jwks_of([]), "{}".to_owned()] {
        world.network.on(KEYS, [Answer::json(bad)]);
        world.refresh("p").await.unwrap_err();
        let error = world.status("p").sources[0].last_error.clone().unwrap();
        reasons.push((error.code, error.detail));
        assert!(world.accepts(&token), "last-known-good stays");
        assert_eq!(world.state("p"), "stale");
    }
    let reasons: Vec<_> = reasons.iter().map(|(code, detail)| (*code, detail.as_str())).collect();
    assert_eq!(
        reasons,
        [
            ("too_large", "the set has 257 keys, the limit is 256"),
            ("empty_set", "the set is empty"),
            ("no_keys_member", "no JWK Set: it has no array \"keys\""),
        ]
    );
    world.network.on(KEYS, [Answer::json(jwks_of(most))]);
    world.refresh("p").await.unwrap();
    assert_eq!(world.state("p"), "ready");
}

/// Only the signature library sees that a point is not on its curve: such a set holds no key.
#[tokio::test(start_paused = true)]
async fn a_set_of_points_off_their_curve_does_not_replace_a_good_one() {
    let good = key("good");
    let mut off = key("off").jwk();
    off["x"] = off["y"].clone();
    let mut world = World::new([provider("p", ISSUER).jwks_url(KEYS)]);
    world.network.on(KEYS, [publishes(&[&good]), Answer::json(jwks_of([off.clone()]))]);
    world.start().await;
    for _ in 0..3 {
        world.refresh("p").await.unwrap_err();
    }
    let status = world.status("p");
    let error = status.sources[0].last_error.as_ref().unwrap();
    assert_eq!((status.state, error.code), ("stale", "no_usable_key"));
    assert!(error.detail.ends_with(&KeyProblem::NotOnCurve.to_string()), "{}", error.detail);
    assert!(world.accepts(&world.token(ISSUER, &good)));

    // Beside a good key it is shown and spoils nothing; alone in the configuration it is no key.
    world.network.on(KEYS, [Answer::json(jwks_of([good.jwk(), off.clone()]))]);
    world.refresh("p").await.unwrap();
    assert_eq!(world.status("p").keys.iter().filter(|key| !key.usable).count(), 1);
    let inline = World::new([provider("p", ISSUER).keys_text(&jwks_of([off]))]);
    assert!(!inline.verifier.can_verify());
}

/// K25
#[tokio::test(start_paused = true)]
async fn two_realms_with_the_same_kid_do_not_share_it() {
    let (one, two) = (key("same"), key("same"));
    let (first, second) = ("https://kc.example/realms/r1", "https://kc.example/realms/r2");
    let certs = |issuer: &str| format!("{issuer}/certs");
    let mut world = World::new([
        provider("r1", first).jwks_url(&certs(first)),
        provider("r2", second).jwks_url(&certs(second)),
    ]);
    world.network.on(&certs(first), [publishes(&[&one])]);
    world.network.on(&certs(second), [publishes(&[&two])]);
    world.start().await;
    assert!(world.accepts(&world.token(first, &one)) && world.accepts(&world.token(second, &two)));
    for (issuer, key) in [(first, &two), (second, &one)] {
        assert_eq!(world.refusal(&world.token(issuer, key)), (401, "signature.invalid"));
    }
}

/// K26
#[tokio::test(start_paused = true)]
async fn two_key_sets_of_one_issuer_are_asked_apart_and_used_together() {
    let (access, id) = (key("access"), key("id"));
    let (first, second) = ("https://idp.example/access", "https://idp.example/id");
    let mut world = World::new([provider("p", ISSUER).jwks_url(first).jwks_url(second)]);
    world.network.on(first, [publishes(&[&access])]);
    world.network.on(second, [common::refused_connection(), publishes(&[&id])]);
    world.start().await;
    assert!(world.accepts(&world.token(ISSUER, &access)), "one that is down gates nothing");
    assert_eq!(world.state("p"), "stale");
    assert_eq!(world.refusal(&world.token(ISSUER, &id)), (503, "keys.unavailable"));
    pass(secs(15)).await;
    assert!(
        world.accepts(&world.token(ISSUER, &access)) && world.accepts(&world.token(ISSUER, &id))
    );
    assert_eq!((world.network.count(first), world.state("p")), (1, "ready"));
}

/// K8: the same through a variable, for a key location of each kind.
#[test]
fn an_empty_variable_takes_a_key_location_away() {
    let env = [
        ("KEYSTEAD_PROVIDERS__P__ISSUER", ISSUER),
        ("KEYSTEAD_PROVIDERS__P__AUDIENCES", AUDIENCE),
        ("KEYSTEAD_PROVIDERS__P__JWKS_URL", ""),
        ("KEYSTEAD_PROVIDERS__P__KEYS_FILE", " "),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let config = Config::load(&Layers { env, ..Layers::default() }).unwrap();
    let sources = keystead::Verifier::from_config(config).status().providers.remove("p").unwrap();
    let kinds: Vec<_> = sources.sources.iter().map(|source| source.kind).collect();
    assert_eq!(kinds, ["discovery"]);
}

mod key_files {
    use std::os::unix::fs::symlink;

    use super::*;

    const LOCAL: &str = "local";

    fn write(path: &Path, keys: &[&SigningKey]) {
        fs::write(path, jwks(keys)).unwrap();
    }

    async fn started(path: &Path) -> World {
        let mut world = World::new([provider("p", LOCAL).keys_file(path)]);
        world.start().await;
        world
    }

    /// Longer than the interval at which files are looked at, jitter included.
    async fn looked_at() {
        pass(secs(6)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_appears_later_is_read_then() {
        let folder = tempfile::tempdir().unwrap();
        let (path, signing) = (folder.path().join("keys.json"), key("K"));
        let world = started(&path).await;
        let token = world.token(LOCAL, &signing);
        assert_eq!(world.refusal(&token), (503, "keys.unavailable"));
        let reason = world.status("p").reason;
        assert!(reason.ends_with("does not exist"), "{reason}");
        pass(minutes(60)).await;
        write(&path, &[&signing]);
        looked_at().await;
        assert!(world.accepts(&token), "it is not left alone for longer because it was away");
        assert_eq!(world.state("p"), "ready");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_takes_effect_and_what_is_gone_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, first, second) = (folder.path().join("keys.json"), key("1"), key("2"));
        write(&path, &[&first]);
        let world = started(&path).await;
        assert!(world.accepts(&world.token(LOCAL, &first)));
        write(&path, &[&second]);
        looked_at().await;
        assert!(world.accepts(&world.token(LOCAL, &second)));
        assert_eq!(world.refusal(&world.token(LOCAL, &first)), (401, "key.unknown_kid"));
    }

    /// Kubernetes swaps one symlink that all files of a `ConfigMap` go through.
    #[tokio::test(start_paused = true)]
    async fn a_symlink_swap_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let keys = [key("1"), key("2")];
        for (version, key) in ["..v1", "..v2"].into_iter().zip(&keys) {
            fs::create_dir(at(version)).unwrap();
            write(&at(version).join("keys.json"), &[key]);
        }
        symlink("..v1", at("..data")).unwrap();
        symlink("..data/keys.json", at("keys.json")).unwrap();
        let world = started(&at("keys.json")).await;
        assert!(world.accepts(&world.token(LOCAL, &keys[0])));
        symlink("..v2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        looked_at().await;
        assert!(world.accepts(&world.token(LOCAL, &keys[1])));
    }

    #[tokio::test(start_paused = true)]
    async fn garbage_and_a_vanished_file_keep_the_last_good_keys_as_stale() {
        let folder = tempfile::tempdir().unwrap();
        let (path, signing) = (folder.path().join("keys.json"), key("K"));
        write(&path, &[&signing]);
        let provider = provider("p", LOCAL).keys_file(&path).max_stale(minutes(1));
        let mut world = World::new([provider]);
        world.start().await;
        let token = world.token(LOCAL, &signing);
        let mut off = signing.jwk();
        off["x"] = off["y"].clone();
        for unusable in ["garbage", "", r#"{"keys":[{"kty":"oct"}]}"#, &jwks_of([off])] {
            fs::write(&path, unusable).unwrap();
            // Twice: what is read a second time is no better than the first.
            for _ in 0..2 {
                looked_at().await;
                assert_eq!(world.state("p"), "stale", "{unusable:?}");
                assert!(world.accepts(&token));
            }
            assert_eq!(world.refusal(&world.token(LOCAL, &key("new"))), (503, "keys.unavailable"));
        }
        fs::remove_file(&path).unwrap();
        pass(minutes(10)).await;
        assert_eq!(world.state("p"), "stale", "keys of files never expire");
        assert!(world.accepts(&token));
        write(&path, &[&signing]);
        looked_at().await;
        assert_eq!(world.state("p"), "ready");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_beside_a_dead_discovery_is_stale_and_served() {
        let folder = tempfile::tempdir().unwrap();
        let (path, signing) = (folder.path().join("keys.json"), key("K"));
        write(&path, &[&signing]);
        let mut world = World::new([provider("p", ISSUER).keys_file(&path).discover()]);
        world.start().await;
        assert!(world.accepts(&world.token(ISSUER, &signing)));
        assert_eq!(world.state("p"), "stale");
        let states: Vec<_> = world.status("p").sources.iter().map(|s| (s.kind, s.state)).collect();
        assert_eq!(states, [("file", "ready"), ("discovery", "cold")]);
    }
}

fn world_with(authority: &Authority) -> keystead::Verifier {
    let source = Arc::new(authority.clone());
    let clock = Arc::new(keystead_testkit::ManualClock::new());
    keystead::Verifier::builder()
        .clock(clock)
        .provider(provider("p", ISSUER).key_source(source))
        .build()
}

fn token(key: &SigningKey) -> String {
    let now = keystead::Clock::wall(&keystead_testkit::ManualClock::new());
    common::draft(ISSUER, now).sign(key).unwrap()
}
