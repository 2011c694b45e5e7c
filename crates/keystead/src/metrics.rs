//! What monitoring is told: the counters of every provider, and its state, at one moment.

use std::collections::BTreeMap;
use std::time::Duration;

use keystead_core::{DisabledWhy, ProviderState, SourceKind};

use crate::counters::{DecisionCounts, Distribution, DocumentKind, Face, UnknownKid, Verdict};
use crate::provider::Provider;
use crate::snapshot;

/// The numbers of a verifier. What labels may say is bounded by the configuration, and never
/// depends on what a token holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// One for each provider. Past [`Metrics::MOST_PROVIDERS`], in name order, one for all the
    /// others together.
    pub providers: Vec<ProviderMetrics>,
    /// What faces answered where no provider was found.
    pub unmatched: DecisionCounts,
    /// How long judging took.
    pub judging: BTreeMap<(Face, Verdict), Distribution>,
    /// Signatures that were found good and are remembered.
    pub token_cache: TokenCacheMetrics,
}

/// The numbers of the tokens whose signature is remembered; all 0 where none is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TokenCacheMetrics {
    /// How often a signature did not have to be computed.
    pub hits: u64,
    /// How often there was nothing to remember, or it was no longer good.
    pub misses: u64,
    /// How many tokens are remembered now.
    pub tokens: u64,
}

/// The numbers of one provider, or of several together.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ProviderMetrics {
    /// Its name; [`Metrics::OTHER`] for several.
    pub provider: String,
    /// For each state word, how many providers are in it: 0 or 1, unless these are several.
    pub states: BTreeMap<&'static str, u64>,
    /// Its sources, as logs name them; `other` when these are several providers.
    pub sources: BTreeMap<String, SourceMetrics>,
    /// When one of its network sources will next be asked (wall time).
    pub next_refresh: Option<Duration>,
    /// What faces answered about its tokens.
    pub decisions: DecisionCounts,
    /// How many documents were fetched, by kind and result: `ok`, or the word of the
    /// [`FetchCode`](crate::http::FetchCode).
    pub fetches: BTreeMap<(DocumentKind, &'static str), u64>,
    /// How long those took.
    pub fetching: Distribution,
    /// How many tokens had a `kid` that no key has.
    pub unknown_kids: BTreeMap<UnknownKid, u64>,
    /// Its keys on disk, where they are kept.
    pub snapshot: Option<SnapshotMetrics>,
}

/// The numbers of the keys on disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SnapshotMetrics {
    /// How often they were written.
    pub writes: u64,
    /// How often they could not be.
    pub failures: u64,
    /// When the keys on disk were confirmed (wall time); of several sources, the longest ago.
    pub confirmed: Option<Duration>,
}

/// The numbers of one source.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SourceMetrics {
    /// How many keys of it verify tokens now.
    pub keys: u64,
    /// When it last gave keys (wall time).
    pub last_success: Option<Duration>,
}

impl Metrics {
    /// For how many providers there are numbers of their own.
    pub const MOST_PROVIDERS: usize = 200;
    /// The name under which the numbers of all further providers are added up.
    pub const OTHER: &'static str = "other";

    pub(crate) fn of<'a>(providers: impl Iterator<Item = &'a Provider>) -> Vec<ProviderMetrics> {
        let mut all: Vec<ProviderMetrics> = Vec::new();
        for (at, provider) in providers.enumerate() {
            let numbers = ProviderMetrics::of(provider);
            match all.get_mut(Self::MOST_PROVIDERS) {
                Some(others) => others.absorb(numbers),
                None if at == Self::MOST_PROVIDERS => {
                    let mut others = ProviderMetrics::default();
                    Self::OTHER.clone_into(&mut others.provider);
                    others.absorb(numbers);
                    all.push(others);
                }
                None => all.push(numbers),
            }
        }
        all
    }
}

/// The words of all states.
const STATES: [ProviderState; 5] = [
    ProviderState::Cold,
    ProviderState::Ready,
    ProviderState::Stale,
    ProviderState::Expired,
    ProviderState::Disabled(DisabledWhy::Off),
];

impl ProviderMetrics {
    fn of(provider: &Provider) -> Self {
        // The state and the keys are of one moment.
        let live = provider.live();
        let clock = &**provider.clock();
        let (now, wall) = (clock.monotonic(), clock.wall());
        let state = provider.state_of(&live, now).as_str();
        let is_in = |known: ProviderState| (known.as_str(), u64::from(known.as_str() == state));
        let mut numbers = Self {
            provider: provider.config().name.clone(),
            states: STATES.into_iter().map(is_in).collect(),
            ..Self::counted(provider)
        };
        for (at, (slot, held)) in provider.slots().iter().zip(live.sources()).enumerate() {
            let usable = live.keys().iter().filter(|key| key.source() == at);
            let keys = usable.filter(|key| live.serves(key, now)).count();
            let keys = u64::try_from(keys).unwrap_or(u64::MAX);
            let last_success = slot.cell().last_success;
            // Two sources may look the same: what tells their addresses apart is not shown.
            let source = numbers.sources.entry(slot.origin.to_string()).or_default();
            source.absorb(SourceMetrics { keys, last_success });
            if held.facts.kind == SourceKind::Network {
                let next = held.facts.next_attempt.map(|at| wall + at.saturating_sub(now));
                numbers.next_refresh = earliest(numbers.next_refresh, next);
            }
        }
        numbers
    }

    fn counted(provider: &Provider) -> Self {
        let counters = provider.counters();
        Self {
            decisions: counters.decisions.read(),
            fetches: counters.fetches(),
            fetching: counters.fetching(),
            unknown_kids: counters.unknown_kids(),
            snapshot: snapshot::numbers(provider),
            ..Self::default()
        }
    }

    /// Adds those of another provider.
    fn absorb(&mut self, other: Self) {
        add(&mut self.states, other.states);
        let source = self.sources.entry(Metrics::OTHER.to_owned()).or_default();
        for (_, other) in other.sources {
            source.absorb(other);
        }
        self.next_refresh = earliest(self.next_refresh, other.next_refresh);
        add(&mut self.decisions.allowed, other.decisions.allowed);
        add(&mut self.decisions.refused, other.decisions.refused);
        self.decisions.stale = self.decisions.stale.saturating_add(other.decisions.stale);
        add(&mut self.fetches, other.fetches);
        self.fetching.absorb(other.fetching);
        add(&mut self.unknown_kids, other.unknown_kids);
        if let Some(other) = other.snapshot {
            self.snapshot.get_or_insert_default().absorb(other);
        }
    }
}

impl SnapshotMetrics {
    pub(crate) const fn new(writes: u64, failures: u64, confirmed: Option<Duration>) -> Self {
        Self { writes, failures, confirmed }
    }

    /// Adds those of another provider.
    fn absorb(&mut self, other: Self) {
        self.writes = self.writes.saturating_add(other.writes);
        self.failures = self.failures.saturating_add(other.failures);
        self.confirmed = earliest(self.confirmed, other.confirmed);
    }
}

impl SourceMetrics {
    /// Adds those of another source. Of the two, the one that was well less recently is the one to
    /// watch.
    fn absorb(&mut self, other: Self) {
        self.keys = self.keys.saturating_add(other.keys);
        self.last_success = earliest(self.last_success, other.last_success);
    }
}

fn earliest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    for (key, count) in more {
        let known = to.entry(key).or_default();
        *known = known.saturating_add(count);
    }
}
