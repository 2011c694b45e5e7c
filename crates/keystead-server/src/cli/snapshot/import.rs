//! `keystead snapshot import`.

use std::fmt::Write;
use std::io::{self, BufRead, IsTerminal};

use keystead::core::text::quoted;
use keystead::{Clock, ImportOutcome, Imported, SystemClock, Verifier};

use super::super::console::Console;
use super::super::{Exit, Failure};
use super::{ImportArgs, confirmation, load_with_folder, read, with_hint};

pub(super) fn run(args: &ImportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let snapshot = read(&args.file)?;
    let config = load_with_folder(&args.config)?;
    let folder = config.server.state_dir.clone().unwrap_or_default();
    let folder = quoted(&folder.to_string_lossy()).to_string();
    let verifier = Verifier::from_config(config);
    // What is there already decides what is new. Nothing is written before it is asked for.
    verifier.load();
    for (name, provider) in &verifier.status().providers {
        if let Some(refused) = provider.snapshot.as_ref().and_then(|kept| kept.refused.as_ref()) {
            console.prose(format_args!("{name}: {}", refused.detail));
        }
    }
    let imported = verifier.import_snapshot(&snapshot);
    console.data(plan(&imported))?;
    let is_taken = |source: &Imported| matches!(source.outcome, ImportOutcome::Taken { .. });
    if !imported.iter().any(is_taken) {
        console.prose("there is nothing to import");
        let all_there = imported.iter().all(|s| s.outcome == ImportOutcome::NotNewer);
        return Ok(if all_there { Exit::Yes } else { Exit::No });
    }
    if !args.yes && !agreed(&folder, console)? {
        console.prose("nothing was written");
        return Ok(Exit::No);
    }
    Ok(save(&verifier, &imported, console))
}

/// What would become of each source, and of which keys.
fn plan(imported: &[Imported]) -> String {
    let now = SystemClock::new().wall();
    let mut out = String::new();
    for Imported { provider, issuer, kind, url, confirmed, outcome, .. } in imported {
        let provider = keystead::core::text::escaped(provider);
        let url = keystead::core::text::escaped(url);
        let confirmed = confirmation(*confirmed, now);
        // Writing into a String cannot fail.
        let _infallible = writeln!(out, "{provider}: {kind} {url}, confirmed {confirmed}");
        let not_taken = match outcome {
            ImportOutcome::Taken { added, removed, expired } => {
                lines("+", added, &mut out);
                lines("-", removed, &mut out);
                if added.is_empty() && removed.is_empty() {
                    let _infallible = writeln!(out, "  the same keys, confirmed later");
                }
                if *expired {
                    let _infallible = writeln!(out, "  past max_stale: held, and not used");
                }
                continue;
            }
            ImportOutcome::NotNewer => "what is there was confirmed as late or later".to_owned(),
            ImportOutcome::UnknownIssuer => {
                format!("no provider in use here has issuer {}", quoted(issuer))
            }
            _ => "the provider here has no such source".to_owned(),
        };
        let _infallible = writeln!(out, "  not taken: {not_taken}");
    }
    out
}

fn lines(sign: &str, thumbprints: &[String], out: &mut String) {
    for thumbprint in thumbprints {
        let _infallible = writeln!(out, "  {sign} {thumbprint}");
    }
}

/// Asks the one who sits there, if there is somebody.
fn agreed(folder: &str, console: &Console) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody can be asked here: say --yes to take these keys in"));
    }
    console.prose(format_args!("write these keys to {folder}? [y/N]"));
    let mut answer = String::new();
    // Somebody who went away has not agreed.
    let read = io::stdin().lock().read_line(&mut answer).unwrap_or_default();
    Ok(read > 0 && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn save(verifier: &Verifier, imported: &[Imported], console: &Console) -> Exit {
    let concerned = |name: &String| imported.iter().any(|source| source.provider == *name);
    let mut exit = Exit::Yes;
    for (name, saved) in verifier.save_snapshots().into_iter().filter(|(name, _)| concerned(name)) {
        match saved {
            Ok(true) => console.prose(format_args!("{name}: written")),
            Ok(false) => console.prose(format_args!("{name}: what is there is as new by now")),
            Err(error) => {
                console.error(with_hint(&name, &error));
                exit = Exit::No;
            }
        }
    }
    exit
}
