//! Files that a fetch depends on, read for each attempt: they change while the program runs.

use std::path::Path;
use std::sync::Arc;

use keystead_core::text::quoted;

use super::joined::Joined;
use crate::bounded_file;

/// How many files may be read at once: each read keeps a thread, for long on a network file system
/// that hangs.
const READS: usize = 16;

/// Reads files off the refresh thread.
#[derive(Debug)]
pub(super) struct Files {
    jobs: Joined<Result<Arc<[u8]>, String>>,
}

impl Files {
    pub(super) fn new() -> Self {
        Self { jobs: Joined::new(READS) }
    }

    /// The content of the file that `setting` names, of at most `limit` bytes; or why there is
    /// none, in a sentence that names both.
    pub(super) async fn read(
        &self,
        setting: &str,
        path: &Path,
        limit: u64,
    ) -> Result<Arc<[u8]>, String> {
        let wanted = path.to_owned();
        let work = move || match bounded_file::read(&wanted, limit) {
            Ok(content) => Ok(content.into()),
            Err(problem) => Err(problem.to_string()),
        };
        // Unlike a text, the bytes of a path stand for no other path.
        let name = path.as_os_str().as_encoded_bytes().escape_ascii();
        let read = self.jobs.run(&format!("{limit} {name}"), work).await;
        let read = read.unwrap_or_else(|| Err("was not read to the end".to_owned()));
        read.map_err(|problem| named(setting, path, &problem))
    }
}

/// What is wrong with the file that a setting names.
pub(super) fn named(setting: &str, path: &Path, problem: &str) -> String {
    format!("{setting} {} {problem}", quoted(&path.to_string_lossy()))
}
