//! The real program, started as users start it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::request::Connection;
use crate::{Bench, Result};

/// How long anything here is waited for.
const GIVE_UP: Duration = Duration::from_secs(20);

/// A running `keystead serve`. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Running,
    /// When its process was started.
    pub(crate) since: Instant,
    pub(crate) public: SocketAddr,
    admin: SocketAddr,
    _folder: TempDir,
}

/// How many tokens a server remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cache {
    /// As many as it does where nothing is written.
    Default,
    /// None.
    Off,
}

/// A process that ends with this.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Server {
    /// Starts it with these providers, each an entry of YAML.
    pub(crate) fn start(bench: &Bench, providers: &[String]) -> Result<Self> {
        Self::start_with(bench, "", providers, None)
    }

    /// Starts it with these settings beside the providers, and on these cores only.
    pub(crate) fn start_with(
        bench: &Bench,
        settings: &str,
        providers: &[String],
        cores: Option<&str>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("keystead.yaml");
        let listen = "listen: 127.0.0.1:0\nadmin_listen: 127.0.0.1:0\nlog: { format: json }";
        std::fs::write(&file, format!("{listen}\n{settings}\nproviders:\n{}", providers.concat()))?;
        let mut command = on_cores(&bench.keystead, cores);
        command.args(["serve", "--config"]).arg(&file).stderr(Stdio::piped());
        let since = Instant::now();
        let mut child = Running::start(&mut command)?;
        let log = child.0.stderr.take().ok_or("no log to read")?;
        let (sender, addresses) = mpsc::channel();
        std::thread::spawn(move || read_log(BufReader::new(log), &sender));
        let (public, admin) = (address(&addresses)?, address(&addresses)?);
        Ok(Self { child, since, public, admin, _folder: folder })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self) -> Result<Connection> {
        Connection::open(self.public)
    }

    /// Asks until this token passes.
    pub(crate) fn wait_for(&self, token: &str) -> Result<()> {
        let mut connection = self.connect()?;
        until("a token to pass", || Ok(connection.ask(token)?.0 == 200))
    }

    /// Waits until the first attempt to fetch keys of this provider has failed.
    pub(crate) fn wait_for_failure(&self, provider: &str) -> Result<()> {
        let mut connection = Connection::open(self.admin)?;
        until("a provider's first attempt to fail", || {
            let status: Value = serde_json::from_str(&connection.get("/status.json", None)?.body)?;
            let error = status.pointer(&format!("/providers/{provider}/sources/0/last_error"));
            Ok(error.is_some_and(|error| !error.is_null()))
        })
    }
}

impl Cache {
    /// As settings beside the providers.
    pub(crate) const fn settings(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Off => "limits: { cached_tokens: 0 }",
        }
    }
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let command = command.stdin(Stdio::null()).env_clear();
        Ok(Self(command.spawn().map_err(|error| format!("{command:?}: {error}"))?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its first line on stdout, which it must be asked to write to a pipe.
    pub(crate) fn first_line(&mut self) -> Result<String> {
        let output = self.0.stdout.take().ok_or("no output to read")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A command that runs on these cores only.
pub(crate) fn on_cores(program: &Path, cores: Option<&str>) -> Command {
    let Some(cores) = cores else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", cores]).arg(program);
    command
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let give_up = Instant::now() + GIVE_UP;
    while !holds()? {
        if Instant::now() > give_up {
            return Err(format!("waited {} s for {what}", GIVE_UP.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Reads the log to its end, since nobody else does, and hands on where the server listens: first
/// the public listener, then the other one.
fn read_log(log: impl BufRead, addresses: &Sender<String>) {
    for line in log.lines().map_while(std::io::Result::ok) {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        let told = |name: &str| event.get(name).and_then(Value::as_str);
        if let (Some("listening"), Some(address)) = (told("event"), told("address")) {
            // Whoever waited for it may have given up.
            let _nobody = addresses.send(address.to_owned());
        }
    }
}

fn address(addresses: &Receiver<String>) -> Result<SocketAddr> {
    let address = addresses.recv_timeout(GIVE_UP);
    Ok(address.map_err(|_| "the server did not say where it listens")?.parse()?)
}
