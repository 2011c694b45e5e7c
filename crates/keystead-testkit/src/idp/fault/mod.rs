//! The ways in which a provider can misbehave on command.

mod bomb;
mod canned;
mod catalogue;
mod key_sets;
mod order;
mod reaction;
mod schedule;
mod script;

pub use canned::CannedAnswer;
pub use catalogue::{Amount, Fault};
pub use order::{Act, Documents, Extent, Order};
pub use script::ScriptError;

pub(super) use key_sets::Ingredients;
pub(super) use reaction::{Delivery, Ending, Reaction, Reply, Surroundings, react};
pub(super) use schedule::{Asked, Hold, Schedule, Taken};
pub(super) use script::orders;
