//! URLs that an operator wrote: read strictly, refused in plain words, never echoed with a secret.

use std::fmt;
use std::net::IpAddr;

use keystead_core::text::quoted;
use url::{Host, ParseError, Url};

use super::address::AddressKind;

/// Reads a URL from the configuration: absolute, http or https, with a host; no user name or
/// password, no fragment, no white space, controls or backslashes.
///
/// Stricter than [`Url::parse`], which reads `keycloak:8080/x` as scheme `keycloak` and quietly
/// rewrites white space, backslashes and missing or superfluous slashes.
pub(crate) fn parse_operator_url(text: &str) -> Result<Url, UrlProblem> {
    if text.trim().is_empty() {
        return Err(UrlProblem::Empty);
    }
    // Before anything that shows the text.
    if may_hold_userinfo(text) {
        return Err(UrlProblem::Userinfo);
    }
    if text.trim() != text {
        return Err(UrlProblem::SurroundingSpace { text: shown(text.trim()) });
    }
    if let Some((at, found)) = text.char_indices().find(|(_, c)| is_refused(*c)) {
        return Err(UrlProblem::Character { found, at });
    }
    let Some(rest) = after_scheme(text) else { return Err(without_scheme(text)) };
    if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) {
        return Err(UrlProblem::NoHost { text: shown(text) });
    }
    let url = Url::parse(text).map_err(|why| match why {
        // The text may be a password with a `/`, `?` or `#` in it.
        _ if text.contains('@') => UrlProblem::Userinfo,
        ParseError::EmptyHost => UrlProblem::NoHost { text: shown(text) },
        ParseError::InvalidPort => UrlProblem::Port,
        why => UrlProblem::Unreadable { text: shown(text), why },
    })?;
    if url.fragment().is_some() {
        return Err(UrlProblem::Fragment { text: shown(text) });
    }
    Ok(url)
}

/// Whether a URL holds a user name or password: a secret, and nothing that is ever sent.
pub(crate) fn holds_userinfo(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether the host is loopback or private, by its name or by the address it is written as.
pub(super) fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_private_name(name),
        Some(Host::Ipv4(address)) => AddressKind::of(IpAddr::V4(address)).is_near(),
        Some(Host::Ipv6(address)) => AddressKind::of(IpAddr::V6(address)).is_near(),
        None => false,
    }
}

/// Whether a name can only mean a host near by: one label, or a suffix that public DNS does not
/// hand out. A dot at the end is passed over, and so is case.
#[must_use]
pub fn is_private_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    !name.contains('.') || PRIVATE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Why a configured URL cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum UrlProblem {
    /// Nothing, or white space only.
    Empty,
    /// White space before or after the URL (`text` is without it).
    SurroundingSpace {
        /// The URL without the white space, as it may be shown.
        text: String,
    },
    /// White space, a control or a backslash inside the URL.
    Character {
        /// The character.
        found: char,
        /// The byte at which it stands.
        at: usize,
    },
    /// A user name or password. Carries nothing: it is a secret.
    Userinfo,
    /// A fragment: it would never be sent.
    Fragment {
        /// The URL without query and fragment.
        text: String,
    },
    /// No scheme in front.
    MissingScheme {
        /// What was written, without query and fragment.
        text: String,
        /// The scheme that probably was meant.
        scheme: &'static str,
        /// The whole URL that probably was meant, if the text looks like one.
        suggestion: Option<String>,
    },
    /// A scheme other than http and https.
    UnsupportedScheme {
        /// The scheme.
        scheme: String,
    },
    /// No port after the colon that follows the host. Carries nothing: it may be a password whose
    /// `@` is missing.
    Port,
    /// No host after the scheme.
    NoHost {
        /// What was written, without query and fragment.
        text: String,
    },
    /// Not a URL for another reason.
    Unreadable {
        /// What was written, without query and fragment.
        text: String,
        /// What the parser says.
        why: ParseError,
    },
}

impl UrlProblem {
    /// What to write instead.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Empty | Self::NoHost { .. } | Self::Unreadable { .. } => {
                "write an absolute URL such as https://idp.example.com/keys".to_owned()
            }
            Self::SurroundingSpace { text } | Self::Fragment { text } => {
                format!("write {}", quoted(text))
            }
            Self::Character { .. } => "remove it, or percent-encode it".to_owned(),
            Self::Userinfo => "remove everything up to the @".to_owned(),
            Self::Port => "write a port from 1 to 65535 there, or leave the colon out".to_owned(),
            Self::MissingScheme { suggestion: Some(url), .. } => format!("write {}", quoted(url)),
            Self::MissingScheme { scheme, .. } => {
                format!("write an absolute URL that begins with {scheme}://")
            }
            Self::UnsupportedScheme { .. } => "keys are fetched over https or http only".to_owned(),
        }
    }
}

impl fmt::Display for UrlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the URL is empty"),
            Self::SurroundingSpace { text } => {
                write!(f, "white space before or after the URL {}", quoted(text))
            }
            Self::Character { found: '\\', at } => {
                write!(f, "a backslash at byte {at} of the URL")
            }
            Self::Character { found, at } => {
                write!(
                    f,
                    "white space or a control (U+{:04X}) at byte {at} of the URL",
                    *found as u32
                )
            }
            Self::Port => f.write_str("the host is followed by a colon and no port"),
            Self::Userinfo => f.write_str("the URL holds a user name or password"),
            Self::Fragment { text } => write!(f, "{} has a fragment", quoted(text)),
            Self::MissingScheme { text, scheme, .. } => {
                write!(f, "{} is not an absolute URL (missing {scheme}://)", quoted(text))
            }
            Self::UnsupportedScheme { scheme } => {
                write!(f, "scheme {} is not http or https", quoted(scheme))
            }
            Self::NoHost { text } => write!(f, "{} has no host", quoted(text)),
            Self::Unreadable { text, why } => {
                write!(f, "{} is not an absolute URL ({why})", quoted(text))
            }
        }
    }
}

impl std::error::Error for UrlProblem {}

/// Whether the text may hold a user name or password. An `@` further on is only taken for part of
/// a path or query when an authority without one stands before it.
fn may_hold_userinfo(text: &str) -> bool {
    match after_scheme(text.trim()) {
        Some(rest) => {
            authority(rest).is_empty() && rest.contains('@') || authority(rest).contains('@')
        }
        None => text.contains('@'),
    }
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '\\', '?', '#']).next().unwrap_or_default()
}

/// What follows `http://` or `https://`.
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}

fn is_refused(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\\'
}

/// The text as it may be shown: queries and fragments may hold secrets, a key may stand where a URL
/// belongs, and what follows the host's colon and is no port may be a password whose `@` is missing.
fn shown(text: &str) -> String {
    let authority = after_scheme(text.trim()).map_or("", authority);
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    let port = after_host.split_once(':').map_or("", |(_, port)| port);
    if !port.chars().all(|c| c.is_ascii_digit()) {
        return "...".to_owned();
    }
    if text.contains("-----") || text.contains(['{', '[', '"']) && !text.contains("://") {
        return "...".to_owned();
    }
    text.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// What is wrong with a text that begins with neither `http://` nor `https://`.
fn without_scheme(text: &str) -> UrlProblem {
    let has_port = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    if let Some((scheme, rest)) = text.split_once(':')
        && is_scheme(scheme)
        && !has_port(rest)
    {
        // `https:/host` too: one slash short.
        return if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") {
            UrlProblem::NoHost { text: shown(text) }
        } else {
            UrlProblem::UnsupportedScheme { scheme: scheme.to_owned() }
        };
    }
    let bare = text.trim_start_matches('/');
    let looks_like_a_url = bare == text && bare.contains(['.', ':', '/']);
    let url = Url::parse(&format!("https://{bare}")).ok();
    let scheme = if url.as_ref().is_some_and(speaks_plain_http) { "http" } else { "https" };
    let suggestion =
        (url.is_some() && looks_like_a_url).then(|| shown(&format!("{scheme}://{bare}")));
    UrlProblem::MissingScheme { text: shown(text), scheme, suggestion }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Whether a host and port, read as https, are most likely spoken to in plain http.
fn speaks_plain_http(url: &Url) -> bool {
    is_near(url) && url.port().is_some_and(|port| port != 8443)
}

const PRIVATE_SUFFIXES: [&str; 5] = [".svc", ".local", ".internal", ".localhost", ".home.arpa"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> UrlProblem {
        parse_operator_url(text).expect_err(text)
    }

    #[test]
    fn absolute_http_urls_are_read() {
        for text in [
            "https://idp.example",
            "HTTPS://idp.example/keys",
            "http://keycloak:8080/realms/a/protocol/openid-connect/certs",
            "https://idp.example/keys?p=B2C_1_sign_in",
            "https://idp.example/@me/keys",
            "https://idp.example/keys?contact=a@b.example",
            "http://[::1]:8080/keys",
            "https://h/t/",
        ] {
            parse_operator_url(text).unwrap();
        }
    }

    /// Whatever else is wrong with it.
    #[test]
    fn a_password_whose_at_sign_is_missing_is_not_shown() {
        for text in ["https://u:hunter2  ", " https://u:hunter2/x", "https://[::1]:hunter2 "] {
            let problem = problem(text);
            let said = format!("{problem} {} {problem:?}", problem.hint());
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert!(problem(" https://h:8443/x").hint().contains("https://h:8443/x"));
    }

    /// G3
    #[test]
    fn a_word_is_not_a_url() {
        let problem = problem("abc");
        assert_eq!(problem.to_string(), "\"abc\" is not an absolute URL (missing https://)");
        assert_eq!(problem.hint(), "write an absolute URL that begins with https://");
    }

    #[test]
    fn a_missing_scheme_is_supplied_in_the_hint() {
        for (text, url) in [
            ("keycloak:8080/x", "http://keycloak:8080/x"),
            ("localhost:8080", "http://localhost:8080"),
            ("127.0.0.1:6666", "http://127.0.0.1:6666"),
            ("[::1]:8080/x", "http://[::1]:8080/x"),
            ("keycloak:8443/x", "https://keycloak:8443/x"),
            ("idp.example.com:8080/x", "https://idp.example.com:8080/x"),
            ("idp.example.com/realms/a", "https://idp.example.com/realms/a"),
            ("idp.example.com/keys?token=secret", "https://idp.example.com/keys"),
        ] {
            let problem = problem(text);
            assert_eq!(problem.hint(), format!("write \"{url}\""), "{text}");
            let scheme = url.split_once(':').unwrap().0;
            assert!(problem.to_string().ends_with(&format!("(missing {scheme}://)")), "{text}");
        }
    }

    #[test]
    fn what_url_parsers_rewrite_in_silence_is_refused() {
        let space = |text: &str| UrlProblem::SurroundingSpace { text: text.to_owned() };
        let no_host = |text: &str| UrlProblem::NoHost { text: text.to_owned() };
        assert_eq!(problem(""), UrlProblem::Empty);
        assert_eq!(problem(" \t\n"), UrlProblem::Empty);
        assert_eq!(problem(" https://h/"), space("https://h/"));
        assert_eq!(problem("https://h/\n"), space("https://h/"));
        assert_eq!(problem("https://h/\u{a0}"), space("https://h/"));
        assert_eq!(problem("ht\ntps://h/"), UrlProblem::Character { found: '\n', at: 2 });
        assert_eq!(problem("https://h/a b"), UrlProblem::Character { found: ' ', at: 11 });
        assert_eq!(problem("https:\\\\h\\x"), UrlProblem::Character { found: '\\', at: 6 });
        assert_eq!(problem("https://"), no_host("https://"));
        assert_eq!(problem("https:///h/x"), no_host("https:///h/x"));
        assert_eq!(problem("https://:8080/x"), no_host("https://:8080/x"));
        assert_eq!(problem("https://?key=secret"), no_host("https://"));
        assert_eq!(problem("https:/h/x"), no_host("https:/h/x"));
        assert_eq!(problem("https:h/x"), no_host("https:h/x"));
        assert_eq!(problem("https://h/x#k"), UrlProblem::Fragment { text: "https://h/x".into() });
        assert_eq!(problem("ftp://h/x"), UrlProblem::UnsupportedScheme { scheme: "ftp".into() });
        assert_eq!(problem("urn:x"), UrlProblem::UnsupportedScheme { scheme: "urn".into() });
        assert_eq!(problem("https://h:99999/"), UrlProblem::Port);
        assert_eq!(problem("https://u:hunter2h/jwks"), UrlProblem::Port);
        assert!(matches!(problem("https://a<b/"), UrlProblem::Unreadable { .. }));
        assert!(matches!(problem("//h/x"), UrlProblem::MissingScheme { suggestion: None, .. }));
    }

    /// T25
    #[test]
    fn a_password_is_refused_and_never_echoed() {
        for text in [
            "https://u:secret@h/jwks",
            "https://secret@h/jwks",
            "https://:secret@h/jwks",
            "https:///u:secret@h/jwks",
            "https:u:secret@h/jwks",
            "https:\\\\u:secret@h\\jwks",
            "u:secret@h/jwks",
            "ftp://u:secret@h/jwks",
            " https://u:secret@h/jwks ",
            "https://u:secret@h/jwks#f",
            "https://u:secr/secret@h/jwks",
            "https://u:secr?secret@h/jwks",
            "https://u:secr#secret@h/jwks",
            "https://u:sec ret:secret@h/jwks",
        ] {
            let problem = problem(text);
            assert_eq!(problem, UrlProblem::Userinfo, "{text}");
            let said = format!("{problem} {} {problem:?}", problem.hint());
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn private_names() {
        for name in ["keycloak", "a.svc", "a.b.LOCAL", "a.internal.", "x.home.arpa", "localhost."] {
            assert!(is_private_name(name), "{name}");
        }
        for name in ["a.example", "svc.example", "asvc.com", "a.home.arpa.example", "a.arpa"] {
            assert!(!is_private_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_has_a_host_and_what_is_not_has_words(text in "\\PC{0,40}") {
            match parse_operator_url(&text) {
                Ok(url) => prop_assert!(url.has_host()),
                Err(problem) => {
                    prop_assert!(!problem.to_string().is_empty());
                    prop_assert!(!problem.hint().is_empty());
                }
            }
        }

        #[test]
        fn a_secret_before_the_host_never_comes_back(
            before in "(https?:)?[/\\\\]{0,3}[a-z]{0,4}", after in "[a-z:/?#]{0,8}",
        ) {
            let text = format!("{before}:s3cret@host{after}");
            if let Err(problem) = parse_operator_url(&text) {
                let said = format!("{problem} {} {problem:?}", problem.hint());
                prop_assert!(!said.contains("s3cret"), "{text}: {said}");
            }
        }
    }
}
