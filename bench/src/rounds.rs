//! Candidates beside each other, round by round.

use crate::Result;
use crate::figure::Measured;
use crate::machine::Ticks;

/// A round in which the hypervisor took more than this part of the processors is thrown away.
const TOLERATED_STEAL: f64 = 0.02;

/// What one candidate cost in each round that counts. Less is better.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

/// Lets each candidate have its turn in each round, so that what the machine does besides meets all
/// of them alike, until this many rounds were quiet. Who begins changes from round to round.
pub(crate) fn interleaved<const N: usize>(
    rounds: usize,
    mut candidates: [Box<dyn FnMut() -> Result<f64> + '_>; N],
) -> Result<[Samples; N]> {
    let mut samples = [(); N].map(|()| Samples::default());
    let mut quiet = 0;
    // A machine that is never quiet must not keep this going for ever.
    for round in 0..3 * rounds {
        let before = Ticks::now()?;
        let mut costs = [0.0; N];
        for turn in (0..N).map(|turn| (turn + round) % N) {
            if let (Some(cost), Some(candidate)) = (costs.get_mut(turn), candidates.get_mut(turn)) {
                *cost = candidate()?;
            }
        }
        if Ticks::now()?.since(before).steal() > TOLERATED_STEAL {
            continue;
        }
        samples.iter_mut().zip(costs).for_each(|(samples, cost)| samples.0.push(cost));
        quiet += 1;
        if quiet == rounds {
            return Ok(samples);
        }
    }
    Err(format!("the hypervisor took its share in {} of {} rounds", 3 * rounds - quiet, 3 * rounds)
        .into())
}

impl Samples {
    pub(crate) fn measured(&self) -> Measured {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| percentile(&sorted, part);
        Measured { p25: at(0.25), min: at(0.0), max: Some(at(1.0)) }
    }
}

/// The value below which this part of the sorted values lies; of none, not a number.
pub(crate) fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of an index is an index"
    )]
    let index = (last as f64 * part).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
