//! `keystead snapshot show`.

use std::fmt::Write;
use std::time::Duration;

use keystead::core::Algorithm;
use keystead::core::text::{escaped, quoted};
use keystead::{Clock, Snapshot, SourceSnapshot, SystemClock, Verifier, timestamp};

use super::super::console::Console;
use super::super::json::{Object, array, pretty};
use super::super::{Exit, Failure, Format};
use super::{ShowArgs, confirmation, key_line, load_with_folder, read};

/// A provider whose file is not used, the code, and why.
type Refused = (String, &'static str, String);

pub(super) fn run(args: &ShowArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (snapshot, refused) = match &args.file {
        Some(path) => (read(path)?, Vec::new()),
        None => kept(args)?,
    };
    let now = SystemClock::new().wall();
    console.data(match args.format {
        Format::Text => text(&snapshot, &refused, now),
        Format::Json => json(&snapshot, &refused, now),
    })?;
    Ok(match (snapshot.providers(), refused.as_slice()) {
        (_, [_, ..]) => Exit::No,
        ([], []) => {
            console.prose("there are no keys in it");
            Exit::CannotJudge
        }
        _ => Exit::Yes,
    })
}

/// What the next start would find.
fn kept(args: &ShowArgs) -> Result<(Snapshot, Vec<Refused>), Failure> {
    let config = load_with_folder(&args.config)?;
    let verifier = Verifier::from_config(config);
    verifier.load();
    let refused = verifier.status().providers.into_iter().filter_map(|(name, provider)| {
        let refused = provider.snapshot?.refused?;
        Some((name, refused.code, refused.detail))
    });
    Ok((verifier.export_snapshot(), refused.collect()))
}

fn text(snapshot: &Snapshot, refused: &[Refused], now: Duration) -> String {
    let mut out = String::new();
    for provider in snapshot.providers() {
        // Writing into a String cannot fail.
        let _infallible =
            writeln!(out, "{}: issuer {}", escaped(&provider.name), quoted(&provider.issuer));
        for source in &provider.sources {
            let confirmed = confirmation(source.confirmed, now);
            let place = format!("{} {}", source.kind, escaped(&source.url));
            let _infallible = writeln!(out, "  {place}, confirmed {confirmed}");
            if let Some(endpoint) = &source.endpoint {
                let _infallible = writeln!(out, "    jwks_uri {}", escaped(&endpoint.jwks_uri));
            }
            for key in source.keys.keys() {
                let _infallible = writeln!(out, "    {}", key_line(key));
            }
        }
    }
    for (name, _, why) in refused {
        let _infallible = writeln!(out, "{name}: not used: {why}");
    }
    out
}

fn json(snapshot: &Snapshot, refused: &[Refused], now: Duration) -> String {
    let providers = snapshot.providers().iter().map(|provider| {
        Object::new()
            .text("name", &provider.name)
            .text("issuer", &provider.issuer)
            .raw("sources", &array(provider.sources.iter().map(|s| source_json(s, now))))
            .finish()
    });
    let refused = refused.iter().map(|(name, code, why)| {
        Object::new().text("provider", name).text("code", code).text("detail", why).finish()
    });
    let all = Object::new().raw("providers", &array(providers)).raw("refused", &array(refused));
    pretty(&all.finish())
}

fn source_json(source: &SourceSnapshot, now: Duration) -> String {
    let keys = source.keys.keys().iter().map(|key| {
        Object::new()
            .maybe("kid", key.kid())
            .text("kty", key.kty())
            .maybe("alg", key.algorithm().map(Algorithm::name))
            .maybe("thumbprint", keystead::thumbprint(key))
            .finish()
    });
    Object::new()
        .text("kind", source.kind)
        .text("url", &source.url)
        .text("confirmed", timestamp(source.confirmed))
        .value("age_seconds", Some(now.saturating_sub(source.confirmed).as_secs()))
        .maybe("jwks_uri", source.endpoint.as_ref().map(|endpoint| endpoint.jwks_uri.as_str()))
        .raw("keys", &array(keys))
        .finish()
}
