//! Keys by way of provider metadata (OIDC Discovery 1.0, RFC 8414).
//!
//! The document names the address of the keys; it never names the issuer that is compared. It is
//! asked at most once an hour, and when it cannot be had the last known address is asked all the
//! same, so that discovery is never a gate in front of keys.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead_core::json::{self, Limits, Value};
use keystead_core::text::quoted;
use url::Url;

use super::jwks_url;
use super::{Fetched, Network, Tag};
use crate::config::{DiscoveryAddress, EndpointOrigin};
use crate::counters::DocumentKind;
use crate::http::{FetchCode, FetchError, NAMED, Stage, holds_userinfo, judge_json, shown};
use crate::snapshot::Endpoint;

/// How long a metadata document is taken as current.
const METADATA_MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// A key source behind provider metadata.
#[derive(Debug)]
pub(crate) struct Discovery {
    provider: String,
    /// What the document's issuer may be: the provider's issuer, then its aliases.
    issuers: Vec<String>,
    /// Where the document may be.
    address: Url,
    /// Other forms of that address, asked when the first answers 404 or 410.
    others: Vec<Url>,
    endpoint_origin: EndpointOrigin,
    /// What is known from one attempt to the next. Never locked while something is awaited, so
    /// that an attempt that is abandoned leaves it whole.
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Which of the addresses worked last.
    worked: usize,
    known: Option<Known>,
}

/// What the document said when it was last read.
#[derive(Clone, Debug)]
struct Known {
    jwks_uri: Url,
    /// Where it was.
    document: Url,
    /// When that was; none: it is to be asked again.
    asked: Option<Duration>,
}

impl Discovery {
    pub(crate) const fn endpoint_origin(&self) -> EndpointOrigin {
        self.endpoint_origin
    }

    pub(crate) fn new(
        provider: &str,
        issuers: Vec<String>,
        address: &DiscoveryAddress,
        endpoint_origin: EndpointOrigin,
    ) -> Self {
        let (address, others) = match address {
            DiscoveryAddress::Written(url) => (url.clone(), Vec::new()),
            DiscoveryAddress::FromIssuer(issuer) => well_known(issuer),
        };
        let provider = provider.to_owned();
        Self { provider, issuers, address, others, endpoint_origin, memory: Mutex::default() }
    }

    /// Where the document is asked for first.
    pub(crate) const fn address(&self) -> &Url {
        &self.address
    }

    /// One attempt: the document if it is due, then the keys.
    ///
    /// A document that cannot be had does not keep the last known address from being asked; it is
    /// reported beside the keys. `tag`: as for [`jwks_url::ask`].
    pub(crate) async fn ask(
        &self,
        network: &Network,
        tag: Option<&Tag>,
    ) -> Result<Fetched, FetchError> {
        let now = network.clock.monotonic();
        let known = self.memory().known.clone();
        let (known, notice) = match known {
            Some(known) if known.is_current(now) => (known, None),
            outdated => match (self.read_counted(network, now).await, outdated) {
                (Ok(known), _) => (known, None),
                (Err(error), Some(outdated)) => (outdated, Some(error)),
                (Err(error), None) => return Err(error),
            },
        };
        let fetched = jwks_url::ask(&known.jwks_uri, network, tag).await;
        let fetched = fetched.map_err(|error| self.with_way_out(error, &known))?;
        Ok(Fetched { notice, ..fetched })
    }

    /// Asks the document again at the next attempt, however young it is.
    pub(crate) fn expire(&self) {
        if let Some(known) = &mut self.memory().known {
            known.asked = None;
        }
    }

    /// What the document said when it was last read, to be remembered over a restart.
    pub(crate) fn known_endpoint(&self) -> Option<Endpoint> {
        let known = self.memory().known.clone()?;
        // The query of an address that the operator wrote may hold a secret.
        let (jwks_uri, document) = (known.jwks_uri.into(), shown(&known.document));
        Some(Endpoint::new(jwks_uri, document, self.endpoint_origin.as_str()))
    }

    /// Remembers what the document said before a restart, unless it was read since. It is asked
    /// again all the same.
    pub(crate) fn recall(&self, endpoint: &Endpoint) {
        let addresses = std::iter::once(&self.address).chain(&self.others);
        let found = addresses.enumerate().find(|(_, url)| shown(url) == endpoint.document);
        let mut memory = self.memory();
        let wanted = memory.known.is_none() && endpoint.is_of_origin(self.endpoint_origin.as_str());
        let (true, Some((worked, document))) = (wanted, found) else { return };
        if let Ok(jwks_uri) = Url::parse(&endpoint.jwks_uri) {
            let document = document.clone();
            *memory = Memory { worked, known: Some(Known { jwks_uri, document, asked: None }) };
        }
    }

    async fn read_counted(&self, network: &Network, now: Duration) -> Result<Known, FetchError> {
        let had = self.read_document(network, now);
        network.counted(DocumentKind::Discovery, had, |_| "ok").await
    }

    /// Only 404 and 410 say that the document has another form; anything else is a provider that
    /// cannot answer now, and asking it three times would not help.
    async fn read_document(&self, network: &Network, now: Duration) -> Result<Known, FetchError> {
        let addresses: Vec<&Url> = std::iter::once(&self.address).chain(&self.others).collect();
        let worked = self.memory().worked;
        let (mut first, others): (Vec<_>, Vec<_>) =
            addresses.into_iter().enumerate().partition(|(at, _)| *at == worked);
        first.extend(others);
        let mut missing = None;
        for (at, url) in first {
            match network.fetch(url, "application/json").await {
                Ok(document) => {
                    let jwks_uri = self.read(url, judge_json(&document, url)?)?;
                    // One that may not be asked does not take the place of one that was.
                    network.rules.admit_url(&jwks_uri, NAMED)?;
                    let known = Known { jwks_uri, document: url.clone(), asked: Some(now) };
                    *self.memory() = Memory { worked: at, known: Some(known.clone()) };
                    return Ok(known);
                }
                Err(error) if matches!(error.status, Some(404 | 410)) => {
                    missing.get_or_insert(error);
                }
                Err(error) => return Err(missing.unwrap_or(error)),
            }
        }
        Err(missing.unwrap_or_else(|| {
            FetchError::new(Stage::Policy, FetchCode::BadUrl, &self.address, "no address to ask")
        }))
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
                text => format!("jwks_uri {} is not an absolute URL with a host", quoted(text)),
            };
            FetchError::new(Stage::Parse, FetchCode::NoJwksUri, url, detail)
        })?;
        if holds_userinfo(&jwks_uri) {
            let detail = "jwks_uri holds a user name or password";
            return Err(FetchError::new(Stage::Policy, FetchCode::BadUrl, url, detail));
        }
        Ok(match self.endpoint_origin {
            EndpointOrigin::Discovery => at_origin_of(url, &jwks_uri),
            EndpointOrigin::Document => jwks_uri,
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

    /// The document is reached at one host and sends us to another, as it does inside of clusters:
    /// a failure to get there says which settings lead around it.
    fn with_way_out(&self, mut error: FetchError, known: &Known) -> FetchError {
        let elsewhere = known.document.origin() != known.jwks_uri.origin();
        let not_reached =
            matches!(error.stage, Stage::Policy | Stage::Resolve | Stage::Connect | Stage::Tls);
        if elsewhere && not_reached {
            error.detail = format!(
                "{}; provider metadata names this address: write providers.{provider}.jwks_url, or \
                 providers.{provider}.endpoint_origin: discovery to ask the host of the metadata",
                error.detail,
                provider = self.provider
            );
        }
        error
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nobody panics while holding it, and it would be whole all the same.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_current(&self, now: Duration) -> bool {
        self.asked.is_some_and(|asked| now.saturating_sub(asked) < METADATA_MAX_AGE)
    }
}

/// The addresses that follow from an issuer: OIDC appended (OIDC Discovery section 4.1); RFC 8414
/// inserted (its section 3.1) and appended.
fn well_known(issuer: &Url) -> (Url, Vec<Url>) {
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
    (at(format!("{path}/.well-known/openid-configuration")), others)
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
