//! What the documents say, tried: every snippet in them is run, or the test fails.
//!
//! A document is a Markdown file at the top of the repository or in `docs/`. Each of its blocks says
//! in which language it is, and that decides how it is tried; see [`Kind`]. A block that nobody would
//! try is a mistake in the document.
#![cfg(all(unix, feature = "idp"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod block;
mod links;
mod ports;
mod shell;
mod transcript;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use block::{Block, Kind};
use shell::Shell;

/// Makes one test of each document, so that they are tried beside each other and fail apart.
macro_rules! documents {
    ($($test:ident: $path:literal,)*) => {
        const DOCUMENTS: &[&str] = &[$($path),*];

        $(#[test]
        fn $test() {
            try_document($path);
        })*
    };
}

documents! {
    changelog: "CHANGELOG.md",
    contributing: "CONTRIBUTING.md",
    design: "DESIGN.md",
    readme: "README.md",
    security: "SECURITY.md",
    assurance: "docs/assurance.md",
    cli: "docs/cli.md",
    config: "docs/config.md",
    getting_started: "docs/getting-started.md",
    http: "docs/http.md",
    idp: "docs/idp.md",
    idp_faults: "docs/idp_faults.md",
    library: "docs/library.md",
    logs: "docs/logs.md",
    metrics: "docs/metrics.md",
    non_goals: "docs/non-goals.md",
    performance: "docs/performance.md",
    provider_states: "docs/provider-states.md",
    rejections: "docs/rejections.md",
    resilience: "docs/resilience.md",
    snapshot: "docs/snapshot.md",
}

#[test]
fn every_document_is_tried() {
    let mut there = BTreeSet::new();
    for folder in ["", "docs/"] {
        for file in fs::read_dir(root().join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                there.insert(format!("{folder}{}", path.file_name().unwrap().display()));
            }
        }
    }
    assert_eq!(there, DOCUMENTS.iter().map(ToString::to_string).collect());
}

/// Tries everything in a document, from top to bottom, in one shell.
fn try_document(document: &str) {
    let text = fs::read_to_string(root().join(document)).unwrap();
    links::check(document, &text);
    let mut shell = None;
    for block in block::of(document, &text) {
        match &block.kind {
            Kind::Console => shell.get_or_insert_with(Shell::start).play(&block),
            Kind::Make => check_targets(&block),
            Kind::Rust => check_doc_test(document, &block),
            Kind::Text => {}
            Kind::Yaml { file } => {
                shell.get_or_insert_with(Shell::start).configure(&block, file.as_deref());
            }
        }
    }
}

/// Running the targets from here would run this test again, so that it is enough that there are
/// such targets, and that `make help` names them.
fn check_targets(block: &Block) {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for line in block.lines() {
        let command = line.split('#').next().unwrap_or_default().trim_end();
        let target = command.strip_prefix("make ");
        let target = target.unwrap_or_else(|| panic!("{}: not make TARGET: {line}", block.place()));
        let told = |rule: &str| rule.starts_with(&format!("{target}:")) && rule.contains("## ");
        assert!(makefile.lines().any(told), "{}: make knows no {target}", block.place());
    }
}

/// Rust is compiled and run by `cargo test --doc` of the library, if it includes the document.
fn check_doc_test(document: &str, block: &Block) {
    let library = fs::read_to_string(root().join("crates/keystead/src/lib.rs")).unwrap();
    let included = format!("include_str!(\"../../../{document}\")");
    assert!(library.contains(&included), "{}: no doc test runs this", block.place());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
