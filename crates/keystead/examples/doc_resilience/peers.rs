//! What others do under the same faults, as measured in November 2026.

use keystead_testkit::idp::Fault;

use super::table::Moment;

/// A situation that others were measured in.
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    pub(crate) situation: Situation,
}

pub(crate) enum Situation {
    /// During any of these faults, which began then.
    During(&'static [Fault], Moment),
    /// When the fault is over.
    Over,
}

pub(crate) const COLUMNS: [Column; 5] = [
    Column {
        heading: "`down` at start",
        situation: Situation::During(&[Fault::Down], Moment::Start),
    },
    Column {
        heading: "`blackhole` at start",
        situation: Situation::During(&[Fault::Blackhole], Moment::Start),
    },
    Column {
        heading: "known keys under `status_500`, `html`, `truncated_json`, `down`, `blackhole`",
        situation: Situation::During(
            &[Fault::Status500, Fault::Html, Fault::TruncatedJson, Fault::Down, Fault::Blackhole],
            Moment::WarmUp,
        ),
    },
    Column {
        heading: "known keys under `empty_set`",
        situation: Situation::During(&[Fault::EmptySet], Moment::WarmUp),
    },
    Column { heading: "new keys after 8 s of `swallow`", situation: Situation::Over },
];

/// Who was measured, and what was seen in each of [`COLUMNS`].
pub(crate) const PEERS: &[(&str, [&str; 5])] = &[
    (
        "go-oidc 3.21.0, `NewProvider`",
        [
            "does not start",
            "hangs for more than 290 s",
            "kept, withdrawn keys too",
            "lost with the first made-up token",
            "never (240 s watched)",
        ],
    ),
    (
        "go-oidc 3.21.0, `RemoteKeySet`",
        [
            "starts, heals with the next request",
            "starts, no answer in 250 s",
            "kept, withdrawn keys too",
            "lost with the first made-up token",
            "never (240 s watched)",
        ],
    ),
    (
        "keyfunc 3.9.0",
        [
            "starts, heals after 300 s if a request came meanwhile",
            "start blocked for 60 s",
            "kept",
            "lost with the next refresh or made-up token",
            "after 52 s",
        ],
    ),
    (
        "jwx 3.3.0, `jwk.Cache`",
        [
            "start blocked for 900 s, the outage lasting 8 s",
            "with a limit of 5 s on the start: an error at once, heals after 892 s",
            "kept",
            "lost with the next refresh",
            "not within 240 s",
        ],
    ),
    (
        "k8s.io/apiserver 0.37.2",
        [
            "starts, heals within 10.1 s",
            "starts, an error within 0.07 ms",
            "kept",
            "lost with the first made-up token",
            "after 22 s",
        ],
    ),
    (
        "Nimbus JOSE+JWT 10.10",
        [
            "starts, heals after 30 s",
            "starts, an error after 0.5 s",
            "lost after 300 s",
            "lost after 270 s, or with the first made-up token",
            "at once",
        ],
    ),
    (
        "Nimbus JOSE+JWT 10.10, `outageTolerant` for 4 h",
        [
            "starts, heals after 30 s",
            "starts, an error after 0.5 s",
            "kept",
            "lost after 270 s, or with the first made-up token",
            "at once",
        ],
    ),
    (
        "Spring Security 7.1.1, `withJwkSetUri`",
        [
            "starts, heals with the next request",
            "starts, a request is held for 30 s",
            "lost after 300 s",
            "lost after 300 s, or with the first made-up token",
            "after 25 s",
        ],
    ),
    (
        "Spring Security 7.1.1, `withIssuerLocation`",
        [
            "does not start",
            "does not start, after 30 s",
            "lost after 300 s",
            "lost after 300 s, or with the first made-up token",
            "does not start",
        ],
    ),
    (
        "Spring Security 7.1.1, `SupplierJwtDecoder`",
        [
            "starts, heals with the next request",
            "starts, requests are held for 30 s, one after another",
            "lost after 300 s",
            "lost after 300 s, or with the first made-up token",
            "after 25 s",
        ],
    ),
    (
        "jose4j 0.9.7",
        [
            "starts, heals with the next request",
            "starts, a request is held for 81 s, one after another",
            "lost when the cache expires",
            "lost when the cache expires, or with a made-up token",
            "after 13 s",
        ],
    ),
    (
        "jose4j 0.9.7, retaining keys for 1 h",
        [
            "starts, heals with the next request",
            "starts, a request is held for 81 s, one after another",
            "kept; under `blackhole` a request is held for more than 30 s",
            "lost when the cache expires, or with a made-up token",
            "after 13 s",
        ],
    ),
    (
        "jwks-rsa 0.24.2",
        [
            "starts, heals with the next request",
            "starts, no answer in 250 s",
            "kept for up to 10 h, withdrawn keys too",
            "kept",
            "never for that key (240 s watched)",
        ],
    ),
    (
        "oauth2-proxy 7.15.3 (14af2951)",
        [
            "does not start",
            "neither listens nor ends within 40 s",
            "kept",
            "lost, heals with the next request",
            "never (80 s watched)",
        ],
    ),
    (
        "ToolHive 0.44.0 (e25de16c), a token of a local key",
        ["not measured", "accepted after 16.3 s", "not measured", "not measured", "not measured"],
    ),
];
