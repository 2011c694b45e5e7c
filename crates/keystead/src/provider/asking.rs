//! A token whose key is not held: whether its provider is asked for it, and who waits for the answer.
//!
//! Callers wait on whatever runtime is theirs, and need none of its timers: the refresh tells them
//! when to go on, at the latest when their time is up.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_core::{KidDigest, UnknownKids, Wish};
use tokio::sync::{Notify, oneshot};

use super::{Provider, lock};
use crate::config::ProviderConfig;
use crate::counters::UnknownKid;
use crate::report;

/// How many callers may wait for one provider; everybody else is answered at once.
const WAITERS: usize = 256;

/// What came of asking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// Nobody was asked, and nothing is on its way.
    Nobody,
    /// What could be had is in.
    Answered,
    /// Something that could bring the key is still on its way.
    Unanswered,
}

/// Who waits for one provider, and for what.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// Rung when somebody should look who can go on, before the time that was planned.
    rung: Notify,
}

#[derive(Debug)]
struct State {
    kids: UnknownKids,
    /// The fetch that was made for unknown kids, as long as not all of it has ended.
    fetch: Option<Vec<Awaited>>,
    waiters: Vec<Waiter>,
    /// How many tasks see to it that nobody waits for ever.
    attendants: usize,
}

/// An attempt on one source, by its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Awaited {
    slot: usize,
    attempt: u64,
}

#[derive(Debug)]
struct Waiter {
    kid: Option<KidDigest>,
    awaits: Vec<Awaited>,
    /// Monotonic time.
    until: Duration,
    answer: oneshot::Sender<Asked>,
}

impl Desk {
    pub(super) fn new(config: &ProviderConfig, seed: u64) -> Self {
        let state = State {
            kids: UnknownKids::new(config.unknown_kid_cooldown, seed),
            fetch: None,
            waiters: Vec::new(),
            attendants: 0,
        };
        Self { state: Mutex::new(state), rung: Notify::new() }
    }

    /// The keys of the provider are others than before.
    pub(super) fn keys_changed(&self) {
        lock(&self.state).kids.on_changed();
    }

    /// A network source gave no keys.
    pub(super) fn fetch_failed(&self) {
        lock(&self.state).kids.on_failed();
    }

    /// Has the attendant look now.
    pub(super) fn ring(&self) {
        self.rung.notify_one();
    }

    /// When it is time to look, told by somebody.
    pub(crate) async fn rung(&self) {
        self.rung.notified().await;
    }
}

impl Provider {
    /// A token of this provider names a `kid` for which no key is held (none: no `kid`): waits for
    /// what can be done about that, for at most `unknown_kid_wait`.
    ///
    /// Every network source whose latest attempt succeeded is asked, if the budget allows it; and
    /// whatever is under way anyway that could bring the key is waited for. Answers at once when
    /// nobody makes the attempts.
    pub(crate) async fn ask_for(&self, kid: Option<&str>) -> Asked {
        let taken = self.take_up(kid);
        // Without any key, no kid is known: that is another trouble.
        if self.state_of(&self.held(), self.clock.monotonic()).can_verify() {
            self.count(&taken);
        }
        let Taken { begun, answer } = taken;
        if begun {
            report::unknown_kid(self, kid);
        }
        match answer {
            Ok(answer) => answer,
            // The sender is dropped when the refresh ends.
            Err(answer) => answer.await.unwrap_or(Asked::Unanswered),
        }
    }

    fn count(&self, taken: &Taken) {
        match taken {
            Taken { begun: true, .. } => self.counters.unknown_kid(UnknownKid::Refetched),
            Taken { answer: Err(_), .. } => self.counters.unknown_kid(UnknownKid::Joined),
            // Its key came while the token was judged.
            Taken { answer: Ok(Asked::Answered), .. } => {}
            Taken { answer: Ok(_), .. } => self.counters.unknown_kid(UnknownKid::Suppressed),
        }
    }

    fn take_up(&self, kid: Option<&str>) -> Taken {
        let at_once = |begun, answer| Taken { begun, answer: Ok(answer) };
        let now = self.clock.monotonic();
        let mut state = lock(&self.desk.state);
        // It may have come since the token was judged. Looked up under the lock: what ends a fetch
        // has published before it takes that.
        if self.holds(kid, now) {
            return at_once(false, Asked::Answered);
        }
        if state.attendants == 0 {
            return at_once(false, Asked::Nobody);
        }
        let begun = self.begin(&mut state, kid, now);
        let awaits = self.under_way(state.fetch.as_deref().unwrap_or_default());
        if awaits.is_empty() {
            return at_once(begun, Asked::Nobody);
        }
        let wait = self.config.unknown_kid_wait;
        if state.waiters.len() >= WAITERS {
            state.waiters.retain(|waiter| !waiter.answer.is_closed());
        }
        if wait.is_zero() || state.waiters.len() >= WAITERS {
            return at_once(begun, Asked::Unanswered);
        }
        let (answer, answered) = oneshot::channel();
        let kid = kid.map(|kid| state.kids.digest(Some(kid)));
        state.waiters.push(Waiter { kid, awaits, until: now.saturating_add(wait), answer });
        drop(state);
        self.desk.ring();
        Taken { begun, answer: Err(answered) }
    }

    /// Begins a fetch for this kid, if there is somebody to ask and the budget allows it. Whoever is
    /// being asked already is not somebody: a slow source delays no other one for longer than the
    /// budget does.
    fn begin(&self, state: &mut State, kid: Option<&str>, now: Duration) -> bool {
        let is_asked = |slot: usize| {
            let mut parts = state.fetch.iter().flatten();
            parts.any(|awaited| awaited.slot == slot && self.is_open(*awaited))
        };
        let somebody = self
            .slots
            .iter()
            .enumerate()
            .any(|(at, slot)| slot.is_network() && slot.is_proven() && !is_asked(at));
        let wish = if somebody { state.kids.wish(kid, now) } else { Wish::Refused };
        if wish != Wish::Start {
            state.kids.join(kid);
            return false;
        }
        let forced = self.slots.iter().enumerate().filter_map(|(slot, source)| {
            let attempt = source.force_if_proven()?;
            Some(Awaited { slot, attempt })
        });
        state.fetch = Some(forced.collect());
        true
    }

    /// Everything that is under way, or about to be, and could bring a key that is not held: the
    /// fetch for unknown kids, every source's very first attempt, and attempts on sources that
    /// answered the last time. Not those on sources that failed the last time: whoever cannot be
    /// reached delays nobody.
    fn under_way(&self, fetch: &[Awaited]) -> Vec<Awaited> {
        let others = self.slots.iter().enumerate().filter_map(|(slot, source)| {
            source.hopeful_attempt().map(|attempt| Awaited { slot, attempt })
        });
        let mut all: Vec<Awaited> =
            fetch.iter().copied().filter(|awaited| self.is_open(*awaited)).collect();
        for other in others {
            // An attempt that is superseded is followed by the one of the fetch.
            if !all.iter().any(|known| known.slot == other.slot) {
                all.push(other);
            }
        }
        all
    }

    fn is_open(&self, awaited: Awaited) -> bool {
        self.slots.get(awaited.slot).is_some_and(|slot| slot.latest_ended() < awaited.attempt)
    }

    /// Whether a key with this very kid can be used.
    fn holds(&self, kid: Option<&str>, now: Duration) -> bool {
        let live = self.held();
        let mut named = live.candidates(kid).filter(|key| key.jwk().kid() == kid);
        kid.is_some() && named.any(|key| live.serves(key, now))
    }

    /// Lets those go on who have what they wait for, or whose time is up, and says when the next
    /// one's is (monotonic time).
    pub(crate) fn settle(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let mut state = lock(&self.desk.state);
        let live = self.held();
        let keys = live.keys().iter().filter(|key| live.serves(key, now));
        let kids = keys.filter_map(|key| key.jwk().kid());
        if let Some(fetch) = state.fetch.take() {
            if !fetch.iter().any(|awaited| self.is_open(*awaited)) {
                state.kids.on_ended(kids.clone());
            } else if !state.kids.on_held(kids.clone()) {
                state.fetch = Some(fetch);
            }
        }
        if state.waiters.is_empty() {
            return None;
        }
        let held: HashSet<KidDigest> = kids.map(|kid| state.kids.digest(Some(kid))).collect();
        let mut next: Option<Duration> = None;
        for waiter in std::mem::take(&mut state.waiters) {
            let found = waiter.kid.is_some_and(|kid| held.contains(&kid));
            let open = waiter.awaits.iter().any(|awaited| self.is_open(*awaited));
            if open && !found && now < waiter.until {
                next = Some(next.map_or(waiter.until, |next| next.min(waiter.until)));
                state.waiters.push(waiter);
                continue;
            }
            let asked = if open && !found { Asked::Unanswered } else { Asked::Answered };
            // It may have left.
            let _left = waiter.answer.send(asked);
        }
        next
    }
}

/// What became of a question.
struct Taken {
    /// Whether a fetch was begun for it.
    begun: bool,
    /// The answer, or where it will come from.
    answer: Result<Asked, oneshot::Receiver<Asked>>,
}

/// Stands for a task that lets waiters go on. Without one nobody waits.
pub(crate) struct Attendance(Arc<Provider>);

impl Attendance {
    pub(crate) fn of(provider: &Arc<Provider>) -> Self {
        let mut state = lock(&provider.desk.state);
        state.attendants = state.attendants.saturating_add(1);
        drop(state);
        Self(Arc::clone(provider))
    }

    pub(crate) fn provider(&self) -> &Provider {
        &self.0
    }

    /// Waits until somebody rings.
    pub(crate) async fn rung(&self) {
        self.0.desk.rung().await;
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut state = lock(&self.0.desk.state);
        state.attendants = state.attendants.saturating_sub(1);
        if state.attendants == 0 {
            // Nobody makes attempts any more. Those who wait are told by the end of their channel.
            state.waiters.clear();
            state.fetch = None;
            state.kids.on_abandoned();
        }
    }
}
