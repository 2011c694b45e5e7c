//! `JSONTestSuite`: what is JSON, for the scanner and for the payload of a token.

use std::path::Path;

use keystead::core::json::{self, JsonError, JsonProblem, Limits};
use keystead::core::{JsonFault, Reason, TokenLimits, UnverifiedToken};
use serde_json::Value;

use crate::corpus::{Case, Expected, Found};
use crate::files;
use crate::signature::b64;

pub fn cases(folder: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for (_, bytes) in files(folder) {
        let lines = std::str::from_utf8(&bytes).unwrap().lines();
        cases.extend(lines.map(|line| case(&serde_json::from_str(line).unwrap())));
    }
    cases
}

fn case(line: &Value) -> Case {
    let name = line["name"].as_str().unwrap();
    let text = base64_simd::STANDARD.decode_to_vec(line["b64"].as_str().unwrap()).unwrap();
    let expected = match line["expect"].as_str().unwrap() {
        "accept" => Expected::Accept,
        "either" => Expected::Either,
        "reject" => Expected::Reject,
        other => panic!("{name}: {other} is expected"),
    };
    let found = match json::parse(&text, Limits::TOKEN) {
        Ok(_) => Found::Accepted,
        Err(error) => Found::refused(word(&error.problem)),
    };
    assert_eq!(as_payload(&text), found, "{name}: as a payload it is something else");
    let as_document = json::parse(&text, Limits::DOCUMENT).is_ok();
    // A document differs in what it makes of duplicates below its top, and in nothing else.
    assert!(as_document || found != Found::Accepted, "{name}");
    assert!(expected != Expected::Reject || !as_document, "{name}: a document that is no JSON");
    Case::new(name, expected, found)
}

/// What the text is as the payload of a token: JSON that is no object is JSON all the same.
fn as_payload(text: &[u8]) -> Found {
    let token = format!("{}.{}.", b64(br#"{"alg":"RS256"}"#), b64(text));
    match UnverifiedToken::parse(&token, TokenLimits::default()).map(|_| ()) {
        Ok(()) => Found::Accepted,
        Err(Reason::Json { fault: JsonFault::Text(JsonError { problem, .. }), .. }) => {
            match problem {
                JsonProblem::NotAnObject => Found::Accepted,
                problem => Found::refused(word(&problem)),
            }
        }
        Err(Reason::DuplicateMember { .. }) => Found::refused("DuplicateMember"),
        Err(Reason::TooLarge { what: "nesting", .. }) => Found::refused("Depth"),
        Err(other) => panic!("{other:?}"),
    }
}

fn word(problem: &JsonProblem) -> &'static str {
    match problem {
        JsonProblem::Syntax => "Syntax",
        JsonProblem::Encoding => "Encoding",
        JsonProblem::DuplicateMember(_) => "DuplicateMember",
        JsonProblem::Depth => "Depth",
        other => panic!("{other:?}"),
    }
}
