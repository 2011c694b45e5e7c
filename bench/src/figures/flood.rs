//! A flood of made-up kids: what it leaves in memory, and how often it makes us ask the provider.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keystead_testkit::idp::{Idp, IdpConfig};
use serde::Deserialize;

use crate::figure::{Figure, Measured};
use crate::{Bench, Result};

const GROWTH_BAR_KIB: f64 = 256.0;
const FORCED_BAR: f64 = 1.0;
/// The cooldown, less what the observer may be late by.
const COOLDOWN: Duration = Duration::from_millis(29_900);

#[derive(Debug, Deserialize)]
struct InUse {
    after_first: f64,
    after_all: f64,
}

pub(crate) fn measure(_: &Bench) -> Result<Vec<Figure>> {
    let idp = Idp::start(IdpConfig::new().realm("shop"))?;
    let mut flood = Command::new(Bench::program("flood")?);
    flood.args([idp.issuer("shop")?, idp.jwks_url("shop")?]);
    let over = AtomicBool::new(false);
    let (output, fetches) = std::thread::scope(|scope| {
        let observer = scope.spawn(|| observe(&idp, &over));
        let output = flood.output();
        over.store(true, Ordering::Relaxed);
        (output, observer.join())
    });
    let output = output?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let in_use: InUse = serde_json::from_slice(&output.stdout)?;
    let mut fetches = fetches.map_err(|_| "the observer panicked")??;
    // The first is the one at the start, which nothing forced.
    fetches.remove(0);
    let growth = (in_use.after_all - in_use.after_first) / 1024.0;
    let notes = format!(
        "{:.0} KiB in use after 100,000 kids, {:.0} KiB after 1,000,000",
        in_use.after_first / 1024.0,
        in_use.after_all / 1024.0
    );
    let forced = Measured::once(most_within(&fetches) as f64);
    let times: Vec<_> = fetches.iter().map(|at| format!("{:.1} s", at.as_secs_f64())).collect();
    Ok(vec![
        Figure::new("flood.heap_growth_kib", "KiB", Measured::once(growth))
            .at_most(GROWTH_BAR_KIB)
            .notes(notes),
        Figure::new("flood.forced_fetches_within_30_s", "", forced).at_most(FORCED_BAR).notes(
            format!("1,000,000 made-up kids in 65 s; forced fetches after {}", times.join(", ")),
        ),
    ])
}

/// When the provider was asked for its keys.
fn observe(idp: &Idp, over: &AtomicBool) -> Result<Vec<Duration>> {
    let (since, mut times) = (Instant::now(), Vec::new());
    while !over.load(Ordering::Relaxed) {
        let asked = usize::try_from(idp.requests("shop")?.jwks)?;
        times.resize(asked, since.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(times)
}

/// The largest number of these moments that lie within one cooldown.
fn most_within(times: &[Duration]) -> usize {
    let within = |from: &Duration| {
        times.iter().filter(|at| *at >= from && at.saturating_sub(*from) < COOLDOWN).count()
    };
    times.iter().map(within).max().unwrap_or(0)
}
