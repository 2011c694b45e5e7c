//! What the library takes besides the signature check.

use std::hint::black_box;

use aws_lc_rs::hmac;
use keystead::core::{Requirements, TokenLimits, UnverifiedToken};
use keystead_bench::library::{self, BorrowedClaims, Claims, ISSUER, SECRET};
use keystead_bench::tokens;
use keystead_testkit::SigningKey;

use crate::calls::each;
use crate::figure::{Figure, Measured};
use crate::machine::on_last_core;
use crate::pipeline::Pipeline;
use crate::rounds::{Samples, interleaved};
use crate::{Bench, Result, primitive};

const ROUNDS: usize = 25;
const TOKENS: usize = 1000;
/// As many verified tokens as the second cache of a processor holds along with all else.
const AT_HAND: usize = 64;
const REGISTERED_BAR_US: f64 = 1.2;
const TYPED_BAR_US: f64 = 1.7;

pub(crate) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    on_last_core(|| Ok([with_yes()?, with_secret()?].concat()))
}

/// The core's pipeline over RS256 tokens, with a signature library that answers yes.
fn with_yes() -> Result<Vec<Figure>> {
    let key = SigningKey::fixed_rsa(0)?;
    let tokens = tokens::many(ISSUER, &key, TOKENS)?;
    let (now, pipeline) = (library::now()?, Pipeline::new(ISSUER, &key)?);
    let verifier = library::verifier([library::provider("bench", ISSUER, &key)?], 0);
    let verified = tokens.iter().take(AT_HAND).map(|token| verifier.verify(token));
    let verified: std::result::Result<Vec<_>, _> = verified.collect();
    let verified = verified.map_err(|refused| refused.to_string())?;
    let [registered, parse, borrowed, owned] = interleaved(
        ROUNDS,
        [
            each(&tokens, |token| pipeline.verify(token, now)),
            each(&tokens, |token| parse(token)),
            each(&verified, |verified| Ok(verified.claims_as::<BorrowedClaims<'_>>()?)),
            each(&verified, |verified| Ok(verified.claims_as::<Claims>()?)),
        ],
    )?;
    let part = |samples: &Samples| samples.measured().p25;
    let typed = |name: &str, typed: &Samples, whose| {
        Figure::new(name, "us", Measured::sum(&registered, typed))
            .at_most(TYPED_BAR_US)
            .notes(format!("{:.2} us for the claims as a struct that {whose}", part(typed)))
    };
    Ok(vec![
        Figure::new("overhead.registered_us", "us", registered.measured())
            .at_most(REGISTERED_BAR_US)
            .notes(format!(
                "{:.2} us to read the token, {:.2} us for the rest",
                part(&parse),
                part(&registered) - part(&parse)
            )),
        typed("overhead.typed_us", &borrowed, "borrows its strings"),
        typed("overhead.typed_owned_us", &owned, "owns its strings"),
    ])
}

/// Taking the token apart, before anything is decided.
fn parse(token: &str) -> Result<UnverifiedToken<'_>> {
    let parsed = UnverifiedToken::parse(token, TokenLimits::default());
    Ok(parsed.map_err(|reason| format!("{reason:?}"))?)
}

/// The public face over HS256 tokens, less the HMAC: routing through the table of a verifier, the
/// keys of a live provider and the clocks are in it as well.
fn with_secret() -> Result<Vec<Figure>> {
    let key = library::shared_secret()?;
    let tokens = tokens::many(ISSUER, &key, TOKENS)?;
    let signed = primitive::signed(&tokens)?;
    let secret = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let verifier = library::verifier([library::provider("bench", ISSUER, &key)?], 0);
    let (now, requirements) = (library::now()?, Requirements::default());
    let verify = |token: &String| {
        let verified = verifier.verify_at(token, now, &requirements);
        Ok(verified.map_err(|refused| refused.to_string())?)
    };
    let [alone, registered, borrowed, owned] = interleaved(
        ROUNDS,
        [
            each(&signed, |(input, signature)| Ok(hmac::verify(&secret, input, signature)?)),
            each(&tokens, verify),
            each(&tokens, |token| {
                black_box(&verify(token)?.claims_as::<BorrowedClaims<'_>>()?);
                Ok(())
            }),
            each(&tokens, |token| Ok(verify(token)?.claims_as::<Claims>()?)),
        ],
    )?;
    let notes = format!("less {:.2} us for the HMAC", alone.measured().p25);
    let less = |name: &str, samples| {
        Figure::new(name, "us", Measured::difference(samples, &alone)).notes(notes.clone())
    };
    Ok(vec![
        less("overhead.face_registered_us", &registered).at_most(REGISTERED_BAR_US),
        less("overhead.face_typed_us", &borrowed).at_most(TYPED_BAR_US),
        less("overhead.face_typed_owned_us", &owned).at_most(TYPED_BAR_US),
    ])
}
