//! What the steps of a verification take one by one, each beside what else could do it. They are hot
//! here, one call after another on the same bytes: for whoever looks for the next tenth of a
//! microsecond. What is promised is measured by `src/main.rs`.
#![allow(clippy::unwrap_used, reason = "a bench may stop")]

use std::sync::Arc;

use divan::{Bencher, black_box, black_box_drop};
use keystead::VerifiedToken;
use keystead::core::json::{self, Limits};
use keystead::core::{Issuers, Requirements, TokenLimits, UnverifiedToken};
use keystead_bench::library::{self, Claims, ISSUER};
use keystead_bench::tokens;
use keystead_testkit::SigningKey;

fn main() {
    // So many calls between two looks at the clock, which is no finer than some of them are long.
    divan::Divan::from_args().sample_size(500).main();
}

#[divan::bench]
fn token_parse(bencher: Bencher<'_, '_>) {
    let token = token();
    bencher.bench_local(|| {
        black_box_drop(UnverifiedToken::parse(black_box(&token), TokenLimits::default()));
    });
}

#[divan::bench]
fn base64_payload(bencher: Bencher<'_, '_>) {
    let token = token();
    let payload = token.split('.').nth(1).unwrap();
    let mut buffer = vec![0; payload.len()];
    bencher.bench_local(|| {
        let out = base64_simd::Out::from_slice(&mut buffer);
        base64_simd::URL_SAFE_NO_PAD.decode(black_box(payload.as_bytes()), out).unwrap().len()
    });
}

#[divan::bench]
fn json_scan_of_claims(bencher: Bencher<'_, '_>) {
    let verified = verified();
    let text = verified.claims().text();
    bencher.bench_local(|| json::parse(black_box(text.as_bytes()), Limits::TOKEN).is_ok());
}

/// The same bytes, for comparison: what most programs use reads them so.
#[divan::bench]
fn json_scan_of_claims_by_serde_json(bencher: Bencher<'_, '_>) {
    let verified = verified();
    let text = verified.claims().text();
    bencher.bench_local(|| serde_json::from_str::<serde::de::IgnoredAny>(black_box(text)).is_ok());
}

#[divan::bench]
fn json_scan_of_header(bencher: Bencher<'_, '_>) {
    let verified = verified();
    let text = verified.header().text();
    bencher.bench_local(|| json::parse(black_box(text.as_bytes()), Limits::TOKEN).is_ok());
}

#[divan::bench(args = [1, 100, 10_000])]
fn issuer_lookup(bencher: Bencher<'_, '_>, count: usize) {
    let mut issuers = Issuers::new();
    for number in 0..count {
        let name = Arc::from(format!("idp-{number}"));
        issuers.add(number, &name, &format!("https://idp-{number}.test.example"), &[]);
    }
    let wanted = format!("https://idp-{}.test.example", count / 2);
    bencher.bench_local(|| issuers.provider_of(black_box(&wanted)));
}

#[divan::bench]
fn claims_as(bencher: Bencher<'_, '_>) {
    let verified = verified();
    bencher.bench_local(|| black_box_drop(verified.claims_as::<Claims>().unwrap()));
}

/// Everything but the signature: of a remembered token, the policy is what is left.
#[divan::bench]
fn remembered(bencher: Bencher<'_, '_>) {
    let key = SigningKey::fixed_rsa(0).unwrap();
    let verifier = library::verifier([library::provider("bench", ISSUER, &key).unwrap()], 100);
    let (token, now) =
        (tokens::usual(ISSUER, 0).unwrap().sign(&key).unwrap(), library::now().unwrap());
    let requirements = Requirements::default();
    bencher.bench_local(|| {
        black_box_drop(verifier.verify_at(black_box(&token), now, &requirements).unwrap());
    });
}

fn token() -> String {
    tokens::usual(ISSUER, 0).unwrap().sign(&SigningKey::fixed_rsa(0).unwrap()).unwrap()
}

fn verified() -> VerifiedToken {
    let key = SigningKey::fixed_rsa(0).unwrap();
    let verifier = library::verifier([library::provider("bench", ISSUER, &key).unwrap()], 0);
    verifier.verify(&token()).unwrap()
}
