//! A configuration: every mistake says where, what and what instead; to check is to load; no secret
//! is told; and it means the same in YAML, TOML and JSON.
//!
//! The first byte says how the rest is read:
//! * `y`, `t`, `j`: as a file of that format;
//! * `Y`, `T`, `J`: as the end of a file of that format which begins with secrets;
//! * `v`: as lines `NAME=VALUE` of the environment, or `--PATH=VALUE` of flags, over such a file;
//! * anything else: as JSON, to be written in all three formats (this byte included).

use std::collections::BTreeSet;
use std::path::PathBuf;

use keystead::config::{
    self, Config, ConfigFile, Layers, Problem, ProviderConfig, Scope, Standing,
};
use serde_json::Value;

use crate::oracle::assert_printable;

/// Stands for a secret: no sentence of ours holds it.
const MARKER: &str = "zq7Marker7qz";

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, rest) = text.split_at_checked(1).unwrap_or((text, ""));
    match first {
        "y" | "t" | "j" => drop(read(&file(extension(first), rest.to_owned()))),
        "Y" | "T" | "J" => {
            let extension = extension(&first.to_lowercase());
            let layers = file(extension, format!("{}{rest}", secrets(extension)));
            assert_no_secret(&layers, rest, &read(&layers));
        }
        "v" => {
            let layers = over_secrets(rest);
            assert_no_secret(&layers, rest, &read(&layers));
        }
        _ => {
            if let Ok(document) = serde_json::from_str::<Value>(text) {
                assert_one_meaning(&document);
            }
        }
    }
}

/// What became of a configuration.
struct Reading {
    problems: Vec<Problem>,
    config: Option<Config>,
}

fn extension(letter: &str) -> &'static str {
    match letter {
        "t" => "toml",
        "j" => "json",
        _ => "yaml",
    }
}

fn file(extension: &str, text: String) -> Layers {
    let path = PathBuf::from("keystead").with_extension(extension);
    Layers { file: Some(ConfigFile { path, text }), ..Layers::default() }
}

/// Loads, checks, and compares what both say.
fn read(layers: &Layers) -> Reading {
    let problems = config::check(layers);
    for problem in &problems {
        assert_helpful(problem, layers);
    }
    let fatal = problems.iter().any(|problem| problem.scope == Scope::Fatal);
    let config = match Config::load(layers) {
        Ok(config) => {
            assert!(!fatal, "loaded in spite of {problems:?}");
            assert_eq!(config.problems(), problems);
            assert!(!config.providers.is_empty(), "no provider is named");
            assert_standing(&config);
            for notice in config.notices() {
                assert_line(&notice.to_string());
            }
            for (path, value, origin) in config.origins() {
                [path, value, &origin.to_string()].into_iter().for_each(assert_line);
            }
            Some(config)
        }
        Err(error) => {
            assert!(fatal, "refused without a reason");
            assert_eq!(error.problems(), problems);
            None
        }
    };
    Reading { problems, config }
}

/// Where, what, and what to write instead.
fn assert_helpful(problem: &Problem, layers: &Layers) {
    assert_line(&problem.path);
    assert_line(&problem.origin.to_string());
    assert_line(&problem.problem);
    assert!(!problem.problem.is_empty());
    let hint = problem.hint.as_deref().unwrap_or_default();
    assert!(!hint.is_empty(), "no hint: {problem:?}");
    assert_line(hint);
    if let Some(value) = &problem.value {
        assert_line(value);
    }
    // A file as a whole has no path.
    let whole = problem.path.is_empty() && problem.scope == Scope::Fatal;
    assert!(whole || !problem.path.is_empty(), "it stands nowhere: {problem:?}");
    if let (config::Origin::File { line, column, .. }, Some(file)) = (&problem.origin, &layers.file)
    {
        let lines = file.text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
        assert!(*line >= 1 && *column >= 1 && *line as usize <= lines + 1, "{problem:?}");
    }
}

fn assert_line(text: &str) {
    assert_printable(text);
    assert!(text.len() < 4_000, "{} bytes: {text}", text.len());
}

/// A mistake inside a provider is the end of that provider and of no other.
fn assert_standing(config: &Config) {
    let names: BTreeSet<_> = config.providers.iter().map(|provider| &*provider.name).collect();
    assert_eq!(names.len(), config.providers.len(), "a name stands there twice");
    for problem in config.problems() {
        let Scope::Provider(name) = &problem.scope else { continue };
        let provider = config.providers.iter().find(|provider| provider.name == *name);
        assert!(provider.is_some_and(|provider| !provider.is_enabled()), "goes on: {problem:?}");
    }
    let mut issuers = BTreeSet::new();
    for provider in config.providers.iter().filter(|provider| provider.is_enabled()) {
        let policy = &provider.policy;
        assert!(!policy.issuer.is_empty(), "no issuer: {provider:?}");
        for issuer in std::iter::once(&policy.issuer).chain(&policy.aliases) {
            assert!(issuers.insert(issuer.clone()), "two owners of {issuer}");
        }
        assert!(!provider.sources.is_empty(), "no place of keys: {provider:?}");
    }
}

/// The beginning of a file in which the marker stands wherever a secret may.
fn secrets(extension: &str) -> String {
    let document = serde_json::json!({
        "providers": {
            "a": {
                "issuer": "https://idp.example.test",
                "audiences": "api",
                "headers": { "X-Api-Key": MARKER, "Authorization": format!("Bearer {MARKER}") },
                "keys": [
                    format!("{{\"kty\":\"oct\",\"k\":\"{MARKER}\"}}"),
                    format!("-----BEGIN PRIVATE KEY-----\n{MARKER}\n-----END PRIVATE KEY-----"),
                ],
                "jwks_url": format!("https://u:{MARKER}@idp.example.test/keys"),
                "proxy": format!("http://u:{MARKER}@proxy.example.test"),
            },
            "b": {
                "issuer": format!("https://u:{MARKER}@other.example.test"),
                "audiences": "any",
                "jwks_url": format!("https://other.example.test/keys?key={MARKER}"),
                "discovery_url": format!("https://other.example.test/#{MARKER}"),
            },
            // Where they were not meant to be.
            "c": {
                "issuer": format!("-----BEGIN PRIVATE KEY-----\n{MARKER}"),
                "aliases": [format!("{{\"k\":\"{MARKER}\"}}"), format!("eyJ{MARKER}")],
                "audiences": [format!("https://h/?key={MARKER}")],
                "jwks_url": format!("https:/u:{MARKER}@other.example.test/keys"),
                "leeway": format!("[{MARKER}"),
            },
        },
    });
    match extension {
        "toml" => toml::to_string(&document).expect("it is TOML"),
        "json" => {
            // What follows is inside of the document.
            let text = document.to_string();
            format!("{},", text.strip_suffix('}').expect("it is an object"))
        }
        _ => block_yaml(&document),
    }
}

fn over_secrets(lines: &str) -> Layers {
    let mut layers = file("yaml", secrets("yaml"));
    for line in lines.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        match name.strip_prefix("--") {
            Some(path) => layers.flags.push((path.to_owned(), value.to_owned())),
            None => layers.env.push((name.to_owned(), value.to_owned())),
        }
    }
    layers
}

/// Whatever follows, the marker is not told; unless the fuzzer wrote it where it is no secret.
fn assert_no_secret(layers: &Layers, rest: &str, reading: &Reading) {
    if rest.contains(MARKER) {
        return;
    }
    let mut said: Vec<String> = Vec::new();
    for problem in &reading.problems {
        said.extend([problem.to_string(), problem.value.clone().unwrap_or_default()]);
    }
    if let Some(config) = &reading.config {
        said.extend(config.notices().iter().map(ToString::to_string));
        said.extend(config.origins().map(|(path, value, _)| format!("{path} {value}")));
        let of = |p: &ProviderConfig| format!("{:?} {:?}", p.standing, p.sources);
        said.extend(config.providers.iter().map(of));
    }
    for text in said {
        let file = layers.file.as_ref().map_or("", |file| &file.text);
        assert!(!text.contains(MARKER), "a secret is told: {text}\n{file}");
    }
}

/// The same document in all three formats is the same configuration, with the same mistakes.
fn assert_one_meaning(document: &Value) {
    let Some(document) = as_texts(document, 0).filter(Value::is_object) else { return };
    let Ok(toml) = toml::to_string(&document) else { return };
    let json = meaning("json", document.to_string());
    assert_eq!(meaning("toml", toml), json, "TOML is not as JSON: {document}");
    assert_eq!(meaning("yaml", block_yaml(&document)), json, "YAML is not as JSON: {document}");
}

/// What a text means: its mistakes without where they stand, and what becomes of its providers.
fn meaning(extension: &str, text: String) -> (BTreeSet<String>, Option<Vec<ProviderConfig>>) {
    let Reading { problems, config } = read(&file(extension, text));
    let said = problems.into_iter().map(|problem| {
        let Problem { path, value, problem, hint, scope, .. } = problem;
        format!("{path} {value:?} {problem} {hint:?} {scope:?}")
    });
    let providers = config.map(|config| {
        let bare = |mut provider: ProviderConfig| {
            // Of several mistakes the first in the file is named, and formats differ in their order.
            if let Standing::Disabled { reason, .. } = &mut provider.standing {
                reason.clear();
            }
            provider
        };
        config.providers.into_iter().map(bare).collect()
    });
    (said.collect(), providers)
}

/// The document with every scalar as a text, as each format keeps its own words for numbers; none:
/// it cannot be written in all of them.
fn as_texts(value: &Value, depth: usize) -> Option<Value> {
    // YAML has no other way to write some characters, and long names have to be marked in it.
    let plain = |text: &str| {
        let odd = |c: char| {
            c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}')
        };
        !text.contains(odd)
    };
    if depth > 16 {
        return None;
    }
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::String(text) => plain(text).then(|| value.clone())?,
        Value::Array(items) => {
            items.iter().map(|item| as_texts(item, depth + 1)).collect::<Option<Vec<_>>>()?.into()
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                (plain(name) && name.len() < 200).then_some(())?;
                Some((name.clone(), as_texts(value, depth + 1)?))
            });
            Value::Object(members.collect::<Option<_>>()?)
        }
    })
}

/// The document in YAML's own style: by indentation, with names and texts in double quotes.
fn block_yaml(value: &Value) -> String {
    let mut lines = Vec::new();
    write_block(value, 0, &mut lines);
    lines.push(String::new());
    lines.join("\n")
}

fn write_block(value: &Value, indent: usize, lines: &mut Vec<String>) {
    let space = " ".repeat(indent);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                write_item(format!("{space}{}:", Value::from(&**name)), value, indent, lines);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                write_item(format!("{space}-"), item, indent, lines);
            }
        }
        bare => lines.push(format!("{space}{bare}")),
    }
}

fn write_item(start: String, value: &Value, indent: usize, lines: &mut Vec<String>) {
    let nested = match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => false,
    };
    if nested {
        lines.push(start);
        write_block(value, indent + 2, lines);
    } else {
        lines.push(format!("{start} {value}"));
    }
}
