//! Whom a connection is opened to: the URL's host, or who stands in for it.

use std::fmt;
use std::str::FromStr;

use keystead_core::text::quoted;
use url::{Host, Url};

use super::FetchRules;
use super::error::{FetchCode, FetchError, Stage};
use super::proxy::Proxy;
use super::rules::{Author, RuleError};

/// A host and port to dial instead of those of a URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectTo {
    host: Host<String>,
    port: u16,
}

/// Reads `host:port`; an IPv6 address stands in brackets.
impl FromStr for ConnectTo {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let hint = "write host:port, such as keycloak.auth.svc:8443";
        let wrong = |problem: &str| RuleError::new(problem, hint);
        if text.contains("://") || text.contains(['/', '@', '?', '#']) {
            return Err(wrong("it is more than a host and a port"));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("it has no port"))?;
        let port = port.parse().ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| wrong("it does not end in a port from 1 to 65535"))?;
        let host = Host::parse(host).map_err(|_| wrong("it does not begin with a host"))?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Whom to dial.
#[derive(Clone, Debug)]
pub(super) struct Peer<'a> {
    pub(super) host: Host<&'a str>,
    pub(super) port: u16,
    pub(super) role: Role<'a>,
}

/// Why a peer is dialled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role<'a> {
    /// It is the URL's host.
    Target,
    /// The operator wrote it in place of the URL's host.
    StandIn(&'a ConnectTo),
    /// It passes on what it is handed.
    Proxy(&'a Proxy),
}

impl<'a> Peer<'a> {
    /// Whom to dial for `url`. What the operator wrote in place of a host holds for the operator's
    /// URLs, and leaves no use for a proxy.
    pub(super) fn of(url: &'a Url, rules: &'a FetchRules) -> Result<Self, FetchError> {
        let stand_in = rules.connect_to.as_ref();
        if let Some(stand_in) = stand_in.filter(|_| rules.author_of(url) == Author::Operator) {
            let ConnectTo { host, port } = stand_in;
            return Ok(Self { host: lent(host), port: *port, role: Role::StandIn(stand_in) });
        }
        if let Some(proxy) = rules.proxies.of(url) {
            return Ok(Self {
                host: lent(&proxy.host),
                port: proxy.port,
                role: Role::Proxy(proxy),
            });
        }
        let (host, port) =
            url.host().zip(url.port_or_known_default()).ok_or_else(|| no_host(url))?;
        Ok(Self { host, port, role: Role::Target })
    }

    /// The proxy that it is.
    pub(super) const fn proxy(&self) -> Option<&'a Proxy> {
        match self.role {
            Role::Proxy(proxy) => Some(proxy),
            Role::Target | Role::StandIn(_) => None,
        }
    }

    /// An error while it is looked up or dialled. For a URL that is asked through a proxy both are
    /// one thing: the proxy cannot be connected to.
    pub(super) fn failed(
        &self,
        url: &Url,
        stage: Stage,
        code: FetchCode,
        detail: String,
    ) -> FetchError {
        match (self.role, code) {
            (Role::Proxy(_), FetchCode::Resolve) => {
                FetchError::new(Stage::Connect, FetchCode::Connect, url, detail)
            }
            (Role::Proxy(_), _) => FetchError::new(Stage::Connect, code, url, detail),
            _ => FetchError::new(stage, code, url, detail),
        }
    }
}

/// As sentences call it.
impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Target => write!(f, "{}", quoted(&self.host.to_string())),
            Role::StandIn(it) => write!(f, "{} (connect_to)", quoted(&it.to_string())),
            Role::Proxy(proxy) => write!(f, "the proxy {}", quoted(&proxy.to_string())),
        }
    }
}

pub(super) fn no_host(url: &Url) -> FetchError {
    FetchError::new(Stage::Policy, FetchCode::BadUrl, url, "the URL has no host to connect to")
}

fn lent(host: &Host<String>) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Proxies;

    #[test]
    fn a_stand_in_is_a_host_and_a_port() {
        for text in ["keycloak.auth.svc:8443", "10.0.0.1:1", "[fd00::1]:65535"] {
            assert_eq!(text.parse::<ConnectTo>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "keycloak",
            "keycloak:",
            "keycloak:0",
            "keycloak:65536",
            ":8443",
            "fd00::1:8443",
            "https://keycloak:8443",
            "u:hunter2@keycloak:8443",
            "key cloak:8443",
        ] {
            let error = text.parse::<ConnectTo>().expect_err(text);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_stand_in_is_for_the_operators_urls_and_goes_before_a_proxy() {
        let own = Url::parse("https://idp.example/").unwrap();
        let foreign = Url::parse("https://keys.example/").unwrap();
        let mut rules =
            FetchRules { operator_origins: vec![own.origin()], ..FetchRules::default() };
        let called = |rules: &FetchRules, url| Peer::of(url, rules).unwrap().to_string();
        assert_eq!(called(&rules, &own), "\"idp.example\"");
        rules.proxies = Proxies::through("u:hunter2@squid:3128").unwrap();
        assert_eq!(called(&rules, &own), "the proxy \"squid:3128\"");
        rules.connect_to = Some("kc:8443".parse().unwrap());
        assert_eq!(called(&rules, &own), "\"kc:8443\" (connect_to)");
        assert_eq!(called(&rules, &foreign), "the proxy \"squid:3128\"");
    }
}
