//! What the program takes while nobody asks it anything.

use keystead_bench::tokens::AUDIENCE;
use keystead_testkit::Token;
use keystead_testkit::idp::{Idp, IdpConfig};

use crate::figure::{Figure, Measured};
use crate::machine::resident;
use crate::server::Server;
use crate::{Bench, Result, provider};

const MIB: f64 = 1024.0 * 1024.0;
const RESIDENT_BAR_MIB: f64 = 12.0;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let idp = Idp::start(IdpConfig::new().realm("shop"))?;
    let entry = provider::fetched("shop", &idp.issuer("shop")?, &idp.jwks_url("shop")?);
    let server = Server::start(bench, &[entry])?;
    server.wait_for(&idp.mint("shop", Token::new().audience(AUDIENCE))?)?;
    let resident = resident(server.id())? / MIB;
    let binary = std::fs::metadata(&bench.keystead)?.len() as f64 / MIB;
    Ok(vec![
        Figure::new("footprint.resident_mib", "MiB", Measured::once(resident))
            .at_most(RESIDENT_BAR_MIB),
        Figure::new("footprint.binary_mib", "MiB", Measured::once(binary)),
    ])
}
