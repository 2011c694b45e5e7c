//! Keys by way of provider metadata (OIDC Discovery 1.0, RFC 8414).
//!
//! The document names the address of the keys; it never names the issuer that is compared. It is
//! asked at most once an hour, and when it cannot be had the last known address is asked all the
//! same, so that discovery is never a gate in front of keys.

use std::time::Duration;

use keystead_core::json::{self, Limits, Value};
use keystead_core::text::quoted;
use url::Url;

use super::jwks_url;
use super::{Fetched, Network};
use crate::config::{DiscoveryAddress, EndpointOrigin};
use crate::http::{FetchCode, FetchError, Stage, holds_userinfo, judge_json};

/// How long a metadata document is taken as current.
const METADATA_MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// A key source behind provider metadata.
#[derive(Debug)]
pub(crate) struct Discovery {
    provider: String,
    /// What the document's issuer may be: the provider's issuer, then its aliases.
    issuers: Vec<String>,
    addresses: Addresses,
    endpoint_origin: EndpointOrigin,
    known: Option<Known>,
}

/// Where the document may be.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    first: Url,
    /// Other forms, asked when the first answers 404 or 410.
    others: Vec<Url>,
    /// Which of them all worked last.
    worked: usize,
}

/// What the document said when it was last read.
#[derive(Debug)]
struct Known {
    jwks_uri: Url,
    /// When that was; none: it is to be asked again.
    asked: Option<Duration>,
}

impl Addresses {
    pub(crate) fn new(address: &DiscoveryAddress) -> Self {
        match address {
            DiscoveryAddress::Written(url) => {
                Self { first: url.clone(), others: Vec::new(), worked: 0 }
            }
            DiscoveryAddress::FromIssuer(issuer) => Self::from_issuer(issuer),
        }
    }

    /// The addresses that follow from an issuer: OIDC appended (OIDC Discovery section 4.1), RFC
    /// 8414 inserted (its section 3.1), RFC 8414 appended.
    fn from_issuer(issuer: &Url) -> Self {
        // A slash at the end of the issuer is removed first.
        let path = issuer.path().trim_end_matches('/');
        let at = |path: String| {
            let mut url = issuer.clone();
            url.set_path(&path);
            url.set_query(None);
            url.set_fragment(None);
            url
        };
        let mut others = vec![
            at(format!("/.well-known/oauth-authorization-server{path}")),
            at(format!("{path}/.well-known/oauth-authorization-server")),
        ];
        others.dedup();
        Self { first: at(format!("{path}/.well-known/openid-configuration")), others, worked: 0 }
    }

    /// The address that worked last, or the first.
    pub(crate) fn current(&self) -> &Url {
        self.all().nth(self.worked).unwrap_or(&self.first)
    }

    fn all(&self) -> impl Iterator<Item = &Url> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Discovery {
    pub(crate) fn new(
        provider: &str,
        issuers: Vec<String>,
        addresses: Addresses,
        endpoint_origin: EndpointOrigin,
    ) -> Self {
        Self { provider: provider.to_owned(), issuers, addresses, endpoint_origin, known: None }
    }

    /// One attempt: the document if it is due, then the keys.
    ///
    /// A document that cannot be had does not keep the last known address from being asked; it is
    /// reported beside the keys.
    pub(crate) async fn ask(&mut self, network: &Network) -> Result<Fetched, FetchError> {
        let now = network.clock.monotonic();
        let (jwks_uri, notice) = match self.known.take() {
            Some(known) if known.is_current(now) => (self.keep(known), None),
            previous => match (self.read_document(network).await, previous) {
                (Ok(jwks_uri), _) => (self.keep(Known { jwks_uri, asked: Some(now) }), None),
                (Err(error), Some(previous)) => (self.keep(previous), Some(error)),
                (Err(error), None) => return Err(error),
            },
        };
        let fetched = jwks_url::ask(&jwks_uri, network).await?;
        Ok(Fetched { notice, ..fetched })
    }

    /// Asks the document again at the next attempt, however young it is.
    pub(crate) fn expire(&mut self) {
        if let Some(known) = &mut self.known {
            known.asked = None;
        }
    }

    fn keep(&mut self, known: Known) -> Url {
        self.known.insert(known).jwks_uri.clone()
    }

    /// Only 404 and 410 say that the document has another form; anything else is a provider that
    /// cannot answer now, and asking it three times would not help.
    async fn read_document(&mut self, network: &Network) -> Result<Url, FetchError> {
        let remembered = self.addresses.current().clone();
        let others: Vec<_> =
            self.addresses.all().filter(|url| **url != remembered).cloned().collect();
        let mut missing = None;
        for url in std::iter::once(remembered.clone()).chain(others) {
            match network.fetch(&url, "application/json").await {
                Ok(document) => {
                    let jwks_uri = self.read(&url, judge_json(&document, &url)?)?;
                    let at = self.addresses.all().position(|address| *address == url);
                    self.addresses.worked = at.unwrap_or(0);
                    return Ok(jwks_uri);
                }
                Err(error) if matches!(error.status, Some(404 | 410)) => {
                    missing.get_or_insert(error);
                }
                Err(error) => return Err(missing.unwrap_or(error)),
            }
        }
        let none = "no address to ask";
        let none = || FetchError::new(Stage::Policy, FetchCode::BadUrl, &remembered, none);
        Err(missing.unwrap_or_else(none))
    }

    /// The address of the keys, if the document is this provider's (OIDC Discovery section 4.3).
    fn read(&self, url: &Url, body: &[u8]) -> Result<Url, FetchError> {
        let document = json::parse(body, Limits::DOCUMENT)
            .map_err(|e| FetchError::new(Stage::Parse, FetchCode::NotJson, url, e.to_string()))?;
        let member = |name| document.member(name).and_then(Value::as_str);
        let issuer = member("issuer");
        if !self.issuers.iter().any(|known| issuer.as_deref() == Some(known)) {
            let detail = self.mismatch(issuer.as_deref());
            return Err(FetchError::new(Stage::Mismatch, FetchCode::IssuerMismatch, url, detail));
        }
        let written = member("jwks_uri").unwrap_or_default();
        let jwks_uri = Url::parse(&written).ok().filter(Url::has_host).ok_or_else(|| {
            let detail = match &*written {
                "" => "provider metadata has no jwks_uri".to_owned(),
                // It may hold a password.
                text if text.contains('@') => "jwks_uri is not an absolute URL".to_owned(),
                text => format!("jwks_uri {} is not an absolute URL", quoted(text)),
            };
            FetchError::new(Stage::Parse, FetchCode::NoJwksUri, url, detail)
        })?;
        if holds_userinfo(&jwks_uri) {
            let detail = "jwks_uri holds a user name or password";
            return Err(FetchError::new(Stage::Parse, FetchCode::BadUrl, url, detail));
        }
        Ok(match self.endpoint_origin {
            EndpointOrigin::Discovery => at_origin_of(url, &jwks_uri),
            _ => jwks_uri,
        })
    }

    /// Both strings, and the line to write.
    fn mismatch(&self, found: Option<&str>) -> String {
        let configured = self.issuers.first().map(String::as_str).unwrap_or_default();
        match found {
            None => "provider metadata names no issuer".to_owned(),
            Some(found) => format!(
                "provider metadata names issuer {}, configured is {}; if both name the same realm, \
                 write providers.{}.aliases: [{}]",
                quoted(found),
                quoted(configured),
                self.provider,
                quoted(found)
            ),
        }
    }
}

impl Known {
    fn is_current(&self, now: Duration) -> bool {
        self.asked.is_some_and(|asked| now.saturating_sub(asked) < METADATA_MAX_AGE)
    }
}

/// `jwks_uri` with scheme, host and port of the document's own address: an in-cluster address is
/// asked for keys where the document names a public one.
fn at_origin_of(document: &Url, jwks_uri: &Url) -> Url {
    let mut url = document.clone();
    url.set_path(jwks_uri.path());
    url.set_query(jwks_uri.query());
    url.set_fragment(None);
    url
}
