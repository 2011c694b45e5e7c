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
use report::Table;

type Failure = Box<dyn Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

/// Measures one thing, which may have several figures.
type Measure = fn(&Bench) -> Result<Vec<Figure>>;

/// What is measured together, since it is about the same thing.
struct Kind {
    name: &'static str,
    meaning: &'static str,
    measures: &'static [(&'static str, Measure)],
}

/// Everything that is measured.
const KINDS: &[Kind] = &[
    Kind {
        name: "library",
        meaning: "A call of the library",
        measures: &[
            ("verify", figures::verify::measure),
            ("overhead", figures::overhead::measure),
            ("refusal", figures::refusal::measure),
            ("cached", figures::cached::measure),
            ("issuers", figures::issuers::measure),
            ("threads", figures::threads::measure),
            ("heap", figures::heap::measure),
        ],
    },
    Kind {
        name: "server",
        meaning: "A request to the program",
        measures: &[
            ("endpoints", figures::endpoints::measure),
            ("envoy", figures::envoy::measure),
            ("footprint", figures::footprint::measure),
        ],
    },
    Kind {
        name: "faults",
        meaning: "While providers fail",
        measures: &[
            ("start", figures::start::with_key_file),
            ("restart", figures::start::with_snapshot),
            ("dead_provider", figures::dead_provider::measure),
            ("restraint", figures::restraint::measure),
            ("rotation", figures::rotation::measure),
            ("flood", figures::flood::measure),
            ("isolation", figures::isolation::measure),
        ],
    },
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
    let names = names();
    if let Some(unknown) = wanted.iter().find(|wanted| !names.contains(&wanted.as_str())) {
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

/// What can be asked for.
fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    names.extend(KINDS.iter().flat_map(|kind| kind.measures).map(|(name, _)| *name));
    names
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("error: {problem}\nhint: keystead-bench PROGRAM [{}]...", names().join("|"));
    ExitCode::from(64)
}

fn run(bench: &Bench, wanted: &[String]) -> Result<()> {
    let machine = Machine::look(&bench.keystead)?;
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let mut tables = Vec::new();
    for Kind { name: kind, meaning, measures } in KINDS {
        let mut figures = Vec::new();
        for (name, measure) in measures.iter().filter(|(n, _)| is_wanted(kind) || is_wanted(n)) {
            eprintln!("measuring {name}");
            let missing = |error: Failure| vec![Figure::not_measured(*name, &*error)];
            figures.extend(measure(bench).unwrap_or_else(missing));
        }
        tables.push(Table { kind, meaning, figures });
    }
    let conditions = machine.conditions()?;
    print!("{}", report::text(&tables, &conditions));
    if wanted.is_empty() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        report::write(&root, &tables, &conditions)?;
    }
    Ok(())
}
