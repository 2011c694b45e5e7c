//! A server under as much load as it takes: what a request costs it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use crate::figure::{Figure, Measured};
use crate::load::{Face, Load};
use crate::machine::seconds_of;
use crate::rounds::Samples;
use crate::server::{Running, on_cores};
use crate::{Bench, Result, load};

/// The servers have one core, and what asks them the other one.
pub(crate) const CORE: Option<&str> = Some("0");
const LOAD: Option<&str> = Some("1");
const ROUND: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 32;

/// A server that is asked in rounds, and what it took to answer so far.
#[derive(Debug)]
pub(crate) struct Served<'t> {
    process: u32,
    address: SocketAddr,
    face: Face,
    tokens: &'t [String],
    took: Took,
}

/// What all rounds took together.
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    requests: f64,
    /// Of processor time.
    busy: f64,
    /// On the wall.
    seconds: f64,
}

/// What one of them takes for a request.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Microseconds that go by, round by round.
    samples: Samples,
    took: Took,
}

impl<'t> Served<'t> {
    pub(crate) fn new(process: u32, address: SocketAddr, face: Face, tokens: &'t [String]) -> Self {
        Self { process, address, face, tokens, took: Took::default() }
    }

    /// How many microseconds go by for a request, on average over a round.
    pub(crate) fn round(&mut self) -> Result<f64> {
        let (address, face, tokens) = (self.address, self.face, self.tokens);
        let (connections, pause, time, cores) = (CONNECTIONS, Duration::ZERO, ROUND, LOAD);
        let before = seconds_of(self.process)?;
        let answers = Load { address, face, tokens, connections, pause, time, cores }.run()?;
        if answers.refused > 0.0 {
            return Err(format!("good tokens were refused: {answers:?}").into());
        }
        self.took.busy += seconds_of(self.process)? - before;
        self.took.requests += answers.requests;
        self.took.seconds += answers.seconds;
        Ok(answers.seconds / answers.requests * 1e6)
    }

    pub(crate) const fn cost(&self, samples: Samples) -> Cost {
        Cost { samples, took: self.took }
    }
}

impl Cost {
    /// How many requests this one answers while the other one answers one.
    pub(crate) fn times(&self, name: impl Into<String>, other: &Self) -> Figure {
        let notes = format!("{} beside {}", self.words(), other.words());
        Figure::new(name, "x", Measured::ratio(&other.samples, &self.samples)).notes(notes)
    }

    fn words(&self) -> String {
        let Took { requests, busy, seconds } = self.took;
        format!(
            "{:.0} requests per second ({:.1} us of processor time each, {:.0} % of its core)",
            1e6 / self.samples.measured().p25,
            busy / requests * 1e6,
            busy / seconds * 100.0
        )
    }
}

/// The least that an HTTP server can do. Where it listens comes with it.
pub(crate) fn hello() -> Result<(Running, SocketAddr)> {
    let mut hello = on_cores(&Bench::program("hello")?, CORE);
    let mut hello = Running::start(hello.stdout(Stdio::piped()))?;
    let address = hello.first_line()?.parse()?;
    Ok((hello, address))
}

/// Threads of this program would take the core of the server.
pub(crate) fn needs_wrk() -> Result<()> {
    load::wrk().map(drop).ok_or_else(|| "wrk is not installed".into())
}
