//! `keystead snapshot export`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use keystead::config::StateAccess;
use keystead::core::text::quoted;
use keystead::{Config, Snapshot, Status, Verifier};

use super::super::console::Console;
use super::super::{Exit, Failure, ask};
use super::{ExportArgs, load_with_folder};

pub(super) fn run(args: &ExportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (snapshot, status) = if args.fetch {
        let mut config = args.config.load()?;
        config.server.state_access = StateAccess::ReadOnly;
        fetched(config)?
    } else {
        let config = load_with_folder(&args.config)?;
        let verifier = Verifier::from_config(config);
        verifier.load();
        (verifier.export_snapshot(), verifier.status())
    };
    tell_missing(&snapshot, &status, console);
    if snapshot.providers().is_empty() {
        let hint = if args.fetch { "" } else { "\nhint: --fetch asks the sources for them" };
        console.error(format_args!("there are no keys to export{hint}"));
        return Ok(Exit::CannotJudge);
    }
    let text = snapshot.to_json();
    match &args.output {
        None => console.data(text)?,
        Some(path) => write(path, text.as_bytes()).map_err(|error| {
            let path = path.to_string_lossy();
            Failure::System(format!("{} cannot be written: {error}", quoted(&path)))
        })?,
    }
    Ok(Exit::Yes)
}

fn fetched(config: Config) -> Result<(Snapshot, Status), Failure> {
    let patience = ask::longest_attempt(&config);
    let verifier = Verifier::from_config(config);
    let refresh = ask::start(&verifier)?;
    // One that takes longer has no keys in the export, which is said.
    let _answered = refresh.wait_first_attempts(patience);
    Ok((verifier.export_snapshot(), verifier.status()))
}

/// Names the providers with sources on the network of which there are no keys, and those whose keys
/// are not what the sources say now.
fn tell_missing(snapshot: &Snapshot, status: &Status, console: &Console) {
    for (name, provider) in &status.providers {
        if !provider.sources.iter().any(|s| matches!(s.kind, "jwks_url" | "discovery")) {
            continue;
        }
        let refused = provider.snapshot.as_ref().and_then(|kept| kept.refused.as_ref());
        if let Some(refused) = refused {
            console.prose(format_args!("{name}: {}", refused.detail));
        }
        if !snapshot.providers().iter().any(|found| found.name == *name) {
            console.prose(format_args!("{name} is not in it: {}", provider.reason));
        }
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let mut young = name.to_owned();
    young.push(format!(".{}.tmp", std::process::id()));
    let young = path.with_file_name(young);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&young).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let written = written.and_then(|()| fs::rename(&young, path));
    if written.is_err() {
        // It may not even have been made.
        let _stays = fs::remove_file(&young);
    }
    written
}
