//! The list of differences, `differences.txt`.

use std::collections::BTreeMap;

/// What differs, by corpus and case: the outcome that is known.
#[derive(Debug, Default)]
pub struct Listed(BTreeMap<String, BTreeMap<String, String>>);

const LINE: &str = "CORPUS CASE OUTCOME # REASON";

impl Listed {
    /// The list of this project.
    pub fn read() -> Self {
        Self::parse(include_str!("differences.txt"))
    }

    /// One difference per line, `CORPUS CASE OUTCOME # REASON`; a case may be written
    /// `SET:1,4-6`, which is four of them.
    pub fn parse(text: &str) -> Self {
        let mut listed = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (difference, reason) = line.split_once(" # ").expect(LINE);
            assert!(!reason.trim().is_empty(), "{line}: the reason is missing");
            let [corpus, cases, outcome] = *difference.split(' ').collect::<Vec<_>>() else {
                panic!("{line}: not {LINE}")
            };
            let of_corpus = listed.0.entry(corpus.to_owned()).or_default();
            for case in expand(cases) {
                let before = of_corpus.insert(case, outcome.to_owned());
                assert!(before.is_none(), "{line}: a case stands twice in the list");
            }
        }
        listed
    }

    pub fn of(&self, corpus: &str) -> Option<&BTreeMap<String, String>> {
        self.0.get(corpus)
    }

    pub fn corpora(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn expand(cases: &str) -> Vec<String> {
    let numbers = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    };
    let parts = cases.rsplit_once(':').and_then(|(set, list)| {
        let ranges: Option<Vec<_>> = list.split(',').map(numbers).collect();
        Some((set, ranges?))
    });
    match parts {
        Some((set, ranges)) => {
            ranges.into_iter().flatten().map(|number| format!("{set}:{number}")).collect()
        }
        None => vec![cases.to_owned()],
    }
}

#[test]
fn numbers_are_written_as_ranges() {
    assert_eq!(expand("s:1,4-6"), ["s:1", "s:4", "s:5", "s:6"]);
    assert_eq!(expand("a/b_c.json:x-1"), ["a/b_c.json:x-1"]);
    assert_eq!(expand("plain"), ["plain"]);
}

#[test]
#[should_panic = "the reason is missing"]
fn a_difference_has_a_reason() {
    Listed::parse("c 1 accepted #  ");
}

#[test]
#[should_panic = "stands twice"]
fn a_case_stands_once() {
    Listed::parse("c s:1-3 accepted # r\nc s:3 accepted # r");
}
