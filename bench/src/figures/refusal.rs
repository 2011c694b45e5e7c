//! What a refusal takes that needs no signature work.

use keystead::Verifier;
use keystead::core::Requirements;
use keystead_bench::library::{self, ISSUER};
use keystead_bench::tokens;
use keystead_testkit::{SigningKey, Token};

use crate::calls::each;
use crate::figure::Figure;
use crate::machine::on_last_core;
use crate::rounds::interleaved;
use crate::{Bench, Result};

const ROUNDS: usize = 25;
const TOKENS: usize = 1000;
const BAR_US: f64 = 1.5;

pub(crate) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    let key = SigningKey::fixed_rsa(0)?;
    let verifier = library::verifier([library::provider("bench", ISSUER, &key)?], 0);
    let now = library::now()?;
    let ask = |token: &String| match verifier.verify_at(token, now, &Requirements::default()) {
        Err(refused) => Ok(refused),
        Ok(_) => Err("a token passed that was to be refused".into()),
    };
    // Genuinely signed all of them, so that nothing but what is said is wrong.
    let refused_as = |code: &str, token: &dyn Fn(usize) -> Result<Token>| {
        let tokens = (0..TOKENS).map(|number| Ok(token(number)?.sign(&key)?));
        all_refused(&verifier, code, tokens.collect::<Result<_>>()?)
    };
    let unknown_kid = refused_as("key.unknown_kid", &|number| {
        Ok(tokens::usual(ISSUER, number)?.header("kid", format!("made-up-{number}")))
    })?;
    let unknown_issuer = refused_as("issuer.unknown", &|number| {
        Ok(tokens::usual(&format!("https://nobody-{number}.test.example"), number)?)
    })?;
    let expired = refused_as("token.expired", &|number| {
        Ok(tokens::usual(ISSUER, number)?.expires_at(now.saturating_sub(LONG_AGO)))
    })?;
    let samples = on_last_core(|| {
        interleaved(
            ROUNDS,
            [each(&unknown_kid, ask), each(&unknown_issuer, ask), each(&expired, ask)],
        )
    })?;
    let names = ["unknown_kid", "unknown_issuer", "expired"].into_iter();
    let figure = |(name, samples): (&str, crate::rounds::Samples)| {
        Figure::new(format!("refusal.{name}_us"), "us", samples.measured()).at_most(BAR_US)
    };
    Ok(names.zip(samples).map(figure).collect())
}

const LONG_AGO: std::time::Duration = std::time::Duration::from_secs(3600);

fn all_refused(verifier: &Verifier, code: &str, tokens: Vec<String>) -> Result<Vec<String>> {
    for token in &tokens {
        let found = verifier.verify(token).err().map(|refused| refused.code().as_str());
        if found != Some(code) {
            return Err(format!("refused as {found:?} and not as {code}").into());
        }
    }
    Ok(tokens)
}
