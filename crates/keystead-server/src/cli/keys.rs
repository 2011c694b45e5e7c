//! `keystead keys`: which keys are held, which of them verify, and why not the others.

use std::fmt::Write;

use clap::Subcommand;
use keystead::config::Standing;
use keystead::core::DisabledWhy;
use keystead::core::text::{escaped, quoted};
use keystead::{Config, KeyStatus, ProviderStatus, Status, Verifier};

use super::config::ConfigArgs;
use super::console::{Console, Style, Tone};
use super::{Exit, Failure, Format, ask, distrust, json};

/// List the keys of the providers: usable or not and why, where from, how old
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Use the keys in memory and in files, and ask nobody
    #[arg(long)]
    offline: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// The provider; all of them if none is named
    #[arg(value_name = "PROVIDER")]
    provider: Option<String>,
}

/// What else can be done about keys.
#[derive(Debug, Subcommand)]
enum Verb {
    Distrust(distrust::Args),
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    if let Some(Verb::Distrust(args)) = &args.verb {
        return distrust::run(args, console);
    }
    let mut config = args.config.load()?;
    keep_named(&mut config, args.provider.as_deref())?;
    // What nobody set up, or somebody switched off, is asked for by its name only.
    let wanted: Vec<String> = config
        .providers
        .iter()
        .filter(|provider| args.provider.is_some() || !is_left_out(&provider.standing))
        .map(|provider| provider.name.clone())
        .collect();
    let status = ask_once(config, args.offline)?;
    console.data(match args.format {
        Format::Text => table(&status, console.style()),
        Format::Json => {
            let status = serde_json::to_string(&status);
            let problem = |error| Failure::System(format!("the status cannot be written: {error}"));
            json::pretty(&status.map_err(problem)?)
        }
    })?;
    let has_keys = |name: &String| {
        status.providers.get(name).is_some_and(|provider| provider.keys.iter().any(|k| k.usable))
    };
    Ok(if wanted.iter().all(has_keys) { Exit::Yes } else { Exit::CannotJudge })
}

fn is_left_out(standing: &Standing) -> bool {
    matches!(standing, Standing::Disabled { why: DisabledWhy::Off | DisabledWhy::Unset, .. })
}

/// Keeps the provider with this name alone, if one is named.
pub(crate) fn keep_named(config: &mut Config, name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else { return Ok(()) };
    if !config.providers.iter().any(|provider| provider.name == name) {
        return Err(Failure::Usage(unknown(name, config)));
    }
    config.providers.retain(|provider| provider.name == name);
    Ok(())
}

/// The status once every source was asked once, or its time was up.
pub(crate) fn ask_once(config: Config, offline: bool) -> Result<Status, Failure> {
    let patience = ask::longest_attempt(&config);
    let verifier = Verifier::from_config(config);
    if offline {
        verifier.load();
        return Ok(verifier.status());
    }
    let refresh = ask::start(&verifier)?;
    // One that takes longer says so itself: its state is part of the answer.
    let _answered = refresh.wait_first_attempts(patience);
    Ok(verifier.status())
}

fn unknown(name: &str, config: &Config) -> String {
    let names: Vec<&str> = config.providers.iter().map(|provider| &*provider.name).collect();
    let nearest = names.iter().min_by_key(|known| distance(name, known));
    let near = nearest.filter(|known| distance(name, known) <= name.chars().count().max(3) / 3);
    let hint = match near {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None => format!("configured are {}", keystead::core::text::list(&names)),
    };
    format!("there is no provider {}\nhint: {hint}", quoted(name))
}

/// How many characters to insert, remove or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for ((to, above), above_right) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((above + usize::from(from != *to)).min(above_right + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn table(status: &Status, style: Style) -> String {
    let mut out = String::new();
    for (at, (name, provider)) in status.providers.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        // Writing into a String cannot fail.
        let _infallible = writeln!(out, "{name}: {} ({})", provider.state, provider.reason);
        rows(provider, style, &mut out);
    }
    out
}

const HEADINGS: [&str; 6] = ["KID", "TYPE", "USABLE", "AGE", "THUMBPRINT", "ORIGIN"];

fn rows(provider: &ProviderStatus, style: Style, out: &mut String) {
    if provider.keys.is_empty() {
        return;
    }
    let rows: Vec<_> = provider.keys.iter().map(cells).collect();
    let heading = HEADINGS.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&heading]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..HEADINGS.len()).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("  {}", line.trim_end())
    };
    let _infallible = writeln!(out, "{}", style.paint(Tone::Faint, &line(&heading)));
    for (key, row) in provider.keys.iter().zip(&rows) {
        let tone = if key.usable { Tone::Plain } else { Tone::Bad };
        let _infallible = writeln!(out, "{}", style.paint(tone, &line(row)));
        if let Some(why) = &key.why {
            let _infallible = writeln!(out, "    {why}");
        }
    }
}

fn cells(key: &KeyStatus) -> [String; 6] {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let kinds: Vec<_> = [key.kty.as_deref(), key.alg.as_deref()].into_iter().flatten().collect();
    [
        key.kid.as_deref().map_or_else(|| "-".to_owned(), escaped),
        or_dash(Some(kinds.join(" ")).as_deref().filter(|kinds| !kinds.is_empty())),
        (if key.usable { "yes" } else { "no" }).to_owned(),
        key.age_seconds.map_or_else(|| "-".to_owned(), |age| format!("{age} s")),
        or_dash(key.thumbprint.as_deref()),
        key.origin.clone(),
    ]
}
