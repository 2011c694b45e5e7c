//! Verifies JWTs from many issuers, whatever state their providers are in.
mod clock;
pub mod config;
pub mod http;
mod source;

pub use clock::{Clock, SystemClock};
pub use keystead_core as core;
pub use source::{KeySource, SourceError};
