//! What the program takes: while nobody asks it anything, and when it remembers many tokens.

use keystead_bench::tokens;
use keystead_testkit::SigningKey;
use keystead_testkit::idp::{Idp, IdpConfig, RealmConfig};

use crate::figure::{Figure, Measured};
use crate::machine::resident;
use crate::server::Server;
use crate::{Bench, Result, provider};

const MIB: f64 = 1024.0 * 1024.0;
const IDLE_BAR_MIB: f64 = 12.0;
const CACHED_BAR_MIB: f64 = 30.0;
/// As many as it remembers where nothing else is configured.
const TOKENS: usize = 10_000;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let key = SigningKey::fixed_rsa(0)?;
    let shop = RealmConfig::new("shop").keys([key.clone()]);
    let idp = Idp::start(IdpConfig::new().realm(shop))?;
    let issuer = idp.issuer("shop")?;
    let server =
        Server::start(bench, &[provider::fetched("shop", &issuer, &idp.jwks_url("shop")?)])?;
    server.wait_for(&tokens::usual(&issuer, TOKENS)?.sign(&key)?)?;
    let idle = resident(server.id())? / MIB;
    let mut connection = server.connect()?;
    for token in tokens::many(&issuer, &key, TOKENS)? {
        let (status, _) = connection.ask(&token)?;
        if status != 200 {
            return Err(format!("a good token was answered with {status}").into());
        }
    }
    let cached = resident(server.id())? / MIB;
    let binary = std::fs::metadata(&bench.keystead)?.len() as f64 / MIB;
    let mib = |name: &str, value| Figure::new(name, "MiB", Measured::once(value));
    Ok(vec![
        mib("footprint.resident_mib", idle).at_most(IDLE_BAR_MIB),
        mib("footprint.resident_10k_cached_mib", cached)
            .at_most(CACHED_BAR_MIB)
            .notes(format!("{TOKENS} tokens with RSA signatures, each asked about once")),
        mib("footprint.binary_mib", binary).notes("stripped, without the feature idp"),
    ])
}
