#![doc = "keystead"]
mod clock;
pub mod http;
mod source;

pub use clock::{Clock, SystemClock};
pub use keystead_core as core;
