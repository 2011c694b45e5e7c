//! The pipeline: from a presented text to a [`VerifiedToken`] or a [`Rejection`].
//!
//! What needs no key is checked before what does: it costs nanoseconds, and a token that no key
//! could save is never answered "cannot judge". This is the only place that can make a
//! [`VerifiedToken`].

mod key;
mod outcome;
mod signed;

use core::ops::Deref;
use core::time::Duration;
use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::claims::Claims;
use crate::diagnostics::{Check, Detail, Diagnostics, Outcome, Record};
use crate::header::Header;
use crate::issuer::Issuers;
use crate::json::Value;
use crate::policy::{Audiences, Demands, Policy, Requirements, admit_critical, check_types};
use crate::published::{PreparedKey, PublishedKeys};
use crate::rejection::{Reason, Rejection};
use crate::state::Disabled;
use crate::text::{list, quoted, seconds};
use crate::token::{Original, TokenFacts, TokenLimits, UnverifiedToken};

pub use outcome::{Freshness, VerifiedToken};
pub use signed::{SignedToken, SignedTokens};

/// The providers of one verifier.
pub trait Directory {
    /// One of them.
    type Provider: Provider;

    /// Whose issuer strings are whose.
    fn issuers(&self) -> &Arc<Issuers>;

    /// The provider that [`Issuers::provider_of`] named.
    fn provider(&self, index: usize) -> Option<&Self::Provider>;

    /// The memory for signatures that were found good, if it has one. Default: none.
    fn signed_tokens(&self) -> Option<&dyn SignedTokens> {
        None
    }
}

/// One provider, as far as a verdict depends on it.
pub trait Provider {
    /// Its name in the configuration.
    fn name(&self) -> &Arc<str>;

    /// What its tokens must look like.
    fn policy(&self) -> &Policy;

    /// Why it is not in use, if it is not.
    fn disabled(&self) -> Option<&Disabled>;

    /// The keys in memory at this moment. Never waits.
    fn keys(&self) -> impl Deref<Target = PublishedKeys>;

    /// The monotonic time against which keys age.
    fn monotonic(&self) -> Duration;
}

/// One token to judge.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "whoever asks has to say all of it")]
pub struct Question<'a> {
    /// What was presented, without the scheme before it.
    pub text: &'a str,
    /// The time of judgement, since the Unix epoch.
    pub now: Duration,
    /// How large a token may be.
    pub limits: TokenLimits,
    /// What this call asks for in place of the provider's policy.
    pub requirements: &'a Requirements,
}

/// Judges a token, stopping at the first refusal.
///
/// # Errors
/// The first reason to refuse it.
pub fn verify<D: Directory>(
    question: Question<'_>,
    directory: &D,
) -> Result<VerifiedToken, Rejection> {
    let Some(memory) = directory.signed_tokens() else {
        return run(question, directory, Original::Dropped, &mut ());
    };
    if let Some(known) = memory.find(question.text) {
        if let Some(verified) = again(question, directory, &known) {
            return Ok(verified);
        }
        memory.forget(question.text);
    }
    let verified = run(question, directory, Original::Kept, &mut ())?;
    memory.keep(verified.signed());
    Ok(verified)
}

/// Judges a token the same way, but goes on after a refusal to show every check.
///
/// The verdict is always that of [`verify`].
pub fn explain<D: Directory>(question: Question<'_>, directory: &D) -> Diagnostics {
    let token = UnverifiedToken::parse(question.text, question.limits);
    let facts = token.map_or_else(|_| TokenFacts::of(question.text), |token| token.facts());
    let mut diagnostics = Diagnostics { token: facts, ..Diagnostics::default() };
    diagnostics.refused = run(question, directory, Original::Dropped, &mut diagnostics).err();
    diagnostics.complete();
    diagnostics
}

/// Judges a remembered token by what holds now; the signature alone is taken as made.
///
/// Why it does not pass, the full path says, so that a refusal reads the same with and without a
/// memory.
fn again<D: Directory>(
    question: Question<'_>,
    directory: &D,
    known: &SignedToken,
) -> Option<VerifiedToken> {
    if !known.is_within(question.limits) {
        return None;
    }
    let signature = Signature::MadeBy(known.prepared_key());
    let token = Presented { header: known.header(), claims: known.claims(), signature };
    let mut run = Run { record: &mut (), refused: None };
    let provider = run.route(&token, directory).ok()?;
    let live = provider.keys();
    let held = Held::of(provider, &live);
    run.judge(question, &token, provider.policy(), &held).ok()?;
    known.is_of(&held).then(|| VerifiedToken::new(known.clone(), &held))
}

fn run<D: Directory, R: Record>(
    question: Question<'_>,
    directory: &D,
    original: Original,
    record: &mut R,
) -> Result<VerifiedToken, Rejection> {
    let mut run = Run { record, refused: None };
    let token = match UnverifiedToken::read(question.text, question.limits, original) {
        Ok(token) => token,
        Err(reason) => {
            let facts = || {
                let facts = TokenFacts::of(question.text);
                Detail::new(
                    match facts.segments {
                        1 => format!("{} bytes, 1 segment", facts.length),
                        found => format!("{} bytes, {found} segments", facts.length),
                    },
                    "a compact JWS with a JSON header and a JSON claims set",
                )
            };
            return Err(run.last(Check::Token, Rejection::new(reason), &facts));
        }
    };
    run.pass(Check::Token, &|| {
        Detail::new(format!("{} bytes, 3 segments", question.text.len()), "a compact JWS")
    });
    let (header, claims) = (token.header(), token.claims());
    let presented = Presented { header, claims, signature: Signature::Unverified(&token) };
    let provider = run.route(&presented, directory)?;
    // From here on everything is scoped to this one provider.
    let live = provider.keys();
    let held = Held::of(provider, &live);
    let key = Arc::clone(run.judge(question, &presented, provider.policy(), &held)?);
    Ok(VerifiedToken::new(SignedToken::new(token.into_decoded(), key, &held), &held))
}

/// What a token says, and what is known of its signature.
struct Presented<'a> {
    header: Header<'a>,
    claims: Claims<'a>,
    signature: Signature<'a>,
}

/// What is known of a signature.
enum Signature<'a> {
    /// Nothing.
    Unverified(&'a UnverifiedToken<'a>),
    /// That this key made it.
    MadeBy(&'a Arc<PreparedKey>),
}

/// One run of the pipeline: the first refusal is the verdict, whatever is looked at after it.
struct Run<'r, R> {
    record: &'r mut R,
    refused: Option<Rejection>,
}

/// What is held of the one provider that a token is judged by, at this moment.
struct Held<'a> {
    provider: &'a Arc<str>,
    live: &'a PublishedKeys,
    /// Monotonic.
    now: Duration,
}

impl<'a> Held<'a> {
    fn of(provider: &'a impl Provider, live: &'a PublishedKeys) -> Self {
        Self { provider: provider.name(), live, now: provider.monotonic() }
    }

    fn serves(&self, key: &PreparedKey) -> bool {
        self.live.serves(key, self.now)
    }

    fn refusal(&self, reason: Reason) -> Rejection {
        let next_attempt = || self.live.next_attempt(self.now);
        Rejection::of_provider(reason, Arc::clone(self.provider), next_attempt)
    }
}

impl<R: Record> Run<'_, R> {
    fn pass(&mut self, check: Check, detail: &dyn Fn() -> Detail) {
        // What passed never ends the pipeline.
        let _continues = self.record.found(Outcome { check, result: Ok(()), detail });
    }

    /// Reports a refusal after which nothing can be looked at any more.
    fn last(
        &mut self,
        check: Check,
        rejection: Rejection,
        detail: &dyn Fn() -> Detail,
    ) -> Rejection {
        // Nothing comes after this, whatever the recorder says.
        let _ends = self.record.found(Outcome { check, result: Err(rejection.reason()), detail });
        rejection
    }

    /// Reports a check; `None` when it failed and the recorder wants to see more.
    fn note<T>(
        &mut self,
        check: Check,
        result: Result<T, Reason>,
        held: &Held<'_>,
        detail: &dyn Fn() -> Detail,
    ) -> Result<Option<T>, Rejection> {
        let reason = match result {
            Ok(value) => {
                self.pass(check, detail);
                return Ok(Some(value));
            }
            Err(reason) => reason,
        };
        let flow = self.record.found(Outcome { check, result: Err(&reason), detail });
        let refused = self.refused.take().unwrap_or_else(|| held.refusal(reason));
        if flow.is_break() {
            return Err(refused);
        }
        self.refused = Some(refused);
        Ok(None)
    }

    /// Finds the one provider whose token this claims to be.
    fn route<'d, D: Directory>(
        &mut self,
        token: &Presented<'_>,
        directory: &'d D,
    ) -> Result<&'d D::Provider, Rejection> {
        let issuer = match token.claims.issuer() {
            Ok(Some(issuer)) => issuer,
            Ok(None) => {
                let rejection = Rejection::new(Reason::MissingIssuer);
                return Err(self.last(Check::Issuer, rejection, &Detail::default));
            }
            Err(reason) => {
                return Err(self.last(Check::Issuer, Rejection::new(reason), &Detail::default));
            }
        };
        let issuers = directory.issuers();
        let found = issuers.provider_of(&issuer).and_then(|index| directory.provider(index));
        let shown = || {
            let nearest =
                || issuers.near_miss(&issuer).map(|near| quoted(&near.issuer).to_string());
            let accepted = found.map_or_else(nearest, |_| Some("the configured issuers".into()));
            Detail::new(quoted(&issuer).to_string(), accepted.unwrap_or_default())
        };
        let Some(provider) = found else {
            let rejection = Rejection::unknown_issuer(&issuer, Arc::clone(issuers));
            return Err(self.last(Check::Issuer, rejection, &shown));
        };
        self.record.provider(provider.name());
        self.pass(Check::Issuer, &shown);
        if let Some(disabled) = provider.disabled() {
            let reason = Reason::ProviderDisabled { disabled: disabled.clone() };
            let rejection = Rejection::of_provider(reason, Arc::clone(provider.name()), || None);
            let shown = || Detail::new(provider.name().to_string(), "a provider in use");
            return Err(self.last(Check::Provider, rejection, &shown));
        }
        self.pass(Check::Provider, &|| Detail::new(provider.name().to_string(), ""));
        Ok(provider)
    }

    /// Everything that is compared with one provider's policy and keys; the key that made the
    /// signature.
    fn judge<'k>(
        &mut self,
        question: Question<'_>,
        token: &Presented<'_>,
        policy: &Policy,
        held: &Held<'k>,
    ) -> Result<&'k Arc<PreparedKey>, Rejection> {
        let demands = Demands::new(policy, question.requirements);
        let algorithm = self.admit(token.header, &demands, held)?;
        self.check(token.claims, &demands, question.now.as_secs_f64(), held)?;
        let key = match algorithm {
            Some(algorithm) => self.find_key(token, algorithm, held)?,
            None => None,
        };
        self.note(Check::Scope, demands.authorize(token.claims), held, &|| {
            Detail::new(list(&token.claims.scopes()), list(demands.scopes))
        })?;
        match (self.refused.take(), key) {
            (Some(refused), _) => Err(refused),
            (None, Some(key)) => Ok(key),
            // A key that was not found has been noted above; without one nothing is believed.
            (None, None) => Err(held.refusal(Reason::BadSignature { candidates: 0 })),
        }
    }

    /// The header against the policy.
    fn admit(
        &mut self,
        header: Header<'_>,
        demands: &Demands<'_>,
        held: &Held<'_>,
    ) -> Result<Option<Algorithm>, Rejection> {
        let algorithm =
            self.note(Check::Algorithm, demands.admit_algorithm(header), held, &|| {
                let allowed: Vec<_> = demands.algorithms.iter().map(Algorithm::name).collect();
                Detail::new(quoted(&header.alg()).to_string(), list(&allowed))
            })?;
        self.note(Check::Type, demands.admit_type(header), held, &|| {
            let accepted = if demands.typ.is_empty() {
                "any that does not name another purpose".to_owned()
            } else {
                list(demands.typ)
            };
            let presented = header.typ().map(|typ| quoted(&typ).to_string());
            Detail::new(presented.unwrap_or_else(|| "absent".into()), accepted)
        })?;
        self.note(Check::Critical, admit_critical(header), held, &|| {
            Detail::new(list(&header.unsupported()), "")
        })?;
        Ok(algorithm)
    }

    /// The claims against the policy and the time.
    fn check(
        &mut self,
        claims: Claims<'_>,
        demands: &Demands<'_>,
        now: f64,
        held: &Held<'_>,
    ) -> Result<(), Rejection> {
        let leeway = demands.leeway.as_secs_f64();
        let date = |name: &'static str, rule: &'static str| {
            move || {
                let presented = claims.member(name).map(Value::text);
                let (now, leeway) = (seconds(now), seconds(leeway));
                let accepted = format!("{rule} {now} with {leeway} s of leeway");
                Detail::new(presented.map_or_else(|| "absent".into(), shown), accepted)
            }
        };
        let expiry = demands.check_expiry(claims, now);
        self.note(Check::Expiry, expiry, held, &date("exp", "after"))?;
        let not_before = demands.check_not_before(claims, now);
        self.note(Check::NotBefore, not_before, held, &date("nbf", "not after"))?;
        let issued_at = demands.check_issued_at(claims, now);
        self.note(Check::IssuedAt, issued_at, held, &date("iat", "not after"))?;
        self.note(Check::Audience, demands.check_audience(claims), held, &|| {
            let presented = claims.member("aud").map(Value::text);
            let accepted = match demands.audiences {
                Audiences::Any => "any".to_owned(),
                Audiences::OneOf(accepted) => list(accepted),
            };
            Detail::new(presented.map_or_else(|| "absent".into(), shown), accepted)
        })?;
        self.note(Check::Types, check_types(claims), held, &|| {
            Detail::new("", "\"sub\" and \"jti\" are strings where present")
        })?;
        self.note(Check::RequiredClaims, demands.check_required(claims), held, &|| {
            let names: Vec<_> = demands.required_claims.iter().map(|(name, _)| name).collect();
            Detail::new("", list(&names))
        })?;
        Ok(())
    }
}

/// A presented JSON text as it may be shown.
fn shown(text: &str) -> String {
    crate::text::escaped(text).replace("\\\"", "\"")
}
