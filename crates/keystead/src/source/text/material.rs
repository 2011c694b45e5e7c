//! Key material out of PEM sections: the formats behind the labels.

use keystead_core::text::quoted;
use keystead_core::{Algorithm, EcCurve, KeyProblem, Material};

use super::der::{CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE};
use super::pem::{BodyProblem, Section};
use crate::crypto::derive;

/// Public key material, and whether it came with its private part.
pub(super) struct Found {
    pub(super) material: Material,
    pub(super) private: bool,
}

/// Why a section gives no key, with the key's type where that could be read.
type Refused = (Option<&'static str>, KeyProblem);

/// A label behind which a key can be.
#[derive(Clone, Copy)]
pub(super) enum Label {
    PublicKey,
    RsaPublicKey,
    Certificate,
    PrivateKey,
    RsaPrivateKey,
    EcPrivateKey,
    EncryptedPrivateKey,
}

impl Label {
    /// The section's label, if a key can be behind it.
    pub(super) fn of(section: &Section<'_>) -> Option<Self> {
        Some(match section.label? {
            "PUBLIC KEY" => Self::PublicKey,
            "RSA PUBLIC KEY" => Self::RsaPublicKey,
            "CERTIFICATE" => Self::Certificate,
            "PRIVATE KEY" => Self::PrivateKey,
            "RSA PRIVATE KEY" => Self::RsaPrivateKey,
            "EC PRIVATE KEY" => Self::EcPrivateKey,
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedPrivateKey,
            _ => return None,
        })
    }

    const fn is_private(self) -> bool {
        matches!(self, Self::PrivateKey | Self::RsaPrivateKey | Self::EcPrivateKey)
    }
}

/// The subject of whoever issued the certificate in `section`, unless that is itself.
pub(super) fn issued_by<'a>(section: &'a Section<'_>) -> Option<&'a [u8]> {
    let Some(Label::Certificate) = Label::of(section) else { return None };
    let certificate = Certificate::read(section.body.as_ref().ok()?)?;
    (certificate.issuer != certificate.subject).then_some(certificate.issuer)
}

/// The public key in `section`; `issuers` are the subjects that issued certificates beside it.
pub(super) fn read(section: &Section<'_>, issuers: &[&[u8]]) -> Result<Found, Refused> {
    let Some(label) = Label::of(section) else {
        return Err((None, sentence(section, "has a label that names no key")));
    };
    let der = match (&section.body, label) {
        (_, Label::EncryptedPrivateKey) => {
            return Err((None, sentence(section, BodyProblem::Encrypted.as_str())));
        }
        (Err(problem), _) => return Err((None, sentence(section, problem.as_str()))),
        (Ok(der), _) => der,
    };
    let material = match label {
        Label::PublicKey => subject_public_key(der),
        Label::RsaPublicKey => rsa_public(der),
        Label::Certificate => certified(section, der, issuers),
        Label::PrivateKey => private_key(der),
        Label::RsaPrivateKey => rsa_private(der),
        Label::EcPrivateKey | Label::EncryptedPrivateKey => ec_private(der),
    };
    match material {
        Ok(material) => Ok(Found { material, private: label.is_private() }),
        Err(Unread::NotDer) => Err((None, sentence(section, "does not hold what its label says"))),
        Err(Unread::Problem(kty, why)) => Err((kty, why)),
    }
}

/// A sentence about a section, by its place and label.
fn sentence(section: &Section<'_>, what: &str) -> KeyProblem {
    let number = section.number;
    KeyProblem::Text(match section.label {
        Some(label) => format!("PEM section {number} ({}) {what}", quoted(label)).into(),
        None => format!("PEM section {number} has a BEGIN line that cannot be read").into(),
    })
}

/// Why DER gives no material.
enum Unread {
    NotDer,
    Problem(Option<&'static str>, KeyProblem),
}

impl Unread {
    fn key_type(name: &str) -> Self {
        Self::Problem(None, KeyProblem::UnsupportedType(name.into()))
    }
}

/// What a key is for, as its algorithm identifier says.
enum KeyAlgorithm {
    Rsa,
    Ec(EcCurve),
    Ed25519,
    MlDsa(Algorithm),
}

impl KeyAlgorithm {
    /// Reads an `AlgorithmIdentifier` (RFC 5280 section 4.1.1.2).
    fn read(mut identifier: Reader<'_>) -> Result<Self, Unread> {
        let oid = identifier.read(OBJECT_IDENTIFIER).ok_or(Unread::NotDer)?;
        Ok(match oid {
            // 1.2.840.113549.1.1.1 (RFC 3279 section 2.3.1)
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => Self::Rsa,
            // 1.2.840.10045.2.1 (RFC 5480 section 2.1.1)
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => Self::Ec(curve(&mut identifier)?),
            // 1.3.101.112 (RFC 8410 section 3)
            [0x2b, 0x65, 0x70] => Self::Ed25519,
            // 2.16.840.1.101.3.4.3.17 to 19 (RFC 9881 section 2)
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11] => {
                Self::MlDsa(Algorithm::MlDsa44)
            }
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12] => {
                Self::MlDsa(Algorithm::MlDsa65)
            }
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13] => {
                Self::MlDsa(Algorithm::MlDsa87)
            }
            // Restricted to RSASSA-PSS (RFC 4055 section 1.2): as a plain RSA key it would lose
            // that restriction.
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => {
                return Err(Unread::key_type("RSASSA-PSS"));
            }
            [0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01] => return Err(Unread::key_type("DSA")),
            [0x2b, 0x65, 0x6e] => return Err(Unread::key_type("X25519")),
            [0x2b, 0x65, 0x6f] => return Err(Unread::key_type("X448")),
            [0x2b, 0x65, 0x71] => return Err(Unread::key_type("Ed448")),
            _ => return Err(Unread::key_type("unknown object identifier")),
        })
    }
}

/// The curve that an identifier's parameters name (RFC 5480 section 2.1.1).
fn curve(parameters: &mut Reader<'_>) -> Result<EcCurve, Unread> {
    let unsupported =
        |name: &str| Unread::Problem(Some("EC"), KeyProblem::UnsupportedCurve(name.into()));
    match parameters.read(OBJECT_IDENTIFIER) {
        None => Err(unsupported("explicit parameters")),
        Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]) => Ok(EcCurve::P256),
        Some([0x2b, 0x81, 0x04, 0x00, 0x22]) => Ok(EcCurve::P384),
        Some([0x2b, 0x81, 0x04, 0x00, 0x23]) => Ok(EcCurve::P521),
        Some([0x2b, 0x81, 0x04, 0x00, 0x0a]) => Ok(EcCurve::Secp256k1),
        Some(_) => Err(unsupported("unknown object identifier")),
    }
}

/// `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
fn subject_public_key(der: &[u8]) -> Result<Material, Unread> {
    let mut info = Reader::sequence_only(der).ok_or(Unread::NotDer)?;
    let algorithm = KeyAlgorithm::read(info.sequence().ok_or(Unread::NotDer)?)?;
    let key = info.bit_string().ok_or(Unread::NotDer)?;
    match algorithm {
        KeyAlgorithm::Rsa => rsa_public(key),
        KeyAlgorithm::Ec(curve) => ec_point(curve, key),
        KeyAlgorithm::Ed25519 => key
            .try_into()
            .map(|x| Material::Ed25519 { x })
            .map_err(|_| length("OKP", "x", 32, key.len())),
        KeyAlgorithm::MlDsa(algorithm) => Ok(Material::MlDsa { algorithm, public: key.into() }),
    }
}

/// `RSAPublicKey` (RFC 8017 appendix A.1.1).
fn rsa_public(der: &[u8]) -> Result<Material, Unread> {
    let mut key = Reader::sequence_only(der).ok_or(Unread::NotDer)?;
    rsa_numbers(&mut key)
}

/// `RSAPrivateKey` (RFC 8017 appendix A.1.2): its first numbers are the public key.
fn rsa_private(der: &[u8]) -> Result<Material, Unread> {
    let mut key = Reader::sequence_only(der).ok_or(Unread::NotDer)?;
    key.read(INTEGER).ok_or(Unread::NotDer)?;
    rsa_numbers(&mut key)
}

fn rsa_numbers(key: &mut Reader<'_>) -> Result<Material, Unread> {
    let n = key.unsigned().ok_or(Unread::NotDer)?;
    let e = key.unsigned().ok_or(Unread::NotDer)?;
    Ok(Material::Rsa { n: n.into(), e: e.into() })
}

/// `PrivateKeyInfo` (RFC 5208 section 5, RFC 5958 section 2).
fn private_key(der: &[u8]) -> Result<Material, Unread> {
    let mut info = Reader::sequence_only(der).ok_or(Unread::NotDer)?;
    info.read(INTEGER).ok_or(Unread::NotDer)?;
    let algorithm = KeyAlgorithm::read(info.sequence().ok_or(Unread::NotDer)?)?;
    let key = info.read(OCTET_STRING).ok_or(Unread::NotDer)?;
    match algorithm {
        KeyAlgorithm::Rsa => rsa_private(key),
        KeyAlgorithm::Ec(curve) => {
            derive::ec_public(curve, der).ok_or(Unread::NotDer).and_then(|p| ec_point(curve, &p))
        }
        KeyAlgorithm::Ed25519 => {
            derive::ed25519_public(der).map(|x| Material::Ed25519 { x }).ok_or(Unread::NotDer)
        }
        KeyAlgorithm::MlDsa(algorithm) => {
            let public = derive::ml_dsa_public(algorithm, der).ok_or(Unread::NotDer)?;
            Ok(Material::MlDsa { algorithm, public: public.into() })
        }
    }
}

/// `ECPrivateKey` (RFC 5915 section 3).
fn ec_private(der: &[u8]) -> Result<Material, Unread> {
    let mut key = Reader::sequence_only(der).ok_or(Unread::NotDer)?;
    key.read(INTEGER).ok_or(Unread::NotDer)?;
    key.read(OCTET_STRING).ok_or(Unread::NotDer)?;
    let parameters = key.read(CONTEXT_0).ok_or(Unread::NotDer)?;
    let curve = curve(&mut Reader::new(parameters))?;
    let point = derive::ec_public(curve, der).ok_or(Unread::NotDer)?;
    ec_point(curve, &point)
}

/// A point in SEC 1 form (SEC 1 section 2.3.3), compressed or not.
fn ec_point(curve: EcCurve, point: &[u8]) -> Result<Material, Unread> {
    let len = curve.coordinate_len();
    match point.split_first() {
        Some((0x04, coordinates)) if coordinates.len() == len.saturating_mul(2) => {
            let (x, y) = coordinates.split_at_checked(len).ok_or(Unread::NotDer)?;
            Ok(Material::Ec { curve, x: x.into(), y: y.into() })
        }
        Some((0x02 | 0x03, x)) if x.len() == len => {
            let point = derive::uncompressed(curve, point)
                .ok_or(Unread::Problem(Some("EC"), KeyProblem::NotOnCurve))?;
            ec_point(curve, &point)
        }
        _ => Err(length("EC", "x", len, point.len().saturating_sub(1) / 2)),
    }
}

fn length(kty: &'static str, member: &'static str, expected: usize, found: usize) -> Unread {
    Unread::Problem(Some(kty), KeyProblem::Length { member, expected, found })
}

/// The key of a certificate, unless it issued another one beside it.
fn certified(section: &Section<'_>, der: &[u8], issuers: &[&[u8]]) -> Result<Material, Unread> {
    let certificate = Certificate::read(der).ok_or(Unread::NotDer)?;
    if issuers.contains(&certificate.subject) {
        // A chain was pasted whole: its authorities sign certificates, not tokens.
        let why = sentence(section, "is the authority that issued another certificate beside it");
        return Err(Unread::Problem(None, why));
    }
    subject_public_key(certificate.key)
}

/// What is read of an X.509 certificate (RFC 5280 section 4.1), each as a whole element.
struct Certificate<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    key: &'a [u8],
}

impl<'a> Certificate<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let mut signed = Reader::sequence_only(der)?.sequence()?;
        // The version is absent in the first version.
        let _version = signed.read(CONTEXT_0);
        signed.read(INTEGER)?;
        signed.read(SEQUENCE)?;
        let issuer = signed.whole()?;
        signed.read(SEQUENCE)?;
        let subject = signed.whole()?;
        let key = signed.whole()?;
        Some(Self { issuer, subject, key })
    }
}
