//! `keystead serve`.

use std::process::ExitCode;

use keystead::Config;

/// Serves until it is told to end.
pub(crate) fn run(_config: Config) -> ExitCode {
    ExitCode::FAILURE
}
