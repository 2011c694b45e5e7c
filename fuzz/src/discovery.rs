//! Provider metadata: keys are asked for at the address in a document that is this provider's, if
//! that address may be asked at all, and nowhere else.
//!
//! The whole way is walked, from the fetch of the document to the status, on a network that records
//! what is asked. The lowest bit of the first byte is the setting `endpoint_origin`, the next one
//! says whether the document comes as HTML.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use keystead::config::EndpointOrigin;
use keystead::{ProviderConfig, ProviderStatus, RefreshError, Verifier};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::oracle::{self, assert_printable};
use crate::stand_ins::{METADATA, Network, Still};

/// The issuer of the seeds.
pub const ISSUER: &str = "https://idp.example.test/realms/main";
const ALIAS: &str = "https://login.example.test/realms/main";
/// Stands for a password in an address.
const SECRET: &str = "hunter2";

pub fn check(data: &[u8]) {
    let Some((flags, body)) = data.split_first() else { return };
    let origin = [EndpointOrigin::Document, EndpointOrigin::Discovery][usize::from(flags & 1)];
    let network = Network::new(body, flags & 2 != 0);
    let provider = ProviderConfig::new("idp", ISSUER).aliases([ALIAS]).audiences(["api"]);
    let provider = provider.endpoint_origin(origin);
    let clock = Arc::new(Still(Duration::from_secs(1_800_000_000)));
    let verifier =
        Verifier::builder().provider(provider).clock(clock).fetch(Arc::new(network.clone()));
    let (status, refreshed) = RUNTIME.with_borrow(|runtime| refresh(runtime, &verifier.build()));
    let asked = network.asked();
    for url in &asked {
        assert_may_be_asked(url, body, origin);
    }
    assert_eq!(refreshed, status.state == "ready", "{}", status.reason);
    // The set of the network is good. Without it there are no keys.
    assert_eq!(refreshed, !asked.is_empty() || is_both(body), "{}", status.reason);
    assert_said(&status, refreshed, body);
}

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_all().build().expect("a runtime"));
}

fn refresh(runtime: &Runtime, verifier: &Verifier) -> (ProviderStatus, bool) {
    runtime.block_on(async {
        let answer = tokio::select! {
            // Somebody has to drive before anybody asks.
            biased;
            () = verifier.drive() => panic!("it ends only with its future"),
            answer = verifier.refresh("idp") => answer,
        };
        match answer {
            Ok(status) => (status, true),
            Err(RefreshError::Failed(status)) => (*status, false),
            Err(other) => panic!("{other}"),
        }
    })
}

/// The document is this provider's, in the eyes of another reader, and the address is the one in it.
fn assert_may_be_asked(asked: &Url, body: &[u8], origin: EndpointOrigin) {
    let document = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let members = oracle::object(document).expect("a document is a JSON object");
    let issuer = oracle::string(members["issuer"]).expect("issuer is a string");
    assert!(issuer == ISSUER || issuer == ALIAS, "another's document: {issuer}");
    let named = oracle::string(members["jwks_uri"]).expect("jwks_uri is a string");
    let named = Url::parse(&named).expect("jwks_uri is a URL");
    assert_eq!(asked.scheme(), "https", "{asked}");
    assert!(asked.host_str().is_some_and(|host| !host.is_empty()), "{asked}");
    assert!(asked.username().is_empty() && asked.password().is_none(), "{asked}");
    match origin {
        EndpointOrigin::Discovery => {
            assert_eq!(asked.origin(), Url::parse(METADATA).unwrap().origin());
            // Paths of other schemes are written otherwise.
            if matches!(named.scheme(), "http" | "https") {
                assert_eq!((asked.path(), asked.query()), (named.path(), named.query()));
            }
        }
        _ => assert_eq!(asked, &named),
    }
}

/// Whether the document is a set of keys as well, and asked for as such.
fn is_both(body: &[u8]) -> bool {
    oracle::object(body).is_some_and(|members| members.contains_key("keys"))
}

fn assert_said(status: &ProviderStatus, refreshed: bool, body: &[u8]) {
    assert_printable(&status.reason);
    let [source] = status.sources.as_slice() else { panic!("one source: {status:?}") };
    assert_eq!(source.kind, "discovery");
    assert_eq!(source.last_error.is_none(), refreshed, "{:?}", source.last_error);
    let said = serde_json::to_string(status).expect("it is JSON");
    // An issuer is no secret, whatever stands in it, and is told; so is the name of a member.
    let members = oracle::object(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    let issuer = members.and_then(|members| oracle::string(members.get("issuer")?));
    let told = issuer.is_some_and(|issuer| issuer.contains(SECRET));
    let told = told || said.contains("appears twice");
    let text = String::from_utf8_lossy(body);
    let password = format!(":{SECRET}@");
    let hidden = !told && text.matches(SECRET).count() == text.matches(&*password).count();
    assert!(!hidden || !said.contains(SECRET), "{said}");
    if let Some(error) = &source.last_error {
        assert_printable(&error.detail);
        assert!(!error.detail.is_empty() && error.detail.len() < 1_500, "{}", error.detail);
        let known = ["not_json", "too_large", "login_page", "issuer_mismatch", "no_jwks_uri"];
        let known = known.iter().chain(&["bad_url", "scheme", "no_keys_member", "empty_set"]);
        assert!(known.chain(&["no_usable_key"]).any(|code| *code == error.code), "{}", error.code);
    }
}
