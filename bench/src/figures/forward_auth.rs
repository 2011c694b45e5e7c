//! Requests per second of the forward-auth endpoint, as a part of what a server on the same HTTP
//! library does that answers without looking.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use keystead_bench::tokens;
use keystead_testkit::SigningKey;

use crate::figure::{Figure, Measured};
use crate::load::Load;
use crate::machine::seconds_of;
use crate::rounds::{Samples, interleaved};
use crate::server::{Running, Server, on_cores};
use crate::{Bench, Result, provider};

const ROUNDS: usize = 8;
const TOKENS: usize = 1000;
const BAR: f64 = 0.19;
const ISSUER: &str = "https://files.test.example";

/// The servers have one core, and what asks them the other one.
const SERVERS: Option<&str> = Some("0");
const LOAD: Option<&str> = Some("1");

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let key = SigningKey::fixed_rsa(0)?;
    let files = provider::with_file("files", ISSUER, &key, &folder.path().join("key.json"))?;
    let server = Server::start_with(bench, "", &[files], SERVERS)?;
    let tokens = (0..TOKENS).map(|number| Ok(tokens::usual(ISSUER, number)?.sign(&key)?));
    let tokens = tokens.collect::<Result<Vec<_>>>()?;
    server.wait_for(tokens.first().ok_or("no token")?)?;
    let mut hello = on_cores(&Bench::program("hello")?, SERVERS);
    let mut hello = Running::start(hello.stdout(Stdio::piped()))?;
    let hello_at = hello.first_line()?.parse()?;
    let mut ours = Asked::new(server.id());
    let mut theirs = Asked::new(hello.id());
    // One token is enough for who does not read it, and lets wrk be faster than the server.
    let [of_ours, of_theirs] = interleaved(
        ROUNDS,
        [
            Box::new(|| ours.round(server.public, &tokens)),
            Box::new(|| theirs.round(hello_at, tokens.get(..1).unwrap_or_default())),
        ],
    )?;
    let per_second = |samples: &Samples| 1e6 / samples.measured().p25;
    let notes = format!(
        "RS256, {TOKENS} tokens, one core: {:.0} requests per second beside {:.0}; {:.1} us of \
         processor time each beside {:.1} us",
        per_second(&of_ours),
        per_second(&of_theirs),
        ours.processor_micros(),
        theirs.processor_micros()
    );
    let ratio = Measured::ratio(&of_theirs, &of_ours);
    Ok(vec![Figure::new("forward_auth.of_hello", "x", ratio).at_least(BAR).notes(notes)])
}

/// A server, and what it took to answer so far.
struct Asked {
    process: u32,
    seconds: f64,
    requests: f64,
}

impl Asked {
    const fn new(process: u32) -> Self {
        Self { process, seconds: 0.0, requests: 0.0 }
    }

    /// How many microseconds a request takes, on average over a round.
    fn round(&mut self, address: SocketAddr, tokens: &[String]) -> Result<f64> {
        let load = Load {
            address,
            tokens,
            connections: 32,
            pause: Duration::ZERO,
            time: Duration::from_secs(3),
            cores: LOAD,
        };
        let before = seconds_of(self.process)?;
        let answers = load.run()?;
        if answers.refused > 0.0 {
            return Err(format!("good tokens were refused: {answers:?}").into());
        }
        self.seconds += seconds_of(self.process)? - before;
        self.requests += answers.requests;
        Ok(answers.seconds / answers.requests * 1e6)
    }

    fn processor_micros(&self) -> f64 {
        self.seconds / self.requests * 1e6
    }
}
