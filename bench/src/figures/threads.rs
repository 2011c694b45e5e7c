//! What a second thread brings, beside what it brings to the signature check alone.

use keystead::Verifier;
use keystead_bench::library::{self, Claims, ISSUER};
use keystead_bench::tokens;
use keystead_testkit::SigningKey;

use crate::calls::together;
use crate::figure::{Figure, Measured};
use crate::rounds::{Samples, interleaved};
use crate::{Bench, Result, primitive};

const ROUNDS: usize = 25;
const TOKENS: usize = 1000;
const BAR: f64 = 0.95;

pub(crate) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    if std::thread::available_parallelism()?.get() < 2 {
        return Err("there is one core only".into());
    }
    let key = SigningKey::fixed_rsa(0)?;
    let tokens = tokens::many(ISSUER, &key, TOKENS)?;
    let signed = primitive::signed(&tokens)?;
    let public = primitive::parsed(&key)?;
    let [uncached, cached] = [0, 2 * TOKENS].map(|room| -> Result<Verifier> {
        Ok(library::verifier([library::provider("bench", ISSUER, &key)?], room))
    });
    let (uncached, cached) = (uncached?, cached?);
    let primitive =
        |(input, signature): &primitive::Signed<'_>| Ok(public.verify_sig(input, signature)?);
    let verify = |verifier: &Verifier, token: &str| {
        let verified = verifier.verify(token).map_err(|refused| refused.to_string())?;
        Ok(verified.claims_as::<Claims>()?)
    };
    let hit = |token: &String| Ok(cached.verify(token).map_err(|refused| refused.to_string())?);
    for token in &tokens {
        hit(token)?;
    }
    let [alone, ours, hits] = interleaved(
        ROUNDS,
        [
            together(1, &signed, primitive),
            together(2, &signed, primitive),
            together(1, &tokens, |token| verify(&uncached, token)),
            together(2, &tokens, |token| verify(&uncached, token)),
            together(1, &tokens, hit),
            together(2, &tokens, hit),
        ],
    )
    .map(|[a1, a2, b1, b2, c1, c2]| [[a1, a2], [b1, b2], [c1, c2]])?;
    Ok(vec![figure("uncached", &ours, &alone), figure("cached", &hits, &alone)])
}

/// How one scales with a second thread, as a part of how the other does.
fn figure(name: &str, [one, two]: &[Samples; 2], [alone_one, alone_two]: &[Samples; 2]) -> Figure {
    let (ours, theirs) = (Measured::ratio(one, two), Measured::ratio(alone_one, alone_two));
    let ratio = Measured { p25: ours.p25 / theirs.p25, min: ours.min / theirs.min, max: None };
    let notes = format!(
        "{:.2} times as fast on two cores, the signature alone {:.2} times",
        ours.p25, theirs.p25
    );
    Figure::new(format!("threads.{name}_scaling"), "x", ratio).at_least(BAR).notes(notes)
}
