//! The keys of the issuer, one for each algorithm that is asked about, and those of a stranger.

use keystead::core::Algorithm;
use keystead_testkit::{MintError, SigningKey};

use crate::encoding::base64;
use crate::rng::Rng;

/// What tokens are made with; each has a key of its own.
pub(crate) const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::Rs256,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::EdDsa,
];

/// The keys of the issuer, in the order of [`ALGORITHMS`], and of a stranger.
#[derive(Debug)]
pub(crate) struct Ring {
    own: Vec<SigningKey>,
    strange: Vec<SigningKey>,
}

impl Ring {
    pub(crate) fn new() -> Result<Self, MintError> {
        let own = ALGORITHMS.iter().enumerate();
        let own = own.map(|(at, algorithm)| {
            let key = fixed(at, *algorithm, Whose::Issuer)?;
            Ok(key.with_kid(format!("{}-key", algorithm.name().to_lowercase())))
        });
        let strange = ALGORITHMS.iter().enumerate();
        let strange = strange.map(|(at, algorithm)| fixed(at, *algorithm, Whose::Stranger));
        Ok(Self {
            own: own.collect::<Result<_, _>>()?,
            strange: strange.collect::<Result<_, _>>()?,
        })
    }

    /// The issuer's keys.
    pub(crate) fn own(&self) -> &[SigningKey] {
        &self.own
    }

    /// A key of the same kind that the issuer does not have.
    pub(crate) fn stranger(&self, algorithm: Algorithm) -> Option<&SigningKey> {
        self.strange.iter().find(|key| key.algorithm() == algorithm)
    }
}

/// The issuer's RSA key for `algorithm`, signing with RS512 against what its JWK says.
pub(crate) fn as_rs512(algorithm: Algorithm) -> Result<SigningKey, MintError> {
    let at = ALGORITHMS.iter().position(|one| *one == algorithm).unwrap_or_default();
    let pem = RSA.get(at).copied().unwrap_or_default();
    SigningKey::from_pkcs8_pem(pem, Algorithm::Rs512)
}

/// An Ed25519 key of its own for each number that `rng` gives.
pub(crate) fn ed25519(rng: &mut Rng) -> Result<SigningKey, MintError> {
    // RFC 8410 section 7: nothing but the seed differs between two such keys.
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    der.extend(rng.bytes::<32>());
    let body = base64(&der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    SigningKey::from_pkcs8_pem(&pem, Algorithm::EdDsa)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whose {
    Issuer,
    Stranger,
}

fn fixed(at: usize, algorithm: Algorithm, whose: Whose) -> Result<SigningKey, MintError> {
    let pem = match (algorithm, whose) {
        (Algorithm::Es256, Whose::Issuer) => include_str!("../keys/p-256-a.pem"),
        (Algorithm::Es256, Whose::Stranger) => include_str!("../keys/p-256-b.pem"),
        (Algorithm::Es384, Whose::Issuer) => include_str!("../keys/p-384-a.pem"),
        (Algorithm::Es384, Whose::Stranger) => include_str!("../keys/p-384-b.pem"),
        (Algorithm::Es512, Whose::Issuer) => include_str!("../keys/p-521-a.pem"),
        (Algorithm::Es512, Whose::Stranger) => include_str!("../keys/p-521-b.pem"),
        (Algorithm::EdDsa, Whose::Issuer) => include_str!("../keys/ed25519-a.pem"),
        (Algorithm::EdDsa, Whose::Stranger) => include_str!("../keys/ed25519-b.pem"),
        (_, Whose::Issuer) => RSA.get(at % RSA.len()).copied().unwrap_or_default(),
        (_, Whose::Stranger) => include_str!("../keys/rsa-b.pem"),
    };
    SigningKey::from_pkcs8_pem(pem, algorithm)
}

/// The seed of the issuer's Ed25519 key, which a provider might publish by mistake.
pub(crate) fn published_seed() -> Option<Vec<u8>> {
    let pem = include_str!("../keys/ed25519-a.pem");
    let body = pem.lines().nth(1)?;
    let der = base64_simd::STANDARD.decode_to_vec(body).ok()?;
    der.get(16..).map(<[u8]>::to_vec)
}

const RSA: [&str; 4] = [
    include_str!("../../../crates/keystead-testkit/src/fixed/rsa-0.pem"),
    include_str!("../../../crates/keystead-testkit/src/fixed/rsa-1.pem"),
    include_str!("../../../crates/keystead-testkit/src/fixed/rsa-2.pem"),
    include_str!("../../../crates/keystead-testkit/src/fixed/rsa-3.pem"),
];
