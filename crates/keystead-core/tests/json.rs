//! The scanner against `serde_json` as an oracle.
//!
//! They differ knowingly: limits and duplicate members are refused here only, and numbers beyond
//! binary64 there only.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use std::collections::HashSet;
use std::fmt::Write;

use keystead_core::json::{self, JsonProblem, Kind, Limits, Value};
use proptest::prelude::*;
use serde_json::Value as Tree;

/// The same tree, read through the accessors.
fn tree(value: Value<'_>) -> Tree {
    match value.kind() {
        Kind::Null => Tree::Null,
        Kind::Bool => value.as_bool().unwrap().into(),
        Kind::Number => serde_json::from_str(value.text()).unwrap(),
        Kind::String => value.as_str().unwrap().into(),
        Kind::Array => value.elements().unwrap().map(tree).collect(),
        Kind::Object => value.members().unwrap().map(|(name, v)| (name, tree(v))).collect(),
        other => panic!("a kind that JSON does not have: {other:?}"),
    }
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        // Exact in decimal: the oracle rounds long ones.
        any::<i32>().prop_map(|n| Tree::from(f64::from(n) / 8.0)),
        any::<String>().prop_map(Tree::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Tree::from),
            prop::collection::hash_map(any::<String>(), inner, 0..40)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

/// Every character as an escape, where that is allowed.
fn with_escapes(text: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    let mut out = String::new();
    for c in text.chars() {
        let plain = in_string && !escaped && c != '"' && c != '\\';
        if plain {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        } else if escaped && c == 'u' {
            // An escape that is one already: keep its digits.
            return text.to_owned();
        } else {
            out.push(c);
        }
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = c == '\\' && !escaped;
    }
    out
}

/// Whether both agree on a text, differences that are meant aside.
fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let theirs: Result<Tree, _> = serde_json::from_slice(bytes);
    match json::parse(bytes, Limits::TOKEN) {
        Ok(value) => match theirs {
            Ok(theirs) => prop_assert_eq!(tree(value), theirs),
            Err(error) => prop_assert!(
                error.to_string().contains("number out of range"),
                "accepted, but: {}",
                error
            ),
        },
        Err(error) => {
            let meant = error.problem.is_limit()
                || matches!(error.problem, JsonProblem::DuplicateMember(_));
            prop_assert!(meant || theirs.is_err(), "refused: {}", error);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_written_tree_is_read_back(expected in any_tree()) {
        let compact = expected.to_string();
        let texts = [
            serde_json::to_string_pretty(&expected).unwrap(),
            with_escapes(&compact),
            compact,
        ];
        for text in texts {
            let value = json::parse(text.as_bytes(), Limits::TOKEN).unwrap();
            prop_assert_eq!(&tree(value), &expected, "{}", text);
        }
    }

    #[test]
    fn an_altered_text_is_judged_alike(
        written in any_tree(), at in any::<prop::sample::Index>(), with in any::<u8>(), how in 0..4_u8,
    ) {
        let mut bytes = written.to_string().into_bytes();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = with,
            1 => bytes.insert(at, with),
            2 => { bytes.remove(at); }
            _ => bytes.truncate(at),
        }
        agree(&bytes)?;
    }

    #[test]
    fn pieces_of_json_are_judged_alike(
        text in r#"([\[\]{}:,"\\ \n0-9eE.+-]|true|false|null|"a"|\\u[0-9a-fA-F]{4}|\\ud83d|\\ude00|1e999){0,24}"#,
    ) {
        agree(text.as_bytes())?;
        agree(format!("\"{text}\"").as_bytes())?;
        agree(format!("[{text}]").as_bytes())?;
    }

    #[test]
    fn a_number_is_the_same_number(text in r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?") {
        let ours = json::parse(text.as_bytes(), Limits::TOKEN).unwrap().as_f64().unwrap();
        prop_assert_eq!(ours.to_bits(), text.parse::<f64>().unwrap().to_bits());
    }

    #[test]
    fn a_duplicate_is_found_exactly_where_there_is_one(
        names in prop::collection::vec(("[a-c]{0,4}", any::<bool>()), 0..60),
    ) {
        let written = |(name, escaped): &(String, bool)| {
            if *escaped {
                with_escapes(&format!("\"{name}\"")).trim_matches('"').to_owned()
            } else {
                name.clone()
            }
        };
        let members: Vec<_> = names.iter().map(|n| format!("\"{}\":0", written(n))).collect();
        let text = format!("{{{}}}", members.join(","));
        let distinct: HashSet<_> = names.iter().map(|(name, _)| name).collect();
        let result = json::parse(text.as_bytes(), Limits::TOKEN);
        prop_assert_eq!(result.is_ok(), distinct.len() == names.len(), "{}", text);
        if let Err(error) = result {
            let JsonProblem::DuplicateMember(name) = error.problem else { panic!("{error}") };
            prop_assert!(names.iter().filter(|(n, _)| **n == *name).count() > 1);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        agree(&bytes)?;
    }
}
