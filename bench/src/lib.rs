//! What the programs of this package share.

pub mod heap;
pub mod library;
pub mod tokens;
