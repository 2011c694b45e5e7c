//! `keystead check`: every mistake of a configuration at once.

use std::path::PathBuf;

use keystead::Config;
use keystead::config::{self, Notice, NoticeLevel, Origin, Problem, Scope};

use super::config::{ConfigArgs, no_file};
use super::console::{Console, Tone};
use super::json::{Object, array, pretty};
use super::{Exit, Failure, Format};

/// Check a configuration: every mistake at once, each with its line and its fix
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// The file to check, like --config
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let layers = match args.config.layers(args.file.as_deref()) {
        Ok(layers) => layers,
        // A file that cannot be read is a finding like others.
        Err(Failure::Configuration(error, _)) => {
            return tell(args.format, error.problems(), None, console);
        }
        Err(failure) => return Err(failure),
    };
    // A configuration that cannot be used has mistakes to look at before any notice.
    let exit = tell(args.format, &config::check(&layers), Config::load(&layers).ok(), console)?;
    if layers.file.is_none() {
        console.prose(no_file());
    }
    Ok(exit)
}

fn tell(
    format: Format,
    problems: &[Problem],
    config: Option<Config>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let notices = config.as_ref().map(Config::notices).unwrap_or_default();
    show(format, problems, notices, console)?;
    console.prose(match (problems.len(), config) {
        (0, Some(config)) => format!("no mistake, {}", providers(&config)),
        (1, _) => "1 mistake".to_owned(),
        (count, _) => format!("{count} mistakes"),
    });
    Ok(if problems.is_empty() { Exit::Yes } else { Exit::Configuration })
}

fn providers(config: &Config) -> String {
    let all = config.providers.len();
    let used = config.providers.iter().filter(|provider| provider.is_enabled()).count();
    match (all, used) {
        (1, 1) => "1 provider".to_owned(),
        _ if all == used => format!("{all} providers"),
        _ => format!("{used} of {all} providers in use"),
    }
}

fn show(
    format: Format,
    problems: &[Problem],
    notices: &[Notice],
    console: &mut Console,
) -> Result<(), Failure> {
    match format {
        Format::Text => {
            let style = console.style();
            let told = notices.iter().filter(|notice| notice.level > NoticeLevel::Debug);
            let problems = problems.iter().map(|problem| {
                format!("{} {}\n", style.paint(Tone::Bad, "mistake:"), written(problem))
            });
            let notices = told.map(|notice| format!("notice: {notice}\n"));
            console.data(problems.chain(notices).collect::<String>())
        }
        Format::Json => {
            let object = Object::new()
                .value("valid", Some(problems.is_empty()))
                .raw("problems", &array(problems.iter().map(problem)))
                .raw("notices", &array(notices.iter().map(notice)));
            console.data(pretty(&object.finish()))
        }
    }
}

/// A mistake over several lines: where and what, then what was written, then what to write.
fn written(problem: &Problem) -> String {
    let mut text = problem.origin.to_string();
    if !problem.path.is_empty() {
        text = format!("{text}: {}", problem.path);
    }
    text = format!("{text}: {}", problem.problem);
    // Many sentences quote the value already.
    if let Some(value) = problem.value.as_ref().filter(|value| !problem.problem.contains(*value)) {
        text = format!("{text}\n  value: {value}");
    }
    match &problem.hint {
        Some(hint) => format!("{text}\n  fix: {hint}"),
        None => text,
    }
}

fn problem(problem: &Problem) -> String {
    let (scope, provider) = match &problem.scope {
        Scope::Provider(name) => ("provider", Some(name)),
        Scope::Key(name) => ("key", Some(name)),
        _ => ("configuration", None),
    };
    place(&problem.origin)
        .text("path", &problem.path)
        .maybe("value", problem.value.as_deref())
        .text("problem", &problem.problem)
        .maybe("fix", problem.hint.as_deref())
        .text("scope", scope)
        .maybe("provider", provider)
        .finish()
}

fn notice(notice: &Notice) -> String {
    let level = match notice.level {
        NoticeLevel::Debug => "debug",
        NoticeLevel::Warning => "warning",
        _ => "info",
    };
    place(&notice.origin)
        .text("path", &notice.path)
        .text("level", level)
        .text("notice", &notice.text)
        .finish()
}

/// Where something is written, in a sentence and in its parts.
fn place(origin: &Origin) -> Object {
    let object = Object::new().text("origin", origin.to_string());
    match origin {
        Origin::File { path, line, column } => object
            .text("file", path.to_string_lossy())
            .value("line", Some(*line))
            .value("column", Some(*column)),
        Origin::Variable(name) => object.text("variable", name),
        Origin::Flag(path) => object.text("flag", path),
        _ => object,
    }
}
