//! `keystead snapshot`: keys on disk, and on their way to a host that cannot fetch them itself.

mod export;
mod import;
mod show;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead::config::StateAccess;
use keystead::core::Jwk;
use keystead::core::text::quoted;
use keystead::{Config, Snapshot, SnapshotError, timestamp};

use super::config::ConfigArgs;
use super::console::Console;
use super::{Exit, Failure, Format};

/// How many bytes a file with keys of all providers may have.
const SIZE_LIMIT: u64 = 64 * 1024 * 1024;

/// Show the keys that are kept on disk, and carry them to a host that cannot fetch them
#[derive(Debug, clap::Args)]
#[command(
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Export(ExportArgs),
    Import(ImportArgs),
    Show(ShowArgs),
}

/// Write the keys in `state_dir` out, those of all providers together
#[derive(Debug, clap::Args)]
struct ExportArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Ask every source once, in place of using `state_dir` alone
    #[arg(long)]
    fetch: bool,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Take exported keys into `state_dir`, where the next start finds them
///
/// Only keys of issuers and addresses that are configured here, and only such as were confirmed
/// later than those that are there. Prints the thumbprints of the keys it adds, and asks.
#[derive(Debug, clap::Args)]
struct ImportArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// What was exported
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Show what a file holds, or what the next start would find in `state_dir`
#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// The file; `state_dir` of the configuration if none is named
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Export(args) => export::run(args, console),
        Verb::Import(args) => import::run(args, console),
        Verb::Show(args) => show::run(args, console),
    }
}

/// The configuration, with a folder that keys are kept in. Reading it changes nothing there, not
/// even what is refused.
fn load_with_folder(args: &ConfigArgs) -> Result<Config, Failure> {
    let mut config = args.load()?;
    if config.server.state_dir.is_none() {
        return Err(Failure::usage(NO_FOLDER));
    }
    config.server.state_access = StateAccess::ReadOnly;
    Ok(config)
}

const NO_FOLDER: &str = "state_dir is not set, so that no keys are kept on disk\n\
    hint: write state_dir, or --set state_dir=FOLDER";

/// What a file holds, whoever owns it.
fn read(path: &Path) -> Result<Snapshot, Failure> {
    let shown = quoted(&path.to_string_lossy()).to_string();
    let failed = |error| Failure::usage(format_args!("{shown} cannot be read: {error}"));
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(SIZE_LIMIT.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
    if u64::try_from(content.len()).is_ok_and(|read| read > SIZE_LIMIT) {
        return Err(Failure::System(format!("{shown} has more than {SIZE_LIMIT} bytes")));
    }
    let refused = |error: SnapshotError| Failure::System(with_hint(&shown, &error));
    Snapshot::parse(&content).map_err(refused)
}

fn with_hint(what: &str, error: &SnapshotError) -> String {
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{what}: {error}{hint}")
}

/// When keys were confirmed, seen from now.
fn confirmation(confirmed: Duration, now: Duration) -> String {
    let at = timestamp(confirmed);
    let by = |by: Duration| {
        // Of days, nobody wants to know the seconds.
        let by = humantime::format_duration(Duration::from_secs(by.as_secs())).to_string();
        by.split(' ').take(2).collect::<Vec<_>>().join(" ")
    };
    match confirmed.checked_sub(now) {
        Some(ahead) if !ahead.is_zero() => format!("{at}, {} ahead of this clock", by(ahead)),
        _ => format!("{at}, {} ago", by(now.saturating_sub(confirmed))),
    }
}

/// A key in one line.
fn key_line(key: &Jwk) -> String {
    let thumbprint = keystead::thumbprint(key).unwrap_or_default();
    let algorithm = key.algorithm().map(|alg| format!(" {alg}")).unwrap_or_default();
    let kid =
        key.kid().map_or_else(|| "without kid".to_owned(), |kid| format!("kid {}", quoted(kid)));
    format!("{thumbprint}  {}{algorithm}  {kid}", key.kty())
}
