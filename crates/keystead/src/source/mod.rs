//! Where keys come from: one file per kind of source.

pub(crate) mod text;
