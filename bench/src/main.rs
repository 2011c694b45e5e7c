//! Measures what Keystead promises in time, memory and restraint, and compares it with the bars.
//!
//! `make bench` runs every figure, prints the table, and writes it into `bench/results.json` and
//! `docs/performance.md`. With names of figures as arguments it measures those and writes nothing.

mod figure;
mod figures;
mod load;
mod machine;
mod neighbours;
mod provider;
mod report;
mod request;
mod rounds;
mod server;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use figure::Figure;
use machine::Machine;

type Failure = Box<dyn Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

/// Measures one thing, which may have several figures.
type Measure = fn(&Bench) -> Result<Vec<Figure>>;

const MEASURES: &[(&str, Measure)] = &[
    ("start", figures::start::with_key_file),
    ("restart", figures::start::with_snapshot),
    ("dead_provider", figures::dead_provider::measure),
    ("restraint", figures::restraint::measure),
    ("rotation", figures::rotation::measure),
    ("flood", figures::flood::measure),
    ("isolation", figures::isolation::measure),
    ("verify", figures::verify::measure),
    ("forward_auth", figures::forward_auth::measure),
    ("footprint", figures::footprint::measure),
];

/// What is measured.
struct Bench {
    /// The program `keystead`.
    keystead: PathBuf,
}

impl Bench {
    /// A program of this package beside the one that runs.
    fn program(name: &str) -> Result<PathBuf> {
        Ok(std::env::current_exe()?.with_file_name(name))
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(keystead) = arguments.next() else {
        return usage("which program `keystead` is to be measured?");
    };
    let wanted: Vec<String> = arguments.collect();
    if let Some(unknown) = wanted.iter().find(|name| MEASURES.iter().all(|(n, _)| n != name)) {
        return usage(&format!("nothing is called {unknown:?}"));
    }
    match run(&Bench { keystead: keystead.into() }, &wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage(problem: &str) -> ExitCode {
    let names: Vec<_> = MEASURES.iter().map(|(name, _)| *name).collect();
    eprintln!("error: {problem}\nhint: keystead-bench PROGRAM [{}]", names.join("|"));
    ExitCode::from(64)
}

fn run(bench: &Bench, wanted: &[String]) -> Result<()> {
    let machine = Machine::look(&bench.keystead)?;
    let mut figures = Vec::new();
    for (name, measure) in MEASURES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name}");
            let missing = |error: Failure| vec![Figure::not_measured(*name, &*error)];
            figures.extend(measure(bench).unwrap_or_else(missing));
        }
    }
    let conditions = machine.conditions()?;
    print!("{}", report::text(&figures, &conditions));
    if wanted.is_empty() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        report::write(&root, &figures, &conditions)?;
    }
    Ok(())
}
