//! How often a provider is asked that answers 500: as often as the backoff says, however many
//! requests come in meanwhile.

use std::time::Duration;

use keystead_bench::tokens;
use keystead_testkit::SigningKey;
use keystead_testkit::idp::{Fault, Idp, IdpConfig, Order, RealmConfig};

use crate::figure::{Figure, Measured};
use crate::load::{Face, Load, hammer};
use crate::server::Server;
use crate::{Bench, Result, provider};

const WINDOW: Duration = Duration::from_secs(24);
const COLD_BAR: f64 = 8.0;
const WARM_BAR: f64 = 6.0;

/// How the requests come: how many at once, and how long each caller rests between two of them.
#[derive(Clone, Copy)]
struct Rate {
    name: &'static str,
    callers: usize,
    rest: Duration,
}

const SLOW: Rate = Rate { name: "slow", callers: 1, rest: Duration::from_millis(100) };
const FAST: Rate = Rate { name: "fast", callers: 4, rest: Duration::ZERO };

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let key = SigningKey::fixed_rsa(0)?;
    let realm = |name| RealmConfig::new(name).keys([key.clone()]);
    let provider = || {
        let idp = Idp::start(IdpConfig::new().realm(realm("cold")).realm(realm("warm")))?;
        idp.fault(Order::new(Fault::Status500).realm("cold"))?;
        Ok::<_, keystead_testkit::idp::IdpError>(idp)
    };
    let (slow, fast) = (provider()?, provider()?);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| attempts(bench, &slow, &key, SLOW));
        let fast = attempts(bench, &fast, &key, FAST)?;
        Ok([slow.join().map_err(|_| "a thread panicked")??, fast].concat())
    })
}

/// What a server asks two realms that answer 500: `cold` has done so since the server started, and
/// `warm` since its keys were fetched.
fn attempts(bench: &Bench, idp: &Idp, key: &SigningKey, rate: Rate) -> Result<Vec<Figure>> {
    let entry = |realm: &str, settings: &str| -> Result<String> {
        let source = format!("jwks_url: '{}'{settings}", idp.jwks_url(realm)?);
        Ok(provider::entry(realm, &idp.issuer(realm)?, &source))
    };
    // Else the warm one would not be asked at all within the window.
    let providers = [entry("cold", "")?, entry("warm", ", refresh_interval: 5s")?];
    let server = Server::start(bench, &providers)?;
    let (cold, warm) = (idp.issuer("cold")?, idp.issuer("warm")?);
    let good = [&warm, &cold].map(|issuer| Ok(tokens::usual(issuer, 0)?.sign(key)?));
    let [good_warm, good_cold]: [Result<String>; 2] = good;
    let (good_warm, good_cold) = (good_warm?, good_cold?);
    server.wait_for(&good_warm)?;
    idp.fault(Order::new(Fault::Status500).realm("warm"))?;
    let before = idp.requests("warm")?.jwks;
    let load = Load {
        address: server.public,
        face: Face::ForwardAuth,
        tokens: &[],
        connections: rate.callers,
        pause: rate.rest,
        time: WINDOW,
        cores: None,
    };
    let answers = hammer(load, |number| {
        Ok(match number % 4 {
            0 => good_warm.clone(),
            1 => good_cold.clone(),
            2 => tokens::with_made_up_kid(&warm, number as u64)?,
            _ => tokens::with_made_up_kid(&cold, number as u64)?,
        })
    })?;
    let notes = format!("{:.0} requests per second meanwhile", answers.requests / answers.seconds);
    let figure = |state: &str, attempts: u64, bar| {
        let name = format!("restraint.attempts_in_24_s.{state}_{}", rate.name);
        Figure::new(name, "", Measured::once(attempts as f64)).at_most(bar).notes(notes.as_str())
    };
    Ok(vec![
        figure("cold", idp.requests("cold")?.jwks, COLD_BAR),
        figure("warm", idp.requests("warm")?.jwks - before, WARM_BAR),
    ])
}
