//! Standard output and standard error: data on the one, prose on the other.
//!
//! A reader that went away ends the output quietly, and never changes the verdict.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use super::Failure;

/// Where a verb writes.
#[derive(Debug)]
pub(crate) struct Console {
    stdout: Style,
    stderr: Style,
    /// Whoever read standard output went away.
    gone: bool,
}

/// What may be written to a stream beside plain text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colour: bool,
    symbols: bool,
}

/// The colour of a word.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Bad,
    Faint,
    Good,
    Plain,
}

impl Console {
    /// Colour and symbols only on a terminal, and only if it wants them.
    pub(crate) fn new() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let wants_colour =
            variable("NO_COLOR").is_none() && variable("TERM").is_none_or(|term| term != "dumb");
        // The first of these that is set decides (POSIX, section 8.2).
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
        let locale = locale.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let style = |is_terminal| Style {
            colour: is_terminal && wants_colour,
            symbols: is_terminal && utf8,
        };
        Self {
            stdout: style(io::stdout().is_terminal()),
            stderr: style(io::stderr().is_terminal()),
            gone: false,
        }
    }

    /// The style of standard output.
    pub(crate) const fn style(&self) -> Style {
        self.stdout
    }

    /// The style of standard error.
    pub(crate) const fn prose_style(&self) -> Style {
        self.stderr
    }

    /// Writes data.
    pub(crate) fn data(&mut self, data: impl AsRef<[u8]>) -> Result<(), Failure> {
        if self.gone {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(data.as_ref()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            Err(error) => {
                Err(Failure::System(format!("standard output cannot be written: {error}")))
            }
        }
    }

    /// Whether nobody reads the data any more.
    pub(crate) const fn is_unread(&self) -> bool {
        self.gone
    }

    /// Writes a line of prose.
    #[allow(clippy::unused_self, reason = "whoever writes has a console")]
    pub(crate) fn prose(&self, text: impl Display) {
        // There is no other place to say that this one is gone.
        let _unread = writeln!(io::stderr().lock(), "{text}");
    }

    /// Writes why something did not work.
    pub(crate) fn error(&self, text: impl Display) {
        self.prose(format_args!("{} {text}", self.stderr.paint(Tone::Bad, "error:")));
    }
}

impl Style {
    /// A text in a colour, if colours are wanted.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Plain => return text.to_owned(),
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Whether colours are wanted.
    pub(crate) const fn is_coloured(self) -> bool {
        self.colour
    }

    /// The symbol on a terminal that shows it, else the word.
    pub(crate) const fn mark(self, symbol: &'static str, word: &'static str) -> &'static str {
        if self.symbols { symbol } else { word }
    }
}
