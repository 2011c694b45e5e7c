//! How a provider is reached: redirects, credentials, certificates, stand-ins and proxies, each with
//! real sockets on both sides.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod authority;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authority::Authority;
use keystead::config::EndpointOrigin;
use keystead::http::{
    Document, Fetch, FetchCode, FetchError, FetchRequest, FetchRules, HyperFetch, Proxies, Stage,
};
use keystead::{ProviderConfig, RefreshError, Verifier};
use keystead_testkit::{Answer, ScriptedFetch};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// A server that answers every connection, and remembers what it was asked.
struct Site {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

/// What a site answers to the head of a request.
type Answers = dyn Fn(&str) -> String + Send + Sync;

impl Site {
    async fn plain(answers: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::serving(None, Arc::new(answers)).await
    }

    async fn tls(
        tls: TlsAcceptor,
        answers: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::serving(Some(tls), Arc::new(answers)).await
    }

    async fn serving(tls: Option<TlsAcceptor>, answers: Arc<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = Arc::clone(&requests);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Some(tls) = &tls else {
                    answer(stream, &*answers, &record).await;
                    continue;
                };
                // Who does not trust the certificate hangs up.
                let Ok(stream) = tls.accept(stream).await else { continue };
                answer(stream, &*answers, &record).await;
            }
        });
        Self { port, requests, _task: task }
    }

    fn url(&self, scheme: &str, host: &str, path: &str) -> Url {
        Url::parse(&format!("{scheme}://{host}:{}{path}", self.port)).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The targets that were asked for.
    fn targets(&self) -> Vec<String> {
        let target = |request: &String| request.split(' ').nth(1).unwrap().to_owned();
        self.requests().iter().map(target).collect()
    }

    /// The values of a header, request by request.
    fn header(&self, name: &str) -> Vec<Option<String>> {
        self.requests().iter().map(|request| header(request, name)).collect()
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: &Answers,
    record: &Mutex<Vec<String>>,
) {
    let head = head(&mut stream).await;
    record.lock().unwrap().push(head.clone());
    // The client may hang up as soon as it has seen enough.
    let _hung_up = stream.write_all(answers(&head).as_bytes()).await;
    let _hung_up = stream.shutdown().await;
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

const FOUND: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

fn found(_request: &str) -> String {
    FOUND.to_owned()
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n")
}

fn rules(url: &Url) -> FetchRules {
    let mut rules = FetchRules::default();
    rules.operator_origins = vec![url.origin()];
    rules
}

async fn fetch(client: &HyperFetch, url: &Url, rules: &FetchRules) -> Result<Document, FetchError> {
    let request = FetchRequest::new(url.clone(), "application/json", Arc::new(rules.clone()));
    client.fetch(request).await?.into_document(url)
}

fn said(error: &FetchError) -> (Stage, FetchCode) {
    (error.stage, error.code)
}

/// A file in a folder of its own.
struct Written {
    folder: TempDir,
}

impl Written {
    fn holding(content: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(file.path(), content).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file")
    }
}

/// T24
#[tokio::test]
async fn five_redirects_on_one_origin_are_followed_and_no_sixth() {
    let site = Site::plain(|request| match request.split(' ').nth(1).unwrap() {
        "/0" => found(request),
        path => {
            let left: u32 = path.trim_start_matches('/').parse().unwrap();
            redirect(&format!("{}#ignored", left - 1))
        }
    })
    .await;
    let url = |path| site.url("http", "127.0.0.1", path);
    let rules = rules(&url("/"));
    let client = HyperFetch::new();
    assert_eq!(fetch(&client, &url("/5"), &rules).await.unwrap().body, "{}");
    assert_eq!(site.targets(), ["/5", "/4", "/3", "/2", "/1", "/0"]);
    let error = fetch(&client, &url("/6"), &rules).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Status, FetchCode::Redirect));
    assert_eq!(error.detail, "the answer is a redirect after 5 redirects, which is not followed");
    assert_eq!(site.requests().len(), 12);
}

/// T24
#[tokio::test]
async fn a_redirect_to_another_origin_is_never_dialled() {
    let other = Site::plain(found).await;
    let there = other.url("http", "127.0.0.1", "/secret");
    let target = there.to_string();
    let site = Site::plain(move |_| redirect(&target)).await;
    let url = site.url("http", "127.0.0.1", "/keys");
    // Not even when the operator wrote both.
    let mut rules = rules(&url);
    rules.operator_origins.push(there.origin());
    let error = fetch(&HyperFetch::new(), &url, &rules).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Status, FetchCode::Redirect));
    let origin = there.origin().ascii_serialization();
    let detail = format!("the answer is a redirect (302) to \"{origin}\", which is not followed");
    assert_eq!(error.detail, detail);
    assert!(other.requests().is_empty());
}

/// K20
#[tokio::test]
async fn a_redirect_to_a_login_page_elsewhere_is_called_one() {
    let site = Site::plain(|_| redirect("https://sso.example/oauth2/start?rd=secret")).await;
    let url = site.url("http", "127.0.0.1", "/keys");
    let error = fetch(&HyperFetch::new(), &url, &rules(&url)).await.unwrap_err();
    assert_eq!(error.code, FetchCode::Redirect);
    assert!(error.detail.ends_with("; it looks like a login redirect"), "{}", error.detail);
    assert!(!error.detail.contains("secret"), "{}", error.detail);
}

#[tokio::test]
async fn the_time_limit_is_over_all_redirects_together() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            // Five of these take longer than all of them may.
            tokio::time::sleep(Duration::from_millis(60)).await;
            let _hung_up = stream.write_all(redirect("/again").as_bytes()).await;
        }
    });
    let mut rules = rules(&url);
    rules.timeout = Duration::from_millis(200);
    let error = fetch(&HyperFetch::new(), &url, &rules).await.unwrap_err();
    assert_eq!(error.code, FetchCode::Timeout);
    assert!(error.detail.ends_with("within 200ms"), "{}", error.detail);
}

#[tokio::test]
async fn a_tag_goes_to_the_address_that_gave_it_and_no_further() {
    let site = Site::plain(|request| {
        if request.starts_with("GET /moved ") {
            return redirect("/keys");
        }
        "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 2\r\n\r\n{}".to_owned()
    })
    .await;
    let tag = Some("\"v1\"".to_owned());
    let ask = async |path| {
        let url = site.url("http", "127.0.0.1", path);
        let rules = Arc::new(rules(&url));
        let request = FetchRequest::new(url.clone(), "*/*", rules).unless_still(tag.clone());
        HyperFetch::new().fetch(request).await.unwrap().into_document(&url).unwrap().etag
    };
    assert_eq!(ask("/keys").await, tag);
    assert_eq!(ask("/moved").await, None);
    assert_eq!(site.header("if-none-match"), [tag.clone(), tag.clone(), None]);
}

/// T25
#[tokio::test]
async fn a_password_in_a_jwks_uri_is_refused_and_not_echoed() {
    for (jwks_uri, code) in [
        ("https://u:hunter2@keys.example/", "bad_url"),
        ("https://u:hunter2@/", "no_jwks_uri"),
        ("u:hunter2@keys.example", "no_jwks_uri"),
    ] {
        let network = ScriptedFetch::new();
        let document = format!(r#"{{"issuer":"https://idp.example","jwks_uri":"{jwks_uri}"}}"#);
        network
            .on("https://idp.example/.well-known/openid-configuration", [Answer::json(document)]);
        // Whatever becomes of the origin.
        let provider = ProviderConfig::new("p", "https://idp.example")
            .audiences(["a"])
            .endpoint_origin(EndpointOrigin::Discovery);
        let verifier =
            Verifier::builder().provider(provider).fetch(Arc::new(network.clone())).build();
        let failed = tokio::select! {
            biased;
            () = verifier.drive() => panic!("it ends when it is dropped"),
            result = verifier.refresh("p") => result.unwrap_err(),
        };
        let RefreshError::Failed(status) = failed else { panic!("{failed}") };
        assert_eq!(status.sources[0].last_error.as_ref().unwrap().code, code);
        assert!(!format!("{status:?}").contains("hunter2"), "{status:?}");
        assert!(network.requests().iter().all(|url| !url.contains("keys")));
    }
}

/// T27
#[tokio::test]
async fn a_token_that_rotates_is_read_again() {
    let token = Written::holding("one\n");
    let path = token.path();
    let site = Site::plain(move |request| {
        let shown = header(request, "authorization");
        if shown.as_deref() == Some("Bearer one") {
            fs::write(&path, "two\n").unwrap();
            return status("401 Unauthorized");
        }
        found(request)
    })
    .await;
    let url = site.url("http", "127.0.0.1", "/openid/v1/jwks");
    let mut rules = rules(&url);
    rules.token_file = Some(token.path());
    let client = HyperFetch::new();
    assert_eq!(fetch(&client, &url, &rules).await.unwrap().body, "{}");
    fs::write(token.path(), "three").unwrap();
    fetch(&client, &url, &rules).await.unwrap();
    let shown = |token: &str| Some(format!("Bearer {token}"));
    assert_eq!(site.header("authorization"), [shown("one"), shown("two"), shown("three")]);
}

/// T27
#[tokio::test]
async fn a_token_that_is_refused_is_not_shown_twice() {
    let token = Written::holding("one");
    let site = Site::plain(|_| status("401 Unauthorized")).await;
    let url = site.url("http", "127.0.0.1", "/");
    let mut rules = rules(&url);
    rules.token_file = Some(token.path());
    let client = HyperFetch::new();
    let error = fetch(&client, &url, &rules).await.unwrap_err();
    assert_eq!((error.code, error.status), (FetchCode::Status, Some(401)));
    assert_eq!(site.requests().len(), 1);

    fs::write(token.path(), " \n").unwrap();
    let error = fetch(&client, &url, &rules).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Request, FetchCode::File));
    assert_eq!(error.detail, format!("token_file \"{}\" is empty", token.path().display()));
    fs::remove_file(token.path()).unwrap();
    let error = fetch(&client, &url, &rules).await.unwrap_err();
    assert_eq!(error.detail, format!("token_file \"{}\" does not exist", token.path().display()));
    assert_eq!(site.requests().len(), 1, "it was asked without its token");
}

/// T28
#[tokio::test]
async fn credentials_go_to_the_operators_origin_and_nowhere_else() {
    let authority = Authority::named("test CA");
    let client = authority.client();
    let own = Site::tls(authority.server(&["localhost"], 4000), |request| {
        if request.starts_with("GET /moved ") { redirect("/keys") } else { found(request) }
    })
    .await;
    let foreign = Site::tls(authority.server(&["localhost"], 4000), found).await;
    let token = Written::holding("secret-token");
    let url = own.url("https", "localhost", "/moved");
    let mut rules = rules(&url);
    rules.token_file = Some(token.path());
    rules.headers.insert("X-Api-Key", "secret-key").unwrap();
    rules.headers.insert("User-Agent", "agent/1").unwrap();
    rules.private_addresses_anywhere = true;
    fetch(&client, &url, &rules).await.unwrap();
    for name in ["authorization", "x-api-key"] {
        let values = own.header(name);
        assert!(values.iter().all(|v| v.as_ref().is_some_and(|v| v.contains("secret"))), "{name}");
    }
    assert_eq!(own.header("user-agent"), [Some("agent/1".to_owned()), Some("agent/1".to_owned())]);

    let elsewhere = foreign.url("https", "localhost", "/keys");
    fetch(&client, &elsewhere, &rules).await.unwrap();
    assert!(!foreign.requests()[0].contains("secret"), "{:?}", foreign.requests());
    // Nor does its absence hold up what does not need it.
    fs::remove_file(token.path()).unwrap();
    fetch(&client, &elsewhere, &rules).await.unwrap();
    assert!(fetch(&client, &url, &rules).await.is_err());
}

/// T26
#[tokio::test]
async fn a_ca_of_one_provider_is_added_for_it_alone() {
    // In the place of the system's CA stands one that the client was given.
    let (public, private) = (Authority::named("public CA"), Authority::named("private CA"));
    let client = public.client();
    let x = Site::tls(private.server(&["localhost"], 4000), found).await;
    let y = Site::tls(public.server(&["localhost"], 4000), found).await;
    let (x, y) = (x.url("https", "localhost", "/"), y.url("https", "localhost", "/"));
    let ca = Written::holding(&private.0.pem());
    let mut own = rules(&x);
    own.operator_origins.push(y.origin());
    let others = own.clone();
    own.ca_file = Some(ca.path());
    fetch(&client, &x, &own).await.unwrap();
    fetch(&client, &y, &own).await.unwrap();
    fetch(&client, &y, &others).await.unwrap();
    let error = fetch(&client, &x, &others).await.unwrap_err();
    assert_eq!(error.detail, "the certificate was issued by a CA that is not trusted here");

    // It is read again: another CA, nothing, and the first one once more.
    fs::write(ca.path(), Authority::named("another CA").0.pem()).unwrap();
    assert_eq!(fetch(&client, &x, &own).await.unwrap_err().code, FetchCode::Tls);
    fetch(&client, &y, &own).await.unwrap();
    fs::remove_file(ca.path()).unwrap();
    let error = fetch(&client, &x, &own).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Tls, FetchCode::Tls));
    assert_eq!(error.detail, format!("ca_file \"{}\" does not exist", ca.path().display()));
    fs::write(ca.path(), private.0.pem()).unwrap();
    fetch(&client, &x, &own).await.unwrap();
}

/// T41
#[tokio::test]
async fn two_providers_of_one_address_ask_it_by_their_own_rules() {
    let authority = Authority::named("private CA");
    let site = Site::tls(authority.server(&["localhost"], 4000), found).await;
    let url = site.url("https", "localhost", "/keys");
    let ca = Written::holding(&authority.0.pem());
    let client = HyperFetch::with_extra_roots([Authority::named("public CA").0.der().to_vec()]);
    let written = rules(&url);
    let mut trusting = written.clone();
    trusting.ca_file = Some(ca.path());
    // The same address, named by a document.
    let mut strict = trusting.clone();
    strict.operator_origins.clear();
    let mut loose = strict.clone();
    loose.private_addresses_anywhere = true;
    for _ in 0..2 {
        let (trusting, untrusting, strict, loose) = tokio::join!(
            fetch(&client, &url, &trusting),
            fetch(&client, &url, &written),
            fetch(&client, &url, &strict),
            fetch(&client, &url, &loose),
        );
        assert!(trusting.is_ok() && loose.is_ok());
        assert_eq!(said(&untrusting.unwrap_err()), (Stage::Tls, FetchCode::Tls));
        assert_eq!(said(&strict.unwrap_err()), (Stage::Policy, FetchCode::Address));
    }
}

/// K18
#[tokio::test]
async fn a_written_tls_name_is_asked_for_and_verified() {
    let authority = Authority::named("test CA");
    let client = authority.client();
    let site = Site::tls(authority.server(&["sso.example"], 4000), found).await;
    let url = site.url("https", "localhost", "/");
    let mut rules = rules(&url);
    rules.tls_server_name = Some("sso.example".to_owned());
    fetch(&client, &url, &rules).await.unwrap();
    assert_eq!(site.header("host"), [Some(format!("localhost:{}", site.port))]);
    rules.tls_server_name = Some("other.example".to_owned());
    let error = fetch(&client, &url, &rules).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Tls, FetchCode::TlsName));
    assert_eq!(
        error.detail,
        "the certificate is for \"sso.example\", not for \"other.example\" (tls_server_name)"
    );
}

#[tokio::test]
async fn a_stand_in_is_dialled_and_nothing_else_changes() {
    let authority = Authority::named("test CA");
    let client = authority.client();
    let site = Site::tls(authority.server(&["idp.invalid"], 4000), found).await;
    let url = Url::parse("https://idp.invalid/realms/a").unwrap();
    let mut rules = rules(&url);
    rules.connect_to = Some(format!("localhost:{}", site.port).parse().unwrap());
    fetch(&client, &url, &rules).await.unwrap();
    assert_eq!(site.header("host"), [Some("idp.invalid".to_owned())]);

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    rules.connect_to = Some(address.to_string().parse().unwrap());
    let error = fetch(&client, &url, &rules).await.unwrap_err();
    assert_eq!(said(&error), (Stage::Connect, FetchCode::Connect));
    assert_eq!(
        error.detail,
        format!("connection refused by {address}, which is \"{address}\" (connect_to)")
    );
    // A document's URL is not diverted.
    let foreign = Url::parse("https://keys.invalid/").unwrap();
    assert_eq!(fetch(&client, &foreign, &rules).await.unwrap_err().stage, Stage::Resolve);
}

/// A proxy: it opens tunnels to a port of this machine, whatever host is asked for, and answers
/// plain requests itself.
async fn proxy(inside: u16) -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = Arc::clone(&requests);
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = head(&mut stream).await;
            record.lock().unwrap().push(head.clone());
            if !head.starts_with("CONNECT ") {
                stream.write_all(FOUND.as_bytes()).await.unwrap();
                continue;
            }
            if header(&head, "proxy-authorization").as_deref() == Some("Basic bWU6aHVudGVyMg==") {
                let mut inner = TcpStream::connect(("127.0.0.1", inside)).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _either_hung_up = copy_bidirectional(&mut stream, &mut inner).await;
            } else {
                let refusal = status("407 Proxy Authentication Required");
                stream.write_all(refusal.as_bytes()).await.unwrap();
            }
        }
    });
    Site { port, requests, _task: task }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_tells_the_proxy_nothing_else() {
    let authority = Authority::named("test CA");
    let client = authority.client();
    let site = Site::tls(authority.server(&["idp.invalid"], 4000), found).await;
    let proxy = proxy(site.port).await;
    let url = Url::parse("https://idp.invalid/keys?secret").unwrap();
    let mut rules = rules(&url);
    let through = |user: &str| Proxies::through(&format!("http://{user}localhost:{}", proxy.port));
    rules.proxies = through("me:hunter2@").unwrap();
    rules.headers.insert("X-Api-Key", "secret").unwrap();
    fetch(&client, &url, &rules).await.unwrap();
    assert_eq!(site.targets(), ["/keys?secret"]);
    assert_eq!(site.header("proxy-authorization"), [None]);
    assert_eq!(proxy.targets(), ["idp.invalid:443"]);
    assert_eq!(proxy.header("host"), [Some("idp.invalid:443".to_owned())]);
    assert!(!proxy.requests()[0].contains("secret"), "{:?}", proxy.requests());

    for (user, what) in [("", "asks for another name"), ("me:wrong@", "asks for another name")] {
        rules.proxies = through(user).unwrap();
        let error = fetch(&client, &url, &rules).await.unwrap_err();
        assert_eq!(said(&error), (Stage::Connect, FetchCode::Connect));
        let begin = format!("the proxy \"localhost:{}\" {what}", proxy.port);
        assert!(error.detail.starts_with(&begin), "{}", error.detail);
    }
    assert_eq!(site.requests().len(), 1);
}

#[tokio::test]
async fn http_is_handed_to_the_proxy_whole() {
    let proxy = proxy(0).await;
    let url = Url::parse("http://kc.invalid:8080/keys?p=x").unwrap();
    let mut rules = rules(&url);
    rules.plain_http_anywhere = true;
    rules.proxies =
        Proxies::through(&format!("http://me:hunter2@127.0.0.1:{}", proxy.port)).unwrap();
    fetch(&HyperFetch::new(), &url, &rules).await.unwrap();
    assert_eq!(proxy.targets(), ["http://kc.invalid:8080/keys?p=x"]);
    assert_eq!(proxy.header("host"), [Some("kc.invalid:8080".to_owned())]);
    let authorization = Some("Basic bWU6aHVudGVyMg==".to_owned());
    assert_eq!(proxy.header("proxy-authorization"), [authorization]);
}

#[tokio::test]
async fn a_proxy_that_fails_is_named_without_its_password() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let site = Site::plain(|_| status("403 Forbidden")).await;
    let hangs_up = Site::plain(|_| String::new()).await;
    let url = Url::parse("https://idp.example/").unwrap();
    let mut rules = rules(&url);
    for (host, detail) in [
        (
            address.to_string(),
            format!("connection refused by {address}, which is the proxy \"{address}\""),
        ),
        (
            format!("localhost:{}", site.port),
            format!("the proxy \"localhost:{}\" refused the tunnel (403 Forbidden)", site.port),
        ),
        (
            format!("localhost:{}", hangs_up.port),
            format!("the proxy \"localhost:{}\" opened no tunnel (", hangs_up.port),
        ),
    ] {
        rules.proxies = Proxies::through(&format!("me:hunter2@{host}")).unwrap();
        let error = fetch(&HyperFetch::new(), &url, &rules).await.unwrap_err();
        assert_eq!(said(&error), (Stage::Connect, FetchCode::Connect), "{error}");
        assert!(error.detail.starts_with(&detail), "{}", error.detail);
        assert!(!format!("{error:?} {rules:?}").contains("hunter2"));
    }
    let plain = Url::parse("http://idp.example/").unwrap();
    rules.operator_origins.push(plain.origin());
    rules.plain_http_anywhere = true;
    rules.proxies = Proxies::through(&format!("localhost:{}", site.port)).unwrap();
    let error = fetch(&HyperFetch::new(), &plain, &rules).await.unwrap_err();
    let answered = "the server answered 403 Forbidden, or the proxy";
    assert!(error.detail.starts_with(answered), "{}", error.detail);
}

/// T23
#[tokio::test]
async fn behind_a_proxy_a_document_still_cannot_name_a_private_address() {
    let proxy = proxy(0).await;
    let mut rules = FetchRules::default();
    rules.proxies = Proxies::through(&format!("me:hunter2@127.0.0.1:{}", proxy.port)).unwrap();
    for url in
        ["https://169.254.169.254/", "https://10.0.0.5/", "https://metadata.google.internal/"]
    {
        let url = Url::parse(url).unwrap();
        let error = fetch(&HyperFetch::new(), &url, &rules).await.unwrap_err();
        assert_eq!(said(&error), (Stage::Policy, FetchCode::Address), "{url}");
    }
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn what_no_proxy_names_is_asked_without_one() {
    let site = Site::plain(found).await;
    let proxy = proxy(0).await;
    let url = site.url("http", "127.0.0.1", "/");
    let address = format!("127.0.0.1:{}", proxy.port);
    let mut rules = rules(&url);
    // Loopback is not asked through a proxy of the environment, but through one that is written.
    rules.proxies = Proxies::from_variables([("http_proxy", address.as_str())]);
    fetch(&HyperFetch::new(), &url, &rules).await.unwrap();
    assert_eq!((site.requests().len(), proxy.requests().len()), (1, 0));
    rules.proxies = Proxies::through(&address).unwrap();
    fetch(&HyperFetch::new(), &url, &rules).await.unwrap();
    assert_eq!((site.requests().len(), proxy.requests().len()), (1, 1));
}
