//! Prints `docs/metrics.md`.

#[allow(clippy::disallowed_macros, reason = "a generator prints its page")]
fn main() {
    print!("{}", keystead_server::metrics_reference());
}
