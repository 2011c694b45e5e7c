//! A scripted key endpoint and what must hold of whoever fetches from it: the rows of
//! `fetch_scenarios.jsonl`, played by a real provider.
//!
//! ```
//! use keystead_testkit::scenario::Scenario;
//!
//! let row = Scenario::named("refresh-html-200")?;
//! let play = row.play()?;
//! assert_eq!(play.jwks_url(), Some(play.idp().jwks_url("demo")?.as_str()));
//! let token = play.token("api")?;
//! # assert_eq!(token.split('.').count(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod names;
mod play;
mod row;

pub use error::ScenarioError;
pub use play::Play;
pub use row::{Scenario, SourceKind};
