//! Whether a provider is asked out of turn for a `kid` that is not held.

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::collections::HashSet;
use std::hash::DefaultHasher;

/// How many kids that were asked for in vain are remembered.
const MOST: usize = 128;
/// How many kids that were found are remembered: as many as one set may hold.
const MOST_FOUND: usize = 256;

/// Whether one provider is asked out of turn for a `kid` that is not held: its budget, and its
/// memory of kids that were asked for in vain.
///
/// Anybody can make up kids, and it must neither become a request each nor keep the one kid from
/// being asked for that was not made up:
/// * one fetch at a time; who comes while it is under way waits for the same answer. One that is under
///   way for longer than the cooldown, at a source that is slow, does not keep the others from being
///   asked again: another begins, of which the rest of it is a part;
/// * from the start of one to the start of the next the cooldown passes, whatever came of it, unless
///   it found a kid that it was made for: then the budget is whole again. A kid does that once: it is
///   a rotation the first time, and comes and goes with answers that take turns the next. The last
///   256 are remembered;
/// * a kid that a fetch did not bring is not asked for again before the cooldown has passed since the
///   start of that fetch, even if another kid has given the budget back. It is not left alone for
///   longer, however often it was missed: it may be one that somebody guessed and that the provider
///   will publish. That never decides on a token. At most 128 kids are remembered, by their digests.
///   They are forgotten when the keys change and when a fetch fails, because what was found then says
///   nothing any more.
///
/// A pure machine, like [`Lifecycle`](crate::Lifecycle); times are monotonic.
///
/// ```
/// use std::time::Duration;
/// use keystead_core::{UnknownKids, Wish};
///
/// let s = Duration::from_secs;
/// let mut kids = UnknownKids::new(s(30), 7);
/// assert_eq!(kids.wish(Some("made up"), s(0)), Wish::Start);
/// assert_eq!(kids.wish(Some("another"), s(0)), Wish::Join);
/// kids.on_ended(["the only key"]);
/// assert_eq!(kids.wish(Some("a third"), s(29)), Wish::Refused);
/// assert_eq!(kids.wish(Some("a third"), s(30)), Wish::Start);
/// kids.on_ended(["the only key", "a third"]);
/// assert_eq!(kids.wish(Some("a fourth"), s(31)), Wish::Start, "the budget is given back");
/// ```
#[derive(Clone, Debug)]
pub struct UnknownKids {
    cooldown: Duration,
    seed: u64,
    /// When the fetch started that spent the budget.
    spent: Option<Duration>,
    fetch: Option<Fetch>,
    missed: Vec<Missed>,
    /// The kids that have given the budget back, the latest last.
    found: Vec<KidDigest>,
}

/// The fetch that is under way.
#[derive(Clone, Debug, Default)]
struct Fetch {
    /// When somebody was last asked for it.
    started: Duration,
    /// The kids that it is made for, as many as can be remembered.
    kids: Vec<KidDigest>,
    /// Whether some part of it failed, so that it proves nothing about its kids.
    failed: bool,
}

/// A kid that was asked for in vain.
#[derive(Clone, Copy, Debug)]
struct Missed {
    kid: KidDigest,
    until: Duration,
}

/// What becomes of the wish to ask for a `kid`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a driver must know every answer")]
pub enum Wish {
    /// Ask now, and report with [`UnknownKids::on_ended`]. If a fetch is under way, what is left of
    /// it belongs to this one.
    Start,
    /// A fetch is under way, which answers this one too.
    Join,
    /// Nobody is asked.
    Refused,
}

/// A `kid` in eight bytes, which no presented text can make longer. Only whoever knows the seed can
/// find two kids with the same one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KidDigest(u64);

impl UnknownKids {
    /// A provider that was never asked out of turn.
    ///
    /// `seed` should be hard to guess: it keeps callers from making up a kid that is taken for
    /// another.
    #[must_use]
    pub const fn new(cooldown: Duration, seed: u64) -> Self {
        Self { cooldown, seed, spent: None, fetch: None, missed: Vec::new(), found: Vec::new() }
    }

    /// The digest by which this provider's kids are told apart; none: a token without a `kid`.
    #[must_use]
    pub fn digest(&self, kid: Option<&str>) -> KidDigest {
        // The seed comes first, so that without it nothing is known of the hasher's state.
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        kid.hash(&mut hasher);
        KidDigest(hasher.finish())
    }

    /// A token names this `kid` (none: no kid), no key of the provider fits it, and its sources can
    /// be asked: whether they are.
    pub fn wish(&mut self, kid: Option<&str>, now: Duration) -> Wish {
        if self.is_cooling_down(now) || self.was_missed(self.digest(kid), now) {
            return if self.join(kid) { Wish::Join } else { Wish::Refused };
        }
        self.spent = Some(now);
        self.fetch.get_or_insert_default().started = now;
        self.join(kid);
        Wish::Start
    }

    /// The same, where there is nobody left to ask: whether a fetch is under way that answers this
    /// one too.
    pub fn join(&mut self, kid: Option<&str>) -> bool {
        let kid = self.digest(kid);
        let Some(fetch) = &mut self.fetch else { return false };
        if fetch.kids.len() < MOST && !fetch.kids.contains(&kid) {
            fetch.kids.push(kid);
        }
        true
    }

    /// The fetch has ended, at every source, and these are the kids of the keys that are held now.
    pub fn on_ended<'a>(&mut self, held: impl IntoIterator<Item = &'a str>) {
        let Some(fetch) = self.fetch.take() else { return };
        let held: HashSet<_> = held.into_iter().map(|kid| self.digest(Some(kid))).collect();
        let (found, missed): (Vec<_>, Vec<_>) =
            fetch.kids.into_iter().partition(|kid| held.contains(kid));
        self.give_back(&found);
        if !fetch.failed {
            for kid in missed {
                self.miss(kid, fetch.started);
            }
        }
    }

    /// These are the kids of the keys that are held now, while the fetch is still under way at some
    /// source. If one is among them that it was made for, it is over as far as the budget goes, and
    /// whether it is: one source that hangs does not keep the others from being asked again.
    pub fn on_held<'a>(&mut self, held: impl IntoIterator<Item = &'a str>) -> bool {
        let Some(fetch) = &self.fetch else { return false };
        let held = held.into_iter().map(|kid| self.digest(Some(kid)));
        let found: Vec<_> = held.filter(|kid| fetch.kids.contains(kid)).collect();
        if found.is_empty() {
            return false;
        }
        self.fetch = None;
        self.give_back(&found);
        true
    }

    /// The fetch was given up, and nobody will report its end.
    pub fn on_abandoned(&mut self) {
        self.fetch = None;
    }

    /// The keys of the provider are others than before.
    pub fn on_changed(&mut self) {
        self.missed.clear();
    }

    /// A network source of the provider gave no keys, to whomever asked.
    pub fn on_failed(&mut self) {
        self.missed.clear();
        if let Some(fetch) = &mut self.fetch {
            fetch.failed = true;
        }
    }

    /// How many kids are remembered that were asked for in vain.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.missed.len()
    }

    fn is_cooling_down(&self, now: Duration) -> bool {
        self.spent.is_some_and(|started| now.saturating_sub(started) < self.cooldown)
    }

    fn was_missed(&self, kid: KidDigest, now: Duration) -> bool {
        self.missed.iter().any(|missed| missed.kid == kid && now < missed.until)
    }

    /// These kids were found. Every one of them gives the budget back once.
    fn give_back(&mut self, found: &[KidDigest]) {
        for kid in found {
            if !self.found.contains(kid) {
                self.found.push(*kid);
                self.spent = None;
            }
        }
        self.found.drain(..self.found.len().saturating_sub(MOST_FOUND));
    }

    fn miss(&mut self, kid: KidDigest, started: Duration) {
        self.missed.retain(|missed| missed.kid != kid);
        if self.missed.len() >= MOST {
            let first = self.missed.iter().enumerate().min_by_key(|(_, missed)| missed.until);
            if let Some((at, _)) = first {
                self.missed.swap_remove(at);
            }
        }
        self.missed.push(Missed { kid, until: started.saturating_add(self.cooldown) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn kids() -> UnknownKids {
        UnknownKids::new(s(30), 7)
    }

    /// Asks in vain at this time.
    fn ask_in_vain(kids: &mut UnknownKids, kid: &str, at: Duration) {
        assert_eq!(kids.wish(Some(kid), at), Wish::Start, "{kid} at {at:?}");
        kids.on_ended(["held"]);
    }

    #[test]
    fn the_cooldown_counts_from_the_start_of_an_attempt_whatever_came_of_it() {
        let mut kids = kids();
        assert_eq!(kids.wish(Some("a"), s(10)), Wish::Start);
        kids.on_failed();
        kids.on_ended(["held"]);
        assert_eq!(kids.wish(Some("b"), s(39)), Wish::Refused);
        assert_eq!(kids.wish(Some("b"), s(40)), Wish::Start);
        kids.on_abandoned();
        assert_eq!(kids.wish(Some("c"), s(69)), Wish::Refused);
        assert_eq!(kids.wish(Some("c"), s(70)), Wish::Start);
    }

    /// Somebody may have guessed it before the provider publishes it.
    #[test]
    fn a_kid_that_is_missed_again_and_again_is_asked_for_once_in_the_cooldown() {
        for cooldown in [1, 30, 3_600] {
            let mut kids = UnknownKids::new(s(cooldown), 7);
            for n in 0..20 {
                ask_in_vain(&mut kids, "guessed", s(cooldown * n));
                let next = s(cooldown * (n + 1));
                let early = next.saturating_sub(Duration::from_millis(1));
                assert_eq!(kids.wish(Some("guessed"), early), Wish::Refused);
            }
        }
    }

    #[test]
    fn what_was_missed_is_forgotten_when_keys_change_and_when_a_fetch_fails() {
        for forget in [UnknownKids::on_changed, UnknownKids::on_failed] {
            let mut kids = kids();
            assert_eq!(kids.wish(Some("a"), s(0)), Wish::Start);
            assert_eq!(kids.wish(Some("real"), s(0)), Wish::Join);
            kids.on_ended(["real"]);
            assert_eq!(kids.wish(Some("a"), s(29)), Wish::Refused, "though the budget is whole");
            forget(&mut kids);
            assert_eq!(kids.remembered(), 0);
            assert_eq!(kids.wish(Some("a"), s(29)), Wish::Start);
        }
    }

    #[test]
    fn a_fetch_that_failed_in_part_proves_nothing() {
        let mut kids = kids();
        assert_eq!(kids.wish(Some("a"), s(0)), Wish::Start);
        kids.on_failed();
        kids.on_ended(["held"]);
        assert_eq!(kids.remembered(), 0);
    }

    #[test]
    fn who_joins_is_missed_and_found_like_who_started() {
        let mut kids = kids();
        assert_eq!(kids.wish(Some("made up"), s(0)), Wish::Start);
        assert_eq!(kids.wish(Some("real"), s(0)), Wish::Join);
        kids.on_changed();
        kids.on_ended(["held", "real"]);
        assert_eq!(kids.remembered(), 1, "what was made up is missed in the new set too");
        assert_eq!(kids.wish(Some("made up"), s(1)), Wish::Refused);
        assert_eq!(kids.wish(Some("other"), s(1)), Wish::Start, "the budget was given back");
    }

    #[test]
    fn a_fetch_that_takes_longer_than_the_cooldown_is_begun_again_and_goes_on() {
        let mut kids = kids();
        assert!(!kids.join(Some("nobody is asked")));
        assert_eq!(kids.wish(Some("first"), s(0)), Wish::Start);
        assert_eq!(kids.wish(Some("joined"), s(29)), Wish::Join);
        assert_eq!(kids.wish(Some("second"), s(30)), Wish::Start);
        assert!(kids.join(Some("late")));
        assert_eq!(kids.wish(Some("third"), s(59)), Wish::Join, "counted from the second start");
        kids.on_ended(["held"]);
        assert_eq!(kids.remembered(), 5, "all of them were missed");
        for kid in ["first", "joined", "second", "late", "third"] {
            assert_eq!(kids.wish(Some(kid), s(59)), Wish::Refused);
        }
        assert_eq!(kids.wish(Some("first"), s(60)), Wish::Start);
    }

    #[test]
    fn a_kid_that_is_found_ends_the_fetch_wherever_else_it_is_under_way() {
        let mut kids = kids();
        assert!(!kids.on_held(["real"]), "nobody asked");
        assert_eq!(kids.wish(Some("made up"), s(0)), Wish::Start);
        assert_eq!(kids.wish(Some("real"), s(0)), Wish::Join);
        assert!(!kids.on_held(["held"]));
        assert!(kids.on_held(["held", "real"]));
        assert_eq!(kids.remembered(), 0, "the others may still be found");
        assert_eq!(kids.wish(Some("other"), s(0)), Wish::Start);
    }

    /// The replicas of a provider that disagree are asked no more often than any other.
    #[test]
    fn a_kid_gives_the_budget_back_once() {
        let mut kids = kids();
        for (at, kid) in [(0, "a"), (1, "b"), (2, "a")] {
            assert_eq!(kids.wish(Some(kid), s(at)), Wish::Start);
            kids.on_ended(["x", kid]);
        }
        assert_eq!(kids.wish(Some("b"), s(31)), Wish::Refused, "both have been found before");
        assert_eq!(kids.wish(Some("b"), s(32)), Wish::Start);
        assert!(kids.on_held(["x", "b"]));
        assert_eq!(kids.wish(Some("c"), s(61)), Wish::Refused, "found somewhere or everywhere");
        assert_eq!(kids.wish(Some("c"), s(62)), Wish::Start);
        kids.on_ended(["x", "c"]);
        assert_eq!(kids.wish(Some("d"), s(63)), Wish::Start, "a rotation is one as ever");
        kids.on_ended(["x", "d"]);
        // However many there are.
        for n in 0..1_000 {
            let kid = format!("rotated-{n}");
            assert_eq!(kids.wish(Some(&kid), s(64)), Wish::Start);
            kids.on_ended(["x", &kid]);
        }
        assert_eq!(kids.found.len(), MOST_FOUND);
    }

    #[test]
    fn a_token_without_a_kid_is_one_more_kid() {
        let mut kids = kids();
        assert_eq!(kids.wish(None, s(0)), Wish::Start);
        kids.on_ended(["", "held"]);
        assert_eq!(kids.remembered(), 1, "it is not the empty kid");
        assert_eq!(kids.wish(Some(""), s(30)), Wish::Start);
    }

    #[test]
    fn the_memory_is_bounded_and_loses_what_ends_first() {
        let mut kids = kids();
        ask_in_vain(&mut kids, "first", s(30));
        for n in 2..1_000 {
            // One starts the fetch, and two hundred join it.
            for joined in 0..200 {
                let kid = format!("{n}-{joined}");
                assert_ne!(kids.wish(Some(&kid), s(30 * n)), Wish::Refused);
            }
            kids.on_ended(["held"]);
            assert_eq!(kids.remembered(), MOST);
        }
    }

    #[test]
    fn digests_differ_with_kid_and_seed() {
        let (one, other) = (UnknownKids::new(s(30), 1), UnknownKids::new(s(30), 2));
        assert_eq!(one.digest(Some("a")), one.digest(Some("a")));
        assert_ne!(one.digest(Some("a")), one.digest(Some("b")));
        assert_ne!(one.digest(Some("a")), other.digest(Some("a")));
    }
}
