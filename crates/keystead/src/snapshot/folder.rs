//! The folder of the snapshots: a root of trust, reached through one descriptor.
//!
//! Its owner and mode are checked on what was opened, and so are those of every file in it. Nothing
//! here follows a symbolic link, waits for a pipe, or leaves a half-written file in the place of a
//! whole one.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self as at, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Patience;
use super::error::{SnapshotError, SnapshotProblem};

/// An open folder that was found to be ours.
#[derive(Debug)]
pub(super) struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
}

/// The right to replace one file, held until it is dropped, or until its process ends in whatever
/// way.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "an open file is what holds it")] File);

impl Folder {
    /// Opens it, if it exists.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, SnapshotError> {
        // A separator at the end would have a link followed.
        let path: PathBuf = path.components().collect();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = match at::open(&path, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::NOENT) => return Ok(None),
            // Which of the two a link gives depends on the system.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let is_link =
                    std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
                let problem =
                    if is_link { SnapshotProblem::Symlink } else { SnapshotProblem::NotAFolder };
                return Err(SnapshotError::new(problem).at(path));
            }
            Err(error) => return Err(failed("open it", error).at(path)),
        };
        match check_trust(&descriptor) {
            Ok(_found) => Ok(Some(Self { descriptor, path })),
            Err(error) => Err(error.at(path)),
        }
    }

    /// Opens it, and makes it first if it does not exist: for this user alone.
    pub(super) fn open_or_make(path: &Path) -> Result<Self, SnapshotError> {
        if let Some(folder) = Self::open(path)? {
            return Ok(folder);
        }
        match at::mkdir(path, Mode::RWXU) {
            // Another process may have been faster.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::NOENT) => {
                return Err(SnapshotError::new(SnapshotProblem::NoParent).at(path));
            }
            Err(error) => return Err(failed("make it", error).at(path)),
        }
        Self::open(path)?.ok_or_else(|| failed("open it", Errno::NOENT).at(path))
    }

    /// The path of one of its files.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a file holds, if it exists: at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SnapshotError> {
        self.content(name, limit).map_err(|error| error.at(self.path_of(name)))
    }

    fn content(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SnapshotError> {
        // Not blocking: the place of the file may be taken by a pipe that nobody writes to.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = match at::openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(SnapshotError::new(SnapshotProblem::Symlink)),
            // A socket.
            Err(Errno::NXIO) => return Err(SnapshotError::new(SnapshotProblem::NotAFile)),
            Err(error) => return Err(failed("open it", error)),
        };
        if check_trust(&descriptor)? != FileType::RegularFile {
            return Err(SnapshotError::new(SnapshotProblem::NotAFile));
        }
        let mut content = Vec::new();
        let read = File::from(descriptor).take(limit.saturating_add(1)).read_to_end(&mut content);
        let read = read.map_err(|error| failed("read it", error))?;
        if u64::try_from(read).is_ok_and(|read| read > limit) {
            return Err(SnapshotError::new(SnapshotProblem::TooLarge { limit }));
        }
        Ok(Some(content))
    }

    /// Takes the lock of a file: that of another one beside it, as the file itself is replaced.
    pub(super) fn lock(&self, name: &str, patience: Patience) -> Result<Lock, SnapshotError> {
        let name = format!(".{name}.lock");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = || self.path_of(&name);
        let file = at::openat(&self.descriptor, &name, flags, private());
        let file = File::from(file.map_err(|error| failed("open it", error).at(path()))?);
        let locked = match patience {
            Patience::None => file.try_lock(),
            Patience::Endless => file.lock().map_err(TryLockError::Error),
        };
        match locked {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => {
                Err(SnapshotError::new(SnapshotProblem::Locked).at(path()))
            }
            Err(TryLockError::Error(error)) => Err(failed("lock it", error).at(path())),
        }
    }

    /// Puts a file in the place of whatever has that name: after a crash at any moment, one of the
    /// two is there, and whole.
    pub(super) fn replace(
        &self,
        name: &str,
        content: &[u8],
        _: &Lock,
    ) -> Result<(), SnapshotError> {
        // One name, as only the holder of the lock writes: what a killed process left is in the
        // way once, and never piles up.
        let young = format!(".{name}.tmp");
        let written = self.write_new(&young, content).and_then(|()| {
            at::renameat(&self.descriptor, &young, &self.descriptor, name)
                .map_err(|error| failed("put it in place", error))
        });
        if written.is_err() {
            self.remove(&young);
        }
        written.and_then(|()| self.settle()).map_err(|error| error.at(self.path_of(name)))
    }

    /// Puts a file out of the way, in the place of the one that was put there before.
    pub(super) fn put_aside(&self, name: &str, _: &Lock) -> Result<PathBuf, SnapshotError> {
        let aside = format!("{name}.rejected");
        at::renameat(&self.descriptor, name, &self.descriptor, &aside)
            .map_err(|error| failed("put it aside", error).at(self.path_of(name)))?;
        Ok(self.path_of(&aside))
    }

    fn write_new(&self, name: &str, content: &[u8]) -> Result<(), SnapshotError> {
        self.remove(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = at::openat(&self.descriptor, name, flags, private());
        let mut file = File::from(file.map_err(|error| failed("make a file beside it", error))?);
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(|error| failed("write it", error))
    }

    /// Has the names in it outlast a loss of power.
    fn settle(&self) -> Result<(), SnapshotError> {
        match at::fsync(&self.descriptor) {
            // Not every file system can; the names are then as safe as it makes them.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(failed("settle it", error)),
        }
    }

    fn remove(&self, name: &str) {
        // What cannot be removed is reported by whatever it is in the way of.
        let _stays = at::unlinkat(&self.descriptor, name, AtFlags::empty());
    }
}

/// Refuses what others than this user and root can change; what kind of file it is.
fn check_trust(descriptor: impl AsFd) -> Result<FileType, SnapshotError> {
    let found = at::fstat(descriptor).map_err(|error| failed("look at it", error))?;
    let ours = rustix::process::geteuid().as_raw();
    if found.st_uid != ours && found.st_uid != 0 {
        return Err(SnapshotError::new(SnapshotProblem::Owner { uid: found.st_uid }));
    }
    let mode = Mode::from_raw_mode(found.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        #[allow(clippy::useless_conversion, reason = "other systems have shorter modes")]
        let mode = u32::from(mode.bits());
        return Err(SnapshotError::new(SnapshotProblem::Writable { mode }));
    }
    Ok(FileType::from_raw_mode(found.st_mode))
}

/// Read and written by this user alone.
fn private() -> Mode {
    Mode::RUSR | Mode::WUSR
}

fn failed(doing: &'static str, error: impl Into<io::Error>) -> SnapshotError {
    let error = error.into();
    let (kind, error) = (error.kind(), error.to_string());
    SnapshotError::new(SnapshotProblem::Io { doing, kind, error })
}
