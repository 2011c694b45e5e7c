//! Many requests at once: from wrk where it is installed, else from threads of this program.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::Result;
use crate::machine::first_line;
use crate::request::{Connection, FORWARD_AUTH, VERIFY};
use crate::rounds::percentile;
use crate::server::on_cores;

/// How a token is presented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Face {
    /// In the header of a GET, as it comes to a proxy.
    ForwardAuth,
    /// In the body of a POST, as a service does it.
    Verify,
}

/// What is asked, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    /// Threads of this program know one of them only.
    pub(crate) face: Face,
    /// Sent in turn.
    pub(crate) tokens: &'a [String],
    pub(crate) connections: usize,
    /// How long each connection rests between two requests.
    pub(crate) pause: Duration,
    pub(crate) time: Duration,
    /// Where wrk runs.
    pub(crate) cores: Option<&'static str>,
}

/// What came back.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Answers {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    /// In milliseconds.
    pub(crate) p99: f64,
    /// How many had another status than 2xx and 3xx.
    pub(crate) refused: f64,
    /// How many connections broke.
    pub(crate) broken: f64,
}

impl Face {
    const fn path(self) -> &'static str {
        match self {
            Self::ForwardAuth => FORWARD_AUTH,
            Self::Verify => VERIFY,
        }
    }
}

impl Load<'_> {
    pub(crate) fn run(self) -> Result<Answers> {
        let answers = if wrk().is_some() { self.with_wrk()? } else { self.with_threads()? };
        if answers.broken > 0.0 || answers.requests < 1.0 {
            return Err(format!("the load did not get through: {answers:?}").into());
        }
        Ok(answers)
    }

    fn with_wrk(self) -> Result<Answers> {
        let folder = tempfile::tempdir()?;
        let (script, tokens) = (folder.path().join("load.lua"), folder.path().join("tokens"));
        std::fs::write(&tokens, self.tokens.join("\n"))?;
        std::fs::write(&script, self.script(&tokens))?;
        let mut command = on_cores(Path::new("wrk"), self.cores);
        command.args(["--threads", "1", "--connections", &self.connections.to_string()]);
        command.args(["--duration", &format!("{}s", self.time.as_secs()), "--script"]).arg(&script);
        let output =
            command.arg(format!("http://{}{}", self.address, self.face.path())).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found = text.lines().find(|line| line.starts_with('{'));
        Ok(serde_json::from_str(found.ok_or_else(|| format!("wrk said {text:?}"))?)?)
    }

    fn script(self, tokens: &Path) -> String {
        let script = include_str!("load.lua")
            .replace("TOKENS", &format!("\"{}\"", tokens.display()))
            .replace("IN_BODY", if self.face == Face::Verify { "true" } else { "false" });
        if self.pause.is_zero() {
            return script;
        }
        format!("{script}\nfunction delay() return {} end\n", self.pause.as_millis())
    }

    fn with_threads(self) -> Result<Answers> {
        let token = |number: usize| self.tokens.get(number % self.tokens.len()).cloned();
        hammer(self, |number| Ok(token(number).unwrap_or_default()))
    }
}

/// Asks from threads of this program, each with a connection of its own, with tokens that are made
/// for it.
pub(crate) fn hammer(
    load: Load<'_>,
    token: impl Fn(usize) -> Result<String> + Sync,
) -> Result<Answers> {
    let since = Instant::now();
    let worker = |first: usize| -> Result<Vec<(u16, f64)>> {
        let mut connection = Connection::open(load.address)?;
        let mut answers = Vec::new();
        for number in (first..).step_by(load.connections) {
            if since.elapsed() >= load.time {
                break;
            }
            let (status, took) = connection.ask(&token(number)?)?;
            answers.push((status, took.as_secs_f64() * 1e3));
            std::thread::sleep(load.pause);
        }
        Ok(answers)
    };
    let answers: Result<Vec<_>> = std::thread::scope(|scope| {
        let worker = &worker;
        let start = |first| scope.spawn(move || worker(first));
        let workers: Vec<_> = (0..load.connections).map(start).collect();
        workers.into_iter().map(|w| w.join().map_err(|_| "a thread panicked")?).collect()
    });
    let answers = answers?.concat();
    let mut times: Vec<f64> = answers.iter().map(|(_, took)| *took).collect();
    times.sort_by(f64::total_cmp);
    Ok(Answers {
        requests: answers.len() as f64,
        seconds: since.elapsed().as_secs_f64(),
        p99: percentile(&times, 0.99),
        refused: answers.iter().filter(|(status, _)| *status >= 400).count() as f64,
        broken: 0.0,
    })
}

/// What the load comes from.
pub(crate) fn generator() -> String {
    wrk().map_or_else(
        || "threads of the bench itself".to_owned(),
        |version| format!("wrk {version}"),
    )
}

/// The version of wrk, if it is installed.
pub(crate) fn wrk() -> Option<&'static str> {
    static WRK: OnceLock<Option<String>> = OnceLock::new();
    let version = || {
        let line = first_line(Command::new("wrk").arg("--version")).ok()?;
        Some(line.split_whitespace().nth(1)?.trim_start_matches("debian/").to_owned())
    };
    WRK.get_or_init(version).as_deref()
}
