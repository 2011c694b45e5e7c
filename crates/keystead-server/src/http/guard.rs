//! Who may ask the admin listener for what.
//!
//! A browser on the same host reaches it too, on behalf of whatever page it shows. A page can make
//! its own name lead to this address (DNS rebinding) and read what it likes then, so that a request
//! has to call this server by an address, or by a name that nobody can register; and it can post
//! without reading the answer, so that no page may post at all.

use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, StatusCode, Uri};
use keystead::TokenFile;
use keystead::config::{AdminListen, ServerConfig};
use keystead::core::text::{escaped, quoted};
use keystead::http::is_private_name;

use crate::bearer;
use crate::http::respond::{self, Answer};

/// RFC 6750 section 3: no error where nothing was presented.
const CHALLENGE: &str = r#"Bearer realm="keystead admin""#;
const CHALLENGE_AFTER_TOKEN: &str = r#"Bearer realm="keystead admin", error="invalid_token""#;
/// How long its file may take to be read.
const READING: Duration = Duration::from_secs(2);

/// Who may ask for what.
#[derive(Debug)]
pub(crate) struct Guard {
    reach: Reach,
    token: Option<TokenFile>,
}

/// From where the admin listener can be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    /// From processes of this host.
    Loopback,
    /// From the network.
    Network,
    /// From processes of this user: the system asks, before we could.
    Unix,
}

impl Guard {
    pub(crate) fn of(config: &ServerConfig) -> Self {
        let reach = match &config.admin_listen {
            AdminListen::Unix(_) => Reach::Unix,
            AdminListen::Tcp(address) if address.ip().to_canonical().is_loopback() => {
                Reach::Loopback
            }
            _ => Reach::Network,
        };
        Self { reach, token: config.admin_token_file.clone().map(TokenFile::new) }
    }

    /// Whether a request is meant for this server.
    ///
    /// # Errors
    /// When it calls it by a name that is not its own.
    pub(crate) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), TurnedAway> {
        if self.reach == Reach::Unix {
            return Ok(());
        }
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next();
        if hosts.next().is_some() {
            let sentence = "there is more than one Host header";
            return Err(TurnedAway::new(StatusCode::BAD_REQUEST, "request.host", sentence));
        }
        // RFC 9110 section 7.2: the target's own authority goes before the header. Without either,
        // it is HTTP/1.0 and no browser.
        let presented = match (uri.authority(), host) {
            (Some(authority), _) => authority.as_str(),
            (None, Some(host)) => host.to_str().unwrap_or_default(),
            (None, None) => return Ok(()),
        };
        if is_own(presented) {
            return Ok(());
        }
        let sentence = format!(
            "{} is no address and no private name: call this listener by its address",
            quoted(presented)
        );
        Err(TurnedAway::new(StatusCode::MISDIRECTED_REQUEST, "request.host", sentence))
    }

    /// Whether a request may change something.
    ///
    /// # Errors
    /// When it comes from a page, or without the token.
    pub(crate) async fn admit_change(&self, headers: &HeaderMap) -> Result<(), TurnedAway> {
        if headers.contains_key(ORIGIN) {
            let sentence = "a page in a browser may change nothing here";
            return Err(TurnedAway::new(StatusCode::FORBIDDEN, "request.origin", sentence));
        }
        match (self.reach, &self.token) {
            (Reach::Unix, _) | (Reach::Loopback, None) => Ok(()),
            (Reach::Network, None) => {
                let sentence = "nothing can be changed from the network before admin_token_file \
                                is set";
                Err(TurnedAway::new(StatusCode::FORBIDDEN, "request.forbidden", sentence))
            }
            (_, Some(token)) => authenticate(token, headers).await,
        }
    }

    /// Says in the log what will be in the way of every change, as far as it can be known.
    pub(crate) fn check(&self) {
        let Some(token) = self.token.as_ref().filter(|_| self.reach != Reach::Unix) else { return };
        if let Err(problem) = token.is("") {
            report(token, &problem);
        }
    }
}

/// Why a request is turned away.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    status: StatusCode,
    code: &'static str,
    sentence: String,
    challenge: Option<&'static str>,
}

impl TurnedAway {
    fn new(status: StatusCode, code: &'static str, sentence: impl Into<String>) -> Self {
        Self { status, code, sentence: sentence.into(), challenge: None }
    }

    fn without_token(sentence: &str, challenge: &'static str) -> Self {
        let challenge = Some(challenge);
        Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, "request.unauthorized", sentence) }
    }

    pub(crate) fn answer(&self) -> Answer {
        let mut answer = respond::problem(self.status, self.code, &self.sentence);
        if let Some(challenge) = self.challenge {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        answer
    }
}

/// Whether a page that somebody else made cannot stand under this name.
fn is_own(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let plain = !authority.as_str().contains('@');
    plain && !host.is_empty() && (bare.parse::<IpAddr>().is_ok() || is_private_name(host))
}

/// Compares the token that was presented with the one in the file.
async fn authenticate(token: &TokenFile, headers: &HeaderMap) -> Result<(), TurnedAway> {
    let nothing = |_| TurnedAway::without_token("a bearer token is needed", CHALLENGE);
    let presented = bearer::token(headers).map_err(nothing)?.to_owned();
    let file = token.clone();
    let compared = tokio::task::spawn_blocking(move || file.is(&presented));
    let compared = match tokio::time::timeout(READING, compared).await {
        Ok(Ok(compared)) => compared,
        Ok(Err(_)) => Err("it was not read to the end".to_owned()),
        Err(_) => Err(format!("it could not be read within {} s", READING.as_secs())),
    };
    match compared {
        Ok(true) => Ok(()),
        Ok(false) => {
            let sentence = "the token is not that of the admin listener";
            Err(TurnedAway::without_token(sentence, CHALLENGE_AFTER_TOKEN))
        }
        Err(problem) => {
            report(token, &problem);
            let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, "request.token_file");
            let sentence = "the file of the admin token cannot be used, the log says why";
            Err(TurnedAway::new(status, code, sentence))
        }
    }
}

fn report(token: &TokenFile, problem: &str) {
    let path = escaped(&token.path().to_string_lossy());
    tracing::warn!(
        event = "admin.token_file",
        path,
        "the file of the admin token cannot be used, so that nothing can be changed: {problem}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn guard(reach: Reach, token: Option<&Path>) -> Guard {
        Guard { reach, token: token.map(TokenFile::new) }
    }

    fn headers<const N: usize>(pairs: [(&'static str, &'static str); N]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_name_that_somebody_could_register_is_not_ours() {
        for host in [
            "127.0.0.1:8081",
            "10.1.2.3",
            "[::1]:8081",
            "localhost:8081",
            "LOCALHOST",
            "keystead:8081",
            "keystead.monitoring.svc:8081",
            "keystead.monitoring.svc.cluster.local",
        ] {
            assert!(is_own(host), "{host}");
        }
        for host in [
            "attacker.example",
            "attacker.example:8081",
            "127.0.0.1.attacker.example",
            "localhost.attacker.example:8081",
            "user@127.0.0.1",
            "",
            ":8081",
            "a b",
        ] {
            assert!(!is_own(host), "{host}");
        }
    }

    #[test]
    fn the_target_goes_before_the_header_and_two_headers_are_too_many() {
        let guard = guard(Reach::Loopback, None);
        let status = |uri: &'static str, headers| {
            let admitted = guard.admit(&Uri::from_static(uri), &headers);
            admitted.err().map(|refused| refused.status.as_u16())
        };
        assert_eq!(status("/", headers([("host", "localhost")])), None);
        assert_eq!(status("/", headers([("host", "a.example")])), Some(421));
        assert_eq!(status("http://a.example/", headers([("host", "localhost")])), Some(421));
        assert_eq!(status("/", headers([("host", "localhost"), ("host", "localhost")])), Some(400));
        assert_eq!(status("/", headers([])), None, "HTTP/1.0");
    }

    #[test]
    fn where_it_listens_decides_who_is_trusted() {
        let of = |listen: &str| {
            let mut config = ServerConfig::default();
            config.admin_listen = AdminListen::Tcp(listen.parse().unwrap());
            Guard::of(&config).reach
        };
        assert_eq!(of("127.0.0.1:1"), Reach::Loopback);
        assert_eq!(of("[::1]:1"), Reach::Loopback);
        assert_eq!(of("[::ffff:127.0.0.1]:1"), Reach::Loopback);
        assert_eq!(of("0.0.0.0:1"), Reach::Network);
        assert_eq!(of("[::]:1"), Reach::Network);
        assert_eq!(of("10.0.0.1:1"), Reach::Network);
        let mut config = ServerConfig::default();
        config.admin_listen = AdminListen::Unix("/run/a.sock".into());
        assert_eq!(Guard::of(&config).reach, Reach::Unix);
    }

    #[tokio::test]
    async fn a_change_needs_the_token_or_a_place_that_needs_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "s3cret\n").unwrap();
        let status = async |reach, token: bool, pairs: HeaderMap| {
            let admitted = guard(reach, token.then_some(&*file)).admit_change(&pairs).await;
            admitted.err().map(|refused| refused.status.as_u16())
        };
        let right = || headers([("authorization", "Bearer s3cret")]);
        for reach in [Reach::Loopback, Reach::Network] {
            assert_eq!(status(reach, true, right()).await, None);
            assert_eq!(status(reach, true, headers([])).await, Some(401));
            let wrong = headers([("authorization", "Bearer s3cre")]);
            assert_eq!(status(reach, true, wrong).await, Some(401));
            let newline = headers([("authorization", "Basic s3cret")]);
            assert_eq!(status(reach, true, newline).await, Some(401));
        }
        assert_eq!(status(Reach::Loopback, false, headers([])).await, None);
        assert_eq!(status(Reach::Network, false, right()).await, Some(403));
        assert_eq!(status(Reach::Unix, true, headers([])).await, None);
        for reach in [Reach::Loopback, Reach::Network, Reach::Unix] {
            let page = headers([("origin", "null"), ("authorization", "Bearer s3cret")]);
            assert_eq!(status(reach, true, page).await, Some(403));
        }
        fs::write(&file, "other").unwrap();
        assert_eq!(status(Reach::Network, true, right()).await, Some(401), "read again");
        fs::write(&file, "\n").unwrap();
        assert_eq!(status(Reach::Network, true, right()).await, Some(503), "an empty one is none");
        fs::remove_file(&file).unwrap();
        assert_eq!(status(Reach::Network, true, right()).await, Some(503));
        fs::create_dir(&file).unwrap();
        assert_eq!(status(Reach::Network, true, right()).await, Some(503));
    }
}
