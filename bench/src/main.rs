//! Measures what Keystead promises in time, memory and restraint, and compares it with the bars.
//!
//! `make bench` runs every figure, prints the table, and writes it into `bench/results.json` and
//! `docs/performance.md`. With names of figures as arguments, or of kinds of them, it measures those
//! and writes nothing.

mod calls;
mod draw;
mod figure;
mod figures;
mod load;
mod machine;
mod neighbours;
mod pipeline;
mod primitive;
mod provider;
mod report;
mod request;
mod rounds;
mod served;
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

/// Everything that is measured: of which kind it is, how it is called, and how it is done.
const MEASURES: &[(&str, &str, Measure)] = &[
    (FAULTS, "start", figures::start::with_key_file),
    (FAULTS, "restart", figures::start::with_snapshot),
    (FAULTS, "dead_provider", figures::dead_provider::measure),
    (FAULTS, "restraint", figures::restraint::measure),
    (FAULTS, "rotation", figures::rotation::measure),
    (FAULTS, "flood", figures::flood::measure),
    (FAULTS, "isolation", figures::isolation::measure),
    (LIBRARY, "verify", figures::verify::measure),
    (LIBRARY, "overhead", figures::overhead::measure),
    (LIBRARY, "refusal", figures::refusal::measure),
    (LIBRARY, "cached", figures::cached::measure),
    (LIBRARY, "issuers", figures::issuers::measure),
    (LIBRARY, "threads", figures::threads::measure),
    (LIBRARY, "heap", figures::heap::measure),
    (SERVER, "endpoints", figures::endpoints::measure),
    (SERVER, "envoy", figures::envoy::measure),
    (SERVER, "footprint", figures::footprint::measure),
];

/// What happens while providers fail.
const FAULTS: &str = "faults";
/// What a call of the library takes. The program is not asked for any of it.
const LIBRARY: &str = "library";
/// What a request to the program takes.
const SERVER: &str = "server";

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
    let known =
        |wanted: &String| MEASURES.iter().any(|(kind, name, _)| wanted == kind || wanted == name);
    if let Some(unknown) = wanted.iter().find(|wanted| !known(wanted)) {
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
    let mut names = vec![FAULTS, LIBRARY, SERVER];
    names.extend(MEASURES.iter().map(|(_, name, _)| *name));
    eprintln!("error: {problem}\nhint: keystead-bench PROGRAM [{}]...", names.join("|"));
    ExitCode::from(64)
}

fn run(bench: &Bench, wanted: &[String]) -> Result<()> {
    let machine = Machine::look(&bench.keystead)?;
    let mut figures = Vec::new();
    for (kind, name, measure) in MEASURES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == kind || wanted == name) {
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
