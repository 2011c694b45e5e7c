//! `keystead conformance`: runs vector files, one line of JSON per case.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use keystead::core::{Reason, Rejection};
use keystead::{Clock, SystemClock};

use super::console::Console;
use super::json::Object;
use super::{Exit, Failure};
use crate::vectors::{self, Case, Decision, Tier};

/// Run vector files against the verifier, one line of JSON per case
///
/// Each line says what was decided and how long that took: once the keys are published, as for
/// every token. A summary on standard error compares the decisions with the expected ones. The
/// exit code is 0 when every case ran, whatever its verdict.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with one case per line
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let clock = SystemClock::new();
    let mut summary = Summary::default();
    let mut unreadable = false;
    for file in &args.files {
        let cases = match vectors::read(file) {
            Ok(cases) => cases,
            Err(error) => {
                unreadable = true;
                console.error(error);
                continue;
            }
        };
        for case in cases {
            match case {
                Ok(case) => console.data(summary.run(&case, &clock))?,
                Err(error) => {
                    unreadable = true;
                    console.error(error);
                }
            }
            if console.is_unread() {
                // Not every case ran.
                return Ok(Exit::No);
            }
        }
    }
    summary.tell(console);
    Ok(if unreadable { Exit::No } else { Exit::Yes })
}

#[derive(Default)]
struct Summary {
    tiers: BTreeMap<Tier, Counts>,
    slowest: Option<(Duration, String)>,
}

#[derive(Default)]
struct Counts {
    ran: usize,
    matched: usize,
    other_class: Vec<String>,
    wrong: Vec<String>,
}

impl Summary {
    /// Runs a case, and says what came of it.
    fn run(&mut self, case: &Case, clock: &SystemClock) -> String {
        let verifier = case.verifier();
        let before = clock.monotonic();
        let verdict = case.judge(&verifier);
        let took = clock.monotonic().saturating_sub(before);
        let refused = verdict.as_ref().err();
        let decision = Decision::of(&verdict);
        let counts = self.tiers.entry(case.tier).or_default();
        counts.ran += 1;
        if decision != case.expected {
            counts.wrong.push(case.id.clone());
        } else if refused.is_some_and(|refused| !case.expects_class_of(refused)) {
            counts.other_class.push(case.id.clone());
        } else {
            counts.matched += 1;
        }
        if self.slowest.as_ref().is_none_or(|(slowest, _)| took > *slowest) {
            self.slowest = Some((took, case.id.clone()));
        }
        let line = Object::new()
            .text("id", &case.id)
            .text("decision", decision.as_str())
            .maybe("code", refused.map(|refused| refused.code().as_str()))
            .text("class", refused.map(Rejection::reason).map_or("ok", Reason::class))
            .value("micros", Some(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)));
        format!("{}\n", line.finish())
    }

    fn tell(&self, console: &Console) {
        for (tier, counts) in &self.tiers {
            console.prose(format_args!(
                "{:<8} {} cases: {} matched, {} of another class, {} with the wrong verdict",
                tier.as_str(),
                counts.ran,
                counts.matched,
                counts.other_class.len(),
                counts.wrong.len()
            ));
            for (what, ids) in [("class", &counts.other_class), ("verdict", &counts.wrong)] {
                if !ids.is_empty() {
                    console.prose(format_args!("         {what}: {}", ids.join(" ")));
                }
            }
        }
        match &self.slowest {
            Some((took, id)) => {
                console.prose(format_args!("slowest  {} \u{b5}s: {id}", took.as_micros()));
            }
            None => console.prose("no case was read"),
        }
    }
}
