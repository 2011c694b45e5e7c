//! Counts what the library asks the allocator for, in a program of its own so that counting slows
//! nothing else down. Prints in JSON how many allocations each call takes, at most over many tokens, and
//! how many bytes a remembered token keeps. What aws-lc allocates in C is in none of these numbers.

use std::error::Error;
use std::hint::black_box;

use keystead::Verifier;
use keystead_bench::heap;
use keystead_bench::library::{self, Claims, ISSUER};
use keystead_bench::tokens::{self, AUDIENCE};
use keystead_testkit::SigningKey;
use serde_json::json;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

type Failure = Box<dyn Error + Send + Sync>;

const TOKENS: usize = 10_000;
/// As many are verified to see how many allocations it takes.
const SOME: usize = 100;

fn main() -> Result<(), Failure> {
    let key = SigningKey::fixed_rsa(0)?;
    let tokens = tokens::many(ISSUER, &key, TOKENS)?;
    let some = tokens.get(..SOME).unwrap_or_default();
    let verifier = |cached| -> Result<Verifier, Failure> {
        Ok(library::verifier([library::provider("bench", ISSUER, &key)?], cached))
    };
    let before = heap::in_use();
    let uncached = verifier(0)?;
    let without_cache = heap::in_use() - before;
    let before = heap::in_use();
    let cached = verifier(TOKENS)?;
    verify_all(&cached, &tokens)?;
    let bytes = (heap::in_use() - before).saturating_sub(without_cache);
    let remembered = cached.metrics().token_cache.tokens;
    // The newest of them are remembered, whatever was pushed out.
    let newest = tokens.get(TOKENS - SOME..).unwrap_or_default();
    verify_all(&cached, newest)?;
    let verify = |verifier: &Verifier, token: &str| {
        verifier.verify(token).map_err(|refused| refused.to_string())
    };
    let unknown = (0..SOME as u64).map(|number| tokens::with_made_up_kid(ISSUER, number));
    let unknown: Vec<String> = unknown.collect::<Result<_, _>>()?;
    let peer = jsonwebtoken(&key)?;
    let counted = json!({
        "uncached": most(some, |token| Ok(verify(&uncached, token)?))?,
        "typed": most(some, |token| Ok(verify(&uncached, token)?.claims_as::<Claims>()?))?,
        "hit": most(newest, |token| Ok(verify(&cached, token)?))?,
        "refused": most(&unknown, |token| Ok(verify(&uncached, token).err()))?,
        "jsonwebtoken": most(some, peer)?,
        "bytes_per_token": bytes as f64 / remembered as f64,
        "token_length": tokens.first().map(String::len),
    });
    println!("{counted}");
    Ok(())
}

fn verify_all(verifier: &Verifier, tokens: &[String]) -> Result<(), Failure> {
    for token in tokens {
        black_box(verifier.verify(token).map_err(|refused| refused.to_string())?);
    }
    Ok(())
}

/// The most allocations that any of these calls took. The first call is not counted: it may be what
/// fills a variable of the thread.
fn most<T>(
    tokens: &[String],
    call: impl Fn(&String) -> Result<T, Failure>,
) -> Result<usize, Failure> {
    let mut most = 0;
    for (at, token) in tokens.iter().enumerate() {
        let before = heap::allocations();
        drop(black_box(call(token)?));
        if at > 0 {
            most = most.max(heap::allocations() - before);
        }
    }
    Ok(most)
}

fn jsonwebtoken(key: &SigningKey) -> Result<impl Fn(&String) -> Result<Claims, Failure>, Failure> {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    let algorithm = key.algorithm().name().parse()?;
    let key = DecodingKey::from_jwk(&serde_json::from_value(key.jwk())?)?;
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    Ok(move |token: &String| Ok(decode::<Claims>(token, &key, &validation)?.claims))
}
