//! `docs/config.md` is what the table of settings says.

use std::path::Path;

#[test]
fn the_reference_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    let reference = keystead::config::reference();
    if std::env::var_os("KEYSTEAD_REGENERATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &reference).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == reference,
        "docs/config.md is behind: KEYSTEAD_REGENERATE=1 cargo test -p keystead --test config_reference"
    );
}
