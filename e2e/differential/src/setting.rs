//! What everybody is told to accept.

use keystead::core::{Algorithm, AlgorithmSet};
use serde_json::{Value, json};

/// The issuer.
pub(crate) const ISSUER: &str = "https://issuer.example/realms/one";
/// Another name of the issuer, which the operator vouches for.
pub(crate) const ALIAS: &str = "https://login.example/realms/one";
/// The audience.
pub(crate) const AUDIENCE: &str = "orders";
/// How far clocks may differ, in seconds.
pub(crate) const LEEWAY: u64 = 60;

/// When every token is judged, in seconds since the Unix epoch: in the year 2065, so that no run
/// depends on the day it is run on. Above 2^31, which a time must survive; below 2^32, where one of
/// the peers ends.
pub(crate) const NOW: u64 = 3_000_000_000;

/// All of this, for a peer in another language.
pub(crate) fn as_json() -> Value {
    let algorithms: Vec<_> = AlgorithmSet::DEFAULT.iter().map(Algorithm::name).collect();
    json!({
        "issuers": [ISSUER, ALIAS],
        "audience": AUDIENCE,
        "leeway": LEEWAY,
        "now": NOW,
        "algorithms": algorithms,
    })
}
