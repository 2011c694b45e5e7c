//! `keystead man`: the manual pages.

use std::io;
use std::path::PathBuf;

use keystead::core::text::escaped;

use super::console::Console;
use super::{Exit, Failure};

/// Write the manual pages: one for each verb into a folder, or the main one to standard output
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder; it is made if it is not there
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        // Writing into memory cannot fail.
        let _infallible = clap_mangen::Man::new(super::command()).render(&mut page);
        console.data(page)?;
        return Ok(Exit::Yes);
    };
    let place = escaped(&folder.to_string_lossy());
    let failed = |error: io::Error| Failure::System(format!("{place}: {error}"));
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(super::command(), folder).map_err(failed)?;
    console.prose(format_args!("the manual pages are in {place}"));
    Ok(Exit::Yes)
}
