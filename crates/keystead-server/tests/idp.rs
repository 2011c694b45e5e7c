//! `keystead idp`, as a developer uses it to try a service: one process plays the provider, others
//! tell it what to do.
#![cfg(feature = "idp")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A provider in a process of its own, which ends with the test.
struct Provider {
    process: Child,
    control: String,
    described: String,
}

impl Provider {
    fn start(arguments: &[&str]) -> Self {
        let ports = ["idp", "serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
        let process =
            keystead(&[&ports[..], arguments].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let mut provider = Self { process, control: String::new(), described: String::new() };
        let mut lines = BufReader::new(provider.process.stdout.take().unwrap());
        while provider.control.is_empty() {
            let mut line = String::new();
            assert!(
                lines.read_line(&mut line).unwrap() > 0,
                "it ended after {}",
                provider.described
            );
            if let Some(control) = line.strip_prefix("control ") {
                control.trim_end().clone_into(&mut provider.control);
            }
            provider.described.push_str(&line);
        }
        provider
    }

    /// Tells it what to do; what it answers.
    fn tell(&self, verb: &str, arguments: &[&str]) -> Output {
        let told = ["idp", verb, "--control", &self.control];
        keystead(&[&told[..], arguments].concat()).output().unwrap()
    }

    fn told(&self, verb: &str, arguments: &[&str]) -> String {
        let output = self.tell(verb, arguments);
        assert!(output.status.success(), "{verb}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.told("state", &["--format", "json"])).unwrap()
    }

    fn issuer(&self, realm: &str) -> String {
        self.state()["realms"][realm]["issuer"].as_str().unwrap().to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

fn keystead(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Verifies a token of an issuer whose keys are discovered, without a configuration.
fn verify(issuer: &str, audience: &str, token: &str) -> (i32, String) {
    let arguments = ["verify", "--issuer", issuer, "--audience", audience];
    let mut child =
        keystead(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), text(&output.stderr).to_owned())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_minted_token_is_good_until_its_key_is_withdrawn() {
    let provider = Provider::start(&["--realm", "akko"]);
    let issuer = provider.issuer("akko");
    assert!(provider.described.contains(&format!("akko: issuer {issuer}\n")));
    let token = provider.told("mint", &["--aud", "catalog", "--claim", "groups=[\"a\"]"]);
    assert_eq!(verify(&issuer, "catalog", &token).0, 0);
    let (code, stderr) = verify(&issuer, "billing", &token);
    assert_eq!(code, 1);
    assert!(stderr.contains("code: audience.not_accepted"), "{stderr}");

    let old = provider.state()["realms"]["akko"]["keys"][0]["kid"].as_str().unwrap().to_owned();
    let new = provider.told("rotate", &[]);
    assert_ne!(new, old);
    let newer = provider.told("mint", &["--aud", "catalog"]);
    assert_eq!(verify(&issuer, "catalog", &token).0, 0, "the old key is still published");
    assert_eq!(verify(&issuer, "catalog", &newer).0, 0);

    assert_eq!(provider.told("withdraw", &[&old]), old);
    let (code, stderr) = verify(&issuer, "catalog", &token);
    assert_eq!(code, 1);
    assert!(stderr.contains("code: key.unknown_kid"), "{stderr}");
    assert_eq!(verify(&issuer, "catalog", &newer).0, 0);
}

#[test]
fn a_provider_that_is_down_cannot_be_judged_for_until_it_is_up() {
    let provider = Provider::start(&[]);
    let issuer = provider.issuer("demo");
    let token = provider.told("mint", &["--aud", "catalog"]);
    assert_eq!(provider.told("down", &[]), "down");
    assert_eq!(provider.state()["up"], false);
    let (code, stderr) = verify(&issuer, "catalog", &token);
    assert_eq!(code, 69);
    assert!(stderr.contains("cannot judge: no usable key of this issuer is known"), "{stderr}");
    assert!(stderr.contains("flags: cold (no usable key is held; discovery http://"), "{stderr}");
    assert_eq!(provider.told("up", &[]), "up");
    assert_eq!(verify(&issuer, "catalog", &token).0, 0);
}

#[test]
fn realms_are_issuers_of_their_own() {
    let alias = "https://login.acme.example/realms/b";
    let named = format!("b={alias}");
    let provider = Provider::start(&["--realm", "a", "--realm", &named, "--alg", "EdDSA"]);
    assert_eq!(provider.issuer("b"), alias);
    let token = provider.told(
        "mint",
        &["--realm", "b", "--aud", "x", "--aud", "y", "--sub", "bob", "--expires-in", "-100"],
    );
    let (code, stderr) = verify(&provider.issuer("a"), "x", &token);
    assert_eq!(code, 1);
    assert!(stderr.contains(&format!("issuer \"{alias}\" is not configured")), "{stderr}");
    let keys = provider.state()["realms"]["b"]["jwks_url"].as_str().unwrap().to_owned();
    let arguments = ["verify", "--issuer", alias, "--audience", "y", "--jwks-url", &keys];
    let mut child = keystead(&arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("code: token.expired"), "{}", text(&output.stderr));
    assert!(provider.told("state", &[]).contains("a: issuer http://127.0.0.1:"));

    let which = provider.tell("mint", &["--aud", "x"]);
    assert_eq!(which.status.code(), Some(64));
    assert!(text(&which.stderr).contains("name one of them: \"a\", \"b\""));
}

#[test]
fn a_provider_misbehaves_as_told_until_it_is_healed() {
    let provider = Provider::start(&[]);
    let issuer = provider.issuer("demo");
    let token = provider.told("mint", &["--aud", "catalog"]);
    for (fault, said) in [
        (&["html"][..], "the answer is HTML"),
        (&["empty_set"], "the set is empty"),
        (&["status_503", "--document", "jwks", "--for", "1h"], "answered 503"),
        (&["oversized", "--document", "jwks", "--amount", "600000"], "more than 524288 bytes"),
        (&["wrong_issuer", "--realm", "demo"], "somebody.else.example"),
        (&["reset"], "the connection broke"),
    ] {
        assert_eq!(provider.told("fault", fault), fault[0]);
        let (code, stderr) = verify(&issuer, "catalog", &token);
        assert_eq!(code, 69, "{fault:?}: {stderr}");
        assert!(stderr.contains(said), "{fault:?}: {stderr}");
        assert!(!provider.state()["served"][fault[0]].is_null());
        assert_eq!(provider.told("heal", &[]), "healed");
        assert_eq!(verify(&issuer, "catalog", &token).0, 0);
    }
    assert_eq!(provider.told("fault", &["down"]), "down");
    assert_eq!(provider.state()["up"], false);
    provider.told("heal", &[]);
    assert_eq!(provider.state()["up"], true);

    provider.told("fault", &["html", "--document", "discovery", "--requests", "7"]);
    let shown = provider.told("state", &[]);
    let order = "order html: begun true, document discovery, left 7, met 0, requests 7\n";
    assert!(shown.contains(order), "{shown}");
    assert!(shown.contains("served html: connections 0, discovery 1, jwks 0"), "{shown}");

    let kid = provider.told("recreate", &[]);
    assert_eq!(provider.state()["realms"]["demo"]["keys"][0]["kid"], kid.as_str());
}

#[test]
fn a_script_is_a_file_of_orders() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let script = file("script", "# boots\n{\"fault\": \"status_503\"}\n{\"fault\": \"html\"}\n");
    let provider = Provider::start(&["--faults", &script]);
    let token = provider.told("mint", &["--aud", "catalog"]);
    let issuer = provider.issuer("demo");
    assert_eq!(verify(&issuer, "catalog", &token).0, 69);
    provider.told("heal", &[]);
    assert_eq!(verify(&issuer, "catalog", &token).0, 0);
    assert_eq!(provider.told("script", &[&script]), "2 orders");
    assert_eq!(verify(&issuer, "catalog", &token).0, 69);

    let wrong = file("wrong", "{\"fault\": \"html\"}\n{\"fault\": \"htlm\"}\n");
    let output = provider.tell("script", &[&wrong]);
    assert_eq!(output.status.code(), Some(64));
    let said = format!("{wrong}: line 2: there is no fault \"htlm\"");
    assert!(text(&output.stderr).contains(&said), "{}", text(&output.stderr));
    let tls = file("tls", "{\"fault\": \"tls_expired\"}\n");
    let output = keystead(&["idp", "--listen", "127.0.0.1:0", "--faults", &tls]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("needs a provider that serves over TLS"));
    let large = file("large", &"#".repeat(300 * 1024));
    assert_eq!(provider.tell("script", &[&large]).status.code(), Some(64));
    assert_eq!(provider.tell("script", &["/nowhere/at/all"]).status.code(), Some(1));
}

#[test]
fn a_provider_over_tls_writes_its_ca_down() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let provider = Provider::start(&["--tls", ca.to_str().unwrap()]);
    assert!(provider.issuer("demo").starts_with("https://127.0.0.1:"));
    assert!(std::fs::read_to_string(&ca).unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"));
    provider.told("fault", &["tls_expired", "--requests", "3"]);
    let order = serde_json::json!(
        {"fault": "tls_expired", "requests": 3, "begun": true, "met": 0, "left": 3}
    );
    assert_eq!(provider.state()["orders"], serde_json::json!([order]));
}

#[test]
fn the_catalogue_needs_no_provider() {
    let listed = keystead(&["idp", "faults"]).stdout(Stdio::piped()).output().unwrap();
    assert!(text(&listed.stdout).starts_with("down                     The port is closed"));
    let json = keystead(&["idp", "faults", "--format", "json"]).output().unwrap();
    let catalogue: Vec<Value> = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(catalogue.len(), text(&listed.stdout).lines().count());
    let oversized = catalogue.iter().find(|entry| entry["name"] == "oversized").unwrap();
    assert_eq!(oversized["amount"]["default"], 524_289);
}

#[test]
fn what_makes_no_sense_is_usage_and_nobody_there_is_no() {
    let code = |arguments: &[&str]| keystead(arguments).output().unwrap().status.code().unwrap();
    assert_eq!(code(&["idp", "serve", "--listen", "192.0.2.1:0"]), 64, "not loopback");
    assert_eq!(code(&["idp", "serve", "--realm", "a b"]), 64);
    assert_eq!(code(&["idp", "mint"]), 64, "no audience");
    assert_eq!(code(&["idp", "mint", "--aud", "x", "--claim", "groups"]), 64);
    assert_eq!(code(&["idp", "serve", "--alg", "RS257"]), 64);
    assert_eq!(code(&["idp", "fault"]), 64, "no fault");
    assert_eq!(code(&["idp", "fault", "htlm"]), 64);
    assert_eq!(code(&["idp", "fault", "html", "--document", "keys"]), 64);
    assert_eq!(code(&["idp", "fault", "html", "--for", "soon"]), 64);
    assert_eq!(code(&["idp", "fault", "html", "--for", "1s", "--requests", "1"]), 64);
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(code(&["idp", "up", "--control", &free.to_string()]), 1);
}

/// Ends like every program that is told to, and leaves its port free.
#[test]
fn it_ends_when_it_is_told_to() {
    let mut provider = Provider::start(&[]);
    let control = provider.control.clone();
    let process = provider.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    assert_eq!(provider.process.wait().unwrap().code(), Some(0));
    assert!(std::net::TcpStream::connect(control).is_err());
}
