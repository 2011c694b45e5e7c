//! Small files, read whole and never in part.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Why a file could not be read: words that follow its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum FileProblem {
    /// It, or what its symlink points at, does not exist.
    NotFound,
    /// This process may not read it.
    Permission,
    /// A directory, a pipe, a socket or a device.
    NotAFile,
    /// More bytes than are read.
    TooLarge {
        /// How many bytes are read.
        limit: u64,
    },
    /// The operating system refuses to read it for another reason.
    Io(io::ErrorKind),
}

/// The content of a file that has at most `limit` bytes.
///
/// The path is opened anew, so that a symlink which was swapped, as Kubernetes does it for the files
/// of a `ConfigMap` or `Secret`, is followed. This is file I/O: call it where blocking for the time
/// of a small read is fine. It does not wait for a writer, as it opens nothing but regular files.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(FileProblem::NotAFile);
    }
    let mut content = Vec::new();
    let over = limit.saturating_add(1);
    let read = File::open(path)?.take(over).read_to_end(&mut content)?;
    if u64::try_from(read).is_ok_and(|read| read > limit) {
        return Err(FileProblem::TooLarge { limit });
    }
    Ok(content)
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("does not exist"),
            Self::Permission => f.write_str("may not be read by this process"),
            Self::NotAFile => f.write_str("is not a regular file"),
            Self::TooLarge { limit } => write!(f, "is larger than {limit} bytes"),
            Self::Io(kind) => write!(f, "cannot be read: {kind}"),
        }
    }
}

impl From<io::Error> for FileProblem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Permission,
            io::ErrorKind::IsADirectory => Self::NotAFile,
            kind => Self::Io(kind),
        }
    }
}
