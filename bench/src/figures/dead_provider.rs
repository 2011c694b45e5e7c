//! How long a token waits for the answer that nobody can judge it, once the first attempt to fetch
//! its provider's keys is over.

use std::time::Duration;

use keystead_bench::tokens;
use keystead_testkit::SigningKey;

use crate::figure::Figure;
use crate::neighbours::{Kind, Neighbours};
use crate::rounds::{interleaved, percentile};
use crate::server::Server;
use crate::{Bench, Result, provider};

const ROUNDS: usize = 15;
const REQUESTS_PER_ROUND: usize = 100;
const BAR_MS: f64 = 5.0;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let neighbours = Neighbours::new()?;
    let kinds = [Kind::Dead, Kind::Blackholed];
    let providers =
        kinds.map(|kind| provider::discovered(kind.word(), &neighbours.issuer(kind, 0)));
    let server = Server::start(bench, &providers)?;
    let ask = |kind: Kind| -> Result<_> {
        let token = tokens::usual(&neighbours.issuer(kind, 0), 0)?;
        let token = token.sign(&SigningKey::fixed_rsa(0)?)?;
        let server = &server;
        Ok(Box::new(move || slow_answer(server, &token)) as Box<dyn FnMut() -> Result<f64>>)
    };
    for kind in kinds {
        server.wait_for_failure(kind.word())?;
    }
    let [dead, blackholed] = interleaved(ROUNDS, [ask(Kind::Dead)?, ask(Kind::Blackholed)?])?;
    let figure = |kind: Kind, samples: &crate::rounds::Samples| {
        let name = format!("dead_provider.answer_p99_ms.{}", kind.word());
        Figure::new(name, "ms", samples.measured()).at_most(BAR_MS)
    };
    Ok(vec![figure(Kind::Dead, &dead), figure(Kind::Blackholed, &blackholed)])
}

/// The 99th percentile of a round.
fn slow_answer(server: &Server, token: &str) -> Result<f64> {
    // The rounds are spread, so that they meet later attempts under way and between two of them.
    std::thread::sleep(Duration::from_millis(300));
    let mut connection = server.connect()?;
    let mut times = Vec::new();
    for _ in 0..REQUESTS_PER_ROUND {
        let (status, took) = connection.ask(token)?;
        if status != 503 {
            return Err(format!("a token that nobody can judge was answered {status}").into());
        }
        times.push(took.as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(percentile(&times, 0.99))
}
