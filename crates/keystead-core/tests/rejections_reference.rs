//! `docs/rejections.md` is what the code says. `KEYSTEAD_REGENERATE=1` writes it anew.
#![allow(clippy::unwrap_used, reason = "a test may panic; clippy knows only functions marked so")]

use std::path::Path;

use keystead_core::Rejection;

#[test]
fn the_reference_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rejections.md");
    let generated = Rejection::reference();
    if std::env::var_os("KEYSTEAD_REGENERATE").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "docs/rejections.md is not up to date; KEYSTEAD_REGENERATE=1 cargo test -p keystead-core \
         --test rejections_reference writes it"
    );
}
