//! One million tokens with made-up kids, in a program of their own whose heap is counted. Takes the
//! issuer and the address of its JWK Set; prints in JSON how many bytes were in use after the first
//! 100,000 tokens and after all of them.

use std::error::Error;
use std::time::{Duration, Instant};

use keystead::{ProviderConfig, Verifier};
use keystead_bench::heap;
use keystead_bench::tokens::{AUDIENCE, with_made_up_kid};
use serde_json::json;

const FIRST: u64 = 100_000;
const ALL: u64 = 1_000_000;
/// They are spread over two cooldowns and some more, so that forced fetches can repeat.
const SPREAD: Duration = Duration::from_secs(65);
/// How many are sent without a rest: a timer is no finer than a millisecond.
const AT_ONCE: u64 = 1_000;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let issuer = arguments.next().ok_or("no issuer")?;
    let jwks_url = arguments.next().ok_or("no address of a JWK Set")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(flood(&issuer, &jwks_url))
}

async fn flood(issuer: &str, jwks_url: &str) -> Result<(), Box<dyn Error>> {
    let provider = ProviderConfig::new("shop", issuer).audiences([AUDIENCE]).jwks_url(jwks_url);
    let verifier = Verifier::builder().provider(provider).build();
    let _refresh = verifier.start()?;
    verifier.refresh("shop").await?;
    let (since, mut after_first) = (Instant::now(), 0);
    for number in 0..ALL {
        if number == FIRST {
            after_first = heap::in_use();
        }
        if number.is_multiple_of(AT_ONCE) {
            let due = SPREAD.mul_f64(number as f64 / ALL as f64);
            tokio::time::sleep(due.saturating_sub(since.elapsed())).await;
        }
        if verifier.verify_wait(&with_made_up_kid(issuer, number)?).await.is_ok() {
            return Err("a token with a made-up kid passed".into());
        }
    }
    let after_all = heap::in_use();
    println!("{}", json!({ "after_first": after_first, "after_all": after_all }));
    Ok(())
}
