//! Prints `docs/config.md`.

#[allow(clippy::disallowed_macros, reason = "a generator prints its page")]
fn main() {
    print!("{}", keystead::config::reference());
}
