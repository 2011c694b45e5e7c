//! One file for each thing that is measured.

pub(crate) mod cached;
pub(crate) mod dead_provider;
pub(crate) mod endpoints;
pub(crate) mod envoy;
pub(crate) mod flood;
pub(crate) mod footprint;
pub(crate) mod heap;
pub(crate) mod isolation;
pub(crate) mod issuers;
pub(crate) mod overhead;
pub(crate) mod refusal;
pub(crate) mod restraint;
pub(crate) mod rotation;
pub(crate) mod start;
pub(crate) mod threads;
pub(crate) mod verify;
