//! Verifies JWTs from many issuers, whatever state their providers are in.
//!
//! A [`Verifier`] is built without any I/O, verifies with the keys in memory, and keeps them fresh
//! in the background: no provider is ever a gate in front of another, or of a key that is there
//! already. What decides a verdict lives in [`core`].

mod bounded_file;
mod clock;
pub mod config;
mod counters;
mod crypto;
pub mod http;
mod metrics;
mod provider;
mod refresh;
mod report;
mod snapshot;
mod source;
mod status;
mod token_cache;
mod token_file;
mod verifier;

pub use clock::{Clock, SystemClock};
pub use config::{Config, ProviderConfig};
pub use counters::{DecisionCounts, Distribution, DocumentKind, Face, UnknownKid, Verdict};
pub use crypto::{AwsLc, fingerprint, thumbprint};
pub use keystead_core as core;
pub use metrics::{Metrics, ProviderMetrics, SnapshotMetrics, SourceMetrics, TokenCacheMetrics};
pub use snapshot::{
    Endpoint, ImportOutcome, Imported, LeavingKey, ProviderSnapshot, Snapshot, SnapshotError,
    SnapshotErrorStatus, SnapshotProblem, SnapshotStatus, SourceSnapshot,
};
pub use source::{KeySource, SourceError};
pub use status::{KeyStatus, ProviderStatus, SourceErrorStatus, SourceStatus, Status, timestamp};
pub use token_file::TokenFile;
pub use verifier::{
    ClaimsError, Readiness, RefreshError, RefreshHandle, VerifiedToken, Verifier, VerifierBuilder,
};

/// The documents whose examples are run as doc tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/library.md")]
    mod library {}
}
