//! Why a key or a token could not be made.

use std::fmt;

use keystead::core::{Algorithm, text};

/// Why a key or a token could not be made.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MintError {
    /// The crypto library did not make a key.
    Generate(Algorithm),
    /// The text is not one PEM section `PRIVATE KEY` (PKCS#8).
    NotPkcs8Pem,
    /// The PEM section holds no private key for this algorithm.
    OtherKey(Algorithm),
    /// The key cannot sign under this algorithm.
    Unfit {
        /// What the key signs with.
        own: Algorithm,
        /// What was asked.
        asked: Algorithm,
    },
    /// There is no embedded key of this number.
    NoFixedKey {
        /// What was asked.
        asked: usize,
        /// How many there are.
        held: usize,
    },
    /// A shared secret has no public form.
    NoPublicForm(Algorithm),
    /// The crypto library did not sign.
    Sign(Algorithm),
    /// No algorithm has this name.
    UnknownAlgorithm(String),
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generate(algorithm) => write!(f, "no {algorithm} key could be generated"),
            Self::NotPkcs8Pem => f.write_str("no single PEM section \"PRIVATE KEY\" was found"),
            Self::OtherKey(algorithm) => {
                write!(f, "the PEM section holds no private key for {algorithm}")
            }
            Self::Unfit { own, asked } => write!(f, "a key for {own} cannot sign with {asked}"),
            Self::NoFixedKey { asked, held } => {
                let last = held.saturating_sub(1);
                write!(f, "there is no fixed key {asked}, they are numbered 0 to {last}")
            }
            Self::NoPublicForm(algorithm) => {
                write!(f, "a shared secret for {algorithm} has no public form")
            }
            Self::Sign(algorithm) => write!(f, "signing with {algorithm} failed"),
            Self::UnknownAlgorithm(name) => {
                write!(f, "{} is not a signature algorithm known here", text::quoted(name))
            }
        }
    }
}

impl std::error::Error for MintError {}
