//! Transcripts: what a user types, and what the program answers.
//!
//! Each file of `transcripts/` is a story of commands. `KEYSTEAD_REGENERATE=1` writes the answers
//! anew; read the difference before you keep it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn verify() {
    play("verify");
}

#[test]
fn explain() {
    play("explain");
}

/// Eight mistakes are eight findings, each with line and fix.
#[test]
fn check() {
    play("check");
}

#[test]
fn keys() {
    play("keys");
}

#[test]
fn snapshot() {
    play("snapshot");
}

#[test]
fn usage() {
    play("usage");
}

/// Runs every command of a transcript, and compares the whole.
fn play(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let expected = fs::read_to_string(&path).unwrap();
    let mut played = String::new();
    let mut answering = false;
    for line in expected.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            answering = true;
            writeln!(played, "{line}\n{}", answer(command)).unwrap();
        } else if answering {
            answering = !line.starts_with("[exit");
        } else {
            writeln!(played, "{line}").unwrap();
        }
    }
    assert!(played.contains("$ keystead"), "{name} holds no command");
    if std::env::var_os("KEYSTEAD_REGENERATE").is_some() {
        fs::write(&path, &played).unwrap();
    } else {
        assert_eq!(played, expected, "{name}: see what this prints and what the file says");
    }
}

/// What a command answers, as it stands in a transcript.
fn answer(command: &str) -> String {
    let (command, stdin) = match command.split_once(" < ") {
        Some((command, file)) => (command, Stdio::from(File::open(files().join(file)).unwrap())),
        None => (command, Stdio::null()),
    };
    let words: Vec<&str> = command.split(' ').collect();
    let at = words.iter().position(|word| *word == "keystead").expect("a keystead command");
    let (variables, arguments) = words.split_at(at);
    let variables = variables.iter().map(|word| word.split_once('=').expect("NAME=VALUE"));
    let output = Command::new(env!("CARGO_BIN_EXE_keystead"))
        .args(arguments.iter().skip(1))
        .current_dir(files())
        .env_clear()
        .envs(variables)
        .stdin(stdin)
        .output()
        .unwrap();
    let mut answer = without_times(&String::from_utf8(output.stdout).unwrap());
    let stderr = String::from_utf8(output.stderr).unwrap();
    if !stderr.is_empty() {
        write!(answer, "[stderr]\n{stderr}").unwrap();
    }
    let code = output.status.code().unwrap_or_else(|| panic!("{command}: {}", output.status));
    answer + &format!("[exit {code}]")
}

/// Of when files were read, only that it is said.
fn without_times(answer: &str) -> String {
    let mut out = String::new();
    for line in answer.lines() {
        let timed = ["last_attempt", "last_success"].map(|name| format!("\"{name}\": \"2"));
        let masked = timed.iter().any(|start| line.trim_start().starts_with(start));
        match line.rsplit_once(": ").filter(|_| masked) {
            Some((name, _)) => writeln!(out, "{name}: \"TIME\",").unwrap(),
            None => writeln!(out, "{line}").unwrap(),
        }
    }
    out
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn files() -> PathBuf {
    folder().join("files")
}
