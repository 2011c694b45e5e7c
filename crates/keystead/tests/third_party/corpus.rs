//! A corpus: its cases, what each expects, what was found, and what of that is listed.

use std::collections::{BTreeMap, BTreeSet};

use crate::listed::Listed;

/// The cases of one corpus.
#[derive(Debug)]
pub struct Corpus {
    pub name: &'static str,
    pub cases: Vec<Case>,
}

/// One case, after it was run.
#[derive(Debug)]
pub struct Case {
    /// Unique within its corpus, without blanks.
    pub id: String,
    pub expected: Expected,
    pub found: Found,
}

/// What the corpus says of a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    Accept,
    /// Both are allowed, so the list says which one it is.
    Either,
    Reject,
}

/// What was found here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    Accepted,
    /// With the reason in one word.
    Refused(String),
}

/// How a corpus came out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub cases: usize,
    pub agreed: usize,
    pub listed: usize,
}

impl Case {
    pub fn new(id: impl AsRef<str>, expected: Expected, found: Found) -> Self {
        let plain = |c: char| if c.is_whitespace() || c == ',' { '_' } else { c };
        Self { id: id.as_ref().chars().map(plain).collect(), expected, found }
    }

    fn agrees(&self) -> bool {
        match self.expected {
            Expected::Accept => self.found == Found::Accepted,
            Expected::Either => false,
            Expected::Reject => self.found != Found::Accepted,
        }
    }
}

impl Found {
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    /// As it stands in the list.
    fn word(&self) -> String {
        match self {
            Self::Accepted => "accepted".to_owned(),
            Self::Refused(why) => format!("refused:{why}"),
        }
    }
}

impl Corpus {
    /// Counts, and tells everything that is not as the list says.
    pub fn compare(&self, listed: &Listed) -> (Tally, Vec<String>) {
        let none = BTreeMap::new();
        let listed = listed.of(self.name).unwrap_or(&none);
        let mut tally = Tally { cases: self.cases.len(), ..Tally::default() };
        let mut problems = Vec::new();
        let mut ids = BTreeSet::new();
        for case in &self.cases {
            let (id, found) = (&case.id, case.found.word());
            let mut problem = |what: String| problems.push(format!("{} {id} {what}", self.name));
            if !ids.insert(id.as_str()) {
                problem("stands twice in the corpus".to_owned());
            }
            match listed.get(id) {
                // No list excuses this.
                _ if case.expected == Expected::Reject && case.found == Found::Accepted => {
                    problem("accepted, but the corpus says that it must not be".to_owned());
                }
                None if case.agrees() => tally.agreed += 1,
                None => problem(format!("{found}, which is not listed")),
                Some(_) if case.agrees() => {
                    problem(format!("{found} as the corpus says, but listed as a difference"));
                }
                Some(outcome) if *outcome == found => tally.listed += 1,
                Some(outcome) => problem(format!("{found}, but listed as {outcome}")),
            }
        }
        let vain = listed.keys().filter(|id| !ids.contains(id.as_str()));
        problems.extend(vain.map(|id| format!("{} {id} is listed, but no case", self.name)));
        (tally, problems)
    }
}

#[test]
fn a_difference_must_be_listed_and_a_listed_one_must_be_there() {
    let case = |id, expected, found| Case::new(id, expected, found);
    let weak = || Found::refused("weak_key");
    let corpus = Corpus {
        name: "c",
        cases: vec![
            case("good", Expected::Accept, Found::Accepted),
            case("bad", Expected::Reject, weak()),
            case("s:1", Expected::Accept, weak()),
            case("s:2", Expected::Accept, weak()),
            case("may be", Expected::Either, Found::Accepted),
        ],
    };
    let compare = |list: &str| corpus.compare(&Listed::parse(list));
    let whole = "c s:1-2 refused:weak_key # short\nc may_be accepted # as it likes\n";
    let tally = Tally { cases: 5, agreed: 2, listed: 3 };
    assert_eq!(compare(whole), (tally, vec![]));
    let problems = |list: &str| compare(list).1.join("; ");
    let more = |line: &str| problems(&format!("{whole}{line}"));
    assert_eq!(
        more("c good refused:x # r"),
        "c good accepted as the corpus says, but listed as a difference"
    );
    assert_eq!(
        more("c bad refused:weak_key # r"),
        "c bad refused:weak_key as the corpus says, but listed as a difference"
    );
    assert_eq!(more("c gone refused:x # r"), "c gone is listed, but no case");
    assert_eq!(more("other gone refused:x # r"), "", "that is for the other one to say");
    assert_eq!(problems("c s:1-2 refused:weak_key # r"), "c may_be accepted, which is not listed");
    assert_eq!(
        problems("c s:1 refused:malformed # r\nc s:2 refused:weak_key # r\nc may_be accepted # r"),
        "c s:1 refused:weak_key, but listed as refused:malformed"
    );
}

#[test]
fn nothing_excuses_what_must_not_be_accepted() {
    let forged = || Case::new("forged", Expected::Reject, Found::Accepted);
    let corpus = Corpus { name: "c", cases: vec![forged()] };
    for list in ["", "c forged accepted # we know better"] {
        let (tally, problems) = corpus.compare(&Listed::parse(list));
        assert_eq!((tally.agreed, tally.listed), (0, 0));
        assert_eq!(problems, ["c forged accepted, but the corpus says that it must not be"]);
    }
    let twice = Corpus { name: "c", cases: vec![forged(), forged()] };
    assert_eq!(twice.compare(&Listed::parse("")).1.len(), 3);
}
