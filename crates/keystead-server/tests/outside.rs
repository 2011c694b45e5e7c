//! What the outside sees of each state: one word, in status, readiness, log and metrics.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod support;

use keystead_testkit::idp::{Idp, IdpConfig};
use serde_json::Value;
use support::Server;

const KEY: &str = r#"'{"kty":"OKP","crv":"Ed25519","kid":"test-1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'"#;
const STATES: [&str; 5] = ["cold", "ready", "stale", "expired", "disabled"];

/// A provider in a state, and what is seen of it.
struct Row {
    name: &'static str,
    settings: String,
    state: &'static str,
    /// How its reason begins.
    reason: &'static str,
    /// Whether `ready_when` that names it is satisfied, and so is `all`.
    ready: [bool; 2],
}

fn rows(idp: &Idp) -> Vec<Row> {
    let jwks = idp.jwks_url("akko").unwrap();
    let issuer = idp.issuer("akko").unwrap();
    let row = |name, state, reason, ready, settings: String| {
        let settings = format!("audiences: any\n{settings}");
        Row { name, settings, state, reason, ready }
    };
    let dead = "jwks_url: http://127.0.0.1:9/certs";
    vec![
        row("cold", "cold", "no usable key is held; ", [false; 2], format!("issuer: x\n{dead}")),
        row("ready", "ready", "1 key is held", [true; 2], format!("issuer: {issuer}")),
        row(
            "stale",
            "stale",
            "1 key is held; jwks_url http://127.0.0.1:9/certs: ",
            [true; 2],
            format!("issuer: x\nkeys: {KEY}\n{dead}"),
        ),
        row(
            "expired",
            "expired",
            "1 key is held, past max_stale",
            [false; 2],
            format!("issuer: x\njwks_url: {jwks}\nmax_stale: 1ms"),
        ),
        row("off", "disabled", "off: ", [false; 2], format!("issuer: x\nkeys: {KEY}\nuse: off")),
        row("unset", "disabled", "unset: ", [false; 2], "issuer:".to_owned()),
        row(
            "misconfigured",
            "disabled",
            "misconfigured: jwks_url: \"abc\" ",
            [false; 2],
            "issuer: x\njwks_url: abc".to_owned(),
        ),
    ]
}

/// G10, G13, G42: state word, reason, readiness, log line and metric agree in every state.
#[test]
fn a_state_is_the_same_word_wherever_it_is_seen() {
    let idp = Idp::start(IdpConfig::new().realm("akko")).unwrap();
    for row in rows(&idp) {
        let Row { name, settings, state, reason, ready } = row;
        let indented = settings.replace('\n', "\n    ");
        let provider = format!("providers:\n  {name}:\n    {indented}\n");
        let server = Server::with_config(&format!("ready_when: [{name}]\n{provider}"));

        // The log says it: at start, or when it became so.
        let line = server.line(|line| line["provider"] == name && line["state"] == state);
        let event = line["event"].as_str().unwrap();
        assert!(["provider.start", "provider.state"].contains(&event), "{line}");
        let level = if event == "provider.state" && state != "ready" { "WARN" } else { "INFO" };
        let level = if name == "misconfigured" { "WARN" } else { level };
        assert_eq!(line["level"], level, "{name}");

        let status = server.admin("/status.json").json();
        let of = &status["providers"][name];
        assert_eq!(of["state"], state, "{name}");
        let said = of["reason"].as_str().unwrap();
        assert!(said.starts_with(reason), "{name}: {said}");
        let whole = if ["ready", "stale"].contains(&state) { state } else { "cold" };
        assert_eq!(status["state"], whole, "{name}");

        for word in STATES {
            let series = format!("keystead_provider_state{{provider=\"{name}\",state=\"{word}\"}}");
            let expected = if word == state { 1.0 } else { 0.0 };
            assert_eq!(server.metric(&series), Some(expected), "{series}");
        }

        let [named, all] = ready;
        assert_ready(&server, named, name);
        let verbose = server.admin("/readyz?verbose").body;
        assert!(verbose.contains(&format!("\n{name} {state}: {reason}")), "{verbose}");
        drop(server);
        let server = Server::with_config(&format!("ready_when: all\n{provider}"));
        server.line(|line| line["provider"] == name && line["state"] == state);
        assert_ready(&server, all, name);
    }
}

fn assert_ready(server: &Server, ready: bool, name: &str) {
    let (code, verdict) = if ready { (200, "ok\n") } else { (503, "not ready\n") };
    let public = server.get("/readyz?verbose", &[]);
    assert_eq!((public.status, &*public.body), (code, verdict), "{name}: no more in public");
    assert_eq!(server.admin("/readyz").status, code, "{name}");
}

/// G13: who is waited for is named, and `none` waits for nobody.
#[test]
fn those_that_are_waited_for_are_named() {
    let ready = |when: &str| Server::start(&format!("ready_when: {when}"));
    let all = ready("all").admin("/readyz");
    assert_eq!(all.status, 503);
    assert!(all.body.starts_with("not ready: waiting for dark\ndark cold: "), "{}", all.body);
    assert_eq!(ready("any").admin("/readyz").status, 200);
    assert_eq!(ready("none").admin("/readyz").status, 200);
    assert_eq!(ready("[local, scoped]").admin("/readyz").status, 200);
    let (status, log) =
        support::run_to_end(&format!("ready_when: [locale]\nproviders:{}", support::PROVIDERS));
    assert_eq!(status.code(), Some(78), "{log}");
}

/// Every field of the status, of a source that works and of one that does not.
#[test]
fn the_status_says_where_keys_are_from_and_what_went_wrong() {
    let idp = Idp::start(IdpConfig::new().realm("akko")).unwrap();
    let (issuer, jwks) = (idp.issuer("akko").unwrap(), idp.jwks_url("akko").unwrap());
    let server = Server::with_config(&format!(
        "
providers:
  akko:
    issuer: {issuer}
    audiences: any
    jwks_url: [{jwks}, 'http://127.0.0.1:9/certs?key=secret']
"
    ));
    server.line(|line| line["event"] == "keys.changed");
    server.line(|line| line["event"] == "provider.fetch_failed");
    let akko = server.admin("/status.json").json()["providers"]["akko"].clone();
    assert_eq!(akko["state"], "stale");
    let key = &akko["keys"][0];
    assert_eq!(key["kid"], idp.kids("akko").unwrap()[0]);
    assert_eq!([&key["kty"], &key["alg"], &key["use"]], ["EC", "ES256", "sig"]);
    assert_eq!(key["origin"], format!("jwks_url {jwks}"));
    assert!(key["age_seconds"].is_u64() && key["usable"] == true && key["why"].is_null());
    assert!(key["thumbprint"].as_str().is_some_and(|print| print.len() == 43));
    let time = |value: &Value| value.as_str().is_some_and(|t| t.len() == 20 && t.ends_with('Z'));
    let [good, bad] = [&akko["sources"][0], &akko["sources"][1]];
    assert_eq!([&good["kind"], &good["state"]], ["jwks_url", "ready"]);
    assert!(["last_attempt", "last_success", "next_attempt"].iter().all(|at| time(&good[at])));
    assert!(good["last_error"].is_null());
    assert_eq!([&bad["state"], &bad["url"]], ["cold", "http://127.0.0.1:9/certs"]);
    assert!(time(&bad["last_attempt"]) && time(&bad["next_attempt"]));
    assert!(bad["last_success"].is_null());
    let error = &bad["last_error"];
    assert_eq!([&error["code"], &error["stage"]], ["connect", "connect"]);
    assert!(error["detail"].as_str().unwrap().contains("refused"), "{error}");
}

/// G42: what alerts are made of.
#[test]
fn decisions_are_counted_by_provider_face_result_and_code() {
    let server = Server::start("");
    for token in ["good", "good", "expired", "dark"] {
        server.forward(token);
    }
    server.get("/v1/auth/forward", &[("Authorization".into(), "Bearer x".into())]);
    let body = format!("{{\"token\":\"{}\"}}", support::token("good"));
    support::request(server.public, "POST", "/v1/verify", &[], body.as_bytes());
    let counted = |provider: &str, face: &str, result: &str, code: &str| {
        server.metric(&format!(
            "keystead_verifications_total{{provider=\"{provider}\",face=\"{face}\",\
             result=\"{result}\",code=\"{code}\"}}"
        ))
    };
    let forward = |provider, result, code| counted(provider, "forward_auth", result, code);
    assert_eq!(forward("local", "allow", "none"), Some(2.0));
    assert_eq!(forward("local", "refuse", "token.expired"), Some(1.0));
    assert_eq!(forward("dark", "refuse", "keys.unavailable"), Some(1.0));
    assert_eq!(forward("dark", "allow", "none"), Some(0.0));
    assert_eq!(forward("none", "refuse", "token.segments"), Some(1.0));
    assert_eq!(counted("local", "verify", "allow", "none"), Some(1.0));
    let judged = "keystead_verification_duration_seconds_count{face=\"forward_auth\",result=";
    assert_eq!(server.metric(&format!("{judged}\"refuse\"}}")), Some(3.0));
    let stale = r#"keystead_stale_verifications_total{provider="local"}"#;
    assert_eq!(server.metric(stale), Some(0.0));
    let page = server.admin("/metrics").body;
    assert!(!page.contains("idp.test.example"), "nothing of a token is a label: {page}");
}

/// G42
#[test]
fn fetches_keys_and_their_times_are_shown_by_provider_and_source() {
    let idp = Idp::start(IdpConfig::new().realm("akko")).unwrap();
    let (issuer, discovery) = (idp.issuer("akko").unwrap(), idp.discovery_url("akko").unwrap());
    let server = Server::with_config(&format!(
        "providers:{}\n  akko: {{issuer: '{issuer}', audiences: any}}\n",
        support::PROVIDERS
    ));
    server.line(|line| line["provider"] == "akko" && line["state"] == "ready");
    server.line(|line| line["event"] == "provider.fetch_failed");
    let fetches = |labels: &str| {
        server.metric(&format!("keystead_provider_fetches_total{{provider={labels}}}"))
    };
    assert_eq!(fetches(r#""akko",document="discovery",result="ok""#), Some(1.0));
    assert_eq!(fetches(r#""akko",document="jwks",result="ok""#), Some(1.0));
    assert!(fetches(r#""dark",document="jwks",result="connect""#).unwrap() >= 1.0);
    let took = r#"keystead_provider_fetch_duration_seconds_count{provider="akko"}"#;
    assert_eq!(server.metric(took), Some(2.0));
    let source = format!("{{provider=\"akko\",source=\"discovery {discovery}\"}}");
    assert_eq!(server.metric(&format!("keystead_provider_keys{source}")), Some(1.0));
    let since = |series: &str| {
        let started = server.metric("process_start_time_seconds").unwrap();
        server.metric(series).unwrap() - started
    };
    let success = since(&format!("keystead_provider_last_success_timestamp_seconds{source}"));
    let next = since(r#"keystead_provider_next_refresh_timestamp_seconds{provider="akko"}"#);
    assert!(success > -1.0 && next > success, "{success} {next}");
    assert_eq!(server.metric("keystead_log_lines_dropped_total"), Some(0.0));
}

#[test]
fn metrics_are_on_the_admin_listener_only_in_the_format_that_is_asked_for() {
    let server = Server::start("");
    let page = server.admin("/metrics");
    assert_eq!(page.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    assert_eq!(server.get("/metrics", &[]).status, 404);
    let accept = ("Accept".to_owned(), "application/openmetrics-text".to_owned());
    let admin = server.admin.parse().unwrap();
    let open = support::request(admin, "GET", "/metrics", &[accept], b"");
    assert!(open.header("Content-Type").unwrap().starts_with("application/openmetrics-text; "));
    assert!(open.body.ends_with("# EOF\n"));
}
