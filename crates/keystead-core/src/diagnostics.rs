//! What every check found, for those who ask why.
//!
//! One path, two volumes: the pipeline reports each check to a [`Record`]. The recorder `()` stops
//! it at the first refusal; [`Diagnostics`] lets it go on to show the rest.

use core::fmt;
use core::ops::ControlFlow;
use core::time::Duration;

use crate::jwk::KeyProblem;
use crate::published::PreparedKey;
use crate::rejection::{Reason, Rejection};
use crate::token::TokenFacts;

/// One check of the pipeline, in the order in which they are made.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Check {
    /// The shape: size, segments, base64url, JSON.
    Token,
    /// `iss` names a configured provider.
    Issuer,
    /// The provider is in use.
    Provider,
    /// `alg` is allowed.
    Algorithm,
    /// `typ` is accepted.
    Type,
    /// No unknown extension is demanded.
    Critical,
    /// `exp`.
    Expiry,
    /// `nbf`.
    NotBefore,
    /// `iat`, and the age of the token.
    IssuedAt,
    /// `aud`.
    Audience,
    /// `sub` and `jti` have the right types.
    Types,
    /// Required claims.
    RequiredClaims,
    /// A key that fits is known.
    Key,
    /// The signature.
    Signature,
    /// Scopes.
    Scope,
}

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 15] = [
        Self::Token,
        Self::Issuer,
        Self::Provider,
        Self::Algorithm,
        Self::Type,
        Self::Critical,
        Self::Expiry,
        Self::NotBefore,
        Self::IssuedAt,
        Self::Audience,
        Self::Types,
        Self::RequiredClaims,
        Self::Key,
        Self::Signature,
        Self::Scope,
    ];

    /// The check in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Issuer => "issuer",
            Self::Provider => "provider",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::Critical => "extensions",
            Self::Expiry => "expiry",
            Self::NotBefore => "not_before",
            Self::IssuedAt => "issued_at",
            Self::Audience => "audience",
            Self::Types => "claim_types",
            Self::RequiredClaims => "required_claims",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Scope => "scope",
        }
    }
}

/// What one check found.
#[non_exhaustive]
pub struct Outcome<'a> {
    /// The check.
    pub check: Check,
    /// Whether it passed; else why not.
    pub result: Result<(), &'a Reason>,
    /// What was presented and what is accepted. Costs nothing unless asked.
    pub detail: &'a dyn Fn() -> Detail,
}

impl fmt::Debug for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("check", &self.check)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

/// What was presented and what is accepted, in words safe to print.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Detail {
    /// What the token said; empty where there is nothing to say.
    pub presented: String,
    /// What is accepted; empty where there is nothing to say.
    pub accepted: String,
}

impl Detail {
    pub(crate) fn new(presented: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self { presented: presented.into(), accepted: accepted.into() }
    }
}

/// What became of one key that was looked at for a token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum KeyOutcome {
    /// It made the signature.
    Verified,
    /// It was tried and did not make the signature.
    Refused,
    /// It does not fit, or cannot be used.
    Unfit(KeyProblem),
    /// It is past `max_stale`, or its source has removed it and its grace is over.
    Expired,
}

/// Listens to the pipeline.
pub trait Record {
    /// A check was made. [`ControlFlow::Break`] ends the pipeline if the check failed.
    fn found(&mut self, outcome: Outcome<'_>) -> ControlFlow<()>;

    /// A provider was found; everything after this is scoped to it.
    fn provider(&mut self, _name: &str) {}

    /// A key was looked at, which came from `origin` and was last confirmed `age` ago.
    fn considered(
        &mut self,
        _key: &PreparedKey,
        _origin: &str,
        _age: Option<Duration>,
        _outcome: &KeyOutcome,
    ) {
    }
}

/// The recorder of production: stops at the first refusal, keeps nothing.
impl Record for () {
    #[inline]
    fn found(&mut self, outcome: Outcome<'_>) -> ControlFlow<()> {
        if outcome.result.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The ordered record of every check of one token.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Diagnostics {
    /// What the token says of itself; nothing of it is verified.
    pub token: TokenFacts,
    /// The provider that was found, if one was.
    pub provider: Option<String>,
    /// Every check, in order; those that could not be made too.
    pub steps: Vec<Step>,
    /// Every key that was looked at.
    pub keys: Vec<ConsideredKey>,
    /// The refusal; none: the token is accepted.
    pub refused: Option<Rejection>,
}

/// One check and what it found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// The check.
    pub check: Check,
    /// What it found.
    pub verdict: StepVerdict,
    /// What was presented and what is accepted.
    pub detail: Detail,
}

/// What a check found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StepVerdict {
    /// It passed.
    Passed,
    /// It failed.
    Failed(Reason),
    /// It could not be made, because of an earlier one.
    Skipped,
}

/// One key that was looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsideredKey {
    /// Its `kid`, as it was published: print it with [`crate::text::quoted`].
    pub kid: Option<String>,
    /// Its type.
    pub kty: &'static str,
    /// Which of the provider's sources it came from.
    pub source: usize,
    /// What that source is.
    pub origin: String,
    /// How long ago that source last confirmed it. Keys of memory and files have no age.
    pub age: Option<Duration>,
    /// What became of it.
    pub outcome: KeyOutcome,
}

impl Record for Diagnostics {
    fn found(&mut self, outcome: Outcome<'_>) -> ControlFlow<()> {
        let verdict = match outcome.result {
            Ok(()) => StepVerdict::Passed,
            Err(reason) => StepVerdict::Failed(reason.clone()),
        };
        self.steps.push(Step { check: outcome.check, verdict, detail: (outcome.detail)() });
        ControlFlow::Continue(())
    }

    fn provider(&mut self, name: &str) {
        self.provider = Some(name.to_owned());
    }

    fn considered(
        &mut self,
        key: &PreparedKey,
        origin: &str,
        age: Option<Duration>,
        outcome: &KeyOutcome,
    ) {
        self.keys.push(ConsideredKey {
            kid: key.jwk().kid().map(ToOwned::to_owned),
            kty: key.jwk().kty(),
            source: key.source(),
            origin: origin.to_owned(),
            age,
            outcome: outcome.clone(),
        });
    }
}

impl Diagnostics {
    /// Whether the token is accepted.
    #[must_use]
    pub const fn accepted(&self) -> bool {
        self.refused.is_none()
    }

    /// Every reason that was found, the one that decided first.
    pub fn failures(&self) -> impl Iterator<Item = &Reason> {
        self.steps.iter().filter_map(|step| match &step.verdict {
            StepVerdict::Failed(reason) => Some(reason),
            _ => None,
        })
    }

    /// What would make a check pass that failed for `reason`: the setting to write, or what the
    /// caller should do.
    ///
    /// Only the first failure is a rejection, and a bare reason does not know the provider whose
    /// setting its hint names.
    #[must_use]
    pub fn hint(&self, reason: &Reason) -> String {
        match (&self.refused, &self.provider) {
            // The verdict knows more than its reason does.
            (Some(refused), _) if refused.reason() == reason => refused.hint(),
            (_, Some(provider)) => {
                let provider = provider.as_str().into();
                Rejection::of_provider(reason.clone(), provider, || None).hint()
            }
            (_, None) => Rejection::new(reason.clone()).hint(),
        }
    }

    /// Adds the checks that could not be made, so that the list is always whole.
    pub(crate) fn complete(&mut self) {
        for check in Check::ALL {
            if !self.steps.iter().any(|step| step.check == check) {
                let detail = Detail::default();
                self.steps.push(Step { check, verdict: StepVerdict::Skipped, detail });
            }
        }
        self.steps.sort_by_key(|step| step.check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome<'a>(
        check: Check,
        result: Result<(), &'a Reason>,
        detail: &'a dyn Fn() -> Detail,
    ) -> Outcome<'a> {
        Outcome { check, result, detail }
    }

    #[test]
    fn production_stops_at_the_first_refusal_and_asks_for_no_detail() {
        let detail = || panic!("nobody asked for it");
        let passed = ().found(outcome(Check::Expiry, Ok(()), &detail));
        let failed = ().found(outcome(Check::Expiry, Err(&Reason::Empty), &detail));
        assert_eq!((passed, failed), (ControlFlow::Continue(()), ControlFlow::Break(())));
    }

    #[test]
    fn an_explanation_goes_on_and_lists_what_could_not_be_checked() {
        let mut diagnostics = Diagnostics::default();
        let detail = || Detail::new("0", "after 1");
        for (check, result) in [(Check::Token, Ok(())), (Check::Expiry, Err(&Reason::Empty))] {
            assert_eq!(
                diagnostics.found(outcome(check, result, &detail)),
                ControlFlow::Continue(())
            );
        }
        diagnostics.complete();
        let checks: Vec<_> = diagnostics.steps.iter().map(|step| step.check).collect();
        assert_eq!(checks, Check::ALL);
        let skipped = |step: &&Step| matches!(step.verdict, StepVerdict::Skipped);
        assert_eq!(diagnostics.steps.iter().filter(skipped).count(), Check::ALL.len() - 2);
        assert_eq!(diagnostics.failures().collect::<Vec<_>>(), [&Reason::Empty]);
        assert_eq!(diagnostics.steps[6].detail, Detail::new("0", "after 1"));
    }
}
