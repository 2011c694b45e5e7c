//! Why keys could not be kept on disk, or not be taken from there.

use std::fmt;
use std::io;
use std::path::PathBuf;

use keystead_core::text::quoted;

/// Why a snapshot could not be read, used or written. It never costs more than the snapshot.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SnapshotError {
    /// The file or folder that it is about; none for a text that was handed in.
    pub path: Option<PathBuf>,
    /// What is wrong.
    pub problem: SnapshotProblem,
    /// Where the refused file was put aside, if it was.
    pub kept: Option<PathBuf>,
}

/// What is wrong with a snapshot, its file or its folder.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SnapshotProblem {
    /// The operating system did not do what it was asked for.
    Io {
        /// What was asked, as a verb: `read`, `write`, `lock` ...
        doing: &'static str,
        /// The kind of its answer.
        kind: io::ErrorKind,
        /// Its answer.
        error: String,
    },
    /// Somebody else has held the lock of the file for too long.
    Locked,
    /// The parent of `state_dir` does not exist, so that it cannot be made.
    NoParent,
    /// A symbolic link, which is never followed.
    Symlink,
    /// `state_dir` is something else than a folder.
    NotAFolder,
    /// A folder, pipe, socket or device stands in the place of the file.
    NotAFile,
    /// It belongs to another user than this process's and root.
    Owner {
        /// The user's number.
        uid: u32,
    },
    /// Its group or everybody may write to it.
    Writable {
        /// Its permissions.
        mode: u32,
    },
    /// It has more bytes than are read or written.
    TooLarge {
        /// How many are.
        limit: u64,
    },
    /// No JSON: cut short, or something else altogether.
    Json(keystead_core::json::JsonError),
    /// JSON, but no snapshot.
    NotASnapshot,
    /// A snapshot of a version that is not known here.
    Version(String),
    /// Not the content that was written.
    Checksum,
    /// The content is not what its version says.
    Content(String),
    /// It holds keys of another issuer.
    OtherIssuer {
        /// The issuer it names.
        found: String,
        /// The issuer that is configured.
        configured: String,
    },
    /// It holds keys of other places than those that are configured.
    OtherSources,
    /// Files cannot be checked well enough on this operating system.
    Unsupported,
}

impl SnapshotError {
    pub(super) const fn new(problem: SnapshotProblem) -> Self {
        Self { path: None, problem, kept: None }
    }

    pub(super) fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The problem in one stable word.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        use SnapshotProblem as P;
        match &self.problem {
            P::Io { kind: io::ErrorKind::ReadOnlyFilesystem, .. } => "read_only",
            P::Io { kind: io::ErrorKind::PermissionDenied, .. } => "permission",
            P::Io { kind, .. } if is_no_space(*kind) => "no_space",
            P::Io { .. } => "io",
            P::Locked => "locked",
            P::NoParent => "no_parent",
            P::Symlink => "symlink",
            P::NotAFolder => "not_a_folder",
            P::NotAFile => "not_a_file",
            P::Owner { .. } => "owner",
            P::Writable { .. } => "writable",
            P::TooLarge { .. } => "too_large",
            P::Json(_) => "not_json",
            P::NotASnapshot => "not_a_snapshot",
            P::Version(_) => "version",
            P::Checksum => "checksum",
            P::Content(_) => "content",
            P::OtherIssuer { .. } => "other_issuer",
            P::OtherSources => "other_sources",
            P::Unsupported => "unsupported",
        }
    }

    /// What would change it, where there is something to do.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        use SnapshotProblem as P;
        match &self.problem {
            P::NoParent => Some("make the folder around state_dir"),
            P::Symlink => Some("write the path that the link leads to"),
            P::NotAFolder => Some("write a folder as state_dir"),
            P::Owner { .. } => {
                Some("run it as the user that the folder belongs to, or change its owner")
            }
            P::Writable { .. } => Some(
                "take the permission to write from group and others (chmod go-w), or write a folder \
                 inside of it as state_dir: it is made with mode 0700",
            ),
            P::Version(_) => Some("read it with the release that wrote it"),
            P::Io {
                kind: io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied,
                ..
            } => Some("write a folder as state_dir that this process may write to"),
            _ => None,
        }
    }

    /// Whether the file itself is at fault, so that it has to go out of the way; otherwise another
    /// attempt may find it good.
    pub(super) const fn is_of_the_file(&self) -> bool {
        !matches!(self.problem, SnapshotProblem::Io { .. } | SnapshotProblem::Locked)
    }
}

/// A disk, quota or limit that is full.
const fn is_no_space(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(kind, StorageFull | QuotaExceeded | FileTooLarge)
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", quoted(&path.to_string_lossy()))?;
        }
        write!(f, "{}", self.problem)?;
        match &self.kept {
            Some(kept) => write!(f, "; kept as {}", quoted(&kept.to_string_lossy())),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl fmt::Display for SnapshotProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, error, .. } => write!(f, "cannot {doing}: {error}"),
            Self::Locked => f.write_str("another process does not let go of it"),
            Self::NoParent => f.write_str("the folder around it does not exist"),
            Self::Symlink => f.write_str("it is a symbolic link"),
            Self::NotAFolder => f.write_str("it is no folder"),
            Self::NotAFile => f.write_str("it is no regular file"),
            Self::Owner { uid } => {
                write!(f, "it belongs to user {uid}, not to this process's user or root")
            }
            Self::Writable { mode } => {
                write!(f, "others than its owner may write to it (mode {mode:04o})")
            }
            Self::TooLarge { limit } => write!(f, "it has more than {limit} bytes"),
            Self::Json(error) => write!(f, "it is {error}"),
            Self::NotASnapshot => f.write_str("it is no snapshot of keystead"),
            Self::Version(found) => {
                write!(f, "it is of version {}, known here is 1", quoted(found))
            }
            Self::Checksum => f.write_str("its checksum does not fit its content"),
            Self::Content(what) => f.write_str(what),
            Self::OtherIssuer { found, configured } => write!(
                f,
                "it holds keys of issuer {}, configured is {}",
                quoted(found),
                quoted(configured)
            ),
            Self::OtherSources => {
                f.write_str("it holds keys of other addresses than those that are configured")
            }
            Self::Unsupported => f.write_str("state_dir is not supported on this operating system"),
        }
    }
}
