//! How often memory is asked for, and what a remembered token takes of it: counted by `bin/heap.rs`.

use std::process::Command;

use serde::Deserialize;

use crate::figure::{Figure, Measured};
use crate::{Bench, Result};

const UNCACHED_BAR: f64 = 2.0;
const HIT_BAR: f64 = 0.0;
const BYTES_BAR: f64 = 2048.0;

#[derive(Debug, Deserialize)]
struct Counted {
    uncached: f64,
    typed: f64,
    hit: f64,
    refused: f64,
    jsonwebtoken: f64,
    bytes_per_token: f64,
    token_length: f64,
}

pub(crate) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    let output = Command::new(Bench::program("heap")?).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let counted: Counted = serde_json::from_slice(&output.stdout)?;
    let count = |name: &str, value| Figure::new(format!("heap.{name}"), "", Measured::once(value));
    Ok(vec![
        count("allocations_uncached", counted.uncached).at_most(UNCACHED_BAR),
        count("allocations_typed", counted.typed)
            .notes(format!("jsonwebtoken 11: {:.0}", counted.jsonwebtoken)),
        count("allocations_cached", counted.hit).at_most(HIT_BAR),
        count("allocations_refused", counted.refused).notes("of an unknown kid"),
        count("bytes_per_cached_token", counted.bytes_per_token)
            .at_most(BYTES_BAR)
            .notes(format!("tokens of {:.0} bytes", counted.token_length)),
    ])
}
