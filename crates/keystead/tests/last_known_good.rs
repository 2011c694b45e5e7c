//! Keys that outlive their provider's answers: what a failure leaves alone, what a removal takes and
//! when, what "not modified" confirms, and which keys an operator takes out of use.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{
    World, held, jwks, jwks_of, key, metadata, minutes, pass, provider, publishes,
    refused_connection, secs, status, until,
};
use keystead::core::{Freshness, KeySet};
use keystead::http::{Document, FetchCode, Stage};
use keystead::{Config, ProviderConfig, thumbprint};
use keystead_testkit::{Answer, SigningKey};
use serde_json::json;

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";
const DOCUMENT: &str = "https://idp.example/.well-known/openid-configuration";
const GITLAB: &str = "https://gitlab.example.com";
const GITLAB_KEYS: &str = "https://gitlab.example.com/keys";

/// A provider whose key address gives these answers, with its refresh started.
async fn answering(answers: impl IntoIterator<Item = Answer>) -> World {
    configured(provider("p", ISSUER).jwks_url(KEYS), answers).await
}

async fn configured(provider: ProviderConfig, answers: impl IntoIterator<Item = Answer>) -> World {
    let mut world = World::new([provider]);
    world.network.on(KEYS, answers);
    world.start().await;
    world
}

fn accepts(world: &World, key: &SigningKey) -> bool {
    world.accepts(&world.token(ISSUER, key))
}

fn refusal(world: &World, key: &SigningKey) -> (u16, &'static str) {
    world.refusal(&world.token(ISSUER, key))
}

fn asked(world: &World) -> usize {
    world.network.count(KEYS)
}

async fn refreshed(world: &World) {
    world.verifier.refresh("p").await.unwrap();
}

/// The answer with these keys and this tag.
fn tagged(keys: &[&SigningKey], etag: &str) -> Answer {
    let mut document = Document::json(jwks(keys));
    document.etag = Some(etag.to_owned());
    Answer::document(document)
}

/// What `keystead keys` shows of a key.
fn print_of(key: &SigningKey) -> String {
    thumbprint(&held(&[key]).keys()[0]).unwrap()
}

const UNKNOWN: (u16, &str) = (401, "key.unknown_kid");

/// T22: too large, too many keys, no key: three names, and the last known good keys stay. (That a body
/// over the limit is not read is shown in `fetch`.)
#[tokio::test(start_paused = true)]
async fn a_set_that_is_refused_whole_takes_no_key() {
    let signing = key("K");
    let many: Vec<_> = (0..257).map(|_| signing.jwk()).collect();
    let too_large = Answer::failure(Stage::Body, FetchCode::TooLarge, "more than 524288 bytes");
    for (answer, code, detail) in [
        (too_large, "too_large", "more than 524288 bytes"),
        (Answer::json(jwks_of(many)), "too_large", "the set has 257 keys, the limit is 256"),
        (publishes(&[]), "empty_set", "the set is empty"),
    ] {
        let world = answering([publishes(&[&signing]), answer]).await;
        pass(minutes(60)).await;
        let verified = world.verifier.verify(&world.token(ISSUER, &signing)).unwrap();
        assert_eq!(verified.freshness(), Freshness::Stale);
        let error = world.status("p").sources[0].last_error.clone().unwrap();
        assert_eq!((error.code, error.detail.as_str()), (code, detail));
    }
}

/// Promise 5: every word of the state, by what happens to one provider.
#[tokio::test(start_paused = true)]
async fn a_provider_goes_through_the_words_of_its_state() {
    let signing = key("K");
    let world = answering([refused_connection(), publishes(&[&signing]), status(503)]).await;
    assert_eq!((world.state("p"), refusal(&world, &signing)), ("cold", (503, "keys.unavailable")));
    until(|| world.state("p") == "ready").await;
    until(|| world.state("p") == "stale").await;
    assert!(accepts(&world, &signing));
    until(|| world.state("p") == "expired").await;
    assert_eq!(refusal(&world, &signing), (503, "keys.expired"));
    world.network.on(KEYS, [publishes(&[&signing])]);
    until(|| world.state("p") == "ready").await;
    let off = provider("p", ISSUER).jwks_url(KEYS).switched_off();
    world.verifier.apply(Config::of([off]));
    assert_eq!(
        (world.state("p"), refusal(&world, &signing)),
        ("disabled", (401, "issuer.disabled"))
    );
}

/// G11
#[tokio::test(start_paused = true)]
async fn a_rotation_is_in_force_at_once_beside_a_provider_that_is_down() {
    let (old, new, portal) = (key("old"), key("new"), key("portal"));
    let mut world = World::new([
        provider("portal", ISSUER).jwks_url(KEYS),
        provider("gitlab", GITLAB).jwks_url(GITLAB_KEYS),
    ]);
    world.network.on(KEYS, [publishes(&[&portal]), refused_connection()]);
    world.network.on(GITLAB_KEYS, [publishes(&[&old]), publishes(&[&new])]);
    world.start().await;
    until(|| world.state("portal") == "stale").await;
    world.network.on(GITLAB_KEYS, [publishes(&[&old, &new])]);
    let token = world.token(GITLAB, &new);
    assert!(world.verifier.verify_wait(&token).await.is_ok());
    assert!(accepts(&world, &portal), "and what the other one had stays");
    assert_eq!(world.state("portal"), "stale");
}

/// G12: what failed is never taken for complete, and heals within one step of the backoff.
#[tokio::test(start_paused = true)]
async fn a_portal_that_answered_with_nothing_heals_within_one_step() {
    let portal = key("portal");
    for nothing in [refused_connection(), publishes(&[]), Answer::json("<html>"), status(404)] {
        let world = answering([nothing]).await;
        pass(secs(90)).await;
        world.network.on(KEYS, [publishes(&[&portal])]);
        pass(secs(15)).await;
        assert!(accepts(&world, &portal));
    }
}

/// The document alone fails, and the keys alone. (Keys that move are in `discovery`.)
#[tokio::test(start_paused = true)]
async fn discovery_and_keys_fail_each_on_its_own() {
    let (old, new) = (key("old"), key("new"));
    let mut world = World::new([provider("p", ISSUER)]);
    world.network.on(DOCUMENT, [metadata(ISSUER, KEYS), status(500)]);
    world.network.on(KEYS, [publishes(&[&old])]);
    world.start().await;
    pass(minutes(120)).await;
    assert_eq!(world.state("p"), "ready", "the last known address gives the keys");
    assert_eq!(world.status("p").sources[0].last_error.clone().unwrap().code, "status");

    world.network.on(DOCUMENT, [metadata(ISSUER, KEYS)]);
    until(|| world.status("p").sources[0].last_error.is_none()).await;
    world.network.on(KEYS, [status(500)]);
    until(|| world.state("p") == "stale").await;
    let documents = world.network.count(DOCUMENT);
    pass(minutes(30)).await;
    assert!(accepts(&world, &old));
    assert_eq!(world.network.count(DOCUMENT), documents, "the document is not to blame");
    world.network.on(KEYS, [publishes(&[&old, &new])]);
    pass(secs(61)).await;
    assert!(accepts(&world, &new) && world.state("p") == "ready");
}

#[tokio::test(start_paused = true)]
async fn a_set_that_has_not_changed_is_not_sent_again() {
    let signing = key("K");
    let world = answering([tagged(&[&signing], "\"a\""), Answer::not_modified()]).await;
    pass(minutes(120)).await;
    assert!(accepts(&world, &signing));
    assert_eq!(world.state("p"), "ready");
    let tags = world.network.etags(KEYS);
    assert!(tags.len() > 20);
    assert_eq!((&tags[0], &tags[1]), (&None, &Some("\"a\"".to_owned())));
    assert!(tags[1..].iter().all(|tag| *tag == tags[1]), "it stays the tag of what is held");
}

/// A tag says nothing at another address.
#[tokio::test(start_paused = true)]
async fn a_tag_is_presented_only_where_it_came_from() {
    let signing = key("K");
    let moved = "https://idp.example/moved";
    let mut world = World::new([provider("p", ISSUER)]);
    world.network.on(DOCUMENT, [metadata(ISSUER, KEYS), metadata(ISSUER, moved)]);
    world.network.on(KEYS, [tagged(&[&signing], "\"a\"")]);
    world.network.on(moved, [publishes(&[&signing])]);
    world.start().await;
    pass(minutes(180)).await;
    assert!(world.network.count(moved) > 5);
    assert!(world.network.etags(moved).iter().all(Option::is_none));
    assert!(world.network.etags(KEYS)[1..].iter().all(Option::is_some));
}

/// Who doubts what is held asks for all of it: an operator, an unknown kid, and the confirmation of a
/// removal. Some sources have one tag for two sets.
#[tokio::test(start_paused = true)]
async fn only_the_schedule_is_content_with_not_modified() {
    let (old, new, next) = (key("old"), key("new"), key("next"));
    let world = answering([tagged(&[&old], "\"same\"")]).await;
    refreshed(&world).await;
    assert_eq!(world.network.etags(KEYS), [None, None]);
    world.network.on(KEYS, [tagged(&[&new], "\"same\"")]);
    assert!(world.verifier.verify_wait(&world.token(ISSUER, &new)).await.is_ok());
    assert_eq!(world.network.etags(KEYS).len(), 3);
    assert!(accepts(&world, &old), "kept until a second answer lacks it too");
    pass(secs(31)).await;
    assert_eq!(world.network.etags(KEYS), [None, None, None, None]);
    assert_eq!(refusal(&world, &old), UNKNOWN);

    // From then on the schedule asks with the tag of the set that came last.
    world.network.on(KEYS, [tagged(&[&new, &next], "\"b\""), Answer::not_modified()]);
    pass(minutes(12)).await;
    let tags = world.network.etags(KEYS);
    assert_eq!(tags[4..6], [Some("\"same\"".to_owned()), Some("\"b\"".to_owned())]);
    assert!(accepts(&world, &next));
}

/// An answer that failed has no tag, and the tag of what is held survives it.
#[tokio::test(start_paused = true)]
async fn a_failure_leaves_the_tag_alone() {
    let signing = key("K");
    let empty = {
        let mut document = Document::json(jwks(&[]));
        document.etag = Some("\"empty\"".to_owned());
        Answer::document(document)
    };
    let world = answering([tagged(&[&signing], "\"a\""), empty, Answer::not_modified()]).await;
    until(|| world.state("p") == "stale").await;
    until(|| world.state("p") == "ready").await;
    let held = Some("\"a\"".to_owned());
    assert_eq!(world.network.etags(KEYS), [None, held.clone(), held]);
}

/// K15: with a grace a withdrawn key is accepted for so long, and then gone, to the second.
#[tokio::test(start_paused = true)]
async fn a_removed_key_has_its_grace_and_is_then_gone() {
    let (kept, withdrawn) = (key("kept"), key("withdrawn"));
    let graced = provider("p", ISSUER).jwks_url(KEYS).removed_key_grace(minutes(7));
    let world = configured(graced, [publishes(&[&kept, &withdrawn]), publishes(&[&kept])]).await;
    refreshed(&world).await;
    let shown = |kid: &str| {
        let keys = world.status("p").keys;
        keys.into_iter().find(|key| key.kid.as_deref() == Some(kid))
    };
    let why = shown("withdrawn").unwrap();
    let text = "its provider removed it; it goes in 420 s (removed_key_grace)";
    assert_eq!((why.usable, why.why.as_deref()), (true, Some(text)));
    pass(Duration::from_millis(7 * 60_000 - 1)).await;
    assert!(accepts(&world, &withdrawn));
    pass(Duration::from_millis(2)).await;
    assert_eq!(refusal(&world, &withdrawn), UNKNOWN);
    assert!(shown("withdrawn").is_none() && accepts(&world, &kept));
}

/// Nor does a grace outlast the answers of a provider that has gone altogether.
#[tokio::test(start_paused = true)]
async fn a_grace_ends_on_time_while_the_provider_hangs() {
    let (kept, withdrawn) = (key("kept"), key("withdrawn"));
    let graced = provider("p", ISSUER).jwks_url(KEYS).removed_key_grace(minutes(6));
    let answers = [publishes(&[&kept, &withdrawn]), publishes(&[&kept]), Answer::never()];
    let world = configured(graced, answers).await;
    refreshed(&world).await;
    pass(minutes(6) + Duration::from_millis(1)).await;
    assert!(!accepts(&world, &withdrawn) && accepts(&world, &kept));
}

/// Nor does it wait for anybody to take the key away: it ends by itself, as `max_stale` does.
#[tokio::test(start_paused = true)]
async fn a_grace_ends_on_time_when_the_refresh_has_ended() {
    let (kept, withdrawn) = (key("kept"), key("withdrawn"));
    let graced = provider("p", ISSUER).jwks_url(KEYS).removed_key_grace(minutes(7));
    let answers = [publishes(&[&kept, &withdrawn]), publishes(&[&kept])];
    let mut world = configured(graced, answers).await;
    refreshed(&world).await;
    world.stop().await;
    pass(Duration::from_millis(7 * 60_000 - 1)).await;
    assert!(accepts(&world, &withdrawn));
    pass(Duration::from_millis(1)).await;
    assert_eq!(refusal(&world, &withdrawn), UNKNOWN);
    let asked = world.verifier.verify_wait(&world.token(ISSUER, &withdrawn)).await;
    assert_eq!(asked.unwrap_err().code().as_str(), "key.unknown_kid");
    let keys = world.status("p").keys;
    let shown = keys.iter().find(|key| key.kid.as_deref() == Some("withdrawn")).unwrap();
    let text = "its provider removed it, and its grace is over (removed_key_grace)";
    assert_eq!((shown.usable, shown.why.as_deref()), (false, Some(text)));
    assert!(accepts(&world, &kept));
    pass(minutes(10)).await;
    assert_eq!(refusal(&world, &withdrawn), (503, "keys.unavailable"), "as for any other kid");
}

/// What a set of strangers puts aside is shown as what it is, and how long it stays.
#[tokio::test(start_paused = true)]
async fn a_key_whose_removal_is_pending_says_so() {
    let (old, new) = (key("old"), key("new"));
    let world = answering([publishes(&[&old]), publishes(&[&new])]).await;
    refreshed(&world).await;
    let status = world.status("p");
    let old = status.keys.iter().find(|key| key.kid.as_deref() == Some("old")).unwrap();
    let text = "the latest answer lacks it; it goes when the next one does too";
    assert_eq!((old.usable, old.why.as_deref()), (true, Some(text)));
}

#[tokio::test(start_paused = true)]
async fn keys_that_go_and_come_back_make_their_provider_flapping() {
    let (a, b) = (key("A"), key("B"));
    let turns = [publishes(&[&a, &b]), publishes(&[&b]), publishes(&[&a, &b])];
    let world = answering(turns).await;
    refreshed(&world).await;
    assert!(!world.status("p").flapping);
    assert_eq!(refusal(&world, &a), UNKNOWN);
    refreshed(&world).await;
    let status = world.status("p");
    assert!(status.flapping && accepts(&world, &a));
    assert!(status.reason.contains("providers.p.removed_key_grace"), "{}", status.reason);
    pass(minutes(48 * 60 + 1)).await;
    assert!(!world.status("p").flapping, "it has been quiet for two days");
}

/// A grace that bridges the turns leaves nothing to complain of.
#[tokio::test(start_paused = true)]
async fn a_grace_makes_an_end_of_flapping() {
    let (a, b) = (key("A"), key("B"));
    let graced = provider("p", ISSUER).jwks_url(KEYS).removed_key_grace(minutes(48 * 60));
    let turns = [publishes(&[&a, &b]), publishes(&[&b]), publishes(&[&a, &b])];
    let world = configured(graced, turns).await;
    for _ in 0..3 {
        refreshed(&world).await;
        assert!(accepts(&world, &a));
    }
    assert!(!world.status("p").flapping);
}

/// A distrusted key verifies nothing, whatever it comes from; everything else goes on.
#[tokio::test(start_paused = true)]
async fn a_distrusted_key_is_never_used_and_shown_as_such() {
    let (stolen, good) = (key("stolen"), key("good"));
    let (list, both) = ([print_of(&stolen)], held(&[&stolen, &good]));
    let providers = [
        provider("p", ISSUER).jwks_url(KEYS),
        provider("p", ISSUER).keys(KeySet::clone(&both)),
        provider("p", ISSUER).key_source(Arc::new(Arc::clone(&both))),
    ];
    for provider in providers {
        let provider = provider.distrusted_keys(&list);
        let world = configured(provider, [publishes(&[&stolen, &good])]).await;
        assert_eq!(refusal(&world, &stolen), (401, "key.unusable"));
        let waited = world.verifier.verify_wait(&world.token(ISSUER, &stolen)).await.unwrap_err();
        assert_eq!(waited.code().as_str(), "key.unusable");
        assert_eq!(waited.hint(), "providers.p.distrusted_keys lists the thumbprint of this key");
        assert!(accepts(&world, &good));
        assert!(asked(&world) <= 1, "that asks nobody");
        let status = world.status("p");
        assert_eq!(status.reason, "1 key is held; 1 key is distrusted");
        let shown: Vec<_> = status.keys.iter().filter(|key| !key.usable).collect();
        let [shown] = shown[..] else { panic!("{:?}", status.keys) };
        assert_eq!(shown.thumbprint.as_deref(), Some(&*list[0]));
        assert_eq!(shown.why.as_deref(), Some("distrusted_keys lists it"));
    }
}

/// A provider with no other key can verify nothing, and its next key is picked up as soon as a token
/// names it.
#[tokio::test(start_paused = true)]
async fn a_provider_whose_only_key_is_distrusted_waits_for_the_next() {
    let (stolen, next) = (key("stolen"), key("next"));
    let provider = provider("p", ISSUER).jwks_url(KEYS).distrusted_keys([print_of(&stolen)]);
    let world = configured(provider, [publishes(&[&stolen]), publishes(&[&next])]).await;
    assert_eq!((world.state("p"), refusal(&world, &stolen)), ("cold", (401, "key.unusable")));
    assert_eq!(refusal(&world, &next), (503, "keys.unavailable"));
    assert!(world.verifier.verify_wait(&world.token(ISSUER, &next)).await.is_ok());
    assert_eq!(world.state("p"), "ready");
    // Put aside as a key that a set of strangers lacks, it is still distrusted.
    assert_eq!(refusal(&world, &stolen), (401, "key.unusable"));
}

/// The same material under another name is the same key.
#[tokio::test(start_paused = true)]
async fn a_distrusted_key_cannot_be_renamed() {
    let stolen = key("stolen");
    let mut renamed = stolen.jwk();
    renamed["kid"] = json!("new");
    let provider = provider("p", ISSUER).jwks_url(KEYS).distrusted_keys([print_of(&stolen)]);
    let world = configured(provider, [Answer::json(jwks_of([renamed]))]).await;
    let token = world.draft(ISSUER).header("kid", "new").sign(&stolen).unwrap();
    assert_eq!(world.refusal(&token), (401, "key.unusable"));
}
