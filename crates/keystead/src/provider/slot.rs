//! One source of a provider's keys at run time: what it is, its life cycle, and who waits for it.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use keystead_core::{Action, Change, LatestAttempt, Lifecycle, Schedule, SourceKind};
use tokio::sync::{Notify, watch};
use url::Url;

use super::lock;
use crate::clock::Clock;
use crate::config::{ProviderConfig, SourceConfig};
use crate::crypto::judged;
use crate::snapshot::Restored;
use crate::source::discovery::Discovery;
use crate::source::{Failure, Fetched, KeySource, Keys, Tag};

/// How often a key file is looked at.
const FILE_INTERVAL: Duration = Duration::from_secs(5);

/// One source of a provider's keys.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) kind: SlotKind,
    /// What it is, in words.
    pub(crate) origin: Arc<str>,
    cell: Mutex<Cell>,
    /// The number of the latest attempt that has ended and whose keys are published; 0: none.
    finished: watch::Sender<u64>,
    /// Rung when its driver should look at the life cycle before the time it was told.
    pub(crate) wake: Notify,
    /// How often an in-process source had no answer.
    pub(crate) errors: AtomicU64,
}

/// Where a source's keys are.
pub(crate) enum SlotKind {
    /// In the configuration, in this setting.
    Inline(String),
    /// In the host program.
    InProcess(Arc<dyn KeySource>),
    /// In a file.
    File(PathBuf),
    /// At an address.
    JwksUrl(Url),
    /// At the address that provider metadata names.
    Discovery(Box<Discovery>),
}

/// What a source's driver is to do now.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Make an attempt.
    Attempt {
        /// Its number.
        number: u64,
        /// The tag of the set that is held, if it is enough to hear that it is still the same.
        tag: Option<Tag>,
    },
    /// Nothing, until that moment (monotonic time) or until it is woken.
    Wait(Option<Duration>),
}

/// What changes about a source.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) lifecycle: Lifecycle,
    /// The number of the attempt that has ended and is not finished: what it gave is not published.
    landing: Option<u64>,
    /// The tag of the latest successful set, applied or pending.
    pub(crate) tag: Option<Tag>,
    /// When the latest attempt began (wall time).
    pub(crate) last_attempt: Option<Duration>,
    /// When an attempt last succeeded (wall time).
    pub(crate) last_success: Option<Duration>,
    /// What went wrong with the latest attempt, or on its way.
    pub(crate) last_error: Option<Failure>,
    /// Where its keys were restored from, should they be restored ones from elsewhere.
    pub(crate) restored: Option<Restored>,
}

impl Cell {
    /// Where the keys come from, in words.
    pub(crate) fn origin(&self, slot: &Slot) -> Arc<str> {
        let restored = self.restored.as_ref();
        let restored = restored.filter(|_| self.lifecycle.facts().restored_age.is_some());
        Arc::clone(restored.map_or(&slot.origin, |restored| &restored.origin))
    }
}

/// What the end of an attempt changed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) change: Change,
    /// Whether it gave no keys.
    pub(crate) failed: bool,
    /// The failure, if it is another one than the last time.
    pub(crate) new_failure: Option<Failure>,
    /// Whether the source is flapping, and was not before.
    pub(crate) flaps: bool,
}

impl Slot {
    pub(super) fn new(source: &SourceConfig, config: &ProviderConfig, seed: u64) -> Self {
        let mut inline = None;
        let (kind, source_kind) = match source {
            SourceConfig::Inline { keys, setting } => {
                inline = Some(judged(keys.clone()));
                (SlotKind::Inline(setting.clone()), SourceKind::Memory)
            }
            SourceConfig::InProcess(keys) => {
                (SlotKind::InProcess(Arc::clone(keys)), SourceKind::Memory)
            }
            SourceConfig::File { path } => (SlotKind::File(path.clone()), SourceKind::File),
            SourceConfig::JwksUrl { url } => (SlotKind::JwksUrl(url.clone()), SourceKind::Network),
            SourceConfig::Discovery { address, endpoint_origin } => {
                let policy = &config.policy;
                let issuers = std::iter::once(&policy.issuer).chain(&policy.aliases).cloned();
                let discovery =
                    Discovery::new(&config.name, issuers.collect(), address, *endpoint_origin);
                let kind = SlotKind::Discovery(Box::new(discovery));
                (kind, SourceKind::Network)
            }
        };
        let mut lifecycle = Lifecycle::new(source_kind, schedule(source_kind, config), seed);
        if let Some(keys) = inline {
            lifecycle.on_fetched(Duration::ZERO, keys, None);
        }
        let cell = Cell {
            lifecycle,
            landing: None,
            tag: None,
            last_attempt: None,
            last_success: None,
            last_error: None,
            restored: None,
        };
        Self {
            origin: kind.origin().into(),
            kind,
            cell: Mutex::new(cell),
            finished: watch::Sender::new(0),
            wake: Notify::new(),
            errors: AtomicU64::new(0),
        }
    }

    pub(super) const fn rank(&self) -> u8 {
        match self.kind {
            SlotKind::Inline(_) | SlotKind::InProcess(_) => 0,
            SlotKind::File(_) => 1,
            SlotKind::JwksUrl(_) | SlotKind::Discovery(_) => 2,
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

    pub(crate) const fn is_network(&self) -> bool {
        self.rank() == 2
    }

    /// The number of the latest attempt that has ended, and a way to wait for the next.
    pub(crate) fn finished(&self) -> watch::Receiver<u64> {
        self.finished.subscribe()
    }

    /// Asks for an attempt out of turn, of the discovery document too. One that is in flight
    /// answers this as well.
    pub(crate) fn request(&self) {
        if let SlotKind::Discovery(discovery) = &self.kind {
            discovery.expire();
        }
        self.cell().lifecycle.request();
        self.wake.notify_one();
    }

    /// Asks for an attempt that begins now, of a network source that answered the last time; its
    /// number.
    pub(super) fn force_if_proven(&self) -> Option<u64> {
        let mut cell = self.cell();
        if !self.is_network() || !cell.is_proven() {
            return None;
        }
        let number = cell.lifecycle.force();
        drop(cell);
        self.wake.notify_one();
        Some(number)
    }

    /// The number of the attempt that is worth waiting for: one that has ended and is about to be
    /// published, the first one, or one under way of a network source that answered the last time.
    pub(super) fn hopeful_attempt(&self) -> Option<u64> {
        let cell = self.cell();
        if cell.landing.is_some() {
            return cell.landing;
        }
        let under_way = cell.lifecycle.in_flight();
        let next = cell.lifecycle.attempts().saturating_add(1);
        match cell.lifecycle.facts().latest {
            LatestAttempt::Never if self.is_asked() => Some(under_way.unwrap_or(next)),
            LatestAttempt::Succeeded { .. } if self.is_network() => under_way,
            _ => None,
        }
    }

    /// The number of the latest attempt that has ended; 0: none.
    pub(super) fn latest_ended(&self) -> u64 {
        *self.finished.borrow()
    }

    /// What its driver is to do now.
    pub(crate) fn poll(&self, clock: &dyn Clock) -> Turn {
        // Clocks may be the host program's: should they panic, no attempt has begun.
        let (now, wall) = (clock.monotonic(), clock.wall());
        let mut cell = self.cell();
        match cell.lifecycle.poll(now) {
            Action::Wait(until) => Turn::Wait(until),
            Action::Fetch => {
                cell.last_attempt = Some(wall);
                let whole = cell.lifecycle.wants_whole_set();
                let tag = cell.tag.clone().filter(|_| !whole);
                Turn::Attempt { number: cell.lifecycle.attempts(), tag }
            }
        }
    }

    /// Whether the attempt that is under way should make way for a forced one.
    pub(crate) fn is_superseded(&self) -> bool {
        self.cell().lifecycle.is_superseded()
    }

    /// Whether the latest attempt that ended gave keys.
    pub(crate) fn is_proven(&self) -> bool {
        self.cell().is_proven()
    }

    /// Takes an attempt back that nobody made to its end: one is due as it was before.
    pub(crate) fn abandon(&self) {
        self.cell().lifecycle.abandon();
        self.wake.notify_one();
    }

    /// Tells everybody who waits that this attempt has ended, once what it gave is published.
    pub(crate) fn finish(&self, number: u64) {
        self.cell().landing = None;
        self.finished.send_modify(|latest| *latest = number.max(*latest));
        self.wake.notify_one();
    }

    /// Takes in how an attempt ended. [`Slot::finish`] has to follow.
    pub(crate) fn end(&self, result: Result<Fetched, Failure>, clock: &dyn Clock) -> Ended {
        // Should one of them panic, nothing has ended.
        let (now, wall) = (clock.monotonic(), clock.wall());
        let mut cell = self.cell();
        cell.landing = cell.lifecycle.in_flight();
        if cell.tag.is_none() && matches!(&result, Ok(Fetched { keys: Keys::Unchanged, .. })) {
            // Other keys were imported meanwhile, and this answer is not about them.
            cell.lifecycle.abandon();
            let change = Change::default();
            return Ended { change, failed: false, new_failure: None, flaps: false };
        }
        let flapped = cell.lifecycle.is_flapping(now);
        let failed = result.is_err();
        let (change, failure) = match result {
            Ok(Fetched { keys, max_age, notice }) => {
                cell.last_success = Some(wall);
                let change = match keys {
                    Keys::Set(set, tag) => {
                        cell.tag = tag;
                        cell.lifecycle.on_fetched(now, set, max_age)
                    }
                    Keys::Unchanged => cell.lifecycle.on_unchanged(now, max_age),
                };
                (change, notice.as_ref().map(Failure::from))
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
        let flaps = cell.lifecycle.is_flapping(now) && !flapped;
        Ended { change, failed, new_failure, flaps }
    }
}

impl Cell {
    fn is_proven(&self) -> bool {
        matches!(self.lifecycle.facts().latest, LatestAttempt::Succeeded { .. })
    }
}

/// An interval that is written bounds what answers may ask for; the default one does not.
fn schedule(kind: SourceKind, config: &ProviderConfig) -> Schedule {
    let written = config.is_written("refresh_interval")
        || config.refresh_interval != ProviderConfig::DEFAULT_REFRESH_INTERVAL;
    let schedule = Schedule::default()
        .with_max_stale(config.max_stale)
        .with_removed_key_grace(config.removed_key_grace);
    match kind {
        SourceKind::File => schedule.with_interval(FILE_INTERVAL),
        _ if written => schedule.with_interval(config.refresh_interval),
        _ => schedule,
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
            Self::Inline(_) => "inline",
            Self::InProcess(_) => "in_process",
            Self::File(_) => "file",
            Self::JwksUrl(_) => "jwks_url",
            Self::Discovery(_) => "discovery",
        }
    }

    /// Where it is, if it is asked: an address or a path.
    pub(crate) fn location(&self) -> Option<String> {
        match self {
            Self::Inline(_) | Self::InProcess(_) => None,
            Self::File(path) => Some(path.display().to_string()),
            Self::JwksUrl(url) => Some(crate::http::shown(url)),
            Self::Discovery(discovery) => Some(crate::http::shown(discovery.address())),
        }
    }

    /// What it is, in words.
    fn origin(&self) -> String {
        match (self, self.location()) {
            (_, Some(location)) => format!("{} {location}", self.as_str()),
            (Self::Inline(setting), None) => setting.clone(),
            (_, None) => "in process".to_owned(),
        }
    }
}
