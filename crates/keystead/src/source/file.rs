//! A key file that is read again and again.

use core::fmt;
use std::path::PathBuf;

use keystead_core::KeySet;
use keystead_core::text::quoted;

use super::text::{self, KeyTextError};
use crate::bounded_file::{self, FileProblem};
use crate::crypto::sha256;

/// How many bytes a key file may have: 512 KiB.
pub(crate) const SIZE_LIMIT: u64 = 512 * 1024;

/// A file with key text (see [`text::parse`]), polled for changes.
///
/// Every [`KeyFile::read`] opens the path anew, as [`bounded_file::read`] does. It compares the content, not the
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
    pub(crate) problem: KeyFileProblem,
}

/// What is wrong with a key file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) enum KeyFileProblem {
    /// It could not be read.
    Unreadable(FileProblem),
    /// Not text, such as DER.
    NotText {
        /// The byte at which that shows.
        at: usize,
    },
    /// Text without keys.
    Keys(KeyTextError),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key file {} ", quoted(&self.path.to_string_lossy()))?;
        match &self.problem {
            KeyFileProblem::Unreadable(problem) => write!(f, "{problem}"),
            KeyFileProblem::NotText { at } => {
                write!(f, "is not text at byte {at}; DER has to be converted to PEM")
            }
            KeyFileProblem::Keys(problem) => write!(f, "cannot be used: {problem}"),
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

    fn read_keys(&mut self) -> Result<Read, KeyFileProblem> {
        let content = bounded_file::read(&self.path, SIZE_LIMIT)?;
        let hash = sha256(&content);
        if self.last == Some(hash) {
            return Ok(Read::Unchanged);
        }
        let text = core::str::from_utf8(&content)
            .map_err(|e| KeyFileProblem::NotText { at: e.valid_up_to() })?;
        let keys = text::parse(text).map_err(KeyFileProblem::Keys)?;
        self.last = Some(hash);
        Ok(Read::Changed(keys))
    }
}

impl From<FileProblem> for KeyFileProblem {
    fn from(problem: FileProblem) -> Self {
        Self::Unreadable(problem)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{self, File};
    use std::io;
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

    fn problem(file: &mut KeyFile) -> KeyFileProblem {
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
        assert_eq!(problem(&mut file), FileProblem::NotFound.into());
    }

    #[test]
    fn after_garbage_the_same_keys_are_no_change() {
        let folder = folder();
        let path = folder.path().join("keys.pem");
        fs::write(&path, FIRST).unwrap();
        let mut file = KeyFile::new(&path);
        assert_eq!(changed(&mut file), "OKP");
        for (garbage, expected) in [
            (&b""[..], KeyFileProblem::Keys(KeyTextError::Empty)),
            (b"garbage", KeyFileProblem::Keys(KeyTextError::NotKeys { len: 7 })),
            (b"0\x82\x01\x22", KeyFileProblem::NotText { at: 1 }),
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
        assert_eq!(problem(&mut file), FileProblem::NotFound.into());
        symlink("nowhere", &path).unwrap();
        assert_eq!(problem(&mut file), FileProblem::NotFound.into());
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
            assert_eq!(problem(&mut file), FileProblem::NotAFile.into(), "{}", path.display());
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
        assert_eq!(problem(&mut file), FileProblem::TooLarge { limit: SIZE_LIMIT }.into());
    }

    #[test]
    fn an_error_is_one_sentence_with_the_path() {
        let sentence = |problem| FileError { path: "/etc/k\n.pem".into(), problem }.to_string();
        assert_eq!(
            sentence(FileProblem::NotFound.into()),
            r#"key file "/etc/k\u{a}.pem" does not exist"#
        );
        assert_eq!(
            sentence(KeyFileProblem::Keys(KeyTextError::Empty)),
            r#"key file "/etc/k\u{a}.pem" cannot be used: the key text is empty"#
        );
        let denied = FileProblem::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(denied, FileProblem::Permission);
    }
}
