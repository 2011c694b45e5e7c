//! What the library takes for a token, beside the signature check that nobody can do without, and
//! beside its peers.

use std::hint::black_box;

use aws_lc_rs::signature::ParsedPublicKey;
use keystead::core::{Algorithm, Requirements};
use keystead_bench::library::{self, BorrowedClaims, Claims, ISSUER};
use keystead_bench::tokens::{self, AUDIENCE};
use keystead_testkit::SigningKey;
use serde_json::Value;

use crate::calls::each;
use crate::figure::{Figure, Measured};
use crate::machine::on_last_core;
use crate::rounds::{Samples, interleaved};
use crate::{Bench, Result, primitive};

const ROUNDS: usize = 25;
const TOKENS: usize = 1000;

/// What is promised for one algorithm.
struct Bars {
    name: &'static str,
    /// At most this many times the signature alone: what the fastest peer takes, where no better is
    /// promised.
    of_primitive: f64,
    /// At least this many times as fast as `jsonwebtoken`.
    over_jsonwebtoken: f64,
}

pub(crate) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    let of = |key: SigningKey, name, of_primitive, over_jsonwebtoken| {
        let bars = Bars { name, of_primitive, over_jsonwebtoken };
        Ok(Costs::of(&key)?.figures(&bars))
    };
    on_last_core(|| {
        let figures: Result<Vec<_>> = [
            of(SigningKey::fixed_rsa(0)?, "rs256", 1.10, 1.25),
            of(SigningKey::generate(Algorithm::Es256)?, "es256", 1.08, 1.0),
            of(SigningKey::generate(Algorithm::EdDsa)?, "eddsa", 1.10, 1.0),
        ]
        .into_iter()
        .collect();
        Ok(figures?.concat())
    })
}

/// What a token costs in microseconds.
struct Costs {
    /// The signature alone.
    primitive: Samples,
    /// Into a struct that borrows its strings.
    borrowed: Samples,
    /// Into one that owns them, as the peers do.
    library: Samples,
    jsonwebtoken: Samples,
    jsonwebtoken_9: Samples,
}

impl Costs {
    fn of(key: &SigningKey) -> Result<Self> {
        let tokens = tokens::many(ISSUER, key, TOKENS)?;
        let signed = primitive::signed(&tokens)?;
        let public: ParsedPublicKey = primitive::parsed(key)?;
        let verifier = library::verifier([library::provider("bench", ISSUER, key)?], 0);
        let (now, requirements) = (library::now()?, Requirements::default());
        let verify = |token: &String| {
            let verified = verifier.verify_at(token, now, &requirements);
            verified.map_err(|refused| refused.to_string())
        };
        let newest = newest(key)?;
        let older = older(key)?;
        let [primitive, borrowed, library, jsonwebtoken, jsonwebtoken_9] = interleaved(
            ROUNDS,
            [
                each(&signed, |(input, signature)| Ok(public.verify_sig(input, signature)?)),
                each(&tokens, |token| {
                    black_box(&verify(token)?.claims_as::<BorrowedClaims<'_>>()?);
                    Ok(())
                }),
                each(&tokens, |token| Ok(verify(token)?.claims_as::<Claims>()?)),
                each(&tokens, newest),
                each(&tokens, older),
            ],
        )?;
        Ok(Self { primitive, borrowed, library, jsonwebtoken, jsonwebtoken_9 })
    }

    fn figures(&self, bars: &Bars) -> Vec<Figure> {
        let name = |rest| format!("verify.{}_{rest}", bars.name);
        let micros = |samples: &Samples| format!("{:.1} us", samples.measured().p25);
        let times = |rest, over: &Samples, under: &Samples, notes| {
            Figure::new(name(rest), "x", Measured::ratio(over, under)).notes(notes)
        };
        let (ours, alone) = (&self.library, &self.primitive);
        let beside = |peer: &Samples| format!("{} beside {}", micros(ours), micros(peer));
        vec![
            times(
                "ratio",
                &self.borrowed,
                alone,
                format!("{} beside {} of aws-lc alone", micros(&self.borrowed), micros(alone)),
            )
            .at_most(bars.of_primitive),
            times("owned_ratio", ours, alone, format!("{} of aws-lc alone", beside(alone)))
                .at_most(bars.of_primitive),
            times("over_jsonwebtoken_11", &self.jsonwebtoken, ours, beside(&self.jsonwebtoken))
                .at_least(bars.over_jsonwebtoken),
            times("over_jsonwebtoken_9", &self.jsonwebtoken_9, ours, beside(&self.jsonwebtoken_9))
                .at_least(1.0),
        ]
    }
}

/// `jsonwebtoken` 11 on aws-lc, with the key at hand: it looks up neither issuer nor kid.
fn newest(key: &SigningKey) -> Result<impl Fn(&String) -> Result<Claims>> {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    let (algorithm, jwk) = named(key);
    let algorithm: Algorithm = algorithm.parse()?;
    let key = DecodingKey::from_jwk(&serde_json::from_value(jwk)?)?;
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    validation.validate_nbf = true;
    Ok(move |token: &String| Ok(decode::<Claims>(token, &key, &validation)?.claims))
}

/// The same of `jsonwebtoken` 9, on ring.
fn older(key: &SigningKey) -> Result<impl Fn(&String) -> Result<Claims>> {
    use jsonwebtoken_9::{Algorithm, DecodingKey, Validation, decode};
    let (algorithm, jwk) = named(key);
    let algorithm: Algorithm = algorithm.parse()?;
    let key = DecodingKey::from_jwk(&serde_json::from_value(jwk)?)?;
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    validation.validate_nbf = true;
    Ok(move |token: &String| Ok(decode::<Claims>(token, &key, &validation)?.claims))
}

fn named(key: &SigningKey) -> (&'static str, Value) {
    (key.algorithm().name(), key.jwk())
}
