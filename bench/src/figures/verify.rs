//! What the library adds to the signature check that nobody can do without.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};
use keystead::core::{Algorithm, KeySet, Provenance, TokenLimits, UnverifiedToken};
use keystead::{ProviderConfig, Verifier};
use keystead_bench::tokens::{self, AUDIENCE};
use keystead_testkit::SigningKey;
use serde::Deserialize;
use serde_json::json;

use crate::figure::{Figure, Measured};
use crate::machine::pin;
use crate::rounds::{Samples, interleaved};
use crate::{Bench, Result};

const ROUNDS: usize = 25;
const ROUND: Duration = Duration::from_millis(30);
const ISSUER: &str = "https://idp.test.example";
/// The bars are RS256's: the other signatures cost more, so that the same overhead hides.
const RATIO_BAR: f64 = 1.08;
const OVERHEAD_BAR_US: f64 = 1.2;

/// What a service wants from a token.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "read so that reading is measured")]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
    azp: String,
    scope: String,
    sid: String,
    acr: String,
    typ: String,
    email_verified: bool,
    preferred_username: String,
    groups: Vec<String>,
    auth_time: u64,
}

pub(crate) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    let last = std::thread::available_parallelism()?.get() - 1;
    pin(&last.to_string())?;
    let rsa = Costs::of(&SigningKey::fixed_rsa(0)?, &RSA_PKCS1_2048_8192_SHA256);
    let ec = Costs::of(&SigningKey::generate(Algorithm::Es256)?, &ECDSA_P256_SHA256_FIXED);
    let ed = Costs::of(&SigningKey::generate(Algorithm::EdDsa)?, &ED25519);
    pin(&format!("0-{last}"))?;
    let rsa = rsa?;
    Ok(vec![
        rsa.ratio("verify.rs256_ratio").at_most(RATIO_BAR),
        rsa.overhead("verify.overhead_us").at_most(OVERHEAD_BAR_US),
        ec?.ratio("verify.es256_ratio"),
        ed?.ratio("verify.eddsa_ratio"),
    ])
}

/// What one token costs in microseconds, and what parts of it cost by themselves.
struct Costs {
    /// The signature alone.
    primitive: Samples,
    library: Samples,
    /// Splitting, decoding and reading the token, before anything is decided.
    parse: Samples,
    /// The verified claims into a struct.
    claims: Samples,
}

impl Costs {
    fn of(key: &SigningKey, algorithm: &'static dyn VerificationAlgorithm) -> Result<Self> {
        let token = tokens::usual(ISSUER, 0)?.sign(key)?;
        let keys = json!({ "keys": [key.jwk()] }).to_string();
        let keys = KeySet::parse(keys.as_bytes(), Provenance::Operator, 16)?;
        let config = ProviderConfig::new("bench", ISSUER).audiences([AUDIENCE]);
        let verifier = Verifier::builder().provider(config.keys(keys)).build();
        verifier.load();
        let public = ParsedPublicKey::new(algorithm, der(&key.public_pem()?)?)?;
        let (input, signature) = token.rsplit_once('.').ok_or("a token has three segments")?;
        let signature = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature)?;
        let verify = || verifier.verify(black_box(&token)).map_err(|refused| refused.to_string());
        let verified = verify()?;
        let primitive =
            || Ok(public.verify_sig(black_box(input.as_bytes()), black_box(&signature))?);
        let library = || Ok(verify()?.claims_as::<Claims>()?);
        let parse = || {
            let parsed = UnverifiedToken::parse(black_box(&token), TokenLimits::default());
            Ok(parsed.map_err(|reason| format!("{reason:?}"))?)
        };
        let claims = || Ok(black_box(&verified).claims_as::<Claims>()?);
        let [primitive, library, parse, claims] = interleaved(
            ROUNDS,
            [
                Box::new(|| per_call(primitive)),
                Box::new(|| per_call(library)),
                Box::new(|| per_call(parse)),
                Box::new(|| per_call(claims)),
            ],
        )?;
        Ok(Self { primitive, library, parse, claims })
    }

    fn ratio(&self, name: &str) -> Figure {
        let (ours, limit) = (self.library.measured().p25, self.primitive.measured().p25);
        let notes = format!("{ours:.1} us beside {limit:.1} us of aws-lc alone");
        Figure::new(name, "x", Measured::ratio(&self.library, &self.primitive)).notes(notes)
    }

    /// What there is besides the signature.
    fn overhead(&self, name: &str) -> Figure {
        let (ours, limit) = (self.library.measured(), self.primitive.measured());
        let (p25, min) = (ours.p25 - limit.p25, ours.min - limit.min);
        let (parse, claims) = (self.parse.measured().p25, self.claims.measured().p25);
        let notes = format!(
            "{parse:.2} us to read the token, {claims:.2} us for the claims as a struct, {:.2} us \
             for the rest",
            p25 - parse - claims
        );
        Figure::new(name, "us", Measured { p25, min, max: None }).notes(notes)
    }
}

/// How many microseconds a call takes, on average over a round.
fn per_call<T>(call: impl Fn() -> Result<T>) -> Result<f64> {
    let since = Instant::now();
    let mut calls = 0.0;
    while since.elapsed() < ROUND {
        for _ in 0..10 {
            black_box(call()?);
        }
        calls += 10.0;
    }
    Ok(since.elapsed().as_secs_f64() * 1e6 / calls)
}

fn der(pem: &str) -> Result<Vec<u8>> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Ok(base64_simd::STANDARD.decode_to_vec(body)?)
}
