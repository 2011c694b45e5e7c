//! The configuration file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin, Problem, Scope, Wrong};
use super::raw::{self, Node};

/// How many bytes a configuration file may have.
const MAX_SIZE: u64 = 1024 * 1024;

/// A configuration file: TOML when its extension is `toml`, or else YAML, of which JSON is a part.
#[derive(Clone)]
#[allow(clippy::exhaustive_structs, reason = "a file is a path and its text")]
pub struct ConfigFile {
    /// Where it is, for messages and for its extension.
    pub path: PathBuf,
    /// What stands in it.
    pub text: String,
}

impl ConfigFile {
    /// Reads a file of at most 1 MiB.
    ///
    /// # Errors
    /// When it cannot be read, is larger, or is not UTF-8.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        read_text(&path)
            .map_err(|wrong| {
                let origin = Origin::File { path: path.as_path().into(), line: 1, column: 1 };
                ConfigError::new(vec![wrong.at(String::new(), origin, Scope::Fatal)])
            })
            .map(|text| Self { path: path.clone(), text })
    }

    /// What stands in it, as a tree.
    pub(super) fn tree(&self) -> Result<Node, Vec<Problem>> {
        if self.text.len() as u64 > MAX_SIZE {
            return Err(vec![too_large().at(String::new(), self.origin(1, 1), Scope::Fatal)]);
        }
        raw::parse(&self.path, &self.text).map_err(|mistakes| {
            let problem = |mistake: raw::Unreadable| {
                let (line, column) = mistake.at;
                Wrong::new(format!("the file cannot be read: {}", mistake.problem))
                    .hint("look at this line, and at the indentation and quotes above it")
                    .at(String::new(), self.origin(line, column), Scope::Fatal)
            };
            mistakes.into_iter().map(problem).collect()
        })
    }

    pub(super) fn origin(&self, line: u32, column: u32) -> Origin {
        Origin::File { path: self.path.as_path().into(), line, column }
    }
}

/// The text may hold keys.
impl std::fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigFile").field("path", &self.path).finish_non_exhaustive()
    }
}

fn read_text(path: &Path) -> Result<String, Wrong> {
    let unreadable = |error: std::io::Error| {
        Wrong::new(format!("the file cannot be read: {error}"))
            .hint("check the path and its permissions")
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Wrong::new(format!("the file is not UTF-8: byte {at} is no part of a character"))
            .hint("save it as UTF-8")
    })
}

fn too_large() -> Wrong {
    Wrong::new("the file is larger than 1 MiB").hint("a configuration is smaller; check the path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        ConfigFile::read(path).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_or_refused_in_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keystead.yaml");
        assert!(refusal(&path).contains("cannot be read"));
        assert!(refusal(folder.path()).contains("cannot be read"));
        std::fs::write(&path, b"a: \xff\n").unwrap();
        assert!(refusal(&path).contains("not UTF-8: byte 3"));
        std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        assert!(refusal(&path).contains("larger than 1 MiB"));
        std::fs::write(&path, "version: 1\n").unwrap();
        assert_eq!(ConfigFile::read(&path).unwrap().text, "version: 1\n");
    }
}
