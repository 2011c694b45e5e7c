//! Starting, health, status and limits of the real program.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use support::{Server, bearer, exchange, request, run_to_end, token};

/// G10: with no key of anybody, the process is up and says that it is not ready, and why.
#[test]
fn without_any_key_it_lives_and_is_not_ready() {
    let server = Server::with_config(
        "
providers:
  dark:
    issuer: https://dark.test.example
    audiences: [keystead-tests]
    jwks_url: http://127.0.0.1:9/certs
  unset:
    issuer:
    audiences: [keystead-tests]
",
    );
    for path in ["/livez", "/healthz"] {
        assert_eq!(server.get(path, &[]).status, 200);
        assert_eq!(server.admin(path).status, 200);
    }
    let public = server.get("/readyz", &[]);
    assert_eq!((public.status, &*public.body), (503, "not ready\n"));
    let admin = server.admin("/readyz");
    assert_eq!(admin.status, 503);
    let lines: Vec<_> = admin.body.lines().collect();
    assert_eq!(lines[0], "not ready: no provider can verify");
    assert!(lines[1].starts_with("dark cold: no usable key is held"), "{lines:?}");
    assert!(lines[2].starts_with("unset disabled: "), "{lines:?}");
    assert_eq!(server.forward("dark").status, 503, "never 500");
}

#[test]
fn one_provider_that_can_verify_is_enough() {
    let server = Server::start("");
    let public = server.get("/readyz", &[]);
    assert_eq!((public.status, &*public.body), (200, "ok\n"));
    assert_eq!(public.header("Cache-Control"), Some("no-store"));
    let admin = server.admin("/readyz");
    assert_eq!((admin.status, &*admin.body), (200, "ok\n"));
    let admin = server.admin("/readyz?verbose");
    assert_eq!(admin.status, 200);
    assert!(admin.body.contains("\nlocal ready: 1 key is held\n"), "{}", admin.body);
    let head = request(server.public, "HEAD", "/readyz", &[], b"");
    assert_eq!((head.status, head.header("Content-Length"), &*head.body), (200, Some("3"), ""));
}

/// G3: a mistake inside one provider disables that provider alone, in one line.
#[test]
fn a_mistake_in_one_provider_is_a_line_and_the_others_serve() {
    let server = Server::start("log: {decisions: none}\ndefaults: {}");
    assert_eq!(server.forward("good").status, 200);
    let broken = Server::with_config(&format!(
        "providers:{}\n  abc:\n    issuer: abc\n    audiences: [x]\n    jwks_url: abc\n",
        support::PROVIDERS
    ));
    let problem = broken.line(|line| line["event"] == "config.problem");
    assert_eq!(problem["path"], "providers.abc.jwks_url");
    assert!(problem["origin"].as_str().unwrap().contains("keystead.yaml:"), "{problem}");
    assert_eq!(broken.forward("good").status, 200);
    let status = broken.admin("/status.json").json();
    assert_eq!(status["providers"]["abc"]["state"], "disabled");
}

#[test]
fn the_status_is_on_the_admin_listener_only() {
    let server = Server::start("");
    let status = server.admin("/status.json");
    assert_eq!(status.status, 200);
    assert_eq!(status.header("Content-Type"), Some("application/json"));
    assert_eq!(status.header("Cache-Control"), Some("no-store"));
    let said = status.json();
    assert_eq!(said["state"], "stale");
    assert_eq!(said["providers"]["local"]["keys"][0]["kid"], "test-1");
    assert_eq!(said["providers"]["dark"]["state"], "cold");
    let admin = server.admin.parse().unwrap();
    let head = request(admin, "HEAD", "/status.json", &[], b"");
    assert_eq!((head.status, &*head.body), (200, ""));
    assert!(head.header("Content-Length").is_some());
    let post = request(admin, "POST", "/status.json", &[], b"");
    assert_eq!((post.status, post.header("Allow")), (405, Some("GET, HEAD")));
    let public = server.get("/status.json", &[]);
    assert_eq!((public.status, &public.json()["code"]), (404, &"request.not_found".into()));
    let decision = server.admin("/v1/auth/forward");
    assert_eq!((decision.status, &decision.json()["code"]), (404, &"request.not_found".into()));
}

#[test]
fn the_admin_listener_may_be_a_unix_socket() {
    let server = Server::start("admin_listen: unix:$FOLDER/admin.sock");
    let path = server.admin.strip_prefix("unix:").unwrap();
    let ask = b"GET /readyz?verbose HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let answer = exchange(UnixStream::connect(path).unwrap(), ask);
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("local ready"), "{}", answer.body);
}

#[test]
fn an_address_that_is_taken_ends_it_with_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for listener in ["listen", "admin_listen"] {
        let (status, log) =
            run_to_end(&format!("{listener}: {address}\nproviders:{}", support::PROVIDERS));
        assert_eq!(status.code(), Some(1));
        let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(line["event"], "server.bind_failed");
        let sentence = format!("cannot listen at {address} ({listener}): it is in use already");
        assert_eq!(line["message"], *sentence);
    }
}

/// hyper's own limit for heads of HTTP/2 is 16 KiB, as that of tokens is: a token that is longer
/// than it may be must still get our answer.
#[test]
fn http2_with_prior_knowledge_is_spoken_and_has_room_for_long_heads() {
    let server = Server::start("");
    // The static table of HPACK has these statuses (RFC 7541 appendix A).
    let (ok, bad_request) = (0x88, 0x8c);
    let status = |token: &str| {
        let mut stream = TcpStream::connect(server.public).unwrap();
        stream.write_all(&http2_request("/v1/auth/forward", token)).unwrap();
        first_header(&mut stream)
    };
    assert_eq!(status(&token("good")), ok);
    assert_eq!(status(&"a".repeat(40_000)), bad_request);
}

/// A whole connection of HTTP/2 with one GET in it (RFC 9113 sections 3.4, 4.1 and 6.2).
fn http2_request(path: &str, token: &str) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // `:method: GET` and `:scheme: http` by their index, the rest as literals (RFC 7541 section 6).
    let mut block = vec![0x82, 0x86];
    let token = format!("Bearer {token}");
    for (name, value) in [(":path", path), (":authority", "test"), ("authorization", &token)] {
        block.push(0);
        for text in [name, value] {
            hpack_length(text.len(), &mut block);
            block.extend(text.as_bytes());
        }
    }
    let pieces: Vec<_> = block.chunks(16_384).collect();
    for (at, piece) in pieces.iter().enumerate() {
        bytes.extend(&u32::try_from(piece.len()).unwrap().to_be_bytes()[1..]);
        // HEADERS with END_STREAM, then CONTINUATION; the last one with END_HEADERS.
        let (kind, end_stream) = if at == 0 { (1, 1) } else { (9, 0) };
        let end_headers = if at + 1 == pieces.len() { 4 } else { 0 };
        bytes.extend([kind, end_stream | end_headers, 0, 0, 0, 1]);
        bytes.extend(*piece);
    }
    bytes
}

fn hpack_length(length: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = length.checked_sub(127) else {
        return block.push(u8::try_from(length).unwrap());
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// The first byte of the first HEADERS that comes.
fn first_header(stream: &mut TcpStream) -> u8 {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let mut payload = vec![0; usize::from(head[1]) * 256 + usize::from(head[2])];
        stream.read_exact(&mut payload).unwrap();
        if head[3] == 1 {
            return payload[0];
        }
    }
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let server = Server::start("");
    let mut stream = TcpStream::connect(server.public).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..3 {
        let head = format!(
            "GET /v1/auth/forward HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\n\r\n",
            token("good")
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            lines.push(line);
        }
        assert_eq!(lines[0], "HTTP/1.1 200 OK\r\n");
    }
}

/// At the limit the next connection waits in the system's queue; it is served when one ends.
#[test]
fn connections_are_bounded() {
    const ASK: &[u8] = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n";
    let server = Server::start("limits:\n  connections: 1");
    let mut first = TcpStream::connect(server.public).unwrap();
    // It is accepted and answered, so that it holds the only place.
    answered(&mut first, ASK);
    let mut second = TcpStream::connect(server.public).unwrap();
    second.write_all(ASK).unwrap();
    // The server is well meanwhile: it had time to serve the second if it wanted to.
    for _ in 0..200 {
        answered(&mut first, ASK);
        assert_eq!(server.admin("/livez").status, 200, "the admin listener has its own places");
    }
    second.set_nonblocking(true).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    second.set_nonblocking(false).unwrap();
    drop(first);
    second.read_exact(&mut [0; 12]).unwrap();
}

/// Asks for `/livez` once over a connection that is kept.
fn answered(stream: &mut TcpStream, ask: &[u8]) {
    stream.write_all(ask).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
}

#[test]
fn a_head_that_is_too_long_is_not_read_for_ever() {
    let server = Server::start("");
    let long = ("X-Long".to_owned(), "x".repeat(100_000));
    assert_eq!(server.get("/livez", &[long]).status, 431);
    assert_eq!(server.get("/v1/auth/forward", &[bearer("good")]).status, 200);
}
