//! Keys on disk: what a process that starts while its providers are away has from an earlier one, and
//! what it does not take.
#![cfg(unix)]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests may stop"
)]

mod common;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::{
    World, jwks_of, key, metadata, minutes, pass, provider, publishes, refused_connection, secs,
    status, until,
};
use keystead::config::{Config, ConfigFile, Layers, StateAccess};
use keystead::core::Freshness;
use keystead::http::Document;
use keystead::{Clock, ImportOutcome, ProviderConfig, Snapshot, SnapshotStatus};
use keystead_testkit::{Answer, SigningKey};
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";
const DOCUMENT: &str = "https://idp.example/.well-known/openid-configuration";

/// A folder that outlives the verifiers which keep their keys in it.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn state_dir(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn file(&self) -> PathBuf {
        self.state_dir().join("p.json")
    }

    fn rejected(&self) -> PathBuf {
        self.state_dir().join("p.json.rejected")
    }

    /// What a process that starts `later` than the world began would be, with these providers.
    fn process(
        &self,
        providers: impl IntoIterator<Item = ProviderConfig>,
        later: Duration,
    ) -> World {
        process(self.config(providers), later)
    }

    fn config(&self, providers: impl IntoIterator<Item = ProviderConfig>) -> Config {
        let mut config = Config::of(providers);
        config.server.state_dir = Some(self.state_dir());
        config
    }

    /// Leaves the keys of `p`, by its JWKS, as a process left them that ran when the world began.
    async fn leave(&self, keys: &[&SigningKey]) {
        let mut world = self.process([by_url()], secs(0));
        world.network.on(KEYS, [publishes(keys)]);
        world.start().await;
        assert_eq!(snapshot(&world).writes, 1);
        world.stop().await;
    }

    fn written(&self) -> Snapshot {
        Snapshot::parse(&fs::read(self.file()).unwrap()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = self.state_dir().read_dir().unwrap();
        let mut names: Vec<_> =
            names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn process(config: Config, later: Duration) -> World {
    let world = World::of(config);
    world.clock.shift_wall(i64::try_from(later.as_secs()).unwrap());
    world
}

fn by_url() -> ProviderConfig {
    provider("p", ISSUER).jwks_url(KEYS)
}

fn snapshot(world: &World) -> SnapshotStatus {
    world.status("p").snapshot.unwrap()
}

fn accepts(world: &World, key: &SigningKey) -> bool {
    world.accepts(&world.token(ISSUER, key))
}

/// G8
#[tokio::test(start_paused = true)]
async fn with_every_provider_down_the_keys_of_the_last_run_verify_at_once() {
    let (disk, one, two) = (Disk::new(), key("one"), key("two"));
    let other = "https://other.example";
    let providers = || [by_url(), provider("q", other).jwks_url("https://other.example/keys")];
    let mut first = disk.process(providers(), secs(0));
    first.network.on(KEYS, [publishes(&[&one])]);
    first.network.on("https://other.example/keys", [publishes(&[&two])]);
    first.start().await;
    first.stop().await;
    assert_eq!(disk.names(), [".p.json.lock", ".q.json.lock", "p.json", "q.json"]);

    let mut world = disk.process(providers(), minutes(60));
    world.network.on(KEYS, [refused_connection()]);
    world.network.on("https://other.example/keys", [Answer::never()]);
    assert_eq!(world.state("p"), "cold", "building reads nothing");
    world.start().await;
    let verified = world.verifier.verify(&world.token(ISSUER, &one)).unwrap();
    assert_eq!(verified.freshness(), Freshness::Stale);
    let origin = "snapshot of jwks_url https://idp.example/keys, confirmed 2026-01-01T00:00:00Z";
    assert_eq!(verified.key_origin(), origin);
    assert!(world.accepts(&world.token(other, &two)));
    let status = world.status("p");
    assert_eq!((status.state, status.keys[0].age_seconds), ("stale", Some(3_600)));
    assert_eq!(status.keys[0].origin, origin);
    assert_eq!(
        status.reason,
        "1 key is held; jwks_url https://idp.example/keys: keys from snapshot, age 3600 s; \
         connection refused"
    );
    let kept = status.snapshot.unwrap();
    assert_eq!((kept.age_seconds, kept.last_written, kept.writes), (Some(3_600), None, 0));
    assert_eq!(kept.file, disk.file().display().to_string());

    world.network.on(KEYS, [publishes(&[&one])]);
    until(|| world.state("p") == "ready").await;
    let status = world.status("p");
    assert_eq!(status.reason, "1 key is held");
    assert_eq!(status.keys[0].origin, "jwks_url https://idp.example/keys");
    pass(secs(1)).await;
    assert_eq!((snapshot(&world).writes, world.status("q").state), (1, "stale"));
}

#[tokio::test(start_paused = true)]
async fn restored_keys_are_there_before_anybody_is_asked() {
    let (disk, signing) = (Disk::new(), key("K"));
    disk.leave(&[&signing]).await;
    let world = disk.process([by_url()], secs(60));
    world.verifier.load();
    assert!(accepts(&world, &signing));
    assert_eq!(world.requests(), 0);
    world.verifier.load();
    assert_eq!(world.status("p").keys.len(), 1, "and they are there once");
}

#[tokio::test(start_paused = true)]
async fn a_realm_that_was_made_again_meanwhile_is_accepted_at_once() {
    let (disk, old, new) = (Disk::new(), key("old"), key("new"));
    disk.leave(&[&old]).await;
    let mut world = disk.process([by_url()], secs(60));
    world.network.on(KEYS, [publishes(&[&new])]);
    world.start().await;
    assert!(accepts(&world, &new) && accepts(&world, &old), "the old until it is confirmed");
    pass(secs(31)).await;
    assert!(accepts(&world, &new) && !accepts(&world, &old));
    assert_eq!(disk.written().providers()[0].sources[0].keys.keys().len(), 1);
}

/// A file is for one issuer, kind of source and address; a changed configuration finds nothing.
#[tokio::test(start_paused = true)]
async fn a_changed_configuration_does_not_revive_foreign_keys() {
    let signing = key("K");
    let elsewhere = "https://elsewhere.example";
    let cases = [
        (provider("p", elsewhere).jwks_url(KEYS), elsewhere, "other_issuer"),
        (provider("p", ISSUER).jwks_url("https://idp.example/keys2"), ISSUER, "other_sources"),
        (provider("p", ISSUER).jwks_url("https://idp.example/keys?v=2"), ISSUER, "other_sources"),
        (
            provider("p", ISSUER).jwks_url("http://idp.example/keys").plain_http_anywhere(),
            ISSUER,
            "other_sources",
        ),
        (provider("p", ISSUER).discovery_url(KEYS), ISSUER, "other_sources"),
        (provider("p", ISSUER), ISSUER, "other_sources"),
    ];
    for (changed, issuer, code) in cases {
        let disk = Disk::new();
        disk.leave(&[&signing]).await;
        let before = fs::read(disk.file()).unwrap();
        let world = disk.process([changed.clone()], secs(60));
        world.verifier.load();
        assert!(!world.accepts(&world.token(issuer, &signing)), "{changed:?}");
        assert_eq!(world.state("p"), "cold");
        let refused = snapshot(&world).refused.unwrap();
        assert_eq!(refused.code, code, "{changed:?}: {}", refused.detail);
        assert_eq!(fs::read(disk.rejected()).unwrap(), before, "kept aside, as it was");
        assert!(!disk.file().exists());
    }
    // What says nothing about where keys are from may change.
    let disk = Disk::new();
    disk.leave(&[&signing]).await;
    let changed = by_url().aliases(["https://alias.example"]).max_stale(Some(minutes(600)));
    let world = disk.process([changed], secs(60));
    world.verifier.load();
    assert!(accepts(&world, &signing));
}

#[tokio::test(start_paused = true)]
async fn of_several_sources_those_that_are_still_configured_are_restored() {
    let (disk, stays, goes) = (Disk::new(), key("stays"), key("goes"));
    let more = "https://idp.example/more";
    let mut first = disk.process([by_url().jwks_url(more)], secs(0));
    first.network.on(KEYS, [publishes(&[&stays])]).on(more, [publishes(&[&goes])]);
    first.start().await;
    first.stop().await;
    assert_eq!(disk.written().providers()[0].sources.len(), 2);
    let mut world = disk.process([by_url()], secs(60));
    world.network.on(KEYS, [refused_connection(), publishes(&[&stays, &key("new")])]);
    world.verifier.load();
    assert!(accepts(&world, &stays) && !accepts(&world, &goes));
    world.start().await;
    until(|| world.state("p") == "ready").await;
    pass(secs(1)).await;
    assert_eq!(disk.written().providers()[0].sources.len(), 1, "and the other one is forgotten");
}

/// Puts something in the way of a file that was fine.
type Harm = fn(&Path);

/// Each file that cannot be used has its reason, is put aside, and makes room for a new one.
#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_is_refused_by_name_and_put_aside() {
    let cases: [(Harm, &str); 14] = [
        (|file| fs::write(file, "").unwrap(), "not_json"),
        (|file| fs::write(file, b"\xff\xfe\x00").unwrap(), "not_json"),
        (|file| fs::write(file, r#"{"keys":[]}"#).unwrap(), "not_a_snapshot"),
        (|file| fs::write(file, "[".repeat(1_000_000)).unwrap(), "not_json"),
        (|file| fs::write(file, " ".repeat(5 * 1024 * 1024)).unwrap(), "too_large"),
        (|file| rewrite(file, |text| text.replacen(":1,", ":2,", 1)), "version"),
        (|file| rewrite(file, |text| text.replacen("idp", "pdi", 1)), "checksum"),
        (|file| rewrite(file, |text| text[..text.len() / 2].to_owned()), "not_json"),
        (|file| fs::set_permissions(file, Permissions::from_mode(0o620)).unwrap(), "writable"),
        (|file| fs::set_permissions(file, Permissions::from_mode(0o602)).unwrap(), "writable"),
        (
            |file| {
                fs::rename(file, file.with_extension("good")).unwrap();
                symlink(file.with_extension("good"), file).unwrap();
            },
            "symlink",
        ),
        (
            |file| {
                fs::remove_file(file).unwrap();
                symlink("/dev/zero", file).unwrap();
            },
            "symlink",
        ),
        (
            |file| {
                fs::remove_file(file).unwrap();
                pipe(file);
            },
            "not_a_file",
        ),
        (
            |file| {
                fs::remove_file(file).unwrap();
                fs::create_dir(file).unwrap();
            },
            "not_a_file",
        ),
    ];
    let signing = key("K");
    for (harm, code) in cases {
        let disk = Disk::new();
        disk.leave(&[&signing]).await;
        harm(&disk.file());
        refuses(&disk, &signing, code).await;
    }
}

async fn refuses(disk: &Disk, signing: &SigningKey, code: &str) {
    let mut world = disk.process([by_url()], secs(60));
    world.network.on(KEYS, [refused_connection(), publishes(&[signing])]);
    world.start().await;
    assert_eq!(world.state("p"), "cold", "{code}");
    let refused = snapshot(&world).refused.unwrap();
    assert_eq!(refused.code, code, "{}", refused.detail);
    assert!(refused.detail.contains("; kept as "), "{}", refused.detail);
    let reason = world.status("p").reason;
    assert!(reason.ends_with(&format!("; snapshot not used: {}", refused.detail)), "{reason}");
    assert!(disk.rejected().symlink_metadata().is_ok(), "{code}");
    until(|| world.state("p") == "ready").await;
    pass(secs(1)).await;
    let kept = snapshot(&world);
    assert_eq!((kept.writes, kept.failures), (1, 0), "{code}");
    assert!(kept.refused.is_some(), "what was refused is still said");
    assert_eq!(world.status("p").reason, "1 key is held");
    assert!(disk.file().symlink_metadata().unwrap().is_file(), "{code}");
    assert_eq!(disk.written().providers()[0].sources[0].keys.keys().len(), 1);
}

fn rewrite(file: &Path, change: fn(&str) -> String) {
    fs::write(file, change(&fs::read_to_string(file).unwrap())).unwrap();
}

fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Another user's file, and another user's folder. Only root can make them.
#[tokio::test(start_paused = true)]
async fn what_belongs_to_another_user_is_not_believed() {
    let (disk, signing) = (Disk::new(), key("K"));
    disk.leave(&[&signing]).await;
    if chown(disk.file(), Some(12_345), None).is_err() {
        // Without root, root's own files are the only foreign ones, and those are believed.
        let world = disk.process([by_url()], secs(60));
        world.verifier.load();
        assert!(accepts(&world, &signing));
        return;
    }
    refuses(&disk, &signing, "owner").await;
    chown(disk.state_dir(), Some(12_345), None).unwrap();
    folder_is_refused(disk.state_dir(), "owner").await;
}

/// A folder that cannot be used is a word in the status, and keeps nobody from verifying.
#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_used_is_said_and_harms_nobody() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("file"), "").unwrap();
    fs::create_dir(at("open")).unwrap();
    fs::set_permissions(at("open"), Permissions::from_mode(0o770)).unwrap();
    fs::create_dir(at("sticky")).unwrap();
    fs::set_permissions(at("sticky"), Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(at("good")).unwrap();
    fs::set_permissions(at("good"), Permissions::from_mode(0o755)).unwrap();
    symlink(at("good"), at("link")).unwrap();
    for (path, code) in [
        (at("file"), "not_a_folder"),
        (at("open"), "writable"),
        (at("sticky"), "writable"),
        (at("link"), "symlink"),
        (at("link/"), "symlink"),
        (at("file/inside"), "not_a_folder"),
        (at("missing/inside"), "no_parent"),
    ] {
        folder_is_refused(path, code).await;
    }
    assert_eq!(fs::read_dir(at("good")).unwrap().count(), 0, "and nothing was written there");
}

async fn folder_is_refused(path: PathBuf, code: &str) {
    let signing = key("K");
    let mut config = Config::of([by_url()]);
    config.server.state_dir = Some(path.clone());
    let mut world = process(config, secs(0));
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    assert!(accepts(&world, &signing));
    assert_eq!(world.state("p"), "ready", "keys in memory are as good as ever");
    let kept = snapshot(&world);
    let error = kept.last_error.unwrap();
    assert_eq!(error.code, code, "{}: {}", path.display(), error.detail);
    assert!(error.detail.contains(path.file_name().unwrap().to_str().unwrap()), "{}", error.detail);
    assert_eq!((kept.writes, kept.age_seconds, kept.last_written), (0, None, None));
    pass(minutes(2)).await;
    assert!((5..=12).contains(&snapshot(&world).failures), "{}", snapshot(&world).failures);
}

/// /sys is a folder of root's in which nobody can make a file: as good as a disk mounted read-only.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_written_to_is_said_until_it_can_be() {
    let (disk, signing) = (Disk::new(), key("K"));
    let mut config = disk.config([by_url()]);
    config.server.state_dir = Some("/sys".into());
    let mut world = process(config, secs(0));
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    assert_eq!(world.state("p"), "ready");
    let error = snapshot(&world).last_error.unwrap();
    assert!(["read_only", "permission"].contains(&error.code), "{}: {}", error.code, error.detail);
    // Another folder is named: providers, keys and schedule stay as they are.
    world.verifier.apply(disk.config([by_url()]));
    pass(secs(1)).await;
    let kept = snapshot(&world);
    assert_eq!((kept.writes, kept.failures, kept.last_error.is_none()), (1, 0, true));
    assert!(disk.file().exists());
    assert_eq!(world.requests(), 1);
}

/// A clock that was set back, or one that was ahead when the keys were kept: their age cannot be
/// known, and is not unbounded either.
#[tokio::test(start_paused = true)]
async fn a_snapshot_from_the_future_is_stale_and_named_and_its_age_begins_to_count() {
    let (disk, signing) = (Disk::new(), key("K"));
    disk.leave(&[&signing]).await;
    let mut world = World::of(disk.config([by_url()]));
    world.clock.shift_wall(-86_400);
    world.network.on(KEYS, [refused_connection()]);
    world.start().await;
    assert!(accepts(&world, &signing));
    let status = world.status("p");
    assert_eq!((status.state, status.keys[0].age_seconds), ("stale", Some(0)));
    let named = "keys from snapshot, confirmed 86400 s ahead of this clock, which was set back or \
                 is wrong";
    assert!(status.reason.contains(named), "{}", status.reason);
    world.stop().await;
    let confirmed = disk.written().providers()[0].sources[0].confirmed;
    assert_eq!(confirmed, secs(1_767_225_600 - 86_400), "so that it is bounded over restarts too");
    // A clock that differs by seconds is no reason for a word.
    let near = World::of(disk.config([by_url()]));
    near.clock.shift_wall(-86_410);
    near.verifier.load();
    assert!(near.status("p").reason.ends_with("keys from snapshot, age 0 s"));
}

#[tokio::test(start_paused = true)]
async fn what_a_clock_of_the_future_wrote_does_not_stand_in_the_way_of_newer_keys() {
    let (disk, old, new) = (Disk::new(), key("old"), key("new"));
    disk.leave(&[&old]).await;
    let mut world = World::of(disk.config([by_url()]));
    world.clock.shift_wall(-86_400);
    world.network.on(KEYS, [publishes(&[&old, &new])]);
    world.start().await;
    let written = disk.written();
    assert_eq!(written.providers()[0].sources[0].keys.keys().len(), 2);
    assert!(written.providers()[0].sources[0].confirmed <= secs(1_767_225_600 - 86_399));
}

#[tokio::test(start_paused = true)]
async fn the_age_on_disk_counts_towards_max_stale() {
    let (disk, signing) = (Disk::new(), key("K"));
    disk.leave(&[&signing]).await;
    let mut world = disk.process([by_url()], minutes(24 * 60 - 10));
    world.network.on(KEYS, [refused_connection()]);
    world.start().await;
    assert!(accepts(&world, &signing));
    pass(minutes(10)).await;
    assert_eq!(world.state("p"), "expired");
    assert_eq!(world.refusal(&world.token(ISSUER, &signing)), (503, "keys.expired"));
    world.stop().await;

    let mut late = disk.process([by_url()], minutes(25 * 60));
    late.network.on(KEYS, [refused_connection()]);
    late.start().await;
    let status = late.status("p");
    assert_eq!((status.state, status.keys.len()), ("expired", 1), "held, and not used");
    assert!(!accepts(&late, &signing));
    late.network.on(KEYS, [publishes(&[&signing])]);
    until(|| late.state("p") == "ready").await;
    assert!(accepts(&late, &signing));

    let forever = disk.process([by_url().max_stale(None)], minutes(60 * 24 * 365));
    forever.verifier.load();
    assert!(accepts(&forever, &signing));
}

/// The document fails alone after a restart: the address it named is asked all the same.
#[tokio::test(start_paused = true)]
async fn the_last_known_key_address_outlives_a_restart() {
    let (disk, old, new) = (Disk::new(), key("old"), key("new"));
    let form = "https://idp.example/realms/a/.well-known/oauth-authorization-server";
    let issuer = "https://idp.example/realms/a";
    let mut first = disk.process([provider("p", issuer)], secs(0));
    let gone = "https://idp.example/realms/a/.well-known/openid-configuration";
    let inserted = "https://idp.example/.well-known/oauth-authorization-server/realms/a";
    first.network.on(gone, [status(404)]).on(inserted, [status(404)]);
    first.network.on(form, [metadata(issuer, KEYS)]).on(KEYS, [publishes(&[&old])]);
    first.start().await;
    assert_eq!(first.state("p"), "ready");
    first.stop().await;

    let mut world = disk.process([provider("p", issuer)], secs(60));
    for url in [gone, inserted, form] {
        world.network.on(url, [status(500)]);
    }
    world.network.on(KEYS, [publishes(&[&old, &new])]);
    world.start().await;
    assert_eq!(world.network.requests(), [form, KEYS], "the form that worked, then the address");
    assert!(world.accepts(&world.token(issuer, &new)));
    let source = &world.status("p").sources[0];
    assert_eq!(source.last_error.as_ref().unwrap().code, "status", "and the document is missed");
    world.stop().await;

    // Its address was made under another setting; its keys were not.
    let other = provider("p", issuer).endpoint_origin(keystead::config::EndpointOrigin::Discovery);
    let mut world = disk.process([other], secs(120));
    for url in [gone, inserted, form] {
        world.network.on(url, [status(500)]);
    }
    world.start().await;
    assert_eq!(world.network.requests(), [gone]);
    assert!(world.accepts(&world.token(issuer, &new)));
}

/// A restart neither cuts the grace of a removed key short nor begins it anew; and the operator's
/// distrust holds for what is on disk as for anything else.
#[tokio::test(start_paused = true)]
async fn removed_keys_leave_when_they_would_have_and_distrusted_ones_are_not_used() {
    let (disk, stays, goes) = (Disk::new(), key("stays"), key("goes"));
    let gracious = || by_url().removed_key_grace(minutes(60));
    let mut first = disk.process([gracious()], secs(0));
    first.network.on(KEYS, [publishes(&[&stays, &goes]), publishes(&[&stays])]);
    first.start().await;
    pass(minutes(6)).await;
    assert!(accepts(&first, &goes), "it was removed, and has its grace");
    first.stop().await;
    let left = disk.written().providers()[0].sources[0].leaving[0].until;

    let later = minutes(30);
    let mut world = disk.process([gracious()], later);
    world.network.on(KEYS, [publishes(&[&stays])]);
    world.start().await;
    assert!(accepts(&world, &goes) && accepts(&world, &stays));
    pass(left.checked_sub(world.clock.wall() + secs(1)).unwrap()).await;
    assert!(accepts(&world, &goes));
    pass(secs(2)).await;
    assert!(!accepts(&world, &goes) && accepts(&world, &stays));
    assert!(disk.written().providers()[0].sources[0].leaving.is_empty(), "on disk too");
    world.stop().await;

    let distrusting = by_url().distrusted_keys([stays.thumbprint().unwrap()]);
    let world = disk.process([distrusting], minutes(100));
    world.verifier.load();
    assert!(!accepts(&world, &stays));
    assert_eq!(world.state("p"), "cold");
}

/// Newer keys are handed in while an answer is under way that only says that nothing changed: it
/// is about other keys, and the source is asked again.
#[tokio::test(start_paused = true)]
async fn an_answer_that_nothing_changed_is_not_about_keys_that_were_imported_meanwhile() {
    let (old, new) = (key("old"), key("new"));
    let mut tagged = Document::json(common::jwks(&[&old]));
    tagged.etag = Some("\"a\"".to_owned());
    let mut world = World::new([by_url()]);
    let unchanged = Answer::not_modified().after(secs(3));
    world.network.on(KEYS, [Answer::document(tagged), unchanged, publishes(&[&old, &new])]);
    world.start().await;
    until(|| world.requests() == 2).await;

    let later = world.clock.wall().checked_sub(secs(1_767_225_600)).unwrap();
    let mut outside = process(Config::of([by_url()]), later);
    outside.network.on(KEYS, [publishes(&[&old, &new])]);
    outside.start().await;
    let newer = outside.verifier.export_snapshot();
    outside.stop().await;
    let imported = world.verifier.import_snapshot(&newer);
    assert!(matches!(imported[0].outcome, ImportOutcome::Taken { .. }), "{imported:?}");
    assert!(accepts(&world, &new));
    pass(secs(5)).await;
    assert_eq!(world.network.etags(KEYS), [None, Some("\"a\"".to_owned()), None]);
    assert!(accepts(&world, &new) && accepts(&world, &old));
    assert_eq!(world.status("p").keys[0].origin, "jwks_url https://idp.example/keys");
}

/// It is written when there is something to say, and not for every answer.
#[tokio::test(start_paused = true)]
async fn it_is_written_when_keys_change_or_their_confirmation_has_become_old() {
    let (disk, one, two) = (Disk::new(), key("one"), key("two"));
    let often = by_url().refresh_interval(secs(60));
    let mut world = disk.process([often], secs(0));
    world.network.on(KEYS, [publishes(&[&one, &two]), publishes(&[&two, &one])]);
    world.start().await;
    assert_eq!(snapshot(&world).writes, 1);
    pass(minutes(4)).await;
    assert_eq!(snapshot(&world).writes, 1, "the same keys, in whatever order");
    pass(minutes(56)).await;
    let writes = snapshot(&world).writes;
    assert!((10..=13).contains(&writes), "about every five minutes: {writes}");
    assert!(snapshot(&world).age_seconds.unwrap() <= 6 * 60);
    world.network.on(KEYS, [publishes(&[&one])]);
    until(|| !accepts(&world, &two)).await;
    pass(secs(1)).await;
    assert_eq!(disk.written().providers()[0].sources[0].keys.keys().len(), 1, "at once");
    world.network.on(KEYS, [status(500)]);
    pass(minutes(2)).await;
    let writes = snapshot(&world).writes;
    pass(minutes(60)).await;
    assert_eq!(snapshot(&world).writes, writes, "failures say nothing new");
}

#[tokio::test(start_paused = true)]
async fn keys_that_may_not_become_old_are_confirmed_on_disk_more_often() {
    let disk = Disk::new();
    let short = by_url().refresh_interval(secs(10)).max_stale(Some(minutes(5)));
    let mut world = disk.process([short], secs(0));
    world.network.on(KEYS, [publishes(&[&key("K")])]);
    world.start().await;
    pass(minutes(10)).await;
    let writes = snapshot(&world).writes;
    assert!((14..=22).contains(&writes), "a tenth of max_stale: {writes}");
}

/// Whatever is published, a file holds public keys that verify.
#[tokio::test(start_paused = true)]
async fn a_file_holds_nothing_but_usable_public_keys() {
    let (disk, private, encryption) = (Disk::new(), key("private"), key("enc"));
    let mut leaked = private.secret_jwk().unwrap_or_else(|| private.jwk());
    leaked["d"] = json!("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I");
    let mut enc = encryption.jwk();
    enc["use"] = json!("enc");
    let oct = json!({"kty":"oct","kid":"oct","k":"c2hhcmVkLXNlY3JldA"});
    let mut world = disk.process([by_url()], secs(0));
    world.network.on(KEYS, [Answer::json(jwks_of([leaked, enc, oct]))]);
    world.start().await;
    let text = fs::read_to_string(disk.file()).unwrap();
    for secret in ["\"d\"", "\"k\"", "c2VjcmV0", "c2hhcmVk", "\"enc\"", "oct"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let value: Value = serde_json::from_str(&text).unwrap();
    let keys = value["payload"]["providers"][0]["sources"][0]["keys"].as_array().unwrap();
    assert_eq!((keys.len(), keys[0]["kid"].as_str()), (1, Some("private")));
    // The mark that its private part was seen is not a change, time and again.
    pass(minutes(4)).await;
    assert_eq!(snapshot(&world).writes, 1);
}

#[tokio::test(start_paused = true)]
async fn sources_that_are_there_anyway_are_not_kept() {
    let (disk, signing) = (Disk::new(), key("K"));
    let file = disk.0.path().join("keys.json");
    fs::write(&file, common::jwks(&[&signing])).unwrap();
    let by_file = provider("p", ISSUER).keys_file(&file);
    let mut world = disk.process([by_file], secs(0));
    world.start().await;
    assert_eq!(world.state("p"), "ready");
    assert!(world.status("p").snapshot.is_none());
    assert!(!disk.state_dir().exists());
    assert!(world.verifier.export_snapshot().providers().is_empty());
    assert!(world.verifier.save_snapshots().is_empty());
}

/// Several processes share a folder: the newer keys stay, whoever comes later. A lock that somebody
/// else holds is waited for, and said when that takes too long.
#[tokio::test(start_paused = true)]
async fn an_older_view_never_replaces_a_newer_one() {
    let (disk, elsewhere, old, new) = (Disk::new(), Disk::new(), key("old"), key("new"));
    let mut quick = elsewhere.process([by_url()], secs(1));
    quick.network.on(KEYS, [publishes(&[&new])]);
    quick.start().await;
    quick.stop().await;

    disk.leave(&[&key("first")]).await;
    let lock = File::open(disk.state_dir().join(".p.json.lock")).unwrap();
    lock.lock().unwrap();
    let mut slow = disk.process([by_url()], secs(0));
    slow.network.on(KEYS, [publishes(&[&old])]);
    slow.start().await;
    pass(secs(1)).await;
    assert_eq!((snapshot(&slow).writes, snapshot(&slow).failures), (0, 0), "it waits");
    fs::copy(elsewhere.file(), disk.file()).unwrap();
    pass(secs(4)).await;
    let error = snapshot(&slow).last_error.unwrap();
    assert_eq!(error.code, "locked", "{}", error.detail);
    lock.unlock().unwrap();
    pass(secs(10)).await;
    let kept = snapshot(&slow);
    assert_eq!((kept.writes, kept.last_error.is_none()), (0, true));
    assert_eq!(disk.written().providers()[0].sources[0].keys.keys()[0].kid(), Some("new"));
    assert!(accepts(&slow, &old), "which takes nothing from what it holds itself");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_only_reads_leaves_everything_as_it_is() {
    let (disk, signing) = (Disk::new(), key("K"));
    let reading = |disk: &Disk| {
        let mut config = disk.config([by_url()]);
        config.server.state_access = StateAccess::ReadOnly;
        config
    };
    let mut world = process(reading(&disk), secs(0));
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    assert!(accepts(&world, &signing) && !disk.state_dir().exists());
    world.stop().await;
    disk.leave(&[&signing]).await;
    let mut world = process(reading(&disk), minutes(60));
    world.network.on(KEYS, [refused_connection(), publishes(&[&signing, &key("new")])]);
    let before = fs::read(disk.file()).unwrap();
    world.start().await;
    assert!(accepts(&world, &signing));
    until(|| world.state("p") == "ready").await;
    assert_eq!(fs::read(disk.file()).unwrap(), before);
    fs::write(disk.file(), "{}").unwrap();
    let world = process(reading(&disk), minutes(60));
    world.verifier.load();
    assert_eq!(snapshot(&world).refused.unwrap().code, "not_a_snapshot");
    assert!(disk.file().exists() && !disk.rejected().exists());
}

/// Between two hosts: the age goes along, and only what is newer is taken.
#[tokio::test(start_paused = true)]
async fn an_export_carries_keys_with_their_age_to_another_host() {
    let (old, new) = (key("old"), key("new"));
    let mut outside = World::new([provider("outside", ISSUER)]);
    outside.network.on(DOCUMENT, [metadata(ISSUER, KEYS)]);
    outside.network.on(KEYS, [publishes(&[&old])]);
    outside.start().await;
    let text = outside.verifier.export_snapshot().to_json();
    outside.stop().await;

    let disk = Disk::new();
    let unknown = provider("q", "https://other.example");
    let mut inside = disk.process([provider("p", ISSUER), unknown.clone()], minutes(60));
    inside.start().await;
    assert_eq!(inside.state("p"), "cold");
    let snapshot = Snapshot::parse(text.as_bytes()).unwrap();
    let imported = inside.verifier.import_snapshot(&snapshot);
    assert_eq!((imported.len(), imported[0].provider.as_str()), (1, "p"), "by its issuer");
    let taken = |expired| ImportOutcome::Taken {
        added: vec![old.thumbprint().unwrap()],
        removed: vec![],
        expired,
    };
    assert_eq!(imported[0].outcome, taken(false));
    assert!(accepts(&inside, &old));
    assert_eq!(inside.status("p").keys[0].age_seconds, Some(3_600));
    let again = inside.verifier.import_snapshot(&snapshot);
    assert_eq!(again[0].outcome, ImportOutcome::NotNewer);
    pass(secs(1)).await;
    assert_eq!(disk.written().providers()[0].sources[0].confirmed, secs(1_767_225_600));

    inside.network.on(DOCUMENT, [metadata(ISSUER, KEYS)]).on(KEYS, [publishes(&[&old, &new])]);
    until(|| inside.state("p") == "ready").await;
    assert_eq!(inside.verifier.import_snapshot(&snapshot)[0].outcome, ImportOutcome::NotNewer);
    assert!(accepts(&inside, &new));

    let stranger = World::new([unknown, provider("r", ISSUER).jwks_url(KEYS)]);
    let outcome = |world: &World| world.verifier.import_snapshot(&snapshot)[0].outcome.clone();
    assert_eq!(outcome(&stranger), ImportOutcome::UnknownSource);
    assert_eq!(outcome(&World::new([])), ImportOutcome::UnknownIssuer);
    let late = process(Config::of([provider("p", ISSUER)]), minutes(60 * 48));
    assert_eq!(outcome(&late), taken(true));
    assert_eq!((late.state("p"), accepts(&late, &old)), ("expired", false));
}

#[test]
fn the_folder_is_a_setting_and_a_blank_one_takes_it_away() {
    let file = |state_dir: &str| ConfigFile {
        path: "keystead.yaml".into(),
        text: format!(
            "state_dir: {state_dir}\nproviders: {{p: {{issuer: {ISSUER}, audiences: [app]}}}}"
        ),
    };
    let load = |state_dir: &str, variable: Option<&str>| {
        let variable = variable.map(|value| ("KEYSTEAD_STATE_DIR".to_owned(), value.to_owned()));
        let (env, file) = (variable.into_iter().collect(), Some(file(state_dir)));
        Config::load(&Layers { env, file, ..Layers::default() }).unwrap().server.state_dir
    };
    assert_eq!(load("/var/lib/keystead", None), Some("/var/lib/keystead".into()));
    assert_eq!(load("/var/lib/keystead", Some("/data")), Some("/data".into()));
    assert_eq!(load("/var/lib/keystead", Some(" ")), None);
    assert_eq!(load("", None), None);
}

/// What docs/snapshot.md shows is a snapshot, but for its white space.
#[test]
fn the_documented_example_is_read() {
    let page = include_str!("../../../docs/snapshot.md");
    let (_, example) = page.split_once("```text\n{").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example: Value = serde_json::from_str(&format!("{{{example}")).unwrap();
    let read = Snapshot::parse(example.to_string().as_bytes()).unwrap();
    assert_eq!(
        read.providers()[0].sources[0].endpoint.as_ref().unwrap().jwks_uri,
        "https://idp.example/k"
    );
}

/// `start` has read the snapshot when it returns, and needs no runtime of its caller.
#[test]
fn a_started_verifier_has_the_keys_of_the_last_run() {
    let (disk, signing) = (Disk::new(), key("K"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(disk.leave(&[&signing]));
    let verifier = keystead::Verifier::builder()
        .provider(by_url().max_stale(None))
        .state_dir(disk.state_dir())
        .fetch(Arc::new(keystead_testkit::ForbiddenFetch::new()))
        .build();
    let refresh = verifier.start().unwrap();
    let now = secs(1_767_225_600);
    let token = common::draft(ISSUER, now).sign(&signing).unwrap();
    let requirements = keystead::core::Requirements::default();
    assert!(verifier.verify_at(&token, now, &requirements).is_ok());
    refresh.stop();
}
