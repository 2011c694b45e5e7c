//! Proxies: which one a URL is asked through.

use std::fmt;
use std::net::IpAddr;

use base64_simd::STANDARD;
use http::HeaderValue;
use url::{Host, Url};

use super::address::AddressKind;
use super::credentials::secret;
use super::rules::RuleError;
use super::url::{is_near, is_private_name};

/// The HTTP proxies through which URLs are asked. None by default.
///
/// Proxies are spoken to in plain http: https URLs go through a tunnel (`CONNECT`), so that the
/// proxy sees host and port only; http URLs are handed to it whole. Name and password in a proxy's
/// address are sent to it alone (`Basic`) and never shown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Exceptions,
}

/// One proxy.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Proxy {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<HeaderValue>,
}

/// What is asked without a proxy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Exceptions {
    loopback: bool,
    entries: Vec<Entry>,
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Hosts {
    All,
    /// Addresses of which so many bits are these.
    Network(IpAddr, u32),
    /// This name and every one below it.
    Name(String),
}

impl Proxies {
    /// One proxy for every URL, such as `http://proxy:3128` or `http://user:password@proxy:3128`.
    /// The scheme may be left out.
    ///
    /// # Errors
    /// When this is no such address. The error does not show it.
    pub fn through(address: &str) -> Result<Self, RuleError> {
        let proxy = Proxy::parse(address)?;
        Ok(Self { http: Some(proxy.clone()), https: Some(proxy), except: Exceptions::default() })
    }

    /// The proxies that environment variables name: `HTTPS_PROXY` for https URLs, `HTTP_PROXY` for
    /// http URLs, none for those that `NO_PROXY` names; in lower case too, where the name in upper
    /// case is absent or blank. A proxy whose address cannot be used is passed over.
    ///
    /// `NO_PROXY` is a list of names (`example.com` and `.example.com` stand for the name and all
    /// below it), addresses and networks (`10.0.0.0/8`), each with a port or without, or `*`. Names
    /// are not looked up: networks cover addresses that are written in the URL. Loopback is never
    /// asked through these proxies, and http on a private name or address only through one that is
    /// private itself.
    pub fn from_variables<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::read(variables).0
    }

    /// The same, with the variables that were passed over.
    pub(crate) fn read<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> (Self, Vec<(&'static str, RuleError)>) {
        let (mut http, mut https, mut except) = (None, None, None);
        for (name, value) in variables.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
            match name {
                "HTTP_PROXY" => http = Some(("HTTP_PROXY", value)),
                "http_proxy" => http = http.or(Some(("http_proxy", value))),
                "HTTPS_PROXY" => https = Some(("HTTPS_PROXY", value)),
                "https_proxy" => https = https.or(Some(("https_proxy", value))),
                "NO_PROXY" => except = Some(value),
                "no_proxy" => except = except.or(Some(value)),
                _ => {}
            }
        }
        let mut problems = Vec::new();
        let mut proxy = |written: Option<(&'static str, &str)>| {
            let (name, value) = written?;
            Proxy::parse(value).map_err(|error| problems.push((name, error))).ok()
        };
        let (http, https) = (proxy(http), proxy(https));
        let entries = except.map_or_else(Vec::new, entries);
        let except = Exceptions { loopback: true, entries };
        (Self { http, https, except }, problems)
    }

    /// The proxy through which `url` is asked.
    pub(super) fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        let proxy = proxy.as_ref().filter(|_| !self.except.cover(url))?;
        // Plain http is allowed to near hosts because it stays near. What a variable says for all of
        // a machine must not carry it, with its credentials and with the keys, to a proxy elsewhere.
        let strays = self.except.loopback && url.scheme() == "http" && is_near(url);
        (!strays || proxy.is_near()).then_some(proxy)
    }
}

impl Proxy {
    /// Whether it is loopback or private, by its name or by the address it is written as.
    fn is_near(&self) -> bool {
        match &self.host {
            Host::Domain(name) => is_private_name(name),
            Host::Ipv4(address) => AddressKind::of(IpAddr::V4(*address)).is_near(),
            Host::Ipv6(address) => AddressKind::of(IpAddr::V6(*address)).is_near(),
        }
    }

    fn parse(address: &str) -> Result<Self, RuleError> {
        const HINT: &str = "write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, the latter \
                            percent-encoded, or off";
        // None of them shows the address: it may hold a password, in whatever place.
        let wrong = |problem: &str| RuleError::new(problem, HINT);
        let address = address.trim();
        if address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("the address of the proxy has white space or a control in it"));
        }
        let url = match address.split_once("://") {
            None => Url::parse(&format!("http://{address}")),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Url::parse(address),
            Some(_) => return Err(wrong("a proxy is spoken to in http, and in no other scheme")),
        };
        let url = url.map_err(|_| wrong("the address of the proxy cannot be read"))?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let host = url.host().filter(|_| bare).map(|host| host.to_owned());
        let host =
            host.ok_or_else(|| wrong("the address of the proxy is more than host and port"))?;
        let authorization = basic(&url).map_err(|()| wrong("the password cannot be read"))?;
        Ok(Self { host, port: url.port().unwrap_or(80), authorization })
    }
}

/// Without name and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Name and password of a URL (RFC 7617 section 2).
fn basic(url: &Url) -> Result<Option<HeaderValue>, ()> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut plain = percent_decoded(url.username()).ok_or(())?;
    plain.push(b':');
    plain.extend(percent_decoded(url.password().unwrap_or_default()).ok_or(())?);
    secret(&format!("Basic {}", STANDARD.encode_to_string(plain))).map(Some).map_err(|_| ())
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        out.push(u8::from_str_radix(digits, 16).ok().filter(|_| plain)?);
        out.extend_from_slice(rest.as_bytes());
    }
    Some(out)
}

impl Exceptions {
    fn cover(&self, url: &Url) -> bool {
        let (address, name) = match url.host() {
            Some(Host::Ipv4(address)) => (Some(IpAddr::V4(address)), String::new()),
            Some(Host::Ipv6(address)) => (Some(IpAddr::V6(address).to_canonical()), String::new()),
            Some(Host::Domain(name)) => (None, plain_name(name)),
            None => return false,
        };
        let port = url.port_or_known_default();
        let loopback =
            address.is_some_and(|address| address.is_loopback()) || is_below(&name, "localhost");
        self.loopback && loopback
            || self.entries.iter().any(|entry| {
                (entry.port.is_none() || entry.port == port) && entry.hosts.contain(address, &name)
            })
    }
}

impl Hosts {
    fn contain(&self, address: Option<IpAddr>, name: &str) -> bool {
        match (self, address) {
            (Self::All, _) => true,
            (Self::Network(base, length), Some(address)) => in_network(address, *base, *length),
            (Self::Name(wanted), None) => is_below(name, wanted),
            _ => false,
        }
    }
}

/// The entries of `NO_PROXY`, separated by commas or white space. What is no entry is passed over.
fn entries(text: &str) -> Vec<Entry> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace());
    words.filter(|word| !word.is_empty()).filter_map(entry).collect()
}

fn entry(word: &str) -> Option<Entry> {
    if let Some(network) = network(word) {
        return Some(Entry { hosts: network, port: None });
    }
    let (host, port) = match word.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (word, None),
    };
    let name = plain_name(host.strip_prefix("*.").unwrap_or(host).trim_start_matches('.'));
    let hosts = match network(host) {
        Some(network) => network,
        None if host == "*" => Hosts::All,
        None if name.is_empty() => return None,
        None => Hosts::Name(name),
    };
    Some(Entry { hosts, port })
}

/// An address or a network, in brackets or without.
fn network(text: &str) -> Option<Hosts> {
    let (base, length) = match text.split_once('/') {
        Some((base, length)) => (base, Some(length.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let bare = base.strip_prefix('[').and_then(|base| base.strip_suffix(']')).unwrap_or(base);
    let base: IpAddr = bare.parse().ok()?;
    let whole = if base.is_ipv4() { 32 } else { 128 };
    let length = length.unwrap_or(whole);
    (length <= whole).then_some(Hosts::Network(base, length))
}

fn in_network(address: IpAddr, base: IpAddr, length: u32) -> bool {
    match (address, base) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let differing = a.to_bits() ^ b.to_bits();
            differing.checked_shr(32 - length).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let differing = a.to_bits() ^ b.to_bits();
            differing.checked_shr(128 - length).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// A name in lower case, without the dot of the root.
fn plain_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether a name is the other one, or below it.
fn is_below(name: &str, other: &str) -> bool {
    name.strip_suffix(other).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of(&Url::parse(url).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn an_address_may_hold_a_password_that_is_never_shown() {
        let proxies = Proxies::through("http://me:hunt%40er2@squid:3128").unwrap();
        let proxy = proxies.of(&Url::parse("https://idp.example/").unwrap()).unwrap();
        // me:hunt@er2
        assert_eq!(proxy.authorization.as_ref().unwrap(), "Basic bWU6aHVudEBlcjI=");
        let shown = format!("{proxies:?} {proxy} {:?}", proxy.authorization);
        assert!(shown.contains("squid:3128") && !shown.contains("bWU6"), "{shown}");
        assert!(!shown.contains("er2"), "{shown}");
    }

    #[test]
    fn a_variable_never_carries_plain_http_out_of_the_neighbourhood() {
        let from = |proxy| Proxies::from_variables([("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy)]);
        let near = "http://keycloak.auth.svc/certs";
        let far = from("http://proxy.example:3128");
        assert_eq!(through(&far, near), None);
        assert_eq!(through(&far, "http://10.0.0.7/certs"), None);
        for url in ["http://idp.example/", "https://keycloak.auth.svc/certs"] {
            assert_eq!(through(&far, url).as_deref(), Some("proxy.example:3128"), "{url}");
        }
        assert_eq!(through(&from("squid:3128"), near).as_deref(), Some("squid:3128"));
        // A proxy that is written for this provider is the operator's own word.
        let written = Proxies::through("http://proxy.example:3128").unwrap();
        assert_eq!(through(&written, near).as_deref(), Some("proxy.example:3128"));
    }

    #[test]
    fn addresses() {
        for (address, shown) in [
            ("http://squid", "squid:80"),
            ("HTTP://Squid:3128/", "squid:3128"),
            ("squid:3128", "squid:3128"),
            ("10.0.0.1:3128", "10.0.0.1:3128"),
            (" http://[::1]:3128 ", "[::1]:3128"),
        ] {
            let proxies = Proxies::through(address).unwrap();
            for url in ["http://idp.example/", "https://localhost/"] {
                assert_eq!(through(&proxies, url).as_deref(), Some(shown), "{address}");
            }
        }
        for address in [
            "",
            "https://u:hunter2@squid",
            "socks5://u:hunter2@squid:1080",
            "http://",
            "http://u:hunter2@squid/path",
            "http://u:hun#ter2@squid",
            "http://u:hun ter2@squid",
            "http://u:hunter2",
            "http://u:hunter2%4@squid",
            "http://u:hunter2%+4@squid",
            "http://squid:99999",
        ] {
            let error = Proxies::through(address).expect_err(address);
            assert!(!format!("{error:?}").contains("ter2"), "{error:?}");
        }
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let read = |all: &[(&'static str, &'static str)]| Proxies::read(all.iter().copied());
        let (proxies, problems) = read(&[
            ("PATH", "/bin"),
            ("http_proxy", "a:1"),
            ("HTTPS_PROXY", "http://b:2"),
            ("https_proxy", "http://c:3"),
            ("HTTP_PROXY", " "),
        ]);
        assert!(problems.is_empty());
        assert_eq!(through(&proxies, "http://idp.example/").as_deref(), Some("a:1"));
        assert_eq!(through(&proxies, "https://idp.example/").as_deref(), Some("b:2"));
        for near in
            ["http://localhost/", "https://a.localhost./", "https://127.0.0.9/", "http://[::1]/"]
        {
            assert_eq!(through(&proxies, near), None, "{near}");
        }
        let (proxies, problems) = read(&[("https_proxy", "socks5://u:hunter2@b:2")]);
        assert_eq!(through(&proxies, "https://idp.example/"), None);
        assert_eq!(problems.first().unwrap().0, "https_proxy");
        assert_eq!(read(&[]).0.of(&Url::parse("https://idp.example/").unwrap()), None);
    }

    #[test]
    fn no_proxy_names_hosts_networks_and_all() {
        let except = |list: &'static str, url: &str| {
            let variables = [("https_proxy", "p:1"), ("no_proxy", list)];
            through(&Proxies::from_variables(variables), url).is_none()
        };
        for (list, url) in [
            ("*", "https://idp.example/"),
            ("a, example", "https://idp.example/"),
            ("idp.example", "https://IDP.example./"),
            (".example", "https://idp.example/"),
            (".idp.example", "https://idp.example/"),
            ("*.example", "https://idp.example/"),
            (" a.b\tIdp.Example", "https://idp.example/"),
            ("idp.example:443", "https://idp.example/"),
            ("10.0.0.0/8", "https://10.1.2.3/"),
            ("0.0.0.0/0", "https://8.8.8.8/"),
            ("10.1.2.3", "https://10.1.2.3:8443/"),
            ("10.1.2.3:8443", "https://10.1.2.3:8443/"),
            ("10.0.0.0/8", "https://[::ffff:10.1.2.3]/"),
            ("fd00::/8", "https://[fd12::1]/"),
            ("[fd12::1]", "https://[fd12::1]/"),
            ("[fd12::1]:443", "https://[fd12::1]/"),
            ("::/0", "https://[fd12::1]/"),
        ] {
            assert!(except(list, url), "{list} {url}");
        }
        for (list, url) in [
            ("", "https://idp.example/"),
            (",.,:80,10.0.0.0/33,x:y,/8", "https://idp.example/"),
            ("idp.example", "https://notidp.example/"),
            ("idp.example", "https://idp.example.evil/"),
            ("a.idp.example", "https://idp.example/"),
            ("idp.example:8443", "https://idp.example/"),
            ("10.0.0.0/8", "https://11.0.0.1/"),
            ("10.0.0.0/8", "https://ten.example/"),
            ("10.0.0.0/8", "https://[fd00::a]/"),
            ("fd00::/8", "https://[fe00::1]/"),
            ("0.0.0.0/0", "https://[fd00::1]/"),
        ] {
            assert!(!except(list, url), "{list} {url}");
        }
    }

    proptest! {
        #[test]
        fn no_list_and_no_address_makes_it_panic(list in "\\PC{0,40}", address in "[ -~]{0,30}") {
            let _any = Proxies::through(&address);
            let proxies = Proxies::from_variables([("https_proxy", "p:1"), ("no_proxy", &list)]);
            let _any = proxies.of(&Url::parse("https://idp.example/").unwrap());
        }
    }
}
