//! Why a row cannot be played.

use std::fmt;

use keystead::core::text::quoted;

use crate::MintError;
use crate::idp::IdpError;

/// Why a row cannot be played.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScenarioError {
    /// No row has this id.
    Unknown(String),
    /// The row cannot be understood.
    Row {
        /// Its id, or its line (from 1) where it has none.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The provider does not do what the row wants.
    Provider(IdpError),
    /// A key or a token could not be made.
    Mint(MintError),
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "there is no scenario {}", quoted(id)),
            Self::Row { row, problem } => write!(f, "scenario {}: {problem}", quoted(row)),
            Self::Provider(error) => error.fmt(f),
            Self::Mint(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ScenarioError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Provider(error) => Some(error),
            Self::Mint(error) => Some(error),
            Self::Unknown(_) | Self::Row { .. } => None,
        }
    }
}

impl From<IdpError> for ScenarioError {
    fn from(error: IdpError) -> Self {
        Self::Provider(error)
    }
}

impl From<MintError> for ScenarioError {
    fn from(error: MintError) -> Self {
        Self::Mint(error)
    }
}
