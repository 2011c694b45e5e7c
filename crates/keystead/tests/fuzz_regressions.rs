//! What the fuzz targets found, as the shortest input that shows it.
#![allow(
    clippy::unwrap_used,
    reason = "a test may panic; clippy knows only functions marked as tests"
)]

use keystead::Snapshot;

/// What a snapshot says, which it still does after it was written again.
fn read(text: &str) -> Snapshot {
    let snapshot = Snapshot::parse(text.as_bytes()).unwrap();
    assert_eq!(Snapshot::parse(snapshot.to_json().as_bytes()).unwrap(), snapshot);
    snapshot
}

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
    let snapshot = read(text);
    assert_eq!(snapshot.providers().len(), 1);
}

/// Target `snapshot`: that a key was published with its private part was read, and not written again.
/// After a restart the first answer of such a provider was taken for another key.
#[test]
fn a_snapshot_knows_of_a_private_part_that_it_does_not_hold() {
    let text = concat!(
        r#"{"keystead_snapshot":1,"#,
        r#""sha256":"3082f2feb1e86c59af2644501db56e87ca9f269a6fe4a0c2aae54b2ba2d6385d","#,
        r#""payload":{"providers":[{"name":"idp","issuer":"https://idp.example","sources":["#,
        r#"{"kind":"jwks_url","url":"https://idp.example/k","binding":"00ff","#,
        r#""confirmed":"2026-01-01T00:00:00Z","keys":["#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"gTl3Dqh9F19Wo1Rmw0x-zMuNipG07jeiXfYPW4_Js5Q","#,
        r#""d":"AQ"}]}]}]}}"#,
    );
    let snapshot = read(text);
    let key = &snapshot.providers()[0].sources[0].keys.keys()[0];
    assert!(key.private_part_seen());
    assert!(!snapshot.to_json().contains("AQ"), "the private part is not written");
}
