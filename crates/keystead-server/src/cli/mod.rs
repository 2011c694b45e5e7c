//! The command line: one file per verb.
//!
//! Standard output is data, standard error is prose. The exit codes are a contract: 0 yes, 1 no, 64
//! usage, 69 cannot judge, 78 configuration.

mod ask;
mod check;
mod completions;
mod config;
mod conformance;
mod console;
mod distrust;
mod explain;
mod health;
#[cfg(feature = "idp")]
mod idp;
mod json;
mod keys;
mod man;
mod serve;
mod token;
mod verify;

use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;

use clap::builder::styling::{self, AnsiColor, Styles};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use keystead::config::ConfigError;

use console::{Console, Style};

/// Runs the verb that the arguments of this process name.
#[must_use]
pub fn main() -> ExitCode {
    let mut console = Console::new();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.iter().skip(1).any(|argument| token::is_in(&argument.to_string_lossy())) {
        return report(&console, &Failure::Usage(token::AS_ARGUMENT.to_owned()));
    }
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => return explain_usage(&mut console, &error),
    };
    match line.verb.run(&mut console) {
        Ok(code) => code,
        Err(failure) => report(&console, &failure),
    }
}

const EXIT_CODES: &str = "\
Exit codes: 0 yes, 1 no, 64 usage, 69 cannot judge (keys are not available), 78 configuration.";

/// Verifies JWTs of many issuers, whatever state their identity providers are in.
#[derive(Debug, Parser)]
#[command(
    name = "keystead",
    version,
    after_help = EXIT_CODES,
    arg_required_else_help = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    disable_help_subcommand = true,
    styles = STYLES,
)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

const STYLES: Styles = Styles::styled()
    .header(styling::Style::new().bold())
    .usage(styling::Style::new().bold())
    .error(AnsiColor::Red.on_default());

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(config::ServeArgs),
    Verify(verify::Args),
    Explain(explain::Args),
    Check(check::Args),
    Keys(keys::Args),
    Health(health::Args),
    Conformance(conformance::Args),
    #[cfg(feature = "idp")]
    Idp(idp::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Verb {
    fn run(self, console: &mut Console) -> Result<ExitCode, Failure> {
        let exit = match self {
            // A server has more to say at its end than yes or no.
            Self::Serve(args) => return Ok(serve::run(args.load()?)),
            Self::Verify(args) => verify::run(&args, console),
            Self::Explain(args) => explain::run(&args, console),
            Self::Check(args) => check::run(&args, console),
            Self::Keys(args) => keys::run(&args, console),
            Self::Health(args) => health::run(&args, console),
            Self::Conformance(args) => conformance::run(&args, console),
            #[cfg(feature = "idp")]
            Self::Idp(args) => idp::run(args, console),
            Self::Completions(args) => completions::run(&args, console),
            Self::Man(args) => man::run(&args, console),
        };
        exit.map(Exit::code)
    }
}

/// What a verb found, as its exit code. Codes from 64 are those of `sysexits.h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Exit {
    /// Yes: the token is accepted, the file is right, the server is well.
    Yes,
    /// No.
    No,
    /// The command line is wrong (`EX_USAGE`).
    Usage,
    /// There is nothing to judge with; another time there may be (`EX_UNAVAILABLE`).
    CannotJudge,
    /// The configuration is wrong (`EX_CONFIG`).
    Configuration,
}

impl Exit {
    fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::Usage => 64,
            Self::CannotJudge => 69,
            Self::Configuration => 78,
        })
    }

    /// A refusal as an exit code: a token that cannot be judged is not a bad one.
    const fn of_refusal(http_status: u16) -> Self {
        if http_status == 503 { Self::CannotJudge } else { Self::No }
    }
}

/// Why a verb could not do its work.
#[derive(Debug)]
enum Failure {
    /// The command line asks for something that makes no sense.
    Usage(String),
    /// The configuration cannot be used; the second is what else there is to say.
    Configuration(ConfigError, Option<String>),
    /// The machine did not do what was asked of it.
    System(String),
}

impl Failure {
    fn usage(text: impl Display) -> Self {
        Self::Usage(text.to_string())
    }
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// The whole command line, for what is generated from it.
fn command() -> clap::Command {
    CommandLine::command()
}

fn report(console: &Console, failure: &Failure) -> ExitCode {
    match failure {
        Failure::Usage(problem) => {
            console.error(problem);
            Exit::Usage.code()
        }
        Failure::Configuration(error, more) => {
            for problem in error.problems() {
                console.error(problem);
            }
            if let Some(more) = more {
                console.prose(more);
            }
            Exit::Configuration.code()
        }
        Failure::System(problem) => {
            console.error(problem);
            Exit::No.code()
        }
    }
}

/// Help and version are answers, everything else is a mistake.
fn explain_usage(console: &mut Console, error: &clap::Error) -> ExitCode {
    let rendered = |style: Style| {
        let text = error.render();
        if style.is_coloured() { text.ansi().to_string() } else { text.to_string() }
    };
    if error.use_stderr() {
        console.prose(rendered(console.prose_style()).trim_end());
        return Exit::Usage.code();
    }
    match console.data(rendered(console.style())) {
        Ok(()) => Exit::Yes.code(),
        Err(failure) => report(console, &failure),
    }
}
