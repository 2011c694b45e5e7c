//! A snapshot: what is read is what is written again, a changed one is never read, and no key gets to
//! a source that did not give it.
//!
//! The first byte says how the rest is read: `p` as a payload, to which the right checksum is added
//! so that the fuzzer gets past it; anything else as a whole snapshot, this byte included.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use keystead::{ImportOutcome, ProviderConfig, Snapshot, Verifier};

use crate::oracle::assert_printable;
use crate::stand_ins::{Network, Still};

const ISSUER: &str = "https://idp.example.test/realms/main";
const JWKS_URL: &str = "https://idp.example.test/keys";

pub fn check(data: &[u8]) {
    match data {
        [b'p', payload @ ..] => {
            let text = sealed(payload);
            judge(&text);
        }
        text => judge(text),
    }
}

/// A whole snapshot with this payload.
#[must_use]
pub fn sealed(payload: &[u8]) -> Vec<u8> {
    let start = format!(r#"{{"keystead_snapshot":1,"sha256":"{}","payload":"#, sha256(payload));
    [start.as_bytes(), payload, b"}"].concat()
}

/// What binds keys to the source that a snapshot is imported into.
#[must_use]
pub fn binding() -> String {
    sha256(format!("jwks_url\n{JWKS_URL}\n{ISSUER}").as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("it is written");
        out
    })
}

fn judge(text: &[u8]) {
    let snapshot = match Snapshot::parse(text) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            assert_printable(&error.to_string());
            let known = ["not_json", "not_a_snapshot", "version", "checksum", "content"];
            assert!(known.contains(&error.code()), "{}", error.code());
            return;
        }
    };
    let written = snapshot.to_json();
    let again = Snapshot::parse(written.as_bytes()).expect("what was written is read");
    assert_eq!(again, snapshot, "it is another one after {written}");
    assert_eq!(again.to_json(), written);
    assert_guarded(written.as_bytes());
    assert_sound(&snapshot);
    assert_imported(&snapshot);
}

/// No byte of the checksum or the payload can be changed.
fn assert_guarded(written: &[u8]) {
    let start = written.iter().position(|byte| *byte == b':').expect("it has members") + 1;
    for at in [start + 14, start + 40, start + 70, written.len() / 2, written.len() - 4] {
        let mut changed = written.to_vec();
        changed[at] ^= 1;
        assert!(Snapshot::parse(&changed).is_err(), "changed at {at}");
    }
    let cut = &written[..written.len() - 3];
    assert!(Snapshot::parse(cut).is_err(), "cut short");
}

/// What stands in it could have come from a provider.
fn assert_sound(snapshot: &Snapshot) {
    let mut issuers: Vec<_> = snapshot.providers().iter().map(|p| &p.issuer).collect();
    issuers.sort_unstable();
    issuers.dedup();
    assert_eq!(issuers.len(), snapshot.providers().len(), "an issuer stands there twice");
    for source in snapshot.providers().iter().flat_map(|provider| &provider.sources) {
        assert!(matches!(source.kind, "jwks_url" | "discovery"));
        let leaving = source.leaving.iter().map(|leaving| &leaving.key);
        assert!(source.keys.keys().iter().chain(leaving).all(|key| key.kty() != "oct"));
        assert!(source.keys.skipped().is_empty(), "only usable keys are kept");
    }
}

/// What binds keys to a source decides where they go; kind and address only name it.
fn assert_imported(snapshot: &Snapshot) {
    let verifier = verifier();
    let imported = verifier.import_snapshot(snapshot);
    let sources: usize = snapshot.providers().iter().map(|provider| provider.sources.len()).sum();
    assert_eq!(imported.len(), sources, "each source has an outcome");
    let mut taken = false;
    for source in &imported {
        let ours = source.issuer == ISSUER;
        match &source.outcome {
            ImportOutcome::UnknownIssuer => assert!(!ours),
            ImportOutcome::Taken { .. } => {
                assert!(ours, "keys of {} went to another", source.issuer);
                taken = true;
            }
            _ => assert!(ours),
        }
    }
    let status = &verifier.status().providers["idp"];
    assert!(taken || status.keys.is_empty(), "{imported:?}");
    assert!(status.state != "ready", "nobody has asked the source");
    assert_printable(&status.reason);
    // What is held is what would be written, and is newer than nothing that is held.
    let exported = verifier.export_snapshot();
    let text = exported.to_json();
    assert_eq!(Snapshot::parse(text.as_bytes()).expect("it is read"), exported);
    let again = verifier.import_snapshot(snapshot);
    assert!(!again.iter().any(|source| matches!(source.outcome, ImportOutcome::Taken { .. })));
}

fn verifier() -> Verifier {
    let provider = ProviderConfig::new("idp", ISSUER).audiences(["api"]).jwks_url(JWKS_URL);
    let clock = Still(Duration::from_secs(1_800_000_000));
    let nobody_asks = Arc::new(Network::new(b"", false));
    Verifier::builder().provider(provider).clock(Arc::new(clock)).fetch(nobody_asks).build()
}
