//! The value of an `Authorization` header: one credential or none, and no word of it in a refusal.
//!
//! Each line is one header of the request.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use keystead::core::{Reason, Rejection};

use crate::bearer;
use crate::oracle::assert_refusal;
use crate::token;

/// Stands for a secret: no sentence of ours holds it.
const MARKER: &str = "zq7Marker7qz";

pub fn check(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n');
    let values: Vec<HeaderValue> = lines.filter_map(|v| HeaderValue::from_bytes(v).ok()).collect();
    let found = of(values.clone());
    match values.as_slice() {
        [] => assert_eq!(found, Err(Reason::Missing)),
        [value] => {
            one(value.as_bytes(), &found);
            assert_no_echo(value.as_bytes());
        }
        _ => assert_eq!(found, Err(Reason::SeveralCredentials), "one of several is no choice"),
    }
    if let Err(reason) = found {
        assert_refusal(&Rejection::new(reason), &String::from_utf8_lossy(data));
    }
}

fn of(values: Vec<HeaderValue>) -> Result<String, Reason> {
    let headers: HeaderMap = values.into_iter().map(|value| (AUTHORIZATION, value)).collect();
    let first = bearer::token(&headers).map(str::to_owned);
    assert_eq!(first, bearer::token(&headers).map(str::to_owned));
    first
}

fn single(value: &[u8]) -> Option<Result<String, Reason>> {
    HeaderValue::from_bytes(value).ok().map(|value| of(vec![value]))
}

/// What one value may come to.
fn one(value: &[u8], found: &Result<String, Reason>) {
    let bare = value.trim_ascii();
    let scheme = bare.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"));
    match found {
        Ok(text) => {
            let rest = bare.get(6..).unwrap_or_default();
            assert!(scheme && rest.starts_with(b" "), "another scheme: {value:?}");
            assert_eq!(rest.trim_ascii(), text.as_bytes(), "the token is what was presented");
            assert!(!text.is_empty() && !text.contains(','), "{text:?}");
            // However two of it arrive, they are two.
            let twice = [bare, b", ", bare].concat();
            for several in [twice, [bare, b",x"].concat(), [b"Basic eA==, ", bare].concat()] {
                let several = single(&several).expect("it is a header value");
                assert_eq!(several, Err(Reason::SeveralCredentials));
            }
            // What a face does with it.
            let _verdict = token::is_accepted(text);
        }
        Err(Reason::Missing) => assert!(bare.is_empty(), "something was presented: {value:?}"),
        Err(Reason::Empty) => assert!(bare.eq_ignore_ascii_case(b"bearer"), "{value:?}"),
        Err(Reason::NotBearer { scheme: shown }) => {
            let presented = bare.split(|byte| *byte == b' ').next().unwrap_or_default();
            assert!(!presented.eq_ignore_ascii_case(b"bearer"));
            let known = presented.eq_ignore_ascii_case(shown.as_bytes());
            assert!(known || &**shown == "(unknown)", "{shown}");
        }
        Err(Reason::SeveralCredentials) => assert!(bare.contains(&b','), "{value:?}"),
        Err(Reason::Segments { .. } | Reason::Base64 { .. }) => {
            assert!(
                scheme && std::str::from_utf8(bare).is_err(),
                "text is the verifier's to judge"
            );
        }
        Err(other) => panic!("no reason of a header: {other:?}"),
    }
}

/// A secret stays one wherever it slips in.
fn assert_no_echo(value: &[u8]) {
    let marker = MARKER.as_bytes();
    let (start, end) = value.split_at(value.len() / 2);
    for value in [[marker, value].concat(), [value, marker].concat(), [start, marker, end].concat()]
    {
        let Some(Err(reason)) = single(&value) else { continue };
        let refused = Rejection::new(reason);
        let challenge = refused.challenge().unwrap_or_default();
        for said in [refused.sentence(), refused.hint(), challenge, format!("{refused:?}")] {
            assert!(!said.contains(MARKER), "{said}");
        }
    }
}
