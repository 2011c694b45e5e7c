//! Gives the same tokens and key sets to Keystead and to others, and compares what they say.
//!
//! e2e/differential.sh runs it. What is given comes from a seed: valid tokens and key sets, each
//! changed in its structure and signed again, alone and several changes together. Every
//! disagreement must be explained in disagreements.toml; [`disagreements`] says how that is kept
//! honest.

mod cases;
mod disagreements;
mod draft;
mod encoding;
mod members;
mod mutations;
mod peers;
mod ring;
mod rng;
mod setting;

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use cases::Case;
use disagreements::{QUORUM, Report, Table};
use peers::{Interpreter, JsonWebToken, JwtSimple, Keystead, Peer, Verdict};

type Failure = Box<dyn Error + Send + Sync>;

/// The names that the table may use.
const PEERS: [&str; 5] = ["jsonwebtoken", "jwt-simple", "PyJWT", "joserfc", "jose"];

/// How many failures are printed in full.
const SHOWN: usize = 20;

struct Wanted {
    seed: u64,
    /// How many cases have several mutations together.
    together: usize,
    interpreters: Vec<Interpreter>,
}

fn main() -> ExitCode {
    let wanted = match wanted(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("error: {why}");
            eprintln!(
                "usage: keystead-differential [--seed N] [--together N] [NAME=PROGRAM,ARGUMENT...]..."
            );
            return ExitCode::from(64);
        }
    };
    match run(wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, Failure> {
    let mut wanted = Wanted { seed: 0x6b65_7973, together: 3_000, interpreters: Vec::new() };
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64, Failure> {
            let text = arguments.next().ok_or("a number is missing")?;
            Ok(text.parse()?)
        };
        match &*argument {
            "--seed" => wanted.seed = number()?,
            "--together" => wanted.together = usize::try_from(number()?)?,
            peer => {
                let peer = Interpreter::parse(peer).ok_or_else(|| format!("no peer: {peer:?}"))?;
                wanted.interpreters.push(peer);
            }
        }
    }
    Ok(wanted)
}

fn run(wanted: Wanted) -> Result<bool, Failure> {
    let table = Table::parse(include_str!("../disagreements.toml"))?;
    let unknown = table.unknown(&cases::names(), &PEERS);
    if !unknown.is_empty() {
        return Err(format!("disagreements.toml names what does not exist: {unknown:?}").into());
    }
    let began = Instant::now();
    let cases = cases::cases(wanted.seed, wanted.together)?;
    println!("seed {}, {} cases made in {:.1?}", wanted.seed, cases.len(), began.elapsed());
    let (keystead, peers) = asked(wanted.interpreters, &cases)?;
    let report = table.compare(&cases, &keystead, &peers);
    print(&report, cases.len());
    Ok(report.failures.is_empty())
}

/// What Keystead says, and what the peers say, all at once.
fn asked(
    interpreters: Vec<Interpreter>,
    cases: &[Case],
) -> Result<(Vec<Verdict>, Vec<disagreements::Peer>), Failure> {
    let mut peers: Vec<Box<dyn Peer>> =
        vec![Box::new(Keystead::new()), Box::new(JsonWebToken::new()), Box::new(JwtSimple::new())];
    for interpreter in interpreters {
        peers.push(Box::new(interpreter));
    }
    let mut said = thread::scope(|scope| {
        let threads: Vec<_> = peers
            .iter_mut()
            .map(|peer| {
                let name = peer.name().to_owned();
                (name, scope.spawn(|| peers::verdicts(&mut **peer, cases)))
            })
            .collect();
        let joined = threads.into_iter().map(|(name, thread)| {
            let verdicts = thread.join().map_err(|_| format!("{name} panicked"))??;
            Ok(disagreements::Peer { name, verdicts })
        });
        joined.collect::<Result<Vec<_>, Failure>>()
    })?;
    let keystead = said.remove(0).verdicts;
    Ok((keystead, said))
}

fn print(report: &Report, cases: usize) {
    println!("keystead accepts {} of {cases}", report.accepted);
    if report.unjudged > 0 {
        println!(
            "{} of them only fewer than {QUORUM} peers have a say about, and none accepts",
            report.unjudged
        );
    }
    println!(
        "{:14}{:>9}{:>14}{:>14}{:>11}",
        "", "agreed", "accepts more", "refuses more", "abstained"
    );
    for (name, counts) in &report.counts {
        println!(
            "{name:14}{:>9}{:>14}{:>14}{:>11}",
            counts.agreed, counts.accepts_more, counts.refuses_more, counts.abstained
        );
    }
    for failure in report.failures.iter().take(SHOWN) {
        println!("FAILED: {failure}");
    }
    if report.failures.len() > SHOWN {
        println!("and {} failures more", report.failures.len() - SHOWN);
    }
    if !report.missing.is_empty() {
        println!("disagreements.toml says nothing about:");
    }
    for ((accepts, mutation, peer), said) in &report.missing {
        println!("  {accepts:?} accepts: \"{mutation}\" = {peer} ({said})");
    }
    println!("{} passed, {} failed", report.passed, report.failures.len());
}
