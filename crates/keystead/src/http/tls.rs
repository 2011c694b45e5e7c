//! The TLS handshake: whom it trusts, and what its failures are called.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keystead_core::text::{escaped, quoted};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::error::{FetchCode, FetchError, Stage};
use super::joined::Joined;

/// What TLS connections trust: the system's CA certificates and those that were added.
///
/// Loaded at the first handshake and kept; a system without any is asked again at the next one.
pub(super) struct Tls {
    system: fn() -> SystemRoots,
    extra: Arc<[CertificateDer<'static>]>,
    loaded: Arc<OnceLock<Arc<ClientConfig>>>,
    loading: Joined<Result<Arc<ClientConfig>, String>>,
}

/// The system's CA certificates, and what went wrong while they were read.
type SystemRoots = rustls_native_certs::CertificateResult;

impl Tls {
    /// Trusts the system's CA certificates and `extra` ones.
    pub(super) fn with_system_roots(extra: Vec<CertificateDer<'static>>) -> Self {
        Self::with_roots(rustls_native_certs::load_native_certs, extra)
    }

    fn with_roots(system: fn() -> SystemRoots, extra: Vec<CertificateDer<'static>>) -> Self {
        Self { system, extra: extra.into(), loaded: Arc::default(), loading: Joined::new(1) }
    }

    /// Shakes hands with the URL's host over `stream`.
    pub(super) async fn handshake(
        &self,
        url: &Url,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, FetchError> {
        let name = server_name(url)?;
        let config = self.config().await.map_err(|detail| failed(url, detail))?;
        TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| handshake_error(url, &error))
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.loaded.get() {
            return Ok(Arc::clone(config));
        }
        let system = self.system;
        let extra = Arc::clone(&self.extra);
        let loaded = Arc::clone(&self.loaded);
        // Off this thread: it may be hundreds of files.
        let load = move || {
            let config = client_config(system(), &extra)?;
            Ok(Arc::clone(loaded.get_or_init(|| Arc::new(config))))
        };
        let broken_off = || Err("reading the CA certificates was broken off".to_owned());
        self.loading.run("roots", load).await.unwrap_or_else(broken_off)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra", &self.extra.len())
            .field("loaded", &self.loaded.get().is_some())
            .finish_non_exhaustive()
    }
}

fn client_config(
    system: SystemRoots,
    extra: &[CertificateDer<'static>],
) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    // System bundles hold certificates that no longer parse; the others are as good as before.
    let _counts = roots.add_parsable_certificates(system.certs);
    for certificate in extra {
        roots
            .add(certificate.clone())
            .map_err(|error| format!("an added CA certificate cannot be read ({error})"))?;
    }
    if roots.is_empty() {
        let why = system.errors.first().map(|error| format!(" ({})", escaped(&error.to_string())));
        return Err(format!("no CA certificates found on this system{}", why.unwrap_or_default()));
    }
    // Passed on, never installed: the program around this library may have another provider.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up ({error})"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn server_name(url: &Url) -> Result<ServerName<'static>, FetchError> {
    let refuse = |detail| FetchError::new(Stage::Tls, FetchCode::BadUrl, url, detail);
    match url.host() {
        Some(Host::Ipv4(address)) => {
            Ok(ServerName::IpAddress(std::net::IpAddr::V4(address).into()))
        }
        Some(Host::Ipv6(address)) => {
            Ok(ServerName::IpAddress(std::net::IpAddr::V6(address).into()))
        }
        Some(Host::Domain(name)) => {
            // Certificates name no root, and RFC 6066 section 3 sends none.
            let name = name.strip_suffix('.').unwrap_or(name).to_owned();
            let shown = format!("{} cannot be the name of a TLS server", quoted(&name));
            ServerName::try_from(name).map_err(|_| refuse(shown))
        }
        None => Err(refuse("the URL has no host".to_owned())),
    }
}

fn failed(url: &Url, detail: String) -> FetchError {
    FetchError::new(Stage::Tls, FetchCode::Tls, url, detail)
}

fn handshake_error(url: &Url, error: &io::Error) -> FetchError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidCertificate(problem)) => certificate_error(url, problem),
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

fn certificate_error(url: &Url, problem: &CertificateError) -> FetchError {
    let detail = match problem {
        CertificateError::NotValidForNameContext { presented, .. } => {
            return other_name(url, presented);
        }
        CertificateError::NotValidForName => return other_name(url, &[]),
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

fn other_name(url: &Url, presented: &[String]) -> FetchError {
    let wanted = quoted(url.host_str().unwrap_or_default()).to_string();
    let names: Vec<_> = presented.iter().take(NAMES).map(|name| subject_name(name)).collect();
    let detail = match names.as_slice() {
        [] => format!("the certificate is not for {wanted}"),
        names => {
            let more = if presented.len() > NAMES { ", ..." } else { "" };
            format!("the certificate is for {}{more}, not for {wanted}", names.join(", "))
        }
    };
    FetchError::new(Stage::Tls, FetchCode::TlsName, url, detail)
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

    fn no_roots() -> SystemRoots {
        SystemRoots::default()
    }

    #[tokio::test]
    async fn a_system_without_ca_certificates_is_said_in_plain_words() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let tls = Tls::with_roots(no_roots, Vec::new());
        let url = Url::parse("https://idp.example/").unwrap();
        let error = tls.handshake(&url, stream).await.unwrap_err();
        assert_eq!((error.stage, error.code), (Stage::Tls, FetchCode::Tls));
        assert_eq!(error.detail, "no CA certificates found on this system");
    }

    #[tokio::test]
    async fn an_added_certificate_that_is_none_is_said_too() {
        let tls = Tls::with_roots(no_roots, vec![CertificateDer::from(vec![0x30, 0x00])]);
        let detail = tls.config().await.unwrap_err();
        assert!(detail.starts_with("an added CA certificate cannot be read"), "{detail}");
    }

    #[test]
    fn a_root_dot_is_not_part_of_a_tls_name() {
        let name =
            |url| server_name(&Url::parse(url).unwrap()).map(|name| name.to_str().into_owned());
        assert_eq!(name("https://idp.example./").unwrap(), "idp.example");
        assert_eq!(name("https://[::1]/").unwrap(), "::1");
        assert_eq!(name("https://-/").unwrap_err().code, FetchCode::BadUrl);
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
