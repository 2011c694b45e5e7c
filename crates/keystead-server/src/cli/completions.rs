//! `keystead completions`: what a shell completes.

use clap_complete::Shell;

use super::console::Console;
use super::{Exit, Failure};

/// Write the completions of a shell to standard output
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "keystead", &mut script);
    console.data(script)?;
    Ok(Exit::Yes)
}
