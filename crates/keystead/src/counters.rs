//! What is counted while a verifier runs. Each provider has its counters beside it, so that a
//! request touches nothing but a few atomics; [`metrics`](crate::metrics) reads them when somebody
//! asks.

mod durations;
mod words;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keystead_core::{Code, Freshness, Rejection, VerifiedToken};

pub use durations::Distribution;
use durations::Durations;
pub use words::{DocumentKind, Face, UnknownKid, Verdict};

/// The bounds for judging a token, 10 µs to 1 s, in microseconds.
const JUDGING: [u64; 11] = [10, 25, 50, 100, 250, 500, 1_000, 10_000, 100_000, 500_000, 1_000_000];
/// The bounds for fetching a document, 5 ms to 10 s, in microseconds.
const FETCHING: [u64; 11] = [
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

/// The counters of one provider.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) decisions: Decisions,
    /// By [`UnknownKid::ALL`].
    unknown_kids: [AtomicU64; UnknownKid::ALL.len()],
    /// Fetches stand on no request's path, so that a lock does no harm here; and what may come of
    /// one is not a list that has to be kept in step with the errors there are.
    fetches: Mutex<BTreeMap<(DocumentKind, &'static str), u64>>,
    fetching: Durations<{ FETCHING.len() }>,
}

impl Counters {
    /// Counts a token whose `kid` no key has.
    pub(crate) fn unknown_kid(&self, outcome: UnknownKid) {
        count_at(&self.unknown_kids, UnknownKid::ALL.iter().position(|known| *known == outcome));
    }

    /// Counts how a document was had, or why it was not, in one word.
    pub(crate) fn fetched(&self, document: DocumentKind, result: &'static str, took: Duration) {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        let count = fetches.entry((document, result)).or_default();
        *count = count.saturating_add(1);
        self.fetching.observe(took);
    }

    pub(crate) fn unknown_kids(&self) -> BTreeMap<UnknownKid, u64> {
        UnknownKid::ALL.into_iter().zip(self.unknown_kids.iter().map(read)).collect()
    }

    pub(crate) fn fetches(&self) -> BTreeMap<(DocumentKind, &'static str), u64> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn fetching(&self) -> Distribution {
        self.fetching.read()
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            decisions: Decisions::default(),
            unknown_kids: Default::default(),
            fetches: Mutex::default(),
            fetching: Durations::new(&FETCHING),
        }
    }
}

/// What faces answered about tokens of one provider, or of none.
#[derive(Debug)]
pub(crate) struct Decisions {
    /// By [`Face::ALL`].
    faces: [OfFace; Face::ALL.len()],
    stale: AtomicU64,
}

#[derive(Debug)]
struct OfFace {
    allowed: AtomicU64,
    /// By [`Code::ALL`].
    refused: [AtomicU64; Code::ALL.len()],
}

impl Decisions {
    pub(crate) fn count(&self, face: Face, decision: Result<&VerifiedToken, &Rejection>) {
        let at = Face::ALL.iter().position(|known| *known == face);
        let Some(counts) = at.and_then(|at| self.faces.get(at)) else { return };
        match decision {
            Ok(token) => {
                count(&counts.allowed);
                if token.freshness() == Freshness::Stale {
                    count(&self.stale);
                }
            }
            Err(rejection) => {
                let code = rejection.code();
                count_at(&counts.refused, Code::ALL.iter().position(|known| *known == code));
            }
        }
    }

    pub(crate) fn read(&self) -> DecisionCounts {
        let faces = || Face::ALL.into_iter().zip(&self.faces);
        let refused = faces().flat_map(|(face, counts)| {
            let codes = Code::ALL.into_iter().zip(counts.refused.iter().map(read));
            codes.filter(|(_, count)| *count > 0).map(move |(code, count)| ((face, code), count))
        });
        DecisionCounts {
            allowed: faces().map(|(face, counts)| (face, read(&counts.allowed))).collect(),
            refused: refused.collect(),
            stale: read(&self.stale),
        }
    }
}

impl Default for Decisions {
    fn default() -> Self {
        let of_face = |_| OfFace {
            allowed: AtomicU64::new(0),
            refused: [const { AtomicU64::new(0) }; Code::ALL.len()],
        };
        Self { faces: std::array::from_fn(of_face), stale: AtomicU64::new(0) }
    }
}

/// What faces answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DecisionCounts {
    /// How many tokens each face accepted.
    pub allowed: BTreeMap<Face, u64>,
    /// How many requests each face refused, and why; only what there was.
    pub refused: BTreeMap<(Face, Code), u64>,
    /// How many tokens were accepted with keys that may not be the newest.
    pub stale: u64,
}

/// How long judging took, by face and verdict, whatever the provider.
#[derive(Debug)]
pub(crate) struct Judging([[Durations<{ JUDGING.len() }>; Verdict::ALL.len()]; Face::ALL.len()]);

impl Judging {
    pub(crate) fn observe(&self, face: Face, verdict: Verdict, took: Duration) {
        let at = Face::ALL.iter().position(|known| *known == face);
        let of_face = at.and_then(|at| self.0.get(at)).into_iter().flatten();
        let mut of_verdict = of_face.zip(Verdict::ALL).filter(|(_, known)| *known == verdict);
        if let Some((durations, _)) = of_verdict.next() {
            durations.observe(took);
        }
    }

    pub(crate) fn read(&self) -> BTreeMap<(Face, Verdict), Distribution> {
        let faces = Face::ALL.into_iter().zip(&self.0);
        let all = faces.flat_map(|(face, of_face)| {
            let verdicts = Verdict::ALL.into_iter().zip(of_face);
            verdicts.map(move |(verdict, durations)| ((face, verdict), durations.read()))
        });
        all.collect()
    }
}

impl Default for Judging {
    fn default() -> Self {
        let of_face = |_| std::array::from_fn(|_| Durations::new(&JUDGING));
        Self(std::array::from_fn(of_face))
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn count_at(counters: &[AtomicU64], at: Option<usize>) {
    if let Some(counter) = at.and_then(|at| counters.get(at)) {
        count(counter);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_core::Reason;

    #[test]
    fn a_refusal_is_counted_by_face_and_code() {
        let decisions = Decisions::default();
        let refused = Rejection::new(Reason::Empty);
        decisions.count(Face::Verify, Err(&refused));
        decisions.count(Face::Verify, Err(&refused));
        decisions.count(Face::ForwardAuth, Err(&Rejection::new(Reason::Missing)));
        let counts = decisions.read();
        let expected =
            [((Face::ForwardAuth, Code::AuthMissing), 1), ((Face::Verify, Code::TokenEmpty), 2)];
        assert_eq!(counts.refused, BTreeMap::from(expected));
        assert_eq!(counts.allowed, Face::ALL.map(|face| (face, 0)).into());
    }

    #[test]
    fn unknown_kids_are_counted_by_what_became_of_them() {
        let counters = Counters::default();
        counters.unknown_kid(UnknownKid::Suppressed);
        counters.unknown_kid(UnknownKid::Suppressed);
        counters.unknown_kid(UnknownKid::Refetched);
        let expected =
            [(UnknownKid::Joined, 0), (UnknownKid::Refetched, 1), (UnknownKid::Suppressed, 2)];
        assert_eq!(counters.unknown_kids(), expected.into());
    }

    #[test]
    fn judging_is_measured_by_face_and_verdict() {
        let judging = Judging::default();
        judging.observe(Face::Verify, Verdict::Refuse, Duration::from_micros(30));
        for (at, distribution) in judging.read() {
            let expected = u64::from(at == (Face::Verify, Verdict::Refuse));
            assert_eq!(distribution.count(), expected, "{at:?}");
        }
    }
}
