//! What the outside sees of a verifier, beside its status: readiness, numbers, and files that are
//! read again when somebody says so.

use std::time::Duration;

use keystead_core::{DisabledWhy, Provider as _, Rejection};

use super::{VerifiedToken, Verifier};
use crate::config::ReadyWhen;
use crate::counters::{Face, Verdict};
use crate::metrics::Metrics;
use crate::provider::Provider;

impl Verifier {
    /// Counts what a face answered, and how long judging took, for [`Verifier::metrics`]. Takes no
    /// lock.
    pub fn count(&self, face: Face, decision: Result<&VerifiedToken, &Rejection>, took: Duration) {
        let decision = decision.map(|token| &**token);
        let name = decision.map_or_else(Rejection::provider, |token| Some(token.provider()));
        let table = self.0.table.load();
        let provider = name.and_then(|name| table.named(name));
        let counts = provider.map_or(&self.0.unmatched, |found| &found.counters().decisions);
        counts.count(face, decision);
        let verdict = if decision.is_ok() { Verdict::Allow } else { Verdict::Refuse };
        self.0.judging.observe(face, verdict, took);
    }

    /// The numbers that monitoring asks for.
    ///
    /// ```
    /// use keystead::{ProviderConfig, Verifier};
    ///
    /// let portal = ProviderConfig::new("portal", "https://portal.acme.example").any_audience();
    /// let verifier = Verifier::builder().provider(portal).build();
    /// let metrics = verifier.metrics();
    /// assert_eq!(metrics.providers[0].provider, "portal");
    /// assert_eq!(metrics.providers[0].states["cold"], 1);
    /// assert_eq!(metrics.providers[0].states["ready"], 0);
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let table = self.0.table.load();
        Metrics {
            providers: Metrics::of(table.providers.iter().map(|provider| &**provider)),
            unmatched: self.0.unmatched.read(),
            judging: self.0.judging.read(),
            token_cache: self.0.remembered.now(table.cache.as_ref()),
        }
    }

    /// Whether it is of use, by the policy of its operator.
    ///
    /// ```
    /// use keystead::config::ReadyWhen;
    /// use keystead::{ProviderConfig, Verifier};
    ///
    /// let portal = ProviderConfig::new("portal", "https://portal.acme.example").any_audience();
    /// let verifier = Verifier::builder().provider(portal).build();
    /// assert!(verifier.readiness(&ReadyWhen::None).is_ready());
    /// let readiness = verifier.readiness(&ReadyWhen::All);
    /// assert!(!readiness.is_ready());
    /// assert_eq!(readiness.missing, ["portal"]);
    /// ```
    #[must_use]
    pub fn readiness(&self, when: &ReadyWhen) -> Readiness {
        let table = self.0.table.load();
        let able = |provider: &Provider| provider.state().can_verify();
        let any_is_able = || table.providers.iter().any(|provider| able(provider));
        let missing = match when {
            ReadyWhen::None | ReadyWhen::Any => Vec::new(),
            ReadyWhen::All => {
                let wanted = table.providers.iter().filter(|provider| is_wanted(provider));
                wanted.filter(|p| !able(p)).map(|p| p.config().name.clone()).collect()
            }
            ReadyWhen::Named(names) => {
                let is_able = |name: &&String| table.named(name).is_some_and(able);
                names.iter().filter(|name| !is_able(name)).cloned().collect()
            }
        };
        let ready = match when {
            ReadyWhen::None => true,
            ReadyWhen::Any => any_is_able(),
            // Where nothing is wanted of anybody, nothing can be verified either.
            ReadyWhen::All => missing.is_empty() && any_is_able(),
            ReadyWhen::Named(_) => missing.is_empty(),
        };
        Readiness { ready, missing }
    }

    /// Reads the files of every provider again now, in the background: its key files, and with
    /// `ca_file` the network sources are asked, which read it for each attempt. How many sources
    /// that are. Nothing is read while nobody drives the refresh.
    pub fn reread_files(&self) -> usize {
        let table = self.0.table.load();
        let mut asked = 0;
        for provider in &table.providers {
            let trusts_file = provider.rules().ca_file.is_some();
            let slots = provider.slots().iter().filter(|slot| slot.is_asked());
            for slot in slots.filter(|slot| slot.is_file() || trusts_file) {
                slot.request();
                asked += 1;
            }
        }
        asked
    }
}

/// Whether a provider counts when all are waited for: one that is switched off, or of which nothing
/// is written, was never meant to be there. One with a mistake was.
fn is_wanted(provider: &Provider) -> bool {
    use DisabledWhy::{Off, Unset};
    !matches!(provider.disabled().map(|disabled| disabled.why), Some(Off | Unset))
}

/// Whether a verifier is of use.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Readiness {
    ready: bool,
    /// The providers that are waited for and cannot verify. Empty when any provider would do.
    pub missing: Vec<String>,
}

impl Readiness {
    /// Whether it is.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.ready
    }
}
