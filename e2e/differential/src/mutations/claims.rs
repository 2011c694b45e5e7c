//! The claims that say who a token is of and for (RFC 7519 section 4.1), times apart.

use super::{Mutation, all};
use crate::members::quoted;
use crate::setting::{ALIAS, AUDIENCE, ISSUER};

pub(super) const ALL: &[Mutation] = &[
    // iss (RFC 7519 section 4.1.1)
    all("iss an alias", |draft, _| draft.claims.set_text("iss", ALIAS)),
    all("iss absent", |draft, _| draft.claims.remove("iss")),
    all("iss null", |draft, _| draft.claims.set("iss", "null")),
    all("iss a number", |draft, _| draft.claims.set("iss", "1")),
    all("iss true", |draft, _| draft.claims.set("iss", "true")),
    all("iss empty", |draft, _| draft.claims.set_text("iss", "")),
    all("iss an array of ours", |draft, _| {
        draft.claims.set("iss", format!("[{}]", quoted(ISSUER)));
    }),
    all("iss an array of ours and another", |draft, _| {
        let other = quoted("https://stranger.example");
        draft.claims.set("iss", format!("[{},{other}]", quoted(ISSUER)));
    }),
    all("iss an empty array", |draft, _| draft.claims.set("iss", "[]")),
    all("iss an object", |draft, _| draft.claims.set("iss", format!("{{{}:1}}", quoted(ISSUER)))),
    all("iss of another", |draft, _| draft.claims.set_text("iss", "https://stranger.example")),
    all("iss with a slash", |draft, _| draft.claims.set_text("iss", &format!("{ISSUER}/"))),
    all("iss with a space", |draft, _| draft.claims.set_text("iss", &format!("{ISSUER} "))),
    all("iss with a NUL", |draft, _| draft.claims.set_text("iss", &format!("{ISSUER}\0"))),
    all("iss with its host in capitals", |draft, _| {
        draft.claims.set_text("iss", &ISSUER.replace("issuer", "ISSUER"));
    }),
    all("iss with the default port", |draft, _| {
        draft.claims.set_text("iss", &ISSUER.replace("example/", "example:443/"));
    }),
    all("iss with a percent escape", |draft, _| {
        draft.claims.set_text("iss", &ISSUER.replace("one", "%6fne"));
    }),
    all("iss with a longer path", |draft, _| draft.claims.set_text("iss", &format!("{ISSUER}s"))),
    all("iss with a shorter path", |draft, _| {
        draft.claims.set_text("iss", ISSUER.trim_end_matches("/one"));
    }),
    all("iss with escaped slashes", |draft, _| {
        draft.claims.set("iss", quoted(ISSUER).replace('/', "\\/"));
    }),
    all("iss with escaped letters", |draft, _| {
        draft.claims.set("iss", quoted(ISSUER).replace("one", r"\u006fne"));
    }),
    all("iss by an escaped name", |draft, _| draft.claims.respell("iss", r#""is\u0073""#)),
    all("iss by a name in capitals", |draft, _| draft.claims.respell("iss", r#""ISS""#)),
    all("iss in capitals of another beside iss", |draft, _| {
        draft.claims.last("ISS", quoted("https://stranger.example"));
    }),
    all("iss twice, another first", |draft, _| {
        draft.claims.first("iss", quoted("https://stranger.example"));
    }),
    all("iss twice, another last", |draft, _| {
        draft.claims.last("iss", quoted("https://stranger.example"));
    }),
    all("iss twice, the same", |draft, _| draft.claims.last("iss", quoted(ISSUER))),
    all("iss twice, another last by an escaped name", |draft, _| {
        draft.claims.last_spelt(r#""\u0069ss""#, quoted("https://stranger.example"));
    }),
    // aud (RFC 7519 section 4.1.3)
    all("aud absent", |draft, _| draft.claims.remove("aud")),
    all("aud null", |draft, _| draft.claims.set("aud", "null")),
    all("aud a number", |draft, _| draft.claims.set("aud", "1")),
    all("aud true", |draft, _| draft.claims.set("aud", "true")),
    all("aud empty", |draft, _| draft.claims.set_text("aud", "")),
    all("aud an empty array", |draft, _| draft.claims.set("aud", "[]")),
    all("aud an array of ours", |draft, _| {
        draft.claims.set("aud", format!("[{}]", quoted(AUDIENCE)));
    }),
    all("aud an array of another and ours", |draft, _| {
        draft.claims.set("aud", format!("[\"x\",{}]", quoted(AUDIENCE)));
    }),
    all("aud an array of ours, twice", |draft, _| {
        draft.claims.set("aud", format!("[{0},{0}]", quoted(AUDIENCE)));
    }),
    all("aud an array of others", |draft, _| draft.claims.set("aud", r#"["x","y"]"#)),
    all("aud an array of ours and a number", |draft, _| {
        draft.claims.set("aud", format!("[{},7]", quoted(AUDIENCE)));
    }),
    all("aud an array of ours and null", |draft, _| {
        draft.claims.set("aud", format!("[{},null]", quoted(AUDIENCE)));
    }),
    all("aud a nested array", |draft, _| {
        draft.claims.set("aud", format!("[[{}]]", quoted(AUDIENCE)));
    }),
    all("aud an object", |draft, _| {
        draft.claims.set("aud", format!("{{{}:1}}", quoted(AUDIENCE)));
    }),
    all("aud an array of a hundred", |draft, _| {
        let others: Vec<_> = (0..100).map(|number| format!("\"{number}\"")).collect();
        draft.claims.set("aud", format!("[{},{}]", others.join(","), quoted(AUDIENCE)));
    }),
    all("aud of another", |draft, _| draft.claims.set_text("aud", "invoices")),
    all("aud a longer word", |draft, _| draft.claims.set_text("aud", &format!("{AUDIENCE}s"))),
    all("aud a shorter word", |draft, _| draft.claims.set_text("aud", "order")),
    all("aud in capitals", |draft, _| draft.claims.set_text("aud", &AUDIENCE.to_uppercase())),
    all("aud with a space", |draft, _| draft.claims.set_text("aud", &format!("{AUDIENCE} "))),
    all("aud of two words", |draft, _| draft.claims.set_text("aud", &format!("x {AUDIENCE}"))),
    all("aud with a NUL", |draft, _| draft.claims.set_text("aud", &format!("{AUDIENCE}\0"))),
    all("aud written in escapes", |draft, _| {
        draft.claims.set("aud", quoted(AUDIENCE).replace("ord", r"\u006frd"));
    }),
    all("aud twice, another first", |draft, _| draft.claims.first("aud", quoted("invoices"))),
    all("aud twice, another last", |draft, _| draft.claims.last("aud", quoted("invoices"))),
    // sub, jti and what nobody asks about (RFC 7519 sections 4.1.2 and 4.1.7)
    all("sub absent", |draft, _| draft.claims.remove("sub")),
    all("sub null", |draft, _| draft.claims.set("sub", "null")),
    all("sub a number", |draft, _| draft.claims.set("sub", "7")),
    all("sub an array", |draft, _| draft.claims.set("sub", r#"["alice"]"#)),
    all("sub empty", |draft, _| draft.claims.set_text("sub", "")),
    all("sub twice", |draft, _| draft.claims.last("sub", quoted("root"))),
    all("sub twice by an escaped name", |draft, _| {
        draft.claims.last_spelt(r#""su\u0062""#, quoted("root"));
    }),
    all("jti absent", |draft, _| draft.claims.remove("jti")),
    all("jti null", |draft, _| draft.claims.set("jti", "null")),
    all("jti a number", |draft, _| draft.claims.set("jti", "7")),
    all("scope twice", |draft, _| draft.claims.last("scope", quoted("admin"))),
    all("scope a number", |draft, _| draft.claims.set("scope", "7")),
    all("a nested member twice", |draft, _| {
        draft.claims.set("realm_access", r#"{"roles":["staff"],"roles":["admin"]}"#);
    }),
    all("a member named __proto__", |draft, _| {
        draft.claims.last("__proto__", r#"{"iss":"x","exp":1}"#);
    }),
    all("a member named constructor", |draft, _| draft.claims.last("constructor", "null")),
    all("a member with an empty name", |draft, _| draft.claims.last("", "1")),
    all("a claims set without members", |draft, _| {
        draft.edit_claims(|_| b"{}".to_vec());
    }),
];
