//! The seam to a crypto back-end: keys go in once, verifiers come out.

use crate::{Algorithm, Jwk, KeyProblem};

/// Verifies signatures with one key under one algorithm.
pub trait SignatureVerifier: Send + Sync {
    /// Whether `signature` is this key's signature over `message`.
    ///
    /// `signature` is in the form of RFC 7518 (for ECDSA, R and S side by side). A signature of the
    /// wrong length is simply not a signature.
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// A signature library.
pub trait CryptoBackend: Send + Sync {
    /// Prepares `key` for `algorithm`; called once per key and allowed algorithm when keys are
    /// published, never per token.
    ///
    /// # Errors
    /// The reason why the key cannot be used: the back-end sees what a JWK's shape does not show,
    /// such as a point that is not on its curve.
    fn prepare(
        &self,
        key: &Jwk,
        algorithm: Algorithm,
    ) -> Result<Box<dyn SignatureVerifier>, KeyProblem>;
}
