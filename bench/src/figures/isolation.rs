//! What a provider that accepts connections and never answers costs the tokens of another one.

use std::time::Duration;

use keystead_bench::tokens;
use keystead_testkit::SigningKey;
use keystead_testkit::idp::{Idp, IdpConfig, RealmConfig};

use crate::figure::{Figure, Measured};
use crate::load::{Answers, Face, Load};
use crate::neighbours::{Kind, Neighbours};
use crate::rounds::interleaved;
use crate::server::Server;
use crate::{Bench, Result, provider};

const ROUNDS: usize = 8;
const BAR: f64 = 1.5;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let key = SigningKey::fixed_rsa(0)?;
    let realm = |name: &str| RealmConfig::new(name).keys([key.clone()]);
    let idp = Idp::start(IdpConfig::new().realm(realm("healthy")).realm(realm("neighbour")))?;
    let entry = |realm: &str| -> Result<String> {
        Ok(provider::fetched(realm, &idp.issuer(realm)?, &idp.jwks_url(realm)?))
    };
    let neighbours = Neighbours::new()?;
    let silent = neighbours.issuer(Kind::Blackholed, 0);
    let blackholed = provider::fetched("neighbour", &idp.issuer("neighbour")?, &silent);
    let beside_healthy = Server::start(bench, &[entry("healthy")?, entry("neighbour")?])?;
    let beside_blackholed = Server::start(bench, &[entry("healthy")?, blackholed])?;
    let tokens = |realm: &str| -> Result<Vec<String>> {
        let issuer = idp.issuer(realm)?;
        (0..100).map(|number| Ok(tokens::usual(&issuer, number)?.sign(&key)?)).collect()
    };
    let (healthy, neighbour) = (tokens("healthy")?, tokens("neighbour")?);
    for server in [&beside_healthy, &beside_blackholed] {
        server.wait_for(healthy.first().ok_or("no token")?)?;
    }
    let round = |server| {
        let (healthy, neighbour) = (&healthy, &neighbour);
        move || slow_answer(server, healthy, neighbour)
    };
    let [good, bad] = interleaved(
        ROUNDS,
        [Box::new(round(&beside_healthy)), Box::new(round(&beside_blackholed))],
    )?;
    let ms = |name, samples: &crate::rounds::Samples| Figure::new(name, "ms", samples.measured());
    Ok(vec![
        ms("isolation.p99_ms.beside_healthy", &good),
        ms("isolation.p99_ms.beside_blackholed", &bad),
        Figure::new("isolation.p99_ratio", "x", Measured::ratio(&bad, &good)).at_most(BAR),
    ])
}

/// The 99th percentile of the healthy provider's answers, while the neighbour is asked about too. The
/// load is the same whatever the answers: connections rest between two requests.
fn slow_answer(server: &Server, healthy: &[String], neighbour: &[String]) -> Result<f64> {
    let load = |tokens, connections| Load {
        address: server.public,
        face: Face::ForwardAuth,
        tokens,
        connections,
        pause: Duration::from_millis(10),
        time: Duration::from_secs(3),
        cores: None,
    };
    let (answers, _) = std::thread::scope(|scope| -> Result<(Answers, Answers)> {
        let beside = scope.spawn(move || load(neighbour, 8).run());
        let answers = load(healthy, 16).run();
        Ok((answers?, beside.join().map_err(|_| "a thread panicked")??))
    })?;
    if answers.refused > 0.0 {
        return Err(format!("tokens of the healthy provider were refused: {answers:?}").into());
    }
    Ok(answers.p99)
}
