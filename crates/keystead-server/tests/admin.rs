//! What can be asked to happen, and by whom.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod support;

use std::fs;
use std::os::unix::net::UnixStream;

use keystead_testkit::idp::{Idp, IdpConfig};
use serde_json::Value;
use support::{Answer, Server, exchange, request};

const REFRESH: &str = "/-/refresh/akko";

fn idp() -> Idp {
    Idp::start(IdpConfig::new().realm("akko")).unwrap()
}

fn start(idp: &Idp, settings: &str) -> Server {
    let issuer = idp.issuer("akko").unwrap();
    let server = Server::with_config(&format!(
        "{settings}
providers:
  akko: {{issuer: '{issuer}', audiences: any}}
  off: {{issuer: x, audiences: any, use: off}}
"
    ));
    server.line(|line| line["provider"] == "akko" && line["state"] == "ready");
    server
}

fn header(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_refresh_waits_for_the_attempt_and_shows_what_came_of_it() {
    let idp = idp();
    let server = start(&idp, "");
    let kid = idp.rotate("akko").unwrap();
    let answer = server.post_admin(REFRESH, &[]);
    assert_eq!(answer.status, 200);
    let status = answer.json();
    assert_eq!(status["state"], "ready");
    assert_eq!(status["keys"].as_array().unwrap().len(), 2);
    assert!(status["keys"].as_array().unwrap().iter().any(|key| key["kid"] == *kid));
    let documents = idp.requests("akko").unwrap();
    assert_eq!(documents.discovery, 2, "the discovery document is asked again too");

    idp.down().unwrap();
    let answer = server.post_admin(REFRESH, &[]);
    assert_eq!(answer.status, 503);
    let status = answer.json();
    assert_eq!(status["state"], "stale", "its keys stay");
    assert_eq!(status["sources"][0]["last_error"]["code"], "connect");

    let unknown = server.post_admin("/-/refresh/akkoo", &[]);
    assert_eq!(code(&unknown), (404, "request.unknown_provider".into()));
    let escaped = server.post_admin("/-/refresh/%61kko", &[]);
    assert_eq!(code(&escaped), (404, "request.unknown_provider".into()));
    let off = server.post_admin("/-/refresh/off", &[]);
    assert_eq!((off.status, &off.json()["state"]), (503, &"disabled".into()));
    assert_eq!(server.post_admin("/-/refresh/", &[]).status, 404);
    let get = server.admin(REFRESH);
    assert_eq!((get.status, get.header("Allow")), (405, Some("POST")));
    assert_eq!(request(server.public, "POST", REFRESH, &[], b"").status, 404, "not in public");
    let line = server.line(|line| line["event"] == "admin.refresh" && line["outcome"] == "failed");
    assert_eq!(line["provider"], "akko");
}

/// A page that somebody else made, in a browser on this host.
#[test]
fn a_page_in_a_browser_gets_nothing() {
    let idp = idp();
    let server = start(&idp, "");
    let asked = idp.requests("akko").unwrap();
    let page = server.post_admin(REFRESH, &header("Origin", "https://attacker.example"));
    assert_eq!(code(&page), (403, "request.origin".into()));
    let admin = server.admin.parse().unwrap();
    for path in ["/status.json", "/metrics", "/readyz", "/livez"] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: attacker.example:8081\r\nConnection: close\r\n\r\n"
        );
        let stream = std::net::TcpStream::connect::<std::net::SocketAddr>(admin).unwrap();
        let rebound = exchange(stream, head.as_bytes());
        assert_eq!(code(&rebound), (421, "request.host".into()), "{path}");
        assert!(!rebound.body.contains("akko"), "{}", rebound.body);
    }
    assert_eq!(idp.requests("akko").unwrap(), asked, "nobody was asked");
}

#[test]
fn the_token_is_asked_for_and_read_again_when_it_changes() {
    let idp = idp();
    let server = start(&idp, "admin_token_file: $FOLDER/token");
    let file = server.folder.path().join("token");
    server.line(|line| line["event"] == "admin.token_file");
    let bearer = |token: &str| header("Authorization", &format!("Bearer {token}"));
    let missing = server.post_admin(REFRESH, &bearer("first"));
    assert_eq!(code(&missing), (503, "request.token_file".into()));
    fs::write(&file, "first\n").unwrap();
    assert_eq!(server.post_admin(REFRESH, &bearer("first")).status, 200);
    let without = server.post_admin(REFRESH, &[]);
    assert_eq!(code(&without), (401, "request.unauthorized".into()));
    assert_eq!(without.header("WWW-Authenticate"), Some("Bearer realm=\"keystead admin\""));
    fs::write(&file, "second\n").unwrap();
    let old = server.post_admin(REFRESH, &bearer("first"));
    assert_eq!(code(&old), (401, "request.unauthorized".into()));
    assert!(old.header("WWW-Authenticate").unwrap().contains("error=\"invalid_token\""));
    assert!(!old.body.contains("first") && !old.body.contains("second"), "{}", old.body);
    assert_eq!(server.post_admin(REFRESH, &bearer("second")).status, 200);
    assert_eq!(server.admin("/status.json").status, 200, "reading needs none");
}

#[test]
fn from_the_network_nothing_changes_without_a_token() {
    let idp = idp();
    let server = start(&idp, "admin_listen: 0.0.0.0:0");
    let port = server.admin.rsplit(':').next().unwrap();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let answer = request(address, "POST", REFRESH, &header("Authorization", "Bearer x"), b"");
    assert_eq!(code(&answer), (403, "request.forbidden".into()));
    assert!(answer.body.contains("admin_token_file"), "it says what to set: {}", answer.body);
    assert_eq!(request(address, "GET", "/metrics", &[], b"").status, 200);
}

#[test]
fn a_unix_socket_needs_no_token() {
    let idp = idp();
    let settings = "admin_listen: unix:$FOLDER/admin.sock\nadmin_token_file: $FOLDER/none";
    let server = start(&idp, settings);
    let path = server.admin.strip_prefix("unix:").unwrap();
    let ask = format!("POST {REFRESH} HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n");
    let answer = exchange(UnixStream::connect(path).unwrap(), ask.as_bytes());
    assert_eq!(answer.status, 200);
}

const KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"test-1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const FILE: &str = "
providers:
  file: {issuer: x, audiences: any, keys_file: $FOLDER/keys.json}
";

/// What a tool sends that has renewed a key file. It would be read within 5 s in any case (that it
/// is read at once is shown in the library, on a clock that stands still): here, that the signal
/// arrives, that the process lives, and that there is one line.
#[test]
fn a_hangup_reads_key_files_again() {
    let server = Server::with_config(FILE);
    server.line(|line| line["event"] == "provider.fetch_failed");
    fs::write(server.folder.path().join("keys.json"), KEY).unwrap();
    server.signal("HUP");
    let line = server.line(|line| line["event"] == "files.reread");
    assert_eq!((&line["signal"], &line["sources"]), (&"SIGHUP".into(), &1.into()));
    server.line(|line| line["event"] == "provider.state" && line["state"] == "ready");
    assert_eq!(server.get("/readyz", &[]).status, 200);
}

/// Who is trusted from now on is written whatever the level is.
#[test]
fn a_change_of_keys_is_one_audit_line_at_any_level() {
    let idp = idp();
    let (issuer, first) = (idp.issuer("akko").unwrap(), idp.kids("akko").unwrap());
    let server = Server::with_config(&format!(
        "providers:
  akko: {{issuer: '{issuer}', audiences: any}}
"
    ));
    let audit = |lines: &[String]| -> Vec<Value> {
        let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.filter(|line| line["event"] == "keys.changed").collect()
    };
    let quiet = Server::with_log(&format!(
        "log: {{level: error}}
providers:
  akko: {{issuer: '{issuer}', audiences: any}}
"
    ));
    for server in [&server, &quiet] {
        let added = server.line(|line| line["event"] == "keys.changed");
        assert_eq!(added["target"], "keystead::audit");
        assert_eq!(added["removed"], "");
        assert_eq!(added["added"].as_str().unwrap().len(), 43, "one thumbprint");
    }
    idp.rotate("akko").unwrap();
    idp.withdraw("akko", &first[0]).unwrap();
    // None of its keys is known, so the old one stays until a second answer lacks it too.
    for _ in 0..2 {
        assert_eq!(server.post_admin(REFRESH, &[]).status, 200);
    }
    let lines = server.wait(|lines| Some(audit(lines)).filter(|audit| audit.len() == 3));
    assert_eq!(lines[2]["removed"], lines[0]["added"], "{lines:?}");
    assert_eq!(lines[1]["kept"], lines[0]["added"], "{lines:?}");
}
