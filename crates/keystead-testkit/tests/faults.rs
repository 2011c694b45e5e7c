//! What each fault does on the wire, seen by a client that reads bytes.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "what the tests share may fail them too"
)]

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use keystead_testkit::idp::{
    CannedAnswer, ControlClient, ControlError, Documents, Fault, Idp, IdpConfig, IdpError, Order,
    RealmConfig,
};
use keystead_testkit::{ManualClock, SigningKey, Token};
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, Error as TlsError, RootCertStore, crypto,
};

/// A connection of a client that believes nothing.
struct Client(TcpStream);

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Client {
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        // So that what never comes fails the test instead of holding it up.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    /// Asks, and leaves the answer on the wire.
    fn asking(url: &str, more: &str) -> Self {
        let (addr, path) = split(url);
        let mut client = Self::connect(addr);
        client.ask(&path, more);
        client
    }

    fn ask(&mut self, path: &str, more: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: idp\r\n{more}\r\n");
        self.0.write_all(request.as_bytes()).unwrap();
    }

    fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte());
        }
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.read_exact(&mut byte).unwrap();
        byte[0]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// What is there now, or that there is nothing.
    fn now(&mut self) -> std::io::Result<Vec<u8>> {
        self.0.set_nonblocking(true).unwrap();
        let mut bytes = vec![0; 64 * 1024];
        let read = self.0.read(&mut bytes);
        self.0.set_nonblocking(false).unwrap();
        bytes.truncate(read?);
        Ok(bytes)
    }

    fn is_silent(&mut self) -> bool {
        self.now().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Everything up to the end of the connection, which must be an orderly one.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Whether the other side ends the connection, in whatever way.
    fn ends(mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    fn length(&self) -> usize {
        self.header("content-length").unwrap().parse().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn split(url: &str) -> (SocketAddr, String) {
    let (_, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let authority = authority.replace("localhost", "127.0.0.1");
    (authority.parse().unwrap(), format!("/{path}"))
}

/// One exchange on a connection of its own, read to its end.
fn fetch(url: &str) -> Answer {
    fetch_with(url, "")
}

fn fetch_with(url: &str, more: &str) -> Answer {
    let mut client = Client::asking(url, &format!("Connection: close\r\n{more}"));
    let head = client.head();
    let body = client.rest();
    Answer { status: head["http/1.1 ".len()..][..3].parse().unwrap(), head, body }
}

fn is_refused(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// A provider with one realm, and where its documents are.
struct Stage {
    idp: Idp,
    discovery: String,
    jwks: String,
}

impl Stage {
    fn new() -> Self {
        Self::of(IdpConfig::new().realm("a"))
    }

    fn of(config: IdpConfig) -> Self {
        let idp = Idp::start(config).unwrap();
        let (discovery, jwks) = (idp.discovery_url("a").unwrap(), idp.jwks_url("a").unwrap());
        Self { idp, discovery, jwks }
    }

    /// What both documents are with this fault, for one request each; after it they are right again.
    fn both(&self, fault: Fault) -> [Answer; 2] {
        self.idp.fault(Order::new(fault).requests(2)).unwrap();
        let answers = [fetch(&self.discovery), fetch(&self.jwks)];
        let served = self.idp.served(fault);
        assert_eq!((served.discovery, served.jwks, served.other), (1, 1, 0), "{fault}");
        self.is_well();
        answers
    }

    fn jwks(&self, order: impl Into<Order>) -> Answer {
        self.idp.fault(order.into().documents(Documents::Jwks).requests(1)).unwrap();
        let answer = fetch(&self.jwks);
        self.is_well();
        answer
    }

    fn keys(&self, order: impl Into<Order>) -> Vec<Value> {
        let answer = self.jwks(order);
        assert_eq!((answer.status, answer.length()), (200, answer.body.len()));
        answer.json()["keys"].as_array().unwrap().clone()
    }

    fn metadata(&self, fault: Fault) -> Value {
        self.idp.fault(Order::new(fault).requests(1)).unwrap();
        self.is_right(&self.jwks);
        let answer = fetch(&self.discovery);
        assert_eq!(answer.status, 200);
        self.is_well();
        answer.json()
    }

    /// What is published now, as bytes.
    fn right(&self) -> Vec<u8> {
        self.idp.jwks("a").unwrap().to_string().into_bytes()
    }

    fn is_right(&self, url: &str) {
        let answer = fetch(url);
        assert_eq!((answer.status, answer.length()), (200, answer.body.len()), "{url}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        if url == self.jwks {
            assert_eq!(answer.body, self.right());
        } else {
            assert_eq!(answer.json()["issuer"], self.idp.issuer("a").unwrap());
            assert_eq!(answer.json()["jwks_uri"], self.jwks);
        }
    }

    fn is_well(&self) {
        self.is_right(&self.discovery);
        self.is_right(&self.jwks);
    }
}

#[test]
fn statuses_have_bodies_and_retry_after() {
    let stage = Stage::new();
    for (fault, status, kind, retry) in [
        (Fault::Status404, 404, "application/json", None),
        (Fault::Status429, 429, "application/json", Some("30")),
        (Fault::Status500, 500, "application/json", None),
        (Fault::Status502, 502, "text/html; charset=utf-8", None),
        (Fault::Status503, 503, "application/json", Some("1")),
        (Fault::Html, 200, "text/html; charset=utf-8", None),
    ] {
        let [discovery, _] = stage.both(fault);
        assert_eq!((discovery.status, discovery.header("content-type")), (status, Some(kind)));
        assert_eq!(discovery.header("retry-after"), retry, "{fault}");
        assert_eq!(discovery.length(), discovery.body.len());
        assert_eq!(discovery.body.starts_with(b"<!doctype html>"), kind.starts_with("text/html"));
    }
    let [discovery, jwks] = stage.both(Fault::NotModified);
    for answer in [discovery, jwks] {
        assert_eq!((answer.status, answer.body.len()), (304, 0));
        assert_eq!(answer.header("content-length"), None);
    }
}

#[test]
fn the_retry_after_of_a_booting_provider_counts_up() {
    let stage = Stage::new();
    stage.idp.fault(Order::new(Fault::Status503).amount(7)).unwrap();
    let retries: Vec<String> = [&stage.discovery, &stage.jwks, &stage.jwks]
        .into_iter()
        .map(|url| fetch(url).header("retry-after").unwrap().to_owned())
        .collect();
    assert_eq!(retries, ["7", "8", "9"]);
    stage.idp.heal().unwrap();
    let answer = stage.jwks(Order::new(Fault::Status429).amount(86_400));
    assert_eq!(answer.header("retry-after"), Some("86400"));
}

impl Stage {
    /// Where a redirect leads to, which is a 302.
    fn redirected(&self, fault: Fault) -> String {
        let [discovery, jwks] = self.both(fault);
        assert_eq!((discovery.status, jwks.status), (302, 302), "{fault}");
        jwks.header("location").unwrap().to_owned()
    }
}

#[test]
fn redirects_lead_where_they_say() {
    let stage = Stage::new();
    let (addr, path) = split(&stage.jwks);

    let login = stage.redirected(Fault::LoginRedirect);
    assert_eq!(login, format!("http://{addr}/login?realm=a"));
    let page = fetch(&login);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));

    assert_eq!(stage.redirected(Fault::RedirectSameOrigin), format!("/moved{path}"));
    let host = format!("http://localhost:{}/moved{path}", addr.port());
    assert_eq!(stage.redirected(Fault::RedirectOtherHost), host);
    let userinfo = stage.redirected(Fault::RedirectUserinfo);
    assert_eq!(userinfo, format!("http://admin:hunter2@{addr}/moved{path}"));
    assert!(stage.redirected(Fault::RedirectCloudMetadata).starts_with("http://169.254.169.254/"));
    assert_eq!(stage.redirected(Fault::RedirectLoop), path);

    // Where a redirect leads to, faults have no effect; requests count all the same.
    stage.idp.fault(Fault::RedirectOtherHost).unwrap();
    let before = stage.idp.requests("a").unwrap().jwks;
    assert_eq!(fetch(&host).body, stage.right());
    assert_eq!(stage.idp.requests("a").unwrap().jwks, before + 1);
}

#[test]
fn bodies_are_cut_and_filled_up_as_announced() {
    let stage = Stage::new();
    let right = stage.right();
    let half = right.len() / 2;

    let json = stage.jwks(Fault::TruncatedJson);
    assert_eq!((json.length(), &json.body[..]), (half, &right[..half]));
    let body = stage.jwks(Fault::TruncatedBody);
    assert_eq!((body.length(), &body.body[..]), (right.len(), &right[..half]));
    let short = stage.jwks(Fault::LengthTooShort);
    assert_eq!((short.length(), &short.body[..]), (half, &right[..]));

    let over = stage.jwks(Fault::Oversized);
    assert_eq!((over.length(), over.body.len()), (512 * 1024 + 1, 512 * 1024 + 1));
    assert_eq!(over.json(), stage.idp.jwks("a").unwrap());
    let over = stage.jwks(Order::new(Fault::Oversized).amount(5_000_000));
    assert_eq!((over.length(), over.body.len()), (5_000_000, 5_000_000));
    // The document is not cut to a smaller number.
    assert_eq!(stage.jwks(Order::new(Fault::Oversized).amount(1)).body, right);

    let bom = stage.jwks(Fault::Bom);
    assert_eq!((&bom.body[..3], &bom.body[3..]), (&b"\xef\xbb\xbf"[..], &right[..]));
    let plain = stage.jwks(Fault::WrongContentType);
    assert_eq!((plain.header("content-type"), &plain.body), (Some("text/plain"), &right));
}

#[test]
fn a_length_that_is_too_long_keeps_the_client_waiting() {
    let stage = Stage::new();
    stage.idp.fault(Order::new(Fault::LengthTooLong).requests(1)).unwrap();
    let right = stage.right();
    let mut client = Client::asking(&stage.jwks, "");
    let head = client.head();
    assert!(head.contains(&format!("content-length: {}\r\n", right.len() + 100)), "{head}");
    assert_eq!(client.bytes(right.len()), right);
    stage.is_well();
    assert!(client.is_silent());
    drop(stage);
    assert!(client.ends());
}

#[test]
fn endless_chunks_go_on_for_as_long_as_anybody_reads() {
    let stage = Stage::new();
    let right = stage.right();
    stage.idp.fault(Order::new(Fault::EndlessChunks).requests(1)).unwrap();
    let mut client = Client::asking(&stage.jwks, "");
    let head = client.head();
    assert!(head.contains("transfer-encoding: chunked\r\n") && !head.contains("content-length"));
    let mut chunk = || {
        let mut size = String::new();
        while !size.ends_with("\r\n") {
            size.push(char::from(client.byte()));
        }
        let bytes = client.bytes(usize::from_str_radix(size.trim_end(), 16).unwrap());
        assert_eq!(client.bytes(2), b"\r\n");
        bytes
    };
    assert_eq!(chunk(), right);
    for _ in 0..500 {
        let bytes = chunk();
        assert!(bytes.len() == 16 * 1024 && bytes.iter().all(|byte| *byte == b' '));
    }
    drop(client);
    stage.is_well();
}

#[test]
fn a_drip_is_far_from_over_when_it_has_begun() {
    let stage = Stage::new();
    let right = stage.right();
    stage.idp.fault(Order::new(Fault::SlowDrip).requests(1)).unwrap();
    let mut client = Client::asking(&stage.jwks, "");
    assert!(client.head().contains(&format!("content-length: {}\r\n", right.len())));
    assert_eq!(client.byte(), right[0]);
    stage.is_well();
    // It takes minutes in all: another exchange takes less.
    let more = client.now().map_or(0, |bytes| bytes.len());
    assert!(more < right.len() / 2, "{more} bytes at once");
    // What drips faster is the whole document in the end.
    assert_eq!(stage.jwks(Order::new(Fault::SlowDrip).amount(1000)).body, right);
}

#[test]
fn a_late_answer_is_the_right_one() {
    let stage = Stage::new();
    assert_eq!(stage.jwks(Order::new(Fault::Late).amount(1)).body, stage.right());
    stage.idp.fault(Order::new(Fault::Late).amount(600_000).requests(1)).unwrap();
    let mut client = Client::asking(&stage.jwks, "");
    while stage.idp.served(Fault::Late).jwks < 2 {
        std::thread::yield_now();
    }
    stage.is_well();
    assert!(client.is_silent());
}

#[test]
fn a_bomb_fits_into_what_a_client_may_read() {
    let stage = Stage::new();
    let bomb = stage.jwks(Fault::CompressionBomb);
    assert_eq!((bomb.header("content-encoding"), bomb.length()), (Some("gzip"), bomb.body.len()));
    assert!(bomb.body.len() < 512 * 1024);
    // RFC 1952: a gzip file by deflate, and at its end the length, modulo 2^32.
    assert_eq!(bomb.body[..3], [0x1f, 0x8b, 8]);
    let whole = u32::try_from(64 * 1024 * 1024 + stage.right().len()).unwrap();
    assert_eq!(bomb.body[bomb.body.len() - 4..], whole.to_le_bytes());
}

#[test]
fn a_reset_is_a_reset() {
    let stage = Stage::new();
    stage.idp.fault(Order::new(Fault::Reset).requests(1)).unwrap();
    let mut client = Client::asking(&stage.jwks, "");
    let error = client.0.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    stage.is_well();
}

#[test]
fn a_blackhole_answers_nobody_and_ends_their_connections_when_it_is_over() {
    let clock = ManualClock::new();
    let stage = Stage::of(IdpConfig::new().realm("a").clock(clock.clone()));
    let order = Order::new(Fault::Blackhole).documents(Documents::Jwks);
    let asked = |count: u64| {
        let clients: Vec<Client> = (0..3).map(|_| Client::asking(&stage.jwks, "")).collect();
        while stage.idp.served(Fault::Blackhole).jwks < count {
            std::thread::yield_now();
        }
        // The other document is not concerned.
        stage.is_right(&stage.discovery);
        clients
    };

    stage.idp.fault(order.clone().lasting(Duration::from_secs(10))).unwrap();
    let mut clients = asked(3);
    clock.advance(Duration::from_secs(9));
    assert!(clients.iter_mut().all(Client::is_silent));
    clock.advance(Duration::from_secs(1));
    assert!(clients.into_iter().all(Client::ends));
    stage.is_well();

    stage.idp.fault(order).unwrap();
    let mut clients = asked(6);
    assert!(clients.iter_mut().all(Client::is_silent));
    stage.idp.heal().unwrap();
    assert!(clients.into_iter().all(Client::ends));
    stage.is_well();
}

#[test]
fn a_swallowed_connection_stays_dead_and_later_ones_are_fine() {
    let stage = Stage::new();
    let path = split(&stage.jwks).1;
    // A connection that was good for one request.
    let mut client = Client::asking(&stage.jwks, "");
    let right = stage.right();
    client.head();
    assert_eq!(client.bytes(right.len()), right);
    stage.idp.fault(Fault::Swallow).unwrap();
    client.ask(&path, "");
    while stage.idp.served(Fault::Swallow).jwks < 1 {
        std::thread::yield_now();
    }
    stage.idp.heal().unwrap();
    stage.is_well();
    client.ask(&path, "");
    stage.is_well();
    assert!(client.is_silent());
    drop(stage);
    assert!(client.ends());
}

#[test]
fn a_port_is_closed_for_a_time_and_opens_by_itself() {
    let clock = ManualClock::new();
    let stage = Stage::of(IdpConfig::new().realm("a").clock(clock.clone()));
    let addr = stage.idp.addr();
    let mut open = Client::asking(&stage.jwks, "");
    open.head();
    stage.idp.fault(Order::new(Fault::Down).lasting(Duration::from_secs(30))).unwrap();
    assert!(!stage.idp.is_up() && is_refused(addr));
    open.bytes(stage.right().len());
    assert!(open.ends());
    clock.advance(Duration::from_secs(29));
    assert!(is_refused(addr));
    clock.advance(Duration::from_secs(1));
    assert!((0..1_000_000).any(|_| !is_refused(addr)));
    stage.is_well();

    for end in [Idp::heal, Idp::up] {
        stage.idp.fault(Fault::Down).unwrap();
        assert!(is_refused(addr));
        end(&stage.idp).unwrap();
        stage.is_well();
    }
    // Healing is the end of every outage.
    stage.idp.down().unwrap();
    stage.idp.heal().unwrap();
    stage.is_well();
}

#[test]
fn metadata_leads_astray() {
    let stage = Stage::new();
    let (addr, path) = split(&stage.jwks);
    assert_eq!(stage.metadata(Fault::WrongIssuer)["issuer"], "https://somebody.else.example");
    assert_eq!(stage.metadata(Fault::WrongIssuer)["jwks_uri"], stage.jwks);
    let uri = |fault| stage.metadata(fault)["jwks_uri"].clone();
    assert_eq!(uri(Fault::RelativeJwksUri), path);
    assert_eq!(uri(Fault::FileJwksUri), "file:///etc/keys.json");
    assert_eq!(uri(Fault::NoJwksUri), Value::Null);
    assert_eq!(uri(Fault::UserinfoJwksUri), format!("http://admin:hunter2@{addr}{path}"));
    let cloud = uri(Fault::CloudMetadataJwksUri);
    assert!(cloud.as_str().unwrap().starts_with("http://169.254.169.254/"));
    // The issuer stays the realm's when the jwks_uri is not.
    let issuer = stage.idp.issuer("a").unwrap();
    assert_eq!(stage.metadata(Fault::NoJwksUri)["issuer"], issuer);
}

#[test]
fn sets_without_a_key_for_the_realms_tokens() {
    let stage = Stage::new();
    let own = stage.idp.jwks("a").unwrap()["keys"].clone();
    let is_own = |key: &Value| own.as_array().unwrap().contains(key);
    assert_eq!(stage.jwks(Fault::EmptySet).body, br#"{"keys":[]}"#);
    assert_eq!(stage.jwks(Fault::NoKeysMember).body, b"{}");
    let unusable = stage.keys(Fault::NoUsableKey);
    let types: Vec<&str> = unusable.iter().map(|key| key["kty"].as_str().unwrap()).collect();
    assert_eq!(types, ["QKD", "EC", "RSA", "oct"]);
    for fault in [Fault::ForeignKeys, Fault::ReplacedSet, Fault::OnlyEncryptionKey] {
        let keys = stage.keys(fault);
        assert!(keys.len() == 1 && !keys.iter().any(is_own), "{fault}");
        let used_for = if fault == Fault::OnlyEncryptionKey { "enc" } else { "sig" };
        assert_eq!(keys[0]["use"], used_for);
    }
}

#[test]
fn foreign_keys_are_those_of_another_realm_where_there_is_one() {
    let stage = Stage::of(IdpConfig::new().realm("a").realm("b"));
    assert_eq!(stage.jwks(Fault::ForeignKeys).json(), stage.idp.jwks("b").unwrap());
}

#[test]
fn sets_with_the_realms_keys_and_something_odd() {
    let rsa = SigningKey::fixed_rsa(0).unwrap();
    let ec = SigningKey::generate(keystead::core::Algorithm::Es256).unwrap();
    let stage = Stage::of(IdpConfig::new().realm(RealmConfig::new("a").keys([rsa, ec])));
    let own = stage.idp.jwks("a").unwrap()["keys"].as_array().unwrap().clone();

    let one_broken = stage.keys(Fault::OneBrokenKey);
    assert_eq!((&one_broken[0]["n"], &one_broken[1..]), (&json!("!"), &own[..]));

    let twins = stage.keys(Fault::DuplicateKids);
    assert_eq!(twins.len(), 4);
    for (pair, own) in twins.chunks(2).zip(&own) {
        assert_eq!((&pair[1], &pair[0]["kid"]), (own, &own["kid"]));
        assert_ne!(pair[0], pair[1]);
    }

    let private = stage.keys(Fault::PrivateKey);
    for (published, own) in private.iter().zip(&own) {
        assert!(own.as_object().unwrap().iter().all(|(name, value)| published[name] == *value));
        assert!(published["d"].is_string() && own["d"].is_null());
    }
    assert!(private[0]["qi"].is_string() && private[1]["qi"].is_null());

    for (order, count) in
        [(Order::new(Fault::ManyKeys), 10_000), (Order::new(Fault::ManyKeys).amount(3), 3)]
    {
        let many = stage.keys(order);
        assert_eq!((many.len(), &many[..2]), (count, &own[..]));
        let different: BTreeSet<&str> = many.iter().filter_map(|key| key["kid"].as_str()).collect();
        assert_eq!(different.len(), count);
    }
}

#[test]
fn a_flapping_set_loses_its_newest_key_and_finds_it_again() {
    let stage = Stage::new();
    stage.idp.rotate("a").unwrap();
    stage.idp.fault(Fault::FlappingSet).unwrap();
    let kids = stage.idp.kids("a").unwrap();
    for turn in 0..4 {
        let keys = fetch(&stage.jwks).json()["keys"].as_array().unwrap().clone();
        assert_eq!((keys.len(), &keys[1]["kid"]), (2, &json!(kids[1])));
        assert_eq!(keys[0]["kid"] == kids[0], turn % 2 == 1, "turn {turn}");
    }
}

#[test]
fn an_answer_can_be_written_down_beforehand() {
    let stage = Stage::new();
    let teapot = CannedAnswer::new(418).header("X-Pot", "tea").body("short");
    let answer = stage.jwks(Order::answer(teapot));
    assert_eq!((answer.status, answer.header("x-pot")), (418, Some("tea")));
    assert_eq!(answer.body, b"short");
    let error = stage.idp.fault(Order::answer(CannedAnswer::new(42))).unwrap_err();
    assert!(matches!(error, IdpError::Status(42)));
}

#[test]
fn an_order_is_about_one_realm_or_about_all() {
    let stage = Stage::of(IdpConfig::new().realm("a").realm("b"));
    let other = stage.idp.jwks_url("b").unwrap();
    stage.idp.fault(Order::new(Fault::EmptySet).realm("b")).unwrap();
    stage.is_well();
    assert_eq!(fetch(&other).body, br#"{"keys":[]}"#);
    stage.idp.fault(Fault::NoKeysMember).unwrap();
    assert_eq!((fetch(&other).body, fetch(&stage.jwks).body), (b"{}".to_vec(), b"{}".to_vec()));
    assert_eq!(stage.idp.orders(), [Order::new(Fault::NoKeysMember)]);
    let unknown = stage.idp.fault(Order::new(Fault::Html).realm("c")).unwrap_err();
    assert!(matches!(unknown, IdpError::UnknownRealm { .. }));
    // A form of the path that the realm does not serve is not found, fault or not.
    stage.idp.fault(Fault::Html).unwrap();
    let path = "/.well-known/oauth-authorization-server/realms/a";
    let elsewhere = fetch(&format!("http://{}{path}", stage.idp.addr()));
    assert_eq!((elsewhere.status, stage.idp.served(Fault::Html).discovery), (404, 0));
}

#[test]
fn a_script_is_in_force_from_the_first_request_on() {
    let script = [
        Order::new(Fault::Status503).requests(2),
        Order::healthy().documents(Documents::Jwks).requests(1),
        Order::new(Fault::Html).documents(Documents::Jwks).requests(1),
    ];
    let stage = Stage::of(IdpConfig::new().realm("a").script(script));
    let statuses: Vec<u16> = (0..4).map(|_| fetch(&stage.jwks).status).collect();
    assert_eq!(statuses, [503, 503, 200, 200]);
    assert_eq!(stage.idp.served(Fault::Html).jwks, 1);
    stage.is_well();

    let stage = Stage::of(IdpConfig::new().realm("a").script([Order::new(Fault::Down)]));
    stage.idp.fault(Fault::Html).unwrap();
    assert!(is_refused(stage.idp.addr()));
    let error = Idp::start(IdpConfig::new().realm("a").script([Fault::TlsExpired.into()]));
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "order 1: tls_expired needs a provider that serves over TLS");
}

#[test]
fn orders_come_over_the_control_endpoint_too() {
    let stage = Stage::of(IdpConfig::new().realm("a").with_control());
    let control = ControlClient::new(stage.idp.control_addr().unwrap());
    control.fault(Order::new(Fault::Html).requests(3)).unwrap();
    assert!(fetch(&stage.jwks).body.starts_with(b"<!doctype html>"));
    let state = control.state().unwrap();
    let order = json!({"fault": "html", "requests": 3, "begun": true, "met": 1, "left": 2});
    assert_eq!(state["orders"], json!([order]));
    assert_eq!(state["served"], json!({"html": {"discovery": 0, "jwks": 1, "connections": 0}}));

    let script = [Order::new(Fault::Status404).requests(1), Order::new(Fault::Status500)];
    control.script(&script).unwrap();
    assert_eq!((fetch(&stage.jwks).status, fetch(&stage.jwks).status), (404, 500));
    control.fault(Fault::Down).unwrap();
    assert!(is_refused(stage.idp.addr()));
    control.heal().unwrap();
    stage.is_well();
    assert_eq!(control.state().unwrap()["orders"], json!([]));

    let unknown = control.fault(Order::new(Fault::Html).realm("b")).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no realm \"b\"; there is \"a\"");
    let wrong = [Order::healthy(), Order::new(Fault::Bom).amount(1)];
    let error = control.script(&wrong).unwrap_err();
    assert!(matches!(error, ControlError::Refused { status: 400, .. }));
    assert_eq!(error.to_string(), "order 2: bom has no amount");

    let old = stage.idp.kids("a").unwrap();
    let new = control.recreate(None).unwrap();
    assert_eq!(stage.idp.kids("a").unwrap(), std::slice::from_ref(&new));
    assert!(!old.contains(&new));
}

#[test]
fn a_conditional_request_is_answered_304_while_the_body_is_the_same() {
    let stage = Stage::of(IdpConfig::new().realm(RealmConfig::new("a").with_etag()));
    let first = fetch(&stage.jwks);
    // Letter case counts in an ETag, and the head was read without it.
    let mut client = Client::asking(&stage.jwks, "Connection: close\r\n");
    let raw = String::from_utf8(client.rest()).unwrap();
    let etag = raw.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    assert!(first.header("etag").is_some());

    let ask = || fetch_with(&stage.jwks, &format!("If-None-Match: \"x\", {etag}\r\n"));
    let again = ask();
    assert_eq!((again.status, again.body.len()), (304, 0));
    // A faulty answer is no answer to the condition.
    stage.idp.fault(Order::new(Fault::EmptySet).requests(1)).unwrap();
    let faulty = ask();
    assert_eq!((faulty.status, faulty.header("etag")), (200, None));
    stage.idp.rotate("a").unwrap();
    assert_eq!(ask().status, 200);
    assert_eq!(stage.idp.requests("a").unwrap().conditional, 3);
    assert_eq!(fetch(&Stage::new().jwks).header("etag"), None);
}

#[test]
fn dropping_the_handle_ends_what_faults_keep_open() {
    let stage = Stage::new();
    let mut clients = Vec::new();
    for fault in [Fault::Blackhole, Fault::Swallow, Fault::SlowDrip, Fault::Late] {
        stage.idp.fault(Order::new(fault).documents(Documents::Jwks).requests(1)).unwrap();
        clients.push(Client::asking(&stage.jwks, ""));
        while stage.idp.served(fault).jwks < 1 {
            std::thread::yield_now();
        }
    }
    drop(stage);
    for mut client in clients {
        // Of a drip something has come already.
        let ended = client.0.read_to_end(&mut Vec::new());
        assert!(ended.is_ok_and(|read| read < 500) || client.ends());
    }
}

/// A TLS handshake that trusts the provider's CA; then the bytes of one exchange.
fn fetch_over_tls(idp: &Idp, url: &str) -> Result<String, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(idp.ca_pem().unwrap().as_bytes()).unwrap()).unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let (addr, path) = split(url);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let name = ServerName::IpAddress(addr.ip().into());
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let mut stream = connected.map_err(|error| {
            error.into_inner().unwrap().downcast::<TlsError>().map(|error| *error).unwrap()
        })?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: idp\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        Ok(answer)
    })
}

#[test]
fn certificates_are_wrong_in_the_way_that_was_ordered() {
    let stage = Stage::of(IdpConfig::new().realm("a").over_tls());
    let idp = &stage.idp;
    assert!(idp.issuer("a").unwrap().starts_with("https://127.0.0.1:"));
    for url in [&stage.discovery, &stage.jwks] {
        assert!(url.starts_with("https://"));
        assert!(fetch_over_tls(idp, url).unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    }
    for (fault, is_it) in [
        (
            Fault::TlsWrongName,
            (|error| matches!(error, CertificateError::NotValidForNameContext { .. }))
                as fn(&CertificateError) -> bool,
        ),
        (Fault::TlsExpired, |error| matches!(error, CertificateError::ExpiredContext { .. })),
        (Fault::TlsUnknownCa, |error| matches!(error, CertificateError::UnknownIssuer)),
    ] {
        idp.fault(Order::new(fault).requests(2)).unwrap();
        for _ in 0..2 {
            match fetch_over_tls(idp, &stage.jwks).unwrap_err() {
                TlsError::InvalidCertificate(error) => assert!(is_it(&error), "{error:?}"),
                other => panic!("{fault}: {other}"),
            }
        }
        assert_eq!(idp.served(fault).other, 2);
        assert!(fetch_over_tls(idp, &stage.jwks).is_ok());
    }

    idp.fault(Fault::TlsSilent).unwrap();
    let mut client = Client::connect(idp.addr());
    client.0.write_all(&[22, 3, 1, 0, 200]).unwrap();
    while idp.served(Fault::TlsSilent).other < 1 {
        std::thread::yield_now();
    }
    assert!(client.is_silent());
    idp.heal().unwrap();
    assert!(client.ends());
}

#[test]
fn a_downgrade_leads_from_tls_to_plain_http() {
    let stage = Stage::of(IdpConfig::new().realm("a").over_tls());
    stage.idp.fault(Fault::RedirectHttp).unwrap();
    let answer = fetch_over_tls(&stage.idp, &stage.jwks).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let (addr, path) = split(&stage.jwks);
    assert_eq!(location, format!("http://{addr}/moved{path}"));
    assert_eq!(fetch(location).body, stage.right());
    // Nothing else is there in plain.
    assert_eq!(fetch(&stage.jwks.replace("https", "http")).status, 404);
    assert!(Stage::new().idp.fault(Fault::RedirectHttp).is_err());
}

#[test]
fn tokens_are_minted_as_if_nothing_were_wrong() {
    let stage = Stage::new();
    for fault in [Fault::Down, Fault::ReplacedSet] {
        stage.idp.fault(fault).unwrap();
        let token = stage.idp.mint("a", Token::new().audience("api")).unwrap();
        assert_eq!(token.split('.').count(), 3);
    }
}
