//! The verify endpoint of the real program.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod support;

use std::net::TcpStream;

use serde_json::Value;
use support::{Answer, Server, bearer, exchange, request, token};

fn post(server: &Server, headers: &[(String, String)], body: &str) -> Answer {
    request(server.public, "POST", "/v1/verify", headers, body.as_bytes())
}

fn in_body(token: &str) -> String {
    format!("{{\"token\":\"{token}\"}}")
}

#[test]
fn a_token_is_verified_wherever_it_is_presented() {
    let server = Server::start("");
    let answer = post(&server, &[bearer("good")], "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(post(&server, &[], &in_body(&token("good"))).body, answer.body);
    assert_eq!(post(&server, &[bearer("good")], "{}").body, answer.body);
    let said = answer.json();
    assert_eq!(said["provider"], "local");
    assert_eq!(said["issuer"], "https://idp.test.example");
    assert_eq!(said["kid"], "test-1");
    assert_eq!(said["freshness"], "fresh");
    assert!(said["key_origin"].as_str().unwrap().contains("keys"), "{said}");
    assert_eq!(said["claims"]["sub"], "user-7");
    assert_eq!(said.as_object().unwrap().len(), 6);
}

#[test]
fn claims_are_those_of_the_token_digit_for_digit() {
    let server = Server::start("");
    let answer = post(&server, &[bearer("good")], "");
    let claims = r#""claims":{"iss":"https://idp.test.example","aud":"keystead-tests","exp":4102444800,"sub":"user-7","scope":"read write","n":12345678901234567890,"r":1.10}}"#;
    assert!(answer.body.ends_with(claims), "{}", answer.body);
}

#[test]
fn two_credentials_are_one_too_many() {
    let server = Server::start("");
    for authorization in [bearer("good"), ("Authorization".into(), "Basic dTpw".into())] {
        let answer = post(&server, &[authorization], &in_body(&token("good")));
        assert_eq!((answer.status, code(&answer)), (400, "auth.several_credentials".into()));
    }
}

#[test]
fn refusals_are_those_of_the_table() {
    let server = Server::start("");
    for (body, status, expected) in [
        (String::new(), 401, "auth.missing"),
        (in_body(""), 401, "token.empty"),
        (in_body("abc"), 401, "token.segments"),
        (in_body(&token("bad")), 401, "signature.invalid"),
        (in_body(&token("expired")), 401, "token.expired"),
        (in_body(&token("unknown_kid")), 401, "key.unknown_kid"),
        (in_body(&token("dark")), 503, "keys.unavailable"),
        (in_body(&token("scoped")), 403, "scope.insufficient"),
        (in_body(&"a".repeat(20_000)), 400, "token.too_large"),
    ] {
        let answer = post(&server, &[], &body);
        assert_eq!((answer.status, &*code(&answer)), (status, expected));
        assert_eq!(answer.header("Retry-After").is_some(), status == 503);
    }
}

#[test]
fn a_body_that_is_not_understood_is_refused_with_the_place() {
    let server = Server::start("");
    let good = token("good");
    for (body, sentence) in [
        (format!("token={good}"), "the body cannot be read: not JSON at byte 0"),
        (format!("{{\"tokn\":\"{good}\"}}"), "the body has a member \"tokn\""),
        (format!("{{\"token\":\"{good}\",\"x\":1}}"), "the body has a member \"x\""),
        (format!("{{\"token\":[\"{good}\"]}}"), "member \"token\" of the body is an array"),
        (format!("{{\"token\":\"{good}\",\"token\":\"{good}\"}}"), "appears twice"),
        (format!("[\"{good}\"]"), "the body is an array"),
    ] {
        for headers in [&[][..], &[bearer("good")][..]] {
            let answer = post(&server, headers, &body);
            assert_eq!((answer.status, code(&answer)), (400, "request.body".into()), "{body}");
            let told = answer.json()["error_description"].as_str().unwrap().to_owned();
            assert!(told.contains(sentence), "{told}");
        }
    }
}

#[test]
fn a_body_over_the_limit_is_413_whether_its_length_is_announced_or_not() {
    let server = Server::start("limits:\n  body: 1KiB");
    let announced = "POST /v1/verify HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
                     Expect: 100-continue\r\nContent-Length: 1025\r\n\r\n";
    let chunk = "x".repeat(1025);
    let chunked = format!(
        "POST /v1/verify HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n401\r\n{chunk}\r\n0\r\n\r\n"
    );
    for bytes in [announced, &*chunked] {
        let answer = exchange(TcpStream::connect(server.public).unwrap(), bytes.as_bytes());
        assert_eq!((answer.status, code(&answer)), (413, "request.body_too_large".into()));
    }
    let fits = format!("{}{}", in_body("abc"), " ".repeat(1024 - in_body("abc").len()));
    assert_eq!(post(&server, &[], &fits).status, 401);
}

#[test]
fn only_post_is_answered() {
    let server = Server::start("");
    let answer = server.get("/v1/verify", &[bearer("good")]);
    assert_eq!((answer.status, answer.header("Allow")), (405, Some("POST")));
}

fn code(answer: &Answer) -> String {
    answer.json().get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
}
