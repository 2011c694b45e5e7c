//! Issuers are compared as strings, byte for byte (RFC 8725 section 3.8, OIDC Core section 3.1.3.7).
//!
//! Nothing here loosens that: [`Issuers::provider_of`] decides, and [`near_miss`] only explains a
//! refusal.

use core::fmt;
use std::sync::Arc;

use crate::hash::Table;

/// Every issuer string that is configured, and whose it is.
#[derive(Default)]
pub struct Issuers {
    providers: Table<Box<str>, usize>,
    known: Vec<Known>,
}

/// One configured string.
struct Known {
    issuer: Box<str>,
    provider: Arc<str>,
    setting: &'static str,
}

impl Issuers {
    /// No issuer yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a provider's issuer and the aliases that the operator declared equal to it.
    ///
    /// `index` is what [`Issuers::provider_of`] answers. One string has one owner: a string that is
    /// there already keeps it.
    pub fn add(&mut self, index: usize, provider: &Arc<str>, issuer: &str, aliases: &[String]) {
        let aliases = aliases.iter().map(|alias| (alias.as_str(), "aliases"));
        for (text, setting) in [(issuer, "issuer")].into_iter().chain(aliases) {
            // An empty string is a setting that was not written, and must never match.
            if text.is_empty() || self.providers.contains_key(text) {
                continue;
            }
            self.providers.insert(text.into(), index);
            self.known.push(Known { issuer: text.into(), provider: Arc::clone(provider), setting });
        }
    }

    /// The provider whose issuer, or declared alias, is exactly `presented`.
    ///
    /// This is the line that decides that an alias host is not the issuer: no case folding, no
    /// slash trimming, no port or percent normalisation.
    #[must_use]
    pub fn provider_of(&self, presented: &str) -> Option<usize> {
        self.providers.get(presented).copied()
    }

    /// The configured issuer nearest to `presented`, if any is near; looks at all of them.
    #[must_use]
    pub fn near_miss(&self, presented: &str) -> Option<NearMiss> {
        near_miss(
            presented,
            self.known.iter().map(|known| KnownIssuer {
                provider: &known.provider,
                setting: known.setting,
                issuer: &known.issuer,
            }),
        )
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.iter().map(|known| &known.issuer)).finish()
    }
}

/// A configured issuer string, and where it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownIssuer<'a> {
    /// The provider's name.
    pub(crate) provider: &'a str,
    /// `issuer` or `aliases`.
    pub(crate) setting: &'static str,
    /// The string.
    pub(crate) issuer: &'a str,
}

/// The configured issuer that a presented one nearly is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NearMiss {
    /// The provider's name.
    pub provider: String,
    /// The setting that holds the configured string, such as `providers.keycloak.issuer`.
    pub setting: String,
    /// The configured string.
    pub issuer: String,
    /// What the two differ in.
    pub difference: Difference,
}

/// What two issuers differ in.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Difference {
    /// White space or controls at an end.
    Surroundings,
    /// A slash at the end.
    TrailingSlash,
    /// Upper and lower case.
    Case,
    /// `http` against `https`, or a scheme left out.
    Scheme,
    /// A port, written or left out.
    Port,
    /// Percent-encoding.
    PercentEncoding,
    /// The host.
    Host,
    /// More than one of scheme, host and port.
    Origin,
    /// One begins with the other.
    Prefix,
}

impl Difference {
    /// How the difference reads after "it differs only".
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Surroundings => "by white space at an end",
            Self::TrailingSlash => "by a trailing slash",
            Self::Case => "in upper and lower case",
            Self::Scheme => "in scheme",
            Self::Port => "in port",
            Self::PercentEncoding => "in percent-encoding",
            Self::Host => "in host",
            Self::Origin => "in scheme, host or port",
            Self::Prefix => "in how much of the path is there",
        }
    }
}

/// The configured issuer nearest to `presented`, if any is near.
pub(crate) fn near_miss<'a>(
    presented: &str,
    known: impl Iterator<Item = KnownIssuer<'a>>,
) -> Option<NearMiss> {
    known
        .filter_map(|candidate| {
            let difference = difference(presented, candidate.issuer)?;
            Some((difference, candidate))
        })
        .min_by_key(|(difference, _)| *difference)
        .map(|(difference, candidate)| NearMiss {
            provider: candidate.provider.to_owned(),
            setting: format!("providers.{}.{}", candidate.provider, candidate.setting),
            issuer: candidate.issuer.to_owned(),
            difference,
        })
}

fn difference(a: &str, b: &str) -> Option<Difference> {
    if a == b || a.is_empty() || b.is_empty() {
        return None;
    }
    let surrounding = |c: char| c.is_whitespace() || c.is_control();
    if a.trim_matches(surrounding) == b.trim_matches(surrounding) {
        return Some(Difference::Surroundings);
    }
    if a.trim_end_matches('/') == b.trim_end_matches('/') {
        return Some(Difference::TrailingSlash);
    }
    if a.eq_ignore_ascii_case(b) {
        return Some(Difference::Case);
    }
    let (x, y) = (Parts::of(a), Parts::of(b));
    if percent_decoded(a) == percent_decoded(b) {
        return Some(Difference::PercentEncoding);
    }
    if x.path == y.path {
        return match (x.scheme == y.scheme, x.host == y.host, x.port == y.port) {
            (false, true, true) => Some(Difference::Scheme),
            (true, true, false) => Some(Difference::Port),
            // Two issuers that have no path to share have nothing in common but a host.
            (_, false, _) if x.path.is_empty() => None,
            (true, false, true) => Some(Difference::Host),
            _ => Some(Difference::Origin),
        };
    }
    let prefix = a.starts_with(b) || b.starts_with(a);
    (prefix && x.host == y.host && !x.host.is_empty()).then_some(Difference::Prefix)
}

/// An issuer taken apart for explanations only.
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn of(issuer: &'a str) -> Self {
        let (scheme, rest) = issuer.split_once("://").unwrap_or(("", issuer));
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = (rest.get(..at).unwrap_or(rest), rest.get(at..).unwrap_or(""));
        let (host, port) = authority
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
            .unwrap_or((authority, ""));
        Self { scheme, host, port, path: path.trim_end_matches('/') }
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.filter(|_| *first == b'%').and_then(|d| core::str::from_utf8(d).ok());
        let byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    const REALM: &str = "https://keycloak.acme.example/realms/a";

    fn issuers() -> Issuers {
        let mut issuers = Issuers::new();
        let aliases = ["https://login.acme.example/realms/a".to_owned()];
        issuers.add(7, &Arc::from("keycloak"), REALM, &aliases);
        issuers
    }

    /// K4: aliases are the only way to loosen an issuer.
    #[test]
    fn an_issuer_is_compared_byte_for_byte() {
        assert!(issuers().provider_of(REALM) == Some(7));
        assert!(issuers().provider_of("https://login.acme.example/realms/a") == Some(7));
        for variant in [
            "https://keycloak.acme.example/realms/a/",
            "https://KEYCLOAK.acme.example/realms/a",
            "https://keycloak.acme.example:443/realms/a",
            "https://keycloak.acme.example/realms%2Fa",
            "https://keycloak.acme.example/realms/",
            "https://keycloak.acme.example/realms/ab",
            "http://keycloak.acme.example/realms/a",
            " https://keycloak.acme.example/realms/a",
            "https://identity.acme.example/realms/a",
            "",
        ] {
            assert_eq!(issuers().provider_of(variant), None, "{variant:?}");
        }
    }

    #[test]
    fn near_misses_are_named() {
        let near = |presented: &str| {
            let known = KnownIssuer { provider: "keycloak", setting: "issuer", issuer: REALM };
            near_miss(presented, [known].into_iter()).map(|near| near.difference)
        };
        assert_eq!(
            near("https://keycloak.acme.example/realms/a/"),
            Some(Difference::TrailingSlash)
        );
        assert_eq!(near("https://identity.acme.example/realms/a"), Some(Difference::Host));
        assert_eq!(near("http://keycloak.acme.example/realms/a"), Some(Difference::Scheme));
        assert_eq!(near("https://keycloak.acme.example:443/realms/a"), Some(Difference::Port));
        assert_eq!(near("https://Keycloak.acme.example/realms/a"), Some(Difference::Case));
        assert_eq!(
            near("https://keycloak.acme.example/realms%2fa"),
            Some(Difference::PercentEncoding)
        );
        assert_eq!(near("https://keycloak.acme.example/realms/a/b"), Some(Difference::Prefix));
        assert_eq!(near("http://keycloak:8080/realms/a"), Some(Difference::Origin));
        assert_eq!(near("http://keycloak.acme.example:80/realms/a"), Some(Difference::Origin));
        assert_eq!(near("\u{200b} https://keycloak.acme.example/realms/a\n"), None);
        assert_eq!(
            near(" https://keycloak.acme.example/realms/a\n"),
            Some(Difference::Surroundings)
        );
        assert_eq!(near("https://elsewhere.example"), None);
        assert_eq!(near(REALM.get(..8).unwrap()), None, "a scheme alone is near nothing");
        assert_eq!(near(""), None);
    }

    #[test]
    fn issuers_that_are_no_urls_are_near_only_as_text() {
        assert_eq!(difference("urn:acme:one", "urn:acme:two"), None);
        assert_eq!(difference("ai-gateway", "AI-Gateway"), Some(Difference::Case));
        assert_eq!(difference("ai-gateway", "ai-gateway-2"), None);
        assert_eq!(difference("https://[::1]/a", "https://[::2]/a"), Some(Difference::Host));
        assert_eq!(difference("https://[::1]/a", "https://[::1]:8443/a"), Some(Difference::Port));
        assert_eq!(difference("https://a.example/%2", "https://a.example/%+f"), None);
    }

    #[test]
    fn the_nearest_of_several_is_named_with_its_setting() {
        let near = issuers().near_miss("https://login.acme.example/realms/a/").unwrap();
        assert_eq!(near.setting, "providers.keycloak.aliases");
        assert_eq!(near.issuer, "https://login.acme.example/realms/a");
        assert_eq!(near.difference, Difference::TrailingSlash);
    }

    #[test]
    fn a_string_has_one_owner_and_an_empty_one_none() {
        let mut issuers = issuers();
        issuers.add(8, &Arc::from("other"), "", &[REALM.to_owned(), "own".to_owned()]);
        assert_eq!(issuers.provider_of(REALM), Some(7));
        assert_eq!(issuers.provider_of("own"), Some(8));
        assert_eq!(issuers.provider_of(""), None);
    }
}
