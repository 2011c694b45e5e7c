//! Verifies JWTs from many issuers, whatever state their providers are in.

mod clock;
pub mod config;
mod crypto;
pub mod http;
mod source;

pub use clock::{Clock, SystemClock};
pub use config::{Config, ProviderConfig};
pub use crypto::{AwsLc, fingerprint, thumbprint};
pub use keystead_core as core;
pub use source::{KeySource, SourceError};
