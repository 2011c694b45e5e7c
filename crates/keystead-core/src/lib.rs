#![doc = "keystead-core"]
mod algorithm;
mod crypto;
pub mod json;
mod jwk;
mod key_set;
mod lifecycle;
mod policy;
mod state;
pub mod text;

pub use algorithm::{Algorithm, AlgorithmSet, EcCurve, Family};
pub use crypto::{CryptoBackend, SignatureVerifier};
pub use jwk::{Jwk, KeyProblem, Material, Provenance};
pub use key_set::{KeySet, KeySetProblem, SkippedKey};
pub use lifecycle::{Action, Backoff, Change, Lifecycle, Schedule};
pub use policy::{Audiences, ClaimRule, Policy, Requirements};
pub use state::{DisabledWhy, LatestAttempt, ProviderState, SourceFacts, SourceKind};
