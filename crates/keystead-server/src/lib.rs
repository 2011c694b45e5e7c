//! The `keystead` program: a command line that judges and explains tokens, and the network faces
//! of a verifier.
//!
//! It is a library so that each verb can be tested without a process; what others embed is the
//! crate `keystead`.

mod bearer;
pub mod cli;
mod decision;
mod http;
mod log;
mod signals;
pub mod vectors;

pub use http::metrics_reference;
