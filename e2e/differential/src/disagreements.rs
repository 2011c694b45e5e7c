//! The table of disagreements, and what keeps it honest.
//!
//! Where a peer says otherwise than Keystead, the table says why; otherwise the case fails. An entry
//! that nobody disagrees about any more fails too. What Keystead accepts and nobody else does fails
//! whatever the table says. Of several mutations together, a peer that is known to refuse one of them,
//! where others accept it, has said nothing about the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::cases::Case;
use crate::draft::Made;
use crate::peers::Verdict;

/// Why peers disagree with Keystead, class by class.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    class: Vec<Class>,
}

/// Disagreements with one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    /// Who accepts.
    accepts: Accepts,
    /// Why, in our words.
    reason: String,
    /// Where the standard says it.
    source: String,
    /// Which mutations, and the peers that disagree about each.
    mutations: BTreeMap<String, Vec<String>>,
}

/// Who accepts what the other one refuses.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Accepts {
    Keystead,
    Peer,
}

/// One disagreement: who accepts, what was done, which peer.
type Entry = (Accepts, String, String);

/// How many peers have to agree that they are right and Keystead is wrong: those that the algorithm
/// has that the fewest peers know. Two say little: where both take a liberty, nobody is left.
pub(crate) const QUORUM: usize = 3;

/// What a peer said of all cases.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) verdicts: Vec<Verdict>,
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How many cases have no disagreement that is not explained.
    pub(crate) passed: usize,
    /// What is wrong, each in one text.
    pub(crate) failures: Vec<String>,
    /// By peer.
    pub(crate) counts: Vec<(String, Counts)>,
    /// How many cases Keystead accepts and too few peers have a say about, none of which accepts.
    pub(crate) unjudged: usize,
    /// How many cases Keystead accepts.
    pub(crate) accepted: usize,
    /// Disagreements about one mutation, explained or not.
    seen: BTreeSet<Entry>,
    /// Those that no entry explains: what the table would have to say,
    /// and what was said.
    pub(crate) missing: BTreeMap<Entry, String>,
}

/// How often one peer said the same, otherwise or nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) agreed: usize,
    pub(crate) accepts_more: usize,
    pub(crate) refuses_more: usize,
    pub(crate) abstained: usize,
}

impl Table {
    pub(crate) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    fn entries(&self) -> Vec<Entry> {
        let of_class = |class: &Class| {
            let entries = class.mutations.iter().flat_map(|(mutation, peers)| {
                peers.iter().map(|peer| (class.accepts, mutation.clone(), peer.clone()))
            });
            entries.collect::<Vec<_>>()
        };
        self.class.iter().flat_map(of_class).collect()
    }

    /// Compares what everybody said.
    pub(crate) fn compare(&self, cases: &[Case], keystead: &[Verdict], peers: &[Peer]) -> Report {
        let entries = self.entries();
        let known: BTreeSet<_> = entries.iter().cloned().collect();
        let mut report = Report { counts: counted(peers), ..Report::default() };
        for (at, (case, ours)) in cases.iter().zip(keystead).enumerate() {
            let failures = report.failures.len();
            let others = Others::of(peers, at, |peer| {
                let entry = |name: &String| (Accepts::Keystead, name.clone(), peer.to_owned());
                case.mutations.len() > 1
                    && case.mutations.iter().any(|name| known.contains(&entry(name)))
            });
            report.accepted += usize::from(*ours == Verdict::Accepted);
            if case.is_feature() {
                report.feature(case, ours, &others);
            } else {
                report.alone(case, ours, &others);
                report.each(case, ours, peers, at, &known);
            }
            report.passed += usize::from(report.failures.len() == failures);
        }
        let dishonest = self.dishonest(&entries, &report.seen, peers);
        report.failures.extend(dishonest);
        report
    }

    /// What the table says and is not so.
    fn dishonest(&self, entries: &[Entry], seen: &BTreeSet<Entry>, peers: &[Peer]) -> Vec<String> {
        let mut failures = Vec::new();
        let mut once = BTreeSet::new();
        for entry in entries {
            let (_, mutation, peer) = entry;
            if !once.insert(entry) {
                failures.push(format!("the table has \"{mutation}\" of {peer} twice"));
            } else if peers.iter().any(|asked| asked.name == *peer) && !seen.contains(entry) {
                failures.push(format!(
                    "the table says that {peer} disagrees about \"{mutation}\", and it does not"
                ));
            }
        }
        let wordless = |class: &&Class| {
            class.reason.trim().is_empty()
                || class.source.trim().is_empty()
                || class.mutations.values().any(Vec::is_empty)
        };
        failures.extend(self.class.iter().filter(wordless).map(|class| {
            format!("a class of the table lacks its reason, source or peers: {class:?}")
        }));
        failures
    }

    /// The names in the table that are none: of mutations, or of peers.
    pub(crate) fn unknown<'a>(&'a self, mutations: &[String], peers: &[&str]) -> Vec<&'a str> {
        let names = self.class.iter().flat_map(|class| &class.mutations);
        names
            .flat_map(|(mutation, of)| {
                let mutation = (!mutations.contains(mutation)).then_some(&**mutation);
                let of = of.iter().map(|peer| &**peer).filter(|peer| !peers.contains(peer));
                mutation.into_iter().chain(of)
            })
            .collect()
    }
}

impl Report {
    /// What only Keystead has: a peer that refuses has said nothing.
    fn feature(&mut self, case: &Case, ours: &Verdict, others: &Others) {
        if *ours != Verdict::Accepted || others.accepted > 0 {
            self.failures.push(failure("no feature of keystead alone", case, ""));
        }
        self.counts.iter_mut().for_each(|(_, counts)| counts.abstained += 1);
    }

    /// The rule without an exception.
    fn alone(&mut self, case: &Case, ours: &Verdict, others: &Others) {
        if *ours != Verdict::Accepted || others.accepted > 0 {
            return;
        }
        if others.judged < QUORUM {
            self.unjudged += 1;
        } else {
            let why = others.said.join("\n  ");
            self.failures.push(failure("keystead is the one that accepts alone", case, &why));
        }
    }

    /// Keystead beside each of the peers.
    fn each(
        &mut self,
        case: &Case,
        ours: &Verdict,
        peers: &[Peer],
        at: usize,
        known: &BTreeSet<Entry>,
    ) {
        for (peer, (_, counts)) in peers.iter().zip(&mut self.counts) {
            let Some(theirs) = peer.verdicts.get(at) else { continue };
            let Some(accepts) = counts.add(ours, theirs) else { continue };
            let entry = |name: &String| (accepts, name.clone(), peer.name.clone());
            if let [only] = &*case.mutations {
                self.seen.insert(entry(only));
            }
            if case.mutations.iter().any(|name| known.contains(&entry(name))) {
                continue;
            }
            let said = format!("keystead {ours:?}, {} {theirs:?}", peer.name);
            self.failures.push(failure("nothing explains a disagreement", case, &said));
            if let [only] = &*case.mutations {
                self.missing.insert(entry(only), said);
            }
        }
    }
}

/// What the peers that judged a case said.
#[derive(Default)]
struct Others {
    judged: usize,
    accepted: usize,
    said: Vec<String>,
}

impl Others {
    /// A refusal that is `excused` says nothing.
    fn of(peers: &[Peer], at: usize, excused: impl Fn(&str) -> bool) -> Self {
        let mut others = Self::default();
        for peer in peers {
            match peer.verdicts.get(at) {
                None | Some(Verdict::Abstained) => continue,
                Some(Verdict::Accepted) => others.accepted += 1,
                Some(Verdict::Refused(_)) if excused(&peer.name) => continue,
                Some(Verdict::Refused(why)) => others.said.push(format!("{}: {why}", peer.name)),
            }
            others.judged += 1;
        }
        others
    }
}

impl Counts {
    /// Counts a verdict beside ours; who accepts, if they differ.
    fn add(&mut self, ours: &Verdict, theirs: &Verdict) -> Option<Accepts> {
        match (ours, theirs) {
            (_, Verdict::Abstained) => self.abstained += 1,
            (Verdict::Accepted, Verdict::Refused(_)) => {
                self.refuses_more += 1;
                return Some(Accepts::Keystead);
            }
            (Verdict::Refused(_), Verdict::Accepted) => {
                self.accepts_more += 1;
                return Some(Accepts::Peer);
            }
            _ => self.agreed += 1,
        }
        None
    }
}

fn counted(peers: &[Peer]) -> Vec<(String, Counts)> {
    peers.iter().map(|peer| (peer.name.clone(), Counts::default())).collect()
}

/// A failure with everything that is needed to see it again; the keys are those of this folder.
fn failure(what: &str, case: &Case, said: &str) -> String {
    let Made { token, key_set } = &case.made;
    let keys = if case.usual_keys { String::new() } else { format!("\n  key set {key_set}") };
    format!("{what}\n  {}\n  {said}\n  token {token:?}{keys}", case.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead::core::Algorithm;

    const TABLE: &str = r#"
        [[class]]
        accepts = "peer"
        reason = "it does not look"
        source = "RFC 0 section 0"
        [class.mutations]
        "a" = ["p"]
    "#;

    fn case(mutations: &[&str]) -> Case {
        Case {
            algorithm: Algorithm::Es256,
            mutations: mutations.iter().map(|name| (*name).to_owned()).collect(),
            made: Made { token: "t".into(), key_set: "k".into() },
            usual_keys: true,
        }
    }

    /// What a table makes of one case, and of what Keystead and the peers say of it.
    fn judged(mutations: &[&str], ours: bool, theirs: &[(&str, bool)]) -> Report {
        let verdict = |accepted| {
            if accepted { Verdict::Accepted } else { Verdict::Refused("no".into()) }
        };
        let peers: Vec<_> = theirs
            .iter()
            .map(|(name, accepted)| Peer {
                name: (*name).to_owned(),
                verdicts: vec![verdict(*accepted)],
            })
            .collect();
        let table = Table::parse(TABLE).unwrap();
        table.compare(&[case(mutations)], &[verdict(ours)], &peers)
    }

    #[test]
    fn an_explained_disagreement_passes() {
        let report = judged(&["a"], false, &[("p", true)]);
        assert_eq!((report.passed, report.failures.len()), (1, 0));
        assert_eq!(report.counts[0].1.accepts_more, 1);
    }

    #[test]
    fn a_disagreement_that_nothing_explains_fails() {
        for (mutations, ours, peer) in
            [(["b"], false, "p"), (["a"], true, "p"), (["a"], false, "q")]
        {
            let report = judged(&mutations, ours, &[(peer, !ours)]);
            assert_eq!(report.passed, 0, "{mutations:?} {ours} {peer}");
            assert_eq!(report.missing.len(), 1);
        }
    }

    #[test]
    fn one_of_several_mutations_explains_a_disagreement_and_proves_no_entry() {
        let report = judged(&["b", "a"], false, &[("p", true)]);
        assert_eq!(report.passed, 1);
        assert_eq!(report.failures.len(), 1, "{:?}", report.failures);
        assert!(report.failures[0].contains("and it does not"));
    }

    #[test]
    fn an_entry_that_no_longer_occurs_fails_where_its_peer_was_asked() {
        assert_eq!(judged(&["a"], false, &[("p", false)]).failures.len(), 1);
        assert_eq!(judged(&["a"], false, &[("q", false)]).failures.len(), 0);
    }

    #[test]
    fn nothing_excuses_accepting_alone() {
        let alone = |theirs: &[(&str, bool)]| {
            let report = judged(&["a"], true, theirs);
            report.failures.iter().any(|failure| failure.contains("accepts alone"))
        };
        let (q, r) = (("q", false), ("r", false));
        assert!(alone(&[("p", false), q, r]));
        assert!(!alone(&[("p", true), q, r]));
        assert!(!alone(&[q, r]));
    }

    #[test]
    fn a_peer_that_refuses_one_of_several_mutations_says_nothing_about_the_rest() {
        let refused = vec![Verdict::Refused("no".into())];
        let peers = ["p", "q", "r", "s"]
            .map(|name| Peer { name: name.to_owned(), verdicts: refused.clone() });
        let table = Table::parse(&TABLE.replace(r#""peer""#, r#""keystead""#)).unwrap();
        let judged = |mutations: &[&str]| {
            let report = table.compare(&[case(mutations)], &[Verdict::Accepted], &peers);
            let alone: Vec<_> =
                report.failures.into_iter().filter(|why| why.contains("accepts alone")).collect();
            alone.first().map(|why| why.contains("p: no"))
        };
        assert_eq!(judged(&["a"]), Some(true), "alone, it has no excuse");
        assert_eq!(judged(&["a", "b"]), Some(false));
    }

    #[test]
    fn names_that_do_not_exist_are_found() {
        let table = Table::parse(TABLE).unwrap();
        assert_eq!(table.unknown(&["a".into()], &["p"]), Vec::<&str>::new());
        assert_eq!(table.unknown(&["b".into()], &["q"]), ["a", "p"]);
    }
}
