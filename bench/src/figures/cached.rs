//! What a token takes that was verified before.

use std::cell::RefCell;
use std::hint::black_box;

use keystead::Verifier;
use keystead_bench::library::{self, ISSUER};
use keystead_bench::tokens;

use crate::calls::{Candidate, each};
use crate::figure::Figure;
use crate::machine::{available_gib, on_last_core};
use crate::rounds::{Samples, interleaved};
use crate::{Bench, Result, draw};

const ROUNDS: usize = 25;
const FEW: usize = 10_000;
const FEW_BAR_US: f64 = 0.35;
const MANY: usize = 1_000_000;
const MANY_BAR_US: f64 = 1.0;
/// What a million tokens take, once here and once in the cache, and as much again to be sure.
const MANY_NEED_GIB: f64 = 8.0;
/// As much as makes a token with an HMAC as long as one with an RSA signature.
const PADDING: usize = 220;

pub(crate) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    let mut figures = hits(FEW, "10k", FEW_BAR_US)?;
    let available = available_gib()?;
    if available >= MANY_NEED_GIB {
        figures.extend(hits(MANY, "1m", MANY_BAR_US)?);
    } else {
        let why = format!("{available:.1} GiB of memory are free, and {MANY_NEED_GIB} are needed");
        figures.push(Figure::not_measured("cached.hit_1m", &*crate::Failure::from(why)));
    }
    Ok(figures)
}

/// Hits among this many tokens.
fn hits(count: usize, name: &str, bar: f64) -> Result<Vec<Figure>> {
    // Checked once and not measured: a million signatures of another kind would take a minute.
    let key = library::shared_secret()?;
    let padding = "x".repeat(PADDING);
    let token = |number| Ok(tokens::usual(ISSUER, number)?.claim("pad", &*padding).sign(&key)?);
    let tokens = (0..count).map(token).collect::<Result<Vec<String>>>()?;
    // Room enough, so that none is pushed out by chance.
    let room = count + count / 2;
    let verifier = library::verifier([library::provider("bench", ISSUER, &key)?], room);
    for token in &tokens {
        verify(&verifier, token)?;
    }
    let misses = || verifier.metrics().token_cache.misses;
    let before = misses();
    let (zipf, uniform) = (draw::zipf(&tokens), draw::uniform(&tokens));
    let [zipf_hit, zipf_present, uniform_hit, uniform_present] = on_last_core(|| {
        interleaved(
            ROUNDS,
            [
                presented(&zipf, |token| verify(&verifier, token)),
                presented(&zipf, |_| Ok(())),
                presented(&uniform, |token| verify(&verifier, token)),
                presented(&uniform, |_| Ok(())),
            ],
        )
    })?;
    if misses() > before {
        return Err(format!("{} tokens were not remembered", misses() - before).into());
    }
    let figure = |draw: &str, hit: &Samples, present: &Samples| {
        let notes = format!("{:.2} us of it to bring the token in", present.measured().p25);
        let name = format!("cached.hit_{name}_{draw}_us");
        Figure::new(name, "us", hit.measured()).at_most(bar).notes(notes)
    };
    Ok(vec![
        figure("zipf", &zipf_hit, &zipf_present),
        figure("uniform", &uniform_hit, &uniform_present),
    ])
}

/// Copies each token to where the next one will be too, as tokens come out of a socket, and calls
/// with the copy.
fn presented<'t>(
    tokens: &'t [&'t String],
    call: impl Fn(&str) -> Result<()> + 't,
) -> Candidate<'t> {
    let buffer = RefCell::new(String::new());
    each(tokens, move |token| {
        let mut buffer = buffer.borrow_mut();
        buffer.clear();
        buffer.push_str(token);
        call(black_box(&buffer))
    })
}

fn verify(verifier: &Verifier, token: &str) -> Result<()> {
    black_box(verifier.verify(token).map_err(|refused| refused.to_string())?);
    Ok(())
}
