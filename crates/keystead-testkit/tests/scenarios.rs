//! The rows of `fetch_scenarios.jsonl` on the wire. What must hold of whoever fetches is for the tests
//! of the library and of the program.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "what the tests share may fail them too"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use keystead_testkit::ManualClock;
use keystead_testkit::idp::{DEFAULT_REALM, Fault, Idp, IdpConfig};
use keystead_testkit::scenario::{Play, Scenario, SourceKind};
use serde_json::Value;

fn play(id: &str) -> Play {
    Scenario::named(id).unwrap().play().unwrap()
}

/// Status, head and body of what is at this URL.
fn fetch(url: &str) -> (u16, String, String) {
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority.parse::<SocketAddr>().unwrap()).unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: idp\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
}

fn jwks(play: &Play) -> (u16, String, String) {
    fetch(play.jwks_url().unwrap())
}

fn right_jwks(idp: &Idp) -> String {
    idp.jwks(DEFAULT_REALM).unwrap().to_string()
}

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()).unwrap()
}

#[test]
fn every_row_can_be_played_and_has_a_token() {
    for row in Scenario::all().unwrap() {
        let play = row.play().unwrap();
        let claims = payload(&play.token("api").unwrap());
        assert_eq!(claims["aud"], "api");
        if row.issuer.is_none() && row.source != SourceKind::InProcess {
            assert_eq!(claims["iss"], play.issuer(), "{}", row.id);
        }
        assert_eq!(play.jwks_url().is_some(), row.source == SourceKind::JwksUrl);
        assert!(row.expect.is_object() && !row.class.is_empty() && !row.reference.is_empty());
    }
}

#[test]
fn the_last_answer_of_a_document_stays() {
    let play = play("discovery-502-then-ok");
    let idp = play.idp();
    let url = idp.discovery_url(DEFAULT_REALM).unwrap();
    let statuses = [fetch(&url).0, fetch(&url).0, fetch(&url).0];
    assert_eq!(statuses, [502, 200, 200]);
    let document: Value = serde_json::from_str(&fetch(&url).2).unwrap();
    assert_eq!(document, idp.discovery(DEFAULT_REALM).unwrap());
    assert_eq!(document["jwks_uri"], idp.jwks_url(DEFAULT_REALM).unwrap());
    assert_eq!(play.issuer(), idp.issuer(DEFAULT_REALM).unwrap());
    assert_eq!(fetch(document["jwks_uri"].as_str().unwrap()).2, right_jwks(idp));
}

#[test]
fn bodies_are_what_the_rows_say() {
    let html = play("refresh-html-200");
    assert_eq!(jwks(&html).2, right_jwks(html.idp()));
    for _ in 0..2 {
        let (status, head, body) = jwks(&html);
        assert_eq!((status, body.as_str()), (200, "<html>captive portal</html>"));
        assert!(head.contains("\r\ncontent-type: text/html\r\n"));
    }
    let truncated = play("refresh-truncated-json");
    jwks(&truncated);
    assert_eq!(jwks(&truncated).2, r#"{"keys":[{"kty":"RSA","#);
    let oversized = play("jwks-oversized");
    assert_eq!(jwks(&oversized).2.len(), 50_000_000);

    let other = play("discovery-issuer-mismatch");
    let url = other.idp().discovery_url(DEFAULT_REALM).unwrap();
    let document: Value = serde_json::from_str(&fetch(&url).2).unwrap();
    assert_eq!(document["issuer"], "https://other.example/realms/x");
    assert_eq!(document["jwks_uri"], other.idp().jwks_url(DEFAULT_REALM).unwrap());
}

#[test]
fn a_rotation_brings_the_new_key_with_the_second_answer() {
    let play = play("rotation-new-kid");
    let kid = |token: &str| {
        let head = token.split('.').next().unwrap();
        let head = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(head).unwrap();
        serde_json::from_slice::<Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let (old, new) = (play.token("api").unwrap(), play.token_of_new_key("api").unwrap());
    let published = |body: &str| {
        let set: Value = serde_json::from_str(body).unwrap();
        let keys = set["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(published(&jwks(&play).2), [kid(&old)]);
    assert_eq!(published(&jwks(&play).2), [kid(&new), kid(&old)]);
}

#[test]
fn what_is_configured_is_what_is_written() {
    let refused = play("boot-all-down");
    let error = TcpStream::connect(refused.idp().addr()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(play("boot-empty-url").issuer(), "");
    assert_eq!(play("boot-invalid-url").jwks_url(), Some("abc"));

    let alias = play("issuer-alias-jwks-url");
    assert_eq!(alias.issuer(), "https://public.example/realms/x");
    assert_eq!(payload(&alias.token("api").unwrap())["iss"], alias.issuer());
    assert_eq!(jwks(&alias).2, right_jwks(alias.idp()));

    let local = play("local-keys-no-network");
    assert_eq!((local.source(), local.jwks_url()), (SourceKind::InProcess, None));
    assert_eq!(local.issuer(), "https://idp.invalid/realms/demo");
    assert_eq!(local.jwks(), local.idp().jwks(DEFAULT_REALM).unwrap());
}

#[test]
fn a_downgrade_is_from_https_to_a_second_provider() {
    let play = play("redirect-http-downgrade");
    assert!(play.jwks_url().unwrap().starts_with("https://") && play.idp().ca_pem().is_some());
    let second = play.second().unwrap();
    assert_eq!(second.connections(), 0);
    let order = play.idp().orders().remove(0);
    let port = second.addr().port();
    assert!(format!("{order:?}").contains(&format!("http://127.0.0.1:{port}/jwks")), "{order:?}");
}

#[test]
fn a_304_follows_its_etag() {
    let play = play("no-jwks-in-response-304");
    let (status, head, body) = jwks(&play);
    assert!(status == 200 && head.contains("\r\netag: \"a\"\r\n"), "{head}");
    assert_eq!(body, right_jwks(play.idp()));
    let (status, _, body) = jwks(&play);
    assert_eq!((status, body.as_str()), (304, ""));
}

#[test]
fn a_row_follows_the_clock_that_it_is_given() {
    let clock = ManualClock::at(Duration::from_secs(1000));
    let row = Scenario::named("jwks-slowloris").unwrap();
    let play = row.play_with(IdpConfig::new().clock(clock)).unwrap();
    assert_eq!(payload(&play.token("api").unwrap())["exp"], 4600);
    assert_eq!(play.idp().orders().len(), 1);
    assert_eq!(play.idp().served(Fault::SlowDrip).jwks, 0);
}
