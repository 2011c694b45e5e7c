//! Prints `docs/resilience.md`.

#[path = "doc_resilience/peers.rs"]
mod peers;
#[path = "../tests/faults/table.rs"]
mod table;

use keystead_testkit::idp::Fault;
use peers::{COLUMNS, Column, PEERS, Situation};
use table::{Moment, Outcome, TABLE, Verdict};

#[allow(clippy::disallowed_macros, reason = "a generator prints its page")]
fn main() {
    print!("{}", page());
}

fn page() -> String {
    let moments = Moment::ALL.map(moment_in_words).join(" | ");
    let rows = TABLE.iter().map(|(fault, outcomes)| {
        let cells = outcomes.map(outcome_in_words).join(" | ");
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

const fn moment_in_words(moment: Moment) -> &'static str {
    match moment {
        Moment::Start => "at start",
        Moment::WarmUp => "after warm-up",
        Moment::Rotation => "at a rotation",
    }
}

fn beside_others() -> String {
    let headings = COLUMNS.iter().map(|column| column.heading).collect::<Vec<_>>().join(" | ");
    let rule = "|---".repeat(COLUMNS.len());
    let ours = COLUMNS.iter().map(ours).collect::<Vec<_>>().join(" | ");
    let row = |(name, cells): &(&str, [&str; 5])| format!("| {name} | {} |\n", cells.join(" | "));
    let theirs: String = PEERS.iter().map(row).collect();
    format!("{BESIDE_OTHERS}| | {headings} |\n|---{rule}|\n| **Keystead** | {ours} |\n{theirs}")
}

/// What the table says of a situation.
fn ours(column: &Column) -> String {
    match column.situation {
        Situation::During(faults, moment) => {
            let mut verdicts: Vec<_> =
                faults.iter().filter_map(|fault| verdict_of(*fault, moment)).collect();
            verdicts.dedup();
            let verdicts = verdicts.join(", ");
            if moment == Moment::Start { format!("starts, {verdicts}") } else { verdicts }
        }
        Situation::Over => "accepted with the next fetch".to_owned(),
    }
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
TLS, `many_keys` with 1,000 keys, and everything with a `timeout` of 1.5 s, which `late` exceeds.

";

const BESIDE_OTHERS: &str = "\
## Beside others

What others did in the same situations: measured 2026-11 on loopback with the versions named here and their
default settings, unless the row says more. The row of Keystead is from the table above. A made-up token is one
that anybody can write, with a `kid` that nobody has. Restarted while the provider was down, none of the others
had any key; Keystead, with `state_dir` set, accepts at once with the keys of the run before, as `stale`
(`crates/keystead/tests/snapshot.rs`).

";
