//! The one table of settings: what may be written, in what form, and what it is by default.
//!
//! Unknown names are found with it, and the reference is printed from it.

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in its section.
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) shape: Shape,
    /// Its form in words.
    pub(crate) form: &'static str,
    /// Its default in words. Empty: none.
    pub(crate) default: &'static str,
    /// What it means.
    pub(crate) meaning: &'static str,
}

/// Where a setting stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// At the top.
    Top,
    /// In `log`.
    Log,
    /// In `limits`.
    Limits,
    /// In a provider only: who it is, and where its keys are.
    Provider,
    /// In a provider, or in `defaults` for all of them.
    Tuning,
}

/// How the text of a variable or flag is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// One text.
    Text,
    /// One URL: it may hold a password where it should not.
    Url,
    /// One text or a list; in a variable comma-separated or JSON.
    Texts,
    /// One URL or a list.
    Urls,
    /// Key text, or a JSON list of it.
    Keys,
    /// A map from claims to values; in a variable JSON.
    Claims,
    /// A map from names to secrets, which are never shown; in a variable JSON.
    Secrets,
}

impl Shape {
    /// How to write such a value in a variable or flag.
    pub(crate) const fn text_hint(self) -> &'static str {
        match self {
            Self::Text | Self::Url => "write a single value",
            Self::Texts | Self::Urls => r#"write a, b or ["a", "b"]"#,
            Self::Keys => "write PEM, a JWK, a JWK Set or a JSON list of these",
            Self::Claims => r#"write a JSON object such as {"groups": ["a", "b"]}"#,
            Self::Secrets => r#"write a JSON object such as {"X-Api-Key": "..."}"#,
        }
    }
}

/// The maps at the top.
pub(crate) const SECTIONS: [&str; 4] = ["log", "limits", "defaults", "providers"];

const fn setting(
    place: Place,
    name: &'static str,
    shape: Shape,
    form: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { name, place, shape, form, default, meaning }
}

use Place::{Limits, Log, Provider, Top, Tuning};
use Shape::{Claims, Keys, Secrets, Text, Texts, Url, Urls};

/// Every setting, in the order of the reference.
#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting(Top, "version", Text, "`1`", "1", "The version of this format. In files only: `KEYSTEAD_VERSION` is left to images."),
    setting(Top, "listen", Text, "address and port", "127.0.0.1:8080", "Where the public faces listen."),
    setting(Top, "admin_listen", Text, "address and port, `unix:/path` or an absolute path", "127.0.0.1:8081", "Where status and administration listen."),
    setting(Top, "state_dir", Text, "path of a folder", "", "Where the keys of providers are kept on disk, so that they outlive a restart: one file per provider. Unset: nowhere. Made with mode 0700 if it does not exist; others than its owner must not be able to write to it."),
    setting(Top, "admin_token_file", Text, "path", "", "A file with the token that the admin listener asks for before it changes anything; read at each request. Unset: it changes something on loopback and on a unix socket only."),
    setting(Top, "ready_when", Texts, "`any`, `all`, `none`, or one name of a provider or a list", "any", "Which providers must be able to verify before `/readyz` is 200: at least one, every one in use, none, or these."),
    setting(Top, "refusal_detail", Text, "`code`, `sentence` or `hint`", "sentence", "How much of a refusal its caller is told."),
    setting(Top, "drain", Text, "duration", "2s", "How long the server goes on accepting after it said that it is not ready."),
    setting(Log, "format", Text, "`auto`, `text` or `json`", "auto", "`auto`: text on a terminal, JSON otherwise."),
    setting(Log, "level", Text, "`error`, `warn`, `info`, `debug` or `trace`", "info", "The least important lines that are written."),
    setting(Log, "decisions", Text, "`refusals`, `all` or `none`", "refusals", "Which decisions about tokens are written."),
    setting(Limits, "token", Text, "size, at most 1MiB", "16KiB", "How long a token may be."),
    setting(Limits, "connections", Text, "number from 1", "1024", "How many connections one listener holds at once."),
    setting(Limits, "body", Text, "size, at most 16MiB", "64KiB", "How long the body of a request may be."),
    setting(Limits, "cached_tokens", Text, "number from 0 to 10000000", "10000", "How many tokens are remembered whose signature was found good, so that it is not computed again; what they claim, and whether their key is still trusted, is checked every time. They take 2KiB each at most, on the average. `0`: none."),
    setting(Provider, "use", Text, "`on` or `off`", "on", "`off`: its tokens are refused as `issuer.disabled`."),
    setting(Provider, "issuer", Text, "text", "", "The string compared with `iss`, byte for byte. It need not be a URL."),
    setting(Provider, "aliases", Texts, "one text or a list", "", "Further `iss` values that are vouched for."),
    setting(Provider, "audiences", Texts, "one text, a list, or `any`", "", "The token's `aud` must name one of these. Required; `any` has to be written out, alone."),
    setting(Tuning, "algorithms", Texts, "one name or a list", "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA", "Accepted signature algorithms. ES256K, ML-DSA-44, ML-DSA-65, ML-DSA-87, HS256, HS384 and HS512 have to be written; HS* takes only keys written in `keys` or `keys_file`."),
    setting(Tuning, "typ", Texts, "one text or a list", "", "Accepted `typ` values. Unset: absent, and any but those that name another purpose."),
    setting(Tuning, "required_claims", Claims, "a map from a claim to a value, a list of values, or `any`", "", "Claims that must be there; `any`: with whatever value."),
    setting(Tuning, "scopes", Texts, "one text or a list", "", "Scopes that the token must carry, all of them."),
    setting(Tuning, "leeway", Text, "duration", "60s", "How far clocks may differ."),
    setting(Tuning, "max_token_age", Text, "duration or `forever`", "forever", "How long ago `iat` may be; when set, `iat` is required."),
    setting(Provider, "keys", Keys, "PEM text, a JWK, a JWK Set, or a list of these", "", "Keys written right here. A literal `\\n` is read as a line break."),
    setting(Provider, "keys_file", Texts, "one path or a list", "", "Files with PEM, a JWK or a JWK Set; watched."),
    setting(Provider, "jwks_url", Urls, "one URL or a list", "", "JWK Sets that are fetched; no discovery then."),
    setting(Provider, "discovery_url", Url, "URL", "", "The provider metadata document, where it is not at the issuer."),
    setting(Provider, "distrusted_keys", Texts, "one thumbprint or a list", "", "Keys that are never used, wherever they come from, by their thumbprints (RFC 7638, SHA-256): `keystead keys` shows them, `keystead keys distrust` prints this setting."),
    setting(Tuning, "discovery", Text, "`auto`, `issuer` or `off`", "auto", "`auto`: from the issuer when no place of keys is written. `issuer`: from the issuer too. `off`: never."),
    setting(Tuning, "endpoint_origin", Text, "`document` or `discovery`", "document", "`discovery`: scheme, host and port of the advertised `jwks_uri` are replaced by those the document was fetched from."),
    setting(Tuning, "refresh_interval", Text, "duration from 1s to 168h", "5m", "How often network sources are asked."),
    setting(Tuning, "max_stale", Text, "duration or `forever`", "24h", "How long keys are used after the last successful fetch."),
    setting(Tuning, "removed_key_grace", Text, "duration up to 168h", "0s", "How long a key that its provider removed is still accepted. For providers whose answers take turns."),
    setting(Tuning, "unknown_kid_wait", Text, "duration up to 1m", "1s", "How long a request with an unknown `kid` waits for the provider to be asked, or for its first answer after start. `0s`: not at all."),
    setting(Tuning, "unknown_kid_cooldown", Text, "duration from 1s to 1h", "30s", "How long after a fetch for an unknown `kid` there is no other, unless it found its key."),
    setting(Tuning, "connect_timeout", Text, "duration from 1ms to 1m", "2s", "How long name lookup, TCP and TLS may take."),
    setting(Tuning, "timeout", Text, "duration from 1ms to 1m", "5s", "How long one fetch may take."),
    setting(Tuning, "ca_file", Text, "path", "", "CA certificates in PEM that are trusted beside the system's; read at each fetch. While it cannot be read, every https fetch fails."),
    setting(Tuning, "proxy", Url, "`http://HOST:PORT`, `http://USER:PASSWORD@HOST:PORT` or `off`", "", "The HTTP proxy for every URL; https goes through a tunnel. Unset: as the variables `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say. Which address a proxy dials is beyond `private_addresses`: of what documents name, only private addresses and names are refused."),
    setting(Provider, "connect_to", Text, "host and port", "", "What is dialled, without a proxy, in place of the host of written URLs; the URL, its `Host` header and the TLS name stay."),
    setting(Provider, "tls_server_name", Text, "name or address", "", "The name that the certificate must be for, in place of the host of written URLs."),
    setting(Provider, "token_file", Text, "path", "", "A bearer token, sent to the origins of written URLs and to no other; read at each fetch, and once more on 401."),
    setting(Provider, "headers", Secrets, "a map from a header to its value", "", "Sent to the origins of written URLs and to no other. The values are never shown."),
    setting(Tuning, "plain_http", Text, "`written` or `any`", "written", "`written`: http only for written URLs with loopback and private names or addresses. `any`: for every written URL."),
    setting(Tuning, "private_addresses", Text, "`written` or `any`", "written", "`written`: private addresses only for written URLs. `any`: for URLs of documents too; cloud metadata never."),
];

/// The settings that may stand in a section: `Tuning` is `defaults`, `Provider` a whole provider.
pub(crate) fn of(place: Place) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |s| s.place == place || place == Provider && s.place == Tuning)
}

/// The setting with this name in a section.
pub(crate) fn find(place: Place, name: &str) -> Option<&'static Setting> {
    of(place).find(|setting| setting.name == name)
}

/// Which of `names` is meant by `written`, if one is near enough.
pub(crate) fn nearest<'a>(
    written: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Longer names are nothing that somebody mistyped, and distances cost their product.
    if written.len() > 64 {
        return None;
    }
    let written = written.to_lowercase().replace('-', "_");
    let distances = names
        .into_iter()
        .map(|name| (distance(&written, &name.to_lowercase().replace('-', "_")), name));
    let (distance, name) = distances.min()?;
    (distance <= written.chars().count().max(3) / 3).then_some(name)
}

/// How many characters to insert, remove, replace or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let at = |row: &[usize], n: usize| row.get(n).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&row, j) + usize::from(from != *to))
                .min(at(&row, j + 1) + 1)
                .min(at(&next, j) + 1);
            let swapped = j > 0 && last == Some(*to) && b.get(j - 1) == Some(&from);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(from);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_in_their_section() {
        for place in [Top, Log, Limits, Provider] {
            let mut names: Vec<_> = of(place).map(|s| s.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
        assert!(SECTIONS.iter().all(|name| find(Top, name).is_none()));
    }

    #[test]
    fn a_mistyped_name_finds_its_setting() {
        let near = |name| nearest(name, of(Provider).map(|s| s.name));
        assert_eq!(near("isuer"), Some("issuer"));
        assert_eq!(near("isseur"), Some("issuer"));
        assert_eq!(near("jwks-url"), Some("jwks_url"));
        assert_eq!(near("jwksUrl"), Some("jwks_url"));
        assert_eq!(near("audience"), Some("audiences"));
        assert_eq!(near("tpy"), Some("typ"));
        assert_eq!(near("state_dir"), None);
        assert_eq!(near(&"a".repeat(100_000)), None);
    }
}
