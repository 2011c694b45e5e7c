//! JSON as it is written for readers: members in the order of their story, one on each line, and
//! nothing in it that steers a terminal.

use std::fmt::Write;

use keystead::core::text::escaped;

/// A JSON object whose members keep their order.
#[derive(Debug, Default)]
pub(crate) struct Object(String);

impl Object {
    /// An object without members.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    pub(crate) fn text(self, name: &str, value: impl AsRef<str>) -> Self {
        self.raw(name, &string(value.as_ref()))
    }

    /// Adds a text, or `null`.
    pub(crate) fn maybe(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// Adds a number or a boolean, or `null`.
    pub(crate) fn value<T: Into<serde_json::Value>>(self, name: &str, value: Option<T>) -> Self {
        let value = value.map_or(serde_json::Value::Null, Into::into);
        self.raw(name, &value.to_string())
    }

    /// Adds what is JSON already.
    pub(crate) fn raw(mut self, name: &str, json: &str) -> Self {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&string(name));
        self.0.push(':');
        self.0.push_str(json);
        self
    }

    /// The object.
    pub(crate) fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

/// A JSON array of what is JSON already.
pub(crate) fn array(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<_> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// A text as a JSON string.
pub(crate) fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Well-formed JSON, spread over lines that end in a line break. Numbers keep their digits.
pub(crate) fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len().saturating_mul(2));
    let mut depth = 0_usize;
    let (mut in_string, mut escape) = (false, false);
    let mut chars = json.trim().chars().peekable();
    while let Some(c) = chars.next() {
        if in_string {
            push_safe(&mut out, c);
            in_string = escape || c != '"';
            escape = !escape && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if chars.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    out.extend(chars.next());
                    continue;
                }
                depth += 1;
                line_break(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line_break(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line_break(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out.push('\n');
    out
}

/// A character of a string; what may steer a terminal is written as its escape, which means the
/// same.
fn push_safe(out: &mut String, c: char) {
    if c != '\u{7f}' && (c.is_ascii() || !escaped(c.encode_utf8(&mut [0; 4])).starts_with('\\')) {
        out.push(c);
        return;
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing into a String cannot fail.
        let _infallible = write!(out, "\\u{unit:04x}");
    }
}

fn line_break(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_numbers_their_digits() {
        let inner = r#"{ "z" : 1e400, "a":[1.50,{}, [] ,"x\"}{,:[\\"] }"#;
        let object = Object::new()
            .text("b", "\"")
            .maybe("a", None::<&str>)
            .value("n", Some(7))
            .value("t", Some(true))
            .value("none", None::<u64>)
            .raw("inner", inner);
        let expected = r#"{
  "b": "\"",
  "a": null,
  "n": 7,
  "t": true,
  "none": null,
  "inner": {
    "z": 1e400,
    "a": [
      1.50,
      {},
      [],
      "x\"}{,:[\\"
    ]
  }
}
"#;
        assert_eq!(pretty(&object.finish()), expected);
        assert_eq!(pretty(&Object::new().finish()), "{}\n");
        assert_eq!(array([string("a"), Object::new().finish()]), r#"["a",{}]"#);
    }

    #[test]
    fn nothing_in_a_string_steers_a_terminal_and_everything_keeps_its_meaning() {
        let text = "a\u{9b}31m\u{7f}\u{202e}\u{e0041}\u{e4}\u{1f600}\n";
        let shown = pretty(&string(text));
        assert!(!shown.trim_end().chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown:?}");
        assert!(shown.contains("\u{e4}\u{1f600}"), "{shown:?}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
