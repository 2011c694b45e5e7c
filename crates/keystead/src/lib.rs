//! Verifies JWTs from many issuers, whatever state their providers are in.
mod clock;
pub mod http;
mod source;

pub use clock::{Clock, SystemClock};
pub use keystead_core as core;
