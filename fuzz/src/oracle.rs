//! A second reader of the same bytes, which none of Keystead's code stands behind, and what holds of
//! every text that is shown.

use std::collections::BTreeMap;

use keystead::core::Rejection;
use serde_json::value::RawValue;

/// The members of a JSON object, as `serde_json` sees them; none: it sees no object.
///
/// Values stay texts, so that a number out of a float's range is no error here either. Of two
/// members with one name the last is seen: the caller must not have accepted any.
pub(crate) fn object(text: &[u8]) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_slice(text).ok()
}

/// The string in this text.
pub(crate) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The strings of an array, or the one string that stands in its place.
pub(crate) fn strings(value: &RawValue) -> Option<Vec<String>> {
    string(value).map(|one| vec![one]).or_else(|| serde_json::from_str(value.get()).ok())
}

/// The number in this text, read by the standard library.
pub(crate) fn number(value: &RawValue) -> Option<f64> {
    let text = value.get();
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Nothing in it can write into a log, a terminal or a page.
pub(crate) fn assert_printable(text: &str) {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
    };
    assert!(!text.contains(steers), "not printable: {text:?}");
}

/// What is said of a refusal can be printed, is short, and does not hold what was presented as a
/// whole.
pub(crate) fn assert_refusal(refused: &Rejection, presented: &str) {
    let challenge = refused.challenge();
    let texts = [refused.sentence(), refused.hint(), challenge.clone().unwrap_or_default()];
    for text in &texts {
        assert_printable(text);
        assert!(text.len() <= 1_000, "{} bytes: {text}", text.len());
        // A shorter one may be a word of the sentence: the fuzzer learns those.
        let is_token = presented.len() > 64 && presented.matches('.').count() == 2;
        assert!(!is_token || !text.contains(presented), "the token is repeated: {text}");
    }
    let judged = refused.http_status() != 503;
    assert_eq!(refused.retry_after().is_none(), judged);
    assert_eq!(challenge.is_some(), judged);
}
