//! One source of a provider's keys at run time: what it is, its life cycle, and who waits for it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use keystead_core::{Action, Change, KeySet, Lifecycle, Schedule, SourceKind};
use tokio::sync::{Notify, watch};
use url::Url;

use super::lock;
use crate::clock::Clock;
use crate::config::{EndpointOrigin, ProviderConfig, SourceConfig};
use crate::source::discovery::Addresses;
use crate::source::{Failure, KeySource};

/// How often a key file is looked at.
const FILE_INTERVAL: Duration = Duration::from_secs(5);

/// One source of a provider's keys.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) kind: SlotKind,
    /// What it is, in words.
    pub(crate) origin: Arc<str>,
    cell: Mutex<Cell>,
    /// How many attempts have ended.
    finished: watch::Sender<u64>,
    /// Rung when somebody asks for an attempt out of turn.
    pub(crate) requested: Notify,
    /// The next attempt asks the discovery document too.
    pub(crate) expire_metadata: AtomicBool,
    /// How often an in-process source had no answer.
    pub(crate) errors: AtomicU64,
}

/// Where a source's keys are.
pub(crate) enum SlotKind {
    /// In the configuration.
    Inline,
    /// In the host program.
    InProcess(Arc<dyn KeySource>),
    /// In a file.
    File(PathBuf),
    /// At an address.
    JwksUrl(Url),
    /// At the address that provider metadata names.
    Discovery(Addresses, EndpointOrigin),
}

/// What changes about a source.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) lifecycle: Lifecycle,
    /// When the latest attempt began (wall time).
    pub(crate) last_attempt: Option<Duration>,
    /// When an attempt last succeeded (wall time).
    pub(crate) last_success: Option<Duration>,
    /// What went wrong with the latest attempt, or on its way.
    pub(crate) last_error: Option<Failure>,
}

/// What the end of an attempt changed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) change: Change,
    /// The failure, if it is another one than the last time.
    pub(crate) new_failure: Option<Failure>,
}

impl Slot {
    pub(super) fn new(source: &SourceConfig, config: &ProviderConfig, seed: u64) -> Self {
        let mut inline = None;
        let (kind, source_kind, origin) = match source {
            SourceConfig::Inline { keys, setting } => {
                inline = Some(keys.clone());
                (SlotKind::Inline, SourceKind::Memory, setting.clone())
            }
            SourceConfig::InProcess(keys) => {
                let kind = SlotKind::InProcess(Arc::clone(keys));
                (kind, SourceKind::Memory, "in process".to_owned())
            }
            SourceConfig::File { path } => {
                let origin = format!("file {}", path.display());
                (SlotKind::File(path.clone()), SourceKind::File, origin)
            }
            SourceConfig::JwksUrl { url } => {
                let origin = format!("jwks_url {}", crate::http::shown(url));
                (SlotKind::JwksUrl(url.clone()), SourceKind::Network, origin)
            }
            SourceConfig::Discovery { address, endpoint_origin } => {
                let addresses = Addresses::new(address);
                let origin = format!("discovery {}", crate::http::shown(addresses.current()));
                let kind = SlotKind::Discovery(addresses, *endpoint_origin);
                (kind, SourceKind::Network, origin)
            }
        };
        let interval =
            if source_kind == SourceKind::File { FILE_INTERVAL } else { config.refresh_interval };
        let schedule = Schedule::default().with_interval(interval).with_max_stale(config.max_stale);
        let mut lifecycle = Lifecycle::new(source_kind, schedule, seed);
        if let Some(keys) = inline {
            lifecycle.on_fetched(Duration::ZERO, keys, None);
        }
        let cell = Cell { lifecycle, last_attempt: None, last_success: None, last_error: None };
        Self {
            kind,
            origin: origin.into(),
            cell: Mutex::new(cell),
            finished: watch::Sender::new(0),
            requested: Notify::new(),
            expire_metadata: AtomicBool::new(false),
            errors: AtomicU64::new(0),
        }
    }

    pub(super) const fn rank(&self) -> u8 {
        match self.kind {
            SlotKind::Inline | SlotKind::InProcess(_) => 0,
            SlotKind::File(_) => 1,
            SlotKind::JwksUrl(_) | SlotKind::Discovery(..) => 2,
        }
    }

    pub(crate) fn cell(&self) -> MutexGuard<'_, Cell> {
        lock(&self.cell)
    }

    /// Whether there is anything to ask: memory is never asked.
    pub(crate) const fn is_asked(&self) -> bool {
        self.rank() > 0
    }

    pub(crate) const fn is_file(&self) -> bool {
        self.rank() == 1
    }

    /// How many attempts have ended, and a way to wait for the next.
    pub(crate) fn finished(&self) -> watch::Receiver<u64> {
        self.finished.subscribe()
    }

    /// Asks for an attempt out of turn, of the discovery document too.
    pub(crate) fn request(&self) {
        self.expire_metadata.store(true, Ordering::Relaxed);
        self.cell().lifecycle.request();
        self.requested.notify_one();
    }

    /// What its driver is to do now.
    pub(crate) fn poll(&self, clock: &dyn Clock) -> Action {
        let mut cell = self.cell();
        let action = cell.lifecycle.poll(clock.monotonic());
        if action == Action::Fetch {
            cell.last_attempt = Some(clock.wall());
        }
        action
    }

    /// Takes in how an attempt ended.
    pub(crate) fn end(
        &self,
        result: Result<(KeySet, Option<Duration>, Option<Failure>), Failure>,
        clock: &dyn Clock,
    ) -> Ended {
        let mut cell = self.cell();
        let now = clock.monotonic();
        let (change, failure) = match result {
            Ok((set, max_age, notice)) => {
                cell.last_success = Some(clock.wall());
                (cell.lifecycle.on_fetched(now, set, max_age), notice)
            }
            Err(failure) => {
                cell.lifecycle.on_failed(now, failure.retry_after);
                (Change::default(), Some(failure))
            }
        };
        let is_new =
            |failure: &Failure| !cell.last_error.as_ref().is_some_and(|last| last.same_as(failure));
        let new_failure = failure.clone().filter(is_new);
        cell.last_error = failure;
        drop(cell);
        self.finished.send_modify(|count| *count = count.saturating_add(1));
        Ended { change, new_failure }
    }
}

impl std::fmt::Debug for SlotKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SlotKind {
    /// The kind in one word, as in the status.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::InProcess(_) => "in_process",
            Self::File(_) => "file",
            Self::JwksUrl(_) => "jwks_url",
            Self::Discovery(..) => "discovery",
        }
    }
}
