//! Verifies JWTs from many issuers, whatever state their providers are in.
mod clock;
mod crypto;
pub mod http;
pub mod source;

pub use clock::{Clock, SystemClock};
pub use crypto::{AwsLc, fingerprint, thumbprint};
pub use keystead_core as core;
