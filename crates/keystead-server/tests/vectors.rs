//! The vector files of the project, every case of them.
//!
//! What deviates is listed by name in `vectors/deviations.txt`, each with its reason. A deviation
//! that is not listed fails, and so does one that is listed and no longer there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keystead_server::vectors::{self, Case, Decision, Tier};

const FILES: [&str; 3] = ["attacks.jsonl", "multi_issuer.jsonl", "idp_shapes.jsonl"];
const DEVIATIONS: &str = "deviations.txt";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn cases() -> Vec<Case> {
    let files = FILES.iter().map(|file| vectors::read(&folder().join(file)).unwrap());
    let cases: Vec<Case> = files.flatten().map(Result::unwrap).collect();
    assert!(cases.len() > 400, "{} cases", cases.len());
    cases
}

/// How a case deviates: in its verdict, or in its class alone.
fn deviation(case: &Case) -> Option<String> {
    let verdict = case.judge(&case.verifier());
    let class = verdict.as_ref().err().map_or("ok", |refused| refused.reason().class());
    if Decision::of(&verdict) != case.expected {
        return Some(format!("verdict {class}"));
    }
    let refused = verdict.err()?;
    (!case.expects_class_of(&refused)).then(|| format!("class {class}"))
}

/// The listed deviations: how, by the name of the case.
fn listed() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder().join(DEVIATIONS)).unwrap();
    let mut listed = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (case, reason) = line.split_once(" # ").expect("ID verdict|class FOUND # REASON");
        assert!(!reason.trim().is_empty(), "{case} has no reason");
        let (id, how) = case.split_once(' ').expect("ID verdict|class FOUND # REASON");
        assert!(listed.insert(id.to_owned(), how.to_owned()).is_none(), "{id} stands twice");
    }
    listed
}

#[test]
fn every_deviation_is_listed_with_its_reason_and_none_is_listed_in_vain() {
    let found: BTreeMap<_, _> =
        cases().iter().filter_map(|case| Some((case.id.clone(), deviation(case)?))).collect();
    assert_eq!(found, listed());
}

#[test]
fn every_must_has_its_verdict_and_nearly_every_should() {
    let (mut ran, mut right) = (BTreeMap::new(), BTreeMap::new());
    for case in cases() {
        *ran.entry(case.tier).or_insert(0) += 1;
        let matches = Decision::of(&case.judge(&case.verifier())) == case.expected;
        *right.entry(case.tier).or_insert(0) += i32::from(matches);
    }
    assert_eq!(right[&Tier::Must], ran[&Tier::Must]);
    assert!(right[&Tier::Should] * 100 >= ran[&Tier::Should] * 95, "{right:?} of {ran:?}");
}

#[test]
fn an_explanation_has_the_verdict_of_verify() {
    for case in cases() {
        let verifier = case.verifier();
        let verdict = case.judge(&verifier);
        let explained = case.explain(&verifier);
        assert_eq!(explained.refused, verdict.err(), "{}", case.id);
        // The list of checks is whole, whatever was found.
        assert_eq!(explained.steps.len(), keystead::core::Check::ALL.len(), "{}", case.id);
    }
}
