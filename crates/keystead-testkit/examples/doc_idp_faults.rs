//! Prints `docs/idp_faults.md`.

#[allow(clippy::disallowed_macros, reason = "a generator prints its page")]
fn main() {
    print!("{}", keystead_testkit::idp::Fault::reference());
}
