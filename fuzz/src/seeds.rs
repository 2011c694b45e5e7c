//! What the fuzzer starts from: our own vectors, examples and documents, put into the form that each
//! target reads. Made anew for each run; nothing of it is kept.

use std::fs;
use std::path::{Path, PathBuf};

use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::{snapshot, token};

/// The seeds of a target.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "authorization" => authorization(),
        "config" => configs(),
        "discovery" => documents(),
        "jwk_set" => key_sets().into_iter().map(|set| set.to_string().into_bytes()).collect(),
        "lifecycle" => lifecycles(),
        "snapshot" => snapshots(),
        "token" => tokens(),
        _ => Vec::new(),
    }
}

fn authorization() -> Vec<Vec<u8>> {
    let values = jsonl("crates/keystead-server/tests/data/http_requests.jsonl");
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for request in &values {
        let headers = request["headers"].as_array().into_iter().flatten();
        let lines = headers.filter(|header| header[0] == "Authorization");
        let lines: Vec<&str> = lines.filter_map(|header| header[1].as_str()).collect();
        seeds.push(lines.join("\n").into_bytes());
    }
    seeds.extend(token::good_tokens().iter().map(|token| format!("Bearer {token}").into_bytes()));
    let others: [&[u8]; 9] = [
        b"Bearer a,Bearer b",
        b"Bearer a, bearer b",
        b"Basic dTpw,Bearer b",
        b", Bearer b",
        b"Bearer \xff",
        b"Bearer a.\xff.c",
        b"Digest username=\"a\", realm=\"b\"",
        b"eyJhbGciOiJub25lIn0.e30.",
        b"  Bearer a.b.c \t",
    ];
    seeds.extend(others.map(<[u8]>::to_vec));
    seeds
}

/// The tokens of the vectors as they are, and once more as what one of our keys signs.
fn tokens() -> Vec<Vec<u8>> {
    let text = |token: &str| format!("00{token}").into_bytes();
    let signed = |(signer, header, payload): (usize, String, String)| {
        let how = char::from(b'3' + u8::try_from(signer).expect("there are five"));
        format!("{how}0{header}\n{payload}").into_bytes()
    };
    let mut seeds: Vec<_> = token::good_tokens().iter().map(|token| text(token)).collect();
    seeds.extend(token::good().into_iter().map(signed));
    let good = token::good();
    let (_, own_header, own_payload) = &good[0];
    for token in vectors().iter().filter_map(|case| case["input"]["token"].as_str()) {
        if token.len() > 4_000 {
            continue;
        }
        seeds.push(text(token));
        let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode_to_vec(part).ok());
        let (Some(Some(header)), Some(Some(payload))) = (parts.next(), parts.next()) else {
            continue;
        };
        seeds.push([b"30", own_header.as_bytes(), b"\n", &payload].concat());
        seeds.push([b"30", &re_keyed(&header)[..], b"\n", own_payload.as_bytes()].concat());
    }
    seeds
}

/// The header of a vector, for the first of our keys.
fn re_keyed(header: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(header) else {
        return header.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect();
    };
    members.insert("alg".to_owned(), "EdDSA".into());
    members.insert("kid".to_owned(), "shared".into());
    Value::Object(members).to_string().into_bytes()
}

/// Every key set of the vectors once, and those of the testkit's faults.
fn key_sets() -> Vec<Value> {
    let mut sets = Vec::new();
    for case in vectors() {
        let input = &case["input"];
        let providers = input["providers"].as_array().into_iter().flatten();
        for jwks in providers.chain([input]).map(|provider| &provider["jwks"]) {
            if jwks.is_object() && jwks.to_string().len() < 4_000 {
                sets.push(jwks.clone());
            }
        }
    }
    sets.extend(token::key_sets());
    sets
}

fn documents() -> Vec<Vec<u8>> {
    let issuer = crate::discovery::ISSUER;
    let keys = ["https://idp.example.test/keys", "https://keys.example.test:8443/k?v=1"];
    let refused =
        ["http://idp.example.test/keys", "https://u:hunter2@h/", "abc", "", "https://[::1]/"];
    let mut seeds = Vec::new();
    for jwks_uri in keys.iter().chain(&refused) {
        let document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/protocol/openid-connect/auth"),
            "token_endpoint": format!("{issuer}/protocol/openid-connect/token"),
            "jwks_uri": jwks_uri,
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "claims_parameter_supported": true,
        });
        for flags in ["0", "1", "2"] {
            seeds.push(format!("{flags}{document}").into_bytes());
        }
    }
    let alias = json!({ "jwks_uri": keys[0], "issuer": "https://login.example.test/realms/main" });
    let other = json!({ "jwks_uri": keys[0], "issuer": format!("{issuer}/") });
    seeds.push(format!("0{alias}").into_bytes());
    seeds.push(format!("0\u{feff}{alias}").into_bytes());
    seeds.push(format!("0{other}").into_bytes());
    seeds.push(b"2<!doctype html><title>Sign in</title>".to_vec());
    seeds
}

/// The configurations of the documentation in the format they are written in, and every one that
/// can be written in all formats as that.
fn configs() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for page in pages() {
        for (language, block) in blocks(&page) {
            let Some(letter) = ["yaml", "toml", "json"].iter().position(|l| *l == language) else {
                continue;
            };
            let (plain, secret) = [("y", "Y"), ("t", "T"), ("j", "J")][letter];
            seeds.push(format!("{plain}{block}").into_bytes());
            seeds.push(format!("{secret}{block}").into_bytes());
            if language == "json" {
                seeds.push(block.into_bytes());
            }
        }
    }
    seeds.extend(documents_of_settings());
    for lines in [
        "KEYSTEAD_LISTEN=127.0.0.1:9\nKEYSTEAD_PROVIDERS__A__ISSUER=https://x.example",
        "KEYSTEAD_PROVIDERS__B__HEADERS={\"X\":\"y\"}\n--providers.b.audiences=a,b",
        "--log.level=debug\nHTTPS_PROXY=http://proxy.example:3128\nNO_PROXY=.example,10.0.0.0/8",
        "KEYSTEAD_PROVIDERS__A__REQUIRED_CLAIMS={\"groups\":[\"a\",\"b\"]}\n--drain=5s",
    ] {
        seeds.push(format!("v{lines}").into_bytes());
    }
    seeds
}

/// One configuration per kind of setting, in JSON and thereby in all formats.
fn documents_of_settings() -> Vec<Vec<u8>> {
    let whole = json!({
        "version": 1,
        "listen": "127.0.0.1:8080",
        "admin_listen": "unix:/run/keystead.sock",
        "state_dir": "/var/lib/keystead",
        "ready_when": ["keycloak"],
        "refusal_detail": "hint",
        "drain": "2s",
        "log": { "format": "json", "level": "info", "decisions": "all" },
        "limits": { "token": "16KiB", "connections": 1024, "body": "64KiB" },
        "defaults": { "leeway": "30s", "algorithms": ["RS256", "ES256"], "max_stale": "forever" },
        "providers": {
            "keycloak": {
                "issuer": "https://keycloak.acme.example/realms/a",
                "aliases": ["https://login.acme.example/realms/a"],
                "audiences": ["catalog"],
                "typ": "at+jwt",
                "required_claims": { "tenant": ["a", "b"], "sub": "any" },
                "scopes": ["read"],
                "max_token_age": "12h",
                "jwks_url": "http://keycloak:8080/realms/a/protocol/openid-connect/certs",
                "refresh_interval": "5m",
                "removed_key_grace": "48h",
                "headers": { "X-Api-Key": "secret" },
                "private_addresses": "any",
            },
            "local": {
                "issuer": "inside",
                "audiences": "any",
                "keys": { "kty": "OKP", "crv": "Ed25519", "x": "27qTwp0lm3MzuFMGDSgWEmF1U4rhB0q36izq3zLOZ0o" },
            },
            "wrong": { "isuer": "x", "audiences": [], "jwks_url": "abc", "leeway": "1 day" },
            "off": { "use": "off" },
        },
    });
    let mut seeds = vec![whole.to_string().into_bytes(), format!("j{whole}").into_bytes()];
    let members = whole["providers"].as_object().expect("it is an object");
    for (name, provider) in members {
        seeds.push(json!({ "providers": { (name): provider } }).to_string().into_bytes());
        let toml = toml::to_string(&json!({ "providers": { (name): provider } }));
        seeds.extend(toml.ok().map(|text| [b"t", text.as_bytes()].concat()));
    }
    seeds
}

fn snapshots() -> Vec<Vec<u8>> {
    let keys = &token::key_sets()[0]["keys"];
    let source = json!({
        "kind": "jwks_url",
        "url": "https://idp.example.test/keys",
        "binding": snapshot::binding(),
        "confirmed": "2026-01-01T00:00:00.250Z",
        "keys": keys,
    });
    let mut exact = source.clone();
    exact["confirmed"] = "2026-01-01T00:00:00.123456789Z".into();
    let mut secret = source.clone();
    secret["keys"] = token::key_sets()[1]["keys"].clone();
    let mut leaving = source.clone();
    leaving["leaving"] = json!([{ "until": "2027-06-01T00:00:00Z", "key": keys[1] }]);
    leaving["confirmed"] = "2027-01-15T07:59:00Z".into();
    let discovered = json!({
        "kind": "discovery",
        "url": "https://other.example.test/d",
        "binding": "00ff",
        "confirmed": "2026-01-01T00:00:00Z",
        "endpoint": {
            "jwks_uri": "https://other.example.test/k",
            "document": "https://other.example.test/d",
            "origin": "document",
        },
        "keys": keys,
    });
    let main = "https://idp.example.test/realms/main";
    let provider = |name: &str, issuer: &str, sources: Value| json!({ "name": name, "issuer": issuer, "sources": sources });
    let payloads = [
        json!({ "providers": [] }),
        json!({ "providers": [provider("idp", main, json!([source]))] }),
        json!({ "providers": [provider("idp", main, json!([leaving, source]))] }),
        json!({ "providers": [provider("idp", main, json!([secret]))] }),
        json!({ "providers": [provider("idp", main, json!([exact]))] }),
        json!({ "providers": [
            provider("idp", main, json!([leaving])),
            provider("other", "https://other.example.test", json!([discovered])),
        ] }),
    ];
    let mut seeds = Vec::new();
    for payload in payloads {
        let payload = payload.to_string();
        seeds.push(format!("p{payload}").into_bytes());
        seeds.push(snapshot::sealed(payload.as_bytes()));
    }
    seeds
}

/// Any bytes are a story; these are long enough to be one.
fn lifecycles() -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..32).map(|n| (0..n * 16 + 32).map(|_| byte()).collect()).collect()
}

fn vectors() -> Vec<Value> {
    let files = ["attacks", "idp_shapes", "multi_issuer"];
    let path = |file| format!("crates/keystead-server/tests/vectors/{file}.jsonl");
    files.iter().flat_map(|file| jsonl(&path(file))).collect()
}

fn jsonl(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join(path)).expect("the file is there");
    // Some cases are about what no JSON reader takes.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn pages() -> Vec<String> {
    let mut paths = vec![root().join("README.md")];
    let docs = fs::read_dir(root().join("docs")).expect("the folder is there");
    paths.extend(docs.map(|entry| entry.expect("it can be read").path()));
    paths.sort();
    let pages = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "md"));
    pages.map(|path| fs::read_to_string(path).expect("it is text")).collect()
}

/// The fenced blocks of a page, each with its language.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(words), None) => {
                let language = words.split(' ').next().unwrap_or_default();
                open = Some((language.to_owned(), String::new()));
            }
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
