//! `HyperFetch` against real sockets, and against servers that misbehave byte by byte.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod authority;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use authority::Authority;
use keystead::http::{
    Document, Fetch, FetchCode, FetchError, FetchRequest, FetchRules, HyperFetch, Reply, Stage,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// What a server does after its answer.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Hold,
}

/// A server for one connection: it returns the request it read.
struct Server {
    port: u16,
    request: JoinHandle<String>,
}

impl Server {
    async fn answering(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let request = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            converse(stream, &answer, then).await
        });
        Self { port, request }
    }

    async fn answering_over_tls(tls: TlsAcceptor, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let request = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            match tls.accept(stream).await {
                Ok(stream) => converse(stream, answer.as_bytes(), Then::Close).await,
                Err(error) => error.to_string(),
            }
        });
        Self { port, request }
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
    then: Then,
) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    // The client may hang up as soon as it has seen enough.
    let _hung_up = stream.write_all(answer).await;
    let _hung_up = stream.flush().await;
    if matches!(then, Then::Hold) {
        // Until the client hangs up.
        let _hung_up = stream.read(&mut [0]).await;
    }
    String::from_utf8(request).unwrap()
}

fn rules(url: &Url) -> FetchRules {
    let mut rules = FetchRules::default();
    rules.operator_origins = vec![url.origin()];
    rules
}

async fn fetch_with(
    client: &HyperFetch,
    url: &Url,
    rules: FetchRules,
) -> Result<Document, FetchError> {
    let request = FetchRequest::new(url.clone(), "application/json", Arc::new(rules));
    client.fetch(request).await?.into_document(url)
}

/// Fetches what a server of its own answers.
async fn fetched(answer: impl Into<Vec<u8>>, then: Then) -> Result<Document, FetchError> {
    let server = Server::answering(answer, then).await;
    let url = server.url("/keys");
    fetch_with(&HyperFetch::new(), &url, rules(&url)).await
}

async fn failure(answer: impl Into<Vec<u8>>) -> FetchError {
    fetched(answer, Then::Close).await.unwrap_err()
}

fn said(error: &FetchError) -> (Stage, FetchCode) {
    (error.stage, error.code)
}

#[tokio::test]
async fn a_document_comes_with_its_type_and_its_lifetime() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                  Cache-Control: public, max-age=300\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}";
    let server = Server::answering(answer, Then::Close).await;
    let url = server.url("/realms/a/keys?p=x#ignored");
    let document = fetch_with(&HyperFetch::new(), &url, rules(&url)).await.unwrap();
    assert_eq!(document.body, "{\"keys\":[]}");
    assert_eq!(document.content_type.as_deref(), Some("application/json"));
    assert_eq!(document.max_age, Some(Duration::from_secs(300)));

    let request = server.request.await.unwrap().to_ascii_lowercase();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        request,
        format!(
            "get /realms/a/keys?p=x http/1.1\r\nhost: 127.0.0.1:{}\r\naccept: application/json\r\n\
             accept-encoding: identity\r\nuser-agent: keystead/{version}\r\n\
             connection: close\r\n\r\n",
            server.port
        )
    );
}

#[tokio::test]
async fn bodies_may_be_chunked_or_end_with_the_connection() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nT: t\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\nContent-Encoding: Identity\r\n\r\n{}",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let document = fetched(answer, Then::Close).await.unwrap();
        assert_eq!((&document.body[..], document.content_type), (&b"{}"[..], None), "{answer}");
    }
}

#[tokio::test]
async fn a_status_that_is_not_200_is_named() {
    for (status, code) in [
        ("404 Not Found", FetchCode::Status),
        ("410 Gone", FetchCode::Status),
        ("500 Internal Server Error", FetchCode::Status),
        ("204 No Content", FetchCode::Status),
        ("304 Not Modified", FetchCode::Status),
        ("429 Too Many Requests", FetchCode::RateLimited),
    ] {
        let error = failure(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(said(&error), (Stage::Status, code));
        let number = status.split(' ').next().unwrap();
        assert_eq!(error.status, number.parse().ok());
        assert_eq!(error.detail, format!("the server answered {status}"));
        assert_eq!(error.retry_after, None);
    }
}

#[tokio::test]
async fn a_document_that_is_still_the_same_is_not_sent_again() {
    let first = "HTTP/1.1 200 OK\r\nETag: W/\"v1\"\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(fetched(first, Then::Close).await.unwrap().etag.as_deref(), Some("W/\"v1\""));

    let answer = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=90\r\n\r\n";
    let server = Server::answering(answer, Then::Hold).await;
    let url = server.url("/keys");
    let request = FetchRequest::new(url.clone(), "application/json", Arc::new(rules(&url)))
        .unless_still(Some("W/\"v1\"".to_owned()));
    match HyperFetch::new().fetch(request).await.unwrap() {
        Reply::NotModified { max_age } => assert_eq!(max_age, Some(Duration::from_secs(90))),
        other => panic!("{other:?}"),
    }
    let request = server.request.await.unwrap();
    assert!(request.contains("\r\nif-none-match: W/\"v1\"\r\n"), "{request}");
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n";
    for (headers, seconds) in [
        ("Retry-After: 44\r\n", 44),
        (
            "Date: Fri, 31 Dec 1999 23:59:59 GMT\r\nRetry-After: Sat, 01 Jan 2000 00:01:59 GMT\r\n",
            120,
        ),
    ] {
        let error = failure(format!("{head}{headers}\r\n")).await;
        assert_eq!(error.retry_after, Some(Duration::from_secs(seconds)));
    }
}

#[tokio::test]
async fn a_redirect_that_is_not_followed_is_named_by_its_origin() {
    for (location, detail) in [
        (
            "Location: https://elsewhere.example/in?state=secret\r\n",
            "the answer is a redirect (302) to \"https://elsewhere.example\", which is not followed",
        ),
        (
            "Location: javascript:secret()\r\n",
            "the answer is a redirect (302) to scheme \"javascript\", which is not followed",
        ),
        ("", "the answer is a redirect (302) to nowhere (no Location)"),
    ] {
        let error =
            failure(format!("HTTP/1.1 302 Found\r\n{location}Content-Length: 0\r\n\r\n")).await;
        assert_eq!(said(&error), (Stage::Status, FetchCode::Redirect));
        assert_eq!((error.detail.as_str(), error.status), (detail, Some(302)));
    }
}

#[tokio::test]
async fn a_compressed_answer_is_refused() {
    for header in [
        "Content-Encoding: gzip",
        "Content-Encoding: identity, BR",
        "Transfer-Encoding: gzip, chunked",
    ] {
        let error = failure(format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n")).await;
        assert_eq!(said(&error), (Stage::Body, FetchCode::Encoding), "{header}");
    }
}

/// T22
#[tokio::test]
async fn a_body_may_have_512_kib_and_no_byte_more() {
    let limit = 512 * 1024;
    for (size, fits) in [(limit, true), (limit + 1, false)] {
        let body = "x".repeat(size);
        for head in [format!("Content-Length: {size}\r\n"), String::new()] {
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}");
            match fetched(answer, Then::Close).await {
                Ok(document) => assert!(fits && document.body.len() == size),
                Err(error) => {
                    assert!(!fits, "{error}");
                    assert_eq!(said(&error), (Stage::Body, FetchCode::TooLarge));
                    assert_eq!(error.detail, "the answer has more than 524288 bytes");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_refused_before_the_body_comes() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n";
    let error = fetched(answer, Then::Hold).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Body, FetchCode::TooLarge));
}

#[tokio::test]
async fn chunks_without_end_are_cut_off_at_the_limit() {
    let mut answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for _ in 0..40_000 {
        write!(answer, "10\r\n0123456789abcdef\r\n").unwrap();
    }
    let error = fetched(answer, Then::Hold).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Body, FetchCode::TooLarge));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_document() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{\"keys\":[]}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"keys\":[]}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{\"keys\":[]}\r\n",
    ] {
        let error = failure(answer).await;
        assert_eq!(said(&error), (Stage::Body, FetchCode::Connect), "{answer}");
        assert!(error.detail.starts_with("the answer broke off after "), "{}", error.detail);
    }
}

#[tokio::test]
async fn what_is_no_answer_fails_at_the_request() {
    for answer in ["", "HTTP/1.1 200 O", "SSH-2.0-OpenSSH_9.9\r\n", "\u{15}\u{3}\u{1}\0\u{2}\u{2}P"]
    {
        let error = failure(answer).await;
        assert_eq!(said(&error), (Stage::Request, FetchCode::Connect), "{answer:?}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1_000_000));
    let error = fetched(endless, Then::Hold).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Request, FetchCode::Connect));
}

#[tokio::test]
async fn a_server_that_hangs_up_on_the_request_is_a_broken_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    let error = fetch_with(&HyperFetch::new(), &url, rules(&url)).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Request, FetchCode::Connect));
}

#[tokio::test]
async fn a_slow_server_runs_into_the_time_limit_of_the_whole() {
    for (answer, stage) in [
        ("", Stage::Request),
        ("HTTP/1.1 200 OK\r\n", Stage::Request),
        ("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys", Stage::Body),
    ] {
        let server = Server::answering(answer, Then::Hold).await;
        let url = server.url("/");
        let mut rules = rules(&url);
        rules.timeout = Duration::from_millis(300);
        let error = fetch_with(&HyperFetch::new(), &url, rules).await.unwrap_err();
        assert_eq!(said(&error), (stage, FetchCode::Timeout));
        assert!(error.detail.ends_with("within 300ms"), "{}", error.detail);
        // The connection is not left behind: the server sees it close.
        server.request.await.unwrap();
    }
}

#[tokio::test]
async fn bytes_that_drip_do_not_stretch_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _request = stream.read(&mut [0; 1024]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut drip = tokio::time::interval(Duration::from_millis(1));
        while stream.write_all(b" ").await.is_ok() {
            drip.tick().await;
        }
    });
    let mut rules = rules(&url);
    rules.timeout = Duration::from_millis(300);
    let error = fetch_with(&HyperFetch::new(), &url, rules).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Body, FetchCode::Timeout));
    server.await.unwrap();
}

/// G4
#[tokio::test]
async fn nobody_listening_is_connection_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let error = fetch_with(&HyperFetch::new(), &url, rules(&url)).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Connect, FetchCode::Connect));
    assert_eq!(error.detail, format!("connection refused by {address}"));
}

/// T23
#[tokio::test]
async fn a_document_url_to_a_private_address_is_never_dialled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = HyperFetch::new();
    for (url, code) in [
        (format!("http://127.0.0.1:{port}/"), FetchCode::Scheme),
        (format!("https://127.0.0.1:{port}/"), FetchCode::Address),
        (format!("https://localhost:{port}/"), FetchCode::Address),
        (format!("https://[::ffff:127.0.0.1]:{port}/"), FetchCode::Address),
        (format!("https://2130706433:{port}/"), FetchCode::Address),
        ("http://10.0.0.5/".to_owned(), FetchCode::Scheme),
        ("https://169.254.169.254/".to_owned(), FetchCode::Address),
        ("https://[64:ff9b:1::a9fe:a9fe]/".to_owned(), FetchCode::Address),
    ] {
        let url = Url::parse(&url).unwrap();
        let error = fetch_with(&client, &url, FetchRules::default()).await.unwrap_err();
        assert_eq!(said(&error), (Stage::Policy, code), "{url}");
    }
    let dialled = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(dialled.is_err(), "it was dialled");
}

/// T23: the same address, written by the operator, is the first test of this file.
#[tokio::test]
async fn a_name_is_looked_up_and_reached() {
    let server = Server::answering("HTTP/1.1 200 OK\r\n\r\n{}", Then::Close).await;
    let url = Url::parse(&format!("http://LOCALHOST:{}/", server.port)).unwrap();
    let document = fetch_with(&HyperFetch::new(), &url, rules(&url)).await.unwrap();
    assert_eq!(document.body, "{}");
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

async fn fetched_over_tls(
    client: &HyperFetch,
    tls: TlsAcceptor,
    host: &str,
) -> Result<Document, FetchError> {
    let server = Server::answering_over_tls(tls, ANSWER).await;
    let url = Url::parse(&format!("https://{host}:{}/keys", server.port)).unwrap();
    fetch_with(client, &url, rules(&url)).await
}

#[tokio::test]
async fn an_added_ca_is_trusted_for_its_names_and_addresses() {
    let authority = Authority::named("test CA");
    let client = authority.client();
    for host in ["localhost", "127.0.0.1"] {
        let tls = authority.server(&["localhost", "127.0.0.1"], 4000);
        assert_eq!(fetched_over_tls(&client, tls, host).await.unwrap().body, "{}", "{host}");
    }
}

/// K18
#[tokio::test]
async fn a_certificate_for_another_name_names_both() {
    let authority = Authority::named("test CA");
    let tls = authority.server(&["sso.example", "*.sso.example"], 4000);
    let error = fetched_over_tls(&authority.client(), tls, "localhost").await.unwrap_err();
    assert_eq!(said(&error), (Stage::Tls, FetchCode::TlsName));
    assert_eq!(
        error.detail,
        "the certificate is for \"sso.example\", \"*.sso.example\", not for \"localhost\"; if that is \
         the provider, write tls_server_name: \"sso.example\""
    );
}

#[tokio::test]
async fn an_expired_certificate_says_since_when() {
    let authority = Authority::named("test CA");
    let tls = authority.server(&["localhost"], 2000);
    let error = fetched_over_tls(&authority.client(), tls, "localhost").await.unwrap_err();
    assert_eq!(said(&error), (Stage::Tls, FetchCode::Tls));
    assert!(error.detail.starts_with("the certificate expired "), "{}", error.detail);
    assert!(error.detail.ends_with(" days ago"), "{}", error.detail);
}

#[tokio::test]
async fn an_unknown_ca_is_not_trusted() {
    let tls = Authority::named("another CA").server(&["localhost"], 4000);
    let error = fetched_over_tls(&Authority::named("test CA").client(), tls, "localhost")
        .await
        .unwrap_err();
    assert_eq!(said(&error), (Stage::Tls, FetchCode::Tls));
    assert_eq!(error.detail, "the certificate was issued by a CA that is not trusted here");
}

#[tokio::test]
async fn a_port_without_tls_is_said_to_be_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _hung_up = stream.read_to_end(&mut Vec::new()).await;
    });
    let client = Authority::named("test CA").client();
    let error = fetch_with(&client, &url, rules(&url)).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Tls, FetchCode::Tls));
    assert_eq!(error.detail, "the server does not speak TLS on this port");
}

#[tokio::test]
async fn a_body_cut_off_inside_tls_is_no_document() {
    let authority = Authority::named("test CA");
    // Without a length the body ends with the connection, but only if TLS was closed properly.
    let tls = authority.server(&["localhost"], 4000);
    let server = Server::answering_over_tls(tls, "HTTP/1.1 200 OK\r\n\r\n{}").await;
    let url = Url::parse(&format!("https://localhost:{}/", server.port)).unwrap();
    let error = fetch_with(&authority.client(), &url, rules(&url)).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Body, FetchCode::Connect));
}

#[tokio::test]
async fn a_handshake_that_stalls_runs_into_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let mut rules = rules(&url);
    rules.connect_timeout = Duration::from_millis(100);
    let error = fetch_with(&Authority::named("test CA").client(), &url, rules).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Tls, FetchCode::Timeout));
}
