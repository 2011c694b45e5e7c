//! The JSON of a header and of a claims set: what a parser may forgive (RFC 8259).

use super::{Mutation, all, without_last};
use crate::draft::Draft;

pub(super) const ALL: &[Mutation] = &[
    all("white space around the claims set", |draft, _| {
        draft.edit_claims(|text| [b" \r\n\t".to_vec(), text, b"\n ".to_vec()].concat());
    }),
    all("white space around the header", |draft, _| {
        draft.edit_header(|text| [b" \r\n\t".to_vec(), text, b"\n ".to_vec()].concat());
    }),
    all("a form feed before the claims set", |draft, _| before_claims(draft, "\x0c")),
    all("a byte order mark before the claims set", |draft, _| before_claims(draft, "\u{feff}")),
    all("a byte order mark before the header", |draft, _| {
        draft.edit_header(|text| ["\u{feff}".into(), text].concat());
    }),
    all("more after the claims set", |draft, _| after_claims(draft, "{}")),
    all("a NUL after the claims set", |draft, _| after_claims(draft, "\0")),
    all("more after the header", |draft, _| {
        draft.edit_header(|text| [text, b"{}".to_vec()].concat());
    }),
    all("a comma at the end of the claims set", |draft, _| at_end(draft, ",")),
    all("a comma at the end of the header", |draft, _| {
        draft.edit_header(|text| [without_last(text), b",}".to_vec()].concat());
    }),
    all("a comment in the claims set", |draft, _| at_end(draft, "/* */")),
    all("a claims set cut short", |draft, _| draft.edit_claims(without_last)),
    all("a header cut short", |draft, _| draft.edit_header(without_last)),
    all("a claims set with single quotes", |draft, _| at_end(draft, ",'single':1")),
    all("a claims set with a name without quotes", |draft, _| at_end(draft, ",bare:1")),
    all("a claims set that is an array", |draft, _| {
        draft.edit_claims(|text| [b"[".to_vec(), text, b"]".to_vec()].concat());
    }),
    all("a claims set that is a string", |draft, _| {
        draft.edit_claims(|_| br#""claims""#.to_vec());
    }),
    all("a claims set that is null", |draft, _| draft.edit_claims(|_| b"null".to_vec())),
    all("a claims set that is empty", |draft, _| draft.edit_claims(|_| Vec::new())),
    all("a header that is an array", |draft, _| {
        draft.edit_header(|text| [b"[".to_vec(), text, b"]".to_vec()].concat());
    }),
    all("a header that is a string", |draft, _| draft.edit_header(|_| br#""header""#.to_vec())),
    all("a header that is empty", |draft, _| draft.edit_header(|_| Vec::new())),
    all("a header without members", |draft, _| draft.edit_header(|_| b"{}".to_vec())),
    all("a claims set in UTF-16", |draft, _| {
        draft.edit_claims(|text| utf16(&text, "\u{feff}"));
    }),
    all("a claims set in UTF-16 without a mark", |draft, _| {
        draft.edit_claims(|text| utf16(&text, ""));
    }),
    all("a header in UTF-16", |draft, _| draft.edit_header(|text| utf16(&text, "\u{feff}"))),
    all("a claim that is not UTF-8", |draft, _| inside(draft, b"\xff")),
    all("a claim with an overlong encoding", |draft, _| inside(draft, b"\xc0\xaf")),
    all("a claim with an encoded surrogate", |draft, _| inside(draft, b"\xed\xa0\x80")),
    all("a claim above the Unicode range", |draft, _| inside(draft, b"\xf4\x90\x80\x80")),
    all("a claim with a lone surrogate escaped", |draft, _| inside(draft, br"\ud800")),
    all("a claim with a surrogate pair escaped", |draft, _| inside(draft, br"\ud83d\ude00")),
    all("a claim with a bare control character", |draft, _| inside(draft, b"\x01")),
    all("a claim with a bare line break", |draft, _| inside(draft, b"\n")),
    all("a claim with an escape that is none", |draft, _| inside(draft, br"\x41")),
    all("a claim with half an escape", |draft, _| inside(draft, br"\u12")),
    all("a claim with an escaped NUL", |draft, _| inside(draft, br"\u0000")),
    all("a claim NaN", |draft, _| draft.claims.set("x", "NaN")),
    all("a claim -Infinity", |draft, _| draft.claims.set("x", "-Infinity")),
    all("a claim True", |draft, _| draft.claims.set("x", "True")),
    all("a claim undefined", |draft, _| draft.claims.set("x", "undefined")),
    all("a claim 10^400", |draft, _| draft.claims.set("x", "1e400")),
    all("a claim of 200 digits", |draft, _| draft.claims.set("x", "7".repeat(200))),
    all("a claim of 5,000 digits", |draft, _| draft.claims.set("x", "7".repeat(5_000))),
    all("a claim with a leading zero", |draft, _| draft.claims.set("x", "012")),
    all("a claim with a bare minus", |draft, _| draft.claims.set("x", "-")),
    all("a claim with a bare point", |draft, _| draft.claims.set("x", ".5")),
    all("a claim nested 20 deep", |draft, _| nested(draft, 20)),
    all("a claim nested 40 deep", |draft, _| nested(draft, 40)),
    all("a claim nested 150 deep", |draft, _| nested(draft, 150)),
    all("a header member nested 40 deep", |draft, _| {
        draft.header.set("x", format!("{}{}", "[".repeat(40), "]".repeat(40)));
    }),
    all("a claims set of 1,000 members", |draft, _| with_members(draft, 990)),
    all("a claims set of 1,100 members", |draft, _| with_members(draft, 1_100)),
    all("a token of 20,000 bytes", |draft, _| {
        draft.claims.set_text("x", &"x".repeat(14_000));
    }),
];

fn before_claims(draft: &mut Draft<'_>, what: &'static str) {
    draft.edit_claims(move |text| [what.into(), text].concat());
}

fn after_claims(draft: &mut Draft<'_>, what: &'static str) {
    draft.edit_claims(move |text| [text, what.into()].concat());
}

/// Writes before the last brace of the claims set.
fn at_end(draft: &mut Draft<'_>, what: &'static str) {
    draft.edit_claims(move |text| [without_last(text), what.into(), b"}".to_vec()].concat());
}

/// Writes a claim that nobody asks about, with these octets between its quotes.
fn inside(draft: &mut Draft<'_>, octets: &'static [u8]) {
    draft.edit_claims(move |text| {
        [without_last(text), br#","text":""#.to_vec(), octets.to_vec(), b"\"}".to_vec()].concat()
    });
}

fn nested(draft: &mut Draft<'_>, depth: usize) {
    draft.claims.set("x", format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
}

fn with_members(draft: &mut Draft<'_>, count: usize) {
    for number in 0..count {
        draft.claims.last(&number.to_string(), "1");
    }
}

fn utf16(text: &[u8], mark: &str) -> Vec<u8> {
    let text = format!("{mark}{}", String::from_utf8_lossy(text));
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
