//! The `keystead` program: a command line that judges and explains tokens, and the network faces
//! of a verifier.

pub mod cli;
pub mod vectors;
