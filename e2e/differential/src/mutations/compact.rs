//! The compact serialisation (RFC 7515 sections 2, 3.1 and 7): segments, and base64url in them.

use serde_json::json;

use super::{Mutation, all};
use crate::draft::Draft;
use crate::encoding::{base64url, with_stray_bit};

pub(super) const ALL: &[Mutation] = &[
    // base64url, signed as it stands
    all("a padded header", |draft, _| {
        of_length(draft, Part::Header, 2);
        draft.edit_header_segment(padded);
    }),
    all("a padded claims set", |draft, _| {
        of_length(draft, Part::Claims, 2);
        draft.edit_claims_segment(padded);
    }),
    all("too much padding after the claims set", |draft, _| {
        of_length(draft, Part::Claims, 0);
        draft.edit_claims_segment(|segment| segment + "====");
    }),
    all("padding alone after the claims set", |draft, _| {
        of_length(draft, Part::Claims, 0);
        draft.edit_claims_segment(|segment| segment + "=");
    }),
    all("a stray bit in the header", |draft, _| {
        of_length(draft, Part::Header, 2);
        draft.edit_header_segment(|segment| with_stray_bit(&segment));
    }),
    all("a stray bit in the claims set", |draft, _| {
        of_length(draft, Part::Claims, 2);
        draft.edit_claims_segment(|segment| with_stray_bit(&segment));
    }),
    all("a single letter too many in the claims set", |draft, _| {
        of_length(draft, Part::Claims, 0);
        draft.edit_claims_segment(|segment| segment + "A");
    }),
    all("the other base64 alphabet in the header", |draft, _| {
        draft.header.set_text("x", "???>>>~~~");
        draft.edit_header_segment(|segment| other_alphabet(&segment));
    }),
    all("the other base64 alphabet in the claims set", |draft, _| {
        draft.claims.set_text("x", "???>>>~~~");
        draft.edit_claims_segment(|segment| other_alphabet(&segment));
    }),
    all("a line break in the header", |draft, _| {
        draft.edit_header_segment(|segment| in_the_middle(&segment, "\n"));
    }),
    all("a line break in the claims set", |draft, _| {
        draft.edit_claims_segment(|segment| in_the_middle(&segment, "\r\n"));
    }),
    all("a space in the claims set", |draft, _| {
        draft.edit_claims_segment(|segment| in_the_middle(&segment, " "));
    }),
    all("a letter outside the alphabet in the claims set", |draft, _| {
        draft.edit_claims_segment(|segment| in_the_middle(&segment, "!"));
    }),
    all("a letter outside ASCII in the claims set", |draft, _| {
        draft.edit_claims_segment(|segment| in_the_middle(&segment, "\u{e9}"));
    }),
    all("a percent escape in the claims set", |draft, _| {
        draft.edit_claims_segment(|segment| segment + "%3D");
    }),
    // base64url of the signature, which nobody signs
    all("a padded signature", |draft, _| {
        draft.edit_segments(|[_, _, signature]| *signature = padded(signature.clone()));
    }),
    all("a stray bit in the signature", |draft, _| {
        draft.edit_segments(|[_, _, signature]| *signature = with_stray_bit(signature));
    }),
    all("the other base64 alphabet in the signature", |draft, _| {
        draft.sign_until(|signature| base64url(signature).contains(['-', '_']));
        draft.edit_segments(|[_, _, signature]| *signature = other_alphabet(signature));
    }),
    all("a line break in the signature", |draft, _| {
        draft.edit_segments(|[_, _, signature]| *signature = in_the_middle(signature, "\n"));
    }),
    all("a line break after the signature", |draft, _| draft.edit_token(|token| token + "\n")),
    all("a space after the signature", |draft, _| draft.edit_token(|token| token + " ")),
    all("a NUL after the signature", |draft, _| draft.edit_token(|token| token + "\0")),
    all("a letter outside ASCII in the signature", |draft, _| {
        draft.edit_segments(|[_, _, signature]| *signature = in_the_middle(signature, "\u{e9}"));
    }),
    all("a single letter too many in the signature", |draft, _| {
        draft.edit_token(|token| token + "A");
    }),
    // Segments
    all("a space before the token", |draft, _| draft.edit_token(|token| format!(" {token}"))),
    all("a scheme before the token", |draft, _| {
        draft.edit_token(|token| format!("Bearer {token}"));
    }),
    all("quotes around the token", |draft, _| draft.edit_token(|token| format!("\"{token}\""))),
    all("a point after the token", |draft, _| draft.edit_token(|token| token + ".")),
    all("a point before the token", |draft, _| draft.edit_token(|token| format!(".{token}"))),
    all("a fourth segment", |draft, _| draft.edit_token(|token| token + ".e30")),
    all("five segments", |draft, _| draft.edit_token(|token| token + ".e30.e30")),
    all("two points in a row", |draft, _| {
        draft.edit_token(|token| token.replacen('.', "..", 1));
    }),
    all("a token without its signature", |draft, _| {
        draft.edit_segments(|[_, _, signature]| signature.clear());
    }),
    all("a token without its third segment", |draft, _| {
        draft.edit_token(|token| {
            token.rsplit_once('.').map_or_else(String::new, |(input, _)| input.to_owned())
        });
    }),
    all("a token without its claims set", |draft, _| {
        draft.edit_segments(|[_, claims, _]| claims.clear());
    }),
    all("a token without its header", |draft, _| {
        draft.edit_segments(|[header, _, _]| header.clear());
    }),
    all("points alone", |draft, _| draft.edit_token(|_| "..".to_owned())),
    all("an empty token", |draft, _| draft.edit_token(|_| String::new())),
    all("a token of one word", |draft, _| draft.edit_token(|_| "undefined".to_owned())),
    all("header and claims set exchanged", |draft, _| {
        draft.edit_segments(|[header, claims, _]| std::mem::swap(header, claims));
    }),
    all("a token twice", |draft, _| draft.edit_token(|token| format!("{token}.{token}"))),
    all("a token twice with a comma", |draft, _| {
        draft.edit_token(|token| format!("{token},{token}"));
    }),
    all("a token in full-width points", |draft, _| {
        draft.edit_token(|token| token.replace('.', "\u{ff0e}"));
    }),
    all("the flattened JSON serialisation", |draft, _| {
        draft.edit_token(|token| {
            let mut segments = token.split('.');
            let mut next = || segments.next().unwrap_or_default().to_owned();
            let (protected, payload, signature) = (next(), next(), next());
            json!({"protected": protected, "payload": payload, "signature": signature}).to_string()
        });
    }),
    all("the general JSON serialisation", |draft, _| {
        draft.edit_token(|token| {
            let mut segments = token.split('.');
            let mut next = || segments.next().unwrap_or_default().to_owned();
            let (protected, payload, signature) = (next(), next(), next());
            let signatures = json!([{"protected": protected, "signature": signature}]);
            json!({"payload": payload, "signatures": signatures}).to_string()
        });
    }),
];

#[derive(Clone, Copy)]
enum Part {
    Header,
    Claims,
}

/// Adds spaces to a text until so many octets are over when it is cut into threes: what is over
/// needs padding, and leaves bits that stand for nothing.
fn of_length(draft: &mut Draft<'_>, part: Part, over: usize) {
    let spaced = move |mut text: Vec<u8>| {
        while text.len() % 3 != over {
            text.push(b' ');
        }
        text
    };
    match part {
        Part::Header => draft.edit_header(spaced),
        Part::Claims => draft.edit_claims(spaced),
    }
}

fn padded(mut segment: String) -> String {
    while !segment.len().is_multiple_of(4) {
        segment.push('=');
    }
    segment
}

fn other_alphabet(segment: &str) -> String {
    segment.replace('-', "+").replace('_', "/")
}

/// Writes into the middle of a text.
fn in_the_middle(segment: &str, what: &str) -> String {
    let middle = segment.len() / 2;
    segment.split_at_checked(middle).map_or_else(
        || format!("{segment}{what}"),
        |(first, second)| format!("{first}{what}{second}"),
    )
}
