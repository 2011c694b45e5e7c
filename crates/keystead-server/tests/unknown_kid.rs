//! A key that was rotated in a moment ago, and kids that nobody has, at the faces of the real program.
#![cfg(feature = "idp")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod support;

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
