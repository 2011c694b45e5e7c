//! Drives the life cycles: one task per source, which alone touches disk or network.
//!
//! Everything here runs on one thread of its own, in a host program too. Providers are islands: a
//! source that hangs holds up nobody but itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keystead_core::{Action, KeySet};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::http::Fetch;
use crate::provider::{Provider, Slot, SlotKind};
use crate::report;
use crate::source::discovery::Discovery;
use crate::source::file::{KeyFile, Read};
use crate::source::{Failure, Fetched, Network, jwks_url};

/// How many attempts may be under way at once.
const ATTEMPTS: usize = 64;
/// How many of them may be of sources whose latest attempt failed, so that the dead cannot starve
/// the living.
const ATTEMPTS_OF_THE_FAILING: usize = 32;

/// What every refresh task shares.
#[derive(Debug)]
pub(crate) struct Shared {
    fetch: Arc<dyn Fetch>,
    all: Semaphore,
    failing: Semaphore,
}

impl Shared {
    pub(crate) fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self {
            fetch,
            all: Semaphore::new(ATTEMPTS),
            failing: Semaphore::new(ATTEMPTS_OF_THE_FAILING),
        }
    }

    /// Waits for a place. The semaphores are never closed, so that an error cannot happen; should
    /// it, the attempt goes on without a place.
    async fn place(&self, failing: bool) -> [Option<SemaphorePermit<'_>>; 2] {
        let first = if failing { self.failing.acquire().await.ok() } else { None };
        [first, self.all.acquire().await.ok()]
    }
}

/// Starts the tasks of one provider; they end when the set is dropped.
pub(crate) fn spawn(provider: &Arc<Provider>, shared: &Arc<Shared>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (at, slot) in provider.slots().iter().enumerate() {
        if slot.is_asked() {
            tasks.spawn(follow(Arc::clone(provider), at, Arc::clone(shared)));
        }
    }
    tasks.spawn(watch(Arc::clone(provider)));
    tasks
}

/// Reports the state whenever it changes, by an event or by itself.
async fn watch(provider: Arc<Provider>) {
    loop {
        let published = provider.published.notified();
        if let Some((was, now)) = provider.state_change() {
            report::state(&provider, was, now);
        }
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
    let network = Network {
        fetch: Arc::clone(&shared.fetch),
        clock: Arc::clone(provider.clock()),
        rules: Arc::clone(provider.rules()),
    };
    let mut asker = Asker::new(&provider, slot);
    loop {
        match slot.poll(&**provider.clock()) {
            Action::Fetch => {
                let flight = Flight { provider: &provider, slot, landed: false };
                let failing = slot.cell().last_error.is_some();
                let _place =
                    if slot.is_file() { [None, None] } else { shared.place(failing).await };
                if slot.expire_metadata.swap(false, Ordering::Relaxed) {
                    asker.expire_metadata();
                }
                let result = asker.ask(&network, slot).await;
                flight.land(result);
            }
            Action::Wait(Some(until)) => tokio::select! {
                () = sleep_until(&**provider.clock(), until) => {}
                () = slot.requested.notified() => {}
            },
            Action::Wait(None) => slot.requested.notified().await,
        }
    }
}

/// An attempt that is under way. Should its task be ended, the attempt counts as failed: a source
/// must never be left with an attempt that nobody makes.
struct Flight<'a> {
    provider: &'a Provider,
    slot: &'a Slot,
    landed: bool,
}

impl Flight<'_> {
    fn land(mut self, result: Result<Fetched, Failure>) {
        self.landed = true;
        let result = result.map(|Fetched { set, max_age, notice }| {
            (set, max_age, notice.as_ref().map(Failure::from))
        });
        let ended = self.slot.end(result, &**self.provider.clock());
        self.provider.publish();
        report::attempt(self.provider, self.slot, &ended);
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.slot.cell().lifecycle.on_failed(self.provider.clock().monotonic(), None);
        }
    }
}

/// How a source is asked, with what it remembers from one attempt to the next.
enum Asker {
    Nobody,
    File(Option<KeyFile>),
    JwksUrl,
    Discovery(Box<Discovery>),
}

impl Asker {
    fn new(provider: &Provider, slot: &Slot) -> Self {
        match &slot.kind {
            SlotKind::Inline | SlotKind::InProcess(_) => Self::Nobody,
            SlotKind::File(path) => Self::File(Some(KeyFile::new(path))),
            SlotKind::JwksUrl(_) => Self::JwksUrl,
            SlotKind::Discovery(addresses, endpoint_origin) => {
                let policy = &provider.config().policy;
                let issuers = std::iter::once(&policy.issuer).chain(&policy.aliases).cloned();
                Self::Discovery(Box::new(Discovery::new(
                    &provider.config().name,
                    issuers.collect(),
                    addresses.clone(),
                    *endpoint_origin,
                )))
            }
        }
    }

    fn expire_metadata(&mut self) {
        if let Self::Discovery(discovery) = self {
            discovery.expire();
        }
    }

    async fn ask(&mut self, network: &Network, slot: &Slot) -> Result<Fetched, Failure> {
        match (self, &slot.kind) {
            (Self::Discovery(discovery), _) => {
                discovery.ask(network).await.map_err(|error| Failure::from(&error))
            }
            (Self::JwksUrl, SlotKind::JwksUrl(url)) => {
                jwks_url::ask(url, network).await.map_err(|error| Failure::from(&error))
            }
            (Self::File(file), SlotKind::File(path)) => {
                let mut reader = file.take().unwrap_or_else(|| KeyFile::new(path));
                // A file on a network file system may block for long: not on this thread.
                let read = tokio::task::spawn_blocking(move || (reader.read(), reader)).await;
                let (read, reader) = read.map_err(|_| Failure::interrupted())?;
                *file = Some(reader);
                read_file(read, slot)
            }
            _ => Err(Failure::interrupted()),
        }
    }
}

/// Reads a key file once, on this thread.
pub(crate) fn read_now(provider: &Provider, slot: &Slot) {
    let SlotKind::File(path) = &slot.kind else { return };
    if slot.poll(&**provider.clock()) == Action::Fetch {
        let flight = Flight { provider, slot, landed: false };
        flight.land(read_file(KeyFile::new(path).read(), slot));
    }
}

fn read_file(
    read: Result<Read, crate::source::file::FileError>,
    slot: &Slot,
) -> Result<Fetched, Failure> {
    let set: KeySet = match read {
        Ok(Read::Changed(set)) => set,
        Ok(Read::Unchanged) => slot.cell().lifecycle.keys().clone(),
        Err(error) => return Err(Failure::from(&error)),
    };
    if set.keys().is_empty() {
        return Err(Failure::no_usable_key(&set));
    }
    Ok(Fetched { set, max_age: None, notice: None })
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
