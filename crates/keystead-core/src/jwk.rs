//! One JSON Web Key (RFC 7517), judged on its own: the crypto back-end does not judge keys, this room does.

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
        judge_key_ops(value)?;
        let algorithm = match string(value, "alg")? {
            None => None,
            Some(name) => {
                Some(Algorithm::from_name(&name).ok_or(KeyProblem::UnsupportedAlgorithm(name))?)
            }
        };
        let material = Material::parse(value, &kty, algorithm, provenance)?;
        let mut key = Self::new(kid.as_deref(), algorithm, material)?;
        key.private_part_seen = value.member("d").is_some() || value.member("priv").is_some();
        Ok(key)
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
            Self::Oct { k } if k.is_empty() => {
                Err(KeyProblem::ShortSecret { expected: 32, found: 0 })
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

fn judge_key_ops(value: Value<'_>) -> Result<(), KeyProblem> {
    let Some(ops) = value.member("key_ops") else { return Ok(()) };
    let Some(mut ops) = ops.elements() else { return Err(KeyProblem::MemberType("key_ops")) };
    if ops.any(|op| op.as_str().is_some_and(|op| op == "verify")) {
        Ok(())
    } else {
        Err(KeyProblem::KeyOps)
    }
}

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
