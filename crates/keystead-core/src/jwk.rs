//! One JSON Web Key (RFC 7517), judged on its own: the crypto back-end does not judge keys, this room does.

mod roca;

use core::fmt;

use crate::algorithm::{Algorithm, EcCurve, Family};
use crate::json::Value;

/// Where a key document came from, which decides what may stand in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Provenance {
    /// Written by the operator: configuration, a file, the host program.
    Operator,
    /// Fetched over the network. A shared secret found there is no secret and is never used.
    Network,
}

/// A public key (or a shared secret that the operator wrote), ready to be prepared.
///
/// Private members of a JWK are never kept: only the public part is read.
#[derive(Clone, Eq, PartialEq)]
pub struct Jwk {
    kid: Option<Box<str>>,
    algorithm: Option<Algorithm>,
    material: Material,
    private_part_seen: bool,
}

/// The members that make a key what it is (the RFC 7638 members).
#[derive(Clone, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Material {
    /// An RSA public key; big-endian, without leading zeros.
    Rsa {
        /// The modulus.
        n: Box<[u8]>,
        /// The public exponent.
        e: Box<[u8]>,
    },
    /// A point on a curve; coordinates at full length.
    Ec {
        /// The curve.
        curve: EcCurve,
        /// The x coordinate.
        x: Box<[u8]>,
        /// The y coordinate.
        y: Box<[u8]>,
    },
    /// An Ed25519 public key (RFC 8032).
    Ed25519 {
        /// The 32 bytes of the encoded point.
        x: [u8; 32],
    },
    /// An ML-DSA public key; the algorithm belongs to the key (`kty` `AKP`).
    MlDsa {
        /// Which parameter set.
        algorithm: Algorithm,
        /// The public key.
        public: Box<[u8]>,
    },
    /// A shared secret (`kty` `oct`).
    Oct {
        /// The secret.
        k: Box<[u8]>,
    },
}

/// Why a key cannot be used. Data only; [`fmt::Display`] gives the sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyProblem {
    /// The entry is not a JSON object.
    NotAnObject,
    /// A member appears twice.
    DuplicateMember(Box<str>),
    /// A required member is absent.
    MissingMember(&'static str),
    /// A member has the wrong JSON type.
    MemberType(&'static str),
    /// A member is not base64url.
    Base64(&'static str),
    /// The key type is not one that Keystead verifies with.
    UnsupportedType(Box<str>),
    /// The curve is not one that Keystead verifies with.
    UnsupportedCurve(Box<str>),
    /// The key's `alg` is not a signature algorithm that Keystead knows.
    UnsupportedAlgorithm(Box<str>),
    /// The key is meant for one algorithm only, and it is another one (RFC 7517 section 4.4).
    OtherAlgorithm {
        /// The algorithm that the key names.
        own: Algorithm,
    },
    /// The key's `alg` belongs to another key type.
    AlgorithmForOtherType {
        /// The algorithm that the key names.
        algorithm: Algorithm,
        /// The key's type.
        kty: &'static str,
    },
    /// `use` names another purpose than `sig` (RFC 7517 section 4.2).
    Use(Box<str>),
    /// `key_ops` does not hold `verify` (RFC 7517 section 4.3).
    KeyOps,
    /// An RSA modulus outside 2,048 to 8,192 bits (RFC 7518 section 3.3 sets the lower bound).
    RsaSize {
        /// The size that was found.
        bits: usize,
    },
    /// An even RSA modulus: not a product of two odd primes.
    RsaEvenModulus,
    /// An RSA modulus that anyone can factor, as the library with the ROCA weakness makes them
    /// (CVE-2017-15361).
    RsaFactorable,
    /// An RSA exponent that is even, below 3 or above 33 bits.
    RsaExponent,
    /// A coordinate or public key of the wrong length.
    Length {
        /// The member.
        member: &'static str,
        /// How many bytes it must have.
        expected: usize,
        /// How many bytes it has.
        found: usize,
    },
    /// A point that is not on its curve, as the crypto back-end found.
    NotOnCurve,
    /// An Ed25519 key of small order: anyone can sign for it.
    SmallOrder,
    /// An Ed25519 key whose encoding is not canonical (RFC 8032 section 5.1.3).
    NonCanonical,
    /// A shared secret from the network.
    SecretFromNetwork,
    /// A shared secret shorter than the hash (RFC 7518 section 3.2).
    ShortSecret {
        /// How many bytes it must have.
        expected: usize,
        /// How many bytes it has.
        found: usize,
    },
    /// The operator trusts it no more, by its thumbprint.
    Distrusted,
    /// The back-end cannot use the key under this algorithm.
    Backend(&'static str),
    /// A problem of the text around the key, such as a PEM section that holds no key.
    Text(Box<str>),
}

impl KeyProblem {
    /// Whether the key is sound but meant for something else (another purpose or algorithm), as
    /// opposed to broken or weak.
    #[must_use]
    pub const fn is_mismatch(&self) -> bool {
        matches!(
            self,
            Self::Use(_)
                | Self::KeyOps
                | Self::UnsupportedAlgorithm(_)
                | Self::OtherAlgorithm { .. }
                | Self::AlgorithmForOtherType { .. }
                | Self::UnsupportedType(_)
                | Self::UnsupportedCurve(_)
                | Self::SecretFromNetwork
        )
    }
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the entry is not a JSON object"),
            Self::DuplicateMember(name) => {
                write!(f, "the member {} appears twice", crate::text::quoted(name))
            }
            Self::MissingMember(name) => write!(f, "the member \"{name}\" is missing"),
            Self::MemberType(name) => write!(f, "the member \"{name}\" has the wrong JSON type"),
            Self::Base64(name) => write!(f, "the member \"{name}\" is not base64url"),
            Self::UnsupportedType(kty) => {
                write!(f, "key type {} is not supported", crate::text::quoted(kty))
            }
            Self::UnsupportedCurve(crv) => {
                write!(f, "curve {} is not supported", crate::text::quoted(crv))
            }
            Self::UnsupportedAlgorithm(alg) => {
                write!(f, "{} is not a signature algorithm known here", crate::text::quoted(alg))
            }
            Self::OtherAlgorithm { own } => write!(f, "it is meant for \"{own}\" only"),
            Self::AlgorithmForOtherType { algorithm, kty } => {
                write!(f, "algorithm \"{algorithm}\" does not fit its key type \"{kty}\"")
            }
            Self::Use(purpose) => {
                write!(f, "its use is {}, not \"sig\"", crate::text::quoted(purpose))
            }
            Self::KeyOps => f.write_str("its key_ops do not hold \"verify\""),
            Self::RsaSize { bits } => {
                write!(f, "its RSA modulus has {bits} bits, accepted are 2048 to 8192")
            }
            Self::RsaEvenModulus => f.write_str("its RSA modulus is even"),
            Self::RsaFactorable => {
                f.write_str("its RSA modulus can be factored (ROCA, CVE-2017-15361)")
            }
            Self::RsaExponent => {
                f.write_str("its RSA exponent is even, below 3 or longer than 33 bits")
            }
            Self::Length { member, expected, found } => {
                write!(f, "its member \"{member}\" has {found} bytes, expected {expected}")
            }
            Self::NotOnCurve => f.write_str("its point is not on its curve"),
            Self::SmallOrder => f.write_str("its Ed25519 point has small order"),
            Self::NonCanonical => f.write_str("its Ed25519 point is not encoded canonically"),
            Self::SecretFromNetwork => {
                f.write_str("it is a shared secret published on the network")
            }
            Self::ShortSecret { expected, found } => {
                write!(f, "its secret has {found} bytes, the algorithm needs {expected}")
            }
            Self::Distrusted => f.write_str("distrusted_keys lists it"),
            Self::Backend(why) => f.write_str(why),
            Self::Text(why) => f.write_str(why),
        }
    }
}

impl Jwk {
    /// Builds a key from its material, judging it as a parsed one would be.
    ///
    /// # Errors
    /// The reason why such a key cannot be used.
    pub fn new(
        kid: Option<&str>,
        algorithm: Option<Algorithm>,
        material: Material,
    ) -> Result<Self, KeyProblem> {
        let material = material.judged()?;
        if let Some(algorithm) = algorithm {
            material.judge_algorithm(algorithm)?;
        }
        Ok(Self { kid: kid.map(Into::into), algorithm, material, private_part_seen: false })
    }

    /// The same key, marked as read from a document that also held its private part.
    #[must_use]
    pub const fn with_private_part_seen(mut self) -> Self {
        self.private_part_seen = true;
        self
    }

    /// Reads one entry of a JWK Set, or a JWK of its own.
    ///
    /// # Errors
    /// The reason why this key cannot be used.
    pub fn parse(value: Value<'_>, provenance: Provenance) -> Result<Self, KeyProblem> {
        if !value.is_object() {
            return Err(KeyProblem::NotAnObject);
        }
        if let Some(name) = value.duplicate_member() {
            return Err(KeyProblem::DuplicateMember(name.into()));
        }
        let kid = string(value, "kid")?;
        let kty = string(value, "kty")?.ok_or(KeyProblem::MissingMember("kty"))?;
        if let Some(purpose) = string(value, "use")?
            && &*purpose != "sig"
        {
            return Err(KeyProblem::Use(purpose));
        }
        let private_part_seen = holds_private_part(value, &kty);
        judge_key_ops(value, private_part_seen)?;
        let algorithm = match string(value, "alg")? {
            None => None,
            Some(name) => {
                Some(Algorithm::from_name(&name).ok_or(KeyProblem::UnsupportedAlgorithm(name))?)
            }
        };
        let material = Material::parse(value, &kty, algorithm, provenance)?;
        let key = Self::new(kid.as_deref(), algorithm, material)?;
        Ok(Self { private_part_seen, ..key })
    }

    /// The key's identifier.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm the key is meant for, when it names one.
    #[must_use]
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The members that make the key what it is.
    #[must_use]
    pub const fn material(&self) -> &Material {
        &self.material
    }

    /// The key type (`kty`).
    #[must_use]
    pub const fn kty(&self) -> &'static str {
        self.material.kty()
    }

    /// Whether the document that held this key also published its private part.
    #[must_use]
    pub const fn private_part_seen(&self) -> bool {
        self.private_part_seen
    }

    /// Whether `algorithm` fits this key: its type and curve, and the `alg` it names, if any.
    ///
    /// # Errors
    /// The reason why it does not fit.
    pub fn fits(&self, algorithm: Algorithm) -> Result<(), KeyProblem> {
        if let Some(own) = self.algorithm
            && own != algorithm
        {
            return Err(KeyProblem::OtherAlgorithm { own });
        }
        self.material.judge_algorithm(algorithm)
    }

    /// The JSON whose SHA-256 is the key's thumbprint (RFC 7638 section 3; RFC 8037 appendix A.3).
    #[must_use]
    pub fn thumbprint_input(&self) -> String {
        let b64 = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
        match &self.material {
            Material::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(e), b64(n))
            }
            Material::Ec { curve, x, y } => format!(
                r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
                curve.name(),
                b64(x),
                b64(y)
            ),
            Material::Ed25519 { x } => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(x))
            }
            Material::MlDsa { algorithm, public } => {
                format!(r#"{{"alg":"{algorithm}","kty":"AKP","pub":"{}"}}"#, b64(public))
            }
            Material::Oct { k } => format!(r#"{{"k":"{}","kty":"oct"}}"#, b64(k)),
        }
    }
}

/// Never prints a shared secret; a public key is named by its type and kid.
impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kid", &self.kid)
            .field("kty", &self.kty())
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({})", self.kty())
    }
}

impl Material {
    /// The key type (`kty`) of such material.
    #[must_use]
    pub const fn kty(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::Ec { .. } => "EC",
            Self::Ed25519 { .. } => "OKP",
            Self::MlDsa { .. } => "AKP",
            Self::Oct { .. } => "oct",
        }
    }

    fn parse(
        value: Value<'_>,
        kty: &str,
        algorithm: Option<Algorithm>,
        provenance: Provenance,
    ) -> Result<Self, KeyProblem> {
        match kty {
            "RSA" => Ok(Self::Rsa { n: bytes(value, "n")?, e: bytes(value, "e")? }),
            "EC" => {
                let crv = string(value, "crv")?.ok_or(KeyProblem::MissingMember("crv"))?;
                let curve = EcCurve::from_name(&crv).ok_or(KeyProblem::UnsupportedCurve(crv))?;
                Ok(Self::Ec { curve, x: bytes(value, "x")?, y: bytes(value, "y")? })
            }
            "OKP" => {
                let crv = string(value, "crv")?.ok_or(KeyProblem::MissingMember("crv"))?;
                if &*crv != "Ed25519" {
                    return Err(KeyProblem::UnsupportedCurve(crv));
                }
                let x = bytes(value, "x")?;
                let found = x.len();
                let x = <[u8; 32]>::try_from(&*x).map_err(|_| KeyProblem::Length {
                    member: "x",
                    expected: 32,
                    found,
                })?;
                Ok(Self::Ed25519 { x })
            }
            "AKP" => {
                let algorithm = algorithm.ok_or(KeyProblem::MissingMember("alg"))?;
                Ok(Self::MlDsa { algorithm, public: bytes(value, "pub")? })
            }
            "oct" if provenance == Provenance::Network => Err(KeyProblem::SecretFromNetwork),
            "oct" => Ok(Self::Oct { k: bytes(value, "k")? }),
            other => Err(KeyProblem::UnsupportedType(other.into())),
        }
    }

    /// The material, brought to its canonical form, if it is sound.
    fn judged(self) -> Result<Self, KeyProblem> {
        match self {
            Self::Rsa { n, e } => judge_rsa(&n, &e),
            Self::Ec { curve, x, y } => {
                let expected = curve.coordinate_len();
                for (member, coordinate) in [("x", &x), ("y", &y)] {
                    if coordinate.len() != expected {
                        let found = coordinate.len();
                        return Err(KeyProblem::Length { member, expected, found });
                    }
                }
                Ok(Self::Ec { curve, x, y })
            }
            Self::Ed25519 { x } => judge_ed25519(x),
            Self::MlDsa { algorithm, public } => {
                let expected = match algorithm {
                    Algorithm::MlDsa44 => 1312,
                    Algorithm::MlDsa65 => 1952,
                    Algorithm::MlDsa87 => 2592,
                    _ => {
                        return Err(KeyProblem::AlgorithmForOtherType { algorithm, kty: "AKP" });
                    }
                };
                let found = public.len();
                if found != expected {
                    return Err(KeyProblem::Length { member: "pub", expected, found });
                }
                Ok(Self::MlDsa { algorithm, public })
            }
            Self::Oct { k } if k.len() < SHORTEST_SECRET => {
                Err(KeyProblem::ShortSecret { expected: SHORTEST_SECRET, found: k.len() })
            }
            Self::Oct { k } => Ok(Self::Oct { k }),
        }
    }

    fn judge_algorithm(&self, algorithm: Algorithm) -> Result<(), KeyProblem> {
        let fits = match (self, algorithm.family()) {
            (Self::Rsa { .. }, Family::Rsa) | (Self::Ed25519 { .. }, Family::Ed25519) => true,
            (Self::Ec { curve, .. }, Family::Ec(wanted)) => *curve == wanted,
            (Self::MlDsa { algorithm: own, .. }, Family::MlDsa) => *own == algorithm,
            (Self::Oct { k }, Family::Hmac { hash_len }) => {
                if k.len() < hash_len {
                    return Err(KeyProblem::ShortSecret { expected: hash_len, found: k.len() });
                }
                true
            }
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(KeyProblem::AlgorithmForOtherType { algorithm, kty: self.kty() })
        }
    }
}

fn string(value: Value<'_>, name: &'static str) -> Result<Option<Box<str>>, KeyProblem> {
    match value.member(name) {
        None => Ok(None),
        Some(member) => match member.as_str() {
            Some(text) => Ok(Some(text.into())),
            None => Err(KeyProblem::MemberType(name)),
        },
    }
}

/// Reads base64url bytes. Trailing padding is forgiven in a key, unlike in a token: real providers
/// publish padded `n` (RFC 7518 section 2 forbids it), and the octets are the same.
fn bytes(value: Value<'_>, name: &'static str) -> Result<Box<[u8]>, KeyProblem> {
    let text = string(value, name)?.ok_or(KeyProblem::MissingMember(name))?;
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(text.trim_end_matches('=').as_bytes())
        .map(Vec::into_boxed_slice)
        .map_err(|_| KeyProblem::Base64(name))
}

/// Whether the private part stands beside the public one (RFC 7518 section 6, RFC 8037 section 2,
/// RFC 9964).
fn holds_private_part(value: Value<'_>, kty: &str) -> bool {
    kty != "oct" && (value.member("d").is_some() || value.member("priv").is_some())
}

/// A private key that signs is written with `sign` alone; its public part, which is all that is
/// kept of it, verifies.
fn judge_key_ops(value: Value<'_>, private: bool) -> Result<(), KeyProblem> {
    let Some(ops) = value.member("key_ops") else { return Ok(()) };
    let Some(mut ops) = ops.elements() else { return Err(KeyProblem::MemberType("key_ops")) };
    let verifies = |op: &str| op == "verify" || (private && op == "sign");
    if ops.any(|op| op.as_str().is_some_and(|op| verifies(&op))) {
        Ok(())
    } else {
        Err(KeyProblem::KeyOps)
    }
}

/// The hash length of HS256, in bytes: a shorter secret fits no algorithm (RFC 7518 section 3.2).
const SHORTEST_SECRET: usize = 32;

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

fn bit_length(bytes: &[u8]) -> usize {
    bytes.first().map_or(0, |first| {
        bytes.len().saturating_mul(8).saturating_sub(first.leading_zeros() as usize)
    })
}

fn is_even(bytes: &[u8]) -> bool {
    bytes.last().is_none_or(|last| last % 2 == 0)
}

fn judge_rsa(n: &[u8], e: &[u8]) -> Result<Material, KeyProblem> {
    let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
    let bits = bit_length(n);
    if !(2048..=8192).contains(&bits) {
        return Err(KeyProblem::RsaSize { bits });
    }
    if is_even(n) {
        return Err(KeyProblem::RsaEvenModulus);
    }
    if is_even(e) || e == [1] || bit_length(e) > 33 {
        return Err(KeyProblem::RsaExponent);
    }
    if roca::is_roca(n) {
        return Err(KeyProblem::RsaFactorable);
    }
    Ok(Material::Rsa { n: n.into(), e: e.into() })
}

/// The y coordinates (little-endian) of the points of small order, besides 0, 1 and -1.
///
/// They generate the torsion subgroup of edwards25519: every such point has order 8.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

fn judge_ed25519(x: [u8; 32]) -> Result<Material, KeyProblem> {
    let mut y = x;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    // p = 2^255 - 19, little-endian: ed, then thirty times ff, then 7f.
    let [low, middle @ .., high] = y;
    let near_p = high == 0x7f && middle.iter().all(|b| *b == 0xff);
    if near_p && low >= 0xed {
        return Err(KeyProblem::NonCanonical);
    }
    let small = |value: u8| low == value && high == 0 && middle.iter().all(|b| *b == 0);
    let minus_one = near_p && low == 0xec;
    if small(0) || small(1) || minus_one || ORDER_8.contains(&y) {
        return Err(KeyProblem::SmallOrder);
    }
    Ok(Material::Ed25519 { x })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AlgorithmSet;
    use crate::json::{self, Limits};

    const ED25519: &str =
        r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    fn b64(bytes: &[u8]) -> String {
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
    }

    /// `members` as one entry of a key document.
    fn from(provenance: Provenance, members: &str) -> Result<Jwk, KeyProblem> {
        let text = format!("{{{members}}}");
        // Inner objects are judged entry by entry, as in a set.
        let wrapped = format!("[{text}]");
        let list = json::parse(wrapped.as_bytes(), Limits::DOCUMENT).unwrap();
        Jwk::parse(list.elements().unwrap().next().unwrap(), provenance)
    }

    fn network(members: &str) -> Result<Jwk, KeyProblem> {
        from(Provenance::Network, members)
    }

    fn operator(members: &str) -> Result<Jwk, KeyProblem> {
        from(Provenance::Operator, members)
    }

    /// An odd modulus of so many bits: only its shape is judged here.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut n = vec![0xff; bits.div_ceil(8)];
        n[0] = 0xff >> (n.len() * 8 - bits);
        n
    }

    fn rsa(n: &[u8], e: &[u8]) -> Result<Jwk, KeyProblem> {
        network(&format!(r#""kty":"RSA","n":"{}","e":"{}""#, b64(n), b64(e)))
    }

    fn ec(crv: &str, x: usize, y: usize) -> Result<Jwk, KeyProblem> {
        let coordinate = |len| b64(&vec![1; len]);
        network(&format!(
            r#""kty":"EC","crv":"{crv}","x":"{}","y":"{}""#,
            coordinate(x),
            coordinate(y)
        ))
    }

    #[test]
    fn a_key_keeps_its_names_and_material_and_nothing_else() {
        let key =
            network(&format!(r#"{ED25519},"kid":"k","alg":"EdDSA","use":"sig","x5c":[1],"n":2"#))
                .unwrap();
        assert_eq!((key.kid(), key.kty()), (Some("k"), "OKP"));
        assert_eq!(key.algorithm(), Some(Algorithm::EdDsa));
        assert!(!key.private_part_seen());
        let bare = network(ED25519).unwrap();
        assert_eq!((bare.kid(), bare.algorithm()), (None, None));
        assert_eq!(bare.material(), key.material());
        assert_eq!(
            network(&format!(r#"{ED25519},"alg":"Ed25519""#)).unwrap().algorithm(),
            key.algorithm()
        );
    }

    #[test]
    fn a_broken_entry_is_refused_with_its_reason() {
        use KeyProblem as P;
        let cases = [
            (String::new(), P::MissingMember("kty")),
            (r#""kty":1"#.into(), P::MemberType("kty")),
            (r#""kty":null"#.into(), P::MemberType("kty")),
            (r#""kty":"rsa""#.into(), P::UnsupportedType("rsa".into())),
            (r#""kty":"RSA","e":"AQAB""#.into(), P::MissingMember("n")),
            (r#""kty":"RSA","n":"AQAB""#.into(), P::MissingMember("e")),
            (r#""kty":"RSA","n":["AQAB"],"e":"AQAB""#.into(), P::MemberType("n")),
            (r#""kty":"RSA","n":"A+/B","e":"AQAB""#.into(), P::Base64("n")),
            (r#""kty":"RSA","n":"AQ AB","e":"AQAB""#.into(), P::Base64("n")),
            (r#""kty":"RSA","n":"AQA=B","e":"AQAB""#.into(), P::Base64("n")),
            (r#""kty":"RSA","n":"AR","e":"AQAB""#.into(), P::Base64("n")),
            (r#""kty":"EC","x":"AQ","y":"AQ""#.into(), P::MissingMember("crv")),
            (
                r#""kty":"EC","crv":"P-192","x":"AQ","y":"AQ""#.into(),
                P::UnsupportedCurve("P-192".into()),
            ),
            (r#""kty":"OKP","crv":"X25519","x":"AQ""#.into(), P::UnsupportedCurve("X25519".into())),
            (r#""kty":"OKP","crv":"Ed25519""#.into(), P::MissingMember("x")),
            (r#""kty":"AKP","pub":"AQ""#.into(), P::MissingMember("alg")),
            (format!(r#"{ED25519},"kid":1"#), P::MemberType("kid")),
            (format!(r#"{ED25519},"use":1"#), P::MemberType("use")),
            (format!(r#"{ED25519},"alg":["EdDSA"]"#), P::MemberType("alg")),
            (format!(r#"{ED25519},"key_ops":"verify""#), P::MemberType("key_ops")),
            (format!(r#"{ED25519},"kty":"OKP""#), P::DuplicateMember("kty".into())),
            (format!(r#"{ED25519},"k\u0069d":"a","kid":"b""#), P::DuplicateMember("kid".into())),
            (format!(r#"{ED25519},"meta":[{{"a":1,"a":1}}]"#), P::DuplicateMember("a".into())),
        ];
        for (members, expected) in cases {
            assert_eq!(network(&members), Err(expected), "{members}");
        }
        for text in ["1", "\"a\"", "[]", "null"] {
            let value = json::parse(text.as_bytes(), Limits::DOCUMENT).unwrap();
            assert_eq!(Jwk::parse(value, Provenance::Operator), Err(P::NotAnObject));
        }
    }

    /// K12, for one key
    #[test]
    fn a_key_for_another_purpose_is_a_mismatch_and_not_broken() {
        use KeyProblem as P;
        for (members, expected) in [
            (r#""use":"enc""#, P::Use("enc".into())),
            (r#""use":"SIG""#, P::Use("SIG".into())),
            (r#""use":"""#, P::Use("".into())),
            (r#""key_ops":[]"#, P::KeyOps),
            (r#""key_ops":["sign"]"#, P::KeyOps),
            (r#""key_ops":["encrypt","wrapKey",1]"#, P::KeyOps),
            (r#""alg":"RSA-OAEP""#, P::UnsupportedAlgorithm("RSA-OAEP".into())),
            (r#""alg":"none""#, P::UnsupportedAlgorithm("none".into())),
            (
                r#""alg":"RS256""#,
                P::AlgorithmForOtherType { algorithm: Algorithm::Rs256, kty: "OKP" },
            ),
        ] {
            let found = network(&format!("{ED25519},{members}")).unwrap_err();
            assert!(found.is_mismatch(), "{members}");
            assert_eq!(found, expected, "{members}");
        }
        for members in [r#""key_ops":["verify"]"#, r#""key_ops":["sign","verify"],"use":"sig""#] {
            assert!(network(&format!("{ED25519},{members}")).is_ok(), "{members}");
        }
        for broken in [P::KeyOps, P::RsaEvenModulus, P::SmallOrder, P::NotOnCurve] {
            assert_eq!(broken.is_mismatch(), broken == P::KeyOps);
        }
    }

    #[test]
    fn an_rsa_modulus_has_2048_to_8192_bits_and_is_odd() {
        for bits in [2048, 2049, 3072, 4096, 8191, 8192] {
            assert!(rsa(&modulus(bits), &[1, 0, 1]).is_ok(), "{bits}");
        }
        for bits in [1, 512, 1024, 2047, 8193, 16384] {
            let found = rsa(&modulus(bits), &[1, 0, 1]);
            assert_eq!(found, Err(KeyProblem::RsaSize { bits }));
        }
        assert_eq!(rsa(&[], &[1, 0, 1]), Err(KeyProblem::RsaSize { bits: 0 }));
        assert_eq!(rsa(&[0; 300], &[1, 0, 1]), Err(KeyProblem::RsaSize { bits: 0 }));
        // A short modulus does not grow by leading zeros.
        let stretched = [vec![0; 128], modulus(1024)].concat();
        assert_eq!(rsa(&stretched, &[1, 0, 1]), Err(KeyProblem::RsaSize { bits: 1024 }));
        let mut even = modulus(2048);
        even[255] = 0xfe;
        assert_eq!(rsa(&even, &[1, 0, 1]), Err(KeyProblem::RsaEvenModulus));
    }

    #[test]
    fn an_rsa_exponent_is_odd_at_least_3_and_has_at_most_33_bits() {
        let n = modulus(2048);
        for e in [&[3][..], &[1, 0, 1], &[0, 0, 3], &[1, 0, 0, 0, 1], &[1, 0xff, 0xff, 0xff, 0xff]]
        {
            assert!(rsa(&n, e).is_ok(), "{e:?}");
        }
        for e in [&[][..], &[0], &[1], &[0, 1], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &n] {
            assert_eq!(rsa(&n, e), Err(KeyProblem::RsaExponent), "{e:?}");
        }
    }

    #[test]
    fn the_same_rsa_key_is_the_same_however_it_is_written() {
        let n = modulus(2048);
        let plain = rsa(&n, &[1, 0, 1]).unwrap();
        let stretched = rsa(&[&[0], &*n].concat(), &[0, 1, 0, 1]).unwrap();
        let padded = network(&format!(r#""kty":"RSA","n":"{}==","e":"AQAB""#, b64(&n))).unwrap();
        assert_eq!(plain, stretched);
        assert_eq!(plain, padded);
        assert_eq!(plain.thumbprint_input(), stretched.thumbprint_input());
    }

    #[test]
    fn coordinates_have_the_length_of_their_curve() {
        for (crv, len) in [("P-256", 32), ("P-384", 48), ("P-521", 66), ("secp256k1", 32)] {
            assert!(ec(crv, len, len).is_ok());
            for found in [0, len - 1, len + 1] {
                let length = |member| Err(KeyProblem::Length { member, expected: len, found });
                assert_eq!(ec(crv, found, len), length("x"));
                assert_eq!(ec(crv, len, found), length("y"));
            }
        }
        for found in [0, 31, 33] {
            let members = format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, b64(&vec![7; found]));
            let length = KeyProblem::Length { member: "x", expected: 32, found };
            assert_eq!(network(&members), Err(length));
        }
    }

    fn ed25519(hex: &str) -> Result<Jwk, KeyProblem> {
        let digit = |c: u8| u8::try_from(char::from(c).to_digit(16).unwrap()).unwrap();
        let bytes: Vec<u8> =
            hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect();
        Jwk::new(None, None, Material::Ed25519 { x: bytes.try_into().unwrap() })
    }

    /// The points of small order, canonical or not, with either sign (Chalkias, Garillot and
    /// Nikolaenko, "Taming the many `EdDSA`s", 2020).
    #[test]
    fn a_point_of_small_order_is_refused() {
        let zero = "00".repeat(31);
        for (y, last, problem) in [
            (format!("00{}", "00".repeat(30)), 0x00, KeyProblem::SmallOrder),
            (format!("01{}", "00".repeat(30)), 0x00, KeyProblem::SmallOrder),
            (
                "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc".into(),
                0x05,
                KeyProblem::SmallOrder,
            ),
            (
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03".into(),
                0x7a,
                KeyProblem::SmallOrder,
            ),
            (format!("ec{}", "ff".repeat(30)), 0x7f, KeyProblem::SmallOrder),
            (format!("ed{}", "ff".repeat(30)), 0x7f, KeyProblem::NonCanonical),
            (format!("ee{}", "ff".repeat(30)), 0x7f, KeyProblem::NonCanonical),
            (format!("ff{}", "ff".repeat(30)), 0x7f, KeyProblem::NonCanonical),
        ] {
            for sign in [0, 0x80] {
                let hex = format!("{y}{:02x}", last | sign);
                assert_eq!(ed25519(&hex), Err(problem.clone()), "{hex}");
            }
        }
        // Their neighbours are fine.
        for hex in [
            format!("02{zero}"),
            format!("eb{}7f", "ff".repeat(30)),
            format!("{}{}01", "00", "00".repeat(30)),
            format!("ec{}7e", "ff".repeat(30)),
        ] {
            assert!(ed25519(&hex).is_ok(), "{hex}");
        }
    }

    #[test]
    fn an_ml_dsa_key_has_the_length_of_its_parameter_set() {
        for (alg, len) in [("ML-DSA-44", 1312), ("ML-DSA-65", 1952), ("ML-DSA-87", 2592)] {
            let key = |len| {
                network(&format!(r#""kty":"AKP","alg":"{alg}","pub":"{}""#, b64(&vec![1; len])))
            };
            assert_eq!(key(len).unwrap().algorithm().unwrap().name(), alg);
            let length = KeyProblem::Length { member: "pub", expected: len, found: len + 1 };
            assert_eq!(key(len + 1), Err(length));
        }
        let found = network(r#""kty":"AKP","alg":"RS256","pub":"AQ""#);
        let expected =
            KeyProblem::AlgorithmForOtherType { algorithm: Algorithm::Rs256, kty: "AKP" };
        assert_eq!(found, Err(expected));
    }

    /// T17: what is published is no secret.
    #[test]
    fn a_shared_secret_comes_from_the_operator_only_and_is_as_long_as_the_hash() {
        let members = |len: usize| format!(r#""kty":"oct","k":"{}""#, b64(&vec![1; len]));
        assert_eq!(network(&members(64)), Err(KeyProblem::SecretFromNetwork));
        let key = operator(&members(48)).unwrap();
        assert_eq!(key.fits(Algorithm::Hs256), Ok(()));
        assert_eq!(key.fits(Algorithm::Hs384), Ok(()));
        let short = KeyProblem::ShortSecret { expected: 64, found: 48 };
        assert_eq!(key.fits(Algorithm::Hs512), Err(short.clone()));
        assert_eq!(operator(&format!(r#"{},"alg":"HS512""#, members(48))), Err(short));
        for found in [0, 31] {
            let short = KeyProblem::ShortSecret { expected: 32, found };
            assert_eq!(operator(&members(found)), Err(short));
        }
        assert!(!key.private_part_seen());
    }

    #[test]
    fn the_private_part_is_noticed_and_never_kept() {
        for members in [r#""d":"c2VjcmV0""#, r#""d":1"#, r#""d":"c2VjcmV0","key_ops":["sign"]"#] {
            let key = operator(&format!("{ED25519},{members}")).unwrap();
            assert!(key.private_part_seen());
            assert_eq!(key.material(), network(ED25519).unwrap().material());
            assert!(!format!("{key:?}").contains("c2VjcmV0"));
        }
        let seed =
            format!(r#""kty":"AKP","alg":"ML-DSA-44","pub":"{}","priv":"AQ""#, b64(&[1; 1312]));
        assert!(operator(&seed).unwrap().private_part_seen());
        let secret = format!(r#""kty":"oct","k":"{}","key_ops":["sign"],"d":"AQ""#, b64(&[1; 32]));
        assert_eq!(operator(&secret), Err(KeyProblem::KeyOps));
    }

    #[test]
    fn a_key_fits_the_algorithms_of_its_type_and_curve() {
        let fitting = |key: &Jwk| -> Vec<_> {
            Algorithm::ALL
                .into_iter()
                .filter(|a| key.fits(*a).is_ok())
                .map(Algorithm::name)
                .collect()
        };
        let plain = rsa(&modulus(2048), &[1, 0, 1]).unwrap();
        assert_eq!(fitting(&plain), ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]);
        assert_eq!(fitting(&ec("P-256", 32, 32).unwrap()), ["ES256"]);
        assert_eq!(fitting(&ec("P-384", 48, 48).unwrap()), ["ES384"]);
        assert_eq!(fitting(&ec("P-521", 66, 66).unwrap()), ["ES512"]);
        assert_eq!(fitting(&ec("secp256k1", 32, 32).unwrap()), ["ES256K"]);
        assert_eq!(fitting(&network(ED25519).unwrap()), ["EdDSA"]);
        let named = Jwk::new(None, Some(Algorithm::Ps384), plain.material().clone()).unwrap();
        assert_eq!(fitting(&named), ["PS384"]);
        let other = KeyProblem::OtherAlgorithm { own: Algorithm::Ps384 };
        assert_eq!(named.fits(Algorithm::Ps256), Err(other));
        assert_eq!(AlgorithmSet::DEFAULT.iter().filter(|a| plain.fits(*a).is_ok()).count(), 6);
    }

    /// RFC 7638 section 3.1, RFC 8037 appendix A.3: required members only, in lexical order.
    #[test]
    fn thumbprint_input_holds_the_required_members_in_order() {
        assert_eq!(
            network(&format!(r#"{ED25519},"kid":"a","alg":"EdDSA""#)).unwrap().thumbprint_input(),
            r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
        );
        let ones = b64(&[1; 32]);
        assert_eq!(
            ec("P-256", 32, 32).unwrap().thumbprint_input(),
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{ones}","y":"{ones}"}}"#)
        );
        let n = modulus(2048);
        assert_eq!(
            rsa(&n, &[1, 0, 1]).unwrap().thumbprint_input(),
            format!(r#"{{"e":"AQAB","kty":"RSA","n":"{}"}}"#, b64(&n))
        );
    }

    #[test]
    fn debug_output_holds_no_material() {
        let key =
            operator(&format!(r#""kty":"oct","kid":"a","k":"{}""#, b64(&[b'S'; 32]))).unwrap();
        for shown in [format!("{key:?}"), format!("{:?}", key.material())] {
            assert!(shown.contains("oct"), "{shown}");
            assert!(!shown.contains("83") && !shown.contains("U1NT"), "{shown}");
        }
    }

    #[test]
    fn presented_words_in_a_reason_are_escaped() {
        let found = network(r#""kty":"\u001b[31m\n""#).unwrap_err().to_string();
        assert_eq!(found, r#"key type "\u{1b}[31m\u{a}" is not supported"#);
    }
}
