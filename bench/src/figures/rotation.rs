//! How long the first token of a new key takes, from the request to its passing.

use keystead_bench::tokens::AUDIENCE;
use keystead_testkit::Token;
use keystead_testkit::idp::{Idp, IdpConfig};

use crate::figure::Figure;
use crate::rounds::interleaved;
use crate::server::Server;
use crate::{Bench, Result, provider};

const ROUNDS: usize = 15;
const BAR_MS: f64 = 50.0;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let idp = Idp::start(IdpConfig::new().realm("shop"))?;
    let entry = provider::fetched("shop", &idp.issuer("shop")?, &idp.jwks_url("shop")?);
    let server = Server::start(bench, &[entry])?;
    let mint = || idp.mint("shop", Token::new().audience(AUDIENCE));
    server.wait_for(&mint()?)?;
    let mut connection = server.connect()?;
    let rotate = || {
        idp.rotate("shop")?;
        let (status, took) = connection.ask(&mint()?)?;
        if status != 200 {
            return Err(format!("the first token of a new key was answered {status}").into());
        }
        Ok(took.as_secs_f64() * 1e3)
    };
    let [new_kid] = interleaved(ROUNDS, [Box::new(rotate)])?;
    Ok(vec![Figure::new("rotation.new_kid_ms", "ms", new_kid.measured()).at_most(BAR_MS)])
}
