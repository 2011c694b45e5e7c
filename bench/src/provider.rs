//! Providers as entries of the configuration.

use std::path::Path;

use keystead_bench::tokens::AUDIENCE;
use keystead_testkit::SigningKey;

use crate::Result;

/// One whose keys are fetched from there.
pub(crate) fn fetched(name: &str, issuer: &str, jwks_url: &str) -> String {
    entry(name, issuer, &format!("jwks_url: '{jwks_url}'"))
}

/// One whose keys its discovery document leads to.
pub(crate) fn discovered(name: &str, issuer: &str) -> String {
    entry(name, issuer, "discovery: issuer")
}

/// One with the public half of this key in this file, which is written.
pub(crate) fn with_file(name: &str, issuer: &str, key: &SigningKey, file: &Path) -> Result<String> {
    std::fs::write(file, key.jwk().to_string())?;
    Ok(entry(name, issuer, &format!("keys_file: '{}'", file.display())))
}

/// One with these settings beside its issuer and audience.
pub(crate) fn entry(name: &str, issuer: &str, settings: &str) -> String {
    format!("  {name}: {{ issuer: '{issuer}', audiences: [{AUDIENCE}], {settings} }}\n")
}
