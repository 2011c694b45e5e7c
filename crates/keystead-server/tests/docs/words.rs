//! Words that the sources have and the documents explain.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::root;

/// Every event that is logged has a line in `docs/logs.md`, and nothing else has.
#[test]
fn every_event_is_documented() {
    let mut logged = BTreeSet::new();
    for crate_name in ["keystead", "keystead-server"] {
        collect(&root().join("crates").join(crate_name).join("src"), &mut logged);
    }
    assert!(logged.len() > 10, "{logged:?}");
    let page = fs::read_to_string(root().join("docs/logs.md")).unwrap();
    let mut documented = BTreeSet::new();
    let mut of_events = false;
    for line in page.lines() {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let Some(first) = cells.next() else {
            of_events = false;
            continue;
        };
        of_events |= first == "event";
        let name = first.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        documented.extend(name.filter(|_| of_events).map(ToOwned::to_owned));
    }
    assert_eq!(documented, logged);
}

/// Every way in which a source can fail has a word, and the word is explained.
#[test]
fn every_failure_of_a_source_is_documented() {
    let page = fs::read_to_string(root().join("docs/provider-states.md")).unwrap();
    let source = |path| fs::read_to_string(root().join("crates/keystead/src").join(path)).unwrap();
    let mut words = BTreeSet::new();
    words.extend(behind("=> \"", &source("http/error.rs")));
    words.extend(behind("Self::local(\"", &source("source/mod.rs")));
    for known in ["issuer_mismatch", "tls", "panicked"] {
        assert!(words.contains(known), "{words:?}");
    }
    for word in words {
        assert!(page.contains(&format!("`{word}`")), "{word} is not explained");
    }
}

/// The events that the sources below a folder log.
fn collect(folder: &Path, events: &mut BTreeSet<String>) {
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            collect(&path, events);
        } else {
            events.extend(behind("event = \"", &fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The words that stand behind a mark that ends with their opening quote.
fn behind(mark: &str, text: &str) -> Vec<String> {
    let words = text.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
    words.map(ToOwned::to_owned).collect()
}
