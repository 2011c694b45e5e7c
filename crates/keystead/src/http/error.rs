//! Why a fetch failed, in the words that status, logs and metrics share.

use std::fmt;
use std::time::Duration;

/// Why a document could not be had.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FetchError {
    /// How far the attempt got.
    pub stage: Stage,
    /// What went wrong, in one stable word.
    pub code: FetchCode,
    /// The address asked, without userinfo, query and fragment.
    pub url: String,
    /// One plain sentence: lower case, no full stop, values in quotes.
    pub detail: String,
    /// The status that was answered, when it was not 200.
    pub status: Option<u16>,
    /// What the server asked for in `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl FetchError {
    /// An error about `url`.
    #[must_use]
    pub fn new(stage: Stage, code: FetchCode, url: &url::Url, detail: impl Into<String>) -> Self {
        Self {
            stage,
            code,
            url: shown(url),
            detail: detail.into(),
            status: None,
            retry_after: None,
        }
    }
}

/// A URL as it may be shown: userinfo, query and fragment may hold secrets.
pub(crate) fn shown(url: &url::Url) -> String {
    let mut url = url.clone();
    // Neither can fail for a URL that has a host; one without has no userinfo to hide.
    let _no_host = url.set_username("");
    let _no_host = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.detail)
    }
}

impl std::error::Error for FetchError {}

/// How far a fetch got.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// Checking the URL against the provider's rules.
    Policy,
    /// Looking the name up.
    Resolve,
    /// Opening the connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request and waiting for the answer.
    Request,
    /// Judging the status.
    Status,
    /// Reading the body.
    Body,
    /// Reading the document.
    Parse,
    /// Comparing the document with the configuration.
    Mismatch,
}

impl Stage {
    /// The stage in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Request => "request",
            Self::Status => "status",
            Self::Body => "body",
            Self::Parse => "parse",
            Self::Mismatch => "mismatch",
        }
    }
}

/// What went wrong with a fetch.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FetchCode {
    /// A URL that cannot be used.
    BadUrl,
    /// The name could not be looked up.
    Resolve,
    /// No connection, or one that broke before the answer was complete.
    Connect,
    /// Too slow.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The certificate is for another name.
    TlsName,
    /// A redirect that is not followed.
    Redirect,
    /// Another status than 200.
    Status,
    /// 429.
    RateLimited,
    /// Too many bytes or keys.
    TooLarge,
    /// A `Content-Encoding`.
    Encoding,
    /// Not JSON.
    NotJson,
    /// HTML: looks like a login page.
    LoginPage,
    /// JSON without `keys`.
    NoKeysMember,
    /// `keys` is empty.
    EmptySet,
    /// No key in the set can be used.
    NoUsableKey,
    /// Provider metadata without a usable `jwks_uri`.
    NoJwksUri,
    /// Provider metadata of another issuer.
    IssuerMismatch,
    /// An address that must not be reached.
    Address,
    /// A scheme that must not be used.
    Scheme,
    /// A file that the request needs could not be read.
    File,
}

impl FetchCode {
    /// The word, as in status, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::TlsName => "tls_name",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::RateLimited => "rate_limited",
            Self::TooLarge => "too_large",
            Self::Encoding => "encoding",
            Self::NotJson => "not_json",
            Self::LoginPage => "login_page",
            Self::NoKeysMember => "no_keys_member",
            Self::EmptySet => "empty_set",
            Self::NoUsableKey => "no_usable_key",
            Self::NoJwksUri => "no_jwks_uri",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::Address => "address",
            Self::Scheme => "scheme",
            Self::File => "file",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_a_secret_is_not_shown() {
        let url = url::Url::parse("https://user:secret@idp.example:8443/keys?key=secret#secret");
        let error = FetchError::new(Stage::Connect, FetchCode::Connect, &url.unwrap(), "refused");
        assert_eq!(error.url, "https://idp.example:8443/keys");
    }
}
