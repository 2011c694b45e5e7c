//! A local OIDC provider, a token mint, a scripted network and manual clocks, for testing services
//! that verify JWTs.
//!
//! Nothing in here guards anything: keys may be embedded and clocks may lie. Do not run it in front
//! of users.
mod clock;
mod encoding;
mod error;
mod fetch;
pub mod idp;
mod keys;
mod mint;
pub mod scenario;

pub use clock::{ManualClock, PausedClock};
pub use error::MintError;
pub use fetch::{Answer, ForbiddenFetch, ScriptedFetch};
pub use keys::SigningKey;
pub use mint::{RawToken, Token};
