//! A verified token, in the hands of the host program.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;

/// A token whose signature and claims have been verified.
///
/// Only a verifier makes one, so that holding one proves that every check passed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VerifiedToken(pub(super) keystead_core::VerifiedToken);

impl VerifiedToken {
    /// The claims set as a type of the caller's, which may borrow from the token.
    ///
    /// A field of type `&str` costs no allocation, but does not take a text with escapes; a
    /// `Cow<'_, str>` with `#[serde(borrow)]` takes any.
    ///
    /// ```
    /// # fn subject(verified: &keystead::VerifiedToken) -> Result<(), keystead::ClaimsError> {
    /// #[derive(serde::Deserialize)]
    /// struct Claims<'a> {
    ///     sub: &'a str,
    ///     #[serde(default)]
    ///     groups: Vec<String>,
    /// }
    ///
    /// let claims: Claims<'_> = verified.claims_as()?;
    /// println!("{} in {} groups", claims.sub, claims.groups.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the claims do not fit that type.
    pub fn claims_as<'token, T: Deserialize<'token>>(&'token self) -> Result<T, ClaimsError> {
        serde_json::from_str(self.0.claims().text()).map_err(|e| ClaimsError(e.to_string()))
    }
}

impl Deref for VerifiedToken {
    type Target = keystead_core::VerifiedToken;

    fn deref(&self) -> &keystead_core::VerifiedToken {
        &self.0
    }
}

/// Why claims do not fit a type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimsError(String);

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the claims do not fit the type: {}", self.0)
    }
}

impl std::error::Error for ClaimsError {}
