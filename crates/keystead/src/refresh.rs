//! Drives the life cycles: one task per source, which alone touches disk or network.
//!
//! Everything here runs on one thread of its own, in a host program too. Providers are islands: a
//! source that hangs holds up nobody but itself.

mod panics;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::crypto::judged;
use crate::http::Fetch;
use crate::provider::{Attendance, Provider, Slot, SlotKind, Turn};
use crate::report;
use crate::snapshot;
use crate::source::{Failure, Fetched, Keys, Network, Tag, file, jwks_url};
pub(crate) use panics::spared;
use panics::{Panicked, begun_again, caught};

/// How many attempts may be under way at once.
const ATTEMPTS: usize = 64;
/// How many of them may be of sources whose latest attempt did not succeed, so that the dead cannot
/// starve the living.
const ATTEMPTS_OF_THE_UNPROVEN: usize = 32;

/// What every refresh task shares.
#[derive(Debug)]
pub(crate) struct Shared {
    fetch: Arc<dyn Fetch>,
    all: Semaphore,
    unproven: Semaphore,
}

impl Shared {
    pub(crate) fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self {
            fetch,
            all: Semaphore::new(ATTEMPTS),
            unproven: Semaphore::new(ATTEMPTS_OF_THE_UNPROVEN),
        }
    }

    /// Waits for a place. The semaphores are never closed, so that an error cannot happen; should
    /// it, the attempt goes on without a place.
    async fn place(&self, slot: &Slot) -> [Option<SemaphorePermit<'_>>; 2] {
        let first = if slot.is_proven() { None } else { self.unproven.acquire().await.ok() };
        [first, self.all.acquire().await.ok()]
    }
}

/// Starts the tasks of one provider; they end when the set is dropped.
pub(crate) fn spawn(provider: &Arc<Provider>, shared: &Arc<Shared>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let its = || Arc::clone(provider);
    for (at, slot) in provider.slots().iter().enumerate() {
        if slot.is_asked() {
            let (provider, shared) = (its(), Arc::clone(shared));
            let follow = move || follow(Arc::clone(&provider), at, Arc::clone(&shared));
            tasks.spawn(begun_again(its(), Arc::clone(&slot.origin), follow));
        }
    }
    let (watched, kept, attended) = (its(), its(), its());
    let watch = move || watch(Arc::clone(&watched));
    tasks.spawn(begun_again(its(), "state".into(), watch));
    let keep = move || snapshot::keep(Arc::clone(&kept));
    tasks.spawn(begun_again(its(), "snapshot".into(), keep));
    // It counts from now on, so that whoever asks before its first turn waits for that; and not after
    // a panic, so that nobody waits for it until it is back.
    let mut first = Some(Attendance::of(&attended));
    let attend = move || attend(first.take().unwrap_or_else(|| Attendance::of(&attended)));
    tasks.spawn(begun_again(its(), "waiters".into(), attend));
    tasks
}

/// Sees to what has its time: callers who wait for a key, and removed keys that have to go.
async fn attend(attendance: Attendance) {
    let provider = attendance.provider();
    loop {
        let (waiter, key) = (provider.settle(), provider.expire_removed());
        let next = waiter.into_iter().chain(key).min();
        match next {
            Some(at) => tokio::select! {
                () = attendance.rung() => {}
                () = sleep_until(&**provider.clock(), at) => {}
            },
            None => attendance.rung().await,
        }
    }
}

/// Reports the state whenever it changes, by an event or by itself.
async fn watch(provider: Arc<Provider>) {
    loop {
        let published = provider.published.notified();
        report::state(&provider);
        match provider.next_change() {
            Some(at) => tokio::select! {
                () = published => {}
                () = sleep_until(&**provider.clock(), at) => {}
            },
            None => published.await,
        }
    }
}

/// Follows one source for as long as it is configured.
async fn follow(provider: Arc<Provider>, at: usize, shared: Arc<Shared>) {
    let Some(slot) = provider.slots().get(at) else { return };
    if slot.is_network() {
        // What is on disk comes before any network.
        snapshot::loaded(&provider).await;
    }
    let network = Network {
        fetch: Arc::clone(&shared.fetch),
        clock: Arc::clone(provider.clock()),
        rules: Arc::clone(provider.rules()),
        counters: Arc::clone(provider.counters()),
    };
    loop {
        match slot.poll(&**provider.clock()) {
            Turn::Attempt { number, tag } => {
                let flight = Flight::new(&provider, slot, number);
                let attempt = async {
                    let none = [None, None];
                    let _place = if slot.is_file() { none } else { shared.place(slot).await };
                    caught(ask(slot, &network, tag.as_ref())).await
                };
                if let Some(result) = unless_superseded(slot, attempt).await {
                    flight.land(result.unwrap_or_else(|Panicked| Err(Failure::panicked())));
                }
            }
            Turn::Wait(Some(until)) => tokio::select! {
                () = sleep_until(&**provider.clock(), until) => {}
                () = slot.wake.notified() => {}
            },
            Turn::Wait(None) => slot.wake.notified().await,
        }
    }
}

/// An attempt to its end, or to the moment at which it has to make way for another one: that one's
/// answer is younger, and it does not share the fate of a connection that hangs.
async fn unless_superseded<T>(slot: &Slot, attempt: impl Future<Output = T>) -> Option<T> {
    let mut attempt = pin!(attempt);
    loop {
        tokio::select! {
            biased;
            result = &mut attempt => return Some(result),
            () = slot.wake.notified() => {
                if slot.is_superseded() {
                    return None;
                }
            }
        }
    }
}

/// One attempt.
async fn ask(slot: &Slot, network: &Network, tag: Option<&Tag>) -> Result<Fetched, Failure> {
    match &slot.kind {
        SlotKind::Discovery(discovery) => Ok(discovery.ask(network, tag).await?),
        SlotKind::JwksUrl(url) => Ok(jwks_url::ask(url, network, tag).await?),
        SlotKind::File(path) => {
            let path = path.clone();
            // On a network file system that may block for long: not on this thread.
            let read = tokio::task::spawn_blocking(move || read(&path)).await;
            read.unwrap_or_else(|_| Err(Failure::panicked()))
        }
        // Memory is never asked.
        SlotKind::Inline(_) | SlotKind::InProcess(_) => Err(Failure::panicked()),
    }
}

/// Reads a key file once, on this thread, unless an attempt is under way.
pub(crate) fn read_now(provider: &Provider, slot: &Slot) {
    let SlotKind::File(path) = &slot.kind else { return };
    slot.request();
    if let Turn::Attempt { number, .. } = slot.poll(&**provider.clock()) {
        Flight::new(provider, slot, number).land(read(path));
    }
}

fn read(path: &Path) -> Result<Fetched, Failure> {
    let set = judged(file::read(path).map_err(|error| Failure::from(&error))?);
    if set.keys().is_empty() {
        return Err(Failure::no_usable_key(path, &set));
    }
    Ok(Fetched { keys: Keys::Set(set, None), max_age: None, notice: None })
}

/// An attempt that is under way. Should it be dropped, it leaves no trace, so that the source is asked
/// at once when it is followed again.
struct Flight<'a> {
    provider: &'a Provider,
    slot: &'a Slot,
    number: u64,
    has_landed: bool,
}

impl<'a> Flight<'a> {
    const fn new(provider: &'a Provider, slot: &'a Slot, number: u64) -> Self {
        Self { provider, slot, number, has_landed: false }
    }

    /// Publishes what the attempt gave.
    fn land(mut self, result: Result<Fetched, Failure>) {
        let ended = self.slot.end(result, &**self.provider.clock());
        self.has_landed = true;
        self.provider.take_in_end(self.slot, self.number, &ended);
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.has_landed {
            self.slot.abandon();
        }
    }
}

/// Waits until the monotonic clock shows `until`.
async fn sleep_until(clock: &dyn Clock, until: Duration) {
    tokio::time::sleep(until.saturating_sub(clock.monotonic())).await;
}

/// Waits until every source that is asked has been asked once.
pub(crate) async fn first_attempts(providers: Vec<Arc<Provider>>, files_only: bool) {
    for provider in providers {
        let asked = provider.slots().iter().filter(|slot| slot.is_asked());
        for slot in asked.filter(|slot| !files_only || slot.is_file()) {
            let mut finished = slot.finished();
            // The sender lives in the slot, which `provider` keeps.
            let _gone = finished.wait_for(|count| *count > 0).await;
        }
    }
}
