//! What a provider's values must look like, wherever they were written.

use std::path::PathBuf;
use std::time::Duration;

use keystead_core::{Algorithm, KeyProblem, KeySet, SkippedKey};
use url::Url;

use super::super::error::Wrong;
use super::super::settings::nearest;
use super::super::value::{did_you_mean, duration_text, listed, looks_like_key, shown, shown_url};
use crate::http::{ConnectTo, Proxies, RuleError, parse_operator_url, parse_server_name};
use crate::source;

/// The longest name of a provider, in bytes.
const MAX_NAME: usize = 64;

/// A provider's name: `[a-z][a-z0-9_-]*` without `__`, at most 64 bytes.
pub(super) fn name(name: &str) -> Result<(), Wrong> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    let fits = name.len() <= MAX_NAME && name.chars().all(plain) && !name.contains("__");
    if starts_well && fits {
        return Ok(());
    }
    Err(Wrong::new("it is not a provider name").hint(format!(
        "begin with a letter a to z, go on with a to z, 0 to 9, - and _, never __, at most \
         {MAX_NAME} characters"
    )))
}

/// An issuer or alias: any text without controls and stray white space, and without a password.
pub(super) fn issuer(text: &str) -> Result<(), Wrong> {
    if looks_like_key(text) {
        return Err(key_text());
    }
    let is_url = text.contains("://");
    let stray = text.trim() != text || is_url && text.contains(char::is_whitespace);
    if stray || text.contains(char::is_control) {
        return Err(Wrong::new(format!("{} has white space in it", shown(text)))
            .hint("remove it; issuers are compared byte for byte"));
    }
    if is_url && has_userinfo(text) {
        return Err(Wrong::new("the URL holds a user name or password")
            .hint("remove it")
            .value(shown_url(text)));
    }
    if text.is_empty() {
        return Err(Wrong::new("it is empty").hint("write the exact iss of its tokens"));
    }
    Ok(())
}

/// An audience: any text but key text.
pub(super) fn audience(text: &str) -> Result<(), Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::new("it is empty").hint("write the aud of its tokens"));
    }
    if looks_like_key(text) { Err(key_text()) } else { Ok(()) }
}

fn key_text() -> Wrong {
    Wrong::new("it looks like key text").hint("write keys in keys or keys_file")
}

/// The URL that an issuer is, if it is one.
pub(super) fn issuer_url(issuer: &str) -> Option<Result<Url, Wrong>> {
    let scheme = issuer.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_url = ["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s));
    is_url.then(|| url(issuer))
}

/// A URL that the operator wrote.
pub(super) fn url(text: &str) -> Result<Url, Wrong> {
    parse_operator_url(text).map_err(|problem| {
        Wrong::new(problem.to_string()).hint(problem.hint()).value(shown_url(text))
    })
}

/// The path of a file that is read later.
pub(super) fn path(text: &str) -> Result<PathBuf, Wrong> {
    let content = looks_like_key(text) || text.trim_start().starts_with("eyJ");
    if content || text.contains(char::is_control) {
        return Err(Wrong::new("it looks like the content of a file")
            .hint("write the path of the file")
            .value("a value that is not shown"));
    }
    Ok(PathBuf::from(text))
}

/// A name that a certificate can be for.
pub(super) fn server_name(text: &str) -> Result<String, Wrong> {
    let name = text.trim();
    if parse_server_name(name).is_none() {
        return Err(Wrong::new(format!("{} cannot be the name of a TLS server", shown(text)))
            .hint("write a name such as sso.example.com, or an address"));
    }
    Ok(name.to_owned())
}

/// What to dial instead.
pub(super) fn connect_to(text: &str) -> Result<ConnectTo, Wrong> {
    text.trim().parse().map_err(rule)
}

/// The proxies that a setting names: one for all, or none.
pub(super) fn proxy(text: &str) -> Result<Proxies, Wrong> {
    if text.trim() == "off" {
        return Ok(Proxies::default());
    }
    Proxies::through(text).map_err(|error| rule(error).value(shown_url(text)))
}

/// A mistake that shows nothing of what was written.
pub(super) fn rule(error: RuleError) -> Wrong {
    Wrong::new(error.problem).hint(error.hint)
}

/// Whether the authority of a URL, or of what may become one, has an `@` in it.
fn has_userinfo(text: &str) -> bool {
    let after = text.split_once("//").or_else(|| text.split_once("\\\\")).map_or(text, |(_, t)| t);
    let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
    after.get(..end).unwrap_or(after).contains('@')
}

/// One algorithm's name.
pub(super) fn algorithm(text: &str) -> Result<Algorithm, Wrong> {
    let text = text.trim();
    if let Some(algorithm) = Algorithm::from_name(text) {
        return Ok(algorithm);
    }
    let names = || Algorithm::ALL.into_iter().map(Algorithm::name);
    if text.eq_ignore_ascii_case("none") {
        return Err(Wrong::new("unsigned tokens are never accepted").hint("remove \"none\""));
    }
    let hint =
        nearest(text, names()).map_or_else(|| format!("write {}", listed(names())), did_you_mean);
    Err(Wrong::new(format!("{} is no algorithm that is known here", shown(text))).hint(hint))
}

/// The thumbprint of a key (RFC 7638): the SHA-256 of its members, in base64url.
pub(super) fn thumbprint(text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    let hash = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text);
    if hash.is_ok_and(|hash| hash.len() == 32) {
        return Ok(text.to_owned());
    }
    if looks_like_key(text) {
        return Err(Wrong::new("it looks like key text").hint("write the thumbprint of the key"));
    }
    Err(Wrong::new(format!("{} is no thumbprint of a key", shown(text))).hint(
        "write the 43 characters that keystead keys shows, or the kid to keystead keys distrust",
    ))
}

/// A duration within bounds, both included.
pub(super) fn within(
    duration: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration, Wrong> {
    if (least..=most).contains(&duration) {
        return Ok(duration);
    }
    let (found, least, most) = (duration_text(duration), duration_text(least), duration_text(most));
    Err(Wrong::new(format!("{found} is out of range")).hint(format!("write {least} to {most}")))
}

/// Key text. When it holds no key at all, the set holds one skipped key that says why.
pub(super) fn keys(text: &str) -> KeySet {
    match source::text::parse(text) {
        Ok(keys) => keys,
        Err(error) => {
            let mut keys = KeySet::default();
            let why = KeyProblem::Text(sentence(&error));
            keys.push_skipped(SkippedKey { kid: None, kty: None, why });
            keys
        }
    }
}

fn sentence(error: &impl std::fmt::Display) -> Box<str> {
    error.to_string().into()
}

/// The mistakes in a set of keys: those that are broken, and not just meant for something else.
///
/// They do not say which key: where a text is mangled, a secret may stand in what reads as a kid.
pub(super) fn key_mistakes(keys: &KeySet) -> impl Iterator<Item = Wrong> + '_ {
    let broken = keys.skipped().iter().filter(|key| !key.why.is_mismatch());
    broken.map(|key| {
        Wrong::new(format!("a key cannot be used: {}", key.why))
            .hint("replace it, or remove it; the other keys are used")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        url(text).unwrap_err().problem
    }

    #[test]
    fn urls_say_what_is_missing() {
        assert_eq!(refusal("abc"), "\"abc\" is not an absolute URL (missing https://)");
        assert_eq!(
            refusal("keycloak:8080/x"),
            "\"keycloak:8080/x\" is not an absolute URL (missing http://)"
        );
        assert_eq!(
            refusal("localhost:80"),
            "\"localhost:80\" is not an absolute URL (missing http://)"
        );
        for text in [
            "",
            " https://h/",
            "https://h/ ",
            "ht\ntps://x/",
            "http:\\\\h\\x",
            "https:h",
            "ftp://h/",
            "file:///etc/passwd",
            "https://",
            "//h/x",
            "/x",
            "https://h h/",
            "https://[::1/",
        ] {
            assert!(url(text).is_err(), "{text:?}");
        }
        assert!(url("https://h/gitlab").is_ok());
        assert!(url("http://[::1]:8080/a%20b?x=1@2").is_ok());
    }

    /// T25
    #[test]
    fn a_password_in_a_url_is_refused_and_not_echoed() {
        for text in [
            "https://u:hunter2@h/jwks",
            "https:\\\\u:hunter2@h/jwks",
            "u:hunter2@h/jwks",
            "https:/u:hunter2@h/jwks",
            "https://u:hunter2 h/jwks",
            "https://u:hunter2h/jwks",
            "https://hunter2@h",
            " //u:hunter2@h",
        ] {
            let wrong = url(text).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        }
        let wrong = issuer("https://u:hunter2@h").unwrap_err();
        assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
    }

    /// G29
    #[test]
    fn an_issuer_need_not_be_a_url() {
        for text in ["gitlab-duo-workflow-service", "My Company", "urn:x", "me@acme.example"] {
            assert!(issuer(text).is_ok(), "{text}");
            assert!(issuer_url(text).is_none(), "{text}");
        }
        for text in ["", " a", "a\n", "https://h /", "a\u{0}b"] {
            assert!(issuer(text).is_err(), "{text:?}");
        }
        assert!(issuer_url("HTTPS://h/x").is_some_and(|url| url.is_ok()));
        assert!(issuer_url("https:/h").is_some_and(|url| url.is_err()));
    }

    #[test]
    fn a_secret_in_the_place_of_a_path_is_not_shown() {
        assert_eq!(path("/run/secrets/token").unwrap().to_str(), Some("/run/secrets/token"));
        for text in ["eyJhbGciOiJub25lIn0.hunter2.", "-----BEGIN X-----hunter2", "hunter2\n"] {
            let wrong = path(text).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        }
    }

    #[test]
    fn network_names() {
        assert_eq!(server_name(" sso.example ").unwrap(), "sso.example");
        assert!(server_name("10.0.0.1").is_ok() && server_name("::1").is_ok());
        for text in ["", "https://sso.example", "sso.example:443", "*.example", "a b"] {
            assert!(server_name(text).is_err(), "{text}");
        }
        assert_eq!(proxy("off").unwrap(), Proxies::default());
        assert_ne!(proxy("squid:3128").unwrap(), Proxies::default());
        let wrong = proxy("socks5://u:hunter2@squid").unwrap_err();
        assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        assert!(connect_to(" kc:8443").is_ok());
    }

    #[test]
    fn names() {
        for good in ["a", "my-idp_2", "a-_b"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "A", "a__b", "-a", "a b", "a.b", "é", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn thumbprints() {
        let good = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        assert_eq!(thumbprint(&format!(" {good}\n")).unwrap(), good);
        // The last character has two bits that belong to no byte: another spelling would never match.
        let other = good.replace("S4k", "S4l");
        let short = good.trim_start_matches('k');
        for bad in ["", "2024-10", short, &format!("{good}A"), &other, &good.replace('_', "/")] {
            assert!(thumbprint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn algorithms() {
        assert_eq!(algorithm("ES256K").unwrap(), Algorithm::Es256K);
        assert_eq!(algorithm("rs256").unwrap_err().hint.unwrap(), "did you mean \"RS256\"?");
        assert!(algorithm("NONE").unwrap_err().problem.contains("never"));
    }
}
