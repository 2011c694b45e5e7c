//! Whom TLS connections trust: the system's CA certificates, those that the host program added, and
//! those of one provider.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use keystead_core::text::escaped;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::files::{Files, named};
use super::joined::Joined;

/// How many bytes a file of CA certificates may have.
const CA_LIMIT: u64 = 1024 * 1024;

/// The system's CA certificates, and what went wrong while they were read.
pub(super) type SystemRoots = rustls_native_certs::CertificateResult;

/// What TLS connections trust.
///
/// The system's certificates are loaded at the first handshake and kept; a system without any is
/// asked again at the next one. A provider's file is read at each of its handshakes, and given a
/// meaning when its content changed.
pub(super) struct Trust {
    system: fn() -> SystemRoots,
    extra: Arc<[CertificateDer<'static>]>,
    files: Arc<Files>,
    loading: Joined<Result<Common, String>>,
    common: Arc<OnceLock<Common>>,
    own: Mutex<HashMap<PathBuf, Own>>,
}

/// What all providers trust.
#[derive(Clone)]
struct Common {
    roots: Arc<RootCertStore>,
    /// None when there are no certificates at all.
    config: Option<Arc<ClientConfig>>,
    /// Why there are none, where that is known.
    why_none: String,
}

/// What one provider trusts beside it.
struct Own {
    content: Arc<[u8]>,
    config: Arc<ClientConfig>,
}

impl Trust {
    /// Trusts the certificates of the system and `extra` ones.
    pub(super) fn new(
        system: fn() -> SystemRoots,
        extra: Vec<CertificateDer<'static>>,
        files: Arc<Files>,
    ) -> Self {
        Self {
            system,
            extra: extra.into(),
            files,
            loading: Joined::new(1),
            common: Arc::default(),
            own: Mutex::default(),
        }
    }

    /// What a connection of a provider with this `ca_file` trusts.
    pub(super) async fn config(&self, ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
        let common = self.common().await?;
        match ca_file {
            Some(path) => self.with_file(&common, path).await,
            None => common.config.ok_or_else(|| {
                format!("no CA certificates found on this system{}", common.why_none)
            }),
        }
    }

    async fn common(&self) -> Result<Common, String> {
        if let Some(common) = self.common.get() {
            return Ok(common.clone());
        }
        let system = self.system;
        let extra = Arc::clone(&self.extra);
        let kept = Arc::clone(&self.common);
        // Off this thread: it may be hundreds of files.
        let load = move || {
            let common = Common::load(system(), &extra)?;
            Ok(if common.config.is_some() { kept.get_or_init(|| common).clone() } else { common })
        };
        let broken_off = || Err("reading the CA certificates was broken off".to_owned());
        self.loading.run("roots", load).await.unwrap_or_else(broken_off)
    }

    async fn with_file(&self, common: &Common, path: &Path) -> Result<Arc<ClientConfig>, String> {
        let content = self.files.read("ca_file", path, CA_LIMIT).await?;
        let known = {
            let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            own.get(path).filter(|own| own.content == content).map(|own| Arc::clone(&own.config))
        };
        if let Some(config) = known {
            return Ok(config);
        }
        let mut roots = RootCertStore::clone(&common.roots);
        add(&mut roots, &content).map_err(|problem| named("ca_file", path, &problem))?;
        let config = Arc::new(client_config(roots)?);
        // A system that has no certificates yet may have some at the next handshake.
        if common.config.is_some() {
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            own.insert(path.to_owned(), Own { content, config: Arc::clone(&config) });
        }
        Ok(config)
    }
}

impl Common {
    fn load(system: SystemRoots, extra: &[CertificateDer<'static>]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // System bundles hold certificates that no longer parse; the others are as good as before.
        let _counts = roots.add_parsable_certificates(system.certs);
        for certificate in extra {
            roots
                .add(certificate.clone())
                .map_err(|error| format!("an added CA certificate cannot be read ({error})"))?;
        }
        let why = system.errors.first().map(|error| format!(" ({})", escaped(&error.to_string())));
        let config =
            if roots.is_empty() { None } else { Some(Arc::new(client_config(roots.clone())?)) };
        Ok(Self { roots: Arc::new(roots), config, why_none: why.unwrap_or_default() })
    }
}

/// Adds every certificate of a PEM text. One that cannot be read spoils them all: whoever wrote the
/// file counts on each of them.
fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let before = roots.len();
    for (at, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let certificate = certificate.map_err(|_| "cannot be read as PEM".to_owned())?;
        roots
            .add(certificate)
            .map_err(|error| format!("has an unusable certificate, number {} ({error})", at + 1))?;
    }
    if roots.len() == before {
        return Err("holds no certificate in PEM".to_owned());
    }
    Ok(())
}

fn client_config(roots: RootCertStore) -> Result<ClientConfig, String> {
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

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("extra", &self.extra.len())
            .field("loaded", &self.common.get().is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("../../tests/data/keys/test-authority.cert.pem");

    fn no_roots() -> SystemRoots {
        SystemRoots::default()
    }

    fn trusting(system: fn() -> SystemRoots, extra: Vec<CertificateDer<'static>>) -> Trust {
        Trust::new(system, extra, Arc::new(Files::new()))
    }

    #[tokio::test]
    async fn a_system_without_ca_certificates_is_said_in_plain_words() {
        let trust = trusting(no_roots, Vec::new());
        let said = trust.config(None).await.unwrap_err();
        assert_eq!(said, "no CA certificates found on this system");
    }

    #[tokio::test]
    async fn an_added_certificate_that_is_none_is_said_too() {
        let trust = trusting(no_roots, vec![CertificateDer::from(vec![0x30, 0x00])]);
        let said = trust.config(None).await.unwrap_err();
        assert!(said.starts_with("an added CA certificate cannot be read"), "{said}");
    }

    #[tokio::test]
    async fn a_file_alone_is_enough_and_one_that_is_none_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let trust = trusting(no_roots, Vec::new());
        let config = async || trust.config(Some(&path)).await;
        let said = |problem| format!("ca_file \"{}\" {problem}", path.display());
        assert_eq!(config().await.unwrap_err(), said("does not exist"));
        std::fs::write(&path, CERTIFICATE).unwrap();
        config().await.unwrap();
        let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let second = [CERTIFICATE, broken.as_bytes()].concat();
        for (content, problem) in [
            (&b""[..], "holds no certificate in PEM"),
            (b"garbage", "holds no certificate in PEM"),
            (b"-----BEGIN CERTIFICATE-----\nMAA=\n", "cannot be read as PEM"),
            (&second, "has an unusable certificate, number 2 "),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = config().await.unwrap_err();
            assert!(error.starts_with(&said(problem)), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_has_its_meaning_until_its_content_changes() {
        fn one_root() -> SystemRoots {
            let mut roots = SystemRoots::default();
            roots.certs.push(CertificateDer::from_pem_slice(CERTIFICATE).unwrap());
            roots
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, CERTIFICATE).unwrap();
        let trust = trusting(one_root, Vec::new());
        let config = async || trust.config(Some(&path)).await.unwrap();
        let first = config().await;
        assert!(Arc::ptr_eq(&first, &config().await));
        std::fs::write(&path, [CERTIFICATE, b"\n"].concat()).unwrap();
        assert!(!Arc::ptr_eq(&first, &config().await));
        let common = trust.config(None).await.unwrap();
        assert!(!Arc::ptr_eq(&common, &config().await));
    }
}
