//! When the snapshot of a provider is read, and when it is written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::error::{SnapshotError, SnapshotProblem};
use super::exchange::{self, identity};
use super::store::{Put, Store};
use super::{Patience, ProviderSnapshot, SourceSnapshot, report};
use crate::metrics::SnapshotMetrics;
use crate::provider::{Provider, Slot};
use crate::status::timestamp;

/// How long the network waits for the disk. A disk that hangs must not hold up what it is for.
const LOAD_WAIT: Duration = Duration::from_secs(1);
/// How old a confirmation on disk may become before it is written again though the keys are the
/// same; less where keys are not to be used for long.
const REWRITE_AFTER: Duration = Duration::from_secs(5 * 60);
/// How long after a failure it is tried again: doubled from one to the next.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often, and how many times, a lock that somebody else holds is tried before that is a failure.
const LOCK_WAIT: (Duration, u32) = (Duration::from_millis(20), 100);

/// What one provider has to do with its snapshot.
#[derive(Debug)]
pub(crate) struct Keeper {
    seen: Mutex<Seen>,
    /// Whether there is nothing (more) to be read before the network is asked.
    loaded: watch::Sender<bool>,
    /// Rung when there is another folder.
    attached: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    store: Option<Store>,
    /// What the file holds, as far as is known.
    stored: Option<ProviderSnapshot>,
    /// When it was last written (wall time).
    last_written: Option<Duration>,
    /// Why it could not be written the last time.
    error: Option<SnapshotError>,
    /// Why what was there was not used.
    refused: Option<SnapshotError>,
    writes: u64,
    failures: u64,
    failures_in_a_row: u32,
    lock_tries: u32,
}

/// The snapshot of a provider, as the status shows it. Times are RFC 3339, in UTC.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SnapshotStatus {
    /// Where it is.
    pub file: String,
    /// How long ago the keys in it were confirmed, in seconds; of several sources, the longest.
    /// None: there is none.
    pub age_seconds: Option<u64>,
    /// When this process last wrote it.
    pub last_written: Option<String>,
    /// Why it could not be written the last time.
    pub last_error: Option<SnapshotErrorStatus>,
    /// Why the file that was there was not used.
    pub refused: Option<SnapshotErrorStatus>,
    /// How often this process wrote it.
    pub writes: u64,
    /// How often this process could not.
    pub failures: u64,
}

/// What is wrong with a snapshot.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SnapshotErrorStatus {
    /// One stable word.
    pub code: &'static str,
    /// One plain sentence.
    pub detail: String,
}

impl Default for Keeper {
    fn default() -> Self {
        Self { seen: Mutex::default(), loaded: watch::Sender::new(true), attached: Notify::new() }
    }
}

impl Keeper {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nobody panics while holding it, and it would be whole all the same.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_loaded(&self) -> bool {
        *self.loaded.borrow()
    }

    /// The folder, where one is configured.
    fn store(&self) -> Option<Store> {
        self.seen().store.clone()
    }
}

impl Seen {
    /// When the keys in the file were confirmed; of several sources, the longest ago.
    fn confirmed(&self) -> Option<Duration> {
        self.stored.iter().flat_map(|stored| &stored.sources).map(|source| source.confirmed).min()
    }
}

/// Has a provider keep its keys in this folder from now on, if it has any that are worth it.
pub(crate) fn attach(provider: &Provider, store: Option<&Store>) {
    let keeper = provider.keeper();
    let mut seen = keeper.seen();
    if seen.store.as_ref() == store || !provider.slots().iter().any(Slot::is_network) {
        return;
    }
    *seen = Seen { store: store.cloned(), ..Seen::default() };
    keeper.loaded.send_replace(store.is_none());
    keeper.attached.notify_one();
}

/// Waits until the snapshot has been read, or for too long.
pub(crate) async fn loaded(provider: &Provider) {
    let mut loaded = provider.keeper().loaded.subscribe();
    // The sender lives in the provider; and whoever comes too late is still welcome.
    let _late = tokio::time::timeout(LOAD_WAIT, loaded.wait_for(|loaded| *loaded)).await;
}

/// Reads the snapshot, on this thread, unless that was done.
pub(crate) fn load_now(provider: &Provider) {
    let keeper = provider.keeper();
    if keeper.is_loaded() {
        return;
    }
    if let Some(store) = keeper.store() {
        let read = store.read(&identity(provider));
        take_in(provider, &store, read);
    }
}

/// Writes the snapshot, on this thread: whether that was needed. None: there is no folder, or
/// nothing to keep.
pub(crate) fn save_now(provider: &Provider) -> Option<Result<bool, SnapshotError>> {
    let store = provider.keeper().store()?;
    let ours = exchange::record(provider)?;
    let put = store.put(&identity(provider), &ours, provider.clock().wall(), Patience::Endless);
    let result = put.as_ref().map(|put| put.wrote).map_err(Clone::clone);
    let _retry = note(provider, &store, put);
    Some(result)
}

/// Follows the snapshot of a provider for as long as it is configured: reads it once, and writes it
/// whenever what is published asks for it. At most one write is under way, and what is published
/// meanwhile is written together.
pub(crate) async fn keep(provider: Arc<Provider>) {
    let keeper = provider.keeper();
    if !provider.slots().iter().any(Slot::is_network) {
        return;
    }
    loop {
        let published = provider.published.notified();
        if !keeper.is_loaded() {
            load(&provider).await;
        }
        let retry = write(&provider).await;
        tokio::select! {
            () = published => {}
            () = keeper.attached.notified() => {}
            () = tokio::time::sleep(retry.unwrap_or_default()), if retry.is_some() => {}
        }
    }
}

async fn load(provider: &Arc<Provider>) {
    let Some(store) = provider.keeper().store() else { return };
    let (whose, reader) = (identity(provider), store.clone());
    let read = tokio::task::spawn_blocking(move || reader.read(&whose)).await;
    take_in(provider, &store, read.unwrap_or_else(|_| Err(broken_down())));
}

/// Takes in what was read, unless another folder was named meanwhile.
fn take_in(
    provider: &Provider,
    store: &Store,
    read: Result<Option<ProviderSnapshot>, SnapshotError>,
) {
    let keeper = provider.keeper();
    if keeper.store().as_ref() != Some(store) {
        return;
    }
    match read {
        Ok(None) => {}
        Ok(Some(snapshot)) => {
            let restored = exchange::restore(provider, &snapshot);
            report::restored(provider, &restored);
            keeper.seen().stored = Some(snapshot);
        }
        Err(error) => {
            report::refused(provider, &error);
            keeper.seen().refused = Some(error);
        }
    }
    keeper.loaded.send_replace(true);
}

/// Writes the snapshot if that is due; when it has to be tried again.
async fn write(provider: &Arc<Provider>) -> Option<Duration> {
    let store = provider.keeper().store().filter(Store::is_written)?;
    let ours = exchange::record(provider)?;
    let now = provider.clock().wall();
    let limit = provider.config().max_stale.unwrap_or(Duration::MAX);
    let is_due = match &provider.keeper().seen().stored {
        Some(stored) => is_due(&ours, stored, now, REWRITE_AFTER.min(limit / 10)),
        None => true,
    };
    if !is_due {
        return None;
    }
    let (whose, writer) = (identity(provider), store.clone());
    let put =
        tokio::task::spawn_blocking(move || writer.put(&whose, &ours, now, Patience::None)).await;
    note(provider, &store, put.unwrap_or_else(|_| Err(broken_down())))
}

/// Whether what is held is worth a write: other keys, another address of them, or the same that
/// were confirmed so much later that their age on disk would be wrong.
fn is_due(
    ours: &ProviderSnapshot,
    stored: &ProviderSnapshot,
    now: Duration,
    rewrite_after: Duration,
) -> bool {
    ours.sources.iter().any(|source| {
        let stored = stored.sources.iter().find(|other| other.binding == source.binding);
        stored.is_none_or(|stored| {
            let SourceSnapshot { confirmed, .. } = stored;
            stored.keys != source.keys
                || !stored.leaving.iter().map(|l| &l.key).eq(source.leaving.iter().map(|l| &l.key))
                || stored.endpoint != source.endpoint
                || *confirmed > now
                || source.confirmed.saturating_sub(*confirmed) >= rewrite_after
        })
    })
}

/// Remembers what came of a write; when it has to be tried again.
fn note(provider: &Provider, store: &Store, put: Result<Put, SnapshotError>) -> Option<Duration> {
    let mut seen = provider.keeper().seen();
    if seen.store.as_ref() != Some(store) {
        return None;
    }
    match put {
        Ok(Put { stored, wrote, refused }) => {
            (seen.failures_in_a_row, seen.lock_tries) = (0, 0);
            seen.stored = Some(stored);
            if wrote {
                seen.writes = seen.writes.saturating_add(1);
                seen.last_written = Some(provider.clock().wall());
            }
            if let Some(refused) = refused {
                report::refused(provider, &refused);
                seen.refused = Some(refused);
            }
            if seen.error.take().is_some() {
                report::works_again(provider);
            }
            None
        }
        Err(error) if error.problem == SnapshotProblem::Locked && seen.lock_tries < LOCK_WAIT.1 => {
            seen.lock_tries = seen.lock_tries.saturating_add(1);
            Some(LOCK_WAIT.0)
        }
        Err(error) => {
            seen.failures = seen.failures.saturating_add(1);
            let doublings = seen.failures_in_a_row.min(16);
            seen.failures_in_a_row = seen.failures_in_a_row.saturating_add(1);
            seen.lock_tries = 0;
            if seen.error.as_ref().map(SnapshotError::code) != Some(error.code()) {
                report::failing(provider, &error);
            }
            seen.error = Some(error);
            Some(RETRY.0.saturating_mul(1 << doublings).min(RETRY.1))
        }
    }
}

/// A task that broke down in code that is not this library's.
fn broken_down() -> SnapshotError {
    let (kind, error) = (std::io::ErrorKind::Other, "the task ended before its time".to_owned());
    SnapshotError::new(SnapshotProblem::Io { doing: "reach the disk", kind, error })
}

/// Why the file that was there was not used, if it was not.
pub(crate) fn refusal(provider: &Provider) -> Option<String> {
    provider.keeper().seen().refused.as_ref().map(ToString::to_string)
}

/// The snapshot of a provider as the status shows it, where one is kept.
pub(crate) fn status(provider: &Provider) -> Option<SnapshotStatus> {
    let seen = provider.keeper().seen();
    let store = seen.store.as_ref()?;
    let shown = |error: &Option<SnapshotError>| {
        let error = error.as_ref()?;
        Some(SnapshotErrorStatus { code: error.code(), detail: error.to_string() })
    };
    let now = provider.clock().wall();
    Some(SnapshotStatus {
        file: store.file(&provider.config().name).display().to_string(),
        age_seconds: seen.confirmed().map(|confirmed| now.saturating_sub(confirmed).as_secs()),
        last_written: seen.last_written.map(timestamp),
        last_error: shown(&seen.error),
        refused: shown(&seen.refused),
        writes: seen.writes,
        failures: seen.failures,
    })
}

/// The numbers of the snapshot of a provider, where one is kept.
pub(crate) fn numbers(provider: &Provider) -> Option<SnapshotMetrics> {
    let seen = provider.keeper().seen();
    seen.store.as_ref()?;
    Some(SnapshotMetrics::new(seen.writes, seen.failures, seen.confirmed()))
}
