//! The form of a snapshot: one JSON document around a payload, with its version and checksum.
//!
//! docs/snapshot.md describes it. It is read by the scanner that reads tokens, and its keys by the
//! room that reads JWK Sets; what it says is taken for nothing that a provider could not say.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use keystead_core::json::{self, Limits, Value};
use keystead_core::text::quoted;
use keystead_core::{Jwk, KeySet, Provenance};
use serde_json::{Map, json};

use super::error::{SnapshotError, SnapshotProblem};
use super::{Endpoint, LeavingKey, ProviderSnapshot, Snapshot, SourceSnapshot};
use crate::crypto::{judged, sha256};

/// How many keys one source may have: twice what is fetched, as old keys may stand beside new ones.
const KEY_LIMIT: usize = 512;
/// The version that is read and written.
const VERSION: &str = "1";
/// The member that makes a document a snapshot.
const MARK: &str = "keystead_snapshot";

/// The snapshot as it is written.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let providers: Vec<_> = snapshot.providers.iter().map(provider_out).collect();
    let payload = json!({ "providers": providers }).to_string();
    let sum = hex(&sha256(payload.as_bytes()));
    format!("{{\"{MARK}\":{VERSION},\"sha256\":\"{sum}\",\"payload\":{payload}}}\n")
}

fn provider_out(provider: &ProviderSnapshot) -> serde_json::Value {
    let sources: Vec<_> = provider.sources.iter().map(source_out).collect();
    json!({ "name": provider.name, "issuer": provider.issuer, "sources": sources })
}

fn source_out(source: &SourceSnapshot) -> serde_json::Value {
    let mut out = json!({
        "kind": source.kind,
        "url": source.url,
        "binding": source.binding,
        "confirmed": moment(source.confirmed),
        "keys": source.keys.keys().iter().map(|key| key_out(key)).collect::<Vec<_>>(),
    });
    if let (false, Some(out)) = (source.leaving.is_empty(), out.as_object_mut()) {
        let leaving = source
            .leaving
            .iter()
            .map(|leaving| json!({ "until": moment(leaving.until), "key": key_out(&leaving.key) }));
        out.insert("leaving".to_owned(), leaving.collect());
    }
    if let (Some(endpoint), Some(out)) = (&source.endpoint, out.as_object_mut()) {
        let Endpoint { jwks_uri, document, origin } = endpoint;
        let endpoint = json!({ "jwks_uri": jwks_uri, "document": document, "origin": origin });
        out.insert("endpoint".to_owned(), endpoint);
    }
    out
}

/// A public key as a JWK.
fn key_out(key: &Jwk) -> serde_json::Value {
    // The members of the thumbprint are the public key, in JSON.
    let mut out: Map<_, _> = serde_json::from_str(&key.thumbprint_input()).unwrap_or_default();
    out.insert("use".to_owned(), "sig".into());
    if let Some(kid) = key.kid() {
        out.insert("kid".to_owned(), kid.into());
    }
    if let Some(algorithm) = key.algorithm() {
        out.insert("alg".to_owned(), algorithm.name().into());
    }
    // That its provider published the private part too is known after a restart as well; or the first
    // answer would be taken for another key.
    if key.private_part_seen() {
        out.insert("d".to_owned(), serde_json::Value::Null);
    }
    out.into()
}

/// Reads a snapshot.
pub(super) fn parse(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    read(bytes).map_err(SnapshotError::new)
}

fn read(bytes: &[u8]) -> Result<Snapshot, SnapshotProblem> {
    let document = json::parse(bytes, Limits::TOKEN).map_err(SnapshotProblem::Json)?;
    let version = document.member(MARK).ok_or(SnapshotProblem::NotASnapshot)?;
    if version.text() != VERSION {
        return Err(SnapshotProblem::Version(version.text().to_owned()));
    }
    let payload = member(document, "payload")?;
    if text(document, "sha256")? != hex(&sha256(payload.text().as_bytes())) {
        return Err(SnapshotProblem::Checksum);
    }
    let mut providers: Vec<ProviderSnapshot> = Vec::new();
    for provider in elements(payload, "providers")? {
        let provider = provider_in(provider)?;
        if providers.iter().any(|other| other.issuer == provider.issuer) {
            return wrong(format!("issuer {} stands there twice", quoted(&provider.issuer)));
        }
        providers.push(provider);
    }
    Ok(Snapshot { providers })
}

fn provider_in(provider: Value<'_>) -> Result<ProviderSnapshot, SnapshotProblem> {
    let sources = elements(provider, "sources")?.map(source_in);
    Ok(ProviderSnapshot {
        name: text(provider, "name")?,
        issuer: text(provider, "issuer")?,
        sources: sources.collect::<Result<_, _>>()?,
    })
}

fn source_in(source: Value<'_>) -> Result<SourceSnapshot, SnapshotProblem> {
    let kind = match &*text(source, "kind")? {
        "jwks_url" => "jwks_url",
        "discovery" => "discovery",
        other => return wrong(format!("keys of a source {} are not restored", quoted(other))),
    };
    let endpoint = |value: Value<'_>| {
        let part = |name| text(value, name);
        Ok(Endpoint {
            jwks_uri: part("jwks_uri")?,
            document: part("document")?,
            origin: part("origin")?,
        })
    };
    // A document like any other: a shared secret in it is refused, and so is a weak key.
    let keys = KeySet::parse(source.text().as_bytes(), Provenance::Network, KEY_LIMIT);
    let keys = judged(keys.map_err(|problem| SnapshotProblem::Content(problem.to_string()))?);
    let leaving = match source.member("leaving") {
        Some(_) => elements(source, "leaving")?.filter_map(leaving_in).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    Ok(SourceSnapshot {
        kind,
        url: text(source, "url")?,
        binding: text(source, "binding")?,
        confirmed: time(source, "confirmed")?,
        endpoint: source.member("endpoint").map(endpoint).transpose()?,
        leaving,
        keys: KeySet::new(keys.keys().iter().map(|key| Jwk::clone(key))),
    })
}

/// A key that is leaving; none if it cannot be used any more.
fn leaving_in(leaving: Value<'_>) -> Option<Result<LeavingKey, SnapshotProblem>> {
    let read = || Ok((member(leaving, "key")?, time(leaving, "until")?));
    let (key, until) = match read() {
        Ok(read) => read,
        Err(problem) => return Some(Err(problem)),
    };
    let key = judged(KeySet::new(Jwk::parse(key, Provenance::Network)));
    Some(Ok(LeavingKey { key: Arc::clone(key.keys().first()?), until }))
}

fn time(value: Value<'_>, name: &str) -> Result<Duration, SnapshotProblem> {
    let time = humantime::parse_rfc3339(&text(value, name)?).ok();
    let time = time.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    let read = |time| Ok(to_the_millisecond(time));
    time.map_or_else(|| wrong(format!("\"{name}\" is no time")), read)
}

fn member<'a>(value: Value<'a>, name: &str) -> Result<Value<'a>, SnapshotProblem> {
    value.member(name).map_or_else(|| wrong(format!("member \"{name}\" is missing")), Ok)
}

fn text(value: Value<'_>, name: &str) -> Result<String, SnapshotProblem> {
    let text = member(value, name)?.as_str();
    text.map_or_else(|| wrong(format!("member \"{name}\" is no string")), |t| Ok(t.into_owned()))
}

fn elements<'a>(
    value: Value<'a>,
    name: &str,
) -> Result<impl Iterator<Item = Value<'a>> + use<'a>, SnapshotProblem> {
    let elements = member(value, name)?.elements();
    elements.map_or_else(|| wrong(format!("member \"{name}\" is no array")), Ok)
}

fn wrong<T>(what: String) -> Result<T, SnapshotProblem> {
    Err(SnapshotProblem::Content(what))
}

/// A wall time to the millisecond.
fn moment(wall: Duration) -> String {
    let longest = Duration::from_secs(253_402_300_799); // the last second of the year 9999
    humantime::format_rfc3339_millis(UNIX_EPOCH + wall.min(longest)).to_string()
}

/// As a snapshot writes it down, so that what is read equals what was recorded.
pub(super) fn to_the_millisecond(wall: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX))
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing into a String cannot fail.
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "the texts that are cut are ASCII")]
mod tests {
    use keystead_core::{Algorithm, Material};
    use proptest::prelude::*;

    use super::*;

    const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a","use":"sig"}"#;
    const GOLDEN: &str = concat!(
        r#"{"keystead_snapshot":1,"#,
        r#""sha256":"7399100503172a860c77b49046f27fa21da00fe70709bde3ae7048fe189c31d0","#,
        r#""payload":{"providers":[{"issuer":"https://idp.example","name":"idp","sources":["#,
        r#"{"binding":"00ff","confirmed":"2026-01-01T00:00:00.250Z","#,
        r#""endpoint":{"document":"https://idp.example/d","jwks_uri":"https://idp.example/k","#,
        r#""origin":"document"},"#,
        r#""keys":[{"crv":"Ed25519","kid":"a","kty":"OKP","use":"sig","#,
        r#""x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}],"#,
        r#""kind":"discovery","url":"https://idp.example/d"}]}]}}"#,
        "\n"
    );

    fn keys(jwks: &[&str]) -> KeySet {
        let text = format!(r#"{{"keys":[{}]}}"#, jwks.join(","));
        KeySet::parse(text.as_bytes(), Provenance::Network, 9).unwrap()
    }

    fn snapshot(keys: KeySet) -> Snapshot {
        let endpoint = Endpoint::new(
            "https://idp.example/k".to_owned(),
            "https://idp.example/d".to_owned(),
            "document",
        );
        let source = SourceSnapshot {
            kind: "discovery",
            url: "https://idp.example/d".to_owned(),
            confirmed: Duration::from_millis(1_767_225_600_250),
            keys,
            endpoint: Some(endpoint),
            leaving: Vec::new(),
            binding: "00ff".to_owned(),
        };
        let (name, issuer) = ("idp".to_owned(), "https://idp.example".to_owned());
        Snapshot { providers: vec![ProviderSnapshot { name, issuer, sources: vec![source] }] }
    }

    /// A document around this payload, with the checksum that fits it.
    fn sealed(payload: &str) -> String {
        let sum = hex(&sha256(payload.as_bytes()));
        format!(r#"{{"keystead_snapshot":1,"sha256":"{sum}","payload":{payload}}}"#)
    }

    fn code(text: &str) -> &'static str {
        parse(text.as_bytes()).unwrap_err().code()
    }

    #[test]
    fn the_form_is_the_one_that_is_documented() {
        assert_eq!(render(&snapshot(keys(&[ED25519]))), GOLDEN);
        assert_eq!(parse(GOLDEN.as_bytes()).unwrap(), snapshot(keys(&[ED25519])));
    }

    #[test]
    fn every_kind_of_key_comes_back_as_it_was() {
        let point = |n: u8, len: usize| -> Box<[u8]> { vec![n; len].into() };
        let rsa = Material::Rsa { n: vec![0xff; 256].into(), e: Box::new([1, 0, 1]) };
        let ed25519 = keys(&[ED25519]).keys()[0].material().clone();
        let ml_dsa = Material::MlDsa { algorithm: Algorithm::MlDsa44, public: point(7, 1_312) };
        let all = KeySet::new([
            Jwk::new(Some("\u{0}\"\\\u{1f600}\u{202e}"), None, ed25519).unwrap(),
            Jwk::new(Some(""), Some(Algorithm::Ps512), rsa.clone()).unwrap(),
            Jwk::new(None, None, rsa).unwrap().with_private_part_seen(),
            Jwk::new(None, Some(Algorithm::MlDsa44), ml_dsa.clone()).unwrap(),
            Jwk::new(Some("m"), Some(Algorithm::MlDsa44), ml_dsa).unwrap().with_private_part_seen(),
        ]);
        let mut written = snapshot(all.clone());
        let until = Duration::from_millis(1_767_225_999_001);
        let leaving = all.keys().iter().map(|key| LeavingKey { key: Arc::clone(key), until });
        written.providers[0].sources[0].leaving = leaving.collect();
        assert_eq!(parse(render(&written).as_bytes()).unwrap(), written);
    }

    #[test]
    fn what_is_no_whole_snapshot_of_this_version_is_refused_by_name() {
        assert_eq!(code(""), "not_json");
        assert_eq!(code("{}"), "not_a_snapshot");
        assert_eq!(code("[1]"), "not_a_snapshot");
        assert_eq!(code(r#"{"keys":[]}"#), "not_a_snapshot");
        for version in ["2", "10", "1.0", "\"1\"", "null"] {
            let text = GOLDEN.replace(":1,", &format!(":{version},"));
            assert_eq!(code(&text), "version", "{version}");
        }
        assert_eq!(code(&GOLDEN.replace("f27f", "F27F")), "checksum");
        assert_eq!(code(&GOLDEN.replace("idp\"", "ipd\"")), "checksum");
        assert_eq!(code(r#"{"keystead_snapshot":1,"payload":{}}"#), "content");
        for payload in [
            "{}",
            "[]",
            r#"{"providers":{}}"#,
            r#"{"providers":[{"name":"a","issuer":"b","sources":[{"kind":"file"}]}]}"#,
            r#"{"providers":[{"name":"a","issuer":1,"sources":[]}]}"#,
            r#"{"providers":[{"name":"a","issuer":"i","sources":[]},{"name":"b","issuer":"i","sources":[]}]}"#,
        ] {
            assert_eq!(code(&sealed(payload)), "content", "{payload}");
        }
        let payload = &GOLDEN[GOLDEN.find("{\"providers").unwrap()..GOLDEN.len() - 2];
        assert_eq!(parse(sealed(payload).as_bytes()).unwrap(), snapshot(keys(&[ED25519])));
        for (is, becomes) in [
            ("2026-01-01T00:00:00.250Z", "yesterday"),
            ("2026-01-01T00:00:00.250Z", "1969-12-31T23:59:59Z"),
            ("\"keys\":", "\"kays\":"),
            ("\"jwks_uri\":", "\"uri\":"),
        ] {
            assert_eq!(code(&sealed(&payload.replace(is, becomes))), "content", "{becomes}");
        }
    }

    /// Whoever may write the file may name keys; but nothing that no provider could.
    #[test]
    fn secrets_and_keys_that_cannot_be_used_are_not_restored() {
        let payload = &GOLDEN[GOLDEN.find("{\"providers").unwrap()..GOLDEN.len() - 2];
        let (start, end) = (payload.find("[{\"crv").unwrap(), payload.find(",\"kind\"").unwrap());
        let key = &payload[start..end];
        let secret = r#"{"kty":"oct","k":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"}"#;
        let off_curve = r#"{"kty":"EC","crv":"P-256","x":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE","y":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}"#;
        let mixed = format!("[{secret},{off_curve},{ED25519}]");
        let read = parse(sealed(&payload.replace(key, &mixed)).as_bytes()).unwrap();
        assert_eq!(read, snapshot(keys(&[ED25519])));
        let until = "2026-01-02T00:00:00Z";
        let leaving = [secret, off_curve, ED25519]
            .map(|key| format!(r#"{{"key":{key},"until":"{until}"}}"#))
            .join(",");
        let with = |leaving: &str| payload.replace(key, &format!(r#"{key},"leaving":[{leaving}]"#));
        let read = parse(sealed(&with(&leaving)).as_bytes()).unwrap();
        assert_eq!(read.providers[0].sources[0].leaving.len(), 1);
        assert_eq!(code(&sealed(&with(&leaving.replace(until, "soon")))), "content");
    }

    #[test]
    fn a_text_cut_short_anywhere_is_refused() {
        for end in 0..GOLDEN.len() - 1 {
            assert!(parse(&GOLDEN.as_bytes()[..end]).is_err(), "{end} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _either = parse(&bytes);
        }

        #[test]
        fn any_json_inside_a_sealed_payload_is_read_without_panic(
            at in 0..GOLDEN.len(), noise in "[\\[\\]{}\",:a-z0-9]{0,8}"
        ) {
            let payload = GOLDEN[GOLDEN.find("{\"providers").unwrap()..].trim_end();
            let payload = &payload[..payload.len() - 1];
            let at = at % payload.len();
            let torn = format!("{}{noise}{}", &payload[..at], &payload[at + 1..]);
            let _either = parse(sealed(&torn).as_bytes());
        }

        #[test]
        fn one_changed_byte_is_refused_or_changes_nothing(
            at in 0..GOLDEN.len(), byte in any::<u8>()
        ) {
            let mut changed = GOLDEN.as_bytes().to_vec();
            changed[at] = byte;
            if let Ok(read) = parse(&changed) {
                prop_assert_eq!(read, snapshot(keys(&[ED25519])));
            }
        }
    }
}
