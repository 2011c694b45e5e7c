//! What is said of keys on disk, and how often. Alone in its binary: whether a line is wanted at all is
//! remembered by the process, and other tests want none.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests may stop")]

mod common;

use std::fmt::Debug;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{World, key, minutes, pass, provider, publishes, secs};
use keystead::config::Config;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const KEYS: &str = "https://idp.example/keys";

/// What a process that starts `later` than the world began would be.
fn process(state_dir: &Path, later: Duration) -> World {
    let mut config = Config::of([provider("p", "https://idp.example").jwks_url(KEYS)]);
    config.server.state_dir = Some(state_dir.to_owned());
    let world = World::of(config);
    world.clock.shift_wall(i64::try_from(later.as_secs()).unwrap());
    world
}

/// What concerns snapshots in the log of this thread: `event level code`, in order.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[derive(Default)]
struct Line {
    event: String,
    code: String,
}

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => value.clone_into(&mut self.event),
            "code" => value.clone_into(&mut self.code),
            _ => {}
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("keystead")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.event.starts_with("snapshot.") {
            let text = format!("{} {} {}", line.event, event.metadata().level(), line.code);
            self.0.lock().unwrap().push(text.trim_end().to_owned());
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Trouble is said once, and so is its end.
#[tokio::test(start_paused = true)]
async fn one_line_says_that_keys_are_not_kept_and_one_that_they_are_again() {
    let lines = Lines::default();
    let _listening = common::listen(lines.clone());
    let (folder, signing) = (tempfile::tempdir().unwrap(), key("K"));
    let state_dir = folder.path().join("state");
    fs::create_dir(&state_dir).unwrap();
    fs::set_permissions(&state_dir, Permissions::from_mode(0o777)).unwrap();
    let mut world = process(&state_dir, secs(0));
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    pass(minutes(10)).await;
    // The folder is refused for reading, and again for writing.
    let expected = ["snapshot.refused WARN writable", "snapshot.write_failed WARN writable"];
    assert_eq!(lines.take(), expected);
    fs::set_permissions(&state_dir, Permissions::from_mode(0o700)).unwrap();
    pass(minutes(10)).await;
    assert_eq!(lines.take(), ["snapshot.written INFO"]);
    world.stop().await;

    let mut world = process(&state_dir, minutes(21));
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    assert_eq!(lines.take(), ["snapshot.restored INFO"]);
    world.stop().await;

    let mut world = process(&state_dir, secs(0));
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    assert_eq!(lines.take(), ["snapshot.restored INFO", "snapshot.ahead WARN"]);
    world.stop().await;

    fs::write(state_dir.join("p.json"), "{}").unwrap();
    let mut world = process(&state_dir, minutes(22));
    world.network.on(KEYS, [publishes(&[&signing])]);
    world.start().await;
    assert_eq!(lines.take(), ["snapshot.refused WARN not_a_snapshot"]);
}
