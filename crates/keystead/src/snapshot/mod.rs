//! Keys on disk, so that they outlive the process: one file per provider in `state_dir`.
//!
//! A snapshot holds public keys, when their source last confirmed them, and what binds them to it.
//! It is read before the network is asked, and written in the background when keys have changed or
//! their confirmation has become old. Nothing that happens here keeps anybody from verifying: a
//! snapshot that cannot be used, or a disk that cannot be written to, is a line in the log and a
//! word in the status.

mod error;
mod exchange;
#[cfg(unix)]
mod folder;
#[cfg(not(unix))]
#[path = "folder_unsupported.rs"]
mod folder;
mod format;
mod keeper;
mod report;
mod store;

use std::sync::Arc;
use std::time::Duration;

use keystead_core::{Jwk, KeySet};

pub use error::{SnapshotError, SnapshotProblem};
pub use exchange::{ImportOutcome, Imported};
pub(crate) use exchange::{Restored, hand_on, import, record, remark};
pub(crate) use keeper::{
    Keeper, attach, keep, load_now, loaded, numbers, refusal, save_now, status,
};
pub use keeper::{SnapshotErrorStatus, SnapshotStatus};
pub(crate) use store::Store;

/// How long the lock of a file is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// For as long as somebody else has it.
    Endless,
}

/// Keys of one or more providers, as they were held at some moment, each with the source that gave
/// them and with when it last confirmed them.
///
/// Made by [`Verifier::export_snapshot`](crate::Verifier::export_snapshot), taken by
/// [`Verifier::import_snapshot`](crate::Verifier::import_snapshot), and on its way between the two
/// a JSON text, which `docs/snapshot.md` describes.
///
/// ```
/// use keystead::Snapshot;
///
/// let text = keystead::Verifier::builder().build().export_snapshot().to_json();
/// assert!(Snapshot::parse(text.as_bytes())?.providers().is_empty());
/// assert_eq!(Snapshot::parse(b"{}").unwrap_err().code(), "not_a_snapshot");
/// # Ok::<(), keystead::SnapshotError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    providers: Vec<ProviderSnapshot>,
}

impl Snapshot {
    /// Reads a snapshot: its version, its checksum and every key of it are judged.
    ///
    /// # Errors
    /// When the text is not a whole snapshot of a version that is known here.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        format::parse(bytes)
    }

    /// The text of the snapshot.
    #[must_use]
    pub fn to_json(&self) -> String {
        format::render(self)
    }

    pub(crate) fn of(providers: impl IntoIterator<Item = ProviderSnapshot>) -> Self {
        Self { providers: providers.into_iter().collect() }
    }

    /// The providers in it.
    #[must_use]
    pub fn providers(&self) -> &[ProviderSnapshot] {
        &self.providers
    }
}

/// The keys of one provider in a [`Snapshot`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProviderSnapshot {
    /// What it was called where the snapshot was made.
    pub name: String,
    /// Its issuer, by which it is found again.
    pub issuer: String,
    /// Its sources on the network that keys were held of.
    pub sources: Vec<SourceSnapshot>,
}

/// The keys of one source in a [`Snapshot`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SourceSnapshot {
    /// `jwks_url` or `discovery`.
    pub kind: &'static str,
    /// Its address, without what may be a secret in it.
    pub url: String,
    /// When it last confirmed these keys, since the Unix epoch.
    pub confirmed: Duration,
    /// Its usable keys.
    pub keys: KeySet,
    /// Keys that it had removed and that were accepted all the same (`removed_key_grace`).
    pub leaving: Vec<LeavingKey>,
    /// What provider metadata said, of a source that is discovered.
    pub endpoint: Option<Endpoint>,
    /// Binds the keys to issuer, kind and exact address.
    binding: String,
}

/// A key that its source removed, and that is accepted for a while.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LeavingKey {
    /// The key.
    pub key: Arc<Jwk>,
    /// Until when it is accepted, since the Unix epoch.
    pub until: Duration,
}

/// What provider metadata said of a key address.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The address of the keys.
    pub jwks_uri: String,
    /// The address of the document that named it.
    pub document: String,
    /// The setting `endpoint_origin` that made it what it is.
    origin: String,
}

impl Endpoint {
    pub(crate) fn new(jwks_uri: String, document: String, origin: &str) -> Self {
        Self { jwks_uri, document, origin: origin.to_owned() }
    }

    /// Whether it was made under this setting of `endpoint_origin`.
    pub(crate) fn is_of_origin(&self, origin: &str) -> bool {
        self.origin == origin
    }
}
