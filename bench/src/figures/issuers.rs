//! What it costs that other issuers are configured too.

use keystead::Verifier;
use keystead::core::{Algorithm, Requirements};
use keystead_bench::library::{self, ISSUER};
use keystead_bench::tokens;
use keystead_testkit::SigningKey;

use crate::calls::each;
use crate::figure::{Figure, Measured};
use crate::machine::on_last_core;
use crate::rounds::interleaved;
use crate::{Bench, Result};

const ROUNDS: usize = 25;
const TOKENS: usize = 1000;
const BAR: f64 = 1.1;

pub(crate) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    let rsa = among_others(&SigningKey::fixed_rsa(0)?, "rs256")?;
    // The cheapest signature there is, so that a slow look-up cannot hide.
    let hmac = among_others(&library::shared_secret()?, "hs256")?;
    Ok([rsa, hmac].concat())
}

fn among_others(key: &SigningKey, name: &str) -> Result<Vec<Figure>> {
    let tokens = tokens::many(ISSUER, key, TOKENS)?;
    let [one, hundred, ten_thousand] = [1, 100, 10_000].map(|issuers| among(key, issuers));
    let (one, hundred, ten_thousand) = (one?, hundred?, ten_thousand?);
    let (now, requirements) = (library::now()?, Requirements::default());
    let verify = |verifier: &Verifier, token: &str| {
        Ok(verifier.verify_at(token, now, &requirements).map_err(|refused| refused.to_string())?)
    };
    let [one, hundred, ten_thousand] = on_last_core(|| {
        interleaved(
            ROUNDS,
            [
                each(&tokens, |token| verify(&one, token)),
                each(&tokens, |token| verify(&hundred, token)),
                each(&tokens, |token| verify(&ten_thousand, token)),
            ],
        )
    })?;
    let notes = |samples: &crate::rounds::Samples| {
        let (many, alone) = (samples.measured().p25, one.measured().p25);
        format!("{many:.2} us beside {alone:.2} us with one issuer")
    };
    let figure = |issuers: &str, samples| {
        let ratio = Measured::ratio(samples, &one);
        let name = format!("issuers.{name}_{issuers}_ratio");
        Figure::new(name, "x", ratio).at_most(BAR).notes(notes(samples))
    };
    Ok(vec![figure("100", &hundred), figure("10k", &ten_thousand)])
}

/// A verifier of this many providers, of which the one in the middle is asked.
fn among(key: &SigningKey, issuers: usize) -> Result<Verifier> {
    let other = SigningKey::generate(Algorithm::EdDsa)?;
    let provider = |number| {
        if number == issuers / 2 {
            return library::provider("bench", ISSUER, key);
        }
        let issuer = format!("https://idp-{number}.test.example");
        library::provider(&format!("other-{number}"), &issuer, &other)
    };
    let providers: Result<Vec<_>> = (0..issuers).map(provider).collect();
    Ok(library::verifier(providers?, 0))
}
