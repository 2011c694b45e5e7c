//! A file that holds one token.

use std::path::{Path, PathBuf};

use crate::bounded_file;
use crate::crypto::same_secret;

/// How many bytes the file of a token may have.
pub(crate) const TOKEN_LIMIT: u64 = 64 * 1024;

/// A token that callers have to present, kept in a file.
///
/// The file is read for each of them, so that a token which was replaced is good no moment longer.
///
/// ```
/// let file = std::env::temp_dir().join(format!("keystead-token-{}", std::process::id()));
/// std::fs::write(&file, "s3cret\n")?;
/// let token = keystead::TokenFile::new(&file);
/// assert_eq!(token.is("s3cret"), Ok(true));
/// assert_eq!(token.is("s3cre"), Ok(false));
/// std::fs::remove_file(&file)?;
/// assert_eq!(token.is("s3cret"), Err("it does not exist".to_owned()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// The token in this file, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether this is the token: white space around it in the file does not belong to it. How long
    /// that takes says nothing of the token but its length.
    ///
    /// This is file I/O: call it where blocking for the time of a small read is fine.
    ///
    /// # Errors
    /// Why the file holds no token, in one sentence that does not name it.
    pub fn is(&self, presented: &str) -> Result<bool, String> {
        let content = bounded_file::read(&self.0, TOKEN_LIMIT);
        let content = content.map_err(|problem| format!("it {problem}"))?;
        let token = one_token(&content).map_err(|problem| format!("it {problem}"))?;
        Ok(same_secret(presented.as_bytes(), token.as_bytes()))
    }
}

/// The token in a file's content, or what is wrong with it, in words that follow the file's name.
pub(crate) fn one_token(content: &[u8]) -> Result<&str, &'static str> {
    let token = content.trim_ascii();
    if token.is_empty() {
        return Err("is empty");
    }
    // RFC 6750 section 2.1: no token has a space or a control in it.
    let one_word = token.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(token).ok().filter(|_| one_word);
    text.ok_or("holds something else than one token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_in_the_file_is_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = TokenFile::new(&path);
        assert_eq!(file.is("").unwrap_err(), "it does not exist");
        for (content, problem) in [
            ("", "it is empty"),
            ("\n", "it is empty"),
            ("two words", "it holds something else than one token"),
        ] {
            std::fs::write(&path, content).unwrap();
            // What stands there is no token, not even for those who present the same.
            assert_eq!(file.is(content.trim()).unwrap_err(), problem, "{content:?}");
        }
        std::fs::write(&path, " one\r\n").unwrap();
        assert!(file.is("one").unwrap());
        for other in ["", "on", "onee", "One", " one"] {
            assert!(!file.is(other).unwrap(), "{other}");
        }
        std::fs::write(&path, "two").unwrap();
        assert!(!file.is("one").unwrap(), "it is read again");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(file.is("two").unwrap_err(), "it is not a regular file");
    }
}
