//! Prints `docs/rejections.md`.

#[allow(clippy::disallowed_macros, reason = "a generator prints its page")]
fn main() {
    print!("{}", keystead_core::Rejection::reference());
}
