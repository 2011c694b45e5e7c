//! The TLS handshake: whose certificate it wants, and what its failures are called.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use keystead_core::text::{escaped, quoted};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, Error};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::FetchRules;
use super::error::{FetchCode, FetchError, Stage};
use super::exchange::Stream;
use super::rules::Author;
use super::trust::Trust;

/// Shakes hands with the server of `url` over `stream`.
///
/// The name that is asked for and verified is the URL's host, or, for the operator's URLs, the
/// `tls_server_name` that is written.
pub(super) async fn handshake(
    url: &Url,
    rules: &FetchRules,
    trust: &Trust,
    stream: Stream,
) -> Result<Stream, FetchError> {
    let expected = Expected::of(url, rules);
    let name = expected.server_name(url)?;
    let config = trust.config(rules.ca_file.as_deref()).await;
    let config = config.map_err(|detail| failed(url, detail))?;
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(handshake_error(url, &expected, &error)),
    }
}

/// Whose certificate a connection wants.
enum Expected<'a> {
    /// That of the URL's host.
    Host {
        host: Option<Host<&'a str>>,
        /// Whether another name may be written in its place.
        operators: bool,
    },
    /// The name that the operator wrote.
    Written(&'a str),
}

impl<'a> Expected<'a> {
    fn of(url: &'a Url, rules: &'a FetchRules) -> Self {
        let operators = rules.author_of(url) == Author::Operator;
        match &rules.tls_server_name {
            Some(name) if operators => Self::Written(name),
            _ => Self::Host { host: url.host(), operators },
        }
    }

    fn server_name(&self, url: &Url) -> Result<ServerName<'static>, FetchError> {
        let host = match self {
            Self::Host { host, .. } => host.as_ref(),
            Self::Written(name) => Some(&Host::Domain(*name)),
        };
        let name = match host {
            Some(Host::Ipv4(address)) => {
                return Ok(ServerName::IpAddress(IpAddr::V4(*address).into()));
            }
            Some(Host::Ipv6(address)) => {
                return Ok(ServerName::IpAddress(IpAddr::V6(*address).into()));
            }
            Some(Host::Domain(name)) => *name,
            None => "",
        };
        parse_server_name(name).ok_or_else(|| {
            let detail = format!("{self} cannot be the name of a TLS server");
            FetchError::new(Stage::Tls, FetchCode::BadUrl, url, detail)
        })
    }
}

/// As sentences call it.
impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host: Some(host), .. } => write!(f, "{}", quoted(&host.to_string())),
            Self::Host { host: None, .. } => f.write_str("nothing"),
            Self::Written(name) => write!(f, "{} (tls_server_name)", quoted(name)),
        }
    }
}

/// A name that a certificate can be for: a DNS name or an address.
pub(crate) fn parse_server_name(name: &str) -> Option<ServerName<'static>> {
    // Certificates name no root, and RFC 6066 section 3 sends none.
    ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned()).ok()
}

fn failed(url: &Url, detail: String) -> FetchError {
    FetchError::new(Stage::Tls, FetchCode::Tls, url, detail)
}

fn handshake_error(url: &Url, expected: &Expected<'_>, error: &io::Error) -> FetchError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidCertificate(problem)) => certificate_error(url, expected, problem),
        Some(Error::InvalidMessage(_)) => {
            failed(url, "the server does not speak TLS on this port".to_owned())
        }
        Some(Error::AlertReceived(alert)) => {
            failed(url, format!("the server broke the TLS handshake off ({alert:?})"))
        }
        Some(other) => failed(url, format!("the TLS handshake failed ({other})")),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            failed(url, "the server closed the connection during the TLS handshake".to_owned())
        }
        None => failed(url, format!("the connection broke during the TLS handshake ({error})")),
    }
}

fn certificate_error(url: &Url, expected: &Expected<'_>, problem: &CertificateError) -> FetchError {
    let detail = match problem {
        CertificateError::NotValidForNameContext { presented, .. } => {
            return other_name(url, expected, presented);
        }
        CertificateError::NotValidForName => return other_name(url, expected, &[]),
        CertificateError::ExpiredContext { time, not_after } => {
            format!("the certificate expired {} ago", apart(*not_after, *time))
        }
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("the certificate is valid only in {}", apart(*time, *not_before))
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::UnknownIssuer => {
            "the certificate was issued by a CA that is not trusted here".to_owned()
        }
        CertificateError::BadSignature => {
            "the certificate was not signed by the CA that it names".to_owned()
        }
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        other => format!("the certificate is not acceptable ({})", escaped(&other.to_string())),
    };
    failed(url, detail)
}

fn other_name(url: &Url, wanted: &Expected<'_>, presented: &[String]) -> FetchError {
    let names: Vec<_> = presented.iter().take(NAMES).map(|name| subject_name(name)).collect();
    let detail = match names.as_slice() {
        [] => format!("the certificate is not for {wanted}"),
        names => {
            let more = if presented.len() > NAMES { ", ..." } else { "" };
            let all = names.join(", ");
            let hint = hint(wanted, presented);
            format!("the certificate is for {all}{more}, not for {wanted}{hint}")
        }
    };
    FetchError::new(Stage::Tls, FetchCode::TlsName, url, detail)
}

/// The setting that would accept the first name that can be written.
fn hint(wanted: &Expected<'_>, presented: &[String]) -> String {
    let mut names = presented.iter().map(|name| subject_name(name));
    match (wanted, names.find(|name| !name.contains('*'))) {
        (Expected::Host { operators: true, .. }, Some(name)) => {
            format!("; if that is the provider, write tls_server_name: {name}")
        }
        _ => String::new(),
    }
}

/// How many of a certificate's names are shown.
const NAMES: usize = 4;

/// A name as rustls reports it, `DnsName("idp.example")` or `IpAddress(10.0.0.1)`, without the
/// wrapping.
fn subject_name(reported: &str) -> String {
    let inner = ["DnsName(\"", "IpAddress("].iter().find_map(|kind| reported.strip_prefix(kind));
    let bare = inner.map(|name| name.trim_end_matches(')').trim_end_matches('"'));
    quoted(bare.unwrap_or(reported)).to_string()
}

/// A span between two moments, in its largest whole unit.
fn apart(from: UnixTime, to: UnixTime) -> String {
    let span = Duration::from_secs(to.as_secs().saturating_sub(from.as_secs()));
    match span.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_dot_is_not_part_of_a_tls_name() {
        let name = |url: &str| {
            let (url, rules) = (Url::parse(url).unwrap(), FetchRules::default());
            Expected::of(&url, &rules).server_name(&url).map(|name| name.to_str().into_owned())
        };
        assert_eq!(name("https://idp.example./").unwrap(), "idp.example");
        assert_eq!(name("https://[::1]/").unwrap(), "::1");
        assert_eq!(name("https://-/").unwrap_err().code, FetchCode::BadUrl);
    }

    #[test]
    fn a_written_name_is_for_the_operators_urls() {
        let url = |text| Url::parse(text).unwrap();
        let rules = FetchRules {
            operator_origins: vec![url("https://kc:8443").origin()],
            tls_server_name: Some("sso.example".to_owned()),
            ..FetchRules::default()
        };
        let name = |text| {
            let url = url(text);
            let name = Expected::of(&url, &rules).server_name(&url).unwrap();
            name.to_str().into_owned()
        };
        assert_eq!(name("https://kc:8443/keys"), "sso.example");
        assert_eq!(name("https://keys.example/"), "keys.example");
    }

    #[test]
    fn names_are_shown_without_the_wrapping() {
        assert_eq!(subject_name("DnsName(\"*.idp.example\")"), "\"*.idp.example\"");
        assert_eq!(subject_name("IpAddress(10.0.0.1)"), "\"10.0.0.1\"");
        assert_eq!(subject_name("DirectoryName"), "\"DirectoryName\"");
        assert_eq!(subject_name("DnsName(\"\u{1b}[31m\")"), "\"\\u{1b}[31m\"");
    }

    #[test]
    fn spans_have_units() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        for (seconds, text) in [(5, "5 s"), (120, "2 min"), (86_400, "24 h"), (864_000, "10 days")]
        {
            assert_eq!(apart(at(0), at(seconds)), text);
        }
        assert_eq!(apart(at(9), at(5)), "0 s");
    }
}
