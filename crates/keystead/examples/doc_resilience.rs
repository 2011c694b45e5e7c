//! Prints `docs/resilience.md`.

#[path = "../tests/faults/peers.rs"]
mod peers;
#[path = "../tests/faults/table.rs"]
mod table;

use keystead_testkit::idp::Fault;
use peers::{COLUMNS, PEERS, VERSIONS};
use table::{Moment, Outcome, TABLE, Verdict};

#[allow(clippy::disallowed_macros, reason = "a generator prints its page")]
fn main() {
    print!("{}", page());
}

fn page() -> String {
    let moments = Moment::ALL.map(Moment::heading).join(" | ");
    let rows = TABLE.iter().map(|(fault, outcomes)| {
        let cells = outcomes.map(|outcome| outcome_in_words(outcome)).join(" | ");
        format!("| `{fault}` | {cells} |\n")
    });
    let ours: String = rows.collect();
    format!("{INTRODUCTION}| fault | {moments} |\n|---|---|---|---|\n{ours}\n{}", beside_others())
}

fn outcome_in_words(outcome: Outcome) -> String {
    let error = outcome.error.map(|code| format!(" `{code}`")).unwrap_or_default();
    format!("{}; {}{error}", verdict_in_words(outcome.token), outcome.state)
}

fn verdict_in_words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Refused(status, code) => format!("{status} `{code}`"),
    }
}

fn beside_others() -> String {
    let headings: String =
        COLUMNS.iter().map(|column| format!(" {} |", column.heading)).collect();
    let rule = "---|".repeat(COLUMNS.len());
    let ours: String = COLUMNS.iter().map(|column| format!(" {} |", ours(column))).collect();
    let theirs: String = PEERS
        .iter()
        .map(|(name, cells)| format!("| {name} | {} |\n", cells.join(" | ")))
        .collect();
    format!("{PEERS_INTRODUCTION}| |{headings}\n|---|{rule}\n| **Keystead** |{ours}\n{theirs}\n{VERSIONS}")
}

/// What the table says of these faults at this moment.
fn ours(column: &peers::Column) -> String {
    let mut verdicts: Vec<String> = Vec::new();
    for fault in column.faults {
        let verdict = verdict_of(*fault, column.moment).unwrap_or_default();
        if !verdicts.contains(&verdict) {
            verdicts.push(verdict);
        }
    }
    verdicts.join(", ")
}

fn verdict_of(fault: Fault, moment: Moment) -> Option<String> {
    let (_, outcomes) = TABLE.iter().find(|(listed, _)| *listed == fault)?;
    let mut moments = Moment::ALL.into_iter().zip(outcomes);
    let (_, outcome) = moments.find(|(listed, _)| *listed == moment)?;
    Some(verdict_in_words(outcome.token))
}

const INTRODUCTION: &str = "\
<!-- generated from the table that the tests hold the library to: make docs -->
# What becomes of tokens when a provider fails

Each [fault of `keystead idp`](idp_faults.md), at three moments. A cell says what a valid token gets that is
signed with the provider's newest key, then the [state](provider-states.md) of the provider, and the code of
its last error. `crates/keystead/tests/faults` plays every cell over loopback with a provider that has
discovery; it also proves, in every cell:

- a token of another provider is accepted during the fault, and that provider's refresh succeeds;
- a token of a key that was held before the fault is accepted during the fault;
- once the fault is over, the next fetch brings everything back.

A set that omits every key that was held removes none of them by itself; a second such set in a row removes
them (`replaced_set`, `foreign_keys`). A fault of the metadata document alone, of whatever kind, keeps no
rotation out: the keys are asked for where they were. `redirect_http` and the faults of TLS are played over
TLS. `many_keys` is played with 1,000 keys.

";

const PEERS_INTRODUCTION: &str = "\
## Beside others

What other libraries and services did in the same situations, as far as it was measured. Ours is from the table
above; theirs is from our measurements of November 2026, with their default settings unless the row says more.
\"Made-up token\" is one that anybody can write, with a kid that nobody has.

";
