//! Signature algorithms by their registered names (RFC 7518 section 3.1, RFC 8037, RFC 8812, RFC 9864).

use core::fmt;

/// A signature or MAC algorithm that Keystead knows.
///
/// `none` is not among them, in any spelling: it can be neither configured nor presented.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3).
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256, salt as long as the hash (RFC 7518 section 3.5).
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4).
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// ECDSA on secp256k1 with SHA-256 (RFC 8812 section 3.2). Opt-in.
    Es256K,
    /// Ed25519, presented as `EdDSA` (RFC 8037) or `Ed25519` (RFC 9864): one algorithm, two names.
    EdDsa,
    /// ML-DSA-44 (FIPS 204). Opt-in.
    MlDsa44,
    /// ML-DSA-65. Opt-in.
    MlDsa65,
    /// ML-DSA-87. Opt-in.
    MlDsa87,
    /// HMAC with SHA-256 (RFC 7518 section 3.2). Opt-in, and only with keys the operator wrote.
    Hs256,
    /// HMAC with SHA-384. Opt-in, as [`Algorithm::Hs256`].
    Hs384,
    /// HMAC with SHA-512. Opt-in, as [`Algorithm::Hs256`].
    Hs512,
}

/// What kind of key an algorithm takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// An RSA key (`kty` `RSA`).
    Rsa,
    /// An elliptic-curve key on this curve (`kty` `EC`).
    Ec(EcCurve),
    /// An Ed25519 key (`kty` `OKP`).
    Ed25519,
    /// An ML-DSA key (`kty` `AKP`).
    MlDsa,
    /// A shared secret (`kty` `oct`) of at least this many bytes.
    Hmac {
        /// The length of the hash, which the key must reach (RFC 7518 section 3.2).
        hash_len: usize,
    },
}

/// A curve of `kty` `EC` keys (RFC 7518 section 6.2.1.1, RFC 8812).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum EcCurve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
    /// secp256k1.
    Secp256k1,
}

impl EcCurve {
    /// The curve's registered name, as in the `crv` member.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Secp256k1 => "secp256k1",
        }
    }

    /// How many bytes one coordinate has (RFC 7518 section 6.2.1.2).
    #[must_use]
    pub const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 | Self::Secp256k1 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The curve with this registered name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521, Self::Secp256k1].into_iter().find(|c| c.name() == name)
    }
}

impl Algorithm {
    /// Every algorithm, in the order in which lists are printed.
    pub const ALL: [Self; 17] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Es256K,
        Self::EdDsa,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
    ];

    /// The registered name, as it stands in a JOSE header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Es256K => "ES256K",
            Self::EdDsa => "EdDSA",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// The algorithm with this registered name; names are case-sensitive (RFC 7515 section 4.1.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "ES256K" => Self::Es256K,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            "ML-DSA-44" => Self::MlDsa44,
            "ML-DSA-65" => Self::MlDsa65,
            "ML-DSA-87" => Self::MlDsa87,
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            _ => return None,
        })
    }

    /// What kind of key this algorithm takes.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                Family::Rsa
            }
            Self::Es256 => Family::Ec(EcCurve::P256),
            Self::Es384 => Family::Ec(EcCurve::P384),
            Self::Es512 => Family::Ec(EcCurve::P521),
            Self::Es256K => Family::Ec(EcCurve::Secp256k1),
            Self::EdDsa => Family::Ed25519,
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => Family::MlDsa,
            Self::Hs256 => Family::Hmac { hash_len: 32 },
            Self::Hs384 => Family::Hmac { hash_len: 48 },
            Self::Hs512 => Family::Hmac { hash_len: 64 },
        }
    }

    const fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of algorithms: a policy's allow-list.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct AlgorithmSet(u32);

impl AlgorithmSet {
    /// No algorithm at all.
    pub const EMPTY: Self = Self(0);

    /// The default allow-list: RSA, RSA-PSS, ECDSA on the NIST curves and Ed25519.
    ///
    /// ES256K, ML-DSA and HMAC have to be asked for.
    pub const DEFAULT: Self = Self::EMPTY
        .with(Algorithm::Rs256)
        .with(Algorithm::Rs384)
        .with(Algorithm::Rs512)
        .with(Algorithm::Ps256)
        .with(Algorithm::Ps384)
        .with(Algorithm::Ps512)
        .with(Algorithm::Es256)
        .with(Algorithm::Es384)
        .with(Algorithm::Es512)
        .with(Algorithm::EdDsa);

    /// Whether the set holds `algorithm`.
    #[must_use]
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & algorithm.bit() != 0
    }

    /// The set with `algorithm` added.
    #[must_use]
    pub const fn with(self, algorithm: Algorithm) -> Self {
        Self(self.0 | algorithm.bit())
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The algorithms in the set, in the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |a| self.contains(*a))
    }
}

impl Default for AlgorithmSet {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        algorithms.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_case_sensitive() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(Algorithm::from_name(&algorithm.name().to_lowercase()), None);
        }
        assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDsa));
        for none in ["none", "None", "NONE", "nOnE", " none", "RS256 ", ""] {
            assert_eq!(Algorithm::from_name(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_default_set_leaves_out_what_must_be_asked_for() {
        let missing: Vec<_> =
            Algorithm::ALL.into_iter().filter(|a| !AlgorithmSet::DEFAULT.contains(*a)).collect();
        assert_eq!(
            missing,
            [
                Algorithm::Es256K,
                Algorithm::MlDsa44,
                Algorithm::MlDsa65,
                Algorithm::MlDsa87,
                Algorithm::Hs256,
                Algorithm::Hs384,
                Algorithm::Hs512
            ]
        );
    }

    #[test]
    fn a_set_holds_what_was_added_however_often() {
        assert!(AlgorithmSet::EMPTY.is_empty() && !AlgorithmSet::DEFAULT.is_empty());
        for algorithm in Algorithm::ALL {
            let one = AlgorithmSet::EMPTY.with(algorithm);
            assert!(!one.is_empty());
            assert_eq!(one.iter().collect::<Vec<_>>(), [algorithm]);
            assert_eq!(one.with(algorithm), one);
            assert_eq!([algorithm, algorithm].into_iter().collect::<AlgorithmSet>(), one);
            assert_eq!(format!("{one:?}"), format!("{{{algorithm:?}}}"));
        }
    }
}
