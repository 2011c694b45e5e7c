//! What a provider's rules allow: whose URL it is, which scheme, which addresses.

use std::fmt;
use std::net::IpAddr;

use keystead_core::text::quoted;
use url::{Host, Url};

use super::FetchRules;
use super::address::AddressKind;
use super::error::{FetchCode, FetchError, Stage};
use super::url::{holds_userinfo, is_near};

/// Why something that was written cannot be part of the rules of a provider.
///
/// Its texts do not hold what was written, which may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RuleError {
    /// What is wrong, in one sentence.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

impl RuleError {
    pub(super) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: hint.into() }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for RuleError {}

/// Who wrote a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Author {
    /// Its scheme, host and port are those of a URL that the operator wrote for this provider.
    Operator,
    /// A document of the provider named it, or a redirect.
    Document,
}

/// How a URL that the operator did not write came up, as sentences begin.
pub(crate) const NAMED: &str = "the provider's document names";
/// The same, for the target of a redirect.
pub(super) const REDIRECTED: &str = "a redirect leads to";

impl FetchRules {
    /// Whose URL this is.
    pub(crate) fn author_of(&self, url: &Url) -> Author {
        if self.operator_origins.contains(&url.origin()) {
            Author::Operator
        } else {
            Author::Document
        }
    }

    /// Judges everything about a URL that can be judged before its name is looked up. `named` is how
    /// it came up.
    pub(crate) fn admit_url(&self, url: &Url, named: &str) -> Result<(), FetchError> {
        let refuse = |code, detail: String| Err(FetchError::new(Stage::Policy, code, url, detail));
        if holds_userinfo(url) {
            // Not shown: it is a secret.
            return refuse(FetchCode::BadUrl, "the URL holds a user name or password".to_owned());
        }
        match (url.scheme(), self.author_of(url)) {
            ("https", _) => Ok(()),
            ("http", Author::Operator) if self.plain_http_anywhere || is_near(url) => Ok(()),
            ("http", Author::Operator) => refuse(
                FetchCode::Scheme,
                format!(
                    "plain http to {}, which is neither a loopback nor a private name or address",
                    quoted(url.host_str().unwrap_or_default())
                ),
            ),
            (scheme, Author::Document) => refuse(
                FetchCode::Scheme,
                format!("{named} a URL with {}, not https", quoted(scheme)),
            ),
            (scheme, Author::Operator) => {
                refuse(FetchCode::Scheme, format!("scheme {} is not http or https", quoted(scheme)))
            }
        }
    }

    /// Judges the addresses that are about to be dialled for `url`. One that is out of bounds
    /// spoils them all: a name that mixes them is made to be rebound.
    pub(super) fn admit_addresses(
        &self,
        url: &Url,
        addresses: &[IpAddr],
        named: &str,
    ) -> Result<(), FetchError> {
        if self.author_of(url) == Author::Operator {
            return Ok(());
        }
        let refused = addresses.iter().find(|a| !self.document_may_reach(AddressKind::of(**a)));
        let Some(address) = refused else { return Ok(()) };
        let kind = AddressKind::of(*address);
        let detail = match url.host() {
            Some(Host::Domain(name)) => {
                format!("{named} {}, which resolves to {address}, {kind}", quoted(name))
            }
            _ => format!("{named} {address}, {kind}"),
        };
        Err(FetchError::new(Stage::Policy, FetchCode::Address, url, detail))
    }

    /// Judges a URL that is asked through a proxy. Which address the proxy dials cannot be seen
    /// from here; what can is an address that is written in the URL, and a name that only means
    /// something near by.
    pub(super) fn admit_unseen(&self, url: &Url, named: &str) -> Result<(), FetchError> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ if self.author_of(url) == Author::Operator => return Ok(()),
            _ if self.private_addresses_anywhere || !is_near(url) => return Ok(()),
            _ => {
                let name = quoted(url.host_str().unwrap_or_default()).to_string();
                let detail = format!("{named} {name}, a private name");
                return Err(FetchError::new(Stage::Policy, FetchCode::Address, url, detail));
            }
        };
        self.admit_addresses(url, &[address], named)
    }

    const fn document_may_reach(&self, kind: AddressKind) -> bool {
        match kind {
            AddressKind::Global => true,
            AddressKind::Loopback | AddressKind::Private => self.private_addresses_anywhere,
            // No identity provider lives there, but the credentials of the machine do.
            AddressKind::LinkLocal | AddressKind::CloudMetadata | AddressKind::Reserved => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn operator(origins: &[&str]) -> FetchRules {
        FetchRules {
            operator_origins: origins.iter().map(|o| url(o).origin()).collect(),
            ..FetchRules::default()
        }
    }

    /// What a URL is refused with, its host being an address.
    fn refusal(rules: &FetchRules, text: &str) -> Option<FetchCode> {
        let url = url(text);
        let address = match url.host().unwrap() {
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
            Host::Domain(_) => IpAddr::from([8, 8, 8, 8]),
        };
        rules
            .admit_url(&url, NAMED)
            .and_then(|()| rules.admit_addresses(&url, &[address], NAMED))
            .err()
            .map(|error| error.code)
    }

    /// T23
    #[test]
    fn a_document_can_name_neither_http_nor_a_private_address() {
        let rules = operator(&["https://idp.example"]);
        for (text, code) in [
            ("http://10.0.0.5/keys", FetchCode::Scheme),
            ("http://idp.example/keys", FetchCode::Scheme),
            ("ftp://idp.example/keys", FetchCode::Scheme),
            ("https://10.0.0.5/keys", FetchCode::Address),
            ("https://169.254.169.254/", FetchCode::Address),
            ("https://[64:ff9b:1::a9fe:a9fe]/", FetchCode::Address),
            ("https://[::ffff:127.0.0.1]/", FetchCode::Address),
            ("https://2130706433/", FetchCode::Address),
            ("https://0x7f.1/", FetchCode::Address),
            ("https://user@keys.example/", FetchCode::BadUrl),
        ] {
            assert_eq!(refusal(&rules, text), Some(code), "{text}");
        }
        assert_eq!(refusal(&rules, "https://keys.example/"), None);
        assert_eq!(refusal(&rules, "https://8.8.8.8/"), None);
    }

    /// T23
    #[test]
    fn what_the_operator_wrote_stands() {
        let written = [
            "http://10.0.0.5:8080/",
            "https://169.254.169.254/",
            "https://[64:ff9b:1::a9fe:a9fe]/",
        ];
        let rules = operator(&written);
        for text in written {
            assert_eq!(refusal(&rules, text), None, "{text}");
        }
        // The origin counts, all of it.
        assert_eq!(refusal(&rules, "http://10.0.0.5:8081/"), Some(FetchCode::Scheme));
        assert_eq!(refusal(&rules, "https://169.254.169.254:8443/"), Some(FetchCode::Address));
    }

    #[test]
    fn one_address_out_of_bounds_spoils_the_name() {
        let rules = FetchRules::default();
        let url = url("https://keys.example/");
        let public = IpAddr::from([8, 8, 8, 8]);
        let private = IpAddr::from([10, 0, 0, 5]);
        assert_eq!(rules.admit_addresses(&url, &[public, public], NAMED), Ok(()));
        let error = rules.admit_addresses(&url, &[public, private], NAMED).unwrap_err();
        assert_eq!(error.code, FetchCode::Address);
        assert_eq!(
            error.detail,
            "the provider's document names \"keys.example\", which resolves to 10.0.0.5, \
             a private address"
        );
    }

    #[test]
    fn private_addresses_can_be_allowed_but_metadata_cannot() {
        let rules = FetchRules { private_addresses_anywhere: true, ..FetchRules::default() };
        for text in ["https://10.0.0.5/", "https://127.0.0.1/", "https://[fd00::1]/"] {
            assert_eq!(refusal(&rules, text), None, "{text}");
        }
        for text in [
            "https://169.254.169.254/",
            "https://169.254.170.2/",
            "https://100.100.100.200/",
            "https://[fd00:ec2::254]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[64:ff9b:1::a9fe:a9fe]/",
            "https://0.0.0.0/",
            "https://224.0.0.1/",
        ] {
            assert_eq!(refusal(&rules, text), Some(FetchCode::Address), "{text}");
        }
        assert_eq!(refusal(&rules, "http://10.0.0.5/"), Some(FetchCode::Scheme));
    }

    #[test]
    fn behind_a_proxy_what_can_be_seen_is_judged() {
        let code = |rules: &FetchRules, text: &str| {
            rules.admit_unseen(&url(text), NAMED).err().map(|error| error.code)
        };
        let strict = operator(&["https://keycloak", "https://10.0.0.5"]);
        let loose = FetchRules { private_addresses_anywhere: true, ..FetchRules::default() };
        for (text, strictly, loosely) in [
            ("https://keys.example/", None, None),
            ("https://keycloak/", None, None),
            ("https://10.0.0.5/", None, None),
            ("https://10.0.0.6/", Some(FetchCode::Address), None),
            ("https://metadata.google.internal/", Some(FetchCode::Address), None),
            ("https://localhost/", Some(FetchCode::Address), None),
            ("https://169.254.169.254/", Some(FetchCode::Address), Some(FetchCode::Address)),
        ] {
            assert_eq!(code(&strict, text), strictly, "{text}");
            assert_eq!(code(&loose, text), loosely, "{text}");
        }
    }

    #[test]
    fn plain_http_needs_a_private_name_or_address() {
        for near in [
            "http://keycloak:8080/",
            "http://LOCALHOST/",
            "http://localhost./",
            "http://kc.auth.svc/",
            "http://kc.auth.svc.cluster.local/",
            "http://kc.Internal/",
            "http://idp.localhost/",
            "http://nas.home.arpa./",
            "http://127.0.0.1:6666/",
            "http://[::1]/",
            "http://192.168.1.2/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert_eq!(refusal(&operator(&[near]), near), None, "{near}");
        }
        for far in [
            "http://idp.example/",
            "http://svc.example/",
            "http://notinternal.example/",
            "http://kc.mylocal.example/",
            "http://8.8.8.8/",
            "http://[2606:4700::1]/",
        ] {
            let mut rules = operator(&[far]);
            assert_eq!(refusal(&rules, far), Some(FetchCode::Scheme), "{far}");
            rules.plain_http_anywhere = true;
            assert_eq!(refusal(&rules, far), None, "{far}");
        }
    }
}
