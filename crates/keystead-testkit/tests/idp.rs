//! The provider over real sockets.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "what the tests share may fail them too"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use base64_simd::URL_SAFE_NO_PAD;
use keystead::core::Algorithm;
use keystead_testkit::idp::{
    ControlClient, ControlError, Idp, IdpConfig, IdpError, Metadata, MintRequest, RealmConfig,
    WellKnown,
};
use keystead_testkit::{ManualClock, SigningKey, Token};
use serde_json::{Value, json};

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

fn exchange(addr: SocketAddr, request: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(addr)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head["HTTP/1.1 ".len()..][..3].parse().expect("a status");
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
    Ok(Answer { status, head: head.to_ascii_lowercase(), body })
}

fn request(method: &str, addr: SocketAddr, path: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    exchange(addr, &request).unwrap()
}

fn fetch(url: &str) -> Answer {
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    request("GET", authority.parse().unwrap(), &format!("/{path}"))
}

fn is_refused(addr: SocketAddr) -> bool {
    match TcpStream::connect(addr) {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
    }
}

/// Whether the other side has closed this connection, or reset it.
fn has_ended(stream: &mut TcpStream) -> bool {
    // So that a connection that stays open fails the test instead of holding it up.
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()
}

fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&bytes(token.split('.').nth(number).unwrap())).unwrap()
}

/// Whether a key of this JWK Set made this token's signature.
fn verifies(jwks: &Value, token: &str) -> bool {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (input, signature) = (input.as_bytes(), bytes(signature));
    let header = part(token, 0);
    let Some(jwk) = jwks["keys"].as_array().unwrap().iter().find(|k| k["kid"] == header["kid"])
    else {
        return false;
    };
    assert_eq!((&jwk["use"], &jwk["alg"]), (&json!("sig"), &header["alg"]));
    let member = |name: &str| bytes(jwk[name].as_str().unwrap());
    let verified = match header["alg"].as_str().unwrap() {
        "ES256" => {
            let point = [vec![4], member("x"), member("y")].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input, &signature)
        }
        "RS256" => PublicKeyComponents { n: member("n"), e: member("e") }.verify(
            &RSA_PKCS1_2048_8192_SHA256,
            input,
            &signature,
        ),
        "EdDSA" => UnparsedPublicKey::new(&ED25519, member("x")).verify(input, &signature),
        other => panic!("unexpected algorithm {other}"),
    };
    verified.is_ok()
}

fn for_api() -> Token {
    Token::new().audience("api")
}

#[test]
fn a_minted_token_verifies_with_what_discovery_leads_to() {
    let rsa = SigningKey::fixed_rsa(0).unwrap();
    let idp = Idp::start(
        IdpConfig::new()
            .realm("ec")
            .realm(RealmConfig::new("rsa").algorithms([Algorithm::Rs256]).keys([rsa]))
            .realm(RealmConfig::new("ed").algorithms([Algorithm::EdDsa])),
    )
    .unwrap();
    let mut tokens = Vec::new();
    for (realm, alg) in [("ec", "ES256"), ("rsa", "RS256"), ("ed", "EdDSA")] {
        let metadata = fetch(&idp.discovery_url(realm).unwrap());
        assert_eq!(metadata.status, 200);
        assert!(metadata.head.contains("content-type: application/json"));
        assert_eq!(metadata.body["issuer"], idp.issuer(realm).unwrap());
        assert_eq!(metadata.body["jwks_uri"], idp.jwks_url(realm).unwrap());
        assert_eq!(metadata.body["id_token_signing_alg_values_supported"], json!([alg]));
        for required in [
            "authorization_endpoint",
            "token_endpoint",
            "response_types_supported",
            "subject_types_supported",
        ] {
            assert!(!metadata.body[required].is_null(), "{required}");
        }
        let jwks = fetch(metadata.body["jwks_uri"].as_str().unwrap()).body;
        assert_eq!(jwks, idp.jwks(realm).unwrap());
        let token = idp.mint(realm, for_api()).unwrap();
        assert_eq!(part(&token, 0)["alg"], alg);
        assert!(verifies(&jwks, &token));
        tokens.push((jwks, token));
    }
    // Each realm has keys of its own.
    assert!(!verifies(&tokens[0].0, &tokens[1].1));
}

#[test]
fn what_a_token_does_not_say_is_filled_in_by_the_clock_and_the_realm() {
    let clock = ManualClock::at(Duration::from_secs(1000));
    let config = IdpConfig::new().clock(clock.clone());
    let idp = Idp::start(config.realm(RealmConfig::new("a").issuer("https://id.example"))).unwrap();
    assert_eq!(
        part(&idp.mint("a", for_api()).unwrap(), 1),
        json!({"iss": "https://id.example", "sub": "alice", "aud": "api", "iat": 1000, "exp": 1300})
    );
    clock.advance(Duration::from_secs(5));
    let token = for_api()
        .issuer("https://alias.example")
        .expires_in(idp.now(), Duration::from_secs(10))
        .claim("scope", "read")
        .without("sub");
    assert_eq!(
        part(&idp.mint("a", token).unwrap(), 1),
        json!({"iss": "https://alias.example", "aud": "api", "iat": 1005, "exp": 1015,
            "scope": "read"})
    );
    assert!(matches!(idp.mint("a", Token::new()), Err(IdpError::NoAudience)));
    let without = part(&idp.mint("a", Token::new().without("aud")).unwrap(), 1);
    assert!(without["aud"].is_null());
}

#[test]
fn a_rotated_key_signs_from_then_on_and_the_old_one_stays_published() {
    let idp = Idp::start(IdpConfig::new().realm("a")).unwrap();
    let before = idp.mint("a", for_api()).unwrap();
    let old = idp.kids("a").unwrap();
    let new = idp.rotate("a").unwrap();
    assert_eq!(idp.kids("a").unwrap(), [new.clone(), old[0].clone()]);
    let after = idp.mint("a", for_api()).unwrap();
    assert_eq!(part(&after, 0)["kid"], new);
    let jwks = fetch(&idp.jwks_url("a").unwrap()).body;
    assert!(verifies(&jwks, &before) && verifies(&jwks, &after));

    idp.withdraw("a", &old[0]).unwrap();
    let jwks = fetch(&idp.jwks_url("a").unwrap()).body;
    assert!(!verifies(&jwks, &before) && verifies(&jwks, &after));
    assert!(matches!(idp.withdraw("a", &old[0]), Err(IdpError::UnknownKid { .. })));

    let newest = idp.recreate("a").unwrap();
    assert_eq!(idp.kids("a").unwrap(), std::slice::from_ref(&newest));
    let jwks = fetch(&idp.jwks_url("a").unwrap()).body;
    assert!(!verifies(&jwks, &after));

    idp.withdraw("a", &newest).unwrap();
    assert_eq!(fetch(&idp.jwks_url("a").unwrap()).body, json!({"keys": []}));
    assert!(matches!(idp.mint("a", for_api()), Err(IdpError::NoSigningKey { .. })));
}

#[test]
fn a_realm_with_several_algorithms_signs_with_the_one_that_is_asked_for() {
    let keys = [SigningKey::generate(Algorithm::Es256), SigningKey::fixed_rsa(0)];
    let keys = keys.map(Result::unwrap);
    let realm = RealmConfig::new("a").algorithms([Algorithm::Es256, Algorithm::EdDsa]).keys(keys);
    let idp = Idp::start(IdpConfig::new().realm(realm)).unwrap();
    let jwks = idp.jwks("a").unwrap();
    let token = idp.mint_as("a", Algorithm::Rs256, for_api()).unwrap();
    assert!(part(&token, 0)["alg"] == "RS256" && verifies(&jwks, &token));
    let missing = idp.mint_as("a", Algorithm::EdDsa, for_api()).unwrap_err();
    assert_eq!(missing.to_string(), "realm \"a\" has no key for EdDSA");

    let kid = idp.rotate("a").unwrap();
    assert_eq!(idp.kids("a").unwrap().len(), 4);
    assert_eq!(part(&idp.mint("a", for_api()).unwrap(), 0)["kid"], kid);
    let token = idp.mint_as("a", Algorithm::EdDsa, for_api()).unwrap();
    assert!(verifies(&idp.jwks("a").unwrap(), &token));

    idp.rotate_to("a", SigningKey::fixed_rsa(1).unwrap().with_kid("chosen")).unwrap();
    assert_eq!(part(&idp.mint("a", for_api()).unwrap(), 0)["kid"], "chosen");
    let secret = SigningKey::generate(Algorithm::Hs256).unwrap();
    assert!(matches!(idp.rotate_to("a", secret), Err(IdpError::SharedSecret(_))));
}

#[test]
fn a_provider_that_is_down_refuses_and_comes_back_on_the_same_port() {
    let idp = Idp::start(IdpConfig::new().realm("a")).unwrap();
    let (addr, url) = (idp.addr(), idp.jwks_url("a").unwrap());
    let jwks = fetch(&url).body;
    for _ in 0..3 {
        let mut open = TcpStream::connect(addr).unwrap();
        // Half a request, so that the provider has certainly accepted the connection.
        open.write_all(b"GET /realms/a HTTP/1.1\r\nHost: x\r\n\r\nGET ").unwrap();
        let mut first = [0; 1];
        open.read_exact(&mut first).unwrap();

        idp.down().unwrap();
        idp.down().unwrap();
        assert!(!idp.is_up() && is_refused(addr));
        assert!(has_ended(&mut open));

        idp.up().unwrap();
        idp.up().unwrap();
        assert!(idp.is_up());
        assert_eq!((idp.addr(), fetch(&url).body), (addr, jwks.clone()));
    }
}

#[test]
fn a_port_that_is_down_is_given_to_nobody_else() {
    let idp = Idp::start(IdpConfig::new().realm("a")).unwrap();
    // No SO_REUSEADDR here: that is how the kernel looks for free ports.
    let takes = || tokio::net::TcpSocket::new_v4().unwrap().bind(idp.addr());
    for _ in 0..3 {
        idp.down().unwrap();
        assert_eq!(takes().unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        idp.up().unwrap();
    }
}

#[test]
fn dropping_the_handle_ends_every_connection() {
    let idp = Idp::start(IdpConfig::new().realm("a").with_control()).unwrap();
    let mut open: Vec<TcpStream> = [idp.addr(), idp.control_addr().unwrap()]
        .into_iter()
        .map(|addr| TcpStream::connect(addr).unwrap())
        .collect();
    drop(idp);
    assert!(open.iter_mut().all(has_ended));
}

#[test]
fn somebody_elses_port_is_an_error() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = other.local_addr().unwrap();
    let error = Idp::start(IdpConfig::new().realm("a").listen(addr)).unwrap_err();
    assert!(matches!(error, IdpError::Bind { .. }));
    assert!(error.to_string().starts_with(&format!("cannot listen on {addr}: ")), "{error}");
}

#[test]
fn requests_are_counted_by_document_whatever_the_answer() {
    let idp = Idp::start(IdpConfig::new().realm("a").realm("b")).unwrap();
    assert_eq!(idp.connections(), 0);
    fetch(&idp.discovery_url("a").unwrap());
    fetch(&idp.jwks_url("a").unwrap());
    assert_eq!(request("HEAD", idp.addr(), "/realms/a/protocol/openid-connect/certs").status, 200);
    assert_eq!(request("POST", idp.addr(), "/realms/a/protocol/openid-connect/certs").status, 405);
    assert_eq!(request("GET", idp.addr(), "/realms/a/protocol/openid-connect/token").status, 404);
    assert_eq!(request("GET", idp.addr(), "/realms/c/protocol/openid-connect/certs").status, 404);
    let seen = idp.requests("a").unwrap();
    assert_eq!((seen.discovery, seen.jwks, seen.other), (1, 3, 1));
    assert_eq!(idp.requests("b").unwrap(), keystead_testkit::idp::Requests::default());
    assert_eq!(idp.connections(), 6);
}

#[test]
fn metadata_can_be_wrong_and_elsewhere() {
    let realm = |name: &str, form| RealmConfig::new(name).well_known(form);
    let idp = Idp::start(
        IdpConfig::new()
            .realm(realm("oidc", WellKnown::Oidc))
            .realm(realm("oauth", WellKnown::Oauth))
            .realm(realm("appended", WellKnown::OauthAppended))
            .realm(realm("both", WellKnown::Both).cache_control("public, max-age=600")),
    )
    .unwrap();
    for (realm, statuses) in [
        ("oidc", [200, 404, 404]),
        ("oauth", [404, 200, 404]),
        ("appended", [404, 404, 200]),
        ("both", [200, 200, 404]),
    ] {
        let paths = [
            format!("/realms/{realm}/.well-known/openid-configuration"),
            format!("/.well-known/oauth-authorization-server/realms/{realm}"),
            format!("/realms/{realm}/.well-known/oauth-authorization-server"),
        ];
        assert_eq!(paths.map(|path| request("GET", idp.addr(), &path).status), statuses);
        assert_eq!(idp.requests(realm).unwrap().discovery, 3);
    }
    assert!(
        fetch(&idp.jwks_url("both").unwrap()).head.contains("cache-control: public, max-age=600")
    );
    assert!(!fetch(&idp.jwks_url("oidc").unwrap()).head.contains("cache-control"));

    let url = idp.discovery_url("oidc").unwrap();
    let says = |metadata: Metadata| {
        idp.set_metadata("oidc", metadata).unwrap();
        fetch(&url)
    };
    let answer = says(Metadata::default().issuer("https://other.example").jwks_uri("no URL"));
    assert_eq!(
        (&answer.body["issuer"], &answer.body["jwks_uri"]),
        (&json!("https://other.example"), &json!("no URL"))
    );
    assert_eq!(part(&idp.mint("oidc", for_api()).unwrap(), 1)["iss"], idp.issuer("oidc").unwrap());
    assert!(says(Metadata::default().without_jwks_uri()).body.get("jwks_uri").is_none());
    assert_eq!(says(Metadata::default().status(503)).status, 503);
    assert_eq!(says(Metadata::default()).body["issuer"], idp.issuer("oidc").unwrap());
    for status in [0, 100, 1000] {
        let error = idp.set_metadata("oidc", Metadata::default().status(status)).unwrap_err();
        assert!(matches!(error, IdpError::Status(_)));
    }
}

#[test]
fn a_configuration_that_cannot_work_does_not_start() {
    let starts = |config: IdpConfig| Idp::start(config).unwrap_err().code();
    let anywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    assert_eq!(starts(IdpConfig::new()), "no_realm");
    assert_eq!(starts(IdpConfig::new().realm("a").realm("a")), "realm_twice");
    for name in ["", "a/b", "..", "a b", "ä", "a?b"] {
        assert_eq!(starts(IdpConfig::new().realm(name)), "realm_name", "{name:?}");
    }
    assert_eq!(starts(IdpConfig::new().realm("a").listen(anywhere)), "not_loopback");
    assert_eq!(starts(IdpConfig::new().realm("a").control(anywhere)), "not_loopback");
    let realm = || RealmConfig::new("a");
    assert_eq!(starts(IdpConfig::new().realm(realm().algorithms([]))), "no_algorithm");
    let secret = realm().algorithms([Algorithm::Hs256]);
    assert_eq!(starts(IdpConfig::new().realm(secret)), "shared_secret");
    assert_eq!(starts(IdpConfig::new().realm(realm().cache_control("a\r\nb: c"))), "cache_control");
    let metadata = Metadata::default().status(99);
    assert_eq!(starts(IdpConfig::new().realm(realm().metadata(metadata))), "status");
}

#[test]
fn the_control_endpoint_does_what_the_handle_does_and_outlives_an_outage() {
    let config = IdpConfig::new().realm("a").with_control();
    let idp = Idp::start(config.clock(ManualClock::at(Duration::from_secs(1000)))).unwrap();
    let control = ControlClient::new(idp.control_addr().unwrap());
    let first = idp.kids("a").unwrap().remove(0);

    let mut asked = MintRequest::new("api");
    asked.subject = Some("bob".to_owned());
    asked.ttl = Some(-60);
    asked.claims.insert("roles".to_owned(), json!(["admin"]));
    let token = control.mint(&asked).unwrap();
    let claims = part(&token, 1);
    assert!(verifies(&idp.jwks("a").unwrap(), &token));
    assert_eq!(
        claims,
        json!({"iss": idp.issuer("a").unwrap(), "sub": "bob", "aud": "api", "iat": 1000,
            "exp": 940, "roles": ["admin"]})
    );

    let second = control.rotate(Some("a")).unwrap();
    assert_eq!(idp.kids("a").unwrap(), [second.clone(), first.clone()]);
    control.withdraw(None, &first).unwrap();

    control.down().unwrap();
    assert!(!idp.is_up() && is_refused(idp.addr()));
    let state = control.state().unwrap();
    assert_eq!((&state["up"], &state["listen"]), (&json!(false), &json!(idp.addr().to_string())));
    control.up().unwrap();
    fetch(&idp.jwks_url("a").unwrap());
    assert_eq!(
        control.state().unwrap(),
        json!({"up": true, "listen": idp.addr().to_string(), "realms": {"a": {
            "issuer": idp.issuer("a").unwrap(),
            "discovery_url": idp.discovery_url("a").unwrap(),
            "jwks_url": idp.jwks_url("a").unwrap(),
            "keys": [{"kid": second, "alg": "ES256"}],
            "requests": {"discovery": 0, "jwks": 1, "other": 0},
            "conditional": 0,
        }}, "orders": [], "served": {}})
    );
}

#[test]
fn a_control_request_that_cannot_be_done_is_refused_in_words() {
    let idp = Idp::start(IdpConfig::new().realm("a").realm("b").with_control()).unwrap();
    let addr = idp.control_addr().unwrap();
    let post = |path: &str, body: &str| {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n");
        exchange(addr, &format!("{head}Content-Length: {length}\r\n\r\n{body}")).unwrap()
    };
    for (path, body, error) in [
        ("/mint", r#"{"realm": "a"}"#, "no_audience"),
        ("/mint", r#"{"aud": "x"}"#, "which_realm"),
        ("/mint", r#"{"realm": "c", "aud": "x"}"#, "unknown_realm"),
        ("/mint", r#"{"realm": "a", "aud": "x", "alg": "ES384"}"#, "no_signing_key"),
        ("/mint", r#"{"realm": "a", "aud": "x", "alg": "none"}"#, "mint"),
        ("/mint", r#"{"realm": "a", "audience": "x"}"#, "bad_request"),
        ("/mint", "[]", "bad_request"),
        ("/mint", "{", "bad_request"),
        ("/mint", &format!("\"{}\"", "x".repeat(300_000)), "bad_request"),
        ("/rotate", "", "which_realm"),
        ("/rotate", r#"{"kid": "x"}"#, "bad_request"),
        ("/withdraw", r#"{"realm": "a"}"#, "bad_request"),
        ("/withdraw", r#"{"realm": "a", "kid": "x"}"#, "unknown_kid"),
        ("/down", r#"{"realm": "a"}"#, "bad_request"),
    ] {
        let answer = post(path, body);
        assert_eq!((answer.status, &answer.body["error"]), (400, &json!(error)), "{path} {body}");
        assert!(answer.body["error_description"].is_string());
    }
    assert_eq!(post("/reboot", "").status, 404);
    assert_eq!(request("GET", addr, "/down").status, 405);
    assert_eq!(post("/state", "").status, 405);
    assert!(idp.is_up());

    let mut asked = MintRequest::new("x");
    asked.realm = Some("c".to_owned());
    let error = ControlClient::new(addr).mint(&asked).unwrap_err();
    assert_eq!(error.to_string(), "there is no realm \"c\"; there is \"a\", \"b\"");
    // A provider is not a control endpoint.
    let error = ControlClient::new(idp.addr()).state().unwrap_err();
    assert!(matches!(error, ControlError::Refused { status: 404, .. }));
    idp.down().unwrap();
    let error = ControlClient::new(idp.addr()).state().unwrap_err();
    assert!(matches!(error, ControlError::Unreachable { .. }));
}

#[test]
fn the_control_endpoint_is_not_for_web_pages() {
    let idp = Idp::start(IdpConfig::new().realm("a").with_control()).unwrap();
    let addr = idp.control_addr().unwrap();
    for headers in [
        "Host: rebound.example",
        "Host: localhost\r\nOrigin: https://page.example",
        "Host: localhost\r\nOrigin: null",
    ] {
        let request = format!("POST /down HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
        assert_eq!(exchange(addr, &request).unwrap().status, 403, "{headers}");
    }
    assert!(idp.is_up());
    let request = "POST /down HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(addr, request).unwrap().status, 200);
    assert!(!idp.is_up());
}

#[tokio::test(start_paused = true)]
async fn the_handle_works_inside_a_paused_runtime() {
    let idp = Idp::start(IdpConfig::new().realm("a")).unwrap();
    idp.down().unwrap();
    assert!(is_refused(idp.addr()));
    idp.up().unwrap();
    assert_eq!(fetch(&idp.jwks_url("a").unwrap()).status, 200);
}
