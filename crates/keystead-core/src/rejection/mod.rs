//! Why a token was refused: data first, words on demand, one table for every protocol.

mod code;
mod reason;
mod reference;
mod words;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use crate::issuer::{Issuers, NearMiss};
use crate::state::ProviderState;

pub use code::{Blame, Code, GrpcCode};
pub use reason::{JsonFault, Reason};

/// The refusal of one token.
///
/// Holds data only; [`fmt::Display`] gives the sentence for the caller, [`Rejection::hint`] the
/// advice for the operator.
#[derive(Clone)]
pub struct Rejection {
    reason: Reason,
    provider: Option<Arc<str>>,
    issuers: Option<Arc<Issuers>>,
    retry_after: Option<Duration>,
}

impl Rejection {
    /// A refusal before any provider was found: what a face says of a request without a token.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, provider: None, issuers: None, retry_after: None }
    }

    pub(crate) fn unknown_issuer(presented: &str, issuers: Arc<Issuers>) -> Self {
        let reason = Reason::UnknownIssuer { presented: presented.into() };
        Self { issuers: Some(issuers), ..Self::new(reason) }
    }

    pub(crate) fn of_provider(
        reason: Reason,
        provider: Arc<str>,
        next_attempt: impl FnOnce() -> Option<Duration>,
    ) -> Self {
        let retry_after = (reason.code().http_status() == 503).then(|| retry_after(next_attempt()));
        Self { reason, provider: Some(provider), issuers: None, retry_after }
    }

    /// The same refusal while an attempt to get keys has not ended that could bring the right one.
    ///
    /// That no such key is held is then no longer the last word, even if the provider is ready: the
    /// token is not refused for good but cannot be judged yet, and may be presented again in 1 s.
    /// Every other refusal stays as it is.
    #[must_use]
    pub fn while_asking(self) -> Self {
        match self.reason {
            Reason::NoKey { kid, state: ProviderState::Ready } => Self {
                reason: Reason::NoKeyInTime { kid },
                retry_after: Some(Duration::from_secs(1)),
                ..self
            },
            _ => self,
        }
    }

    /// What was wrong, with what was seen and what was wanted.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The provider whose token this claimed to be, once one was found.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.reason.code()
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.code().http_status()
    }

    /// The gRPC status code.
    #[must_use]
    pub fn grpc_code(&self) -> GrpcCode {
        self.code().grpc_code()
    }

    /// For a refusal with status 503, when to ask again: until the next attempt to get keys, 1 to
    /// 60 s; 60 s where none is planned. Whole seconds.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The `WWW-Authenticate` value (RFC 6750 section 3), if this refusal has one.
    ///
    /// It never contains anything the caller presented.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        self.code().challenge()
    }

    /// The sentence with what was presented and not what is accepted, as a caller may see it.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.to_string()
    }

    /// What would change the verdict: the setting to write, or what the caller should do.
    ///
    /// For logs, explanations and the admin listener: it names accepted values.
    #[must_use]
    pub fn hint(&self) -> String {
        words::hint(self)
    }

    /// The configured issuer that the presented one nearly is; looks at every provider.
    #[must_use]
    pub fn near_miss(&self) -> Option<NearMiss> {
        match &self.reason {
            Reason::UnknownIssuer { presented } => self.issuers.as_ref()?.near_miss(presented),
            _ => None,
        }
    }
}

/// Whole seconds until the next attempt, 1 to 60; 60 where none is planned.
fn retry_after(next_attempt: Option<Duration>) -> Duration {
    let longest = Duration::from_secs(60);
    let wait = next_attempt.map_or(longest, |wait| {
        Duration::from_secs(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)))
    });
    wait.clamp(Duration::from_secs(1), longest)
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("code", &self.code().as_str())
            .field("reason", &self.reason)
            .field("provider", &self.provider)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Rejection {
    fn eq(&self, other: &Self) -> bool {
        self.reason == other.reason
            && self.provider == other.provider
            && self.retry_after == other.retry_after
    }
}

impl core::error::Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise 8.
    #[test]
    fn an_unknown_kid_is_no_last_word_while_its_provider_is_asked() {
        let of = |reason| Rejection::of_provider(reason, Arc::from("acme"), || None);
        let kid = || Some("k".into());
        let ready = of(Reason::NoKey { kid: kid(), state: ProviderState::Ready });
        assert_eq!((ready.http_status(), ready.retry_after()), (401, None));
        let asking = ready.while_asking();
        assert_eq!(asking.reason(), &Reason::NoKeyInTime { kid: kid() });
        assert_eq!((asking.http_status(), asking.code()), (503, Code::KeysUnavailable));
        assert_eq!(asking.retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(asking.provider(), Some("acme"));
        for reason in [
            Reason::NoKey { kid: kid(), state: ProviderState::Stale },
            Reason::BadSignature { candidates: 1 },
            Reason::Empty,
        ] {
            let refused = of(reason);
            assert_eq!(refused.clone().while_asking(), refused);
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_within_a_minute() {
        let at = Duration::from_millis;
        assert_eq!(retry_after(None), at(60_000));
        assert_eq!(retry_after(Some(at(0))), at(1_000));
        assert_eq!(retry_after(Some(at(2_000))), at(2_000));
        assert_eq!(retry_after(Some(at(1_001))), at(2_000));
        assert_eq!(retry_after(Some(at(3_600_000))), at(60_000));
    }

    #[test]
    fn refusals_are_equal_only_in_all_that_is_answered() {
        let of = |reason, provider, seconds| {
            let next_attempt = || Some(Duration::from_secs(seconds));
            Rejection::of_provider(reason, Arc::from(provider), next_attempt)
        };
        let cold = || Reason::NoKeysYet { state: ProviderState::Cold };
        let refused = of(cold(), "acme", 12);
        assert_eq!(refused, of(cold(), "acme", 12));
        let expired = Reason::NoKeysYet { state: ProviderState::Expired };
        for other in [of(expired, "acme", 12), of(cold(), "ci", 12), of(cold(), "acme", 13)] {
            assert_ne!(refused, other);
        }
    }
}
