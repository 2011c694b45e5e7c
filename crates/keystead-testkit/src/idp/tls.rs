//! The certificates of a provider that serves over TLS: a right one, and one for each way to be wrong.

use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::error::IdpError;
use super::fault::Fault;

/// The names of the right certificate.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

pub(super) struct Certificates {
    /// The CA, in PEM.
    pub(super) ca: String,
    right: TlsAcceptor,
    wrong_name: TlsAcceptor,
    expired: TlsAcceptor,
    unknown_ca: TlsAcceptor,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

impl Certificates {
    pub(super) fn new() -> Result<Self, IdpError> {
        let known = authority("Keystead test CA")?;
        let unknown = authority("Another test CA")?;
        Ok(Self {
            ca: known.pem(),
            right: acceptor(&known, &NAMES, 4000)?,
            wrong_name: acceptor(&known, &["somebody.else.example"], 4000)?,
            expired: acceptor(&known, &NAMES, 2020)?,
            unknown_ca: acceptor(&unknown, &NAMES, 4000)?,
        })
    }

    /// The side of the handshake that shows this fault, or none.
    pub(super) const fn acceptor(&self, fault: Option<Fault>) -> &TlsAcceptor {
        match fault {
            Some(Fault::TlsWrongName) => &self.wrong_name,
            Some(Fault::TlsExpired) => &self.expired,
            Some(Fault::TlsUnknownCa) => &self.unknown_ca,
            _ => &self.right,
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

fn authority(name: &str) -> Result<Authority, IdpError> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().map_err(cannot)?;
    CertifiedIssuer::self_signed(params, key).map_err(cannot)
}

/// A certificate for these names until the first day of a year.
fn acceptor(authority: &Authority, names: &[&str], year: i32) -> Result<TlsAcceptor, IdpError> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(cannot)?;
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().map_err(cannot)?;
    let certificate = params.signed_by(&key, authority).map_err(cannot)?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(cannot)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(cannot)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .map_err(cannot)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn cannot(error: impl fmt::Display) -> IdpError {
    IdpError::Tls(error.to_string())
}
