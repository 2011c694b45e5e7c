//! The program as a process: streams, exit codes, and what a transcript cannot show.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const AT: [&str; 3] = ["--offline", "--at", "2027-01-15T08:00:00Z"];

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn keystead(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command.args(arguments).current_dir(tests().join("transcripts/files")).env_clear();
    command
}

fn run(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = keystead(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not want all of its input is no failure here.
    let _unread = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A refusal, as JSON.
fn refusal_of(token: &[u8]) -> serde_json::Value {
    let output = run(&[&["verify", "--format", "json"], &AT[..]].concat(), token);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    assert!(output.stderr.is_empty());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn any_bytes_are_judged_as_a_token() {
    assert_eq!(refusal_of(b"\xff.\xfe.\x00")["code"], "token.base64");
    assert_eq!(refusal_of(b"\n")["code"], "token.empty");
    let large = refusal_of(&vec![b'a'; 3 * 1024 * 1024]);
    assert_eq!(large["code"], "token.too_large");
    assert_eq!(large["error"], "invalid_request");
}

#[test]
fn one_line_break_of_any_kind_ends_a_token() {
    let token = std::fs::read(tests().join("transcripts/files/good.jwt")).unwrap();
    let token = token.trim_ascii_end();
    for end in ["", "\n", "\r\n"] {
        let output = run(&[&["verify"], &AT[..]].concat(), &[token, end.as_bytes()].concat());
        assert_eq!(code(&output), 0, "{end:?}: {}", text(&output.stderr));
    }
}

/// The signature and the whole token are never shown; what they look like from outside is.
#[test]
fn an_explanation_shows_no_signature() {
    let token = std::fs::read(tests().join("transcripts/files/good.jwt")).unwrap();
    let signature = text(&token).trim_end().rsplit('.').next().unwrap();
    for format in ["text", "json"] {
        let output = run(&[&["explain", "--format", format], &AT[..]].concat(), &token);
        assert_eq!(code(&output), 0);
        let shown = [output.stdout, output.stderr].concat();
        assert!(text(&shown).contains("1f8b9d28"), "{format}: the fingerprint is missing");
        assert!(!text(&shown).contains(signature), "{format}: the signature is shown");
    }
}

#[test]
fn nothing_in_a_token_steers_the_terminal() {
    // {"alg":"ES256","kid":"<ESC>[31m"} with the escape as \u001b, and {"iss":"<CSI>31m","x":"<RLO>"}.
    let token = "eyJhbGciOiJFUzI1NiIsImtpZCI6Ilx1MDAxYlszMW0ifQ.\
                 eyJpc3MiOiLCmzMxbSIsIngiOiLigK4ifQ.AA";
    for format in ["text", "json"] {
        let output = run(&[&["explain", "--format", format], &AT[..]].concat(), token.as_bytes());
        assert_eq!(code(&output), 1);
        let shown = text(&output.stdout);
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!shown.contains(steers), "{format}: {shown:?}");
        assert!(shown.contains("31m"), "{format}");
    }
}

/// T4, with a place that refuses connections.
#[test]
fn an_explanation_says_what_each_source_could_not_tell() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let token = std::fs::read(tests().join("transcripts/files/other-kid.jwt")).unwrap();
    let issuer = format!("providers.tunnel.discovery_url=http://127.0.0.1:{port}/");
    let asked = ["explain", "--at", AT[2], "--set", &issuer];
    let output = run(&asked, &token);
    assert_eq!(code(&output), 69, "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("source file tunnel.jwk.json: ready, 1 key, kid \"K\" not found"));
    let discovery = format!("source discovery http://127.0.0.1:{port}/: cold, no key, connect: ");
    assert!(shown.contains(&discovery), "{shown}");
    let late = run(&["verify", "--at", "2027-02-01T00:00:00Z", "--set", &issuer], &token);
    assert_eq!(code(&late), 1, "no key could save an expired token");
    assert!(text(&late.stderr).contains("code: token.expired"));
}

/// A key that is there already is not kept waiting by a place that does not answer.
#[test]
fn a_verdict_does_not_wait_for_what_cannot_change_it() {
    // Accepts connections in its backlog, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let token = std::fs::read(tests().join("transcripts/files/local.jwt")).unwrap();
    let discovery = format!("providers.local.discovery_url={url}");
    // Were it waited for, this would take a minute and a half.
    let slow = ["--set", "defaults.timeout=45s"];
    let asked = [&["verify", "--at", AT[2], "--set", &discovery], &slow[..]].concat();
    let output = run(&asked, &token);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("from file local.pem"));
}

#[test]
fn a_reader_that_went_away_changes_no_verdict_and_makes_no_noise() {
    for (argument, expected) in [("good.jwt", 0), ("forged.jwt", 1), ("other-kid.jwt", 69)] {
        let at = format!("@{argument}");
        let arguments = [&["explain", &at], &AT[..]].concat();
        let mut child =
            keystead(&arguments).stdout(unread()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{argument}");
        assert_eq!(stderr, "", "{argument}");
    }
    let vectors = tests().join("vectors/attacks.jsonl");
    let mut child = keystead(&["conformance"]).arg(&vectors).stdout(unread()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "not every case ran");
    let help = keystead(&["--help"]).stdout(unread()).status().unwrap();
    assert_eq!(help.code(), Some(0));
}

/// The end of a pipe that nobody reads.
fn unread() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

#[test]
fn conformance_says_of_every_case_what_came_of_it() {
    let vectors = tests().join("vectors/multi_issuer.jsonl");
    let output = keystead(&["conformance"]).arg(&vectors).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 24);
    let first = &lines[0];
    assert_eq!(first["id"], "d-multi-collide-good-a-ab");
    assert_eq!((&first["decision"], &first["class"]), (&"accept".into(), &"ok".into()));
    assert!(first["code"].is_null() && first["micros"].is_u64());
    let refused = lines.iter().find(|line| line["decision"] == "reject").unwrap();
    assert!(refused["code"].as_str().unwrap().contains('.'), "{refused}");
    let summary = text(&output.stderr);
    assert!(summary.contains("must     22 cases: 22 matched"), "{summary}");
    assert!(summary.contains("slowest "), "{summary}");
}

#[test]
fn conformance_names_the_line_that_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.jsonl");
    let good = std::fs::read_to_string(tests().join("vectors/idp_shapes.jsonl")).unwrap();
    let good = good.lines().next().unwrap();
    std::fs::write(&path, format!("{good}\n\n{{\"id\":\"x\"}}\n{{\n{good}\n")).unwrap();
    let output = keystead(&["conformance"]).arg(&path).output().unwrap();
    assert_eq!(code(&output), 1);
    assert_eq!(text(&output.stdout).lines().count(), 2, "the other cases ran");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("broken.jsonl:3: the member input is missing"), "{stderr}");
    assert!(stderr.contains("broken.jsonl:4: the line is not JSON"), "{stderr}");
    let nowhere = keystead(&["conformance", "nowhere.jsonl"]).output().unwrap();
    assert_eq!(code(&nowhere), 1);
    assert!(text(&nowhere.stderr).contains("error: nowhere.jsonl: the file cannot be read"));
}

/// Answers one request with `answer`, and returns what was asked.
fn answer_once(mut stream: impl Read + Write, answer: &str) -> String {
    let mut asked = Vec::new();
    let mut byte = [0];
    while !asked.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        asked.push(byte[0]);
    }
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(asked).unwrap()
}

#[test]
fn health_asks_the_admin_listener_and_answers_with_its_exit_code() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = |answer: &'static str| {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || answer_once(listener.accept().unwrap().0, answer))
    };
    // Where a server listens for everybody, it is asked at loopback.
    let admin = format!("admin_listen=0.0.0.0:{port}");

    let asked = serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let live = run(&["health", "--set", &admin], b"");
    assert_eq!(code(&live), 0, "{}", text(&live.stderr));
    assert!(asked.join().unwrap().starts_with("GET /livez HTTP/1.1\r\nHost: "));

    let asked = serve("HTTP/1.1 503 Service Unavailable\r\n\r\nno provider can verify\n");
    let ready = run(&["health", "--ready", "--set", &admin], b"");
    assert_eq!(code(&ready), 1);
    assert!(text(&ready.stderr).contains("/readyz: 503 no provider can verify"));
    assert!(asked.join().unwrap().starts_with("GET /readyz "));

    let asked = serve("SSH-2.0-OpenSSH\r\n");
    let address = format!("127.0.0.1:{port}");
    let stranger = run(&["health", "--address", &address], b"");
    assert_eq!(code(&stranger), 1);
    assert!(text(&stranger.stderr).contains("is not HTTP"), "{}", text(&stranger.stderr));
    asked.join().unwrap();

    // A port that this test had would be taken by others meanwhile; nobody takes this one.
    assert_eq!(code(&run(&["health", "--address", "127.0.0.1:1"], b"")), 1, "nobody is there");
}

#[test]
fn health_asks_a_unix_socket_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let answer = "HTTP/1.1 200 OK\r\n\r\n";
    let asked = std::thread::spawn(move || answer_once(listener.accept().unwrap().0, answer));
    let admin = format!("admin_listen=unix:{}", path.display());
    assert_eq!(code(&run(&["health", "--set", &admin], b"")), 0);
    assert!(asked.join().unwrap().starts_with("GET /livez "));
    assert_eq!(code(&run(&["health", "--set", &admin], b"")), 1, "nobody is there any more");
}

#[test]
fn there_are_completions_for_every_shell_and_a_page_for_every_verb() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&["completions", shell], b"");
        assert_eq!(code(&output), 0);
        assert!(text(&output.stdout).contains("conformance"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("pages");
    assert_eq!(code(&run(&["man", pages.to_str().unwrap()], b"")), 0);
    let verbs = ["serve", "verify", "explain", "check", "keys", "health", "conformance", "man"];
    for verb in verbs {
        let page = std::fs::read_to_string(pages.join(format!("keystead-{verb}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{verb}");
    }
    let main = run(&["man"], b"");
    assert!(text(&main.stdout).contains(".TH keystead 1"));
}

#[test]
fn the_configuration_is_found_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.yaml");
    std::fs::write(&path, "providers: {here: {issuer: x, keys_file: y, audiences: any}}").unwrap();
    let named = keystead(&["keys", "--offline"]).env("KEYSTEAD_CONFIG", &path).output().unwrap();
    assert!(text(&named.stdout).starts_with("here: cold"), "{}", text(&named.stdout));
    // A blank name is none, and the folder's own file is read.
    let blank = keystead(&["keys", "--offline"]).env("KEYSTEAD_CONFIG", "").output().unwrap();
    assert!(text(&blank.stdout).starts_with("keycloak: ready"));
    let mut variables = keystead(&["keys", "--offline"]);
    variables
        .current_dir(folder.path())
        .env("KEYSTEAD_PROVIDERS__IN_ENV__ISSUER", "x")
        .env("KEYSTEAD_PROVIDERS__IN_ENV__KEYS_FILE", "y")
        .env("KEYSTEAD_PROVIDERS__IN_ENV__AUDIENCES", "any");
    assert!(text(&variables.output().unwrap().stdout).starts_with("in_env: cold"));
}
