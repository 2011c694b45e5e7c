//! Where a token comes from: standard input or a file, never an argument, which other processes
//! on the machine can read and a shell keeps in its history.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};

use keystead::core::text::escaped;

use super::Failure;
use super::console::Console;

/// What is said to whoever writes a token as an argument. It is never echoed.
pub(crate) const AS_ARGUMENT: &str = "a token is never an argument, where other processes and \
     the history of the shell would have it: pass it on standard input, or as @FILE";

/// Longer than any limit on tokens can be set, so that the refusal says that it is too large.
const MAX_READ: u64 = 1024 * 1024 + 1;

/// Whether an argument is, or holds, what looks like a token.
pub(crate) fn is_in(argument: &str) -> bool {
    let words = argument.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    // A JOSE header begins with `{"` or `{ `. Signed tokens have two dots, encrypted ones four.
    words.into_iter().any(|word| {
        let begins = word.starts_with("eyJ") || word.starts_with("eyA");
        begins && word.len() > 20 && matches!(word.matches('.').count(), 2 | 4)
    })
}

/// Where a token is.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    StandardInput,
    File(&'a str),
}

impl<'a> Place<'a> {
    /// The place that an argument names: `@FILE`, or `-` or nothing for standard input.
    pub(crate) fn named(argument: Option<&'a str>) -> Result<Self, Failure> {
        match argument {
            None | Some("-") => Ok(Self::StandardInput),
            Some(argument) => {
                let path = argument.strip_prefix('@');
                path.map(Self::File).ok_or_else(|| Failure::usage(AS_ARGUMENT))
            }
        }
    }

    /// Reads the token there.
    pub(crate) fn read(&self, console: &Console) -> Result<String, Failure> {
        let (name, read) = match self {
            Self::StandardInput => ("standard input", read_stdin(console)),
            Self::File(path) => (*path, File::open(path).and_then(read_to_end)),
        };
        let bytes = read.map_err(|error| {
            Failure::usage(format!("the token cannot be read from {}: {error}", escaped(name)))
        })?;
        // What is not UTF-8 is no token, whatever stands in its place.
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn read_stdin(console: &Console) -> io::Result<Vec<u8>> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return read_to_end(stdin.lock());
    }
    console.prose("paste the token and press Enter; give one of more than 4,095 bytes as @FILE");
    let mut bytes = Vec::new();
    stdin.lock().take(MAX_READ).read_until(b'\n', &mut bytes)?;
    Ok(bytes)
}

fn read_to_end(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_READ).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_recognised_wherever_they_stand_in_an_argument() {
        let token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJhIn0.";
        for argument in [token, &format!("--token={token}"), &format!("Bearer {token}")] {
            assert!(is_in(argument), "{argument}");
        }
        for argument in [
            "@token.txt",
            "-",
            "--issuer=https://eyecare.example.org.uk/realms/main",
            "eyJ",
            "providers.eyJ.issuer=https://idp.example",
        ] {
            assert!(!is_in(argument), "{argument}");
        }
    }
}
