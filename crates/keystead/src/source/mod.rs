//! Where keys come from: one file per kind of source.

pub mod file;
pub mod text;
