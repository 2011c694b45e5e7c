//! The files of the snapshots, one per provider, shared by whoever has the same `state_dir`.

use std::path::PathBuf;
use std::time::Duration;

use super::error::{SnapshotError, SnapshotProblem};
use super::folder::{Folder, Lock};
use super::format;
use super::{Patience, ProviderSnapshot, Snapshot, SourceSnapshot};
use crate::config::{ServerConfig, StateAccess};

/// How many bytes one file may have: 4 MiB.
const SIZE_LIMIT: u64 = 4 * 1024 * 1024;

/// The folder that snapshots are kept in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Store {
    path: PathBuf,
    access: StateAccess,
}

/// Whose keys a file has to hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    /// The provider, whose name is the name of the file.
    pub(crate) name: String,
    pub(crate) issuer: String,
    /// What binds keys to each of its sources on the network.
    pub(crate) bindings: Vec<String>,
}

/// What came of an attempt to write.
#[derive(Debug)]
pub(crate) struct Put {
    /// What the file holds now.
    pub(crate) stored: ProviderSnapshot,
    /// Whether it was written; otherwise it held as much already.
    pub(crate) wrote: bool,
    /// What was wrong with the file that was there.
    pub(crate) refused: Option<SnapshotError>,
}

impl Store {
    /// The folder that a configuration names.
    pub(crate) fn of(config: &ServerConfig) -> Option<Self> {
        let path = config.state_dir.clone()?;
        Some(Self { path, access: config.state_access })
    }

    /// Whether it may be written to.
    pub(crate) fn is_written(&self) -> bool {
        self.access == StateAccess::ReadWrite
    }

    /// Where the file of a provider is.
    pub(crate) fn file(&self, provider: &str) -> PathBuf {
        self.path.join(file_name(provider))
    }

    /// What the file of a provider holds, if there is one.
    ///
    /// One that is refused is put aside, where this store may be written to.
    pub(crate) fn read(&self, whose: &Identity) -> Result<Option<ProviderSnapshot>, SnapshotError> {
        let Some(folder) = Folder::open(&self.path)? else { return Ok(None) };
        let error = match judged(&folder, whose) {
            Err(error) if self.is_written() && error.is_of_the_file() => error,
            read => return read,
        };
        match folder.lock(&file_name(&whose.name), Patience::None) {
            Ok(lock) => judged_or_put_aside(&folder, whose, &lock),
            Err(_) => Err(error),
        }
    }

    /// Makes the file hold the newer of what it holds and of `ours`, source by source.
    pub(crate) fn put(
        &self,
        whose: &Identity,
        ours: &ProviderSnapshot,
        now: Duration,
        patience: Patience,
    ) -> Result<Put, SnapshotError> {
        let folder = Folder::open_or_make(&self.path)?;
        let name = file_name(&whose.name);
        let lock = folder.lock(&name, patience)?;
        let (held, refused) = match judged_or_put_aside(&folder, whose, &lock) {
            Ok(held) => (held, None),
            Err(error) => (None, Some(error)),
        };
        let stored = newer(whose, ours, held.as_ref(), now);
        let wrote = held.as_ref() != Some(&stored);
        if wrote {
            let text = format::render(&Snapshot { providers: vec![stored.clone()] });
            if u64::try_from(text.len()).is_ok_and(|bytes| bytes > SIZE_LIMIT) {
                let problem = SnapshotProblem::TooLarge { limit: SIZE_LIMIT };
                return Err(SnapshotError::new(problem).at(folder.path_of(&name)));
            }
            folder.replace(&name, text.as_bytes(), &lock)?;
        }
        Ok(Put { stored, wrote, refused })
    }
}

fn file_name(provider: &str) -> String {
    // Names of providers begin with a letter and hold neither dots nor separators.
    format!("{provider}.json")
}

/// What the file holds for this provider. Whatever another run, release or configuration left
/// there, or somebody else, is refused as a whole where it is not for this provider.
fn judged(folder: &Folder, whose: &Identity) -> Result<Option<ProviderSnapshot>, SnapshotError> {
    let name = file_name(&whose.name);
    let Some(content) = folder.read(&name, SIZE_LIMIT)? else { return Ok(None) };
    let judged = format::parse(&content).and_then(|snapshot| owned(snapshot, whose));
    judged.map(Some).map_err(|error| error.at(folder.path_of(&name)))
}

fn owned(snapshot: Snapshot, whose: &Identity) -> Result<ProviderSnapshot, SnapshotError> {
    let mut providers = snapshot.providers.into_iter();
    let (Some(mut found), None) = (providers.next(), providers.next()) else {
        let what = "it is not of one provider".to_owned();
        return Err(SnapshotError::new(SnapshotProblem::Content(what)));
    };
    if found.issuer != whose.issuer {
        let (found, configured) = (found.issuer, whose.issuer.clone());
        return Err(SnapshotError::new(SnapshotProblem::OtherIssuer { found, configured }));
    }
    found.name.clone_from(&whose.name);
    found.sources.retain(|source| whose.bindings.contains(&source.binding));
    if found.sources.is_empty() {
        return Err(SnapshotError::new(SnapshotProblem::OtherSources));
    }
    Ok(found)
}

fn judged_or_put_aside(
    folder: &Folder,
    whose: &Identity,
    lock: &Lock,
) -> Result<Option<ProviderSnapshot>, SnapshotError> {
    judged(folder, whose).map_err(|error| {
        if !error.is_of_the_file() {
            return error;
        }
        let kept = folder.put_aside(&file_name(&whose.name), lock).ok();
        SnapshotError { kept, ..error }
    })
}

/// Of each source what was confirmed later. What claims to be from the future is never newer: a
/// clock was wrong, and it would stand in the way until then.
fn newer(
    whose: &Identity,
    ours: &ProviderSnapshot,
    held: Option<&ProviderSnapshot>,
    now: Duration,
) -> ProviderSnapshot {
    let of = |snapshot: &ProviderSnapshot, binding: &String| -> Option<SourceSnapshot> {
        snapshot.sources.iter().find(|source| source.binding == *binding).cloned()
    };
    let sources = whose.bindings.iter().filter_map(|binding| {
        match (of(ours, binding), held.and_then(|held| of(held, binding))) {
            (Some(ours), Some(held)) => {
                let held_is_newer = held.confirmed > ours.confirmed && held.confirmed <= now;
                Some(if held_is_newer { held } else { ours })
            }
            (ours, held) => ours.or(held),
        }
    });
    ProviderSnapshot {
        name: whose.name.clone(),
        issuer: whose.issuer.clone(),
        sources: sources.collect(),
    }
}

#[cfg(test)]
mod tests {
    use keystead_core::{KeySet, Provenance};

    use super::*;

    const ED25519: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"KID"}]}"#;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn source(binding: &str, confirmed: u64, kid: &str) -> SourceSnapshot {
        let text = ED25519.replace("KID", kid);
        SourceSnapshot {
            kind: "jwks_url",
            url: "https://idp.example/keys".to_owned(),
            confirmed: s(confirmed),
            keys: KeySet::parse(text.as_bytes(), Provenance::Network, 1).unwrap(),
            endpoint: None,
            leaving: Vec::new(),
            binding: binding.to_owned(),
        }
    }

    fn snapshot(sources: impl Into<Vec<SourceSnapshot>>) -> ProviderSnapshot {
        let (name, issuer) = ("idp".to_owned(), "https://idp.example".to_owned());
        ProviderSnapshot { name, issuer, sources: sources.into() }
    }

    fn whose() -> Identity {
        Identity {
            name: "idp".to_owned(),
            issuer: "https://idp.example".to_owned(),
            bindings: vec!["1".to_owned(), "2".to_owned()],
        }
    }

    fn merged(ours: &[SourceSnapshot], held: &[SourceSnapshot]) -> Vec<(String, u64)> {
        let merged = newer(&whose(), &snapshot(ours), Some(&snapshot(held)), s(1_000));
        merged.sources.into_iter().map(|s| (s.binding, s.confirmed.as_secs())).collect()
    }

    fn of(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
        pairs.iter().map(|(binding, at)| ((*binding).to_owned(), *at)).collect()
    }

    #[test]
    fn of_each_source_the_newer_is_kept() {
        let (old, new) = (source("1", 10, "a"), source("1", 20, "b"));
        let other = source("2", 5, "c");
        assert_eq!(
            merged(std::slice::from_ref(&new), std::slice::from_ref(&old)),
            of(&[("1", 20)])
        );
        assert_eq!(
            merged(std::slice::from_ref(&old), std::slice::from_ref(&new)),
            of(&[("1", 20)])
        );
        assert_eq!(merged(&[other.clone(), old.clone()], &[new]), of(&[("1", 20), ("2", 5)]));
        assert_eq!(merged(&[old], &[other]), of(&[("1", 10), ("2", 5)]), "what we lack stays");
        let of_another = source("3", 30, "d");
        assert_eq!(merged(&[source("1", 1, "a")], &[of_another]), of(&[("1", 1)]));
    }

    #[test]
    fn at_the_same_moment_ours_is_kept_and_the_future_is_never_newer() {
        let ours = source("1", 10, "ours");
        for confirmed in [10, 1_001] {
            let held = snapshot([source("1", confirmed, "held")]);
            let merged = newer(&whose(), &snapshot([ours.clone()]), Some(&held), s(1_000));
            assert_eq!(merged.sources, std::slice::from_ref(&ours));
        }
    }

    #[test]
    fn a_folder_of_its_own_is_made_private_and_writes_are_whole() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        let store = Store { path: path.clone(), access: StateAccess::ReadWrite };
        assert_eq!(store.read(&whose()).unwrap(), None, "nothing is made by reading");
        assert!(!path.exists());
        let ours = snapshot([source("1", 10, "a")]);
        let put = |ours: &ProviderSnapshot| store.put(&whose(), ours, s(1_000), Patience::None);
        assert!(put(&ours).unwrap().wrote);
        assert!(!put(&ours).unwrap().wrote, "the same again");
        assert_eq!(store.read(&whose()).unwrap(), Some(ours.clone()));
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(&store.file("idp"))), (0o700, 0o600));
        // A process was killed while it wrote.
        std::fs::write(path.join(".idp.json.tmp"), "{\"keystead_sn").unwrap();
        assert_eq!(store.read(&whose()).unwrap(), Some(ours));
        let newer = snapshot([source("1", 20, "b")]);
        assert!(put(&newer).unwrap().wrote);
        assert_eq!(store.read(&whose()).unwrap(), Some(newer));
        let mut names: Vec<_> =
            path.read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".idp.json.lock", "idp.json"]);
    }

    #[test]
    fn whoever_is_not_to_write_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let writing = Store { path: root.path().to_owned(), access: StateAccess::ReadWrite };
        let reading = Store { access: StateAccess::ReadOnly, ..writing.clone() };
        std::fs::write(writing.file("idp"), "{}").unwrap();
        let error = reading.read(&whose()).unwrap_err();
        assert_eq!((error.code(), error.kept), ("not_a_snapshot", None));
        assert_eq!(root.path().read_dir().unwrap().count(), 1);
        let error = writing.read(&whose()).unwrap_err();
        assert_eq!(error.kept, Some(root.path().join("idp.json.rejected")));
        assert_eq!(writing.read(&whose()).unwrap(), None);
    }

    #[test]
    fn a_lock_that_another_one_holds_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let store = Store { path: root.path().to_owned(), access: StateAccess::ReadWrite };
        let folder = Folder::open_or_make(root.path()).unwrap();
        let held = folder.lock("idp.json", Patience::None).unwrap();
        let ours = snapshot([source("1", 10, "a")]);
        let put = || store.put(&whose(), &ours, s(1_000), Patience::None);
        assert_eq!(put().unwrap_err().code(), "locked");
        // What is refused meanwhile stays where it is, for another time.
        std::fs::write(store.file("idp"), "{}").unwrap();
        assert_eq!(store.read(&whose()).unwrap_err().kept, None);
        drop(held);
        let put = put().unwrap();
        assert_eq!((put.wrote, put.refused.unwrap().code()), (true, "not_a_snapshot"));
    }
}
