//! A key file that is read again and again.

use core::fmt;
use std::path::{Path, PathBuf};

use keystead_core::KeySet;
use keystead_core::text::quoted;

use super::text::{self, KeyTextError};
use crate::bounded_file::{self, FileProblem};

/// How many bytes a key file may have: 512 KiB.
pub(crate) const SIZE_LIMIT: u64 = 512 * 1024;

/// Reads a file with key text (see [`text::parse`]), at most 512 KiB of it.
///
/// The path is opened anew every time, so that a symlink which was swapped, as Kubernetes does it
/// for the files of a `ConfigMap` or `Secret`, is followed; and all of it is read every time, because
/// a file that is rewritten twice within the granularity of its times has still changed.
///
/// This is file I/O: call it where blocking for the time of a small read is fine. It does not wait
/// for a writer, as it opens nothing but regular files.
///
/// # Errors
/// The reason why there are no keys now. A file whose keys are all unusable is no error; they are
/// in [`KeySet::skipped`].
pub(crate) fn read(path: &Path) -> Result<KeySet, FileError> {
    let keys =
        bounded_file::read(path, SIZE_LIMIT).map_err(KeyFileProblem::from).and_then(|content| {
            let text = core::str::from_utf8(&content)
                .map_err(|e| KeyFileProblem::NotText { at: e.valid_up_to() })?;
            text::parse(text).map_err(KeyFileProblem::Keys)
        });
    keys.map_err(|problem| FileError { path: path.to_owned(), problem })
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

    use super::*;

    const FIRST: &str = include_str!("../../tests/data/keys/test-ed25519.spki.pem");
    const SECOND: &str = include_str!("../../tests/data/keys/test-p256.spki.pem");

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn kty(path: &Path) -> &'static str {
        read(path).unwrap().keys()[0].kty()
    }

    fn problem(path: &Path) -> KeyFileProblem {
        read(path).unwrap_err().problem
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
        let before = read(&path).unwrap();
        fs::write(&path, key('s')).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
        assert_ne!(read(&path).unwrap(), before);
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
        assert_eq!(kty(&at("keys.pem")), "OKP");

        symlink("..v2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        fs::remove_dir_all(at("..v1")).unwrap();
        assert_eq!(kty(&at("keys.pem")), "EC");

        fs::remove_file(at("..data")).unwrap();
        assert_eq!(problem(&at("keys.pem")), FileProblem::NotFound.into());
    }

    #[test]
    fn garbage_is_named() {
        let folder = folder();
        let path = folder.path().join("keys.pem");
        for (garbage, expected) in [
            (&b""[..], KeyFileProblem::Keys(KeyTextError::Empty)),
            (b"garbage", KeyFileProblem::Keys(KeyTextError::NotKeys { len: 7 })),
            (b"0\x82\x01\x22", KeyFileProblem::NotText { at: 1 }),
        ] {
            fs::write(&path, garbage).unwrap();
            assert_eq!(problem(&path), expected);
        }
    }

    #[test]
    fn a_file_that_appears_later_is_read_then() {
        let folder = folder();
        let path = folder.path().join("keys.pem");
        assert_eq!(problem(&path), FileProblem::NotFound.into());
        symlink("nowhere", &path).unwrap();
        assert_eq!(problem(&path), FileProblem::NotFound.into());
        fs::remove_file(&path).unwrap();
        fs::write(&path, FIRST).unwrap();
        assert_eq!(kty(&path), "OKP");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = folder();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [folder.path(), &pipe, Path::new("/dev/null")] {
            assert_eq!(problem(path), FileProblem::NotAFile.into(), "{}", path.display());
        }
    }

    #[test]
    fn a_file_may_be_as_large_as_the_limit_and_no_larger() {
        let folder = folder();
        let path = folder.path().join("keys.pem");
        let limit = usize::try_from(SIZE_LIMIT).unwrap();
        let filled = |len: usize| format!("{FIRST}{}", " ".repeat(len - FIRST.len()));
        fs::write(&path, filled(limit)).unwrap();
        assert_eq!(kty(&path), "OKP");
        fs::write(&path, filled(limit + 1)).unwrap();
        assert_eq!(problem(&path), FileProblem::TooLarge { limit: SIZE_LIMIT }.into());
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
