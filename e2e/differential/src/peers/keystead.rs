//! Keystead itself. Its explanation must be its verdict.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ::keystead::core::{Algorithm, KeySet, Provenance, Requirements};
use ::keystead::{ProviderConfig, Verifier};

use super::{Latest, Peer, Verdict};
use crate::cases::Case;
use crate::setting::{ALIAS, AUDIENCE, ISSUER, LEEWAY, NOW};

/// How many keys of a set are read; the default of the library.
const KEYS: usize = 256;

/// Keystead, with one provider whose key set came over the network.
#[derive(Debug)]
pub(crate) struct Keystead(Latest<Result<Verifier, String>>);

impl Keystead {
    pub(crate) const fn new() -> Self {
        Self(Latest::new())
    }
}

impl Peer for Keystead {
    fn name(&self) -> &'static str {
        "keystead"
    }

    fn knows(&self, _: Algorithm) -> bool {
        true
    }

    fn judge(&mut self, cases: &[&Case]) -> Result<Vec<Verdict>, Box<dyn Error + Send + Sync>> {
        cases.iter().map(|case| self.verdict(case)).collect()
    }
}

impl Keystead {
    fn verdict(&mut self, case: &Case) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
        let verifier = match self.0.of(&case.made.key_set, verifier) {
            Ok(verifier) => verifier,
            Err(why) => return Ok(Verdict::Refused(why.clone())),
        };
        let (token, now) = (&case.made.token, Duration::from_secs(NOW));
        let verdict = verifier.verify_at(token, now, &Requirements::default());
        let explained = verifier.explain_at(token, now, &Requirements::default());
        let code = verdict.as_ref().err().map(|refused| refused.code().as_str());
        let explained = explained.refused.as_ref().map(|refused| refused.code().as_str());
        if code != explained {
            let why = format!("{}: verify says {code:?}, explain {explained:?}", case.name());
            return Err(why.into());
        }
        Ok(match verdict {
            Ok(_) => Verdict::Accepted,
            Err(refused) => Verdict::Refused(format!("{}: {refused}", refused.code().as_str())),
        })
    }
}

fn verifier(key_set: &str) -> Result<Verifier, String> {
    let keys = KeySet::parse(key_set.as_bytes(), Provenance::Network, KEYS);
    let keys = keys.map_err(|problem| problem.to_string())?;
    let provider = ProviderConfig::new("issuer", ISSUER)
        .aliases([ALIAS])
        .audiences([AUDIENCE])
        .leeway(Duration::from_secs(LEEWAY))
        .key_source(Arc::new(Arc::new(keys)));
    Ok(Verifier::builder().provider(provider).build())
}
