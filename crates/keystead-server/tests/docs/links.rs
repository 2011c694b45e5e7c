//! Links from one document to another.

use std::fs;

use crate::root;

/// Every relative link of a document leads to a file, and to a heading in it if it names one.
pub(crate) fn check(document: &str, text: &str) {
    for target in targets(text).filter(|target| !target.contains("://")) {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        let file =
            if path.is_empty() { root().join(document) } else { root().join(folder).join(path) };
        assert!(file.exists(), "{document}: the link {target} leads nowhere");
        if !heading.is_empty() {
            let page = fs::read_to_string(&file).unwrap();
            let known = page.lines().filter(|line| line.starts_with('#')).map(anchor);
            assert!(known.into_iter().any(|known| known == heading), "{document}: no {target}");
        }
    }
}

/// What stands in the parentheses of `[...](...)`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0))
}

/// How GitHub makes an anchor of a heading: no punctuation, dashes for blanks.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn a_link_to_nowhere_is_found() {
    check("docs/cli.md", "[a](http.md) [b](../README.md) [c](https://idp.example/x)");
    for wrong in ["[a](nowhere.md)", "[a](http.md#no-such-heading)"] {
        assert!(std::panic::catch_unwind(|| check("docs/cli.md", wrong)).is_err(), "{wrong}");
    }
    assert_eq!(anchor("## Why a `kid` binds: an FAQ"), "why-a-kid-binds-an-faq");
}
