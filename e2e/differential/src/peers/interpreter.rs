//! Peers in other languages: one process each, which reads cases as lines of JSON and answers with
//! lines of JSON.

use std::error::Error;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use ::keystead::core::Algorithm;
use serde::Deserialize;
use serde_json::json;

use super::{Peer, Verdict};
use crate::cases::Case;
use crate::setting;

/// A peer that a program of another language stands for.
#[derive(Debug)]
pub(crate) struct Interpreter {
    name: String,
    command: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    accepted: bool,
    #[serde(default)]
    why: String,
}

impl Interpreter {
    /// From `NAME=PROGRAM,ARGUMENT...`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, command) = text.split_once('=')?;
        let command = command.split(',').map(ToOwned::to_owned).collect();
        Some(Self { name: name.to_owned(), command })
    }

    fn spawn(&self) -> Result<Child, Box<dyn Error + Send + Sync>> {
        let (program, arguments) = self.command.split_first().ok_or("no program")?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        child.map_err(|error| format!("{}: {program}: {error}", self.name).into())
    }
}

impl Peer for Interpreter {
    fn name(&self) -> &str {
        &self.name
    }

    fn knows(&self, _: Algorithm) -> bool {
        true
    }

    fn judge(&mut self, cases: &[&Case]) -> Result<Vec<Verdict>, Box<dyn Error + Send + Sync>> {
        let mut child = self.spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (stdin, stdout) = stdin.zip(stdout).ok_or("no pipes")?;
        // Written beside the reading: neither side has to hold what the other one has not taken yet.
        let verdicts = thread::scope(|scope| {
            let writer = scope.spawn(|| write(stdin, cases));
            let verdicts: Result<Vec<_>, Box<dyn Error + Send + Sync>> =
                BufReader::new(stdout).lines().map(|line| verdict(&line?)).collect();
            // A peer that ends early breaks the pipe; that it did is said below.
            let _written = writer.join();
            verdicts
        });
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("{} ended with {status}", self.name).into());
        }
        verdicts
    }
}

fn write(stdin: ChildStdin, cases: &[&Case]) -> std::io::Result<()> {
    let mut lines = BufWriter::new(stdin);
    writeln!(lines, "{}", setting::as_json())?;
    for case in cases {
        let case = json!({"key_set": case.made.key_set, "token": case.made.token});
        writeln!(lines, "{case}")?;
    }
    lines.flush()
}

fn verdict(line: &str) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
    let answer: Answer = serde_json::from_str(line)?;
    Ok(if answer.accepted { Verdict::Accepted } else { Verdict::Refused(answer.why) })
}
