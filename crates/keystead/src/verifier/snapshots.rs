//! Keys that go from one process to another, or from one host to another.

use super::Verifier;
use crate::snapshot::{self, Imported, Snapshot, SnapshotError};

impl Verifier {
    /// The keys of the network as they are held now, each with when its source last confirmed it:
    /// for another host, such as one that cannot reach the providers itself.
    ///
    /// Keys of files, of the configuration and of the host program are not among them, and never a
    /// secret.
    #[must_use]
    pub fn export_snapshot(&self) -> Snapshot {
        let providers = self.providers();
        let records = providers.iter().filter_map(|provider| snapshot::record(provider));
        Snapshot::of(records)
    }

    /// Takes over the keys of a snapshot, as far as providers here have its issuers and the very
    /// sources that gave them: what became of each source in it.
    ///
    /// Keys are taken where they were confirmed later than those that are held. They keep their age
    /// and are used at once, and the provider is stale until it answers itself. They are written
    /// to `state_dir` as any others are.
    ///
    /// ```
    /// use keystead::{ProviderConfig, Verifier};
    ///
    /// let here = || ProviderConfig::new("idp", "https://idp.example").audiences(["my-service"]);
    /// let outside = Verifier::builder().provider(here()).build();
    /// let text = outside.export_snapshot().to_json(); // ... once its keys were fetched
    ///
    /// let inside = Verifier::builder().provider(here()).build();
    /// let imported = inside.import_snapshot(&keystead::Snapshot::parse(text.as_bytes())?);
    /// assert!(imported.is_empty());
    /// # Ok::<(), keystead::SnapshotError>(())
    /// ```
    pub fn import_snapshot(&self, snapshot: &Snapshot) -> Vec<Imported> {
        snapshot::import(&self.providers(), snapshot)
    }

    /// Writes the keys of the network to `state_dir` now, on this thread, and waits for their locks:
    /// each provider with whether that was needed, or why it could not be done. Providers without
    /// such keys are not among them, and without a `state_dir` none is.
    ///
    /// For programs that run once; while [`Verifier::start`] keeps keys fresh it keeps them on disk
    /// too.
    #[must_use]
    pub fn save_snapshots(&self) -> Vec<(String, Result<bool, SnapshotError>)> {
        let providers = self.providers();
        let saved = providers.iter().filter_map(|provider| {
            let saved = snapshot::save_now(provider)?;
            Some((provider.config().name.clone(), saved))
        });
        saved.collect()
    }
}
