//! What one call costs, on average over a round.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Result;
use crate::machine::pin;

/// Long enough for a clock, and short enough that two neighbouring rounds meet the same machine.
const ROUND: Duration = Duration::from_millis(30);
/// How many calls go by between two looks at the clock.
const BATCH: usize = 50;

/// A candidate of [`crate::rounds::interleaved`].
pub(crate) type Candidate<'c> = Box<dyn FnMut() -> Result<f64> + 'c>;

/// Calls with one of these after another, over and over and from one round to the next, and says how
/// many microseconds of processor time a call takes: when other programs have their turn on this core,
/// that is not counted.
pub(crate) fn each<'i, I, T>(
    items: &'i [I],
    call: impl Fn(&'i I) -> Result<T> + 'i,
) -> Candidate<'i> {
    let mut turn = items.iter().cycle();
    Box::new(move || {
        let before = processor_time();
        let (calls, _) = round(&mut turn, &call)?;
        Ok(processor_time().saturating_sub(before).as_secs_f64() * 1e6 / calls)
    })
}

/// The same on as many threads at once, each on a core of its own and beginning elsewhere: how many
/// microseconds go by until any of them has made a call. Who waits for another one takes no processor
/// time, so this is the time on the wall.
pub(crate) fn together<'i, I: Sync, T>(
    threads: usize,
    items: &'i [I],
    call: impl Fn(&'i I) -> Result<T> + Sync + 'i,
) -> Candidate<'i> {
    Box::new(move || {
        let begin = Barrier::new(threads);
        let work = |core: usize| {
            let pinned = pin(&core.to_string());
            let mut turn = items.iter().cycle().skip(items.len() / threads * core);
            begin.wait();
            pinned?;
            let (calls, passed) = round(&mut turn, &call)?;
            Ok(calls / passed.as_secs_f64())
        };
        let rates: Result<Vec<f64>> = std::thread::scope(|scope| {
            let work = &work;
            let workers: Vec<_> =
                (0..threads).map(|core| scope.spawn(move || work(core))).collect();
            workers.into_iter().map(|w| w.join().map_err(|_| "a thread panicked")?).collect()
        });
        Ok(1e6 / rates?.into_iter().sum::<f64>())
    })
}

/// How many calls were made, and how long that took.
fn round<'i, I: 'i, T>(
    turn: &mut impl Iterator<Item = &'i I>,
    call: &impl Fn(&'i I) -> Result<T>,
) -> Result<(f64, Duration)> {
    let (since, mut calls) = (Instant::now(), 0.0);
    loop {
        for item in turn.take(BATCH) {
            black_box(call(black_box(item))?);
        }
        calls += BATCH as f64;
        let passed = since.elapsed();
        if passed >= ROUND {
            return Ok((calls, passed));
        }
    }
}

/// What this thread has taken so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // A thread that has not run yet has taken nothing.
    time.try_into().unwrap_or_default()
}
