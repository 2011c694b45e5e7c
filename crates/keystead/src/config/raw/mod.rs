//! A configuration as it is written: a tree of texts, lists and maps, each with its origin.
//!
//! Scalars are never guessed at: an audience `00123`, `no` or `1_0` keeps its text.

mod toml;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Origin, Wrong};
use super::settings::Shape;

/// A value as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) kind: Kind,
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Nothing was written, or `null`.
    Null,
    /// A scalar, in its own words.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in file order; a name may appear twice.
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) value: Node,
}

/// Why a text is not a configuration file at all.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// Line and column, from 1.
    pub(crate) at: (u32, u32),
    /// What is wrong, without a word of the text.
    pub(crate) problem: String,
}

/// Reads a file's text, in the format that its extension names: TOML, or else YAML, of which JSON
/// is a part. An empty text is [`Kind::Null`]. TOML reports several mistakes at once.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Node, Vec<Unreadable>> {
    let shared: Arc<Path> = PathBuf::from(path).into();
    let origin = |line, column| Origin::File { path: Arc::clone(&shared), line, column };
    let is_toml = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_toml { toml::parse(text, &origin) } else { yaml::parse(text, &origin) }
}

impl Node {
    /// The value of a variable or flag: text, or what `shape` makes of it.
    pub(crate) fn from_text(text: &str, shape: Shape, origin: Origin) -> Result<Self, Wrong> {
        let trimmed = text.trim();
        let json = match shape {
            Shape::Texts | Shape::Urls | Shape::Keys => trimmed.starts_with('['),
            Shape::Claims | Shape::Secrets => !trimmed.is_empty(),
            Shape::Text | Shape::Url => false,
        };
        if json {
            let node = yaml::parse(trimmed, &|_, _| origin.clone())
                .map_err(|_| Wrong::new("it is not JSON").hint(shape.text_hint()))?;
            return Ok(node);
        }
        let kind = match shape {
            // Key text in the wrong place stays whole, to be recognised as what it is.
            Shape::Texts | Shape::Urls if text.contains(',') && !trimmed.starts_with('{') => {
                let item = |item: &str| Self {
                    origin: origin.clone(),
                    kind: Kind::Text(item.trim().to_owned()),
                };
                Kind::List(text.split(',').map(item).collect())
            }
            _ => Kind::Text(text.to_owned()),
        };
        Ok(Self { origin, kind })
    }

    /// Whether nothing stands there: no value, only white space, or a list of such.
    pub(crate) fn is_blank(&self) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::Text(text) => text.trim().is_empty(),
            Kind::List(items) => !items.is_empty() && items.iter().all(Self::is_blank),
            Kind::Map(_) => false,
        }
    }

    /// The value's kind in words.
    pub(crate) const fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The value as a list: of its elements, or of itself.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Null => &[],
            Kind::Text(_) | Kind::Map(_) => std::slice::from_ref(self),
        }
    }

    /// The value as JSON text, every scalar a string.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match &self.kind {
            Kind::Null => out.push_str("null"),
            Kind::Text(text) => write_json_string(text, out),
            Kind::List(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    out.push_str(if n == 0 { "" } else { "," });
                    item.write_json(out);
                }
                out.push(']');
            }
            Kind::Map(entries) => {
                out.push('{');
                for (n, entry) in entries.iter().enumerate() {
                    out.push_str(if n == 0 { "" } else { "," });
                    write_json_string(&entry.name, out);
                    out.push(':');
                    entry.value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_json_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn shape(node: &Node) -> String {
        match &node.kind {
            Kind::Null => "-".to_owned(),
            Kind::Text(text) => format!("{text:?}"),
            Kind::List(items) => {
                format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(" "))
            }
            Kind::Map(entries) => {
                let entry = |e: &Entry| format!("{}={}", e.name, shape(&e.value));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn read(file: &str, text: &str) -> String {
        parse(Path::new(file), text).map_or_else(|e| format!("{e:?}"), |node| shape(&node))
    }

    #[test]
    fn scalars_keep_their_text() {
        let yaml = "a: [00123, no, 1_0, 0x1F, 2024-01-01, 1.50, .inf, -0, yes, 1e3, 0o17, +5]\n\
                    b: !!str 007\nc: 12345678901234567890123456789012345678901234567890\nd: ~\n";
        assert_eq!(
            read("x.yaml", yaml),
            "{a=[\"00123\" \"no\" \"1_0\" \"0x1F\" \"2024-01-01\" \"1.50\" \".inf\" \"-0\" \"yes\" \
             \"1e3\" \"0o17\" \"+5\"] b=\"007\" \
             c=\"12345678901234567890123456789012345678901234567890\" d=-}"
        );
        let toml = "a = [1_0, 0x1F, 2024-01-01, 1.50, true, 'x', \"y\\u0041\"]\n[b.c]\nd = 1\n";
        assert_eq!(
            read("x.TOML", toml),
            "{a=[\"1_0\" \"0x1F\" \"2024-01-01\" \"1.50\" \"true\" \"x\" \"yA\"] b={c={d=\"1\"}}}"
        );
        let json = "{\"a\":\t[1.0, 00, true, null, \"\\/\\u00e9\\ud83d\\ude00\"]}";
        assert_eq!(read("x.json", json), "{a=[\"1.0\" \"00\" \"true\" - \"/\u{e9}\u{1f600}\"]}");
    }

    #[test]
    fn anchors_and_merges_keep_the_text_and_show_the_place_of_use() {
        let yaml = "a: &a {x: 007, y: no}\nb:\n  <<: *a\n  y: 1\nc: *a\nd: é\ne: &n 0010\nf: *n\n";
        assert_eq!(
            read("x.yaml", yaml),
            "{a={x=\"007\" y=\"no\"} b={y=\"1\" x=\"007\"} c={x=\"007\" y=\"no\"} d=\"é\" \
             e=\"0010\" f=\"0010\"}"
        );
        let node = parse(Path::new("x.yaml"), yaml).unwrap();
        let Kind::Map(entries) = &node.kind else { panic!("{node:?}") };
        assert_eq!(entries[5].value.origin.to_string(), "x.yaml:8:4");
        assert_eq!(entries[5].origin.to_string(), "x.yaml:8:1");
    }

    #[test]
    fn duplicates_stay_visible() {
        assert_eq!(read("x.yaml", "a: 1\na: 2\n"), "{a=\"1\" a=\"2\"}");
        assert_eq!(read("x.json", "{\"a\":1,\"a\":2}"), "{a=\"1\" a=\"2\"}");
        let problems = parse(Path::new("x.toml"), "a = 1\nb = 1\na = 2\nb = 3\n").unwrap_err();
        let lines: Vec<_> = problems.iter().map(|p| p.at).collect();
        assert_eq!(lines, [(3, 1), (4, 1)]);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(read("x.yaml", ""), "-");
        assert_eq!(read("x.yaml", "\u{feff}# nothing\n"), "-");
        assert_eq!(read("x.toml", ""), "{}");
    }

    #[test]
    fn bombs_and_depth_are_bounded() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let uses = vec![format!("*a{}", n - 1); 9].join(",");
            writeln!(bomb, "a{n}: &a{n} [{uses}]").unwrap();
        }
        let problems = parse(Path::new("x.yaml"), &bomb).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].problem.contains("too large"), "{problems:?}");
        let large = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(10_000), "*a,".repeat(9_000));
        assert!(parse(Path::new("x.yaml"), &large).is_err());
        for deep in ["[".repeat(50_000), "{a: ".repeat(50_000), "- ".repeat(50_000)] {
            assert!(parse(Path::new("x.yaml"), &deep).is_err());
        }
        assert!(parse(Path::new("x.toml"), &format!("a = {}", "[".repeat(50_000))).is_err());
    }

    #[test]
    fn many_uses_of_one_anchor_are_no_bomb() {
        let mut text = "a: &a {x: 1}\n".to_owned();
        for n in 0..300 {
            writeln!(text, "p{n}: *a").unwrap();
        }
        let node = parse(Path::new("x.yaml"), &text).unwrap();
        let Kind::Map(entries) = &node.kind else { panic!("{node:?}") };
        assert_eq!(entries.len(), 301);
    }
}
