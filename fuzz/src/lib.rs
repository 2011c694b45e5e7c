//! What must hold of hostile bytes: one function per fuzz target.
//!
//! Each takes the bytes of one run and panics when something does not hold. No target is content
//! with "it does not crash": each compares what it was told with what it can find out in another
//! way. The targets in `fuzz_targets/` hand the fuzzer's bytes to these functions; `tests/` hands
//! them the seeds, on stable Rust.
//!
//! `make fuzz` runs them all. An input that breaks something is kept in `target/fuzz/found`; the
//! example `replay` runs it once more, on stable Rust. When it is understood, the shortest story that
//! shows it goes into `tests/fuzz_regressions.rs` of the crate at fault; when the fault was the
//! target's, the target is mended.

pub mod authorization;
// The very file of the server's faces. To depend on the server would treble what has to be built.
#[path = "../../crates/keystead-server/src/bearer.rs"]
mod bearer;
pub mod config;
pub mod dictionary;
pub mod discovery;
pub mod jwk_set;
pub mod lifecycle;
mod oracle;
pub mod seeds;
pub mod snapshot;
mod stand_ins;
pub mod token;

/// What a target does with the bytes of one run.
pub type Check = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Check); 7] = [
    ("authorization", authorization::check),
    ("config", config::check),
    ("discovery", discovery::check),
    ("jwk_set", jwk_set::check),
    ("lifecycle", lifecycle::check),
    ("snapshot", snapshot::check),
    ("token", token::check),
];
