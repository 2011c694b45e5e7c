//! The forward-auth endpoint of the real program.
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

const PATH: &str = "/v1/auth/forward";
const IDENTITY: [&str; 4] =
    ["X-Keystead-Subject", "X-Keystead-Issuer", "X-Keystead-Provider", "X-Keystead-Scope"];

fn authorization(value: &str) -> Vec<(String, String)> {
    vec![("Authorization".into(), value.into())]
}

#[test]
fn an_accepted_token_comes_with_its_identity_and_nothing_else() {
    let server = Server::start("");
    for method in ["GET", "HEAD", "POST"] {
        let answer = request(server.public, method, PATH, &[bearer("good")], b"");
        assert_eq!(answer.status, 200, "{method}");
        assert_eq!(answer.body, "");
        assert_eq!(answer.header("X-Keystead-Subject"), Some("user-7"));
        assert_eq!(answer.header("X-Keystead-Issuer"), Some("https://idp.test.example"));
        assert_eq!(answer.header("X-Keystead-Provider"), Some("local"));
        assert_eq!(answer.header("X-Keystead-Scope"), Some("read%20write"));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    }
}

#[test]
fn identity_headers_are_all_there_when_their_claims_are_not() {
    let server = Server::start("");
    let answer = server.forward("bare");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("X-Keystead-Subject"), Some(""));
    assert_eq!(answer.header("X-Keystead-Scope"), Some(""));
    assert_eq!(answer.header("X-Keystead-Provider"), Some("local"));
}

#[test]
fn a_claim_cannot_add_a_header_or_be_cut_into_another() {
    let server = Server::start("");
    let odd = server.forward("odd_subject");
    let subject = "J%C3%BCrgen%20100%25%0D%0AX-Admin:%20yes";
    assert_eq!(odd.header("X-Keystead-Subject"), Some(subject));
    assert_eq!(odd.header("X-Admin"), None);
    let long = server.forward("long_subject");
    assert_eq!((long.status, &long.json()["code"]), (400, &"token.too_large".into()));
    let many = server.forward("many_scopes");
    let scopes: Vec<_> = many.header("X-Keystead-Scope").unwrap().split("%20").collect();
    assert!(scopes.len() > 80 && scopes.iter().all(|scope| scope.len() == 9), "{scopes:?}");
}

/// T30, T31, T32, T35, G14, G15: what the `Authorization` header may be.
#[test]
fn what_is_wrong_with_the_header_is_told_apart() {
    let server = Server::start("");
    let code = |answer: &Answer| answer.json()["code"].as_str().unwrap().to_owned();
    let good = token("good");
    for (value, status, expected) in [
        ("Basic dTpw", 401, "auth.not_bearer"),
        ("Bearer", 401, "token.empty"),
        ("Bearer ", 401, "token.empty"),
        ("Bearer abc", 401, "token.segments"),
        ("Bearer a.b", 401, "token.segments"),
        ("Bearer a.b.c.d", 401, "token.segments"),
        ("Bearer eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d", 401, "token.encrypted"),
        (&format!("Bearer {good},Bearer {good}"), 400, "auth.several_credentials"),
    ] {
        let answer = server.get(PATH, &authorization(value));
        assert_eq!((answer.status, &*code(&answer)), (status, expected), "{value}");
        assert_eq!(answer.header("X-Keystead-Reason"), Some(expected));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        assert_eq!(answer.header("X-Keystead-Subject"), None);
    }
    let missing = server.get(PATH, &[]);
    assert_eq!((missing.status, &*code(&missing)), (401, "auth.missing"));
    assert_eq!(missing.header("WWW-Authenticate"), Some("Bearer realm=\"keystead\""));
    assert_eq!(missing.json()["fingerprint"], Value::Null);
    let opaque = server.get(PATH, &authorization("Bearer abc")).json();
    assert_eq!(opaque["error_description"], "token has 1 segment, expected 3");
    assert_eq!(opaque["fingerprint"], "ba7816bf", "of SHA-256(\"abc\")");
    let lower = server.get(PATH, &authorization(&format!("bearer {good}")));
    assert_eq!(lower.status, 200);
    let twice = server.get(PATH, &[bearer("good"), bearer("good")]);
    assert_eq!((twice.status, &*code(&twice)), (400, "auth.several_credentials"));
}

/// G6: a token of a provider whose keys could not be had cannot be judged, which is not a bad token.
#[test]
fn a_provider_without_keys_is_503_and_its_neighbour_is_served() {
    let server = Server::start("");
    let dark = server.forward("dark");
    assert_eq!((dark.status, &dark.json()["code"]), (503, &"keys.unavailable".into()));
    let wait: u64 = dark.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(dark.header("WWW-Authenticate"), None);
    assert_eq!(server.forward("good").status, 200);
}

#[test]
fn a_genuine_token_without_the_scope_is_403() {
    let server = Server::start("");
    let answer = server.forward("scoped");
    assert_eq!((answer.status, &answer.json()["code"]), (403, &"scope.insufficient".into()));
    let challenge = answer.header("WWW-Authenticate").unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
}

#[test]
fn hints_are_for_the_caller_only_when_configured() {
    let told = |settings: &str| Server::start(settings).forward("near_miss").json();
    let sentence = told("");
    let presented = "issuer \"https://idp.test.example/\" is not configured";
    assert_eq!(sentence["error_description"], presented);
    assert_eq!(sentence.get("hint"), None);
    let hint = told("refusal_detail: hint");
    assert!(hint["hint"].as_str().unwrap().contains("providers.local.aliases"), "{hint}");
    let code = told("refusal_detail: code");
    assert_eq!(code.get("error_description"), None);
    assert_eq!(code["code"], "issuer.unknown");
}

#[test]
fn an_over_long_token_gets_our_answer() {
    let server = Server::start("");
    let long = format!("Bearer {}", "a".repeat(40_000));
    let answer = server.get(PATH, &authorization(&long));
    assert_eq!((answer.status, &answer.json()["code"]), (400, &"token.too_large".into()));
}

#[test]
fn bytes_that_are_no_text_are_refused_like_any_other_token() {
    let server = Server::start("");
    let head = b"GET /v1/auth/forward HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
        Authorization: Bearer a.\xff\xfe.c\r\n\r\n";
    let answer = exchange(TcpStream::connect(server.public).unwrap(), head);
    assert_eq!((answer.status, &answer.json()["code"]), (401, &"token.base64".into()));
}

#[test]
fn neither_body_nor_query_is_looked_at() {
    let server = Server::start("");
    let good = token("good");
    let body = format!("{{\"token\":\"{good}\"}}");
    let answer = request(server.public, "POST", PATH, &[], body.as_bytes());
    assert_eq!(answer.json()["code"], "auth.missing");
    for query in ["access_token", "token", "refusal_detail=hint&x"] {
        let answer = server.get(&format!("{PATH}?{query}={good}"), &[]);
        assert_eq!(answer.status, 401, "{query}");
        assert_eq!(answer.json().get("hint"), None);
    }
    // What the client says about itself is nobody's identity.
    let forged = [bearer("bare"), ("X-Keystead-Subject".into(), "root".into())];
    assert_eq!(server.get(PATH, &forged).header("X-Keystead-Subject"), Some(""));
}

/// HTTP/1.0 without keep-alive is what nginx speaks to an `auth_request` by default.
#[test]
fn http_1_0_is_answered() {
    let server = Server::start("");
    let head = format!("GET {PATH} HTTP/1.0\r\nAuthorization: Bearer {}\r\n\r\n", token("good"));
    let answer = exchange(TcpStream::connect(server.public).unwrap(), head.as_bytes());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("X-Keystead-Subject"), Some("user-7"));
}

/// The shared request vectors, against the endpoint itself: what they say of an upstream means that
/// the answer carries none of the names that the client sent.
#[test]
fn request_vectors() {
    let (up, down) = (Server::start(""), Server::with_config(&keyless()));
    let vectors = include_str!("data/http_requests.jsonl");
    let mut ran = 0;
    for line in vectors.lines().filter(|line| !line.trim().is_empty()) {
        let vector: Value = serde_json::from_str(line).unwrap();
        let id = vector["id"].as_str().unwrap();
        let server = if id == "idp-down-no-keys" { &down } else { &up };
        let answer = send(server, &vector);
        check(id, &vector, &answer);
        ran += 1;
    }
    assert_eq!(ran, 14);
}

/// The issuer of the good token, with keys that cannot be had.
fn keyless() -> String {
    "providers:\n  local:\n    issuer: https://idp.test.example\n    \
     audiences: [keystead-tests]\n    jwks_url: http://127.0.0.1:9/certs\n"
        .to_owned()
}

fn send(server: &Server, vector: &Value) -> Answer {
    let filled = |text: &str| text.replace("$GOOD", &token("good")).replace("$BAD", &token("bad"));
    let pair = |pair: &Value| (pair[0].as_str().unwrap().into(), filled(pair[1].as_str().unwrap()));
    let headers: Vec<_> = vector["headers"].as_array().unwrap().iter().map(pair).collect();
    let path = vector["path"].as_str().unwrap();
    let path = match path.strip_prefix('/').unwrap() {
        "healthz" => path.to_owned(),
        rest => format!("{PATH}{}", filled(rest)),
    };
    request(server.public, vector["method"].as_str().unwrap(), &path, &headers, b"")
}

fn check(id: &str, vector: &Value, answer: &Answer) {
    let expect = vector["expect"].as_object().unwrap();
    for (what, wanted) in expect {
        let challenge = answer.header("WWW-Authenticate").unwrap_or_default();
        let holds = match what.as_str() {
            "status" => match wanted.as_array() {
                Some(any) => any.iter().any(|status| *status == answer.status),
                None => *wanted == answer.status,
            },
            "identity" => answer.header("X-Keystead-Subject") == Some("user-7"),
            "www_authenticate" => challenge.starts_with("Bearer ") && !challenge.contains("error"),
            "www_authenticate_error" => {
                challenge.contains(&format!("error=\"{}\"", wanted.as_str().unwrap()))
            }
            "reason" => answer.json()["code"] == "token.empty",
            "retry_after" => answer.header("Retry-After").is_some(),
            "upstream_identity" | "upstream_must_not_see" => vector["headers"]
                .as_array()
                .unwrap()
                .iter()
                .all(|header| answer.header(header[0].as_str().unwrap()).is_none()),
            "note" => true,
            _ => panic!("{id}: nobody knows what {what} means"),
        };
        assert!(holds, "{id}: {what} should be {wanted}: {answer:?}");
    }
    if answer.status != 200 {
        assert!(IDENTITY.iter().all(|name| answer.header(name).is_none()), "{id}");
    }
}
