//! The fenced blocks of a document.

use std::fmt;

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    document: String,
    /// The number of its first line in the document.
    first_line: usize,
    text: String,
}

/// How a block is tried. The info string behind the fence says which.
#[derive(Debug)]
pub(crate) enum Kind {
    /// `console`: a transcript. Lines that begin with `$ ` are typed, and the lines below are what is
    /// answered; see [`crate::transcript`].
    Console,
    /// `sh make`: targets of the Makefile.
    Make,
    /// `rust`: a doc test of the library.
    Rust,
    /// `text`: nothing that could be tried.
    Text,
    /// `yaml`: a configuration without a mistake. With a name behind it, the transcripts below
    /// have it as that file.
    Yaml { file: Option<String> },
}

/// The blocks of a document, in order.
pub(crate) fn of(document: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = text.lines().zip(1..);
    while let Some((line, number)) = rest.next() {
        let Some(info) = line.strip_prefix("```") else {
            let hidden = line.trim_start().starts_with("```") || line.starts_with("~~~");
            assert!(!hidden, "{document}:{number}: a fence is three backticks, not indented");
            continue;
        };
        let inside: Vec<_> = rest.by_ref().take_while(|(line, _)| *line != "```").collect();
        let kind = Kind::of(info);
        let kind = kind.unwrap_or_else(|| panic!("{document}:{number}: nobody tries {info:?}"));
        let lines: Vec<_> = inside.into_iter().map(|(line, _)| line).collect();
        let text = lines.join("\n") + "\n";
        blocks.push(Block { kind, document: document.to_owned(), first_line: number + 1, text });
    }
    blocks
}

impl Block {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// Where it begins.
    pub(crate) fn place(&self) -> impl fmt::Display {
        self.place_of(0)
    }

    /// Where one of its lines is, counted from 0.
    pub(crate) fn place_of(&self, line: usize) -> impl fmt::Display {
        format!("{}:{}", self.document, self.first_line + line)
    }
}

impl Kind {
    fn of(info: &str) -> Option<Self> {
        match info.split_once(' ') {
            None => match info {
                "console" => Some(Self::Console),
                "rust" => Some(Self::Rust),
                "text" => Some(Self::Text),
                "yaml" => Some(Self::Yaml { file: None }),
                _ => None,
            },
            Some(("sh", "make")) => Some(Self::Make),
            Some(("yaml", file)) => Some(Self::Yaml { file: Some(file.to_owned()) }),
            Some(_) => None,
        }
    }
}

#[test]
fn a_block_that_nobody_tries_is_found() {
    let kinds = |text: &str| of("x.md", text).len();
    assert_eq!(kinds("a\n```text\n```\nb\n```yaml a.yaml\nx: 1\n```\n"), 2);
    for untried in ["```\nx\n```", "```json\n{}\n```", "```console x\n```", "- a\n  ```text\n  ```"]
    {
        let found = std::panic::catch_unwind(|| kinds(untried));
        assert!(found.is_err(), "{untried}");
    }
}
