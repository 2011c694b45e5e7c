//! What is known of every provider, in one structure that every surface renders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use keystead_core::{
    DisabledWhy, Jwk, KeyProblem, Material, ProviderState, PublishedSource, SourceFacts,
};
use serde::Serialize;

use crate::clock::Clock;
use crate::crypto::thumbprint;
use crate::provider::{LiveGuard, Provider, Slot};
use crate::snapshot::{self, SnapshotStatus};

/// The status of a verifier, as `/status.json` shows it. Times are RFC 3339, in UTC.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The version of Keystead.
    pub version: &'static str,
    /// `ready` when every provider in use is; `cold` when no provider can verify; else `stale`.
    pub state: &'static str,
    /// Every configured provider, by name.
    pub providers: BTreeMap<String, ProviderStatus>,
}

/// The status of one provider.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProviderStatus {
    /// `cold`, `ready`, `stale`, `expired` or `disabled`.
    pub state: &'static str,
    /// Why, in one sentence.
    pub reason: String,
    /// Whether keys that it removed came back within the last 48 h: tokens signed with them were
    /// refused in between. The reason names the setting to write.
    pub flapping: bool,
    /// The string compared with `iss`.
    pub issuer: String,
    /// Further strings declared equal to it.
    pub aliases: Vec<String>,
    /// Accepted audiences; none: any.
    pub audiences: Option<Vec<String>>,
    /// Its keys, usable or not.
    pub keys: Vec<KeyStatus>,
    /// Where its keys come from.
    pub sources: Vec<SourceStatus>,
    /// Its keys on disk, where they are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotStatus>,
}

/// One key.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct KeyStatus {
    /// Its identifier.
    pub kid: Option<String>,
    /// Its type.
    pub kty: Option<String>,
    /// The one algorithm it names, if it names one.
    pub alg: Option<String>,
    /// What it is used for.
    #[serde(rename = "use")]
    pub purpose: Option<&'static str>,
    /// Its thumbprint (RFC 7638, SHA-256). Shared secrets have none.
    pub thumbprint: Option<String>,
    /// Which source it came from.
    pub origin: String,
    /// The place of that source in [`ProviderStatus::sources`].
    #[serde(skip)]
    pub source: usize,
    /// How long ago its source last confirmed it, in seconds. Keys of memory and files have no age.
    pub age_seconds: Option<u64>,
    /// Whether it verifies tokens.
    pub usable: bool,
    /// Why not, or what is odd about it.
    pub why: Option<String>,
}

/// One source of keys.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SourceStatus {
    /// `inline`, `in_process`, `file`, `jwks_url` or `discovery`.
    pub kind: &'static str,
    /// Where it is: an address or a path.
    pub url: Option<String>,
    /// The state that a provider with this source alone would have.
    pub state: &'static str,
    /// When it was last asked.
    pub last_attempt: Option<String>,
    /// When it last gave keys.
    pub last_success: Option<String>,
    /// When it will be asked next.
    pub next_attempt: Option<String>,
    /// What went wrong with the latest attempt, or on its way.
    pub last_error: Option<SourceErrorStatus>,
    /// How often an in-process source had no answer.
    pub errors: u64,
}

/// What went wrong with a source.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SourceErrorStatus {
    /// One stable word.
    pub code: &'static str,
    /// How far the attempt got.
    pub stage: &'static str,
    /// One plain sentence.
    pub detail: String,
}

impl Status {
    pub(crate) fn of<'a>(providers: impl Iterator<Item = &'a Provider>) -> Self {
        let providers: BTreeMap<_, _> =
            providers.map(|p| (p.config().name.clone(), ProviderStatus::of(p))).collect();
        let is = |state: ProviderState| move |p: &ProviderStatus| p.state == state.as_str();
        let disabled = is(ProviderState::Disabled(DisabledWhy::Off));
        let able = providers.values().any(ProviderStatus::can_verify);
        let ready = providers.values().filter(|p| !disabled(p)).all(is(ProviderState::Ready));
        let state = match (able, ready) {
            (false, _) => ProviderState::Cold,
            (true, true) => ProviderState::Ready,
            (true, false) => ProviderState::Stale,
        };
        Self { version: env!("CARGO_PKG_VERSION"), state: state.as_str(), providers }
    }

    /// Whether at least one provider can verify.
    #[must_use]
    pub fn can_verify(&self) -> bool {
        self.providers.values().any(ProviderStatus::can_verify)
    }
}

impl ProviderStatus {
    pub(crate) fn of(provider: &Provider) -> Self {
        let policy = &provider.config().policy;
        // Everything in it is of one moment.
        let live = provider.live();
        let clock = &**provider.clock();
        let now = clock.monotonic();
        let sources = provider.slots().iter().zip(live.sources());
        let source =
            |(slot, held): (&Slot, &PublishedSource)| source(slot, &held.facts, clock, now);
        Self {
            state: provider.state_of(&live, now).as_str(),
            reason: reason(provider, &live, now),
            flapping: provider.is_flapping(now),
            issuer: policy.issuer.clone(),
            aliases: policy.aliases.clone(),
            audiences: match &policy.audiences {
                keystead_core::Audiences::OneOf(accepted) => Some(accepted.clone()),
                _ => None,
            },
            keys: keys(provider, &live, now),
            sources: sources.map(source).collect(),
            snapshot: snapshot::status(provider),
        }
    }

    /// Whether its tokens can be verified now.
    #[must_use]
    pub fn can_verify(&self) -> bool {
        matches!(self.state, "ready" | "stale")
    }
}

/// Why a provider is in its state, in one sentence, by what was last published.
pub(crate) fn provider_reason(provider: &Provider) -> String {
    reason(provider, &provider.held(), provider.clock().monotonic())
}

fn reason(provider: &Provider, live: &LiveGuard, now: Duration) -> String {
    use keystead_core::Provider as _;
    if let Some(disabled) = provider.disabled() {
        return format!("{}: {}", disabled.why, disabled.reason);
    }
    let held = live.keys().len();
    let state = live.state(now);
    let what = match state {
        ProviderState::Cold => "no usable key is held".to_owned(),
        ProviderState::Expired => format!("{} held, past max_stale", count(held)),
        _ => format!("{} held", count(held)),
    };
    let why = provider.slots().iter().zip(live.sources());
    let why = why.filter_map(|(slot, source)| {
        let trouble = trouble(slot, &source.facts, now)?;
        Some(format!("; {}: {trouble}", slot.origin))
    });
    let flapping = provider
        .is_flapping(now)
        .then(|| format!("; it is flapping: {}", flapping_advice(&provider.config().name)));
    let distrusted = live.distrusted().len();
    let distrusted = (distrusted > 0).then(|| format!("; {} distrusted", count(distrusted)));
    // Once its sources have answered, what was on disk is no reason for anything.
    let refused = snapshot::refusal(provider).filter(|_| state != ProviderState::Ready);
    let refused = refused.map(|refused| format!("; snapshot not used: {refused}"));
    let all = std::iter::once(what).chain(why).chain(flapping).chain(distrusted).chain(refused);
    all.collect()
}

/// What flapping is, and what helps.
pub(crate) fn flapping_advice(provider: &str) -> String {
    format!(
        "keys that it removed came back within 48 h; while they are away, \
         providers.{provider}.removed_key_grace lets them be accepted"
    )
}

/// What is wrong with a source, if anything is.
fn trouble(slot: &Slot, facts: &SourceFacts, now: Duration) -> Option<String> {
    let cell = slot.cell();
    let failure = cell.last_error.as_ref().map(|failure| failure.detail.clone());
    match (snapshot::remark(&cell, facts, now), failure) {
        (Some(restored), Some(failure)) => return Some(format!("{restored}; {failure}")),
        (None, None) => {}
        (either, or) => return either.or(or),
    }
    if facts.is_fresh(now) {
        return None;
    }
    Some(match facts.age(now) {
        Some(age) => format!("the last answer is {} s old", age.as_secs()),
        None => "no answer yet".to_owned(),
    })
}

fn count(keys: usize) -> String {
    if keys == 1 { "1 key is".to_owned() } else { format!("{keys} keys are") }
}

fn keys(provider: &Provider, live: &LiveGuard, now: Duration) -> Vec<KeyStatus> {
    let origin = |source: usize| live.origin(source).to_string();
    let age = |source: usize| {
        live.sources().get(source).and_then(|s| s.facts.age(now)).map(|age| age.as_secs())
    };
    let of = |source: usize, jwk: &Jwk, usable: bool, why: Option<String>| KeyStatus {
        kid: jwk.kid().map(ToOwned::to_owned),
        kty: Some(jwk.kty().to_owned()),
        alg: jwk.algorithm().map(|algorithm| algorithm.name().to_owned()),
        purpose: Some("sig"),
        thumbprint: thumbprint(jwk),
        origin: origin(source),
        source,
        age_seconds: age(source),
        usable,
        why,
    };
    let usable = live.keys().iter().map(|key| {
        let (source, jwk) = (key.source(), key.jwk());
        let usable = live.serves(key, now);
        let is_expired = live.sources().get(source).is_some_and(|s| s.facts.is_expired(now));
        let why = if is_expired {
            Some("it is past max_stale".to_owned())
        } else if usable {
            provider
                .slots()
                .get(source)
                .and_then(|slot| end_of(slot, jwk, now))
                .or_else(|| remark(jwk))
        } else {
            Some("its provider removed it, and its grace is over (removed_key_grace)".to_owned())
        };
        of(source, jwk, usable, why)
    });
    let distrusted = live
        .distrusted()
        .iter()
        .map(|(source, jwk)| of(*source, jwk, false, Some(KeyProblem::Distrusted.to_string())));
    let others = live.skipped().iter().filter(|(_, key)| key.why != KeyProblem::Distrusted);
    let others = others.map(|(source, key)| KeyStatus {
        kid: key.kid.as_deref().map(keystead_core::text::escaped),
        kty: key.kty.as_deref().map(keystead_core::text::escaped),
        alg: None,
        purpose: None,
        thumbprint: None,
        origin: origin(*source),
        source: *source,
        age_seconds: age(*source),
        usable: false,
        why: Some(key.why.to_string()),
    });
    usable.chain(distrusted).chain(others).collect()
}

/// When a key goes that its source publishes no more, if it is one of those.
fn end_of(slot: &Slot, jwk: &Arc<Jwk>, now: Duration) -> Option<String> {
    let cell = slot.cell();
    if cell.lifecycle.kept().contains(jwk) {
        let end = "the latest answer lacks it; it goes when the next one does too";
        return Some(end.to_owned());
    }
    let (_, leaves) = cell.lifecycle.leaving().iter().find(|(key, _)| key == jwk)?;
    let left = leaves.saturating_sub(now).as_secs();
    Some(format!("its provider removed it; it goes in {left} s (removed_key_grace)"))
}

fn remark(jwk: &Jwk) -> Option<String> {
    let private = jwk.private_part_seen() && !matches!(jwk.material(), Material::Oct { .. });
    private.then(|| "its private part stands beside it; only the public part is used".to_owned())
}

fn source(slot: &Slot, facts: &SourceFacts, clock: &dyn Clock, now: Duration) -> SourceStatus {
    let cell = slot.cell();
    // A planned moment is monotonic; it is shown on the wall clock as it stands now.
    let next = facts.next_attempt.map(|at| clock.wall().saturating_add(at.saturating_sub(now)));
    SourceStatus {
        kind: slot.kind.as_str(),
        url: slot.kind.location(),
        state: facts.state(now).as_str(),
        last_attempt: cell.last_attempt.map(timestamp),
        last_success: cell.last_success.map(timestamp),
        next_attempt: next.map(timestamp),
        last_error: cell.last_error.as_ref().map(|failure| SourceErrorStatus {
            code: failure.code,
            stage: failure.stage,
            detail: failure.detail.clone(),
        }),
        errors: slot.errors.load(std::sync::atomic::Ordering::Relaxed),
    }
}

/// A wall time in RFC 3339, in UTC, to the second.
#[must_use]
pub fn timestamp(wall: Duration) -> String {
    let longest = Duration::from_secs(253_402_300_799); // the last second of the year 9999
    humantime::format_rfc3339_seconds(UNIX_EPOCH + wall.min(longest)).to_string()
}
