//! The same rows against real sockets: what the other scenarios show with a scripted network and
//! virtual time, shown once more with the real one, a provider on loopback and the refresh thread.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop"
)]

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use keystead::config::{Config, EndpointOrigin};
use keystead::core::{Algorithm, KeySet, Provenance};
use keystead::{
    Clock, KeySource, ProviderConfig, ProviderStatus, RefreshError, RefreshHandle, SourceError,
    SystemClock, Verifier,
};
use keystead_testkit::idp::{Idp, IdpConfig, Metadata, RealmConfig};
use keystead_testkit::{SigningKey, Token};
use serde_json::{Value, json};

/// Never reached: everything here is over within moments, or the test hangs.
const LONG: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);

fn provider(name: &str, issuer: &str) -> ProviderConfig {
    ProviderConfig::new(name, issuer).audiences(["app"])
}

fn verifier(providers: impl IntoIterator<Item = ProviderConfig>) -> Verifier {
    Verifier::from_config(Config::of(providers))
}

/// A verifier whose sources have all been asked once.
fn started(providers: impl IntoIterator<Item = ProviderConfig>) -> (Verifier, RefreshHandle) {
    let verifier = verifier(providers);
    let handle = verifier.start().unwrap();
    assert!(handle.wait_first_attempts(LONG));
    (verifier, handle)
}

fn refresh(verifier: &Verifier, provider: &str) -> Result<ProviderStatus, RefreshError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(verifier.refresh(provider))
}

fn status(verifier: &Verifier, provider: &str) -> ProviderStatus {
    verifier.status().providers.remove(provider).unwrap()
}

fn state(verifier: &Verifier, provider: &str) -> &'static str {
    status(verifier, provider).state
}

fn last_error(verifier: &Verifier, provider: &str) -> (&'static str, &'static str, String) {
    let error = status(verifier, provider).sources.remove(0).last_error.unwrap();
    (error.stage, error.code, error.detail)
}

/// Until the background has seen to it: nobody helps it along.
fn until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

fn draft(issuer: &str) -> Token {
    let now = SystemClock::new().wall();
    Token::new().issuer(issuer).audience("app").expires_in(now, Duration::from_secs(3600))
}

fn token(issuer: &str, key: &SigningKey) -> String {
    draft(issuer).sign(key).unwrap()
}

fn refusal(verifier: &Verifier, token: &str) -> (u16, &'static str) {
    let refused = verifier.verify(token).expect_err("the token is accepted");
    (refused.http_status(), refused.code().as_str())
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap().with_kid(kid)
}

fn jwks(keys: &[&SigningKey]) -> String {
    jwks_of(keys.iter().map(|key| key.jwk()))
}

fn jwks_of(keys: impl IntoIterator<Item = Value>) -> String {
    json!({ "keys": keys.into_iter().collect::<Vec<_>>() }).to_string()
}

fn in_process(keys: &[&SigningKey]) -> Arc<dyn KeySource> {
    Arc::new(Arc::new(KeySet::parse(jwks(keys).as_bytes(), Provenance::Operator, 16).unwrap()))
}

/// A server of a few lines that answers from a script, the last answer again and again.
struct Server {
    addr: SocketAddr,
    state: Arc<Mutex<Served>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Served {
    answers: VecDeque<Vec<u8>>,
    asked: Vec<String>,
    connections: usize,
    over: bool,
    /// Connections that are held open.
    held: Vec<TcpStream>,
}

/// No answer, and the connection stays open.
const NEVER: &[u8] = b"";

fn http(status: u16, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

impl Server {
    fn answering(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let answers = answers.into_iter().collect();
        let state = Arc::new(Mutex::new(Served { answers, ..Served::default() }));
        let served = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.lock().unwrap().over {
                    return;
                }
                serve(stream.unwrap(), &served);
            }
        });
        Self { addr, state, thread: Some(thread) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// Answers whoever has not been answered so far.
    fn answer_held(&self, answer: &[u8]) {
        for mut stream in self.state.lock().unwrap().held.drain(..) {
            stream.write_all(answer).unwrap();
        }
    }

    /// Answers with this from now on.
    fn now_answers(&self, answer: Vec<u8>) {
        self.state.lock().unwrap().answers = VecDeque::from([answer]);
    }
}

fn serve(mut stream: TcpStream, served: &Mutex<Served>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
    let mut served = served.lock().unwrap();
    served.connections += 1;
    served.asked.push(first.split(' ').nth(1).unwrap_or_default().to_owned());
    let answer = if served.answers.len() > 1 {
        served.answers.pop_front().unwrap()
    } else {
        served.answers.front().cloned().unwrap_or_default()
    };
    if answer == NEVER {
        served.held.push(stream);
        return;
    }
    // The client may hang up when it has seen enough.
    let _hung_up = stream.write_all(&answer);
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.lock().unwrap().over = true;
        // Wakes the thread up.
        drop(TcpStream::connect(self.addr));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// T1: the name does not resolve, and where it would, nobody is asked before the first verdict.
#[test]
fn an_in_process_key_is_used_without_a_connection() {
    let signing = key("K");
    let server = Server::answering([NEVER.to_vec()]);
    let reachable = server.url("");
    for issuer in ["https://tunnel.invalid", &reachable] {
        let configured = provider("p", issuer).key_source(in_process(&[&signing])).discover();
        let verifier = verifier([configured]);
        assert!(verifier.verify(&token(issuer, &signing)).is_ok());
        assert_eq!(server.connections(), 0);
        let _handle = verifier.start().unwrap();
        assert!(verifier.verify(&token(issuer, &signing)).is_ok());
    }
}

/// T2
#[test]
fn a_hundred_requests_pass_by_an_issuer_that_accepts_and_never_answers() {
    let signing = key("K");
    let server = Server::answering([NEVER.to_vec()]);
    let issuer = server.url("");
    let verifier =
        verifier([provider("p", &issuer).key_source(in_process(&[&signing])).discover()]);
    let handle = verifier.start().unwrap();
    until(|| server.connections() == 1);
    let token = token(&issuer, &signing);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| assert!(verifier.verify(&token).is_ok()));
        }
    });
    assert_eq!(server.connections(), 1, "one attempt is under way, and no request made another");
    assert_eq!(status(&verifier, "p").sources[1].state, "cold");
    handle.stop();
}

/// T3, T4
#[test]
fn discovery_heals_in_the_background() {
    let local = key("local");
    let idp = Idp::start(IdpConfig::new().realm("r")).unwrap();
    let issuer = idp.issuer("r").unwrap();
    idp.down().unwrap();
    let (verifier, _handle) =
        started([provider("p", &issuer).key_source(in_process(&[&local])).discover()]);
    let remote = idp.mint("r", Token::new().audience("app")).unwrap();
    assert_eq!(refusal(&verifier, &remote), (503, "keys.unavailable"));
    assert!(verifier.verify(&token(&issuer, &local)).is_ok());
    assert!(status(&verifier, "p").reason.contains("refused"), "{}", status(&verifier, "p").reason);
    idp.up().unwrap();
    until(|| verifier.verify(&remote).is_ok());
    assert_eq!(state(&verifier, "p"), "ready");
}

/// T5, T14, G25, K25
#[test]
fn what_no_settled_source_holds_is_refused_without_another_request() {
    let realm = |name: &str| RealmConfig::new(name).keys([key("same")]);
    let idp = Idp::start(IdpConfig::new().realm(realm("r1")).realm(realm("r2"))).unwrap();
    let issuer = |realm: &str| idp.issuer(realm).unwrap();
    let (verifier, _handle) = started(["r1", "r2"].map(|r| provider(r, &issuer(r))));
    let mint = |realm: &str, claims: Token| idp.mint(realm, claims.audience("app")).unwrap();
    for realm in ["r1", "r2"] {
        assert!(verifier.verify(&mint(realm, Token::new())).is_ok());
    }
    // Of r2's key under the same kid, and of a key that nobody published.
    let foreign = mint("r2", Token::new().issuer(issuer("r1")));
    assert_eq!(refusal(&verifier, &foreign), (401, "signature.invalid"));
    let unknown = token(&issuer("r1"), &key("unknown"));
    assert_eq!(refusal(&verifier, &unknown), (401, "key.unknown_kid"));
    for realm in ["r1", "r2"] {
        let requests = idp.requests(realm).unwrap();
        assert_eq!((requests.discovery, requests.jwks, requests.other), (1, 1, 0));
    }
}

/// A provider whose answers are waited for, and asked for once, however slow this machine is.
fn patient(provider: ProviderConfig) -> ProviderConfig {
    provider.unknown_kid_wait(MINUTE).unknown_kid_cooldown(60 * MINUTE).timeout(MINUTE)
}

/// What a token is answered with once its provider was asked for its key, if need be.
fn waited(verifier: &Verifier, token: &str) -> Result<(), (u16, &'static str)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let verdict = runtime.block_on(verifier.verify_wait(token));
    verdict.map(drop).map_err(|refused| (refused.http_status(), refused.code().as_str()))
}

/// T5, T12, T13
#[test]
fn an_unknown_kid_is_asked_for_once_and_a_rotation_is_found_so() {
    let idp = Idp::start(IdpConfig::new().realm("r")).unwrap();
    let issuer = idp.issuer("r").unwrap();
    let (verifier, _handle) = started([patient(provider("p", &issuer))]);
    let mint = || idp.mint("r", Token::new().audience("app")).unwrap();
    for fetches in 2..5 {
        idp.rotate("r").unwrap();
        let token = mint();
        assert!(verifier.verify(&token).is_err(), "it is not known yet");
        assert_eq!(waited(&verifier, &token), Ok(()));
        assert_eq!(idp.requests("r").unwrap().jwks, fetches);
    }
    let forger = key("made up");
    for kid in 0..100 {
        let forged = draft(&issuer).header("kid", kid.to_string()).sign(&forger).unwrap();
        assert_eq!(waited(&verifier, &forged), Err((401, "key.unknown_kid")));
        assert_eq!(waited(&verifier, &mint()), Ok(()));
    }
    assert_eq!(idp.requests("r").unwrap().jwks, 5);
}

/// T13, from many threads: whoever is refused for good knows that nothing is on its way.
#[test]
fn a_flood_from_many_threads_is_one_fetch_and_keeps_nobody_waiting() {
    let idp = Idp::start(IdpConfig::new().realm("r")).unwrap();
    let issuer = idp.issuer("r").unwrap();
    let (verifier, _handle) = started([patient(provider("p", &issuer))]);
    let good = idp.mint("r", Token::new().audience("app")).unwrap();
    let forger = key("made up");
    let answers = std::thread::scope(|scope| {
        let flood = |thread: usize| {
            let (verifier, issuer, forger, good) = (&verifier, &issuer, &forger, &good);
            scope.spawn(move || {
                let forged = (0..200).map(|n| {
                    let kid = format!("{thread}-{n}");
                    let forged = draft(issuer).header("kid", kid).sign(forger).unwrap();
                    assert_eq!(waited(verifier, good), Ok(()));
                    waited(verifier, &forged).unwrap_err()
                });
                forged.collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..8).map(flood).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(answers.len(), 1_600);
    assert!(answers.iter().all(|answer| *answer == (401, "key.unknown_kid")), "{answers:?}");
    assert_eq!(idp.requests("r").unwrap().jwks, 2);
}

/// The connection of one attempt stays dead while new ones are fine.
#[test]
fn an_attempt_on_a_dead_connection_never_wedges_a_forced_one() {
    let (old, new) = (key("old"), key("new"));
    let answers = [http(200, jwks(&[&old])), NEVER.to_vec(), http(200, jwks(&[&old, &new]))];
    let server = Server::answering(answers);
    let issuer = server.url("");
    let configured = provider("p", &issuer).jwks_url(&server.url("/keys"));
    let (verifier, handle) = started([patient(configured)]);
    std::thread::scope(|scope| {
        let operator = scope.spawn(|| refresh(&verifier, "p"));
        until(|| server.connections() == 2);
        assert_eq!(waited(&verifier, &token(&issuer, &new)), Ok(()));
        assert_eq!(server.connections(), 3);
        assert!(operator.join().unwrap().is_ok(), "that one answers the operator too");
    });
    handle.stop();
}

/// T29
#[test]
fn a_caller_who_leaves_does_not_take_the_fetch_along() {
    let (old, new) = (key("old"), key("new"));
    let server = Server::answering([http(200, jwks(&[&old])), NEVER.to_vec()]);
    let issuer = server.url("");
    let configured = provider("p", &issuer).jwks_url(&server.url("/keys"));
    let (verifier, _handle) = started([patient(configured)]);
    let token = token(&issuer, &new);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            biased;
            verdict = verifier.verify_wait(&token) => panic!("it waits: {verdict:?}"),
            () = std::future::ready(()) => {}
        }
    });
    until(|| server.connections() == 2);
    server.answer_held(&http(200, jwks(&[&old, &new])));
    until(|| verifier.verify(&token).is_ok());
    assert_eq!(server.connections(), 2);
}

/// A source of keys that never has any.
struct Locked;

impl KeySource for Locked {
    fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
        Err(SourceError::new("the key store is locked"))
    }
}

/// T6, T7, K1: the issuer's own host is never asked.
#[test]
fn keys_are_fetched_where_it_is_written_and_nowhere_else() {
    let issuer = "https://keycloak.invalid/realms/akko";
    let idp = Idp::start(IdpConfig::new().realm(RealmConfig::new("akko").issuer(issuer))).unwrap();
    let configured = provider("p", issuer).jwks_url(&idp.jwks_url("akko").unwrap());
    let (verifier, _handle) = started([configured.key_source(Arc::new(Locked))]);
    let token = idp.mint("akko", Token::new().audience("app")).unwrap();
    let verified = verifier.verify(&token).unwrap();
    assert_eq!(verified.issuer(), issuer);
    let requests = idp.requests("akko").unwrap();
    assert_eq!((requests.discovery, requests.jwks), (0, 1));
    let in_process = status(&verifier, "p").sources.remove(0);
    assert!(in_process.errors > 0);
    assert_eq!(in_process.last_error.unwrap().detail, "the key store is locked");
}

/// T10
#[test]
fn a_first_fetch_that_fails_heals_by_itself() {
    let signing = key("K");
    let server = Server::answering([http(500, "{}"), http(200, jwks(&[&signing]))]);
    let issuer = server.url("");
    let verifier = verifier([provider("p", &issuer).jwks_url(&server.url("/keys"))]);
    let _handle = verifier.start().unwrap();
    until(|| verifier.verify(&token(&issuer, &signing)).is_ok());
    assert_eq!((state(&verifier, "p"), server.asked().len()), ("ready", 2));
}

/// T11, K15, K26
#[test]
fn last_known_good_keys_outlive_their_provider_and_a_withdrawn_key_does_not() {
    let idp = Idp::start(IdpConfig::new().realm("access").realm("id")).unwrap();
    let issuer = idp.issuer("access").unwrap();
    let urls = ["access", "id"].map(|realm| idp.jwks_url(realm).unwrap());
    let (verifier, _handle) =
        started([provider("p", &issuer).jwks_url(&urls[0]).jwks_url(&urls[1])]);
    let mint = |realm| idp.mint(realm, Token::new().issuer(&issuer).audience("app")).unwrap();
    let (old, id) = (mint("access"), mint("id"));
    let old_kid = idp.kids("access").unwrap().remove(0);
    idp.rotate("access").unwrap();
    refresh(&verifier, "p").unwrap();
    let new = mint("access");

    idp.down().unwrap();
    assert!(matches!(refresh(&verifier, "p").unwrap_err(), RefreshError::Failed(_)));
    assert_eq!(state(&verifier, "p"), "stale");
    for token in [&old, &id, &new] {
        assert!(verifier.verify(token).is_ok());
    }
    idp.up().unwrap();
    idp.withdraw("access", &old_kid).unwrap();
    refresh(&verifier, "p").unwrap();
    assert_eq!(refusal(&verifier, &old), (401, "key.unknown_kid"));
    assert!(verifier.verify(&new).is_ok() && verifier.verify(&id).is_ok());
}

/// T15, K12, K16
#[test]
fn an_encryption_key_is_never_tried_and_new_material_needs_a_refresh() {
    let rsa = |n: usize, kid: &str| SigningKey::fixed_rsa(n).unwrap().with_kid(kid);
    let (first, second, replaced) = (rsa(0, "first"), rsa(1, "second"), rsa(3, "second"));
    let mut enc = rsa(2, "enc").jwk();
    (enc["use"], enc["alg"]) = (json!("enc"), json!("RSA-OAEP"));
    let set = |second: &SigningKey| jwks_of([enc.clone(), first.jwk(), second.jwk()]);
    let server = Server::answering([http(200, set(&second))]);
    let issuer = server.url("");
    let (verifier, _handle) = started([provider("p", &issuer).jwks_url(&server.url("/keys"))]);
    let unnamed = |key: &SigningKey| draft(&issuer).without_header("kid").sign(key).unwrap();
    assert!(verifier.verify(&unnamed(&second)).is_ok());
    assert_eq!(refusal(&verifier, &unnamed(&rsa(2, "enc"))), (401, "signature.invalid"));

    assert_eq!(refusal(&verifier, &token(&issuer, &replaced)), (401, "signature.invalid"));
    assert_eq!(server.connections(), 1);
    server.now_answers(http(200, set(&replaced)));
    refresh(&verifier, "p").unwrap();
    assert!(verifier.verify(&token(&issuer, &replaced)).is_ok());
}

/// T20, K9, K11
#[test]
fn a_document_is_used_when_its_issuer_is_the_configured_one_or_an_alias() {
    let public = "https://sso.invalid/realms/akko";
    let realm = RealmConfig::new("akko").issuer(public);
    let idp = Idp::start(IdpConfig::new().realm(realm)).unwrap();
    let configured = provider("p", public).discovery_url(&idp.discovery_url("akko").unwrap());
    let token = idp.mint("akko", Token::new().audience("app")).unwrap();
    let (verifier, _handle) = started([configured.clone()]);
    assert!(verifier.verify(&token).is_ok(), "internal jwks_uri, public issuer");

    let internal = "http://kc.invalid:8080/realms/akko";
    idp.set_metadata("akko", Metadata::default().issuer(internal)).unwrap();
    let (verifier, _handle) = started([configured.clone()]);
    let (stage, code, detail) = last_error(&verifier, "p");
    assert_eq!((stage, code), ("mismatch", "issuer_mismatch"));
    for part in [public, internal, "providers.p.aliases"] {
        assert!(detail.contains(part), "{detail}");
    }
    assert_eq!(refusal(&verifier, &token), (503, "keys.unavailable"));
    let (verifier, _handle) = started([configured.aliases([internal])]);
    assert!(verifier.verify(&token).is_ok());
}

/// T21, G32
#[test]
fn the_well_known_path_is_appended_and_the_other_forms_follow_a_404() {
    let server = Server::answering([http(404, "{}")]);
    for (path, asked) in [
        (
            "/t/",
            [
                "/t/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/t",
                "/t/.well-known/oauth-authorization-server",
            ],
        ),
        (
            "/gitlab",
            [
                "/gitlab/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/gitlab",
                "/gitlab/.well-known/oauth-authorization-server",
            ],
        ),
    ] {
        let before = server.asked().len();
        let (_verifier, handle) = started([provider("p", &server.url(path))]);
        handle.stop();
        assert_eq!(server.asked()[before..][..3], asked);
    }
}

/// T22
#[test]
fn what_is_too_large_or_empty_is_refused_whole() {
    let good = key("K");
    let server = Server::answering([http(200, jwks(&[&good]))]);
    let issuer = server.url("");
    let (verifier, _handle) = started([provider("p", &issuer).jwks_url(&server.url("/keys"))]);
    let padded = |len: usize| {
        let set = jwks(&[&good]);
        format!("{set}{}", " ".repeat(len - set.len()))
    };
    server.now_answers(http(200, padded(512 * 1024)));
    refresh(&verifier, "p").unwrap();
    let mut reasons = Vec::new();
    for body in [padded(512 * 1024 + 1), jwks_of(vec![good.jwk(); 257]), jwks(&[])] {
        server.now_answers(http(200, body));
        refresh(&verifier, "p").unwrap_err();
        let (stage, code, _) = last_error(&verifier, "p");
        reasons.push((stage, code));
        assert!(verifier.verify(&token(&issuer, &good)).is_ok());
    }
    assert_eq!(reasons, [("body", "too_large"), ("parse", "too_large"), ("parse", "empty_set")]);
}

/// T23
#[test]
fn a_document_cannot_send_us_to_plain_http_or_to_a_private_address() {
    let idp = Idp::start(IdpConfig::new().realm("r")).unwrap();
    let configured = provider("p", &idp.issuer("r").unwrap());
    let (verifier, _handle) = started([configured.clone()]);
    assert_eq!(state(&verifier, "p"), "ready", "the origin that the operator wrote is allowed");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (jwks_uri, code) in [
        ("http://10.0.0.5/keys".to_owned(), "scheme"),
        ("https://169.254.169.254/keys".to_owned(), "address"),
        ("https://[64:ff9b:1::a9fe:a9fe]/keys".to_owned(), "address"),
        (format!("https://127.0.0.1:{port}/keys"), "address"),
        (format!("https://localhost:{port}/keys"), "address"),
    ] {
        idp.set_metadata("r", Metadata::default().jwks_uri(&jwks_uri)).unwrap();
        let (verifier, _handle) = started([configured.clone()]);
        let (stage, found, detail) = last_error(&verifier, "p");
        assert_eq!((stage, found), ("policy", code), "{jwks_uri}: {detail}");
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nothing was dialled");
}

/// G1, G3, G4, G6, G7, G9, G10, K27
#[test]
fn providers_in_every_state_stand_beside_a_healthy_one() {
    let local = key("local");
    let idp = Idp::start(IdpConfig::new().realm("gitlab")).unwrap();
    // Its port is kept, and refuses.
    let down = Idp::start(IdpConfig::new().realm("portal")).unwrap();
    down.down().unwrap();
    let blackhole = Server::answering([NEVER.to_vec()]);
    let portal = down.issuer("portal").unwrap();
    let config = Config::parse_yaml(&format!(
        "providers:\n  \
           gitlab: {{ issuer: '{}', audiences: [app] }}\n  \
           local: {{ issuer: local, audiences: [app], keys: '{}' }}\n  \
           empty: {{ issuer: '', audiences: [app] }}\n  \
           invalid: {{ issuer: 'https://i.example', jwks_url: abc, audiences: [app] }}\n  \
           unreachable: {{ issuer: '{portal}', audiences: [app] }}\n  \
           blackhole: {{ issuer: '{}', audiences: [app] }}\n",
        idp.issuer("gitlab").unwrap(),
        jwks(&[&local]),
        blackhole.url(""),
    ))
    .unwrap();
    let verifier = Verifier::from_config(config);
    let _handle = verifier.start().unwrap();
    let of_gitlab = idp.mint("gitlab", Token::new().audience("app")).unwrap();
    until(|| verifier.verify(&of_gitlab).is_ok());
    until(|| status(&verifier, "unreachable").sources[0].last_error.is_some());
    until(|| blackhole.connections() == 1);
    assert!(verifier.verify(&token("local", &local)).is_ok());

    let states = ["gitlab", "local", "empty", "invalid", "unreachable", "blackhole"];
    assert_eq!(
        states.map(|name| state(&verifier, name)),
        ["ready", "ready", "disabled", "disabled", "cold", "cold"]
    );
    assert!(status(&verifier, "empty").reason.starts_with("unset: "));
    assert!(status(&verifier, "invalid").reason.contains("\"abc\" is not an absolute URL"));
    let (stage, code, _) = last_error(&verifier, "unreachable");
    assert_eq!((stage, code), ("connect", "connect"));
    for issuer in [&portal, &blackhole.url("")] {
        assert_eq!(refusal(&verifier, &token(issuer, &key("any"))), (503, "keys.unavailable"));
    }
}

/// G5
#[test]
fn each_answer_without_keys_has_a_name_of_its_own() {
    let document = |issuer: &str| json!({ "issuer": issuer, "jwks_uri": "" }).to_string();
    let secret = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#;
    let server = Server::answering([http(502, "")]);
    let issuer = server.url("");
    for (body, code) in [
        (http(502, "<html>Bad Gateway"), "status"),
        (http(200, "<!doctype html><title>Sign in</title>"), "login_page"),
        (http(200, "Bootstrap in progress"), "not_json"),
        (http(200, "{}"), "no_keys_member"),
        (http(200, r#"{"keys":[]}"#), "empty_set"),
        (http(200, secret), "no_usable_key"),
        (http(200, document(&issuer)), "no_jwks_uri"),
    ] {
        server.now_answers(body);
        let configured = provider("p", &issuer);
        let discovered = code == "no_jwks_uri";
        let configured =
            if discovered { configured } else { configured.jwks_url(&server.url("/keys")) };
        let (verifier, _handle) = started([configured]);
        assert_eq!(last_error(&verifier, "p").1, code);
    }
}

/// K2, K3
#[test]
fn an_alias_is_refused_with_the_line_to_write_and_accepted_once_it_is_declared() {
    let canonical = "https://keycloak.d.example/realms/akko";
    let alias = "https://identity.d.example/realms/akko";
    let realm = RealmConfig::new("akko").issuer(canonical);
    let idp = Idp::start(IdpConfig::new().realm(realm)).unwrap();
    let configured = provider("keycloak", alias).jwks_url(&idp.jwks_url("akko").unwrap());
    let token = idp.mint("akko", Token::new().audience("app")).unwrap();
    let (verifier, _handle) = started([configured.clone()]);
    assert_eq!(refusal(&verifier, &token), (401, "issuer.unknown"));
    let hint = verifier.verify(&token).unwrap_err().hint();
    assert!(hint.contains("providers.keycloak.aliases") && hint.contains(alias), "{hint}");
    let (verifier, _handle) = started([configured.aliases([canonical])]);
    assert_eq!(verifier.verify(&token).unwrap().issuer(), canonical);
}

/// K10
#[test]
fn endpoint_origin_leads_around_a_public_host_that_cannot_be_reached() {
    let public = "https://sso.invalid/realms/akko";
    let certs = format!("{public}/protocol/openid-connect/certs");
    let realm =
        RealmConfig::new("akko").issuer(public).metadata(Metadata::default().jwks_uri(certs));
    let idp = Idp::start(IdpConfig::new().realm(realm)).unwrap();
    let configured = provider("p", public).discovery_url(&idp.discovery_url("akko").unwrap());
    let token = idp.mint("akko", Token::new().audience("app")).unwrap();
    let (verifier, _handle) = started([configured.clone()]);
    let (stage, _, detail) = last_error(&verifier, "p");
    assert_eq!(stage, "resolve");
    assert!(detail.contains("providers.p.endpoint_origin: discovery"), "{detail}");
    let (verifier, _handle) = started([configured.endpoint_origin(EndpointOrigin::Discovery)]);
    assert!(verifier.verify(&token).is_ok());
}

/// K13, K14
#[test]
fn cache_control_moves_the_next_attempt_within_its_bounds() {
    for (cache_control, bounds) in [
        ("no-cache, no-store, max-age=0", 54..=66),
        ("max-age=2592000", 3_240..=3_960),
        ("max-age=600", 540..=660),
    ] {
        let realm = RealmConfig::new("r").cache_control(cache_control);
        let idp = Idp::start(IdpConfig::new().realm(realm)).unwrap();
        let (verifier, _handle) = started([provider("p", &idp.issuer("r").unwrap())]);
        let source = status(&verifier, "p").sources.remove(0);
        let at = |text: Option<String>| humantime::parse_rfc3339(&text.unwrap()).unwrap();
        let wait = at(source.next_attempt).duration_since(at(source.last_success)).unwrap();
        assert!(bounds.contains(&wait.as_secs()), "{cache_control}: {wait:?}");
    }
}

/// K17
#[test]
fn a_keycloak_that_boots_later_is_served_when_it_is_up() {
    let signing = key("K");
    let booting = "HTTP/1.1 503 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let ready = http(200, jwks(&[&signing]));
    let server = Server::answering([booting.into(), http(404, "{}"), ready]);
    let issuer = server.url("/realms/akko");
    let verifier = verifier([provider("p", &issuer).jwks_url(&server.url("/realms/akko/certs"))]);
    let _handle = verifier.start().unwrap();
    let token = token(&issuer, &signing);
    assert_eq!(refusal(&verifier, &token), (503, "keys.unavailable"));
    until(|| verifier.verify(&token).is_ok());
    assert_eq!(server.asked().len(), 3);
}

mod starting_and_stopping {
    use super::*;

    #[test]
    fn key_files_are_read_when_start_returns() {
        let folder = tempfile::tempdir().unwrap();
        let (path, signing) = (folder.path().join("keys.json"), key("K"));
        fs::write(&path, jwks(&[&signing])).unwrap();
        let verifier = verifier([provider("p", "local").keys_file(&path)]);
        let _handle = verifier.start().unwrap();
        assert!(verifier.verify(&token("local", &signing)).is_ok());
    }

    /// A name that is being looked up and an answer that never comes are left behind.
    #[test]
    fn stopping_waits_for_nobody_and_a_restart_asks_again() {
        let signing = key("K");
        let server = Server::answering([NEVER.to_vec()]);
        let issuer = server.url("");
        let verifier = verifier([
            provider("p", &issuer).jwks_url(&server.url("/keys")),
            provider("unresolved", "https://tunnel.invalid"),
        ]);
        let handle = verifier.start().unwrap();
        until(|| server.connections() == 1);
        handle.stop();
        assert!(matches!(refresh(&verifier, "p").unwrap_err(), RefreshError::NotStarted));

        server.now_answers(http(200, jwks(&[&signing])));
        let _handle = verifier.start().unwrap();
        until(|| verifier.verify(&token(&issuer, &signing)).is_ok());
    }

    #[test]
    fn a_dropped_handle_ends_the_refresh_and_a_second_one_takes_over() {
        let idp = Idp::start(IdpConfig::new().realm("r")).unwrap();
        let (verifier, first) = started([provider("p", &idp.issuer("r").unwrap())]);
        let second = verifier.start().unwrap();
        assert!(second.wait_first_attempts(LONG));
        assert_eq!(idp.requests("r").unwrap().jwks, 1, "two handles, one refresh");
        drop(first);
        assert!(refresh(&verifier, "p").is_ok());
        second.stop();
        until(|| matches!(refresh(&verifier, "p"), Err(RefreshError::NotStarted)));
        let token = idp.mint("r", Token::new().audience("app")).unwrap();
        assert!(verifier.verify(&token).is_ok(), "the keys stay");
    }

    /// In a host program that is asynchronous itself, on whichever runtime.
    #[tokio::test]
    async fn a_refresh_starts_and_stops_inside_another_runtime() {
        let idp = Idp::start(IdpConfig::new().realm("r")).unwrap();
        let verifier = verifier([provider("p", &idp.issuer("r").unwrap())]);
        let handle = verifier.start().unwrap();
        assert_eq!(verifier.refresh("p").await.unwrap().state, "ready");
        let token = idp.mint("r", Token::new().audience("app")).unwrap();
        assert!(verifier.verify(&token).is_ok(), "what a refresh brought is there when it returns");
        drop(handle);
    }

    #[test]
    fn a_wait_for_first_attempts_ends_when_its_time_is_up() {
        let server = Server::answering([NEVER.to_vec()]);
        let verifier = verifier([provider("p", &server.url(""))]);
        let handle = verifier.start().unwrap();
        assert!(!handle.wait_first_attempts(Duration::ZERO));
        handle.stop();
    }

    #[test]
    fn what_is_applied_is_asked_and_what_is_gone_is_not() {
        let idp = Idp::start(IdpConfig::new().realm("one").realm("two")).unwrap();
        let configured = |realm: &str| provider(realm, &idp.issuer(realm).unwrap());
        let (verifier, _handle) = started([configured("one")]);
        verifier.apply(Config::of([configured("two")]));
        refresh(&verifier, "two").unwrap();
        let token = |realm| idp.mint(realm, Token::new().audience("app")).unwrap();
        assert!(verifier.verify(&token("two")).is_ok());
        assert_eq!(refusal(&verifier, &token("one")), (401, "issuer.unknown"));
        assert!(matches!(refresh(&verifier, "one"), Err(RefreshError::UnknownProvider(_))));
        assert_eq!(idp.requests("one").unwrap().jwks, 1);
    }
}
