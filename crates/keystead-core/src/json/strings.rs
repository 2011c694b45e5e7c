//! The strings of a JSON text: where they end, and what their escapes stand for.

use std::borrow::Cow;

use super::Escapes;

/// What stands between the quotes of a string, escapes unresolved.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) text: &'a str,
    /// Where it starts in the document.
    pub(super) start: usize,
    pub(super) escapes: Escapes,
}

impl<'a> Raw<'a> {
    /// Where its string ends: after the closing quote.
    pub(super) const fn end(self) -> usize {
        self.start + self.text.len() + 1
    }

    pub(super) fn unescaped(self) -> Cow<'a, str> {
        match self.escapes {
            Escapes::None => Cow::Borrowed(self.text),
            Escapes::Maybe => unescape(self.text),
        }
    }
}

/// The first place from `at` on that is not a string's own: a quote, a backslash, a control, the end.
///
/// Eight bytes at a time, as strings are most of a token and each byte of it is looked at.
#[inline]
pub(super) fn after_plain_bytes(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
    at + bytes.get(at..).unwrap_or_default().iter().take_while(is_plain).count()
}

/// The high bit of each byte that ends a run of plain ones; right up to the lowest that is set.
///
/// Subtracting from all bytes at once borrows from the next higher one, but only out of a byte that
/// is itself special.
fn special_bytes(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let quote = word ^ (EACH * u64::from(b'"'));
    let backslash = word ^ (EACH * u64::from(b'\\'));
    let zero_in = |xored: u64| xored.wrapping_sub(EACH) & !xored;
    (zero_in(quote) | zero_in(backslash) | (word.wrapping_sub(EACH * 0x20) & !word)) & HIGH
}

/// Resolves the escapes of a string that has been checked.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    // Nothing but an escape can end a run in here.
    if after_plain_bytes(raw.as_bytes(), 0) == raw.len() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (c, len) = code_point(chars.as_str());
                out.push(c);
                rest = chars.as_str().get(len..).unwrap_or_default();
                continue;
            }
            Some(c) => out.push(c),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character after a `\u`, and how many bytes its digits (and second half) take.
fn code_point(text: &str) -> (char, usize) {
    let unit = |from: usize| {
        text.get(from..from.saturating_add(4)).and_then(|d| u32::from_str_radix(d, 16).ok())
    };
    let high = unit(0).unwrap_or(0xfffd);
    if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) = (high, unit(6)) {
        let c = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte at every place of a word, beside neighbours that could borrow or be borrowed from.
    #[test]
    fn what_ends_a_plain_run_is_found_eight_bytes_at_a_time_and_one_by_one() {
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let others = [0, 1, 0x1f, 0x20, b'"' - 1, b'"', b'"' + 1, b'\\', 0x7f, 0x80, 0x9f, 0xff];
        let places = (2..19).flat_map(|length| (1..length).map(move |at| (length, at)));
        for (length, at) in places {
            for (byte, other) in (0..=255).flat_map(|byte| others.map(|other| (byte, other))) {
                for pair in [[byte, other], [other, byte]] {
                    let mut bytes = vec![b'x'; length];
                    bytes[at - 1..=at].copy_from_slice(&pair);
                    let first = bytes.iter().position(ends).unwrap_or(length);
                    assert_eq!(after_plain_bytes(&bytes, 0), first, "{bytes:?}");
                }
            }
        }
    }
}
