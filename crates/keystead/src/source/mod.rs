//! Where keys come from: one file per kind of source.

pub(crate) mod file;
pub(crate) mod text;

use std::fmt;
use std::sync::Arc;

use keystead_core::KeySet;

/// Keys that the host program holds in process, such as those of an embedded authority.
///
/// It is asked on every verification of its provider, so it must be cheap and never block: hand
/// out an `Arc` that is made when the keys change. Keys are prepared once per `Arc`, which is
/// recognised by its identity.
///
/// ```
/// use std::sync::Arc;
/// use keystead::{KeySource, SourceError, core::KeySet};
///
/// struct Authority(Arc<KeySet>);
///
/// impl KeySource for Authority {
///     fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
///         Ok(Arc::clone(&self.0))
///     }
/// }
/// # let authority = Authority(Arc::new(KeySet::default()));
/// # assert!(authority.keys().unwrap().is_empty());
/// ```
pub trait KeySource: Send + Sync + 'static {
    /// The keys as they are now.
    ///
    /// # Errors
    /// When there is no answer. The last set stays in use, and the error is counted.
    fn keys(&self) -> Result<Arc<KeySet>, SourceError>;
}

/// Keys that never change.
impl KeySource for Arc<KeySet> {
    fn keys(&self) -> Result<Arc<KeySet>, SourceError> {
        Ok(Self::clone(self))
    }
}

/// Why a [`KeySource`] has no answer, in one sentence: lower case, no full stop, and never a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceError(Box<str>);

impl SourceError {
    /// An error with this sentence.
    #[must_use]
    pub fn new(sentence: impl Into<Box<str>>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}
