//! What the real program writes to stderr.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod support;

use serde_json::Value;
use support::{Server, bearer, request, token};

const PATH: &str = "/v1/auth/forward";

fn with(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn decisions(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == "auth.decision").collect()
}

/// G40: one structured line per refusal, with what was presented and never the token.
#[test]
fn a_refusal_is_one_line_with_everything_but_the_token() {
    let mut server = Server::start("drain: 0s");
    let presented = token("expired");
    let mut headers = with(&[
        // Controls cannot be sent in a header; what steers a terminal without one can.
        ("User-Agent", "curl/8 \u{202e}"),
        ("X-Request-Id", "r-1"),
        ("X-Forwarded-Uri", "/chat?access_token=secret"),
        ("X-Forwarded-Method", "PUT"),
    ]);
    headers.push(("Authorization".into(), format!("Bearer {presented}")));
    let path = format!("{PATH}?token=secret");
    assert_eq!(request(server.public, "GET", &path, &headers, b"").status, 401);
    server.signal("TERM");
    let (_, log) = server.ended();
    let lines = decisions(&log);
    assert_eq!(lines.len(), 1, "{log}");
    let line = &lines[0];
    for (field, value) in [
        ("level", "INFO"),
        ("result", "refuse"),
        ("code", "token.expired"),
        ("provider", "local"),
        ("token_issuer", "https://idp.test.example"),
        ("kid", "test-1"),
        ("alg", "EdDSA"),
        ("face", "forward_auth"),
        ("method", "GET"),
        ("path", PATH),
        ("forwarded_method", "PUT"),
        ("forwarded_path", "/chat"),
        ("client_ip", "127.0.0.1"),
        ("correlation_id", "r-1"),
        ("user_agent", "curl/8 \\u{202e}"),
    ] {
        assert_eq!(line[field], value, "{field}: {line}");
    }
    assert_eq!(line["token_length"], presented.len());
    assert_eq!(line["token_segments"], 3);
    assert_eq!(line["fingerprint"].as_str().unwrap().len(), 8);
    assert!(line["exp_delta_s"].as_f64().unwrap() < -1e8, "{line}");
    assert!(line["duration_s"].is_number());
    assert!(line["hint"].is_string());
    assert!(line["message"].as_str().unwrap().starts_with("token expired "), "{line}");
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 27 && timestamp.ends_with('Z'), "{timestamp}");
    assert!(line["target"].as_str().unwrap().starts_with("keystead"));
    assert!(!log.contains(&presented) && !log.contains("secret"), "{log}");
}

/// G14: the empty token, as the story that was told about it.
#[test]
fn an_empty_token_is_a_line_with_its_length_and_its_caller() {
    let server = Server::start("");
    let headers = with(&[
        ("Authorization", "Bearer "),
        ("User-Agent", "gitlab-workhorse"),
        ("X-Correlation-ID", "c-1"),
        ("X-Request-Id", "r-1"),
    ]);
    server.get(PATH, &headers);
    let line = server.line(|line| line["event"] == "auth.decision");
    assert_eq!(line["code"], "token.empty");
    assert_eq!((&line["token_length"], &line["token_segments"]), (&0.into(), &0.into()));
    assert_eq!(line["user_agent"], "gitlab-workhorse");
    assert_eq!(line["correlation_id"], "c-1");
    assert_eq!(line["path"], PATH);
    assert_eq!(line["message"], "token is empty");
    assert!(line["hint"].as_str().unwrap().contains("had no token to send"));
}

#[test]
fn a_token_that_stands_in_another_place_is_not_logged_either() {
    let mut server = Server::start("drain: 0s");
    let good = token("expired");
    // As the scheme, as the agent, as the correlation id, in the path of the original request.
    server.get(PATH, &with(&[("Authorization", &good)]));
    let mut headers = with(&[
        ("User-Agent", &*good),
        ("X-Request-Id", &*good),
        ("X-Forwarded-Uri", &*format!("/t/{good}")),
    ]);
    headers.push(bearer("expired"));
    server.get(PATH, &headers);
    server.signal("TERM");
    let (_, log) = server.ended();
    assert_eq!(decisions(&log).len(), 2, "{log}");
    let [_, payload, signature] =
        <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).unwrap();
    assert!(!log.contains(payload) && !log.contains(signature), "{log}");
}

#[test]
fn nothing_that_a_token_presents_can_write_into_the_log() {
    let mut server = Server::start("drain: 0s\nlog:\n  format: text");
    assert_eq!(server.forward("escapes").status, 401);
    server.signal("TERM");
    let (_, log) = server.ended();
    let line = log.lines().find(|line| line.contains("auth.decision")).unwrap();
    assert!(line.contains("issuer.unknown"), "{line}");
    assert!(!log.contains('\u{1b}') && !log.contains('\u{202e}'), "{log}");
}

/// Promise 7 and 8: what cannot be judged is a warning, with the provider that is to blame.
#[test]
fn a_provider_without_keys_is_a_warning() {
    let server = Server::start("");
    server.forward("dark");
    let line = server.line(|line| line["event"] == "auth.decision");
    assert_eq!((&line["level"], &line["provider"]), (&"WARN".into(), &"dark".into()));
    assert_eq!(line["code"], "keys.unavailable");
}

#[test]
fn what_is_logged_of_decisions_is_configured() {
    for (setting, expected) in [("refusals", 1), ("all", 2), ("none", 0)] {
        let mut server = Server::start(&format!("drain: 0s\nlog:\n  decisions: {setting}"));
        server.forward("good");
        server.forward("bad");
        server.signal("TERM");
        let (_, log) = server.ended();
        let lines = decisions(&log);
        assert_eq!(lines.len(), expected, "{setting}: {log}");
        if setting == "all" {
            assert_eq!(lines[0]["result"], "allow");
            assert_eq!(lines[0]["provider"], "local");
            assert_eq!(lines[0]["token_length"], token("good").len());
        }
    }
}

/// G41: one line per provider at start, and one that says where it listens.
#[test]
fn the_start_is_told_provider_by_provider() {
    let server = Server::start("");
    for (provider, state) in [("local", "ready"), ("dark", "cold"), ("scoped", "ready")] {
        let line =
            server.line(|line| line["event"] == "provider.start" && line["provider"] == provider);
        assert_eq!(line["state"], state, "{line}");
        assert!(line["sources"].is_string(), "{line}");
    }
    let line = server.line(|line| line["event"] == "listening" && line["listener"] == "public");
    assert_eq!(line["address"], server.public.to_string());
    let failed = server.line(|line| line["event"] == "provider.fetch_failed");
    assert_eq!(failed["provider"], "dark");
}

/// Promise 10: whoever reads the log and stops does not stop a request.
#[test]
fn a_reader_that_stalls_stalls_no_request() {
    let mut server = Server::start("drain: 0s\nlog:\n  decisions: all");
    let stalled = server.stall();
    // More than a pipe holds, which is 64 KiB.
    for _ in 0..300 {
        assert_eq!(server.forward("good").status, 200);
    }
    drop(stalled);
    server.signal("TERM");
    let (_, log) = server.ended();
    assert!(log.len() > 100_000);
    assert_eq!(decisions(&log).len(), 300, "they waited, and are all there");
}

/// A flood of one kind costs a hundred lines a second, and says what it cost. However long the
/// requests take, the lines that are written and the lines that are counted are all of them.
#[test]
fn a_flood_is_counted_and_not_written() {
    const REQUESTS: u64 = 2_000;
    let mut server = Server::start("drain: 0s");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let address = server.public;
            std::thread::spawn(move || {
                for _ in 0..REQUESTS / 8 {
                    assert_eq!(request(address, "GET", PATH, &[], b"").status, 401);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let suppressed = |log: &str| -> u64 {
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let suppressed = lines.filter(|line| line["event"] == "auth.suppressed");
        suppressed.map(|line| line["suppressed"].as_u64().unwrap()).sum()
    };
    // The last count is written once its second is over, though no request follows.
    server.wait(|lines| {
        let log = lines.join("\n");
        (decisions(&log).len() as u64 + suppressed(&log) >= REQUESTS).then_some(())
    });
    server.signal("TERM");
    let (_, log) = server.ended();
    let written = decisions(&log);
    assert_eq!(written.len() as u64 + suppressed(&log), REQUESTS);
    let mut per_second = std::collections::HashMap::<&str, u64>::new();
    for line in &written {
        assert_eq!(line["code"], "auth.missing");
        let (second, _fraction) = line["timestamp"].as_str().unwrap().split_once('.').unwrap();
        *per_second.entry(second).or_default() += 1;
    }
    // The seconds that are counted begin at the start of the process, those of a timestamp on the
    // wall: one of them can touch two of the others.
    assert!(per_second.values().all(|lines| *lines <= 200), "{per_second:?}");
}
