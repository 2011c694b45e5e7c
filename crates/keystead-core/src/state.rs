//! The state of a provider, in the words that every surface shares.

use core::fmt;
use core::time::Duration;

/// How well a provider can be judged for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ProviderState {
    /// No usable key.
    Cold,
    /// Usable keys, and every network source's latest attempt succeeded no longer ago than twice
    /// its interval.
    Ready,
    /// Usable keys, but some network source failed last, never answered, or is older: what is held
    /// may not be the newest.
    Stale,
    /// Only keys past `max_stale`.
    Expired,
    /// Off, not set, or misconfigured.
    Disabled,
}

impl ProviderState {
    /// The state in one word, as in logs, metrics, status and readiness.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Ready => "ready",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
        }
    }

    /// Whether tokens of a provider in this state can be verified.
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

/// Why a provider is disabled.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Disabled {
    /// `use: off`.
    Off,
    /// It has no issuer, or no place to get keys from.
    Unset {
        /// The sentence that names the missing setting.
        reason: Box<str>,
    },
    /// Its configuration has mistakes, so that its policy cannot be trusted.
    Misconfigured {
        /// The first mistake, in a sentence.
        reason: Box<str>,
    },
}

impl Disabled {
    /// `off`, `unset` or `misconfigured`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Unset { .. } => "unset",
            Self::Misconfigured { .. } => "misconfigured",
        }
    }

    /// Why, in one sentence.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Off => "it is switched off",
            Self::Unset { reason } | Self::Misconfigured { reason } => reason,
        }
    }
}

/// What is known of one source of keys, as far as the provider's state depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SourceStanding {
    /// Memory, or a file that was read: always settled, never expires.
    Settled,
    /// A file that cannot be read, or could not be the last time.
    Unreadable,
    /// A network source.
    Network {
        /// When it last succeeded (monotonic time).
        last_success: Option<Duration>,
        /// Whether its latest attempt succeeded.
        latest_succeeded: bool,
        /// Its refresh interval.
        interval: Duration,
        /// How old its keys may be; none: for ever.
        max_stale: Option<Duration>,
    },
}

impl SourceStanding {
    /// Whether what this source gave is surely the newest.
    #[must_use]
    pub fn is_fresh(self, now: Duration) -> bool {
        match self {
            Self::Settled => true,
            Self::Unreadable => false,
            Self::Network { last_success, latest_succeeded, interval, .. } => {
                latest_succeeded
                    && last_success.is_some_and(|at| {
                        now.saturating_sub(at) <= interval.saturating_mul(2)
                    })
            }
        }
    }

    /// Whether keys of this source are past `max_stale`.
    #[must_use]
    pub fn is_expired(self, now: Duration) -> bool {
        match self {
            Self::Settled | Self::Unreadable => false,
            Self::Network { last_success, max_stale, .. } => match (last_success, max_stale) {
                (Some(at), Some(limit)) => now.saturating_sub(at) > limit,
                _ => false,
            },
        }
    }

    /// How old this source's keys are; keys of memory and files have no age.
    #[must_use]
    pub fn age(self, now: Duration) -> Option<Duration> {
        match self {
            Self::Network { last_success: Some(at), .. } => Some(now.saturating_sub(at)),
            _ => None,
        }
    }
}

/// The state of a provider with these sources; each with whether it holds a usable key.
///
/// See [`ProviderState`] for what the words mean.
#[must_use]
pub fn provider_state(
    sources: impl IntoIterator<Item = (SourceStanding, bool)>,
    now: Duration,
) -> ProviderState {
    let (mut usable, mut expired, mut fresh) = (false, false, true);
    for (source, has_keys) in sources {
        let past = source.is_expired(now);
        usable |= has_keys && !past;
        expired |= has_keys && past;
        fresh &= source.is_fresh(now);
    }
    match (usable, expired, fresh) {
        (true, _, true) => ProviderState::Ready,
        (true, _, false) => ProviderState::Stale,
        (false, true, _) => ProviderState::Expired,
        (false, false, _) => ProviderState::Cold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn network(last_success: Option<u64>, latest_succeeded: bool) -> SourceStanding {
        SourceStanding::Network {
            last_success: match last_success {
                Some(s) => Some(Duration::from_secs(s)),
                None => None,
            },
            latest_succeeded,
            interval: Duration::from_secs(300),
            max_stale: Some(Duration::from_secs(86_400)),
        }
    }

    #[test]
    fn the_words_mean_what_they_say() {
        let at = Duration::from_secs;
        let one = |s, keys, now| provider_state([(s, keys)], at(now));
        assert_eq!(one(network(None, false), false, 5), ProviderState::Cold);
        assert_eq!(one(network(Some(0), true), true, 600), ProviderState::Ready);
        assert_eq!(one(network(Some(0), true), true, 601), ProviderState::Stale);
        assert_eq!(one(network(Some(0), false), true, 1), ProviderState::Stale);
        assert_eq!(one(network(Some(0), false), true, 86_400), ProviderState::Stale);
        assert_eq!(one(network(Some(0), false), true, 86_401), ProviderState::Expired);
        assert_eq!(one(SourceStanding::Settled, true, u64::MAX), ProviderState::Ready);
        assert_eq!(one(SourceStanding::Unreadable, true, 0), ProviderState::Stale);
        assert_eq!(one(SourceStanding::Unreadable, false, 0), ProviderState::Cold);
    }

    #[test]
    fn keys_in_memory_make_an_unreachable_provider_stale_not_cold() {
        let sources = [(SourceStanding::Settled, true), (network(None, false), false)];
        assert_eq!(provider_state(sources, Duration::ZERO), ProviderState::Stale);
    }

    #[test]
    fn an_expired_source_beside_a_living_one_leaves_the_provider_stale() {
        let sources = [(SourceStanding::Settled, true), (network(Some(0), false), true)];
        assert_eq!(provider_state(sources, Duration::from_secs(90_000)), ProviderState::Stale);
    }
}
