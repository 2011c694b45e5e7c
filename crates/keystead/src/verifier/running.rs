//! Who keeps keys fresh, and what those can ask who wait for it.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;
use std::{fmt, io};

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::Verifier;
use crate::provider::Provider;
use crate::status::ProviderStatus;
use crate::{refresh, report, snapshot};

/// How long [`Verifier::start`] waits for key files and snapshots before it leaves them to the background.
const FILES_WAIT: Duration = Duration::from_secs(1);

impl Verifier {
    /// Asks every source of a provider now, its discovery document too, and waits for the answers.
    ///
    /// The attempts are those of the refresh, which must have been started; dropping this future
    /// does not end them. One that is under way already is shared. When another configuration is
    /// applied meanwhile, the provider that has the name then is asked.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// use keystead::{ProviderConfig, RefreshError, Verifier};
    ///
    /// let portal = ProviderConfig::new("portal", "https://portal.invalid").any_audience();
    /// let verifier = Verifier::builder().provider(portal).build();
    /// let _refresh = verifier.start()?;
    /// match verifier.refresh("portal").await {
    ///     Ok(status) => println!("{} keys", status.keys.len()),
    ///     Err(RefreshError::Failed(status)) => println!("{}", status.reason),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such provider, when nobody drives the refresh (any more), or when an
    /// attempt gave no keys.
    pub async fn refresh(&self, provider: &str) -> Result<ProviderStatus, RefreshError> {
        let mut drivers = self.0.drivers.subscribe();
        let mut applied = self.0.applied.subscribe();
        loop {
            let found = self.providers().into_iter().find(|known| known.config().name == provider);
            let found = found.ok_or_else(|| RefreshError::UnknownProvider(provider.to_owned()))?;
            // The senders of both live as long as `self`.
            tokio::select! {
                biased;
                _none = drivers.wait_for(|drivers| *drivers == 0) => {
                    return Err(RefreshError::NotStarted);
                }
                succeeded = found.refresh() => {
                    let status = ProviderStatus::of(&found);
                    let failed = |status| RefreshError::Failed(Box::new(status));
                    return if succeeded { Ok(status) } else { Err(failed(status)) };
                }
                _changed = applied.changed() => {}
            }
        }
    }

    /// Reads the key files and the snapshots once, on this thread, and touches no network.
    ///
    /// For programs that run once and offline; [`Verifier::start`] does this and goes on doing it.
    pub fn load(&self) {
        for provider in &self.0.table.load_full().providers {
            for slot in provider.slots() {
                refresh::read_now(provider, slot);
            }
            snapshot::load_now(provider);
        }
    }

    /// Starts to keep keys fresh, on a thread of its own.
    ///
    /// Waits for the key files and the snapshots, for at most 1 s; the network is left to the background. Never
    /// fails because of a provider: what cannot be had is retried for ever, and
    /// [`Verifier::status`] says so.
    ///
    /// Sources are asked by one refresh at a time, however often this is called: a second one
    /// takes over when the first has ended.
    ///
    /// # Errors
    /// When the operating system gives no thread or no runtime.
    pub fn start(&self) -> io::Result<RefreshHandle> {
        let stop = Arc::new(Notify::new());
        let (started, when_started) = mpsc::sync_channel(1);
        let (files_read, when_files_read) = mpsc::sync_channel(1);
        let (verifier, stopped) = (self.clone(), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("keystead-refresh".into())
            .spawn(move || verifier.run(&stopped, &started, files_read))?;
        let spawner = when_started.recv().map_err(io::Error::other)??;
        let _slow_files_go_on_in_the_background = when_files_read.recv_timeout(FILES_WAIT);
        Ok(RefreshHandle { verifier: self.clone(), stop, thread: Some(thread), spawner })
    }

    /// The thread of the refresh. Its runtime is made here and not by the caller, who may stand
    /// inside another one, where it could not be dropped.
    fn run(
        &self,
        stopped: &Notify,
        started: &SyncSender<io::Result<Handle>>,
        files_read: SyncSender<()>,
    ) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                // The caller waits for it.
                let _received = started.send(Err(error));
                return;
            }
        };
        let _received = started.send(Ok(runtime.handle().clone()));
        runtime.block_on(async {
            let providers = self.providers();
            let files = refresh::first_attempts(providers.clone(), true);
            tokio::spawn(async move {
                files.await;
                for provider in &providers {
                    snapshot::loaded(provider).await;
                }
                // Nobody waits any more if it took too long.
                let _late = files_read.try_send(());
            });
            tokio::select! {
                () = self.drive() => {}
                () = stopped.notified() => {}
            }
        });
        // A name lookup cannot be cancelled, and must not be waited for.
        runtime.shutdown_background();
    }

    /// Keeps keys fresh on the runtime of the caller, for as long as it is polled: what
    /// [`Verifier::start`] runs on its thread.
    ///
    /// For hosts that want no thread of ours, and for tests with paused time. The runtime needs
    /// tokio's I/O and time. While another one drives, this waits for its turn, so that no source
    /// is asked twice.
    pub async fn drive(&self) {
        let _counted = Driver::count_in(&self.0.drivers);
        let _turn = self.0.turn.lock().await;
        let mut applied = self.0.applied.subscribe();
        let mut running: Vec<(Arc<Provider>, JoinSet<()>)> = Vec::new();
        loop {
            let providers = self.providers();
            running.retain(|(known, _)| is_among(known, &providers));
            for provider in providers {
                if !running.iter().any(|(known, _)| Arc::ptr_eq(known, &provider)) {
                    refresh::spared(|| report::start(&provider));
                    let tasks = refresh::spawn(&provider, &self.0.shared);
                    running.push((provider, tasks));
                }
            }
            // The sender lives as long as `self`.
            let _changed = applied.changed().await;
        }
    }
}

fn is_among(provider: &Arc<Provider>, providers: &[Arc<Provider>]) -> bool {
    providers.iter().any(|other| Arc::ptr_eq(other, provider))
}

/// Counts one who drives for as long as it is polled.
struct Driver<'a>(&'a watch::Sender<usize>);

impl<'a> Driver<'a> {
    fn count_in(drivers: &'a watch::Sender<usize>) -> Self {
        drivers.send_modify(|count| *count = count.saturating_add(1));
        Self(drivers)
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The running refresh. Dropping it ends the refresh; keys in memory stay and go on ageing.
#[must_use = "the refresh ends when its handle is dropped"]
pub struct RefreshHandle {
    verifier: Verifier,
    stop: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
    spawner: Handle,
}

impl RefreshHandle {
    /// Waits until every source has been asked once, or until the time is up; whether the former.
    ///
    /// For programs that run once. A server has no reason to wait.
    #[must_use]
    pub fn wait_first_attempts(&self, at_most: Duration) -> bool {
        let (done, when_done) = mpsc::sync_channel(1);
        let attempts = refresh::first_attempts(self.verifier.providers(), false);
        let task = self.spawner.spawn(async move {
            attempts.await;
            // Nobody waits any more if it took too long.
            let _late = done.try_send(());
        });
        let in_time = when_done.recv_timeout(at_most).is_ok();
        task.abort();
        in_time
    }

    /// Ends the refresh and waits for its thread, which takes no time: attempts are abandoned.
    pub fn stop(mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A refresh thread that panicked has nothing more to say here.
            let _panicked = thread.join();
        }
    }
}

impl Drop for RefreshHandle {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

impl fmt::Debug for RefreshHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshHandle").finish_non_exhaustive()
    }
}

/// Why [`Verifier::refresh`] has no good news.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RefreshError {
    /// No provider has this name.
    UnknownProvider(String),
    /// Nobody drives the refresh: [`Verifier::start`] was not called, or its handle was dropped.
    NotStarted,
    /// An attempt failed; the status says which and why.
    Failed(Box<ProviderStatus>),
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownProvider(name) => {
                write!(f, "no provider is called {}", keystead_core::text::quoted(name))
            }
            Self::NotStarted => f.write_str("the refresh is not running"),
            Self::Failed(status) => f.write_str(&status.reason),
        }
    }
}

impl std::error::Error for RefreshError {}
