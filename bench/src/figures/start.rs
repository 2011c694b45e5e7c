//! From the start of the process to the first token that passes, beside providers that do not
//! answer: no provider is a gate in front of another.

use std::path::Path;
use std::slice::from_ref;

use keystead_bench::tokens;
use keystead_testkit::SigningKey;
use keystead_testkit::idp::{Idp, IdpConfig, RealmConfig};

use crate::figure::Figure;
use crate::neighbours::{Kind, Neighbours};
use crate::rounds::interleaved;
use crate::server::{Server, until};
use crate::{Bench, Result, provider};

const ROUNDS: usize = 12;
const BAR_MS: f64 = 50.0;

/// How many neighbours there are, and of which kind.
const BESIDE: [(usize, Kind); 5] = [
    (0, Kind::Dead),
    (1, Kind::Dead),
    (1, Kind::Blackholed),
    (20, Kind::Dead),
    (20, Kind::Blackholed),
];

/// A provider whose keys are there before the network is, and how the server comes by them.
struct Held {
    /// What its figures are called.
    group: &'static str,
    settings: String,
    entry: String,
    token: String,
}

/// Its keys are in a file.
pub(crate) fn with_key_file(bench: &Bench) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    beside_others(bench, &Held::in_file(folder.path())?)
}

/// Its keys are those of the run before.
pub(crate) fn with_snapshot(bench: &Bench) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    beside_others(bench, &Held::in_snapshot(bench, &folder.path().join("state"))?)
}

impl Held {
    fn in_file(folder: &Path) -> Result<Self> {
        let issuer = "https://files.test.example";
        let key = SigningKey::fixed_rsa(0)?;
        Ok(Self {
            group: "start",
            settings: String::new(),
            entry: provider::with_file("held", issuer, &key, &folder.join("key.json"))?,
            token: tokens::usual(issuer, 0)?.sign(&key)?,
        })
    }

    /// A server has run before, until it had written what it fetched; the provider is down since.
    fn in_snapshot(bench: &Bench, state: &Path) -> Result<Self> {
        let key = SigningKey::fixed_rsa(0)?;
        let realm = RealmConfig::new("held").keys([key.clone()]);
        let idp = Idp::start(IdpConfig::new().realm(realm))?;
        let issuer = idp.issuer("held")?;
        let held = Self {
            group: "restart",
            settings: format!("state_dir: '{}'", state.display()),
            entry: provider::fetched("held", &issuer, &idp.jwks_url("held")?),
            token: tokens::usual(&issuer, 0)?.sign(&key)?,
        };
        let _before = Server::start_with(bench, &held.settings, from_ref(&held.entry), None)?;
        until("a snapshot", || Ok(state.join("held.json").exists()))?;
        Ok(held)
    }
}

fn beside_others(bench: &Bench, held: &Held) -> Result<Vec<Figure>> {
    let neighbours = Neighbours::new()?;
    let neighbourhoods = BESIDE.map(|(count, kind)| {
        let neighbour = |number| {
            provider::discovered(&format!("neighbour{number}"), &neighbours.issuer(kind, number))
        };
        [held.entry.clone()].into_iter().chain((0..count).map(neighbour)).collect::<Vec<_>>()
    });
    let candidates = neighbourhoods.each_ref().map(|providers| {
        Box::new(|| first_pass(bench, held, providers)) as Box<dyn FnMut() -> Result<f64>>
    });
    let samples = interleaved(ROUNDS, candidates)?;
    let figures = BESIDE.iter().zip(&samples).map(|((count, kind), samples)| {
        let beside = if *count == 0 { "0".into() } else { format!("{count}_{}", kind.word()) };
        let name = format!("{}.first_200_ms.beside_{beside}", held.group);
        Figure::new(name, "ms", samples.measured()).at_most(BAR_MS)
    });
    Ok(figures.collect())
}

fn first_pass(bench: &Bench, held: &Held, providers: &[String]) -> Result<f64> {
    let server = Server::start_with(bench, &held.settings, providers, None)?;
    let mut connection = server.connect()?;
    while connection.ask(&held.token)?.0 != 200 {}
    Ok(server.since.elapsed().as_secs_f64() * 1e3)
}
