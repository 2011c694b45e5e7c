//! The state of a provider, in the words that every surface shares, computed from its sources.

use core::fmt;
use core::iter;
use core::time::Duration;

/// How well tokens of a provider can be judged.
///
/// The same words stand in logs, metrics, status and readiness.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ProviderState {
    /// No usable key.
    Cold,
    /// Usable keys, and what is held is surely the newest: every network source's latest attempt
    /// succeeded, no longer ago than twice its interval, and every file could be read.
    Ready,
    /// Usable keys, but what is held may not be the newest: some source failed last, never
    /// answered, or answered too long ago.
    Stale,
    /// Only keys past `max_stale`, which are not used.
    Expired,
    /// It is not asked for keys at all.
    Disabled(DisabledWhy),
}

/// Why a provider is disabled.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DisabledWhy {
    /// The operator switched it off (`use: off`).
    Off,
    /// It has no issuer, or no place to get keys from.
    Unset,
    /// Its configuration has mistakes, so that its policy cannot be trusted.
    Misconfigured,
}

/// Why a provider is disabled, in one word and in one sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Disabled {
    /// The word.
    pub why: DisabledWhy,
    /// The sentence: it names the setting that is missing or wrong.
    pub reason: Box<str>,
}

impl Disabled {
    /// A reason with its word.
    #[must_use]
    pub fn new(why: DisabledWhy, reason: impl Into<Box<str>>) -> Self {
        Self { why, reason: reason.into() }
    }
}

/// What kind of place keys come from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SourceKind {
    /// Written in the configuration, or supplied by the host program: always settled, never
    /// expires, never asked on a schedule.
    Memory,
    /// A file that is read again and again. Its keys never expire, and the operator's word is
    /// final: what is no longer in the file is gone at once.
    File,
    /// Fetched over the network. Its keys expire, and their removal is guarded.
    Network,
}

/// How the latest attempt on a source ended; one that is in flight has not ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LatestAttempt {
    /// None has ended yet.
    Never,
    /// It gave usable keys.
    Succeeded {
        /// When it ended (monotonic time).
        at: Duration,
    },
    /// It gave none.
    Failed {
        /// When it ended (monotonic time).
        at: Duration,
    },
}

/// What the state of one source is computed from, at any later time and without its
/// [`Lifecycle`](crate::Lifecycle). Every moment is monotonic time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SourceFacts {
    /// What kind of source it is.
    pub kind: SourceKind,
    /// How many usable keys of it are held, expired or not.
    pub usable_keys: usize,
    /// How the latest attempt ended.
    pub latest: LatestAttempt,
    /// When an attempt last succeeded, or its keys were restored from a snapshot.
    pub last_success: Option<Duration>,
    /// How old its keys were already when they were restored from a snapshot, at `last_success`.
    /// None: its source gave them itself since.
    pub restored_age: Option<Duration>,
    /// The interval in force between two attempts while all is well.
    pub interval: Duration,
    /// How long keys may be used after the last success; none: for ever.
    pub max_stale: Option<Duration>,
    /// When the next attempt is planned. A moment that has passed means that it is due or in
    /// flight; none, that there will be none.
    pub next_attempt: Option<Duration>,
}

impl ProviderState {
    /// The state of an enabled provider with these sources.
    ///
    /// A source that cannot be asked does not take away the keys of another one: a provider with a
    /// key in a file and a network source that never answered is [`ProviderState::Stale`]. So is
    /// one whose expired keys stand beside living ones.
    #[must_use]
    pub fn of<'a>(sources: impl IntoIterator<Item = &'a SourceFacts>, now: Duration) -> Self {
        let (mut serving, mut expired, mut fresh) = (false, false, true);
        for source in sources {
            serving |= source.serves(now);
            expired |= source.is_expired(now);
            fresh &= source.is_fresh(now);
        }
        match (serving, expired, fresh) {
            (true, _, true) => Self::Ready,
            (true, _, false) => Self::Stale,
            (false, true, _) => Self::Expired,
            (false, false, _) => Self::Cold,
        }
    }

    /// The state in one word: `cold`, `ready`, `stale`, `expired` or `disabled`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Ready => "ready",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Disabled(_) => "disabled",
        }
    }

    /// Whether there are keys to verify tokens with.
    #[must_use]
    pub const fn can_verify(self) -> bool {
        matches!(self, Self::Ready | Self::Stale)
    }
}

impl fmt::Display for ProviderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl DisabledWhy {
    /// The reason in one word: `off`, `unset` or `misconfigured`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Unset => "unset",
            Self::Misconfigured => "misconfigured",
        }
    }
}

impl fmt::Display for DisabledWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl LatestAttempt {
    /// When it ended, if there was one (monotonic time).
    #[must_use]
    pub const fn at(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Succeeded { at } | Self::Failed { at } => Some(at),
        }
    }
}

impl SourceFacts {
    /// The facts of keys in memory.
    #[must_use]
    pub const fn memory(usable_keys: usize) -> Self {
        Self {
            kind: SourceKind::Memory,
            usable_keys,
            latest: LatestAttempt::Never,
            last_success: None,
            restored_age: None,
            interval: Duration::ZERO,
            max_stale: None,
            next_attempt: None,
        }
    }

    /// The state that a provider with this source alone would have.
    #[must_use]
    pub fn state(&self, now: Duration) -> ProviderState {
        ProviderState::of(iter::once(self), now)
    }

    /// Whether it has keys that may be used.
    #[must_use]
    pub fn serves(&self, now: Duration) -> bool {
        self.usable_keys > 0 && !self.is_expired(now)
    }

    /// Whether it has keys, but past `max_stale`, counted from the last success. Keys of memory and
    /// files never expire.
    #[must_use]
    pub fn is_expired(&self, now: Duration) -> bool {
        let limit = self.max_stale.unwrap_or(Duration::MAX);
        self.usable_keys > 0 && self.age(now).is_some_and(|age| age > limit)
    }

    /// Whether what it gave is surely the newest. A file that was not read yet, or could not be
    /// read the last time, is like a network source that failed; but it does not age.
    #[must_use]
    pub fn is_fresh(&self, now: Duration) -> bool {
        match (self.kind, self.latest) {
            (SourceKind::Memory, _) | (SourceKind::File, LatestAttempt::Succeeded { .. }) => true,
            (SourceKind::Network, LatestAttempt::Succeeded { at }) => {
                now.saturating_sub(at) <= self.interval.saturating_mul(2)
            }
            (_, LatestAttempt::Never | LatestAttempt::Failed { .. }) => false,
        }
    }

    /// How long ago its keys were last confirmed, in whichever run that was. Keys of memory and
    /// files have no age.
    #[must_use]
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let before = self.restored_age.unwrap_or_default();
        match self.kind {
            SourceKind::Network => {
                self.last_success.map(|at| now.saturating_sub(at).saturating_add(before))
            }
            SourceKind::Memory | SourceKind::File => None,
        }
    }

    /// The last moment at which its keys may be used, if there is one (monotonic time).
    #[must_use]
    pub fn expires_after(&self) -> Option<Duration> {
        if self.kind != SourceKind::Network {
            return None;
        }
        let left = self.max_stale?.saturating_sub(self.restored_age.unwrap_or_default());
        Some(self.last_success?.saturating_add(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn source(kind: SourceKind, keys: usize, latest: LatestAttempt) -> SourceFacts {
        SourceFacts {
            kind,
            usable_keys: keys,
            latest,
            last_success: (keys > 0).then_some(Duration::ZERO),
            restored_age: None,
            interval: at(300),
            max_stale: Some(at(86_400)),
            next_attempt: None,
        }
    }

    fn network(keys: usize, latest: LatestAttempt) -> SourceFacts {
        source(SourceKind::Network, keys, latest)
    }

    const NEVER: LatestAttempt = LatestAttempt::Never;
    const OK: LatestAttempt = LatestAttempt::Succeeded { at: Duration::ZERO };
    const FAILED: LatestAttempt = LatestAttempt::Failed { at: Duration::from_secs(1) };

    #[test]
    fn one_network_source_goes_through_the_words_in_order() {
        assert_eq!(network(0, NEVER).state(at(5)), ProviderState::Cold);
        assert_eq!(network(0, FAILED).state(at(5)), ProviderState::Cold);
        assert_eq!(network(1, OK).state(at(600)), ProviderState::Ready);
        assert_eq!(network(1, OK).state(at(601)), ProviderState::Stale, "older than two intervals");
        assert_eq!(network(1, FAILED).state(at(1)), ProviderState::Stale);
        assert_eq!(network(1, FAILED).state(at(86_400)), ProviderState::Stale);
        assert_eq!(network(1, FAILED).state(at(86_401)), ProviderState::Expired);
    }

    #[test]
    fn keys_without_a_limit_never_expire() {
        let forever = SourceFacts { max_stale: None, ..network(1, FAILED) };
        assert_eq!(forever.state(Duration::MAX), ProviderState::Stale);
        assert_eq!(forever.age(Duration::MAX), Some(Duration::MAX));
    }

    #[test]
    fn the_age_of_restored_keys_counts() {
        let restored = SourceFacts { restored_age: Some(at(80_000)), ..network(1, NEVER) };
        assert_eq!(restored.state(at(0)), ProviderState::Stale, "nobody has confirmed them yet");
        assert_eq!(restored.age(at(400)), Some(at(80_400)));
        assert_eq!(restored.expires_after(), Some(at(6_400)));
        assert_eq!(restored.state(at(6_400)), ProviderState::Stale);
        assert_eq!(restored.state(at(6_401)), ProviderState::Expired);
        let old = SourceFacts { restored_age: Some(at(90_000)), ..network(1, NEVER) };
        assert_eq!(old.state(at(0)), ProviderState::Expired);
        assert_eq!(network(1, OK).expires_after(), Some(at(86_400)));
        assert_eq!(SourceFacts { max_stale: None, ..restored }.expires_after(), None);
        assert_eq!(SourceFacts::memory(1).expires_after(), None);
    }

    #[test]
    fn memory_and_files_are_settled_and_never_expire() {
        assert_eq!(SourceFacts::memory(1).state(Duration::MAX), ProviderState::Ready);
        assert_eq!(SourceFacts::memory(0).state(at(0)), ProviderState::Cold);
        let file = source(SourceKind::File, 1, OK);
        assert_eq!(file.state(Duration::MAX), ProviderState::Ready);
        assert_eq!(file.age(at(9)), None);
    }

    #[test]
    fn a_file_that_became_unreadable_counts_as_a_failed_source() {
        let file = source(SourceKind::File, 1, FAILED);
        assert_eq!(file.state(Duration::MAX), ProviderState::Stale, "its keys stay, for ever");
        assert_eq!(source(SourceKind::File, 0, FAILED).state(at(1)), ProviderState::Cold);
        let beside = [SourceFacts::memory(1), source(SourceKind::File, 0, FAILED)];
        assert_eq!(ProviderState::of(&beside, at(1)), ProviderState::Stale);
    }

    #[test]
    fn a_file_key_beside_a_discovery_that_never_answered_is_stale() {
        for latest in [NEVER, FAILED] {
            let sources = [source(SourceKind::File, 1, OK), network(0, latest)];
            assert_eq!(ProviderState::of(&sources, at(1)), ProviderState::Stale);
        }
    }

    #[test]
    fn every_network_source_must_be_fresh() {
        let sources = [network(1, OK), network(1, FAILED)];
        assert_eq!(ProviderState::of(&sources, at(1)), ProviderState::Stale);
        assert_eq!(ProviderState::of(&[network(1, OK); 2], at(1)), ProviderState::Ready);
    }

    #[test]
    fn expired_keys_beside_living_ones_leave_the_provider_stale() {
        let sources = [SourceFacts::memory(1), network(1, FAILED)];
        assert_eq!(ProviderState::of(&sources, at(90_000)), ProviderState::Stale);
        let sources = [SourceFacts::memory(0), network(1, FAILED), network(0, NEVER)];
        assert_eq!(ProviderState::of(&sources, at(90_000)), ProviderState::Expired);
    }

    #[test]
    fn no_source_at_all_has_no_key() {
        assert_eq!(ProviderState::of([], at(0)), ProviderState::Cold);
    }

    #[test]
    fn only_ready_and_stale_can_verify() {
        use ProviderState::{Cold, Disabled, Expired, Ready, Stale};
        let all = [Cold, Ready, Stale, Expired, Disabled(DisabledWhy::Unset)];
        let words: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["cold", "ready", "stale", "expired", "disabled"]);
        assert_eq!(all.map(ProviderState::can_verify), [false, true, true, false, false]);
    }
}
