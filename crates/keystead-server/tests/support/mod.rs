//! The real program over real sockets: started, asked, read and ended.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// How long anything here is waited for before the test is given up. No test asserts a time.
const GIVE_UP: Duration = Duration::from_secs(60);

/// A provider whose key stands in the configuration, one whose keys cannot be had, and one that
/// asks for a scope.
pub(crate) const PROVIDERS: &str = r#"
  local:
    issuer: https://idp.test.example
    audiences: [keystead-tests]
    keys: '{"kty":"OKP","crv":"Ed25519","kid":"test-1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
  dark:
    issuer: https://dark.test.example
    audiences: [keystead-tests]
    jwks_url: http://127.0.0.1:9/certs
  scoped:
    issuer: https://scoped.test.example
    audiences: [keystead-tests]
    scopes: [write]
    keys: '{"kty":"OKP","crv":"Ed25519","kid":"test-1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
"#;

/// A token of `data/tokens.json`.
pub(crate) fn token(name: &str) -> String {
    let tokens: Value = serde_json::from_str(include_str!("../data/tokens.json")).unwrap();
    tokens[name].as_str().unwrap_or_else(|| panic!("no token {name}")).to_owned()
}

/// `Authorization: Bearer` with a token of `data/tokens.json`.
pub(crate) fn bearer(name: &str) -> (String, String) {
    ("Authorization".into(), format!("Bearer {}", token(name)))
}

/// A running `keystead serve`. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    log: Arc<Log>,
    pub(crate) folder: TempDir,
    /// Where the public listener is.
    pub(crate) public: SocketAddr,
    /// Where the admin listener is: `address` of its line.
    pub(crate) admin: String,
}

#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
    /// Held by whoever does not want the next line to be read.
    reading: Mutex<()>,
}

impl Server {
    /// Starts it with [`PROVIDERS`] and these settings beside them.
    pub(crate) fn start(settings: &str) -> Self {
        Self::with_config(&format!("{settings}\nproviders:{PROVIDERS}"))
    }

    /// Starts it with this configuration. It listens at ports of the system's choice, unless the
    /// configuration says where.
    pub(crate) fn with_config(config: &str) -> Self {
        let mut server = Self::with_log(config);
        let at = |listener: &str| server.address(listener);
        let (public, admin) = (at("public").parse().unwrap(), at("admin"));
        (server.public, server.admin) = (public, admin);
        server
    }

    /// The same, for a configuration with which it does not say where it listens.
    pub(crate) fn with_log(config: &str) -> Self {
        let (child, log, folder) = spawn(config);
        Self { child, log, folder, public: ([127, 0, 0, 1], 0).into(), admin: String::new() }
    }

    /// Where a listener says that it is, in a log of either form.
    fn address(&self, listener: &str) -> String {
        let said = format!("{listener} listener at ");
        let line = self.wait(|lines| lines.iter().find(|line| line.contains(&said)).cloned());
        let (_, address) = line.split_once(&said).unwrap();
        address.split([' ', '"']).next().unwrap().to_owned()
    }

    /// The first line of a JSON log for which this holds, waiting for it to be written.
    pub(crate) fn line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(|lines| {
            lines.iter().filter_map(|line| serde_json::from_str(line).ok()).find(&wanted)
        })
    }

    /// Waits until the log so far has what is looked for.
    pub(crate) fn wait<T>(&self, find: impl Fn(&[String]) -> Option<T>) -> T {
        let mut lines = self.log.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = find(&lines.0) {
                return found;
            }
            assert!(!lines.1, "the log ended without it:\n{}", lines.0.join("\n"));
            let waited = self.log.grown.wait_timeout(lines, GIVE_UP);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            lines = guard;
            assert!(!timeout.timed_out(), "it is not there yet:\n{}", lines.0.join("\n"));
        }
    }

    /// Reads nothing of the log until this is dropped.
    pub(crate) fn stall(&self) -> MutexGuard<'_, ()> {
        self.log.reading.lock().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the end of the process and of its log.
    pub(crate) fn ended(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let mut lines = self.log.lines.lock().unwrap();
        while !lines.1 {
            lines = self.log.grown.wait(lines).unwrap();
        }
        (status, lines.0.join("\n"))
    }

    /// GET of the public listener.
    pub(crate) fn get(&self, path: &str, headers: &[(String, String)]) -> Answer {
        request(self.public, "GET", path, headers, b"")
    }

    /// GET of the admin listener.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        request(self.admin.parse().unwrap(), "GET", path, &[], b"")
    }

    /// POST to the admin listener.
    pub(crate) fn post_admin(&self, path: &str, headers: &[(String, String)]) -> Answer {
        request(self.admin.parse().unwrap(), "POST", path, headers, b"")
    }

    /// The value of a series, as it is written in the text of Prometheus.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let page = self.admin("/metrics").body;
        let value = |line: &str| line.strip_prefix(series)?.trim().parse().ok();
        page.lines().find_map(value)
    }

    /// Whether the forward-auth endpoint lets a token of `data/tokens.json` pass.
    pub(crate) fn forward(&self, token: &str) -> Answer {
        self.get("/v1/auth/forward", &[bearer(token)])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Runs it with a configuration with which it ends by itself.
pub(crate) fn run_to_end(config: &str) -> (ExitStatus, String) {
    Server::with_log(config).ended()
}

fn spawn(config: &str) -> (Child, Arc<Log>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keystead.yaml");
    let mut text = config.replace("$FOLDER", folder.path().to_str().unwrap());
    for listener in ["listen", "admin_listen"] {
        if !text.lines().any(|line| line.starts_with(&format!("{listener}:"))) {
            text = format!("{listener}: 127.0.0.1:0\n{text}");
        }
    }
    std::fs::write(&file, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_keystead"))
        .args(["serve", "--config", file.to_str().unwrap()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Arc::new(Log::default());
    let (reader, shared) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
    std::thread::spawn(move || {
        let lines = || shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for line in reader.lines() {
            let _reading = shared.reading.lock().unwrap_or_else(PoisonError::into_inner);
            lines().0.push(line.unwrap());
            shared.grown.notify_all();
        }
        lines().1 = true;
        shared.grown.notify_all();
    });
    (child, log, folder)
}

/// An answer of HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header, which must stand there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} stands there twice");
        first
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// One request over a connection of its own.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() {
        head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    head.push_str("\r\n");
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(GIVE_UP)).unwrap();
    exchange(stream, &[head.as_bytes(), body].concat())
}

/// Sends bytes as they are, and reads one answer.
pub(crate) fn exchange(mut stream: impl Read + Write, bytes: &[u8]) -> Answer {
    // The server may answer and close before it has taken everything.
    let _cut_short = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _closed = stream.read_to_end(&mut answer);
    parse(&String::from_utf8(answer).unwrap())
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_owned(), value.trim().to_owned())
    };
    Answer { status, headers: lines.map(header).collect(), body: body.to_owned() }
}
