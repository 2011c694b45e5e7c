//! JWT verification as a pure function.
//!
//! From bytes to a verdict, and the life cycle of the keys that it needs, without I/O, clock,
//! environment or crypto library: bytes, time and keys come in as arguments, the signature
//! algorithms through [`CryptoBackend`]. The story of one token:
//!
//! ```text
//! bytes
//!   | UnverifiedToken::parse          token      no policy, no keys, no clock
//!   | Issuers::provider_of(iss)       issuer     exact string; from here on ONE provider
//!   | admit(header)                   policy     alg, typ, crit
//!   | check(claims, now)              policy     exp, nbf, iat, aud, required claims
//!   | candidates(kid, alg)            published  keys already in memory
//!   | verify(input, signature)        crypto
//!   | authorize(claims)               policy     scopes: only of a genuine token
//!   v
//! VerifiedToken     or     Rejection
//! ```

mod algorithm;
mod claims;
mod crypto;
mod diagnostics;
mod hash;
mod header;
mod issuer;
pub mod json;
mod jwk;
mod key_set;
mod lifecycle;
mod policy;
mod published;
mod rejection;
mod span;
mod state;
pub mod text;
mod token;
mod verify;

pub use algorithm::{Algorithm, AlgorithmSet, EcCurve, Family};
pub use claims::Claims;
pub use crypto::{CryptoBackend, SignatureVerifier};
pub use diagnostics::{
    Check, ConsideredKey, Detail, Diagnostics, KeyOutcome, Outcome, Record, Step, StepVerdict,
};
pub use header::Header;
pub use issuer::{Difference, Issuers, NearMiss};
pub use jwk::{Jwk, KeyProblem, Material, Provenance};
pub use key_set::{KeySet, KeySetProblem, SkippedKey};
pub use lifecycle::{Action, Backoff, Change, KidDigest, Lifecycle, Schedule, UnknownKids, Wish};
pub use policy::{Audiences, ClaimRule, Policy, Requirements};
pub use published::{PreparedKey, PublishedKeys, PublishedSource};
pub use rejection::{Blame, Code, GrpcCode, JsonFault, Reason, Rejection};
pub use state::{Disabled, DisabledWhy, LatestAttempt, ProviderState, SourceFacts, SourceKind};
pub use token::{Segment, TokenFacts, TokenLimits, UnverifiedToken};
pub use verify::{
    Directory, Freshness, Provider, Question, SignedToken, SignedTokens, VerifiedToken, explain,
    verify,
};
