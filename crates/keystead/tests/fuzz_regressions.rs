//! What the fuzz targets found, as the shortest input that shows it.
#![allow(
    clippy::unwrap_used,
    reason = "a test may panic; clippy knows only functions marked as tests"
)]

use keystead::Snapshot;

/// Target `snapshot`: a time with more digits than are written was read with all of them, so that
/// a snapshot was another one after it had been written again.
#[test]
fn a_snapshot_is_read_as_exactly_as_it_is_written() {
    let text = concat!(
        r#"{"keystead_snapshot":1,"#,
        r#""sha256":"65f7fc6c634ec181774dc9151f9bf09d717d2a59f3541a1022468d97675bba3d","#,
        r#""payload":{"providers":[{"name":"idp","issuer":"https://idp.example","sources":["#,
        r#"{"kind":"jwks_url","url":"https://idp.example/k","binding":"00ff","#,
        r#""confirmed":"2026-01-01T00:00:00.123456789Z","keys":[]}]}]}}"#,
    );
    let snapshot = Snapshot::parse(text.as_bytes()).unwrap();
    assert_eq!(Snapshot::parse(snapshot.to_json().as_bytes()).unwrap(), snapshot);
}
