//! Keys by way of provider metadata: where the document is asked for, what it may say, and what is
//! done while it cannot be had.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod common;

use common::{
    World, key, metadata, minutes, pass, provider, publishes, refused_connection, secs, soon,
    status, until,
};
use keystead::SourceErrorStatus;
use keystead::config::EndpointOrigin;
use keystead_testkit::Answer;
use serde_json::json;

const ISSUER: &str = "https://idp.example/realms/akko";
const DOCUMENT: &str = "https://idp.example/realms/akko/.well-known/openid-configuration";
const INSERTED: &str = "https://idp.example/.well-known/oauth-authorization-server/realms/akko";
const APPENDED: &str = "https://idp.example/realms/akko/.well-known/oauth-authorization-server";
const KEYS: &str = "https://idp.example/realms/akko/certs";

fn discovering() -> World {
    World::new([provider("keycloak", ISSUER)])
}

fn last_error(world: &World) -> SourceErrorStatus {
    world.status("keycloak").sources[0].last_error.clone().unwrap()
}

/// Starts the refresh with this document, and returns what is wrong with it.
async fn fault_of(document: Answer) -> (&'static str, &'static str, String) {
    let mut world = discovering();
    world.network.on(DOCUMENT, [document]);
    world.start().await;
    assert_eq!(world.requests(), 1, "nothing that it names is asked");
    assert_eq!(world.state("keycloak"), "cold");
    let error = last_error(&world);
    (error.stage, error.code, error.detail)
}

/// T20
#[tokio::test(start_paused = true)]
async fn a_document_of_another_issuer_gives_no_keys_and_says_what_to_write() {
    let (stage, code, detail) = fault_of(metadata("https://idp.internal/realms/akko", KEYS)).await;
    assert_eq!((stage, code), ("mismatch", "issuer_mismatch"));
    assert_eq!(
        detail,
        "provider metadata names issuer \"https://idp.internal/realms/akko\", configured is \
         \"https://idp.example/realms/akko\"; if both name the same realm, write \
         providers.keycloak.aliases: [\"https://idp.internal/realms/akko\"]"
    );
    for near in ["https://idp.example/realms/akko/", "https://IDP.example/realms/akko"] {
        assert_eq!(fault_of(metadata(near, KEYS)).await.1, "issuer_mismatch", "byte for byte");
    }
}

/// K11: the document was asked for in the cluster and names the internal issuer.
#[tokio::test(start_paused = true)]
async fn an_alias_is_accepted_as_the_issuer_of_the_document() {
    let (signing, internal) = (key("K"), "http://kc:8080/realms/akko");
    let document = "http://kc:8080/realms/akko/.well-known/openid-configuration";
    let certs = "http://kc:8080/realms/akko/certs";
    let configured = provider("keycloak", ISSUER).discovery_url(document);
    for (aliased, expected) in [(false, "cold"), (true, "ready")] {
        let provider = configured.clone();
        let provider = if aliased { provider.aliases([internal]) } else { provider };
        let mut world = World::new([provider]);
        world.network.on(document, [metadata(internal, certs)]);
        world.network.on(certs, [publishes(&[&signing])]);
        world.start().await;
        assert_eq!(world.state("keycloak"), expected);
        assert_eq!(world.accepts(&world.token(ISSUER, &signing)), aliased);
    }
}

/// T21, G32
#[tokio::test(start_paused = true)]
async fn the_well_known_path_is_appended_to_the_issuers_own() {
    for (issuer, expected) in [
        ("https://h.example/t/", "https://h.example/t/.well-known/openid-configuration"),
        ("https://h.example/gitlab", "https://h.example/gitlab/.well-known/openid-configuration"),
        ("https://h.example", "https://h.example/.well-known/openid-configuration"),
        ("https://h.example/", "https://h.example/.well-known/openid-configuration"),
        ("https://h.example:8443/a//", "https://h.example:8443/a/.well-known/openid-configuration"),
    ] {
        let mut world = World::new([provider("p", issuer)]);
        world.start().await;
        assert_eq!(world.network.requests(), [expected], "{issuer}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_404_and_410_lead_to_the_other_forms_and_the_one_that_worked_is_remembered() {
    for gone in [404, 410] {
        let mut world = discovering();
        world.network.on(DOCUMENT, [status(gone)]);
        world.network.on(INSERTED, [status(404)]);
        world.network.on(APPENDED, [metadata(ISSUER, KEYS)]);
        world.network.on(KEYS, [publishes(&[&key("K")])]);
        world.start().await;
        assert_eq!(world.network.requests(), [DOCUMENT, INSERTED, APPENDED, KEYS]);
        assert_eq!(world.state("keycloak"), "ready");
        world.refresh("keycloak").await.unwrap();
        assert_eq!(world.network.requests()[4..], [APPENDED, KEYS], "straight to it");

        // When it goes away, the forms are tried again from the first.
        world.network.on(APPENDED, [status(404)]);
        world.network.on(DOCUMENT, [metadata(ISSUER, KEYS)]);
        world.refresh("keycloak").await.unwrap();
        assert_eq!(world.network.requests()[6..], [APPENDED, DOCUMENT, KEYS]);
    }
}

#[tokio::test(start_paused = true)]
async fn no_other_failure_leads_to_the_other_forms() {
    for answer in [status(400), status(401), status(403), status(429), status(500), status(503)] {
        let (stage, code, _) = fault_of(answer).await;
        assert_eq!((stage, code), ("status", "status"));
    }
    assert_eq!(fault_of(refused_connection()).await.1, "connect");
    assert_eq!(fault_of(Answer::json("<html>Sign in</html>")).await.1, "login_page");
    assert_eq!(fault_of(Answer::json("[]")).await.1, "issuer_mismatch");
}

#[tokio::test(start_paused = true)]
async fn when_no_form_is_there_the_first_one_is_shown() {
    let mut world = discovering();
    for url in [DOCUMENT, INSERTED, APPENDED] {
        world.network.on(url, [status(404)]);
    }
    world.start().await;
    assert_eq!(world.network.requests(), [DOCUMENT, INSERTED, APPENDED]);
    assert_eq!((last_error(&world).stage, world.state("keycloak")), ("status", "cold"));
}

/// A document that the operator wrote has no other forms.
#[tokio::test(start_paused = true)]
async fn a_written_discovery_url_is_asked_as_it_stands() {
    let document = "https://idp.example/metadata?realm=akko";
    let mut world = World::new([provider("keycloak", ISSUER).discovery_url(document)]);
    world.network.on(document, [status(404)]);
    world.start().await;
    pass(minutes(1)).await;
    assert!(world.network.requests().iter().all(|url| url == document));
}

/// G5: the document's share of it.
#[tokio::test(start_paused = true)]
async fn a_document_without_a_usable_jwks_uri_says_what_it_has_instead() {
    let document = |jwks_uri| json!({ "issuer": ISSUER, "jwks_uri": jwks_uri }).to_string();
    for (document, detail) in [
        (json!({ "issuer": ISSUER }).to_string(), "provider metadata has no jwks_uri"),
        (document(json!("")), "provider metadata has no jwks_uri"),
        (document(json!(["https://idp.example/certs"])), "provider metadata has no jwks_uri"),
        (
            document(json!("/realms/akko/certs")),
            "jwks_uri \"/realms/akko/certs\" is not an absolute URL with a host",
        ),
        (
            document(json!("file:///etc/passwd")),
            "jwks_uri \"file:///etc/passwd\" is not an absolute URL with a host",
        ),
    ] {
        let found = fault_of(Answer::json(document)).await;
        assert_eq!(found, ("parse", "no_jwks_uri", detail.to_owned()));
    }
    let (_, code, detail) = fault_of(Answer::json("{}")).await;
    assert_eq!((code, detail.as_str()), ("issuer_mismatch", "provider metadata names no issuer"));
}

/// T23: what is judged before any name is looked up; `sockets` has the addresses.
#[tokio::test(start_paused = true)]
async fn a_document_cannot_send_us_to_plain_http_or_with_a_password() {
    for (jwks_uri, code) in [
        ("http://10.0.0.5/keys", "scheme"),
        ("http://idp.example/keys", "scheme"),
        ("ftp://idp.example/keys", "scheme"),
        ("file://idp.example/keys", "scheme"),
        ("https://user:secret@idp.example/keys", "bad_url"),
    ] {
        let (stage, found, detail) = fault_of(metadata(ISSUER, jwks_uri)).await;
        assert_eq!((stage, found), ("policy", code), "{jwks_uri}");
        assert!(!detail.contains("secret"), "{detail}");
    }
}

/// K9
#[tokio::test(start_paused = true)]
async fn a_document_with_a_public_issuer_and_an_internal_jwks_uri_is_used_as_it_is() {
    let signing = key("K");
    let document = "http://kc:8080/realms/akko/.well-known/openid-configuration";
    let certs = "http://kc:8080/realms/akko/certs";
    let mut world = World::new([provider("keycloak", ISSUER).discovery_url(document)]);
    world.network.on(document, [metadata(ISSUER, certs)]);
    world.network.on(certs, [publishes(&[&signing])]);
    world.start().await;
    assert!(world.accepts(&world.token(ISSUER, &signing)));
    assert_eq!(world.network.requests(), [document, certs]);
}

/// K10
#[tokio::test(start_paused = true)]
async fn endpoint_origin_asks_the_host_of_the_document_for_the_keys() {
    let signing = key("K");
    let document = "http://kc:8080/realms/akko/.well-known/openid-configuration?x=1";
    let public = "https://sso.example/realms/akko/certs?kind=sig#here";
    let rewritten = "http://kc:8080/realms/akko/certs?kind=sig";
    let configured = provider("keycloak", ISSUER).discovery_url(document);

    let mut world = World::new([configured.clone().endpoint_origin(EndpointOrigin::Discovery)]);
    world.network.on(document, [metadata(ISSUER, public)]);
    world.network.on(rewritten, [publishes(&[&signing])]);
    world.start().await;
    assert!(world.accepts(&world.token(ISSUER, &signing)));
    assert_eq!(world.network.requests(), [document, rewritten], "the query is kept");

    // Without it, the status says who names that address and what leads around it.
    let mut world = World::new([configured]);
    world.network.on(document, [metadata(ISSUER, public)]);
    world.start().await;
    let reason = world.status("keycloak").reason;
    for part in [
        "provider metadata names this address",
        "write providers.keycloak.jwks_url",
        "providers.keycloak.endpoint_origin: discovery",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_document_is_asked_at_most_once_an_hour() {
    let mut world = discovering();
    world.network.on(DOCUMENT, [metadata(ISSUER, KEYS)]);
    world.network.on(KEYS, [publishes(&[&key("K")])]);
    world.start().await;
    pass(minutes(59)).await;
    assert_eq!(world.network.count(DOCUMENT), 1);
    assert!((10..=14).contains(&world.network.count(KEYS)), "{}", world.network.count(KEYS));
    pass(minutes(24 * 60)).await;
    assert!(
        (22..=25).contains(&world.network.count(DOCUMENT)),
        "{}",
        world.network.count(DOCUMENT)
    );
}

#[tokio::test(start_paused = true)]
async fn while_the_document_fails_the_last_known_address_is_asked() {
    let (first, second) = (key("1"), key("2"));
    let mut world = discovering();
    world.network.on(DOCUMENT, [metadata(ISSUER, KEYS), status(500)]);
    world.network.on(KEYS, [publishes(&[&first])]);
    world.start().await;
    until(|| world.network.count(DOCUMENT) > 1).await;
    world.network.on(KEYS, [publishes(&[&first, &second])]);
    pass(minutes(6)).await;
    assert!(world.accepts(&world.token(ISSUER, &second)), "the keys rotate all the same");

    // The trouble is shown beside the keys; the provider is as fresh as its keys are.
    let status = world.status("keycloak");
    assert_eq!((status.state, status.sources[0].state), ("ready", "ready"));
    assert_eq!(last_error(&world).stage, "status");
    assert!(status.reason.starts_with("2 keys are held; discovery "), "{}", status.reason);
    // And what is asked for by hand succeeds as far as keys are had.
    assert!(world.refresh("keycloak").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn keys_that_move_are_found_within_the_hour_and_at_once_by_hand() {
    let (old, new) = (key("old"), key("new"));
    let moved = "https://idp.example/realms/akko/new-certs";
    for by_hand in [false, true] {
        let mut world = discovering();
        world.network.on(DOCUMENT, [metadata(ISSUER, KEYS), metadata(ISSUER, moved)]);
        world.network.on(KEYS, [publishes(&[&old]), status(404)]);
        world.network.on(moved, [publishes(&[&old, &new])]);
        world.start().await;
        if by_hand {
            world.refresh("keycloak").await.unwrap();
        } else {
            pass(minutes(30)).await;
            assert_eq!(world.state("keycloak"), "stale");
            assert!(world.accepts(&world.token(ISSUER, &old)), "last-known-good");
            pass(minutes(32)).await;
        }
        assert!(world.accepts(&world.token(ISSUER, &new)));
        assert_eq!(world.state("keycloak"), "ready");
    }
}

/// What discovery knows belongs to the provider, not to the task that asks.
#[tokio::test(start_paused = true)]
async fn a_restart_of_the_refresh_does_not_forget_the_address() {
    let (first, second) = (key("1"), key("2"));
    let mut world = discovering();
    world.network.on(DOCUMENT, [metadata(ISSUER, KEYS), status(500)]);
    world.network.on(KEYS, [publishes(&[&first]), publishes(&[&first, &second])]);
    world.start().await;
    world.stop().await;
    world.start().await;
    pass(minutes(6)).await;
    assert!(world.accepts(&world.token(ISSUER, &second)));
    assert_eq!(world.network.count(DOCUMENT), 1, "nor when it was asked");

    // Interrupted while the document is asked again: the address is still known.
    world.network.on(DOCUMENT, [Answer::never()]);
    let verifier = world.verifier.clone();
    let refreshing = tokio::spawn(async move { verifier.refresh("keycloak").await });
    pass(secs(1)).await;
    world.stop().await;
    assert!(soon(refreshing).await.unwrap().is_err());
    world.network.on(DOCUMENT, [status(500)]);
    let before = world.network.count(KEYS);
    world.start().await;
    assert_eq!(world.network.count(KEYS), before + 1);
    assert_eq!(world.state("keycloak"), "ready");
}
