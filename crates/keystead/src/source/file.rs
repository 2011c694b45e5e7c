//! A key file that is read again and again.

use core::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use keystead_core::KeySet;
use keystead_core::text::quoted;

use super::text::{self, KeyTextError};
use crate::crypto::sha256;

/// How many bytes a key file may have: 512 KiB.
pub(crate) const SIZE_LIMIT: u64 = 512 * 1024;

/// A file with key text (see [`text::parse`]), polled for changes.
///
/// Every [`KeyFile::read`] opens the path anew, so that a symlink which was swapped, as Kubernetes
/// does it for the files of a `ConfigMap` or `Secret`, is followed. It compares the content, not the
/// file's times: a file that is rewritten twice within the granularity of its times has still
/// changed, and one that was only touched has not.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    last: Option<[u8; 32]>,
}

/// What a key file holds, compared with the last time that it could be read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) enum Read {
    /// The same content as the last one that came as [`Read::Changed`], even if there was an error
    /// in between.
    Unchanged,
    /// Other content, and its keys; at the first read, any content.
    Changed(KeySet),
}

/// Why a key file gives no keys. Data only; [`fmt::Display`] gives the sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) struct FileError {
    /// The file.
    pub(crate) path: PathBuf,
    /// What is wrong with it.
    pub(crate) problem: FileProblem,
}

/// What is wrong with a key file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
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
    /// Not text, such as DER.
    NotText {
        /// The byte at which that shows.
        at: usize,
    },
    /// Text without keys.
    Keys(KeyTextError),
    /// The operating system refuses to read it for another reason.
    Io(io::ErrorKind),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key file {} ", quoted(&self.path.to_string_lossy()))?;
        match &self.problem {
            FileProblem::NotFound => f.write_str("does not exist"),
            FileProblem::Permission => f.write_str("may not be read by this process"),
            FileProblem::NotAFile => f.write_str("is not a regular file"),
            FileProblem::TooLarge { limit } => {
                write!(f, "is larger than {limit} bytes")
            }
            FileProblem::NotText { at } => {
                write!(f, "is not text at byte {at}; DER has to be converted to PEM")
            }
            FileProblem::Keys(problem) => write!(f, "cannot be used: {problem}"),
            FileProblem::Io(kind) => write!(f, "cannot be read: {kind}"),
        }
    }
}

impl core::error::Error for FileError {}

impl KeyFile {
    /// The key file at `path`; nothing is read yet, and it need not exist.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), last: None }
    }

    /// Reads the file, at most 512 KiB of it.
    ///
    /// This is file I/O: call it where blocking for the time of a small read is fine. It does not
    /// wait for a writer, as it opens nothing but regular files.
    ///
    /// # Errors
    /// The reason why there are no keys now. What was read before stays good: a later read of the
    /// same content is [`Read::Unchanged`]. A file whose keys are all unusable is no error; they
    /// are in [`KeySet::skipped`].
    pub(crate) fn read(&mut self) -> Result<Read, FileError> {
        self.read_keys().map_err(|problem| FileError { path: self.path.clone(), problem })
    }

    fn read_keys(&mut self) -> Result<Read, FileProblem> {
        let content = self.content()?;
        let hash = sha256(&content);
        if self.last == Some(hash) {
            return Ok(Read::Unchanged);
        }
        let text = core::str::from_utf8(&content)
            .map_err(|e| FileProblem::NotText { at: e.valid_up_to() })?;
        let keys = text::parse(text).map_err(FileProblem::Keys)?;
        self.last = Some(hash);
        Ok(Read::Changed(keys))
    }

    fn content(&self) -> Result<Vec<u8>, FileProblem> {
        // Asked before opening: opening a pipe would wait for its writer.
        if !std::fs::metadata(&self.path)?.is_file() {
            return Err(FileProblem::NotAFile);
        }
        let mut content = Vec::new();
        let over = SIZE_LIMIT.saturating_add(1);
        let read = File::open(&self.path)?.take(over).read_to_end(&mut content)?;
        if u64::try_from(read).is_ok_and(|read| read > SIZE_LIMIT) {
            return Err(FileProblem::TooLarge { limit: SIZE_LIMIT });
        }
        Ok(content)
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use tempfile::TempDir;

    use std::path::Path;

    use super::*;

    const FIRST: &str = include_str!("../../tests/data/keys/test-ed25519.spki.pem");
    const SECOND: &str = include_str!("../../tests/data/keys/test-p256.spki.pem");

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn changed(file: &mut KeyFile) -> &'static str {
        match file.read() {
            Ok(Read::Changed(keys)) => keys.keys()[0].kty(),
            other => panic!("not changed: {other:?}"),
        }
    }

    fn problem(file: &mut KeyFile) -> FileProblem {
        file.read().unwrap_err().problem
    }

    #[test]
    fn a_file_is_read_once_until_its_content_changes() {
        let folder = folder();
        let path = folder.path().join("keys.pem");
        fs::write(&path, FIRST).unwrap();
        let mut file = KeyFile::new(&path);
        assert_eq!(changed(&mut file), "OKP");
        assert_eq!(file.read(), Ok(Read::Unchanged));
        fs::write(&path, SECOND).unwrap();
        assert_eq!(changed(&mut file), "EC");
        assert_eq!(file.read(), Ok(Read::Unchanged));
    }

    #[test]
    fn a_change_that_leaves_size_and_times_alone_is_seen() {
        let folder = folder();
        let path = folder.path().join("keys.jwk");
        let key = |last: char| {
            format!(
                r#"{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR{last}"}}"#
            )
        };
        fs::write(&path, key('o')).unwrap();
        let times = fs::metadata(&path).unwrap().modified().unwrap();
        let mut file = KeyFile::new(&path);
        assert_eq!(changed(&mut file), "OKP");
        fs::write(&path, key('s')).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
        assert_eq!(changed(&mut file), "OKP");
    }

    /// Kubernetes writes a new folder, and swaps the symlink `..data` that all files go through.
    #[test]
    fn the_symlink_swap_of_a_config_map_is_seen() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        for (version, keys) in [("..v1", FIRST), ("..v2", SECOND)] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("keys.pem"), keys).unwrap();
        }
        symlink("..v1", at("..data")).unwrap();
        symlink("..data/keys.pem", at("keys.pem")).unwrap();
        let mut file = KeyFile::new(at("keys.pem"));
        assert_eq!(changed(&mut file), "OKP");

        symlink("..v2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        fs::remove_dir_all(at("..v1")).unwrap();
        assert_eq!(changed(&mut file), "EC");

        fs::remove_file(at("..data")).unwrap();
        assert_eq!(problem(&mut file), FileProblem::NotFound);
    }

    #[test]
    fn after_garbage_the_same_keys_are_no_change() {
        let folder = folder();
        let path = folder.path().join("keys.pem");
        fs::write(&path, FIRST).unwrap();
        let mut file = KeyFile::new(&path);
        assert_eq!(changed(&mut file), "OKP");
        for (garbage, expected) in [
            (&b""[..], FileProblem::Keys(KeyTextError::Empty)),
            (b"garbage", FileProblem::Keys(KeyTextError::NotKeys { len: 7 })),
            (b"0\x82\x01\x22", FileProblem::NotText { at: 1 }),
        ] {
            fs::write(&path, garbage).unwrap();
            assert_eq!(problem(&mut file), expected);
            assert_eq!(problem(&mut file), expected, "an error that lasts stays an error");
        }
        fs::write(&path, FIRST).unwrap();
        assert_eq!(file.read(), Ok(Read::Unchanged));
    }

    #[test]
    fn a_file_that_appears_later_is_read_then() {
        let folder = folder();
        let path = folder.path().join("keys.pem");
        let mut file = KeyFile::new(&path);
        assert_eq!(problem(&mut file), FileProblem::NotFound);
        symlink("nowhere", &path).unwrap();
        assert_eq!(problem(&mut file), FileProblem::NotFound);
        fs::remove_file(&path).unwrap();
        fs::write(&path, FIRST).unwrap();
        assert_eq!(changed(&mut file), "OKP");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = folder();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [folder.path(), &pipe, Path::new("/dev/null")] {
            let mut file = KeyFile::new(path);
            assert_eq!(problem(&mut file), FileProblem::NotAFile, "{}", path.display());
        }
    }

    #[test]
    fn a_file_may_be_as_large_as_the_limit_and_no_larger() {
        let folder = folder();
        let path = folder.path().join("keys.pem");
        let limit = usize::try_from(SIZE_LIMIT).unwrap();
        let filled = |len: usize| format!("{FIRST}{}", " ".repeat(len - FIRST.len()));
        fs::write(&path, filled(limit)).unwrap();
        let mut file = KeyFile::new(&path);
        assert_eq!(changed(&mut file), "OKP");
        fs::write(&path, filled(limit + 1)).unwrap();
        assert_eq!(problem(&mut file), FileProblem::TooLarge { limit: SIZE_LIMIT });
    }

    #[test]
    fn an_error_is_one_sentence_with_the_path() {
        let sentence = |problem| FileError { path: "/etc/k\n.pem".into(), problem }.to_string();
        assert_eq!(sentence(FileProblem::NotFound), r#"key file "/etc/k\u{a}.pem" does not exist"#);
        assert_eq!(
            sentence(FileProblem::Keys(KeyTextError::Empty)),
            r#"key file "/etc/k\u{a}.pem" cannot be used: the key text is empty"#
        );
        let denied = FileProblem::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(denied, FileProblem::Permission);
    }
}
