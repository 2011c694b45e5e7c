//! Words that a target's inputs are made of, in the form of libFuzzer's dictionaries.

use std::fmt::Write;

use keystead::config;

/// The dictionary of a target: one word in quotes per line. Empty: it has none.
#[must_use]
pub fn of(target: &str) -> String {
    let (json, words) = match target {
        "authorization" => (false, AUTHORIZATION),
        "config" => (false, CONFIG),
        "discovery" => (true, DISCOVERY),
        "jwk_set" => (true, JWK_SET),
        "snapshot" => (true, SNAPSHOT),
        "token" => (true, TOKEN),
        _ => (false, ""),
    };
    let mut out = String::new();
    let reference = if target == "config" { config::reference() } else { String::new() };
    // What stands in backticks: settings, their values and defaults.
    let settings = reference.split('`').skip(1).step_by(2);
    let json = if json { JSON } else { "" };
    let words = words.split('|').chain(json.split('|')).chain(settings);
    for word in words.filter(|word| (1..64).contains(&word.len())) {
        out.push('"');
        for byte in word.bytes() {
            match byte {
                b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
                0x20..0x7f => out.push(char::from(byte)),
                // Writing into a String cannot fail.
                _ => write!(out, "\\x{byte:02x}").expect("it is written"),
            }
        }
        out.push_str("\"\n");
    }
    out
}

const JSON: &str = r#"{"|":|","|["|"]|null|true|1e999|\u0000|\ud800|\u0061"#;
const AUTHORIZATION: &str = "Bearer |bearer|Basic |Digest |,|, Bearer |\n|\t|   ";
const CONFIG: &str =
    "providers:|defaults:|<<: *|&a |*a|!!str |[[|\"\"\"|'''|{|}|- |: |\n  |any|off|http://";
const DISCOVERY: &str = "issuer|jwks_uri|keys|https://|http://|127.0.0.1|[::1]|@|u:hunter2@|%2f|xn--|\
    https://idp.example.test|https://login.example.test/realms/main";
const JWK_SET: &str = "keys|kty|kid|use|sig|enc|key_ops|verify|sign|alg|crv|x|y|n|e|d|k|priv|pub|OKP|\
    EC|RSA|oct|AKP|Ed25519|P-256|P-384|P-521|secp256k1|ML-DSA-44|RS256|ES256|EdDSA|AQAB|AQ==|Aw";
const SNAPSHOT: &str = "keystead_snapshot|sha256|payload|providers|issuer|name|sources|kind|jwks_url|\
    discovery|url|binding|confirmed|keys|leaving|until|key|endpoint|jwks_uri|document|origin|\
    2026-01-01T00:00:00.123456789Z|9999-12-31T23:59:59Z|1969-12-31T23:59:59Z";
const TOKEN: &str = "alg|kid|typ|crit|b64|zip|jwk|jku|x5c|iss|aud|exp|nbf|iat|sub|jti|scope|scp|\
    scopes|tenant|blue|read|none|EdDSA|Ed25519|ES256|HS256|RS256|at+jwt|logout+jwt|application/|\
    1800000000|9223372036854775808|-1|0.5|keystead-api|inside";
