//! Key text that an operator wrote: PEM, a JWK or a JWK Set.

use keystead_core::{KeySet, Provenance};

/// Reads key text: PEM, a JWK or a JWK Set.
///
/// # Errors
/// One sentence that says why the text holds no key set at all. A single unusable key is no error:
/// it is in [`KeySet::skipped`].
pub(crate) fn parse(text: &str) -> Result<KeySet, String> {
    KeySet::parse_either(text.as_bytes(), Provenance::Operator, 256).map_err(|e| format!("{e:?}"))
}
