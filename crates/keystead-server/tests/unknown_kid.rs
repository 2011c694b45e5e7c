//! A key that was rotated in a moment ago, and kids that nobody has, at the faces of the real program.
#![cfg(feature = "idp")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use keystead_testkit::Token;
use keystead_testkit::idp::{Idp, IdpConfig};
use support::{Answer, Server, request};

/// A provider with one realm, and the program in front of it, which has its keys.
fn started() -> (Idp, Server) {
    let idp = Idp::start(IdpConfig::new().realm("r")).unwrap();
    let server = Server::with_config(&format!(
        "log: {{format: json}}
defaults: {{unknown_kid_wait: 1m, unknown_kid_cooldown: 1h}}
providers: {{p: {{issuer: \"{}\", audiences: [app]}}}}",
        idp.issuer("r").unwrap()
    ));
    server.line(|line| line["event"] == "provider.state" && line["state"] == "ready");
    (idp, server)
}

fn mint(idp: &Idp) -> String {
    idp.mint("r", Token::new().audience("app")).unwrap()
}

fn bearer(token: &str) -> [(String, String); 1] {
    [("Authorization".to_owned(), format!("Bearer {token}"))]
}

fn forward(server: &Server, token: &str) -> Answer {
    server.get("/v1/auth/forward", &bearer(token))
}

fn verify(server: &Server, token: &str) -> Answer {
    request(server.public, "POST", "/v1/verify", &bearer(token), b"")
}

/// T12
#[test]
fn a_key_that_was_just_rotated_in_is_accepted_by_both_faces_within_one_fetch() {
    let (idp, server) = started();
    for face in [forward, verify, forward] {
        let before = idp.requests("r").unwrap().jwks;
        idp.rotate("r").unwrap();
        assert_eq!(face(&server, &mint(&idp)).status, 200);
        assert_eq!(idp.requests("r").unwrap().jwks, before + 1, "the budget was given back");
    }
    let line = server.line(|line| line["event"] == "keys.asked");
    assert_eq!(line["provider"], "p");
}

/// T12, T13
#[test]
fn made_up_kids_are_refused_with_one_fetch_for_all_of_them() {
    let (idp, server) = started();
    let good = mint(&idp);
    for kid in ["one", "two", "three"] {
        let token = idp.mint("r", Token::new().audience("app").header("kid", kid)).unwrap();
        for face in [forward, verify] {
            let answer = face(&server, &token);
            assert_eq!((answer.status, &answer.json()["code"]), (401, &"key.unknown_kid".into()));
        }
        assert_eq!(forward(&server, &good).status, 200);
    }
    assert_eq!(idp.requests("r").unwrap().jwks, 2);
}

/// What `keystead explain` says of a token of the provider.
fn explained(idp: &Idp, token: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keystead"))
        .args(["explain", "--issuer", &idp.issuer("r").unwrap(), "--audience", "app"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// Who explains asks once. What a server would do beyond that is said, where it would.
#[test]
fn an_explanation_says_who_is_asked_again_because_of_a_kid() {
    let idp = Idp::start(IdpConfig::new().realm("r")).unwrap();
    let token = |audience| Token::new().audience(audience);
    let mint = |token| explained(&idp, &idp.mint("r", token).unwrap());
    let unknown = mint(token("app").header("kid", "K"));
    assert!(unknown.contains("verdict: refused, key.unknown_kid: "), "{unknown}");
    let again = ": ready, 1 key, kid \"K\" not found, asked again by a server that gets such a token, at \
                 most once in unknown_kid_cooldown\n";
    assert!(unknown.contains(again), "{unknown}");
    // Nobody is asked for a token that no key could save, nor for one that has its key.
    for token in [token("other").header("kid", "K"), token("app")] {
        let other = mint(token);
        assert!(
            other.contains(": ready, 1 key, kid ") && !other.contains("asked again"),
            "{other}"
        );
    }
}
