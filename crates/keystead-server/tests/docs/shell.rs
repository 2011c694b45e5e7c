//! A shell in which a document is tried.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tempfile::TempDir;

use crate::block::Block;
use crate::ports::Ports;
use crate::transcript::{self, Step};

/// After so much silence a command that has not ended never will.
const SILENCE: Duration = Duration::from_secs(60);

/// Stands before the exit code at the end of an answer, and in nobody's output.
const END: char = '\u{1}';

/// Reads commands and runs each of them in one shell, without a standard input of its own.
const LOOP: &str = r#"
exec 2>&1
status=0
while IFS= read -r -d '' command; do
    (exit "$status")
    eval "$command" </dev/null
    status=$?
    printf '\001%s\n' "$status"
done
"#;

/// One shell, in a folder of its own and with the program under test on its path.
#[derive(Debug)]
pub(crate) struct Shell {
    process: Child,
    commands: ChildStdin,
    output: Receiver<String>,
    folder: TempDir,
    ports: Ports,
}

impl Shell {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports::reserve();
        let bin = folder.path().join("bin");
        let home = folder.path().join("home");
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&home).unwrap();
        fs::write(bin.join("keystead"), program(&ports)).unwrap();
        fs::set_permissions(bin.join("keystead"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut process = Command::new("bash")
            .args(["-c", LOOP])
            .env_clear()
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("KEYSTEAD_LISTEN", format!("127.0.0.1:{}", ports.free(8080)))
            .env("KEYSTEAD_ADMIN_LISTEN", format!("127.0.0.1:{}", ports.free(8081)))
            .current_dir(&home)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let (lines, output) = sync_channel(1024);
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                if lines.send(text).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Self { process, commands, output, folder, ports }
    }

    /// Types the commands of a transcript, and compares what they answer.
    pub(crate) fn play(&mut self, block: &Block) {
        for step in transcript::steps(block) {
            let (answer, _code) = self.answer(&step);
            if !transcript::matches(&step.answer, &answer) {
                let mut told = answer.join("\n");
                self.append_logs(&mut told);
                panic!(
                    "{}: {}\n--- the document has\n{}\n--- the answer is\n{told}\n",
                    block.place_of(step.line),
                    step.command,
                    step.answer.join("\n"),
                );
            }
        }
    }

    /// Checks a configuration as its reader would, and keeps it if it has a name.
    pub(crate) fn configure(&mut self, block: &Block, file: Option<&str>) {
        let name = file.unwrap_or("unnamed.yaml");
        let path = self.folder.path().join("home").join(name);
        fs::write(&path, self.ports.to_free(block.text())).unwrap();
        let command = format!("keystead check {name}");
        let step = Step { line: 0, command, answer: Vec::new() };
        let (answer, code) = self.answer(&step);
        assert_eq!(code, "0", "{}: {}", block.place(), answer.join("\n"));
        if file.is_none() {
            fs::remove_file(&path).unwrap();
        }
    }

    /// What a command answers, and its exit code. To one in the background is listened until it has
    /// said what is written.
    fn answer(&mut self, step: &Step<'_>) -> (Vec<String>, String) {
        let command = self.ports.to_free(&step.command);
        self.commands.write_all(command.as_bytes()).unwrap();
        self.commands.write_all(b"\0").unwrap();
        let in_background = step.command.ends_with('&');
        let open_end = step.answer.last().is_some_and(|line| line.trim() == "...");
        assert!(!(in_background && open_end), "{}: nobody knows when it has ended", step.command);
        let (mut answer, mut code) = (Vec::new(), String::new());
        while code.is_empty() || in_background && !transcript::matches(&step.answer, &answer) {
            let Ok(line) = self.output.recv_timeout(SILENCE) else {
                answer.push("(and nothing more for a long time)".to_owned());
                break;
            };
            let line = self.ports.to_written(&line);
            let (text, end) = line.split_once(END).unwrap_or((&line, ""));
            if end.is_empty() || !text.is_empty() {
                answer.push(text.to_owned());
            }
            code.push_str(end);
        }
        (answer, code)
    }

    /// What the programs in the background had to say, for whoever looks for a mistake.
    fn append_logs(&self, told: &mut String) {
        for file in fs::read_dir(self.folder.path().join("home")).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let log = fs::read_to_string(&path).unwrap_or_default();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                write!(told, "\n--- {name}\n{}", self.ports.to_written(&log)).unwrap();
            }
        }
    }
}

/// Everything that was started is in the process group of the shell, and ends with it.
impl Drop for Shell {
    fn drop(&mut self) {
        let kill = format!("kill -KILL -- -{}", self.process.id());
        let _already_gone = Command::new("bash").args(["-c", &kill]).output();
        let _waited = self.process.wait();
    }
}

/// The program, with other defaults for the ports of `keystead idp`: there are no variables for
/// them. What is typed wins.
fn program(ports: &Ports) -> String {
    let keystead = env!("CARGO_BIN_EXE_keystead");
    let (listen, control) = (ports.free(8090), ports.free(8099));
    format!(
        r#"#!/usr/bin/env bash
ports=()
if [[ ${{1-}} == idp ]]; then
    [[ " $* " == *" --control "* ]] || ports+=(--control 127.0.0.1:{control})
    case ${{2-}} in
        mint | rotate | withdraw | down | up | state) set -- "$1" "$2" "${{ports[@]}}" "${{@:3}}" ;;
        *)
            [[ " $* " == *" --listen "* ]] || ports+=(--listen 127.0.0.1:{listen})
            set -- "$@" "${{ports[@]}}"
            ;;
    esac
fi
exec "{keystead}" "$@"
"#
    )
}
