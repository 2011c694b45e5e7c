//! What happens to one machine, as the fuzzer's bytes tell it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use keystead::core::{EcCurve, Jwk, KeySet, Material};

/// Everything that one run is about.
#[derive(Arbitrary, Debug)]
pub(super) struct Story {
    pub(super) kind: Kind,
    pub(super) interval: Span,
    pub(super) max_stale: Option<Span>,
    pub(super) grace: Span,
    pub(super) jitter: u8,
    pub(super) seed: u64,
    pub(super) cooldown: Span,
    pub(super) events: Vec<Event>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Kind {
    File,
    Memory,
    Network,
}

/// A stretch of time, short, long or absurd.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Span {
    Millis(u16),
    Seconds(u16),
    Hours(u8),
    Nanos(u8),
    Any(u64, u32),
    Longest,
}

impl Span {
    pub(super) fn time(self) -> Duration {
        match self {
            Self::Millis(n) => Duration::from_millis(n.into()),
            Self::Seconds(n) => Duration::from_secs(n.into()),
            Self::Hours(n) => Duration::from_secs(3_600 * u64::from(n)),
            Self::Nanos(n) => Duration::from_nanos(n.into()),
            Self::Any(seconds, nanos) => Duration::new(seconds, nanos % 1_000_000_000),
            Self::Longest => Duration::MAX,
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub(super) enum Event {
    Abandon,
    Expire,
    Failed(Option<Span>),
    Fetched(Vec<u8>, Option<Span>),
    Force,
    Forward(Span),
    /// A fetch for an unknown kid ends, and these kids are held.
    KidsEnded(Vec<u8>),
    KidsFailed,
    KidsGivenUp,
    KidsHeld(Vec<u8>),
    Poll,
    Request,
    Restore(Span, Vec<u8>, Vec<(u8, Span)>),
    Rewind(Span),
    /// Time passes to just the moment that the machine asked for.
    UntilDue,
    Unchanged(Option<Span>),
    Wish(u8),
}

/// Few materials, so that sets overlap, replace each other and return.
pub(super) fn material(n: u8) -> u8 {
    n % 6
}

pub(super) fn key(n: u8) -> Jwk {
    let coordinate: Box<[u8]> = [material(n); 32].into();
    let (x, y) = (coordinate.clone(), coordinate);
    let kid = ["a", "b", "c"][usize::from(n / 64) % 3];
    Jwk::new(Some(kid), None, Material::Ec { curve: EcCurve::P256, x, y }).expect("it is sound")
}

pub(super) fn set(keys: &[u8]) -> KeySet {
    KeySet::new(keys.iter().take(8).map(|n| key(*n)))
}

pub(super) fn materials<'a>(keys: impl IntoIterator<Item = &'a Arc<Jwk>>) -> BTreeSet<u8> {
    let x = |key: &Arc<Jwk>| match key.material() {
        Material::Ec { x, .. } => x[0],
        other => panic!("not made here: {other:?}"),
    };
    keys.into_iter().map(x).collect()
}
