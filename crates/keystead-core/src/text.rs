//! Presented strings, made safe to print.

use core::fmt;

/// How many bytes of a presented string are ever shown.
pub(crate) const SHOWN: usize = 256;

/// A presented string in quotes, escaped and capped at 256 bytes.
///
/// Controls (C0, C1, DEL, so no line break and no ANSI sequence), bidirectional overrides and
/// invisible formatting characters come out as `\u{...}`: a token must not be able to write into a
/// log, a terminal or a page.
#[must_use]
pub fn quoted(text: &str) -> Quoted<'_> {
    Quoted(text)
}

/// See [`quoted`].
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        escape_into(self.0, f)?;
        f.write_char('"')
    }
}

/// A presented string, escaped and capped as by [`quoted`], without the quotes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(SHOWN));
    // Writing into a String cannot fail.
    let _infallible = escape_into(text, &mut out);
    out
}

/// Several presented strings in quotes, separated by commas, capped at 256 bytes in all.
#[must_use]
pub fn list<S: AsRef<str>>(texts: &[S]) -> String {
    let mut out = String::new();
    for text in texts {
        let next = quoted(text.as_ref()).to_string();
        if !out.is_empty() {
            if out.len().saturating_add(next.len()) > SHOWN {
                out.push_str(", ...");
                break;
            }
            out.push_str(", ");
        }
        out.push_str(&next);
    }
    out
}

/// A number of seconds, short: whole where it is whole, never hundreds of digits.
#[must_use]
pub fn seconds(value: f64) -> String {
    if value.abs() >= 1e15 || !value.is_finite() {
        format!("{value:e}")
    } else if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

fn escape_into(text: &str, out: &mut impl fmt::Write) -> fmt::Result {
    let mut written = 0_usize;
    for c in text.chars() {
        let plain = !(c == '"' || c == '\\' || is_unsafe_to_show(c));
        let cost = match c {
            '"' | '\\' => 2,
            c if plain => c.len_utf8(),
            _ => 10,
        };
        written = written.saturating_add(cost);
        if written > SHOWN {
            return out.write_str("...");
        }
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            c if plain => out.write_char(c)?,
            c => write!(out, "\\u{{{:x}}}", u32::from(c))?,
        }
    }
    Ok(())
}

fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        let shown = quoted("a\u{1b}[31m\r\n\u{202e}b\u{200b}\u{feff}\"\\").to_string();
        assert_eq!(shown, r#""a\u{1b}[31m\u{d}\u{a}\u{202e}b\u{200b}\u{feff}\"\\""#);
    }

    #[test]
    fn long_strings_are_capped() {
        let shown = escaped(&"k".repeat(100_000));
        assert_eq!(shown.len(), SHOWN + 3);
        assert!(escaped(&"\u{1b}".repeat(100_000)).len() <= SHOWN + 3);
    }
}
